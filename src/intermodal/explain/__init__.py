"""Who attended to whom, what each modality was worth, and what to beware of.

`intermodal.explain` is both this room and the call `intermodal.explain(model, X)`: whichever is imported first, the
name is the same object. The parts are there by their names too, `intermodal.explain.shapley(model, X)`, and load on
first use.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_PARTS = {
    # attention
    "attention_map": "attention_maps",
    "attention_of": "attention_maps",
    "chosen_samples": "choosing",
    "timeline": "timing",
    "worked": "by_hand",
    "rollout": "rolling",
    "rollout_of": "rolling",
    "flow": "flowing",
    "relevance": "relating",
    "relevance_of": "relating",
    "capture": "capturing",
    "from_arrays": "arrays",
    # worth
    "play": "coalitions",
    "shapley": "shapley_values",
    "leave_one_out": "leaving",
    "permutation_importance": "leaving",
    "emap": "additive",
    "compare_rules": "two_rules",
    # warnings
    "lint": "linting",
    "diagnose": "diagnosing",
    "check_attention": "weighing",
    # faithfulness
    "agreement": "agreeing",
    "deletion_curves": "curves",
    "eraser": "erasing",
    "ranking_flips": "flipping",
    "model_randomisation": "randomising",
    "data_randomisation": "randomising",
    "attention_permutation": "shuffling",
    "uniform_attention": "shuffling",
    "seed_variance": "steadiness",
    "infidelity": "sensitivity",
    "max_sensitivity": "sensitivity",
}


class _Room(ModuleType):
    """A package that can be called."""

    def __call__(self, model: Any, X: Any, **options: Any) -> Any:
        """Explain a fitted model on samples; see `intermodal.explain.explaining.explain`."""
        from intermodal.explain.explaining import explain

        return explain(model, X, **options)


def __getattr__(name: str) -> Any:
    """Load a part on first use (PEP 562)."""
    if name not in _PARTS:
        raise AttributeError(f"module 'intermodal.explain' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"intermodal.explain.{_PARTS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PARTS})


sys.modules[__name__].__class__ = _Room
