"""Comprehensiveness and sufficiency: does the prediction fall without the top modalities, and stand on them alone?

Shapes: N samples, M modalities, K sizes of the rationale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from intermodal.errors import InputError
from intermodal.explain.coalitions import Coalitions, check_table
from intermodal.explain.curves import Measure, ranking_curves, rankings_of
from intermodal.explain.ranks import mean_and_error


@dataclass(frozen=True)
class Eraser:
    """What the top k modalities of a ranking hold.

    Comprehensiveness is p(x) - p(x without them): high is good. Sufficiency is p(x) - p(them alone): low is good.

    Attributes:
        sizes: (K,) the sizes k of the rationale.
        comprehensiveness: ranking -> (N, K), NaN where a sample has no more than k modalities.
        sufficiency: ranking -> (N, K).
        removal: how a modality was taken away.

    Source: DeYoung et al. 2020, ERASER, section 4.2.
    """

    sizes: tuple[int, ...]
    comprehensiveness: dict[str, np.ndarray]
    sufficiency: dict[str, np.ndarray]
    removal: str

    def rows(self) -> list[dict[str, Any]]:
        """Return one dict a ranking.

        Returns:
            `ranking`, `comprehensiveness` and `sufficiency` (means over sizes and samples: the area over the
            perturbation curve), each with `_error`, its standard error (None for one sample).
        """
        rows = []
        for name in self.comprehensiveness:
            row: dict[str, Any] = {"ranking": name}
            for key in ("comprehensiveness", "sufficiency"):
                row[key], row[f"{key}_error"] = mean_and_error(np.nanmean(getattr(self, key)[name], 1))
            rows.append(row)
        return rows

    @property
    def text(self) -> str:
        """The finding in words, one line a ranking."""
        return "\n".join(
            f"{row['ranking']}: the prediction falls by {row['comprehensiveness']:.3g} without the top modalities and "
            f"by {row['sufficiency']:.3g} on them alone"
            for row in self.rows()
        )


def eraser(
    table: Coalitions,
    scores: Mapping[str, np.ndarray] | None = None,
    *,
    sizes: Sequence[int] | None = None,
    measure: Measure = "value",
) -> Eraser:
    """Measure comprehensiveness and sufficiency of rankings over modalities, from the table of all subsets.

    Args:
        table: the prediction for every subset of modalities.
        scores: ranking -> (N, M), as in `deletion_curves`, where also ties are settled.
        sizes: growing numbers of top modalities; 1 to M - 1 by default.
        measure: as in `deletion_curves`.

    Returns:
        Both numbers for each sample and size; `rows()` averages them.

    Raises:
        InputError: sizes that do not grow between 1 and M - 1, or what `deletion_curves` refuses.

    Source: DeYoung et al. 2020, ERASER (arXiv 1911.03429), section 4.2; the average over sizes is that of its code.

    Relation: with v(all) subtracted, these are the inner points of the deletion and of the insertion curve.

    Example:
        >>> from intermodal.explain.coalitions import Coalitions
        >>> v = np.array([[0.0], [3.0], [1.0], [4.0]])
        >>> game = Coalitions(("a", "b"), v, "mask", np.ones((1, 2), dtype=bool), "prediction", 4)
        >>> row = eraser(game).rows()[0]
        >>> row["ranking"], row["comprehensiveness"], row["sufficiency"]
        ('Shapley', 3.0, 1.0)
    """
    check_table(table)
    most = len(table.names)
    sizes = tuple(range(1, most)) if sizes is None else tuple(sizes)
    if (not sizes and most > 1) or list(sizes) != sorted(set(sizes)) or any(not 1 <= k < most for k in sizes):
        raise InputError(f"sizes grow, between 1 and {most - 1}, however: {sizes=}")
    u, used, rankings = rankings_of(table, scores, measure)
    present = table.present[used]
    fits = present.sum(1)[:, None] > np.array(sizes)
    if not fits.any(1).all():
        raise InputError(
            f"every sample with two modalities has more than the smallest size, however: {min(sizes)=}; start at 1"
        )
    without, alone = {}, {}
    for name, given in rankings.items():
        deletion, insertion = ranking_curves(u, given, present)
        whole = deletion[:, :1]
        without[name] = np.where(fits, whole - deletion[:, sizes], np.nan)
        alone[name] = np.where(fits, whole - insertion[:, sizes], np.nan)
    return Eraser(sizes, without, alone, table.removal)
