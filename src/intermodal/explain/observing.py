"""The attention of a network, observed while some samples pass through it.

Shapes: B batch, L layers, H heads (of all members), Q and K tokens of an edge, M modalities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from intermodal.data.samples import Samples
from intermodal.explain.findings import Finding, finding
from intermodal.explain.opening import absent
from intermodal.explain.row_statistics import ENOUGH, RowStatistics
from intermodal.spec import Edge, Spec

SEEN_TOO_LITTLE = 0.1
"""Share of its even share below which a modality counts as never attended."""


class Observed:
    """Statistics of every edge in every layer, and who was there.

    Args:
        names: (M,) the modalities.
        spec: who asks whom, wildcards expanded.

    Attributes:
        rows: (layer, edge) -> statistics.
        present: (N, M) bool, which sample has which modality.
    """

    def __init__(self, names: tuple[str, ...], spec: Spec) -> None:
        self.names, self.spec = names, spec
        self.rows: dict[tuple[int, Edge], RowStatistics] = {}
        self.present = np.zeros((0, len(names)), dtype=bool)
        self.copies = dict.fromkeys(names, 0)  # samples with several tokens, none of which differs from another
        self.several = dict.fromkeys(names, 0)  # samples with several tokens
        self._got: dict[tuple[str, int], Tensor] = {}
        self._fair: dict[tuple[str, int], float] = {}
        self._n: dict[str, int] = dict.fromkeys(names, 0)

    def add(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor], fused: Any) -> None:
        """Add a batch: what went in, and the `Fused` that came out with the weights of every layer."""
        for name in self.names:
            if name in x:
                self._add_copies(name, x[name], present.get(name))
        self.present = np.concatenate([self.present, ~absent(x, present, self.names).numpy()])
        widths = {name: tokens.shape[-2] for name, tokens in fused.tokens.items()}
        known = {name: _known(x[name], present.get(name), n) if name in x else None for name, n in widths.items()}
        for depth, layer in enumerate(fused.weights):
            for edge, weights in layer.items():
                asked = [name for name in widths if name in edge.context_names]
                seen = _seen(weights, [(known[name], widths[name]) for name in asked])
                self.rows.setdefault((depth, edge), RowStatistics()).add(weights, seen[:, None, None])
                if len(asked) > 1:
                    self._add_shares(depth, weights.double(), seen, {name: widths[name] for name in asked})

    def _add_copies(self, name: str, x: Tensor, there: Tensor | None) -> None:
        if x.ndim != 3 or x.shape[1] < 2:
            return
        there = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if there is None else there
        several = there.sum(1) > 1
        first = x.gather(1, there.int().argmax(1)[:, None, None].expand(-1, 1, x.shape[2]))
        same = ((x == first).all(2) | ~there).all(1)
        self.several[name] += int(several.sum())
        self.copies[name] += int((several & same).sum())

    def _add_shares(self, depth: int, weights: Tensor, seen: Tensor, asked: Mapping[str, int]) -> None:
        """What each asked modality got, and what an even share would be, where there was a choice between several."""
        asks = (weights.sum(-1) > 0).all(1)  # (B, Q)
        sizes = list(asked.values())
        parts = zip(asked, torch.split(weights, sizes, 3), torch.split(seen, sizes, 1), strict=True)
        keys = seen.sum(1)
        for name, got, own in parts:
            own_keys = own.sum(1)
            choice = asks & ((own_keys > 0) & (own_keys < keys))[:, None]  # (B, Q)
            share = (got.sum(3) * choice[:, None]).sum((0, 2)).cpu()  # (H,)
            even = (own_keys / keys.clamp(min=1))[:, None] * choice
            at = (name, depth)
            self._got[at] = self._got.get(at, torch.zeros_like(share)) + share
            self._fair[at] = self._fair.get(at, 0.0) + float(even.sum())
            self._n[name] += int(choice.sum()) if depth == 0 else 0

    def neglected(self) -> dict[str, tuple[float, float]]:
        """Return name -> (share of the attention, even share) of those that every head of every layer passes over.

        Only samples that have the modality count, and only rows that could look elsewhere.
        """
        found = {}
        for name in self.names:
            depths = [d for n, d in self._got if n == name]
            if self._n[name] < ENOUGH or not depths:
                continue
            ratios = [self._got[name, d] / max(self._fair[name, d], 1e-12) for d in depths]
            if max(float(r.max()) for r in ratios) < SEEN_TOO_LITTLE:
                got = float(np.mean([float(self._got[name, d].mean()) for d in depths])) / self._n[name]
                fair = float(np.mean([self._fair[name, d] for d in depths])) / self._n[name]
                found[name] = (got, fair)
        return found


def observe(module: Any, feed: Any, rows: np.ndarray, *, batch_size: int = 32) -> Observed:
    """Let the samples at `rows` pass through a model that answers with its fused weights.

    Args:
        module: as `prepared` of an estimator returns it.
        feed: the samples as the model reads them.
        rows: which.
        batch_size: samples at a time; no weights are kept longer than one batch.
    """
    seen = Observed(tuple(module.network.names), module.network.spec)
    with torch.no_grad():
        for picked in feed.in_order(rows, batch_size):
            x, present = feed.batch(picked)
            seen.add(x, present, module(x, present, need_weights="layers").fused)
    return seen


def copied_keys(seen: Observed) -> Iterator[Finding]:
    """Say which sequence that is asked alone holds copies of one vector in every sample."""
    alone = {e.context_names[0] for e in seen.spec.edges if len(e.context_names) == 1}
    for name in seen.names:
        if name in alone and 0 < seen.several[name] == seen.copies[name]:
            yield finding(
                "same-keys",
                f'"{name}": the tokens of each sample are copies of one vector, so asking them is no choice',
                samples=seen.copies[name],
            )


def often_missing(names: tuple[str, ...], samples: Samples) -> Iterator[Finding]:
    """Say which modality most samples lack."""
    n = len(samples)
    for name in names:
        lacking = samples.modality(name).n_missing if name in samples.names else n
        if 2 * lacking > n:
            yield finding(
                "often-missing",
                f'"{name}" is missing in {lacking / n:.0%} of {n} samples',
                missing=lacking,
                samples=n,
            )


def _known(x: Tensor, there: Tensor | None, n_tokens: int) -> Tensor | None:
    """Which tokens are there (B, n_tokens), where the network kept the tokens as they came; None where it did not."""
    if x.ndim == 3 and x.shape[1] != n_tokens:
        return None
    if there is None:
        return torch.ones(len(x), n_tokens, dtype=torch.bool, device=x.device)
    return there if x.ndim == 3 else there.unsqueeze(1).expand(-1, n_tokens)


def _seen(weights: Tensor, asked: list[tuple[Tensor | None, int]]) -> Tensor:
    """The keys (B, K) of each sample: those that are known to be there, and those that anybody looked at.

    A weight of exactly 0 alone says little: a collapsed softmax rounds to it.
    """
    looked = (weights > 0).any(1).any(1)
    pieces = torch.split(looked, [n for _, n in asked], 1)
    return torch.cat([p if k is None else p | k for p, (k, _) in zip(pieces, asked, strict=True)], 1)
