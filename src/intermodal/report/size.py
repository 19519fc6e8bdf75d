"""A report that is too large to open is refused, with the block that makes it so."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

_MB = 1_000_000
WARN_MB = 5


class ReportTooLarge(ValueError):
    """The report would be larger than `max_mb`; the message names the largest block."""


class LargeReportWarning(UserWarning):
    """The report is above 5 MB; the message names the largest block."""


def check_size(size: int, max_mb: float, blocks: Sequence[tuple[str, int]] = ()) -> None:
    """Raise when `size` is above `max_mb` megabytes.

    Args:
        size: bytes of the whole report.
        max_mb: the most megabytes of 10^6 bytes.
        blocks: kind and bytes of each block, where they are known.

    Raises:
        ReportTooLarge: with the size, the largest block and what to do.

    Example:
        >>> check_size(3_000_000, 2, [("text", 100), ("matrix", 2_900_000)])
        Traceback (most recent call last):
        ...
        intermodal.report.size.ReportTooLarge: a report must be at most 2 MB, however: it has 3.0 MB, of which
        blocks[1] (matrix) has 2.9 MB; show fewer rows there, or raise max_mb
    """
    if size <= max_mb * _MB:
        return
    message = f"a report must be at most {max_mb:g} MB, however: it has {_mb(size)} MB"
    there = f"{_largest(blocks)}; show fewer rows there" if blocks else "; show fewer rows"
    raise ReportTooLarge(f"{message}{there}, or raise max_mb")


def warn_large(size: int, blocks: Sequence[tuple[str, int]]) -> None:
    """Warn that a report is large, with the block that makes it so.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as told:
        ...     warnings.simplefilter("always")
        ...     warn_large(6_000_000, [("timeline", 5_900_000)])
        >>> print(told[0].message)
        the report has 6.0 MB, of which blocks[0] (timeline) has 5.9 MB; a browser may open it slowly
    """
    message = f"the report has {_mb(size)} MB{_largest(blocks)}; a browser may open it slowly"
    warnings.warn(message, LargeReportWarning, stacklevel=3)


def _largest(blocks: Sequence[tuple[str, int]]) -> str:
    index = max(range(len(blocks)), key=lambda i: blocks[i][1])
    kind, largest = blocks[index]
    return f", of which blocks[{index}] ({kind}) has {_mb(largest)} MB"


def _mb(size: int) -> str:
    return f"{size / _MB:.1f}" if size >= 100_000 else f"{size / _MB:.2g}"
