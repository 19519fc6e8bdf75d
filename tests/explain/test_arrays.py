"""A map from plain arrays equals a loop over their numbers, and says what is wrong with those that are no weights."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from intermodal.errors import DataWarning, InputError
from intermodal.explain.arrays import GivenMap, from_arrays
from intermodal.explain.attention_maps import AttentionMap
from intermodal.explain.capturing import capture
from intermodal.explain.segments import read_segments
from intermodal.explain.suspecting import softened_twice

L, B, H, Q, K = 2, 3, 5, 7, 11
QUERIES = {"text": [0, 2, 5], "image": slice(3, 5), "audio": [1, 6]}
KEYS = {"image": range(0, 4), "text": np.arange(11) >= 6, "other": [4, 5]}


def weights(*axes: int, seed: int = 0, spread: float = 2.0) -> np.ndarray:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=axes) * spread).softmax(-1).numpy()


def by_loop(w: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """(L, B, H, Q, K), number by number; a row of zeros asks nobody."""
    at_q = {n: np.arange(w.shape[3])[QUERIES[n]] if n in QUERIES else [] for n in names}
    at_k = {n: np.arange(w.shape[4])[list(KEYS[n]) if n == "image" else KEYS[n]] if n in KEYS else [] for n in names}
    shape = (w.shape[0], w.shape[1], w.shape[2], len(names), len(names))
    share = np.full(shape, np.nan)
    for layer, b, h in np.ndindex(*shape[:3]):
        for i, asking in enumerate(names):
            rows = [w[layer, b, h, q] for q in at_q[asking] if w[layer, b, h, q].any()]
            for j, asked in enumerate(names):
                if rows:
                    share[layer, b, h, i, j] = np.mean([sum(row[k] for k in at_k[asked]) for row in rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each = np.nanmean(share, (0, 2))
        return {
            "mean": np.nanmean(each, 0),
            "std": np.nanstd(each, 0),
            "count": (~np.isnan(each[:, :, 0])).sum(0),
            "by_head": np.nanmean(share, 1),
            "std_by_head": np.nanstd(share, 1),
        }


def assert_same(found: AttentionMap, wanted: dict[str, np.ndarray]) -> None:
    for name, numbers in wanted.items():
        np.testing.assert_allclose(getattr(found, name), numbers, atol=1e-12, err_msg=name)
    assert found.mean is not None
    sums = found.mean.sum(1)
    assert (np.isnan(sums) | (np.abs(sums - 1) < 1e-9)).all()


# --- the numbers ----------------------------------------------------------------------------------


def test_the_map_is_a_loop_over_the_numbers() -> None:
    w = weights(L, B, H, Q, K)
    w[:, 1, :, 3:5] = 0.0  # the image of sample 1 is missing,
    w[:, :, :, 2] = 0.0  # a token of every text,
    w[0, 2, 1, [1, 6]] = 0.0  # and one head of one layer hides the audio of sample 2
    found = from_arrays(w, queries=QUERIES, keys=KEYS)
    assert found.names == ("text", "image", "audio", "other")
    assert found.count.tolist() == [B, B - 1, B, 0] and found.n == B
    assert_same(found, by_loop(w, found.names))
    assert found.mean is not None and np.isnan(found.mean[3]).all() and (found.mean[:3, 2] == 0).all()


@pytest.mark.parametrize("kind", ["numpy", "torch", "lists", "tuple of tensors", "list of arrays"])
def test_every_form_of_the_same_numbers_is_the_same_map(kind: str) -> None:
    w = weights(L, B, H, Q, K)
    forms: dict[str, Any] = {
        "numpy": w,
        "torch": torch.from_numpy(w).requires_grad_(),
        "lists": w.tolist(),
        "tuple of tensors": tuple(torch.from_numpy(w)),
        "list of arrays": list(w),
    }
    found = from_arrays(forms[kind], queries=QUERIES, keys=KEYS)
    assert_same(found, by_loop(w, found.names))
    assert found.by_head is not None and found.by_head.shape == (L, H, 4, 4)
    assert found.provenance.heads == "each" and found.provenance.dtype == "float64"


@pytest.mark.parametrize(
    ("shape", "axes", "full"),
    [
        ((Q, K), None, (1, 1, 1, Q, K)),
        ((H, Q, K), None, (1, 1, H, Q, K)),
        ((B, H, Q, K), None, (1, B, H, Q, K)),
        ((B, Q, K), "BQK", (1, B, 1, Q, K)),
        ((L, Q, K), "LQK", (L, 1, 1, Q, K)),
        ((L, H, Q, K), "LHQK", (L, 1, H, Q, K)),
    ],
)
def test_fewer_axes_are_read_by_their_number_or_by_name(shape: Any, axes: str | None, full: Any) -> None:
    w = weights(*shape)
    found = from_arrays(w, queries=QUERIES, keys=KEYS, axes=axes)
    assert_same(found, by_loop(w.reshape(full), found.names))
    assert found.provenance.heads == ("each" if full[2] == H else "unknown")
    guessed = 'three axes were read as heads, queries and keys; axes="BQK" reads the first as samples'
    assert (guessed in found.provenance.notes) == (shape == (H, Q, K))


def test_axes_in_any_order() -> None:
    w = weights(L, B, H, Q, K)
    turned = w.transpose(3, 0, 4, 2, 1)  # Q L K H B
    found = from_arrays(turned, queries=QUERIES, keys=KEYS, axes="QLKHB")
    assert_same(found, by_loop(w, found.names))
    layers = [layer.transpose(1, 2, 0, 3) for layer in w]  # H Q B K
    assert_same(from_arrays(layers, queries=QUERIES, keys=KEYS, axes="HQBK"), by_loop(w, found.names))


def test_names_set_the_order() -> None:
    w = weights(Q, K)
    names = ("other", "audio", "text", "image")
    assert_same(from_arrays(w, queries=QUERIES, keys=KEYS, names=names), by_loop(w[None, None, None], names))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(1, 5), st.integers(0, 100))
def test_rows_of_any_segments_sum_to_one(counts: list[int], n_queries: int, seed: int) -> None:
    keys = {f"m{i}": n for i, n in enumerate(counts)}
    if sum(counts) == 0:
        return
    found = from_arrays(weights(2, n_queries, sum(counts), seed=seed), queries={"m0": n_queries}, keys=keys)
    assert found.mean is not None and found.mean[0].sum() == pytest.approx(1.0)
    assert [found.mean[0, i] == 0 for i, n in enumerate(counts) if n == 0] == [True] * counts.count(0)


def test_nobody_asks() -> None:
    found = from_arrays(np.zeros((2, 3)), queries={"a": 2}, keys={"b": 3})
    assert found.mean is None and found.std is None and found.by_head is None and found.count.tolist() == [0, 0]


def test_what_was_captured_is_read_with_where_it_comes_from() -> None:
    torch.manual_seed(0)
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2).train()
    with capture(model) as seen:
        model(torch.randn(B, 5, 8))
    segments = {"text": 2, "image": 3}
    found = from_arrays(seen, queries=segments, keys=segments)
    wanted = from_arrays([s.weights for s in seen], queries=segments, keys=segments)
    assert found.mean is not None and wanted.mean is not None
    np.testing.assert_allclose(found.mean, wanted.mean)
    where = found.provenance
    assert (where.layer, where.kind, where.training) == ("layers.0.self_attn, layers.1.self_attn", "self", True)
    assert isinstance(found, GivenMap) and isinstance(found, AttentionMap)
    alone = from_arrays(seen[1], queries=segments, keys=segments).provenance
    assert (alone.layer, alone.heads, alone.dtype) == ("layers.1.self_attn", "each", "float32")
    told = from_arrays(np.eye(5), queries=segments, keys=segments, layer="mine", training=False).provenance
    assert told.describe() == "layer mine, kind unknown, eval mode, float64, heads: unknown"


@pytest.mark.parametrize(("dtype", "name"), [(torch.bfloat16, "bfloat16"), (torch.float16, "float16")])
def test_half_precision_is_no_mistake(dtype: torch.dtype, name: str) -> None:
    w = torch.from_numpy(weights(B, H, Q, 64)).to(dtype)
    found = from_arrays(w, queries={"a": Q}, keys={"a": 64})
    assert found.mean is not None and found.mean[0, 0] == pytest.approx(1.0, abs=2e-3)
    assert found.provenance.dtype == name


# --- segments -------------------------------------------------------------------------------------


def test_segments_take_every_form() -> None:
    given: dict[str, Any] = {"a": slice(0, 2), "b": range(2, 4), "c": [-1], "d": np.arange(6) == 4, "e": []}
    found = read_segments(given, 6, what="keys")
    assert {n: at.tolist() for n, at in found.items()} == {"a": [0, 1], "b": [2, 3], "c": [5], "d": [4], "e": []}
    assert read_segments({"a": 0, "b": np.int64(2)}, 2, what="keys")["b"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "keys says which positions belong to which modality, however: keys={}"),
        ({"a": 2, "b": 2}, "the counts of keys add up to the 3 positions, however: keys={'a': 2, 'b': 2}"),
        ({"a": 4, "b": -1}, "the counts of keys add up to the 3 positions, however: keys={'a': 4, 'b': -1}"),
        (
            {"a": [0, 1], "b": [1, 2]},
            'a position belongs to one modality, however: keys give position 1 to "a" and to "b"',
        ),
        ({"a": [0, 0], "b": [1, 2]}, 'a position belongs to one modality, however: keys give position 0 to "a" and to'),
        (
            {"a": [1]},
            "every position belongs to a modality, however: of 3, keys leave out 0, 2; nothing is dropped in silence: "
            'name them too, as {"other": [0, 2]}',
        ),
        ({"a": [0, 3]}, 'positions lie in 0 .. 2, however: keys["a"] reaches 3'),
        ({"a": [0.5]}, "a segment is a slice, a range, positions, a bool array, or a count of tokens (then all are)"),
        ({"a": 1, "b": [1, 2]}, "a segment is a slice, a range, positions, a bool array, or a count of tokens (then"),
    ],
)
def test_segments_that_do_not_fit_are_refused(keys: Any, message: str) -> None:
    with pytest.raises(InputError) as told:
        from_arrays(weights(2, 3), queries={"a": 2}, keys=keys)
    assert str(told.value).startswith(message)


# --- what is no weights ---------------------------------------------------------------------------

SAME = {"queries": {"a": 4, "b": 4}, "keys": {"a": 4, "b": 4}}


def broken(change: Any, *axes: int, seed: int = 0) -> str:
    with pytest.raises(InputError) as told:
        from_arrays(change(weights(*axes, seed=seed)), **SAME)
    return str(told.value)


def with_dropout(w: np.ndarray) -> np.ndarray:
    torch.manual_seed(0)
    return nn.functional.dropout(torch.from_numpy(w), 0.3).numpy()


def stretched(w: np.ndarray) -> np.ndarray:
    low, high = w.min((-1, -2), keepdims=True), w.max((-1, -2), keepdims=True)
    return (w - low) / (high - low)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda w: w.swapaxes(-1, -2), "the columns sum to 1, so the axes are swapped: rows ask, columns are looked "),
        (lambda w: 100 * w, "they are percentages; divide them by 100"),
        (np.log, "they are the logarithms of weights; hand over their exponentials"),
        (lambda w: 3 * np.log(w), "weights are never negative: these look like scores, from before the softmax"),
        (lambda w: w / 8, "each matrix as a whole sums to 1: the softmax ran over queries and keys together"),
        (lambda w: w**0, "every weight is 1: the softmax ran over an axis of length 1, not over the keys"),
        (lambda w: 6 * w, "every row sums to 6: that many heads or layers were added up, not averaged"),
        (with_dropout, "dropout was on: weights are zero at random and the others larger; call model.eval() before"),
        (stretched, "each matrix runs from 0 to 1: it was stretched for a picture; hand over the weights before that"),
        (lambda w: w * (np.arange(8) > 0), "every row sums to less than 1: some of the keys were cut off, as special"),
        (lambda w: 1.3 * w, "this is none of the known causes; weights come from a softmax over the keys"),
    ],
)
@pytest.mark.parametrize("axes", [(5, 8, 8), (2, 3, 5, 8, 8)])
def test_a_known_mistake_is_called_by_its_name(change: Any, cause: str, axes: tuple[int, ...]) -> None:
    message = broken(change, *axes)
    assert message.startswith("a row of weights sums to 1, or is zero where nobody asks, however: ")
    assert message.split("; ", 1)[1].startswith(cause)


def test_the_place_of_a_wrong_row_is_named() -> None:
    def change(w: np.ndarray) -> np.ndarray:
        w[1, 2, 0, 6] *= 1.25
        return w

    assert "however: layer 1, sample 2, head 0, query 6 sums to 1.25; this is none" in broken(change, 2, 3, 5, 8, 8)
    with pytest.raises(InputError, match=r"however: sample 2, query 1 sums to 0\.5; "):
        from_arrays(np.array([np.eye(2), np.eye(2), [[1, 0], [0, 0.5]]]), queries={"a": 2}, keys={"a": 2}, axes="BQK")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_place_of_a_broken_number_is_named(value: float) -> None:
    def change(w: np.ndarray) -> np.ndarray:
        w[1, 0, 7, 5] = value
        return w

    assert broken(change, 3, 5, 8, 8) == f"weights are finite, however: {value} at sample 1, head 0, query 7, key 5"


def test_a_row_may_miss_one_by_rounding() -> None:
    w = weights(8, 8)
    from_arrays(w * 1.0009, **SAME)
    with pytest.raises(InputError):
        from_arrays(w * 1.0011, **SAME)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (None, "weights are arrays, however: None came; load the model with attn_implementation="),
        ((), "weights hold one array a layer, however: there is none; load the model with attn_implementation="),
        (
            (torch.eye(2), None),
            "weights hold one array a layer, however: layer 1 is None; load the model with attn_imp",
        ),
        (
            ((torch.eye(2),), (torch.eye(2),)),
            "weights are one tuple of layers, however: a tuple of tuples came, one fo",
        ),
        (3.0, "weights are arrays, however: float came"),
        ({"a": 1}, "weights are arrays, however: dict came"),
        ([[1.0], [0.5, 0.5]], "weights are arrays of numbers, however: these are ragged, or hold something else"),
        ([1.0, 0.0], "weights are (Q, K), (H, Q, K), (B, H, Q, K) or (L, B, H, Q, K), or one array of up to four"),
        ([np.eye(2), np.eye(2)[None]], "every layer has the same axes, however: (2, 2), (1, 2, 2)"),
        ([np.eye(2), np.eye(3)], "the layers of one map have one shape, however: (1, 1, 2, 2), (1, 1, 3, 3); read"),
        (np.zeros((0, 2, 2)), "weights hold at least one number, however: the axes HQK have (0, 2, 2)"),
    ],
)
def test_what_is_no_array_of_weights_is_refused(weights: Any, message: str) -> None:
    with pytest.raises(InputError) as told:
        from_arrays(weights, queries={"a": 2}, keys={"a": 2})
    assert str(told.value).startswith(message)


def test_the_remedy_for_a_model_that_keeps_no_weights_is_told() -> None:
    with pytest.raises(InputError, match='attn_implementation="eager" and call it with output_attentions=True'):
        from_arrays((None, None), queries={"a": 2}, keys={"a": 2})


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("QKK", 'axes are letters of "LBHQK", each once, Q and K among them, however: axes="QKK"'),
        ("BHK", 'axes are letters of "LBHQK", each once, Q and K among them, however: axes="BHK"'),
        ("TQK", 'axes are letters of "LBHQK", each once, Q and K among them, however: axes="TQK"'),
        ("QK", 'axes name every axis of the weights, however: axes="QK", and there are 3'),
    ],
)
def test_axes_that_fit_no_reading_are_refused(axes: str, message: str) -> None:
    with pytest.raises(InputError) as told:
        from_arrays(weights(5, 8, 8), **SAME, axes=axes)
    assert str(told.value) == message
    with pytest.raises(InputError, match='among them, without L, however: axes="LQK"'):
        from_arrays([weights(5, 8, 8)] * 2, **SAME, axes="LQK")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "c", "b"], 'names are those of queries and keys, however: "c"; known: "a", "b"'),
        (["a"], 'names hold every modality once, however: "b" 0 times'),
        (["a", "b", "a"], 'names hold every modality once, however: "a" 2 times'),
    ],
)
def test_names_that_do_not_fit_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InputError) as told:
        from_arrays(weights(8, 8), **SAME, names=names)
    assert str(told.value) == message


# --- a second softmax -----------------------------------------------------------------------------


def test_weights_that_went_through_a_second_softmax_are_told() -> None:
    averaged = torch.from_numpy(weights(B, H, 8, 8, spread=4.0)).mean(1)
    with pytest.warns(DataWarning, match="look like weights that went through a second softmax"):
        found = from_arrays(averaged.softmax(-1), **SAME, axes="BQK")
    assert any("second softmax" in note for note in found.provenance.notes)


@pytest.mark.parametrize("spread", [0.01, 0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("k", [4, 8, 32])
def test_soft_attention_is_not_taken_for_it(spread: float, k: int) -> None:
    for seed in range(5):
        assert not softened_twice(weights(B * H, 8, k, seed=seed, spread=spread))
    assert not softened_twice(np.full((B, 8, k), 1 / k))


def test_fresh_attention_of_torch_is_not_taken_for_it() -> None:
    for k in (4, 5, 16, 64):
        torch.manual_seed(k)
        module, x = nn.MultiheadAttention(16, 4, batch_first=True), torch.randn(B, k, 16)
        each = module(x, x, x, average_attn_weights=False)[1].detach().double()
        assert not softened_twice(each.reshape(-1, k, k).numpy()) and not softened_twice(each.mean(1).numpy())
        peaked = module(9 * x, 9 * x, 9 * x)[1].detach().double().softmax(-1).numpy()
        assert softened_twice(peaked) == (k > 4)


def test_a_zero_in_most_rows_speaks_against_a_second_softmax() -> None:
    twice = torch.eye(8).double().softmax(-1).numpy()
    assert softened_twice(twice[None])
    assert not softened_twice(np.stack([twice, np.eye(8)]))


def test_with_few_keys_nothing_is_said() -> None:
    w = torch.eye(3).double().repeat(5, 1, 1).softmax(-1).numpy()
    assert not softened_twice(w)
