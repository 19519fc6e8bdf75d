"""Make the digits that come with the package from `handwritten.npz`: python benchmarks/make_digits6.py [SOURCE].

Without SOURCE the file is looked for in the folder that INTERMODAL_DATA names, or in `../shared/data` beside the
checkout. Every number stays what it was; each array is stored in the form that takes least room.
"""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from intermodal.data.digits import VIEWS, pack_view, unpack_view

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src" / "intermodal" / "data" / "digits6.npz"
METHODS = (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)


def main() -> None:
    folder = Path(os.environ.get("INTERMODAL_DATA", ROOT.parent / "shared" / "data"))
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "handwritten.npz"
    if not source.is_file():
        sys.exit(f"the source must exist, however: {source} does not")
    with np.load(source, allow_pickle=False) as given:
        arrays = {name: pack_view(given[name]) for name in VIEWS}
        for name, width in VIEWS.items():
            assert (unpack_view(arrays[name], width) == given[name]).all(), name
        arrays["y"] = given["y"].astype(np.uint8)
        arrays["test"] = given["split"] == "test"
    with zipfile.ZipFile(TARGET, "w") as out:
        for name, array in arrays.items():
            content, method = min(_forms(array), key=lambda form: _size(*form))
            entry = zipfile.ZipInfo(f"{name}.npy")  # its date is fixed: the same numbers give the same file
            out.writestr(entry, content, compress_type=method, compresslevel=9)
            size = out.getinfo(entry.filename).compress_size
            print(f"{name:<5} {array.dtype!s:<7} {array.shape!s:<16} {size:>8}")
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1e6:.2f} MB from {source.stat().st_size / 1e6:.2f} MB")


def _forms(array: np.ndarray) -> Iterator[tuple[bytes, int]]:
    """Yield the array by rows and by columns, with each method of compressing."""
    for order in (np.ascontiguousarray, np.asfortranarray):
        held = io.BytesIO()
        np.save(held, order(array), allow_pickle=False)
        for method in METHODS:
            yield held.getvalue(), method


def _size(content: bytes, method: int) -> int:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as out:
        out.writestr("x", content, compress_type=method, compresslevel=9)
    return len(held.getvalue())


if __name__ == "__main__":
    main()
