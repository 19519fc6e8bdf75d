"""What a text looks like in each stream, known beforehand from a closed form: see `TextLine`.

Shapes: N videos, R rows (a query and its video), D width of a stream.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from intermodal.data.samples import Samples
from intermodal.find.text_line import TextLine


def fit_lines(
    texts: Sequence[str],
    samples: Samples,
    of_video: np.ndarray,
    spans: Sequence[np.ndarray],
    rows: np.ndarray,
    *,
    groups: np.ndarray | None = None,
) -> tuple[dict[str, TextLine], dict[str, np.ndarray]]:
    """Fit a line for each stream, and say where it looks for every row.

    Args:
        texts: of each row; none where queries are no texts, and then there are no lines.
        samples: N videos, scaled, one token a clip.
        of_video: (R,) the row of each row's video.
        spans: for each row (k, 2) clips.
        rows: those to fit on. For them the line says what it would have said without having seen their videos.
        groups: (N,) videos that are not torn apart.

    Returns:
        A line for each stream in which one of these rows happens, and its directions (R, D).

    Example:
        >>> films = Samples({"v": [np.eye(3)[[0, 1, 2]]] * 4})
        >>> lines, directions = fit_lines(["a"] * 4, films, np.arange(4), [np.array([[0.0, 1.0]])] * 4, np.arange(4))
        >>> list(lines), directions["v"].shape, int(directions["v"][0].argmax())
        (['v'], (4, 3), 0)
    """
    lines: dict[str, TextLine] = {}
    directions: dict[str, np.ndarray] = {}
    if not len(texts):
        return lines, directions
    for name in samples.names:
        stream = samples.modality(name)
        if stream.offsets is None:
            continue
        cuts = zip(stream.offsets[:-1], stream.offsets[1:], strict=True)
        films = [stream.values[first:last] if last > first else None for first, last in cuts]
        if not any(len(spans[row]) and films[of_video[row]] is not None for row in rows):
            continue
        some = [texts[row] for row in rows]
        lines[name], crossed = TextLine.fit(some, films, of_video[rows], [spans[row] for row in rows], groups=groups)
        directions[name] = lines[name].directions(texts)
        directions[name][rows] = crossed
    return lines, directions
