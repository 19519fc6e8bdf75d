"""A model as a folder: `config.json` says what it is, `model.safetensors` holds its numbers. Nothing is pickled."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file
from torch import Tensor

from intermodal.errors import InputError
from intermodal.spec import Spec

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def write_folder(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], *, overwrite: bool = False
) -> Path:
    """Write a model beside its place, then move it there: what is in its place is the old one or the new one, whole.

    The old model steps aside only when the new one lies ready, and comes back when that cannot take its place.

    Args:
        folder: where it goes; its parents are made.
        config: ready for JSON, with `format` and `class`.
        tensors: the numbers, on any device.
        overwrite: replace the model that is there.

    Returns:
        The folder.

    Raises:
        InputError: the folder exists and is not to be overwritten, or holds something other than a model.

    Example:
        >>> with tempfile.TemporaryDirectory() as at:
        ...     _ = write_folder(Path(at, "m"), {"format": 1, "class": "Toy"}, {})
        ...     read_folder(Path(at, "m"), 1)
        ({'format': 1, 'class': 'Toy'}, {})
    """
    if folder.exists() and not overwrite:
        raise InputError(f'a model is saved to a new folder, however: "{folder}" exists; choose overwrite or another')
    if folder.exists() and not (folder / CONFIG).is_file():
        raise InputError(f'only a model is overwritten, however: "{folder}" holds no {CONFIG}')
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = folder.resolve()  # a link stays a link
    beside = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    aside = beside.with_name(f"{beside.name}.old")
    try:
        beside.chmod(0o755)
        text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        (beside / CONFIG).write_text(text, encoding="utf-8")
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, beside / WEIGHTS)
        if place.exists():
            os.replace(place, aside)
        os.replace(beside, place)
    except BaseException:
        if aside.exists() and not place.exists():
            os.replace(aside, place)
        shutil.rmtree(beside, ignore_errors=True)
        raise
    finally:
        if place.exists():
            shutil.rmtree(aside, ignore_errors=True)
    return folder


def read_folder(folder: Path, version: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the config and the tensors of a model.

    Args:
        folder: where `write_folder` put it.
        version: the `format` that the caller can read.

    Raises:
        InputError: no folder, no model in it, another format, or a damaged file.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f'a model is a folder with {CONFIG} in it, however: "{folder}" has none')
    with whole(folder):
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config["format"] != version:
            raise InputError(f"this version reads models of format {version}, however: {config['format']=}")
        config["class"].lower()  # a text, or this is no model
        return config, load_file(folder / WEIGHTS)


def parameters_of(model: Any, *, but: Iterable[str] = ("callback",)) -> dict[str, Any]:
    """Return the parameters of an estimator, ready for JSON.

    Args:
        model: whatever has `get_params`.
        but: names to leave out.
    """
    return {name: plain(value) for name, value in model.get_params(deep=False).items() if name not in but}


def plain(value: Any) -> Any:
    """Return a parameter as JSON has it: a number of numpy as Python's, a spec as its text, in a mapping too.

    Example:
        >>> plain({"queries": Spec.parse("a -> b", ["a", "b"]), 3: np.float64(0.5)})
        {'queries': 'a -> b', '3': 0.5}
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Spec):
        return str(value)
    return {str(k): plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def part_of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with a prefix, by the rest of their names.

    Example:
        >>> from torch import tensor
        >>> part_of({"model.bias": tensor(1), "y.mean": tensor(2)}, "model.")
        {'bias': tensor(1)}
    """
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


@contextmanager
def whole(folder: Path) -> Iterator[None]:
    """Turn whatever a damaged model does to its reader into one sentence."""
    try:
        yield
    except (InputError, ImportError):  # a library that is absent is no damage to the model
        raise
    except Exception as problem:
        raise InputError(f'a model is whole, however: "{folder}" is not ({problem})') from problem
