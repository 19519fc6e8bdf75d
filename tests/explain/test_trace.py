"""The steps of a trace, its text word for word, and what it takes and refuses."""

import json
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

import intermodal as im
from intermodal.errors import InputError, MaskError
from intermodal.explain.trace import trace

WORKED = """\
Attention, worked out
═════════════════════
1 query of width 2, 2 keys, values of width 2.
weight = softmax(1/√2 · q·k), output = sum of weight × value
Every digit is right: a number is exact, or rounded to 10 decimals. In brackets
stands the other variant: unscaled.

Query 1
───────
q = [1, 2]

1. Score: query times key, part by part, and summed
   key 1  [2, 3]: 1·2 + 2·3 = 2 + 6 = 8
   key 2  [1, 0]: 1·1 + 2·0 = 1 + 0 = 1

2. Scale: score / √2, and √2 = 1.4142135624
                scaled  (unscaled)
   key 1  5.6568542495           8
   key 2  0.7071067812           1

3. Mask: nobody is hidden

4. Subtract the largest, 5.6568542495
                 scaled  (unscaled)
   key 1   0                      0
   key 2  -4.9497474683          -7

5. Exponential: e^x
                scaled    (unscaled)
   key 1  1             1
   key 2  0.0070851979  0.0009118820

6. Sum of the exponentials
                scaled    (unscaled)
   sum    1.0070851979  1.0009118820

7. Weight: exponential / sum
                scaled    (unscaled)
   key 1  0.9929646489  0.9990889488
   key 2  0.0070353511  0.0009110512
   The weights sum to 1.

8. Weight times value
   key 1  0.9929646489 × [10, 0] = [9.9296464891, 0]
   key 2  0.0070353511 × [0, 10] = [0, 0.0703535109]

9. Output: the sum over the keys
   scaled      [9.9296464891, 0.0703535109]
   (unscaled)  [9.9908894881, 0.0091105119]
"""
ROW = ([[1, 2]], [[2, 3], [1, 0]], [[10, 0], [0, 10]])


def steps(worked, name):
    return [step for step in worked.steps if step["name"] == name]


def test_the_worked_example_word_for_word():
    assert im.trace([1, 2], *ROW[1:]).text() == WORKED


def test_the_facade_gives_the_same_things():
    assert im.trace is trace
    assert isinstance(im.trace("1", "1"), im.Trace)


def test_the_unscaled_example():
    worked = trace(*ROW, scale=False)
    assert steps(worked, "weight")[0]["values"] == ["0.9990889488", "0.0009110512"]
    assert steps(worked, "output")[0]["values"] == ["9.9908894881", "0.0091105119"]
    assert steps(worked, "output")[0]["other"] == {
        "scaling": "scaled",
        "values": ["9.9296464891", "0.0703535109"],
        "floats": [9.929646489148263, 0.07035351085173759],
    }


def test_every_step_is_there_in_order_and_ready_for_json():
    worked = trace(*ROW)
    names = ["score", "scale", "mask", "subtract", "exp", "sum", "weight", "product", "output"]
    assert [step["name"] for step in worked.steps] == names
    assert json.loads(json.dumps(worked.steps)) == worked.steps
    first = worked.steps[0]
    assert first["inputs"] == {"q": ["1", "2"], "k": [["2", "3"], ["1", "0"]], "terms": [["2", "6"], ["1", "0"]]}
    assert (first["values"], first["floats"]) == (["8", "1"], [8.0, 1.0])
    assert (first["batch"], first["head"], first["query"]) == (None, None, 0)
    assert worked.steps[1]["inputs"] == {"factor": "1/√2", "value": "0.7071067812"}
    assert [step["name"] for step in trace(*ROW[:2]).steps] == names[:7]


def test_arrays_have_the_shape_of_the_question():
    one = trace([1, 2], *ROW[1:])
    assert (one.scores.tolist(), one.weights.shape, one.output.shape) == ([8.0, 1.0], (2,), (2,))
    assert one.weights.dtype == np.float64
    row = trace(*ROW)
    assert (row.scores.shape, row.weights.shape, row.output.shape) == ((1, 2), (1, 2), (1, 2))
    assert trace(*ROW[:2]).output is None


def test_equal_to_attend_on_a_batch_with_heads_lengths_widths_and_a_mask():
    generator = torch.Generator().manual_seed(0)
    b, h, n_q, n_k, d, e = 2, 3, 5, 7, 4, 1
    q, k, v = (
        torch.randn(b, h, n, w, generator=generator, dtype=torch.float64) for n, w in ((n_q, d), (n_k, d), (n_k, e))
    )
    keep = torch.rand(b, h, n_q, n_k, generator=generator) < 0.6
    keep[0, 1, 2] = False
    for scale in (True, False, 0.3):
        said = im.attend(
            q, k, v, keep=keep, need_weights=True, scale={True: None, False: 1.0}.get(scale, 0.3)
        )  # True == 1.0
        worked = trace(q, k, v, keep=keep, scale=scale)
        np.testing.assert_allclose(worked.weights, said.weights, atol=1e-14)
        np.testing.assert_allclose(worked.output, said.output, atol=1e-14)
    last = worked.steps[-1]
    assert (last["batch"], last["head"], last["query"]) == (1, 2, 4)
    assert "Batch 1, head 2, query 3" in worked.text()
    per_sample = trace(q, k, v, keep=keep[:, 0, 0])
    expected = im.attend(q, k, v, keep=keep[:, 0, 0], need_weights=True).weights
    np.testing.assert_allclose(per_sample.weights, expected, atol=1e-14)
    per_query = trace(q, k, v, keep=keep[:, 0])
    np.testing.assert_allclose(
        per_query.weights, im.attend(q, k, v, keep=keep[:, 0], need_weights=True).weights, atol=1e-14
    )


def test_heads_without_a_batch():
    q, k = np.arange(12.0).reshape(2, 3, 2) / 7, np.arange(20.0).reshape(2, 5, 2) / 11
    worked = trace(q, k)
    assert worked.weights.shape == (2, 3, 5)
    for head in range(2):
        np.testing.assert_array_equal(worked.weights[head], trace(q[head], k[head]).weights)
    assert [(step["batch"], step["head"]) for step in steps(worked, "sum")] == [(None, 0)] * 3 + [(None, 1)] * 3


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x,
        np.array,
        lambda x: torch.tensor(x, dtype=torch.bfloat16, requires_grad=True),
        lambda x: [[Decimal(one) for one in row] for row in x],
        lambda x: tuple(tuple(Fraction(one) for one in row) for row in x),
        lambda x: [[str(one) for one in row] for row in x],
        lambda x: "; ".join(" ".join(map(str, row)) for row in x),
        lambda x: "; ".join(", ".join(map(str, row)) for row in x),
    ],
)
def test_one_input_in_many_forms(form):
    q, k, v = [[1.0, 2.5], [-3.0, 0.25]], [[2, 3], [1, 0], [0.5, -4.0]], [[10, 0, 1], [0, 10, 1], [1, 1, 1]]
    assert trace(form(q), form(k), form(v)).text() == trace(q, k, v).text()


def test_text_is_decimal_and_a_float_is_the_binary_number_it_is():
    assert steps(trace(["0.1"], [["1"]], digits=20), "score")[0]["values"] == ["0.1"]
    assert steps(trace([0.1], [[1]], digits=20), "score")[0]["values"] == ["0.10000000000000000555"]
    assert steps(trace(["1/3"], "3; 6"), "score")[0]["values"] == ["1", "2"]


def test_one_key_has_the_weight_1_whatever_the_query():
    for q in ("5 7", "-900 1e3", "0 0"):
        worked = trace(q, "2 3", "0.5 7 1")
        assert steps(worked, "weight")[0]["values"] == ["1"]
        assert steps(worked, "output")[0]["values"] == ["0.5", "7", "1"]
        assert "One key only: its weight is 1 whatever the query is." in worked.text()
    assert "One key is left: its weight is 1" in trace("5 7", "2 3; 1 1", keep="0 1").text()


def test_a_query_with_nobody_to_look_at_gets_zeros_and_is_told_so():
    worked = trace([[1, 2], [3, 4]], *ROW[1:], keep=[[False, False], [True, True]])
    assert worked.weights[0].tolist() == [0, 0] and worked.output[0].tolist() == [0, 0]
    assert worked.weights[1].sum() == 1
    first, second = worked.text().split("Query 2")
    said = "Every key is hidden: there is nobody to look at"
    assert said in first and said not in second
    assert steps(worked, "mask")[0]["values"] == ["-inf", "-inf"]
    assert steps(worked, "subtract")[0]["inputs"] == {"largest": None}


def test_a_hidden_key_does_not_count_even_where_its_score_is_largest():
    worked = trace([1, 2], [[2, 3], [1, 0], [90, 90]], [[10, 0], [0, 10], [7, 7]], keep=[True, True, False])
    assert steps(worked, "output")[0]["values"] == ["9.9296464891", "0.0703535109"]
    assert steps(worked, "exp")[0]["values"] == ["1", "0.0070851979", "0"]
    assert "3. Mask: hidden key 3: score -inf, and e^-inf = 0, so weight 0" in worked.text()


@pytest.mark.parametrize("n", [2, 3, 8])
def test_equal_scores_share_equally(n):
    worked = trace([1.5], [[2]] * n, digits=4)
    expected = {2: "0.5", 3: "0.3333", 8: "0.125"}[n]
    assert steps(worked, "weight")[0]["values"] == [expected] * n
    assert f"All scores are equal: each of the {n} keys gets the weight 1/{n}." in worked.text()


def test_thirds_do_not_sum_to_1_as_printed_and_the_text_says_so():
    text = trace([1], [[2]] * 3, digits=4).text()
    assert "The weights sum to 1; as printed, each rounded, they sum to 0.9999." in text


def test_with_one_dimension_scaling_changes_nothing():
    text = trace("2", "1; 3").text()
    assert "2. Scale: the factor is 1, so nothing changes" in text
    assert "brackets" not in text and "unscaled" not in text


def test_the_overflow_box_comes_where_an_exponential_would_overflow():
    title = "Why the largest score is subtracted"
    assert title not in trace([1], [[11], [1]]).text()
    large = trace([1], [[12], [1]]).text()
    assert "e^12." in large
    assert "float16 holds e^x up to x = 11.09: infinity" in large
    assert "float32 holds e^x up to x = 88.72: fine." in large
    assert "float32 holds e^x up to x = 88.72: infinity" in trace([1], [[89], [1]]).text()
    assert title in trace([1], [[1]]).text(overflow=True)
    assert title not in trace([1], [[99]]).text(overflow=False)


def test_the_limits_of_the_overflow_box_are_those_of_numpy():
    from intermodal.explain.trace_words import LIMITS

    for name, limit in LIMITS.items():
        with np.errstate(over="ignore"):
            assert np.isfinite(np.exp(np.float64(limit)).astype(name))
            assert np.isinf(np.exp(np.float64(limit + 0.01)).astype(name))


@pytest.mark.parametrize("digits", [1, 10, 30])
def test_no_line_is_wider_than_80(digits):
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(2, 13)), 100 * rng.normal(size=(5, 13)), rng.normal(size=(5, 7))
    names = ["a", "文本" * 20, "x" * 100, "\x1b[31m", "key"]
    text = trace(q, k, v, names=names, digits=digits).text()
    from intermodal.report.cells import width

    assert max(map(width, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_names_stand_where_the_numbers_are():
    worked = trace("1 2", "2 3; 1 0", names={"queries": ["cat"], "keys": ["the", "mat"]})
    text = worked.text()
    assert "\nCat\n" in text and "   mat  [1, 0]" in text and "key 1" not in text
    assert "mat" in worked.markdown() and "mat" in worked.html()


def test_every_form_holds_the_numbers(tmp_path):
    worked = trace(*ROW)
    for said in (worked.text(), worked.markdown(), worked.html(), worked.report(tmp_path / "t.html").read_text()):
        for number in ("5.6568542495", "0.0070851979", "1.0070851979", "0.9929646489", "9.9296464891", "9.9908894881"):
            assert number in said
    assert json.loads(worked.report(tmp_path / "t.json").read_text())
    hidden = trace([[1, 2], [2, 1]], *ROW[1:], keep=[[False, False], [True, False]])
    assert "-inf" in hidden.markdown()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("1 x", "1 2"), "q must hold numbers, however: x"),
        (("1 nan", "1 2"), "q must hold finite numbers, however: nan"),
        (([1, float("inf")], [[1, 2]]), "q must hold finite numbers, however: inf"),
        (([1, 2], np.array([[1, np.nan]])), "k must hold finite numbers, however: nan"),
        (([1, 2], [[1, 1e16]]), "k must hold numbers of at most 1e15 in size, however: 1e+16"),
        (("1 1e999999999", "1 2"), "q must hold numbers from 1e-300 to 1e15, however: 1e999999999"),
        (([True, 2], [[1, 2]]), "q must hold numbers, however: True"),
        (([1, 2j], [[1, 2]]), "q must hold numbers, however: 2j"),
        ((7, [[1, 2]]), "q must be a list of numbers or an array, however: 7"),
        (([], [[1, 2]]), "q must hold numbers, however: it is empty"),
        (("1 2", "1 2; 3"), 'the rows of k must be equally long, however: [2, 1] numbers in "1 2; 3"'),
        (([1, 2], [[1, 2], [3]]), "the rows of k must be equally long, however: 1 and 2"),
        (("1 2", ""), 'k must hold numbers, such as "2 3; 1 0", however: ""'),
        (("1 2 3", "1 2"), "a query and a key must be equally wide, however: 3 and 2, q (1, 3), k (1, 2)"),
        (("1 2", "1 2; 3 4", "1 2"), "every key must have one value, however: 2 keys, 1 values"),
        (
            ([1, 2], [1, 2]),
            "q, k and v must have equally many axes, however: q (1, 2), k (2,); one key is a list that holds one "
            "list, [[2, 3]]",
        ),
        (
            (np.ones((2, 3, 5)), np.ones((3, 3, 5))),
            "q, k and v must have equal batches and heads, however: q (2, 3, 5), k (3, 3, 5)",
        ),
        ((np.ones((64, 1, 64)), np.ones((1, 1))), "a trace is for small inputs, at most 4096 numbers, however: 4097"),
        ((np.ones((64, 65)), np.ones((1, 65))), "a trace is for small inputs, at most 4096 numbers, however: q holds "
         "4160"),
        ((np.ones((33, 1)), np.ones((32, 1))), "a trace is for small inputs, at most 1024 scores, however: 1056"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(InputError) as problem:
        trace(*arguments)
    assert str(problem.value) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"keep": [1, 0]}, "keep must be bool, True where a query may look, however: it holds other things"),
        ({"keep": "1 2"}, 'keep must be 1 (may look) and 0 (may not), however: "1 2"'),
        ({"keep": [True]}, "keep must have the shape (2,) or (1, 2), however: (1,)"),
        ({"digits": 0}, "digits must be a whole number from 1 to 30, however: digits=0"),
        ({"digits": True}, "digits must be a whole number from 1 to 30, however: digits=True"),
        ({"scale": -1}, "scale must be True, False or a number above zero, however: scale=-1"),
        ({"scale": "x"}, "scale must be True, False or a number above zero, however: scale='x'"),
        ({"names": ["a"]}, "names must be one text for each of the 2 keys, however: ['a']"),
        ({"names": {"rows": ["a"]}}, 'names are those of "queries" and "keys", however: [\'rows\']'),
    ],
)
def test_options_that_do_not_fit_are_refused(options, sentence):
    with pytest.raises(InputError) as problem:
        trace("1 2", "2 3; 1 0", **options)
    assert str(problem.value) == sentence


def test_a_mask_that_can_be_read_two_ways_is_refused_as_attend_does():
    q, keep = np.ones((2, 1, 2, 3)), np.ones((2, 2), dtype=bool)
    with pytest.raises(MaskError, match=r"is \(B, K\) and \(Q, K\); give all four axes"):
        trace(q, q, keep=keep)


def test_a_trace_cannot_be_changed():
    with pytest.raises(AttributeError):
        trace(*ROW).digits = 3  # type: ignore[misc]


def test_a_trace_does_not_load_torch():
    code = "import sys, intermodal as im; t = im.trace('1 2', '2 3; 1 0'); t.text(); t.html(); t.check('1 0')\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "print('torch' in sys.modules)"], capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr


def test_rows_in_brackets_are_read_as_rows() -> None:
    assert trace("[1, 2]", "[[2, 3], [1, 0]]", "[[10,0][0,10]]").steps == trace("1 2", "2 3; 1 0", "10 0; 0 10").steps


def test_a_verdict_on_few_digits_shows_the_truth_to_four() -> None:
    verdict = trace("1 2", "2 3; 1 0").check("0.7 0.3")
    assert (verdict.true, verdict.precise) == ("1.0", "0.9930")
    assert "claimed 0.7, true 0.9930; it is wrong before the point" in verdict.text()


def test_what_a_notebook_shows_of_a_trace_is_short_and_framed() -> None:
    worked = trace("1 2", "2 3; 1 0")
    assert repr(worked) == "Trace(queries: 1, keys: 2, scaled; .text() shows every step)"
    assert worked._repr_html_().startswith("<iframe") and worked._repr_markdown_() == worked.markdown()


def test_the_page_says_where_the_other_variant_stands() -> None:
    said = trace("1 2", "2 3; 1 0").to_report()["blocks"][0]["text"]
    assert "A column of its own shows the weights of the other variant: unscaled." in said and "bracket" not in said
