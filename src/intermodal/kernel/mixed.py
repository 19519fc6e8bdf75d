"""Mixtures of answers for many subsets of what was asked, on a processor, by the compiled module beside this file.

A softmax over some keys is a sum of numerators over a sum of divisors, and both are sums over the pieces that the keys
come in. Who asks the same keys in many subsets has both already, piece by piece; what is left are sums, too small for
torch's operations.

Shapes: B batch, S tokens, P pieces, H heads, d width, C subsets, T tokens of a subset, G groups of pieces.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from intermodal.kernel.calling import compiled, watched

PADDING = 16
"""Subsets that one vector holds at most."""

PIECES = 31
"""Pieces that the bits of an int can tell apart."""

_mixed = compiled("_mixed")


def serves(tokens: Tensor, n_pieces: int) -> bool:
    """Tell whether the compiled module can mix for such tokens; it gives no gradients."""
    return (
        _mixed is not None
        and n_pieces <= PIECES
        and type(tokens) is Tensor
        and tokens.dtype in (torch.float32, torch.float64)
        and tokens.device.type == "cpu"
        and not watched()
    )


def gather(e: Tensor, values: Tensor, starts: Tensor, stops: Tensor) -> tuple[Tensor, Tensor]:
    """Return what every token gets of every piece, before the division, and what it divides by.

    Shape:
        e (B, H, S, S), values (B, S, d), starts and stops (P,) -> numerators (B, S, P, d), divisors (B, S, P, H).

    Args:
        e: exponentials of the scores, zero for a key that is not there.
        values: the heads side by side.
        starts: int32, where each piece begins in the sequence.
        stops: int32, where it ends.
    """
    (b, h, s, _), d, p = e.shape, values.shape[2], len(starts)
    numerators, divisors = values.new_empty(b, s, p, d), values.new_empty(b, s, p, h)
    _call("gather", (b, s, p, h, d, 0, 0, 0), (e, values, starts, stops, numerators, divisors))
    return numerators, divisors


def mix(numerators: Tensor, divisors: Tensor, tokens: Tensor, masks: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """Return what each token of each subset receives: the mean over the groups that have an answer for it.

    Shape:
        numerators (B, S, P, d), divisors (B, S, P, H), tokens (C, T), masks (C, G), times (S, G) -> received
        (B * C, T, d), answered (B * C, T, 1).

    Args:
        numerators: what each token gets of each piece, before the division; d is the heads side by side.
        divisors: what it divides by; zero where the piece has nobody.
        tokens: int32, which tokens a subset holds.
        masks: int32, bit p is set where the group has piece p in this subset.
        times: int32, how often a token asks a group.

    Returns:
        The mixtures, and 1 where a group answered, 0 where none did.
    """
    (b, s, p, d), h, (c, t), g = numerators.shape, divisors.shape[3], tokens.shape, masks.shape[1]
    received, answered = numerators.new_empty(b * c, t, d), numerators.new_empty(b * c, t, 1)
    _call("mix", (b, s, p, h, d, c, t, g), (numerators, divisors, tokens, masks, times, received, answered))
    return received, answered


def join(received: Tensor, ground: Tensor, tokens: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    """Return the tokens of each subset after they received something, and the norm of that.

    Shape:
        received (B * C, T, d), ground (B, S, d), tokens (C, T) -> twice (B * C, T, d).

    Args:
        received: what is added.
        ground: what it is added to.
        tokens: int32, which tokens a subset holds.
        norm: over d.
    """
    (b, s, d), (c, t) = ground.shape, tokens.shape
    joined, normed = torch.empty_like(received), torch.empty_like(received)
    given = (received, ground, tokens, norm.weight, norm.bias, joined, normed)
    _call("join", (b, s, 0, 0, d, c, t, 0), given, norm.eps)
    return joined, normed


def settle(one: Tensor, other: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Return the mean over the tokens of the norm of a sum.

    Shape:
        twice (N, T, d) -> (N, d).

    Args:
        one: a term.
        other: the other term.
        norm: over d.
    """
    n, t, d = one.shape
    mean = one.new_empty(n, d)
    _call("settle", (n, 0, 0, 0, d, 0, t, 0), (one, other, norm.weight, norm.bias, mean), norm.eps)
    return mean


def scores(queries: Tensor, keys: Tensor, n_heads: int) -> tuple[Tensor, float]:
    """Return the scaled scores of a self-attention, each row less its largest, and the least number among them.

    Shape:
        queries and keys (B, n, d) -> (B, H, n, n).

    Args:
        queries: the heads side by side.
        keys: the heads side by side.
        n_heads: H.
    """
    b, n, d = queries.shape
    found, least = queries.new_empty(b, n_heads, n, n), queries.new_empty(1)
    _call("scores", (b, n, 0, n_heads, d, 0, 0, 0), (queries, keys, found, least), (d // n_heads) ** -0.5)
    return found, float(least)


def blend(
    e: Tensor, present: Tensor | None, values: Tensor, weight: Tensor, bias: Tensor | None, inside: Tensor
) -> Tensor:
    """Return the pooled answer of each subset of a self-attention over tokens.

    Shape:
        e (B, H, n, n), present (B, n), values (B, n, d), weight (d, d), bias (d), inside (n, C) -> (B, C, d).

    Args:
        e: exponentials of the scores; those of who is not there are not read.
        present: which tokens are there, or None for all.
        values: the heads side by side.
        weight: of the output projection.
        bias: of the output projection.
        inside: bool, which tokens a subset holds.
    """
    (b, h, n, _), d, c = e.shape, values.shape[2], inside.shape[1]
    padded = values.new_zeros(n, -(-c // PADDING) * PADDING)  # whole vectors of subsets; those past the last are empty
    padded[:, :c] = inside
    there = values.new_ones(0) if present is None else present.to(values.dtype)
    each = values.new_zeros(d) if bias is None else bias / h  # the weights of a subset sum to h
    found = values.new_empty(b, c, d)
    _call("blend", (b, n, 0, h, d, c, padded.shape[1], 0), (e, there, values, weight.T, each, padded, found))
    return found


def _call(name: str, sizes: tuple[int, ...], tensors: tuple[Tensor, ...], number: float = 0.0) -> None:
    """Let the module work on tensors; the last ones are written, and lie in one piece."""
    given = [t.contiguous() for t in tensors]  # held until the work is done
    addresses = tuple(t.data_ptr() if t.numel() else 0 for t in given)
    getattr(_mixed, name)(tensors[0].dtype == torch.float64, (number,), sizes, addresses)
