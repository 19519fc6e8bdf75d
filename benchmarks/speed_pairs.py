"""Ours against one other way each: asking another modality, a whole training, starting up, and worth by subsets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import worth
from speed_turns import Run, forward, in_turns, quartiles, ratios, step
from torch import Tensor, nn

from intermodal.learn.estimators import FusionClassifier
from intermodal.nn import BidirectionalCrossAttention, CrossAttention

Row = dict[str, object]


def pair(what: str, ours: Run, theirs: Run, seconds: float, *, fewest: int = 5) -> Row:
    """Milliseconds of both, and how many times longer theirs takes."""
    spent = in_turns({"ours": ours, "theirs": theirs}, seconds, fewest=fewest)
    row: Row = {name: quartiles(spent[name]) for name in spent}
    return {"what": what, **row, "ratio": ratios(spent, "theirs", "ours")}


def cross(*, quick: bool) -> list[Row]:
    """Text of 12 tokens asks padded video of 80, against `nn.MultiheadAttention` with the same weights."""
    seconds = 0.2 if quick else 3.0
    hand = nn.MultiheadAttention(64, 4, kdim=96, vdim=96, batch_first=True)
    ours = CrossAttention.from_torch(hand)
    text, video = torch.randn(32, 12, 64), torch.randn(32, 80, 96)
    present = torch.arange(80) < torch.randint(20, 81, (32, 1))
    a: Callable[[], Tensor] = lambda: ours(text, video, context_present=present).pooled
    b: Callable[[], Tensor] = lambda: hand(text, video, video, key_padding_mask=~present, need_weights=False)[0].mean(1)
    torch.testing.assert_close(a(), b(), atol=1e-5, rtol=1e-4)
    c: Run = lambda: ours(text, video, context_present=present, need_weights=True)
    d: Run = lambda: hand(text, video, video, key_padding_mask=~present, average_attn_weights=False)
    return [
        pair("text asks padded video, 12 x 80 tokens: forward", forward(a), forward(b), seconds),
        pair("text asks padded video, 12 x 80 tokens: step", step(a, ours), step(b, hand), seconds),
        pair("the same with weights: forward", forward(c), forward(d), seconds),
        *_both_ask(text, video, present, seconds),
    ]


def _both_ask(text: Tensor, video: Tensor, present: Tensor, seconds: float) -> list[Row]:
    both = BidirectionalCrossAttention(64, 96, d_model=64, n_heads=4)
    there, back = (nn.MultiheadAttention(64, 4, batch_first=True) for _ in "ab")
    narrow = nn.Linear(96, 64)  # first, and not after: that is cheaper than to ask in 96

    def by_hand() -> Tensor:
        seen = narrow(video)
        first = there(text, seen, seen, key_padding_mask=~present, need_weights=False)[0]
        second = back(seen, text, text, need_weights=False)[0] * present.unsqueeze(-1)
        return (first.sum(1) + second.sum(1)) / (12 + present.sum(1, keepdim=True))

    a: Callable[[], Tensor] = lambda: both(text, video, b_present=present).pooled
    hand = nn.ModuleList([there, back, narrow])
    return [
        pair("both ask, 12 x 80 tokens: forward", forward(a), forward(by_hand), seconds),
        pair("both ask, 12 x 80 tokens: step", step(a, both), step(by_hand, hand), seconds),
    ]


class ByHand(nn.Module):
    """What people write: a projection each, `nn.MultiheadAttention` over the stack, mean, two layers."""

    def __init__(self, widths: list[int], d: int, heads: int, classes: int) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(nn.Linear(w, 2 * d) for w in widths)
        self.norm, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = nn.MultiheadAttention(d, heads, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.head = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, classes))

    def forward(self, xs: list[Tensor]) -> Tensor:
        x = torch.cat([p(x).unflatten(1, (2, -1)) for p, x in zip(self.inputs, xs, strict=True)], 1)
        h = self.norm(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        x = x + self.feed(self.norm2(x))
        return self.head(x.mean(1))


def training(*, quick: bool) -> list[Row]:
    """4 vectors of width 128 a sample, 10 epochs, against a plain loop over the same network."""
    n, epochs = (1_000, 2) if quick else (10_000, 10)
    rng = np.random.default_rng(0)
    X = {name: rng.normal(size=(n, 128)).astype(np.float32) for name in "abcd"}
    y = (X["a"][:, 0] * X["b"][:, 0] > 0).astype(int)
    d, batch, cut = 64, 256, n * 85 // 100
    same = {"n_members": 1, "dropout": 0.0, "modality_dropout": 0.0}  # as by hand: no ensemble, nothing hidden
    model = FusionClassifier(d_model=d, max_epochs=epochs, patience=epochs, batch_size=batch, **same)
    xs, target = [torch.from_numpy(x[:cut]) for x in X.values()], torch.from_numpy(y[:cut])
    held = [torch.from_numpy(x[cut:]) for x in X.values()]

    def by_hand() -> None:
        net = ByHand([128] * 4, d, 4, 2)
        optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
        for _ in range(epochs):
            for rows in torch.randperm(cut).split(batch):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net([x[rows] for x in xs]), target[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                net.eval()(held)
                net.train()

    name = f"training, {n:,} samples of 4 vectors of 128, {epochs} epochs"
    return [pair(name, lambda: model.fit(X, y), by_hand, 0, fewest=1 if quick else 3)]


def start(*, quick: bool) -> list[Row]:
    """Whole processes: the package, its help and its networks, against importing torch alone."""

    def process(*code: str) -> Run:
        return lambda: subprocess.run([sys.executable, *code], check=True, stdout=subprocess.DEVNULL)

    def prediction(folder: Path) -> Run:
        """One row, by a model saved before."""
        rng = np.random.default_rng(0)
        X = {"a": rng.normal(size=(40, 5)), "b": rng.normal(size=(40, 4))}
        FusionClassifier(max_epochs=1, d_model=8, n_heads=2).fit(X, np.arange(40) % 2).save(folder / "model")
        np.savez(folder / "one.npz", **{name: rows[:1] for name, rows in X.items()})
        return process("-m", "intermodal", "predict", str(folder / "model"), str(folder / "one.npz"), "--json")

    whole = "import intermodal, torch; intermodal.attend, intermodal.nn.FusionNetwork"
    runs = {
        "import intermodal": process("-c", "import intermodal"),
        "intermodal --help": process("-m", "intermodal", "--help"),
        "import intermodal and torch with its networks": process("-c", whole),
        "torch": process("-c", "import torch"),
    }
    with TemporaryDirectory() as folder:
        runs["intermodal predict, one row"] = prediction(Path(folder))
        spent = in_turns(runs, 0, fewest=1 if quick else 9, least=0)
    theirs = quartiles(spent["torch"])
    return [
        {"what": f"{name}, against import torch", "ours": quartiles(spent[name]), "theirs": theirs}
        | {"ratio": ratios(spent, "torch", name)}
        for name in spent
        if name != "torch"
    ]


def shapley(*, quick: bool) -> list[Row]:
    """All 2^6 subsets of six modalities, in forwards of the same module; the runs are those of worth.py."""
    found = []
    for batch in (32,) if quick else (32, 256):
        cases = {"textbook self-attention": worth.textbook(6, batch)}
        cases["the same, in forwards of `nn.MultiheadAttention`"] = worth.torchs(6, batch)
        cases |= {f"network, {spec}": worth.network(spec, 6, batch) for spec in ("self", "cross")}
        for name, (one, naive, *_, ours) in cases.items():
            with torch.inference_mode():
                torch.testing.assert_close(ours(), naive(), atol=1e-5, rtol=1e-4)
            runs = {"one": forward(one), "naive": forward(naive), "ours": forward(ours)}
            spent = in_turns(runs, 0.2 if quick else 3.0)
            row: Row = {"what": f"{name}, batch {batch}", "one": quartiles(spent["one"])}
            found.append(row | {key: ratios(spent, key, "one") for key in ("ours", "naive")})
    return found
