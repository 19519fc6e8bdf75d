"""How the time grows with samples, tokens and modalities: an exponent fitted to each, beside that of the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from speed_turns import Run, Spent, exponent, forward, in_turns, quartiles, step
from torch import Tensor, nn

from intermodal.nn import FusionNetwork, SelfAttentionFusion

WIDTH, HEADS = 64, 4


@dataclass(frozen=True)
class Series:
    """What grows: its sizes, what is called at each, and the multiply-adds of that."""

    name: str
    sizes: Sequence[int]
    made: Callable[[int], tuple[Callable[[], Tensor], nn.Module]]
    adds: Callable[[int], float]


def textbook(batch: int, tokens: int) -> tuple[Callable[[], Tensor], nn.Module]:
    module, x = SelfAttentionFusion(WIDTH, n_heads=HEADS), torch.randn(batch, tokens, WIDTH)
    return lambda: module(x).pooled, module


def textbook_adds(batch: int, tokens: int) -> float:
    """Four projections, and scores and values of every pair."""
    return batch * (4 * tokens * WIDTH**2 + 2 * tokens**2 * WIDTH)


def network(spec: str, n: int, batch: int, tokens: int = 2) -> tuple[Callable[[], Tensor], nn.Module]:
    names = [f"m{i}" for i in range(n)]
    module = FusionNetwork(spec, dict.fromkeys(names, WIDTH), d_model=WIDTH, n_heads=HEADS, n_tokens=tokens)
    x = {name: torch.randn(batch, WIDTH) for name in names}
    return lambda: module(x).pooled, module


def network_adds(spec: str, n: int, tokens: int = 2) -> float:
    """A sample's encoders, projections, feed-forward step, and every pair that asks."""
    pairs = (n * tokens) ** 2 if spec == "self" else n * (n - 1) * tokens**2
    return n * tokens * (WIDTH**2 + 4 * WIDTH**2 + 4 * WIDTH**2) + 2 * pairs * WIDTH


SERIES = (
    Series("samples, of 8 tokens", (64, 128, 256, 512, 1024), lambda b: textbook(b, 8), lambda b: textbook_adds(b, 8)),
    Series("tokens, of 4 samples", (64, 128, 256, 512, 1024), lambda t: textbook(4, t), lambda t: textbook_adds(4, t)),
    Series(
        'modalities, network "self", 64 samples',
        (2, 4, 8, 16),
        lambda n: network("self", n, 64),
        lambda n: network_adds("self", n),
    ),
    Series(
        'modalities, network "cross", 64 samples',
        (2, 4, 8, 16),
        lambda n: network("cross", n, 64),
        lambda n: network_adds("cross", n),
    ),
)


def measure(*, quick: bool) -> list[dict[str, object]]:
    """By series: the exponent of a forward and of a step, quartiles over the turns, and that of the arithmetic."""
    found = []
    for series in SERIES:
        made = {n: series.made(n) for n in series.sizes}
        seconds, fewest = (0.2, 3) if quick else (4.0, 7)
        runs: dict[str, dict[str, Run]] = {
            "forward": {str(n): forward(call) for n, (call, _) in made.items()},
            "step": {str(n): step(call, module) for n, (call, module) in made.items()},
        }
        row: dict[str, object] = {"name": series.name, "sizes": list(series.sizes)}
        for kind, each in runs.items():
            for _, module in made.values():
                module.train(kind == "step")
            spent = in_turns(each, seconds, fewest=fewest)
            row[kind] = quartiles(slopes(series.sizes, spent))
            row[f"{kind}_ms"] = {n: quartiles(times) for n, times in spent.items()}
        row["arithmetic"] = exponent(series.sizes, [series.adds(n) for n in series.sizes])
        found.append(row)
    return found


def slopes(sizes: Sequence[int], spent: Spent) -> list[float]:
    """The exponent of each turn."""
    return [exponent(sizes, times) for times in zip(*(spent[str(n)] for n in sizes), strict=True)]
