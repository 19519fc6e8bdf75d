"""What is wrong with a trained attention, found on samples: exact checks first, then shares over many rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.errors import InputError
from intermodal.explain.attention_maps import attention_map
from intermodal.explain.capturing import capture
from intermodal.explain.counting import weights_per_sample
from intermodal.explain.findings import Finding, finding, worst_first
from intermodal.explain.linting import edges_with_one_key
from intermodal.explain.looking import may_choose
from intermodal.explain.observing import Observed, copied_keys, observe, often_missing
from intermodal.explain.opening import in_eval_mode
from intermodal.explain.probing import Probe, cut_off, differs_alone, looks_at_padding, samples_mix
from intermodal.explain.reading_map import attended_but_unused, even_by_construction
from intermodal.explain.row_statistics import ENOUGH, EVEN, RowStatistics, judged, too_even
from intermodal.explain.shapley_values import shapley as shapley_values
from intermodal.explain.standing import StandIn
from intermodal.nn.attention import Attention
from intermodal.nn.network import FusionNetwork

MOST_PLAYERS = 6
"""Modalities up to which worth is computed for a diagnosis when it is not given: 64 subsets."""
LITTLE_WORTH = 0.05
"""Share of the worth below which a modality counts as not used."""
PER_MODALITY = 8
"""Samples of each modality that one gradient is taken over."""
HEARD = 0.05
"""Share of the answer below which a network is not heard."""
BATCH, AT_ONCE, MOST_WEIGHTS = 32, 2**22, 2**28
"""Samples at a time, weights at a time, and weights in all: a long sequence has many."""


def diagnose(
    model: Any,
    X: Any,
    *,
    y: Any = None,
    attention: Any = None,
    shapley: Any = None,
    n: int = 256,
    batch_axis: int = 0,
) -> list[Finding]:
    """Look for attention that is broken, pointless or easily misread, with samples.

    A fitted estimator cannot mix samples or look at padding; it is checked for what the data and the training make of
    it. Any other model is called in eval mode on the batch: a sample is changed, padding is changed, a gradient is
    taken, and the weights of each attention inside are captured.

    Args:
        model: a fitted estimator; or a module or function of torch.
        X: samples; or for a module what it is called with: a tensor, a mapping name -> tensor, or a tuple of such. The
            second of a tuple says which tokens are there, where it is bool.
        y: the target of X, for an estimator: a model that predicts nothing is not worth explaining.
        attention: the `AttentionMap` of the estimator on these samples, where it is known already.
        shapley: its `Shapley`, likewise.
        n: samples to look at, spread evenly over X.
        batch_axis: the axis of the samples in the tensors of a module's batch.

    Returns:
        What was found, the worst first; nothing for a healthy model.

    Raises:
        InputError: the model cannot be called, or there is no sample.

    Relation: `lint` needs no samples and no training; `check_attention` reads weights that came as an array.

    Example:
        >>> late = nn.MultiheadAttention(8, 2)  # the first axis is the sequence
        >>> x = torch.randn(5, 7, 8)  # and here it is the batch
        >>> [f.code for f in diagnose(lambda x: late(x, x, x)[0], x)]
        ['D10']
    """
    if n < 1:
        raise InputError(f"n is a number of samples, 1 or more, however: {n=}")
    if hasattr(model, "prepared"):
        return _fitted(model, X, y, attention, shapley, n)
    if not callable(model):
        raise InputError(f"a fitted estimator, a module or a function is diagnosed, however: {type(model).__name__}")
    return _callable(model, X if isinstance(X, tuple) else (X,), batch_axis)


# --- an estimator -----------------------------------------------------------------------------------


def _fitted(model: Any, X: Any, y: Any, attention: Any, shapley: Any, n: int) -> list[Finding]:
    module, feed = model.prepared(X)
    if len(feed) == 0:
        raise InputError("at least one sample is diagnosed, however: X holds none")
    rows = spread(len(feed), n)
    spec, names = module.network.spec, tuple(module.network.names)
    if y is not None and len(y) != len(feed):
        raise InputError(f"y holds one target for each sample, however: {len(y)=}, and X holds {len(feed)}")
    found = [] if y is None else list(_predicts_nothing(model, X, y))
    if may_choose(names, spec) and len(names) <= MOST_PLAYERS:
        part = _Part(feed, rows)
        attention = attention_map(module, part) if attention is None else attention
        shapley = shapley_values(StandIn(model, module, part), X) if shapley is None else shapley
    untrained = never_better(getattr(model, "history_", None))
    found += examine(module, feed, rows, drawn=getattr(model, "drawn", None), untrained=untrained, shapley=shapley)
    if attention is not None and shapley is not None and not untrained:
        found += attended_but_unused(attention, shapley, spec)
    return worst_first(found)


def examine(
    module: Any,
    feed: Any,
    rows: np.ndarray,
    *,
    drawn: Any = None,
    untrained: bool = False,
    shapley: Any = None,
    most_weights: int = MOST_WEIGHTS,
) -> list[Finding]:
    """Diagnose a network that is at hand, on the samples at `rows`.

    Args:
        module: as `prepared` of an estimator returns it.
        feed: the samples as the module reads them.
        rows: which of them.
        drawn: returns the module as it was before its first step.
        untrained: no step made the module better, so it is as it was drawn.
        shapley: the worth of the modalities, where it is known.
        most_weights: weights to read in all; of long sequences fewer samples are looked at, and of one that alone has
            more, none.

    Returns:
        What was found, the worst first.
    """
    rows, batch_size = _affordable(module.network, feed, rows, most_weights)
    seen = observe(module, feed, rows, batch_size=batch_size)
    found = [*often_missing(seen.names, feed.samples), *copied_keys(seen), *_cut(module, feed, rows, seen)]
    found += _not_heard(module)
    if seen.rows:
        found += even_by_construction(seen.names, seen.spec)
        known = isinstance(module.network, FusionNetwork)
        found += edges_with_one_key(module.network, feed.samples) if known else _one_key(seen)
    if untrained and seen.rows and len(rows) >= ENOUGH:
        found.append(
            finding(
                "untrained",
                "no epoch was better on the held-out rows than the straight line alone: the attention is as it was "
                "drawn",
            )
        )
    elif not untrained:
        found += _judged(seen, shapley)
        found += _too_even(seen, feed, rows, batch_size, drawn)
    return worst_first(found)


def _not_heard(module: Any) -> Iterator[Finding]:
    """A network that counts next to nothing beside the experts."""
    if getattr(module, "experts", None) is not None and float(module.shares[0]) < HEARD:
        yield finding(
            "not-heard",
            f"the network counts {float(module.shares[0]):.2f} in the answer and the experts beside it "
            f"{float(module.shares[1]):.2f}: on the held-out rows they were better alone",
            network=float(module.shares[0]),
            experts=float(module.shares[1]),
        )


def _affordable(network: Any, feed: Any, rows: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """As many rows as their weights allow, and how many at a time."""
    if not isinstance(network, FusionNetwork) or not len(rows):
        return rows, BATCH
    each = max(1, weights_per_sample(network, feed.samples, rows))
    kept = spread(len(rows), max(most // each, 0)) if most // each < len(rows) else np.arange(len(rows))
    return rows[kept], int(np.clip(AT_ONCE // each, 1, BATCH))


def spread(total: int, n: int) -> np.ndarray:
    """Return up to n row numbers, spread evenly.

    Example:
        >>> spread(10, 4).tolist(), spread(3, 4).tolist()
        ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.unique(np.linspace(0, total - 1, min(total, n)).round().astype(np.int64))


def never_better(history: Any) -> bool:
    """Tell whether rows were held out and no epoch did better on them than the untrained network.

    Example:
        >>> never_better([{"valid_loss": 0.5, "best": False}]), never_better([{"valid_loss": None, "best": False}])
        (True, False)
    """
    lines = [line for line in history or [] if line.get("valid_loss") is not None]
    return bool(lines) and not any(line["best"] for line in lines)


def _one_key(seen: Observed) -> Iterator[Finding]:
    alone = {str(edge): None for (_, edge), rows in seen.rows.items() if rows.most_keys == 1}
    if alone:
        yield finding(
            "one-key",
            f"{', '.join(alone)}: every query sees at most one key, so the softmax is constantly 1 and the query is "
            "ignored",
            keys=1,
            samples=len(seen.present),
        )


def _judged(seen: Observed, shapley: Any) -> Iterator[Finding]:
    deep = max((depth for depth, _ in seen.rows), default=0) > 0
    for (depth, edge), rows in seen.rows.items():
        yield from judged(rows, f"{edge}, layer {depth + 1}" if deep else str(edge))
    worth = {} if shapley is None else {w["name"]: w for w in shapley.worth()}
    total = sum(w["mean"] for w in worth.values())
    for name, (share, even) in seen.neglected().items():
        text = f'"{name}" is hardly looked at: {share:.1%} of the attention where an even share is {even:.0%}, and in '
        text += "every head little"
        numbers: dict[str, Any] = {"attention": share, "even": even}
        if name not in worth or total == 0:
            yield finding("never-attended", text, **numbers)
            continue
        part, high = worth[name]["mean"] / total, worth[name]["high"] / total
        numbers |= {"worth": part, "worth_high": high}
        if high < LITTLE_WORTH:
            yield finding("never-attended", f"{text}; nor is it used: its worth is {part:.1%}", **numbers)
        else:
            text += f"; yet it is used: its worth is {part:.0%}, through its own tokens"
            yield finding("never-attended", text, severity="note", **numbers)


def _too_even(seen: Observed, feed: Any, rows: np.ndarray, batch_size: int, drawn: Any) -> Iterator[Finding]:
    known = [r for r in seen.rows.values() if r.enough]
    if not known or float(np.mean([r.entropy for r in known])) <= EVEN:
        return
    start = None
    if drawn is not None:
        dtype = next(iter(feed.batch(rows[:1])[0].values())).dtype
        early = observe(drawn().to(feed.device, dtype), feed, rows, batch_size=batch_size)
        before = [r for r in early.rows.values() if r.enough]
        start = float(np.mean([r.entropy for r in before])) if before else None
    yield from too_even(known, start)


def _cut(module: Any, feed: Any, rows: np.ndarray, seen: Observed) -> Iterator[Finding]:
    """One gradient, over a few samples of each modality."""
    if len(seen.names) < 2:
        return
    some = [np.flatnonzero(seen.present[:, i])[:PER_MODALITY] for i in range(len(seen.names))]
    picked = rows[np.unique(np.concatenate(some))]
    if not len(picked):
        return
    x, present = feed.batch(picked)
    declared = {name: bool(seen.present[:, i].any()) for i, name in enumerate(seen.names)}
    answer = _Outputs(module)
    yield from cut_off(Probe(answer, (dict(x), dict(present))), declared=declared)


def _predicts_nothing(model: Any, X: Any, y: Any) -> Iterator[Finding]:
    """A model that is no better than always answering the same."""
    y = np.asarray(y)
    if len(y) < ENOUGH or (y.dtype.kind == "f" and not np.isfinite(y).all()) or len(np.unique(y)) < 2:
        return
    score = float(model.score(X, y))
    if hasattr(model, "predict_proba"):
        constant = float(np.unique(y, return_counts=True)[1].max()) / len(y)
        what = f"its accuracy is {score:.1%}, and always answering the most common class has {constant:.1%}"
    else:
        constant, what = 0.0, f"its R2 is {score:.3f}"
    if score <= constant:
        yield finding(
            "predicts-nothing",
            f"the model predicts no better than a constant: {what}",
            score=score,
            constant=constant,
        )


class _Outputs:
    """The outputs of a module alone, for a probe; of a model with experts beside its network, without them."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __call__(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        alone = {} if getattr(self.module, "experts", None) is None else {"experts": False}
        answer: Tensor = self.module(x, present, **alone).outputs
        return answer


class _Part:
    """Some rows of a feed, as a feed."""

    def __init__(self, feed: Any, rows: np.ndarray) -> None:
        self.feed, self.rows = feed, rows

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: np.ndarray) -> Any:
        return self.feed.batch(self.rows[rows])

    def in_order(self, rows: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
        yield from self.feed.in_order(rows, batch_size)


# --- any model --------------------------------------------------------------------------------------


def _callable(model: Any, batch: tuple[Any, ...], axis: int) -> list[Finding]:
    probe = Probe(model, batch, axis=axis)
    if probe.n == 0:
        raise InputError("at least one sample is diagnosed, however: the batch holds none")
    found = list(samples_mix(probe))
    found += [] if found else differs_alone(probe)
    found += looks_at_padding(probe)
    found += cut_off(probe)
    if isinstance(model, nn.Module):
        found += _heard(model, probe, cut=any(f.id == "cut-off" for f in found))
    return worst_first(found)


def _heard(model: nn.Module, probe: Probe, *, cut: bool) -> Iterator[Finding]:
    inside = dict(model.named_modules())
    returns_dropped = {
        n or type(model).__name__
        for n, m in inside.items()
        if isinstance(m, nn.MultiheadAttention) and m.training and m.dropout
    }
    try:
        with capture(model) as calls:
            probe.answer(probe.batch)
    except InputError:  # it holds no attention that is known here
        return
    dropping = [name for name in dict.fromkeys(h.name for h in calls) if name in returns_dropped]
    if dropping:
        yield finding(
            "dropout-in-weights",
            f"{', '.join(dropping)}: the module is in training mode, so the weights that it returns are those after "
            "dropout",
            modules=len(dropping),
        )
    for name in dict.fromkeys(h.name for h in calls):
        own = [h for h in calls if h.name == name]
        rows = RowStatistics()
        for h in own:
            rows.add(h.weights)
        if all(bool(((h.weights == 1) | (h.weights == 0)).all()) for h in own) and rows.most_keys == 1:
            gradient = _asking_gradient(probe, inside.get(name, model))
            said = "" if gradient is None else f"; the largest gradient of its projections is {gradient:.1g}"
            yield finding(
                "one-key",
                f"{name}: each weight is exactly 1, so the query is ignored{said}",
                severity="error" if cut else "warning",
                keys=1,
                gradient=gradient,
            )
        else:
            yield from judged(rows, name)


def _asking_gradient(probe: Probe, attention: nn.Module) -> float | None:
    """The largest gradient in the projections of queries and keys; None where they do not learn."""
    learns = [p for p in _asking(attention) if p.requires_grad]
    answer = probe.traced(probe.batch) if learns else None
    if answer is None or not answer.requires_grad:
        return None
    weight = torch.linspace(-1, 1, answer.numel(), dtype=answer.dtype, device=answer.device).reshape(answer.shape)
    with in_eval_mode(probe.model):
        gradients = torch.autograd.grad((answer * weight).sum(), learns, allow_unused=True)
    parts = [g[: 2 * g.shape[1]] if len(learns) == 1 else g for g in gradients if g is not None]  # q and k, not v
    return max((float(g.abs().max()) for g in parts), default=0.0)


def _asking(attention: nn.Module) -> tuple[Tensor, ...]:
    if isinstance(attention, Attention):
        return attention.q_proj.weight, attention.k_proj.weight
    if not isinstance(attention, nn.MultiheadAttention):
        return ()
    joined = attention.in_proj_weight
    return (attention.q_proj_weight, attention.k_proj_weight) if joined is None else (joined,)
