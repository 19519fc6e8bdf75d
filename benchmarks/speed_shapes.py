"""Self-fusion and its mean, in every way people write it, with the same weights and the same input.

Biases are zero, as `nn.MultiheadAttention` draws them: the attention of x-transformers has none. Every way but the
layer and the floor gives the same answer, and that is checked before any time is taken.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from speed_turns import Run, forward, step
from torch import Tensor, nn

from intermodal.kernel.product import linear
from intermodal.nn import SelfAttentionFusion

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it uses torch.jit
        from x_transformers.x_transformers import Attention as XAttention
except ImportError:  # it is no dependency of ours: `pip install x-transformers` fills its column
    XAttention = None

FLOOR, QUICK, OURS, MODULE, TRAINING, HAND, COMPILED, X, LAYER = (
    "floor",
    "quick",
    "ours",
    "module",
    "training",
    "hand",
    "compiled",
    "x",
    "layer",
)
TITLES = {
    FLOOR: "Q/K/V projection alone",
    QUICK: "the projection by the quicker library",
    OURS: "ours",
    MODULE: "`nn.MultiheadAttention`",
    TRAINING: "the same in training mode",
    HAND: "by hand",
    COMPILED: "by hand, compiled",
    X: "x-transformers",
    LAYER: "`nn.TransformerEncoderLayer`",
}
COMMON = (OURS, MODULE, TRAINING, HAND, COMPILED, X)
"""Who gives the same answer."""


class Shape(NamedTuple):
    """Sizes of one self-fusion."""

    tokens: int
    batch: int
    width: int
    heads: int

    def __str__(self) -> str:
        return ", ".join(map(str, self))


SHAPES = (
    Shape(4, 256, 32, 4),
    Shape(8, 256, 64, 2),
    Shape(8, 256, 64, 4),
    Shape(4, 1024, 128, 8),
    Shape(4, 256, 256, 8),
    Shape(48, 64, 64, 4),
    Shape(3 * 64, 16, 128, 4),
    Shape(3 * 512, 16, 256, 8),
)


@dataclass(frozen=True)
class Way:
    """One way to fuse: what to call, and whose parameters it has."""

    call: Callable[[Tensor], Tensor]
    module: nn.Module
    gradient: Tensor | None = None
    """The gradient of the output, where the way ends before there is a mean to take a square sum of."""
    training: bool = False
    """Whether the module stands in training mode for a forward: without dropout it changes the path alone."""


class ByHand(nn.Module):
    """One product for queries, keys and values, then torch's fused attention."""

    def __init__(self, source: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads = source.num_heads
        self.qkv = nn.Linear(source.embed_dim, 3 * source.embed_dim)
        self.out = nn.Linear(source.embed_dim, source.embed_dim)
        _copy(source, self.qkv, self.out)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)).mean(1)


def ways(shape: Shape, *, compiled: bool = False) -> dict[str, Way]:
    """All ways, with one set of weights."""
    tokens, batch, width, heads = shape
    source = nn.MultiheadAttention(width, heads, batch_first=True)
    copy = nn.MultiheadAttention(width, heads, batch_first=True)
    copy.load_state_dict(source.state_dict())
    floor = ByHand(source).qkv
    ours = SelfAttentionFusion.from_torch(source)
    hand, twin = ByHand(source), ByHand(source)
    found = {
        FLOOR: Way(floor, floor, gradient=torch.ones(batch, tokens, 3 * width)),
        QUICK: Way(lambda x: linear(x, floor.weight, floor.bias), floor, gradient=torch.ones(batch, tokens, 3 * width)),
        OURS: Way(lambda x: ours(x).pooled, ours),
        MODULE: Way(lambda x: source(x, x, x, need_weights=False)[0].mean(1), source),
        TRAINING: Way(lambda x: copy(x, x, x, need_weights=False)[0].mean(1), copy, training=True),
        HAND: Way(hand, hand),
    }
    if compiled:
        torch.compiler.reset()  # after eight sizes of one function it would give up and run it as it is
        found[COMPILED] = Way(torch.compile(twin, dynamic=False), twin)
    if XAttention is not None:
        found[X] = _x_transformers(source)
    found[LAYER] = _layer(source)
    return found


def forwards(found: dict[str, Way], x: Tensor) -> dict[str, Run]:
    """One forward of each, without gradients and without dropout."""
    for way in found.values():
        way.module.train(way.training)
    return {name: forward(lambda way=way: way.call(x)) for name, way in found.items()}


def steps(found: dict[str, Way], x: Tensor) -> dict[str, Run]:
    """One training step of each: all stand in training mode here."""
    for way in found.values():
        way.module.train()
    return {
        name: step(lambda way=way: way.call(x), way.module, way.gradient)
        for name, way in found.items()
        if name != TRAINING
    }


def check(found: dict[str, Way], x: Tensor) -> None:
    """Everybody who says the same gets the same answer, in both modes of a module."""
    for training in (False, True):
        for way in found.values():
            way.module.train(training)
        with torch.inference_mode():
            answers = {name: way.call(x) for name, way in found.items() if name in COMMON}
        for name, answer in answers.items():
            torch.testing.assert_close(answer, answers[MODULE], atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def _x_transformers(source: nn.MultiheadAttention) -> Way:
    """Their attention on torch's fused kernel, the quicker of its two paths on all eight shapes."""
    width, heads = source.embed_dim, source.num_heads
    module = XAttention(width, dim_head=width // heads, heads=heads, flash=True)
    with torch.no_grad():
        weights = (*source.in_proj_weight.chunk(3), source.out_proj.weight)
        for linear, weight in zip((module.to_q, module.to_k, module.to_v, module.to_out), weights, strict=True):
            linear.weight.copy_(weight)

    def call(x: Tensor) -> Tensor:
        answer = module(x)
        return (answer[0] if isinstance(answer, tuple) else answer).mean(1)

    return Way(call, module)


def _layer(source: nn.MultiheadAttention) -> Way:
    """A whole layer says more: two norms and a feed-forward step of twice the width."""
    width = source.embed_dim
    layer = nn.TransformerEncoderLayer(width, source.num_heads, 2 * width, dropout=0.0, batch_first=True)
    layer.self_attn.load_state_dict(source.state_dict())
    return Way(lambda x: layer(x).mean(1), layer)


def _copy(source: nn.MultiheadAttention, qkv: nn.Linear, out: nn.Linear) -> None:
    with torch.no_grad():
        qkv.weight.copy_(source.in_proj_weight)
        qkv.bias.copy_(source.in_proj_bias)
        out.weight.copy_(source.out_proj.weight)
        out.bias.copy_(source.out_proj.bias)
