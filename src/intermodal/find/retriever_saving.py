"""A fitted retriever as a folder, and back; and the print by which an index knows it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from intermodal.find.both_towers import SIDES, build_towers
from intermodal.find.embedder import Embedder
from intermodal.find.meaning import Meaning
from intermodal.find.sides import Side
from intermodal.learn.folder import parameters_of, part_of, write_folder

FORMAT = 1
SHAPING = ("fusion", "d_model", "d_embed", "n_heads", "n_layers", "encoder")
"""Parameters that an embedding depends on once the model is fitted."""


def save(model: Any, folder: Path, *, overwrite: bool = False) -> Path:
    """Write a fitted retriever to a folder; see `FusionRetriever.save`."""
    return write_folder(folder, config_of(model), tensors_of(model), overwrite=overwrite)


def restore(model: Any, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """Give a retriever with the parameters of one that was saved all that it had learned."""
    parts = {
        part: part_of(tensors, f"{part}.")
        for part in ("towers", "reranker", "meaning", *(f"side.{name}" for name in SIDES))
    }
    model.sides_ = {name: Side.restored(config["sides"][name], parts[f"side.{name}"]) for name in SIDES}
    model.stride_, model.history_, model.rerank_kept_ = config["stride"], config["history"], config["rerank_kept"]
    with torch.random.fork_rng(devices=[]):
        towers = build_towers(model, model.sides_, model.stride_)
        model.reranker_ = model._build_reranker() if parts["reranker"] else None
    towers.load_state_dict(parts["towers"])
    meaning = Meaning.restored(parts["meaning"]) if parts["meaning"] else None
    model.embedder_ = Embedder(towers.eval(), meaning, config["share"])
    if model.reranker_ is not None:
        model.reranker_.load_state_dict(parts["reranker"])
        model.reranker_.eval()
    return model


def fingerprint_of(model: Any) -> str:
    """Sixteen letters of all that makes the embeddings of a fitted retriever."""
    config = config_of(model)
    told = {name: config[name] for name in ("sides", "stride", "share")}
    told |= {name: config["parameters"][name] for name in SHAPING}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    numbers = {name: of for name, of in tensors_of(model).items() if not name.startswith("reranker.")}
    for name, values in sorted(numbers.items()):
        digest.update(name.encode())
        digest.update(values.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def config_of(model: Any) -> dict[str, Any]:
    """Everything that makes the model but its numbers, ready for JSON."""
    return {
        "format": FORMAT,
        "class": type(model).__name__,
        "parameters": parameters_of(model, but=("callback", "device")),
        "sides": {name: model.sides_[name].described() for name in SIDES},
        "stride": model.stride_,
        "share": model.embedder_.share,
        "rerank_kept": model.rerank_kept_,
        "history": model.history_,
    }


def tensors_of(model: Any) -> dict[str, Tensor]:
    """All numbers of the model, by part."""
    tensors = {f"towers.{k}": v for k, v in model.towers_.state_dict().items()}
    if model.reranker_ is not None:
        tensors |= {f"reranker.{k}": v for k, v in model.reranker_.state_dict().items()}
    if model.embedder_.meaning is not None:
        tensors |= {f"meaning.{k}": v for k, v in model.embedder_.meaning.tensors().items()}
    for name in SIDES:
        tensors |= {f"side.{name}.{k}": v for k, v in model.sides_[name].tensors().items()}
    return tensors
