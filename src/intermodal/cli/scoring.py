"""Scores of a fitted model on samples, each with an interval, beside the constant predictor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from intermodal.data.samples import Samples
    from intermodal.learn.scoring import Predictions, Score

DRAWS = 1000
"""How often the bootstrap draws the rows again."""
_MANY = 20_000
"""Rows above which fewer draws are enough, and more would take minutes."""


def score_model(
    model: Any, samples: Samples, reference: np.ndarray | None, *, n_draws: int | None = None
) -> dict[str, Any]:
    """Score a model on samples.

    Args:
        model: fitted.
        samples: with a target; `groups`, where there are some, are drawn whole.
        reference: the target of the rows that the constant predictor learns from; None takes the evaluated rows (in
            regression the mean that the model has stored).
        n_draws: of the bootstrap, `DRAWS` unless given; a fifth of it above 20,000 rows.

    Returns:
        `task`, `n`, `baseline` (`name` and `of`), `scores` (dicts of `name`, `value`, `low`, `high`, `baseline`) and
        `difference` of the first score to the baseline (`value`, `low`, `high`; above 0 the model is better).

    Raises:
        InputError: the target does not fit the model.
    """
    from intermodal.learn.scoring import scores
    from intermodal.learn.stats import ScoredRows, bootstrap_interval

    task = "classification" if hasattr(model, "classes_") else "regression"
    said = predictions_of(model, samples)
    constant, of = _constant(model, said, reference)
    n_draws = n_draws or DRAWS
    n_draws = n_draws if len(said) <= _MANY else max(1, n_draws // 5)

    def interval(statistic: Any) -> dict[str, float | None]:
        found = bootstrap_interval(ScoredRows(statistic, len(said), samples.groups), n_draws=n_draws)
        return {"value": _known(found.mean), "low": _known(found.low), "high": _known(found.high)}

    lines = []
    for name, score in scores(task).items():  # type: ignore[arg-type]
        value = score(said)
        if math.isfinite(value):
            lines.append({"name": name, **interval(_on(score, said)), "baseline": _known(score(constant))})
    first = scores(task)[str(lines[0]["name"])]  # type: ignore[arg-type]
    own, other = _on(first, said), _on(first, constant)
    return {
        "task": task,
        "n": len(said),
        "baseline": {"name": "majority" if task == "classification" else "mean", "of": of},
        "scores": lines,
        "difference": interval(lambda rows: first.sign * (own(rows) - other(rows))),
        "n_draws": n_draws,
    }


def predictions_of(model: Any, samples: Samples) -> Predictions:
    """Return what a model says about samples, beside the truth.

    Raises:
        InputError: the target holds no class of the model, or has another form than its predictions.
    """
    import numpy as np

    from intermodal.errors import InputError
    from intermodal.learn.scoring import Predictions

    y = np.asarray(samples.y)
    if hasattr(model, "classes_"):
        if not np.isin(y, model.classes_).any():
            known = ", ".join(map(str, model.classes_[:5].tolist()))
            raise InputError(
                f'the target must hold classes of the model ({known} ...), however: "{samples.target or "y"}" holds '
                f"{y[0]}"
            )
        shares = model.predict_proba(samples)
        return Predictions(y, model.classes_[shares.argmax(1)], shares, None, model.classes_)
    predicted = model.predict(samples)
    if y.shape != predicted.shape or y.dtype.kind not in "fiub":
        raise InputError(f"the target must be numbers as the model predicts them, however: {y.shape=}, {y.dtype=}")
    return Predictions(y.astype(np.float64), predicted)


def blocks(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Turn what `score_model` returned into blocks of a report."""
    from intermodal.learn.scoring import scores

    known = scores(found["task"])
    rows = []
    for line in found["scores"]:
        show = known[line["name"]].show
        rows.append([line["name"], show(line["value"]), f"{show(line['low'])} to {show(line['high'])}"])
        rows[-1].append(show(line["baseline"]))
    base, first = found["baseline"], known[found["scores"][0]["name"]]
    gap = found["difference"]
    shown = gap["low"] is not None and gap["low"] > 0
    verdict = (
        f"{first.name} is {first.gap(gap['value'])} against the {base['name']} (95 % interval "
        f"{first.gap(gap['low'], unit=False)} to {first.gap(gap['high'], unit=False)})"
        + ("." if shown else ": the model is not shown to beat a constant.")
    )
    return [
        {
            "kind": "table",
            "title": "Scores",
            "caption": f"Intervals: 95 %, the {found['n']} rows drawn again {found['n_draws']} times. "
            f"The {base['name']} is that of {base['of']}.",
            "columns": ["score", "model", "95 % interval", base["name"]],
            "rows": rows,
            "align": "lrrr",
        },
        {"kind": "text", "text": verdict[0].upper() + verdict[1:]},
    ]


def _constant(model: Any, said: Predictions, reference: np.ndarray | None) -> tuple[Predictions, str]:
    """What a predictor says that ignores its input, and whose target it learned."""
    import numpy as np

    from intermodal.learn.scoring import Predictions

    y = said.y if reference is None else reference
    of = "the evaluated rows" if reference is None else f"the {len(y)} training rows in the data"
    if said.classes is None:
        if reference is None:
            mean, of = np.asarray(model.y_mean_, dtype=np.float64), "the rows that the model learned from"
            mean = mean if said.y.ndim == 2 else mean[0]
        else:
            mean = np.mean(y, axis=0)
        return Predictions(said.y, np.broadcast_to(mean, said.y.shape)), of
    classes, counts = np.unique(y, return_counts=True)
    shares = np.broadcast_to(counts / counts.sum(), (len(said), len(classes)))
    return Predictions(said.y, np.full(len(said), classes[counts.argmax()]), shares, None, classes), of


def _on(score: Score, said: Predictions) -> Any:
    return lambda rows: score(said[rows])


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
