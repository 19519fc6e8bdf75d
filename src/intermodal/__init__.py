"""Intermodal: attention between modalities. Who asks whom, does it help, and why.

The façade only re-exports. Errors and specs load at once; everything that needs torch, scikit-learn or pyarrow
loads on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from intermodal.errors import InputError, IntermodalError, OneKeyWarning
from intermodal.spec import Edge, Spec

__version__ = "0.1.0"

_LAZY = {
    "Captioner": "find.captioner",
    "ClipIndex": "find.index",
    "Comparison": "learn.comparison",
    "FusionClassifier": "learn.estimators",
    "FusionRecommender": "find.recommender",
    "FusionRegressor": "learn.estimators",
    "FusionRetriever": "find.retriever",
    "MomentLocalizer": "find.moments",
    "Samples": "data.samples",
    "attend": "attention",
    "causal_keep": "attention",
    "compare": "learn.compare",
    "load": "find.loading",
    "read": "data.reading",
    "Explanation": "explain.explaining",
    "lint": "explain.linting",
    "diagnose": "explain.diagnosing",
    "Trace": "explain.trace",
    "trace": "explain.trace",
}
_MODULES = {"nn": "nn", "datasets": "data.digits", "explain": "explain", "find": "find"}

__all__ = [
    "Captioner",
    "ClipIndex",
    "Comparison",
    "Edge",
    "Explanation",
    "FusionClassifier",
    "FusionRecommender",
    "FusionRegressor",
    "FusionRetriever",
    "InputError",
    "IntermodalError",
    "MomentLocalizer",
    "OneKeyWarning",
    "Samples",
    "Spec",
    "Trace",
    "attend",
    "causal_keep",
    "compare",
    "datasets",
    "diagnose",
    "explain",
    "find",
    "lint",
    "load",
    "nn",
    "read",
    "trace",
]

if TYPE_CHECKING:
    from intermodal import find as find
    from intermodal import nn as nn
    from intermodal.attention import attend as attend
    from intermodal.attention import causal_keep as causal_keep
    from intermodal.data import digits as datasets
    from intermodal.data.reading import read as read
    from intermodal.data.samples import Samples as Samples
    from intermodal.explain.diagnosing import diagnose as diagnose
    from intermodal.explain.explaining import Explanation as Explanation
    from intermodal.explain.explaining import explain as explain
    from intermodal.explain.linting import lint as lint
    from intermodal.explain.trace import Trace as Trace
    from intermodal.explain.trace import trace as trace
    from intermodal.find.captioner import Captioner as Captioner
    from intermodal.find.index import ClipIndex as ClipIndex
    from intermodal.find.loading import load as load
    from intermodal.find.moments import MomentLocalizer as MomentLocalizer
    from intermodal.find.recommender import FusionRecommender as FusionRecommender
    from intermodal.find.retriever import FusionRetriever as FusionRetriever
    from intermodal.learn.compare import compare as compare
    from intermodal.learn.comparison import Comparison as Comparison
    from intermodal.learn.estimators import FusionClassifier as FusionClassifier
    from intermodal.learn.estimators import FusionRegressor as FusionRegressor


def __getattr__(name: str) -> Any:
    """Load a part on first use (PEP 562)."""
    if name in _MODULES:
        value = importlib.import_module(f"intermodal.{_MODULES[name]}")
    elif name in _LAZY:
        value = getattr(importlib.import_module(f"intermodal.{_LAZY[name]}"), name)
    else:
        raise AttributeError(f"module 'intermodal' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
