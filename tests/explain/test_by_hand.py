"""A row of a model's own attention, worked out by hand: the exact weights are the model's."""

import numpy as np
import pytest
import torch

from intermodal.errors import InputError
from intermodal.explain.by_hand import worked
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Edge

WIDTHS = {"a": 3, "b": 2, "c": 5}


def network(spec: str, **options) -> FusionNetwork:
    torch.manual_seed(0)
    return FusionNetwork(spec, WIDTHS, d_model=12, n_heads=3, **options).double().eval()


def sample(**lengths: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(*((1, lengths[name]) if lengths[name] else (1,)), WIDTHS[name], generator=generator).double()
        for name in lengths
    }


@pytest.mark.parametrize("spec", ["self", "cross", "a -> b", "[a b] -> c, c -> a"])
@pytest.mark.parametrize(
    "options",
    [{}, {"n_layers": 2}, {"n_members": 2, "tie": False}, {"tie": False}, {"n_layers": 3, "n_members": 2}],
)
def test_every_row_of_the_model_is_worked_out_exactly(spec: str, options: dict) -> None:
    model, x = network(spec, **options), sample(a=2, b=7, c=4)
    present = {"b": torch.arange(7)[None] > 1}
    for layer in range(len(model.layers)):
        weights = model(x, present, need_weights="layers").weights[layer]
        for edge, seen in weights.items():
            for head in range(seen.shape[1]):
                for token in range(seen.shape[2]):
                    if float(seen[0, head, token].detach().sum()) == 0:
                        continue
                    row = worked(model, x, present, edge=edge, layer=layer, head=head, token=token)
                    expected = seen[0, head, token].detach().numpy()
                    assert np.abs(row.trace.weights.reshape(-1) - expected).max() < 1e-12
                    assert row.difference < 1e-12 and np.array_equal(row.weights, expected)


def test_by_default_the_query_that_looks_hardest_is_taken() -> None:
    model, x = network("self"), sample(a=0, b=7, c=4)
    weights = next(iter(model(x, need_weights=True).weights.values()))[0].detach()
    head, token = divmod(int(weights.amax(-1).argmax()), weights.shape[1])
    row = worked(model, x)
    assert (row.head, row.layer) == (head, 0)
    assert row.query == ["a", *(f"b {i}" for i in range(1, 8)), *(f"c {i}" for i in range(1, 5))][token]
    assert np.array_equal(row.weights, weights[head, token].numpy())


def test_the_keys_are_called_by_modality_and_place() -> None:
    row = worked(network("a -> [b c]"), sample(a=0, b=2, c=3))
    assert row.trace.key_names == ("b 1", "b 2", "c 1", "c 2", "c 3") and row.query == "a"


def test_where_nobody_asks_there_is_nothing_to_work_out() -> None:
    with pytest.raises(InputError) as error:
        worked(network("none"), sample(a=0, b=2))
    assert str(error.value) == (
        "a row of attention is worked out where somebody asks, however: nobody asks anybody in this sample"
    )
    with pytest.raises(InputError) as error:
        worked(network("a -> b, a -> c"), sample(a=0, b=2), edge=Edge("a", "c"))
    assert 'nobody asks along "a -> c"' in str(error.value)


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError) as error:
        worked(network("self"), sample(a=0, b=2), layer=1)
    assert str(error.value) == "layer is one of the network's 1, counted from 0 or back from -1, however: layer=1"
