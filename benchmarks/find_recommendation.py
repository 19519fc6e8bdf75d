"""Recommendation on clips of handwritten digits: from reviews, from pasts, and where popularity is the truth.

    python benchmarks/find_recommendation.py [--quick] [--write] [--only reviews|tastes|pasts|popular] [--peers]

Reviews: 1,000 test clips of four digits by other writers than those of training, 200 users who wrote "i loved the clip
with a three and a seven but hated the two"; right is a clip with both loved digits and without the hated one.
Tastes: the same, and no user of training loves and hates the digits that a user of the test does.
Pasts: users of whom nothing is known but six clips that they liked, of the training's writers, in order; the test clips
are new (cold), or those of training (warm).
Popular: what a clip shows says nothing, some clips are liked by all; clips known from training, users are new.

Every choice (epochs, weights of names, whether a reranker helps) is made on users and clips of training, held out.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.linalg import lstsq
from sklearn.feature_extraction.text import CountVectorizer

from intermodal.find.digit_scenes import DigitClips, DigitReviews, digit_clips, digit_reviews
from intermodal.find.recommend_mixing import Mix
from intermodal.find.recommend_scores import table
from intermodal.find.recommend_top import leave_out
from intermodal.find.recommender import FusionRecommender
from intermodal.find.retriever import FusionRetriever
from intermodal.learn.straight import flat

RESULTS = Path(__file__).parent / "results" / "find"
PARTS = ("reviews", "tastes", "pasts", "popular")
TO_REACH = {"reviews": "nDCG@10 93"}
LENGTH = 6
"""Clips of a past."""
FIRST, SEEDS = "FusionRecommender", {"clips": 11, "users": 13, "test": 2026}


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--quick", action="store_true", help="a small run: do the parts work at all")
    read.add_argument("--write", action="store_true", help="write benchmarks/results/find/recommendation.json")
    read.add_argument("--only", choices=PARTS)
    read.add_argument("--peers", action="store_true", help="the retriever too, given the same reviews: minutes more")
    read.add_argument("--writers", nargs=2, default=["train", "test"], help="whose hand in training and in the test")
    wanted = read.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "recommendation.json"
    found = json.loads(path.read_text("utf-8")) if wanted.write and path.exists() else {}
    sizes = {"clips": 300, "users": 150, "test": 200} if wanted.quick else {"clips": 1500, "users": 600, "test": 1000}
    settings: dict[str, Any] = {"max_epochs": 2} if wanted.quick else {}
    for name in PARTS if wanted.only is None else [wanted.only]:
        started = time.process_time()
        runs = {"reviews": reviews, "tastes": reviews, "pasts": pasts, "popular": popular}
        chosen = "peers" if name == "reviews" and wanted.peers else name
        found[name] = {}
        for title, lines in runs[name](sizes, settings, wanted.writers, chosen):
            found[name][title] = lines
            show(f"{name}: {title}", lines, TO_REACH.get(name))
        print(f"{time.process_time() - started:.0f} CPU seconds\n", flush=True)
    if wanted.write:
        RESULTS.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def show(title: str, lines: list[dict[str, Any]], to_reach: str | None) -> None:
    print(title + ("" if to_reach is None else f" (to reach: {to_reach})"))
    print(f"  {'':<44}{'nDCG@10':>8}  {'95 %':<13}{'recall@10':>10}{'hit@10':>8}{'coverage':>10}")
    for line in lines:
        gain, recall, hit = (line[score] for score in ("nDCG@10", "recall@10", "hit@10"))
        between = f"{100 * gain['low']:.1f}-{100 * gain['high']:.1f}"
        numbers = f"{100 * recall['mean']:>10.1f}{100 * hit['mean']:>8.1f}{100 * line['coverage']:>10.1f}"
        print(f"  {line['name']:<44}{100 * gain['mean']:>8.1f}  {between:<13}{numbers}")
    print(flush=True)


Tables = Iterator[tuple[str, list[dict[str, Any]]]]


def reviews(sizes: dict[str, int], settings: dict[str, Any], writers: list[str], name: str) -> Tables:
    """New clips for new users, by what they wrote; `tastes` keeps the tastes of the test out of training."""
    learn, test = _clips(sizes, writers)
    asked = digit_reviews(200)
    users = digit_reviews(sizes["users"] * (2 if name == "tastes" else 1), seed=SEEDS["users"])
    if name == "tastes":
        users = _without(users, asked)
    right, known = asked.relevant(test), users.relevant(learn)
    model = FusionRecommender(**settings).fit(learn.samples, reviews=users.texts, liked=known)
    rankings = {FIRST: model.scores(test.samples, reviews=asked.texts)}
    if name == "peers":
        rankings["FusionRetriever, towers"], reranked, kept = _retriever(settings, learn, users, test, asked)
        rankings[f"FusionRetriever, reranker ({kept})"] = reranked
    bags = CountVectorizer().fit(users.texts)
    words = [bags.transform(of.texts).toarray().astype(float) for of in (users, asked)]
    looks = [flat(of.samples) for of in (learn, test)]
    rankings["mean frame, mean word, bilinear"] = _bilinear(words, looks, known)
    rankings |= {"popularity, id-only (nothing is known)": np.zeros(right.shape), "chance": np.zeros(right.shape)}
    yield f"{len(test)} new clips, {len(asked.texts)} users", table(rankings, right, level=0.95, seed=0)


def pasts(sizes: dict[str, int], settings: dict[str, Any], writers: list[str], _: str) -> Tables:
    """Users with a past and no word: new clips, then the clips of training."""
    learn, test = _clips(sizes, writers)
    users, asked = digit_reviews(sizes["users"], seed=SEEDS["users"]), digit_reviews(200, seed=SEEDS["test"])
    known, before = users.relevant(learn), asked.relevant(learn)
    past, of_asked = _some(known, seed=1), _some(before, seed=2)
    model, mix = _with_names(settings, learn.samples, past, known)
    for title, clips, right, out in (
        ("new clips (cold)", test, asked.relevant(test), None),
        ("the clips of training (warm)", learn, before, of_asked),
    ):
        given = {"histories": of_asked, "past": learn.samples}
        seen = [np.arange(0)] * len(of_asked) if out is None else out
        beside = model.evaluate(clips.samples, **given, seen=seen, liked=right)
        vectors = [np.stack([flat(learn.samples)[h].mean(0) for h in of_asked]), flat(clips.samples)]
        rankings = {FIRST: model.scores(clips.samples, **given)}
        rankings[f"{FIRST}, ids=True"] = _mixed(model, mix).scores(clips.samples, **given)
        rankings["mean frame of the past, cosine"] = _cosine(*vectors)
        left = {title: leave_out(scores, seen) for title, scores in rankings.items()}
        lines = table(left, right & ~_in(seen, right.shape), level=0.95, seed=0)
        yield f"{title}; weights of names: {_said(mix)}", lines + beside["table"][1:]


def popular(sizes: dict[str, int], settings: dict[str, Any], writers: list[str], _: str) -> Tables:
    """Likes follow a clip's name alone: a tenth of the clips is liked ten times as often."""
    clips = digit_clips(sizes["clips"] // 4, n_digits=4, part=writers[0], seed=SEEDS["clips"]).samples
    weight = np.where(np.random.default_rng(0).random(len(clips)) < 0.1, 10.0, 1.0)

    def drawn(n: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        rng = np.random.default_rng(seed)
        picks = [rng.choice(len(clips), 12, replace=False, p=weight / weight.sum()) for _ in range(n)]
        return [p[:LENGTH] for p in picks], [p[LENGTH:] for p in picks]

    (past, liked), (asked, right) = drawn(sizes["users"], 1), drawn(200, 2)
    model, mix = _with_names(settings, clips, past, liked)
    lines = model.evaluate(clips, histories=asked, liked=right)["table"]
    named = _mixed(model, mix).evaluate(clips, histories=asked, liked=right)["table"][0]
    named["name"] += ", ids=True"
    yield f"{len(clips)} known clips; weights of names: {_said(mix)}", [lines[0], named, *lines[1:]]


def _with_names(settings: dict[str, Any], clips: Any, past: Any, liked: Any) -> tuple[FusionRecommender, Mix]:
    """A recommender by content alone, and what names would weigh in it: `ids` changes nothing else."""
    model = FusionRecommender(**settings, ids=True).fit(clips, histories=past, liked=liked)
    mix = model.mix_
    return _mixed(model, Mix(1.0, 0.0, 0.0)), mix


def _mixed(model: FusionRecommender, mix: Mix) -> FusionRecommender:
    other = copy.copy(model)
    other.mix_ = mix
    return other


def _clips(sizes: dict[str, int], writers: list[str]) -> tuple[DigitClips, DigitClips]:
    learn = digit_clips(sizes["clips"], n_digits=4, part=writers[0], seed=SEEDS["clips"])
    test = digit_clips(sizes["test"], n_digits=4, part=writers[1], seed=SEEDS["test"])
    return learn, test


def _without(users: DigitReviews, asked: DigitReviews) -> DigitReviews:
    """The users whose taste nobody among the others has."""
    tastes = {(frozenset(loved), hated) for loved, hated in zip(asked.loved, asked.hated, strict=True)}
    rows = zip(users.texts, users.loved, users.hated, strict=True)
    kept = [row for row in rows if (frozenset(row[1]), row[2]) not in tastes]
    texts, loved, hated = (list(column) for column in zip(*kept, strict=True))
    return DigitReviews(texts, loved, hated)


def _retriever(
    settings: dict[str, Any], learn: DigitClips, users: DigitReviews, test: DigitClips, asked: DigitReviews
) -> tuple[np.ndarray, np.ndarray, str]:
    """The search for a clip by its words, given the same reviews and the same right answers."""
    model = FusionRetriever(**settings).fit(learn.samples, users.texts, relevant=users.relevant(learn))
    scores = [model.similarity(asked.texts, test.samples, rerank=rerank) for rerank in (False, True)]
    return scores[0], scores[1], "kept" if model.rerank_kept_["clips"]["kept"] else "validation says no"


def _bilinear(words: list[np.ndarray], looks: list[np.ndarray], known: np.ndarray) -> np.ndarray:
    """The least squares of what was liked, linear in the words and linear in the mean frame, with products of both."""
    mean, spread = looks[0].mean(0), looks[0].std(0) + 1e-9
    learn, test = (np.column_stack([(look - mean) / spread, np.ones(len(look))]) for look in looks)
    by_words = lstsq(
        np.vstack([words[0], np.eye(words[0].shape[1])]),
        np.vstack([known, np.zeros((words[0].shape[1], known.shape[1]))]),
    )[0]
    weights = lstsq(
        np.vstack([learn, np.eye(learn.shape[1])]), np.vstack([by_words.T, np.zeros((learn.shape[1], len(by_words)))])
    )[0]
    return np.asarray(words[1] @ weights.T @ test.T)


def _cosine(users: np.ndarray, clips: np.ndarray) -> np.ndarray:
    mean, spread = clips.mean(0), clips.std(0) + 1e-9
    users, clips = (users - mean) / spread, (clips - mean) / spread
    return np.asarray(users @ clips.T / np.outer(np.linalg.norm(users, axis=1), np.linalg.norm(clips, axis=1)))


def _some(liked: np.ndarray, *, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.permutation(np.flatnonzero(row))[:LENGTH] for row in liked]


def _in(rows: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    found = np.zeros(shape, dtype=bool)
    for user, at in enumerate(rows):
        found[user, at] = True
    return found


def _said(mix: Mix) -> str:
    return f"{mix.popularity:g} popularity, {mix.together:g} liked together"


if __name__ == "__main__":
    main()
