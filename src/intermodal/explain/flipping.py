"""Does the story depend on how a modality is taken away? Two rules of removal, and every order that they turn round.

Shapes: N samples, M modalities, C = 2^M subsets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from intermodal.errors import InputError
from intermodal.explain.curves import RANDOM, Measure, deletion_curves
from intermodal.explain.ranks import SAME, mean_and_error
from intermodal.explain.shapley import values_of

if TYPE_CHECKING:
    from intermodal.explain.coalitions import Coalitions

Compared = tuple[float, float | None]


@dataclass(frozen=True)
class RemovalFlips:
    """The pairs whose order two rules of removal turn round.

    Attributes:
        rules: the two rules.
        pairs: one dict a pair: `kind` ("modality", by worth, or "ranking", by deletion area), `first` (ahead under
            the first rule), `second`, `under_first` and `under_second` (by how much `first` is ahead, and the
            standard error of that), `clear` (both beyond two standard errors).
    """

    rules: tuple[str, str]
    pairs: tuple[dict[str, Any], ...]

    @property
    def text(self) -> str:
        """The finding in words."""
        here, there = self.rules
        if not self.pairs:
            return f"{here} and {there} give the same order of modalities and of rankings"
        clear = [self._words(pair) for pair in self.pairs if pair["clear"]]
        if not clear:
            return f"{here} and {there} differ only where the differences lie within two standard errors: no claim"
        return "the removal rule decides here: " + "; ".join(clear) + " (both by more than two standard errors)"

    def _words(self, pair: dict[str, Any]) -> str:
        here, there = self.rules
        if pair["kind"] == "modality":
            return f'"{pair["first"]}" is worth more than "{pair["second"]}" under {here}, and less under {there}'
        return f'"{pair["first"]}" is the better ranking under {here}, and "{pair["second"]}" under {there}'


def removal_flips(
    first: Coalitions,
    second: Coalitions,
    scores: Mapping[str, np.ndarray] | None = None,
    *,
    measure: Measure = "value",
) -> RemovalFlips:
    """Compare two rules of removal on the same samples.

    Args:
        first: the table under one rule.
        second: the table under another.
        scores: further rankings, as in `deletion_curves`.
        measure: as in `deletion_curves`.

    Returns:
        The pairs of modalities (by mean absolute Shapley value) and of rankings (by deletion area) that change places.

    Raises:
        InputError: the tables do not belong together, or what `deletion_curves` refuses.

    Example:
        >>> from intermodal.explain.coalitions import Coalitions
        >>> def game(a, b, removal):
        ...     v = np.array([[0.0], [a], [b], [a + b]]).repeat(3, 1)
        ...     return Coalitions(("a", "b"), v, removal, np.ones((3, 2), dtype=bool), "prediction", 4)
        >>> removal_flips(game(2.0, 1.0, "mask"), game(1.0, 2.0, "mean")).text
        'the removal rule decides here: "a" is worth more than "b" under mask, and less under mean (both by more than
        two standard errors)'
    """
    if first.names != second.names or first.present.shape != second.present.shape:
        shapes = f"{first.present.shape} and {second.present.shape}"
        raise InputError(f"two rules are compared on the same modalities and samples, however: {shapes}")
    if first.removal == second.removal:
        raise InputError(f'two rules of removal are compared, however: both tables used "{first.removal}"')
    pairs = _turned("modality", _worth(first), _worth(second))
    areas = [deletion_curves(table, scores, measure=measure).deletion_areas for table in (first, second)]
    # A low deletion area is ahead; the random order is no ranking.
    ahead = [{name: -a for name, a in each.items() if name != RANDOM} for each in areas]
    return RemovalFlips((first.removal, second.removal), tuple(pairs + _turned("ranking", *ahead)))


def _worth(table: Coalitions) -> dict[str, np.ndarray]:
    size = np.abs(values_of(table.v))
    size = size.sum(2) if size.ndim == 3 else size
    return dict(zip(table.names, size.T, strict=True))


def _turned(kind: str, first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """The pairs of names whose mean difference changes its sign."""
    pairs = []
    for a, b in combinations(first, 2):
        here, there = mean_and_error(first[a] - first[b]), mean_and_error(second[a] - second[b])
        close = SAME * max(float(np.abs(x[n]).max()) for x in (first, second) for n in (a, b))
        if here[0] * there[0] >= 0 or min(abs(here[0]), abs(there[0])) <= close:
            continue
        if here[0] < 0:
            a, b, here, there = b, a, (-here[0], here[1]), (-there[0], there[1])
        clear = all(error is not None and abs(mean) > 2 * error for mean, error in (here, there))
        pairs.append(
            {"kind": kind, "first": a, "second": b, "under_first": here, "under_second": there, "clear": clear}
        )
    return pairs
