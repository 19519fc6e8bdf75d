"""The feed gives what `data.batching.batch` gives, and every row once an epoch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodal.data.batching import batch
from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.learn.feed import Feed, as_tensor, to_device


def mixed(n: int = 23) -> Samples:
    rng = np.random.default_rng(0)
    return Samples(
        {
            "text": rng.normal(size=(n, 3)),
            "audio": [None if i % 5 == 1 else rng.normal(size=2) for i in range(n)],
            "video": [None if i == 7 else rng.normal(size=(1 + i % 11, 5)) for i in range(n)],
        }
    )


@pytest.mark.parametrize("rows", [[0], [7], [2, 3, 4], [22, 1, 7, 1, 0]], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_is_that_of_the_data_room(rows: list[int], dtype: torch.dtype) -> None:
    samples = mixed()
    fed, wanted = Feed(samples, dtype=dtype).batch(np.array(rows)), batch(samples, rows, dtype=dtype)
    assert fed.x.keys() == wanted.x.keys()
    for name, x in wanted.x.items():
        assert fed.x[name].dtype == dtype
        assert torch.equal(fed.x[name], x)
        if name in fed.present:
            assert torch.equal(fed.present[name], wanted.present[name])
        else:
            assert wanted.present[name].all()


def test_only_modalities_in_which_something_is_missing_are_masked() -> None:
    feed = Feed(mixed())
    assert feed.batch(np.array([0, 22])).present == {}  # both videos hold one token
    assert set(feed.batch(np.array([0, 1])).present) == {"audio", "video"}
    assert set(feed.batch(np.array([7])).present) == {"video"}


def test_writing_to_a_batch_leaves_the_feed_alone() -> None:
    feed = Feed(mixed())
    before = feed.batch(np.array([3])).x["text"].clone()
    feed.batch(np.array([3])).x["text"].zero_()
    assert torch.equal(feed.batch(np.array([3])).x["text"], before)


@settings(deadline=None)
@given(st.integers(1, 23), st.integers(1, 30), st.booleans(), st.integers(0, 99))
def test_an_epoch_yields_every_row_once_in_batches_of_the_size(n: int, size: int, sequences: bool, seed: int) -> None:
    samples = mixed() if sequences else mixed().only("text", "audio")
    rows = np.random.default_rng(seed).permutation(23)[:n]
    batches = list(Feed(samples).epoch(rows, size, np.random.default_rng(seed)))
    assert sorted(np.concatenate(batches)) == sorted(rows)
    assert max(map(len, batches)) <= size
    assert len(batches) == -(-n // size)


@pytest.mark.parametrize("names", [("text",), ("text", "video")])
def test_the_order_goes_by_the_generator(names: tuple[str, ...]) -> None:
    feed, rows = Feed(mixed().only(*names)), np.arange(23)

    def order(rng: np.random.Generator) -> list[list[int]]:
        return [b.tolist() for b in feed.epoch(rows, 4, rng)]

    rng = np.random.default_rng(3)
    first, second = order(rng), order(rng)
    assert first == order(np.random.default_rng(3))
    assert first != second


def test_sequences_of_similar_length_come_together() -> None:
    lengths = np.random.default_rng(1).permutation(40)
    samples = Samples({"video": [np.ones((1 + t, 2)) for t in lengths]})
    batches = Feed(samples).epoch(np.arange(40), 8, np.random.default_rng(0))
    assert [int(np.ptp(lengths[b])) for b in batches] == [7] * 5


def test_in_order_keeps_the_order() -> None:
    rows = np.array([5, 3, 11, 2, 7])
    assert [p.tolist() for p in Feed(mixed()).in_order(rows, 2)] == [[5, 3], [11, 2], [7]]


def test_the_length_is_that_of_the_samples() -> None:
    assert len(Feed(mixed(13))) == 13


def test_a_device_that_is_not_there_is_an_error_of_the_user() -> None:
    assert to_device("cpu") == torch.device("cpu")
    assert to_device("auto").type in ("cpu", "cuda")
    for name in ("gpu", "cuda:99"):
        with pytest.raises(InputError) as error:
            to_device(name)
        wanted = f'device is "auto", "cpu" or one that torch can use here, however: device="{name}"'
        assert str(error.value) == wanted


def test_as_tensor_takes_dtype_and_any_layout() -> None:
    tensor = as_tensor(np.arange(6.0).reshape(2, 3).T, torch.empty(0, dtype=torch.float32))
    assert tensor.dtype == torch.float32
    assert tensor.tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
