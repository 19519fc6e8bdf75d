"""Leave one modality out, or shuffle it across the samples: two quick measures beside Shapley values.

Leaving one out misses what two modalities both carry: without either the other still says it. It does not sum to the
whole. Shuffling needs the target, and asks how much of the score a modality holds up.

Shapes: N samples, M modalities, O outputs, R repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from intermodal.errors import InputError
from intermodal.explain.coalitions import Coalitions, Table
from intermodal.explain.explained import Explained, prepared
from intermodal.explain.outcome import Outcome, target_of
from intermodal.explain.ranks import standard_error
from intermodal.explain.removal import picked, taken_away


@dataclass(frozen=True)
class LeftOut:
    """What the model loses with each modality alone gone.

    Attributes:
        names: (M,) the modalities.
        values: (N, M) or (N, M, O): what is said of everything, minus what is said without the modality.
        full: (N,) or (N, O), what is said of everything.
        evaluations: forward evaluations of a sample: M + 1, times the donors under `permute`.
        removal: how a modality is taken away, a key of `removal.RULES`.
        of: which number is explained, a key of `outcome.OUTCOMES`.
    """

    names: tuple[str, ...]
    values: np.ndarray
    full: np.ndarray
    evaluations: int
    removal: str
    of: str


def leave_one_out(
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
) -> LeftOut:
    """Take each modality away alone, and see what changes. There is no limit on the number of modalities.

    Args: as `play`.

    Returns:
        The change of every sample.

    Raises:
        InputError: no sample, a rule that the model cannot follow, or an outcome it lacks.

    Relation: equal to the Shapley values where the model is additive. Where two modalities carry the same, both are
    worth nothing here, and share the worth there.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> result = leave_one_out(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X)
        >>> result.values.shape, result.evaluations
        ((20, 2), 3)
    """
    table = Table(model, X, removal=removal, of=of, y=y, only=only, donors=donors, seed=seed, batch_size=batch_size)
    m = len(table.players)
    if m > 62:
        raise InputError(f"at most 62 modalities are left out in turn, however: {m}; join some of them into one")
    full = (1 << m) - 1
    v = table.of(np.array([full - (1 << i) for i in reversed(range(m))] + [full]))
    values = np.moveaxis(v[-1] - v[-2::-1], 0, 1)
    values[~table.present] = 0.0  # what is not there cannot be left out, to the last bit
    return LeftOut(table.players, values, v[-1], (m + 1) * table.n_donors, table.rule, of)


def left_out_of(game: Coalitions) -> LeftOut:
    """Read the same from a game that was played.

    Example:
        >>> game = Coalitions(("a", "b"), np.array([[0.0], [1], [2], [5]]), "mask", np.ones((1, 2), bool), "loss", 4)
        >>> left_out_of(game).values
        array([[3., 4.]])
    """
    m, full = len(game.names), len(game.v) - 1
    values = np.stack([game.v[full] - game.v[full - (1 << i)] for i in range(m)], 1)
    return LeftOut(game.names, values, game.full, game.evaluations, game.removal, game.of)


@dataclass(frozen=True)
class Shuffled:
    """What each modality holds up, by shuffling it across the samples.

    Attributes:
        names: (M,) the modalities.
        score: accuracy, or R2, of the samples as they are.
        loss: mean negative log-likelihood, or squared error, of the samples as they are.
        score_fall: (M,) how much lower the score is when the modality is shuffled, the mean over the repeats.
        score_error: (M,) standard error of that mean over the repeats.
        loss_rise: (M,) how much higher the loss is.
        loss_error: (M,) standard error of that mean over the repeats.
        share: (M,) the fall as a share of the score, so that models of different scores can be compared; None where
            the score is not above 0.
        repeats: R.

    Source: Breiman 2001, Random Forests, section 10; Fisher, Rudin and Dominici 2019. The share is in the manner of
    the perceptual score, Gat, Schwartz and Schwing 2021.
    """

    names: tuple[str, ...]
    score: float
    loss: float
    score_fall: np.ndarray
    score_error: np.ndarray
    loss_rise: np.ndarray
    loss_error: np.ndarray
    share: list[float | None]
    repeats: int


@torch.no_grad()
def permutation_importance(
    model: Explained, X: Any, y: Any = None, *, repeats: int = 10, seed: int = 0, batch_size: int = 1024
) -> Shuffled:
    """Shuffle one modality at a time across the samples, and see how much worse the model does.

    A modality moves with its presence: who lacked it may get one, and the other way round.

    Args:
        model: a fitted estimator.
        X: samples, at least two.
        y: the target; taken from the samples when None.
        repeats: shuffles, at least two.
        seed: of the shuffles.
        batch_size: samples times modalities of one pass.

    Returns:
        Falls of the score and rises of the loss, with their standard errors.

    Raises:
        InputError: fewer than two samples or repeats, or no target.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> found = permutation_importance(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X, X["a"][:, 0])
        >>> bool(found.loss_rise[0] > found.loss_rise[1])
        True
    """
    if not isinstance(repeats, int | np.integer) or repeats < 2:
        raise InputError(f"repeats is at least 2, so that their spread can be told, however: {repeats=}")
    module, feed = prepared(model, X)
    names: tuple[str, ...] = module.network.names  # type: ignore[assignment, union-attr]
    n = len(feed)
    if n < 2:
        raise InputError(f"a modality is shuffled across at least two samples, however: {n}")
    outcome = Outcome(model, "loss", target_of(X, y), n)
    rng = np.random.default_rng(seed)
    whole = ~np.eye(len(names) + 1, len(names), dtype=bool)  # a row for each that is shuffled, and one for none
    scores, losses = [], []
    for _ in range(repeats):
        order, said, loss = rng.permutation(n), [], []
        for rows in feed.in_order(np.arange(n), max(1, batch_size // len(whole))):
            batch = feed.batch(np.concatenate([rows, order[rows]]))
            own, other = (picked(batch, at) for at in (slice(None, len(rows)), slice(len(rows), None)))
            device = next(iter(own[0].values())).device
            inside = torch.from_numpy(whole).to(device)[:, None].expand(-1, len(rows), -1)
            answers = outcome.said(module(*taken_away(own, other, names, inside, "permute")).outputs)
            said.append(answers.reshape(len(whole), len(rows), *answers.shape[1:]))
            loss.append(outcome.scalar(said[-1], rows))
        scores.append([outcome.score(one) for one in np.concatenate(said, 1)])
        losses.append(np.concatenate(loss, 1).mean(1))
    score, loss_ = np.array(scores), np.array(losses)  # (R, M + 1)
    fall, rise = score[:, -1:] - score[:, :-1], loss_[:, :-1] - loss_[:, -1:]
    before = float(score[0, -1])
    return Shuffled(
        names, before, float(loss_[0, -1]), fall.mean(0), standard_error(fall), rise.mean(0), standard_error(rise),
        [float(f) / before if before > 0 else None for f in fall.mean(0)], int(repeats),
    )  # fmt: skip
