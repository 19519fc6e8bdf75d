"""Which samples have a target that the model can be held against.

Shapes: N samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from intermodal.data.alongside import unknown_targets
from intermodal.errors import InputError
from intermodal.explain.outcome import Outcome, target_of


def known_rows(model: Any, X: Any, y: Any, n: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the target of all samples, or None, and the positions at which it is known.

    A target is unknown where it is NaN or None.

    Args:
        model: a fitted estimator; a classifier carries `classes_`.
        X: the samples.
        y: their target; taken from the samples when None.
        n: N.

    Raises:
        InputError: not one target a sample.
        DataError: a known target is no class of the model, or no number.

    Example:
        >>> from types import SimpleNamespace
        >>> y, rows = known_rows(SimpleNamespace(classes_=np.array(["no", "yes"])), None, ["yes", None, "no"], 3)
        >>> rows.tolist()
        [0, 2]
    """
    y = target_of(X, y)
    if y is None:
        return None, np.zeros(0, dtype=np.int64)
    y = np.asarray(y)
    if y.ndim == 0 or len(y) != n:
        raise InputError(f"y holds one target for each sample, however: {y.shape=}, {n} samples")
    rows = np.flatnonzero(~unknown_targets(y))
    if len(rows):
        Outcome(model, "loss", y[rows], len(rows))  # refuses what the model cannot be held against
    return y, rows
