"""One call that explains a fitted model on samples: attention, worth, and where the two disagree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from intermodal.errors import InputError
from intermodal.explain.attention_map import AttentionMap, attention_map
from intermodal.explain.shapley import Shapley, shapley
from intermodal.spec import Spec


@dataclass(frozen=True)
class Explanation:
    """Who attended to whom, what each modality was worth, and what to beware of.

    Attributes:
        attention: modality by modality, over the samples.
        shapley: exact values of every sample.
        warnings: dicts with `id`, `severity` ("warning" or "note"), `text`, `remedy`.
        spec: the fusion in words.
        n_samples: samples explained.
    """

    attention: AttentionMap
    shapley: Shapley
    warnings: list[dict[str, str]]
    spec: str
    n_samples: int

    @property
    def interactions(self) -> np.ndarray:
        """Shapley interaction of each pair, (N, M, M) or (N, M, M, outputs)."""
        return self.shapley.interactions

    def to_report(self) -> dict[str, Any]:
        """Return the explanation as a report: a dict of blocks."""
        worth = self.shapley.worth()
        blocks: list[dict[str, Any]] = [
            {
                "kind": "facts",
                "title": "What was explained",
                "items": [
                    ["Fusion", self.spec],
                    ["Samples", str(self.n_samples)],
                    ["Subsets evaluated", f"{self.shapley.evaluations}, a modality removed by never looking at it"],
                    ["Completeness error", f"{self.shapley.completeness:.1e}"],
                ],
            },
            {
                "kind": "bars",
                "title": "What each modality was worth",
                "caption": "Mean absolute Shapley value over the samples, with a 95 % bootstrap interval: how far the "
                "modality moved the prediction.",
                "items": [{"label": w["name"], "value": w["mean"], "low": w["low"], "high": w["high"]} for w in worth],
            },
        ]
        if self.attention.mean is None:
            blocks.append(
                {"kind": "text", "title": "Who attended to whom", "text": "Nobody asked anybody in these samples."}
            )
        else:
            values = [[None if np.isnan(v) else float(v) for v in row] for row in self.attention.mean]
            caption = "A row asks, a column is looked at; a row sums to 1. Mean over samples, layers and heads."
            names = list(self.attention.names)
            blocks.append(
                {"kind": "matrix", "title": "Who attended to whom", "caption": caption, "rows": names}
                | {"columns": names, "values": values, "digits": 2}
            )
        if self.warnings:
            blocks.append({"kind": "findings", "title": "Beware", "items": self.warnings})
        return {"title": "Who asks whom, and what was it worth", "subtitle": self.spec, "blocks": blocks}

    def report(self, path: str | Path) -> Path:
        """Write the explanation to a file: .html, .md, .json or .txt by its suffix."""
        from intermodal.report.writing import write

        write(self.to_report(), path)
        return Path(path)


def explain(model: Any, X: Any) -> Explanation:
    """Explain a fitted model on samples.

    Args:
        model: a fitted `FusionClassifier` or `FusionRegressor`.
        X: samples; the same kind of thing as in `fit`.

    Returns:
        The explanation; `.report("explanation.html")` writes it.

    Raises:
        InputError: the model cannot be explained, has too many modalities for exact values, or X holds no sample.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> explanation = explain(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X)
        >>> explanation.attention.names, explanation.attention.mean.shape
        (('a', 'b'), (2, 2))
    """
    if not hasattr(model, "prepared"):
        raise InputError(f"a fitted FusionClassifier or FusionRegressor is explained, however: {type(model).__name__}")
    module, feed = model.prepared(X)
    worth = shapley(model, X)
    attended = attention_map(module, feed)
    spec = module.network.spec
    found = _disagreements(attended, worth, spec) + _even_by_construction(attended, spec)
    return Explanation(attended, worth, found, spec.describe(), len(feed))


def _disagreements(attended: AttentionMap, worth: Shapley, spec: Spec) -> list[dict[str, str]]:
    """Where attention and worth tell different stories, by the modalities that could choose whom to look at."""
    if attended.mean is None:
        return []
    fixed = _cannot_choose(attended.names, spec)
    chose = [n > 0 and name not in fixed for name, n in zip(attended.names, attended.count, strict=True)]
    if not any(chose):
        return []
    found = []
    looked_at = attended.mean[chose].mean(0)
    for i, row in enumerate(worth.worth()):
        share = row["share"]
        if share is not None and looked_at[i] > 3 * share and looked_at[i] > 0.05:
            found.append(
                {
                    "id": "attended-but-unused",
                    "severity": "warning",
                    "text": f'attention and worth disagree: "{row["name"]}" got {looked_at[i]:.0%} of the attention '
                    f"and {share:.0%} of the worth",
                    "remedy": "trust the worth: attention is where the model looked, not what it used",
                }
            )
    return found


def _even_by_construction(attended: AttentionMap, spec: Spec) -> list[dict[str, str]]:
    """Rows of the map that the spec alone decides: they say nothing about the model."""
    fixed = [] if attended.mean is None or len(attended.names) < 2 else _cannot_choose(attended.names, spec)
    if not fixed:
        return []
    who = ", ".join(f'"{name}"' for name in fixed)
    return [
        {
            "id": "even-by-construction",
            "severity": "note",
            "text": f"the shares in the row of {who} are even by construction: every edge from there asks a single "
            "modality, so attention chooses among its tokens and not between modalities",
            "remedy": 'fusion "self", or a side that joins modalities such as "text -> [*]", lets the attention '
            "choose between modalities",
        }
    ]


def _cannot_choose(names: tuple[str, ...], spec: Spec) -> list[str]:
    """The modalities that ask, and whose every edge asks a single modality."""
    asked = {name: [len(e.context_names) for e in spec.edges if name in e.query_names] for name in names}
    return [name for name, widths in asked.items() if widths and max(widths) == 1]
