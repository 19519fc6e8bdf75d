"""What one call gathers: each part equals what it says alone, odd samples pass, the page is the same each time."""

import hashlib
from typing import Any

import numpy as np
import pytest

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.explain.agreeing import agreement
from intermodal.explain.attention_maps import attention_map, attention_of
from intermodal.explain.coalitions import play
from intermodal.explain.explaining import Explanation, explain
from intermodal.explain.leaving import leave_one_out
from intermodal.explain.looking import attention_shares
from intermodal.explain.randomising import model_randomisation
from intermodal.explain.shapley_values import shapley
from intermodal.explain.showing import losses_of
from intermodal.explain.shuffling import uniform_attention
from intermodal.explain.targets import known_rows
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.report.html import to_html
from intermodal.report.markdown import to_markdown
from intermodal.report.text import to_text
from intermodal.report.validating import validate

N = 31
QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 3, "experts": False}


def samples() -> tuple[dict[str, Any], np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.array(["no", "yes", "perhaps"])[np.arange(N) % 3]
    video = [rng.normal(size=(3 + i % 5, 2)) for i in range(N)]
    audio = [None if i % 4 == 1 else rng.normal(size=2) for i in range(N)]
    return {"text": rng.normal(size=(N, 3)) + (y == "yes")[:, None], "video": video, "audio": audio}, y


@pytest.fixture(scope="module")
def model() -> FusionClassifier:
    X, y = samples()
    return FusionClassifier("text -> [video audio], [*] -> [*]", **QUICK).fit(X, y)


@pytest.fixture(scope="module")
def told(model: FusionClassifier) -> Explanation:
    X, y = samples()
    return explain(model, X, y=y, seconds={"video": 0.5}, n_shown=9)


def test_every_part_is_what_the_part_says_alone(model: FusionClassifier, told: Explanation) -> None:
    X, y = samples()
    worth, game = shapley(model, X), play(model, X)
    assert np.array_equal(told.shapley.values, worth.values)
    assert np.array_equal(told.game.v, game.v) and np.array_equal(told.game.present, game.present)
    assert np.array_equal(told.attention.by_head, attention_map(model, X).by_head, equal_nan=True)
    assert told.rules is not None and told.rules.rules == ("mask", "mean")
    assert told.rules.worth[1] == pytest.approx(shapley(model, X, removal="mean").moved.mean(0))
    assert told.uniform is not None and told.uniform.text == uniform_attention(model, X, y).text
    assert told.curves is not None and set(told.curves.deletion) == {"Shapley", "leave-one-out", "attention", "random"}
    compared = agreement(attention_shares(model, X), worth.moved, names=worth.names)
    assert told.agreement.text == compared.text and compared.attention is not None
    assert told.agreement.attention == pytest.approx(compared.attention)
    assert told.spec == model.spec_.describe()


def test_the_report_shows_these_numbers(model: FusionClassifier, told: Explanation) -> None:
    X, _ = samples()
    report = told.to_report()
    validate(report)
    blocks = {block["title"]: block for block in report["blocks"]}
    moved = blocks["What moved the prediction"]
    for sample, row in zip(moved["samples"], told.shown.rows, strict=True):
        assert np.array_equal(sample["values"], told.shapley.values[row])
        assert np.array_equal(sample["full"], told.shapley.full[row])
        assert sample["missing"] == [False, False, row % 4 == 1]
    assert moved["outputs"] == ["no", "perhaps", "yes"]
    beside = {line["label"]: line["values"] for line in moved["beside"]}
    assert beside["Shapley, mean absolute"] == pytest.approx(told.shapley.moved.mean(0))
    alone = np.abs(leave_one_out(model, X).values).sum(2).mean(0) / 2
    assert beside["leave one out"] == pytest.approx(alone)
    seen = blocks["Who attended to whom"]
    masses = np.array([sample["mass"] for sample in seen["samples"]], dtype=float)
    assert np.array_equal(masses, attention_of(model, X, told.shown.rows), equal_nan=True)
    assert [s["why"] for s in seen["samples"]] == list(told.shown.why)
    assert seen["heads"] == ["member 1, head 1", "member 1, head 2", "member 2, head 1", "member 2, head 2"]
    gone = blocks["What was missing"]
    assert gone["missing"] == [0, 0, sum(i % 4 == 1 for i in range(N))] and gone["n"] == N
    assert gone["rows"] == [str(row) for row in told.shown.rows]


def test_interactions_are_those_of_the_predicted_class(told: Explanation) -> None:
    expected = np.zeros((3, 3))
    for i in range(N):
        expected += told.interactions[i, :, :, told.shapley.full[i].argmax()] / N
    assert np.array(told.to_dict()["interactions"]) == pytest.approx(expected)
    blocks = {block["title"]: block for block in told.to_report()["blocks"]}
    assert np.array(blocks["What moved the prediction"]["interactions"]) == pytest.approx(expected)


def test_time_is_in_the_seconds_that_were_given(told: Explanation) -> None:
    (line,) = [block for block in told.to_report()["blocks"] if block["kind"] == "timeline"][:1]
    assert line["unit"] == "s" and line["context"] == "video" and line["query"] == "text"
    row = int(line["items"][0]["id"])
    assert line["items"][0]["times"] == [[k / 2, k / 2 + 0.5] for k in range(3 + row % 5)]
    assert "mean over 4 heads (2 members) of layer 1" in line["how"]


def test_a_query_of_the_model_is_worked_out(told: Explanation) -> None:
    assert told.shown.worked is not None and told.shown.worked.difference < 1e-12
    assert told.shown.worked_id in told.shown.ids
    (block,) = [block for block in told.to_report()["blocks"] if block["kind"] == "trace"]
    assert block["names"] == list(told.shown.worked.trace.key_names) and block["scaled"]


def test_every_warning_stands_once_with_a_link(told: Explanation) -> None:
    page = to_html(told.to_report())
    for warning in told.warnings:
        assert page.count(f'<code class="id">{warning["id"]}</code>') == 1
    blocks = told.to_report()["blocks"]
    titles = {block["title"] for block in blocks}
    assert blocks[0]["title"] == "What to know first" and all(item["see"] in titles for item in blocks[0]["items"])


def test_the_same_explanation_is_the_same_bytes_and_below_a_megabyte(
    model: FusionClassifier, told: Explanation
) -> None:
    X, y = samples()
    again = explain(model, X, y=y, seconds={"video": 0.5}, n_shown=9)
    pages = [to_html(one.to_report()).encode() for one in (told, again)]
    assert hashlib.sha256(pages[0]).digest() == hashlib.sha256(pages[1]).digest()
    assert len(pages[0]) < 1_000_000


def test_a_notebook_and_a_terminal_show_the_same_object(told: Explanation) -> None:
    shown = told._repr_html_()
    assert shown.startswith("<iframe") and 'sandbox="allow-scripts' in shown and "srcdoc=" in shown
    brief = told.to_report(brief=True)
    assert told._repr_markdown_() == to_markdown(brief)
    text = to_text(brief, width=80)
    assert max(map(len, text.splitlines())) <= 80 and "\x1b" not in text


def test_progress_is_told_step_by_step(model: FusionClassifier) -> None:
    X, _ = samples()
    steps: list[tuple[int, int, str]] = []
    explain(model, X, progress=lambda *step: steps.append(step), n_shown=2)
    assert [done for done, _, _ in steps] == list(range(6)) and {total for _, total, _ in steps} == {6}


def test_the_fingerprint_is_that_of_the_weights(model: FusionClassifier, told: Explanation) -> None:
    X, y = samples()
    other = FusionClassifier("text -> [video audio], [*] -> [*]", **QUICK, seed=1).fit(X, y)
    assert explain(other, X, n_shown=2).provenance["fingerprint"] != told.provenance["fingerprint"]
    assert explain(model, X, n_shown=2).provenance["fingerprint"] == told.provenance["fingerprint"]


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(0, 2)])
def test_one_sample_is_explained(model: FusionClassifier, rows: slice) -> None:
    X, y = samples()
    one = explain(model, Samples(X)[rows], y=y[rows])
    validate(one.to_report())
    to_html(one.to_report())
    assert one.n_samples == rows.stop - rows.start and one.shown.left_out is None


def test_one_modality_is_explained() -> None:
    X, _ = samples()
    model = FusionRegressor("self", **QUICK).fit({"text": X["text"]}, X["text"][:, 0])
    alone = explain(model, {"text": X["text"]})
    validate(alone.to_report())
    assert alone.curves is None and alone.shapley.values.shape == (N, 1)
    assert alone.agreement.agrees is None and alone.agreement.spearman is None


def test_samples_that_lack_everything_are_explained(model: FusionClassifier) -> None:
    X, _ = samples()
    nothing = Samples({"text": [None, X["text"][1]], "audio": [None, X["audio"][0]]})
    said = explain(model, nothing)
    validate(said.to_report())
    assert (said.shapley.values[0] == 0).all() and said.shapley.completeness < 1e-9


@pytest.mark.parametrize("removal", ["mean", "permute"])
@pytest.mark.parametrize("of", ["logit", "loss"])
def test_other_rules_and_outcomes_are_reported(model: FusionClassifier, removal: str, of: str) -> None:
    X, y = samples()
    said = explain(model, X, y=y, removal=removal, of=of, n_shown=3)
    report = said.to_report()
    validate(report)
    facts = dict(next(block for block in report["blocks"] if block["kind"] == "facts")["items"])
    assert facts["A modality is taken away"].startswith(removal) and said.provenance["of"] == of
    assert (said.rules is None) == (removal == "mean")


def test_regression_of_several_numbers_is_explained() -> None:
    X, _ = samples()
    model = FusionRegressor("text <-> video", **QUICK).fit(X, X["text"][:, :2])
    said = explain(model, X, y=X["text"][:, :2])
    validate(said.to_report())
    assert said.curves is not None and said.curves.measure == "nearness"


def test_seconds_of_nothing_and_no_sample_to_show_are_refused(model: FusionClassifier) -> None:
    X, _ = samples()
    with pytest.raises(InputError) as error:
        explain(model, X, seconds={"vidoe": 2.0})
    assert (
        str(error.value) == 'seconds are given for a sequence of the samples, however: "vidoe"; did you mean "video"?'
    )
    with pytest.raises(InputError) as error:
        explain(model, X, n_shown=0)
    assert str(error.value) == "n_shown is a number of samples, 1 or more, however: n_shown=0"


def test_which_targets_are_known(model: FusionClassifier) -> None:
    y, rows = known_rows(model, None, np.array(["no", None, "yes", np.nan], dtype=object), 4)
    assert rows.tolist() == [0, 2] and y is not None
    regressor = FusionRegressor()
    assert known_rows(regressor, None, np.array([[1.0, np.nan], [1.0, 2.0]]), 2)[1].tolist() == [1]
    assert known_rows(regressor, Samples({"a": [[1.0]]}, y=[3]), None, 1)[1].tolist() == [0]
    assert known_rows(regressor, None, None, 3)[0] is None
    with pytest.raises(InputError) as error:
        known_rows(model, None, ["no", "maybe"], 2)
    assert str(error.value) == "y holds classes that the model was fitted on, however: maybe"


def test_samples_without_a_target_count_neither_as_right_nor_as_wrong(model: FusionClassifier) -> None:
    X, y = samples()
    partly = np.where(np.arange(N) % 4 == 0, None, y.astype(object))
    known = np.flatnonzero(np.arange(N) % 4)
    said = explain(model, Samples(X, y=partly), n_shown=2)
    assert said.uniform is not None
    assert said.uniform.score == pytest.approx((model.predict(X) == y)[known].mean())
    assert said.provenance["n_known"] == len(known) == 23
    facts = dict(next(b for b in said.to_report()["blocks"] if b["kind"] == "facts")["items"])
    assert facts["Samples"] == "31; 23 of them with a target"
    with pytest.raises(InputError) as error:
        explain(model, Samples(X, y=partly), of="loss")
    assert str(error.value) == 'of="loss" needs the target of every sample, however: 8 have none'


def test_many_samples_are_explained_and_a_part_of_them_disturbed(
    model: FusionClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = samples()
    monkeypatch.setattr("intermodal.explain.explaining.FAITHFUL", 7)
    said = explain(model, X, y=y, n_shown=2)
    assert said.permuted is not None and len(said.permuted.moved) == 7 and len(said.shapley.values) == N
    facts = dict(next(b for b in said.to_report()["blocks"] if b["kind"] == "facts")["items"])
    assert facts["Samples"] == "31; 7 of them for what even and dealt weights would change"


def test_losses_are_those_of_the_model(model: FusionClassifier, told: Explanation) -> None:
    X, y = samples()
    said = model.predict_proba(X)[np.arange(N), np.searchsorted(model.classes_, y)]
    assert losses_of(told.shapley, y, model.classes_) == pytest.approx(-np.log(said))
    assert losses_of(told.shapley, np.array(["other"] * N), model.classes_) is None
    worst = int(np.argmin(said))
    assert "highest loss" in told.shown.why[told.shown.rows.index(worst)]


def test_where_nothing_is_missing_one_sentence_says_so(model: FusionClassifier) -> None:
    X, _ = samples()
    whole = {name: [values[i] for i in range(N) if i % 4 != 1] for name, values in X.items()}
    block = explain(model, whole, n_shown=2).to_report()["blocks"][-1]
    assert block["title"] == "What was missing" and block["kind"] == "text"
    assert block["text"] == f"Nothing: all {len(whole['text'])} samples have every modality."


def test_a_sequence_of_one_place_has_no_timeline(model: FusionClassifier) -> None:
    X, _ = samples()
    still = {**X, "video": [frames[:1] if i else frames for i, frames in enumerate(X["video"])]}
    blocks = explain(model, still, n_shown=2 * N).to_report()["blocks"]
    (line,) = [b for b in blocks if b["kind"] == "timeline" and b["query"] == "text"]
    assert [item["id"] for item in line["items"]] == ["0"]


@pytest.mark.parametrize("rows", [1, 5])
def test_numbers_that_are_all_the_same_have_no_score_and_are_explained(rows: int) -> None:
    X, _ = samples()
    X = {name: values[:20] for name, values in X.items()}
    model = FusionRegressor("self", **QUICK).fit(X, X["text"][:, 0])
    said = explain(model, Samples(X)[:rows], y=np.ones(rows))
    assert said.uniform is not None and said.uniform.score is None
    validate(said.to_report())


def test_random_models_are_explained_on_request(model: FusionClassifier, told: Explanation) -> None:
    X, _ = samples()
    said = explain(model, X, n_shown=2, randomise=2)
    alone = model_randomisation(model, X, draws=2)
    assert told.randomised is None and said.randomised is not None and said.randomised.draws == 2
    assert said.randomised.shapley == pytest.approx(alone.shapley)
    (block,) = [b for b in said.to_report()["blocks"] if b["title"] == "Does the explanation change with the model?"]
    assert [row[0] for row in block["rows"]] == list(alone.stages)
    assert [row[1] for row in block["rows"]] == pytest.approx(alone.shapley)
    assert [row[3] for row in block["rows"]] == pytest.approx(alone.attention)
    validate(said.to_report())
    assert not any("change with the model" in b.get("title", "") for b in told.to_report()["blocks"])
