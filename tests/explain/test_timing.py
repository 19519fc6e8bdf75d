"""When it happens: the time axis of one sample, an event that was planted, and what joined or missing tokens do."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.explain.timing import Moment, Timeline, timeline
from intermodal.learn.estimators import FusionRegressor
from intermodal.nn import FusionNetwork
from intermodal.spec import Edge

D_IN = {"text": 3, "audio": 2, "video": 5}
SPECS = ["text -> video", "self", "text -> [audio video]", "[text audio] -> video", "cross"]
WORDS = ["the", "dog", "barks"]


def make(spec: str = "text -> video", seed: int = 0, **options: object) -> FusionNetwork:
    torch.manual_seed(seed)
    options = {"d_model": 8, "n_heads": 2} | options
    return FusionNetwork(spec, D_IN, **options).double().eval().requires_grad_(False)  # type: ignore[arg-type]


def data(n_words: int = 3, n_frames: int = 11, b: int = 2) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)
    shapes = {"text": (b, n_words, 3), "audio": (b, 7, 2), "video": (b, n_frames, 5)}
    return {n: torch.randn(*s, generator=draw, dtype=torch.float64) for n, s in shapes.items()}


def look(network: object, X: object, **options: object) -> Timeline:
    given = {"query": "text", "context": "video", "sample": 0} | options
    return timeline(network, X, **given)  # type: ignore[arg-type]


# --- an event that was planted -----------------------------------------------------------------------

FRAMES = 400
DOG, CAT = slice(120, 140), slice(300, 310)
PEAK = 131


def planted() -> tuple[FusionNetwork, dict[str, Tensor]]:
    """Words and frames that mean the same have one direction, and who asks looks for its own direction."""
    network = FusionNetwork("text -> video", {"text": 8, "video": 8}, d_model=8, n_heads=1).double().eval()
    eye = torch.eye(8, dtype=torch.float64)
    attention = network.layers[0].attention[0]
    with torch.no_grad():
        for layer, weight in (
            *((encoder.project, 20 * eye) for encoder in network.encoders), (attention.q_proj, 3 * eye),
            (attention.k_proj, eye),
        ):  # fmt: skip
            layer.weight.copy_(weight)
            layer.bias.zero_()
    video = eye[4].repeat(FRAMES, 1)
    video[DOG] = eye[0] + 0.4 * eye[4]
    video[PEAK] = eye[0]
    video[CAT] = eye[1]
    return network, {"text": torch.stack([eye[7], eye[0], eye[1]])[None], "video": video[None]}


def by_hand(network: FusionNetwork, x: dict[str, Tensor]) -> np.ndarray:
    """The weights of the planted network in numpy, as the paper writes them."""

    def tokens(t: np.ndarray) -> np.ndarray:
        angle = np.arange(len(t))[:, None] * np.exp(-math.log(10000.0) / 4 * np.arange(4))
        t = 20 * t + 0.25 * np.concatenate([np.sin(angle), np.cos(angle)], 1)
        return (t - t.mean(1, keepdims=True)) / np.sqrt(t.var(1, keepdims=True) + 1e-5)

    scores = 3 * tokens(x["text"][0].numpy()) @ tokens(x["video"][0].numpy()).T / math.sqrt(8)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_the_second_of_a_planted_event_is_found() -> None:
    network, x = planted()
    found = look(network, x, seconds=0.04, labels=["a", "dog", "cat"])
    expected = by_hand(network, x)
    np.testing.assert_allclose(found.weights, expected, atol=1e-12)
    assert expected[1].argmax() == PEAK
    assert found.peak("dog") == (pytest.approx(PEAK * 0.04), pytest.approx(expected[1, PEAK]))
    assert found.peak(1) == found.peak("dog")
    assert 300 * 0.04 <= found.peak("cat")[0] < 310 * 0.04
    assert found.weights[1, DOG].sum() > 0.9 and found.weights[2, CAT].sum() > 0.9
    assert found.uniform == 1 / FRAMES and found.unit == "s"
    best = found.top(3, "dog")
    order = np.argsort(-expected[1], kind="stable")[:3]
    assert [m.start for m in best] == pytest.approx((order * 0.04).tolist())
    assert best[0] == Moment("dog", *found.times[PEAK], found.weights[1, PEAK], found.weights[1, PEAK] * FRAMES)
    assert {m.label for m in found.top(30)} == {"dog", "cat"}
    assert [m.weight for m in found.top(7)] == sorted(found.weights.ravel().tolist())[:-8:-1]


@pytest.mark.parametrize("n", [8, 100, 399])
def test_bins_of_time_find_the_event_too_and_sum_what_falls_in_them(n: int) -> None:
    network, x = planted()
    whole = look(network, x, seconds=0.04)
    binned, massed = whole.binned(n), look(network, x, seconds=0.04, bins=n)
    assert binned.weights.shape == (3, n)
    for other in (binned, massed):
        np.testing.assert_allclose(other.weights.sum(1), 1.0, atol=1e-12)
        assert other.times[0, 0] == 0.0 and other.times[-1, 1] == pytest.approx(16.0)
        assert other.tokens.sum() == FRAMES and other.even.sum() == pytest.approx(1.0)
        assert other.how == f"the only head of layer 1, summed in {n} bins"
    np.testing.assert_allclose(massed.weights, binned.weights, atol=1e-6)
    np.testing.assert_array_equal(massed.tokens, binned.tokens)
    np.testing.assert_array_equal(massed.times, binned.times)
    start = binned.peak(1)[0]
    assert start <= PEAK * 0.04 + 0.02 < start + 16.0 / n + 1e-9
    for j in range(n):  # every frame lies in the stretch that holds its middle
        inside = (whole.times.mean(1) >= binned.times[j, 0]) & (whole.times.mean(1) < binned.times[j, 1])
        assert binned.tokens[j] == inside.sum()
        assert binned.weights[1, j] == pytest.approx(whole.weights[1, inside].sum())


def test_few_columns_stay_as_they_are() -> None:
    network, x = planted()
    whole = look(network, x)
    assert whole.binned(FRAMES) is whole
    same = look(network, x, bins=FRAMES + 1)
    np.testing.assert_array_equal(same.weights, whole.weights)
    assert same.how == "the only head of layer 1"


# --- the weights are those of the model ------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("n_layers", "n_members", "tie"), [(1, 1, True), (2, 3, True), (3, 1, False)])
def test_rows_and_columns_are_those_of_the_edge(spec: str, n_layers: int, n_members: int, tie: bool) -> None:
    network, x = make(spec, n_layers=n_layers, n_members=n_members, tie=tie), data()
    present = {"video": torch.ones(2, 11, dtype=torch.bool), "text": torch.ones(2, 3, dtype=torch.bool)}
    present["video"][1, [0, 4]] = False
    present["text"][1, 2] = False
    layers = network(x, present, need_weights="layers").weights
    for layer in range(-n_layers, n_layers):
        for sample in (0, 1):
            for head in (None, 0, 2 * n_members - 1):
                found = look(network, (x, present), sample=sample, layer=layer, head=head)
                edge = next(e for e in network.spec.edges if str(e) == found.edge)
                full = layers[layer][edge][sample].numpy()
                full = full.mean(0) if head is None else full[head]
                at = {"text": 0, "audio": 3, "video": 10}
                column = at["video"] if len(edge.context_names) == 3 else 7 if "audio" in edge.context_names else 0
                np.testing.assert_allclose(found.weights, full[:3, column : column + 11], atol=1e-12)
                assert found.tokens.tolist() == present["video"][sample].int().tolist()
                assert found.layer == layer % n_layers and found.head == head and found.sample == sample


def test_who_asks_and_who_is_asked_stand_anywhere_in_the_edge() -> None:
    network, x = make("self"), data()
    full = network(x, need_weights=True).weights[network.spec.edges[0]][1].numpy().mean(0)
    at = {"text": slice(0, 3), "audio": slice(3, 10), "video": slice(10, 21)}
    for query, rows in at.items():
        for context, columns in at.items():
            found = look(network, x, query=query, context=context, sample=1)
            np.testing.assert_allclose(found.weights, full[rows, columns], atol=1e-12)
            binned = look(network, x, query=query, context=context, sample=1, bins=2)
            np.testing.assert_allclose(binned.share, full[rows, columns].sum(1), atol=1e-6)


def test_a_mean_over_heads_is_never_silent() -> None:
    x = data()
    assert look(make(n_heads=4), x).how == "mean over 4 heads of layer 1"
    assert look(make(n_heads=4), x, head=2).how == "head 3 of 4 of layer 1"
    assert look(make(n_heads=1), x).how == "the only head of layer 1"
    assert look(make(n_layers=3), x, layer=1).how == "mean over 2 heads of layer 2 of 3"
    assert look(make(n_members=3), x).how == "mean over 6 heads (3 members) of layer 1"
    assert look(make("text -> [audio video]"), x).how == (
        "mean over 2 heads of layer 1, a part of text -> [audio video]"
    )


def test_a_row_sums_to_one_where_the_context_is_asked_alone_and_to_its_share_elsewhere() -> None:
    x = data()
    alone, joined = look(make(), x), look(make("text -> [audio video]"), x)
    np.testing.assert_allclose(alone.share, 1.0, atol=1e-12)
    assert alone.uniform == pytest.approx(1 / 11) and alone.n_keys == 11
    network = make("text -> [audio video]")
    mass = network(x, need_weights="mass").weights[0][network.spec.edges[0]][0].mean(0)
    np.testing.assert_allclose(joined.share, mass[:, 1], atol=1e-12)
    assert joined.uniform == pytest.approx(1 / 18) and joined.n_keys == 18
    binned = look(network, x, bins=4)
    np.testing.assert_allclose(binned.share, joined.share, atol=1e-6)


def test_of_several_edges_the_one_that_asks_the_fewest_unless_another_is_named() -> None:
    network, x = make("text -> [audio video], text -> video"), data()
    weights = network(x, need_weights=True).weights
    found = look(network, x)
    assert found.edge == "text -> video"
    np.testing.assert_allclose(found.weights, weights[Edge("text", "video")][0].mean(0), atol=1e-12)
    for spelled in ("text -> [video audio]", Edge("text", ("audio", "video"))):
        found = look(network, x, edge=spelled)
        np.testing.assert_allclose(
            found.weights, weights[Edge("text", ("audio", "video"))][0].mean(0)[:, 7:], atol=1e-12
        )


def test_a_fitted_model_its_module_and_its_network_have_one_timeline() -> None:
    rng = np.random.default_rng(0)
    X = {
        "text": [rng.normal(size=(1 + i % 4, 3)) for i in range(20)],
        "video": [rng.normal(size=(3 + i % 5, 2)) for i in range(20)],
    }
    fitted = FusionRegressor("text <-> video", d_model=8, n_heads=2, n_members=2, max_epochs=2).fit(X, np.arange(20.0))
    found = look(fitted, X, sample=7, seconds=0.5, labels=list("abcd"))
    module, feed = fitted.prepared(X)
    assert found.weights.shape == (4, 5) and found.times[-1].tolist() == [2.0, 2.5]
    for model, given in ((module, feed), (module.network, feed), (module.network, tuple(feed.batch(np.arange(20))))):
        other = look(model, given, sample=7, seconds=0.5 if given is feed else None)
        columns = other.weights[:4, :5]
        np.testing.assert_allclose(columns, found.weights, atol=1e-6)
    back = look(fitted, Samples(X), query="video", context="text", sample=0, seconds=[2.5])
    assert back.weights.tolist() == [[1.0]] * 3 and back.times.tolist() == [[2.5, 2.5]]


# --- the time axis -------------------------------------------------------------------------------------------


def test_one_word_and_one_frame() -> None:
    found = look(make(), data(1, 1), seconds=0.5)
    assert found.weights.tolist() == [[1.0]] and found.times.tolist() == [[0.0, 0.5]]
    assert found.labels == ("text",) and found.uniform == 1.0
    assert found.peak(0) == (0.0, 1.0) and found.peak("text") == (0.0, 1.0)
    assert found.binned(1) is found


def test_five_thousand_frames_build_no_weights_in_bins() -> None:
    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            for t in result if isinstance(result, tuple | list) else (result,):
                self.numel = max(self.numel, t.numel() if isinstance(t, Tensor) else 0)
            return result

    network, x = make(d_hidden=8), data(64, 5000, 1)
    whole = look(network, x, seconds=0.04)
    assert whole.weights.shape == (64, 5000)
    assert whole.peak(17)[0] == pytest.approx(0.04 * network(x, need_weights=True).weights[Edge("text", "video")]
                                             [0, :, 17].mean(0).argmax().item())  # fmt: skip
    with Largest() as largest:
        binned = look(network, x, seconds=0.04, bins=50)
    assert largest.numel < 2 * 64 * 5000 / 4
    with Largest() as explicit:
        look(network, x)
    assert explicit.numel >= 2 * 64 * 5000  # the measure sees what it is meant to see
    np.testing.assert_allclose(binned.weights, whole.binned(50).weights, atol=1e-6)
    assert binned.tokens.tolist() == [100] * 50


@pytest.mark.parametrize(
    ("seconds", "times"),
    [
        (None, [[0, 1], [1, 2], [2, 3], [3, 4]]),
        (0.5, [[0, 0.5], [0.5, 1], [1, 1.5], [1.5, 2]]),
        ([0, 1, 1, 4], [[0, 1], [1, 1], [1, 4], [4, 7]]),
        ([[-1, 0], [2, 9], [3, 4], [8, 8]], [[-1, 0], [2, 9], [3, 4], [8, 8]]),
    ],
)
def test_times_are_numbers_of_tokens_seconds_starts_or_spans(seconds: object, times: list[list[float]]) -> None:
    found = look(make(), data(3, 4), seconds=seconds)
    assert found.times.tolist() == times
    assert found.unit == ("token" if seconds is None else "s")


def test_irregular_times_fall_in_bins_by_their_middle() -> None:
    found = look(make(), data(3, 4), seconds=[[0, 2], [2, 4], [4, 10], [9, 10]])
    binned = found.binned(2)  # the middles are 1, 3, 7 and 9.5
    assert binned.tokens.tolist() == [2, 2] and binned.times.tolist() == [[0, 5], [5, 10]]
    np.testing.assert_allclose(binned.weights[:, 0], found.weights[:, :2].sum(1))
    gappy = look(make(), data(3, 4), seconds=[0, 1, 2, 30]).binned(3)  # to 58
    assert gappy.tokens.tolist() == [3, 0, 1] and (gappy.weights[:, 1] == 0).all()
    assert gappy.uniform == pytest.approx(0.5) and gappy.even.tolist() == [0.75, 0.0, 0.25]


def test_missing_frames_keep_their_time_and_get_no_weight() -> None:
    network, x = make(), data()
    there = torch.ones(2, 11, dtype=torch.bool)
    there[0, [0, 1, 5, 10]] = False
    x["video"][0, ~there[0]] = math.nan
    found = look(network, (x, {"video": there}), seconds=2.0)
    assert (found.weights[:, ~there[0].numpy()] == 0).all()
    np.testing.assert_allclose(found.share, 1.0)
    assert found.uniform == pytest.approx(1 / 7) and found.times[-1].tolist() == [20.0, 22.0]
    np.testing.assert_allclose(look(network, ({**x, "video": x["video"][:, 2:10]}, {"video": there[:, 2:10]})).weights,
                               found.weights[:, 2:10], atol=1e-12)  # fmt: skip
    assert look(network, (x, {"video": there}), bins=3).tokens.tolist() == [2, 2, 3]


@pytest.mark.parametrize("left", [0, 1, 4])
def test_joined_frames_are_one_column_counted_from_the_first_that_is_there(left: int) -> None:
    network, x = make(stride={"video": 3}), data(3, 8)
    plain = look(network, x, seconds=0.5)
    assert plain.times.tolist() == [[0, 1.5], [1.5, 3.0], [3.0, 4.0]] and plain.tokens.tolist() == [1, 1, 1]
    padded = torch.cat([torch.full((2, left, 5), math.nan).double(), x["video"]], 1)
    there = torch.ones(2, 8 + left, dtype=torch.bool)
    there[:, :left] = False
    found = look(network, ({**x, "video": padded}, {"video": there}), seconds=0.5)
    assert found.times.tolist() == [[s + left * 0.5, e + left * 0.5] for s, e in plain.times.tolist()]
    np.testing.assert_allclose(found.weights, plain.weights, atol=1e-12)
    binned = look(network, ({**x, "video": padded}, {"video": there}), seconds=0.5, bins=2)
    np.testing.assert_allclose(binned.weights, found.binned(2).weights, atol=1e-6)
    hole = there.clone()
    hole[0, left + 3 : left + 6] = False
    found = look(network, ({**x, "video": padded}, {"video": hole}), seconds=np.arange(8 + left) ** 2)
    assert found.tokens.tolist() == [1, 0, 1] and (found.weights[:, 1] == 0).all()
    assert found.times[0].tolist() == [left**2, (left + 3) ** 2]


def test_a_joined_column_is_there_when_any_of_its_frames_is() -> None:
    network, x = make(stride={"video": 3}), data(3, 8)
    there = torch.ones(2, 8, dtype=torch.bool)
    there[0, [3, 4, 6]] = False  # of the second run the last is there, of the third the second
    found = look(network, (x, {"video": there}))
    assert found.tokens.tolist() == [1, 1, 1] and (found.weights > 0).all()
    assert found.uniform == pytest.approx(1 / 3) and found.n_keys == 3


def test_joined_words_join_their_labels() -> None:
    network, x = make(stride={"text": 2}), data(5)
    found = look(network, x, labels=["the", "dog", "barks", "at", "me"])
    assert found.labels == ("the dog", "barks at", "me")
    assert found.weights.shape == (3, 11)
    assert look(network, x, labels=["one", "two", "three"]).labels == ("one", "two", "three")
    assert look(network, x).labels == ("text 1", "text 2", "text 3")
    there = torch.tensor([[False, True, True, True, False]] * 2)
    found = look(network, (x, {"text": there}), labels=["<pad>", "the", "dog", "barks", "<pad>"])
    assert found.labels == ("the dog", "barks <pad>")
    np.testing.assert_allclose(found.share, 1.0)


def test_a_vector_is_asked_by_its_tokens_and_has_no_seconds() -> None:
    network = make("text -> audio, audio -> video", n_tokens={"audio": 4})
    x = data() | {"audio": torch.randn(2, 2).double()}
    found = look(network, x, context="audio")
    assert found.weights.shape == (3, 4) and found.times.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    with pytest.raises(InputError) as caught:
        look(network, x, context="audio", seconds=1.0)
    assert str(caught.value) == 'seconds are of a sequence, however: "audio" is one vector; leave seconds out'
    asked = look(network, x, query="audio", seconds=1.0)
    assert asked.labels == ("audio 1", "audio 2", "audio 3", "audio 4") and asked.weights.shape == (4, 11)


def test_an_absent_word_looks_nowhere() -> None:
    network, x = make(), data()
    there = torch.tensor([[True, False, True]] * 2)
    found = look(network, (x, {"text": there}), labels=WORDS)
    assert (found.weights[1] == 0).all() and found.share[[0, 2]] == pytest.approx([1.0, 1.0])
    assert {m.label for m in found.top(99)} == {"the", "barks"}
    with pytest.raises(InputError) as caught:
        found.peak("dog")
    assert str(caught.value) == 'row is a token that looks at "video", however: token 1 is absent'


def test_a_model_in_training_is_read_as_it_predicts() -> None:
    network, x = make("self", modality_dropout=0.5, dropout=0.5, n_layers=2), data()
    wanted = look(network, x)
    network.train()
    np.testing.assert_array_equal(look(network, x).weights, wanted.weights)
    assert network.training


# --- what is refused -----------------------------------------------------------------------------------------------


def refused(call) -> str:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


REFUSED = [
    ({"query": "tekst"}, 'query is a modality of the model, however: "tekst"; did you mean "text"?'),
    ({"context": "vidoe"}, 'context is a modality of the model, however: "vidoe"; did you mean "video"?'),
    ({"query": "video", "context": "text"},
     '"video" asks "text" in a timeline, however: text asks video'),
    ({"edge": "video -> text"},
     'edge is one through which "text" asks "video": "text -> video", however: "video -> text"'),
    ({"sample": 2}, "sample is a position of the 2 samples, however: sample=2"),
    ({"sample": -1}, "sample is a position of the 2 samples, however: sample=-1"),
    ({"layer": 1}, "layer is one of the network's 1, counted from 0 or back from -1, however: layer=1"),
    ({"head": 2}, "head is one of the 2, counted from 0, however: head=2"),
    ({"head": -1}, "head is one of the 2, counted from 0, however: head=-1"),
    ({"bins": 0}, "there is at least one bin, however: bins=0"),
    ({"labels": ["a", "b"]}, 'labels name the 3 tokens of "text" one by one, however: there are 2'),
    ({"labels": "abc"}, "labels name the 3 tokens of \"text\" one by one, however: 'abc'"),
    ({"seconds": [1.0, 2.0]},
     'seconds are one number, (11,) starts or (11, 2) starts and ends of the tokens of "video", however: '
     "seconds.shape=(2,)"),
    ({"seconds": 0.0}, "seconds per token are a number above 0, however: seconds=0.0"),
    ({"seconds": math.nan}, "seconds per token are a number above 0, however: seconds=nan"),
    ({"seconds": [*range(10), math.inf]}, "seconds are finite, however: seconds=inf"),
    ({"seconds": [0, 2, 1, *range(3, 11)]},
     "seconds go forward, however: token 1 starts at 2.0, the next at 1.0"),
    ({"seconds": [[i, i + 1 - 3 * (i == 4)] for i in range(11)]},
     "a token ends after it starts, however: token 4 is from 4.0 to 2.0"),
    ({"seconds": "soon"}, "seconds are numbers, however: 'soon'"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_a_mistake_is_refused_in_a_sentence(options: dict, message: str) -> None:
    assert refused(lambda: look(make(), data(), **options)) == message


def test_a_sample_without_one_of_the_two_is_refused() -> None:
    x, there = data(), torch.ones(2, 11, dtype=torch.bool)
    there[1] = False
    for options in ({}, {"missing": "token"}):
        network = make(**options)
        message = 'a timeline needs both sides, however: sample 1 has no "video"'
        assert refused(lambda n=network: look(n, (x, {"video": there}), sample=1)) == message
        assert look(network, (x, {"video": there}), sample=0).weights.shape == (3, 11)
        message = 'a timeline needs both sides, however: sample 0 has no "text"'
        assert refused(lambda n=network: look(n, {"video": x["video"]})) == message


@pytest.mark.parametrize("bins", [None, 4])
def test_weights_that_are_no_numbers_are_refused(bins: int | None) -> None:
    x = data()
    x["video"][0, 3, 1] = math.nan
    assert refused(lambda: look(make(), x, bins=bins)) == (
        'weights are numbers, however: those of "text" on "video" in sample 0 are not; look for NaN or infinite values '
        "in the sample, and in the weights of the model"
    )
    assert np.isfinite(look(make(), x, sample=1, bins=bins).weights).all()


def test_a_model_that_is_none_is_refused() -> None:
    assert refused(lambda: look(nn.Linear(2, 2), data())) == (
        "timeline takes a fitted estimator with samples, or a FusionNetwork with tensors, however: Linear"
    )
    assert refused(lambda: look(make(n_layers=0), data())) == (
        "layer is one of the network's 0, counted from 0 or back from -1, however: layer=-1"
    )
    assert refused(lambda: look(make("none"), data())) == (
        '"text" asks "video" in a timeline, however: ' + make("none").spec.describe()
    )


def test_a_token_is_named_by_number_or_by_a_label_that_stands_once() -> None:
    found = look(make(), data(), labels=["the", "dog", "the"])
    assert found.peak(-2) == found.peak("dog")
    assert refused(lambda: found.peak("dgo")) == 'row is a token that asks, however: "dgo"; did you mean "dog"?'
    assert refused(lambda: found.peak("the")) == (
        'row is one token that asks, however: "the" stands at [0, 2]; give its number'
    )
    assert refused(lambda: found.top(3, 3)) == "row is one of the 3 tokens that ask, however: row=3"


def test_seconds_may_come_by_name_as_explain_takes_them() -> None:
    seen = look(make(), data(), seconds={"video": 0.25, "text": 7.0})
    assert seen.unit == "s" and np.array_equal(seen.times, look(make(), data(), seconds=0.25).times)
    assert look(make(), data(), seconds={"text": 7.0}).unit == "token"
