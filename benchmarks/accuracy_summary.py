"""The summary of the benchmark of accuracy as Markdown: a line a data set, and the counts below."""

from __future__ import annotations

import math
from collections.abc import Sequence

from accuracy_line import Line

LARGE = 1000
"""Samples from which on a calibration error can be told from chance."""
_COLUMNS = (
    "data set",
    "score",
    "best single",
    "best plain model",
    "published",
    "ours",
    "ours less the best plain [95 %]",
    "less the best single, in SE",
    "beats all plain",
    "beats published",
    "log loss, ours / plain",
    "calibration error",
    "seconds, ours / boosting",
)


def summary(lines: Sequence[Line]) -> str:
    """Write the lines as a table, with the counts below."""
    rows = [f"| {' | '.join(_COLUMNS)} |", "|---|---|---:|---|" + "---:|" * 4 + "---|---|" + "---:|" * 3]
    rows += [f"| {' | '.join(_cells(line))} |" for line in lines]
    return "\n".join([*rows, "", *[f"- {said}" for said in counts(lines)]]) + "\n"


def _cells(line: Line) -> list[str]:
    show = line.score.show
    spent = "-" if math.isnan(sum(line.seconds)) else f"{_pair(line.seconds, '.1f')} ({_ratio(line.seconds)})"
    return [
        line.name,
        line.score.name,
        show(line.single),
        f"{line.plain_name} {show(line.plain)}" if line.plain_name else "-",
        show(line.published),
        show(line.ours),
        _gap(line),
        "-" if math.isnan(line.errors) else f"{line.errors:+.1f}",
        _yes(line.beats_plain),
        _yes(line.beats_published),
        _pair(line.log_loss, ".3f"),
        _pair(line.calibration, ".3f"),
        spent,
    ]


def _gap(line: Line) -> str:
    if line.difference is None:
        return "-"
    gap = line.difference
    if math.isnan(gap.low):
        return line.score.gap(gap.mean)
    return f"{line.score.gap(gap.mean)} [{_signed(line, gap.low)}, {_signed(line, gap.high)}]"


def _signed(line: Line, value: float) -> str:
    return line.score.gap(value, unit=False)


def _pair(pair: tuple[float, float], form: str) -> str:
    both = ["-" if math.isnan(value) else format(value, form) for value in pair]
    return "-" if both == ["-", "-"] else " / ".join(both)


def _ratio(seconds: tuple[float, float]) -> str:
    return f"{seconds[0] / seconds[1]:.1f} x" if seconds[1] > 0 else "-"


def _yes(answer: bool | None) -> str:
    return "-" if answer is None else "yes" if answer else "no"


def counts(lines: Sequence[Line]) -> list[str]:
    """Say on how many sets ours wins, where it falls below one modality, how calibrated it is and what it costs."""
    files = {file: [line for line in lines if line.file == file] for file in dict.fromkeys(li.file for li in lines)}
    plain = [file for file, own in files.items() if all(line.beats_plain for line in own)]
    shown = [file for file, own in files.items() if all(_shown(line) for line in own)]
    with_figure = {file: [li for li in own if not math.isnan(li.published)] for file, own in files.items()}
    with_figure = {file: own for file, own in with_figure.items() if own}
    published = [file for file, own in with_figure.items() if all(line.beats_published for line in own)]
    both = [file for file in plain if file not in with_figure or file in published]
    said = [
        f"Ours is above all plain models on {len(plain)} of {len(files)} sets{_listed(plain)}; with an interval that "
        f"excludes 0 on {len(shown)}{_listed(shown)}.",
        f"It is above the published figure on {len(published)} of the {len(with_figure)} sets that have "
        f"one{_listed(published)}.",
        f"It is above both, or above the plain models where nothing is published, on {len(both)} of "
        f"{len(files)}{_listed(both)}.",
    ]
    compared = [line for line in lines if not math.isnan(line.errors)]
    below = [f"{line.name} ({line.errors:+.1f})" for line in compared if line.errors < -1]
    said.append(
        f"It is more than one standard error below the best single modality on {len(below)} of {len(compared)} "
        f"rows{_listed(below)}."
    )
    large = [li for li in lines if li.n >= LARGE and not math.isnan(li.calibration[0])]
    close = [line.name for line in large if line.calibration[0] < 0.05]
    if large:
        said.append(
            f"Its calibration error is below .05 on {len(close)} of {len(large)} rows with {LARGE} samples or "
            f"more{_listed(close)}."
        )
    timed = [line.seconds for line in lines if not math.isnan(sum(line.seconds))]
    if timed:
        total = (sum(a for a, _ in timed), sum(b for _, b in timed))
        said.append(f"One fit on each of {len(timed)} rows takes {_pair(total, '.0f')} seconds: {_ratio(total)}.")
    at = {c: [li.name for li in lines if li.commit == c] for c in dict.fromkeys(li.commit for li in lines)}
    measured = [f"{commit}{_listed(names)}" for commit, names in at.items() if commit != "-"]
    if measured:
        said.append(f"Ours was measured at commit {', '.join(measured)}.")
    absent = [line.name for line in lines if math.isnan(line.ours)]
    if absent:
        said.append(f"Not measured yet, and counted as not beaten: {', '.join(absent)}.")
    return said


def _shown(line: Line) -> bool:
    return line.difference is not None and line.difference.low > 0


def _listed(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""
