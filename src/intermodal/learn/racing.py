"""Boosted trees, grown to the end only where their first fold is promising.

Shapes: N samples, P columns of all modalities, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from intermodal.learn.rows import Rows
from intermodal.learn.stacking import loss_of, weigh
from intermodal.learn.trees import Trees

BRANCHING = 100
"""Columns, at most, that trees are grown on: those that alone say most."""


def race_trees(
    rows: Rows, said: Mapping[str, np.ndarray], seed: int, over: Callable[[], bool], *, always: bool = False
) -> tuple[Trees | None, np.ndarray]:
    """Grow boosted trees, and return what they said of each row unseen; None where the first fold is not promising.

    They cost the most by far.

    Args:
        rows: to learn from.
        said: name -> (N, O), what the other experts said of rows unseen.
        seed: of the trees.
        over: True once time is out.
        always: go on whatever the first fold says.
    """
    n_classes = None if rows.labels is None else rows.wanted.shape[1]
    known = rows.wanted if rows.labels is None else rows.labels

    def grown(at: np.ndarray) -> Trees:
        picked = _telling(rows.columns[at], rows.wanted[at])
        trees = Trees.fit(rows.columns[at][:, picked], known[at], rows.weight[at], n_classes=n_classes, seed=seed)
        return trees.among(picked)

    def asked(trees: Trees, at: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return trees(torch.from_numpy(rows.columns[at]).float()).double().numpy()

    answers = np.zeros_like(rows.wanted)
    for i, own in enumerate(rows.parts):
        if i and over():
            return None, answers
        answers[own] = asked(grown(rows.rest(i)), own)
        if i == 0 and not always and not _adds(rows, said, answers, own):
            return None, answers
    return grown(np.arange(len(known))), answers


def _adds(rows: Rows, said: Mapping[str, np.ndarray], answers: np.ndarray, own: np.ndarray) -> bool:
    """True where the answers to a fold lower the loss of the others' by more than a hundredth."""
    labels = None if rows.labels is None else rows.labels[own]
    given = (labels, rows.wanted[own], rows.weight[own])
    others = [s[own] for s in said.values()]
    first = [1 / len(others)] * len(others)
    without = weigh(others, *given, first=first)
    beside = weigh([*others, answers[own]], *given, first=[*without, 0.0], held=10.0)
    before = loss_of(np.tensordot(without, np.stack(others), 1), *given)
    after = loss_of(np.tensordot(beside, np.stack([*others, answers[own]]), 1), *given)
    return after < 0.99 * before


def _telling(columns: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The columns that alone say most of the target (the greatest R2 over outputs), in their order."""
    if columns.shape[1] <= BRANCHING:
        return np.arange(columns.shape[1])
    x, y = columns - columns.mean(0), wanted - wanted.mean(0)
    size = np.outer(np.sqrt((x**2).sum(0)), np.sqrt((y**2).sum(0)))
    told = ((x.T @ y / np.maximum(size, 1e-12)) ** 2).sum(1)
    return np.sort(np.argsort(-told, kind="stable")[:BRANCHING])
