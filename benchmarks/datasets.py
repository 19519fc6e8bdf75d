"""The real data sets that the benchmarks measure on, as samples with the folds their protocol asks for.

The files are not part of the project. They are looked for in the folder named by INTERMODAL_DATA, else in
`../shared/data` beside the checkout. Without them the benchmarks say so and stop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from intermodal.data.samples import Samples
from intermodal.learn.splitting import Fold, Task, folds, given, holdouts


@dataclass(frozen=True)
class DataSet:
    """Samples with a target, the folds to score on, and what the protocol is called."""

    name: str
    samples: Samples
    y: np.ndarray
    task: Task
    folds: list[Fold]
    protocol: str
    groups: np.ndarray | None = None


def folder() -> Path | None:
    """Return the folder with the data sets, or None when there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    place = Path(os.environ.get("INTERMODAL_DATA", beside))
    return place if place.is_dir() else None


def names() -> list[str]:
    return list(_LOADERS)


def load(name: str) -> DataSet:
    """Read one data set; the folds are the same at every call."""
    place = folder()
    if place is None:
        raise FileNotFoundError("the data sets are not here: set INTERMODAL_DATA to their folder")
    file, loader = _LOADERS[name]
    with np.load(place / f"{file}.npz", allow_pickle=False) as archive:
        return loader(name, {key: archive[key] for key in archive.files})


Arrays = dict[str, np.ndarray]


def _vectors(name: str, a: Arrays, views: list[str], protocol: str) -> DataSet:
    samples, y = Samples({view: a[view] for view in views}), a["y"]
    cut = [given(a["split"])] if protocol == "given split" else holdouts(y, n_splits=5, test_size=0.2)
    return DataSet(name, samples, y, "classification", cut, protocol)


def _handwritten(name: str, a: Arrays) -> DataSet:
    return _vectors(name, a, ["fou", "fac", "kar", "pix", "zer", "mor"], "given split")


def _scene15(name: str, a: Arrays) -> DataSet:
    return _vectors(name, a, ["gist20", "phog59", "lbp40"], "5 random 80/20")


def _cub(name: str, a: Arrays) -> DataSet:
    return _vectors(name, a, ["image_googlenet", "text_doc2vec"], "5 random 80/20")


def _rosmap(name: str, a: Arrays) -> DataSet:
    return _vectors(name, a, ["mrna", "meth", "mirna"], "given split")


def _mosi(name: str, a: Arrays) -> DataSet:
    samples = Samples({view: a[view] for view in ("text", "audio", "video")}, groups=a["video_id"])
    return DataSet(name, samples, a["y"], "classification", [given(a["split"])], "given split", a["video_id"])


def _utd_mhad(name: str, a: Arrays) -> DataSet:
    def sequences(view: str) -> list[np.ndarray]:
        return [row[:length].astype(np.float32) for row, length in zip(a[view], a[f"{view}_len"], strict=True)]

    samples = Samples({view: sequences(view) for view in ("inertial", "skeleton", "depth")}, groups=a["subject"])
    return DataSet(name, samples, a["y"], "classification", [given(a["split"])], "odd/even subjects", a["subject"])


def _cll(target: str) -> Callable[[str, Arrays], DataSet]:
    def loader(name: str, a: Arrays) -> DataSet:
        labelled = np.flatnonzero(np.isfinite(a[target]))
        samples = Samples({view: a[view] for view in ("drugs", "mutations", "clinical")}, nan="impute")[labelled]
        y = a[target][labelled].astype(int)
        return DataSet(name, samples, y, "classification", folds(y, n_splits=5), "5-fold")

    return loader


def _houses(name: str, a: Arrays) -> DataSet:
    """Log price. The four rooms in their order are a sequence; the zip code is a label, so it becomes 0/1 columns."""
    columns = a["tabular_names"].tolist()
    numbers = a["tabular"][:, [columns.index(c) for c in ("area", "bathrooms", "bedrooms")]]
    zip_code = a["tabular"][:, columns.index("zipcode")].astype(int)
    one_hot = (zip_code[:, None] == np.unique(zip_code)).astype(np.float32)
    samples = Samples({"images": a["images"], "tabular": np.hstack([numbers, one_hot])})
    y = np.log(a["y"].astype(np.float64))
    return DataSet(name, samples, y, "regression", folds(y, n_splits=5, task="regression"), "5-fold")


PUBLISHED = {
    "handwritten": "TMC 98.5, ECML 99.4 % accuracy",
    "scene15": "TMC 67.7, ECML 76.2 % accuracy",
    "cub": "TMC 90.6, ECML 98.5 % accuracy",
    "rosmap": "MOGONET 81.5, MMDynamics 84.2 % accuracy (means of 5 splits)",
    "mosi": "bc-LSTM 80.3, MMMU-BA 82.3 % accuracy (both use the dialogue around an utterance; not used here)",
    "utd_mhad": "79.1 (the data's authors, 2015), Fusion-GCN 94.4 % accuracy (skeleton and inertial)",
}
"""Published on the same data; protocols may differ, and a published number is a low bar more often than not."""


_LOADERS: dict[str, tuple[str, Callable[[str, Arrays], DataSet]]] = {
    "handwritten": ("handwritten", _handwritten),
    "scene15": ("scene15", _scene15),
    "cub": ("cub", _cub),
    "rosmap": ("rosmap", _rosmap),
    "mosi": ("mosi", _mosi),
    "utd_mhad": ("utd_mhad", _utd_mhad),
    "cll-ighv": ("cll", _cll("y_ighv")),
    "cll-trisomy12": ("cll", _cll("y_trisomy12")),
    "houses": ("houses", _houses),
}
