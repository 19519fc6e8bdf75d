"""What the colours of a matrix stand for: the true ends of the scale, said aloud beside it.

A map is never stretched to its own least and greatest value: that would make noise look like a pattern. It begins
at zero and ends at a round number; signed values reach equally far to both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from intermodal.report.catalogue import WORDS, say
from intermodal.report.figures import decimals, figure, finite
from intermodal.report.scale import round_up


@dataclass(frozen=True)
class Domain:
    """The ends of a colour scale, and the least and greatest value really there.

    Example:
        >>> domain([0.1, 0.62]).high, domain([-3.0, 1.0]).low
        (1.0, -5.0)
    """

    low: float
    high: float
    least: float
    greatest: float
    empty: bool = False

    @property
    def signed(self) -> bool:
        """Whether the scale has two arms."""
        return self.low < 0

    def share(self, value: float) -> float:
        """Return how strong `value` is: 0 to 1, or -1 to 1 on a signed scale."""
        return max(-1.0 if self.signed else 0.0, min(1.0, value / self.high))

    def level(self, value: float) -> int:
        """Return which of the 256 colours shows `value`; 128 is zero on a signed scale."""
        return 128 + round(127 * self.share(value)) if self.signed else round(255 * self.share(value))

    def ends(self) -> tuple[str, str]:
        """Return both ends as short texts."""
        return f"{self.low:.12g}", f"{self.high:.12g}"

    def sentence(self) -> str:
        """Say the ends of the scale and the extremes of the values."""
        if self.empty:
            return WORDS["nothing_to_colour"]
        low, high = self.ends()
        digits = decimals([self.least, self.greatest])
        least, greatest = figure(self.least, digits), figure(self.greatest, digits)
        return say("domain", low=low, high=high) + " " + say("observed", low=least, high=greatest)


def domain(values: Iterable[object], ends: Sequence[float] | None = None) -> Domain:
    """Return the colour scale for `values`; gaps and infinities are skipped.

    Args:
        values: what is to be coloured.
        ends: the low and the high end, where what is measured has ends of its own, as a share has 0 and 1.

    Example:
        >>> domain([0.25, 0.75]).sentence()
        'Colour runs from 0 to 1. The values here run from 0.250 to 0.750.'
    """
    numbers = finite(values)
    if not numbers:
        return Domain(0.0, 1.0, 0.0, 0.0, empty=True)
    least, greatest = min(numbers), max(numbers)
    largest = max(abs(least), abs(greatest))
    if ends is not None:
        return Domain(float(ends[0]), float(ends[1]), least, greatest)
    high = round_up(largest) if largest > 0 else 1.0
    return Domain(-high if least < 0 else 0.0, high, least, greatest)
