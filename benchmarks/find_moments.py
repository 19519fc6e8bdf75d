"""When does it happen: videos of handwritten digits, ours beside baselines, controls, longer videos, memory.

    python benchmarks/find_moments.py                    all of it
    python benchmarks/find_moments.py --quick            fewer steps and questions, minutes
    python benchmarks/find_moments.py --levels rel hard  some levels
    python benchmarks/find_moments.py --only ours        without the baselines
    python benchmarks/find_moments.py --write            write benchmarks/results/find/moments.json

Training videos show the handwriting of the training part, test videos that of other people. One recipe for all
levels; only the number of steps differs, as the table says. The baselines are the same network with parts taken out,
trained alike: they share its reading of words, its ranking and its loss.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.attention import Attended
from intermodal.find.digit_films import LEVELS, DigitVideos, digit_videos
from intermodal.find.moment_network import MomentNetwork
from intermodal.find.moments import MomentLocalizer
from intermodal.find.scoring_moments import moment_scores

RESULTS = Path(__file__).resolve().parent / "results" / "find" / "moments.json"
STEPS = {"easy": 300, "noisy": 600, "two": 600, "rel": 1000, "hard": 800, "long": 300}
TRAINING = {"easy": 5052, "noisy": 6736, "two": 6736, "rel": 6736, "hard": 6736, "long": 5052}
"""Of these, 5 % validate; the others are 150 or 200 batches."""
BATCH, SEED, TEST_SEED = 32, 0, 2026
FIGURES = ("R1@0.5", "R1@0.7", "mIoU", "mAP")


class _Silent(nn.Module):
    """Attention between clips that says nothing."""

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        return torch.zeros_like(x)


class _Alone(nn.Module):
    """A convolution that sees no neighbour."""

    def forward(self, x: Tensor, within: Tensor) -> Tensor:
        return x


class _Evenly(nn.Module):
    """Attention to words without a choice: every clip gets their mean."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.project = nn.Linear(d_model, d_model)

    def forward(self, query: Tensor, context: Tensor, *, keep: Tensor, need_weights: bool = False) -> Attended:
        share = keep[:, 0].to(context.dtype)
        share = share / share.sum(1, keepdim=True)
        mean = self.project((share.unsqueeze(-1) * context).sum(1, keepdim=True))
        weights = share[:, None, None].expand(-1, 1, query.shape[1], -1) if need_weights else None
        return Attended(mean.expand(-1, query.shape[1], -1), weights)


class PerFrame(MomentLocalizer):
    """Every frame asks the words, and knows of no other frame."""

    def _build(self) -> MomentNetwork:
        network = super()._build()
        network.stem = nn.ModuleList()
        for layer in network.layers:
            layer.local, layer.clips = _Alone(), _Silent()
        return network


class NoAttention(MomentLocalizer):
    """Convolutions over time and the mean of the words: no attention anywhere."""

    def _build(self) -> MomentNetwork:
        network = super()._build()
        for layer in network.layers:
            layer.words, layer.clips = _Evenly(self.d_model), _Silent()
        return network


class AttentionOnly(MomentLocalizer):
    """Attention to words and between clips, without convolutions."""

    def _build(self) -> MomentNetwork:
        network = super()._build()
        network.stem = nn.ModuleList()
        for layer in network.layers:
            layer.local = _Alone()
        return network


MODELS = {
    "per frame": PerFrame,
    "convolution, no attention": NoAttention,
    "attention, no convolution": AttentionOnly,
    "ours": MomentLocalizer,
}


def fitted(kind: type[MomentLocalizer], made: DigitVideos, steps: int) -> tuple[MomentLocalizer, float]:
    """Train for about so many steps; the CPU seconds it took."""
    per_epoch = int(np.ceil(0.95 * len(made) / BATCH))
    started = time.process_time()
    model = kind(max_epochs=max(1, round(steps / per_epoch)), batch_size=BATCH, validation=0.05, seed=SEED)
    model.fit(made.samples, made.queries, made.spans, fps=made.fps)
    return model, time.process_time() - started


def scored(model: MomentLocalizer, made: DigitVideos, queries: list[str] | None = None) -> dict[str, float]:
    """The figures in percent, with the standard error of R1@0.5."""
    found = moment_scores(model.predict(made.samples, queries or made.queries, top=10), made.spans, n_draws=2)
    figures = {name: 100 * found[name] for name in FIGURES}
    hits = found.per_query["R1@0.5"]
    return figures | {"SE": 100 * float(np.std(hits)) / len(hits) ** 0.5}


def by_chance(train: DigitVideos, test: DigitVideos) -> dict[str, float]:
    """Spans of training put into test videos without a look."""
    rng = np.random.default_rng(0)
    pool = np.concatenate([s for s in train.spans if len(s)])
    guesses = list(pool[rng.integers(0, len(pool), (len(test), 10))])
    falling = [np.linspace(1, 0, 10)] * len(test)
    found = moment_scores(guesses, test.spans, scores=falling, n_draws=2)
    return {name: 100 * found[name] for name in FIGURES}


def line(level: str, name: str, figures: dict[str, float], cpu: float | None = None) -> str:
    said = " ".join(f"{figures[f]:7.1f}" for f in FIGURES)
    seconds = "" if cpu is None else f"{cpu:8.0f}"
    return f"{level:22} {name:27} {said} {figures.get('SE', float('nan')):6.1f} {seconds}".replace("nan", "  -")


HEAD = f"{'level (steps)':22} {'model':27} " + " ".join(f"{f:>7}" for f in FIGURES) + f" {'SE':>6} {'CPU s':>8}"


def table(levels: list[str], names: list[str], n_test: int, share: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every level, every model."""
    print(HEAD, flush=True)
    results: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for level in levels:
        train = digit_videos(level, max(200, int(share * TRAINING[level])), seed=1)
        test = digit_videos(level, n_test, part="test", seed=TEST_SEED)
        title = f"{level} ({max(1, int(share * STEPS[level]))})"
        results[level] = {"chance": by_chance(train, test)}
        print(line(title, "chance", results[level]["chance"]), flush=True)
        for name in names:
            model, cpu = fitted(MODELS[name], train, int(share * STEPS[level]))
            results[level][name] = scored(model, test) | {"cpu_seconds": cpu}
            print(line(title, name, results[level][name], cpu), flush=True)
            if name == "ours":
                kept[level] = model
    return results, kept


def longer(model: MomentLocalizer, n_test: int) -> dict[str, Any]:
    """Trained on 64 frames, asked about 128 and 256."""
    films = {
        "rel, T=128": digit_videos("rel", n_test, part="test", seed=TEST_SEED, frames=128),
        "rel, T=256": digit_videos("rel", n_test, part="test", seed=TEST_SEED, frames=256),
        "rel stretched, T=256": digit_videos(replace(LEVELS["rel"], frames=256), n_test, part="test", seed=TEST_SEED),
    }
    results = {name: scored(model, made) for name, made in films.items()}
    for name, figures in results.items():
        print(line(name, "ours, of T=64", figures), flush=True)
    return results


def controls(model: MomentLocalizer, n_test: int) -> dict[str, Any]:
    """What is left when the question, or the order of the film, is taken away."""
    made = digit_videos("rel", n_test, part="test", seed=TEST_SEED)
    rng = np.random.default_rng(0)
    texts = made.queries
    other = {"after": "before", "before": "after"}
    frames = [f[rng.permutation(len(f))] for f in _films(made)]
    asked = {
        "as it is": (made, texts),
        "texts shuffled": (made, [texts[i] for i in rng.permutation(len(texts))]),
        "order words removed": (made, [" ".join(w for w in t.split() if w not in other) for t in texts]),
        "after, before swapped": (made, [" ".join(other.get(w, w) for w in t.split()) for t in texts]),
        "frames shuffled": (replace(made, samples={"video": frames}), texts),
    }
    results = {name: scored(model, film, queries) for name, (film, queries) in asked.items()}
    for name, figures in results.items():
        print(line("rel", name, figures), flush=True)
    return results


def absent(share: float, n_test: int) -> dict[str, Any]:
    """Three of ten questions are about what does not happen."""
    from sklearn.metrics import roc_auc_score

    results = {}
    print(f"{'level':22} {'AUC':>7} {'ECE':>7} {'R1@0.5':>7} {'CPU s':>8}   does it happen? 30 % of the questions: no")
    for level in ("noisy", "rel"):
        train = digit_videos(level, max(300, int(share * 6000)), seed=3, absent=0.3)
        test = digit_videos(level, n_test, part="test", seed=TEST_SEED, absent=0.3)
        started = time.process_time()
        model = MomentLocalizer(max_epochs=6, batch_size=BATCH, seed=SEED)
        model.fit(train.samples, train.queries, train.spans, fps=train.fps)
        cpu = time.process_time() - started
        found = model.predict(test.samples, test.queries)
        chance = np.array([f.happens for f in found], dtype=float)
        there = np.array([len(s) > 0 for s in test.spans])
        bins = np.minimum((chance * 10).astype(int), 9)
        gaps = [abs(chance[bins == b].mean() - there[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
        results[level] = {
            "AUC": float(roc_auc_score(there, chance)),
            "ECE": float(np.sum(gaps)),
            "R1@0.5": 100 * moment_scores(found, test.spans, n_draws=2)["R1@0.5"],
        }
        said = " ".join(f"{v:7.3f}" if v <= 1 else f"{v:7.1f}" for v in results[level].values())
        print(f"{level:22} {said} {cpu:8.0f}", flush=True)
    return results


def memory(model: MomentLocalizer) -> dict[str, Any]:
    """Most memory that an answer takes beyond the video itself, from minutes to hours."""
    results = {}
    print(f"{'length':22} {'clips':>7} {'input MB':>9} {'peak beyond MB':>15} {'CPU s':>8}")
    for seconds in (300, 900, 1800, 3600, 7200):
        film = np.random.default_rng(0).normal(size=(int(seconds * 2), 64)).astype(np.float32)
        query = ["find the seven after a three"]
        model.predict({"video": [film[:100]]}, query)
        started = time.process_time()
        peak = _peak(lambda film=film, query=query: model.predict({"video": [film]}, query))
        cpu = time.process_time() - started
        results[f"{seconds} s"] = {"clips": len(film), "input_mb": film.nbytes / 2**20, "peak_mb": peak}
        print(
            f"{seconds:6} s at 2 a second {len(film):9} {film.nbytes / 2**20:9.1f} {peak:15.1f} {cpu:8.1f}", flush=True
        )
    return results


def _peak(work: Any) -> float:
    """The most resident memory while `work` runs, in MB above what stood before."""
    done, seen = threading.Event(), [_resident()]
    before = seen[0]

    def watch() -> None:
        while not done.wait(0.002):
            seen.append(_resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(seen) - before


def _resident() -> float:
    """Resident memory in MB, from the kernel."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def _films(made: DigitVideos) -> list[np.ndarray]:
    video = made.samples.modality("video")
    assert video.offsets is not None
    return [video.values[a:b] for a, b in zip(video.offsets[:-1], video.offsets[1:], strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--levels", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--skip", nargs="+", choices=("table", "absent", "memory"), default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    share, n_test = (0.1, 100) if options.quick else (1.0, 1000)
    levels = options.levels if not options.quick or "--levels" in sys.argv else ["easy", "rel"]
    results: dict[str, Any] = {"test_questions": n_test, "seed": SEED, "test_seed": TEST_SEED}
    kept: dict[str, MomentLocalizer] = {}
    if "table" not in options.skip:
        results["levels"], kept = table(levels, options.only, n_test, share)
    if "rel" in kept:
        print()
        results["longer"] = longer(kept["rel"], n_test)
        print()
        results["controls"] = controls(kept["rel"], n_test)
    if "absent" not in options.skip:
        print()
        results["absent"] = absent(share, n_test)
    if "memory" not in options.skip:
        print()
        model = kept.get("rel") or fitted(MomentLocalizer, digit_videos("rel", 300, seed=1), 20)[0]
        results["memory"] = memory(model)
    results["cpu_seconds"] = time.process_time() - started
    print(f"\n{results['cpu_seconds']:.0f} CPU seconds")
    if options.write:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        before = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(_joined(before, results), indent=1) + "\n", encoding="utf-8")


def _joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What was measured before stays where it was not measured again."""
    both = dict(old)
    for key, value in new.items():
        both[key] = _joined(old[key], value) if isinstance(value, dict) and isinstance(old.get(key), dict) else value
    return both


if __name__ == "__main__":
    main()
