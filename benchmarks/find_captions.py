"""Say it in words: captions of digit clips, ours beside baselines, controls, and what the cache saves.

    python benchmarks/find_captions.py            all of it
    python benchmarks/find_captions.py --quick    few clips and steps: shows the tables only
    python benchmarks/find_captions.py --only ours
    python benchmarks/find_captions.py --write    write benchmarks/results/find/captions.json

A clip shows two to four digits, one may come again; its caption names them in order. Training clips show the
handwriting of the training part, test clips that of other people. All models have the same decoder and as many steps;
the baselines differ in what the decoder may ask:

    pooled                           one token, the mean of the frames
    self-attention, then pooled      the same, after the frames asked one another
    cross-attention over the frames  every frame, none of which knows its neighbours
    ours                             the default Captioner
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.data.samples import Samples
from intermodal.find.captioner import Caption, Captioner
from intermodal.find.decoding import greedy
from intermodal.find.digit_scenes import DigitClips, digit_clips
from intermodal.find.scoring_captions import TOKENIZER, caption_scores
from intermodal.nn.captioning import CaptionNetwork
from intermodal.nn.decoder import END, Memory

RESULTS = Path(__file__).resolve().parent / "results" / "find" / "captions.json"
TRAINING, TEST, SEED, TEST_SEED = 4000, 1000, 0, 2026
STUDY = {"pooled": 11.2, "self-attention, then pooled": 27.8, "cross-attention over the frames": 74.4}
FIGURES = ("exact", "SE", "word_accuracy", "bleu4", "cider", "rouge_l")


class _Pooling(CaptionNetwork):
    """Clips have one token, the mean of their frames."""

    def remember(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Memory:
        assert not present, "digit clips have all frames"
        self.decoder._checked_one_key = True  # one key is what this baseline is about
        return self.decoder.remember({name: t.mean(1, keepdim=True) for name, t in self.encoder(x).tokens.items()})


class Pooled(Captioner):
    """The mean of the frames."""

    def _build(self) -> CaptionNetwork:
        network = super()._build()
        network.__class__ = _Pooling
        return network


MODELS: dict[str, tuple[type[Captioner], dict[str, Any]]] = {
    "pooled": (Pooled, {"encoder": "linear"}),
    "self-attention, then pooled": (Pooled, {"encoder": "linear", "fusion": "caption -> video, video -> video"}),
    "cross-attention over the frames": (Captioner, {"encoder": "linear"}),
    "ours": (Captioner, {}),
}


def clips_of(part: str, n: int, seed: int) -> DigitClips:
    return digit_clips(n, n_digits=(2, 4), repeats=True, part=part, seed=seed)


def figures(captions: list[Caption], texts: list[str]) -> dict[str, float]:
    """Scores in percent, but for CIDEr; exact match as it stands, with its standard error."""
    scores = caption_scores(captions, texts)
    right = float(np.mean([caption.text == text for caption, text in zip(captions, texts, strict=True)]))
    return {
        "exact": 100 * right,
        "SE": 100 * (right * (1 - right) / len(texts)) ** 0.5,
        "word_accuracy": 100 * scores.word_accuracy,
        "bleu4": scores.bleu4,
        "cider": float("nan") if scores.cider is None else scores.cider,
        "rouge_l": 100 * scores.rouge_l,
        "unfinished": scores.unfinished,
    }


def controls(model: Captioner, test: DigitClips) -> dict[str, dict[str, float]]:
    """What remains when the clip is not the one that is captioned, or its order is gone."""
    rng = np.random.default_rng(SEED)
    modality = test.samples.modality("video")
    assert modality.offsets is not None
    videos = [modality.values[a:b] for a, b in zip(modality.offsets[:-1], modality.offsets[1:], strict=True)]
    shuffled = Samples({"video": [video[rng.permutation(len(video))] for video in videos]})
    others = Samples({"video": videos[1:] + videos[:1]})
    return {
        "frames shuffled in time": figures(model.predict(shuffled), test.texts),
        "another clip's video": figures(model.predict(others), test.texts),
        "no video": figures(model.predict(Samples({"video": [None, *videos[1:]]}))[:1] * len(test), test.texts),
    }


def uncached(network: CaptionNetwork, x: Any, present: Any, most: int) -> list[list[int]]:
    """Greedy, as it is without a cache: clip and words are read anew for every word."""
    b = len(next(iter(x.values())))
    said = torch.full((b, 1), network.decoder.start)
    for _ in range(most + 1):
        said = torch.cat([said, network(x, said, present).logits[:, -1:].argmax(-1)], 1)
        if bool((said == END).any(1).all()):
            break
    return [row[1 : (row.index(END) if END in row else most + 1)] for row in said.tolist()]


@torch.no_grad()
def cache(model: Captioner, test: DigitClips, batch: int, runs: int) -> dict[str, float]:
    """Milliseconds a caption with and without the cache, and the median ratio of paired runs."""
    network, feed = model.prepared(test.samples)
    ratios, times, most = [], [], model.max_words_
    for run in range(runs):
        seen = feed.batch(np.arange(run * batch, (run + 1) * batch) % len(test))
        started = time.process_time()
        cached = [h.words for h in greedy(network.decoder, network.remember(seen.x, seen.present), max_words=most)]
        middle = time.process_time()
        assert uncached(network, seen.x, seen.present, most) == cached
        times.append(((middle - started) / batch, (time.process_time() - middle) / batch))
        ratios.append(times[-1][1] / times[-1][0])
    quick, slow = (1000 * statistics.median(t) for t in zip(*times, strict=True))
    return {"batch": batch, "cached ms": quick, "uncached ms": slow, "ratio": statistics.median(ratios)}


def row(name: str, scores: Mapping[str, float], rest: str = "") -> str:
    return f"{name:<32}" + "".join(f"{scores[key]:>8.1f}" for key in FIGURES) + rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few clips and steps")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    n, n_test = (300, 100) if options.quick else (TRAINING, TEST)
    short: dict[str, Any] = {"max_epochs": 3} if options.quick else {}
    made, test = clips_of("train", n, SEED), clips_of("test", n_test, TEST_SEED)
    known = set(made.texts)
    seen = sum(text in known for text in test.texts)
    print(f"{n} clips to train on, {n_test} to test on (other handwriting); {seen} of their captions were in training.")
    print(f"Exact match with its standard error, percent. {TOKENIZER}.")
    heads = ("exact", "SE", "words", "BLEU-4", "CIDEr", "ROUGE-L")
    print(f"\n{'':<32}" + "".join(f"{head:>8}" for head in heads) + "   CPU s  study")
    result: dict[str, Any] = {
        "training": n,
        "test": n_test,
        "seen_captions": seen,
        "tokenizer": TOKENIZER,
        "models": {},
    }
    chance = figures([Caption(text, 0.0, (), True) for text in made.texts[: len(test)]], test.texts)
    print(row("a caption from training", chance))
    result["models"]["a caption from training"] = chance
    for name in options.only:
        kind, own = MODELS[name]
        started = time.process_time()
        model = kind(seed=SEED, device="cpu", **{**own, **short}).fit(made.samples, made.texts)
        spent = time.process_time() - started
        scores = figures(model.predict(test.samples), test.texts)
        about = {"cpu_seconds": spent, "parameters": model.n_parameters_, "study": STUDY.get(name)}
        result["models"][name] = {**scores, **about}
        print(row(name, scores, f"{spent:>8.0f}{STUDY.get(name, '') or '':>7}"), flush=True)
        if name == "ours":
            result |= ours(model, made, test, runs=3 if options.quick else 25)
    print(f"\n{time.process_time():.0f} CPU seconds in all, one thread, one run (seed {SEED}).")
    if options.write and not options.quick:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        if len(options.only) < len(MODELS) and RESULTS.is_file():  # the other models stay as they were measured
            before = json.loads(RESULTS.read_text("utf-8"))
            result = {**before, **result, "models": {**before["models"], **result["models"]}}
        RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def ours(model: Captioner, made: DigitClips, test: DigitClips, runs: int) -> dict[str, Any]:
    """What else there is to know about the fitted captioner."""
    print("\nours, by whether training had a clip with the same caption")
    found: dict[str, Any] = {"seen": {}, "beams": {}, "controls": {}, "cache": []}
    trained = set(made.texts)
    known = np.array([text in trained for text in test.texts])
    for name, rows in (("seen", np.flatnonzero(known)), ("never seen", np.flatnonzero(~known))):
        said = model.predict(test.samples[rows])
        found["seen"][name] = figures(said, [test.texts[i] for i in rows])
        print(row(f"{name}, {len(rows)} clips", found["seen"][name]))
    print("\nours, decoded otherwise")
    for penalty in (0.0, 1.0):
        name = f"beam 5, length penalty {penalty:g}"
        found["beams"][name] = figures(model.predict(test.samples, beam=5, length_penalty=penalty), test.texts)
        print(row(name, found["beams"][name]))
    print("\ncontrols, greedy")
    for name, scores in controls(model, test).items():
        found["controls"][name] = scores
        print(row(name, scores))
    print("\nmilliseconds a caption, CPU, greedy    cached  uncached  uncached / cached (median of paired runs)")
    for batch in (1, 32):
        cost = cache(model, test, batch, runs)
        found["cache"].append(cost)
        print(f"batches of {batch:<28}{cost['cached ms']:>6.1f}{cost['uncached ms']:>10.1f}{cost['ratio']:>10.1f}")
    return found


if __name__ == "__main__":
    main()
