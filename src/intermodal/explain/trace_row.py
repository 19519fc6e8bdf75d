"""One query asks its keys: the arithmetic of attention, exact, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from intermodal.explain.trace_numbers import Number, Sum, quotient, root_of

STAGES = ("score", "scaled", "shifted", "exp", "sum", "weight", "product", "output")


@dataclass(frozen=True)
class Scaling:
    """The factor before the softmax: `factor` times the root of `m`."""

    name: str
    symbol: str
    factor: Fraction
    m: int

    def of(self, number: Fraction) -> Number:
        """Scale one number."""
        return root_of(number * self.factor, self.m)


@dataclass(frozen=True)
class Row:
    """What one query sees, under one scaling.

    Attributes:
        scores: q·k of each key, before scaling.
        keep: True where the query may look.
        scaled, shifted: of each key; None where it may not look.
        largest: the largest scaled score; None where there is nobody to look at.
        exps, weights: of each key; 0 where it may not look.
        total: the sum of the exponentials.
        products: weight times value, of each key and each part of the value; None without values.
        output: the sum of the products; None without values.
    """

    scores: tuple[Fraction, ...]
    keep: tuple[bool, ...]
    scaled: tuple[Number | None, ...]
    largest: Number | None
    shifted: tuple[Number | None, ...]
    exps: tuple[Number, ...]
    total: Number
    weights: tuple[Number, ...]
    products: tuple[tuple[Number, ...], ...] | None
    output: tuple[Number, ...] | None


def attended(
    scores: Sequence[Fraction],
    keep: Sequence[bool],
    values: Sequence[Sequence[Fraction]] | None,
    scaling: Scaling,
) -> Row:
    """Compute one row of attention.

    Example:
        >>> row = attended([Fraction(3), Fraction(3)], [True, True], [[Fraction(1)], [Fraction(2)]], UNSCALED)
        >>> row.weights, row.output
        ((Fraction(1, 2), Fraction(1, 2)), (Fraction(3, 2),))
    """
    seen = [score for score, kept in zip(scores, keep, strict=True) if kept]
    top = max(seen, default=Fraction(0))
    factor, m = scaling.factor, scaling.m
    whole = root_of(Fraction(1), m)
    if isinstance(whole, Fraction):  # the exponents are fractions: no root is left in them
        factor, m = factor * whole, 1
    exponents = [(score - top) * factor if kept else None for score, kept in zip(scores, keep, strict=True)]
    one = Sum.of([(Fraction(0), Fraction(1))], m)
    total = Sum.of([(x, Fraction(1)) for x in exponents if x is not None], m)

    def share(parts: Iterable[tuple[int, Fraction]], bottom: Sum) -> Number:
        """Return the sum over keys of a part times its exponential, over `bottom`; with nobody to look at, 0."""
        terms = [(x, part) for j, part in parts if (x := exponents[j]) is not None]
        return quotient(terms, bottom) if seen else Fraction(0)

    keys = range(len(scores))
    products = output = None
    if values is not None:
        products = tuple(tuple(share([(j, part)], total) for part in values[j]) for j in keys)
        output = tuple(share(enumerate(column), total) for column in zip(*values, strict=True))
    return Row(
        scores=tuple(scores),
        keep=tuple(keep),
        scaled=tuple(scaling.of(score) if kept else None for score, kept in zip(scores, keep, strict=True)),
        largest=scaling.of(top) if seen else None,
        shifted=tuple(None if x is None else root_of(x, m) for x in exponents),
        exps=tuple(share([(j, Fraction(1))], one) for j in keys),
        total=share([(j, Fraction(1)) for j in keys], one),
        weights=tuple(share([(j, Fraction(1))], total) for j in keys),
        products=products,
        output=output,
    )


UNSCALED = Scaling("unscaled", "1", Fraction(1), 1)


def scaling_of(width: int, scale: bool | float | Fraction) -> Scaling:
    """Return 1 / root(width) for True, 1 for False, or the number itself."""
    if scale is True:
        return Scaling("scaled", f"1/√{width}", Fraction(1, width), width)
    if scale is False:
        return UNSCALED
    factor = Fraction(scale)
    return Scaling("scaled", str(factor) if factor.denominator < 1000 else f"{float(factor):.6g}", factor, 1)
