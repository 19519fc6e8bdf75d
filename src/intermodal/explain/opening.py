"""What can be looked into: a fitted estimator with samples, or a network with tensors, read in the same way.

Shapes: B batch, N samples, T tokens, D width of a modality, M modalities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from intermodal.errors import InputError, MaskError, ShapeError
from intermodal.nn.network import FusionNetwork


class Opened(NamedTuple):
    """A model taken apart: what is called, the network in it, and the samples as it reads them."""

    module: Any
    network: Any
    feed: Any


class Tensors:
    """Samples that lie as tensors already, batch by batch like the feed of an estimator.

    Args:
        x: name -> (N, D) or (N, T, D).
        present: name -> bool (N,) or (N, T); all there by default.

    Raises:
        InputError: a value is no tensor, or the modalities differ in their number of samples.

    Example:
        >>> feed = Tensors({"text": torch.tensor([[1.0], [3.0]])})
        >>> len(feed), feed.batch(np.array([1]))[0]["text"]
        (2, tensor([[3.]]))
    """

    def __init__(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> None:
        present = {} if present is None else present
        for called, given in (("x", x), ("present", present)):
            if not isinstance(given, Mapping):
                raise InputError(f"{called} is a mapping name -> tensor, however: {type(given).__name__}")
            for name, t in given.items():
                if not isinstance(t, Tensor) or t.ndim == 0:
                    what = type(t).__name__ if not isinstance(t, Tensor) else "a tensor without axes"
                    raise InputError(f'{called}["{name}"] is a tensor with the samples first, however: {what}')
        if not x:
            raise InputError("x holds at least one modality, however: it is empty")
        sizes = {name: len(t) for name, t in x.items()}
        if len(set(sizes.values())) > 1:
            raise ShapeError(f"all modalities have one number of samples, however: {sizes}")
        self.n = next(iter(sizes.values()))
        for name, t in present.items():
            if len(t) != self.n:
                raise MaskError(f'present of "{name}" says of {self.n} samples what is there, however: of {len(t)}')
        self.x, self.present = dict(x), dict(present)

    def __len__(self) -> int:
        return self.n

    def batch(self, rows: np.ndarray) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the samples at `rows`, and what of them is there."""
        at = torch.from_numpy(np.ascontiguousarray(rows))
        x, present = ({n: t[at.to(t.device)] for n, t in given.items()} for given in (self.x, self.present))
        return x, present

    def in_order(self, rows: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
        """Yield `rows` in their order, in pieces."""
        yield from (rows[i : i + batch_size] for i in range(0, len(rows), batch_size))


def opened(model: Any, X: Any, *, what: str) -> Opened:
    """Open a model and its samples.

    Args:
        model: a fitted estimator, a `FusionNetwork`, or a module that has one as `network` and returns `fused`.
        X: samples as the estimator reads them; for a module, name -> tensor, a pair `(x, present)`, or a feed as
            `prepared` of an estimator returns it.
        what: how errors call the caller.

    Raises:
        InputError: neither a model nor its samples can be read so, or there is no sample.

    Example:
        >>> network = FusionNetwork("self", {"text": 3, "audio": 2}, d_model=8)
        >>> len(opened(network, {"text": torch.zeros(5, 3)}, what="attention_map").feed)
        5
    """
    if hasattr(model, "prepared"):
        module, feed = model.prepared(X)
    elif isinstance(model, FusionNetwork) or hasattr(model, "network"):
        module, feed = model, _feed(X, what)
    else:
        raise InputError(
            f"{what} takes a fitted estimator with samples, or a FusionNetwork with tensors, however: "
            f"{type(model).__name__}"
        )
    if len(feed) == 0:
        raise InputError("there must be at least one sample, however: there is none")
    return Opened(module, module if isinstance(module, FusionNetwork) else module.network, feed)


def _feed(X: Any, what: str) -> Any:
    if hasattr(X, "in_order"):
        return X
    if isinstance(X, Mapping):
        return Tensors(X)
    if isinstance(X, tuple) and len(X) == 2:
        return Tensors(*X)
    raise InputError(
        f"{what} of a network takes its tensors, name -> (N, D) or (N, T, D), or a pair (x, present), however: "
        f"{type(X).__name__}"
    )


@contextmanager
def in_eval_mode(model: Any) -> Iterator[None]:
    """Put a module in eval mode inside the body, and every part of it back as it was; a plain function stays as it is.

    Example:
        >>> network = FusionNetwork("self", {"text": 3}, d_model=8).train()
        >>> with in_eval_mode(network):
        ...     network.training
        False
        >>> network.training
        True
    """
    modes = [(part, part.training) for part in model.modules()] if isinstance(model, torch.nn.Module) else []
    if modes:
        model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def as_in_prediction(module: torch.nn.Module) -> Iterator[None]:
    """Look at a model as it predicts: in eval mode, and no gradient is kept.

    Example:
        >>> network = FusionNetwork("self", {"text": 3}, d_model=8).train()
        >>> with as_in_prediction(network):
        ...     network.training, torch.is_grad_enabled()
        (False, False)
    """
    with in_eval_mode(module), torch.no_grad():
        yield


def absent(x: Mapping[str, Tensor], present: Mapping[str, Tensor], names: tuple[str, ...]) -> Tensor:
    """Return which modality which sample lacks, (B, M) bool: what the data say, whatever stands in for it.

    Example:
        >>> x = {"text": torch.zeros(2, 3), "video": torch.zeros(2, 4, 5)}
        >>> absent(x, {"video": torch.tensor([[False] * 4, [True] * 4])}, ("text", "audio", "video"))
        tensor([[False,  True,  True],
                [False,  True, False]])
    """
    lacking = []
    batch = len(next(iter(x.values())))
    for name in names:
        if name not in x or (x[name].ndim == 3 and x[name].shape[1] == 0):
            lacking.append(torch.ones(batch, dtype=torch.bool))
        elif name not in present:
            lacking.append(torch.zeros(batch, dtype=torch.bool))
        else:
            lacking.append(~present[name].reshape(batch, -1).any(1).cpu())
    return torch.stack(lacking, 1)
