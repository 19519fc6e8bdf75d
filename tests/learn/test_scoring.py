"""Macro F1 by counting is that of scikit-learn."""

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
