"""One sample of a file, by --row or by --id."""

from __future__ import annotations

from collections.abc import Sequence

from intermodal.errors import InputError, did_you_mean

_LOOKED_AT = 1000
"""Ids among which a misspelt one is sought."""


def row_of(ids: Sequence[str] | None, n: int, row: int | None, name: str | None, kind: str) -> int:
    """Return the row of the sample that is asked for.

    Args:
        ids: what each is called; None where they have no ids.
        n: how many there are.
        row: as --row says it.
        name: as --id says it; it counts where both are given.
        kind: what one of them is: "video", "clip".

    Raises:
        InputError: there is no such row or id.

    Example:
        >>> row_of(["a", "b"], 2, None, "b", "clip")
        1
    """
    if name is None:
        if row is None or row >= n:
            raise InputError(f"--row is below the number of {kind}s, {n}, however: {row}")
        return row
    if ids is None:
        raise InputError(f'--id needs ids in the data, however: there are none; use --row, not --id "{name}"')
    if name not in ids:
        raise InputError(f'--id is the id of a {kind}, however: "{name}"' + did_you_mean(name, ids[:_LOOKED_AT]))
    return ids.index(name)
