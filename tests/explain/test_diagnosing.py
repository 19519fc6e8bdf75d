"""Fitted models on samples: what the data and the training made of attention, and what only looks like it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.explain.attention_maps import AttentionMap, attention_map
from intermodal.explain.diagnosing import diagnose, examine, never_better, spread
from intermodal.explain.findings import Finding
from intermodal.explain.observing import observe
from intermodal.explain.reading_map import attended_but_unused
from intermodal.explain.shapley_values import Shapley, shapley
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.nn.fused import Fused
from intermodal.spec import Spec

N, T, H = 41, 5, 2
QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 3, "experts": False}


class Acted(nn.Module):
    """A model of sequences that looks where it is told: name -> score of each of its tokens, per head and query."""

    def __init__(self, fusion: str, scores: Any, *, uses: Any = None, samples: Any = None, n: int = N) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.uses = {"a": 1.0, "b": 1.0, "c": 1.0} if uses is None else uses
        self.samples = Samples({m: rng.normal(size=(n, T, 2)) for m in self.uses} if samples is None else samples)
        self.network = SimpleNamespace(names=self.samples.names, spec=Spec.parse(fusion, self.samples.names))
        self.scores = scores

    def forward(self, x: dict[str, Tensor], present: dict[str, Tensor], need_weights: object = None) -> Any:
        n = len(next(iter(x.values())))
        there = {m: present.get(m, torch.ones(x[m].shape[:2], dtype=torch.bool)) for m in x}
        outputs = sum(self.uses[m] * (x[m] * there[m].unsqueeze(-1)).sum((1, 2)) for m in x)
        layer = {}
        for edge in self.network.spec.edges:
            asking, asked = ([m for m in x if m in side] for side in (edge.query_names, edge.context_names))
            queries, keys = (sum(x[m].shape[1] for m in side) for side in (asking, asked))
            scores = torch.zeros(n, H, queries, keys, dtype=torch.float64)
            at = 0
            for m in asked:
                scores[..., at : at + x[m].shape[1]] += self.scores(m, n, queries, x[m].shape[1])
                at += x[m].shape[1]
            keep = torch.cat([there[m] for m in asked], 1)[:, None, None]
            rows = torch.cat([there[m] for m in asking], 1)[:, None, :, None]
            layer[edge] = torch.where(keep, scores, -torch.inf).softmax(-1).nan_to_num() * rows
            if need_weights == "mass":
                parts = torch.split(layer[edge], [x[m].shape[1] for m in asked], 3)
                layer[edge] = torch.stack([part.sum(3) for part in parts], 3)
        tokens = {m: torch.zeros(n, x[m].shape[1], 2) for m in x}
        return SimpleNamespace(outputs=outputs, fused=Fused(torch.zeros(n, 2), tokens, [layer]))

    def prepared(self, X: Any) -> tuple[nn.Module, Feed]:
        return self, Feed(self.samples, dtype=torch.float64)

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return outputs.numpy()


def noise(n: int, queries: int, keys: int, scale: float = 1.0, seed: str = "a") -> Tensor:
    """Scores (n, H, queries, keys) that vary with everything."""
    generator = torch.Generator().manual_seed(ord(seed))
    return scale * torch.randn(n, H, queries, keys, generator=generator, dtype=torch.float64)


def usual(m: str, n: int, queries: int, keys: int) -> Tensor:
    return noise(n, queries, keys, seed=m)


def found(model: Any, **more: Any) -> dict[str, Finding]:
    return {f.id: f for f in diagnose(model, None, **more)}


# --- the rows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fusion", ["self", "a -> [b c]", "* -> [*]", "none"])
def test_a_healthy_attention_is_left_in_peace(fusion: str) -> None:
    assert found(Acted(fusion, usual)) == {}


def test_collapsed_rows_are_told_by_their_edge() -> None:
    warning = found(Acted("a -> [b c]", lambda m, *shape: noise(*shape, 5000, m)))["collapsed"]
    assert (warning.code, warning.severity) == ("D15", "warning")
    assert warning.text.startswith("a -> [b c]: ")
    assert "collapsed" not in found(Acted("a -> [b c]", lambda m, *shape: noise(*shape, 8, m)))


def test_rows_that_all_fall_on_one_key_are_still_rows_over_many() -> None:
    """Every other weight rounds to exactly 0."""
    model = Acted("a -> [b c]", lambda m, n, q, k: noise(n, q, k) + 5000.0 * (torch.arange(k) == 2) * (m == "b"))
    assert {"collapsed", "sink"} <= set(found(model))


def test_rows_that_ignore_the_query_are_told() -> None:
    assert found(Acted("self", lambda m, n, q, k: noise(n, 1, k, 2, m)))["query-blind"].code == "D13"
    assert "query-blind" not in found(Acted("self", lambda m, n, q, k: noise(n, 1, k, 2, m) + noise(n, q, k, 0.2, m)))


def test_a_sink_is_told() -> None:
    def first_of_b(m: str, n: int, queries: int, keys: int) -> Tensor:
        scores = noise(n, queries, keys, seed=m)
        scores[..., 0] += 6 * (m == "b")
        return scores

    note = found(Acted("a -> [b c]", first_of_b))["sink"]
    assert (note.code, note.severity, note.evidence["key"]) == ("D18", "note", 0)


def test_few_rows_are_not_judged() -> None:
    for n in (6, 7):  # 30 and 35 rows
        model = Acted("a -> [b c]", lambda m, *shape: noise(*shape, 5000, m), n=n)
        assert ("collapsed" in found(model)) == (n == 7)


def test_even_attention_is_told_beside_what_it_was_before_training() -> None:
    even = Acted("self", lambda m, *shape: noise(*shape, scale=0.1))
    module, feed = even.prepared(None)
    rows = np.arange(N)

    def ids(drawn: Any) -> list[str]:
        return [f.id for f in examine(module, feed, rows, drawn=drawn)]

    assert ids(lambda: Acted("self", usual)) == ["uniform"]
    assert ids(lambda: Acted("self", lambda m, *shape: noise(*shape, scale=0.01))) == []
    (note,) = examine(module, feed, rows, drawn=lambda: Acted("self", usual))
    assert (note.code, note.severity) == ("D14", "note")
    assert note.evidence["start"] < 0.95 < 0.98 < note.evidence["entropy"]


# --- modalities -------------------------------------------------------------------------------------


def passes_over(which: str, by: float = 5.0) -> Any:
    return lambda m, *shape: noise(*shape, scale=0.3) - by * (m == which)


def test_a_modality_that_nobody_looks_at_is_told_with_its_worth() -> None:
    unused = found(Acted("self", passes_over("c"), uses={"a": 1.0, "b": 1.0, "c": 1e-6}))["never-attended"]
    assert (unused.code, unused.severity) == ("D16", "warning")
    assert unused.text.startswith('"c" is hardly looked at: ') and "nor is it used" in unused.text
    assert unused.evidence["attention"] < 0.1 * unused.evidence["even"]
    used = found(Acted("self", passes_over("c")))["never-attended"]
    assert used.severity == "note" and "yet it is used" in used.text


@pytest.mark.parametrize("by", [0.0, 1.0, 2.0])
def test_a_modality_that_is_looked_at_less_is_not_told(by: float) -> None:
    assert "never-attended" not in found(Acted("self", passes_over("c", by)))


def test_one_head_that_looks_is_enough() -> None:
    def one_head(m: str, n: int, queries: int, keys: int) -> Tensor:
        scores = noise(n, queries, keys, 0.3)
        scores[:, 1] -= 5 * (m == "c")
        return scores

    assert "never-attended" not in found(Acted("self", one_head))


def test_a_modality_that_is_mostly_missing_is_not_one_that_nobody_looks_at() -> None:
    rng = np.random.default_rng(0)
    lacking: list[Any] = [None if i % 10 else rng.normal(size=(T, 2)) for i in range(10 * N)]
    samples = {"a": rng.normal(size=(10 * N, T, 2)), "b": rng.normal(size=(10 * N, T, 2)), "c": lacking}
    notes = found(Acted("self", usual, samples=samples), n=10 * N)
    assert set(notes) == {"often-missing"}
    assert notes["often-missing"].text == '"c" is missing in 90% of 410 samples'
    told = found(Acted("self", passes_over("c"), samples=samples), n=10 * N)
    assert {"never-attended", "often-missing"} <= set(told)


def test_half_of_the_samples_is_not_most_of_them() -> None:
    rng = np.random.default_rng(0)
    half: list[Any] = [None if i % 2 else rng.normal(size=(T, 2)) for i in range(40)]
    samples = {"a": rng.normal(size=(40, T, 2)), "b": rng.normal(size=(40, T, 2)), "c": half}
    assert found(Acted("self", usual, samples=samples)) == {}


def test_who_is_asked_alone_cannot_be_passed_over() -> None:
    assert set(found(Acted("cross", passes_over("c")))) == {"even-by-construction"}


def test_attention_without_worth_is_told_and_worth_that_is_known_is_not_computed_again() -> None:
    likes_c = passes_over("c", -2.0)
    uses = {"a": 1.0, "b": 1.0, "c": 1e-6}
    warning = found(Acted("self", likes_c, uses=uses))["attended-but-unused"]
    assert (warning.code, warning.severity) == ("D17", "warning")
    assert "attended-but-unused" not in found(Acted("self", likes_c))
    model = Acted("self", likes_c, uses=uses)
    worth, attended = shapley(model, None), attention_map(*model.prepared(None))
    model.to_prediction = None  # type: ignore[method-assign, assignment]
    assert found(model, shapley=worth, attention=attended)["attended-but-unused"] == warning


def test_a_modality_with_no_path_to_the_output_is_an_error() -> None:
    error = found(Acted("self", usual, uses={"a": 1.0, "b": 1.0, "c": 0.0}))["cut-off"]
    assert (error.code, error.severity) == ("D27", "error")
    assert error.text == '"c" cannot influence the output: the gradient there is exactly 0'
    assert "cut-off" not in found(Acted("self", usual, uses={"a": 1.0, "b": 1.0, "c": 1e-9}))


def test_a_modality_that_no_sample_has_is_not_cut_off() -> None:
    rng = np.random.default_rng(0)
    model, _ = fitted("self")
    assert "cut-off" not in {f.id for f in diagnose(model, {"a": rng.normal(size=(N, 3))})}
    later = {"a": rng.normal(size=(N, 3)), "b": [None, *rng.normal(size=(N - 1, T, 2))]}
    assert "cut-off" not in {f.id for f in diagnose(model, later, n=1)}


def test_copies_of_one_vector_are_the_same_key_in_every_sample_or_not_at_all() -> None:
    rng = np.random.default_rng(0)
    copies = np.repeat(rng.normal(size=(N, 1, 2)), T, axis=1)
    samples = {"a": rng.normal(size=(N, T, 2)), "b": copies, "c": rng.normal(size=(N, T, 2))}
    warning = found(Acted("a -> b", usual, samples=samples))["same-keys"]
    assert (warning.code, warning.severity) == ("D12", "warning")
    assert warning.text.startswith('"b": the tokens of each sample are copies of one vector')
    assert "same-keys" not in found(Acted("a -> c", usual, samples=samples))
    assert "same-keys" not in found(Acted("self", usual, samples=samples))  # others are keys beside them
    copies[7, 3] += 1e-3
    assert "same-keys" not in found(Acted("a -> b", usual, samples=samples))
    single = [v[:1] for v in copies]
    assert "same-keys" not in found(Acted("a -> b", usual, samples=samples | {"b": single}))


def test_copies_are_compared_where_tokens_are_there() -> None:
    rng = np.random.default_rng(0)
    ragged = [np.repeat(rng.normal(size=(1, 2)), 1 + i % T, axis=0) for i in range(N)]
    samples = {"a": rng.normal(size=(N, T, 2)), "b": ragged, "c": rng.normal(size=(N, T, 2))}
    assert "same-keys" in found(Acted("a -> b", usual, samples=samples))


# --- fitted estimators ------------------------------------------------------------------------------


def fitted(fusion: str, **options: Any) -> tuple[FusionRegressor, dict[str, Any]]:
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(N, 3)), "b": rng.normal(size=(N, T, 2))}
    return FusionRegressor(fusion, **QUICK | options).fit(X, X["a"][:, 0] + X["b"][:, 0, 0]), X


def test_one_key_in_a_fitted_model_is_told_over_all_samples_and_not_only_those_that_were_looked_at() -> None:
    model, X = fitted("a -> b")
    short = [b[:1] for b in X["b"]]
    assert [f.id for f in diagnose(model, {"a": X["a"], "b": short}) if f.code == "D11"] == ["one-key"]
    short[1] = X["b"][1]
    assert 1 not in spread(N, 5)
    assert not [f.id for f in diagnose(model, {"a": X["a"], "b": short}, n=5) if f.code == "D11"]


def test_a_network_that_never_beat_the_line_is_as_it_was_drawn() -> None:
    model, X = fitted("self")
    for line in model.history_:
        line["best"] = False
    assert [f.id for f in diagnose(model, X)] == ["untrained"]
    model.history_[0]["best"] = True
    assert "untrained" not in [f.id for f in diagnose(model, X)]
    model.history_[0] |= {"best": False, "valid_loss": None}
    assert not never_better([line | {"valid_loss": None} for line in model.history_])  # nothing was held out


def test_an_attention_that_was_drawn_is_not_judged_however_few_samples_say_so() -> None:
    module, feed = Acted("a -> [b c]", lambda m, *shape: noise(*shape, 5000, m)).prepared(None)
    for n, ids in ((N, ["untrained"]), (20, [])):
        assert [f.id for f in examine(module, feed, np.arange(n), untrained=True)] == ids
    assert [f.id for f in examine(module, feed, np.arange(20))] == ["collapsed"]


def test_the_network_before_training_is_evened_out_by_hand_and_told() -> None:
    model, X = fitted("self", max_epochs=30, patience=30)
    model.history_[0]["best"] = True
    with torch.no_grad():
        for layer in model.model_.network.layers:
            layer.attention[0].q_proj.weight.mul_(1e-3)
            layer.attention[0].q_proj.bias.mul_(1e-3)
    assert "uniform" in [f.id for f in diagnose(model, X)]


def test_a_model_that_predicts_nothing_is_told_where_the_target_is_known() -> None:
    model, X = fitted("self")
    y = np.random.default_rng(1).normal(size=N)
    warning = {f.id: f for f in diagnose(model, X, y=y)}["predicts-nothing"]
    assert warning.severity == "warning" and warning.evidence["score"] < 0
    assert "predicts-nothing" not in {f.id for f in diagnose(model, X, y=model.predict(X))}
    assert "predicts-nothing" not in {f.id for f in diagnose(model, X)}
    few = {name: values[:31] for name, values in X.items()}
    assert "predicts-nothing" not in {f.id for f in diagnose(model, few, y=y[:31])}


def test_a_classifier_is_compared_with_its_most_common_class() -> None:
    rng = np.random.default_rng(0)
    X = {"a": rng.normal(size=(N, 3))}
    y = np.where(X["a"][:, 0] > 0, "up", "down")
    model = FusionClassifier(**QUICK).fit(X, y)
    said = model.predict(X)
    other = np.where(said == "up", "down", "up")
    assert "predicts-nothing" in {f.id for f in diagnose(model, X, y=other)}
    assert "predicts-nothing" not in {f.id for f in diagnose(model, X, y=said)}
    same = {name: values[said == "up"] for name, values in X.items()}  # nothing can beat a constant here
    many = {name: np.repeat(values, 4, axis=0) for name, values in same.items()}
    assert "predicts-nothing" not in {f.id for f in diagnose(model, many, y=np.full(len(many["a"]), "up"))}


@pytest.mark.parametrize("fusion", ["self", "cross", "none", "a -> [*]"])
@pytest.mark.parametrize("missing", ["mask", "token"])
def test_a_diagnosis_changes_nothing_and_reads_the_same_twice(fusion: str, missing: str) -> None:
    model, X = fitted(fusion, missing=missing)
    before, state = model.predict(X), torch.get_rng_state()
    first = diagnose(model, X)
    assert [f.to_dict() for f in first] == [f.to_dict() for f in diagnose(model, X)]
    assert np.array_equal(model.predict(X), before) and torch.equal(torch.get_rng_state(), state)
    assert all(f.severity == "note" for f in first)


def test_the_shares_are_those_of_a_plain_loop() -> None:
    model, X = fitted("a -> [a b], b -> [a b]", n_layers=2)
    module, feed = model.prepared(X)
    rows = np.arange(7)
    seen = observe(module, feed, rows, batch_size=3)
    x, present = feed.batch(rows)
    with torch.no_grad():
        layers = module(x, present, need_weights="layers").fused.weights
    total = {edge: [] for edge in module.network.spec.edges}
    for depth, layer in enumerate(layers):
        for edge, w in layer.items():
            entropies = [
                -sum(float(p) * np.log(float(p)) for p in w[i, h, q]) / np.log(w.shape[-1])
                for i in range(w.shape[0])
                for h in range(w.shape[1])
                for q in range(w.shape[2])
            ]
            total[edge].append(np.mean(entropies))
            assert seen.rows[depth, edge].entropy == pytest.approx(np.mean(entropies), rel=1e-9)
            assert seen.rows[depth, edge].n_wide == w.shape[0] * w.shape[2]
    assert seen.present.all() and seen.present.shape == (7, 2)


@pytest.mark.parametrize("n", [1, 5, 256])
def test_any_number_of_samples_is_looked_at(n: int) -> None:
    model, X = fitted("self")
    assert isinstance(diagnose(model, X, n=n), list)


def test_no_sample_and_a_target_of_another_length_are_refused() -> None:
    model, X = fitted("self")
    with pytest.raises(InputError):
        diagnose(model, Samples(X)[:0])
    with pytest.raises(InputError) as error:
        diagnose(model, X, y=np.zeros(N - 1))
    assert str(error.value) == "y holds one target for each sample, however: len(y)=40, and X holds 41"


def test_a_target_with_gaps_is_not_judged() -> None:
    model, X = fitted("self")
    y = np.random.default_rng(1).normal(size=N)
    y[3] = np.nan
    assert "predicts-nothing" not in {f.id for f in diagnose(model, X, y=y)}


def test_rows_are_spread_evenly() -> None:
    assert spread(100, 5).tolist() == [0, 25, 50, 74, 99]
    assert spread(1, 5).tolist() == [0]


def test_of_long_sequences_fewer_samples_are_looked_at_and_of_too_long_ones_none() -> None:
    model, X = fitted("self", n_tokens={"a": 2})
    module, feed = model.prepared(X)
    each = 2 * 2 * (2 + T) ** 2  # heads, members, tokens of both modalities

    def looked_at(most: int) -> int:
        sizes: list[int] = []
        hook = module.network.register_forward_hook(
            lambda m, args, kwargs, out: sizes.append(len(out.pooled)) if kwargs["need_weights"] else None,
            with_kwargs=True,
        )
        examine(module, feed, np.arange(N), untrained=True, most_weights=most)
        hook.remove()
        return sum(sizes)

    assert looked_at(10**9) == N
    assert looked_at(7 * each) == 7
    assert looked_at(7 * each - 1) == 6
    assert looked_at(each - 1) == 0


def test_the_row_of_who_cannot_choose_says_nothing_of_what_is_used() -> None:
    names, zero = ("a", "b"), np.zeros(1)
    looked = AttentionMap(names, np.array([[0.9, 0.1], [0.0, 1.0]]), np.zeros((2, 2)), np.array([5, 5]), None)
    worth = Shapley(names, np.array([[1.0, 0.0]]), zero + 1, zero, np.zeros((1, 2, 2)), 4)
    (found,) = attended_but_unused(looked, worth, Spec.parse("a -> [a b], b -> b", names))
    assert found.evidence == {"attention": pytest.approx(0.1), "worth": 0.0}
