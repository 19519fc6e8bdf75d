"""The real data sets that the benchmarks measure on, as samples with the folds their protocol asks for.

The files are not part of the project. They are looked for in the folder named by INTERMODAL_DATA, else in
`../shared/data` beside the checkout. Without them the benchmarks say so and stop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from intermodal.data.samples import Samples
from intermodal.learn.splitting import Fold, Task, folds, given, holdouts


@dataclass(frozen=True)
class DataSet:
    """Samples with a target, the folds to score on, what the protocol is called, and what a reader should know."""

    name: str
    samples: Samples
    y: np.ndarray
    task: Task
    folds: list[Fold]
    protocol: str
    groups: np.ndarray | None = None
    note: str = ""


@dataclass(frozen=True)
class Published:
    """What others have printed on the same data: the greatest figure (a share, None where it is not comparable)."""

    value: float | None
    words: str


def folder() -> Path | None:
    """Return the folder with the data sets, or None when there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    place = Path(os.environ.get("INTERMODAL_DATA", beside))
    return place if place.is_dir() else None


def names() -> list[str]:
    return list(_LOADERS)


def file_of(name: str) -> str:
    """Return the file that a set is read from: several targets or protocols may share one."""
    return _LOADERS[name][0] if name in _LOADERS else name


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


_MOSI_NOTE = (
    "The text and video features were learned with the training labels: inside the training rows they reach 98 % and "
    "92 %, on the test rows 76 % and 52 %. Whatever is held out of the training rows, by whole videos too, therefore "
    "says to trust video; choices made there mislead every model alike, ours and the plain ones."
)


def _mosi(name: str, a: Arrays) -> DataSet:
    return _of_mosi(name, a, {}, "given split, each utterance by itself", _MOSI_NOTE)


def _mosi_dialogue(name: str, a: Arrays) -> DataSet:
    """The utterances with the dialogue around each, which the published figures use, as five more vectors."""
    note = (
        f"{_MOSI_NOTE} The dialogue is five more vectors that every model gets: the text of the utterance before and "
        "of the one after (missing at the ends), and the means of text, audio and video over the whole video. A video "
        "lies in one part of the split as a whole; no label is used."
    )
    return _of_mosi(name, a, _dialogue(a), "given split, with the dialogue around an utterance", note)


def _of_mosi(name: str, a: Arrays, more: dict[str, Any], protocol: str, note: str) -> DataSet:
    views = {view: a[view] for view in ("text", "audio", "video")}
    samples = Samples({**views, **more}, groups=a["video_id"])
    return DataSet(name, samples, a["y"], "classification", [given(a["split"])], protocol, a["video_id"], note)


def _dialogue(a: Arrays) -> dict[str, Any]:
    """The neighbours' text, None at the ends of a video, and means over the video."""
    before: list[np.ndarray | None] = [None] * len(a["y"])
    after: list[np.ndarray | None] = [None] * len(a["y"])
    means = {view: np.empty_like(a[view]) for view in ("text", "audio", "video")}
    for video in np.unique(a["video_id"]):
        rows = np.flatnonzero(a["video_id"] == video)
        rows = rows[np.argsort(a["position"][rows])]
        for first, second in pairwise(rows):
            before[second], after[first] = a["text"][first], a["text"][second]
        for view, mean in means.items():
            mean[rows] = a[view][rows].mean(axis=0)
    return {"text_before": before, "text_after": after, **{f"{view}_mean": mean for view, mean in means.items()}}


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
    "handwritten": Published(0.994, "TMC 98.5, ECML 99.4 % accuracy"),
    "scene15": Published(0.762, "TMC 67.7, ECML 76.2 % accuracy"),
    "cub": Published(0.985, "TMC 90.6, ECML 98.5 % accuracy"),
    "rosmap": Published(0.842, "MOGONET 81.5, MMDynamics 84.2 % accuracy (means of 5 splits)"),
    "mosi": Published(None, "none for an utterance by itself"),
    "mosi-dialogue": Published(0.823, "bc-LSTM 80.3, MMMU-BA 82.3 % accuracy"),
    "utd_mhad": Published(0.944, "79.1 (the data's authors, 2015), Fusion-GCN 94.4 % accuracy (skeleton and inertial)"),
    "wikipedia": Published(0.267, "SM .224, SCM .252, GMLDA .253, JFSSL .267 mean average precision"),
    "charades_sta": Published(
        0.536, "Moment-DETR 53.6 % at IoU .5, supervised on the full training set; here there are test videos only"
    ),
}
"""Published on the same data; protocols may differ, and a published number is a low bar more often than not."""


_LOADERS: dict[str, tuple[str, Callable[[str, Arrays], DataSet]]] = {
    "handwritten": ("handwritten", _handwritten),
    "scene15": ("scene15", _scene15),
    "cub": ("cub", _cub),
    "rosmap": ("rosmap", _rosmap),
    "mosi": ("mosi", _mosi),
    "mosi-dialogue": ("mosi", _mosi_dialogue),
    "utd_mhad": ("utd_mhad", _utd_mhad),
    "cll-ighv": ("cll", _cll("y_ighv")),
    "cll-trisomy12": ("cll", _cll("y_trisomy12")),
    "houses": ("houses", _houses),
}
