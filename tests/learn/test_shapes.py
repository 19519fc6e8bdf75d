"""How a sequence moves, as a row of numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodal.data.samples import Samples
from intermodal.learn import shapes as module
from intermodal.learn.estimators import FusionClassifier
from intermodal.learn.shapes import EACH, LENGTH, PARTS, RIVALS, Shapes, stretched

W = 3 * EACH


def drawn(width: int = 3, n: int = 20, seed: int = 0) -> tuple[Shapes, torch.Tensor]:
    values = torch.from_numpy(np.random.default_rng(1).normal(size=(n, 30, width))).float().cumsum(1)
    return Shapes.fit(values, None, seed), values


# --- stretching -----------------------------------------------------------------------------------


@given(st.integers(1, 20), st.integers(0, 4), st.integers(2, 90), st.integers(0, 2**31))
def test_a_sequence_is_stretched_in_straight_lines_between_the_tokens_that_are_there(
    n: int, absent: int, length: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    there = rng.permutation(np.arange(n + absent) < n)
    values = np.where(there, rng.normal(size=n + absent), 0.0)
    found = stretched(torch.from_numpy(values)[None, :, None], torch.from_numpy(there)[None], length)[0, :, 0]
    wanted = np.interp(np.linspace(0, n - 1, length), np.arange(n), values[there])
    assert np.allclose(found.numpy(), wanted, atol=1e-12)


# --- what is counted ------------------------------------------------------------------------------


def test_the_numbers_are_the_definition() -> None:
    """Each wave by hand: where it is there in each quarter, how close at best, how often first and last of eight."""
    shapes, values = drawn()
    found = shapes(values)[0]
    line = np.array([np.interp(np.linspace(0, 29, LENGTH), np.arange(30), c) for c in values[0].numpy().T])
    said = np.empty((W, LENGTH))
    for w in range(W):
        distance = (1, 2, 4)[w // EACH]
        mixed = np.pad(shapes.mix[:, w].numpy() @ line, 4 * distance, mode="edge")
        for t in range(LENGTH):
            said[w, t] = shapes.wave[w, 0].numpy() @ mixed[t : t + 8 * distance + 1 : distance]
    said /= shapes.scale.numpy()[:, None]
    on = 1 / (1 + np.exp(-20 * (said - shapes.cut.numpy()[:, None])))
    wanted = [*on.reshape(W, PARTS, -1).mean(2).T, said.max(1)]
    for side in (20, -20):
        rivals = np.exp(side * said.reshape(-1, RIVALS, LENGTH))
        wanted.append(np.sqrt((rivals / rivals.sum(1, keepdims=True)).mean(2)).ravel())
    assert torch.allclose(found, torch.from_numpy(np.concatenate(wanted)).float(), atol=2e-3)


def test_waves_are_on_now_and_off_now() -> None:
    """A cut that is never or always passed would say nothing of any sample."""
    shapes, values = drawn()
    share = shapes(values)[:, : PARTS * W].mean(0).unflatten(0, (PARTS, W)).mean(0)
    assert share.min() > 0.05 and share.max() < 0.95 and share.min() < 0.2 and share.max() > 0.8


def test_a_wave_looks_at_few_channels_of_many() -> None:
    looked = (drawn(width=40)[0].mix != 0).sum(0)
    assert looked.min() == 1 and 6 <= looked.max() <= 9
    assert (drawn(width=1)[0].mix != 0).all()


def test_where_a_sequence_stands_says_nothing_and_how_it_moves_says_much() -> None:
    shapes, values = drawn()
    assert torch.allclose(shapes(values + 5.0), shapes(values), atol=1e-2)
    assert not torch.allclose(shapes(-values), shapes(values), atol=0.2)


def test_when_something_happens_is_told() -> None:
    bump = torch.zeros(2, 64, 1)
    bump[0, 4:10], bump[1, 54:60] = 3.0, 3.0
    noise = 0.1 * torch.randn(30, 64, 1, generator=torch.Generator().manual_seed(0))
    shapes = Shapes.fit(torch.cat([bump, noise]), None, seed=0)
    early, late = shapes(bump)[:, : PARTS * W].unflatten(1, (PARTS, W))
    apart = (early - late).abs().mean(1)
    assert apart[[0, 3]].min() > 0.2 and apart[1:3].max() < 0.5 * apart[[0, 3]].min()


# --- what is not there ----------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**31))
def test_padding_changes_nothing(left: int, right: int, seed: int) -> None:
    shapes, values = drawn()
    rng = np.random.default_rng(seed)
    own = values[:1, : int(rng.integers(1, 30))]
    padded = torch.full((1, left + own.shape[1] + right, 3), torch.nan)
    padded[:, left : left + own.shape[1]] = own
    assert torch.allclose(shapes(padded, padded.isfinite().all(2)), shapes(own), atol=1e-4)


def test_nothing_is_zeros_and_a_constant_channel_harms_nothing() -> None:
    shapes, values = drawn()
    assert not shapes(torch.full((1, 4, 3), torch.nan), torch.zeros(1, 4).bool()).any()
    constant = Shapes.fit(torch.zeros(3, 10, 2), None, seed=0)
    assert constant(torch.zeros(3, 10, 2)).isfinite().all()
    some = torch.ones(len(values), 30).bool()
    some[5:] = False  # rows without the modality do not teach where a wave is there
    assert torch.equal(Shapes.fit(values, some, 0).cut, Shapes.fit(values[:5], None, 0).cut)


# --- in a model -----------------------------------------------------------------------------------


def order(n: int, seed: int) -> tuple[Samples, np.ndarray]:
    """Which of two events comes first; means of quarters tell little, for both may lie in one quarter."""
    rng = np.random.default_rng(seed)
    values, first = 0.3 * rng.normal(size=(n, 40, 2)), rng.integers(0, 2, n)
    for one, which in zip(values, first, strict=True):
        at = rng.integers(2, 30)
        one[at : at + 3, which] += 2.0
        one[at + 4 : at + 7, 1 - which] += 2.0
    return Samples({"signal": values, "nothing": rng.normal(size=(n, 2))}), first


@pytest.mark.parametrize("shortest", [8, 41])
def test_the_order_of_events_is_found_by_shapes(shortest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from intermodal.learn import consulting

    monkeypatch.setattr(consulting, "SHORTEST", shortest)
    small = {"d_model": 8, "n_heads": 2, "n_members": 1, "max_epochs": 1}
    model = FusionClassifier(**small).fit(*order(240, 0))  # type: ignore[arg-type]
    score = model.score(*order(120, 1))
    assert score > 0.95 if shortest == 8 else score < 0.85


def test_the_waves_are_drawn_by_the_seed() -> None:
    values = drawn()[1]
    same, other = Shapes.fit(values, None, 0), Shapes.fit(values, None, 1)
    assert torch.equal(same.wave, drawn()[0].wave) and not torch.equal(same.wave, other.wave)
    assert module.SHORTEST == 8
