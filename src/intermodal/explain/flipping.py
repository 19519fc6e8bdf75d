"""Does the choice of the better ranking depend on how a modality is taken away?

Shapes: N samples, M modalities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from intermodal.errors import InputError
from intermodal.explain.coalitions import Coalitions, check_table
from intermodal.explain.curves import RANDOM, Measure, deletion_curves
from intermodal.explain.ranks import SAME, mean_and_error


@dataclass(frozen=True)
class RankingFlips:
    """The pairs of rankings whose order two rules of removal turn round.

    Attributes:
        rules: the two rules.
        pairs: one dict a pair: `first` (ahead under the first rule), `second`, `under_first` and `under_second` (by
            how much the deletion area of `first` is lower, and the standard error of that), `clear` (both beyond two
            standard errors).
    """

    rules: tuple[str, str]
    pairs: tuple[dict[str, Any], ...]

    @property
    def text(self) -> str:
        """The finding in words."""
        here, there = self.rules
        if not self.pairs:
            return f"{here} and {there} put the rankings in the same order"
        clear = [
            f'"{pair["first"]}" is the better ranking under {here}, and "{pair["second"]}" under {there}'
            for pair in self.pairs
            if pair["clear"]
        ]
        if not clear:
            return f"{here} and {there} differ only where the differences lie within two standard errors: no claim"
        return "the removal rule decides here: " + "; ".join(clear) + " (both by more than two standard errors)"


def ranking_flips(
    first: Coalitions,
    second: Coalitions,
    scores: Mapping[str, np.ndarray] | None = None,
    *,
    measure: Measure = "value",
) -> RankingFlips:
    """Compare rankings by their deletion areas under two rules of removal, on the same samples.

    Args:
        first: the table under one rule.
        second: the table under another.
        scores: further rankings, as in `deletion_curves`.
        measure: as in `deletion_curves`.

    Returns:
        The pairs of rankings that change places.

    Raises:
        InputError: the tables do not belong together, or what `deletion_curves` refuses.

    Relation: `compare_rules` asks the same of the modalities and their worth.

    Example:
        >>> from intermodal.explain.coalitions import Coalitions
        >>> def game(a, b, removal):
        ...     v = np.array([[0.0], [a], [b], [a + b]]).repeat(3, 1)
        ...     return Coalitions(("a", "b"), v, removal, np.ones((3, 2), dtype=bool), "prediction", 4)
        >>> scores = {"a first": np.array([[2.0, 1.0]] * 3), "b first": np.array([[1.0, 2.0]] * 3)}
        >>> flips = ranking_flips(game(2.0, 1.0, "mask"), game(1.0, 2.0, "mean"), scores)
        >>> [(pair["first"], pair["second"]) for pair in flips.pairs]
        [('a first', 'b first')]
    """
    check_table(first)
    check_table(second)
    if first.names != second.names or first.present.shape != second.present.shape:
        shapes = f"{first.present.shape} and {second.present.shape}"
        raise InputError(f"two rules are compared on the same modalities and samples, however: {shapes}")
    if first.removal == second.removal:
        raise InputError(f'two rules of removal are compared, however: both tables used "{first.removal}"')
    here, there = (deletion_curves(table, scores, measure=measure).deletion_areas for table in (first, second))
    pairs = [_turned(a, b, here, there) for a, b in combinations([name for name in here if name != RANDOM], 2)]
    return RankingFlips((first.removal, second.removal), tuple(pair for pair in pairs if pair is not None))


def _turned(a: str, b: str, here: Mapping[str, np.ndarray], there: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """The pair, when its mean difference changes its sign; a low area is ahead."""
    one, other = mean_and_error(here[b] - here[a]), mean_and_error(there[b] - there[a])
    close = SAME * max(float(np.abs(x[n]).max()) for x in (here, there) for n in (a, b))
    if one[0] * other[0] >= 0 or min(abs(one[0]), abs(other[0])) <= close:
        return None
    if one[0] < 0:
        a, b, one, other = b, a, (-one[0], one[1]), (-other[0], other[1])
    clear = all(error is not None and abs(mean) > 2 * error for mean, error in (one, other))
    return {"first": a, "second": b, "under_first": one, "under_second": other, "clear": clear}
