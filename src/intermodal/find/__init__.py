"""Finding: when it happens, which clip fits, what to watch next, and say it in words.

The models are names of the package (`intermodal.MomentLocalizer`); here are films to try them on, and scores.
"""

from __future__ import annotations

import importlib
from typing import Any

# name -> the file of this room that holds it; a file has another name, or Python would bind it in the name's place
_PARTS = {
    "digit_videos": "digit_films",
    "digit_clips": "digit_scenes",
    "digit_reviews": "digit_scenes",
    "moment_scores": "scoring_moments",
    "moment_difference": "scoring_moments",
    "ranking_scores": "ranking",
    "caption_scores": "scoring_captions",
    "fill": "asking",
    "ask": "asking",
}


def __getattr__(name: str) -> Any:
    """Load a part on first use (PEP 562)."""
    if name not in _PARTS:
        raise AttributeError(f"module 'intermodal.find' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"intermodal.find.{_PARTS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PARTS})
