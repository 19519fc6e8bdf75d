"""Retrieval in both directions, on clips of handwritten digits and on Wikipedia articles, beside baselines and chance.

    python benchmarks/find_retrieval.py [--quick] [--write] [--only digits|sets|wikipedia]

Digits: 500 test clips by other writers than those of training, searched by "a four, then a six, then a two"; R@1.
Sets: 25 sets of four digits, each in 20 orders, so that the order alone tells clips apart; R@1.
Wikipedia: the given split, text and image search each other, relevant is what has the same class; mean average
precision over all 693 test items. Its file is not part of the project: without it that part is left out.

Every choice (epochs, weight of the reranker, share of the line) is made on training rows held out.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import folder
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from intermodal.find.candidates import best_of, move_down
from intermodal.find.digit_scenes import DigitClips, digit_clips
from intermodal.find.ranking import ranking_scores
from intermodal.find.retriever import FusionRetriever
from intermodal.learn.straight import flat

RESULTS = Path(__file__).parent / "results" / "find"
GALLERIES = {"digits": {"n_digits": 3}, "sets": {"n_digits": 4, "n_sets": 25}}
TO_REACH = {"digits": "75 / 75", "sets": "90 / 91", "wikipedia": "mean .269"}
PUBLISHED = "semantic matching .224, SCM .252, GMLDA .253, JFSSL .267 (as their authors print them)"
DIRECTIONS = {"clips": "text -> video", "queries": "video -> text"}
Rows = dict[str, dict[str, Any]]


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--quick", action="store_true", help="a small run: do the parts work at all")
    read.add_argument("--write", action="store_true", help="write benchmarks/results/find/retrieval.json")
    read.add_argument("--only", choices=[*GALLERIES, "wikipedia"])
    read.add_argument("--clips", type=int, default=3000, help="training clips of a gallery")
    wanted = read.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name in GALLERIES:
        if wanted.only in (None, name):
            found[name] = digits(name, 300 if wanted.quick else wanted.clips, wanted.quick)
    if wanted.only in (None, "wikipedia"):
        if folder() is None:
            print("wikipedia: left out, its file is not here")
        else:
            found["wikipedia"] = wikipedia(1 if wanted.quick else 3, wanted.quick)
    path = RESULTS / "retrieval.json"
    if wanted.write:
        before = json.loads(path.read_text("utf-8")) if path.exists() else {}
        found = before | found
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


# --- digits ---------------------------------------------------------------------------------------


def digits(name: str, n: int, quick: bool) -> dict[str, Any]:
    """Search one gallery of clips in both directions."""
    made = GALLERIES[name]
    train = digit_clips(n, n_digits=made["n_digits"], part="train", seed=1)
    test = digit_clips(500, **made, part="test", seed=0)
    started = time.process_time()
    model = FusionRetriever(seed=0, device="cpu", **({"max_epochs": 3} if quick else {}))
    model.fit(train.samples, train.texts)
    seconds = time.process_time() - started
    rows: Rows = {"chance": {side: {"R@1": 1 / len(test)} for side in DIRECTIONS}}
    rows["mean pool, ridge to words"] = both(mean_pool(train, test))
    towers = model.similarity(test.texts, test.samples, rerank=False)
    rows["towers"] = both(towers)
    alone, fused = {}, {}
    for side in DIRECTIONS:
        asked = towers if side == "clips" else np.ascontiguousarray(towers.T)
        best = best_of(asked, model.top_k)
        said = model.cross_scores(test.texts, test.samples, best, side=side)
        alone[side] = short(ranking_scores(move_down(asked, best, said), np.arange(len(test))))
        scores = model.rerank(
            test.texts, test.samples, best, np.take_along_axis(asked, best, 1), side=side, rerank=True
        )
        fused[side] = short(ranking_scores(move_down(asked, best, scores), np.arange(len(test))))
    rows["reranker alone, on their best 20"] = alone
    rows["scores fused"] = fused
    kept = model.rerank_kept_
    rows["what the retriever answers"] = {
        side: (fused if kept[side]["kept"] else rows["towers"])[side] for side in kept
    }
    facts = {"train_clips": n, "parameters": model.n_parameters_, "cpu_seconds": round(seconds, 1), "kept": kept}
    facts["epochs"] = {p: sum(line["part"] == p for line in model.history_) for p in ("towers", "reranker")}
    facts |= {"recall": {side: first_stage(towers, side, model.top_k) for side in DIRECTIONS}}
    show(name, rows, facts)
    return {"rows": rows, "facts": facts}


def mean_pool(train: DigitClips, test: DigitClips) -> np.ndarray:
    """No order: the mean frame, and by ridge regression the words that it speaks for."""
    known = sorted({word for text in train.texts for word in text.split()})

    def words(made: DigitClips) -> np.ndarray:
        return np.array([[float(word in text.split()) for word in known] for text in made.texts])

    said = Ridge(1.0).fit(flat(train.samples), words(train)).predict(flat(test.samples))
    centre = words(train).mean(0)
    return unit(words(test) - centre) @ unit(said - centre).T


def both(similarity: np.ndarray) -> dict[str, Any]:
    rows = np.arange(len(similarity))
    return {"clips": short(ranking_scores(similarity, rows)), "queries": short(ranking_scores(similarity.T, rows))}


def short(scores: dict[str, Any]) -> dict[str, Any]:
    """What is printed and kept, with the standard error of R@1 over the queries."""
    hits = scores["per_query"]["R@1"]
    kept = {k: round(float(scores[k]), 4) for k in ("R@1", "R@5", "R@10", "median_rank", "MRR", "tied")}
    return kept | {"se": round(float(hits.std(ddof=1) / len(hits) ** 0.5), 4)}


def first_stage(similarity: np.ndarray, side: str, k: int) -> float:
    """The share of queries whose right answer is among the k best: more than that no reranker can reach."""
    asked = similarity if side == "clips" else similarity.T
    ranks = ranking_scores(asked, np.arange(len(asked)))["per_query"]["rank"]
    return round(float((ranks <= k).mean()), 4)


def show(name: str, rows: Rows, facts: dict[str, Any]) -> None:
    print(f"\n{name}: {facts['train_clips']} training clips, 500 test clips; to reach {TO_REACH[name]}")
    print(f"{'':36}" + "".join(f"{way + ', R@1':>26} {'R@5':>6} {'R@10':>6} {'MdR':>5}" for way in DIRECTIONS.values()))
    for label, sides in rows.items():
        line = f"{label:36}"
        for side in DIRECTIONS:
            s = sides[side]
            near = f"{100 * s['R@1']:.1f} ± {100 * s['se']:.1f}" if "se" in s else f"{100 * s['R@1']:.1f}"
            rest = "".join(f" {100 * s[k]:6.1f}" if k in s else f" {'':6}" for k in ("R@5", "R@10"))
            line += f"{near:>26}{rest} {s.get('median_rank', ''):>5}"
        print(line)
    recall = ", ".join(f"{DIRECTIONS[side]} {100 * share:.1f}" for side, share in facts["recall"].items())
    print(f"recall of the towers at 20: {recall}; {facts['parameters']} parameters; {facts['cpu_seconds']} CPU seconds")
    for side, kept in facts["kept"].items():
        gain = f"{100 * kept['gain']:+.1f} ± {100 * kept['se']:.1f}" if "gain" in kept else "unknown"
        print(f"reranker {DIRECTIONS[side]}: {'kept' if kept['kept'] else 'not kept'}; mAP on rows held out {gain}")


# --- wikipedia ------------------------------------------------------------------------------------


def wikipedia(n_seeds: int, quick: bool) -> dict[str, Any]:
    """Texts and images of articles search each other; right is what has the same class."""
    with np.load(folder() / "wikipedia.npz", allow_pickle=False) as archive:  # type: ignore[operator]
        a = {key: archive[key] for key in archive.files}
    test = a["split"] == "test"
    image, text, y = ({"train": a[key][~test], "test": a[key][test]} for key in ("image", "text", "y"))
    right = y["test"][:, None] == y["test"][None]
    rng = np.random.default_rng(0)
    rows: dict[str, Any] = {"random": precisions(rng.random(right.shape), right)}
    rows["CCA of 9"] = precisions(correlated(text, image), right)
    meant = [meaning(x, y["train"], c) for x, c in ((text, 1.0), (image, 0.01))]
    rows["semantic matching"] = precisions(unit(meant[0]) @ unit(meant[1]).T, right)
    started = time.process_time()
    ours, towers = [], []
    for seed in range(n_seeds):
        model = FusionRetriever(seed=seed, device="cpu", **({"max_epochs": 3} if quick else {}))
        model.fit({"image": image["train"]}, {"text": text["train"]}, relevant=(y["train"], y["train"]))
        asked = {"text": text["test"]}, {"image": image["test"]}
        both_ways = [model.similarity(*asked, side=side) for side in ("clips", "queries")]
        ours.append(precisions(both_ways[0], right, both_ways[1]))
        towers.append({"share_of_line": model.embedder_.share, "kept": model.rerank_kept_})
    rows["ours"] = {k: float(np.mean([o[k] for o in ours])) for k in ours[0]}
    rows["ours, sd over seeds"] = {k: float(np.std([o[k] for o in ours])) for k in ours[0]}
    seconds = round((time.process_time() - started) / n_seeds, 1)
    print(
        f"\nwikipedia: mAP over {right.shape[0]} test items; to reach {TO_REACH['wikipedia']}; published: {PUBLISHED}"
    )
    print(f"{'':24}{'image -> text':>16}{'text -> image':>16}{'mean':>8}")
    for label, s in rows.items():
        print(f"{label:24}{s['image -> text']:16.3f}{s['text -> image']:16.3f}{s['mean']:8.3f}")
    print(f"{n_seeds} seeds, {seconds} CPU seconds each; share of the line {[t['share_of_line'] for t in towers]}")
    return {"rows": rows, "facts": {"seeds": n_seeds, "cpu_seconds": seconds, "fits": towers, "published": PUBLISHED}}


def precisions(scores: np.ndarray, right: np.ndarray, other_way: np.ndarray | None = None) -> dict[str, float]:
    """Scores are (texts, images)."""
    back = scores if other_way is None else other_way
    ways = ranking_scores(back.T, right.T), ranking_scores(scores, right)
    to_text, to_image = (float(way["mAP"]) for way in ways)
    spread = [way["per_query"]["AP"].std(ddof=1) / len(right) ** 0.5 for way in ways]
    found = {"image -> text": to_text, "text -> image": to_image, "mean": (to_text + to_image) / 2}
    return found | {"se": float(np.hypot(*spread) / 2)}


def correlated(text: dict[str, np.ndarray], image: dict[str, np.ndarray]) -> np.ndarray:
    """Canonical correlation: the textbook's closed form."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = CCA(9, max_iter=2000).fit(text["train"], image["train"])
    asked, answers = fitted.transform(text["test"], image["test"])
    return unit(asked) @ unit(answers).T


def meaning(x: dict[str, np.ndarray], y: np.ndarray, c: float) -> np.ndarray:
    """The classes' probabilities by logistic regression, less their means: semantic matching."""
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=3000)).fit(x["train"], y)
    return fitted.predict_proba(x["test"]) - fitted.predict_proba(x["train"]).mean(0)


def unit(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / np.maximum(1e-12, np.linalg.norm(x, axis=1, keepdims=True)))


if __name__ == "__main__":
    main()
