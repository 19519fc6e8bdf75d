"""Numbers that can be written right to any digit: fractions, roots, and quotients of sums of exponentials.

Every number in a trace is one of three kinds. A `Fraction` is exact. A `Surd` is a fraction times a square root. A
`Quotient` is a sum of fractions times exponentials, divided by another such sum. Rounding asks on which side of the
middle between two decimals a number lies, and that has an answer: by the theorem of Lindemann and Weierstrass a sum
of fractions times exponentials of different algebraic numbers is 0 only when every fraction is 0. So a number that is
not an exact decimal is never in the middle, and enough digits always decide.

Source: Ziv 1991, Fast evaluation of elementary mathematical functions with correctly rounded last bit (raise the
precision until the rounding is plain); Baker 1975, Transcendental Number Theory, chapter 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from math import isqrt

Terms = tuple[tuple[Fraction, Fraction], ...]
"""Pairs (x, c) of different x: the sum of c * e^(x * sqrt(m))."""

_SMALLEST = 999
_HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Surd:
    """`factor` times the square root of `m`, where m is no square: irrational unless `factor` is 0."""

    factor: Fraction
    m: int


@dataclass(frozen=True, eq=False)
class Sum:
    """A sum of fractions times different exponentials, the largest first; equal only to itself, so it can be cached."""

    terms: Terms
    m: int

    @classmethod
    def of(cls, terms: Iterable[tuple[Fraction, Fraction]], m: int) -> Sum:
        """Add what stands before equal exponentials, and drop zeros."""
        sums: dict[Fraction, Fraction] = {}
        for x, c in terms:
            sums[x] = sums.get(x, Fraction(0)) + c
        return cls(tuple((x, sums[x]) for x in sorted(sums, reverse=True) if sums[x]), m)


@dataclass(frozen=True)
class Quotient:
    """A sum of exponentials of at most 1 over another of which one is 1: irrational."""

    top: Sum
    bottom: Sum


Number = Fraction | Surd | Quotient


def root_of(factor: Fraction, m: int) -> Number:
    """Return `factor` times the square root of `m`.

    Example:
        >>> root_of(Fraction(3), 4), root_of(Fraction(3), 2)
        (Fraction(6, 1), Surd(factor=Fraction(3, 1), m=2))
    """
    whole = isqrt(m)
    if whole * whole == m or factor == 0:
        return factor * whole
    return Surd(factor, m)


def quotient(top: Iterable[tuple[Fraction, Fraction]], bottom: Sum) -> Number:
    """Return a quotient of sums of exponentials, as a fraction where it is one.

    Example:
        >>> both = Sum.of([(Fraction(0), Fraction(2)), (Fraction(-1), Fraction(2))], 1)
        >>> quotient([(Fraction(0), Fraction(1)), (Fraction(-1), Fraction(1))], both)
        Fraction(1, 2)
    """
    above = Sum.of(top, bottom.m)
    if not above.terms:
        return Fraction(0)
    share = above.terms[0][1] / bottom.terms[0][1]
    if len(above.terms) == len(bottom.terms) and all(
        x == y and c == share * d for (x, c), (y, d) in zip(above.terms, bottom.terms, strict=True)
    ):
        return share
    return Quotient(above, bottom)


def rounded(number: Number, decimals: int) -> tuple[int, bool]:
    """Return the integer nearest to `number` times 10^decimals, and whether that is exact; ties go to the even one.

    Example:
        >>> rounded(Fraction(2, 3), 4), rounded(Surd(Fraction(1), 2), 5), rounded(Fraction(5, 2), 0)
        ((6667, False), (141421, False), (2, False))
    """
    if isinstance(number, Fraction):
        scaled = number * 10**decimals
        return round(scaled), scaled.denominator == 1
    if isinstance(number, Surd):
        square = (number.factor * 10**decimals) ** 2 * number.m  # irrational: never in the middle
        size = (isqrt(int(4 * square)) + 1) // 2
        return (size if number.factor > 0 else -size), False
    near = _near(number, decimals)
    nearest = int(near.to_integral_value(context=_context(near.adjusted() + 40)))
    if abs(abs(near - nearest) - Decimal("0.5")) > Decimal("1e-9"):
        return nearest, False
    middle = Fraction(round(2 * Fraction(near)), 2)  # too near to see: ask on which side it lies
    line = middle / 10**decimals
    side = sign([*number.top.terms, *((x, -line * c) for x, c in number.bottom.terms)], number.top.m)
    return int(middle + _HALF * side), False


def written(number: Number, digits: int) -> str:
    """Return `number` as a decimal whose every digit is right.

    An exact decimal stands bare; any other has `digits` decimals. What would round to 0 and is not 0 is shown with two
    significant digits.

    Example:
        >>> [written(n, 4) for n in (Fraction(1, 2), Fraction(2, 3), Fraction(-1, 70000), Fraction(0))]
        ['0.5', '0.6667', '-1.4e-5', '0']
    """
    whole, exact = rounded(number, digits)
    if whole == 0 and not exact:
        return _tiny(number, digits)
    text = f"{abs(whole):0{digits + 1}d}"
    text = f"{text[: len(text) - digits]}.{text[len(text) - digits :]}" if digits else text
    if exact and digits:
        text = text.rstrip("0").rstrip(".")
    return "-" * (whole < 0) + text


def nearest_float(number: Number) -> float:
    """Return the float64 nearest to `number`.

    Example:
        >>> nearest_float(Surd(Fraction(1), 2)) == 2 ** 0.5
        True
    """
    if isinstance(number, Fraction):
        return float(number)
    for decimals in (40, 400):
        whole, _ = rounded(number, decimals)
        if abs(whole) > 10**24 or decimals == 400:
            return float(Fraction(whole, 10**decimals))
    raise AssertionError


def sign(terms: Iterable[tuple[Fraction, Fraction]], m: int) -> int:
    """Return the sign of a sum of exponentials: -1, 0 or 1, decided and not estimated.

    Example:
        >>> sign([(Fraction(0), Fraction(1)), (Fraction(-100), Fraction(-(10**43)))], 1)
        1
        >>> sign([(Fraction(0), Fraction(1)), (Fraction(-100), Fraction(-(10**44)))], 1)
        -1
    """
    gathered = Sum.of(terms, m).terms
    if not gathered:
        return 0
    top = gathered[0][0]
    shifted = Sum(tuple((x - top, c) for x, c in gathered), m)
    precision = 80
    while True:
        value, error = _sum(shifted, precision)
        if abs(value) > error:
            return 1 if value > 0 else -1
        precision *= 2


def _near(number: Quotient, decimals: int) -> Decimal:
    """Return `number` times 10^decimals with an absolute error below 1e-9."""
    top, bottom = number.top, number.bottom
    largest = max(abs(c) for _, c in top.terms) * len(top.terms) * len(bottom.terms) ** 2
    need = decimals + 25 + len(str(int(largest)))
    precision = 80
    while precision < need:
        precision *= 2
    above, below = _sum(top, precision)[0], _sum(bottom, precision)[0]
    context = _context(precision)
    return context.divide(above, below).scaleb(decimals, context)


@lru_cache(maxsize=8192)
def _sum(parts: Sum, precision: int) -> tuple[Decimal, Decimal]:
    """Return a sum of exponentials of at most 1, and a bound of its error."""
    context = _context(precision)
    total, largest = Decimal(0), Decimal(0)
    for x, c in parts.terms:
        factor = _decimal(c, precision)
        total = context.add(total, context.multiply(factor, _exponential(x, parts.m, precision)))
        largest = max(largest, abs(factor))
    # An exponent below 3 * precision has an error of less than 10^(3 - precision) * precision: 10^7 covers all of it.
    return total, context.scaleb(context.multiply(largest, Decimal(len(parts.terms))), 7 - precision)


@lru_cache(maxsize=8192)
def _exponential(x: Fraction, m: int, precision: int) -> Decimal:
    context = _context(precision)
    exponent = context.multiply(_decimal(x, precision), context.sqrt(Decimal(m)))
    return Decimal(0) if exponent < -3 * precision else context.exp(exponent)  # e^(-3p) < 10^(-p)


def _decimal(value: Fraction, precision: int) -> Decimal:
    return _context(precision).divide(Decimal(value.numerator), Decimal(value.denominator))


def _context(precision: int) -> Context:
    return Context(prec=max(precision, 1), Emin=MIN_EMIN, Emax=MAX_EMAX)


def _tiny(number: Number, digits: int) -> str:
    decimals = max(digits, 1)
    while decimals < _SMALLEST:
        decimals = min(2 * decimals, _SMALLEST)
        size = len(str(abs(rounded(number, decimals)[0])))
        if size >= 2:
            place = decimals - size + 2
            whole, _ = rounded(number, place)
            place, whole = (place - 1, whole // 10) if abs(whole) == 100 else (place, whole)
            return f"{'-' * (whole < 0)}{abs(whole) // 10}.{abs(whole) % 10}e-{place - 1}"
    below = _is_below_zero(number)
    return f">-1e-{_SMALLEST - 1}" if below else f"<1e-{_SMALLEST - 1}"


def _is_below_zero(number: Number) -> bool:
    if isinstance(number, Quotient):
        return sign(number.top.terms, number.top.m) < 0
    return (number if isinstance(number, Fraction) else number.factor) < 0
