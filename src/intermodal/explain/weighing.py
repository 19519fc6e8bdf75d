"""Weights that came as an array, from whatever program, checked for the mistakes that are made with them.

Shapes: B batch, H heads, Q queries, K keys, E width of a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError, MaskError, ShapeError
from intermodal.explain.findings import Finding, finding, worst_first
from intermodal.explain.row_statistics import RowStatistics, judged, too_even

_HALF = 5e-3
"""How far the rows of weights in half precision may miss 1."""


def check_attention(
    weights: Any,
    *,
    values: Any = None,
    output: Any = None,
    keep: Any = None,
    keys: Any = None,
    start: Any = None,
    training: bool = False,
) -> list[Finding]:
    """Check weights for a wrong axis, a missing mask, dropout, a second softmax, and attention that never chooses.

    Shape:
        weights (Q, K), (B, Q, K) or (B, H, Q, K): a row asks, a column is looked at.

    Args:
        weights: what a program returned or a picture shows, an array or tensor.
        values: (..., K, E), what was weighted.
        output: (..., Q, E), what came out of the weighting, before any output projection.
        keep: bool, broadcast over the weights, True where attention may look; a (B, K) is one row for all queries.
        keys: (..., K, D), what was asked; rows of zeros are taken for padding where `keep` is not given.
        start: weights of the same attention before its first training step; without them nothing is said of even
            weights, since those of an untrained attention are nearly even too.
        training: the weights were taken from a module in training mode.

    Returns:
        What was found, the worst first; nothing for weights that are right.

    Raises:
        InputError: not numbers, or a NaN among them.
        ShapeError: axes that do not fit.
        MaskError: `keep` is not bool or does not fit.

    Relation: `diagnose` finds the weights of a model itself.

    Example:
        >>> columns = np.array([[0.5, 0.2], [0.5, 0.8]])
        >>> [(f.id, f.code) for f in check_attention(columns)], check_attention(columns.T)
        ([('wrong-axis', 'D6')], [])
    """
    w = _weights("weights", weights)
    both = (w.shape[-1], w.shape[-2])  # an array with rows and columns swapped is told, not refused
    v, out = _beside("values", values, w, both), _beside("output", output, w, both)
    k = _beside("keys", keys, w, both[:1])
    kept = None if keep is None else _keep(keep, w)
    found = list(_sums(w, v, out, training, _tolerance(weights, w)))
    if found:
        return worst_first(found)
    found += _applied(w, v, out)
    found += _softmaxed_twice(w)
    found += _zero_rows(w, k) if kept is None else _hidden(w, ~kept)
    rows = RowStatistics()
    rows.add(w, kept)
    if w.shape[-1] == 1 or (kept is not None and rows.most_keys == 1):
        found.append(one_key("the attention"))
    found += judged(rows, "the attention")
    if start is not None:
        before = RowStatistics()
        before.add(_weights("start", start))
        found += too_even([rows], before.entropy)
    return worst_first(found)


def one_key(who: str) -> Finding:
    """Say that a softmax over one key is constant."""
    return finding(
        "one-key",
        f"{who}: every query sees at most one key, so each weight is exactly 1 and the query is ignored",
        keys=1,
    )


# --- do the rows sum to 1 ---------------------------------------------------------------------------


def _sums(w: Tensor, v: Tensor | None, out: Tensor | None, training: bool, tolerance: float) -> Iterator[Finding]:
    rows, least, most = w.sum(-1), float(w.min()), float(w.max())
    asks = rows != 0  # a row of zeros asked nobody
    low, high = (float(rows[asks].min()), float(rows[asks].max())) if bool(asks.any()) else (1.0, 1.0)
    dropped = training or bool((w == 0).any())  # dropout leaves zeros, and makes up for them in what stays
    span = f"{low:.3g} to {high:.3g}"
    numbers: dict[str, Any] = {"least": low, "most": high}
    if least < -tolerance or (most > 1 + tolerance and not dropped):
        yield finding(
            "not-weights",
            f"weights lie between 0 and 1, however: {least:.4g} to {most:.4g}; these are scores",
            least=least,
            most=most,
        )
    elif 1 - tolerance <= low and high <= 1 + tolerance:
        return
    elif w.shape[-1] > 1 and bool(((w - 1).abs() <= 1e-6).all()):
        text = f"every weight is 1 although there are {w.shape[-1]} keys: the softmax ran over an axis of length 1"
        yield finding("wrong-axis", text, **numbers)
    elif (axis := _axis_of_ones(w, tolerance)) is not None:
        if axis == "queries" and _gives(w.mT, v, out):
            text = "the columns sum to 1 and give the output: rows and columns of this array are swapped"
            yield finding("rows-and-columns-swapped", text, **numbers)
        elif axis == "queries":
            text = f"the columns sum to 1 and the rows do not ({span}): the softmax ran over the queries"
            yield finding("wrong-axis", text + ", or rows and columns are swapped" * (out is None), **numbers)
        else:
            text = f"the weights sum to 1 over the {axis} and not along the rows ({span})"
            yield finding("wrong-axis", text, **numbers)
    elif dropped and (training or high > 1 + tolerance):
        yield finding("dropout-in-weights", f"the rows sum to {span} instead of 1: weights were dropped", **numbers)
    else:
        yield finding("rows-do-not-sum-to-1", f"the rows sum to {span} instead of 1", **numbers)


def _axis_of_ones(w: Tensor, tolerance: float) -> str | None:
    """The axis along which the weights sum to 1, where the last one is not it."""
    for axis, name in ((2, "queries"), (0, "batch"), (1, "heads")):
        if w.shape[axis] > 1 and bool(((w.sum(axis) - 1).abs() <= tolerance).all()):
            return name
    return None


def _tolerance(given: Any, w: Tensor) -> float:
    """How far a sum may miss 1: by the precision of the numbers, or by the digits to which they were rounded."""
    if str(getattr(given, "dtype", "")).endswith("16"):
        return _HALF + w.shape[-1] * 1e-4
    for digits in (1, 2, 3, 4):
        if bool(((w * 10**digits).round() - w * 10**digits).abs().max() < 1e-6):
            return max(1e-3, w.shape[-1] * 0.5 * 10**-digits)
    return 1e-3


# --- were they used as they are ---------------------------------------------------------------------


def _applied(w: Tensor, v: Tensor | None, out: Tensor | None) -> Iterator[Finding]:
    if not _gives(w, v, out) and _gives(w.mT, v, out):
        assert v is not None and out is not None
        yield finding(
            "transposed-when-applied",
            "the output is the transposed weights times the values: each value went where it was not asked for",
            error=float((w @ v - out).abs().max()),
        )


def _gives(w: Tensor, v: Tensor | None, out: Tensor | None) -> bool:
    """Whether weights times values are the output; False where one is not known."""
    if v is None or out is None or w.shape[-1] != v.shape[-2] or w.shape[-2] != out.shape[-2]:
        return False
    product = w @ v
    return product.shape == out.shape and bool((product - out).abs().max() <= 1e-3 * max(1.0, float(out.abs().max())))


def _softmaxed_twice(w: Tensor) -> Iterator[Finding]:
    """A softmax of weights w is p with log p = w + c; if weights come back for every row, they were weights.

    Rows that vary little could come back by chance: only rows that come back sharp count, and nearly all must.
    """
    rows = w[(w > 0).all(-1)]
    if w.shape[-1] < 4 or len(rows) < 8 or len(rows) < w[..., 0].numel():
        return
    back = rows.log() - rows.log().mean(-1, keepdim=True) + 1 / w.shape[-1]
    sharp = float(back.amax(-1).mean())
    if float(back.min()) > -1e-3 and float(back.max()) <= 1 + 1e-3 and sharp > 2 / w.shape[-1]:
        yield finding(
            "softmaxed-twice",
            "the weights are themselves a softmax of weights: no row is more uneven than a factor of e",
            largest_before=sharp,
            largest_now=float(rows.amax(-1).mean()),
        )


# --- did they look where nothing is -----------------------------------------------------------------


def _hidden(w: Tensor, hidden: Tensor) -> Iterator[Finding]:
    asks = w.sum(-1) > 0
    some = asks & hidden.any(-1).expand(asks.shape) & ~hidden.all(-1).expand(asks.shape)
    if not bool(some.any()):
        return
    share = (w * hidden).sum(-1)[some]
    mass = float(share.mean())
    if mass > 0.999:
        yield finding("mask-inverted", f"{mass:.1%} of the weight lies on hidden keys: the mask is inverted", mass=mass)
    elif float(share.max()) > 1e-6:
        yield finding("hidden-keys-seen", f"{mass:.1%} of the weight lies on keys that are hidden", mass=mass)


def _zero_rows(w: Tensor, k: Tensor | None) -> Iterator[Finding]:
    """Keys of nothing but zeros are padding, where others of the sample are not."""
    if k is None:
        return
    empty = (k == 0).all(-1).unsqueeze(-2).expand(w.shape)
    for f in _hidden(w, empty):
        mass = f.evidence["mass"]
        text = f"{mass:.1%} of the weight lies on keys that are all zeros, which looks like padding"
        yield finding(f.id, text, severity="warning", mass=mass)


# --- reading ------------------------------------------------------------------------------------------


def _numbers(name: str, given: Any) -> Tensor | None:
    if given is None:
        return None
    try:
        read = given.detach().double().cpu() if isinstance(given, Tensor) else torch.as_tensor(np.asarray(given, float))
    except (TypeError, ValueError):
        raise InputError(f"{name} are numbers of one shape, however: {type(given).__name__} came") from None
    if not bool(read.isfinite().all()):
        raise InputError(f"{name} are finite, however: {int((~read.isfinite()).sum())} of them are NaN or infinite")
    return read


def _weights(name: str, given: Any) -> Tensor:
    w = _numbers(name, given)
    if w is None or w.ndim not in (2, 3, 4) or w.numel() == 0:
        came = "None" if w is None else f"{tuple(w.shape)}"
        raise ShapeError(f"{name} are (Q, K), (B, Q, K) or (B, H, Q, K) and not empty, however: {came}")
    return _with_heads(w)


def _with_heads(x: Tensor) -> Tensor:
    """(Q, K) and (B, Q, K) as (B, H, Q, K)."""
    return x[None, None] if x.ndim == 2 else x.unsqueeze(1) if x.ndim == 3 else x


def _beside(name: str, given: Any, w: Tensor, counts: tuple[int, ...]) -> Tensor | None:
    """An array that goes with the weights: its tokens are counted on the last axis but one."""
    read = _numbers(name, given)
    if read is None:
        return None
    fits = read.ndim in (2, 3, 4) and read.shape[-2] in counts
    read = _with_heads(read) if fits else read
    if not fits or any(n not in (1, full) for n, full in zip(read.shape[:2], w.shape[:2], strict=True)):
        raise ShapeError(
            f"{name} are (..., tokens, width) beside weights of (B, H, Q, K) = {tuple(w.shape)}, however: "
            f"{tuple(read.shape)}"
        )
    return read


def _keep(given: Any, w: Tensor) -> Tensor:
    keep = given.cpu() if isinstance(given, Tensor) else torch.as_tensor(np.asarray(given))
    if keep.dtype != torch.bool:
        raise MaskError(f"keep is bool, True where attention may look, however: {keep.dtype=}")
    b, _, q, k = w.shape
    if keep.ndim == 2 and tuple(keep.shape) == (b, k) and (b, k) != (q, k):
        keep = keep[:, None, None]
    keep = _with_heads(keep)
    if keep.ndim != 4 or any(n not in (1, full) for n, full in zip(keep.shape, w.shape, strict=True)):
        raise MaskError(f"keep fits the weights (B, H, Q, K) = {tuple(w.shape)}, however: {tuple(keep.shape)}")
    return keep.expand(w.shape)
