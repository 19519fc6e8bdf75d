"""One call explains: what it warns of, what it notes, and a report that can be drawn."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.explain.explaining import Explanation, explain
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.nn.fused import Fused
from intermodal.report.html import to_html
from intermodal.report.validating import validate
from intermodal.spec import Spec

N = 13
QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 2, "experts": False}


class Scripted(nn.Module):
    """A model of vectors that says where it looks (name -> weight, shared within an edge) and what it uses."""

    def __init__(self, fusion: str, looks: dict[str, float], uses: dict[str, float], lacks: str = "") -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.samples = Samples(
            {n: [None if n == lacks and i % 2 else rng.normal(size=1) for i in range(N)] for n in uses}
        )
        self.network = SimpleNamespace(names=self.samples.names, spec=Spec.parse(fusion, uses))
        self.looks, self.uses = looks, uses

    def forward(self, x: dict[str, Tensor], present: dict[str, Tensor], need_weights: object = None) -> Any:
        n = len(next(iter(x.values())))
        there = {m: present.get(m, torch.ones(n, dtype=torch.bool)) for m in x}
        outputs = sum(self.uses[m] * there[m] * x[m][:, 0] for m in x)
        layer = {}
        for edge in self.network.spec.edges:
            asking, asked = ([m for m in x if m in side] for side in (edge.query_names, edge.context_names))
            keys = torch.stack([self.looks[m] * there[m] for m in asked], 1)
            row = keys / keys.sum(1, keepdim=True).clamp(min=1e-9)
            rows = torch.stack([row * there[m][:, None] for m in asking], 1)
            layer[edge] = rows[:, None]
        tokens = {m: torch.zeros(n, 1, 2) for m in x}
        return SimpleNamespace(outputs=outputs, fused=Fused(torch.zeros(n, 2), tokens, [layer]))

    def prepared(self, X: Any) -> tuple[nn.Module, Feed]:
        return self, Feed(self.samples, dtype=torch.float64)

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return outputs.numpy()


TOLD = ("attended-but-unused", "even-by-construction")


def found(fusion: str, looks: dict[str, float], uses: dict[str, float]) -> dict[str, dict[str, str]]:
    """The two findings that are tested here; others are the script's own, whose keys are all the same."""
    return {w["id"]: w for w in explain(Scripted(fusion, looks, uses), None).warnings if w["id"] in TOLD}


EVEN = {"a": 1.0, "b": 1.0, "c": 1.0}
USED = {"a": 1.0, "b": 1.0, "c": 1.0}
C_IS_NOISE = {"a": 1.0, "b": 1.0, "c": 0.0}


# --- attended but unused --------------------------------------------------------------------------


def test_a_modality_that_is_looked_at_and_not_used_is_told() -> None:
    warning = found("self", {"a": 2.0, "b": 2.0, "c": 6.0}, C_IS_NOISE)["attended-but-unused"]
    assert warning["severity"] == "warning"
    assert warning["text"] == 'attention and worth disagree: "c" got 60% of the attention and 0% of the worth'
    assert warning["remedy"] == "trust the worth: attention is where the model looked, not what it used"


@pytest.mark.parametrize(
    ("looks", "uses"),
    [
        ({"a": 2.0, "b": 2.0, "c": 6.0}, USED),  # looked at and used
        ({"a": 5.0, "b": 5.0, "c": 0.4}, C_IS_NOISE),  # not used and hardly looked at
        (EVEN, {"a": 1.0, "b": 1.0, "c": 0.5}),  # looked at more than used, but not by a factor of three
    ],
)
def test_a_modality_whose_attention_and_worth_agree_is_not_told(looks: dict, uses: dict) -> None:
    assert found("self", looks, uses) == {}


def test_only_who_could_choose_counts_for_the_disagreement() -> None:
    # a chooses b; b and c can but ask one another, so that c is looked at by construction alone.
    warnings = found("a -> [b c], b <-> c", {"a": 1.0, "b": 1.0, "c": 0.01}, C_IS_NOISE)
    assert set(warnings) == {"even-by-construction"}
    warnings = found("a -> [b c], b <-> c", {"a": 1.0, "b": 1.0, "c": 1.0}, C_IS_NOISE)
    assert 'c" got 50% of the attention' in warnings["attended-but-unused"]["text"]


def test_who_asks_nobody_hides_no_disagreement() -> None:
    assert 'c" got 50% of the attention' in found("a -> [b c]", EVEN, C_IS_NOISE)["attended-but-unused"]["text"]


# --- even by construction -------------------------------------------------------------------------


def test_shares_that_the_spec_alone_decides_are_noted_and_told_of_nothing_else() -> None:
    warnings = found("cross", EVEN, C_IS_NOISE)
    assert set(warnings) == {"even-by-construction"}
    note = warnings["even-by-construction"]
    assert note["severity"] == "note"
    assert note["text"] == (
        'the shares in the row of "a", "b", "c" are fixed by the fusion: every edge from there asks a single '
        "modality, so attention chooses among its tokens and not between modalities"
    )
    assert note["remedy"] == (
        'fusion "self", or a side that joins modalities such as "text -> [*]", lets the attention choose '
        "between modalities"
    )


@pytest.mark.parametrize(
    ("fusion", "who"),
    [
        ("cross", '"a", "b", "c"'),
        ("a <-> b", '"a", "b"'),
        ("a -> b", '"a"'),
        ("a -> a, a -> c", '"a"'),
        ("[a b] -> c", '"a", "b"'),
        ("a -> [b c], b <-> c", '"b", "c"'),
    ],
)
def test_the_note_names_who_could_not_choose(fusion: str, who: str) -> None:
    text = found(fusion, EVEN, USED)["even-by-construction"]["text"]
    assert text.startswith(f"the shares in the row of {who} are fixed")


@pytest.mark.parametrize("fusion", ["self", "a -> [b c]", "* -> [*]", "a -> b, a -> [b c]", "[a b] -> [a b]", "none"])
def test_who_can_choose_is_not_noted(fusion: str) -> None:
    assert found(fusion, EVEN, USED) == {}


def test_a_single_modality_is_not_noted() -> None:
    assert found("self", {"a": 1.0}, {"a": 1.0}) == {}
    assert found("a -> a", {"a": 1.0}, {"a": 1.0}) == {}


@pytest.mark.parametrize(("fusion", "ids"), [("cross", ["even-by-construction"]), ("self", [])])
def test_a_fitted_model_is_noted_by_its_spec(fusion: str, ids: list[str]) -> None:
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(30, 3)), "b": rng.normal(size=(30, 4, 2))}
    model = FusionRegressor(fusion, **QUICK).fit(X, X["a"][:, 0] + X["b"][:, 0, 0])
    assert [w["id"] for w in explain(model, X).warnings if w["id"] in TOLD] == ids


# --- the whole ------------------------------------------------------------------------------------


def classifier(fusion: str, name: str = "text") -> tuple[FusionClassifier, dict[str, Any]]:
    rng = np.random.default_rng(0)
    audio = [None if i % 4 == 1 else rng.normal(size=2) for i in range(30)]
    X = {name: rng.normal(size=(30, 3)), "video": rng.normal(size=(30, 4, 2)), "audio": audio}
    return FusionClassifier(fusion, **QUICK).fit(X, np.arange(30) % 3), X


def checked(explanation: Explanation) -> dict[str, Any]:
    report = explanation.to_report()
    validate(report)
    json.dumps(report, allow_nan=False)
    assert "<svg" in to_html(report) or "<table" in to_html(report)
    return report


@pytest.mark.parametrize("fusion", ["self", "cross", "none", "text -> video"])
def test_the_report_can_be_drawn_and_shows_the_numbers(fusion: str) -> None:
    model, X = classifier(fusion)
    explanation = explain(model, X)
    report = checked(explanation)
    blocks = {b["title"]: b for b in report["blocks"]}
    facts = dict(blocks["What was explained"]["items"])
    assert facts["Samples"] == "30" and facts["Subsets evaluated"] == "8"
    assert facts["Fusion"] == explanation.spec == report["subtitle"] == Spec.parse(fusion, X).describe()
    bars = blocks["What each modality was worth"]["items"]
    assert [b["label"] for b in bars] == ["text", "video", "audio"]
    worth = np.abs(explanation.shapley.values).sum(2).mean(0) / 2
    assert [b["value"] for b in bars] == pytest.approx(worth)
    brief = {b["title"]: b for b in explanation.to_report(brief=True)["blocks"]}
    if explanation.attention.mean is None:
        for shown in (blocks, brief):
            assert shown["Who attended to whom"]["text"] == "Nobody asked anybody in these samples."
    else:
        values = np.array(brief["Who attended to whom"]["values"], dtype=float)
        assert np.array_equal(values, explanation.attention.mean, equal_nan=True)
        by_head = np.array(blocks["Who attended to whom"]["mean"], dtype=float)
        assert np.array_equal(by_head, explanation.attention.by_head, equal_nan=True)
    assert explanation.n_samples == 30
    assert explanation.interactions is explanation.shapley.interactions
    told = [item["id"] for item in blocks["What to know first"]["items"]]
    assert told[: len(explanation.warnings)] == [w["id"] for w in explanation.warnings] and "complete" in told


@pytest.mark.parametrize("fusion", ["cross", "self"])
def test_samples_in_which_nobody_can_ask_are_explained(fusion: str) -> None:
    model, X = classifier(fusion)
    alone = {
        "text": [X["text"][i] if i < 4 else None for i in range(9)],
        "video": [X["video"][i] if i >= 4 else None for i in range(9)],
    }
    explanation = explain(model, alone)
    checked(explanation)
    assert explanation.attention.count.tolist() == ([0, 0, 0] if fusion == "cross" else [4, 5, 0])
    assert explain(model, {"text": X["text"]}).shapley.values.shape == (30, 3, 3)


def test_names_that_are_code_are_shown_as_text() -> None:
    model, X = classifier("self", name="<script>alert(1)</script>")
    report = explain(model, X).to_report()
    validate(report)
    assert "<script>alert(1)" not in to_html(report)


@pytest.mark.parametrize("suffix", [".html", ".md", ".json", ".txt"])
def test_the_report_is_written_by_its_suffix(suffix: str, tmp_path: Any) -> None:
    model, X = classifier("self")
    path = explain(model, X).report(tmp_path / f"why{suffix}")
    assert path == tmp_path / f"why{suffix}"
    assert "Who asks whom, and what was it worth" in path.read_text("utf-8")


def test_only_a_model_that_keeps_the_promise_is_explained() -> None:
    with pytest.raises(InputError) as error:
        explain({}, None)
    assert str(error.value) == "a fitted FusionClassifier or FusionRegressor is explained, however: dict"


def test_no_sample_is_refused() -> None:
    model, X = classifier("self")
    with pytest.raises(InputError) as error:
        explain(model, Samples(X)[:0])
    assert str(error.value) == "there must be at least one sample, however: there is none"
