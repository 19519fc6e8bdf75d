"""The model is a line plus a network, and its members have nothing to do with each other."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from intermodal.data.batching import batch
from intermodal.data.samples import Samples
from intermodal.learn.losses import squared_error
from intermodal.learn.model import FusionModel
from intermodal.learn.straight import flat
from intermodal.nn.network import FusionNetwork

D_IN = {"text": 3, "audio": 2, "video": 5}
N, K, N_OUT = 7, 3, 2


def samples() -> Samples:
    """Sample 1 lacks audio, sample 2 lacks video, sample 3 lacks all; video 4 holds a missing token."""
    rng = np.random.default_rng(0)
    video = [rng.normal(size=(1 + i, 5)) for i in range(N)]
    video[4][1] = np.nan
    return Samples(
        {
            "text": [None if i == 3 else rng.normal(size=3) for i in range(N)],
            "audio": [None if i in (1, 3) else rng.normal(size=2) for i in range(N)],
            "video": [None if i in (2, 3) else video[i] for i in range(N)],
        }
    )


def model(n_members: int = K, spec: str = "self", **options: object) -> FusionModel:
    torch.manual_seed(0)
    network = FusionNetwork(spec, D_IN, d_model=8, n_heads=2, n_members=n_members, n_tokens={"text": 2, "audio": 3})
    made = FusionModel(network, N_OUT, **options).double().eval()  # type: ignore[arg-type]
    with torch.no_grad():
        made.coef.copy_(torch.randn(made.coef.shape))
        made.intercept.copy_(torch.randn(N_OUT))
        made.weight.mul_(10)  # as after training, so that what the network says counts
    return made


def test_the_answer_is_the_line_plus_the_network_for_every_member() -> None:
    x, present = batch(samples(), dtype=torch.float64)
    made = model()
    with torch.no_grad():
        both, alone = made(x, present).outputs, made(x, present, straight=False).outputs
        line = made.line(x, present)
    assert both.shape == (N, K, N_OUT)
    assert torch.allclose(both, alone + line[:, None], atol=1e-12)
    assert line.abs().min() > 0.01 and alone.abs().mean() > 0.01


def test_the_line_is_the_flat_columns_times_the_coefficients() -> None:
    made = model()
    wanted = flat(samples()) @ made.coef.numpy() + made.intercept.numpy()
    x, present = batch(samples(), dtype=torch.float64)
    assert np.allclose(made.line(x, present).numpy(), wanted, atol=1e-6)  # samples hold float32


def test_the_line_reads_each_modality_by_hand() -> None:
    made = model()
    x = {"text": torch.tensor([[1.0, 2.0, 3.0]]).double(), "video": torch.ones(1, 2, 5).double()}
    x["video"][0, 1] = 100.0
    present = {"video": torch.tensor([[True, False]])}
    wanted = made.intercept + sum((i + 1) * made.coef[i] for i in range(3)) + made.coef[5:].sum(0)
    assert torch.allclose(made.line(x, present)[0], wanted, atol=1e-12)


def test_what_stands_in_missing_places_never_reaches_the_line() -> None:
    made = model()
    x, present = batch(samples(), dtype=torch.float64)
    before = made.line(x, present)
    dirty = {n: v.masked_fill(~present[n].unsqueeze(-1), torch.nan) for n, v in x.items()}
    assert torch.equal(made.line(dirty, present), before)
    assert torch.equal(before[3], made.intercept)


def test_a_modality_that_is_left_out_is_one_that_is_missing_for_all() -> None:
    made = model()
    x, present = batch(samples(), dtype=torch.float64)
    nobody = present | {"audio": torch.zeros(N, dtype=torch.bool)}
    without = {n: v for n, v in x.items() if n != "audio"}
    with torch.no_grad():
        one = made(x, nobody).outputs
        other = made(without, {n: present[n] for n in without}).outputs
    assert torch.allclose(one, other, atol=1e-12)


def test_the_line_is_no_parameter_but_is_saved() -> None:
    made = model()
    assert {"coef", "intercept"} <= set(made.state_dict())
    assert not {"coef", "intercept"} & {n for n, _ in made.named_parameters()}


def test_the_members_are_independent() -> None:
    made = model()
    x, present = batch(samples(), dtype=torch.float64)
    with torch.no_grad():
        before = made(x, present).outputs
        made.weight[1] += 1.0
        made.bias[1] += 1.0
        made.network.member_scale[1] *= -2.0
        after = made(x, present).outputs
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert (before[:, 1] != after[:, 1]).all()
    made.zero_grad()
    squared_error(made(x, present).outputs, torch.zeros(N, N_OUT, dtype=torch.float64))[:, 0].sum().backward()
    assert made.weight.grad is not None
    assert made.weight.grad[0].abs().max() > 0 and made.weight.grad[1:].abs().max() == 0


def test_the_head_is_the_formula() -> None:
    made = model()
    x, present = batch(samples(), dtype=torch.float64)
    with torch.no_grad():
        answer = made(x, present, straight=False)
        for k in range(K):
            hidden = F.gelu(answer.fused.pooled[:, k] @ made.hidden.weight.T + made.hidden.bias)
            assert torch.allclose(answer.outputs[:, k], hidden @ made.weight[k] + made.bias[k], atol=1e-12)


def test_one_member_answers_with_an_axis_for_it() -> None:
    made = model(n_members=1)
    assert made(*batch(samples(), dtype=torch.float64)).outputs.shape == (N, 1, N_OUT)
    assert made.n_outputs == N_OUT


def test_a_fresh_model_says_next_to_nothing() -> None:
    torch.manual_seed(0)
    made = FusionModel(FusionNetwork("self", D_IN, d_model=8), 2).eval()
    x, present = batch(samples())
    with torch.no_grad():
        assert made(x, present).outputs.abs().max() < 0.1


def test_dropout_acts_in_training_alone() -> None:
    made = model(dropout=0.5)
    x, present = batch(samples(), dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(made(x, present).outputs, made(x, present).outputs)
        made.train()
        assert not torch.equal(made(x, present).outputs, made(x, present).outputs)


@pytest.mark.parametrize("spec", ["self", "cross", "none"])
def test_asking_for_weights_changes_nothing(spec: str) -> None:
    made = model(spec=spec)
    x, present = batch(samples(), dtype=torch.float64)
    with torch.no_grad():
        plain, asked = made(x, present), made(x, present, need_weights="layers")
    assert torch.allclose(plain.outputs, asked.outputs, atol=1e-12)
    assert plain.fused.weights is None and len(asked.fused.weights) == 1
