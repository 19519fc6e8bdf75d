"""Boosted trees as tensors, against the library that grew them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from intermodal.learn import trees as module
from intermodal.learn.trees import Trees


def columns(n: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 5)).astype(np.float32).astype(np.float64)


def classes(x: np.ndarray, k: int) -> np.ndarray:
    return np.digitize(x[:, 0] * np.sign(x[:, 1]), np.linspace(-0.7, 0.7, k - 1))


def peer(kind: type, iterations: int = 100):  # type: ignore[no-untyped-def, type-arg]
    return kind(learning_rate=0.1, max_iter=iterations, max_leaf_nodes=15, early_stopping=False, random_state=0)


def said(trees: Trees, x: np.ndarray, dtype: torch.dtype = torch.float64) -> np.ndarray:
    return trees.to(dtype)(torch.from_numpy(x).to(dtype)).double().numpy()


@pytest.mark.parametrize("k", [2, 3, 12])
def test_logits_are_those_of_the_library(k: int) -> None:
    x, new, weight = columns(), columns(50, 1), np.random.default_rng(2).uniform(0.5, 2.0, 300)
    other = peer(HistGradientBoostingClassifier, 83 if k == 12 else 100).fit(x, classes(x, k), sample_weight=weight)
    found = said(Trees.fit(x, classes(x, k), weight, n_classes=k, seed=0), new)
    shares = np.exp(found) / np.exp(found).sum(1, keepdims=True)
    assert np.allclose(shares, other.predict_proba(new), atol=1e-5)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_numbers_are_those_of_the_library(n_outputs: int) -> None:
    x, new = columns(), columns(50, 1)
    y = np.column_stack([x[:, 0] * x[:, 1], np.abs(x[:, 2])])[:, :n_outputs]
    found = said(Trees.fit(x, y, np.ones(300), n_classes=None, seed=0), new)
    for o in range(n_outputs):
        other = peer(HistGradientBoostingRegressor).fit(x, y[:, o])
        assert np.allclose(found[:, o], other.predict(new), atol=1e-5)


def test_a_class_that_no_row_has_is_rare_and_a_single_one_is_sure() -> None:
    x = columns()
    found = said(Trees.fit(x, 2 * classes(x, 3), np.ones(300), n_classes=6, seed=0), x)
    assert set(found.argmax(1)) == {0, 2, 4} and np.allclose(found[:, 1], np.log(0.1 / 300))
    alone = said(Trees.fit(x, np.ones(300, dtype=int), np.ones(300), n_classes=3, seed=0), x)
    assert (alone.argmax(1) == 1).all() and alone.shape == (300, 3)


def test_rows_of_no_weight_are_left_out() -> None:
    x, weight = columns(), np.ones(300)
    weight[200:] = 0
    wrong = x[:, :1].copy()
    wrong[200:] = 1e6
    a = Trees.fit(x, wrong, weight, n_classes=None, seed=0)
    b = Trees.fit(x[:200], wrong[:200], weight[:200], n_classes=None, seed=0)
    assert np.array_equal(said(a, x), said(b, x))


def test_single_precision_decides_alike() -> None:
    x = columns()
    grown = Trees.fit(x, classes(x, 3), np.ones(300), n_classes=3, seed=0)
    assert np.allclose(said(copy.deepcopy(grown), x, torch.float32), said(grown, x), atol=1e-4)


def test_a_row_answers_alone_as_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    x = columns(40)
    grown = Trees.fit(x, classes(x, 3), np.ones(40), n_classes=3, seed=0)
    whole = said(grown, x)
    assert np.array_equal(whole[:1], said(grown, x[:1]))
    monkeypatch.setattr(module, "AT_ONCE", 7 * len(grown.root))
    assert np.array_equal(whole, said(grown, x))


def test_trees_come_back_from_a_file(tmp_path: Path) -> None:
    x = columns(60)
    grown = Trees.fit(x, classes(x, 3), np.ones(60), n_classes=3, seed=0)
    save_file(grown.state_dict(), tmp_path / "trees.safetensors")
    back = Trees.restored(load_file(tmp_path / "trees.safetensors"))
    assert np.array_equal(said(back, x), said(grown, x))


def test_trees_of_some_columns_answer_to_all() -> None:
    x = columns()
    grown = Trees.fit(x[:, [1, 3]], x[:, 3:4], np.ones(300), n_classes=None, seed=0)
    assert np.array_equal(said(grown, x[:, [1, 3]]), said(grown.among(np.array([1, 3])), x))


def test_threads_do_not_change_what_grows() -> None:
    from threadpoolctl import threadpool_limits

    x = columns()
    one, two = [], []
    for kept, limit in ((one, 1), (two, 2)):
        with threadpool_limits(limit):
            kept.append(said(Trees.fit(x, x[:, :1], np.ones(300), n_classes=None, seed=0), x))
    assert np.array_equal(one[0], two[0])
