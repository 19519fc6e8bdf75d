"""One call that explains a fitted model on samples: attention, worth, whether the two agree, and what to beware of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from intermodal.data.samples import Samples
from intermodal.errors import InputError
from intermodal.explain.agreeing import Agreement, agreement
from intermodal.explain.attention_maps import AttentionMap, attention_map
from intermodal.explain.coalitions import Coalitions, play
from intermodal.explain.curves import Curves, deletion_curves
from intermodal.explain.diagnosing import diagnose, spread
from intermodal.explain.explained import prepared
from intermodal.explain.looking import attention_shares
from intermodal.explain.randomising import Randomised, model_randomisation
from intermodal.explain.shapley_values import Shapley, shapley_of
from intermodal.explain.showing import Shown, show
from intermodal.explain.shuffling import (
    AttentionPermutation,
    UniformAttention,
    attention_permutation,
    uniform_attention,
)
from intermodal.explain.standing import StandIn
from intermodal.explain.targets import known_rows
from intermodal.explain.two_rules import RuleComparison, compare_rules
from intermodal.nn.network import FusionNetwork
from intermodal.spec import Spec

SECOND = "mean"
"""The rule of removal that stands beside the first."""

FAITHFUL = 256
"""Samples, spread evenly, on which attention is made even and dealt to other keys: each takes a dozen passes."""

LONG = 200
"""Letters above which a fusion is said by the words of its preset."""
RANDOMISED = 64
"""Samples, spread evenly, on which random models are explained."""

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and words about the next one."""


@dataclass(frozen=True, repr=False)
class Explanation:
    """Who attended to whom, what each modality was worth, whether the two agree, and what to beware of.

    Attributes:
        attention: modality by modality, over the samples.
        shapley: exact values of every sample.
        warnings: dicts with `id`, `severity` ("error", "warning" or "note"), `text`, `remedy`, the worst first.
        spec: the fusion in words.
        n_samples: samples explained.
        game: what the model said of every subset of modalities.
        rules: the order of the modalities under a second rule of removal; None where there is no second rule.
        agreement: attention beside worth.
        curves: deletion and insertion by Shapley values, leave-one-out and attention; None where no sample has two
            modalities.
        uniform: what even attention would cost; None where nobody asks.
        permuted: how far the prediction moves when weights are dealt to other keys; None where nobody asks.
        randomised: whether the explanation changes with the model; None where that was not asked for.
        shown: the samples that a report shows one by one.
        provenance: model, precision, rule, seed: what must be known to repeat this.
    """

    attention: AttentionMap
    shapley: Shapley
    warnings: list[dict[str, str]]
    spec: str
    n_samples: int
    game: Coalitions
    rules: RuleComparison | None
    agreement: Agreement
    curves: Curves | None
    uniform: UniformAttention | None
    permuted: AttentionPermutation | None
    randomised: Randomised | None
    shown: Shown
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def interactions(self) -> np.ndarray:
        """Shapley interaction of each pair, (N, M, M) or (N, M, M, outputs)."""
        return self.shapley.interactions

    def __repr__(self) -> str:
        names = ", ".join(self.shapley.names)
        return f"Explanation({self.n_samples} samples, {names}; {len(self.warnings)} warnings and notes)"

    def to_report(self, *, brief: bool = False) -> dict[str, Any]:
        """Return the explanation as a report: a dict of blocks.

        Args:
            brief: what a terminal has room for; without, every view of the page.
        """
        from intermodal.explain.reporting import report_of

        return report_of(self, brief=brief)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers for machines: nested dicts and lists, NaN where nothing is known."""
        from intermodal.explain.reporting import dict_of

        return dict_of(self)

    def report(self, path: str | Path, *, max_mb: float = 25) -> Path:
        """Write the explanation to a file: .html, .md, .json or .txt by its suffix.

        Args:
            path: where to.
            max_mb: the most megabytes (of 10^6 bytes); a larger report is refused and nothing is written.
        """
        from intermodal.report.writing import write

        return write(self.to_report(), path, max_mb=max_mb)

    def _repr_html_(self) -> str:
        """Show the page in a notebook, inside a frame of its own."""
        from intermodal.report.notebook import notebook_html

        return notebook_html(self.to_report())

    def _repr_markdown_(self) -> str:
        from intermodal.report.markdown import to_markdown

        return to_markdown(self.to_report(brief=True))


def explain(
    model: Any,
    X: Any,
    *,
    y: Any = None,
    removal: str | None = None,
    of: str = "prediction",
    seconds: Mapping[str, Any] | None = None,
    n_shown: int = 20,
    randomise: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Explanation:
    """Explain a fitted model on samples.

    Args:
        model: a fitted `FusionClassifier` or `FusionRegressor`.
        X: samples; the same kind of thing as in `fit`, best such as the model was not fitted on.
        y: their target, where it is known; taken from the samples when None.
        removal: how a modality is taken away: `mask`, `learned_missing`, `mean` or `permute`; by default what the
            model does with one that is missing.
        of: what is explained: `prediction`, `logit`, `margin` or `loss`.
        seconds: name -> seconds that a token of this sequence lasts, or the start, or (start, end), of each token.
        n_shown: samples that a report shows one by one.
        randomise: random models to compare the explanation with, on 64 samples at most; 0 leaves the test out.
        seed: of every draw.
        progress: called with steps done, steps in all, and words about the next one.

    Returns:
        The explanation; `.report("explanation.html")` writes it, a notebook shows it.

    Raises:
        InputError: the model cannot be explained, has too many modalities for exact values, or X holds no sample.

    Example:
        >>> from intermodal.learn.estimators import FusionRegressor
        >>> X = {"a": np.arange(20.0)[:, None], "b": np.ones((20, 1))}
        >>> explanation = explain(FusionRegressor(max_epochs=3).fit(X, X["a"][:, 0]), X)
        >>> explanation.attention.names, explanation.attention.mean.shape
        (('a', 'b'), (2, 2))
    """
    say = _steps(progress)
    module, feed = prepared(model, X)
    once = StandIn(model, module, feed)  # copied and scaled once, asked many times
    y, rows = known_rows(model, X, y, len(feed))
    if of == "loss" and len(rows) < len(feed):
        raise InputError(f'of="loss" needs the target of every sample, however: {len(feed) - len(rows)} have none')
    all_known = y if len(rows) == len(feed) else None
    say("worth")
    game = play(once, X, removal=removal, of=of, y=y, seed=seed)
    worth = shapley_of(game)
    say("attention")
    attended, looked_at = attention_map(module, feed), attention_shares(once, X)
    say("a second rule of removal")
    second = None
    if game.removal != SECOND and hasattr(model, "preprocessor_"):  # which knows the training mean
        second = compare_rules(worth, shapley_of(play(once, X, removal=SECOND, of=of, y=y, seed=seed)), seed=seed)
    say("faithfulness")
    asks = attended.mean is not None and isinstance(module.network, FusionNetwork)
    some = rows if len(rows) else np.arange(len(feed))
    some = some[spread(len(some), FAITHFUL)]
    uniform = permuted = None
    if asks:
        part = Samples.of(X, nan="impute")[some].with_y(None)
        uniform = uniform_attention(model, part, _scored(model, y, some) if len(rows) else None)
        permuted = attention_permutation(model, part, seed=seed)
    randomised = None
    if randomise:
        part = Samples.of(X, nan="impute")[spread(len(feed), RANDOMISED)].with_y(None)
        randomised = model_randomisation(model, part, removal=removal, draws=randomise, seed=seed)
    say("warnings")
    found = [finding.to_dict() for finding in diagnose(model, X, y=all_known, attention=attended, shapley=worth)]
    say("samples")
    return Explanation(
        attended,
        worth,
        [*attended.findings(), *found, *_turned(second)],
        in_words(module.network.spec, worth.names),
        len(feed),
        game,
        second,
        agreement(looked_at, worth.moved, names=worth.names),
        _curves(game, looked_at),
        uniform,
        permuted,
        randomised,
        show(model, module, feed, attended, worth, all_known, seconds=seconds, n=n_shown, seed=seed),
        {**_provenance(model, module, feed, game, seed), "n_known": len(rows), "n_faithful": len(some)},
    )


def in_words(spec: Spec, names: tuple[str, ...]) -> str:
    """Say who asks whom; thirty edges are no sentence where a preset's few words say the same.

    Example:
        >>> names = ("a", "b", "c", "d", "e", "f")
        >>> in_words(Spec.parse("cross", names), names), in_words(Spec.parse("cross", names[:2]), names[:2])
        ('every modality asks every other', 'a asks b; b asks a')
    """
    words = spec.describe()
    if len(words) > LONG:
        for preset in ("self", "cross"):
            if Spec.parse(preset, names) == spec:
                return Spec.parse(preset).describe()
    return words


def _scored(model: Any, y: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    """The target of these rows, or None where a score cannot be told: R2 of numbers that are all the same."""
    if y is None or (not hasattr(model, "classes_") and bool((y[rows] == y[rows][:1]).all(0).any())):
        return None
    return np.asarray(y[rows])


def _curves(game: Coalitions, looked_at: np.ndarray | None) -> Curves | None:
    """Deletion and insertion on the samples in which somebody asked, so that all rankings walk the same samples."""
    if not (game.present.sum(1) > 1).any():
        return None
    scores = {}
    if looked_at is not None and not np.isnan(looked_at[game.present.any(1)]).any():
        scores["attention"] = np.nan_to_num(looked_at)
    one_number = game.v.ndim == 2 or game.of == "loss" or np.allclose(game.v[-1].sum(1), 1.0)
    return deletion_curves(game, scores, measure="value" if one_number else "nearness")


def _turned(second: RuleComparison | None) -> list[dict[str, str]]:
    """The pairs of modalities whose order depends on the rule of removal, beyond doubt."""
    clear = [] if second is None else [flip["text"] for flip in second.flips if flip["clear"]]
    remedy = "say which rule was used wherever these values are quoted, and claim no order of the two"
    return [{"id": "rule-decides", "severity": "warning", "text": text, "remedy": remedy} for text in clear]


def _provenance(model: Any, module: Any, feed: Any, game: Coalitions, seed: int) -> dict[str, Any]:
    parameters = list(module.state_dict().items()) if isinstance(module, torch.nn.Module) else []
    digest = hashlib.sha256()
    for name, value in parameters:
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return {
        "model": type(model).__name__,
        "fingerprint": digest.hexdigest()[:12],
        "dtype": str(getattr(feed, "dtype", "")).removeprefix("torch."),
        "device": str(getattr(feed, "device", "cpu")),
        "removal": game.removal,
        "of": game.of,
        "evaluations": game.evaluations,
        "seed": seed,
    }


def _steps(progress: Progress | None) -> Callable[[str], None]:
    done = iter(range(6))
    return lambda words: None if progress is None else progress(next(done), 6, words)
