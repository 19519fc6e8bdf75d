"""What `inspect` prints is what `data.inspecting.inspect` found."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from intermodal.data.inspecting import inspect
from intermodal.data.reading import read


def test_json_is_what_the_function_returns(typed, films):
    said = typed("inspect", films, "--target", "rating", "--json")
    assert (said.code, said.err) == (0, "")
    assert said.json == {"data": str(films), **inspect(read(films, target="rating"))}


def test_the_table_holds_kinds_widths_and_lengths(typed, films):
    out = typed("inspect", films, "--target", "rating").out
    assert 'Target   "rating", 2 classes of 30 to 31 samples: bad 31, good 30' in out
    assert "Split    41 train, 20 test" in out
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert lines["text"][1:4] == ["vector", "5", "-"]
    middle = np.median(np.load(films)["video_len"])
    assert lines["video"][1:7] == ["sequence", "3", "1", "to", "7", f"({middle:g})"]


def test_oddities_come_with_a_remedy(typed, tmp_path):
    text = np.random.default_rng(0).normal(size=(29, 3))
    text[:, 1] = 7
    np.savez(tmp_path / "data.npz", text=text, y=np.array([0, 1] * 14 + [2]))
    out = typed("inspect", "data.npz").out
    assert 'NOTE  constant-columns\n  1 of 3 columns of "text" never vary: column 1.\n  What to do: Leave' in out
    assert "WARNING  rare-class" in out


def test_nothing_odd_is_said_too(typed, films):
    assert "── What is odd\nNothing.\n" in typed("inspect", films, "--target", "rating").out


def test_numbers_groups_and_gaps(typed, tmp_path):
    rows = {
        "text": [None if i % 5 == 0 else [i / 7, 1.0 / (i + 1)] for i in range(23)],
        "patient": [i // 3 for i in range(23)],
        "age": [20.5 + i for i in range(23)],
    }
    pyarrow.parquet.write_table(pa.table(rows), tmp_path / "data.parquet")
    out = typed("inspect", "data.parquet", "--target", "age", "--group", "patient").out
    assert '"age", 20.5 to 42.5, median 31.5' in out
    assert "Groups   8, of 2 to 3 samples" in out
    assert "5 (22 %)" in out


def test_a_nan_is_described_unless_it_is_to_be_refused(typed, tmp_path):
    text = np.random.default_rng(0).normal(size=(13, 3))
    text[3, 2] = np.nan
    np.savez(tmp_path / "data.npz", text=text)
    assert "nan-inside" in typed("inspect", "data.npz").out
    assert typed("inspect", "data.npz", "--nan", "error").code == 2


@pytest.mark.parametrize("columns", [40, 80])
def test_lines_fit_the_terminal(typed, films, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = typed("inspect", films, "--target", "rating").out
    subtitle = str(films)  # the one thing that no layout can break well
    assert max(len(line) for line in out.splitlines() if line not in subtitle) <= columns


# --- a fusion, before it is trained -----------------------------------------------------------------


@pytest.fixture
def one_key(tmp_path):
    """Text as a vector and video as sequences of one frame."""
    rng = np.random.default_rng(0)
    y = np.arange(31) % 2
    path = tmp_path / "one.npz"
    np.savez(path, text=rng.normal(size=(31, 5)), video=rng.normal(size=(31, 1, 3)), rating=y)
    return path


def test_the_default_fusion_is_linted_and_nothing_found_is_said(typed, films):
    said = typed("inspect", films, "--target", "rating", "--lint")
    assert said.code == 0
    assert '── What is odd about the fusion "self"\nNothing.' in said.out
    assert "the fusion" not in typed("inspect", films, "--target", "rating").out


def test_what_the_lint_finds_is_a_result_and_no_failure(typed, one_key):
    said = typed("inspect", one_key, "--target", "rating", "--lint", "--fusion", "text -> video")
    assert said.code == 0
    assert '── What is odd about the fusion "text -> video"\n' in said.out
    assert "WARNING  one-key" in said.out and "NOTE  even-by-construction" in said.out
    assert "one-key" not in typed("inspect", one_key, "--target", "rating", "--lint").out
    assert "one-key" not in typed("inspect", one_key, "--target", "rating", "--fusion", "video -> text").out


def test_a_named_fusion_is_linted_without_saying_so_twice(typed, one_key):
    words = ("inspect", one_key, "--target", "rating", "--fusion", "text -> video")
    assert typed(*words).out == typed(*words, "--lint").out


def test_the_lint_in_json_has_its_numbers(typed, one_key):
    plain = typed("inspect", one_key, "--target", "rating", "--json").json
    said = typed("inspect", one_key, "--target", "rating", "--lint", "--fusion", "text -> video", "--json").json
    lint = said.pop("lint")
    assert said == plain
    assert (lint["fusion"], lint["words"]) == ("text -> video", "text asks video")
    assert [(f["id"], f["code"], f["severity"]) for f in lint["findings"]] == [
        ("one-key", "D11", "warning"),
        ("even-by-construction", "", "note"),
    ]
    assert lint["findings"][0]["evidence"] == {"keys": 1, "edges": 1, "samples": 31}


def test_a_misspelt_fusion_is_the_users_input(typed, one_key):
    said = typed("inspect", one_key, "--target", "rating", "--lint", "--fusion", "text -> vidoe")
    assert (said.code, said.out) == (2, "")
    assert 'did you mean "video"?' in said.err
