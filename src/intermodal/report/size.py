"""A report that is too large to open is refused, with the block that makes it so."""

from __future__ import annotations

from collections.abc import Sequence

_MB = 1_000_000


class ReportTooLarge(ValueError):
    """The report would be larger than `max_mb`; the message names the largest block."""


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
    if blocks:
        index = max(range(len(blocks)), key=lambda i: blocks[i][1])
        kind, largest = blocks[index]
        message += f", of which blocks[{index}] ({kind}) has {_mb(largest)} MB; show fewer rows there, or raise max_mb"
    else:
        message += "; show fewer rows, or raise max_mb"
    raise ReportTooLarge(message)


def _mb(size: int) -> str:
    return f"{size / _MB:.1f}" if size >= 100_000 else f"{size / _MB:.2g}"
