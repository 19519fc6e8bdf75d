"""From a modality as it comes to tokens of one width.

Shapes: B batch, T tokens, D width of the modality, d width of the model.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from intermodal.errors import InputError, MaskError, ShapeError, did_you_mean
from intermodal.nn.blank import blank
from intermodal.nn.dropping import Drops
from intermodal.nn.fused import mean_present
from intermodal.nn.linear import project

KINDS = ("linear", "conv", "centred", "gru")
NAMED = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
FORGOTTEN = 0.5
"""Share of the samples whose level a `centred` encoder does not see in training."""
POSITION_SCALE = 0.25  # a standardised input gives tokens of unit size: positions must not drown them


class Encoder(nn.Module):
    """Turn one modality, a vector or a sequence of vectors, into tokens.

    A vector becomes `n_tokens` learned projections, so that asking it is a choice. A sequence keeps its tokens
    and gets sinusoidal positions, counted from its first token that is there: padding on either side changes
    nothing.

    Shape:
        x (B, D) with present (B,), or x (B, T, D) with present (B, T) -> tokens (B, n_tokens or T, d), present.

    Args:
        d_in: D, width of the modality.
        d_model: d, width of the tokens.
        n_tokens: tokens of a vector; a sequence takes 1.
        kind: `linear` (token by token), `conv` (a residual convolution over neighbours), `centred` (the same over
            what is left once the mean of the sequence, its level, is taken off its tokens; the level comes back by a
            projection of its own, which half of the samples lack in training, so that nothing leans on it alone) or
            `gru` (both directions); all but the first read sequences only.
        kernel: width of the convolution, odd.
        stride: neighbouring tokens of a sequence that become one, their mean: attention over long sequences costs
            the square of their length.

    Raises:
        InputError: unknown kind, a size that is not positive, or several tokens for a sequence.

    Example:
        >>> tokens, present = Encoder(5, 8, n_tokens=3)(torch.randn(2, 5))
        >>> tokens.shape
        torch.Size([2, 3, 8])
    """

    def __init__(
        self, d_in: int, d_model: int, *, n_tokens: int = 1, kind: str = "linear", kernel: int = 5, stride: int = 1
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise InputError(f'an encoder is {NAMED}, however: "{kind}"' + did_you_mean(kind, KINDS))
        if min(d_in, d_model, n_tokens, stride) < 1:
            raise InputError(f"sizes are positive, however: {d_in=}, {d_model=}, {n_tokens=}, {stride=}")
        if kernel % 2 == 0:
            raise InputError(f"kernel is odd, so that a token stands in its middle, however: {kernel=}")
        if kind != "linear" and n_tokens > 1:
            raise InputError(f"a sequence keeps its own tokens, so n_tokens is 1, however: {n_tokens=}, {kind=}")
        self.kind = kind
        self.n_tokens = n_tokens
        self.stride = stride
        self.project = nn.Linear(d_in, n_tokens * d_model)
        self.over_time: nn.Module | None = None
        if kind in ("conv", "centred"):
            self.over_time = nn.Conv1d(d_model, d_model, kernel, padding=kernel // 2)
        elif kind == "gru":
            if d_model % 2:
                raise InputError(f"the two directions of a gru share d_model, so it is even, however: {d_model=}")
            self.over_time = nn.GRU(d_model, d_model // 2, batch_first=True, bidirectional=True)
        self.level: Level | None = Level(d_in, d_model) if kind == "centred" else None

    @property
    def d_in(self) -> int:
        """Width of the modality, read from the weights."""
        return self.project.in_features

    def forward(self, x: Tensor, present: Tensor | None = None, *, name: str = "x") -> tuple[Tensor, Tensor | None]:
        """Encode one modality.

        Args:
            x: (B, D) or (B, T, D).
            present: bool (B,) or (B, T); everything is there by default. What stands elsewhere is not read.
            name: how errors call the modality.

        Returns:
            The tokens, zero where nothing is there, and which are there (B, tokens), or None for all.
        """
        self._check(x, present, name)
        if present is not None:
            x = blank(x, present.unsqueeze(-1))
        if x.ndim == 2:
            tokens = project(self.project, x).unflatten(-1, (self.n_tokens, -1))  # type: ignore[no-untyped-call]
            present = None if present is None else present.unsqueeze(1).expand(-1, self.n_tokens)
        else:
            level: Tensor | None = None
            if self.level is not None:
                mean = mean_present(x, present).unsqueeze(1)
                x, level = x - mean, self.level(mean)
            tokens = project(self.project, x)
            if self.over_time is not None and tokens.numel() > 0:
                tokens = tokens + self._over_time(_blank(tokens, present), present)
            if self.stride > 1:
                tokens, present = _join(_blank(tokens, present), present, self.stride)
            tokens = tokens + positions(tokens, present)
            if level is not None:
                tokens = tokens + level
        return _blank(tokens, present), present

    def _over_time(self, tokens: Tensor, present: Tensor | None) -> Tensor:
        if isinstance(self.over_time, nn.Conv1d):
            return F.gelu(self.over_time(tokens.transpose(1, 2)).transpose(1, 2))
        assert isinstance(self.over_time, nn.GRU)
        if present is None:
            return torch.as_tensor(self.over_time(tokens)[0])
        # A GRU reads from the left:  . . a b .   ->   a b . . .   and back again
        n = tokens.shape[1]
        place = torch.arange(n, device=tokens.device)
        first = _first(present).unsqueeze(1)
        lengths = (n - present.flip(1).to(torch.int8).argmax(1) - first.squeeze(1)).clamp(min=1)
        left = (place + first).clamp(max=n - 1).unsqueeze(-1).expand_as(tokens)
        packed = nn.utils.rnn.pack_padded_sequence(
            tokens.gather(1, left), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        read, _ = nn.utils.rnn.pad_packed_sequence(self.over_time(packed)[0], batch_first=True, total_length=n)
        return read.gather(1, (place - first).clamp(min=0).unsqueeze(-1).expand_as(read))

    def _check(self, x: Tensor, present: Tensor | None, name: str) -> None:
        if x.ndim not in (2, 3) or (x.ndim == 2 and self.kind != "linear"):
            raise ShapeError(
                f'"{name}" is (batch, width) for a vector or (batch, tokens, width) for a sequence, however: '
                f"{tuple(x.shape)=}, encoder={self.kind}"
            )
        if x.shape[-1] != self.d_in:
            raise ShapeError(f'"{name}" has width {self.d_in} on its last axis, however: {tuple(x.shape)=}')
        if x.ndim == 3 and self.n_tokens > 1:
            raise ShapeError(
                f'"{name}" is one vector (batch, {self.d_in}), since n_tokens={self.n_tokens}, however: '
                f'{tuple(x.shape)=}; for a sequence give n_tokens={{"{name}": 1}}'
            )
        if present is not None and (present.dtype != torch.bool or present.shape != x.shape[:-1]):
            raise MaskError(
                f'present of "{name}" is bool {tuple(x.shape[:-1])}, however: {present.dtype=}, {tuple(present.shape)=}'
            )


class Level(Drops, nn.Linear):
    """What a sequence is on the whole, projected; nothing at first, and for some samples in training.

    Shape:
        (B, 1, D) -> (B, 1, d).

    Example:
        >>> Level(3, 2)(torch.ones(1, 1, 3)).tolist()
        [[[0.0, 0.0]]]
    """

    def __init__(self, d_in: int, d_model: int) -> None:
        super().__init__(d_in, d_model, bias=False)

    def reset_parameters(self) -> None:
        """Say nothing."""
        nn.init.zeros_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """Project, and forget in training."""
        said = super().forward(input)
        if not self.training:
            return said
        shape = (len(said), 1, 1)
        drawn = torch.rand(shape, device=said.device) if self.source is None else self.source.chances(*shape)
        return said * (drawn >= FORGOTTEN)


def _blank(tokens: Tensor, present: Tensor | None) -> Tensor:
    return tokens if present is None else blank(tokens, present.unsqueeze(-1))


def _first(present: Tensor) -> Tensor:
    """The place of the first token that is there, (B,); 0 where there is none."""
    return (
        present.to(torch.int8).argmax(1) if present.shape[1] else present.new_zeros(present.shape[0], dtype=torch.long)
    )


def _join(tokens: Tensor, present: Tensor | None, stride: int) -> tuple[Tensor, Tensor]:
    """Average each run of `stride` places, counted from the first token that is there.

    stride 2:   . a b c .   ->   (a + b) / 2,  c,  .
    """
    b, n, d = tokens.shape
    if present is None:
        present = torch.ones(b, n, dtype=torch.bool, device=tokens.device)
    place = torch.arange(n, device=tokens.device) - _first(present).unsqueeze(1)
    run = place.clamp(min=0) // stride  # what stands before the first token is absent: it adds nothing to run 0
    there = present.to(tokens.dtype)
    count = tokens.new_zeros(b, -(-n // stride)).scatter_add(1, run, there)
    total = tokens.new_zeros(b, count.shape[1], d).scatter_add(1, run.unsqueeze(-1).expand_as(tokens), tokens)
    return total / count.clamp(min=1).unsqueeze(-1), count > 0


def positions(tokens: Tensor, present: Tensor | None = None, *, start: int = 0) -> Tensor:
    """Return sinusoidal positions (1 or B, T, d), counted from the first token that is there.

    Args:
        tokens: (B, T, d), for their sizes and dtype.
        present: bool (B, T); None for all.
        start: the position of the first token.

    Source: Vaswani et al. 2017, section 3.5.

    Example:
        >>> positions(torch.zeros(1, 2, 2), start=3).equal(positions(torch.zeros(1, 5, 2))[:, 3:])
        True
    """
    n, d = tokens.shape[1:]
    place = torch.arange(start, start + n, device=tokens.device).unsqueeze(0)
    if present is not None:
        place = place - _first(present).unsqueeze(1)
    half = (d + 1) // 2
    exact = torch.promote_types(tokens.dtype, torch.float32)
    rate = torch.exp(torch.arange(half, device=tokens.device, dtype=exact) * (-math.log(10000.0) / half))
    angle = place.unsqueeze(-1) * rate
    return POSITION_SCALE * torch.cat([angle.sin(), angle.cos()], -1)[..., :d].to(tokens.dtype)
