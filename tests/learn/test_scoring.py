"""Macro F1 by counting is that of scikit-learn; the calibration error is its formula, bin by bin."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from intermodal.learn.scoring import Predictions, find

LABELS = [[3, 7, 11], ["a", "bb", "c"], [0.5, 2.0, -1.0], [False, True]]


@settings(deadline=None)
@given(st.data(), st.sampled_from(LABELS), st.integers(1, 30))
def test_macro_f1_is_that_of_scikit_learn(data: st.DataObject, labels: list, n: int) -> None:
    truth, said = (np.array(data.draw(st.lists(st.sampled_from(labels), min_size=n, max_size=n))) for _ in range(2))
    truth, said = (a.astype(str) if a.dtype.kind == "f" else a for a in (truth, said))
    wanted = f1_score(truth, said, average="macro", zero_division=0)
    assert find("macro F1", "classification")(Predictions(truth, said)) == pytest.approx(wanted, abs=1e-12)


def test_macro_f1_of_objects_and_of_a_class_that_is_only_said() -> None:
    score = find("macro F1", "classification")
    truth, said = np.array(["a", "a", "b"], dtype=object), np.array(["a", "zz", "b"])
    assert score(Predictions(truth, said)) == pytest.approx((2 / 3 + 1 + 0) / 3)


# --- calibration error ----------------------------------------------------------------------------

ECE = find("calibration error", "classification")


def _calibration_by_hand(p: Predictions) -> float:
    """Guo et al. 2017, equation 3, as it is written: bin m holds ((m - 1) / 15, m / 15]."""
    total = 0.0
    top = [int(np.argmax(row)) for row in p.probabilities]
    sure = [float(row[k]) for row, k in zip(p.probabilities, top, strict=True)]
    for m in range(1, 16):
        inside = [i for i in range(len(sure)) if (m - 1) / 15 < sure[i] <= m / 15]
        if inside:
            accuracy = sum(p.classes[top[i]] == p.y[i] for i in inside) / len(inside)
            confidence = sum(sure[i] for i in inside) / len(inside)
            total += len(inside) / len(sure) * abs(accuracy - confidence)
    return total


@pytest.mark.parametrize("classes", [[0, 1], ["a", "bb", "c", "d", "e"], [2.5, -1.0, 7.0]])
def test_the_calibration_error_is_the_formula_bin_by_bin(classes: list) -> None:
    rng = np.random.default_rng(3)
    labels = np.array(classes)
    chances = rng.dirichlet(np.full(len(labels), 0.6), size=211)
    truth = labels[rng.integers(len(labels), size=211)]
    p = Predictions(truth, labels[chances.argmax(axis=1)], chances, None, labels)
    assert ECE(p) == pytest.approx(_calibration_by_hand(p), abs=1e-12)
    assert 0.05 < ECE(p) < 1


def test_errors_of_two_bins_do_not_cancel_and_those_of_one_do() -> None:
    truth, classes = np.array([0, 0, 1, 1]), np.array([0, 1])
    apart = np.array([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.9, 0.1]])  # .4 too low for the first two, .9 too high
    assert ECE(Predictions(truth, np.zeros(4), apart, None, classes)) == pytest.approx((0.4 + 0.9) / 2)
    same = np.tile([0.61, 0.39], (4, 1))  # one bin: half of it true, .61 said
    assert ECE(Predictions(truth, np.zeros(4), same, None, classes)) == pytest.approx(0.11)


def test_an_upper_edge_is_inside_its_bin() -> None:
    truth, classes = np.array([0, 1]), np.array([0, 1])
    edge = np.linspace(0, 1, 16)[9]  # .6: with .59 in one bin, where +.4 and -.59 meet
    p = Predictions(truth, np.zeros(2), np.array([[edge, 1 - edge], [0.59, 0.41]]), None, classes)
    assert ECE(p) == pytest.approx(abs(0.59 + 0.6 - 1) / 2)


def test_sure_and_right_is_no_error_and_sure_and_wrong_is_all_of_it() -> None:
    classes, sure = np.array(["no", "yes"]), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    said = classes[[0, 1, 1]]
    assert ECE(Predictions(said, said, sure, None, classes)) == 0
    assert ECE(Predictions(classes[[1, 0, 0]], said, sure, None, classes)) == 1


def test_without_probabilities_there_is_no_calibration_error() -> None:
    truth = np.array([0, 1])
    assert math.isnan(ECE(Predictions(truth, truth, None, np.array([-1.0, 1.0]), truth)))


@pytest.mark.parametrize("name", ["ece", "ECE", "expected calibration error", "calibration_error"])
def test_the_calibration_error_is_found_by_its_names_and_less_is_better(name: str) -> None:
    score = find(name, "classification")
    assert score.name == "calibration error" and score.sign == -1 and score.bounds == (0.0, 1.0)
    assert score.show(0.0482) == "0.048"
