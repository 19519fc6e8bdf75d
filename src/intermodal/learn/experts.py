"""What stands beside the network: models that learn quickly and in other ways, as one torch module.

A line through the columns of each modality, kernel machines that weigh modalities, and boosted trees. Each was fitted
in closed form or by scikit-learn; here they are tensors, which answer, save and load without it.

Shapes: B batch, P columns of all modalities, A rows to compare with, R machines, O outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from intermodal.learn.columns import Columns
from intermodal.learn.folder import part_of
from intermodal.learn.trees import Trees

if TYPE_CHECKING:
    from intermodal.learn.kernels import Machine


class Bells(nn.Module):
    """The part of kernel machines that compares with rows seen in training, the same rows for all of them.

    Attributes:
        marks: (A, Q) columns of the blocks that are compared, side by side.
        where: (2, m) where the columns of each of them begin and end among all P.
        weights: (R, m + 1, 3) for each machine and each of them the weight of its own bell, its width, and its width in
            the joint bell; the last row holds the weight of the joint bell.
        dual: (R, A, O).

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
    def of(cls, machines: Sequence[Machine], places: Mapping[str, slice], heard: Sequence[float]) -> Bells | None:
        """Take over what machines have learned of likeness, each times what it counts; None where none asks for any."""
        marks = {name: rows for machine in machines for name, rows in machine.marks.items()}
        near = [name for name in places if name in marks]
        asking = [(machine, factor) for machine, factor in zip(machines, heard, strict=True) if machine.kernel.near]
        if not near:
            return None
        weights = np.zeros((len(asking), len(near) + 1, 3))
        for own, (machine, _) in zip(weights, asking, strict=True):
            kernel = machine.kernel
            for i, name in enumerate(near):
                width = kernel.width / machine.measure.apart[name]
                own[i] = kernel.bell[name], width, width * kernel.part[name] * (kernel.joint > 0)
            own[-1, 0] = kernel.joint
        where = [[places[name].start for name in near], [places[name].stop for name in near]]
        dual = np.stack([factor * machine.dual for machine, factor in asking])
        return cls(
            _tensor(np.hstack([marks[name] for name in near])), torch.tensor(where), _tensor(weights), _tensor(dual)
        )

    def forward(self, columns: Tensor) -> Tensor:
        """Compare with the rows seen in training."""
        far, begin = [], 0
        for first, last in zip(*self.where.tolist(), strict=True):
            far.append(_squared_distances(columns[:, first:last], self.marks[:, begin : begin + last - first]))
            begin += last - first
        said = columns.new_zeros(len(columns), self.dual.shape[2])
        for weights, dual in zip(self.weights.tolist(), self.dual, strict=True):
            alike = columns.new_zeros(len(columns), len(self.marks))
            apart: Tensor | None = None
            for distance, (bell, width, part) in zip(far, weights[:-1], strict=True):
                if bell > 0:
                    alike = alike + bell * torch.exp(-width * distance)
                if part > 0:
                    apart = part * distance if apart is None else apart + part * distance
            if apart is not None:
                alike = alike + weights[-1][0] * torch.exp(-apart)
            said = said + alike @ dual
        return said


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
        bells, trees = part_of(tensors, "bells."), part_of(tensors, "trees.")
        return cls(
            Columns.restored(names, part_of(tensors, "columns.")),
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
