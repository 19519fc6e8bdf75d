"""Who attends to whom, in simple blocks: the mean map, its spread, a number per head, and single samples."""

from __future__ import annotations

import math
from typing import Any

from intermodal.report.catalogue import WORDS, counted, say
from intermodal.report.checks import Block
from intermodal.report.figures import finite
from intermodal.report.parts import Part, mean_of
from intermodal.report.payload import rounded


def attention_parts(block: Block) -> list[Part]:
    """Return the parts of an attention block.

    Example:
        >>> block = {"kind": "attention", "title": "t", "names": ["a", "b"], "layers": ["layer 1"], "heads": ["head 1"]}
        >>> block |= {"mean": [[[[0.25, 0.75], [0.5, 0.5]]]], "count": [7, 7], "n": 7}
        >>> [part.name for part in attention_parts(block)]
        ['map', 'atlas', 'even']
    """
    names = list(block["names"])
    if not names or not block["layers"] or not block["heads"]:
        return [Part("map", _map(block, block["title"], [[None] * len(names) for _ in names], []))]
    parts = [Part("map", _map(block, block["title"], over_heads(block["mean"]), [1 / len(names)]))]
    if block.get("std") is not None:
        spread = _map(block, WORDS["att_spread"], over_heads(block["std"]), [])
        how = say("att_spread_how", n=counted("samples", block["n"]))
        # A share lies between 0 and 1, so its standard deviation is never above a half.
        parts.append(Part("spread", {**spread, "caption": how, "domain": [0.0, 0.5]}, again=True))
    values = [[cross_mass(head) for head in layer] for layer in rounded(block["mean"])]
    atlas: dict[str, Any] = {"kind": "matrix", "title": WORDS["att_atlas"], "caption": WORDS["att_atlas_how"]}
    atlas |= {"rows": list(block["layers"]), "columns": list(block["heads"]), "values": values}
    parts.append(Part("atlas", {**atlas, "digits": 2, "domain": [0.0, 1.0], "axes": [WORDS["layer"], WORDS["head"]]}))
    even = [[mean_of([evenness(row) for row in head]) for head in layer] for layer in rounded(block["mean"])]
    again = {**parts[-1].block, "title": WORDS["att_even"], "caption": WORDS["att_even_how"], "values": even}
    parts.append(Part("even", again, again=True))
    if block.get("samples"):
        parts.append(Part("samples", _samples(block), everywhere=False, again=True))
    return parts


def over_heads(values: Any) -> list[list[float | None]]:
    """Return the mean over layers and heads of (L, H, M, M) numbers, gaps left out.

    Example:
        >>> over_heads([[[[0.25]], [[0.75]]]])
        [[0.5]]
    """
    heads = [head for layer in rounded(values) for head in layer]
    size = range(len(heads[0]))
    return [[mean_of([head[i][j] for head in heads]) for j in size] for i in size]


def cross_mass(head: list[list[float | None]]) -> float | None:
    """Return how much of one head's attention leaves its own modality: the mean over the rows that asked.

    Example:
        >>> cross_mass([[0.25, 0.75], [None, None]])
        0.75
    """
    shares = []
    for index, row in enumerate(head):
        if any(value is not None for value in row):
            shares.append(_added(value for at, value in enumerate(row) if at != index))
    return mean_of(shares)


def _added(values: Any) -> float:
    total = 0.0
    for value in values:
        total += value or 0.0
    return total


def _map(block: Block, title: str, values: list[list[float | None]], uniform: list[float]) -> dict[str, Any]:
    names = list(block["names"])
    sizes = {"layers": len(block["layers"]), "heads": len(block["heads"]), "n": block["n"]}
    how = say("att_how", **{key: counted("samples" if key == "n" else key, n) for key, n in sizes.items()})
    fewer = [f"{name} ({count:,})" for name, count in zip(names, block["count"], strict=True) if count != block["n"]]
    how += " " + say("att_asked", names=", ".join(fewer)) if fewer else ""
    made: dict[str, Any] = {
        "kind": "matrix",
        "title": title,
        "caption": how,
        "rows": names,
        "columns": names,
        "values": values,
    }
    made |= {"digits": 3, "domain": [0.0, 1.0]}
    return made | ({"uniform": uniform[0]} if uniform else {})


def _samples(block: Block) -> dict[str, Any]:
    names = list(block["names"])
    rows: list[list[Any]] = []
    for sample in block["samples"]:
        for name, row in zip(names, over_heads(sample["mass"]), strict=True):
            rows.append([sample["id"], sample["why"], name, *row])
    columns = [WORDS["sample"], WORDS["why"], WORDS["asks"], *names]
    made = {"kind": "table", "title": WORDS["att_samples"], "columns": columns, "rows": rows}
    return {**made, "caption": block.get("left_out") or None, "align": "lll" + "r" * len(names)}


def evenness(row: list[float | None]) -> float | None:
    """Return the entropy of a row over its largest possible: 1 where all are looked at alike, 0 where one is.

    Example:
        >>> evenness([0.5, 0.5]), evenness([1.0, 0.0])
        (1.0, 0.0)
    """
    numbers = finite(row)
    total = sum(numbers)
    if len(row) < 2 or total <= 0:
        return None
    return -sum(v / total * math.log(v / total) for v in numbers if v > 0) / math.log(len(row)) + 0.0


def attention_data(block: Block) -> dict[str, Any]:
    """Return what the script reads: the block with nine digits of each number.

    Example:
        >>> attention_data({"mean": [[[[1 / 3]]]]})["mean"]
        [[[[0.333333333]]]]
    """
    samples = [{**sample, "mass": rounded(sample["mass"])} for sample in block.get("samples") or ()]
    std = block.get("std")
    made = {"mean": rounded(block["mean"]), "std": None if std is None else rounded(std), "samples": samples}
    return {**block, **made}
