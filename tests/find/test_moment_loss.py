"""The loss against its formula row by row, and the calibration of whether it happens."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from intermodal.find.moment_batches import Target, targets
from intermodal.find.moment_loss import WEIGHT_HAPPENS, chance, loss_of, platt
from intermodal.find.moment_network import Seen
from intermodal.find.moment_stretch import stretch


def seen(n: int = 7) -> tuple[Seen, torch.Tensor]:
    torch.manual_seed(0)
    within = torch.ones(3, n, dtype=torch.bool)
    within[1, 4:] = False
    start, end, inside = torch.randn(3, 3, n).unbind()
    return Seen(stretch(start, end, inside, within), inside, torch.randn(3), None), within


def answers(sure: list[bool]) -> Target:
    spans = [np.array([[1.0, 3.0]]), np.array([[0.0, 2.0]]), np.zeros((0, 2))]
    return targets(spans, np.array([7, 4, 7]), 1.0, np.array(sure), 0.0, "cpu")


def by_row(got: Seen, within: torch.Tensor, sure: list[bool]) -> float:
    where = [
        float(got.scored.total[0] - got.scored.starts[0, 1] - got.scored.ends[0, 2]),
        float(got.scored.total[1] - got.scored.starts[1, 0] - got.scored.ends[1, 1]),
    ]
    cover = []
    for row, (first, last) in enumerate([(1, 3), (0, 2), (0, 0)]):
        logits = got.inside[row][within[row]]
        true = torch.zeros(7)
        true[first:last] = 1
        cover.append(float(F.binary_cross_entropy_with_logits(logits, true[: len(logits)])))
    there = float(F.binary_cross_entropy_with_logits(got.happens, torch.tensor([1.0, 1.0, 0.0])))
    covered = np.array(cover)[sure].mean()
    return float(np.mean(where) + covered + WEIGHT_HAPPENS * there)


@pytest.mark.parametrize("sure", [[True, True, True], [True, True, False]])
def test_the_loss_is_its_formula(sure: list[bool]) -> None:
    got, within = seen()
    assert float(loss_of(got, answers(sure), within)) == pytest.approx(by_row(got, within, sure), abs=1e-5)


def test_calibration_turns_logits_into_shares() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=4000) * 3
    happens = (rng.random(4000) < 1 / (1 + np.exp(-(0.5 * logits + 1.0)))).astype(float)
    slope, shift = platt(logits, happens)
    assert slope == pytest.approx(0.5, abs=0.07) and shift == pytest.approx(1.0, abs=0.15)
    said = chance(torch.tensor([2.0, -3.0]), (slope, shift))
    np.testing.assert_allclose(said, 1 / (1 + np.exp(-(slope * np.array([2.0, -3.0]) + shift))))


def test_too_few_rows_and_a_turned_slope_calibrate_nothing() -> None:
    assert platt(np.arange(20.0), np.array([0.0] * 4 + [1.0] * 16)) == (1.0, 0.0)
    assert platt(-np.arange(20.0), np.array([0.0] * 10 + [1.0] * 10)) == (1.0, 0.0)
    assert platt(np.arange(20.0), np.array([0.0] * 10 + [1.0] * 10))[0] > 0
