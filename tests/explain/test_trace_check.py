"""A claim is right, or its first wrong number is named, and the mistake behind it only where it is that mistake."""

import numpy as np
import pytest
import torch

from intermodal.errors import InputError
from intermodal.explain.trace import trace

WORKED = trace("1 2", "2 3; 1 0", "10 0; 0 10")
RNG = np.random.default_rng(7)
Q, K, V = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 5)), RNG.normal(size=(3, 2))


def shares(scores, axis=-1):
    """The textbook, in floating point."""
    powers = np.exp(scores)
    return powers / powers.sum(axis, keepdims=True)


def said(values, decimals=4):
    return "; ".join(" ".join(f"{x:.{decimals}f}" for x in row) for row in np.atleast_2d(values))


@pytest.mark.parametrize(
    ("claimed", "what"),
    [
        ("0.9929646489 0.0070353511", "weights"),
        ("0.9930 0.0070", "weights"),
        ("0.993 0.007", "weights"),
        ("1.0 0.0", "weights"),  # right to the one decimal it is given with
        ([0.9930, 0.0070], "weights"),
        ([[0.9930, 0.0070]], "weights"),
        (WORKED.weights, "weights"),
        (torch.tensor(WORKED.weights, dtype=torch.float32), "weights"),
        (np.array(WORKED.weights, dtype=np.float16), "weights"),
        ("9.93 .0704", "output"),
        ("9.9296464891 7.03535109e-2", "output"),
        ("8 1", "scores"),
        ("5.657 0.7071", "scaled"),
    ],
)
def test_what_is_right_to_the_digits_given_is_right(claimed, what):
    verdict = WORKED.check(claimed)
    assert verdict and (verdict.what, verdict.mistake, verdict.index) == (what, None, None)
    assert verdict.text() == f"Right to the digits given, read as {what}."


@pytest.mark.parametrize(
    ("claimed", "index", "digit"),
    [
        ("0.9930 0.0071", (1,), "decimal 4 is the first wrong digit"),
        ("0.9929646488 0.0070353511", (0,), "decimal 10 is the first wrong digit"),
        ("1.9930 0.0070", (0,), "it is wrong before the point"),
        ("0.9930 -0.0070", (1,), "the sign is wrong"),
        (torch.tensor([1.0, 0.0], dtype=torch.bfloat16), (0,), "it is wrong before the point"),
    ],
)
def test_the_first_wrong_number_and_digit_are_named(claimed, index, digit):
    verdict = WORKED.check(claimed)
    assert not verdict
    assert (verdict.what, verdict.index, verdict.digit) == ("weights", index, digit)


def test_the_whole_sentence():
    assert WORKED.check("0.9991 0.0009").text() == (
        "Wrong: weights at key 1: claimed 0.9991, true 0.9930; decimal 3 is the first wrong digit. "
        "D4: the scores are not scaled: divide them by √2 first."
    )
    second = trace(Q, K, V).check(said(trace(Q, K).weights + 0.3 * np.outer([0, 1, 0], [0, 1, -1])))
    assert second.text().startswith("Wrong: weights at query 2, key 2: claimed ")


def test_d1_the_softmax_keeps_0_and_1():
    eye = trace("1 0; 0 1", "1 0; 0 1", scale=False)
    for claimed in ("1 0; 0 1", np.eye(2), [[1, 0], [0, 1]]):
        verdict = eye.check(claimed)
        assert (verdict.mistake, verdict.true) == ("D1", "0.7311")
    assert eye.check("0.7311 0.2689; 0.2689 0.7311")
    assert trace("1 0; 0 1", "1 0; 0 1").check("0.6698 0.3302; 0.3302 0.6698")
    assert WORKED.check("1 0").mistake == "D1"  # the largest score alone
    assert WORKED.check("10 0").mistake == "D1"  # and what it gives as output


def test_d1_is_not_said_of_other_zeros_and_ones():
    assert WORKED.check("0 1").mistake is None  # neither the scores nor the largest
    assert trace("1 2", "2 3; 1 0", keep="1 0").check("1 0")  # one key is left: that is right
    assert trace("1 0; 0 1", "1 0; 0 1").check("1.0 0.0; 0.0 1.0").mistake == "D1"


def test_one_decimal_fits_many_mistakes_so_none_is_named():
    for tenth in range(1, 10):
        assert WORKED.check(f"0.{tenth} 0.{10 - tenth}").mistake is None
    for hundredth in range(50, 99):
        assert WORKED.check(f"0.{hundredth} 0.{100 - hundredth:02d}").mistake in (None, "D4", "D2", "D3")


def test_d2_a_ratio_instead_of_the_exponential():
    worked = trace([1], [[2], [1], [1]])
    assert worked.check("0.5761 0.2119 0.2119")
    assert worked.check([0.5, 0.25, 0.25]).mistake == "D2"
    assert worked.check([0.5, 0.25, 0.26]).mistake is None
    large = trace(["1"], [["8.8"], ["4.4"], ["4.4"]])
    assert large.check("0.976 0.012 0.012")
    assert large.check("0.5 0.25 0.25").mistake == "D2"


def test_d3_a_slip_of_a_digit():
    worked = trace([1], [[1], [2]], [["16.604769"], ["16.604769"]])
    assert worked.check(["16.604769"])
    slipped = worked.check(["16.60882"])
    assert (slipped.mistake, slipped.digit) == ("D3", "decimal 3 is the first wrong digit")
    assert worked.check(["17.9"]).mistake is None  # too far for a slip
    cut = WORKED.check("0.9929 0.0070")
    assert (cut.mistake, cut.reason) == ("D3", "the digits are cut off instead of rounded")


def test_d4_not_scaled_scaled_twice_or_the_wrong_way():
    worked, scores = trace(Q, K, V), Q @ K.T
    for factor, words in ((1, "not scaled"), (1 / 5, "scaled twice"), (5**0.5, "multiplied by √5")):
        for claimed in (shares(scores * factor), shares(scores * factor) @ V):
            verdict = worked.check(said(claimed))
            assert (verdict.mistake, words in verdict.reason) == ("D4", True)
    assert worked.check(said(scores * 5**-0.5), what="scores").mistake == "D4"
    assert worked.check(said(scores), what="scaled").mistake == "D4"


def test_d4_where_the_trace_does_not_scale():
    verdict = trace(Q, K, V, scale=False).check(said(shares(Q @ K.T / 5**0.5)))
    assert (verdict.mistake, "this trace does not scale" in verdict.reason) == ("D4", True)
    assert trace(Q, K, V, scale=False).check(said(shares(Q @ K.T)))


def test_d5_the_width_of_the_model_instead_of_the_head():
    heads, keys = RNG.normal(size=(3, 2, 5)), RNG.normal(size=(3, 7, 5))
    scores = heads @ keys.swapaxes(-1, -2)
    worked = trace(heads, keys)
    verdict = worked.check(shares(scores / 15**0.5))
    assert (verdict.mistake, "flatter by √3" in verdict.reason) == ("D5", True)
    assert worked.check(shares(scores / 10**0.5)).mistake is None  # two heads, and there are three
    one_head = trace(Q, K).check(said(shares(Q @ K.T / 40**0.5), 6))
    assert (one_head.mistake, "with 8 heads" in one_head.reason) == ("D5", True)
    assert trace(Q, K).check(said(shares(Q @ K.T / 37**0.5), 6)).mistake is None


def test_d6_the_softmax_over_the_wrong_axis():
    scores = Q @ K.T / 5**0.5
    verdict = trace(Q, K, V).check(said(shares(scores, axis=0)))
    assert (verdict.mistake, "over the queries" in verdict.reason) == ("D6", True)
    assert trace(Q, K, V).check(said(shares(scores, axis=0) @ V)).mistake == "D6"
    assert trace(Q, K, V).check(said(shares(Q @ K.T, axis=0))).mistake == "D6"
    assert WORKED.check("1 1").mistake == "D6"
    heads, keys = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 5))
    across = trace(heads, keys).check(shares(heads @ keys.swapaxes(-1, -2) / 5**0.5, axis=0))
    assert (across.mistake, "over the heads" in across.reason) == ("D6", True)


def test_d7_the_weights_transposed():
    worked = trace(Q, K, V)
    verdict = worked.check(said(worked.weights.T @ V))
    assert (verdict.what, verdict.mistake, verdict.also) == ("output", "D7", ())
    assert worked.check(said(worked.weights @ V))
    off = worked.weights.T @ V
    off[2, 1] += 0.001
    assert worked.check(said(off)).mistake is None


def test_masks_forgotten_or_turned_round():
    keep = np.array([[True, True, False], [True, False, True], [False, True, True]])
    scores, worked = Q @ K.T / 5**0.5, trace(Q, K, V, keep=keep)
    assert worked.check(said(shares(scores))).mistake == "D22"
    assert worked.check(said(shares(np.where(keep, -np.inf, scores)))).mistake == "D20"
    assert worked.check(said(shares(np.where(keep, scores, -np.inf))))
    assert worked.check(np.where(keep, scores, -np.inf), what="scaled")


def test_no_mistake_is_named_for_random_weights():
    rng = np.random.default_rng(0)
    for _ in range(200):
        q, k = rng.normal(size=(2, 3)), rng.normal(size=(4, 3))
        claimed = shares(rng.normal(size=(2, 4)))
        verdict = trace(q, k).check(said(claimed))
        assert (verdict.ok, verdict.mistake) == (False, None)


def test_a_known_mistake_with_one_digit_off_is_not_that_mistake():
    for wrong in (shares(Q @ K.T), shares(Q @ K.T / 5), shares(Q @ K.T / 5**0.5, axis=0)):
        off = wrong.copy()
        off[1, 2] += 0.0002
        assert trace(Q, K).check(said(wrong)).mistake in ("D4", "D6")
        assert trace(Q, K).check(said(off)).mistake not in ("D4", "D5", "D6")


def test_several_stages_are_checked_in_the_order_of_the_arithmetic():
    right = {"scores": "8 1", "weights": "0.9930 0.0070", "output": "9.9296 0.0704"}
    assert WORKED.check(right)
    verdict = WORKED.check(right | {"output": "9.9909 0.0091", "weights": "0.9991 0.0009"})
    assert (verdict.what, verdict.mistake) == ("weights", "D4")
    assert WORKED.check({"output": "9.9909 0.0091", "scores": "8 2"}).what == "scores"
    assert WORKED.check("1 0.0071", what="exp")


def test_digits_can_be_chosen():
    assert WORKED.check([0.99296, 0.007], digits=3)
    assert not WORKED.check("0.993 0.007", digits=5)
    assert WORKED.check("1 0", digits=0)


def test_a_verdict_is_ready_for_json():
    verdict = WORKED.check("0.9991 0.0009").to_dict()
    assert (verdict["ok"], verdict["mistake"], verdict["index"], verdict["true"]) == (False, "D4", (0,), "0.9930")


@pytest.mark.parametrize(
    ("claimed", "options", "sentence"),
    [
        ("1 2 3", {}, "a claim must have the shape of one of scores (2,), scaled (2,), exp (2,), weights (2,), output "
         "(2,), however: (1, 3)"),
        ("1 2 3", {"what": "weights"}, "claimed weights must have the shape (2,), however: (1, 3)"),
        ("1 2", {"what": "weight"}, 'what is claimed must be a stage, however: "weight"; did you mean "weights"?'),
        ("1 x", {}, "the claim must hold numbers, however: x"),
        ("1 nan", {}, "the claim must hold finite numbers, however: nan"),
        ({}, {}, "a claim must name at least one of scores, scaled, exp, weights, output, however: it is empty"),
        ("1 2", {"digits": -1}, "digits must be a whole number from 0 to 30, however: digits=-1"),
    ],
)  # fmt: skip
def test_claims_that_cannot_be_read_are_refused(claimed, options, sentence):
    with pytest.raises(InputError) as problem:
        WORKED.check(claimed, **options)
    assert str(problem.value) == sentence


def test_an_output_without_values_is_refused():
    with pytest.raises(InputError, match="this trace has no v"):
        trace("1 2", "2 3").check("1", what="output")
