"""Who attended to whom, and what each modality was worth.

`intermodal.explain` is both this room and the call `intermodal.explain(model, X)`: whichever is imported first, the
name is the same object.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """A package that can be called."""

    def __call__(self, model: Any, X: Any) -> Any:
        """Explain a fitted model on samples; see `intermodal.explain.explaining.explain`."""
        from intermodal.explain.explaining import explain

        return explain(model, X)


sys.modules[__name__].__class__ = _Room
