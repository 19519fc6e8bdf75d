"""What a comparison found: scores, differences with intervals, a verdict; as text, Markdown, dict or report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np

from intermodal.errors import MissingDependencyError
from intermodal.learn.paired import score_interval
from intermodal.learn.scoring import scores
from intermodal.learn.verdict import Difference, Row, Setting, compare_fusions, level, say, take


class Table(list[dict[str, Any]]):
    """Rows as dicts, all with the same keys.

    Example:
        >>> print(Table([{"name": "cross", "mean": 0.9}, {"name": "none", "mean": 0.875}]))
        name   mean
        cross  0.9
        none   0.875
    """

    def to_pandas(self) -> Any:
        """Return a DataFrame with one row per dict.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingDependencyError("to_pandas() needs pandas: pip install pandas") from error
        return pandas.DataFrame(list(self))

    def __str__(self) -> str:
        columns = list(self[0]) if self else []
        return _aligned(columns, [[str(row[c]) for c in columns] for row in self])


@dataclass(frozen=True, eq=False)
class Comparison:
    """Fusions beside baselines on the same folds.

    Attributes:
        rows: every model with its trials, as they ran.
        setting: the score, the folds and the groups that all rows share.
        facts: what was compared: task, samples, modalities, protocol, seed.
        notes: what the user should know: failures and warnings, row by row.
        findings: what the structure alone says against a fusion: dicts of `id`, `severity`, `text`, `remedy`.

    `str(result)` is the table with the verdict; notebooks show the report.
    """

    rows: tuple[Row, ...]
    setting: Setting
    facts: dict[str, Any]
    notes: tuple[str, ...] = field(default=())
    findings: tuple[dict[str, str], ...] = field(default=())

    @cached_property
    def table(self) -> Table:
        """One dict per row: name, kind, mean, low, high, every score's mean, seconds, n_parameters, folds, failed.

        `mean`, `low` and `high` are of the score that was chosen; `folds` holds it fold by fold (None where it failed);
        `seconds` is the mean time to fit once.
        """
        score, folds = self.setting.score, self.setting.folds
        table = Table()
        for row in self.rows:
            interval = score_interval(row.trials, folds, score, self.setting.groups)
            others = {name: _mean([t.scores.get(name) for t in row.trials]) for name in scores(score.task)}
            table.append(
                {
                    "name": row.name,
                    "kind": row.kind,
                    "mean": None if interval is None else interval.mean,
                    "low": None if interval is None else interval.low,
                    "high": None if interval is None else interval.high,
                    **others,
                    "seconds": float(np.mean([t.seconds for t in row.trials])),
                    "n_parameters": next((t.n_parameters for t in row.trials if t.n_parameters is not None), None),
                    "folds": [_known(t.scores.get(score.name)) for t in row.trials],
                    "failed": len(row.failures),
                }
            )
        return table

    @cached_property
    def differences(self) -> Table:
        """One dict per fusion and reference: fusion, against, mean, low, high, level, counts.

        Above 0 the fusion is better. A difference counts when its interval excludes 0.
        """
        return Table(
            {
                "fusion": d.fusion,
                "against": d.against,
                "mean": d.interval.mean,
                "low": d.interval.low,
                "high": d.interval.high,
                "level": d.interval.level,
                "counts": d.counts,
            }
            for d in self._differences
        )

    @cached_property
    def _differences(self) -> list[Difference]:
        return compare_fusions(self.rows, self.setting)

    @cached_property
    def verdict(self) -> str:
        """Plain words: does attention help here, and which row to take. The rules are in `intermodal.learn.verdict`."""
        return say(self.rows, self.setting, self._differences)

    @cached_property
    def best(self) -> str | None:
        """The name of the row to take: the simplest within one standard error of the best; None when all failed."""
        row = take(self.rows, self.setting)
        return None if row is None else row.name

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON; what is not a finite number is None."""
        return {
            "verdict": self.verdict,
            "best": self.best,
            "score": self.setting.score.name,
            "more_is_better": self.setting.score.rising,
            **self.facts,
            "folds": [{"n_train": len(f.train), "n_test": len(f.test)} for f in self.setting.folds],
            "table": _plain(list(self.table)),
            "differences": _plain(list(self.differences)),
            "notes": list(self.notes),
            "findings": list(self.findings),
        }

    def to_report(self) -> dict[str, Any]:
        """Return a report: a dict of blocks that `intermodal.report` turns into text, Markdown, JSON or HTML."""
        score = self.setting.score
        blocks: list[dict[str, Any]] = [
            {"kind": "text", "title": "Verdict", "text": self.verdict},
            {"kind": "facts", "title": "What was compared", "items": self._fact_items()},
            {
                "kind": "table",
                "title": "Scores",
                "caption": f"Mean {score.name} over {len(self.setting.folds)} test part(s) with a 95 % interval. "
                "The marked row is the one to take.",
                "columns": self._columns(),
                "rows": self._cells(),
                "align": "ll" + "r" * (len(self._columns()) - 2),
                "highlight": [i for i, row in enumerate(self.rows) if row.name == self.best],
            },
        ]
        dots = [_dot(row["name"], row) for row in self.table if _finite(row)]
        if dots:
            blocks.append({"kind": "intervals", "title": f"{score.name}, 95 % intervals", "items": dots})
        gaps = [_dot(f"{d['fusion']} against {d['against']}", d) for d in self.differences if _finite(d)]
        if gaps:
            caption = (
                f"Paired by fold; above 0 the fusion is better. {100 * level(self.rows):.3g} % intervals: "
                "a difference counts only when its interval excludes 0."
            )
            title = f"Difference in {score.name}"
            blocks.append({"kind": "intervals", "title": title, "caption": caption, "items": gaps, "reference": 0.0})
        words = [[row.name, row.words] for row in self.rows if row.words]
        if words:
            blocks.append({"kind": "facts", "title": "Who asks whom", "items": words})
        if self.findings:
            blocks.append({"kind": "findings", "title": "What the structure says", "items": list(self.findings)})
        if self.notes:
            findings = [{"id": f"N{i}", "severity": "warning", "text": note} for i, note in enumerate(self.notes, 1)]
            blocks.append({"kind": "findings", "title": "Worth a look", "items": findings})
        return {"title": "Does attention help?", "subtitle": self._subtitle(), "blocks": blocks}

    def report(self, path: str | PathLike[str]) -> None:
        """Write the report to a file; the suffix says how: .html, .md, .json or .txt."""
        from intermodal.report.writing import write  # only here does learn reach out to report: see docs/decisions.md

        write(self.to_report(), path)

    def __str__(self) -> str:
        return "\n".join(
            [self._subtitle(), "", _aligned(self._columns(), self._cells()), "", self.verdict, *self._said()]
        )

    def __repr__(self) -> str:
        return f"Comparison({len(self.rows)} rows, {len(self.setting.folds)} folds, best: {self.best!r})"

    def _repr_html_(self) -> str:
        """Show the page in a notebook, inside a frame of its own."""
        from intermodal.report.notebook import notebook_html

        return notebook_html(self.to_report())

    def _repr_markdown_(self) -> str:
        cells = [[f"**{c}**" if row[0] == self.best else c for c in row] for row in self._cells()]
        lines = [self._columns(), ["---", "---", *["---:"] * (len(self._columns()) - 2)], *cells]
        table = "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines)
        return "\n\n".join([f"**{self.verdict}**", table, *self._said()])

    def _columns(self) -> list[str]:
        return ["model", "kind", self.setting.score.name, "95 % interval", *self._extra(), "seconds", "parameters"]

    def _extra(self) -> list[str]:
        """The other scores that at least one row has."""
        score = self.setting.score
        return [n for n in scores(score.task) if n != score.name and any(row[n] is not None for row in self.table)]

    def _cells(self) -> list[list[str]]:
        score, cells = self.setting.score, []
        for row in self.table:
            name = row["name"]
            known = "failed" if row["mean"] is None else score.show(row["mean"])
            low_high = f"{score.show(row['low'])} to {score.show(row['high'])}" if _finite(row) else "-"
            others = [scores(score.task)[n].show(row[n]) for n in self._extra()]
            size = "-" if row["n_parameters"] is None else f"{row['n_parameters']:,}"
            cells.append([name, row["kind"], known, low_high, *others, f"{row['seconds']:.2f}", size])
        return cells

    def _fact_items(self) -> list[list[str]]:
        shown = {k: ", ".join(v) if isinstance(v, list) else str(v) for k, v in self.facts.items()}
        return [[k.replace("_", " "), v] for k, v in {"score": self.setting.score.name, **shown}.items()]

    def _subtitle(self) -> str:
        return f"{self.facts['n_samples']} samples, {', '.join(self.facts['modalities'])}; {self.facts['protocol']}"

    def _said(self) -> list[str]:
        return [f"Note: {note}" for note in self.notes]


def _dot(label: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"label": label, "value": row["mean"], "low": row["low"], "high": row["high"]}


def _finite(row: dict[str, Any]) -> bool:
    return all(row[k] is not None and math.isfinite(row[k]) for k in ("mean", "low", "high"))


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in map(_known, values) if v is not None]
    return float(np.mean(known)) if known else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _aligned(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in [columns, *cells]]
    return "\n".join(lines)
