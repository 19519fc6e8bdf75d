"""Reading samples for a command: with a target to learn, or as a fitted model wants them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from intermodal.cli import console
from intermodal.cli.options import Part
from intermodal.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from intermodal.data.samples import Samples


def read_labelled(path: Path, target: str | None, group: str | None, nan: str) -> Samples:
    """Read samples that have a target.

    Raises:
        InputError: there is none; the message says how to name it.
    """
    from intermodal.data.reading import read

    samples = read(path, target=target, group=group, nan=nan)  # type: ignore[arg-type]
    if samples.y is None:
        raise InputError(f'there must be something to predict, however: "{path}" has no y; name it with --target')
    return samples


def read_unlabelled(path: Path, model: Any) -> Samples:
    """Read samples to predict: every row, also where the target is missing or absent."""
    from intermodal.data.reading import read

    samples = read(path, target=getattr(model, "target_", None), nan=model.nan, labelled=False)
    return fitting_to(model, samples)


def fitting_to(model: Any, samples: Samples) -> Samples:
    """Leave out scalar columns that the model never saw, and say what it will miss.

    A table may carry a group or a note beside its modalities; they gather in the modality "table". Any other modality
    that the model does not know is left in, so that the model refuses a misspelt one.
    """
    if "table" in samples.names and "table" not in model.names_ and len(samples.names) > 1:
        columns = samples.modality("table").columns or ()
        listed = ", ".join(f'"{c}"' for c in columns[:5]) + (" ..." if len(columns) > 5 else "")
        console.note(f"not a part of the model, and left out: {listed}")
        samples = samples.without("table")
    for name in model.names_:
        if name not in samples.names:
            console.note(f'"{name}" is not in the data and counts as missing for every sample')
    return samples


def rows_of_part(samples: Samples, split: Part | None) -> tuple[np.ndarray, str]:
    """The positions of the rows to look at, and what these rows are called.

    Args:
        samples: all rows.
        split: as asked for; None takes the test rows where the data have some, else all.

    Raises:
        InputError: a part is asked for that is not there.
    """
    import numpy as np

    has_test = samples.split is not None and bool((samples.split == "test").any())
    part = split.value if split is not None else "test" if has_test else "all"
    if part == "all":
        return np.arange(len(samples)), part
    if samples.split is None:
        raise InputError(f'--split {part} needs a column "split", however: the data have none')
    rows = np.flatnonzero(samples.split == part)
    if not len(rows):
        raise InputError(f'--split {part} needs such rows, however: no row of the split says "{part}"')
    return rows, part
