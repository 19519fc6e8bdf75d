"""Inspecting: every oddity is found where it is planted, and sound samples have none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from intermodal.data.digits import load_digits6
from intermodal.data.inspecting import inspect
from intermodal.data.oddities import CHECKS, find_oddities
from intermodal.data.samples import Samples
from intermodal.data.statistics import column_statistics, is_classes

N = 53
RNG = np.random.default_rng(0)
TEXT = RNG.normal(size=(N, 5))
AUDIO = [RNG.normal(size=(t, 3)) for t in RNG.integers(2, 7, size=N)]
Y = np.arange(N) % 2
SPLIT = ["train"] * 41 + ["test"] * 12


def sound(**more) -> Samples:
    return Samples({"text": TEXT, "audio": AUDIO}, **({"y": Y, "split": SPLIT, "groups": np.arange(N)} | more))


def with_rows(row_a: int, row_b: int) -> Samples:
    text, audio = TEXT.copy(), list(AUDIO)
    text[row_b], audio[row_b] = text[row_a], audio[row_a]
    return Samples({"text": text, "audio": audio}, y=Y, split=SPLIT)


def of_text(text, **more) -> Samples:
    return Samples({"text": text, "audio": AUDIO}, **more)


def changed(column: int, values) -> np.ndarray:
    text = TEXT.copy()
    text[:, column] = values
    return text


def some_nan(rows, columns=slice(None)) -> np.ndarray:
    text = TEXT.copy()
    text[rows, columns] = np.nan
    return text


PLANTED = {
    "group-in-two-parts": (
        lambda: sound(groups=np.arange(N) // 3),
        "error",
        '1 of 18 groups stand in more than one part of the split, such as "13".',
    ),
    "train-in-test": (
        lambda: with_rows(3, 50),
        "error",
        "1 of 12 test samples equal a training sample in every modality.",
    ),
    "repeated-samples": (
        lambda: with_rows(3, 5),
        "warning",
        "1 of 53 samples repeat an earlier one in every modality.",
    ),
    "target-among-features": (
        lambda: of_text(changed(2, 3.0 - 2.0 * Y), y=Y, target="cured"),
        "error",
        'column 2 of "text" is the target "cured" itself, up to scale and shift.',
    ),
    "one-class": (lambda: sound(y=["a"] * N), "error", 'the target "y" is a for every sample.'),
    "rare-class": (
        lambda: sound(y=["b"] * 3 + ["a"] * 50),
        "warning",
        '1 of 2 classes have fewer than 5 samples: "b" (3).',
    ),
    "uneven-classes": (
        lambda: sound(y=np.arange(N) >= 5),
        "warning",
        '91 % of the samples are of class "True".',
    ),
    "target-missing": (
        lambda: sound(y=[np.nan] + [0.5, 1.0] * 26),
        "warning",
        'the target "y" is NaN in 1 of 53 samples.',
    ),
    "often-missing": (
        lambda: of_text(some_nan(slice(0, 29))),
        "warning",
        '"text" is missing in 29 of 53 samples (55 %).',
    ),
    "nothing-present": (
        lambda: Samples({"text": some_nan([7, 11])}),
        "warning",
        "2 of 53 samples have no modality at all.",
    ),
    "same-modality-twice": (
        lambda: Samples({"a": TEXT, "b": TEXT.copy(), "c": AUDIO}),
        "warning",
        '"a" and "b" hold the same values.',
    ),
    "constant-columns": (
        lambda: of_text(changed(1, 7.0)),
        "note",
        '1 of 5 columns of "text" never vary: column 1.',
    ),
    "nan-inside": (
        lambda: of_text(some_nan([2, 3], 4), nan="impute"),
        "note",
        '0.8 % of the values of "text" are NaN; column 4 has most, 2.',
    ),
    "wider-than-long": (
        lambda: of_text(RNG.normal(size=(N, 59))),
        "note",
        '"text" has 59 columns and is there for 53 samples.',
    ),
    "uneven-scale": (
        lambda: of_text(np.tile([[0.0, 1.0]], (N, 1)) + np.arange(N)[:, None] % 2 * [1e-3, 1e2]),
        "note",
        'the columns of "text" spread very differently: column 0 by 0.0005, column 1 by 50.',
    ),
    "ragged-lengths": (
        lambda: Samples({"text": TEXT, "audio": [*([np.eye(3)[:2]] * 52), RNG.normal(size=(23, 3))]}),
        "note",
        'the longest "audio" has 23 tokens, the usual one 2.',
    ),
    "one-token": (
        lambda: Samples({"text": TEXT[:, None, :]}),
        "warning",
        '"text" is given as a sequence, but every sample has one token.',
    ),
    "repeated-rows": (
        lambda: of_text(RNG.normal(size=(3, 11))[np.arange(N) % 3]),
        "note",
        '"text" has only 3 different values in 53 samples.',
    ),
}


def test_sound_samples_have_no_oddities():
    assert find_oddities(sound()) == []


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_oddity_is_found_and_said_in_plain_words(kind):
    make, severity, text = PLANTED[kind]
    found = {oddity["id"]: oddity for oddity in inspect(make())["oddities"]}
    assert (found[kind]["severity"], found[kind]["text"]) == (severity, text)
    assert found[kind]["remedy"].endswith(".")


def test_every_check_has_its_planted_case():
    assert len(CHECKS) == len(PLANTED)


def test_the_worst_comes_first():
    samples = Samples({"text": changed(1, 7.0)}, y=["a"] * N)
    assert [o["severity"] for o in find_oddities(samples)] == ["error", "note"]


def test_a_copy_or_two_in_a_large_test_is_a_warning():
    found = find_oddities(load_digits6())
    assert [(o["id"], o["severity"]) for o in found] == [
        ("train-in-test", "warning"),
        ("repeated-samples", "warning"),
        ("uneven-scale", "note"),
    ]
    assert found[0]["text"] == "1 of 400 test samples equal a training sample in every modality."


def test_inspecting_describes_every_modality_in_json():
    samples = Samples(
        {"text": [[1.0, 5.0], None, [3.0, 5.0]], "audio": [[[1.0]], [[2.0], [4.0], [6.0]], None]},
        y=[0.5, np.nan, 2.5],
        groups=["a", "a", "b"],
        split=["train", "train", "test"],
        target="price",
    )
    found = json.loads(json.dumps(inspect(samples), allow_nan=False))
    assert found["n"] == 3 and found["split"] == {"train": 2, "test": 1}
    assert found["groups"] == {"count": 2, "smallest": 1, "largest": 2}
    assert found["target"] == {
        "name": "price", "missing": 1, "kind": "number", "min": 0.5, "median": 1.5, "max": 2.5,
    }  # fmt: skip
    assert found["modalities"] == [
        {
            "name": "text", "kind": "vector", "width": 2, "dtype": "float64", "lengths": None,
            "missing": {"count": 1, "share": 0.3333}, "constant_columns": {"count": 1, "names": ["1"]},
            "duplicated_rows": 0, "nan": 0,
            "scale": {"min": 1.0, "max": 5.0, "smallest_std": 1.0, "largest_std": 1.0},
        },
        {
            "name": "audio", "kind": "sequence", "width": 1, "dtype": "float64",
            "lengths": {"min": 1, "median": 2.0, "max": 3},
            "missing": {"count": 1, "share": 0.3333}, "constant_columns": {"count": 0, "names": []},
            "duplicated_rows": 0, "nan": 0,
            "scale": {"min": 1.0, "max": 6.0, "smallest_std": 1.92029, "largest_std": 1.92029},
        },
    ]  # fmt: skip


def test_inspecting_a_part_in_which_a_modality_is_missing_throughout():
    samples = Samples({"text": TEXT, "audio": [None, *AUDIO[1:]]}, y=np.ones((N, 3)))[:1]
    found = json.loads(json.dumps(inspect(samples), allow_nan=False))
    assert found["modalities"][1]["scale"]["min"] is None and found["modalities"][1]["lengths"] is None
    assert found["target"]["kind"] == "several"


def test_what_is_missing_twice_is_no_repetition():
    found = inspect(Samples({"text": [[1.0], None, None, [1.0], [2.0]]}))
    assert found["modalities"][0]["duplicated_rows"] == 1
    assert [o["text"] for o in found["oddities"] if o["id"] == "repeated-samples"] == [
        "1 of 5 samples repeat an earlier one in every modality."
    ]


def test_column_statistics_are_those_of_numpy():
    values = some_nan([2, 3], 4)
    values[5] = np.nan
    found = column_statistics(Samples({"text": values}, nan="impute").modality("text"))
    assert np.allclose(found.std, np.nanstd(values, axis=0)) and np.allclose(found.low, np.nanmin(values, axis=0))
    assert np.allclose(found.high, np.nanmax(values, axis=0)) and found.nan.tolist() == [0, 0, 0, 0, 2]


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array(["a", "b"]), True),
        (np.array([True, False]), True),
        (np.arange(10), True),
        (np.arange(500) % 100, True),
        (np.arange(499) % 100, False),
        (np.arange(11.0), False),
        (np.array([0.5, 1.0]), False),
    ],
)
def test_classes_are_told_from_quantities(y, classes):
    assert is_classes(y) is classes
