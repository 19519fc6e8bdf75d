"""A trace in a machine's precision: the same as step by step with rounding after each, and honest about its error."""

import numpy as np
import pytest
import torch

from intermodal.attention import attend
from intermodal.errors import InputError
from intermodal.explain.trace import trace


def rounded(x: float, dtype: str) -> float:
    return float(torch.tensor(x, dtype=torch.float64).to(getattr(torch, dtype)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("scale", [True, False, 0.25])
def test_every_step_is_rounded_before_the_next(dtype: str, scale: bool | float) -> None:
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(2, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 7))
    keep = [[True] * 5, [True, False, True, True, False]]
    worked = trace(q, k, v, scale=scale, keep=keep)
    found = worked.replay(dtype)
    factor = 1 / np.sqrt(3) if scale is True else 1.0 if scale is False else scale
    for i in range(2):
        scores = [rounded(sum(rounded(a, dtype) * rounded(b, dtype) for a, b in zip(q[i], k[j], strict=True)), dtype)
                  for j in range(5)]  # fmt: skip
        assert found.scores[i].tolist() == scores
        kept = [j for j in range(5) if keep[i][j]]
        scaled = {j: rounded(scores[j] * factor, dtype) for j in kept}
        powers = {j: rounded(np.exp(rounded(scaled[j] - max(scaled.values()), dtype)), dtype) for j in kept}
        total = rounded(sum(powers.values()), dtype)
        weights = [rounded(powers[j] / total, dtype) if j in kept else 0.0 for j in range(5)]
        step = float(torch.finfo(getattr(torch, dtype)).eps)  # exp and sum may round the other way by one place
        assert found.weights[i] == pytest.approx(weights, abs=2 * step)
        assert found.output is not None
        assert found.output[i] == pytest.approx(found.weights[i] @ v, abs=4 * step)
    assert found.error == np.abs(found.weights - worked.weights).max() > 0


def test_in_float64_the_replay_is_the_trace_and_what_attend_computes() -> None:
    rng = np.random.default_rng(1)
    q, k, v = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 7, 5)), rng.normal(size=(2, 7, 3))
    worked = trace(q, k, v)
    found = worked.replay("float64")
    assert np.abs(found.weights - worked.weights).max() < 1e-15 and found.error < 1e-15
    tensors = (torch.from_numpy(x)[None] for x in (q, k, v))
    assert found.output == pytest.approx(attend(*tensors).output[0].numpy(), abs=1e-14)


def test_the_worked_example_rounds_to_one_in_bfloat16_and_the_text_says_so() -> None:
    found = trace("1 2", "2 3; 1 0", "10 0; 0 10", scale=False).replay("bfloat16")
    assert found.weights[0] == 1.0 and found.error == pytest.approx(0.000911051, abs=1e-8)
    assert (
        found.text.startswith("In bfloat16 the weights are 1 0.000911")
        and "They sum to 1 to within 9.1e-04." in found.text
    )


def test_a_query_without_a_key_gets_zeros() -> None:
    found = trace("1 2", "2 3; 1 0", "10 0; 0 10", keep=[False, False]).replay("float16")
    assert found.weights.tolist() == [0.0, 0.0] and found.output is not None and found.output.tolist() == [0.0, 0.0]
    assert "sum to" not in found.text


def test_what_a_precision_cannot_hold_is_refused() -> None:
    with pytest.raises(InputError) as error:
        trace([1000], [[1000], [1]]).replay("float16")
    assert str(error.value) == "float16 holds numbers up to 6.55e+04, however: a score is larger"
    with pytest.raises(InputError) as error:
        trace([1], [[1]]).replay("bfloat61")
    assert str(error.value) == (
        'dtype is one of bfloat16, float16, float32, float64, however: "bfloat61"; did you mean "bfloat16"?'
    )
