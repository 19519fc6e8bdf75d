"""The façade: every promised name is there, whatever was imported before."""

import subprocess
import sys

import pytest

import intermodal as im


@pytest.mark.parametrize("name", im.__all__)
def test_every_name_loads(name: str) -> None:
    assert getattr(im, name) is not None
    assert name in dir(im)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'intermodal' has no attribute 'expalin'"):
        im.expalin  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "before",
    ["import intermodal.explain.shapley_values", "import intermodal.learn.estimators", "from intermodal import nn", ""],
)
def test_explain_can_be_called_in_any_order_of_imports(before: str) -> None:
    code = f"{before}\nimport intermodal as im\nassert callable(im.explain) and callable(im.compare), im.explain"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", sorted(im.find._PARTS))
@pytest.mark.parametrize("before", ["", "import intermodal.find.retriever, intermodal.find.moments"])
def test_every_part_of_find_is_what_it_says(name: str, before: str) -> None:
    code = f"{before}\nimport intermodal as im\nassert callable(im.find.{name}), im.find.{name}"
    subprocess.run([sys.executable, "-c", code], check=True)
