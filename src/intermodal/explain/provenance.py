"""Where a map of attention comes from: the layer, its kind, and in which state it was read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """What must be known of weights before a picture of them can be believed.

    Attributes:
        layer: the name of the layer in the model, or what stands for several of them.
        kind: `self` (the queries are the keys), `cross`, `joint` (several edges in one graph) or `unknown`.
        training: True when the model was in training mode, where dropout is on; None when nobody said.
        dtype: of the numbers as they came, or of the model.
        heads: how heads were treated: `each`, `mean of 4`, or `unknown`.
        notes: what is odd, one sentence each.

    Example:
        >>> print(Provenance("encoder.0", "self", False, "float32", "mean of 4").describe())
        layer encoder.0, self-attention, eval mode, float32, heads: mean of 4
    """

    layer: str
    kind: str
    training: bool | None
    dtype: str
    heads: str
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """Say it in one line."""
        mode = {True: "training mode", False: "eval mode", None: "mode unknown"}[self.training]
        kind = "kind unknown" if self.kind == "unknown" else f"{self.kind}-attention"
        line = f"layer {self.layer}, {kind}, {mode}, {self.dtype}, heads: {self.heads}"
        return "; ".join((line, *self.notes))
