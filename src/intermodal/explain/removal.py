"""How a modality is taken away from a sample: four rules, each with a name that a result carries.

What a model says of "text alone" depends on what stands where the rest was. No rule is right for every model, so the
rule is always named, and two of them can be compared.

Shapes: B samples of a batch, C subsets, T tokens, D width of a modality.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from intermodal.errors import InputError, did_you_mean

RULES = {
    "mask": "nobody looks at it, as at one that is missing",
    "learned_missing": "the token that the model learned for a missing one stands in its place",
    "mean": "it stays, and every value of it is the training mean",
    "permute": "it comes from other samples, and the answers are averaged",
}
"""Rule -> what it does, to be read after "a modality is taken away: "."""

Batch = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]
"""x, name -> (B, D) or (B, T, D), and present, name -> bool; a name that is not in present is there everywhere."""


def rule_of(model: Any, network: Any, removal: str | None) -> str:
    """Return the rule, or the default of this network, and refuse one that the model cannot follow.

    Args:
        model: the estimator.
        network: its network; one with learned tokens cannot merely look away.
        removal: a key of `RULES`; by default `learned_missing` where the network learned it, and `mask` elsewhere.

    Raises:
        InputError: an unknown rule, or one that the model cannot follow.

    Example:
        >>> rule_of(None, None, None)
        'mask'
    """
    stands_in = getattr(network, "absent", None) is not None
    if removal is None:
        return "learned_missing" if stands_in else "mask"
    if removal not in RULES:
        hint = did_you_mean(str(removal), RULES)
        raise InputError(f'removal is one of {", ".join(RULES)}, however: removal="{removal}"{hint}')
    if removal == "learned_missing" and not stands_in:
        raise InputError(
            'removal="learned_missing" needs a network that learned a token for what is missing (missing="token"), '
            'however: this one has none; removal="mask" looks away'
        )
    if removal == "mask" and stands_in:
        raise InputError(
            'removal="mask" needs a network that looks away from what is missing (missing="mask"), however: this one '
            'puts a learned token there; removal="learned_missing" is what it does'
        )
    if removal == "mean" and not hasattr(model, "preprocessor_"):
        raise InputError(
            'removal="mean" needs a model that knows the training mean (preprocessor_), however: '
            f"{type(model).__name__} has none"
        )
    return removal


def taken_away(own: Batch, other: Batch | None, names: tuple[str, ...], inside: Tensor, rule: str) -> Batch:
    """Repeat a batch once for each subset, subset by subset, and take away what is not in it.

    Args:
        own: the samples.
        other: the donors of the samples, padded alike; read by `permute` alone.
        names: (M,) the modalities, in the order of the columns of `inside`.
        inside: bool (C, B, M), True where the modality is in the subset; of a modality that a sample lacks always.
        rule: a key of `RULES`.

    Returns:
        x and present of C * B samples.

    Example:
        >>> x = {"a": torch.tensor([[7.0]])}
        >>> shown = taken_away((x, {}), None, ("a",), torch.tensor([[[False]], [[True]]]), "mask")
        >>> shown[0]["a"].tolist(), shown[1]["a"].tolist()
        ([[7.0], [7.0]], [False, True])
    """
    repeated, shown, times = {}, {}, len(inside)
    for name, values in own[0].items():
        column = inside[:, :, names.index(name)].flatten()  # (C * B,)
        there = own[1].get(name)
        if rule in ("mask", "learned_missing"):
            repeated[name] = _repeat(values, times)
            shown[name] = _repeat(_known(values, there), times) & _like(column, values.ndim - 1)
        elif rule == "mean":  # after scaling the training mean is zero
            repeated[name] = _repeat(values, times) * _like(column, values.ndim)
            if there is not None:
                shown[name] = _repeat(there, times)
        else:
            assert other is not None
            theirs = other[0][name]
            kept = _like(column, values.ndim)
            repeated[name] = torch.where(kept, _repeat(values, times), _repeat(theirs, times))
            if there is not None or name in other[1]:
                ours, lent = _known(values, there), _known(theirs, other[1].get(name))
                shown[name] = torch.where(_like(column, values.ndim - 1), _repeat(ours, times), _repeat(lent, times))
    return repeated, shown


def picked(batch: Batch, at: Any) -> Batch:
    """Return some rows of a batch.

    Args:
        batch: x and present.
        at: what a tensor takes as an index: a slice or places.

    Example:
        >>> picked(({"a": torch.tensor([[1.0], [2.0]])}, {}), slice(1, None))[0]["a"].tolist()
        [[2.0]]
    """
    x, present = batch
    return {name: t[at] for name, t in x.items()}, {name: t[at] for name, t in present.items()}


def _known(values: Tensor, there: Tensor | None) -> Tensor:
    return torch.ones(values.shape[:-1], dtype=torch.bool, device=values.device) if there is None else there


def _repeat(values: Tensor, times: int) -> Tensor:
    return values.repeat(times, *(1,) * (values.ndim - 1))


def _like(column: Tensor, ndim: int) -> Tensor:
    return column.reshape(-1, *(1,) * (ndim - 1))
