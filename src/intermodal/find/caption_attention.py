"""Where a captioner looked when it said each word.

Shapes: B clips, L words, H heads, K tokens of a context, T tokens of a modality.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from intermodal.data.batching import Batch
from intermodal.data.samples import Samples
from intermodal.nn.captioning import CaptionNetwork
from intermodal.nn.decoder import Memory


def look_back(
    network: CaptionNetwork, seen: Batch, memory: Memory, captions: Sequence[Sequence[int]]
) -> list[dict[str, Tensor]]:
    """Return what each word of some captions looked at: one mapping a caption, name -> (words, T).

    The mean over heads and layers, and over the clauses that ask the modality. The captions are read once more: the
    weights are exactly those with which the words were chosen.

    Args:
        network: captions.
        seen: B clips.
        memory: what the network remembers of them.
        captions: B captions in numbers, without start and end.
    """
    read = torch.zeros(len(captions), max(map(len, captions)) + 1, dtype=torch.long, device=memory[0][0].k.device)
    for i, words in enumerate(captions):
        read[i, : len(words) + 1] = torch.tensor([network.decoder.start, *words])
    widths = {name: _width(network, name, seen.x[name]) for name in network.names if name in seen.x}
    layers = network.decoder(read, memory, need_weights=True).weights or []
    parts: dict[str, list[Tensor]] = {name: [] for name in widths}
    for edge in network.decoder.edges:
        names = [name for name in widths if name in edge.context_names]
        if names:
            mean = torch.stack([layer[edge].mean(1) for layer in layers]).mean(0)  # (B, L, K)
            for name, part in zip(names, torch.split(mean, [widths[n] for n in names], 2), strict=True):
                parts[name].append(part)
    looked = {name: torch.stack(some).mean(0).cpu() for name, some in parts.items() if some}
    return [{name: w[i, : len(words)] for name, w in looked.items()} for i, words in enumerate(captions)]


def by_place(looked: dict[str, Tensor], samples: Samples, row: int) -> dict[str, np.ndarray]:
    """Cut away the padding of a batch: a sequence has a column for each of its tokens, a vector has one.

    Args:
        looked: name -> (words, T) of one clip.
        samples: all clips.
        row: which of them it is.
    """
    cut = {}
    for name, weights in looked.items():
        modality = samples.modality(name)
        if modality.kind == "vector":
            cut[name] = weights.sum(1, keepdim=True).numpy()
        else:
            cut[name] = weights[:, : int(modality.lengths[row])].numpy()
    return cut


def _width(network: CaptionNetwork, name: str, x: Tensor) -> int:
    """Tokens that a modality has in the network."""
    return x.shape[1] if x.ndim == 3 else int(network.encoder.encoders[network.names.index(name)].n_tokens)  # type: ignore[arg-type]
