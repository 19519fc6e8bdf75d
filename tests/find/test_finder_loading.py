"""Loading by the folder's own word: estimators, finders, and neither."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from intermodal.errors import InputError
from intermodal.find.loading import FINDERS, load, load_finder
from intermodal.learn.estimators import FusionRegressor
from intermodal.learn.folder import CONFIG, write_folder


class Captioner:
    """Stands in for a finder."""

    def __init__(self, said: Any) -> None:
        self.said = said

    @classmethod
    def restored(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> "Captioner":
        return cls((config["word"], tensors["at"].item()))


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved finder whose class lies in a module of the test."""
    stand_in = ModuleType("stand_in")
    stand_in.Captioner = Captioner  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"intermodal.find.{FINDERS['Captioner']}", stand_in)
    config = {"format": 1, "class": "Captioner", "word": "seven"}
    return write_folder(tmp_path / "finder", config, {"at": torch.tensor(3)})


def test_a_finder_is_restored_by_its_own_class(saved: Path) -> None:
    model = load(saved)
    assert type(model) is Captioner and model.said == ("seven", 3)
    assert load_finder(str(saved), "Captioner").said == ("seven", 3)


def test_an_estimator_is_loaded_as_ever(tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 26).reshape(13, 2)
    model = FusionRegressor("none", d_model=8, n_members=1, max_epochs=1).fit(x, x[:, 0])
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(load(tmp_path / "m").predict(x), model.predict(x))
    with pytest.raises(InputError, match=r'^this needs a Captioner, however: ".*m" holds a FusionRegressor$'):
        load_finder(tmp_path / "m", "Captioner")


def test_another_kind_of_model(saved: Path) -> None:
    config = json.loads((saved / CONFIG).read_text())
    (saved / CONFIG).write_text(json.dumps(config | {"class": "Oracle"}))
    sentence = '^a model is one of FusionClassifier, .*, Captioner, however: ".*finder" says "Oracle"$'
    with pytest.raises(InputError, match=sentence):
        load(saved)


def test_a_finder_that_lacks_something_is_not_whole(saved: Path) -> None:
    (saved / CONFIG).write_text('{"format": 1, "class": "Captioner"}')
    with pytest.raises(InputError, match=r"^a model is whole, however: \".*finder\" is not \('word'\)$"):
        load(saved)


def test_every_finder_is_named_once_and_the_format_counts(saved: Path) -> None:
    assert len(set(FINDERS.values())) == len(FINDERS)
    (saved / CONFIG).write_text('{"format": 9, "class": "Captioner"}')
    with pytest.raises(InputError, match=r"^this version reads models of format 1, however: "):
        load(saved)
