"""From an estimator's parameters to a model for the modalities that were seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from intermodal.data.samples import Samples
from intermodal.learn.model import FusionModel
from intermodal.learn.preprocess import Scaling
from intermodal.learn.shapes import SHORTEST
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Spec

TOKENS = 32
"""Tokens that `stride="auto"` leaves of a sequence of median length."""


def build(
    settings: Any,
    scalings: Mapping[str, Scaling],
    spec: Spec,
    stride: int | Mapping[str, int],
    encoder: str | Mapping[str, str],
    n_outputs: int,
) -> FusionModel:
    """Build the model, as it is drawn.

    Args:
        settings: an estimator, or whatever else has its parameters.
        scalings: name -> what the modality looks like.
        spec: who asks whom, wildcards expanded.
        stride: neighbouring tokens of a sequence that become one.
        encoder: of a sequence, for all or by name; `auto` is `conv`.
        n_outputs: classes, or numbers to predict.

    Example:
        >>> from types import SimpleNamespace
        >>> from intermodal.learn.preprocess import Preprocessor
        >>> sizes = {"d_model": 8, "n_heads": 2, "n_layers": 1, "n_members": 1, "n_tokens": "auto"}
        >>> rest = {"pool": "mean", "missing": "mask", "dropout": 0.0, "modality_dropout": 0.0}
        >>> scalings = Preprocessor.fit(Samples({"a": [[1.0], [3.0]], "b": [[[1.0]], [[2.0]]]})).scalings
        >>> model = build(SimpleNamespace(**sizes, **rest), scalings, Spec.parse("self", scalings), 1, "auto", 3)
        >>> model.n_outputs, [encoder.n_tokens for encoder in model.network.encoders]
        (3, [4, 1])
    """
    sequences = [name for name, s in scalings.items() if s.kind == "sequence"]
    network = FusionNetwork(
        spec,
        {name: s.width for name, s in scalings.items()},
        d_model=settings.d_model,
        n_heads=settings.n_heads,
        n_layers=settings.n_layers,
        n_tokens=n_tokens_of(list(scalings), sequences, settings.n_tokens),
        encoder=_encoders(encoder, list(scalings), sequences),
        stride=stride,
        pool=settings.pool,
        missing=settings.missing,
        modality_dropout=settings.modality_dropout if len(scalings) > 1 else 0.0,
        dropout=settings.dropout,
        n_members=settings.n_members,
    )
    return FusionModel(network, n_outputs, dropout=settings.dropout)


def strides(samples: Samples, left: int = TOKENS) -> dict[str, int]:
    """Name -> tokens to join, so that about `left` remain of a sequence of median length.

    Example:
        >>> strides(Samples({"a": np.zeros((2, 97, 1)), "b": np.zeros((2, 5))}))
        {'a': 3, 'b': 1}
    """
    return {name: max(1, round(median / left)) for name, median in _medians(samples).items()}


def kinds(samples: Samples) -> dict[str, str]:
    """Name of a sequence -> what reads it: a long one is centred, of a short one too little would be left.

    Example:
        >>> kinds(Samples({"a": np.zeros((2, 97, 1)), "b": np.zeros((2, 5)), "c": np.zeros((2, 3, 1))}))
        {'a': 'centred', 'c': 'conv'}
    """
    medians = _medians(samples)
    return {
        n: "conv" if medians[n] < SHORTEST else "centred" for n in medians if samples.modality(n).kind == "sequence"
    }


def _medians(samples: Samples) -> dict[str, float]:
    """Name -> tokens of the median sequence; 1 for vectors."""
    found = {}
    for modality in map(samples.modality, samples.names):
        lengths = modality.lengths[modality.present]
        found[modality.name] = float(np.median(lengths)) if modality.kind == "sequence" and len(lengths) else 1.0
    return found


def n_tokens_of(names: Sequence[str], sequences: Sequence[str], wanted: Any = "auto") -> Mapping[str, int]:
    """Return name -> tokens: several for a vector, so that asking it is a choice; a sequence keeps its own.

    Example:
        >>> n_tokens_of(["title", "video", "size"], ["title", "video"])
        {'title': 1, 'video': 1, 'size': 2}
    """
    if isinstance(wanted, Mapping):
        return wanted
    several = max(2, min(4, 8 // len(names))) if wanted == "auto" else wanted
    return {name: 1 if name in sequences else several for name in names}


def _encoders(wanted: Any, names: list[str], sequences: list[str]) -> Mapping[str, str]:
    """One kind of encoder for all sequences; vectors are read by a linear one."""
    if not isinstance(wanted, str):
        return wanted  # type: ignore[no-any-return]
    kind = "conv" if wanted == "auto" else wanted
    return {name: kind if name in sequences else "linear" for name in names}
