"""A model's folder: whole or not there, whatever interrupts its writing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from intermodal.errors import InputError
from intermodal.learn import folder as module
from intermodal.learn.folder import CONFIG, WEIGHTS, read_folder, whole, write_folder

CONFIG_A, CONFIG_B = {"format": 1, "class": "Toy", "é": [1, None]}, {"format": 1, "class": "Other"}
TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor([True])}


def names(at: Path) -> list[str]:
    return sorted(p.name for p in at.iterdir())


def is_a(at: Path) -> None:
    config, tensors = read_folder(at, 1)
    assert config == CONFIG_A
    assert set(tensors) == set(TENSORS) and all(torch.equal(tensors[k], TENSORS[k]) for k in TENSORS)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert write_folder(tmp_path / "deep" / "model", CONFIG_A, TENSORS) == tmp_path / "deep" / "model"
    is_a(tmp_path / "deep" / "model")
    assert names(tmp_path / "deep") == ["model"] and names(tmp_path / "deep" / "model") == [CONFIG, WEIGHTS]
    assert (tmp_path / "deep" / "model").stat().st_mode & 0o777 == 0o755


def test_a_model_is_overwritten_only_when_asked(tmp_path: Path) -> None:
    write_folder(tmp_path / "m", CONFIG_A, TENSORS)
    with pytest.raises(InputError, match=r'^a model is saved to a new folder, however: ".*m" exists; choose overwrite'):
        write_folder(tmp_path / "m", CONFIG_B, {})
    is_a(tmp_path / "m")
    write_folder(tmp_path / "m", CONFIG_B, {}, overwrite=True)
    assert read_folder(tmp_path / "m", 1) == (CONFIG_B, {})
    assert names(tmp_path) == ["m"]


@pytest.mark.parametrize("what", ["folder", "file"])
def test_nothing_but_a_model_is_overwritten(tmp_path: Path, what: str) -> None:
    place = tmp_path / "precious"
    if what == "folder":
        place.mkdir()
        (place / "thesis.txt").write_text("all of it")
    else:
        place.write_text("all of it")
    with pytest.raises(InputError, match=r'^only a model is overwritten, however: ".*precious" holds no config\.json$'):
        write_folder(place, CONFIG_B, {}, overwrite=True)
    assert (place / "thesis.txt" if what == "folder" else place).read_text() == "all of it"


class Stop(BaseException):
    """Somebody pressed a key."""


@pytest.mark.parametrize("when", ["config", "weights", "old model moves", "new model moves"])
def test_an_interrupted_save_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    write_folder(tmp_path / "m", CONFIG_A, TENSORS)
    moves, move = iter(["old model moves", "new model moves", "back"]), os.replace

    def moving(source: Any, target: Any) -> None:
        if next(moves) == when:
            raise Stop
        move(source, target)

    def stopping(*_: Any, **__: Any) -> None:
        raise Stop

    monkeypatch.setattr(module.os, "replace", moving)
    if when == "config":
        monkeypatch.setattr(module.json, "dumps", stopping)
    if when == "weights":
        monkeypatch.setattr(module, "save_file", stopping)
    with pytest.raises(Stop):
        write_folder(tmp_path / "m", CONFIG_B, {}, overwrite=True)
    monkeypatch.undo()
    is_a(tmp_path / "m")
    assert names(tmp_path) == ["m"]


def test_an_interrupted_first_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(*_: Any, **__: Any) -> None:
        raise Stop

    monkeypatch.setattr(module, "save_file", stopping)
    with pytest.raises(Stop):
        write_folder(tmp_path / "m", CONFIG_B, {})
    assert names(tmp_path) == []


def test_the_old_model_stands_until_the_new_one_lies_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "m", CONFIG_A, TENSORS)
    save = module.save_file

    def looking(tensors: Any, place: Path) -> None:
        is_a(tmp_path / "m")
        save(tensors, place)

    monkeypatch.setattr(module, "save_file", looking)
    write_folder(tmp_path / "m", CONFIG_B, {}, overwrite=True)
    assert read_folder(tmp_path / "m", 1)[0] == CONFIG_B


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    write_folder(tmp_path / "real", CONFIG_A, TENSORS)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_folder(tmp_path / "link", CONFIG_B, {}, overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert read_folder(tmp_path / "real", 1)[0] == CONFIG_B
    assert names(tmp_path) == ["link", "real"]


def test_no_model(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=rf'^a model is a folder with config.json in it, however: "{place}" has'):
            read_folder(place, 1)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (CONFIG, "", "^a model is whole, however: "),
        (CONFIG, "[]", "^a model is whole, however: "),
        (CONFIG, '{"class": "Toy"}', "^a model is whole, however: .*'format'"),
        (CONFIG, '{"format": 1}', "^a model is whole, however: .*'class'"),
        (CONFIG, '{"format": 1, "class": 5}', "^a model is whole, however: "),
        (CONFIG, '{"format": 2, "class": "Toy"}', r"^this version reads models of format 1, however: .*=2$"),
        (WEIGHTS, "half", "^a model is whole, however: "),
        (WEIGHTS, None, "^a model is whole, however: "),
    ],
)
def test_a_damaged_model(tmp_path: Path, file: str, content: str | None, message: str) -> None:
    write_folder(tmp_path / "m", CONFIG_A, TENSORS)
    if content is None:
        (tmp_path / "m" / file).unlink()
    else:
        (tmp_path / "m" / file).write_text(content)
    with pytest.raises(InputError, match=message):
        read_folder(tmp_path / "m", 1)


def test_one_sentence_keeps_an_error_that_is_one() -> None:
    with pytest.raises(InputError, match=r"^mine$"), whole(Path("m")):
        raise InputError("mine")
    with pytest.raises(InputError, match=r'^a model is whole, however: "m" is not \(\'key\'\)$'), whole(Path("m")):
        raise KeyError("key")
    with pytest.raises(KeyboardInterrupt), whole(Path("m")):
        raise KeyboardInterrupt


def test_the_config_can_be_read_by_people(tmp_path: Path) -> None:
    text = (write_folder(tmp_path / "m", CONFIG_A, {}) / CONFIG).read_text("utf-8")
    assert json.loads(text) == CONFIG_A and "é" in text and text.endswith("}\n")
