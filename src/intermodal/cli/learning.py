"""Which rows of the samples a model learns from, and which tell it when to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intermodal.data.samples import Samples


@dataclass(frozen=True)
class Rows:
    """Samples to fit on, and what becomes of their rows.

    Args:
        samples: without the test rows.
        n_learn: rows to learn from.
        n_stop: rows that tell when to stop.
        n_test: rows left out because the split says "test".
    """

    samples: Samples
    n_learn: int
    n_stop: int
    n_test: int


def learning_rows(samples: Samples, task: str, *, share: float, seed: int) -> Rows:
    """Leave out test rows, and count those that the estimator will learn from and those that it will stop by.

    Args:
        samples: with a target.
        task: classification holds out by class.
        share: of the training rows to hold out.
        seed: the same seed cuts the same way.

    Raises:
        InputError: no training row is left.

    Example:
        >>> import numpy as np
        >>> from intermodal.data.samples import Samples
        >>> rows = learning_rows(Samples({"a": np.ones((20, 1))}, y=[0, 1] * 10), "classification", share=0.2, seed=0)
        >>> rows.n_learn, rows.n_stop, rows.n_test
        (16, 4, 0)
    """
    import numpy as np

    from intermodal.errors import InputError
    from intermodal.learn.holding import hold_out

    n_test = 0
    if samples.split is not None:
        kept = np.flatnonzero(samples.split != "test")
        n_test = len(samples) - len(kept)
        if not (samples.split == "train").any():
            raise InputError('fit needs rows to learn from, however: no row of the split says "train"')
        samples = samples[kept]
    if samples.split is not None and (samples.split == "valid").any():
        n_stop = int((samples.split == "valid").sum())
        return Rows(samples, len(samples) - n_stop, n_stop, n_test)
    assert samples.y is not None
    labels = np.unique(samples.y, return_inverse=True)[1] if task == "classification" else None
    learn, stop = hold_out(len(samples), share=share, seed=seed, labels=labels, groups=samples.groups)
    return Rows(samples, len(learn), len(stop), n_test)
