"""Does an explanation change when the model does? Its weights drawn anew from the top down, or labels shuffled.

An explanation that stays the same while the model loses all it has learned explains something else.

Shapes: N samples, M modalities, O outputs, S stages of the cascade.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.errors import InputError
from intermodal.explain.coalitions import play
from intermodal.explain.explained import Explained
from intermodal.explain.looking import EVEN, attention_shares
from intermodal.explain.outcome import needed_target
from intermodal.explain.ranks import sample_spearman
from intermodal.explain.refitting import refitted
from intermodal.explain.shapley_values import values_of
from intermodal.explain.standing import StandIn, copy_of

UNLIKE = 0.2
"""Mean rank correlation below which the explanation of the fully random model is another one."""
UNLIKE_LABELS = 0.3
"""The same for a model of shuffled labels, which still sees the same samples."""

BY_DESIGN = (
    "attention keeps a correlation of 1.00 after the head is drawn anew by design: attention does not see the head"
)


@dataclass(frozen=True)
class Randomised:
    """How much explanations of random models look like those of the trained one.

    Attributes:
        stages: (S,) what was drawn anew, everything before it too: "head", "layer 2", "layer 1", "encoders".
        shapley: (S,) mean rank correlation with the trained model's Shapley values over the modalities of a sample,
            over samples and draws; NaN where nothing is ranked.
        shapley_std: (S,) its standard deviation over the draws.
        attention: (S,) the same for the shares of attention, or None where attention does not choose.
        attention_std: (S,), or None.
        draws: random models.
        limit: mean correlation at the last stage below which an explanation passes.
    """

    stages: tuple[str, ...]
    shapley: np.ndarray
    shapley_std: np.ndarray
    attention: np.ndarray | None
    attention_std: np.ndarray | None
    draws: int
    limit: float

    @property
    def passed(self) -> dict[str, bool | None]:
        """Explanation -> True where it changed with the model, None where it ranks nothing."""
        last = {"shapley": self.shapley[-1], "attention": np.nan if self.attention is None else self.attention[-1]}
        return {name: None if np.isnan(value) else bool(value < self.limit) for name, value in last.items()}

    @property
    def text(self) -> str:
        """The curves and the finding in words."""
        lines = [_said("Shapley values", self.stages, self.shapley, self.passed["shapley"], self.limit)]
        if self.attention is None:
            return "\n".join([*lines, EVEN])
        lines.append(_said("attention", self.stages, self.attention, self.passed["attention"], self.limit))
        if self.stages[0] == "head" and self.attention[0] > 0.999:
            lines.append(BY_DESIGN)
        return "\n".join(lines)


def _said(what: str, stages: tuple[str, ...], curve: np.ndarray, passed: bool | None, limit: float) -> str:
    if passed is None:
        return f"{what}: no modality ranks before another, so nothing can be compared"
    points = ", ".join(f"{stage} {value:.2f}" for stage, value in zip(stages, curve, strict=True))
    verdict = f"changes with the model (below {limit} at the end)"
    if not passed:
        verdict = f"stays alike ({limit} or more at the end), so it tells of the samples and the network's shape too"
    return f"{what}: correlation with the trained model, {points}: it {verdict}"


def model_randomisation(
    model: Explained, X: Any, *, removal: str | None = None, draws: int = 5, seed: int = 0, batch_size: int = 1024
) -> Randomised:
    """Draw the weights of a fitted model anew from the top down, and compare each explanation with the trained one's.

    The head goes first, with the pooling and the straight line from the samples to the answer; then the layers from
    the last to the first; then the encoders. What was drawn stays drawn.

    Args:
        model: a fitted estimator; it is not touched.
        X: samples.
        removal: how a modality is taken away, as in `play`.
        draws: random models; with few modalities a single one proves little.
        seed: of the draws.
        batch_size: samples times subsets of one pass.

    Returns:
        The mean rank correlation at each stage, for Shapley values and for attention.

    Raises:
        InputError: no sample has two modalities, or `draws` is below 1.

    Source: Adebayo et al. 2018, Sanity Checks for Saliency Maps (arXiv 1810.03292), section 3.1, cascading.

    Relation: `data_randomisation` asks the same with a model that learned from shuffled labels.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> result = model_randomisation(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X, draws=1)
        >>> result.stages, float(result.attention[0])
        (('head', 'layer 1', 'encoders'), 1.0)
    """
    _at_least_one("draws", draws)
    trained, feed = copy_of(model, X)
    own = _explained(StandIn(model, trained, feed), removal, batch_size)
    stages = _stages(trained)
    shapley, attention = np.full((2, draws, len(stages)), np.nan)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for draw in range(draws):
            torch.manual_seed(seed + draw)
            random, _ = copy_of(model, X)
            for i, stage in enumerate(stages):
                _redraw(random, stage)
                found = _explained(StandIn(model, random, feed), removal, batch_size)
                shapley[draw, i], attention[draw, i] = _alike(own, found)
    return _result(stages, shapley, None if own.attention is None else attention, UNLIKE)


def data_randomisation(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    removal: str | None = None,
    repeats: int = 1,
    seed: int = 0,
    batch_size: int = 1024,
    progress: Callable[[int, int, str], None] | None = None,
) -> Randomised:
    """Fit the same estimator to shuffled labels, and compare its explanation with the model's own.

    Args:
        model: a fitted estimator with `get_params`; it is not touched.
        X: the samples it was fitted on.
        y: their target; taken from the samples when None.
        removal: how a modality is taken away, as in `play`.
        repeats: models of shuffled labels; each costs a fit.
        seed: of the shuffles.
        batch_size: samples times subsets of one pass.
        progress: called with (fits done, fits in all, what runs next).

    Returns:
        The mean rank correlation, with the single stage "shuffled labels".

    Raises:
        InputError: the model cannot be fitted anew, there is no target, or no sample has two modalities.

    Source: Adebayo et al. 2018, section 3.2.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> data_randomisation(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X, X["a"][:, 0]).stages
        ('shuffled labels',)
    """
    _at_least_one("repeats", repeats)
    trained, feed = copy_of(model, X)
    y = needed_target(X, y, len(feed))
    own = _explained(StandIn(model, trained, feed), removal, batch_size)
    rng = np.random.default_rng(seed)
    shapley, attention = np.full((2, repeats, 1), np.nan)
    for i in range(repeats):
        if progress is not None:
            progress(i, repeats, "shuffled labels")
        found = _explained(refitted(model, X, y[rng.permutation(len(y))]), removal, batch_size, X)
        shapley[i, 0], attention[i, 0] = _alike(own, found)
    if progress is not None:
        progress(repeats, repeats, "done")
    return _result(("shuffled labels",), shapley, None if own.attention is None else attention, UNLIKE_LABELS)


@dataclass(frozen=True)
class _Explained:
    values: np.ndarray
    attention: np.ndarray | None
    present: np.ndarray


def _explained(model: Any, removal: str | None, batch_size: int, X: Any = None) -> _Explained:
    table = play(model, X, removal=removal, batch_size=batch_size)
    if not (table.present.sum(1) > 1).any():
        raise InputError("explanations rank at least two modalities, however: no sample has more than one")
    return _Explained(values_of(table.v), attention_shares(model, X), table.present)


def _alike(own: _Explained, other: _Explained) -> tuple[float, float]:
    """The mean rank correlation of the Shapley values and of attention, NaN where nothing is ranked."""
    worth = sample_spearman(own.values, other.values, own.present)
    looked = np.full(1, np.nan)
    if own.attention is not None and other.attention is not None:
        looked = sample_spearman(own.attention, other.attention, own.present)
    a, b = (x[~np.isnan(x)] for x in (worth, looked))
    return float(a.mean()) if len(a) else np.nan, float(b.mean()) if len(b) else np.nan


def _result(stages: tuple[str, ...], shapley: np.ndarray, attention: np.ndarray | None, limit: float) -> Randomised:
    means: list[Any] = [None if x is None else x.mean(0) for x in (shapley, attention)]
    spreads: list[Any] = [None if x is None else x.std(0) for x in (shapley, attention)]
    return Randomised(stages, means[0], spreads[0], means[1], spreads[1], len(shapley), limit)


def _stages(module: nn.Module) -> tuple[str, ...]:
    """From the top down."""
    layers = len(module.network.layers)  # type: ignore[union-attr, arg-type]
    return ("head", *(f"layer {i}" for i in range(layers, 0, -1)), "encoders")


def _stage_of(name: str, tensor: str = "") -> str:
    """The stage that a module belongs to, by its name; a tensor of the network itself by its own."""
    parts = name.split(".")
    if parts[:2] == ["network", "layers"] and len(parts) > 2:
        return f"layer {int(parts[2]) + 1}"
    if parts[:2] in (["network", "encoders"], ["network", "absent"]) or (name, tensor) == ("network", "member_scale"):
        return "encoders"
    return "head"


def _redraw(module: nn.Module, stage: str) -> None:
    """Draw all numbers of a stage anew: as at the start of training, or, where no rule is known, with equal size."""
    whole: list[str] = []  # modules that drew for everything inside them
    for name, part in module.named_modules():
        if any(name.startswith(f"{above}.") for above in whole):
            continue
        if hasattr(part, "reset_parameters"):
            whole.append(name)
            if _stage_of(name) == stage:
                part.reset_parameters()
            continue
        for key, tensor in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]:
            if tensor.is_floating_point() and _stage_of(name, key) == stage:
                _redraw_tensor(tensor)


def _redraw_tensor(tensor: Tensor) -> None:
    tensor.copy_(torch.randn_like(tensor) * tensor.square().mean().sqrt())


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{name} is at least 1, however: {name}={value}")
