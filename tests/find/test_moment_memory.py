"""An hour is one piece: the largest tensor grows with the length of the video, never with its square."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from intermodal.find.moments import MomentLocalizer
from intermodal.nn import directed


class Largest(TorchDispatchMode):
    """Remembers the most numbers that any operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for t in out if isinstance(out, tuple | list) else (out,):
            if isinstance(t, torch.Tensor):
                self.numbers = max(self.numbers, t.numel())
        return out


@pytest.fixture(scope="module")
def model() -> MomentLocalizer:
    rng = np.random.default_rng(0)
    films = list(rng.normal(size=(12, 20, 3)))
    model = MomentLocalizer(d_model=8, n_heads=2, n_layers=1, max_epochs=1)
    return model.fit({"v": films}, ["when is it"] * 12, [(3, 8)] * 12)


def largest(model: MomentLocalizer, n: int) -> int:
    film = np.random.default_rng(1).normal(size=(n, 3))
    with Largest() as watched:
        found = model.predict({"v": [film]}, ["when is it"])
    assert len(found[0].timeline.relevance) == n
    return watched.numbers


def test_the_largest_tensor_of_an_answer_grows_with_the_length(
    model: MomentLocalizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directed, "MOST", 2**14)
    sizes = [largest(model, n) for n in (500, 1000, 2000)]
    assert sizes[2] <= 2.1 * sizes[1] <= 2.1 * 2.1 * sizes[0]
    assert sizes[2] < 2000 * 2000 / 50


def test_without_pieces_it_would_grow_with_the_square(model: MomentLocalizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directed, "MOST", 2**40)
    assert largest(model, 1000) >= 1000 * 1000


def test_an_hour_is_answered_whole(model: MomentLocalizer) -> None:
    film = np.random.default_rng(1).normal(size=(3600, 3))
    with Largest() as watched:
        found = model.predict({"v": [film]}, ["when is it"])[0]
    assert found.timeline.times[-1].tolist() == [3599.0, 3600.0]
    assert watched.numbers < 2**24


def test_training_on_long_videos_holds_no_square_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directed, "MOST", 2**14)
    films = list(np.random.default_rng(0).normal(size=(2, 900, 3)))
    with Largest() as watched:
        MomentLocalizer(d_model=8, n_heads=2, n_layers=1, max_epochs=1, clip=1.0).fit(
            {"v": films}, ["when is it"] * 2, [(3, 8)] * 2
        )
    assert watched.numbers < 900 * 900 / 15
