"""The game that a model plays: who is in a subset, what stands where the rest was, and which number is read."""

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from intermodal.data.samples import Samples
from intermodal.errors import DataError, InputError
from intermodal.explain import coalitions, sharing
from intermodal.explain.coalitions import Coalitions, play
from intermodal.explain.removal import RULES, taken_away
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.feed import Feed
from intermodal.nn.network import FusionNetwork

N = 23
QUICK: dict[str, Any] = {"d_model": 8, "n_heads": 2, "n_members": 2, "max_epochs": 3, "lr": 1e-2, "experts": False}


class Scripted(nn.Module):
    """A model whose prediction is a function of the values that it sees and of who is there."""

    def __init__(
        self, samples: Samples, say: Callable[..., Tensor], *, token: bool = False, scaled: bool = True
    ) -> None:
        super().__init__()
        self.network = SimpleNamespace(names=samples.names, absent=[] if token else None)
        self.samples, self.say = samples, say
        self.asked: Counter[tuple[int, ...]] = Counter()
        if scaled:
            self.preprocessor_ = None

    def forward(self, x: dict[str, Tensor], present: dict[str, Tensor]) -> Any:
        there = {n: present.get(n, torch.ones(v.shape[:-1], dtype=torch.bool)) for n, v in x.items()}
        seen = {n: v.masked_fill(~there[n].unsqueeze(-1), 0.0) for n, v in x.items()}
        self.asked.update(tuple(row) for row in torch.stack([there[n].long() for n in x], 1).tolist())
        return SimpleNamespace(outputs=self.say(seen, there))

    def prepared(self, X: Any) -> tuple[nn.Module, Feed]:
        return self, Feed(self.samples, dtype=torch.float64)

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return outputs.numpy()


def weighted(x: dict[str, Tensor], there: dict[str, Tensor]) -> Tensor:
    """Not additive, and a modality that is there counts even where its values are zero."""
    a, b, c = (x[n][:, 0] for n in ("a", "b", "c"))
    return a * b + 3 * c + b + 10 * there["a"] + 100 * there["b"] * there["c"]


def three(missing: bool = False) -> Samples:
    rng = np.random.default_rng(0)
    return Samples(
        {
            n: [None if missing and (i + j) % 4 == 3 else rng.normal(size=1) for i in range(N)]
            for j, n in enumerate("abc")
        }
    )


def values(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) values, zero where missing, and who is there."""
    parts = [samples.modality(n) for n in "abc"]
    return np.stack([p.values[:, 0] * p.present for p in parts], 1), np.stack([p.present for p in parts], 1)


def answer(x: np.ndarray, there: np.ndarray) -> np.ndarray:
    a, b, c = (x * there).T
    return a * b + 3 * c + b + 10 * there[:, 0] + 100 * there[:, 1] * there[:, 2]


# --- the rules, each as a plain loop --------------------------------------------------------------


@pytest.mark.parametrize("missing", [False, True], ids=["whole", "with gaps"])
def test_who_is_hidden_is_not_there(missing: bool) -> None:
    samples = three(missing)
    x, there = values(samples)
    game = play(Scripted(samples, weighted), None)
    for s in range(8):
        inside = np.array([s >> i & 1 for i in range(3)], dtype=bool)
        assert np.allclose(game.v[s], answer(x, there & inside), atol=1e-12)
    assert (game.present == there).all()
    assert (game.names, game.removal, game.of, game.evaluations) == (("a", "b", "c"), "mask", "prediction", 8)


@pytest.mark.parametrize("missing", [False, True], ids=["whole", "with gaps"])
def test_under_mean_a_modality_stays_and_holds_the_mean(missing: bool) -> None:
    samples = three(missing)
    x, there = values(samples)
    game = play(Scripted(samples, weighted), None, removal="mean")
    for s in range(8):
        inside = np.array([s >> i & 1 for i in range(3)], dtype=bool)
        assert np.allclose(game.v[s], answer(x * inside, there), atol=1e-12)
    assert game.removal == "mean"


@pytest.mark.parametrize("missing", [False, True], ids=["whole", "with gaps"])
def test_with_all_others_as_donors_permute_is_the_mean_over_them(missing: bool) -> None:
    samples = three(missing)
    x, there = values(samples)
    game = play(Scripted(samples, weighted), None, removal="permute", donors=N)
    assert game.evaluations == 8 * (N - 1)
    for s in range(8):
        inside = np.array([s >> i & 1 for i in range(3)], dtype=bool)
        for n in range(N):
            stays = inside | ~there[n]  # what a sample lacks is not filled in
            others = [d for d in range(N) if d != n]
            mixed = np.where(stays, x[n], x[others]), np.where(stays, there[n], there[others])
            assert game.v[s, n] == pytest.approx(answer(*mixed).mean(), abs=1e-12)


def test_donors_are_others_drawn_without_repeats_by_the_seed() -> None:
    samples = Samples({"a": np.arange(N)[:, None] * 1.0, "b": np.ones((N, 1))})
    seen: list[np.ndarray] = []

    def say(x: dict[str, Tensor], there: dict[str, Tensor]) -> Tensor:
        seen.append(x["a"][:, 0].numpy().copy())
        return x["a"][:, 0]

    play(Scripted(samples, say), None, removal="permute", donors=5, batch_size=10**6)
    drawn = np.stack([part.reshape(4, N)[0] for part in seen])  # of nothing: the donors alone
    assert drawn.shape == (5, N)
    for n in range(N):
        assert len(set(drawn[:, n])) == 5 and n not in drawn[:, n] and set(drawn[:, n]) <= set(range(N))
    game = [play(Scripted(samples, say), None, removal="permute", donors=5, seed=seed).v for seed in (0, 0, 1)]
    assert (game[0] == game[1]).all() and (game[0] != game[2]).any()


def test_what_only_the_donor_lacks_goes_with_the_donor() -> None:
    own, other = {"a": torch.tensor([[1.0], [2.0]])}, {"a": torch.tensor([[3.0], [0.0]])}
    inside = torch.tensor([[[False], [False]], [[True], [True]]])
    x, present = taken_away((own, {}), (other, {"a": torch.tensor([True, False])}), ("a",), inside, "permute")
    assert x["a"][:, 0].tolist() == [3.0, 0.0, 1.0, 2.0]
    assert present["a"].tolist() == [True, False, True, True]


def test_the_size_of_a_pass_changes_nothing_under_permute() -> None:
    one = play(Scripted(three(True), weighted), None, removal="permute", donors=3, batch_size=1)
    other = play(Scripted(three(True), weighted), None, removal="permute", donors=3, batch_size=10**6)
    assert np.allclose(one.v, other.v, atol=1e-12)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_player_that_a_sample_lacks_changes_exactly_nothing(rule: str) -> None:
    rng = np.random.default_rng(0)
    X = {
        "text": rng.normal(size=(N, 3)),
        "video": [None if i % 5 == 2 else rng.normal(size=(1 + i % 4, 2)) for i in range(N)],
        "audio": [None if i % 4 == 1 else rng.normal(size=2) for i in range(N)],
    }
    missing = "token" if rule == "learned_missing" else "mask"
    model = FusionClassifier("self", missing=missing, **QUICK).fit(X, np.digitize(X["text"][:, 0], [-0.5, 0.5]))
    for of in ("prediction", "logit", "margin"):
        game = play(model, X, removal=rule, of=of, donors=3)
        for i in range(3):
            lacks = ~game.present[:, i]
            assert lacks.any() == (i > 0)
            for s in range(8):
                assert (game.v[s, lacks] == game.v[s | 1 << i, lacks]).all()
                assert i == 0 or (game.v[s | 1 << i, ~lacks] != game.v[s & ~(1 << i), ~lacks]).any()
        assert np.allclose(game.full, play(model, X, of=of).full, atol=1e-12), "everything is the sample itself"


def test_sequences_hold_the_mean_at_every_token_and_come_from_donors_whole() -> None:
    rng = np.random.default_rng(0)
    samples = Samples({"a": [rng.normal(size=(1 + i % 5, 2)) for i in range(N)], "b": rng.normal(size=(N, 2))})

    def say(x: dict[str, Tensor], there: dict[str, Tensor]) -> Tensor:
        return x["a"].sum((1, 2)) + 10 * there["a"].sum(1) + x["b"].sum(1)

    class Summing(Scripted):
        def forward(self, x: dict[str, Tensor], present: dict[str, Tensor]) -> Any:
            there = {n: present.get(n, torch.ones(v.shape[:-1], dtype=torch.bool)) for n, v in x.items()}
            return SimpleNamespace(outputs=self.say({n: v * there[n].unsqueeze(-1) for n, v in x.items()}, there))

    lengths = np.array([1 + i % 5 for i in range(N)])
    total = np.array([samples.modality("a").values[o : o + n].sum() for o, n in zip(
        np.cumsum(lengths) - lengths, lengths, strict=True)])  # fmt: skip
    b = samples.modality("b").values.sum(1)
    mean = play(Summing(samples, say), None, removal="mean")
    assert np.allclose(mean.v[2], 10 * lengths + b) and np.allclose(mean.v[3], total + 10 * lengths + b)
    lent = play(Summing(samples, say), None, removal="permute", donors=N)
    own = total + 10 * lengths
    assert np.allclose(lent.v[2], (own.sum() - own) / (N - 1) + b)


# --- the default, and what is refused -------------------------------------------------------------


def test_by_default_a_modality_is_removed_as_the_model_treats_a_missing_one() -> None:
    assert play(Scripted(three(), weighted), None).removal == "mask"
    assert play(Scripted(three(), weighted, token=True), None).removal == "learned_missing"


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {},
        {"removal": "means"},
        'removal is one of mask, learned_missing, mean, permute, however: removal="means"; did you mean "mean"?',
    ),
    (
        {},
        {"removal": "learned_missing"},
        'removal="learned_missing" needs a network that learned a token for what is missing (missing="token"), '
        'however: this one has none; removal="mask" looks away',
    ),
    (
        {"token": True},
        {"removal": "mask"},
        'removal="mask" needs a network that looks away from what is missing (missing="mask"), however: this one puts '
        'a learned token there; removal="learned_missing" is what it does',
    ),
    (
        {"scaled": False},
        {"removal": "mean"},
        'removal="mean" needs a model that knows the training mean (preprocessor_), however: Scripted has none',
    ),
    ({}, {"removal": "permute", "donors": 0}, "donors is at least 1, however: donors=0"),
    (
        {},
        {"of": "logits"},
        'of is one of prediction, logit, margin, loss, however: of="logits"; did you mean "logit"?',
    ),
    (
        {},
        {"of": "margin"},
        'of="margin" asks for a classifier, however: Scripted predicts numbers; of="prediction" explains them',
    ),
    ({}, {"of": "loss"}, 'of="loss" needs a target, however: y is None and the samples carry none'),
    ({}, {"of": "loss", "y": [1, 2]}, "y holds one target for each sample, however: y.shape=(2,), 23 samples"),
    ({}, {"of": "loss", "y": ["x"] * N}, "the loss of a regression needs numbers, however: y holds something else"),
    (
        {},
        {"of": "loss", "y": [np.nan] * N},
        "the loss of a regression needs finite numbers, however: y holds NaN or infinity",
    ),
    (
        {},
        {"of": "loss", "y": np.ones((N, 2))},
        "y has the shape of the predictions, () a sample, however: it has (2,)",
    ),
    ({}, {"only": ["a", "x"]}, 'players are modalities of the model, however: "x"; known: "a", "b", "c"'),
    ({}, {"only": []}, "a game has at least one player, however: only is empty"),
]


@pytest.mark.parametrize(("made", "asked", "sentence"), REFUSED, ids=[str(r[1]) for r in REFUSED])
def test_what_cannot_be_played_is_refused_by_name(made: Any, asked: Any, sentence: str) -> None:
    model = Scripted(three(), weighted, **made)
    with pytest.raises(InputError) as error:
        play(model, None, **asked)
    assert str(error.value) == sentence


def test_permute_needs_somebody_else() -> None:
    with pytest.raises(InputError) as error:
        play(Scripted(three()[:1], weighted), None, removal="permute")
    assert str(error.value) == 'removal="permute" takes modalities from other samples, however: X holds one sample'


# --- which number is read -------------------------------------------------------------------------


class Classes(Scripted):
    """Two members, three classes; the logits are made of the three modalities."""

    classes_ = np.array(["no", "so", "yes"])

    def to_prediction(self, outputs: Tensor) -> np.ndarray:
        return outputs.log_softmax(-1).exp().mean(1).numpy()


def logits(x: dict[str, Tensor], there: dict[str, Tensor]) -> Tensor:
    a, b, c = (x[n][:, 0] for n in "abc")
    return torch.stack([torch.stack([a, b, c], 1), torch.stack([2 * b, -a, a * c], 1)], 1)


def test_the_numbers_of_a_classifier_by_the_formula() -> None:
    samples = three()
    model = Classes(samples, logits)
    p = play(model, None).v
    first, second = np.argsort(-p[-1], axis=1)[:, :2].T
    n = np.arange(N)
    assert len(set(first)) == 3
    p1, p2 = p[:, n, first], p[:, n, second]
    assert np.allclose(play(model, None, of="logit").v, np.log(p1) - np.log1p(-p1), atol=1e-12)
    assert np.allclose(play(model, None, of="margin").v, np.log(p1) - np.log(p2), atol=1e-12)
    y = np.array(["yes", "no", "so"] * N)[:N]
    at = np.array([2, 0, 1] * N)[:N]
    assert np.allclose(play(model, None, of="loss", y=y).v, -np.log(p[:, n, at]), atol=1e-12)
    samples = Samples({m: samples.modality(m) for m in "abc"}, y=y)
    found = play(Classes(samples, logits), samples, of="loss")
    assert np.allclose(found.v, -np.log(p[:, n, at]), atol=1e-12), "the samples carry the target"


def test_with_two_classes_the_margin_is_the_log_odds() -> None:
    model = Classes(three(), lambda x, there: logits(x, there)[..., :2])
    model.classes_ = np.array([0, 1])
    assert np.allclose(play(model, None, of="margin").v, play(model, None, of="logit").v, atol=1e-12)


def test_log_odds_are_read_from_the_outputs_where_a_probability_is_zero() -> None:
    model = Classes(three(), lambda x, there: torch.stack([1e4 * there["a"], 0 * there["a"]], 1)[:, None].double())
    game = play(model, None, of="logit")
    assert game.v[-1].tolist() == [1e4] * N and game.v[0].tolist() == [0.0] * N


def test_a_model_with_another_last_step_is_read_by_its_probabilities() -> None:
    class Halved(Classes):
        def to_prediction(self, outputs: Tensor) -> np.ndarray:
            p = super().to_prediction(outputs)
            return p / 2 + 1 / 6

    model = Halved(three(), logits)
    p = play(model, None).v
    first = p[-1].argmax(1)
    p1 = p[:, np.arange(N), first]
    assert np.allclose(play(model, None, of="logit").v, np.log(p1) - np.log1p(-p1), atol=1e-12)


def test_the_loss_of_a_regression_is_the_squared_error() -> None:
    y = np.linspace(-1, 1, N)
    model = Scripted(three(), weighted)
    assert np.allclose(play(model, None, of="loss", y=y).v, (play(model, None).v - y) ** 2)
    two = Scripted(three(), lambda x, there: torch.cat([x["a"], x["b"]], 1))
    wanted = ((play(two, None).v - np.stack([y, -y], 1)) ** 2).mean(2)
    assert np.allclose(play(two, None, of="loss", y=np.stack([y, -y], 1)).v, wanted)


def test_classes_that_the_model_never_saw_are_refused() -> None:
    with pytest.raises(DataError) as error:
        play(Classes(three(), logits), None, of="loss", y=["no", "maybe"] + ["yes"] * (N - 2))
    assert str(error.value) == "y holds classes that the model was fitted on, however: maybe"


# --- players --------------------------------------------------------------------------------------


def test_who_is_no_player_is_in_every_subset() -> None:
    whole = play(Scripted(three(True), weighted), None)
    model = Scripted(three(True), weighted)
    some = play(model, None, only=["c", "a"])
    assert some.names == ("a", "c") and some.evaluations == 4
    assert np.allclose(some.v, whole.only("c", "a").v, atol=1e-12)
    assert np.allclose(some.v, whole.v[[0b010, 0b011, 0b110, 0b111]], atol=1e-12)
    assert (some.present == whole.present[:, [0, 2]]).all() and (whole.only("a", "c").present == some.present).all()


def test_eleven_modalities_are_played_with_ten_players() -> None:
    samples = Samples({f"m{i}": np.full((2, 1), float(2**i)) for i in range(11)})
    model = Scripted(samples, lambda x, there: sum(v[:, 0] for v in x.values()))
    game = play(model, None, only=[f"m{i}" for i in range(1, 11)])
    assert game.v.shape == (1024, 2) and (game.v[:, 0] == 1 + 2 * np.arange(1024)).all()
    assert len(model.asked) == 1024


def test_a_subset_is_found_by_its_names() -> None:
    game = Coalitions(("a", "b", "c"), np.arange(8.0)[:, None], "mask", np.ones((1, 3), bool), "prediction", 8)
    assert game.index() == 0 and game.index("c", "a") == 0b101 and game.index("b", "b") == 0b010
    assert game.said("b", "c").tolist() == [6.0] and game.full.tolist() == [7.0] and game.empty.tolist() == [0.0]
    with pytest.raises(InputError):
        game.index("d")


# --- sharing --------------------------------------------------------------------------------------

LAYOUTS: list[dict[str, Any]] = [
    {"fusion": "self"},
    {"fusion": "cross", "missing": "token", "n_members": 1},
    {"fusion": "a -> b, [b c] -> a", "pool": "concat", "n_layers": 2},
    {"fusion": "none", "pool": "attention"},
]


def fitted(layout: dict[str, Any]) -> tuple[FusionRegressor, dict[str, Any]]:
    rng = np.random.default_rng(0)
    X = {
        "a": rng.normal(size=(N, 3)),
        "b": [None if i % 5 == 2 else rng.normal(size=(1 + i % 4, 2)) for i in range(N)],
        "c": [None if i % 4 == 1 else rng.normal(size=2) for i in range(N)],
    }
    return FusionRegressor(**(QUICK | layout)).fit(X, X["a"][:, 0]), X


@pytest.mark.filterwarnings("ignore::intermodal.errors.OneKeyWarning")
@pytest.mark.parametrize("layout", LAYOUTS, ids=[layout["fusion"] for layout in LAYOUTS])
def test_sharing_changes_no_number(layout: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, X = fitted(layout)
    calls = []
    fuse = sharing.fuse_subsets
    monkeypatch.setattr(sharing, "fuse_subsets", lambda *a, **k: (calls.append(1), fuse(*a, **k))[1])
    shared = [play(model, X).v, play(model, X, only=["c"]).v, play(model, X, batch_size=16).v]
    assert len(calls) == 2 + 12
    monkeypatch.setattr(coalitions, "can_share", lambda *_: False)
    plain = [play(model, X).v, play(model, X, only=["c"]).v, play(model, X, batch_size=16).v]
    assert len(calls) == 14
    for one, other in zip(shared, plain, strict=True):
        assert np.abs(one - other).max() <= 1e-12


class Reads(nn.Module):
    """A head over a network that asks it for something."""

    def __init__(self, network: FusionNetwork, reads: str) -> None:
        super().__init__()
        self.network, self.reads = network, reads

    def forward(self, x: Any, present: Any) -> Any:
        if self.reads == "tokens":
            tokens = self.network(x, present).tokens
            return SimpleNamespace(outputs=sum(t.square().sum((1, 2)) for t in tokens.values()))
        x = dict(x) if self.reads == "a copy" else x
        return SimpleNamespace(outputs=self.network(x, present).pooled.sum(1))


@pytest.mark.parametrize("reads", ["tokens", "a copy", "pooled"])
def test_a_model_that_asks_its_network_for_something_else_is_answered_the_plain_way(reads: str) -> None:
    model, X = fitted({"fusion": "self", "n_members": 1})
    module, feed = model.prepared(X)
    head = Reads(module.network, reads).eval()
    asked: Any = SimpleNamespace(prepared=lambda X: (head, feed), to_prediction=lambda outputs: outputs.numpy())
    assert sharing.can_share(head, "mask")
    with torch.no_grad():
        wanted = head(*feed.batch(np.arange(N))).outputs.numpy()
    assert np.allclose(play(asked, X).full, wanted, atol=1e-12)


def test_nothing_is_shared_where_it_would_not_be_the_same() -> None:
    model, X = fitted({"fusion": "self"})
    module, _ = model.prepared(X)
    assert sharing.can_share(module, "mask") and sharing.can_share(module, "learned_missing")
    assert not sharing.can_share(module, "mean") and not sharing.can_share(module, "permute")
    module.network.train()
    assert not sharing.can_share(module, "mask")

    class Other(FusionNetwork):
        pass

    assert not sharing.can_share(Reads(Other("self", {"a": 2}), "pooled").eval(), "mask")
    assert not sharing.can_share(Scripted(three(), weighted).eval(), "mask")


def test_the_module_stays_as_it_is() -> None:
    model, X = fitted({"fusion": "self"})
    module, feed = model.prepared(X)
    before = dict(module._modules)
    x, present = feed.batch(np.arange(3))
    repeated = ({n: v.repeat(2, *(1,) * (v.ndim - 1)) for n, v in x.items()}, {})
    twin = sharing.share(module, (x, present), repeated, np.array([7, 7]))
    with torch.no_grad():
        assert twin(*repeated).outputs.shape == (6, 2, 1)
    assert module._modules == before and twin is not module
    with pytest.raises(sharing.NotKnownError):
        twin(x, {})


def test_what_is_no_estimator_is_refused_by_all_that_ask_one() -> None:
    from intermodal.explain.additive import emap
    from intermodal.explain.leaving import leave_one_out, permutation_importance
    from intermodal.explain.looking import attention_shares
    from intermodal.explain.shapley_values import shapley
    from intermodal.nn.network import FusionNetwork

    network = FusionNetwork("self", {"a": 2}, d_model=8)
    for call in (play, shapley, leave_one_out, permutation_importance, emap, attention_shares):
        with pytest.raises(InputError) as error:
            call(network, {"a": torch.ones(3, 2)})
        assert str(error.value) == ("a fitted FusionClassifier or FusionRegressor is explained, however: FusionNetwork")
