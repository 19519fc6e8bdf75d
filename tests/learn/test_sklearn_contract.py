"""C14: scikit-learn's own checks pass for plain 2-D input, with their count printed."""

from collections import Counter

import pytest
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from intermodal.data.digits import load_digits6
from intermodal.learn.estimators import FusionClassifier, FusionRegressor

EXPECTED_TO_FAIL = {
    "check_sample_weight_equivalence_on_dense_data": (
        "rows are held out and drawn into batches by their number, so a row of weight 2 is not two rows"
    )
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", [FusionClassifier, FusionRegressor])
def test_scikit_learns_checks_pass(estimator: type, capsys) -> None:
    results = check_estimator(
        estimator(d_model=16, n_members=1, max_epochs=40), on_fail=None, expected_failed_checks=EXPECTED_TO_FAIL
    )
    counts = Counter(result["status"] for result in results)
    with capsys.disabled():
        print(f"\n{estimator.__name__}: {dict(counts)} of scikit-learn's checks")
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert failed == {}
    assert counts["passed"] > 50
    assert counts["xfail"] <= len(EXPECTED_TO_FAIL)


def test_samples_go_through_cross_validation() -> None:
    digits = load_digits6()[::16].only("mor", "zer")
    scores = cross_val_score(FusionClassifier(d_model=16, n_members=1, max_epochs=8), digits, digits.y, cv=3)
    assert len(scores) == 3 and scores.mean() > 0.3
