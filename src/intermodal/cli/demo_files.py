"""The folder that the demo leaves behind, and what may be overwritten in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intermodal.errors import InputError

if TYPE_CHECKING:
    from intermodal.data.samples import Samples


@dataclass(frozen=True)
class DemoFiles:
    """Where the demo writes.

    Args:
        folder: made when it is not there.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """The digits, one row each."""
        return self.folder / "digits6.parquet"

    @property
    def model(self) -> Path:
        """The fitted model."""
        return self.folder / "model"

    @property
    def moments(self) -> Path:
        """The model that finds digits in videos."""
        return self.folder / "moments"

    @property
    def video(self) -> Path:
        """The frames of a video that it never saw."""
        return self.folder / "video.npz"

    @property
    def report(self) -> Path:
        """Everything the demo found, on one page."""
        return self.folder / "report.html"

    def check(self) -> None:
        """Raise where the folder is somebody else's: the demo overwrites its own files and touches no other.

        Raises:
            InputError: the folder holds files but not the demo's, or is a file.
        """
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise InputError(f'the demo writes to a folder, however: "{self.folder}" is a file; choose another --out')
        is_ours = self.data.is_file() and (not self.model.exists() or (self.model / "config.json").is_file())
        if any(self.folder.iterdir()) and not is_ours:
            raise InputError(
                f'the demo writes to a new folder or to its own, however: "{self.folder}" holds something else; '
                "choose another --out"
            )


def write_digits(samples: Samples, path: Path) -> None:
    """Write samples with vectors to a Parquet file, a row each; `read` gives the same samples back.

    Args:
        samples: vectors that are all there, with `y` and `split`.
        path: where to; written beside its place and renamed.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet

    columns = {}
    for name in samples.names:
        modality = samples.modality(name)
        numbers = pa.array(np.ascontiguousarray(modality.values).reshape(-1))
        columns[name] = pa.FixedSizeListArray.from_arrays(numbers, modality.width)
    table = pa.table({**columns, "y": samples.y, "split": samples.split})
    with beside(path) as part:
        pyarrow.parquet.write_table(table, part, compression="zstd")


def write_video(arrays: dict[str, Any], path: Path) -> None:
    """Write the frames of one video to an npz, beside its place and renamed."""
    import numpy as np

    with beside(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write to; when the body ends well it becomes the file, else it is gone."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
