"""Which rows train and which rows test: stratified, by groups, repeated, or as the data say.

scikit-learn's splitters do the splitting; this file picks the right one, checks that it can work, and says so when
it cannot.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from intermodal.errors import DataWarning, InputError, did_you_mean

Task = Literal["classification", "regression"]

_ATTEMPTS = 10
"""Shuffles tried before a number of folds is given up: stratifying whole groups is a heuristic."""


@dataclass(frozen=True)
class Fold:
    """One way to train and test: row numbers, in rising order.

    Args:
        train: rows to fit on.
        test: rows to score on.
        valid: rows the data set aside for choosing, or None.
        repeat: which repetition of the cross-validation the fold is of.
    """

    train: np.ndarray
    test: np.ndarray
    valid: np.ndarray | None = None
    repeat: int = 0


def folds(
    y: Any,
    groups: Any = None,
    *,
    n_splits: int = 5,
    n_repeats: int = 1,
    seed: int = 0,
    task: Task = "classification",
) -> list[Fold]:
    """Cut rows into folds: stratified by class, whole groups on one side, repeated with fresh shuffles.

    Args:
        y: target (N,), or (N, outputs) for regression; or samples that carry `y` and `groups`.
        groups: one label per row, or None; rows of a group never stand in train and test of one fold.
        n_splits: folds per repetition, at least 2.
        n_repeats: repetitions.
        seed: the same seed gives the same folds.
        task: classification stratifies by class; regression does not.

    Returns:
        `n_splits * n_repeats` folds; fewer, with a `DataWarning`, when a class has fewer rows (or groups) than
        `n_splits`.

    Raises:
        InputError: fewer than 2 folds are asked for, or a class (or everything) lies in one row or one group.

    Example:
        >>> import numpy as np
        >>> fold = folds(np.array(["a", "b"] * 15), n_splits=3)[0]
        >>> len(fold.train), len(fold.test)
        (20, 10)

    Relation: `holdouts` draws random test parts that may overlap; `given` reads the split that the data carry.
    """
    y, groups = _target(y, groups)
    if n_splits < 2 or n_repeats < 1:
        raise InputError(f"folds need n_splits >= 2 and n_repeats >= 1, however: {n_splits=}, {n_repeats=}")
    possible = _most_folds(y, groups, task)
    wanted = min(n_splits, possible)
    found: list[Fold] = []
    for k in range(wanted, 1, -1):
        found = []
        for repeat in range(n_repeats):
            once = _one_repetition(y, groups, k, (seed, repeat), task)
            if once is None:
                break
            found += [Fold(train, test, repeat=repeat) for train, test in once]
        if len(found) == k * n_repeats:
            break
    else:
        raise InputError("every class must be in the training rows of each fold, however: the groups do not allow that")
    k = len(found) // n_repeats
    if k < n_splits:
        unit = "rows" if groups is None else "groups"
        what = "the rarest class has" if task == "classification" else "there are"
        warnings.warn(DataWarning(f"{k} folds instead of {n_splits}: {what} too few {unit} for more"), stacklevel=2)
    return found


def holdouts(
    y: Any,
    groups: Any = None,
    *,
    n_splits: int = 5,
    test_size: float = 0.2,
    seed: int = 0,
    task: Task = "classification",
) -> list[Fold]:
    """Draw random test parts, each time anew; with groups a part is a share of the groups.

    Args:
        y: target (N,) or samples, as in `folds`.
        groups: one label per row, or None.
        n_splits: how many draws.
        test_size: share of rows (of groups, with groups) to test on, between 0 and 1.
        seed: the same seed gives the same draws.
        task: classification without groups stratifies by class.

    Returns:
        One fold per draw.

    Raises:
        InputError: a class has one row, or `test_size` is out of range.

    Example:
        >>> import numpy as np
        >>> [len(f.test) for f in holdouts(np.arange(50.0), n_splits=2, task="regression")]
        [10, 10]
    """
    y, groups = _target(y, groups)
    if not 0 < test_size < 1:
        raise InputError(f"test_size must lie between 0 and 1, however: {test_size=}")
    _most_folds(y, groups, task)
    shared = {"n_splits": n_splits, "test_size": test_size, "random_state": seed}
    splitter: Any
    if groups is not None:
        splitter = GroupShuffleSplit(**shared)
    elif task == "classification":
        splitter = StratifiedShuffleSplit(**shared)
    else:
        splitter = ShuffleSplit(**shared)
    cuts = splitter.split(np.zeros(len(y)), y, groups)
    return [Fold(np.sort(train), np.sort(test), repeat=i) for i, (train, test) in enumerate(cuts)]


def given(split: Any) -> Fold:
    """Read the split that the data carry.

    Args:
        split: one of `train`, `valid`, `test` per row.

    Returns:
        One fold; `valid` is None when no row says `valid`.

    Raises:
        InputError: a word is unknown, or no row trains or none tests.

    Example:
        >>> given(["train", "test", "train"]).train.tolist()
        [0, 2]
    """
    words = np.asarray(split).astype(str)
    for word in np.unique(words):
        if word not in ("train", "valid", "test"):
            raise InputError(
                f'split is "train", "valid" or "test", however: "{word}"'
                + did_you_mean(str(word), ("train", "valid", "test"))
            )
    rows = {word: np.flatnonzero(words == word) for word in ("train", "valid", "test")}
    if not len(rows["train"]) or not len(rows["test"]):
        raise InputError(
            f"a split needs train rows and test rows, however: {len(rows['train'])} train, {len(rows['test'])} test"
        )
    return Fold(rows["train"], rows["test"], rows["valid"] if len(rows["valid"]) else None)


def _target(y: Any, groups: Any) -> tuple[np.ndarray, np.ndarray | None]:
    if hasattr(y, "modality"):  # samples carry their own target and groups
        y, groups = y.y, y.groups if groups is None else groups
        if y is None:
            raise InputError("folds need a target, however: the samples have none")
    y = np.asarray(y)
    groups = None if groups is None else np.asarray(groups)
    if groups is not None and len(groups) != len(y):
        raise InputError(f"groups must have one label per row, however: {len(groups)=}, {len(y)=}")
    return y, groups


def _most_folds(y: np.ndarray, groups: np.ndarray | None, task: Task) -> int:
    """The most folds for which each class can be in every training part."""
    if groups is not None and len(np.unique(groups)) < 2:
        raise InputError("folds by groups need at least 2 groups, however: all rows are in one")
    if len(y) < 2:
        raise InputError(f"folds need at least 2 rows, however: {len(y)}")
    if task == "regression":
        return len(y) if groups is None else len(np.unique(groups))
    classes = np.unique(y)
    if len(classes) < 2:
        raise InputError(f"classification needs at least 2 classes, however: every label is {classes[0]!s}")
    unit = "row" if groups is None else "group"
    sizes = [int((y == c).sum()) if groups is None else len(np.unique(groups[y == c])) for c in classes]
    if min(sizes) < 2:
        lonely = classes[int(np.argmin(sizes))]
        raise InputError(
            f"each class must be in at least 2 {unit}s, one to train on and one to test on, "
            f'however: class "{lonely}" is in one {unit} only'
        )
    return min(sizes)


def _one_repetition(
    y: np.ndarray, groups: np.ndarray | None, k: int, seed: tuple[int, int], task: Task
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    for state in np.random.SeedSequence(seed).generate_state(_ATTEMPTS):
        cut = list(_cut(y, groups, k, int(state), task))
        whole = all(len(test) and len(train) for train, test in cut)
        if task == "classification":
            n_classes = len(np.unique(y))
            whole = whole and all(len(np.unique(y[train])) == n_classes for train, _ in cut)
        if whole:
            return cut
    return None


def _cut(
    y: np.ndarray, groups: np.ndarray | None, k: int, state: int, task: Task
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    splitter: Any
    if task == "classification":
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    else:
        kind = KFold if groups is None else GroupKFold
    splitter = kind(n_splits=k, shuffle=True, random_state=state)
    rows = np.zeros(len(y))
    yield from splitter.split(rows, y if task == "classification" else rows, groups)
