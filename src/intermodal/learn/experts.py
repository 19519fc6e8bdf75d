"""What stands beside the network: models that learn quickly and in other ways, as one torch module.

A line through the columns of each modality, a kernel machine that weighs modalities, and boosted trees. Each was fitted
in closed form or by scikit-learn; here they are tensors, which answer, save and load without it.

Shapes: B batch, P columns of all modalities, A rows to compare with, O outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.learn.columns import Columns
from intermodal.learn.trees import Trees

if TYPE_CHECKING:
    from intermodal.learn.kernels import Machine


class Bells(nn.Module):
    """The part of a kernel machine that compares with rows seen in training.

    Attributes:
        marks: (A, Q) columns of the modalities that are compared, side by side.
        where: (2, m) where the columns of each of them begin and end among all P.
        weights: (m + 1, 3) for each of them the weight of its own bell, its width, and its width in the joint bell; the
            last row holds the weight of the joint bell.
        dual: (A, O).

    Shape:
        columns (B, P) -> (B, O).
    """

    marks: Tensor
    where: Tensor
    weights: Tensor
    dual: Tensor

    def __init__(self, marks: Tensor, where: Tensor, weights: Tensor, dual: Tensor) -> None:
        super().__init__()
        for name, value in {"marks": marks, "where": where, "weights": weights, "dual": dual}.items():
            self.register_buffer(name, value)

    @classmethod
    def of(cls, machine: Machine, places: Mapping[str, slice], heard: float = 1.0) -> Bells | None:
        """Take over what a machine has learned of likeness, times `heard`; None where it asks for none."""
        kernel, near = machine.kernel, machine.kernel.near
        if not near:
            return None
        rows = []
        for name in near:
            width = kernel.width / machine.measure.apart[name]
            rows.append([kernel.bell[name], width, width * kernel.part[name] * (kernel.joint > 0)])
        rows.append([kernel.joint, 0.0, 0.0])
        where = [[places[name].start for name in near], [places[name].stop for name in near]]
        marks = np.hstack([machine.marks[name] for name in near])
        return cls(_tensor(marks), torch.tensor(where), _tensor(np.array(rows)), _tensor(heard * machine.dual))

    def forward(self, columns: Tensor) -> Tensor:
        """Compare with the rows seen in training."""
        alike: Tensor | None = None
        apart: Tensor | None = None
        begin = 0
        own = zip(*self.where.tolist(), self.weights[:-1].tolist(), strict=True)
        for first, last, (bell, width, part) in own:
            far = _squared_distances(columns[:, first:last], self.marks[:, begin : begin + last - first])
            begin += last - first
            if bell > 0:
                seen = bell * torch.exp(-width * far)
                alike = seen if alike is None else alike + seen
            if part > 0:
                apart = part * far if apart is None else apart + part * far
        if apart is not None:
            seen = self.weights[-1, 0] * torch.exp(-apart)
            alike = seen if alike is None else alike + seen
        assert alike is not None
        return alike @ self.dual


class Experts(nn.Module):
    """Lines, bells and trees over the columns of all modalities; their weighted sum.

    The answers of trees carry no gradient to the samples.

    Args:
        columns: of the samples.
        coef: (P, O), intercept: (O,): every linear part, weighted and summed.
        bells: weighted, or None.
        trees: or None. share: what they count.

    Shape:
        x: name -> (B, D) or (B, T, D) -> (B, O).
    """

    coef: Tensor
    intercept: Tensor
    share: Tensor

    def __init__(
        self, columns: Columns, coef: Tensor, intercept: Tensor, bells: Bells | None, trees: Trees | None, share: Tensor
    ) -> None:
        super().__init__()
        self.columns, self.bells, self.trees = columns, bells, trees
        for name, value in {"coef": coef, "intercept": intercept, "share": share}.items():
            self.register_buffer(name, value)

    def forward(self, x: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        """Sum up what the experts say."""
        columns = self.columns(x, present)
        said = columns @ self.coef + self.intercept
        if self.bells is not None:
            said = said + self.bells(columns)
        if self.trees is not None:
            said = said + self.share * self.trees(columns)
        return said

    @classmethod
    def restored(cls, names: tuple[str, ...], tensors: Mapping[str, Tensor]) -> Experts:
        """Put together what `state_dict` took apart."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        bells, trees = part("bells."), part("trees.")
        return cls(
            Columns.restored(names, part("columns.")),
            tensors["coef"],
            tensors["intercept"],
            Bells(**bells) if bells else None,
            Trees.restored(trees) if trees else None,
            tensors["share"],
        )


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    return (a.square().sum(1, keepdim=True) + b.square().sum(1) - 2 * a @ b.T).clamp(min=0)


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64)).float()
