"""When does it happen: the attention of one modality on the tokens of another, in seconds, for one sample.

Shapes: Q tokens that ask, K columns of time (tokens, or bins of them), T tokens as they came, H heads of all members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from intermodal.attention import attend, mass
from intermodal.errors import InputError, did_you_mean
from intermodal.explain.opening import absent, as_in_prediction, opened
from intermodal.explain.seconds import Columns, bins_of, columns_of, spans_of
from intermodal.nn.fused import Asking
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Edge, Spec


class Moment(NamedTuple):
    """A stretch of time that is looked at: by which token, from when to when, and how much."""

    label: str
    start: float
    end: float
    weight: float
    times_even: float


@dataclass(frozen=True)
class Timeline:
    """Who looks when: the weights of one edge in one sample, with the time of every column.

    A row sums to 1 where the edge asks the context alone. Where it asks several modalities at once, a row sums to
    `share`, what of its attention went to this context: nothing is stretched to 1.

    Attributes:
        weights: (Q, K) float64; zeros in the row of a token that is absent, and in the column of a time that holds
            none that is there.
        times: (K, 2) start and end of every column, in `unit`.
        unit: "s", or "token" where no seconds were given.
        labels: (Q,) what the asking tokens are called.
        query: who asks.
        context: who is looked at.
        edge: the edge of the spec.
        sample: which sample.
        layer: which layer, counted from 0.
        head: which head, counted from 0 over all members; None for the mean over the heads.
        how: layer, heads and columns in words: "mean over 16 heads of layer 1".
        tokens: (K,) tokens of the context in each column that are there.
        n_keys: keys that the edge could look at, those of other modalities too.
    """

    weights: np.ndarray
    times: np.ndarray
    unit: str
    labels: tuple[str, ...]
    query: str
    context: str
    edge: str
    sample: int
    layer: int
    head: int | None
    how: str
    tokens: np.ndarray
    n_keys: int

    @property
    def even(self) -> np.ndarray:
        """(K,) the weight of every column if all keys were looked at alike."""
        return self.tokens / max(1, self.n_keys)

    @property
    def uniform(self) -> float:
        """The even weight of a column, 1 / K where every column holds one token and nothing else is asked."""
        return float(self.tokens.sum() / (max(1, self.n_keys) * (self.tokens > 0).sum()))

    @property
    def share(self) -> np.ndarray:
        """(Q,) how much of each row's attention went to this context; 0 for a token that is absent."""
        return self.weights.sum(1)

    def peak(self, row: int | str) -> tuple[float, float]:
        """Return when the column begins that a token looks at most, and its weight; of equal ones the first.

        Args:
            row: number of the token, from 0, or its label.

        Raises:
            InputError: there is no such token, its label stands twice, or it is absent.
        """
        at = self._row(row)
        column = int(self.weights[at].argmax())
        return float(self.times[column, 0]), float(self.weights[at, column])

    def top(self, k: int, row: int | str | None = None) -> list[Moment]:
        """Return the k columns that are looked at most, by one token or, without `row`, by any; the first comes first.

        Raises:
            InputError: as in `peak`.
        """
        rows = range(len(self.weights)) if row is None else [self._row(row)]
        spots = [(i, j) for i in rows for j in np.flatnonzero(self.weights[i]).tolist()]
        spots = sorted(spots, key=lambda spot: -self.weights[spot])[:k]
        return [self._moment(i, j) for i, j in spots]

    def binned(self, n: int) -> Timeline:
        """Return the timeline over n stretches of equal time, the weights of each summed; n or fewer columns stay.

        A column belongs to the stretch that holds its middle.
        """
        which, times = bins_of(self.times, n)
        if times is self.times:
            return self
        weights = np.zeros((len(self.weights), len(times)))
        np.add.at(weights.T, which, self.weights.T)
        tokens = np.bincount(which, self.tokens, minlength=len(times)).astype(int)
        return replace(self, weights=weights, times=times, tokens=tokens, how=f"{self.how}, summed in {n} bins")

    def _moment(self, i: int, j: int) -> Moment:
        start, end = self.times[j].tolist()
        weight = float(self.weights[i, j])
        return Moment(self.labels[i], start, end, weight, weight / float(self.even[j]))

    def _row(self, row: int | str) -> int:
        if isinstance(row, str):
            found = [i for i, label in enumerate(self.labels) if label == row]
            if not found:
                known = dict.fromkeys(self.labels)
                raise InputError(f'row is a token that asks, however: "{row}"' + did_you_mean(row, known))
            if len(found) > 1:
                raise InputError(f'row is one token that asks, however: "{row}" stands at {found}; give its number')
            row = found[0]
        if not -len(self.labels) <= row < len(self.labels):
            raise InputError(f"row is one of the {len(self.labels)} tokens that ask, however: {row=}")
        if not self.weights[row].any():
            raise InputError(f'row is a token that looks at "{self.context}", however: token {row} is absent')
        return int(row)


def timeline(
    model: Any,
    X: Any,
    *,
    query: str,
    context: str,
    sample: int,
    seconds: float | Sequence[Any] | np.ndarray | Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    layer: int = -1,
    head: int | None = None,
    edge: str | Edge | None = None,
    bins: int | None = None,
) -> Timeline:
    """Say when each token of one modality looks at another, in one sample.

    Tokens that an encoder joined (`stride`) become one column that covers them all, counted from the first that is
    there. A token of any encoder but `linear` has read its neighbours too.

    Args:
        model: a fitted estimator, a `FusionNetwork`, or a module that has one as `network`.
        X: samples as the estimator reads them; for a network name -> tensor, or a pair `(x, present)`.
        query: who asks.
        context: who is looked at.
        sample: position of the sample.
        seconds: when the tokens of the context are: seconds per token, (T,) their starts, or (T, 2) their starts and
            ends, in order but as irregular as they are; None numbers them. A mapping name -> such, as `explain`
            takes it, is read at the context.
        labels: (T,) what the tokens of the query are called.
        layer: which layer, counted from 0; -1 is the last.
        head: which head, counted from 0 over all members; None takes the mean, and `how` says so.
        edge: which edge, where query asks context through several; by default the one that asks the fewest.
        bins: at most so many columns of equal time. Above that the weights of single tokens are never built: what
            falls in each bin is its mass.

    Returns:
        The timeline.

    Raises:
        InputError: a name, number or length is not one of the model's or the sample's; the sample lacks one of the
            two; or its attention is not a number.

    Relation: `attention_map` says how much of the attention goes to which modality, over all samples; this looks
    inside one of them. `timeline(..., bins=n)` equals `timeline(...).binned(n)`.

    Example:
        >>> network = FusionNetwork("text -> video", {"text": 3, "video": 2}, d_model=8)
        >>> x = {"text": torch.randn(1, 2, 3), "video": torch.randn(1, 5, 2)}
        >>> seen = timeline(network, x, query="text", context="video", sample=0, seconds=0.5, labels=["the", "dog"])
        >>> seen.weights.shape, seen.times[-1], seen.uniform, seen.how
        ((2, 5), array([2. , 2.5]), 0.2, 'mean over 4 heads of layer 1')
        >>> start, weight = seen.peak("dog")
    """
    module, network, feed = opened(model, X, what="timeline")
    if not isinstance(network, FusionNetwork):
        raise InputError(f"timeline looks into a FusionNetwork, however: {type(network).__name__}")
    chosen = _edge(network.spec, network.names, query, context, edge)
    if not 0 <= sample < len(feed):
        raise InputError(f"sample is a position of the {len(feed)} samples, however: {sample=}")
    x, present = feed.batch(np.array([sample]))
    lacking = absent(x, present, (query, context))[0]
    for name, gone in zip((query, context), lacking.tolist(), strict=True):
        if gone:
            raise InputError(f'a timeline needs both sides, however: sample {sample} has no "{name}"')
    asks, asked = (columns_of(network, name, x[name], present.get(name)) for name in (query, context))
    seconds = seconds.get(context) if isinstance(seconds, Mapping) else seconds
    times = spans_of(asked, seconds, context)
    called = _labels(labels, asks, query)
    with as_in_prediction(module):
        asking = network.asking(x, present, edge=chosen, layer=layer)
        one = _one_head(asking, head, query)
        where = asking.context[context]
        which, stretches = bins_of(times, len(times) if bins is None else bins)
        if stretches is times:
            weights = attend(one.q, one.k, one.k, keep=one.keep, need_weights=True).weights
            assert weights is not None
            weights = weights[..., where.start : where.start + len(times)]
        else:
            segments = torch.full((one.k.shape[2],), -1)
            segments[where.start : where.start + len(times)] = torch.from_numpy(which)
            weights = mass(one.q, one.k, segments.to(one.k.device), len(stretches), keep=one.keep)
    there = asked.there.astype(float)
    seen = weights[0].cpu().double().mean(0).numpy()[: len(called)] * asks.there[:, None]
    if not np.isfinite(seen).all():
        raise InputError(
            f'weights are numbers, however: those of "{query}" on "{context}" in sample {sample} are not; look for NaN '
            "or infinite values in the sample, and in the weights of the model"
        )
    n_keys = one.k.shape[2] if asking.keep is None else int(asking.keep.sum())
    return Timeline(
        weights=seen,
        times=stretches,
        unit="token" if seconds is None else "s",
        labels=called,
        query=query,
        context=context,
        edge=str(chosen),
        sample=int(sample),
        layer=layer % len(network.layers),
        head=head,
        how=_how(network, layer, head, asking, chosen) + ("" if stretches is times else f", summed in {bins} bins"),
        tokens=np.bincount(which, there, minlength=len(stretches)).astype(int),
        n_keys=n_keys,
    )


def _edge(spec: Spec, names: tuple[str, ...], query: str, context: str, edge: str | Edge | None) -> Edge:
    """The edge through which the query asks the context."""
    for what, name in (("query", query), ("context", context)):
        if name not in names:
            raise InputError(f'{what} is a modality of the model, however: "{name}"' + did_you_mean(name, names))
    through = [e for e in spec.edges if query in e.query_names and context in e.context_names]
    if not through:
        raise InputError(f'"{query}" asks "{context}" in a timeline, however: {spec.describe() or "nobody asks"}')
    if edge is None:
        return min(through, key=lambda e: len(e.context_names))
    given = Spec.parse(str(edge), names).edges
    if len(given) != 1 or given[0] not in through:
        shown = ", ".join(f'"{e}"' for e in through)
        raise InputError(f'edge is one through which "{query}" asks "{context}": {shown}, however: "{edge}"')
    return given[0]


def _one_head(asking: Asking, head: int | None, query: str) -> Asking:
    """Only the rows of the query, and only the head that was asked for."""
    q, k, n = asking.q[:, :, asking.query[query]], asking.k, asking.q.shape[1]
    if head is not None:
        if not 0 <= head < n:
            raise InputError(f"head is one of the {n}, counted from 0, however: {head=}")
        q, k = q[:, head : head + 1], k[:, head : head + 1]
    return asking._replace(q=q, k=k)


def _labels(labels: Sequence[str] | None, asks: Columns, query: str) -> tuple[str, ...]:
    """One label a token: those of joined tokens stand beside each other."""
    n = len(asks.there)
    if labels is None:
        return (query,) if n == 1 else tuple(f"{query} {i + 1}" for i in range(n))
    if isinstance(labels, str) or len(labels) not in (asks.n_tokens, n):
        given = repr(labels) if isinstance(labels, str) else f"there are {len(labels)}"
        raise InputError(f'labels name the {asks.n_tokens} tokens of "{query}" one by one, however: {given}')
    if len(labels) == n:
        return tuple(map(str, labels))
    return tuple(" ".join(map(str, labels[start:end])) for start, end in asks.covers)


def _how(network: FusionNetwork, layer: int, head: int | None, asking: Asking, edge: Edge) -> str:
    """Layer and heads in words, and whether the context is asked with others."""
    n, depth = asking.q.shape[1], len(network.layers)
    members = f" ({network.n_members} members)" if network.n_members > 1 else ""
    which = f"layer {layer % depth + 1}" + (f" of {depth}" if depth > 1 else "")
    heads = f"mean over {n} heads" if head is None else f"head {head + 1} of {n}"
    if n == 1:
        heads = "the only head"
    return f"{heads}{members} of {which}" + (f", a part of {edge}" if len(edge.context_names) > 1 else "")
