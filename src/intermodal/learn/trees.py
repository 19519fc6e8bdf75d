"""Boosted trees as tensors: grown by scikit-learn, they answer, save and load without it.

Shapes: B batch, P columns, O outputs, J trees, V nodes of all trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ITERATIONS = 100
MOST_TREES = 1000
"""Trees in all, about: with many classes there are fewer iterations."""
LEAVES = 15
LEARNING_RATE = 0.1
FEW_CELLS = 1_000_000
"""Below this many numbers one thread is faster: on a busy machine threads wait for each other at every node."""
AT_ONCE = 1 << 20
"""Nodes visited in one operation."""


class Trees(nn.Module):
    """Gradient boosted trees; their answers carry no gradient to the columns.

    Shape:
        columns (B, P) -> (B, O): logits of classes, or numbers.

    Attributes:
        feature: (V,) the column that a node asks. threshold: (V,) up to which it goes left.
        left, right: (V,) where it goes; a leaf stays where it is.
        value: (V,) what a leaf adds.
        root: (J,) the first node of each tree. output: (J,) the output that it adds to.
        bias: (O,).
        depth: how many questions the deepest tree asks.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    root: Tensor
    output: Tensor
    bias: Tensor
    depth: Tensor

    def __init__(self, **tensors: Tensor) -> None:
        super().__init__()
        for name, value in tensors.items():
            self.register_buffer(name, value)

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor]) -> Trees:
        """Put together what `state_dict` took apart."""
        return cls(**tensors)

    @classmethod
    def fit(
        cls, columns: np.ndarray, target: np.ndarray, weight: np.ndarray, *, n_classes: int | None, seed: int
    ) -> Trees:
        """Grow trees.

        Args:
            columns: (N, P).
            target: (N,) class numbers, or (N, O) numbers.
            weight: (N,); rows of weight 0 are left out.
            n_classes: O of a classification, or None. A class that no row has is as rare as can be.
            seed: of the binning, where rows are many.

        Example:
            >>> columns = np.arange(100.0)[:, None]
            >>> trees = Trees.fit(columns, np.sign(columns - 50), np.ones(100), n_classes=None, seed=0)
            >>> trees(torch.tensor([[10.0], [90.0]])).round().tolist()
            [[-1.0], [1.0]]
        """
        rows = weight > 0
        columns, target, weight = columns[rows], target[rows], weight[rows]
        if n_classes is None:
            outputs = [(_grown(columns, y, weight, seed), o) for o, y in enumerate(target.T)]
            bias = np.array([float(model._baseline_prediction.ravel()[0]) for model, _ in outputs])
            return _flat([(p[0], o, 1.0) for model, o in outputs for p in model._predictors], bias)
        known, labels = np.unique(target, return_inverse=True)
        bias = np.full(n_classes, np.log(0.1 / len(target)))
        if len(known) == 1:
            bias[known] = 0.0
            return _flat([], bias)
        model = _grown(columns, labels, weight, seed, n_classes=len(known))
        if len(known) > 2:
            bias[known] = model._baseline_prediction.ravel()
            return _flat([(p, known[o], 1.0) for trees in model._predictors for o, p in enumerate(trees)], bias)
        bias[known] = model._baseline_prediction.ravel()[0] * np.array([-0.5, 0.5])
        return _flat([(t[0], c, s) for t in model._predictors for c, s in zip(known, (-0.5, 0.5), strict=True)], bias)

    def among(self, picked: np.ndarray) -> Trees:
        """The same trees for wider rows, of which they were grown on the columns `picked`."""
        tensors = dict(self.named_buffers())
        return Trees(**{**tensors, "feature": torch.from_numpy(picked)[self.feature]})

    def forward(self, columns: Tensor) -> Tensor:
        """Walk down all trees for all rows."""
        with torch.no_grad():
            if not len(self.root):
                return self.bias.expand(len(columns), -1)
            size = max(1, AT_ONCE // len(self.root))
            return torch.cat([self._walk(some) for some in columns.split(size)]) if len(columns) else columns[:, :0]

    def _walk(self, columns: Tensor) -> Tensor:
        at = self.root.expand(len(columns), -1)
        for _ in range(int(self.depth)):
            goes_left = columns.gather(1, self.feature[at]) <= self.threshold[at]
            at = torch.where(goes_left, self.left[at], self.right[at])
        said = self.value[at].to(columns.dtype)
        return self.bias.to(columns.dtype).expand(len(columns), -1).index_add(1, self.output, said)


def _grown(columns: np.ndarray, target: np.ndarray, weight: np.ndarray, seed: int, n_classes: int | None = None) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    trees = 1 if n_classes in (None, 2) else n_classes
    kind: Any = HistGradientBoostingRegressor if n_classes is None else HistGradientBoostingClassifier
    model = kind(
        learning_rate=LEARNING_RATE,
        max_iter=min(ITERATIONS, max(20, MOST_TREES // trees)),
        max_leaf_nodes=LEAVES,
        early_stopping=False,
        random_state=seed,
    )
    # A threshold between two rows must be between them in single precision too.
    equal = bool((weight == weight[0]).all())  # binning by weights takes twenty times as long
    with threadpool_limits(1 if columns.size < FEW_CELLS else None, user_api="openmp"):
        return model.fit(columns.astype(np.float32), target, sample_weight=None if equal else weight)


def _flat(grown: list[tuple[Any, int, float]], bias: np.ndarray) -> Trees:
    """Trees, each with its output and a factor on what it says, side by side."""
    parts: dict[str, list[np.ndarray]] = {n: [] for n in ("feature", "threshold", "left", "right", "value")}
    root, begin, depth = [], 0, 0
    for tree, _, factor in grown:
        nodes = tree.nodes
        leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes)) + begin
        parts["feature"].append(np.where(leaf, 0, nodes["feature_idx"]))
        parts["threshold"].append(np.where(leaf, 0.0, nodes["num_threshold"]))
        parts["left"].append(np.where(leaf, own, nodes["left"].astype(np.int64) + begin))
        parts["right"].append(np.where(leaf, own, nodes["right"].astype(np.int64) + begin))
        parts["value"].append(factor * nodes["value"])
        root.append(begin)
        begin += len(nodes)
        depth = max(depth, int(nodes["depth"].max()))
    numbers = {n: np.concatenate(p) if p else np.empty(0) for n, p in parts.items()}
    exact = {n: torch.from_numpy(numbers[n].astype(np.int64)) for n in ("feature", "left", "right")}
    places = {
        "root": torch.tensor(root, dtype=torch.int64),
        "output": torch.tensor([int(o) for _, o, _ in grown], dtype=torch.int64),
    }
    real = {n: torch.from_numpy(numbers[n].astype(np.float32)) for n in ("threshold", "value")}
    return Trees(**exact, **real, **places, bias=torch.from_numpy(bias).float(), depth=torch.tensor(depth))
