"""Do explanations name what was planted, and which ranking of modalities is the faithful one?

    python benchmarks/explain.py               five seeds, about four minutes on two cores
    python benchmarks/explain.py --seeds 2     fewer
    python benchmarks/explain.py --only noise event

Every toy has a truth that is known because it was put there. A run counts where the explanation names it and nothing
else; what it says instead is printed. The toys need no file and no download.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch

from intermodal.data.samples import Samples
from intermodal.explain.agreeing import agreement
from intermodal.explain.coalitions import Coalitions, play
from intermodal.explain.curves import deletion_curves
from intermodal.explain.looking import attention_shares
from intermodal.explain.randomising import model_randomisation
from intermodal.explain.shapley_values import interactions_of, values_of
from intermodal.explain.shuffling import attention_permutation, uniform_attention
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.learn.losses import mean_of_members
from intermodal.learn.model import FusionModel
from intermodal.nn.network import FusionNetwork

Data = dict[str, np.ndarray]
FRAMES, LENGTH, AT, RATE = 200, 20, 120, 10.0
"""Frames of a video, frames of an event, where it starts in the test, frames a second."""
STANDS_OUT = 2.0
"""A pair is named where its interaction is this many times the next one's."""


@dataclass
class Run:
    """One seed of one toy: whether the truth was named, what was said, and how well the model did its task."""

    named: bool
    said: str
    score: float


def halves(X: Data, n: int) -> tuple[Data, Data]:
    return {m: v[:n] for m, v in X.items()}, {m: v[n:] for m, v in X.items()}


# --- attended and not used ------------------------------------------------------------------------


def noise(seed: int) -> Run:
    """A modality of pure noise gets its share of attention and has no worth."""
    rng = np.random.default_rng(seed)
    X = {m: rng.normal(size=(500, 4)) for m in ("text", "audio", "noise")}
    y = 2 * X["text"][:, 0] + 1.5 * X["audio"][:, 0] + 0.3 * rng.normal(size=500)
    return _unused(X, y, seed, ("noise",))


def all_used(seed: int) -> Run:
    """The control: every modality is used, none may be named."""
    rng = np.random.default_rng(seed)
    X = {m: rng.normal(size=(500, 4)) for m in ("text", "audio", "video")}
    y = 2 * X["text"][:, 0] + 1.5 * X["audio"][:, 0] + X["video"][:, 0] + 0.3 * rng.normal(size=500)
    return _unused(X, y, seed, ())


def _unused(X: Data, y: np.ndarray, seed: int, truth: tuple[str, ...]) -> Run:
    train, test = halves(X, 300)
    model = FusionRegressor("self", d_model=32, n_heads=2, max_epochs=40, seed=seed).fit(train, y[:300])
    found = _compared(model, test)
    assert found.attention is not None and found.worth is not None
    last = X.keys() - {"text", "audio"}
    i = found.names.index(next(iter(last)))
    said = f"{', '.join(found.unused) or 'nothing'}: attention {found.attention[i]:.0%}, worth {found.worth[i]:.1%}"
    return Run(found.unused == truth, said, model.score(test, y[300:]))


def decoy(seed: int) -> Run:
    """A modality that nearly all attention goes to, and whose value is zero: built by hand."""
    model = Decoy(seed)
    found = _compared(model, None)
    assert found.attention is not None and found.worth is not None
    i = found.names.index("decoy")
    said = f"{', '.join(found.unused) or 'nothing'}: attention {found.attention[i]:.0%}, worth {found.worth[i]:.1%}"
    return Run(found.unused == ("decoy",), said, float(np.corrcoef(model.predict(), model.truth)[0, 1]))


class Decoy:
    """ask -> [signal decoy]: the decoy's key fits the question, its value is zero; the answer is the signal's sign."""

    def __init__(self, seed: int, n: int = 100) -> None:
        rng = np.random.default_rng(seed)
        self.truth = rng.choice([-1.0, 1.0], n)
        signal = (self.truth * rng.uniform(0.5, 2.0, n))[:, None]
        self.samples = Samples({"ask": rng.normal(size=(n, 1)), "signal": signal, "decoy": rng.normal(size=(n, 1))})
        network = FusionNetwork(
            "ask -> [signal decoy]", {"ask": 1, "signal": 1, "decoy": 1}, d_model=8, n_heads=1, pool="concat"
        )
        self.module = FusionModel(network, 1).double().eval()
        with torch.no_grad():
            for name, tensor in self.module.named_parameters():
                if "norm" not in name:
                    tensor.zero_()
            self._build(network)

    def _build(self, network: Any) -> None:
        _, signal, decoy = network.encoders
        signal.project.weight[2], signal.project.weight[3] = 1.0, -1.0
        decoy.project.bias[0], decoy.project.bias[1] = 1.0, -1.0  # what all decoys have, and the question asks for
        decoy.project.weight[4], decoy.project.weight[5] = 0.3, -0.3  # what they say, and nobody hears
        attention = network.layers[0].attention[0]
        attention.q_proj.bias[0] = 1.0
        attention.k_proj.weight[0, 0], attention.k_proj.weight[0, 1] = 2.0, -2.0
        for i in (2, 3):
            attention.v_proj.weight[i, i] = 1.0
        attention.out_proj.weight.copy_(torch.eye(8))
        for row, sign in ((0, 1.0), (1, -1.0)):  # gelu(a) - gelu(-a) = a
            self.module.hidden.weight[row, 2], self.module.hidden.weight[row, 3] = sign, -sign
            self.module.weight[0, row, 0] = sign

    def prepared(self, X: Any) -> tuple[Any, Feed]:
        return self.module, Feed(self.samples, dtype=torch.float64)

    def to_prediction(self, outputs: torch.Tensor) -> np.ndarray:
        return mean_of_members(outputs).numpy()[:, 0]

    def predict(self) -> np.ndarray:
        module, feed = self.prepared(None)
        with torch.no_grad():
            return self.to_prediction(module(*feed.batch(np.arange(len(feed)))).outputs)


def _compared(model: Any, X: Any) -> Any:
    game = play(model, X)
    return agreement(attention_shares(model, X), values_of(game.v), names=game.names)


# --- two that count only together -----------------------------------------------------------------


def synergy(seed: int) -> Run:
    """The sign of text times image: each alone says nothing."""
    model, test, y = fitted_toy(seed)
    return _pair(play(model, test, of="logit"), ("text", "image"), model.score(test, y))


def additive(seed: int) -> Run:
    """The control: every modality adds its own, no pair may be named."""
    rng = np.random.default_rng(seed)
    X = {m: rng.normal(size=(500, 4)) for m in ("text", "image", "audio", "noise")}
    y = 2 * X["text"][:, 0] + 1.5 * X["image"][:, 0] + X["audio"][:, 0] + 0.3 * rng.normal(size=500)
    train, test = halves(X, 300)
    model = FusionRegressor("self", d_model=32, n_heads=2, max_epochs=40, seed=seed).fit(train, y[:300])
    return _pair(play(model, test), None, model.score(test, y[300:]))


def _pair(game: Coalitions, truth: tuple[str, str] | None, score: float) -> Run:
    size = np.abs(interactions_of(game.v)).mean(0)
    pairs = sorted(combinations(range(len(game.names)), 2), key=lambda pair: -size[pair])
    first, second = size[pairs[0]], size[pairs[1]]
    named = tuple(game.names[i] for i in pairs[0]) if first > STANDS_OUT * second else None
    said = f"{' x '.join(named) if named else 'no pair'}: {first:.2g}, the next {second:.2g}"
    return Run(named == truth, said, score)


def toy(seed: int) -> tuple[Data, np.ndarray]:
    """Text and image count together, audio alone, noise not at all."""
    rng = np.random.default_rng(seed)
    X = {m: rng.normal(size=(1200, 4)) for m in ("text", "image", "audio", "noise")}
    score = 2 * X["text"][:, 0] * X["image"][:, 0] + X["audio"][:, 0]
    return X, np.where(score + 0.1 * rng.normal(size=1200) > 0, "up", "down")


_FITTED: dict[int, tuple[Any, Data, np.ndarray]] = {}


def fitted_toy(seed: int) -> tuple[Any, Data, np.ndarray]:
    if seed not in _FITTED:
        X, y = toy(seed)
        train, test = halves(X, 1000)
        options = {"d_model": 32, "n_heads": 2, "n_layers": 2, "n_members": 2, "max_epochs": 40}
        _FITTED[seed] = FusionClassifier("self", **options, seed=seed).fit(train, y[:1000]), test, y[1000:]
    return _FITTED[seed]


# --- when it happens ------------------------------------------------------------------------------


def event(seed: int) -> Run:
    """The frame that a word looks at most lies in the event that it asks for."""
    X, y = videos(600, np.random.default_rng(seed))
    model = FusionClassifier(
        "word -> video",
        **{"d_model": 32, "n_heads": 1, "n_members": 1, "n_tokens": 1, "stride": 1, "encoder": "linear"},
        **{"dropout": 0.0, "modality_dropout": 0.0, "lr": 0.01, "batch_size": 32, "max_epochs": 30},
        seed=seed,
    ).fit(X, y)
    test, wanted = videos(100, np.random.default_rng(1000 + seed), at=AT)
    module, feed = model.prepared(test)
    with torch.no_grad():
        fused = module(*feed.batch(np.arange(100)), need_weights=True).fused
    (weights,) = (w[:, 0, 0].numpy() for w in fused.weights.values())  # (100, FRAMES)
    inside = (weights.argmax(1) >= AT) & (weights.argmax(1) < AT + LENGTH)
    peak = int(weights.mean(0).argmax())
    said = f"{peak / RATE:.1f} s (planted {AT / RATE:.1f} to {(AT + LENGTH - 1) / RATE:.1f} s); "
    said += f"sample by sample {inside.mean():.0%} inside"
    return Run(AT <= peak < AT + LENGTH and inside.mean() > 0.5, said, model.score(test, wanted))


def videos(n: int, rng: np.random.Generator, *, words: int = 8, events: int = 4, at: int | None = None) -> Any:
    """Four events in each video, one of which the word asks for; the answer is the sign that the event carries."""
    word = rng.integers(0, words, n)
    video = 0.5 * rng.normal(size=(n, FRAMES, words + 1))
    y = np.zeros(n, dtype=int)
    for i in range(n):
        others = rng.permutation([w for w in range(words) if w != word[i]])[: events - 1]
        starts = rng.permutation(np.arange(0, FRAMES, LENGTH))
        if at is not None:
            starts = np.r_[at, starts[starts != at]]
        for w, start in zip([word[i], *others], starts, strict=False):
            sign = rng.integers(0, 2)
            video[i, start : start + LENGTH, w] += 2.0
            video[i, start : start + LENGTH, words] += 2.0 * (2 * sign - 1)
            y[i] = sign if w == word[i] else y[i]
    return {"word": np.eye(words)[word], "video": video}, y


TOYS: dict[str, tuple[Callable[[int], Run], str]] = {
    "noise": (noise, "noise is attended but unused"),
    "all used": (all_used, "nothing is unused"),
    "decoy": (decoy, "decoy is attended but unused"),
    "synergy": (synergy, "text x image stands out"),
    "additive": (additive, "no pair stands out"),
    "event": (event, "the peak lies in the event"),
}


# --- which ranking is faithful --------------------------------------------------------------------


def areas(seeds: range) -> str:
    """The areas of the toy of synergy, over the test samples of all seeds, and the other tests of its models."""
    gathered: dict[str, list[list[np.ndarray]]] = {}
    gains: dict[str, int] = {}
    told: list[str] = []
    for seed in seeds:
        model, test, y = fitted_toy(seed)
        curves = deletion_curves(play(model, test, of="logit"), _scores(model, test))
        for row in curves.rows():
            name = row["ranking"]
            gains[name] = gains.get(name, 0) + bool(row["better"])
            pair = gathered.setdefault(name, [[], []])
            pair[0].append(curves.deletion_areas[name])
            pair[1].append(curves.insertion_areas[name])
        random = model_randomisation(model, test, draws=5, seed=seed)
        shapley = ", ".join(f"{s} {v:.2f}" for s, v in zip(random.stages, random.shapley, strict=True))
        attention = ", ".join(f"{v:.2f}" for v in random.attention if random.attention is not None)
        permuted, even = attention_permutation(model, test), uniform_attention(model, test, y)
        told.append(
            f"seed {seed}: random weights: Shapley {shapley}; attention {attention}. Attention dealt to other keys "
            f"moves {permuted.median:.2f} (total variation); even attention: {even.text}"
        )
    lines = ["| ranking | deletion area (low is good) | insertion area (high is good) | better than random |"]
    lines.append("|---|---:|---:|---:|")
    for name, (down, up) in gathered.items():
        cells = [f"{x.mean():.2f} ± {2 * x.std(ddof=1) / np.sqrt(len(x)):.2f}" for x in map(np.concatenate, (down, up))]
        better = "" if name == "random" else f"{gains[name]} of {len(seeds)}"
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {better} |")
    return "\n".join([*lines, "", *told])


def _scores(model: Any, X: Any) -> dict[str, np.ndarray]:
    shares = attention_shares(model, X)
    scores = {} if shares is None else {"attention": shares}
    try:
        from intermodal.explain.rolling import rollout_of
    except ImportError:
        return scores
    samples = rollout_of(model, X, keep_samples=True).samples
    return scores if samples is None else scores | {"rollout": np.nanmean(samples, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Planted truths, and which ranking finds them.")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each toy")
    parser.add_argument("--only", nargs="+", choices=[*TOYS, "areas"], default=[*TOYS, "areas"])
    args = parser.parse_args()
    seeds = range(args.seeds)
    failures = []
    print("| planted | truth | named | task score | what was said |\n|---|---|---:|---:|---|")
    for name in [n for n in TOYS if n in args.only]:
        plant, truth = TOYS[name]
        start = time.perf_counter()
        runs = [plant(seed) for seed in seeds]
        right = sum(run.named for run in runs)
        score = np.mean([run.score for run in runs])
        print(f"| {name} | {truth} | {right} of {len(runs)} | {score:.2f} | seed 0: {runs[0].said} |", flush=True)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        failures += [
            f"{name}, seed {seed}: {run.said} (task score {run.score:.2f})"
            for seed, run in zip(seeds, runs, strict=True)
            if not run.named
        ]
    print("\nNot named: " + ("; ".join(failures) if failures else "none"))
    if "areas" in args.only:
        print(f"\nDeletion and insertion, log-odds, mean ± 2 standard errors over {200 * len(seeds)} test samples:\n")
        print(areas(seeds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
