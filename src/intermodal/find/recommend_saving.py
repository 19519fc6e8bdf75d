"""A fitted recommender as text and tensors, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from intermodal.find.popularity import KnownClips
from intermodal.find.recommend_building import build
from intermodal.find.recommend_mixing import Mix
from intermodal.find.recommend_users import Marks
from intermodal.find.sides import Side
from intermodal.learn.folder import parameters_of, part_of

FORMAT = 1


def config(model: Any) -> dict[str, Any]:
    """Everything but the numbers, ready for JSON."""
    return {
        "format": FORMAT,
        "class": type(model).__name__,
        "parameters": parameters_of(model),
        "clips": model.clip_side_.described(),
        "reviews": None if model.review_side_ is None else model.review_side_.described(),
        "past": model.past_,
        "marks": None if model.marks_ is None else list(model.marks_),
        "stride": model.stride_,
        "mix": list(model.mix_),
        "history": model.history_,
    }


def tensors(model: Any) -> dict[str, torch.Tensor]:
    """The numbers."""
    found = {f"network.{name}": value for name, value in model.network_.state_dict().items()}
    found |= {f"clips.{name}": value for name, value in model.clip_side_.tensors().items()}
    if model.review_side_ is not None:
        found |= {f"reviews.{name}": value for name, value in model.review_side_.tensors().items()}
    return found | model.known_.tensors()


def restore(model: Any, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Any:
    """Fill a recommender with what `config` and `tensors` hold."""
    model.set_params(**config["parameters"])
    model.clip_side_ = Side.restored(config["clips"], part_of(tensors, "clips."))
    reviews = config["reviews"]
    model.review_side_ = None if reviews is None else Side.restored(reviews, part_of(tensors, "reviews."))
    model.past_, model.stride_, model.history_ = config["past"], config["stride"], config["history"]
    model.marks_ = None if config["marks"] is None else Marks(*config["marks"])
    model.mix_ = Mix(*config["mix"])
    model.known_ = KnownClips.restored(dict(tensors))
    with torch.random.fork_rng(devices=[]):
        network = build(model)
    network.load_state_dict(part_of(tensors, "network."))
    model.network_ = network.eval()
    return model
