"""Does attention help on these data? Fusions beside honest baselines, on the same folds."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from intermodal.data.alongside import unknown_targets
from intermodal.data.samples import Samples
from intermodal.errors import DataWarning, InputError, did_you_mean
from intermodal.learn import baselines as _baselines
from intermodal.learn.beginning import Shared
from intermodal.learn.comparison import Comparison
from intermodal.learn.scoring import find
from intermodal.learn.side_by_side import side_by_side
from intermodal.learn.splitting import Fold, Task, folds, given
from intermodal.learn.trials import Opened
from intermodal.learn.verdict import Row, Setting
from intermodal.spec import Spec

Make = Callable[[], Any]
Protocol = Literal["auto", "split", "cv"]
Progress = Callable[[int, int, str], None]

_ORDER = ("majority", "mean", "single", "best single", "concatenation", "late", "svm", "forest", "boosting")


def compare(
    X: Any,
    y: Any = None,
    groups: Any = None,
    *,
    fusions: Sequence[str | Spec | tuple[str, Make]] = ("none", "self", "cross"),
    baselines: Sequence[str | tuple[str, Make]] = ("majority", "best single", "concatenation"),
    task: Task | None = None,
    n_splits: int = 5,
    n_repeats: int = 1,
    split: Any = None,
    protocol: Protocol = "auto",
    scoring: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Comparison:
    """Compare fusions with and without attention, and baselines, on the user's own data.

    Every row is fitted and scored on the same folds; preprocessing and inner choices see training rows only. Several
    fusions train side by side, one a processor and no more than torch may use, each as it would alone, bit for bit. The
    constant predictor and the best single modality are always in the table. The rules of the verdict are in
    `intermodal.learn.verdict`.

    Args:
        X: samples, or anything `Samples.of` takes.
        y: the target (N,), or (N, outputs) for regression; None takes `X.y`. Samples without a target are left out.
        groups: one label per sample; a group never stands in train and test. None takes `X.groups`.
        fusions: specs, or pairs of a name and a function that returns an unfitted model of your own.
        baselines: names (`intermodal.learn.baselines`), or such pairs.
        task: classification or regression; None guesses from y.
        n_splits: folds per repetition.
        n_repeats: repetitions of the cross-validation.
        split: `train`, `valid` or `test` per sample; None takes `X.split` where that has several parts.
        protocol: `split` scores every row once on the test rows, and chooses by `valid` rows or by cross-validation
            inside the training rows; `cv` cross-validates over all rows; `auto` is `split` where there is one.
        scoring: accuracy (R2 in regression) unless named: `log loss`, `macro F1`, `AUC`, `RMSE` ...
        seed: folds, baselines and networks start from it.
        progress: called with (fits done or under way, fits in all, what begins next).
        **options: for `FusionClassifier` or `FusionRegressor`, for example `max_epochs=50`.

    Returns:
        The comparison: `.table`, `.differences`, `.verdict`, `.best`, `.report(path)`.

    Raises:
        InputError: the target, a name or an option cannot be used. A model that fails for another reason on a fold is
            recorded in the result and does not stop the others.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = {"text": rng.normal(size=(60, 3)), "video": rng.normal(size=(60, 5))}
        >>> result = compare(X, (X["text"][:, 0] > 0).astype(int), fusions=())
        >>> [row["name"] for row in result.table]
        ['majority', 'best single', 'concatenation']
    """
    samples = Samples.of(X, nan=options.get("nan", "error"))
    parts = _parts(samples, y, groups, split)
    task = guess_task(parts.y, task)
    score = find(scoring, task)
    makers = _baseline_makers(baselines, task, samples.names, seed)
    fused, notes = _fusion_makers(fusions, task, parts.samples, seed, options)
    makers += fused
    _check_names([m.name for m in makers])
    cuts, choosing, words = _folds(parts, protocol, task, n_splits, n_repeats, seed)
    rows = _run(makers, parts, cuts, choosing, task, progress)
    notes += [note for row in rows for note in _notes(row)]
    facts = {
        "task": task,
        "n_samples": len(parts.samples),
        "modalities": list(samples.names),
        "protocol": words,
        "seed": seed,
    }
    setting = Setting(score, cuts, cuts if choosing is None else choosing, parts.groups)
    return Comparison(tuple(rows), setting, facts, tuple(notes), tuple(_findings(fused, parts.samples)))


# --- the target -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parts:
    """Samples stripped of target and split (no model shall find them there), and what was stripped."""

    samples: Samples
    y: np.ndarray
    groups: np.ndarray | None
    split: np.ndarray | None


def _parts(samples: Samples, y: Any, groups: Any, split: Any) -> _Parts:
    y = samples.y if y is None else np.asarray(y)
    if y is None:
        raise InputError("compare() needs a target, however: y is None and the samples carry none")
    groups = samples.groups if groups is None else np.asarray(groups)
    if split is not None:
        split = np.asarray(split)
    elif samples.split is not None and len(np.unique(samples.split)) > 1:
        split = samples.split  # samples cut down to one part still carry its name, and that splits nothing
    for name, column in (("y", y), ("groups", groups), ("split", split)):
        if column is not None and len(column) != len(samples):
            raise InputError(
                f"{name} must have one entry per sample, however: {len(column)} for {len(samples)} samples"
            )
    bare = Samples({name: samples.modality(name) for name in samples.names}, nan="impute")
    unknown = unknown_targets(y)
    if unknown.any():
        message = f"{int(unknown.sum())} of {len(y)} samples have no target and were left out"
        warnings.warn(DataWarning(message), stacklevel=3)
        rows = np.flatnonzero(~unknown)
        if not rows.size:
            raise InputError("compare() needs a target, however: no sample has one")
        bare, y = bare[rows], y[rows]
        groups, split = (None if c is None else c[rows] for c in (groups, split))
    return _Parts(bare, y if y.dtype != object else np.array(y.tolist()), groups, split)


def guess_task(y: np.ndarray, task: Task | None = None) -> Task:
    """Return the task, guessed where it is not named: broken numbers, or many values, mean regression.

    Raises:
        InputError: the task is unknown or does not fit the target, or the target does not vary.

    Example:
        >>> guess_task(np.array([0.5, 1.25, 3.0]))
        'regression'
    """
    if task not in (None, "classification", "regression"):
        raise InputError(
            f'task is "classification" or "regression", however: "{task}"'
            + did_you_mean(str(task), ("classification", "regression"))
        )
    if len(y) == 0 or len(np.unique(y)) < 2:
        raise InputError(f"a target must vary, however: every label is {np.ravel(y)[0] if len(y) else 'missing'}")
    if task is None:
        numbers = y.dtype.kind in "fiu"
        broken = y.dtype.kind == "f" and not np.array_equal(y, np.round(y))
        many = numbers and len(np.unique(y)) > max(20, len(y) // 3)
        task = "regression" if y.ndim > 1 or broken or many else "classification"
    if task == "classification" and y.ndim > 1 and y.shape[1] > 1:
        raise InputError(f"classification needs one label per sample, however: {y.shape=}")
    if task == "regression" and y.dtype.kind not in "fiub":
        raise InputError(f"regression needs numbers, however: y holds {y.dtype}")
    return task


# --- the rows -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Maker:
    name: str
    kind: Literal["baseline", "fusion"]
    make: Make
    attends: bool = False
    simplicity: int = 0
    words: str = ""


def _baseline_makers(wanted: Any, task: Task, names: tuple[str, ...], seed: int) -> list[_Maker]:
    wanted = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    always = (_baselines.canonical("majority", task, names), "best single")
    own = [item for item in wanted if not isinstance(item, str)]
    named = [_baselines.canonical(item, task, names) for item in wanted if isinstance(item, str)]
    named = list(dict.fromkeys([*(a for a in always if a not in named), *named]))
    makers = []
    for name in sorted(named, key=_rank):
        makers.append(_Maker(name, "baseline", _baseline_maker(name, task, names, seed), simplicity=_rank(name)))
    for pair in own:
        name, make = _pair(pair)
        makers.append(_Maker(name, "baseline", make, simplicity=len(_ORDER)))
    return makers


def _baseline_maker(name: str, task: Task, names: tuple[str, ...], seed: int) -> Make:
    return lambda: _baselines.baseline(name, task, names, seed=seed)


def _rank(name: str) -> int:
    return _ORDER.index("single" if name.startswith("single:") else name)


def _fusion_makers(
    wanted: Any, task: Task, samples: Samples, seed: int, options: dict[str, Any]
) -> tuple[list[_Maker], list[str]]:
    makers: list[_Maker] = []
    notes: list[str] = []
    seen: dict[Spec, str] = {}
    for item in (wanted,) if isinstance(wanted, str | Spec) else tuple(wanted):
        if not isinstance(item, str | Spec):
            name, make = _pair(item)
            makers.append(_Maker(name, "fusion", make, attends=name != "none", simplicity=100 + (name != "none")))
            continue
        spec = Spec.parse(item, samples.names)
        if spec in seen:
            notes.append(f'"{item}" is the same fusion as "{seen[spec]}" on these modalities and was run once')
            continue
        seen[spec] = str(item)
        make = _network_maker(item, task, samples, seed, options)
        n_edges = len(spec.edges)
        words = Spec.parse(item).describe() if n_edges else spec.describe()
        makers.append(_Maker(str(item), "fusion", make, n_edges > 0, 100 + n_edges, words))
    return makers, notes


def _findings(makers: list[_Maker], samples: Samples) -> list[dict[str, str]]:
    """What the structure alone says against a fusion, each sentence once, with the fusions that it is true of."""
    from intermodal.explain.linting import lint

    found: dict[tuple[str, str], dict[str, str]] = {}
    who: dict[tuple[str, str], list[str]] = {}
    for maker in makers:
        for finding in lint(maker.make(), samples) if maker.words else []:
            key = (finding.id, finding.text)
            found[key] = finding.to_dict()
            who.setdefault(key, []).append(f'"{maker.name}"')
    return [f | {"text": f"{', '.join(who[key])}: {f['text']}"} for key, f in found.items()]


def _network_maker(fusion: str | Spec, task: Task, samples: Samples, seed: int, options: dict[str, Any]) -> Make:
    from intermodal.learn.estimators import FusionClassifier, FusionRegressor

    kind: Any = FusionClassifier if task == "classification" else FusionRegressor
    known = [name for name in inspect.signature(kind).parameters if name not in ("fusion", "seed")]
    for name in options:
        if name not in known:
            raise InputError(f'compare() and {kind.__name__} know no option "{name}"' + did_you_mean(name, known))
    settings = {"nan": "impute" if samples.has_nan else "error", **options}
    return lambda: kind(fusion=fusion, seed=seed, **settings)


def _pair(item: Any) -> tuple[str, Make]:
    if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) and callable(item[1])):
        raise InputError(f"a row is a name, or a pair of a name and a function, however: {item!r}")
    return item


def _check_names(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"every row needs its own name, however: {twice[0]!r} is there {names.count(twice[0])} times")


# --- the folds ------------------------------------------------------------------------------------


def _folds(
    parts: _Parts, protocol: Protocol, task: Task, n_splits: int, n_repeats: int, seed: int
) -> tuple[list[Fold], list[Fold] | None, str]:
    """The folds that are reported, the folds to choose by (None: the same), and the protocol in words."""
    if protocol not in ("auto", "split", "cv"):
        raise InputError(
            f'protocol is "auto", "split" or "cv", however: "{protocol}"'
            + did_you_mean(str(protocol), ("auto", "split", "cv"))
        )
    if protocol == "split" and parts.split is None:
        raise InputError('protocol="split" needs a split, however: neither the argument nor the samples have one')
    if protocol == "cv" or parts.split is None:
        cut = folds(parts.y, parts.groups, n_splits=n_splits, n_repeats=n_repeats, seed=seed, task=task)
        k = len(cut) // n_repeats
        words = f"{k}-fold cross-validation" + (f", {n_repeats} times" if n_repeats > 1 else "")
        return cut, None, words + (" by groups" if parts.groups is not None else "")
    own = given(parts.split)
    _check_train(parts, own.train, task)
    if own.valid is not None:
        choosing = [Fold(own.train, own.valid)]
        fit = np.union1d(own.train, own.valid)
        words = f"given split: fitted on {len(fit)}, tested on {len(own.test)}; chosen by {len(own.valid)} valid rows"
        return [Fold(fit, own.test)], choosing, words
    y, groups = parts.y[own.train], None if parts.groups is None else parts.groups[own.train]
    inner = folds(y, groups, n_splits=n_splits, n_repeats=n_repeats, seed=seed, task=task)
    choosing = [Fold(own.train[f.train], own.train[f.test], repeat=f.repeat) for f in inner]
    words = f"given split: fitted on {len(own.train)}, tested on {len(own.test)}; chosen by cross-validation inside"
    return [Fold(own.train, own.test)], choosing, words


def _check_train(parts: _Parts, train: np.ndarray, task: Task) -> None:
    if len(np.unique(parts.y[train])) < 2:
        what = "classes" if task == "classification" else "values"
        raise InputError(f"the train rows must hold at least 2 {what}, however: every label is {parts.y[train][0]}")


# --- running --------------------------------------------------------------------------------------


def _run(
    makers: list[_Maker],
    parts: _Parts,
    cuts: list[Fold],
    choosing: list[Fold] | None,
    task: Task,
    progress: Progress | None,
) -> list[Row]:
    choose = choosing or []
    which = [(fold, f"fold {i} of {len(part)}") for part in (choose, cuts) for i, fold in enumerate(part, 1)]
    total = len(makers) * len(which)

    def openings() -> Iterator[Callable[[], Opened]]:
        """Fold by fold, so that what fusions of a fold have in common is held no longer than that."""
        done = 0
        for fold, called in which:
            shared = Shared()
            for maker in makers:
                if progress is not None:
                    progress(done, total, f"{maker.name}, {called}")
                yield partial(
                    Opened,
                    maker.make,
                    parts.samples,
                    parts.y,
                    fold.train,
                    fold.test,
                    task=task,
                    groups=parts.groups,
                    shared=shared if maker.words else None,
                )
                done += 1

    trials = side_by_side(openings())
    rows = []
    for j, maker in enumerate(makers):
        own = trials[j :: len(makers)]
        chosen_by, reported = own[: len(choose)], own[len(choose) :]
        rows.append(
            Row(
                maker.name,
                maker.kind,
                reported,
                reported if choosing is None else chosen_by,
                maker.attends,
                maker.simplicity,
                maker.words,
            )
        )
    if progress is not None:
        progress(total, total, "done")
    return rows


def _notes(row: Row) -> list[str]:
    every = [*row.trials, *(row.choosing if row.choosing is not row.trials else ())]
    failed = [t.failure for t in every if t.failure is not None]
    notes = []
    if failed:
        notes.append(f'"{row.name}" failed in {len(failed)} of {len(every)} folds: {failed[0]}')
    return notes + [f'"{row.name}": {said}' for said in dict.fromkeys(w for t in every for w in t.warnings)]
