"""The weights of one attention call, worked out again beside it from the same inputs, in float32 or wider.

Shapes: B batch, H heads, Q queries, K keys, D width of a head, T tokens, E width.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.attention import attend, causal_keep
from intermodal.nn.attention import Attention
from intermodal.nn.layer import FusionLayer
from intermodal.spec import Edge

_TORCH = inspect.signature(nn.MultiheadAttention.forward)
_ENCODER = inspect.signature(nn.TransformerEncoderLayer.forward)
_OURS = inspect.signature(Attention.forward)
_LAYER = inspect.signature(FusionLayer.forward)


@dataclass(frozen=True)
class Recomputed:
    """Weights (B, H, Q, K), and what was learned about the call on the way."""

    weights: Tensor
    kind: str
    keep: Tensor | None
    sequence_axis: int
    batch_axis: int | None
    masks: tuple[str, ...] = ()
    appended: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    edge: Edge | None = None


def of_torch(module: nn.MultiheadAttention, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Recomputed]:
    """The weights of a call of `nn.MultiheadAttention`, whatever kernel it ran on.

    Here a boolean mask is True where attention may *not* look; a float mask is added to the scores.
    """
    given = _bound(_TORCH, module, args, kwargs)
    query, key, value = given["query"], given["key"], given["value"]
    kind, there = _kind(query, key, value), None
    if query.is_nested:  # samples of their own lengths: padded here, and a place that is not there asks nobody
        query, there = _padded(query)
        key, key_there = (query, there) if given["key"] is given["query"] else _padded(key)
    sequence, batch = (0, None) if query.ndim == 2 else (1, 0) if module.batch_first else (0, 1)
    if query.ndim == 2:
        query, key = query[None], key[None]
    elif not module.batch_first:
        query, key = query.transpose(0, 1), key.transpose(0, 1)
    q, k, appended = _project(module, query, key)
    masks = _Masks((len(q), module.num_heads, q.shape[2], key.shape[1]), q.dtype)
    masks.padding(given["key_padding_mask"])
    masks.blocking(given["attn_mask"], given["is_causal"], given["need_weights"])
    keep, bias = masks.with_keys(k.shape[2] - key.shape[1])
    if there is not None:
        nested = there[:, None, :, None] & key_there[:, None, None]
        keep = nested if keep is None else keep & nested
    weights = _weights(q, k, keep, bias)
    return [Recomputed(weights, kind, keep, sequence, batch, tuple(masks.used), appended, tuple(masks.notes))]


def of_encoder_layer(
    layer: nn.TransformerEncoderLayer, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[Recomputed]:
    """The weights of a `nn.TransformerEncoderLayer` that ran in one piece, past its attention module."""
    given = _bound(_ENCODER, layer, args, kwargs)
    x = given["src"]
    if layer.norm_first:
        x = layer.norm1.forward(x)
    masks = {"attn_mask": given["src_mask"], "key_padding_mask": given["src_key_padding_mask"]}
    return of_torch(layer.self_attn, (x, x, x), masks | {"need_weights": False})


def of_ours(module: Attention, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Recomputed]:
    """The weights of a call of `intermodal.nn.Attention`."""
    given = _bound(_OURS, module, args, kwargs)
    query = given["query"]
    context = query if given["context"] is None else given["context"]
    value = context if given["value"] is None else given["value"]
    q, k = module.split(module.q_proj.forward(query)), module.split(module.k_proj.forward(context))
    keep = given["keep"]
    weights = attend(q, k, k[..., :1], keep=keep, need_weights=True).weights
    assert weights is not None
    masks = () if keep is None else (f"keep {_said(keep)}",)
    return [Recomputed(weights, _kind(query, context, value), keep, 1, 0, masks)]


def of_layer(layer: FusionLayer, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Recomputed]:
    """The weights of a call of a `FusionLayer`, edge by edge."""
    given = _bound(_LAYER, layer, args, kwargs)
    present = given["present"]
    _, weights = type(layer).forward(layer, given["x"], present, given["places"], need_weights=True)
    masks = () if present is None else (f"present {_said(present)}",)
    return [
        Recomputed(w, "self" if edge.is_self else "cross", None, 1, 0, masks, edge=edge) for edge, w in weights.items()
    ]


def _bound(
    signature: inspect.Signature, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    bound = signature.bind(module, *args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def _kind(query: Tensor, key: Tensor, value: Tensor) -> str:
    """Tell self from cross by the numbers that came in, and say so where they do not tell."""
    if query is key:
        return "self"
    if query.is_nested or key.is_nested:
        return "unknown"
    if query.shape != key.shape:
        return "cross"
    if torch.equal(query, key):
        return "self"
    return "cross" if key is value else "unknown"


def _padded(x: Tensor) -> tuple[Tensor, Tensor]:
    """A nested tensor as (B, T, E) with zeros, and which tokens are there (B, T)."""
    lengths = torch.tensor([len(sample) for sample in x.unbind()], device=x.device)
    padded = torch.nested.to_padded_tensor(x, 0.0)
    return padded, torch.arange(padded.shape[1], device=x.device) < lengths[:, None]


def _project(module: nn.MultiheadAttention, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Queries and keys by head, (B, H, T, D), and the keys that torch puts behind those that came."""
    dtype = torch.promote_types(query.dtype, torch.float32)
    if module.in_proj_weight is not None:
        w_q, w_k, _ = module.in_proj_weight.chunk(3)
    else:
        w_q, w_k = module.q_proj_weight, module.k_proj_weight
    b_q, b_k = (None, None) if module.in_proj_bias is None else module.in_proj_bias.to(dtype).chunk(3)[:2]
    with torch.autocast(query.device.type, enabled=False):
        q, k = F.linear(query.to(dtype), w_q.to(dtype), b_q), F.linear(key.to(dtype), w_k.to(dtype), b_k)
    appended: list[str] = []
    if module.bias_k is not None:
        k = torch.cat([k, module.bias_k.to(dtype).expand(len(k), 1, -1)], 1)
        appended.append("bias_k")
    if module.add_zero_attn:
        k = F.pad(k, (0, 0, 0, 1))
        appended.append("zero")
    q, k = (x.reshape(*x.shape[:-1], module.num_heads, -1).transpose(1, 2) for x in (q, k))
    return q, k, tuple(appended)


class _Masks:
    """Torch's masks read as ours: `keep`, True where attention may look, and a bias on the scores."""

    def __init__(self, shape: tuple[int, int, int, int], dtype: torch.dtype) -> None:
        self.shape = shape
        self.dtype = dtype
        self.keep: Tensor | None = None
        self.bias: Tensor | None = None
        self.used: list[str] = []
        self.notes: list[str] = []

    def padding(self, given: Tensor | None) -> None:
        """Read `key_padding_mask`, (B, K), or (K,) for one sample."""
        if given is not None:
            self._add("key_padding_mask", given, given.reshape(-1, 1, 1, self.shape[3]))

    def blocking(self, given: Tensor | None, is_causal: bool, need_weights: bool) -> None:
        """Read `attn_mask`, (Q, K) or (B * H, Q, K), and the hint that it is causal."""
        _, h, q, k = self.shape
        if is_causal:
            self.used.append("is_causal")
        if given is None:
            return
        causal = causal_keep(max(q, k), max(q, k), device=given.device)[0, :q, :k]  # query i sees key i, in any shape
        if is_causal and not torch.equal(_looks(given).expand(-1, q, k), causal.expand(len(_looks(given)), q, k)):
            self.notes.append(
                "is_causal=True stands beside an attn_mask that is not causal: torch follows the one or the other, by "
                "the kernel that it takes"
            )
            if not need_weights and self.keep is None and self.bias is None:
                self.keep = causal[None, None]
                return
        self._add("attn_mask", given, given[None, None] if given.ndim == 2 else given.reshape(-1, h, q, k))

    def with_keys(self, n_more: int) -> tuple[Tensor | None, Tensor | None]:
        """`keep` and the bias, with the keys that torch puts behind: all may look at those."""
        keep = None if self.keep is None else F.pad(self.keep, (0, n_more), value=True)
        bias = None if self.bias is None else F.pad(self.bias, (0, n_more))
        return keep, bias

    def _add(self, name: str, given: Tensor, read: Tensor) -> None:
        self.used.append(f"{name} {_said(given)}")
        looks = _looks(read)
        if not bool(looks.all()):
            self.keep = looks if self.keep is None else self.keep & looks
        if read.is_floating_point():
            added = read.to(self.dtype).masked_fill(~looks, 0.0)
            if bool((added != 0).any()):
                self.bias = added if self.bias is None else self.bias + added
            if bool(((read == 0) | (read == 1)).all()) and bool((read == 1).any()):
                self.notes.append(
                    f"{name} holds floats, zeros and ones: torch adds them to the scores, they hide nothing"
                )


def _looks(given: Tensor) -> Tensor:
    """True where attention may look, in torch's masks."""
    looks = given != -torch.inf if given.is_floating_point() else ~given.bool()
    return looks if looks.ndim != 2 else looks[None]


def _weights(q: Tensor, k: Tensor, keep: Tensor | None, bias: Tensor | None) -> Tensor:
    scale = q.shape[-1] ** -0.5
    if bias is not None:
        # A bias rides along as more coordinates: a query carries its row of it, a key its own place.
        #     (s q_i, b_i) . (k_j, e_j) = s q_i . k_j + b_ij
        b, h, n, m = *q.shape[:3], k.shape[2]
        places = torch.eye(m, dtype=q.dtype, device=q.device).expand(b, h, m, m)
        q, k, scale = torch.cat([q * scale, bias.expand(b, h, n, m)], -1), torch.cat([k, places], -1), 1.0
    weights = attend(q, k, k[..., :1], keep=keep, need_weights=True, scale=scale).weights
    assert weights is not None
    return weights


def _said(given: Tensor) -> str:
    return f"{str(given.dtype).removeprefix('torch.')} {tuple(given.shape)}"
