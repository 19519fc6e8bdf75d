"""A trace as text of 80 columns, to be read from the top like a page of a workbook."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from types import ModuleType
from typing import TYPE_CHECKING

from intermodal.explain.trace_numbers import Number, root_of, written
from intermodal.explain.trace_row import Row
from intermodal.explain.trace_steps import label, terms
from intermodal.explain.trace_words import introduction, is_double, overflow_lines, remark

if TYPE_CHECKING:
    from intermodal.explain.trace import Place, Trace

_PLACES, _LABEL, _INDENT = 80, 14, "   "


def text_of(trace: Trace, room: ModuleType, overflow: bool | None) -> str:
    """Return the whole trace; `room` is the report room, whose `cells` and `escape` know how wide text is."""
    page = _Page(trace, room)
    lines = [*page.heading("Attention, worked out", "═"), *page.paragraph(introduction(trace))]
    for place in trace.rows:
        lines += ["", *page.query(place)]
    box = overflow_lines(trace, overflow)
    if box:
        lines += ["", *page.box("Why the largest score is subtracted", box)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def given(number: Fraction, digits: int) -> str:
    """Return an input as it was given where that is short, or else rounded.

    Example:
        >>> given(Fraction(0.1), 10), given(Fraction(2), 10), given(Fraction(1, 3), 4), given(Fraction(1.1e-9), 4)
        ('0.1', '2', '0.3333', '1.1e-9')
    """
    short = repr(float(number))
    if Fraction(float(number)) == number and len(short) <= 12 and "e" not in short:
        return short.removesuffix(".0")
    return written(number, digits)


class _Page:
    """The lines of one page, none wider than 80."""

    def __init__(self, trace: Trace, room: ModuleType) -> None:
        from importlib import import_module

        self.trace = trace
        self.cells = import_module(room.__name__ + ".cells")
        plain = import_module(room.__name__ + ".escape").plain
        self.keys = [self.cells.cut(plain(name), _LABEL) for name in trace.key_names]
        self.queries = [self.cells.cut(plain(name), 40) for name in trace.query_names]
        self.width = max(map(self.cells.width, self.keys))
        self.is_double = is_double(trace)

    def number(self, number: Number | None) -> str:
        return "-inf" if number is None else written(number, self.trace.digits)

    def vector(self, numbers: Sequence[Number]) -> str:
        return "[" + ", ".join(map(self.number, numbers)) + "]"

    def heading(self, words: str, rule: str) -> list[str]:
        return [words, rule * self.cells.width(words)]

    def paragraph(self, words: str, indent: str = "") -> list[str]:
        found = [self.cells.wrap(part, _PLACES - len(indent))[0] for part in words.split("\n")]
        return [indent + line for lines in found for line in lines]

    def hanging(self, first: str, words: str) -> list[str]:
        """A label, and words beside it that continue under themselves."""
        lines = self.cells.wrap(words, _PLACES - self.cells.width(first))[0]
        return [(" " * self.cells.width(first) if index else first) + line for index, line in enumerate(lines)]

    def box(self, title: str, lines: Sequence[str]) -> list[str]:
        wrapped = [part for line in lines for part in self.cells.wrap(line, _PLACES - 4)[0]]
        top = f"┌─ {title} "
        body = [f"│ {self.cells.pad(line, _PLACES - 4, 'l')} │" for line in wrapped]
        return [top + "─" * (_PLACES - len(top) - 1) + "┐", *body, "└" + "─" * (_PLACES - 2) + "┘"]

    # ---- one query ----

    def query(self, place: Place) -> list[str]:
        trace, row, other = self.trace, self.trace.rows[place], self.trace.other_rows[place]
        digits = trace.digits
        where = [f"{name} {index + 1}" for name, index in label(place).items() if index is not None and name != "query"]
        words = ", ".join([*where, self.queries[place[-1]]])
        lines = self.heading(words[:1].upper() + words[1:], "─")
        lines += self.hanging("q = ", "[" + ", ".join(given(x, digits) for x in trace.asked.q.row(*place)) + "]")
        lines += ["", "1. Score: query times key, part by part, and summed", *self._scores(place)]
        lines += ["", f"2. Scale: {self._factor()}", *self._table(*self._unmasked(place))]
        hidden = [self.keys[j] for j, kept in enumerate(row.keep) if not kept]
        masked = (
            "nobody is hidden" if not hidden else f"hidden {', '.join(hidden)}: score -inf, and e^-inf = 0, so weight 0"
        )
        lines += ["", *self.hanging("3. Mask: ", masked)]
        said = remark(row)
        if said:
            lines += self.paragraph(said, _INDENT)
        if row.largest is not None:
            lines += self._softmax(row, other)
        return lines + (self._output(place, row, other) if row.output is not None else [])

    def _factor(self) -> str:
        scaling, width = self.trace.scaling, self.trace.asked.q.shape[-1]
        root = self.number(root_of(Fraction(1), width))
        if not self.is_double:
            return "the factor is 1, so nothing changes"
        if scaling.m > 1:
            return f"score / √{width}, and √{width} = {root}"
        if scaling.factor == 1:
            return f"none; in brackets what score / √{width} gives, √{width} = {root}"
        return f"score × {self.number(scaling.factor)}"

    def _scores(self, place: Place) -> list[str]:
        trace, digits = self.trace, self.trace.digits
        query, lines = trace.asked.q.row(*place), []
        for j, parts in enumerate(terms(trace, place)):
            key = [given(x, digits) for x in trace.asked.k.row(*place[:-1], j)]
            asked = [given(x, digits) for x in query]
            written_out = " + ".join(f"{_bracket(a)}·{_bracket(b)}" for a, b in zip(asked, key, strict=True))
            sums = [written_out, self.number(trace.rows[place].scores[j])]
            if len(parts) > 1:
                sums.insert(1, " + ".join(_bracket(self.number(part)) for part in parts))
            start = f"{_INDENT}{self.cells.pad(self.keys[j], self.width, 'l')}  "
            lines += self.hanging(start, f"[{', '.join(key)}]:  {' = '.join(sums)}")
        return lines

    def _unmasked(self, place: Place) -> tuple[Sequence[Number | None], Sequence[Number | None]]:
        scores = self.trace.rows[place].scores
        return [self.trace.scaling.of(score) for score in scores], [self.trace.other.of(score) for score in scores]

    def _softmax(self, row: Row, other: Row) -> list[str]:
        shown = {
            f"4. Subtract the largest, {self.number(row.largest)}": (row.shifted, other.shifted),
            "5. Exponential: e^x": (row.exps, other.exps),
            "6. Sum of the exponentials": ((row.total,), (other.total,)),
            "7. Weight: exponential / sum": (row.weights, other.weights),
        }
        lines = []
        for title, (one, two) in shown.items():
            lines += ["", title, *self._table(one, two)]
        return [*lines, *self.paragraph(self._total(row), _INDENT)]

    def _total(self, row: Row) -> str:
        """The weights sum to 1; what stands printed may not."""
        texts = [self.number(weight) for weight in row.weights]
        printed = sum(map(Fraction, texts)) if not any("e" in text for text in texts) else 1
        if printed == 1:
            return "The weights sum to 1."
        return f"The weights sum to 1; as printed, each rounded, they sum to {written(Fraction(printed), 30)}."

    def _output(self, place: Place, row: Row, other: Row) -> list[str]:
        assert row.products is not None and row.output is not None and self.trace.asked.v is not None
        lines = ["", "8. Weight times value"]
        for j, product in enumerate(row.products):
            value = ", ".join(given(x, self.trace.digits) for x in self.trace.asked.v.row(*place[:-1], j))
            start = f"{_INDENT}{self.cells.pad(self.keys[j], self.width, 'l')}  "
            lines += self.hanging(start, f"{self.number(row.weights[j])} × [{value}] = {self.vector(product)}")
        lines += ["", "9. Output: the sum over the keys"]
        names = [self.trace.scaling.name, f"({self.trace.other.name})"] if self.is_double else ["output"]
        width = max(map(len, names))
        for name, numbers in zip(names, (row.output, other.output or ()), strict=False):
            lines += self.hanging(f"{_INDENT}{name.ljust(width)}  ", self.vector(numbers))
        return lines

    def _table(self, one: Sequence[Number | None], two: Sequence[Number | None]) -> list[str]:
        """One line per key (or one for the sum), the other scaling beside it in brackets."""
        labels = self.keys if len(one) == len(self.keys) else ["sum"]
        columns = [(self.trace.scaling.name, [self.number(x) for x in one])]
        if self.is_double:
            columns.append((f"({self.trace.other.name})", [self.number(x) for x in two]))
        start = max(self.width, 3)
        grids = [_aligned(name, texts) for name, texts in columns]
        if len(_INDENT) + start + sum(2 + len(grid[0]) for grid in grids) > _PLACES:
            pieces = [[grid] for grid in grids]
        else:
            pieces = [grids]
        lines = []
        for piece in pieces:
            for index, name in enumerate(["", *labels]):
                cells = "  ".join(grid[index] for grid in piece)
                line = f"{_INDENT}{self.cells.pad(name, start, 'l')}  {cells}" if self.is_double or index else ""
                lines += [line] if line else []
        return lines


def _aligned(name: str, texts: Sequence[str]) -> list[str]:
    """Numbers under a name, point under point."""
    left = [text.split(".")[0] for text in texts]
    before = max(map(len, left))
    lines = [" " * (before - len(whole)) + text for whole, text in zip(left, texts, strict=True)]
    wide = max(len(name), *map(len, lines))
    return [name.rjust(wide), *(line.ljust(max(map(len, lines))).rjust(wide) for line in lines)]


def _bracket(text: str) -> str:
    return f"({text})" if text.startswith("-") else text
