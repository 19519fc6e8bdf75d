"""How much each modality was looked at, sample by sample: attention as a ranking of modalities.

Shapes: N samples, M modalities.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from intermodal.explain.attention_maps import modality_mass
from intermodal.explain.explained import Explained, prepared
from intermodal.spec import Spec

EVEN = "attention does not choose between modalities here: every edge asks a single one, so its shares are fixed"


def attention_shares(model: Explained, X: Any, *, batch_size: int = 256) -> np.ndarray | None:
    """Return the share of attention that went to each modality, the mean over layers, heads and those who asked.

    Only modalities that could choose count: where every edge from a modality asks a single other one, the shares are
    set by the spec and say nothing about the model.

    Args:
        model: a fitted estimator.
        X: samples.
        batch_size: samples at a time.

    Returns:
        (N, M), a row sums to 1, NaN where nobody asked in the sample; None where nobody can choose at all.

    Relation: `attention_map` keeps who asked; this is the mean over its rows, sample by sample.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> attention_shares(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X).shape
        (20, 2)
    """
    module, feed = prepared(model, X)
    network: Any = module.network
    names: tuple[str, ...] = network.names
    chooses = torch.tensor([name in may_choose(names, network.spec) for name in names])
    if not chooses.any():
        return None
    parts = []
    with torch.no_grad():
        for rows in feed.in_order(np.arange(len(feed)), batch_size):
            x, present = feed.batch(rows)
            mass, asked = modality_mass(module(x, present, need_weights="mass").fused, names)
            if mass is None:
                return None
            asking = (asked & chooses).double()  # (B, M)
            looked_at = (mass.mean((1, 2)) * asking.unsqueeze(2)).sum(1) / asking.sum(1, keepdim=True)  # 0 / 0 is NaN
            parts.append(looked_at.numpy())
    return np.concatenate(parts)


def mean_shares(shares: np.ndarray) -> np.ndarray | None:
    """Average the shares of samples, (N, M) -> (M,), over those in which anybody asked; None where nobody did.

    Example:
        >>> mean_shares(np.array([[0.25, 0.75], [np.nan, np.nan], [0.75, 0.25]]))
        array([0.5, 0.5])
    """
    known = ~np.isnan(shares).any(1)
    return np.asarray(shares[known].mean(0)) if known.any() else None


def may_choose(names: tuple[str, ...], spec: Spec) -> list[str]:
    """Return the modalities with an edge that asks several modalities at once.

    Example:
        >>> may_choose(("a", "b"), Spec.parse("a -> [a b], b -> a", ("a", "b")))
        ['a']
    """
    return [n for n in names if any(n in e.query_names and len(e.context_names) > 1 for e in spec.edges)]
