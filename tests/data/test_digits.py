"""The digits that come with the package are those of the source, to the last bit."""

from __future__ import annotations

import hashlib
import os
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodal.data.digits import VIEWS, load_digits6, pack_view, unpack_view

SOURCE = Path(os.environ.get("INTERMODAL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "handwritten.npz"
SHA256 = {
    "fou": "21acbdc247bb8ba2c3aecaf55863959bc593bcede97b44ea2a9c671fd3758fcb",
    "fac": "99b32ac5779f3a4afe552ab28bfdb43215c1a474c0879ff35f2963c18d182c24",
    "kar": "a15e34ffd85a83c11fb8b65f077b367bb146062442bd6987c0ec0cd8f9415b62",
    "pix": "1ef197d534603647fa51a5795bfcf864ff281a1aef6071eaee4f6ba5509a6c1e",
    "zer": "5a4042ffc2a26e36c8e91342c8d4d0668b77379b299ab86a183fc74a5d56954b",
    "mor": "b75b8eca42dec84589babd2e882a96c57f161285d05ae9266629234662b313c7",
}


def test_the_digits_are_what_they_were_when_they_were_packed():
    digits = load_digits6()
    for name in VIEWS:
        values = np.ascontiguousarray(digits.modality(name).values, dtype="<f4")
        assert hashlib.sha256(values.tobytes()).hexdigest() == SHA256[name], name


def test_the_digits_have_the_sizes_of_the_source():
    digits = load_digits6()
    assert {n: digits.modality(n).width for n in digits.names} == VIEWS
    assert np.bincount(digits.y).tolist() == [200] * 10 and digits.target == "digit"
    for part, count in (("train", 160), ("test", 40)):
        assert np.bincount(digits.y[digits.split == part]).tolist() == [count] * 10
    pixels = digits.modality("pix").values
    assert pixels.min() == 0 and pixels.max() == 6
    holes = digits.modality("mor").values[:, 0]
    assert np.median(holes[digits.y == 8]) == 2 and np.median(holes[digits.y == 0]) == 1
    assert np.median(holes[digits.y == 1]) == 0


def test_the_digits_equal_the_source():
    if not SOURCE.is_file():
        pytest.skip("the source of the digits, handwritten.npz, is not on this machine")
    digits = load_digits6()
    with np.load(SOURCE, allow_pickle=False) as source:
        for name in VIEWS:
            values = digits.modality(name).values
            assert values.dtype == np.float32 and np.array_equal(values, source[name])
        assert np.array_equal(digits.y, source["y"]) and np.array_equal(digits.split, source["split"])


def test_the_file_comes_with_the_package_and_stays_small():
    place = resources.files("intermodal.data") / "digits6.npz"
    assert place.is_file() and len(place.read_bytes()) < 1_750_000


@given(
    st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        min_size=1,
        max_size=7,
    )
)
def test_packing_loses_nothing(rows):
    values = np.array(rows, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        packed = pack_view(values)
    assert np.array_equal(unpack_view(packed, 3), values)
