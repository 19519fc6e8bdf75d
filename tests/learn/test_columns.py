"""Samples as one row of numbers each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from intermodal.learn.columns import LIMIT, Columns, columns_of, made
from intermodal.learn.shapes import Shapes


def by_hand(tokens: np.ndarray) -> np.ndarray:
    """The definition, with every token cut into four equal pieces so that each quarter holds whole ones."""
    fine = np.repeat(tokens, 4, axis=0)
    quarters = [part.mean(0) for part in np.split(fine, 4)]
    steps = np.abs(np.diff(tokens, axis=0)).mean(0) if len(tokens) > 1 else 0 * tokens[0]
    return np.concatenate([tokens.mean(0), tokens.std(0), *quarters, steps, [np.log(len(tokens))]])


@given(st.integers(1, 9), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**31))
def test_a_sequence_is_what_its_tokens_are_on_the_whole_and_padding_changes_nothing(
    n: int, left: int, right: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(n, 3))
    padded = np.full((left + n + right, 3), np.nan)
    padded[left : left + n] = tokens
    there = np.isfinite(padded[:, 0])
    found = columns_of(torch.from_numpy(padded)[None], torch.from_numpy(there)[None])[0].numpy()
    assert np.allclose(found, by_hand(tokens), atol=1e-5)
    assert np.allclose(found, columns_of(torch.from_numpy(tokens)[None])[0].numpy(), atol=1e-12)


def test_steps_are_taken_between_neighbours_that_are_both_there() -> None:
    values = torch.tensor([[[0.0], [1.0], [50.0], [3.0], [5.0]]])
    there = torch.tensor([[True, True, False, True, True]])
    assert columns_of(values, there)[0, 6].item() == pytest.approx(1.5)  # 0 to 1 and 3 to 5


def test_what_is_missing_is_zeros() -> None:
    nothing = torch.zeros(1, 2).bool()
    assert not columns_of(torch.full((1, 2, 3), torch.nan), nothing).any()
    assert columns_of(torch.tensor([[torch.nan]]), torch.tensor([False])).tolist() == [[0.0]]


def test_a_nan_in_a_kept_place_stays_visible() -> None:
    assert columns_of(torch.tensor([[[1.0], [torch.nan]]])).isnan().any()


def columns() -> Columns:
    a = torch.tensor([[1.0, 7.0], [3.0, 7.0], [99.0, 0.0]])
    b = torch.tensor([[2.0], [4.0], [6.0]])
    there = {"a": torch.tensor([True, True, False]), "b": torch.ones(3).bool()}
    return Columns.fit({"a": [a], "b": [b]}, there, torch.tensor([1.0, 1.0, 0.0]))


def test_columns_are_scaled_by_rows_that_count_and_have_the_modality() -> None:
    found = columns()
    assert found.mean.tolist() == [2.0, 7.0, 3.0] and found.scale.tolist() == [1.0, np.inf, 1.0]
    assert found.places() == {"a": slice(0, 2), "b": slice(2, 3)}


def test_a_constant_column_says_nothing_and_a_wild_cell_is_cut() -> None:
    x = {"a": torch.tensor([[1e9, 1e9]]), "b": torch.tensor([[3.0]])}
    assert columns()(x).tolist() == [[LIMIT, 0.0, 0.0]]


def test_a_modality_that_is_missing_stands_at_the_mean_however_it_is_missing() -> None:
    x = {"a": torch.tensor([[5.0, 1.0]]), "b": torch.tensor([[4.0]])}
    absent = columns()({"b": x["b"]})
    hidden = columns()(x, {"a": torch.tensor([False])})
    assert absent.tolist() == hidden.tolist() == [[0.0, 0.0, 1.0]]


def test_scaling_what_was_made_before_is_the_same() -> None:
    x = {"a": torch.randn(4, 2), "b": torch.randn(4, 1)}
    there = torch.tensor([True, False, True, True])
    blocks = {name: [values] for name, values in x.items()}
    assert torch.equal(columns().scaled(blocks, {"a": there, "b": None}), columns()(x, {"a": there}))


def with_shapes() -> tuple[Columns, dict[str, torch.Tensor]]:
    """A vector, and a sequence that is called like the shapes of another."""
    rng = torch.Generator().manual_seed(0)
    x = {"s": torch.randn(6, 9, 2, generator=rng), "s (shapes)": torch.randn(6, 3, generator=rng)}
    shapes = Shapes.fit(x["s"], None, seed=0)
    blocks = {"s": made(x["s"], None, shapes), "s (shapes)": made(x["s (shapes)"], None, None)}
    there = dict.fromkeys(x, torch.ones(6).bool())
    return Columns.fit(blocks, there, torch.ones(6), {"0": shapes}), x


def test_shapes_are_a_block_of_their_own() -> None:
    found, x = with_shapes()
    places = found.places()
    assert list(places) == ["s", "s (shapes)'", "s (shapes)"]
    assert [at.stop - at.start for at in places.values()] == found.sizes.tolist() == [7 * 2 + 1, 1344, 3]
    rows = found(x)
    assert rows.shape == (6, 15 + 1344 + 3) and rows.mean(0).abs().max() < 1e-5


def test_both_blocks_of_a_modality_that_is_missing_stand_at_the_mean() -> None:
    found, x = with_shapes()
    hidden = found(x, {"s": torch.zeros(6, 9).bool()})
    absent = found({"s (shapes)": x["s (shapes)"]})
    assert not hidden[:, :-3].any() and torch.equal(hidden, absent) and torch.equal(hidden[:, -3:], found(x)[:, -3:])


def test_columns_come_back_as_they_were() -> None:
    found, x = with_shapes()
    assert torch.equal(Columns.restored(found.names, found.state_dict())(x), found(x))
