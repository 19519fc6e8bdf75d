"""The kernel machine, against scikit-learn and against refitting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from intermodal.learn.experts import Bells
from intermodal.learn.kernels import (
    CONSTANT,
    Kernel,
    Machine,
    Measure,
    Search,
    fit_by_marks,
    fit_exactly,
    squared_distances,
    unseen_answers,
)

NAMES = ("a", "b", "c")


def data(n: int = 60, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = {"a": rng.normal(size=(n, 3)), "b": rng.normal(size=(n, 5)), "c": rng.normal(size=(n, 2))}
    return columns, np.column_stack([columns["a"][:, 0] + columns["b"][:, 0], np.sin(2 * columns["a"][:, 1])])


def kernel(**changes: object) -> Kernel:
    parts = {"linear": (0.5, 0.1, 0.0), "bell": (0.0, 0.7, 0.2), "part": (0.5, 0.0, 1.0)}
    weights = {kind: dict(zip(NAMES, values, strict=True)) for kind, values in parts.items()}
    return Kernel(**{**weights, "joint": 0.4, "width": 0.8, "penalty": 0.3, **changes})  # type: ignore[arg-type]


def parts_of(n: int, k: int = 5) -> list[np.ndarray]:
    return [np.arange(n)[i::k] for i in range(k)]


def squared(wanted: np.ndarray):  # type: ignore[no-untyped-def]
    return lambda said: float(((said - wanted) ** 2).mean())


def test_the_kernel_is_its_formula() -> None:
    columns, _ = data()
    measure = Measure.of(columns)
    found = kernel().mix(*measure.between(columns, columns))
    far = {m: squared_distances(x, x) / measure.apart[m] for m, x in columns.items()}
    wanted = (
        0.5 * columns["a"] @ columns["a"].T / measure.size["a"]
        + 0.1 * columns["b"] @ columns["b"].T / measure.size["b"]
    )
    wanted += 0.7 * rbf_kernel(columns["b"], gamma=0.8 / measure.apart["b"]) + 0.2 * np.exp(-0.8 * far["c"])
    wanted += 0.4 * np.exp(-0.8 * (0.5 * far["a"] + far["c"]))
    assert np.allclose(found, wanted, atol=1e-10)
    assert kernel().near == NAMES and kernel(joint=0.0).near == ("b", "c")


def test_answers_to_rows_left_out_are_those_of_a_fit_without_them() -> None:
    columns, wanted = data()
    weight = np.random.default_rng(1).uniform(0.3, 2.0, 60)
    whole = kernel().mix(*Measure.of(columns).between(columns, columns)) + CONSTANT
    parts = [np.arange(0, 25), np.arange(25, 31), np.arange(31, 60)]
    (said,), dual = unseen_answers(whole, 0.3, wanted, weight, [parts])
    for own in parts:
        rest = np.setdiff1d(np.arange(60), own)
        peer = KernelRidge(alpha=0.3, kernel="precomputed")
        peer.fit(whole[np.ix_(rest, rest)], wanted[rest], sample_weight=weight[rest])
        assert np.allclose(said[own], peer.predict(whole[np.ix_(own, rest)]), atol=1e-8)
    peer = KernelRidge(alpha=0.3, kernel="precomputed").fit(whole, wanted, sample_weight=weight)
    assert np.allclose(whole @ dual, peer.predict(whole), atol=1e-8)


def answers(machine: Machine, columns: dict[str, np.ndarray]) -> np.ndarray:
    said = machine.constant + sum(columns[m] @ machine.coef[m] for m in columns)
    if machine.marks:
        own = {m: columns[m] for m in machine.marks}
        bare = kernel(linear=dict.fromkeys(machine.marks, 0.0), penalty=machine.kernel.penalty)
        said = said + bare.mix(*machine.measure.between(own, machine.marks)) @ machine.dual
    return np.asarray(said)


@pytest.mark.parametrize("way", ["exactly", "by marks"])
def test_what_is_stored_says_what_the_ridge_says(way: str) -> None:
    columns, wanted = data()
    new, _ = data(20, seed=5)
    measure, weight = Measure.of(columns), np.random.default_rng(2).uniform(0.3, 2.0, 60)
    given = (columns, wanted, weight, parts_of(60), kernel(), measure, squared(wanted), (1.0,))
    machine = fit_exactly(*given) if way == "exactly" else fit_by_marks(*given, at=np.arange(60))
    whole = kernel().mix(*measure.between(columns, columns)) + CONSTANT
    peer = KernelRidge(alpha=0.3, kernel="precomputed").fit(whole, wanted, sample_weight=weight)
    wanted_new = peer.predict(kernel().mix(*measure.between(new, columns)) + CONSTANT)
    assert np.allclose(answers(machine, new), wanted_new, atol=1e-5)
    (unseen,), _ = unseen_answers(whole, 0.3, wanted, weight, [parts_of(60)])
    assert np.allclose(machine.unseen, unseen, atol=1e-5)


def test_the_better_penalty_is_taken_and_kept() -> None:
    columns, wanted = data()
    measure = Measure.of(columns)
    for fit in (fit_exactly, lambda *given: fit_by_marks(*given, at=np.arange(30))):
        losses = []
        for factor in (1000.0, 1.0):
            made = fit(columns, wanted, np.ones(60), parts_of(60), kernel(), measure, squared(wanted), (factor,))
            losses.append(squared(wanted)(made.unseen))
        both = fit(columns, wanted, np.ones(60), parts_of(60), kernel(), measure, squared(wanted), (1000.0, 1.0))
        assert losses[1] < losses[0] and squared(wanted)(both.unseen) == losses[1] and both.kernel.penalty == 0.3


def searched(columns: dict[str, np.ndarray], wanted: np.ndarray, **more: object) -> Kernel:
    cuts = [parts_of(len(wanted))]
    return Search(columns, wanted, np.ones(len(wanted)), cuts, squared(wanted), **more).best()  # type: ignore[arg-type]


def test_the_search_leaves_noise_alone_and_finds_what_only_two_modalities_tell_together() -> None:
    rng = np.random.default_rng(0)
    columns = {m: rng.normal(size=(200, 2)) for m in NAMES}
    together = (np.sign(columns["a"][:, :1]) * np.sign(columns["b"][:, :1])) + 0.1 * rng.normal(size=(200, 1))
    found = searched(columns, together)
    assert found.joint > 0 and found.part["c"] <= min(found.part["a"], found.part["b"]) / 4
    alone = searched(columns, columns["b"][:, :1] + 0.1 * rng.normal(size=(200, 1)))
    size = {m: alone.linear[m] + alone.bell[m] + alone.joint * alone.part[m] for m in NAMES}
    assert size["b"] > 10 * max(size["a"], size["c"])


def test_a_move_that_gains_less_than_is_asked_for_is_not_made() -> None:
    columns, wanted = data()
    search = Search(columns, wanted, np.ones(60), [parts_of(60)], squared(wanted))
    search._gain = 10.0
    assert search.best() in search._starts()


def test_a_search_whose_time_is_out_returns_a_start() -> None:
    columns, wanted = data()
    found = searched(columns, wanted, over=lambda: True)
    assert found.linear == dict.fromkeys(NAMES, 1 / 3) and found.joint == 0


def test_machines_answer_together_as_one_by_one() -> None:
    """One asks two blocks alone and together, one asks a third, one asks none: the rows are those of all."""
    columns, wanted = data()
    given = (columns, wanted, np.ones(60), parts_of(60))
    ask = {"linear": dict.fromkeys(NAMES, 0.1), "part": dict.fromkeys(NAMES, 0.0)}
    kernels = [
        kernel(),
        kernel(**ask, bell={"a": 0.0, "b": 0.0, "c": 1.0}, joint=0.0, width=0.3),
        kernel(**ask, bell=dict.fromkeys(NAMES, 0.0), joint=0.0),
    ]
    machines = [fit_exactly(*given, k, Measure.of(columns), lambda said: 0.0, (1.0,)) for k in kernels]
    places = {"a": slice(0, 3), "b": slice(3, 8), "c": slice(8, 10)}
    heard, (new, _) = (0.5, 2.0, 1.0), data(7, seed=1)
    bells = Bells.of(machines, places, heard)
    assert bells is not None and bells.weights.shape == (2, 4, 3) and bells.marks.shape == (60, 10)
    found = bells(torch.from_numpy(np.hstack(list(new.values()))).float())
    dots, distances = Measure.of(columns).between(new, columns)
    bare = {m: 0 * dot for m, dot in dots.items()}
    by_hand = [h * k.mix(bare, distances) @ m.dual for h, k, m in zip(heard, kernels, machines, strict=True)]
    assert np.allclose(found.numpy(), sum(by_hand), atol=1e-4)
    assert Bells.of(machines[2:], places, heard[2:]) is None
