"""The probability of every stretch, against all pairs written out."""

import itertools

import pytest
import torch
from torch import Tensor

from intermodal.find.moment_stretch import Stretch, marginals, stretch, surprise


def drawn(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    start, end, inside = torch.randn(3, 2, 7).unbind()
    return start, end, inside


def by_pairs(start: Tensor, end: Tensor, inside: Tensor, row: int) -> dict[tuple[int, int], float]:
    n = start.shape[1]
    return {
        (i, j): float(start[row, i] + end[row, j] + inside[row, i : j + 1].sum())
        for i, j in itertools.product(range(n), range(n))
        if i <= j
    }


ALL = torch.ones(2, 7, dtype=torch.bool)


def test_the_total_sums_over_all_pairs() -> None:
    parts = drawn()
    scored = stretch(*parts, ALL)
    for row in range(2):
        pairs = by_pairs(*parts, row)
        expected = torch.tensor(list(pairs.values()), dtype=torch.float64).logsumexp(0)
        torch.testing.assert_close(scored.total[row], expected, atol=1e-6, rtol=0)
        for (i, j), score in pairs.items():
            assert float(scored.starts[row, i] + scored.ends[row, j]) == pytest.approx(score, abs=1e-5)


def test_marginals_are_sums_over_pairs() -> None:
    parts = drawn()
    starts, ends = marginals(stretch(*parts, ALL))
    for row in range(2):
        pairs = by_pairs(*parts, row)
        total = sum(torch.tensor(score).double().exp() for score in pairs.values())
        for at in range(7):
            begun = sum(torch.tensor(s).double().exp() for (i, _), s in pairs.items() if i == at) / total
            ended = sum(torch.tensor(s).double().exp() for (_, j), s in pairs.items() if j == at) / total
            assert float(starts[row, at]) == pytest.approx(float(begun), abs=1e-6)
            assert float(ends[row, at]) == pytest.approx(float(ended), abs=1e-6)


def test_surprise_is_the_negative_logarithm_of_the_true_stretch() -> None:
    parts = drawn()
    started, ended = torch.zeros(2, 7), torch.zeros(2, 7)
    started[0, 2] = ended[0, 5] = 1.0
    started[1, [1, 4]] = ended[1, [2, 6]] = 0.5
    scored = stretch(*parts, ALL)
    told = surprise(scored, started, ended)
    first, second = by_pairs(*parts, 0), by_pairs(*parts, 1)
    assert float(told[0]) == pytest.approx(float(scored.total[0]) - first[2, 5], abs=1e-5)
    both = (second[1, 2] + second[4, 6]) / 2
    assert float(told[1]) == pytest.approx(float(scored.total[1]) - both, abs=1e-5)


@pytest.mark.parametrize(("left", "right"), [(0, 3), (2, 0), (3, 5)])
def test_padding_on_either_side_changes_nothing(left: int, right: int) -> None:
    parts = drawn()
    alone = stretch(*parts, ALL)
    padded = [torch.full((2, left + 7 + right), float("nan")) for _ in parts]
    for wide, part in zip(padded, parts, strict=True):
        wide[:, left : left + 7] = part
    within = torch.zeros(2, left + 7 + right, dtype=torch.bool)
    within[:, left : left + 7] = True
    scored = stretch(*padded, within)
    torch.testing.assert_close(scored.total, alone.total)
    for wide, narrow in zip(marginals(scored), marginals(alone), strict=True):
        torch.testing.assert_close(wide[:, left : left + 7], narrow)
        assert not wide[~within].any()


def test_gradients_are_finite_beside_padding() -> None:
    parts = [part.requires_grad_() for part in drawn()]
    within = ALL.clone()
    within[1, 4:] = False
    scored = stretch(*parts, within)
    (scored.total.sum() + sum(m.sum() for m in marginals(scored))).backward()
    for part in parts:
        assert part.grad is not None and part.grad.isfinite().all()
        assert not part.grad[~within].any()


def test_an_hour_at_high_scores_keeps_its_precision() -> None:
    n = 90_000
    inside = torch.full((1, n), -20.0)
    inside[:, 70_000:70_010] = 5.0
    none = torch.zeros(1, n)
    scored = stretch(none, none, inside, torch.ones(1, n, dtype=torch.bool))
    starts, ends = marginals(scored)
    assert isinstance(scored, Stretch)
    assert float(starts[0, 70_000]) > 0.98 and float(ends[0, 70_009]) > 0.98
    assert float(starts.sum()) == pytest.approx(1.0, abs=1e-6)
