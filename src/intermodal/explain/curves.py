"""Take the modalities away in the order of a ranking, and put them back: a good ranking moves the prediction soon.

Everything is read from the table of all subsets: no further evaluation, and the random order is no draw but its exact
expectation over all orders.

Shapes: N samples, M modalities, O outputs, C = 2^M subsets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from intermodal.errors import InputError, did_you_mean
from intermodal.explain.coalitions import Coalitions, check_table
from intermodal.explain.ranks import SAME, mean_and_error, moved_by
from intermodal.explain.shapley_values import values_of

Measure = Literal["value", "nearness"]
RANDOM = "random"


@dataclass(frozen=True)
class Curves:
    """Deletion and insertion curves of several rankings, beside a random order.

    A low deletion area and a high insertion area speak for a ranking.

    Attributes:
        names: (M,) the modalities.
        removal: how a modality was taken away.
        measure: what the curves show: "value", or "nearness" to the whole prediction (0 with everything).
        share: (M + 1,) the share of a sample's modalities that was removed, or put back.
        deletion: ranking -> (M + 1,) mean over the samples; "random" is the expectation over all orders.
        insertion: ranking -> (M + 1,).
        band: "deletion" and "insertion" -> (M + 1,): two standard deviations of the random order's mean curve, when
            each sample draws its own order.
        deletion_areas: ranking -> (N,) area below the curve of each sample, its width taken as 1.
        insertion_areas: ranking -> (N,).
        left_out: samples with fewer than two modalities, which no ranking can order.

    Source: Petsiuk et al. 2018, RISE, section 4.2; over modalities, exact.
    """

    names: tuple[str, ...]
    removal: str
    measure: str
    share: np.ndarray
    deletion: dict[str, np.ndarray]
    insertion: dict[str, np.ndarray]
    band: dict[str, np.ndarray]
    deletion_areas: dict[str, np.ndarray]
    insertion_areas: dict[str, np.ndarray]
    left_out: int

    def compared(self, first: str, second: str = RANDOM) -> dict[str, Any]:
        """Compare two rankings sample by sample.

        Args:
            first: a ranking.
            second: another, or "random".

        Returns:
            `deletion` and `insertion`: by how much `first` is better, above 0 in both where it is;
            `deletion_error`, `insertion_error`: standard errors of these (None for one sample); `better`: both exceed
            two standard errors (None for one sample).

        Raises:
            InputError: there is no such ranking.
        """
        for name in (first, second):
            if name not in self.deletion_areas:
                raise InputError(
                    f'a ranking of these curves is compared, however: "{name}"'
                    + did_you_mean(name, self.deletion_areas)
                )
        down, down_error = mean_and_error(self.deletion_areas[second] - self.deletion_areas[first])
        up, up_error = mean_and_error(self.insertion_areas[first] - self.insertion_areas[second])
        close = SAME * max(np.abs(areas[RANDOM]).max() for areas in (self.deletion_areas, self.insertion_areas))
        better = None
        if down_error is not None and up_error is not None:
            better = bool(down > 2 * down_error + close and up > 2 * up_error + close)
        return {
            "deletion": down,
            "deletion_error": down_error,
            "insertion": up,
            "insertion_error": up_error,
            "better": better,
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return one dict a ranking: `ranking`, `deletion_area`, `insertion_area` and its `compared` to random."""
        return [
            {
                "ranking": name,
                "deletion_area": float(self.deletion_areas[name].mean()),
                "insertion_area": float(self.insertion_areas[name].mean()),
            }
            | {f"{key}_gain" if key in ("deletion", "insertion") else key: v for key, v in self.compared(name).items()}
            for name in self.deletion_areas
        ]

    @property
    def text(self) -> str:
        """The finding in words, one line a ranking."""
        if all(np.ptp(curve) == 0 for curve in (*self.deletion.values(), *self.insertion.values())):
            return "removing modalities never moves the prediction: there is nothing that a ranking could find"
        return "\n".join(_line(row) for row in self.rows() if row["ranking"] != RANDOM)


def _line(row: dict[str, Any]) -> str:
    areas = f"{row['ranking']}: deletion area {row['deletion_area']:.3g}, insertion area {row['insertion_area']:.3g}; "
    if row["better"] is None:
        return areas + "one sample, so nothing is known of the spread"
    gains = (
        f"{row['deletion_gain']:.2g} ± {row['deletion_error']:.1g} and "
        f"{row['insertion_gain']:.2g} ± {row['insertion_error']:.1g} (standard errors)"
    )
    return areas + ("better than a random order by " if row["better"] else "not better than a random order: ") + gains


def deletion_curves(
    table: Coalitions, scores: Mapping[str, np.ndarray] | None = None, *, measure: Measure = "value"
) -> Curves:
    """Draw the deletion and insertion curves of rankings over modalities, without evaluating anything anew.

    Deletion removes the highest score first, insertion starts from nothing and adds the highest first. Scores that tie
    are taken in every order at once: the curve is the mean over these orders. A modality that a sample lacks is no
    step of its curve.

    Args:
        table: the prediction for every subset of modalities.
        scores: ranking -> (N, M), the highest is taken first. "Shapley" and "leave-one-out" need not be given: they
            are read from the table.
        measure: "value" is the number in the table (of probabilities, that of the predicted class; a loss with its
            sign turned); rankings should be signed. "nearness" is minus the distance to the whole prediction (half
            the sum over several outputs); rankings should be sizes.

    Returns:
        The curves, the area of each sample, and the comparison with a random order.

    Raises:
        InputError: scores of the wrong shape or not finite, several outputs that are no probabilities under "value",
            or no sample with two modalities.

    Source: Petsiuk et al. 2018, RISE (arXiv 1806.07421), section 4.2.

    Relation: `eraser` reads the same curves as comprehensiveness and sufficiency.

    Example:
        >>> from intermodal.explain.coalitions import Coalitions
        >>> v = np.array([[0.0], [3.0], [1.0], [4.0]]).repeat(2, 1)  # two samples: 3 by a, 1 by b
        >>> game = Coalitions(("a", "b"), v, "mask", np.ones((2, 2), dtype=bool), "prediction", 4)
        >>> curves = deletion_curves(game, {"wrong": np.array([[0.0, 1.0]] * 2)})
        >>> {name: float(areas[0]) for name, areas in curves.deletion_areas.items()}
        {'Shapley': 1.5, 'leave-one-out': 1.5, 'wrong': 2.5, 'random': 2.0}
    """
    u, used, rankings = rankings_of(table, scores, measure)
    present = table.present[used]
    n_players = present.sum(1)
    curves = {name: ranking_curves(u, s, present) for name, s in rankings.items()}
    areas = [{name: _area(pair[side], n_players) for name, pair in curves.items()} for side in (0, 1)]
    means = [{name: _resampled(pair[side], n_players).mean(0) for name, pair in curves.items()} for side in (0, 1)]
    squares = ranking_curves(u * u, rankings[RANDOM], present)
    spread = [
        _resampled(np.sqrt(np.maximum(square - curve**2, 0.0)), n_players)
        for square, curve in zip(squares, curves[RANDOM], strict=True)
    ]
    band = [2 * np.sqrt((sd**2).sum(0)) / len(sd) for sd in spread]
    return Curves(
        names=table.names,
        removal=table.removal,
        measure=measure,
        share=np.linspace(0.0, 1.0, len(table.names) + 1),
        deletion=means[0],
        insertion=means[1],
        band={"deletion": band[0], "insertion": band[1]},
        deletion_areas=areas[0],
        insertion_areas=areas[1],
        left_out=int((~used).sum()),
    )


def rankings_of(
    table: Coalitions, scores: Mapping[str, np.ndarray] | None, measure: Measure
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return the game to walk through (C, n), which samples can be ordered (N,), and all rankings of these (n, M).

    Args: as `deletion_curves`.
    """
    u = measured(table, measure)
    used = table.present.sum(1) > 1
    if not used.any():
        raise InputError(
            "a ranking orders at least two modalities, however: no sample has more than one"
            if len(used)
            else "at least one sample is ranked, however: there is none"
        )
    everything = len(table.v) - 1
    without = [everything & ~(1 << i) for i in range(len(table.names))]
    if measure == "value":
        rankings = {"Shapley": values_of(u), "leave-one-out": (u[-1] - u[without]).T}
    else:
        rankings = {"Shapley": moved_by(values_of(table.v)), "leave-one-out": -u[without].T}
    for name, given in (scores or {}).items():
        given = np.asarray(given, dtype=np.float64)
        if given.shape != table.present.shape:
            raise InputError(
                f"scores are (samples, modalities) = {table.present.shape}, however: {name!r} is {given.shape}"
            )
        if not np.isfinite(given[table.present]).all():
            raise InputError(f"scores of modalities that are there are finite, however: {name!r} holds NaN or infinity")
        rankings[name] = given
    rankings[RANDOM] = np.zeros(table.present.shape)  # all tie: every order is equally likely
    return u[:, used], used, {name: given[used] for name, given in rankings.items()}


def measured(table: Coalitions, measure: Measure) -> np.ndarray:
    """Return the one number of each subset and sample that the curves follow, (C, N).

    Args:
        table: the prediction for every subset.
        measure: as in `deletion_curves`.

    Raises:
        InputError: unknown measure, or several outputs that are no probabilities under "value".

    Example:
        >>> from intermodal.explain.coalitions import Coalitions
        >>> game = Coalitions(("a",), np.array([[1.0], [4.0]]), "mask", np.ones((1, 1), dtype=bool), "prediction", 2)
        >>> measured(game, "value").tolist(), measured(game, "nearness").tolist()
        ([[1.0], [4.0]], [[-3.0], [-0.0]])
    """
    check_table(table)
    v = -table.v if table.of == "loss" else table.v
    if measure == "nearness":
        return -moved_by(v - v[-1])
    if measure != "value":
        raise InputError(
            f"measure is value or nearness, however: {measure=}" + did_you_mean(measure, ["value", "nearness"])
        )
    if v.ndim == 2:
        return v
    if not np.allclose(v[-1].sum(1), 1.0) or (v[-1] < 0).any():
        raise InputError(
            f"a curve of values follows one number, however: there are {v.shape[2]} outputs that are no "
            'probabilities; choose measure="nearness"'
        )
    return np.take_along_axis(v, v[-1].argmax(1)[None, :, None], 2)[:, :, 0]


def ranking_curves(u: np.ndarray, scores: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the deletion and the insertion curve of each sample.

    Args:
        u: (C, N) one number of each subset.
        scores: (N, M), the highest is taken first.
        present: (N, M) bool: the steps of a sample.

    Returns:
        Twice (N, M + 1): after k steps; NaN after a sample's last step.

    Example:
        >>> u, first_b = np.array([[0.0], [3.0], [1.0], [4.0]]), np.array([[1.0, 2.0]])
        >>> [curve.tolist() for curve in ranking_curves(u, first_b, np.ones((1, 2), dtype=bool))]
        [[[4.0, 3.0, 0.0]], [[0.0, 1.0, 4.0]]]
    """
    n, m = present.shape
    chance = _reached(scores, present)
    there = (present.astype(np.int64) << np.arange(m)).sum(1)
    rows = np.arange(n)
    deletion, insertion = np.zeros((2, n, m + 1))
    for s, here in enumerate(chance):
        deletion[:, s.bit_count()] += here * u[there & ~s, rows]
        insertion[:, s.bit_count()] += here * u[s, rows]
    over = np.arange(m + 1) > present.sum(1)[:, None]
    deletion[over] = insertion[over] = np.nan
    return deletion, insertion


def _reached(scores: np.ndarray, present: np.ndarray) -> np.ndarray:
    """(C, N): how likely the highest-first order comes by each subset, when those that tie take turns by lot."""
    n, m = scores.shape
    close = SAME * np.abs(np.where(present, scores, 0.0)).max(1, keepdims=True)
    chance = np.zeros((1 << m, n))
    chance[0] = 1.0
    for s in range((1 << m) - 1):  # a subset has a lower number than all that hold it
        left = present & (s >> np.arange(m) & 1 == 0)
        best = np.where(left, scores, -np.inf).max(1, keepdims=True)
        first = left & (scores >= best - close)
        lot = chance[s] / np.maximum(first.sum(1), 1)
        for i in range(m):
            if not s >> i & 1:
                chance[s | 1 << i] += lot * first[:, i]
    return chance


def _area(curve: np.ndarray, n_players: np.ndarray) -> np.ndarray:
    """(N,): the area of each sample's polygon, whose width is 1."""
    rows = np.arange(len(curve))
    return np.asarray((np.nansum(curve, 1) - (curve[:, 0] + curve[rows, n_players]) / 2) / n_players)


def _resampled(curve: np.ndarray, n_players: np.ndarray) -> np.ndarray:
    """(N, M + 1): the curves of samples that lack a modality, read at the shares of those that have all."""
    most = curve.shape[1] - 1
    curve = curve.copy()
    for i in np.flatnonzero(n_players < most):
        n = n_players[i]
        curve[i] = np.interp(np.linspace(0, 1, most + 1), np.linspace(0, 1, n + 1), curve[i, : n + 1])
    return curve
