"""Look at samples before anything is trained: what is there, what is missing, what is odd."""

from __future__ import annotations

from typing import Any

import numpy as np

from intermodal.data.modality import Modality
from intermodal.data.oddities import find_oddities
from intermodal.data.samples import Samples
from intermodal.data.statistics import column_statistics, duplicates, is_classes

SHOWN = 10


def inspect(samples: Samples) -> dict[str, Any]:
    """Describe samples as a dict that JSON can hold.

    Args:
        samples: what to look at.

    Returns:
        `n`; `modalities`, a list of dicts (name, kind, width, dtype, lengths, missing, constant_columns,
        duplicated_rows, nan, scale); `target`, `groups`, `split` (None where there is none); and `oddities`, a list of
        dicts (id, severity "error", "warning" or "note", text, remedy), the worst first.

    Example:
        >>> samples = Samples({"text": [[1.0, 2.0], [3.0, 2.0], None], "audio": [[0.5], [0.25], [1.5]]}, y=[0, 1, 1])
        >>> found = inspect(samples)
        >>> found["modalities"][0]["missing"], found["modalities"][0]["constant_columns"]
        ({'count': 1, 'share': 0.3333}, {'count': 1, 'names': ['1']})
        >>> found["target"]["classes"]
        [{'label': '0', 'count': 1}, {'label': '1', 'count': 2}]
        >>> [oddity["id"] for oddity in found["oddities"]]
        ['rare-class', 'constant-columns']
    """
    return {
        "n": len(samples),
        "modalities": [_modality(samples.modality(name)) for name in samples.names],
        "target": _target(samples),
        "groups": _groups(samples),
        "split": None
        if samples.split is None
        else {p: int((samples.split == p).sum()) for p in ("train", "valid", "test") if p in samples.split},
        "oddities": find_oddities(samples),
    }


def _modality(modality: Modality) -> dict[str, Any]:
    statistics = column_statistics(modality)
    constant = np.flatnonzero(statistics.constant)
    names = modality.columns or tuple(map(str, range(modality.width)))
    return {
        "name": modality.name,
        "kind": modality.kind,
        "width": modality.width,
        "dtype": modality.values.dtype.name,
        "lengths": _lengths(modality),
        "missing": {"count": modality.n_missing, "share": _share(modality.n_missing, len(modality))},
        "constant_columns": {"count": len(constant), "names": [names[i] for i in constant[:SHOWN]]},
        "duplicated_rows": int(duplicates(modality).sum()),
        "nan": int(statistics.nan.sum()),
        "scale": _scale(statistics.low, statistics.high, statistics.std),
    }


def _lengths(modality: Modality) -> dict[str, float] | None:
    there = modality.lengths[modality.present]
    if modality.kind == "vector" or len(there) == 0:
        return None
    return {"min": int(there.min()), "median": float(np.median(there)), "max": int(there.max())}


def _scale(low: np.ndarray, high: np.ndarray, std: np.ndarray) -> dict[str, float | None]:
    if np.isnan(low).all():
        return {"min": None, "max": None, "smallest_std": None, "largest_std": None}
    moving = std[std > 0]
    return {
        "min": _short(np.nanmin(low)),
        "max": _short(np.nanmax(high)),
        "smallest_std": _short(moving.min()) if len(moving) else None,
        "largest_std": _short(moving.max()) if len(moving) else None,
    }


def _target(samples: Samples) -> dict[str, Any] | None:
    y = samples.y
    if y is None:
        return None
    facts: dict[str, Any] = {"name": samples.target or "y", "missing": 0}
    if y.ndim == 2:
        return facts | {"kind": "several", "width": y.shape[1]}
    if y.dtype.kind == "f":
        facts["missing"] = int(np.isnan(y).sum())
        y = y[~np.isnan(y)]
    if is_classes(y):
        labels, counts = np.unique(y.astype(str) if y.dtype == object else y, return_counts=True)
        found = [{"label": _label(v), "count": int(c)} for v, c in zip(labels, counts, strict=True)]
        return facts | {"kind": "classes", "classes": found}
    low, middle, high = np.percentile(y, [0, 50, 100])
    return facts | {"kind": "number", "min": _short(low), "median": _short(middle), "max": _short(high)}


def _label(value: Any) -> str:
    return str(int(value)) if isinstance(value, np.floating) else str(value)


def _groups(samples: Samples) -> dict[str, int] | None:
    if samples.groups is None:
        return None
    counts = np.unique(samples.groups.astype(str), return_counts=True)[1]
    return {"count": len(counts), "smallest": int(counts.min()), "largest": int(counts.max())}


def _share(count: int, n: int) -> float:
    return round(count / n, 4) if n else 0.0


def _short(value: Any) -> float:
    return float(f"{float(value):.6g}")
