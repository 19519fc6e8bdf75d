"""Products by the other library equal torch's own: outputs, gradients, and what is left to torch."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from intermodal.kernel import product
from intermodal.nn.linear import project


@pytest.fixture(autouse=True)
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """On every processor that has the library, and for small products too."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch was built without it")
    monkeypatch.setattr(product, "_quicker", lambda: True)
    monkeypatch.setattr(product, "LEAST", 1)
    monkeypatch.setattr(product, "LEAST_BACK", 1)


def both(x: Tensor, weight: Tensor, bias: Tensor | None, direction: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Output and gradients of ours, and of torch's."""
    wanted = [t for t in (x, weight, bias) if t is not None and t.requires_grad]
    found = []
    for multiply in (product.linear, F.linear):
        out = multiply(x, weight, bias)
        found.append([out, *(torch.autograd.grad(out, wanted, direction.expand_as(out)) if wanted else ())])
    return found[0], found[1]


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_output_and_gradients_equal_those_of_torch(data: st.DataObject) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 2**31)))
    rows = draw(st.lists(st.integers(1, 11), min_size=1, max_size=3))
    i, o = draw(st.integers(1, 37)), draw(st.integers(1, 23))
    x = torch.randn(*rows, 2 * i)
    x = draw(st.sampled_from([x[..., :i].contiguous(), x[..., ::2], x[..., i:], x.transpose(0, -2)[..., 1::2]]))
    weight = torch.randn(o, i) if draw(st.booleans()) else torch.randn(i, o).mT
    bias = draw(st.sampled_from([None, torch.randn(o), torch.randn(2 * o)[::2], torch.randn(o)]))
    for t in (x, weight, bias):
        if t is not None:
            t.requires_grad_(draw(st.booleans()))
    direction = torch.randn(draw(st.sampled_from([(*x.shape[:-1], o), (o,), (1,)])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "PIECE", draw(st.sampled_from([3, 4096])))
        for ours, theirs in zip(*both(x, weight, bias, direction), strict=True):
            assert ours.shape == theirs.shape
            torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-5)  # sums of up to 1,331 rows


def test_gradients_can_be_differentiated_once_more() -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(n, requires_grad=True) for n in ((5, 3), (2, 3), (2,)))
    found = []
    for multiply in (product.linear, F.linear):
        out = multiply(x, weight, bias).tanh()
        first = torch.autograd.grad(out.square().sum(), (x, weight, bias), create_graph=True)
        found.append(torch.autograd.grad(sum(g.square().sum() for g in first), (x, weight, bias)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_only_wanted_gradients_are_computed() -> None:
    x, weight = torch.randn(5, 3), torch.randn(2, 3, requires_grad=True)
    out = product.linear(x, weight)
    with FlopCounterMode(display=False) as counter:  # watched, so that torch multiplies
        out.sum().backward()
    assert counter.get_total_flops() == 2 * 5 * 3 * 2  # the weight's alone


def test_what_is_not_a_number_stays_in_its_row() -> None:
    x = torch.randn(7, 3)
    x[4, 1] = torch.nan
    broken = product.linear(x, torch.randn(5, 3)).isnan()
    assert broken[4].all() and broken.sum() == 5


def test_what_is_left_to_torch() -> None:
    x, weight, bias = torch.randn(5, 3), torch.randn(2, 3), torch.randn(2)
    assert product.serves(x, weight, bias) and product.serves(x, weight, None)
    others: list[tuple[Any, ...]] = [
        (x.double(), weight.double(), bias.double()),
        (x.bfloat16(), weight.bfloat16(), bias.bfloat16()),
        (x, weight, torch.randn(4)[::2]),
        (x.to("meta"), weight.to("meta"), None),
        (x[:0], weight, bias),
        (x[:, :2], weight, bias),
    ]
    assert not any(product.serves(*other) for other in others)
    with FlopCounterMode(display=False) as counter:
        product.linear(x, weight, bias)
    assert counter.get_total_flops() == 2 * 5 * 3 * 2
    with torch.autocast("cpu", torch.bfloat16):
        assert product.linear(x, weight, bias).dtype == torch.bfloat16
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        product.linear(x[:, :2], weight, bias)


def test_small_products_and_other_processors_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = torch.randn(5, 3), torch.randn(2, 3)
    monkeypatch.setattr(product, "LEAST", 5 * 3 * 2)
    assert product.serves(x, weight, None) and not product.serves(x[:4], weight, None)
    monkeypatch.setattr(product, "_quicker", lambda: False)
    assert not product.serves(x, weight, None)


@pytest.mark.parametrize(("vendor", "vectors"), [("AuthenticAMD", "AVX2"), ("GenuineIntel", "AVX512"), ("", "DEFAULT")])
def test_where_torch_uses_all_of_the_processor_nothing_changes(
    vendor: str, vectors: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.delenv(product.PLAIN, raising=False)
    monkeypatch.setattr(product, "_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: vectors)
    assert not product._quicker.__wrapped__()


def test_where_it_answers_otherwise_it_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.delenv(product.PLAIN, raising=False)
    monkeypatch.setattr(product, "_vendor", lambda: "AuthenticAMD")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert product._quicker.__wrapped__()
    kept = product._product
    monkeypatch.setattr(product, "_product", lambda x, w, b: kept(x, w, b) + 1e-3)
    assert not product._quicker.__wrapped__()

    def gone(*_: Any) -> Tensor:
        raise AttributeError("no such operation")

    monkeypatch.setattr(product, "_product", gone)
    assert not product._quicker.__wrapped__()
    monkeypatch.setattr(product, "_product", kept)
    monkeypatch.setenv(product.PLAIN, "1")
    assert not product._quicker.__wrapped__()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_rows_can_be_mapped_and_differentiated_forward() -> None:
    x, weight = torch.randn(5, 3), torch.randn(2, 3)
    run = lambda x: product.linear(x, weight)  # noqa: E731
    torch.testing.assert_close(torch.vmap(run)(x), x @ weight.T)
    _, forward = torch.func.jvp(run, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(forward, torch.ones_like(x) @ weight.T)


def test_a_linear_layer_keeps_its_hooks_and_whatever_took_its_place_is_called() -> None:
    layer, x, heard = nn.Linear(3, 2), torch.randn(5, 3), []
    torch.testing.assert_close(project(layer, x), layer(x))
    layer.register_forward_hook(lambda *_: heard.append(1))
    torch.testing.assert_close(project(layer, x), layer(x))
    assert heard == [1, 1]
    assert project(nn.Identity(), x) is x  # type: ignore[arg-type]
