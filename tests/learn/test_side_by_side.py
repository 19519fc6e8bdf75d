"""Many models at once answer as one model after the other, and say of each what it would have said alone."""

import threading
from functools import partial
from typing import Any

import numpy as np
import pytest

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.kernel import step as kernel
from intermodal.learn import side_by_side as module
from intermodal.learn.baselines import baseline
from intermodal.learn.beginning import Begun, Shared
from intermodal.learn.compare import compare
from intermodal.learn.estimators import FusionClassifier, FusionRegressor
from intermodal.learn.side_by_side import n_workers, side_by_side
from intermodal.learn.splitting import folds
from intermodal.learn.trials import Opened, Trial, run_trial

N = 61
needs_it = pytest.mark.skipif(not kernel.built(), reason="no compiler was there when the package was installed")
SHORT = {"max_epochs": 3, "d_model": 16, "n_heads": 2, "n_members": 2}


def table(seed: int = 0) -> tuple[Samples, np.ndarray]:
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(N, 3))
    audio = [None if i % 7 == 2 else rng.normal(size=5) for i in range(N)]
    return Samples({"text": text, "audio": audio}), (text[:, 0] + 0.5 * rng.normal(size=N) > 0).astype(int)


X, Y = table()
ROWS = np.arange(N)


def same(one: Trial, other: Trial) -> None:
    assert one.failure == other.failure and one.warnings == other.warnings
    assert one.scores == other.scores and one.n_parameters == other.n_parameters
    for a, b in ((one.predictions.predicted, other.predictions.predicted),) if one.predictions else ():
        np.testing.assert_array_equal(a, b)
    if one.predictions and one.predictions.probabilities is not None:
        np.testing.assert_array_equal(one.predictions.probabilities, other.predictions.probabilities)


@needs_it
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_folds_seeds_and_specs_answer_as_each_would_alone(
    task: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "n_workers", lambda: workers)
    y = Y if task == "classification" else X.modality("text").values[:, 1] + Y
    groups = np.arange(N) // 2
    kind = FusionClassifier if task == "classification" else FusionRegressor
    specs = ["none", "cross", "text -> audio", "audio -> text"]
    told: list[tuple[int, int, str]] = []
    result = compare(
        X, y, groups, fusions=specs, n_splits=2, n_repeats=2, progress=lambda *call: told.append(call), **SHORT
    )
    cuts = folds(y, groups, n_splits=2, n_repeats=2, seed=0, task=task)
    rows = {row.name: row.trials for row in result.rows}
    for spec in specs:
        for trial, fold in zip(rows[spec], cuts, strict=True):
            make = partial(kind, spec, seed=0, **SHORT)
            same(trial, run_trial(make, X, y, fold.train, fold.test, task=task, groups=groups))
    assert [call[0] for call in told] == list(range(len(result.rows) * 4 + 1))


def opening(spec: str = "cross", shared: Shared | None = None, **settings: Any) -> Any:
    make = partial(FusionClassifier, spec, **SHORT | settings)
    return partial(Opened, make, X, Y, ROWS[:40], ROWS[40:], task="classification", shared=shared or Shared())


@needs_it
def test_trainings_run_in_other_threads_and_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    both, threads = threading.Barrier(2, timeout=20), set()
    run = Begun.run

    def together(self: Begun, stop: Any = None) -> None:
        both.wait()  # a training that ran alone would wait here for ever
        threads.add(threading.current_thread())
        run(self, stop)

    monkeypatch.setattr(Begun, "run", together)
    trials = side_by_side([opening() for _ in range(4)], workers=2)
    assert [t.failure for t in trials] == [None] * 4
    assert len(threads) == 2 and threading.main_thread() not in threads


@needs_it
def test_a_trial_hears_its_own_warnings_and_those_of_what_it_shares() -> None:
    shared = Shared()
    quiet, loud = opening("self", shared), opening("text -> audio", shared, n_tokens=1)
    trials = side_by_side([loud, quiet, loud], workers=3)
    assert [any("OneKeyWarning" in w for w in t.warnings) for t in trials] == [True, False, True]
    assert trials[0].warnings == trials[2].warnings


def test_what_is_shared_is_made_once_and_warns_every_time() -> None:
    made = []

    def make() -> int:
        made.append(1)
        import warnings

        warnings.warn("thin ice", UserWarning, stacklevel=2)
        return 7

    shared = Shared()
    for _ in range(3):
        with pytest.warns(UserWarning, match="thin ice"):
            assert shared.once(make) == 7
    assert made == [1]


@needs_it
@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_that_breaks_fails_alone(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Begun.run

    def breaks(self: Begun, stop: Any = None) -> None:
        if not self.model.network.spec.edges:
            raise ArithmeticError("no luck")
        run(self, stop)

    monkeypatch.setattr(Begun, "run", breaks)
    trials = side_by_side([opening("cross"), opening("none"), opening("cross")], workers=workers)
    assert [t.failure for t in trials] == [None, "ArithmeticError: no luck", None]
    same(trials[0], trials[2])


@needs_it
def test_an_input_that_cannot_be_used_stops_everything() -> None:
    long = opening(max_epochs=5_000, patience=5_000)()
    with pytest.raises(InputError, match="dropout"):
        side_by_side([lambda: long, opening(dropout=2.0)], workers=2)
    assert isinstance(long._broken, InterruptedError)
    assert not any(t.name.startswith("intermodal") for t in threading.enumerate())


@needs_it
def test_trials_come_in_the_order_of_their_openings() -> None:
    mean = partial(baseline, "majority", "classification", X.names)
    quick = partial(Opened, mean, X, Y, ROWS[:40], ROWS[40:], task="classification")
    trials = side_by_side([opening(), quick, opening("none"), quick], workers=2)
    assert [t.n_parameters > 2 for t in trials] == [True, False, True, False]


def test_who_wants_to_be_called_is_called_in_the_main_thread() -> None:
    threads = set()
    make = opening(callback=lambda line: threads.add(threading.current_thread()))
    side_by_side([make, make], workers=2)
    assert threads == {threading.main_thread()}


def test_sequences_are_trained_one_by_one() -> None:
    samples = Samples({"text": np.random.default_rng(0).normal(size=(N, 4, 3))})
    make = partial(FusionClassifier, "self", **SHORT)
    opened = Opened(make, samples, Y, ROWS[:40], ROWS[40:], task="classification", shared=Shared())
    assert not opened.aside
    (trial,) = side_by_side([lambda: opened], workers=2)
    same(trial, run_trial(make, samples, Y, ROWS[:40], ROWS[40:], task="classification"))


@pytest.mark.parametrize(("processors", "threads", "workers"), [(3, 8, 3), (8, 2, 2), (8, 1, 1), (1, 4, 1)])
def test_workers_are_as_many_as_processors_and_threads_of_torch(
    processors: int, threads: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(processors)), raising=False)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    assert n_workers() == workers
