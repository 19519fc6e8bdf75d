"""attend() and mass(): the formula as a loop, torch where it is right, two paths that agree, and what a mask hides."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from intermodal.attention import attend, causal_keep, keep_4d, mass
from intermodal.errors import InputError, MaskError, ShapeError

B, H, Q, K, D = 2, 3, 5, 19, 7
FEW = 5  # keys: so few that the scores are written out; K keys go through the fused kernel


def qkv(n_keys: int = K, e: int = D, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, ...]:
    torch.manual_seed(seed)
    shapes = (B, H, Q, D), (B, H, n_keys, D), (B, H, n_keys, e)
    return tuple(torch.randn(shape, dtype=dtype) for shape in shapes)


def some_keep(n_keys: int = K) -> Tensor:
    keep = torch.rand(B, H, Q, n_keys, generator=torch.Generator().manual_seed(1)) > 0.5
    keep[0, 1, 2] = False
    return keep


def by_loop(q: Tensor, k: Tensor, v: Tensor, keep: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Number by number, as the paper writes it."""
    output, weights = torch.zeros(B, H, Q, v.shape[3]), torch.zeros(B, H, Q, k.shape[2])
    output, weights = output.double(), weights.double()
    for b in range(B):
        for h in range(H):
            for i in range(Q):
                seen = [j for j in range(k.shape[2]) if keep[b, h, i, j]]
                scores = [scale * sum(float(x * y) for x, y in zip(q[b, h, i], k[b, h, j], strict=True)) for j in seen]
                powers = [math.exp(s - max(scores)) for s in scores]
                for j, power in zip(seen, powers, strict=True):
                    weights[b, h, i, j] = power / sum(powers)
                    output[b, h, i] += weights[b, h, i, j] * v[b, h, j]
    return output, weights


@pytest.mark.parametrize("n_keys", [K, FEW, 1])
@pytest.mark.parametrize("e", [D, 3, 13])
def test_equals_the_formula_as_a_loop(n_keys: int, e: int) -> None:
    q, k, v = qkv(n_keys, e)
    for keep in (some_keep(n_keys), torch.ones(B, H, Q, n_keys, dtype=torch.bool)):
        for scale in (None, 1.0):
            output, weights = by_loop(q, k, v, keep, 1 / math.sqrt(D) if scale is None else scale)
            got = attend(q, k, v, keep=keep, need_weights=True, scale=scale)
            torch.testing.assert_close(got.output, output)
            torch.testing.assert_close(got.weights, weights)
            torch.testing.assert_close(attend(q, k, v, keep=keep, scale=scale).output, output)
            if keep.all():
                torch.testing.assert_close(attend(q, k, v, scale=scale).output, output)


def test_the_worked_example() -> None:
    q, k = torch.tensor([[[[1.0, 2.0]]]]).double(), torch.tensor([[[[2.0, 3.0], [1.0, 0.0]]]]).double()
    v = torch.eye(2, dtype=torch.float64)[None, None]
    scaled = attend(q, k, v, need_weights=True).weights
    unscaled = attend(q, k, v, need_weights=True, scale=1.0).weights
    torch.testing.assert_close(
        scaled.flatten(), torch.tensor([0.9929646489, 0.0070353511], dtype=torch.float64), atol=1e-10, rtol=0
    )
    torch.testing.assert_close(
        unscaled.flatten(), torch.tensor([0.9990889488, 0.0009110512], dtype=torch.float64), atol=1e-10, rtol=0
    )


@pytest.mark.parametrize("n_keys", [K, FEW])
def test_equals_torch_where_torch_is_right(n_keys: int) -> None:
    q, k, v = qkv(n_keys, dtype=torch.float32)
    keep = some_keep(n_keys) | True
    torch.testing.assert_close(attend(q, k, v).output, F.scaled_dot_product_attention(q, k, v))
    causal = F.scaled_dot_product_attention(q[:, :, :FEW], k[:, :, :FEW], v[:, :, :FEW], is_causal=True)
    ours = attend(q[:, :, :FEW], k[:, :, :FEW], v[:, :, :FEW], keep=causal_keep(FEW))
    torch.testing.assert_close(ours.output, causal)
    torch.testing.assert_close(attend(q, k, v, keep=keep).output, F.scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize("n_keys", [K, FEW])
def test_weights_sum_to_one_and_are_those_used(n_keys: int) -> None:
    q, k, v = qkv(n_keys, dtype=torch.float32)
    keep = some_keep(n_keys)
    output, weights = attend(q, k, v, keep=keep, need_weights=True)
    assert weights.shape == (B, H, Q, n_keys)
    torch.testing.assert_close(weights.sum(-1), keep.any(-1).float())
    assert (weights[~keep] == 0).all()
    torch.testing.assert_close(weights @ v, output)


@pytest.mark.parametrize("n_keys", [K, FEW])
@pytest.mark.parametrize("masked", [False, True])
def test_asking_for_weights_changes_neither_output_nor_gradient(n_keys: int, masked: bool) -> None:
    results = []
    for need_weights in (False, True):
        q, k, v = (t.requires_grad_() for t in qkv(n_keys))
        output = attend(q, k, v, keep=some_keep(n_keys) if masked else None, need_weights=need_weights).output
        output.square().sum().backward()
        results.append((output, q.grad, k.grad, v.grad))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("n_keys", [K, FEW])
def test_a_mask_means_the_same_in_all_its_shapes(n_keys: int) -> None:
    q, k, v = qkv(n_keys)
    padding = some_keep(n_keys)[:, 0, 0]
    pairs = some_keep(n_keys)[0, 0]
    for mask, full in (
        (padding, padding[:, None, None]),
        (padding[:, None], padding[:, None, None]),
        (pairs, pairs[None, None]),
        (pairs[None], pairs[None, None]),
        (padding[:, None] & pairs, (padding[:, None] & pairs)[:, None]),
        (some_keep(n_keys)[:, :1, :1], some_keep(n_keys)[:, :1, :1]),
        (some_keep(n_keys)[:1, :, :1], some_keep(n_keys)[:1, :, :1]),
    ):
        expected = attend(q, k, v, keep=full.expand(B, H, Q, n_keys), need_weights=True)
        got = attend(q, k, v, keep=mask, need_weights=True)
        torch.testing.assert_close(tuple(got), tuple(expected))
        torch.testing.assert_close(attend(q, k, v, keep=mask).output, expected.output)


BROKEN = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("n_keys", [K, FEW])
@pytest.mark.parametrize("need_weights", [False, True])
def test_what_stands_in_a_masked_place_changes_nothing(broken: float, n_keys: int, need_weights: bool) -> None:
    keep = some_keep(n_keys)[:, :, :1].clone()
    keep[..., 0], keep[..., 1] = True, False
    results = []
    for filling in (0.0, broken):
        q, k, v = qkv(n_keys)
        k, v = k.masked_fill(~keep.mT, filling), v.masked_fill(~keep.mT, filling)
        leaves = [t.requires_grad_() for t in (q, k, v)]
        got = attend(*leaves, keep=keep, need_weights=need_weights)
        got.output.square().sum().backward()
        results.append((*got, *(t.grad for t in leaves)))
    assert all(r is None or r.isfinite().all() for r in results[1])
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("where", ["k", "v"])
@pytest.mark.parametrize("n_keys", [K, FEW])
@pytest.mark.parametrize("per_head", [False, True])
def test_a_broken_key_is_seen_by_those_who_look_and_by_nobody_else(
    broken: float, where: str, n_keys: int, per_head: bool
) -> None:
    q, k, v = qkv(n_keys)
    keep = torch.ones(B, H if per_head else 1, Q, n_keys, dtype=torch.bool)
    keep[1, :, 3:, 2] = False  # queries 3 and 4 of sample 1 do not look at key 2
    clean = attend(q, k, v, keep=keep, need_weights=True)
    {"k": k, "v": v}[where][1, 1, 2, 4] = broken
    for need_weights in (False, True):
        output, weights = attend(q, k, v, keep=keep, need_weights=need_weights)
        assert not output[1, 1, :3].isfinite().all(-1).any()
        untouched = torch.ones(B, H, Q, dtype=torch.bool)
        untouched[1, 1, :3] = False
        torch.testing.assert_close(output[untouched], clean.output[untouched])
        if weights is not None:
            torch.testing.assert_close(weights[untouched], clean.weights[untouched])


@pytest.mark.parametrize("n_keys", [K, FEW])
@pytest.mark.parametrize("need_weights", [False, True])
def test_nan_in_a_kept_place_stays_visible_under_a_padding_mask(n_keys: int, need_weights: bool) -> None:
    q, k, v = qkv(n_keys)
    v[1, 0, 0, 0] = math.nan
    keep = torch.ones(B, n_keys, dtype=torch.bool)
    keep[:, -1] = False
    for mask in (None, keep):
        output = attend(q, k, v, keep=mask, need_weights=need_weights).output
        assert output[1, 0, :, 0].isnan().all()
        assert output[0].isfinite().all()
        assert output[1, 1:].isfinite().all()


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_broken_query_stays_visible_whatever_the_number_of_keys(broken: float, dtype: torch.dtype) -> None:
    for n_keys in range(1, 35):
        q, k, v = qkv(n_keys, dtype=dtype)
        q[1, 2, 3, 1] = broken
        for keep in (None, torch.ones(B, 1, n_keys, dtype=torch.bool)):
            for need_weights in (False, True):
                output, weights = attend(q, k, v, keep=keep, need_weights=need_weights)
                assert output[1, 2, 3].isnan().all() and output.isnan().sum() == D
                assert weights is None or weights[1, 2, 3].isnan().all()
            shares = mass(q, k, torch.arange(n_keys) % 3, 3, keep=keep)
            assert shares[1, 2, 3].isnan().all() and shares.isnan().sum() == 3


@pytest.mark.parametrize("n_keys", [K, FEW])
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("filling", [0.5, math.nan])
def test_a_query_with_nothing_to_see_gets_zeros_and_harms_nobody(
    n_keys: int, need_weights: bool, filling: float
) -> None:
    q, k, v = qkv(n_keys)
    keep = some_keep(n_keys)
    keep[1] = False
    q[0, 1, 2] = filling
    q[1] = filling
    leaves = [t.requires_grad_() for t in (q, k, v)]
    output, weights = attend(*leaves, keep=keep, need_weights=need_weights)
    assert (output[1] == 0).all()
    assert (output[0, 1, 2] == 0).all()
    assert weights is None or (weights[1] == 0).all()
    output.square().sum().backward()
    for leaf in leaves:
        assert leaf.grad.isfinite().all()
        assert leaf.grad[0].abs().sum() > 0
        assert (leaf.grad[1] == 0).all()


@pytest.mark.parametrize("n_keys", [K, FEW])
@pytest.mark.parametrize("need_weights", [False, True])
def test_all_modes_give_the_same(n_keys: int, need_weights: bool) -> None:
    q, k, v = qkv(n_keys)
    keep = some_keep(n_keys)

    def run(*tensors: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(attend(*tensors, keep=keep, need_weights=need_weights))

    expected = run(*(t.clone().requires_grad_() for t in (q, k, v)))
    expected = tuple(None if t is None else t.detach() for t in expected)
    with torch.no_grad():
        torch.testing.assert_close(run(q, k, v), expected)
    with torch.inference_mode():
        torch.testing.assert_close(run(q, k, v), expected)
    torch.testing.assert_close(torch.compile(run, backend="eager", fullgraph=True)(q, k, v), expected)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 17), st.integers(0, 17), st.booleans())
def test_padding_of_any_length_on_either_side_changes_nothing(left: int, right: int, need_weights: bool) -> None:
    q, k, v = qkv(FEW)
    here = torch.rand(B, FEW, generator=torch.Generator().manual_seed(2)) > 0.4
    padded = [F.pad(t, (0, 0, left, right), value=math.nan) for t in (k, v)]
    keep = F.pad(here, (left, right), value=False)[:, None]
    got = attend(q, *padded, keep=keep, need_weights=need_weights)
    expected = attend(q, k, v, keep=here[:, None], need_weights=True)
    torch.testing.assert_close(got.output, expected.output)
    if need_weights:
        torch.testing.assert_close(got.weights, F.pad(expected.weights, (left, right)))


@pytest.mark.parametrize("n_keys", [K, FEW])
def test_no_sample_and_no_head_touches_another(n_keys: int) -> None:
    q, k, v = qkv(n_keys)
    keep = some_keep(n_keys)
    whole = attend(q, k, v, keep=keep, need_weights=True)
    for b in range(B):
        for h in range(H):
            alone = attend(
                *(t[b : b + 1, h : h + 1] for t in (q, k, v)), keep=keep[b : b + 1, h : h + 1], need_weights=True
            )
            torch.testing.assert_close(alone.output[0, 0], whole.output[b, h])
            torch.testing.assert_close(alone.weights[0, 0], whole.weights[b, h])


def test_the_order_of_keys_does_not_matter() -> None:
    q, k, v = qkv()
    order = torch.randperm(K)
    got = attend(q, k[:, :, order], v[:, :, order], keep=some_keep()[..., order], need_weights=True)
    expected = attend(q, k, v, keep=some_keep(), need_weights=True)
    torch.testing.assert_close(got.output, expected.output)
    torch.testing.assert_close(got.weights, expected.weights[..., order])


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("n_keys", [K, FEW])
@pytest.mark.parametrize("masked", [False, True])
def test_grouped_heads_equal_repeated_keys(need_weights: bool, n_keys: int, masked: bool) -> None:
    torch.manual_seed(0)
    q = torch.randn(B, 6, Q, D)
    k, v = torch.randn(B, 2, n_keys, D), torch.randn(B, 2, n_keys, D)
    keep = torch.rand(B, 6, Q, n_keys) > 0.4 if masked else None
    got = attend(q, k, v, keep=keep, need_weights=need_weights)
    for head in range(6):
        group = head // 3
        alone = attend(
            q[:, head : head + 1],
            k[:, group : group + 1],
            v[:, group : group + 1],
            keep=None if keep is None else keep[:, head : head + 1],
            need_weights=need_weights,
        )
        torch.testing.assert_close(got.output[:, head], alone.output[:, 0])
        if need_weights:
            torch.testing.assert_close(got.weights[:, head], alone.weights[:, 0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("n_keys", [197, FEW])
def test_half_precision_gets_weights_in_float32(dtype: torch.dtype, n_keys: int) -> None:
    q, k, v = qkv(n_keys, dtype=dtype)
    output, weights = attend(q, k, v, need_weights=True)
    assert output.dtype == dtype
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, Q), atol=1e-3, rtol=0)
    torch.testing.assert_close(attend(q, k, v).output, output, atol=2e-2, rtol=2e-2)
    with torch.autocast("cpu", torch.bfloat16):
        again = attend(q.float(), k.float(), v.float(), need_weights=True).weights
    torch.testing.assert_close(again, weights, atol=1e-6, rtol=1e-5)
    assert attend(*qkv(), need_weights=True).weights.dtype == torch.float64


def test_dropout_drops_after_the_returned_weights_and_keeps_the_mean() -> None:
    q, k, v = qkv(dtype=torch.float32)
    clean = attend(q, k, v, need_weights=True)
    outputs = []
    for seed in range(400):
        torch.manual_seed(seed)
        dropped = attend(q, k, v, need_weights=True, dropout=0.3)
        torch.manual_seed(seed)
        assert attend(q, k, v, dropout=0.3).output.equal(dropped.output)
        assert dropped.weights.equal(clean.weights)
        outputs.append(dropped.output)
    assert not outputs[0].allclose(outputs[1])
    assert (torch.stack(outputs).mean(0) - clean.output).abs().max() < 0.2


def test_dropout_of_a_row_that_sees_nothing_is_zero() -> None:
    output, weights = attend(*qkv(), keep=some_keep(), need_weights=True, dropout=0.5)
    assert (output[0, 1, 2] == 0).all()
    torch.testing.assert_close(weights.sum(-1), some_keep().any(-1).double())


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize(("b", "n_queries", "n_keys"), [(0, Q, K), (B, 0, K), (B, Q, 0), (0, 0, 0)])
@pytest.mark.parametrize("masked", [False, True])
def test_nothing_to_do_is_done(need_weights: bool, b: int, n_queries: int, n_keys: int, masked: bool) -> None:
    q = torch.randn(b, H, n_queries, D, requires_grad=True)
    k, v = torch.randn(b, H, n_keys, D), torch.randn(b, H, n_keys, 3)
    keep = torch.ones(b, n_queries, n_keys, dtype=torch.bool) if masked else None
    output, weights = attend(q, k, v, keep=keep, need_weights=need_weights)
    assert output.shape == (b, H, n_queries, 3)
    assert (output == 0).all()
    assert (weights is None) is not need_weights
    assert weights is None or weights.shape == (b, H, n_queries, n_keys)
    output.sum().backward()
    assert (q.grad == 0).all()


@pytest.mark.parametrize("n_keys", [K, FEW])
def test_gradients_are_those_of_finite_differences(n_keys: int) -> None:
    q, k, v = (t[:1, :2].clone().requires_grad_() for t in qkv(n_keys))
    keep = some_keep(n_keys)[:1, :2]
    assert not keep.any(-1).all()
    for need_weights in (False, True):

        def run(*tensors: Tensor, need_weights: bool = need_weights) -> tuple[Tensor, ...]:
            return tuple(t for t in attend(*tensors, keep=keep, need_weights=need_weights) if t is not None)

        assert torch.autograd.gradcheck(run, (q, k, v))


class Largest(TorchDispatchMode):
    """Record the most elements that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for t in result if isinstance(result, tuple | list) else (result,):
            if isinstance(t, Tensor):
                self.numel = max(self.numel, t.numel())
        return result


@pytest.mark.parametrize("mask", ["none", "padding", "causal"])
@pytest.mark.parametrize("e", [8, 5])
def test_no_square_tensor_is_built_without_weights(mask: str, e: int) -> None:
    b, n = 3, 257
    q, k, v = torch.randn(b, H, n, 8), torch.randn(b, H, n, 8), torch.randn(b, H, n, e)
    keep = {"none": None, "padding": torch.rand(b, n) > 0.3, "causal": causal_keep(n)}[mask]
    for grad in (False, True):
        with Largest() as without:
            output = attend(q.requires_grad_(grad), k, v, keep=keep).output
            if grad:
                output.sum().backward()
        assert without.numel <= max(q.numel(), n * n if mask == "causal" else 0)
    with Largest() as explicit:
        attend(q, k, v, keep=keep, need_weights=True)
    assert explicit.numel == b * H * n * n  # the measure sees what it is meant to see


MASKS = [
    (
        torch.ones(B, K),
        "keep is a bool tensor, True where attention may look, however: keep.dtype=torch.float32; write "
        "keep=(mask > 0) if 1 means keep, keep=(mask == 0) if 0 means keep",
    ),
    (
        torch.ones(B, K, dtype=torch.int64),
        "keep is a bool tensor, True where attention may look, however: keep.dtype=torch.int64; write "
        "keep=(mask > 0) if 1 means keep, keep=(mask == 0) if 0 means keep",
    ),
    *(
        (
            torch.ones(shape, dtype=torch.bool),
            "keep is (B, K), (Q, K), (B, Q, K) or (B, H, Q, K) with (B, H, Q, K) = (2, 3, 5, 19), however: "
            f"tuple(keep.shape)={shape}",
        )
        for shape in [(K,), (K, B), (B, 1), (7, K), (B * H, Q, K), (B, Q, H, K), (B, H, Q, K, 1)]
    ),
]


@pytest.mark.parametrize(("keep", "message"), MASKS)
def test_a_mask_that_fits_no_reading_is_refused(keep: Tensor, message: str) -> None:
    with pytest.raises(MaskError) as caught:
        attend(*qkv(), keep=keep)
    assert str(caught.value) == message


def test_a_mask_that_reads_both_ways_is_refused() -> None:
    q, k, v = torch.randn(5, H, 5, D), torch.randn(5, H, K, D), torch.randn(5, H, K, D)
    keep = torch.rand(5, K) > 0.4
    with pytest.raises(MaskError) as caught:
        attend(q, k, v, keep=keep)
    assert str(caught.value) == (
        "keep of two axes is (B, K) or (Q, K), however: both fit here, tuple(keep.shape)=(5, 19), B=5, Q=5; "
        "pass keep[:, None] for (B, K) or keep[None] for (Q, K)"
    )
    one_way = attend(q, k, v, keep=keep[:, None]).output
    torch.testing.assert_close(one_way[3:4], attend(q[3:4], k[3:4], v[3:4], keep=keep[3:4]).output)
    other_way = attend(q, k, v, keep=keep[None]).output
    torch.testing.assert_close(other_way[:, :, 3:4], attend(q[:, :, 3:4], k, v, keep=keep[3:4][None]).output)


SHAPES = [
    (((2, 7), (2, 3, 5, 7), (2, 3, 5, 7)), "q is (batch, heads, tokens, width), however: tuple(x.shape)=(2, 7); "
     "two axes could be (B, D), one token a sample, or (T, D), one sample"),
    (((2, 3, 5, 7), (2, 5, 7), (2, 3, 5, 7)), "k is (batch, heads, tokens, width), however: tuple(x.shape)=(2, 5, 7); "
     "for one head write x.unsqueeze(1)"),
    (((2, 3, 5, 7), (2, 3, 5, 7), (7,)), "v is (batch, heads, tokens, width), however: tuple(x.shape)=(7,)"),
    (((2, 3, 5, 7), (1, 3, 5, 7), (2, 3, 5, 7)), "q, k and v have one batch size (axis 0), however: "),
    (((2, 3, 5, 7), (2, 3, 5, 7), (1, 3, 5, 7)), "q, k and v have one batch size (axis 0), however: "),
    (((2, 3, 5, 7), (2, 2, 5, 7), (2, 2, 5, 7)), "the heads of k and v (axis 1) are equal and divide those of q, "
     "however: "),
    (((2, 3, 5, 7), (2, 3, 5, 7), (2, 1, 5, 7)), "the heads of k and v (axis 1) are equal and divide those of q, "
     "however: "),
    (((2, 3, 5, 7), (2, 3, 5, 7), (2, 3, 4, 7)), "k and v have one token count (axis 2), however: "),
    (((2, 3, 5, 7), (2, 3, 5, 6), (2, 3, 5, 7)), "q and k have one width (axis 3), however: "),
]  # fmt: skip


@pytest.mark.parametrize(("shapes", "message"), SHAPES)
def test_a_wrong_shape_is_refused_by_axis(shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    if message.endswith("however: "):
        message += ", ".join(f"tuple({n}.shape)={s}" for n, s in zip("qkv", shapes, strict=True))
    with pytest.raises(ShapeError) as caught:
        attend(*(torch.randn(s) for s in shapes))
    assert str(caught.value) == message


def test_causal_keep_ends_with_the_last_query_at_the_last_key() -> None:
    keep = causal_keep(3, 5)
    assert keep.shape == (1, 3, 5)
    assert keep[0].tolist() == [[j <= i + 2 for j in range(5)] for i in range(3)]
    with pytest.raises(ShapeError) as caught:
        causal_keep(5, 3)
    assert str(caught.value) == "a causal query sees its own key, so K >= Q, however: n_keys=3, n_queries=5"


def test_one_row_that_reads_both_ways_means_the_same_both_ways() -> None:
    keep = torch.tensor([[True, False, True]])
    assert keep_4d(keep, (1, H, Q, 3)).expand(1, H, Q, 3).equal(keep.expand(1, H, Q, 3))


# --- mass -------------------------------------------------------------------------------------------


def some_segments(n_keys: int, n_segments: int, b: int | None = None) -> Tensor:
    """Segments in no order, some empty, some keys in none."""
    shape = (n_keys,) if b is None else (b, n_keys)
    return torch.randint(-1, n_segments, shape, generator=torch.Generator().manual_seed(3))


def summed(weights: Tensor, segments: Tensor, n_segments: int) -> Tensor:
    """The segment sums of explicit weights, key by key."""
    sums = torch.zeros(*weights.shape[:3], n_segments, dtype=weights.dtype)
    segments = segments.expand(len(weights), -1)
    for b in range(len(weights)):
        for j, segment in enumerate(segments[b].tolist()):
            if segment >= 0:
                sums[b, :, :, segment] += weights[b, :, :, j]
    return sums


@pytest.mark.parametrize("n_keys", [K, FEW, 1])
@pytest.mark.parametrize("n_segments", [1, 3, D, 17])
@pytest.mark.parametrize("b", [None, B])
def test_mass_is_the_weights_of_the_loop_summed(n_keys: int, n_segments: int, b: int | None) -> None:
    q, k, v = qkv(n_keys)
    segments = some_segments(n_keys, n_segments, b)
    for keep in (some_keep(n_keys), torch.ones(B, H, Q, n_keys, dtype=torch.bool)):
        for scale in (None, 1.0):
            _, weights = by_loop(q, k, v, keep, 1 / math.sqrt(D) if scale is None else scale)
            got = mass(q, k, segments, n_segments, keep=keep, scale=scale)
            torch.testing.assert_close(got, summed(weights, segments, n_segments))
            if keep.all():
                torch.testing.assert_close(mass(q, k, segments, n_segments, scale=scale), got)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 3), st.sampled_from([(1, 1), (4, 2), (3, 1)]), st.integers(1, 37), st.integers(1, 151),
    st.integers(1, 9), st.integers(1, 23), st.sampled_from(["none", "padding", "pairs", "heads"]), st.integers(0, 99),
)  # fmt: skip
def test_mass_equals_the_sums_of_explicit_weights_to_1e_6(
    b: int, heads: tuple[int, int], n_queries: int, n_keys: int, d: int, n_segments: int, masked: str, seed: int
) -> None:
    torch.manual_seed(seed)
    q, k = torch.randn(b, heads[0], n_queries, d), torch.randn(b, heads[1], n_keys, d)
    shape = {"padding": (b, 1, n_keys), "pairs": (b, n_queries, n_keys), "heads": (b, heads[0], n_queries, n_keys)}
    keep = None if masked == "none" else torch.rand(shape[masked]) > 0.5
    segments = torch.randint(-1, n_segments, (b, n_keys))
    weights = attend(q, k, k, keep=keep, need_weights=True).weights
    got = mass(q, k, segments, n_segments, keep=keep)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, summed(weights.double(), segments, n_segments).float(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("n_keys", [K, FEW])
def test_mass_of_all_segments_is_one_or_zero_for_who_sees_nobody(n_keys: int) -> None:
    q, k, _ = qkv(n_keys, dtype=torch.float32)
    keep = some_keep(n_keys)
    assert not keep.any(-1).all()
    got = mass(q, k, torch.arange(n_keys) % 3, 3, keep=keep)
    torch.testing.assert_close(got.sum(-1), keep.any(-1).float())
    assert (got[0, 1, 2] == 0).all()
    assert (mass(q, k, torch.full((n_keys,), -1), 3) == 0).all()


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("n_keys", [K, FEW])
def test_what_stands_in_a_masked_place_has_no_mass_and_changes_none(broken: float, n_keys: int) -> None:
    q, k, _ = qkv(n_keys)
    segments = some_segments(n_keys, 3)
    padding = torch.ones(B, 1, n_keys, dtype=torch.bool)
    padding[1, 0, 2:4] = False
    clean = mass(q, k, segments, 3, keep=padding)
    filled = k.masked_fill(~padding[:, :, :, None], broken)
    torch.testing.assert_close(mass(q, filled, segments, 3, keep=padding), clean, rtol=0, atol=0)
    blind = some_keep(n_keys)
    harmed = q.clone()
    harmed[0, 1, 2] = broken  # sees nobody
    torch.testing.assert_close(mass(harmed, k, segments, 3, keep=blind), mass(q, k, segments, 3, keep=blind))


@pytest.mark.parametrize("n_keys", [K, FEW])
def test_a_broken_key_is_seen_in_the_mass_of_who_looks_and_of_nobody_else(n_keys: int) -> None:
    q, k, _ = qkv(n_keys)
    segments = torch.arange(n_keys) % 3
    keep = torch.ones(B, 1, Q, n_keys, dtype=torch.bool)
    keep[1, :, 3:, 2] = False
    for mask in (keep, keep.expand(-1, H, -1, -1)):
        clean = mass(q, k, segments, 3, keep=mask)
        broken = k.clone()
        broken[1, 1, 2, 4] = math.nan
        got = mass(q, broken, segments, 3, keep=mask)
        assert got[1, 1, :3].isnan().all()
        untouched = torch.ones(B, H, Q, dtype=torch.bool)
        untouched[1, 1, :3] = False
        torch.testing.assert_close(got[untouched], clean[untouched])
    for everywhere in (None, torch.ones(B, 1, n_keys, dtype=torch.bool)):
        got = mass(q, broken, segments, 3, keep=everywhere)
        assert got[1, 1].isnan().all()
        assert got[0].isfinite().all() and got[1, 0].isfinite().all()


@pytest.mark.parametrize("masked", [False, True])
def test_grouped_heads_have_the_mass_of_every_query_head(masked: bool) -> None:
    torch.manual_seed(0)
    q, k, segments = torch.randn(B, 6, Q, D), torch.randn(B, 2, K, D), some_segments(K, 3, B)
    keep = torch.rand(B, 6, Q, K) > 0.4 if masked else None
    got = mass(q, k, segments, 3, keep=keep)
    assert got.shape == (B, 6, Q, 3)
    torch.testing.assert_close(got, mass(q, k.repeat_interleave(3, dim=1), segments, 3, keep=keep))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("n_keys", [197, FEW])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype, n_keys: int) -> None:
    q, k, v = qkv(n_keys, dtype=dtype)
    segments = torch.arange(n_keys) % 3
    weights = attend(q, k, v, need_weights=True).weights
    got = mass(q, k, segments, 3)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, summed(weights.double(), segments, 3).float(), atol=1e-6, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(mass(q.float(), k.float(), segments, 3), got, atol=1e-6, rtol=0)
    assert mass(q.double(), k.double(), segments, 3).dtype == torch.float64


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_weights_are_built_for_the_mass_of_2048_tokens(masked: bool, dtype: torch.dtype) -> None:
    n = 2048
    torch.manual_seed(0)
    q, k = torch.randn(1, 2, n, 8, dtype=dtype), torch.randn(1, 2, n, 8, dtype=dtype)
    segments, keep = torch.arange(n) // 200, torch.rand(1, n) > 0.3 if masked else None
    with Largest() as largest:
        got = mass(q, k, segments, 11, keep=keep)
    assert largest.numel <= 2 * n * 11  # the answer itself; the weights would be 2 * n * n
    with Largest() as explicit:
        weights = attend(q, k, k, keep=keep, need_weights=True).weights
    assert explicit.numel == 2 * n * n  # the measure sees what it is meant to see
    torch.testing.assert_close(got, summed(weights, segments, 11), atol=1e-6, rtol=0)


def test_the_modes_agree_on_the_mass_and_its_gradient_is_that_of_finite_differences() -> None:
    q, k, _ = (t[:1, :2].clone().requires_grad_() for t in qkv())
    segments, keep = some_segments(K, 9), some_keep()[:1, :2]

    def run(q: Tensor, k: Tensor) -> Tensor:
        return mass(q, k, segments, 9, keep=keep)

    assert torch.autograd.gradcheck(run, (q, k))
    expected = run(q, k).detach()
    with torch.no_grad():
        torch.testing.assert_close(run(q, k), expected)
    torch.testing.assert_close(torch.compile(run, backend="eager", fullgraph=True)(q, k).detach(), expected)


@pytest.mark.parametrize(("b", "n_queries", "n_keys"), [(0, Q, K), (B, 0, K), (B, Q, 0), (0, 0, 0)])
@pytest.mark.parametrize("masked", [False, True])
def test_the_mass_of_nothing_is_nothing(b: int, n_queries: int, n_keys: int, masked: bool) -> None:
    q, k = torch.randn(b, H, n_queries, D), torch.randn(b, H, n_keys, D)
    keep = torch.ones(b, n_queries, n_keys, dtype=torch.bool) if masked else None
    for shape in ((n_keys,), (b, n_keys)):
        got = mass(q, k, torch.zeros(shape, dtype=torch.long), 13, keep=keep)
        assert got.shape == (b, H, n_queries, 13) and (got == 0).all()


SEGMENTS = [
    (torch.zeros(K), 3, InputError,
     "segments is an int tensor, the segment of each key, however: segments.dtype=torch.float32"),
    (torch.zeros(K, dtype=torch.bool), 3, InputError,
     "segments is an int tensor, the segment of each key, however: segments.dtype=torch.bool"),
    (torch.zeros(Q, dtype=torch.long), 3, ShapeError,
     "segments is (K,) or (B, K) with B=2, K=19, however: tuple(segments.shape)=(5,)"),
    (torch.zeros(K, B, dtype=torch.long), 3, ShapeError,
     "segments is (K,) or (B, K) with B=2, K=19, however: tuple(segments.shape)=(19, 2)"),
    (torch.full((K,), 3), 3, InputError, "segments are 0 to 2, or -1 for none, however: segment 3"),
    (torch.full((K,), -2), 3, InputError, "segments are 0 to 2, or -1 for none, however: segment -2"),
    (torch.full((K,), -1), 0, InputError, "there is at least one segment, however: n_segments=0"),
]  # fmt: skip


@pytest.mark.parametrize(("segments", "n_segments", "error", "message"), SEGMENTS)
def test_segments_that_fit_no_key_are_refused(
    segments: Tensor, n_segments: int, error: type[Exception], message: str
) -> None:
    q, k, _ = qkv()
    with pytest.raises(error) as caught:
        mass(q, k, segments, n_segments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3, 5, 7), (1, 3, 11, 7)), "q and k have one batch size (axis 0)"),
        (((2, 3, 5, 7), (2, 2, 11, 7)), "the heads of k (axis 1) divide those of q"),
        (((2, 3, 5, 7), (2, 3, 11, 6)), "q and k have one width (axis 3)"),
        (((2, 3, 5, 7), (2, 11, 7)), None),
    ],
)
def test_a_wrong_shape_is_refused_without_a_word_of_values(
    shapes: tuple[tuple[int, ...], ...], message: str | None
) -> None:
    with pytest.raises(ShapeError) as caught:
        mass(*(torch.randn(s) for s in shapes), torch.zeros(11, dtype=torch.long), 1)
    expected = f"{message}, however: tuple(q.shape)={shapes[0]}, tuple(k.shape)={shapes[1]}"
    if message is None:
        expected = (
            "k is (batch, heads, tokens, width), however: tuple(x.shape)=(2, 11, 7); for one head write x.unsqueeze(1)"
        )
    assert str(caught.value) == expected
    with pytest.raises(MaskError):
        mass(*qkv()[:2], torch.zeros(K, dtype=torch.long), 1, keep=torch.ones(B, K))
