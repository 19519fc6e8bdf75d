"""Tokens that are computed when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from intermodal.errors import InputError
from intermodal.nn.fused import Fused


class Later(Mapping[str, Tensor]):
    """Tokens by name, computed when the first is read, as the forward pass would have: its mode, its gradients.

    Args:
        names: of the tokens.
        pooled: what the forward pass returned.
        whole: the same forward pass with its tokens.
        given: every tensor that it depends on. One that changes in between would make other tokens, and is refused.

    Raises:
        InputError: on reading, when an input or a weight has changed since the forward pass.

    Example:
        >>> whole = Fused(torch.ones(1, 2), {"a": torch.ones(1, 1, 2)}, None)
        >>> later = Later(("a",), whole.pooled, lambda: whole, ())
        >>> list(later), later["a"].shape
        (['a'], torch.Size([1, 1, 2]))
    """

    def __init__(
        self, names: tuple[str, ...], pooled: Tensor, whole: Callable[[], Fused], given: tuple[Tensor, ...]
    ) -> None:
        self._names, self._pooled, self._whole, self._given = names, pooled, whole, given
        self._versions = _versions(given)
        self._grad, self._inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        self._tokens: Mapping[str, Tensor] | None = None

    def __getitem__(self, name: str) -> Tensor:
        """Return the tokens of this name."""
        if name not in self._names:
            raise KeyError(name)
        if self._tokens is None:
            self._tokens = self._computed()
        return self._tokens[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._names)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._names)

    def __repr__(self) -> str:
        """Show the names, and compute nothing."""
        return f"Later({', '.join(self._names)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and keep the tokens, not the way to them."""
        return dict, (dict(self),)

    def _computed(self) -> Mapping[str, Tensor]:
        same = _versions(self._given) == self._versions
        if same:
            with torch.inference_mode(self._inference), torch.set_grad_enabled(self._grad):
                whole = self._whole()
                pooled = self._pooled.detach()
                # torch counts no changes in inference mode: there, what comes out tells.
                near = 1e-3 * (1 + float(pooled.nan_to_num(0, 0, 0).abs().max()))
                same = torch.allclose(whole.pooled.detach(), pooled, rtol=1e-3, atol=near, equal_nan=True)
        if not same:
            raise InputError(
                "tokens are computed when first read, from the input and the weights of the forward pass, however: one "
                "of these has changed since; read fused.tokens before that"
            )
        self._whole, self._given = _gone, ()
        return whole.tokens


def _versions(given: tuple[Tensor, ...]) -> tuple[int, ...]:
    return tuple(0 if t.is_inference() else t._version for t in given)


def _gone() -> Fused:
    raise AssertionError
