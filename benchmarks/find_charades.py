"""When does it happen: Charades-STA, 1,334 household videos and 3,720 sentences, five folds by video.

    python benchmarks/find_charades.py            all five folds, some four minutes of one core
    python benchmarks/find_charades.py --quick    one fold, a few epochs
    python benchmarks/find_charades.py --write    write benchmarks/results/find/charades.json

Every sentence is answered by a model that saw no video of its fold. The baselines are computed here, from training
folds alone: a random training window, the best fixed one, and a ridge regression from words to frames. The peers'
predictions come with the data: they were made zero-shot, by models trained on other and larger sets. Intervals draw
whole videos. What was tried while the defaults were chosen was trained on folds 2 to 4 and judged on folds 0 and 1, so
the figures of folds 2 to 4 alone are printed too.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import folder
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from intermodal.find.moments import MomentLocalizer
from intermodal.find.scoring_moments import MomentScores, iou, moment_difference, moment_scores

RESULTS = Path(__file__).resolve().parent / "results" / "find" / "charades.json"
FIGURES = ("R1@0.3", "R1@0.5", "R1@0.7", "mIoU", "R5@0.5", "mAP")
CHOSEN_ON = (0, 1)  # folds that the defaults were judged on
PEERS = {"CLIP, 16-frame windows": "peer_clip_w16", "Moment-DETR (QVHighlights)": "peer_moment_detr"}


@dataclass(frozen=True)
class Charades:
    """Frames at one a second, sentences, and when they happen, in seconds."""

    films: list[np.ndarray]
    lasts: np.ndarray
    texts: list[str]
    of_film: np.ndarray
    spans: np.ndarray
    fold: np.ndarray
    peers: dict[str, np.ndarray]


class Said:
    """A ranked answer, as `moment_scores` reads it."""

    def __init__(self, spans: Any, scores: Any = (1.0,)) -> None:
        self.spans, self.scores = np.asarray(spans, dtype=float).reshape(-1, 2), np.asarray(scores)


def load(place: Path) -> Charades:
    with np.load(place / "charades_sta.npz", allow_pickle=False) as a:
        lengths = a["video_len"]
        films = [video[:n].astype(np.float32) for video, n in zip(a["video"], lengths, strict=True)]
        spans = np.stack([a["q_start"], a["q_end"]], 1).astype(float)
        return Charades(
            films,
            a["duration"].astype(float),
            a["query"].tolist(),
            a["q_video"].astype(int),
            np.minimum(spans, lengths[a["q_video"]][:, None]),
            a["fold"],
            {name: a[key].astype(float) for name, key in PEERS.items()},
        )


def chance(data: Charades, train: np.ndarray, test: np.ndarray) -> list[Said]:
    """A training window at its place in the film, for each query another."""
    drawn = np.random.default_rng(0).choice(train, len(test))
    shares = data.spans[drawn] / data.lasts[data.of_film[drawn]][:, None]
    return [Said(share * last) for share, last in zip(shares, data.lasts[data.of_film[test]], strict=True)]


def fixed_window(data: Charades, train: np.ndarray, test: np.ndarray) -> list[Said]:
    """One window for all: the shares of a film that hit most training windows."""
    steps = np.arange(0, 1.0001, 0.05)
    shares = np.array([(a, b) for a in steps for b in steps if b > a + 1e-9])
    truth = data.spans[train] / data.lasts[data.of_film[train]][:, None]
    best = shares[(iou(shares, truth) >= 0.5).mean(1).argmax()]
    return [Said(data.lasts[data.of_film[q]] * best) for q in test]


def ridge(data: Charades, train: np.ndarray, test: np.ndarray) -> list[Said]:
    """From weighted words and pairs of words to the mean frame of the answer; then the stretch most like it.

    Likeness is counted from the middle of the film, so that the best stretch has an end; it has three frames or more.
    """
    middles = [film.mean(0) for film in data.films]

    def wanted(q: int) -> np.ndarray:
        film, (start, end) = data.films[data.of_film[q]], data.spans[q]
        share = np.diff(np.clip(np.arange(len(film) + 1.0), start, end))
        return np.asarray(share @ film / share.sum() - middles[data.of_film[q]])

    counts = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    fitted = Ridge(10.0).fit(counts.fit_transform([data.texts[q] for q in train]), [wanted(q) for q in train])
    answers = []
    for q, said in zip(test, fitted.predict(counts.transform([data.texts[q] for q in test])), strict=True):
        at = data.of_film[q]
        upto = np.concatenate([[0.0], ((data.films[at] - middles[at]) @ said).cumsum()])
        gain = np.where(np.triu(np.ones((len(upto), len(upto)), dtype=bool), 3), upto - upto[:, None], -np.inf)
        start, end = np.unravel_index(int(gain.argmax()), gain.shape)
        answers.append(Said([start, min(float(end), data.lasts[at])]))
    return answers


def ours(data: Charades, train: np.ndarray, test: np.ndarray, **given: Any) -> list[Any]:
    model = MomentLocalizer(**given)
    films, asked = {"video": data.films}, [data.texts[q] for q in train]
    model.fit(films, asked, [data.spans[q][None] for q in train], videos=data.of_film[train], fps=1.0)
    return list(model.predict(films, [data.texts[q] for q in test], videos=data.of_film[test], top=10))


Answers = Callable[[Charades, np.ndarray, np.ndarray], list[Any]]


def over_folds(answer: Answers, data: Charades, folds: list[int]) -> tuple[list[Any], float]:
    """Answers of all queries of these folds, in their order, and CPU seconds."""
    started = time.process_time()
    answers: dict[int, Any] = {}
    for number in folds:
        test = np.flatnonzero(data.fold == number)
        answers |= dict(zip(test.tolist(), answer(data, np.flatnonzero(data.fold != number), test), strict=True))
    return [answers[q] for q in sorted(answers)], time.process_time() - started


def scored(answers: list[Any], data: Charades, rows: np.ndarray) -> MomentScores:
    return moment_scores(answers, [data.spans[q][None] for q in rows], groups=data.of_film[rows])


def line(name: str, found: MomentScores, cpu: float | None = None, several: bool = False) -> str:
    """A row of the table; figures that need several windows only where there are several."""
    shown = [f"{100 * found[f]:7.1f}" if several or f not in ("R5@0.5", "mAP") else f"{'-':>7}" for f in FIGURES]
    low, high = (100 * edge for edge in (found.figures["R1@0.5"].low, found.figures["R1@0.5"].high))
    seconds = "" if cpu is None else f"{cpu:8.0f}"
    return f"{name:28} {' '.join(shown)}   {low:.1f} to {high:.1f} {seconds}"


def table(data: Charades, folds: list[int], given: dict[str, Any]) -> dict[str, Any]:
    rows = np.flatnonzero(np.isin(data.fold, folds))
    print(f"{len(rows)} sentences, {len(np.unique(data.of_film[rows]))} videos, folds {folds}")
    print(f"{'model':28} {' '.join(f'{f:>7}' for f in FIGURES)}   R1@0.5, 95 %  {'CPU s':>8}", flush=True)
    models: dict[str, Answers] = {"chance": chance, "best fixed window": fixed_window, "tf-idf ridge": ridge}
    models["ours"] = lambda data, train, test: ours(data, train, test, **given)
    answers: dict[str, list[Any]] = {name: [Said(all_[q]) for q in rows] for name, all_ in data.peers.items()}
    found = {name: scored(said, data, rows) for name, said in answers.items()}
    for name, score in found.items():
        print(line(name, score), flush=True)
    cpu: dict[str, float] = {}
    for name, answer in models.items():
        answers[name], cpu[name] = over_folds(answer, data, folds)
        found[name] = scored(answers[name], data, rows)
        print(line(name, found[name], cpu[name], several=name == "ours"), flush=True)
    results: dict[str, Any] = {name: _plain(score) for name, score in found.items()}
    results["ours"]["cpu_seconds"] = cpu["ours"]
    untouched = ~np.isin(data.fold[rows], CHOSEN_ON)
    if untouched.any() and not untouched.all():
        results["folds 2 to 4"] = {}
        for name in ("tf-idf ridge", "ours"):
            part = scored([a for a, kept in zip(answers[name], untouched, strict=True) if kept], data, rows[untouched])
            results["folds 2 to 4"][name] = _plain(part)
            print(line(f"{name}, folds 2 to 4", part, several=name == "ours"), flush=True)
    results["differences"] = differences(found)
    return results


def differences(found: dict[str, MomentScores]) -> dict[str, Any]:
    """How many points more ours has than each other, on the same queries."""
    print("\nours less                    " + " ".join(f"{f:>20}" for f in FIGURES[:4]))
    results: dict[str, Any] = {}
    for name in (*PEERS, "best fixed window", "tf-idf ridge"):
        gaps = {f: moment_difference(found["ours"], found[name], f) for f in FIGURES[:4]}
        said = [f"{100 * g.mean:+5.1f} [{100 * g.low:+.1f}, {100 * g.high:+.1f}]" for g in gaps.values()]
        print(f"{name:28} " + " ".join(f"{s:>20}" for s in said), flush=True)
        results[name] = {f: [g.mean, g.low, g.high] for f, g in gaps.items()}
    return results


def _plain(found: MomentScores) -> dict[str, Any]:
    return {f: [found.figures[f].mean, found.figures[f].low, found.figures[f].high] for f in FIGURES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(5)), choices=range(5))
    options = parser.parse_args()
    place = folder()
    if place is None or not (place / "charades_sta.npz").exists():
        print("skipped: charades_sta.npz is not here; set INTERMODAL_DATA to its folder")
        return
    torch.set_num_threads(1)
    started = time.process_time()
    data = load(place)
    given: dict[str, Any] = {"max_epochs": 3} if options.quick else {}
    results = table(data, [0] if options.quick else options.folds, given)
    results["cpu_seconds"] = time.process_time() - started
    print(f"\n{results['cpu_seconds']:.0f} CPU seconds")
    if options.write and not options.quick:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
