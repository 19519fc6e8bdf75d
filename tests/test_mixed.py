"""The compiled sums of all subsets equal the formulas as plain loops; without it each subset asks for itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from intermodal.kernel import mixed

pytestmark = pytest.mark.skipif(mixed._mixed is None, reason="no compiler was there when the package was installed")
EXACT = {torch.float32: 2e-6, torch.float64: 1e-14}
TYPES = st.sampled_from([torch.float32, torch.float64])


def close(ours: Tensor, plain: Tensor) -> None:
    assert ours.dtype == plain.dtype
    torch.testing.assert_close(ours, plain, atol=10 * EXACT[ours.dtype], rtol=EXACT[ours.dtype])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_numerators_and_divisors_are_sums_over_the_keys_of_a_piece(data: st.DataObject) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 2**31)))
    b, h, dtype = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(TYPES)
    width = draw(st.sampled_from([1, 5, 16, 19]))
    ends = torch.tensor(draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))).cumsum(0)
    starts, s = torch.cat([ends.new_zeros(1), ends[:-1]]), max(1, int(ends[-1]))
    e, values = torch.rand(b, h, s, s, dtype=dtype), torch.randn(b, s, 2 * h * width, dtype=dtype)[..., ::2]
    numerators, divisors = mixed.gather(e, values, starts.int(), ends.int())
    heads = values.unflatten(-1, (h, width))
    for p, (i, j) in enumerate(zip(starts, ends, strict=True)):
        close(divisors[:, :, p], e[..., i:j].sum(-1).transpose(1, 2))
        close(numerators[:, :, p], torch.einsum("bhqk,bkhc->bqhc", e[..., i:j], heads[:, i:j]).flatten(2))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_token_receives_the_mean_over_the_groups_that_answered(data: st.DataObject) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 2**31)))
    b, s, p, h, g = (draw(st.integers(1, n)) for n in (4, 5, 6, 3, 4))
    width, c, t, dtype = (
        draw(st.sampled_from([1, 5, 16])),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 5)),
        draw(TYPES),
    )
    divisors = torch.rand(b, s, p, h, dtype=dtype) + 0.1
    divisors *= torch.rand(b, 1, p, 1) < 0.7  # nobody of this piece is there
    numerators = torch.randn(b, s, p, h * width, dtype=dtype) * (divisors > 0).repeat_interleave(width, -1)
    tokens, masks = torch.randint(s, (c, t)).int(), torch.randint(1 << p, (c, g)).int()
    times = torch.randint(3, (s, g)).int()
    received, answered = mixed.mix(numerators, divisors, tokens, masks, times)
    for i in range(b):
        for j in range(c):
            for k, token in enumerate(tokens[j].tolist()):
                wanted, count = torch.zeros(h, width, dtype=dtype), 0
                for group in range(g):
                    some = [piece for piece in range(p) if masks[j, group] >> piece & 1]
                    total = divisors[i, token, some].sum(0)
                    if times[token, group] and (total > 0).all():
                        n = int(times[token, group])
                        count += n
                        wanted += n * numerators[i, token, some].sum(0).view(h, width) / total.unsqueeze(-1)
                close(received[i * c + j, k], (wanted / max(count, 1)).flatten())
                assert answered[i * c + j, k] == (count > 0)


def norm(d: int, dtype: torch.dtype) -> nn.LayerNorm:
    made = nn.LayerNorm(d, eps=1e-3, dtype=dtype)
    nn.init.normal_(made.weight)
    nn.init.normal_(made.bias)
    return made.requires_grad_(False)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(2, 37), TYPES)
def test_what_is_received_is_added_and_normed(b: int, s: int, c: int, t: int, d: int, dtype: torch.dtype) -> None:
    received, ground = torch.randn(b * c, t, d, dtype=dtype), 3 + torch.randn(b, s, d, dtype=dtype)
    tokens, over = torch.randint(s, (c, t)).int(), norm(d, dtype)
    joined, normed = mixed.join(received, ground, tokens, over)
    wanted = received + ground[:, tokens.flatten()].reshape(b * c, t, d)
    close(joined, wanted)
    torch.testing.assert_close(normed, over(wanted), atol=500 * EXACT[dtype], rtol=500 * EXACT[dtype])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 37), TYPES)
def test_settling_is_the_mean_of_the_norm_of_a_sum(n: int, t: int, d: int, dtype: torch.dtype) -> None:
    one, other, over = torch.randn(n, t, d, dtype=dtype), 3 + torch.randn(n, t, d, dtype=dtype), norm(d, dtype)
    settled = mixed.settle(one, other, over)
    torch.testing.assert_close(settled, over(one + other).mean(1), atol=500 * EXACT[dtype], rtol=500 * EXACT[dtype])


def test_what_is_no_number_stays_visible() -> None:
    numerators, divisors = torch.ones(2, 1, 1, 3), torch.ones(2, 1, 1, 1)
    divisors[1] = torch.nan
    one = torch.ones(1, 1, dtype=torch.int32)
    received, answered = mixed.mix(numerators, divisors, 0 * one, one, one)
    assert received[0].eq(1).all() and received[1].isnan().all() and answered.eq(1).all()


def test_whom_it_serves() -> None:
    x = torch.randn(2, 3, 4)
    assert mixed.serves(x, 31) and mixed.serves(x.double(), 1)
    assert not mixed.serves(x, 32)
    assert not mixed.serves(x.bfloat16(), 1)
    assert not mixed.serves(x.to("meta"), 1)
    with torch.device("meta"):  # somebody rewrites what torch does
        assert not mixed.serves(x, 1)


WIDTHS = st.sampled_from([1, 7, 16, 23, 64, 83])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.sampled_from([1, 6, 16, 19]), st.integers(1, 3), WIDTHS, TYPES)
def test_scores_are_products_less_the_largest_of_a_row(b: int, n: int, h: int, width: int, dtype: torch.dtype) -> None:
    queries, keys = torch.randn(b, n, h * width, dtype=dtype), torch.randn(b, n, h * width, dtype=dtype)
    q, k = (x.unflatten(-1, (h, width)).transpose(1, 2) for x in (queries, keys))
    wanted = q @ k.mT / width**0.5
    wanted = wanted - wanted.amax(-1, keepdim=True)
    found, least = mixed.scores(queries, keys, h)
    torch.testing.assert_close(found, wanted, atol=50 * EXACT[dtype], rtol=10 * EXACT[dtype])
    assert least == float(found.min())


@pytest.mark.parametrize("place", [0, 4])
def test_a_score_that_is_no_number_is_the_least(place: int) -> None:
    queries, keys = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    keys[0, place] = torch.nan
    assert torch.tensor(mixed.scores(queries, keys, 1)[1]).isnan()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_blend_is_the_mean_answer_of_the_tokens_of_a_subset(data: st.DataObject) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 2**31)))
    b, n, h, width, dtype = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 6)),
        draw(st.integers(1, 3)),
        draw(WIDTHS),
        draw(TYPES),
    )
    d, c = h * width, draw(st.sampled_from([1, 5, 16, 17, 33]))
    scores = torch.randn(b, h, n, n, dtype=dtype)
    values, weight = torch.randn(b, n, d, dtype=dtype), torch.randn(d, d, dtype=dtype) / d**0.5
    bias = draw(st.sampled_from([None, torch.randn(d, dtype=dtype)]))
    inside, present = torch.rand(n, c) < 0.6, draw(st.sampled_from([None, torch.rand(b, n) < 0.7]))
    found = mixed.blend(scores.exp(), present, values, weight, bias, inside)
    for i in range(b):
        for j in range(c):
            some = inside[:, j] if present is None else inside[:, j] & present[i]
            wanted = torch.zeros(d, dtype=dtype)
            if some.any():
                shares = scores[i][:, some][:, :, some].softmax(-1).mean(1)  # (H, keys)
                heads = torch.einsum("hk,khc->hc", shares, values[i, some].unflatten(-1, (h, width)))
                wanted = weight @ heads.flatten() + (0 if bias is None else bias)
            torch.testing.assert_close(found[i, j], wanted, atol=50 * EXACT[dtype], rtol=10 * EXACT[dtype])
