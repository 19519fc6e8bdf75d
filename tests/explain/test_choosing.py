"""Which samples are shown: by chance, by loss, by distance from the mean, each with its reason."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from intermodal.errors import InputError
from intermodal.explain.attention_maps import attention_map, attention_of
from intermodal.explain.choosing import Chosen, chosen_samples
from intermodal.nn import FusionNetwork

N = 41
NONE = {"n_random": 0, "n_loss": 0, "n_unlike": 0}


def network(spec: str = "self", **options: object) -> FusionNetwork:
    torch.manual_seed(0)
    options = {"d_model": 8, "n_heads": 2, "n_layers": 2} | options
    return FusionNetwork(spec, {"a": 3, "b": 2, "c": 5}, **options).double()  # type: ignore[arg-type]


def data(n: int = N) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    draw = torch.Generator().manual_seed(1)
    x = {"a": (n, 3), "b": (n, 2), "c": (n, 4, 5)}
    tensors = {name: 2 * torch.randn(*s, generator=draw, dtype=torch.float64) for name, s in x.items()}
    present = {"a": torch.rand(n, generator=draw) > 0.3, "b": torch.rand(n, generator=draw) > 0.3}
    present["c"] = torch.ones(n, 4, dtype=torch.bool)
    present["c"][5] = present["a"][5] = present["b"][5] = False  # sample 5 has nothing
    return tensors, present


def far(model: FusionNetwork, given: object) -> list[float]:
    """How far each sample is from the mean, number by number."""
    mean = attention_map(model, given).by_head
    each = attention_of(model, given, range(len(given[0]["a"])))  # type: ignore[index]
    found = []
    for sample in each:
        rows = [
            sum(abs(sample[layer, h, i, j] - mean[layer, h, i, j]) for j in range(3)) / 2
            for layer in range(mean.shape[0])
            for h in range(mean.shape[1])
            for i in range(3)
            if not np.isnan(sample[layer, h, i, 0])
        ]
        found.append(sum(rows) / len(rows) if rows else math.nan)
    return found


@pytest.mark.parametrize("spec", ["self", "a -> [b c]", "* -> [*]"])
@pytest.mark.parametrize("batch_size", [7, 256])
def test_the_most_unlike_the_mean_are_those_of_the_loop(spec: str, batch_size: int) -> None:
    model, given = network(spec), data()
    found = chosen_samples(model, given, **NONE | {"n_unlike": 6}, batch_size=batch_size)
    distances = far(model, given)
    most = sorted((d for d in distances if not math.isnan(d)), reverse=True)[:6]
    # Samples that see one key alone are equally far: rounding decides between them, so the distances are compared.
    assert [c.distance for c in found] == pytest.approx(most)
    assert [c.distance for c in found] == pytest.approx([distances[c.row] for c in found])
    assert len({c.row for c in found}) == 6
    assert all(c.reasons == ("unlike the mean",) and 0 < c.distance < 1 for c in found)


def test_the_highest_losses_come_first_and_the_first_of_equals() -> None:
    losses = np.ones(N)
    losses[[30, 7]] = 5.0, 3.0
    found = chosen_samples(network(), data(), losses=losses, **NONE | {"n_loss": 4})
    assert [c.row for c in found] == [30, 7, 0, 1]
    assert [c.loss for c in found] == [5.0, 3.0, 1.0, 1.0]
    assert {c.why for c in found} == {"highest loss"}
    assert chosen_samples(network(), data(), **NONE | {"n_loss": 4}) == ()


def test_chance_is_the_seed_and_reaches_everybody() -> None:
    model, given = network(), data()
    rows = [tuple(c.row for c in chosen_samples(model, given, **NONE | {"n_random": 10}, seed=s)) for s in range(40)]
    assert all(len(set(r)) == 10 and list(r) == sorted(r) for r in rows)
    assert set().union(*rows) == set(range(N)) and len(set(rows)) > 30
    assert chosen_samples(model, given, seed=3) == chosen_samples(model, given, seed=3)


def test_a_sample_chosen_twice_stands_once_with_both_reasons() -> None:
    model, given = network(), data(7)
    found = chosen_samples(model, given, losses=[0, 0, 0, 0, 9, 0, 0], n_loss=1, n_unlike=99)
    assert sorted(c.row for c in found) == list(range(7))
    by_row = {c.row: c for c in found}
    assert by_row[4].reasons == ("random", "highest loss", "unlike the mean")
    assert by_row[4].why == "random, highest loss, unlike the mean"
    assert by_row[5] == Chosen(5, ("random",), 0.0, None)  # asks nobody: never unlike


def test_twenty_are_shown_of_many_by_default() -> None:
    found = chosen_samples(network(), data(), losses=np.arange(N))
    counts = {r: sum(r in c.reasons for c in found) for r in ("random", "highest loss", "unlike the mean")}
    assert counts == {"random": 10, "highest loss": 5, "unlike the mean": 5}


def test_a_map_that_is_there_is_not_made_again() -> None:
    model, given = network(), data()
    mean = attention_map(model, given)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    again = chosen_samples(model, given, mean)
    assert len(passes) == 1
    assert again == chosen_samples(model, given) and len(passes) == 3


def test_what_is_not_a_number_comes_first_and_says_so() -> None:
    model, (x, present) = network("a -> [b c], c -> [b c]"), data()
    x["a"][11, 0] = math.nan
    present["a"][11] = present["b"][11] = True
    found = chosen_samples(model, (x, present), **NONE | {"n_unlike": 3})
    assert found[0] == Chosen(11, ("not a number",), None, None)
    assert [c.reasons for c in found[1:]] == [("unlike the mean",)] * 2
    assert all(c.distance > 0 for c in found[1:])  # by the rows of c, whose mean is a number


def test_without_attention_nobody_is_unlike() -> None:
    found = chosen_samples(network("none"), data(), n_random=2, losses=np.arange(N), n_loss=1)
    assert [c.distance for c in found] == [None] * len(found)
    assert {r for c in found for r in c.reasons} == {"random", "highest loss"}


REFUSED = [
    ({"losses": [1.0, 2.0]}, "losses are one number a sample, (41,), however: loss.shape=(2,)"),
    ({"losses": [*range(40), math.nan]}, "losses are finite, however: losses[40]=nan"),
    ({"n_random": -1}, "n_random is 0 or more, however: n_random=-1"),
    ({"n_unlike": -2}, "n_unlike is 0 or more, however: n_unlike=-2"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_a_mistake_is_refused_in_a_sentence(options: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        chosen_samples(network(), data(), **options)
    assert str(caught.value) == message
