"""The blocks that a page lets people turn and pick in: their keys, and what has to agree inside.

Shapes: M modalities, L layers, H heads of all members, Q words, K frames, O outputs, D and E widths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from intermodal.report.checks import (
    Block,
    Check,
    a_dict,
    a_list,
    cell,
    count,
    each,
    number,
    numeral,
    optional,
    pair,
    shaped,
    text,
    text_or_none,
    truth,
)
from intermodal.report.kinds import HEAD, Agree

_maybe_list = optional(a_list)
_texts, _truths = each(text), each(truth)

VIEW_KINDS: dict[str, dict[str, Check]] = {
    "attention": {
        **HEAD,
        "names": _texts,
        "layers": _texts,
        "heads": _texts,
        "mean": a_list,
        "std?": _maybe_list,
        "count": each(count),
        "n": count,
        "samples?": optional(each(a_dict(id=text, why=text, mass=a_list))),
        "left_out?": text_or_none,
    },
    "timeline": {
        **HEAD,
        "unit": text,
        "how": text,
        "query": text,
        "context": text,
        "items": each(a_dict(id=text, words=_texts, times=each(a_list), weights=a_list, truth_or_not=_maybe_list)),
    },
    "attribution": {
        **HEAD,
        "names": _texts,
        "outputs": _texts,
        "samples": each(
            a_dict(
                id=text, why_or_not=text_or_none, empty=a_list, full=a_list, values=a_list, missing_or_not=_maybe_list
            )
        ),
        "completeness": number,
        "removal": text,
        "mean?": optional(a_dict(worth=a_list, low=a_list, high=a_list)),
        "beside?": optional(each(a_dict(label=text, values=a_list))),
        "interactions?": _maybe_list,
        "left_out?": text_or_none,
    },
    "curves": {
        **HEAD,
        "x_label": text,
        "y_label": text,
        "x": each(number),
        "lines": each(a_dict(label=text, values=a_list, low_or_not=_maybe_list, high_or_not=_maybe_list)),
        "band?": optional(a_dict(label=text, low=a_list, high=a_list)),
    },
    "trace": {
        **HEAD,
        "q": each(numeral),
        "keys": each(each(numeral)),
        "values": optional(each(each(numeral))),
        "keep": optional(_truths),
        "scaled": truth,
        "names": _texts,
        "steps": a_dict(columns=_texts, rows=each(each(cell))),
        "facts?": optional(each(pair)),
        "digits?": optional(count),
    },
    "presence": {
        **HEAD,
        "names": _texts,
        "rows": _texts,
        "present": each(_truths),
        "missing": each(count),
        "n": count,
        "left_out?": text_or_none,
    },
}


def _lengths(path: str, lists: Sequence[tuple[str, Any]], size: int, what: str) -> Iterator[str]:
    """Lists beside each other have one entry per `what`; None passes."""
    for key, value in lists:
        if value is not None and len(value) != size:
            yield f"{path}.{key} must have {size} entries, one per {what}, however: {len(value)}"


def _attention_agrees(path: str, block: Block) -> Iterator[str]:
    names = len(block["names"])
    axes = [(len(block["layers"]), "layer"), (len(block["heads"]), "head"), (names, "name"), (names, "name")]
    yield from _lengths(path, [("count", block["count"])], names, "name")
    yield from shaped(f"{path}.mean", block["mean"], axes)
    if block.get("std") is not None:
        yield from shaped(f"{path}.std", block["std"], axes)
    for index, sample in enumerate(block.get("samples") or ()):
        yield from shaped(f"{path}.samples[{index}].mass", sample["mass"], axes)


def _timeline_agrees(path: str, block: Block) -> Iterator[str]:
    for index, item in enumerate(block["items"]):
        here = f"{path}.items[{index}]"
        frames = len(item["times"])
        yield from _spans(f"{here}.times", item["times"])
        yield from _spans(f"{here}.truth", item.get("truth") or ())
        yield from shaped(f"{here}.weights", item["weights"], [(len(item["words"]), "word"), (frames, "frame")])


def _spans(path: str, spans: Sequence[Any]) -> Iterator[str]:
    for index, span in enumerate(spans):
        problem = next(iter(shaped(f"{path}[{index}]", span, [(2, "end")])), None)
        if problem is None and (None in span or not float("-inf") < span[0] <= span[1] < float("inf")):
            problem = f"{path}[{index}] must be [start, end] with start <= end, however: {list(span)}"
        if problem is not None:
            yield problem
            return


def _attribution_agrees(path: str, block: Block) -> Iterator[str]:
    names, outputs = len(block["names"]), len(block["outputs"])
    by_name, by_output = [(names, "name")], [(outputs, "output")]
    for index, sample in enumerate(block["samples"]):
        here = f"{path}.samples[{index}]"
        yield from shaped(f"{here}.empty", sample["empty"], by_output)
        yield from shaped(f"{here}.full", sample["full"], by_output)
        yield from shaped(f"{here}.values", sample["values"], by_name + by_output)
        if sample.get("missing") is not None:
            yield from _lengths(here, [("missing", sample["missing"])], names, "name")
            yield from _truths(f"{here}.missing", sample["missing"])
    for key, value in (block.get("mean") or {}).items():
        yield from shaped(f"{path}.mean.{key}", value, by_name)
    for index, other in enumerate(block.get("beside") or ()):
        yield from shaped(f"{path}.beside[{index}].values", other["values"], by_name)
    if block.get("interactions") is not None:
        yield from shaped(f"{path}.interactions", block["interactions"], by_name * 2)


def _curves_agree(path: str, block: Block) -> Iterator[str]:
    by_x = [(len(block["x"]), "x")]
    lines: list[tuple[str, Any, tuple[str, ...]]] = [
        (f"lines[{i}]", line, ("values", "low", "high")) for i, line in enumerate(block["lines"])
    ]
    if block.get("band") is not None:
        lines.append(("band", block["band"], ("low", "high")))
    for where, line, keys in lines:
        for key in keys:
            if line.get(key) is not None:
                yield from shaped(f"{path}.{where}.{key}", line[key], by_x)


def _trace_agrees(path: str, block: Block) -> Iterator[str]:
    n_keys, width = len(block["keys"]), len(block["q"])
    per_key = [("names", block["names"]), ("values", block["values"]), ("keep", block["keep"])]
    yield from _lengths(path, per_key, n_keys, "key")
    yield from _lengths(path, [(f"keys[{i}]", key) for i, key in enumerate(block["keys"])], width, "number of q")
    values = block["values"] or []
    wide = len(values[0]) if values else 0
    yield from _lengths(path, [(f"values[{i}]", value) for i, value in enumerate(values)], wide, "number of values[0]")
    steps = block["steps"]
    rows = [(f"steps.rows[{i}]", row) for i, row in enumerate(steps["rows"])]
    yield from _lengths(path, rows, len(steps["columns"]), "column")
    if (block.get("digits") or 0) > 12:
        yield f"{path}.digits must be at most 12, however: {block['digits']}"


def _presence_agrees(path: str, block: Block) -> Iterator[str]:
    names = len(block["names"])
    yield from _lengths(path, [("missing", block["missing"])], names, "name")
    yield from _lengths(path, [("present", block["present"])], len(block["rows"]), "row")
    yield from _lengths(path, [(f"present[{i}]", row) for i, row in enumerate(block["present"])], names, "name")


VIEW_AGREE: dict[str, Agree] = {
    "attention": _attention_agrees,
    "timeline": _timeline_agrees,
    "attribution": _attribution_agrees,
    "curves": _curves_agree,
    "trace": _trace_agrees,
    "presence": _presence_agrees,
}
