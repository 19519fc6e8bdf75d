"""Where a value stands on an axis, and which round numbers the axis shows.

Source: the 1-2-5 rule of Heckbert, "Nice numbers for graph labels", Graphics Gems (1990).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from intermodal.report.figures import figure, finite

_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """A linear axis from `low` to `high` with round ticks inside.

    Example:
        >>> Scale(0.0, 10.0, (0.0, 5.0, 10.0)).at(2.5)
        25.0
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Return the place of `value` in percent of the axis, never outside 0 to 100."""
        # Halves, because high - low may be larger than the largest float.
        span = self.high / 2 - self.low / 2
        if span <= 0:
            return 50.0
        return min(100.0, max(0.0, 100 * ((value / 2 - self.low / 2) / span)))

    def labels(self) -> list[str]:
        """Return the ticks as texts with equal decimals."""
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1.0
        digits = min(6, max(0, -math.floor(math.log10(step)))) if step > 0 else 0
        return [figure(tick, digits) for tick in self.ticks]


def scale(values: Iterable[object], *, include: Iterable[float] = (), n_ticks: int = 5) -> Scale:
    """Return the axis that holds every finite number of `values` and `include`.

    Args:
        values: what is drawn; what is not a finite number is skipped.
        include: numbers the axis must show too, such as 0. The axis ends exactly there if nothing lies beyond.
        n_ticks: about how many steps between ticks.

    Example:
        >>> axis = scale([1.0, 4.0], include=[0.0])
        >>> axis.low, axis.ticks
        (0.0, (0.0, 1.0, 2.0, 3.0, 4.0))
    """
    fixed = finite(include)
    numbers = finite(values) + fixed
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    if low == high:
        room = abs(low) / 2 or 1.0
        low, high = low - room, high + room
    margin = 0.05 * (high / 2 - low / 2) * 2
    low = low if low in fixed else max(-sys.float_info.max, low - margin)
    high = high if high in fixed else min(sys.float_info.max, high + margin)
    return Scale(low, high, _ticks(low, high, n_ticks))


def _ticks(low: float, high: float, n_ticks: int) -> tuple[float, ...]:
    span = high - low
    if not (math.isfinite(span) and span > sys.float_info.min * 1e4):
        return ()
    step = round_up(span / n_ticks)
    first, last = math.ceil(low / step), math.floor(high / step)
    return tuple(index * step for index in range(first, last + 1)) if last - first < 20 else ()


def round_up(value: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below the positive `value`.

    Example:
        >>> round_up(0.61), round_up(0.2), round_up(37.0)
        (1.0, 0.2, 50.0)
    """
    exponent = math.floor(math.log10(value))
    for step in _STEPS:
        # Parsing the decimal text gives the float nearest to it; 2 * 10**-1 would not for every power.
        rounded = float(f"{step:.0f}e{exponent}")
        if value <= rounded < math.inf:
            return rounded
    return value
