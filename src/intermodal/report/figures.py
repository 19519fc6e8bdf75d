"""Numbers as people read them: equal decimals down a column, every printed digit right.

Python's own formatting rounds the exact binary value, so the last printed digit is the right one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real

from intermodal.report.catalogue import WORDS


def is_number(value: object) -> bool:
    """Say whether `value` is a number and not a truth value.

    Example:
        >>> is_number(0.5), is_number(True), is_number("0.5")
        (True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def finite(values: Iterable[object]) -> list[float]:
    """Return the finite numbers among `values` as floats.

    Example:
        >>> finite([1, None, float("nan"), 2.5, "x"])
        [1.0, 2.5]
    """
    return [float(v) for v in values if isinstance(v, Real) and is_number(v) and math.isfinite(v)]


def decimals(values: Iterable[object]) -> int:
    """Return how many decimals show a column of numbers well; 0 when it holds integers only.

    Example:
        >>> decimals([0.853, 0.5]), decimals([0.0123]), decimals([12.5]), decimals([3, 4])
        (3, 4, 2, 0)
    """
    floats = finite(v for v in values if not isinstance(v, Integral))
    largest = max((abs(v) for v in floats), default=0.0)
    if not floats:
        return 0
    if largest == 0:
        return 3
    exponent = math.floor(math.log10(largest))
    return max(0, 3 - exponent) if exponent >= 0 else min(6, 2 - exponent)


def figure(value: object, digits: int) -> str:
    """Return one cell as text, with `digits` decimals where it is a float.

    A number other than 0 is never shown as 0: when it would round to 0 it is shown with two significant
    digits instead. Numbers of a million and more are shown with four significant digits.

    Example:
        >>> [figure(v, 3) for v in (0.5, -0.25, 7, 0.00012, 0.0, 2e9, None, float("nan"), True, "text")]
        ['0.500', '-0.250', '7', '0.00012', '0.000', '2.000e+09', '–', 'NaN', 'yes', 'text']
    """
    if value is None:
        return WORDS["missing"]
    if isinstance(value, bool):
        return WORDS["yes" if value else "no"]
    if isinstance(value, Integral):
        return str(int(value)) if abs(int(value)) < 10**15 else f"{float(value):.4g}"
    if isinstance(value, Real):
        return _real(float(value), digits)
    return str(value)


def _real(number: float, digits: int) -> str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    if abs(number) >= 1e6:
        return f"{number:.3e}"
    shown = f"{number:.{digits}f}"
    if number != 0 and float(shown) == 0:
        return f"{number:.2g}"
    return f"{0.0:.{digits}f}" if number == 0 else shown


def exact(value: object) -> str:
    """Return a number with all its digits (the shortest text that reads back equal); "" for a gap.

    Example:
        >>> exact(0.1), exact(3), exact(None)
        ('0.1', '3', '')
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    return repr(float(value)) if isinstance(value, Real) and is_number(value) else ""


def reasons(values: Iterable[object]) -> tuple[str, ...]:
    """Return one sentence for each sort of gap among `values`, so that none is left unexplained.

    Example:
        >>> reasons([1.0, None])
        ('– stands where no value was given.',)
    """
    kinds = set()
    for value in values:
        if value is None:
            kinds.add("why_missing")
        elif isinstance(value, Real) and math.isnan(value):
            kinds.add("why_nan")
        elif isinstance(value, Real) and math.isinf(value):
            kinds.add("why_infinite")
    return tuple(WORDS[key] for key in ("why_missing", "why_nan", "why_infinite") if key in kinds)
