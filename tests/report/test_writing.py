import os
from pathlib import Path

import pytest

from intermodal.report import ReportTooLarge, to_html, to_json, to_markdown, to_text, write


@pytest.mark.parametrize(
    ("name", "render"),
    [("r.html", to_html), ("r.md", to_markdown), ("r.json", to_json), ("r.txt", to_text), ("R.HTML", to_html)],
)
def test_the_suffix_chooses_the_form(name, render, full, tmp_path):
    path = write(full, tmp_path / name)
    assert path == tmp_path / name
    assert path.read_bytes() == render(full).encode()
    assert os.listdir(tmp_path) == [name], "nothing is left beside it"


@pytest.mark.parametrize("name", ["r.pdf", "r", "r.html.gz"])
def test_an_unknown_suffix_is_refused(name, full, tmp_path):
    with pytest.raises(ValueError) as caught:
        write(full, tmp_path / name)
    assert str(caught.value) == f'the name of a report must end in .html, .md, .json or .txt, however: "{name}"'


def test_a_folder_that_is_not_there_is_named(full, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write(full, tmp_path / "no" / "r.md")
    assert str(caught.value) == f'the folder of a report must exist, however: "{tmp_path / "no"}" does not'


@pytest.mark.parametrize("suffix", ["html", "md", "json", "txt"])
def test_a_report_too_large_leaves_the_old_file_as_it_was(suffix, full, tmp_path):
    path = tmp_path / f"r.{suffix}"
    path.write_text("old")
    with pytest.raises(ReportTooLarge, match=r"a report must be at most 0\.0001 MB, however: it has 0\.0"):
        write(full, path, max_mb=0.0001)
    assert path.read_text() == "old" and os.listdir(tmp_path) == [path.name]


def test_a_failed_rename_leaves_nothing_behind(full, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        write(full, tmp_path / "r.md")
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named_by_the_name_that_was_given(tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError) as error:
        write({"title": "t", "blocks": []}, tmp_path / "r.md")
    assert error.value.filename == str(tmp_path / "r.md") and error.value.strerror == "No space left on device"
