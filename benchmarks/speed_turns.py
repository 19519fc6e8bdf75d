"""Alternatives timed turn by turn, and what is read from the turns: medians, quartiles, geometric means, exponents.

In each turn every alternative runs once, in an order that changes from turn to turn, so that a busy machine slows all
of them; a ratio is taken within a turn. How many turns there are follows from a budget of seconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

Run = Callable[[], object]
Spent = dict[str, list[float]]
"""Milliseconds of one call, by alternative and turn."""
FEWEST, MOST = 5, 61
LEAST = 0.004
"""Seconds that one alternative runs in a turn at least: quick ones run several times."""


def in_turns(runs: Mapping[str, Run], seconds: float, *, fewest: int = FEWEST, least: float = LEAST) -> Spent:
    """Milliseconds of one call of each, turn by turn, over about so many seconds."""
    once = {name: min(_timed(run, 1), _timed(run, 1)) for name, run in runs.items()}
    calls = {name: max(1, math.ceil(least / max(once[name], 1e-7))) for name in runs}
    turns = int(np.clip(seconds / sum(once[name] * calls[name] for name in runs), fewest, MOST))
    spent: Spent = {name: [] for name in runs}
    for turn in range(turns):
        for name in in_order(list(runs), turn):
            spent[name].append(_timed(runs[name], calls[name]) * 1e3)
    return spent


def in_order(names: Sequence[str], turn: int) -> list[str]:
    """Each turn starts with another one, and every other turn runs backwards."""
    first = turn // 2 % len(names)
    turned = [*names[first:], *names[:first]]
    return turned[::-1] if turn % 2 else turned


def _timed(run: Run, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def forward(module: Run) -> Run:
    """One forward, without gradients."""

    def run() -> None:
        with torch.inference_mode():
            module()

    return run


def step(module: Callable[[], Tensor], owner: nn.Module, gradient: Tensor | None = None) -> Run:
    """Forward and backward to the parameters: of a square sum, or of an output whose gradient is there already."""
    parameters = list(owner.parameters())

    def run() -> None:
        for p in parameters:
            p.grad = None
        if gradient is None:
            module().square().sum().backward()
        else:
            module().backward(gradient)

    return run


def quartiles(values: Sequence[float]) -> list[float]:
    """First quartile, median, third."""
    return [float(q) for q in np.quantile(values, [0.25, 0.5, 0.75])]


def ratios(spent: Spent, name: str, over: str) -> list[float]:
    """Quartiles of how many times longer `name` takes than `over`, turn by turn."""
    return quartiles([a / b for a, b in zip(spent[name], spent[over], strict=True)])


def compared(spent: Spent, *over: str) -> dict[str, dict[str, list[float]]]:
    """By alternative: quartiles of its milliseconds, and of its ratio over each of `over` that ran."""
    return {
        name: {"ms": quartiles(spent[name])} | {o: ratios(spent, name, o) for o in over if o in spent} for name in spent
    }


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of the straight line through the logarithms, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
