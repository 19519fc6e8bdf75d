"""The game that a model plays: what it says of every subset of a sample's modalities.

Everything that asks "what was a modality worth?" reads this one table: Shapley values, interactions, leaving one out,
deletion and insertion.

Shapes: N samples, M modalities, C = 2^M subsets, O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError, did_you_mean
from intermodal.explain.explained import Explained, prepared
from intermodal.explain.opening import absent
from intermodal.explain.outcome import Outcome, target_of
from intermodal.explain.removal import Batch, picked, rule_of, taken_away
from intermodal.explain.sharing import NotKnownError, can_share, share

MOST = 10
"""Modalities up to which all subsets are evaluated: 1,024 of them."""


@dataclass(frozen=True)
class Coalitions:
    """What a model says of every subset of modalities, for every sample.

    Bit i of the index of a subset is modality i: `v[0]` is said of nothing, `v[-1]` of everything. A modality that a
    sample lacks changes nothing for it.

    Attributes:
        names: (M,) the players. A modality that is no player is in every subset.
        v: (2^M, N) or (2^M, N, O), float64.
        removal: how a modality is taken away, a key of `removal.RULES`.
        present: (N, M) bool, which of the players each sample has.
        of: which number of the prediction this is, a key of `outcome.OUTCOMES`.
        evaluations: forward evaluations of a sample: 2^M, times the donors under `permute`.

    Example:
        >>> game = Coalitions(("a", "b"), np.array([[0.0], [1], [2], [5]]), "mask", np.ones((1, 2), bool), "loss", 4)
        >>> float(game.said("a")[0]), float(game.full[0])
        (1.0, 5.0)
        >>> game.only("b").v[:, 0].tolist()  # a is in every subset
        [1.0, 5.0]
    """

    names: tuple[str, ...]
    v: np.ndarray
    removal: str
    present: np.ndarray
    of: str
    evaluations: int

    @property
    def full(self) -> np.ndarray:
        """What is said of everything, (N,) or (N, O)."""
        return np.asarray(self.v[-1])

    @property
    def empty(self) -> np.ndarray:
        """What is said of nothing, (N,) or (N, O)."""
        return np.asarray(self.v[0])

    def index(self, *names: str) -> int:
        """Return the index of the subset of these modalities."""
        return sum(1 << place for place in sorted({places_of(self.names, (name,))[0] for name in names}))

    def said(self, *names: str) -> np.ndarray:
        """Return what is said of these modalities alone, (N,) or (N, O)."""
        return np.asarray(self.v[self.index(*names)])

    def only(self, *names: str) -> Coalitions:
        """Return the game of these players, in the order of the old one; the others are in every subset."""
        players = sorted(set(places_of(self.names, names)))
        always = len(self.v) - 1 - sum(1 << place for place in players)
        rows = [always + sum(1 << p for i, p in enumerate(players) if s >> i & 1) for s in range(1 << len(players))]
        return replace(
            self, names=tuple(self.names[p] for p in players), v=self.v[rows], present=self.present[:, players]
        )


def play(
    model: Explained,
    X: Any,
    *,
    removal: str | None = None,
    of: str = "prediction",
    y: Any = None,
    only: Sequence[str] | None = None,
    donors: int = 8,
    seed: int = 0,
    batch_size: int = 1024,
) -> Coalitions:
    """Ask a fitted model what it says of every subset of modalities.

    Args:
        model: a fitted estimator.
        X: samples.
        removal: how a modality is taken away: `mask`, `learned_missing`, `mean` or `permute`; by default what the
            model does with one that is missing.
        of: `prediction`, `logit`, `margin` or `loss`.
        y: the target, for `loss`; taken from the samples when None.
        only: the players; the other modalities are in every subset. All by default.
        donors: samples that a modality is taken from under `permute`, drawn without repeats from the others.
        seed: of the donors.
        batch_size: samples times subsets of one pass.

    Returns:
        The table, in float64.

    Raises:
        InputError: more than `MOST` players, no sample, a rule that the model cannot follow, or an outcome it lacks.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> game = play(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X)
        >>> game.v.shape, game.removal, game.evaluations
        ((4, 20), 'mask', 4)
    """
    table = Table(model, X, removal=removal, of=of, y=y, only=only, donors=donors, seed=seed, batch_size=batch_size)
    if len(table.players) > MOST:
        raise InputError(
            f"exact values take at most {MOST} modalities, however: {len(table.players)}; join some of them into one, "
            f"or in Python ask shapley(model, X, only=...) of at most {MOST} or estimate with shapley(permutations=...)"
        )
    v = table.of(np.arange(1 << len(table.players)))
    return Coalitions(table.players, v, table.rule, table.present, of, len(v) * table.n_donors)


def check_table(table: Any) -> None:
    """Refuse what is no game that was played.

    Raises:
        InputError: a model came, or something else.

    Example:
        >>> check_table({})
        Traceback (most recent call last):
        ...
        intermodal.errors.InputError: what `play` returns is read here, however: dict; write play(model, X)
    """
    if not isinstance(table, Coalitions):
        raise InputError(f"what `play` returns is read here, however: {type(table).__name__}; write play(model, X)")


class Table:
    """The game, subset by subset, of a model and samples.

    Args: as `play`.
    """

    def __init__(
        self,
        model: Explained,
        X: Any,
        *,
        removal: str | None,
        of: str,
        y: Any,
        only: Sequence[str] | None,
        donors: int,
        seed: int,
        batch_size: int,
    ) -> None:
        self.module, self.feed = prepared(model, X)
        self.names: tuple[str, ...] = self.module.network.names  # type: ignore[assignment, union-attr]
        if len(self.feed) == 0:
            raise InputError("at least one sample is explained, however: X holds none")
        self.at = list(range(len(self.names))) if only is None else sorted(set(places_of(self.names, only)))
        if not self.at:
            raise InputError("a game has at least one player, however: only is empty")
        self.players = tuple(self.names[i] for i in self.at)
        self.rule = rule_of(model, self.module.network, removal)
        self.outcome = Outcome(model, of, target_of(X, y), len(self.feed))
        self.donors = _donors(len(self.feed), donors, seed) if self.rule == "permute" else None
        self.n_donors = 1 if self.donors is None else self.donors.shape[1]
        self.batch_size = batch_size
        self.shares = can_share(self.module, self.rule)
        self.present = np.zeros((len(self.feed), len(self.players)), dtype=bool)

    @torch.no_grad()
    def of(self, subsets: np.ndarray) -> np.ndarray:
        """Play these subsets, the last of them everything: (C,) of int -> (C, N, ...), float64."""
        assert subsets[-1] == (1 << len(self.players)) - 1
        parts = []
        for rows in self.feed.in_order(np.arange(len(self.feed)), max(1, self.batch_size // len(subsets))):
            own, others = self._batches(rows)
            self.present[rows] = there = ~absent(*own, self.players).numpy()
            total: Any = 0.0
            for other in others:
                said = self._said(own, other, subsets, there)
                total = total + self.outcome.scalar(said, rows)
            parts.append(_with_absent(np.asarray(total / self.n_donors), subsets, there))
        return np.concatenate(parts, 1, dtype=np.float64)

    def _batches(self, rows: np.ndarray) -> tuple[Batch, list[Batch | None]]:
        """The samples, and their donors draw by draw, all padded alike."""
        if self.donors is None:
            return self.feed.batch(rows), [None]
        n, draws = len(rows), self.donors[rows].T
        batch = self.feed.batch(np.concatenate([rows, draws.ravel()]))
        own, *others = (picked(batch, slice(i, i + n)) for i in range(0, n * (1 + len(draws)), n))
        return own, [*others]

    def _inside(self, subsets: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Which modalities are in which subset, (C, B, M): always one that is no player, or that the sample lacks."""
        inside = np.ones((len(subsets), len(there), len(self.names)), dtype=bool)
        for bit, i in enumerate(self.at):
            inside[:, :, i] = (subsets >> bit & 1).astype(bool)[:, None] | ~there[:, bit]
        return inside

    def _said(self, own: Batch, other: Batch | None, subsets: np.ndarray, there: np.ndarray) -> np.ndarray:
        """What the model says of every subset of a batch, (C, B, ...), in passes of a bounded number of subsets."""
        device, parts = next(iter(own[0].values())).device, []
        for some in np.split(subsets, range(1 << MOST, len(subsets), 1 << MOST)):
            inside = torch.from_numpy(self._inside(some, there)).to(device)
            shown = taken_away(own, other, self.names, inside, self.rule)
            said = self.outcome.said(self._outputs(own, shown, some))
            parts.append(said.reshape(len(some), len(there), *said.shape[1:]))
        return np.concatenate(parts)

    def _outputs(self, own: Batch, shown: Batch, subsets: np.ndarray) -> Tensor:
        """Ask the model, with the work of all subsets shared where it can be."""
        if self.shares:
            moved = np.full_like(subsets, (1 << len(self.names)) - 1 - sum(1 << i for i in self.at))
            for bit, i in enumerate(self.at):
                moved += (subsets >> bit & 1) << i
            try:
                return torch.as_tensor(share(self.module, own, shown, moved)(*shown).outputs)
            except NotKnownError:
                self.shares = False
        return torch.as_tensor(self.module(*shown).outputs)


def places_of(names: tuple[str, ...], wanted: Sequence[str]) -> list[int]:
    """Return the place of each wanted name, or refuse one that is unknown.

    Example:
        >>> places_of(("a", "b"), ["b"])
        [1]
    """
    for name in wanted:
        if name not in names:
            raise InputError(f'players are modalities of the model, however: "{name}"' + did_you_mean(name, names))
    return [names.index(name) for name in wanted]


def _with_absent(v: np.ndarray, subsets: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Read v (C, B, ...) of a subset at the one that also holds what the sample lacks, where that was played.

    The two are one game, yet their numbers may differ in the last bit: a matrix product rounds by a row's place.
    """
    absent = ~there @ (1 << np.arange(there.shape[1], dtype=np.int64))
    wanted = subsets[:, None] | absent
    place = np.searchsorted(subsets, wanted).clip(max=len(subsets) - 1)
    place = np.where(subsets[place] == wanted, place, np.arange(len(subsets))[:, None])
    return np.asarray(v[place, np.arange(len(there))])


def _donors(n: int, wanted: int, seed: int) -> np.ndarray:
    """For each of n samples the rows of its donors, (N, donors): others, none of them twice."""
    if wanted < 1:
        raise InputError(f"donors is at least 1, however: donors={wanted}")
    if n < 2:
        raise InputError('removal="permute" takes modalities from other samples, however: X holds one sample')
    rng = np.random.default_rng(seed)
    picks = np.stack([rng.choice(n - 1, min(wanted, n - 1), replace=False) for _ in range(n)])
    return picks + (picks >= np.arange(n)[:, None])  # past itself
