"""What is odd about samples, said in plain words: each check is one small function.

A check takes samples and yields oddities. None of them trains anything; each says what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from intermodal.data.modality import Modality
from intermodal.data.samples import Samples
from intermodal.data.statistics import column_statistics, duplicates, fingerprints, is_classes

Oddity = dict[str, str]
SEVERITIES = ("error", "warning", "note")


def find_oddities(samples: Samples) -> list[Oddity]:
    """Return all oddities, the worst first.

    Each is a dict: id, severity ("error": a result would be wrong; "warning": likely a mistake; "note": good to know),
    text, remedy.

    Example:
        >>> samples = Samples({"text": [[1.0], None, None, None], "audio": [[0.5], [1.5], [2.5], [0.0]]})
        >>> [found["text"] for found in find_oddities(samples)]
        ['"text" is missing in 3 of 4 samples (75 %).']
    """
    found = [oddity for check in CHECKS for oddity in check(samples)]
    return sorted(found, key=lambda oddity: SEVERITIES.index(oddity["severity"]))


def _oddity(id: str, severity: str, text: str, remedy: str) -> Oddity:
    return {"id": id, "severity": severity, "text": text, "remedy": remedy}


def _modalities(samples: Samples) -> list[Modality]:
    return [samples.modality(name) for name in samples.names]


def group_in_two_parts(samples: Samples) -> Iterator[Oddity]:
    """A group that stands in two parts of the split lets the test be answered from memory."""
    if samples.groups is None or samples.split is None:
        return
    groups, codes = np.unique(samples.groups.astype(str), return_inverse=True)
    parts = [set(np.unique(codes[samples.split == part])) for part in ("train", "valid", "test")]
    torn = sorted(set().union(*(a & b for a, b in combinations(parts, 2))))
    if torn:
        yield _oddity(
            "group-in-two-parts",
            "error",
            f"{len(torn)} of {len(groups)} groups stand in more than one part of the split, "
            f'such as "{groups[torn[0]]}".',
            "Split by group: what is learnt about a group in training leaks into the test.",
        )


def train_in_test(samples: Samples) -> Iterator[Oddity]:
    """A test sample equal to a training sample in every modality is no test; up to 1 % cannot move a result far."""
    if samples.split is None:
        return
    prints = np.stack([fingerprints(m) for m in _modalities(samples)], axis=1)
    known = {tuple(row) for row in prints[samples.split == "train"] if row.any()}
    again = sum(tuple(row) in known for row in prints[samples.split == "test"])
    if again:
        total = int((samples.split == "test").sum())
        yield _oddity(
            "train-in-test",
            "error" if 100 * again > total else "warning",
            f"{again} of {total} test samples equal a training sample in every modality.",
            "Remove the copies, or make copies one group and split by group.",
        )


def repeated_samples(samples: Samples) -> Iterator[Oddity]:
    """The same sample twice."""
    prints = np.stack([fingerprints(m) for m in _modalities(samples)], axis=1)
    prints = prints[prints.any(axis=1)]
    again = len(prints) - len(np.unique(prints, axis=0))
    if again:
        yield _oddity(
            "repeated-samples",
            "warning",
            f"{again} of {len(samples)} samples repeat an earlier one in every modality.",
            "Remove the copies, or give them one group, so that no copy is tested on its twin.",
        )


def target_among_features(samples: Samples) -> Iterator[Oddity]:
    """A column that is the target, up to scale and shift."""
    y = samples.y
    if y is None or y.ndim != 1 or y.dtype.kind not in "iufb" or len(samples) < 5:
        return
    target = y.astype(np.float64)
    for m in _modalities(samples):
        rows = np.flatnonzero(m.present & np.isfinite(target))
        if m.kind != "vector" or len(rows) < 5 or np.ptp(target[rows]) == 0:
            continue
        likeness = _correlation(m.values[rows], target[rows])
        for column in np.flatnonzero(likeness > 1 - 1e-9):
            yield _oddity(
                "target-among-features",
                "error",
                f'{_column(m, column)} of "{m.name}" is the target "{samples.target or "y"}" itself, '
                "up to scale and shift.",
                "Leave that column out: every score would be that of an oracle.",
            )


def one_class(samples: Samples) -> Iterator[Oddity]:
    """A target that never varies."""
    y = _labels(samples)
    if y is not None and len(y) and len(np.unique(y)) == 1:
        yield _oddity(
            "one-class",
            "error",
            f'the target "{samples.target or "y"}" is {y[0]} for every sample.',
            "Choose another target: there is nothing to predict.",
        )


def rare_class(samples: Samples) -> Iterator[Oddity]:
    """A class with fewer than 5 samples cannot stand in each of 5 folds."""
    y = _labels(samples)
    if y is None or not is_classes(y):
        return
    labels, counts = np.unique(y, return_counts=True)
    rare = [f'"{label}" ({count})' for label, count in zip(labels, counts, strict=True) if count < 5]
    if rare and len(labels) > 1:
        yield _oddity(
            "rare-class",
            "warning",
            f"{len(rare)} of {len(labels)} classes have fewer than 5 samples: {_some(rare)}.",
            "Gather more of them, or join classes: a class cannot stand in every fold.",
        )


def uneven_classes(samples: Samples) -> Iterator[Oddity]:
    """One class so common that always saying it scores well."""
    y = _labels(samples)
    if y is None or not is_classes(y) or len(y) < 20:
        return
    labels, counts = np.unique(y, return_counts=True)
    share = counts.max() / len(y)
    if len(labels) > 1 and share > 0.9:
        yield _oddity(
            "uneven-classes",
            "warning",
            f'{100 * share:.0f} % of the samples are of class "{labels[counts.argmax()]}".',
            "Judge by balanced accuracy or AUC: saying that class always would score as much.",
        )


def target_missing(samples: Samples) -> Iterator[Oddity]:
    """Samples without a target."""
    y = samples.y
    if y is None or y.dtype.kind != "f" or not np.isnan(y).any():
        return
    yield _oddity(
        "target-missing",
        "warning",
        f'the target "{samples.target or "y"}" is NaN in {int(np.isnan(y).sum())} of {len(samples)} samples.',
        "Leave those samples out of fitting.",
    )


def often_missing(samples: Samples) -> Iterator[Oddity]:
    """A modality that more than half of the samples lack."""
    for m in _modalities(samples):
        if 2 * m.n_missing > len(m):
            share = 100 * m.n_missing / len(m)
            yield _oddity(
                "often-missing",
                "warning",
                f'"{m.name}" is missing in {m.n_missing} of {len(m)} samples ({share:.0f} %).',
                "Compare with and without it; it may say more by being there than by what it holds.",
            )


def without_anything(samples: Samples) -> Iterator[Oddity]:
    """Samples in which every modality is missing."""
    count = int((~np.logical_or.reduce([m.present for m in _modalities(samples)])).sum())
    if count:
        yield _oddity(
            "nothing-present",
            "warning",
            f"{count} of {len(samples)} samples have no modality at all.",
            "Leave them out: the prediction for them can only be a constant.",
        )


def same_modality_twice(samples: Samples) -> Iterator[Oddity]:
    """Two modalities with identical content."""
    for a, b in combinations(_modalities(samples), 2):
        if _same(a, b):
            yield _oddity(
                "same-modality-twice",
                "warning",
                f'"{a.name}" and "{b.name}" hold the same values.',
                "Leave one out: attention between them says nothing.",
            )


def _same(a: Modality, b: Modality) -> bool:
    return (
        (a.kind, a.width) == (b.kind, b.width)
        and np.array_equal(a.present, b.present)
        and np.array_equal(a.lengths, b.lengths)
        and np.array_equal(a.values, b.values, equal_nan=True)
    )


def constant_columns(samples: Samples) -> Iterator[Oddity]:
    """Columns that never vary."""
    for m in _modalities(samples):
        constant = np.flatnonzero(column_statistics(m).constant)
        if len(constant) and len(m) - m.n_missing > 1:
            named = _some([_column(m, i) for i in constant])
            yield _oddity(
                "constant-columns",
                "warning" if len(constant) == m.width else "note",
                f'{len(constant)} of {m.width} columns of "{m.name}" never vary: {named}.',
                "Leave them out, or check how they were made.",
            )


def nan_inside(samples: Samples) -> Iterator[Oddity]:
    """NaN kept for the model to fill."""
    for m in _modalities(samples):
        holes = column_statistics(m).nan
        if holes.any():
            worst = int(holes.argmax())
            rows = len(m.values) if m.token_present is None else int(m.token_present.sum())
            rows -= m.n_missing if m.kind == "vector" else 0
            yield _oddity(
                "nan-inside",
                "note",
                f'{100 * holes.sum() / (rows * m.width):.1f} % of the values of "{m.name}" are NaN; '
                f"{_column(m, worst)} has most, {holes[worst]}.",
                "They are filled in fitting; a column that is mostly NaN is better left out.",
            )


def wider_than_long(samples: Samples) -> Iterator[Oddity]:
    """More columns than samples."""
    for m in _modalities(samples):
        if m.width > len(m) - m.n_missing > 0:
            yield _oddity(
                "wider-than-long",
                "note",
                f'"{m.name}" has {m.width} columns and is there for {len(m) - m.n_missing} samples.',
                "Expect overfitting: prefer a small model, and compare with a linear one.",
            )


def uneven_scale(samples: Samples) -> Iterator[Oddity]:
    """Columns of one modality whose spreads differ more than ten thousandfold."""
    for m in _modalities(samples):
        std = column_statistics(m).std
        moving = np.flatnonzero(std > 0)
        if len(moving) < 2:
            continue
        small, large = moving[std[moving].argmin()], moving[std[moving].argmax()]
        if std[large] > 1e4 * std[small]:
            yield _oddity(
                "uneven-scale",
                "note",
                f'the columns of "{m.name}" spread very differently: {_column(m, small)} by {std[small]:.2g}, '
                f"{_column(m, large)} by {std[large]:.2g}.",
                "Standardise the columns, or take the logarithm of the large ones.",
            )


def ragged_lengths(samples: Samples) -> Iterator[Oddity]:
    """A longest sequence ten times the usual one."""
    for m in _modalities(samples):
        there = m.lengths[m.present]
        if m.kind == "sequence" and len(there) and there.max() > 10 * np.median(there):
            yield _oddity(
                "ragged-lengths",
                "note",
                f'the longest "{m.name}" has {there.max()} tokens, the usual one {np.median(there):.0f}.',
                "Cut or pool the long ones: a batch takes the time of its longest sample.",
            )


def one_token(samples: Samples) -> Iterator[Oddity]:
    """A sequence that never has more than one token."""
    for m in _modalities(samples):
        if m.kind == "sequence" and m.present.any() and m.lengths.max() == 1:
            yield _oddity(
                "one-token",
                "warning",
                f'"{m.name}" is given as a sequence, but every sample has one token.',
                f"Give it as a vector, (N, {m.width}): asking one token is no choice.",
            )


def repeated_rows(samples: Samples) -> Iterator[Oddity]:
    """A modality that is often the same from sample to sample, while the rest is not."""
    for m in _modalities(samples):
        count, there = int(duplicates(m).sum()), len(m) - m.n_missing
        if 2 * count > there and m.width > 10:
            yield _oddity(
                "repeated-rows",
                "note",
                f'"{m.name}" has only {there - count} different values in {there} samples.',
                "If samples share it (one film, one patient), name what they share as the group.",
            )


CHECKS: tuple[Callable[[Samples], Iterator[Oddity]], ...] = (
    group_in_two_parts,
    train_in_test,
    target_among_features,
    one_class,
    repeated_samples,
    rare_class,
    uneven_classes,
    target_missing,
    often_missing,
    without_anything,
    same_modality_twice,
    one_token,
    constant_columns,
    nan_inside,
    wider_than_long,
    uneven_scale,
    ragged_lengths,
    repeated_rows,
)


def _labels(samples: Samples) -> np.ndarray | None:
    """Return y as one label per sample, without missing ones; None where there is no such thing."""
    y = samples.y
    if y is None or y.ndim != 1:
        return None
    if y.dtype.kind == "f":
        y = y[~np.isnan(y)]
    return y.astype(str) if y.dtype == object else y


def _correlation(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the absolute correlation of each column with the target, 0 where a column is constant or has NaN."""
    apart = columns.astype(np.float64) - columns.mean(axis=0, dtype=np.float64)
    other = target - target.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Any = np.abs(other @ apart) / np.sqrt((apart**2).sum(axis=0) * (other @ other))
    likeness: np.ndarray = np.nan_to_num(found, nan=0.0)
    return likeness


def _column(m: Modality, column: Any) -> str:
    return f"column {column}" if m.columns is None else f'column "{m.columns[column]}"'


def _some(items: list[str]) -> str:
    return ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
