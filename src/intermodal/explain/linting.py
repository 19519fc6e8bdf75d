"""What is wrong with a fusion before any training: read from its structure and the shapes of samples alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from intermodal.errors import InputError
from intermodal.explain.counting import has_shapes, keys_along, shape_of, shapes_of, token_counts
from intermodal.explain.findings import Finding, finding, quoted, worst_first
from intermodal.explain.linting_torch import lint_torch
from intermodal.explain.reading_map import even_by_construction
from intermodal.nn.network import FusionNetwork
from intermodal.nn.textbook import BidirectionalCrossAttention, CrossAttention, SelfAttentionFusion
from intermodal.spec import Spec

Textbook = SelfAttentionFusion | CrossAttention | BidirectionalCrossAttention


def lint(model: Any, X: Any = None) -> list[Finding]:
    """Say what cannot work in a fusion, whatever it will learn.

    Nothing is trained and no value of X is read: only how many samples, tokens and columns there are, and what is
    missing. Without X nothing is said that depends on how long a sequence is.

    Args:
        model: a `FusionNetwork`, a textbook module, an estimator (one that is not fitted yet needs X), or any torch
            module that holds a `nn.MultiheadAttention`.
        X: samples as for `fit`; for a network a mapping name -> tensor, array or shape; for a textbook module or a
            `nn.MultiheadAttention` what it is called with, a tensor or shape, or a tuple of them.

    Returns:
        What was found, the worst first; nothing for a fusion that can work.

    Raises:
        InputError: nothing here holds attention, or samples are needed and are not given.

    Relation: `diagnose` looks at a trained model with samples; this needs neither training nor values.

    Example:
        >>> network = FusionNetwork("text -> video", {"text": 7, "video": 11}, d_model=8)
        >>> [(f.code, f.severity) for f in lint(network, {"text": (5, 7), "video": (5, 11)})]
        [('D11', 'warning'), ('', 'note')]
    """
    if hasattr(model, "untrained") and hasattr(model, "get_params"):
        return _estimator(model, X)
    if isinstance(model, FusionNetwork):
        return lint_network(model, X)
    if isinstance(model, SelfAttentionFusion | CrossAttention | BidirectionalCrossAttention):
        return worst_first(_textbook(model, X))
    if isinstance(model, nn.Module) and isinstance(getattr(model, "network", None), FusionNetwork):
        return lint_network(model.network, X)  # type: ignore[arg-type]
    if isinstance(model, nn.Module):
        return _module(model, X)
    raise InputError(f"lint reads an estimator or a torch module, however: {type(model).__name__}")


def lint_network(network: FusionNetwork, X: Any = None) -> list[Finding]:
    """As `lint`, for a `FusionNetwork`."""
    if X is not None and (swapped := list(_swapped(X))):
        return swapped
    found = [*_asked_twice(network.spec), *_outside(network), *even_by_construction(network.names, network.spec)]
    if network.spec.edges and not len(network.layers):
        found.append(
            finding(
                "nobody-can-ask",
                f'the fusion "{network.spec}" lets modalities ask, however: the network has no layer in which they can',
                layers=0,
            )
        )
    elif X is not None:
        found += edges_with_one_key(network, X)
    return worst_first(found)


# --- estimators -------------------------------------------------------------------------------------


def _estimator(model: Any, X: Any) -> list[Finding]:
    fitted = getattr(model, "model_", None) is not None
    if X is None and not fitted:
        raise InputError(
            f"a {type(model).__name__} that is not fitted needs samples, as lint(model, X), however: X=None"
        )
    if X is None:
        return lint_network(model.network_)
    if fitted:
        module, feed = model.prepared(X)
        return lint_network(module.network, feed.samples)
    module, samples = model.untrained(X)
    return lint_network(module.network, samples)


# --- a network --------------------------------------------------------------------------------------


def edges_with_one_key(network: FusionNetwork, X: Any) -> Iterator[Finding]:
    """Edges along which no sample has a choice; the residual keeps the query alive, so this is a warning."""
    counts = token_counts(network, X)
    alone = [e for e in network.spec.edges if keys_along(e, counts).max(initial=0) == 1]
    if alone:
        who = ", ".join(str(e) for e in alone)
        yield finding(
            "one-key",
            f"{who}: every query sees at most one key, so the softmax is constantly 1 and the query is ignored",
            keys=1,
            edges=len(alone),
            samples=len(next(iter(counts.values()))),
        )


def _swapped(X: Any) -> Iterator[Finding]:
    """Sequences whose second axis agrees where the first does not: the batch is on the second."""
    if not has_shapes(X):
        return
    shapes = {name: shape_of(x) for name, x in X.items()}
    sequences = {n: s for n, s in shapes.items() if len(s) == 3}
    firsts, seconds = ({s[i] for s in sequences.values()} for i in (0, 1))
    vectors = {s[0] for s in shapes.values() if len(s) == 2}
    beside = bool(vectors) and len(vectors | seconds) == 1 and not (vectors & firsts)
    if sequences and len(seconds) == 1 and (len(firsts) > 1 or beside):
        batch = next(iter(seconds))
        listed = ", ".join(f'"{n}" {s}' for n, s in sequences.items())
        yield finding(
            "batch-on-second-axis",
            f"the batch is the first axis, however: {listed} agree on the second, {batch}; samples would meet",
            batch=batch,
        )


def _asked_twice(spec: Spec) -> Iterator[Finding]:
    """A modality that asks the same one through several edges, outside the all-with-all of a joined side."""
    edges = [(q, c, e) for e in spec.edges for q in e.query_names for c in e.context_names]
    twice: dict[tuple[str, str], list[str]] = {}
    for query, context, edge in edges:
        twice.setdefault((query, context), []).append(str(edge))
    for (query, context), through in twice.items():
        if len(through) > 1:
            yield finding(
                "asked-twice",
                f'"{query}" asks "{context}" through {len(through)} edges, {" and ".join(through)}; their answers are '
                "averaged",
                edges=len(through),
            )


def _outside(network: FusionNetwork) -> Iterator[Finding]:
    named = set(network.spec.names)
    left = [name for name in network.names if name not in named]
    if left and named:
        verb = "take" if len(left) > 1 else "takes"
        yield finding(
            "outside-attention",
            f"{quoted(left)} {verb} no part in the attention: nobody asks there and nobody is asked",
            modalities=len(left),
        )


# --- textbook modules -------------------------------------------------------------------------------


def _textbook(model: Textbook, X: Any) -> Iterator[Finding]:
    if X is None:
        return
    shapes = shapes_of(X)
    wanted = 1 if isinstance(model, SelfAttentionFusion) else 2
    if len(shapes) != wanted or any(len(s) != 3 for s in shapes):
        raise InputError(
            f"a {type(model).__name__} is called with {wanted} tensors (batch, tokens, width), however: {shapes}"
        )
    if isinstance(model, CrossAttention):
        yield from _cross(model, shapes[1][1] * model.n_tokens)
        return
    names = model.names if isinstance(model, BidirectionalCrossAttention) else ("the tokens",)
    asked = dict(zip(names, (s[1] for s in shapes), strict=True))
    alone = [name for name, keys in asked.items() if keys == 1]
    if alone:
        yield finding(
            "one-key",
            f"asking {' and '.join(alone)}: every query sees one key, so each weight is exactly 1 and the query is "
            "ignored",
            keys=1,
        )


def _cross(model: CrossAttention, keys: int) -> Iterator[Finding]:
    if keys != 1:
        return
    yield finding(
        "one-key",
        "query -> context: every query sees one key, so each weight is exactly 1 and the query is ignored",
        severity="warning" if model.residual else "error",
        keys=1,
    )
    if not model.residual:
        yield finding(
            "cut-off",
            "the query cannot influence the output: there is one key, and no residual around the attention",
            keys=1,
        )


# --- any module -------------------------------------------------------------------------------------


def _module(model: nn.Module, X: Any) -> list[Finding]:
    parts = [m for m in model.modules() if isinstance(m, FusionNetwork | nn.MultiheadAttention)]
    known = [m for m in model.modules() if type(m).__module__.startswith("intermodal.")]
    if not parts and not known:
        raise InputError(
            f"lint reads a module that holds a FusionNetwork or a nn.MultiheadAttention, however: "
            f"{type(model).__name__} holds none"
        )
    networks = [lint_network(m) for m in parts if isinstance(m, FusionNetwork)]
    return worst_first(*networks, lint_torch(model, X))
