"""Weights that came as an array: each mistake is found, and what only resembles it is not."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from intermodal.errors import InputError, MaskError, ShapeError
from intermodal.explain.findings import KINDS, finding
from intermodal.explain.weighing import check_attention

B, H, Q, K, E = 11, 2, 5, 7, 3


def softmax(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(scores - scores.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def scores(*shape: int, seed: int = 0, sharp: float = 1.0) -> np.ndarray:
    return sharp * np.random.default_rng(seed).normal(size=shape or (B, H, Q, K))


def ids(weights: Any, **more: Any) -> list[str]:
    return [f.id for f in check_attention(weights, **more)]


# --- right weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(Q, K), (K, K), (B, Q, K), (B, H, Q, K), (1, 1), (B, 1, 1, K)])
@pytest.mark.parametrize("seed", range(20))
def test_right_weights_are_silent(shape: tuple[int, ...], seed: int) -> None:
    w = softmax(scores(*shape, seed=seed))
    found = check_attention(w, values=scores(*shape[:-2], shape[-1], E, seed=seed))
    assert [f.id for f in found] == (["one-key"] if shape[-1] == 1 else [])


def test_right_weights_with_everything_beside_them_are_silent() -> None:
    w, v = softmax(scores()), scores(B, H, K, E)
    keep = np.ones((B, K), bool)
    assert ids(w, values=v, output=w @ v, keep=keep, keys=scores(B, H, K, E), start=softmax(scores(seed=1))) == []


def test_a_row_that_asked_nobody_is_not_a_mistake() -> None:
    w = softmax(scores(B, Q, K))
    w[0, 0] = 0
    assert ids(w) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_rounding_of_a_precision_is_not_a_mistake(dtype: torch.dtype) -> None:
    assert ids(torch.from_numpy(softmax(scores(B, H, Q, 61))).to(dtype)) == []
    assert ids(torch.full((B, 53), 1 / 53, dtype=torch.float64).to(dtype)) == [
        "same-keys"
    ]  # sums to 1.0028 in bfloat16


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_digits_as_they_are_printed_are_not_a_mistake(digits: int) -> None:
    assert ids(softmax(scores(B, Q, K)).round(digits)) == []


# --- the axes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(Q, K), (B, Q, K), (B, H, Q, K)])
def test_a_softmax_over_the_queries_is_an_error(shape: tuple[int, ...]) -> None:
    (found,) = check_attention(softmax(scores(*shape), axis=-2))
    assert (found.id, found.code, found.severity) == ("wrong-axis", "D6", "error")
    assert "the columns sum to 1 and the rows do not" in found.text


def test_a_softmax_over_the_batch_or_the_heads_is_named() -> None:
    assert "over the batch" in check_attention(softmax(scores(), axis=0))[0].text
    assert "over the heads" in check_attention(softmax(scores(), axis=1))[0].text


def test_a_softmax_over_an_axis_of_one_gives_ones() -> None:
    (found,) = check_attention(np.ones((B, Q, K)))
    assert found.id == "wrong-axis"
    assert found.text == f"every weight is 1 although there are {K} keys: the softmax ran over an axis of length 1"


def test_rows_and_columns_that_both_sum_to_one_are_silent() -> None:
    assert ids(np.array([[0.2, 0.8], [0.8, 0.2]])) == []


def test_a_swapped_array_is_told_from_a_softmax_over_the_queries_by_the_output() -> None:
    w, v = softmax(scores(B, Q, K)), scores(B, K, E)
    (found,) = check_attention(w.transpose(0, 2, 1), values=v, output=w @ v)
    assert (found.id, found.code) == ("rows-and-columns-swapped", "D8")
    wrong = softmax(scores(B, Q, K), axis=1)
    (found,) = check_attention(wrong, values=v, output=wrong @ v)
    assert (found.id, found.text.endswith("the softmax ran over the queries")) == ("wrong-axis", True)


def test_weights_that_were_applied_transposed_are_an_error() -> None:
    w, v = softmax(scores(B, K, K)), scores(B, K, E)
    (found,) = check_attention(w, values=v, output=w.transpose(0, 2, 1) @ v)
    assert (found.id, found.code, found.severity) == ("transposed-when-applied", "D7", "error")
    assert found.evidence["error"] == pytest.approx(np.abs(w @ v - w.transpose(0, 2, 1) @ v).max())
    assert ids(w, values=v, output=w @ v) == []
    assert ids(w, values=v, output=scores(B, K, E, seed=5)) == []  # some other output: nothing is known


# --- not weights, or not whole ----------------------------------------------------------------------


def test_scores_are_not_weights() -> None:
    (found,) = check_attention(np.array([[2.0, 3.0], [8.0, 1.0]]))
    assert (found.id, found.code) == ("not-weights", "D23")
    assert found.text == "weights lie between 0 and 1, however: 1 to 8; these are scores"
    assert ids(np.array([[-0.5, 1.5]])) == ["not-weights"]


def test_dropout_is_seen_in_the_rows() -> None:
    w = softmax(scores()) * (np.random.default_rng(1).random((B, H, Q, K)) > 0.5) / 0.5
    (found,) = check_attention(w)
    assert (found.id, found.code) == ("dropout-in-weights", "D24")
    assert ids(np.full((1, 1), 1.25), training=True) == ["dropout-in-weights"]
    assert ids(softmax(scores()), training=True) == []


def test_columns_that_were_cut_off_are_not_dropout() -> None:
    (found,) = check_attention(softmax(scores())[..., :-1])
    assert found.id == "rows-do-not-sum-to-1"


@pytest.mark.parametrize("seed", range(20))
def test_a_second_softmax_is_found(seed: int) -> None:
    w = softmax(scores(seed=seed, sharp=3.0))
    (found,) = check_attention(softmax(w))
    assert (found.id, found.code) == ("softmaxed-twice", "D19")
    assert found.evidence["largest_now"] <= math.e / (math.e + K - 1) < found.evidence["largest_before"]


@pytest.mark.parametrize("sharp", [0.0, 0.03, 0.1, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(20))
def test_flat_weights_of_one_softmax_are_not_two(sharp: float, seed: int) -> None:
    assert "softmaxed-twice" not in ids(softmax(scores(seed=seed, sharp=sharp)))


# --- where nothing is -------------------------------------------------------------------------------


def padded(keep: np.ndarray) -> np.ndarray:
    return softmax(np.where(keep, scores(*np.broadcast_shapes(keep.shape, (B, 1, Q, K))), -1e30))


def lengths() -> np.ndarray:
    return (np.arange(K) < np.random.default_rng(0).integers(2, K, B)[:, None])[:, None, None]


def test_an_inverted_mask_is_an_error_and_a_forgotten_one_a_warning() -> None:
    keep = lengths()
    assert ids(padded(keep), keep=keep) == []
    (found,) = check_attention(padded(~keep), keep=keep)
    assert (found.id, found.code, found.severity) == ("mask-inverted", "D20", "error")
    assert found.evidence["mass"] == pytest.approx(1)
    (found,) = check_attention(padded(keep | True), keep=keep)
    assert (found.id, found.code, found.severity) == ("hidden-keys-seen", "D22", "warning")
    assert ids(padded(keep | True), keep=keep[:, 0, 0]) == ["hidden-keys-seen"]


def test_zero_keys_that_are_looked_at_look_like_padding() -> None:
    keep = lengths()
    keys = scores(B, K, E) * keep[:, 0, 0, :, None]
    (found,) = check_attention(padded(keep | True)[:, 0], keys=keys)
    assert found.id == "hidden-keys-seen" and "all zeros" in found.text
    assert ids(padded(keep)[:, 0], keys=keys) == []
    assert ids(padded(keep | True)[:, 0], keys=scores(B, K, E) * 0) == []  # all zeros: not padding


# --- attention without a choice ---------------------------------------------------------------------


def test_one_key_is_found_and_one_longer_sample_is_enough_to_be_silent() -> None:
    (found,) = check_attention(np.ones((B, Q, 1)))
    assert (found.id, found.code) == ("one-key", "D11")
    keep = np.zeros((B, K), bool)
    keep[:, 0] = True
    w = np.zeros((B, Q, K))
    w[..., 0] = 1
    assert "one-key" in ids(w, keep=keep)
    keep[3, 1] = True
    w[3, :, :2] = 0.4, 0.6
    assert "one-key" not in ids(w, keep=keep)


def test_keys_that_are_all_the_same_give_exactly_even_weights() -> None:
    (found,) = check_attention(np.full((B, Q, K), 1 / K))
    assert (found.id, found.code, found.severity) == ("same-keys", "D12", "warning")
    assert ids(softmax(scores(sharp=1e-3))) == []  # nearly even is not exactly even
    keep = lengths()
    assert ids(keep / keep.sum(-1, keepdims=True) * np.ones((B, 1, Q, K)), keep=keep) == ["same-keys"]


def test_even_weights_are_told_only_beside_those_before_training() -> None:
    even, before = softmax(scores(sharp=0.1)), softmax(scores(sharp=0.6, seed=1))
    assert ids(even) == []
    (found,) = check_attention(even, start=before)
    assert (found.id, found.code, found.severity) == ("uniform", "D14", "note")
    assert found.evidence["entropy"] > 0.98 > found.evidence["start"]
    assert ids(even, start=softmax(scores(sharp=0.01, seed=1))) == []  # evener before: it has learned something
    assert ids(softmax(scores(sharp=0.5)), start=before) == []
    assert ids(even[:5], start=before) == []  # 25 rows, in two heads
    some = even.copy()
    some[:, :, 0] = 0  # who asked nobody is not sure of anything
    assert ids(some, start=before) == ["uniform"]
    assert ids(softmax(scores(B, H, Q, 3, sharp=0.1)), start=softmax(scores(B, H, Q, 3))) == []  # 3 keys


def test_collapsed_rows_are_told() -> None:
    w = softmax(scores(sharp=400))
    (found,) = check_attention(w)
    assert (found.id, found.code, found.severity) == ("collapsed", "D15", "warning")
    assert ids(softmax(scores(sharp=20))) == []  # many rows, not nearly all
    assert ids(w[:5]) == []  # 25 rows, in two heads
    assert ids(softmax(scores(B, H, Q, 3, sharp=400))) == []  # 3 keys


def test_rows_that_do_not_depend_on_the_query_are_told() -> None:
    w = softmax(scores(B, H, 1, K, sharp=2) + scores(B, H, Q, K, sharp=0.001, seed=1))
    (found,) = check_attention(w)
    assert (found.id, found.code, found.severity) == ("query-blind", "D13", "note")
    assert ids(softmax(scores(B, H, 1, K, sharp=2) + scores(sharp=0.1, seed=1))) == []
    assert ids(softmax(scores(B, H, 1, K, sharp=0.1) + scores(sharp=0.001, seed=1))) == []  # even, hence alike
    assert ids(softmax(scores(41, H, 1, K, sharp=2))) == []  # one query has nobody to differ from


def test_rows_that_drift_slowly_are_not_blind() -> None:
    """Neighbours look alike in a sequence; the first and the middle do not."""
    at = np.linspace(0, 1, 401)[:, None]
    w = softmax(np.concatenate([4 * at, 4 * (1 - at), at * 0, at * 0], 1))[None]
    assert np.abs(w[:, 1:] - w[:, :-1]).sum(-1).mean() / 2 < 0.01
    assert ids(w) == []


def test_a_sink_is_told() -> None:
    with_sink = scores()
    with_sink[..., 3] += 4
    (found,) = check_attention(softmax(with_sink))
    assert (found.id, found.code, found.severity, found.evidence["key"]) == ("sink", "D18", "note", 3)
    moving = scores()
    for i in range(B):
        moving[i, ..., i % K] += 4  # every sample has its own key
    assert ids(softmax(moving)) == []
    assert ids(softmax(with_sink[:7])) == []  # 7 samples


# --- what cannot be read ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "more", "kind", "said"),
    [
        ("abc", {}, InputError, "weights are numbers of one shape, however: str came"),
        ([[0.5, math.nan]], {}, InputError, "weights are finite, however: 1 of them are NaN or infinite"),
        ([0.5, 0.5], {}, ShapeError, "weights are (Q, K), (B, Q, K) or (B, H, Q, K) and not empty, however: (2,)"),
        (
            np.zeros((0, 3)),
            {},
            ShapeError,
            "weights are (Q, K), (B, Q, K) or (B, H, Q, K) and not empty, however: (0, 3)",
        ),
        (
            [[0.5, 0.5]],
            {"values": np.ones((3, 2))},
            ShapeError,
            "values are (..., tokens, width) beside weights of (B, H, Q, K) = (1, 1, 1, 2), however: (3, 2)",
        ),
        (
            [[0.5, 0.5]],
            {"keep": [[1, 0]]},
            MaskError,
            "keep is bool, True where attention may look, however: keep.dtype=torch.int64",
        ),
        (
            [[0.5, 0.5]],
            {"keep": [[True] * 3]},
            MaskError,
            "keep fits the weights (B, H, Q, K) = (1, 1, 1, 2), however: (1, 1, 1, 3)",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(weights: Any, more: dict, kind: type, said: str) -> None:
    with pytest.raises(kind) as error:
        check_attention(weights, **more)
    assert str(error.value) == said


def test_every_kind_has_a_remedy_and_a_known_severity() -> None:
    assert all(kind.remedy and kind.severity in ("error", "warning", "note") for kind in KINDS.values())
    assert sorted(finding("sink", "x").to_dict()) == ["id", "remedy", "severity", "text"]
