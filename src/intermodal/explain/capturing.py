"""Capture the attention inside a model that somebody else wrote, as it runs, without changing its answer.

Shapes: B batch, H heads, Q queries, K keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from intermodal.errors import InputError, did_you_mean
from intermodal.explain.provenance import Provenance
from intermodal.explain.recomputing import Recomputed, of_encoder_layer, of_layer, of_ours, of_torch
from intermodal.explain.watching import Listener, leave, listen
from intermodal.nn.attention import Attention
from intermodal.nn.layer import FusionLayer
from intermodal.spec import Edge

Reader = Callable[..., list[Recomputed]]

REMEDY = (
    "hand its weights to from_arrays; a Hugging Face model gives them when it is loaded with "
    'attn_implementation="eager" and called with output_attentions=True'
)


@dataclass(frozen=True)
class Seen:
    """One call of one attention layer.

    Attributes:
        name: the layer in the model; an edge of a `FusionLayer` stands behind it in brackets.
        call: how often this layer had been called in the context, from 1.
        kind: `self`: the queries are the keys; `cross`: they are not (other lengths, widths or numbers);
            `unknown`: other numbers of one length, which may be the same tokens.
        weights: (B, H, Q, K) float32 or wider, each head by itself, before dropout, zeros in the row of a query that
            may look nowhere. They are on the processor and carry no gradient. In an ensemble of this package the
            members lie along the batch, member by member.
        keep: bool, True where attention might look, broadcasts over the weights; None: everywhere.
        training: the layer was in training mode.
        dropout: the probability with which it dropped weights in this call.
        dtype: of the layer's queries.
        sequence_axis: the axis of the query that was read as the sequence.
        batch_axis: the axis that was read as the batch, or None.
        masks: what hid keys, by the name that the layer gives it.
        appended: the keys that the layer put behind those that came: `bias_k`, `zero`.
        notes: what is odd in the call, one sentence each.
        edge: the edge, in a `FusionLayer`.
    """

    name: str
    call: int
    kind: str
    weights: Tensor
    keep: Tensor | None
    training: bool
    dropout: float
    dtype: str
    sequence_axis: int
    batch_axis: int | None
    masks: tuple[str, ...] = ()
    appended: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    edge: Edge | None = None

    @property
    def batch_first(self) -> bool:
        """True when axis 0 was read as the batch."""
        return self.batch_axis == 0

    @property
    def axes(self) -> str:
        """Which axis was read as what, with its length: a swapped pair is seen here.

        With `batch_first=False`, torch's default, a (batch, tokens, width) tensor lets samples attend to each other.
        """
        b, _, q, _ = self.weights.shape
        batch = "no batch axis" if self.batch_axis is None else f"axis {self.batch_axis} as the batch ({b})"
        return f"axis {self.sequence_axis} read as the sequence ({q}), {batch}"

    @property
    def provenance(self) -> Provenance:
        """Where these weights come from."""
        return Provenance(self.name, self.kind, self.training, self.dtype, "each", (self.axes, *self.notes))


class Capture:
    """The context that `capture` returns; it may be entered again, and forgets nothing by itself."""

    def __init__(self, model: nn.Module, layers: Sequence[str] | None = None) -> None:
        self.model = model
        self.seen: list[Seen] = []
        self._watched = _choose(_watchable(model), layers)
        self._fused = _in_one_piece(model, self._watched)
        self._calls = dict.fromkeys(self._watched, 0)
        self._runs = 0
        self._entered: list[tuple[list[tuple[nn.Module, Listener]], int, int]] = []  # listening, runs and calls so far

    @property
    def names(self) -> tuple[str, ...]:
        """The layers that are watched, in the order of the model."""
        return tuple(self._watched)

    def of(self, name: str) -> list[Seen]:
        """Return the calls of one layer, in order; of a `FusionLayer` those of every edge."""
        if name not in self._watched:
            known = did_you_mean(name, self._watched)
            raise InputError(f'a captured layer is asked for by its name, however: "{name}"{known}')
        return [s for s in self.seen if s.name == name or (s.edge is not None and s.name == f"{name} [{s.edge}]")]

    def clear(self) -> None:
        """Forget what was seen, so that a long run does not fill the memory."""
        self.seen.clear()

    @property
    def n_bytes(self) -> int:
        """What the weights take in memory."""
        return sum(s.weights.element_size() * s.weights.numel() for s in self.seen)

    def __len__(self) -> int:
        return len(self.seen)

    def __iter__(self) -> Iterator[Seen]:
        return iter(self.seen)

    def __getitem__(self, i: int) -> Seen:
        return self.seen[i]

    def __enter__(self) -> Capture:
        listening: list[tuple[nn.Module, Listener]] = []
        if not self._entered:  # entered twice at once, it still records once
            listening = [(module, self._recorder(name)) for name, module in self._watched.items()]
            listening += [(layer, self._past(name, layer)) for name, layer in self._fused.items()]
            listening.append((self.model, self._run))
            for module, listener in listening:
                listen(module, listener)
        self._entered.append((listening, self._runs, sum(self._calls.values())))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        listening, runs, calls = self._entered.pop()
        for module, listener in reversed(listening):
            leave(module, listener)
        if error is None and listening and self._runs > runs and sum(self._calls.values()) == calls:
            raise InputError(
                "the model calls its attention layers, however: it ran, and called none of "
                f"{', '.join(self._watched)}; it may attend by a function of its own: {REMEDY}"
            )

    def _run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[[], None]:
        def done() -> None:
            self._runs += 1

        return done

    def _recorder(self, name: str) -> Listener:
        module = self._watched[name]
        reader = READERS[_known(module)]

        def listener(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[[], None]:
            return lambda: self._record(name, module, module, reader, args, kwargs)

        return listener

    def _past(self, name: str, layer: nn.Module) -> Listener:
        """An encoder layer runs in one piece when nobody needs gradients, and its attention is never called."""
        attention = self._watched[name]

        def listener(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[[], None]:
            before = self._calls[name]

            def done() -> None:
                if self._calls[name] == before:
                    self._record(name, attention, layer, of_encoder_layer, args, kwargs)

            return done

        return listener

    def _record(
        self,
        name: str,
        attention: nn.Module,
        module: nn.Module,
        reader: Reader,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        self._calls[name] += 1
        asking = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            if attention.training and asking is not None:  # what is drawn here must not be missing later
                gpus = [asking.device] if asking.device.type == "cuda" else []
                stack.enter_context(torch.random.fork_rng(gpus))
            found = reader(module, args, kwargs)
        dropout = float(getattr(attention, "dropout", 0.0)) if not isinstance(attention, FusionLayer) else 0.0
        for r in found:
            self.seen.append(
                Seen(
                    name=name if r.edge is None else f"{name} [{r.edge}]",
                    call=self._calls[name],
                    kind=r.kind,
                    weights=r.weights.cpu(),
                    keep=None if r.keep is None else r.keep.cpu(),
                    training=attention.training,
                    dropout=dropout if attention.training else 0.0,
                    dtype="unknown" if asking is None else str(asking.dtype).removeprefix("torch."),
                    sequence_axis=r.sequence_axis,
                    batch_axis=r.batch_axis,
                    masks=r.masks,
                    appended=r.appended,
                    notes=r.notes,
                    edge=r.edge,
                )
            )


READERS: dict[type[nn.Module], Reader] = {nn.MultiheadAttention: of_torch, Attention: of_ours, FusionLayer: of_layer}


def capture(model: nn.Module, *, layers: Sequence[str] | None = None) -> Capture:
    """Record who looks where in a model, while it runs inside the `with`.

    Every `nn.MultiheadAttention`, `intermodal.nn.Attention` and `intermodal.nn.FusionLayer` of the model is watched,
    in training and evaluation, with and without gradients, also where torch runs an encoder layer in one piece. The
    weights are worked out beside the layer from the same inputs, so that the model's own answer stays the same, bit
    for bit. Each call takes B x H x Q x K numbers of memory: name the `layers` that matter, or `clear` now and then.

    Args:
        model: any module that holds attention.
        layers: the names of the layers to watch, as in `model.named_modules()`; all by default.

    Returns:
        A context; inside it and after it, `for seen in capture`, `capture[i]` and `capture.of(name)` give the calls.

    Raises:
        InputError: the model holds no attention that is known here, or one with a forward of its own; it is compiled,
            scripted or spread over devices; or, on leaving, it ran and called none of its attention layers.

    Relation: a model that attends by functions of its own gives its weights to `from_arrays`. A `FusionNetwork`
    returns its weights itself (`need_weights="layers"`).

    Example:
        >>> encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2).eval()
        >>> with capture(encoder) as seen, torch.no_grad():
        ...     _ = encoder(torch.randn(3, 5, 8))
        >>> [(s.name, s.kind, tuple(s.weights.shape)) for s in seen]
        [('layers.0.self_attn', 'self', (3, 2, 5, 5)), ('layers.1.self_attn', 'self', (3, 2, 5, 5))]
        >>> seen[0].axes
        'axis 1 read as the sequence (5), axis 0 as the batch (3)'
    """
    return Capture(model, layers)


def _watchable(model: nn.Module) -> dict[str, nn.Module]:
    """Every attention of the model, by name."""
    if not isinstance(model, nn.Module):
        raise InputError(f"a torch module is captured, however: {type(model).__name__}")
    found: dict[str, nn.Module] = {}
    inside: set[nn.Module] = set()
    for name, module in model.named_modules():
        _refuse_unseen(name, module)
        if isinstance(module, FusionLayer):
            inside |= set(module.attention)  # the layer asks with their projections, and never calls them
        if any(isinstance(module, kind) for kind in READERS) and module not in inside:
            found[name or type(model).__name__] = module
    if not found:
        raise InputError(
            "a model is captured that holds nn.MultiheadAttention or intermodal.nn.Attention, however: "
            f"{type(model).__name__} holds neither; {REMEDY}"
        )
    return found


def _refuse_unseen(name: str, module: nn.Module) -> None:
    where = f'"{name}"' if name else "the model"
    if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
        raise InputError(f"a module is captured before it is compiled, however: {where} is compiled")
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError(f"a module is captured as Python runs it, however: {where} is scripted")
    if isinstance(module, nn.DataParallel):
        raise InputError(f"a module is captured on one device, however: {where} is a DataParallel; capture its .module")


def _choose(found: dict[str, nn.Module], layers: Sequence[str] | None) -> dict[str, nn.Module]:
    for name in layers or ():
        if name not in found:
            raise InputError(f'layers are attention layers of the model, however: "{name}"{did_you_mean(name, found)}')
    chosen = found if layers is None else {name: module for name, module in found.items() if name in layers}
    for name, module in chosen.items():
        known = _known(module)
        if type(module).forward is not known.forward:
            others = ", ".join(n for n, m in chosen.items() if type(m).forward is _known(m).forward)
            raise InputError(
                f'a layer with the forward of {known.__name__} is captured, however: "{name}" is a '
                f"{type(module).__name__} with its own" + (f"; layers= names others: {others}" if others else "")
            )
    return chosen


def _known(module: nn.Module) -> type[nn.Module]:
    return next(kind for kind in READERS if isinstance(module, kind))


def _in_one_piece(model: nn.Module, watched: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """The encoder layers that torch may run past their attention, by the name of that attention."""
    names: dict[Any, str] = {module: name for name, module in watched.items()}
    return {
        names[layer.self_attn]: layer
        for layer in model.modules()
        if isinstance(layer, nn.TransformerEncoderLayer)
        and type(layer).forward is nn.TransformerEncoderLayer.forward
        and layer.self_attn in names
    }
