"""The benchmarks of accuracy and of hindsight: what they count, what they keep, what they say of what is missing."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from intermodal import compare
from intermodal.data.samples import Samples
from intermodal.learn.estimators import FusionClassifier
from intermodal.learn.scoring import Predictions, find
from intermodal.learn.splitting import Fold, folds
from intermodal.learn.stats import Interval
from intermodal.learn.trials import Trial

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # as `python benchmarks/accuracy.py` has it
import accuracy  # noqa: E402
import accuracy_kept  # noqa: E402
import accuracy_line  # noqa: E402
import accuracy_page  # noqa: E402
import accuracy_summary  # noqa: E402
import datasets  # noqa: E402
import hindsight  # noqa: E402

sys.path.remove(str(BENCHMARKS))

ACCURACY = find("accuracy", "classification")
RNG = np.random.default_rng(11)
Y = np.arange(53) % 2
X = Samples({"a": Y[:, None] + RNG.normal(size=(53, 3)), "b": RNG.normal(size=(53, 2))})
DATA = datasets.DataSet("rosmap", X, Y, "classification", folds(Y, n_splits=5), "5-fold")


def _kept(model: str, *values: float, seconds: float = 1.0) -> accuracy_kept.Kept:
    return accuracy_kept.Kept(model, [Trial(None, {"accuracy": v}, seconds) for v in values])


def _of(*kept: accuracy_kept.Kept) -> dict:
    return {k.model: k for k in kept}


def _line(name: str, file: str, gap: float | None, ours: float = 0.8, published: float = math.nan, **more):
    difference = None if gap is None else Interval(gap, gap - 0.01, gap + 0.01)
    return accuracy_line.Line(name, file, 2000, ACCURACY, ours=ours, published=published, difference=difference, **more)


# --- a line of the summary ------------------------------------------------------------------------


def test_the_best_plain_model_is_no_constant_no_fusion_and_complete() -> None:
    results = _of(_kept("majority", 0.9), _kept("svm", 0.7), _kept("late", 0.6), _kept("none", 0.8))
    results |= _of(_kept("forest", 0.99, math.nan))
    assert accuracy_line.best_plain(results, ACCURACY).model == "svm"
    assert accuracy_line.best_plain(_of(_kept("majority", 0.9)), ACCURACY) is None


def test_a_line_sets_ours_against_the_best_plain_model_and_against_one_modality() -> None:
    single, late, ours = (0.5, 0.6, 0.5, 0.7, 0.6), (0.7, 0.7, 0.8, 0.7, 0.7), (0.72, 0.76, 0.77, 0.71, 0.74)
    results = _of(_kept("best single", *single), _kept("late", *late), _kept("boosting", *single, seconds=4.0))
    line = accuracy_line.line_of(DATA, results | _of(_kept("self", *ours, seconds=6.0)), "self")
    assert (line.plain_name, line.seconds) == ("late", (6.0, 4.0))
    assert line.difference.mean == pytest.approx(0.02) and line.beats_plain
    gaps = np.subtract(ours, single)
    n_test = np.mean([len(f.test) for f in DATA.folds])
    error = math.sqrt(gaps.var(ddof=1) * (1 / 5 + n_test / (53 - n_test)))  # Nadeau & Bengio, by hand
    assert line.errors == pytest.approx(gaps.mean() / error)
    assert line.published == 0.842 and line.beats_published is False


def test_on_one_split_the_standard_error_is_that_of_drawn_rows() -> None:
    y = np.ones(400, dtype=int)
    right = np.arange(400) % 4 > 0  # right where the other is wrong by a quarter: p = .25 of the rows differ
    a = Trial(Predictions(y, y), {"accuracy": 1.0})
    b = Trial(Predictions(y, right.astype(int)), {"accuracy": 0.75})
    fold = Fold(np.arange(400, 800), np.arange(400))
    error = accuracy_line.standard_error([a], [b], [fold], ACCURACY, None)
    assert error == pytest.approx(math.sqrt(0.25 * 0.75 / 400), rel=0.1)


def test_equal_predictions_are_no_errors_apart_and_beat_nothing() -> None:
    same = (0.7, 0.8, 0.7, 0.8, 0.7)
    line = accuracy_line.line_of(DATA, _of(_kept("best single", *same), _kept("self", *same)), "self")
    assert line.errors == 0.0 and line.beats_plain is False


def test_ours_that_failed_on_a_split_is_not_measured() -> None:
    results = _of(_kept("late", 0.5, 0.5, 0.5, 0.5, 0.5), _kept("self", 0.9, 0.9, 0.9, 0.9, math.nan))
    line = accuracy_line.line_of(DATA, results, "self")
    assert math.isnan(line.ours) and line.beats_plain is None and line.beats_published is None


# --- the summary ----------------------------------------------------------------------------------


def test_a_file_with_two_rows_is_won_only_when_both_are() -> None:
    lines = [_line("one", "one", 0.02), _line("c-1", "c", 0.02), _line("c-2", "c", -0.02), _line("d", "d", 0.005)]
    assert accuracy_summary.counts(lines)[0] == (
        "Ours is above all plain models on 2 of 3 sets (one, d); with an interval that excludes 0 on 1 (one)."
    )


def test_where_nothing_is_published_the_plain_models_alone_decide() -> None:
    lines = [
        _line("a", "a", 0.1, 0.8, 0.9),
        _line("b", "b", 0.1),
        _line("c", "c", -0.1, 0.8, 0.7),
        _line("d", "d", None),
    ]
    said = accuracy_summary.counts(lines)
    assert said[1] == "It is above the published figure on 1 of the 2 sets that have one (c)."
    assert said[2].endswith("on 1 of 4 (b).")


def test_falling_below_one_modality_calibration_and_seconds_are_counted() -> None:
    lines = [
        _line("a", "a", 0.1, errors=-1.5, calibration=(0.04, 0.2), seconds=(6.0, 2.0)),
        _line("b", "b", 0.1, errors=-0.9, calibration=(0.06, 0.2), seconds=(6.0, 1.0)),
        _line("c", "c", 0.1, ours=math.nan),
    ]
    assert accuracy_summary.counts(lines)[3:] == [
        "It is more than one standard error below the best single modality on 1 of 2 rows (a (-1.5)).",
        "Its calibration error is below .05 on 1 of 2 rows with 1000 samples or more (a).",
        "One fit on each of 2 rows takes 12 / 3 seconds: 4.0 x.",
        "Not measured yet, and counted as not beaten: c.",
    ]


def test_sets_measured_elsewhere_come_from_what_is_stored(tmp_path: Path) -> None:
    assert math.isnan(accuracy_line.elsewhere("wikipedia", tmp_path).ours)
    rows = {"random": {"mean": 0.9}, "CCA of 9": {"mean": 0.2}, "semantic matching": {"mean": 0.25}}
    kept = {"wikipedia": {"rows": rows | {"ours": {"mean": 0.27}}}}
    (tmp_path / "retrieval.json").write_text(json.dumps(kept))
    figure = {"R1@0.5": [0.3, 0.2, 0.4]}
    charades = {"tf-idf ridge": figure, "ours": {"R1@0.5": [0.45, 0.4, 0.5]}, "chance": {"R1@0.5": [0.9, 0.8, 1.0]}}
    charades["differences"] = {"tf-idf ridge": {"R1@0.5": [0.15, 0.1, 0.2]}}
    (tmp_path / "charades.json").write_text(json.dumps(charades))
    (tmp_path / "charades.txt").write_text("at commit abc1234\n\na table\n")
    first, second = (accuracy_line.elsewhere(name, tmp_path) for name in accuracy_line.ELSEWHERE)
    assert (first.plain_name, first.beats_plain, first.beats_published) == ("semantic matching", True, True)
    assert (second.plain_name, second.commit, second.beats_published) == ("tf-idf ridge", "abc1234", False)
    assert "+15.0 points [+10.0, +20.0]" in accuracy_summary.summary([first, second])


# --- what is kept ---------------------------------------------------------------------------------


def test_what_is_measured_is_what_is_read_again_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = {"commit": "abc1234", "versions": {}, "cores": 1}
    for model in ("majority", "best single", "concatenation", "svm"):
        accuracy.measure(DATA, model, accuracy_kept.path_of(tmp_path, DATA.name, model), about)
    found = accuracy_kept.stored(DATA, tmp_path)
    assert list(found) == ["majority", "best single", "concatenation", "svm"]
    kept, fold = found["concatenation"], DATA.folds[2]
    again = ACCURACY(kept.trials[2].predictions)
    assert again == pytest.approx(np.mean(kept.trials[2].predictions.predicted == Y[fold.test]))
    assert kept.trials[2].scores["accuracy"] == pytest.approx(again, abs=1e-6)
    assert kept.commit == "abc1234" and math.isfinite(kept.mean("calibration error"))
    assert math.isnan(found["svm"].mean("log loss"))
    monkeypatch.setattr(datasets, "load", lambda name: DATA)
    text = accuracy_page.page(["rosmap"], tmp_path)
    assert "Measured at commit abc1234." in text and "Not measured yet, and counted as not beaten: rosmap." in text


def test_an_older_result_without_commit_and_calibration_shows_a_dash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = accuracy_kept.path_of(tmp_path, DATA.name, "late")
    accuracy.measure(DATA, "late", path, {"commit": "abc1234"})
    record = json.loads(path.read_text())
    del record["commit"]
    for trial in record["trials"]:
        del trial["scores"]["calibration error"]
    path.write_text(json.dumps(record))
    monkeypatch.setattr(datasets, "load", lambda name: DATA)
    text = accuracy_page.page(["rosmap"], tmp_path)
    row = next(line for line in text.splitlines() if line.startswith("| late |"))
    assert "The commit was not kept." in text and row.split(" | ")[6] == "-"


def test_the_default_is_stored_by_the_name_of_its_fusion_and_measured_once() -> None:
    own = accuracy_page.default_fusion()
    assert accuracy._models(["default", "fusions"]) == [own, *[f for f in accuracy_kept.FUSIONS if f != own]]
    assert accuracy._make(DATA, own)().get_params() == FusionClassifier().get_params()
    holes = Samples({"a": np.where(np.eye(53, 3) > 0, np.nan, 1.0)}, nan="impute")
    needed = datasets.DataSet("x", holes, Y, "classification", DATA.folds, "5-fold")
    assert accuracy._make(needed, "cross")().get_params() == FusionClassifier("cross", nan="impute").get_params()


# --- the dialogue ---------------------------------------------------------------------------------


def test_the_dialogue_is_the_neighbours_by_position_and_the_mean_of_the_video() -> None:
    a = {view: RNG.normal(size=(7, 3)).astype(np.float32) for view in ("text", "audio", "video")}
    a |= {"video_id": np.array(list("vwvwvvw")), "position": np.array([3, 10, 1, 2, 7, 5, 11])}
    a |= {"y": np.array([0, 1, 0, 1, 0, 1, 0]), "split": np.array(["train", "test"] * 3 + ["test"])}
    found = datasets._mosi_dialogue("mosi-dialogue", a).samples
    order = {"v": [2, 0, 5, 4], "w": [3, 1, 6]}
    before, after = found.modality("text_before"), found.modality("text_after")
    for rows in order.values():
        for i, row in enumerate(rows):
            assert bool(before.present[row]) == (i > 0) and bool(after.present[row]) == (i < len(rows) - 1)
            if i:
                np.testing.assert_array_equal(before.values[row], a["text"][rows[i - 1]])
                np.testing.assert_array_equal(after.values[rows[i - 1]], a["text"][row])
            for view in ("text", "audio", "video"):
                np.testing.assert_allclose(found.modality(f"{view}_mean").values[row], a[view][rows].mean(0), rtol=1e-6)


# --- hindsight ------------------------------------------------------------------------------------


def test_what_is_said_by_the_training_rows_is_what_compare_says_of_them_alone() -> None:
    split = np.where(np.arange(53) < 37, "train", "test")
    options = {"fusions": ("none", "self"), "max_epochs": 2, "n_members": 2}
    by_train = hindsight.inside(compare(X, Y, split=split, **options))
    alone = compare(X[np.arange(37)], Y[:37], protocol="cv", **options)
    assert by_train.verdict == alone.verdict and by_train.best == alone.best
    assert list(by_train.differences) == list(alone.differences)


def test_hindsight_looks_at_the_test_rows() -> None:
    result = compare(X, Y, split=np.where(np.arange(53) < 37, "train", "test"), fusions=())
    seen = hindsight.look_back(result)
    on_test = {row["name"]: row["mean"] for row in result.table}
    assert on_test[seen["best"]] == max(on_test.values())
    assert seen["below_best"]["gap"] == pytest.approx(max(on_test.values()) - on_test[result.best], abs=1e-6)
    assert {row["name"]: row["test"] for row in seen["rows"]} == pytest.approx(on_test, abs=1e-6)


def test_compare_is_asked_as_a_user_asks_it_with_the_split_of_the_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict = {}
    monkeypatch.setattr(hindsight, "compare", lambda *args, **options: asked.update(options))
    hindsight.compare_on(DATA, DATA.folds[3], ())
    assert np.flatnonzero(asked.pop("split") == "test").tolist() == DATA.folds[3].test.tolist()
    assert set(asked) == {"task", "progress"} and asked["task"] == "classification"


@pytest.mark.parametrize(
    ("verdict", "claim"),
    [
        ('Attention helps here: "self" is ...', hindsight.HELPS),
        ("Attention helps the network, but it is not shown to beat the best baseline: ...", hindsight.HELPS),
        ("Attention does not help here: ...", hindsight.NOT),
        ("Attention is not shown to help here: ...", hindsight.OPEN),
        ("Fusion beats the baselines here, but attention is not shown to be the reason: ...", hindsight.OPEN),
        ("Nothing can be said about attention: ...", hindsight.OPEN),
    ],
)
def test_a_claim_is_read_from_the_verdict(verdict: str, claim: str) -> None:
    assert hindsight.claim_of(verdict) == claim


UP, DOWN, FLAT = (0.1, 0.05, 0.15), (-0.1, -0.15, -0.05), (0.01, -0.1, 0.1)


@pytest.mark.parametrize(
    ("claim", "claimed", "seen", "agreed"),
    [
        (hindsight.HELPS, {"none": UP, "late": FLAT}, {"none": FLAT, "late": DOWN}, True),
        (hindsight.HELPS, {"none": UP}, {"none": DOWN}, False),
        (hindsight.HELPS, {"none": UP}, {"none": (0.0, 0.0, 0.0)}, False),
        (hindsight.NOT, {"none": FLAT, "late": DOWN}, {"none": UP, "late": DOWN}, True),
        (hindsight.NOT, {"late": DOWN}, {"late": FLAT}, False),
        (hindsight.OPEN, {"none": FLAT, "late": UP}, {"none": FLAT, "late": UP}, True),
        (hindsight.OPEN, {"none": FLAT}, {"none": UP}, False),
        (hindsight.OPEN, {}, {}, None),
    ],
)
def test_test_rows_agree_by_sign_or_show_nothing_either(claim, claimed, seen, agreed) -> None:
    assert hindsight.agrees(claim, claimed, seen) is agreed


def test_the_table_of_hindsight_counts(tmp_path: Path) -> None:
    def split(taken: str, gap: float, error: float, single: float) -> dict:
        rows = [{"name": "late", "train": 0.9, "test": 0.7}, {"name": "self", "train": 0.8, "test": 0.75}]
        about = {"claim": hindsight.OPEN, "fusion": "self", "train": {}, "test": {"late": FLAT}, "agrees": True}
        below, above = {"gap": gap, "error": error}, {"gap": single, "error": 0.02}
        seen = {"taken": taken, "best": "self", "attention": about, "rows": rows}
        return seen | {"below_best": below, "above_single": above}

    splits = [split("self", 0.0, 0.0, 0.1), split("late", 0.05, 0.06, -0.01), split("late", 0.05, 0.04, -0.03)]
    record = {"set": "rosmap", "score": "accuracy", "commit": "abc1234", "splits": splits}
    (tmp_path / "rosmap.json").write_text(json.dumps(record))
    lines = hindsight.page(["rosmap", "cub"], tmp_path).splitlines()
    assert lines[3] == (
        "| rosmap | 2 | late | 70.0 % | self 75.0 % | -5.0 (6.0) | -1.0 (2.0) | self: not shown "
        "| +1.0 [-10.0, +10.0] (late) | yes |"
    )
    assert lines[6:] == [
        "- The row to take is the best on the test rows, or equal to it, on 1 of 3 splits, and within one standard "
        "error of the best on 2.",
        "- It is more than one standard error below the best single modality on 1 of 3.",
        '- Of attention it says "not shown" on 3; the test rows agree on 3.',
        "- On average the row to take is 3.3 points (of accuracy, or of R2 times 100) below the best; the row with the "
        "best score inside the training rows would be 5.0 below.",
        "- Measured at commit abc1234.",
    ]
