"""One thread inside, the user's own setting after, and an answer that does not depend on it."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from intermodal.data.samples import Samples
from intermodal.learn import threads
from intermodal.learn.estimators import FusionClassifier
from intermodal.learn.predicting import load_predictor
from intermodal.learn.threads import one_thread


@pytest.fixture(autouse=True)
def three() -> Iterator[None]:
    """The user lets torch use three threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def blas() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_torch_and_linear_algebra_run_on_one_thread_inside() -> None:
    with threadpool_limits(2, user_api="blas"):
        assert 2 in blas()
        with one_thread():
            assert torch.get_num_threads() == 1 and set(blas()) == {1}
        assert torch.get_num_threads() == 3 and 2 in blas()


def test_the_setting_comes_back_after_an_error_and_after_one_inside_another() -> None:
    with pytest.raises(KeyError), one_thread():
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_another_device_keeps_the_setting(device: str) -> None:
    with one_thread(torch.device(device)):
        assert torch.get_num_threads() == 3


def test_a_model_is_the_same_whatever_the_number_of_threads(tmp_path) -> None:
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(90, 5)), "b": rng.normal(size=(90, 40, 3)), "c": rng.normal(size=(90, 64))}
    y = (X["a"][:, 0] > 0).astype(int)
    found = []
    for n in (3, 1):
        torch.set_num_threads(n)
        model = FusionClassifier("self", max_epochs=2, d_model=64, n_heads=2).fit(X, y)
        found += [model.predict_proba(X), load_predictor(model.save(tmp_path / str(n))).predict_proba(Samples(X))]
        assert torch.get_num_threads() == n
    assert all(np.array_equal(one, found[0]) for one in found)


def test_the_setting_comes_back_when_a_fit_is_broken_off() -> None:
    def broken(line: dict) -> None:
        assert torch.get_num_threads() == 1
        raise KeyError

    with pytest.raises(KeyError):
        FusionClassifier(max_epochs=2, d_model=8, n_heads=2, callback=broken).fit({"a": np.eye(30)}, np.arange(30) % 2)
    assert torch.get_num_threads() == 3


def test_libraries_are_looked_for_once_and_again_when_another_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []

    def look() -> ThreadpoolController:
        found.append(1)
        return ThreadpoolController()

    threads._controller.cache_clear()
    monkeypatch.setattr(threads, "ThreadpoolController", look)
    for _ in "ab":
        with one_thread():
            pass
    monkeypatch.setitem(sys.modules, "a_module_with_a_library", threads)
    with one_thread():
        pass
    threads._controller.cache_clear()
    assert len(found) == 2
