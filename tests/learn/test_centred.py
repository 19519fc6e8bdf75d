"""Long sequences are read by how they move, and by where they stand apart from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intermodal.data.samples import Samples
from intermodal.learn.estimators import FusionClassifier
from intermodal.learn.saving import load

SMALL: dict[str, Any] = {"d_model": 16, "n_heads": 2, "n_members": 1, "experts": False, "max_epochs": 40, "lr": 5e-3}


def people(first: int, n: int = 8, each: int = 24, seed: int = 0) -> tuple[Samples, np.ndarray, np.ndarray]:
    """Each person stands somewhere else, and moves up and down or down and up."""
    rng = np.random.default_rng((seed, first))
    person = np.repeat(np.arange(n), each)
    y = rng.integers(0, 2, n * each)
    place = 3 * rng.normal(size=(n, 4))[person]
    wave = np.sin(np.linspace(0, 2 * np.pi, 20)) * np.where(y, 1, -1)[:, None]
    signal = place[:, None] + wave[..., None] * np.array([1.0, 0, 0, 0]) + 0.5 * rng.normal(size=(n * each, 20, 4))
    return Samples({"signal": signal, "other": rng.normal(size=(n * each, 3))}), y, first + person


def test_what_people_differ_in_does_not_hide_how_they_move() -> None:
    (X, y, groups), (new, wanted, _) = people(0), people(100)
    score = {kind: FusionClassifier(**SMALL, encoder=kind).fit(X, y, groups=groups) for kind in ("auto", "conv")}
    centred, plain = (score[kind].score(new, wanted) for kind in ("auto", "conv"))
    assert centred > 0.9 and centred > plain + 0.05


@pytest.mark.parametrize(("tokens", "kind"), [(7, "conv"), (8, "centred")])
def test_only_a_long_sequence_is_centred_and_a_loaded_model_knows(tokens: int, kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = {"signal": rng.normal(size=(30, tokens, 2)), "other": rng.normal(size=(30, 3))}
    model = FusionClassifier(**SMALL | {"max_epochs": 2}).fit(X, rng.integers(0, 2, 30))
    assert model.encoder_ == {"signal": kind}
    again = load(model.save(tmp_path / "m"))
    assert again.encoder_ == model.encoder_ and np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.model_.network.encoders[0].kind == kind


def test_where_a_sequence_stands_is_still_read() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    X = {"signal": rng.normal(size=(300, 12, 2)) + y[:, None, None], "other": rng.normal(size=(300, 3))}
    assert FusionClassifier(**SMALL).fit(X, y).score(X, y) > 0.95
