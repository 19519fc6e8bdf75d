"""Comparing: the same folds for all, no look at test rows, and words that say no more than the numbers."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from intermodal.data.samples import Samples
from intermodal.errors import DataWarning, InputError, SpecError
from intermodal.learn.baselines import baseline
from intermodal.learn.compare import compare
from intermodal.learn.comparison import Comparison, Table
from intermodal.learn.paired import difference_interval
from intermodal.learn.scoring import Predictions, find, scores
from intermodal.learn.splitting import Fold
from intermodal.learn.stats import corrected_interval
from intermodal.learn.trials import Trial, run_trial
from intermodal.learn.verdict import Row, Setting, compare_fusions, level, say, take
from intermodal.report.validating import validate

N = 113
rng = np.random.default_rng(5)
TEXT = np.column_stack([np.arange(N), rng.normal(size=(N, 2))])  # the first column tells which sample it is
X = {"text": TEXT, "video": rng.normal(size=(N, 5))}
LABEL = np.where(TEXT[:, 1] > 0, "yes", "no")


class Spy:
    """Notes which samples it was fitted on and which it was asked about; answers the most frequent label."""

    def __init__(self, log: list) -> None:
        self.log = log

    def fit(self, X, y, groups=None):
        assert X.y is None and X.split is None and X.groups is None
        self.answer = max(set(y.tolist()), key=y.tolist().count)
        self.log.append(("fit", ids(X), y.tolist(), None if groups is None else groups.tolist()))
        return self

    def predict(self, X):
        assert X.y is None
        self.log.append(("predict", ids(X)))
        return np.full(len(X), self.answer)


class Knows:
    """Is right about each sample with the probability that it is told; learns nothing."""

    def __init__(self, accuracy: float, y: np.ndarray, seed: int = 0) -> None:
        draws = np.random.default_rng(seed).random(len(y))
        other = np.where(y == "yes", "no", "yes")
        self.answers = np.where(draws < accuracy, y, other)

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.answers[ids(X)]


def ids(samples: Samples) -> list[int]:
    return samples.modality("text").values[:, 0].astype(int).tolist()


def fake(accuracy: float, seed: int = 0):
    return lambda: Knows(accuracy, LABEL, seed)


# --- no look at the test rows ---------------------------------------------------------------------


def test_no_model_sees_a_test_row_and_all_see_the_same_folds():
    first, second = [], []
    result = compare(
        X, LABEL, fusions=[("one", lambda: Spy(first)), ("two", lambda: Spy(second))], baselines=(), n_splits=3
    )
    assert first == second and len(first) == 6
    for (_, fitted, targets, _), (_, asked) in zip(first[::2], first[1::2], strict=True):
        assert not set(fitted) & set(asked)
        assert sorted(fitted + asked) == list(range(N))
        assert targets == LABEL[fitted].tolist()
    assert [sorted(first[i][1]) for i in (1, 3, 5)] == [f.test.tolist() for f in result.setting.folds]


def test_a_given_split_is_tested_once_and_chosen_inside():
    log: list = []
    split = np.array((["train"] * 3 + ["test"]) * 28 + ["train"])
    result = compare(X, LABEL, fusions=[("spy", lambda: Spy(log))], baselines=(), split=split, n_splits=3)
    tests = set(np.flatnonzero(split == "test"))
    asked = [set(entry[1]) for entry in log if entry[0] == "predict"]
    assert [bool(a & tests) for a in asked] == [False, False, False, True]
    assert asked[-1] == tests
    assert all(not set(entry[1]) & tests for entry in log if entry[0] == "fit")
    assert result.facts["protocol"] == "given split: fitted on 85, tested on 28; chosen by cross-validation inside"


def test_valid_rows_choose_and_then_train():
    log: list = []
    split = np.array((["train"] * 3 + ["valid", "test"]) * 22 + ["train"] * 3)
    compare(X, LABEL, fusions=[("spy", lambda: Spy(log))], baselines=(), split=split)
    rows = {part: set(np.flatnonzero(split == part)) for part in ("train", "valid", "test")}
    fits, asked = ([set(e[1]) for e in log if e[0] == kind] for kind in ("fit", "predict"))
    assert fits == [rows["train"], rows["train"] | rows["valid"]]
    assert asked == [rows["valid"], rows["test"]]


@pytest.mark.parametrize("name", ["best single", "concatenation", "late", "svm"])
def test_test_rows_change_no_choice_of_a_baseline(name):
    samples, rows = Samples(X), np.arange(N)
    train, test = rows[: N // 2], rows[N // 2 :]
    spoiled_y, spoiled = LABEL.copy(), {k: v.copy() for k, v in X.items()}
    spoiled_y[test] = "no"
    for values in spoiled.values():
        values[test] = 1e3

    def chosen(samples, y):
        models = []
        run_trial(
            lambda: models.append(baseline(name, "classification", samples.names)) or models[-1],
            samples,
            y,
            train,
            test,
            task="classification",
        )
        return models[0].predict(Samples(X)).tolist(), str(getattr(models[0], "scores_", None))

    assert chosen(samples, LABEL) == chosen(Samples(spoiled), spoiled_y)


def test_the_choice_of_the_row_to_take_ignores_the_test_rows():
    split = np.array((["train"] * 3 + ["test"]) * 28 + ["train"])
    chance = np.random.default_rng(1).permutation(LABEL)  # nothing can be learned, so that the baselines stay behind
    wrong = np.where(chance == "yes", "no", "yes")

    def answers(right_in: str):
        model = Knows(1.0, chance)
        model.answers = np.where(split == right_in, chance, wrong)
        return model

    fusions = [("right in train", lambda: answers("train")), ("right in test", lambda: answers("test"))]
    result = compare(X, chance, fusions=fusions, baselines=(), split=split, n_splits=3)
    by_name = {row["name"]: row["mean"] for row in result.table}
    assert (by_name["right in train"], by_name["right in test"]) == (0.0, 1.0)
    assert result.best == "right in train"


def test_groups_reach_the_models_and_never_span_folds():
    log: list = []
    groups = np.arange(N) // 5
    compare(X, LABEL, groups, fusions=[("spy", lambda: Spy(log))], baselines=(), n_splits=3)
    for (_, fitted, _, told), (_, asked) in zip(log[::2], log[1::2], strict=True):
        assert told == groups[fitted].tolist()
        assert not set(groups[fitted]) & set(groups[asked])


# --- what is in the table -------------------------------------------------------------------------


def test_the_constant_and_the_best_single_modality_are_always_there():
    result = compare(X, LABEL, fusions=[("fake", fake(0.8))], baselines=("concatenation",), n_splits=2)
    assert [row["name"] for row in result.table] == ["majority", "best single", "concatenation", "fake"]
    result = compare(X, TEXT[:, 1], fusions=(), baselines=(), n_splits=2)
    assert [row["name"] for row in result.table] == ["mean", "best single"]


def test_means_and_intervals_are_those_of_the_folds():
    result = compare(X, LABEL, fusions=[("none", fake(0.7)), ("cross", fake(0.8, 1))], baselines=(), n_splits=4)
    rows = {row["name"]: row for row in result.table}
    n_test, n_train = N / 4, 3 * N / 4
    expected = corrected_interval(rows["cross"]["folds"], n_train, n_test)
    assert (rows["cross"]["low"], rows["cross"]["high"]) == pytest.approx((expected.low, expected.high))
    gaps = np.subtract(rows["cross"]["folds"], rows["none"]["folds"])
    expected = corrected_interval(gaps, n_train, n_test)
    found = next(d for d in result.differences if d["fusion"] == "cross" and d["against"] == "none")
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((expected.mean, expected.low, expected.high))
    answers = Knows(0.8, LABEL, 1).answers
    assert rows["cross"]["folds"] == [float(np.mean(answers[f.test] == LABEL[f.test])) for f in result.setting.folds]


def test_repeats_give_more_folds():
    assert len(compare(X, LABEL, fusions=(), baselines=(), n_splits=3, n_repeats=2).setting.folds) == 6


def test_a_score_where_less_is_better_turns_the_differences():
    y = TEXT[:, 1]
    result = compare(X, y, fusions=[("bad", lambda: baseline("mean", "regression", ("text",)))], scoring="rmse")
    gap = next(d for d in result.differences if d["fusion"] == "bad")
    assert gap["mean"] < 0 and result.best == "best single"


def test_the_task_is_guessed_from_the_target():
    cases = [
        (LABEL, "classification"),
        (np.arange(N) % 3, "classification"),
        ((np.arange(N) % 2) * 1.0, "classification"),
    ]
    cases += [(TEXT[:, 1], "regression"), (np.arange(N), "regression"), (TEXT[:, 1:], "regression")]
    for y, task in cases:
        assert compare(X, y, fusions=(), baselines=(), n_splits=2).facts["task"] == task


def test_samples_bring_target_groups_and_split():
    split = np.array(["train", "train", "test"] * 37 + ["train"] * 2)
    samples = Samples(X, y=LABEL, groups=np.arange(N), split=split)
    assert len(compare(samples, fusions=(), baselines=(), n_splits=2).setting.folds) == 1
    assert len(compare(samples, fusions=(), baselines=(), n_splits=3, protocol="cv").setting.folds) == 3


def test_samples_without_a_target_are_left_out():
    y = np.where(TEXT[:, 1] > 0, 1.0, 0.0)
    y[[2, 3, 5]] = np.nan
    with pytest.warns(DataWarning, match="^3 of 113 samples have no target and were left out$"):
        result = compare(X, y, fusions=(), baselines=(), n_splits=2)
    assert result.facts["n_samples"] == N - 3


def test_progress_is_told_of_every_fit():
    calls: list = []
    compare(X, LABEL, fusions=(), baselines=(), n_splits=2, progress=lambda *call: calls.append(call))
    assert calls[0] == (0, 4, "majority, fold 1 of 2") and calls[-1] == (4, 4, "done")
    assert [c[0] for c in calls] == [0, 1, 2, 3, 4]


# --- failures -------------------------------------------------------------------------------------


class FailsOn(Knows):
    def fit(self, X, y):
        if 7 not in ids(X):
            raise RuntimeError("no luck")
        return self


def test_a_model_that_fails_is_said_and_stops_nobody():
    result = compare(X, LABEL, fusions=[("cross", lambda: FailsOn(1.0, LABEL)), ("none", fake(0.7))], baselines=())
    rows = {row["name"]: row for row in result.table}
    assert rows["cross"]["failed"] == 1 and rows["cross"]["folds"].count(None) == 1
    assert result.notes == ('"cross" failed in 1 of 5 folds: RuntimeError: no luck',)
    assert result.best != "cross"  # perfect where it ran, but it did not always run
    assert "failed in at least one fold" in result.verdict
    assert "no luck" in str(result)


def test_predictions_that_are_not_finite_are_a_failure():
    class Nan(Knows):
        def predict(self, X):
            return np.full(len(X), math.nan)

    result = compare(X, TEXT[:, 1], fusions=[("nan", lambda: Nan(1.0, LABEL))], n_splits=2)
    assert result.notes == ('"nan" failed in 2 of 2 folds: ArithmeticError: predictions are not finite',)


def test_the_fault_of_the_user_stops_everything():
    class Refuses(Knows):
        def fit(self, X, y):
            raise InputError("d_model must be divisible by n_heads")

    with pytest.raises(InputError, match="divisible"):
        compare(X, LABEL, fusions=[("x", lambda: Refuses(1.0, LABEL))], baselines=(), n_splits=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(N)}, "a target must vary, however: every label is 0.0"),
        ({"y": None}, "compare() needs a target, however: y is None and the samples carry none"),
        ({"y": LABEL[:-1]}, "y must have one entry per sample, however: 112 for 113 samples"),
        ({"y": np.array(["a"] * (N - 1) + ["b"])}, 'however: class "b" is in one row only'),
        (
            {"scoring": "acuracy"},
            'classification is scored by a known name, however: "acuracy"; did you mean "accuracy"?',
        ),
        ({"baselines": ["best singel"]}, 'however: "best singel"; did you mean "best single"?'),
        ({"task": "regresion"}, 'however: "regresion"; did you mean "regression"?'),
        ({"task": "regression"}, "regression needs numbers, however: y holds <U3"),
        (
            {"protocol": "split"},
            "needs a split, however: neither the argument nor the samples have one",
        ),
        ({"protocol": "cvv"}, 'however: "cvv"; did you mean "cv"?'),
        (
            {"fusions": [("a", fake(1.0)), ("a", fake(1.0))]},
            "needs its own name, however: 'a' is there 2 times",
        ),
        ({"fusions": [3]}, "a row is a name, or a pair of a name and a function, however: 3"),
        ({"split": ["train"] * N}, "a split needs train rows and test rows, however: 113 train, 0 test"),
        ({"fusions": ["self"], "max_epoch": 3}, 'know no option "max_epoch"; did you mean "max_epochs"?'),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, message):
    given = {"y": LABEL, "fusions": (), **change}
    with pytest.raises(InputError, match=re.escape(message) + "$"):
        compare(X, given.pop("y"), **given)


def test_an_error_in_a_spec_points_at_the_place():
    with pytest.raises(SpecError, match='did you mean "video"'):
        compare(X, LABEL, fusions=["text -> vidoe"])


# --- the verdict ----------------------------------------------------------------------------------


def trials(accuracies: list[float], n: int = 100) -> list[Trial]:
    """Predictions of the given accuracy: the first rows are right."""
    found = []
    for accuracy in accuracies:
        y = np.ones(n, int)
        predicted = (np.arange(n) < round(accuracy * n)).astype(int)
        found.append(Trial(Predictions(y, predicted), {"accuracy": round(accuracy * n) / n}))
    return found


def setting(n_folds: int) -> Setting:
    cut = [Fold(np.arange(400), np.arange(100)) for _ in range(n_folds)]
    return Setting(find(None, "classification"), cut, cut)


def rows(none, cross, concatenation, majority=(0.5, 0.51, 0.5, 0.49, 0.5)) -> list[Row]:
    made = []
    for i, (name, values) in enumerate(
        {"majority": majority, "concatenation": concatenation, "none": none, "cross": cross}.items()
    ):
        runs = trials(list(values))
        made.append(Row(name, "fusion" if i > 1 else "baseline", runs, runs, name == "cross", i))
    return made


LOW, MID, HIGH = [0.60, 0.62, 0.61, 0.60, 0.62], [0.70, 0.72, 0.71, 0.71, 0.72], [0.80, 0.82, 0.80, 0.81, 0.83]
NOISY = [0.60, 0.90, 0.65, 0.80, 0.75]


@pytest.mark.parametrize(
    ("none", "cross", "concatenation", "claim"),
    [
        (LOW, HIGH, MID, "Attention helps here: "),
        (LOW, MID, HIGH, "Attention helps the network, but it is not shown to beat the best baseline: "),
        (
            HIGH,
            [h + d for h, d in zip(HIGH, [0.01, -0.01, 0, 0.01, 0], strict=True)],
            LOW,
            "Fusion beats the baselines here, but attention is not shown to be the reason: ",
        ),
        (HIGH, MID, LOW, "Attention does not help here: "),
        (NOISY, MID, HIGH, "Attention does not help here: "),
        (NOISY, MID, NOISY, "Attention is not shown to help here: "),
    ],
)
def test_the_verdict_says_no_more_than_the_intervals(none, cross, concatenation, claim):
    made = rows(none, cross, concatenation)
    said = say(made, setting(5), compare_fusions(made, setting(5)))
    assert said.startswith(claim)
    assert said.endswith(f'Take "{take(made, setting(5)).name}".')


def test_a_verdict_in_full():
    # gaps to "none" .2 .2 .19 .21 .21: mean .202, sd .00837; error .00837 sqrt(1/5 + 100/400) = .00561, times t = 2.776
    made = rows(LOW, HIGH, MID)
    assert say(made, setting(5), compare_fusions(made, setting(5))) == (
        'Attention helps here: "cross" is +20.2 points against "none" (95 % interval +18.6 to +21.8) and '
        '+10.0 points against "concatenation" (95 % interval +8.7 to +11.3). Take "cross".'
    )


def test_nothing_better_than_the_constant_is_said():
    made = rows(NOISY, NOISY, NOISY, majority=MID)
    assert 'No row is shown to be better than "majority"' in say(made, setting(5), compare_fusions(made, setting(5)))


def test_noise_is_rarely_called_help():
    """On pure noise two fusions with attention are called better than `none` in about 5 % of comparisons, not more."""
    claims = 0
    for run in range(300):
        draws = np.random.default_rng(run)
        made = []
        for i, name in enumerate(["majority", "none", "self", "cross"]):
            # a shared part: all folds of a model lean the same way, as shared training rows make them
            values = 0.7 + 0.03 * (math.sqrt(0.2) * draws.normal() + math.sqrt(0.8) * draws.normal(size=5))
            runs = [
                Trial(None, {"accuracy": float(v)})
                for v in (values if i else np.full(5, 0.3) + draws.normal(size=5) / 99)
            ]
            made.append(Row(name, "fusion" if i else "baseline", runs, runs, i > 1, i))
        said = say(made, setting(5), compare_fusions(made, setting(5)))
        claims += said.startswith("Attention helps")
    assert claims / 300 <= 0.08


def test_many_fusions_raise_the_level():
    one = Row("x", "fusion", [], [], attends=True)
    assert [round(level([one] * m), 4) for m in (0, 1, 2, 4)] == [0.95, 0.95, 0.95, 0.975]


def test_the_simplest_row_within_one_standard_error_is_taken():
    made = rows(HIGH, [h + d for h, d in zip(HIGH, [0.02, -0.02, 0, 0.02, 0], strict=True)], LOW)
    assert take(made, setting(5)).name == "none"
    made = rows(MID, HIGH, LOW)
    assert take(made, setting(5)).name == "cross"


def test_the_standard_error_is_that_of_the_choosing_folds():
    near = [h - 0.05 for h in HIGH]
    none = Row("none", "fusion", trials(NOISY), trials(near), simplicity=1)
    cross = Row("cross", "fusion", trials(HIGH), trials(HIGH), attends=True, simplicity=2)
    assert take([none, cross], setting(5)).name == "cross"


def test_one_test_part_is_judged_by_its_rows():
    a, b = trials([0.8]), trials([0.5])
    cut = setting(1).folds
    found = difference_interval(a, b, cut, find(None, "classification"))
    # the 30 rows where only `a` is right are drawn again: mean .3, sd sqrt(.3 * .7 / 100)
    assert found.mean == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((0.3 - 0.09, 0.3 + 0.09), abs=0.02)


def test_folds_that_agree_to_the_digit_are_judged_by_their_rows():
    found = difference_interval(
        trials([0.51, 0.51]), trials([0.5, 0.5]), setting(2).folds, find(None, "classification")
    )
    assert found.mean == pytest.approx(0.01) and found.low < found.mean < found.high
    assert not found.excludes_zero


def test_without_attention_nothing_is_said_about_it():
    verdict = compare(X, LABEL, fusions=[("none", fake(0.8))], baselines=(), n_splits=2).verdict
    assert verdict.startswith("Nothing can be said about attention: fusion with attention was not among the rows.")


# --- what it turns into ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result() -> Comparison:
    return compare(X, LABEL, fusions=[("none", fake(0.7)), ("cross", lambda: FailsOn(0.9, LABEL))], n_splits=3)


def test_it_becomes_json(result):
    text = json.dumps(result.to_dict(), allow_nan=False)
    read = json.loads(text)
    assert [row["name"] for row in read["table"]] == ["majority", "best single", "concatenation", "none", "cross"]
    assert read["verdict"] == result.verdict and read["best"] == result.best
    assert read["table"][4]["failed"] == 1


def test_it_becomes_a_report_that_the_report_room_accepts(result):
    report = result.to_report()
    validate(report)
    assert {"text", "facts", "table", "intervals", "findings"} <= {block["kind"] for block in report["blocks"]}
    scores_table = next(block for block in report["blocks"] if block["kind"] == "table")
    assert [row[0] for row in scores_table["rows"]] == [row.name for row in result.rows]
    assert [scores_table["rows"][i][0] for i in scores_table["highlight"]] == [result.best]


def test_one_split_of_everything_still_becomes_a_report():
    split = ["train"] * 60 + ["test"] * (N - 60)
    validate(compare(X, LABEL, fusions=[("cross", fake(0.9))], baselines=(), split=split, n_splits=2).to_report())


@pytest.mark.parametrize("suffix", ["html", "md", "json", "txt"])
def test_the_report_is_written_by_its_suffix(result, tmp_path, suffix):
    result.report(tmp_path / f"report.{suffix}")
    text = (tmp_path / f"report.{suffix}").read_text(encoding="utf-8")
    assert "best single" in text and "Does attention help?" in text


def test_text_and_markdown_show_every_row_and_the_verdict(result):
    for text in (str(result), result._repr_markdown_()):
        assert all(row.name in text for row in result.rows)
        assert result.verdict in text


def test_the_table_becomes_a_data_frame(result):
    pandas = pytest.importorskip("pandas")
    frame = result.table.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["name"].tolist() == [row["name"] for row in result.table]
    assert isinstance(result.table, Table) and isinstance(result.table[0], dict)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_no_interval_leaves_the_bounds_of_its_score(task):
    y = LABEL if task == "classification" else TEXT[:, 1]
    result = compare(X, y, fusions=(), n_splits=3)
    assert all(row["high"] <= 1.0 for row in result.table)


# --- scores ---------------------------------------------------------------------------------------


def test_scores_agree_with_scikit_learn():
    from sklearn import metrics

    y = rng.integers(0, 2, 61)
    chances = np.clip(rng.random(61) * 0.6 + 0.3 * y, 0.01, 0.99)
    p = Predictions(y, (chances > 0.5).astype(int), np.stack([1 - chances, chances], axis=1), None, np.array([0, 1]))
    found = {name: score(p) for name, score in scores("classification").items()}
    sure, right = np.maximum(chances, 1 - chances), p.predicted == y
    low = np.ceil(15 * sure) - 1
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(y, p.predicted),
            "balanced accuracy": metrics.balanced_accuracy_score(y, p.predicted),
            "macro F1": metrics.f1_score(y, p.predicted, average="macro"),
            "AUC": metrics.roc_auc_score(y, chances),
            "log loss": metrics.log_loss(y, chances),
            "calibration error": sum(abs(right[low == k].sum() - sure[low == k].sum()) for k in range(15)) / 61,
        }
    )
    y2, z2 = rng.normal(size=(31, 2)), rng.normal(size=(31, 2))
    q = Predictions(y2, z2)
    assert {name: score(q) for name, score in scores("regression").items()} == pytest.approx(
        {
            "R2": metrics.r2_score(y2, z2),
            "RMSE": math.sqrt(metrics.mean_squared_error(y2, z2)),
            "MAE": metrics.mean_absolute_error(y2, z2),
        }
    )


def test_a_score_that_is_not_defined_is_nan():
    p = Predictions(np.array([1, 1]), np.array([1, 0]), None, np.array([0.2, 0.1]), np.array([0, 1]))
    assert math.isnan(find("AUC", "classification")(p)) and math.isnan(find("log loss", "classification")(p))
    assert math.isnan(find("R2", "regression")(Predictions(np.ones(3), np.zeros(3))))


# --- with the networks ----------------------------------------------------------------------------


def test_fusions_run_beside_the_baselines_and_equal_ones_run_once():
    result = compare(
        X, LABEL, fusions=("none", "cross", "video <-> text"), n_splits=2, max_epochs=2, d_model=8, n_members=1
    )
    assert [row["name"] for row in result.table][-2:] == ["none", "cross"]
    assert result.notes[0] == '"video <-> text" is the same fusion as "cross" on these modalities and was run once'
    assert all(row["failed"] == 0 and row["n_parameters"] for row in result.table)
    assert {d["against"] for d in result.differences if d["fusion"] == "cross"} >= {"none"}
    again = compare(X, LABEL, fusions=("none", "cross"), n_splits=2, max_epochs=2, d_model=8, n_members=1)
    assert [row["folds"] for row in again.table] == [row["folds"] for row in result.table]


def test_samples_cut_down_to_their_training_rows_are_cross_validated():
    samples = Samples(X, y=LABEL, split=np.full(N, "train"))
    result = compare(samples, fusions=[("known", fake(0.9))], baselines=(), n_splits=3)
    assert result.facts["protocol"] == "3-fold cross-validation"


def test_what_the_structure_says_stands_once_with_the_fusions_it_is_true_of():
    X = {"text": TEXT[:30], "video": rng.normal(size=(30, 5)), "audio": rng.normal(size=(30, 4))}
    fusions = ("none", "self", "cross", "text <-> video")
    result = compare(X, LABEL[:30], fusions=fusions, n_splits=2, max_epochs=1, n_members=1, d_model=8)
    even = [f for f in result.findings if f["id"] == "even-by-construction"]
    assert [f["text"].split(":")[0] for f in even] == ['"cross"', '"text <-> video"']
    (outside,) = [f for f in result.findings if f["id"] == "outside-attention"]
    assert outside["text"].startswith('"text <-> video": ') and '"audio"' in outside["text"]
    assert not any('"self"' in f["text"].split(":")[0] or '"none"' in f["text"].split(":")[0] for f in result.findings)
    blocks = {block["title"]: block for block in result.to_report()["blocks"]}
    assert blocks["What the structure says"]["items"] == list(result.findings) == result.to_dict()["findings"]
    validate(result.to_report())


def test_a_finding_of_two_fusions_names_both():
    X = {"text": TEXT[:30], "video": rng.normal(size=(30, 5))}
    names = ("text -> video", "text -> video, text -> text")
    result = compare(X, LABEL[:30], fusions=names, n_splits=2, max_epochs=1, n_members=1, d_model=8)
    (told,) = [f["text"] for f in result.findings if f["id"] == "even-by-construction"]
    assert told.startswith(f'"{names[0]}", "{names[1]}": the shares in the row of "text" are fixed')
