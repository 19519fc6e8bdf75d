"""What each modality was worth, in simple blocks: the mean, other measures beside it, pairs, and single samples."""

from __future__ import annotations

from typing import Any

from intermodal.report.catalogue import WORDS, say
from intermodal.report.checks import Block
from intermodal.report.parts import Part
from intermodal.report.payload import rounded


def attribution_parts(block: Block) -> list[Part]:
    """Return the parts of an attribution block.

    Example:
        >>> sample = {"id": "7", "empty": [0.5], "full": [2.0], "values": [[1.0], [0.5]]}
        >>> block = {"kind": "attribution", "title": "t", "names": ["a", "b"], "outputs": ["y"], "samples": [sample]}
        >>> [part.name for part in attribution_parts({**block, "completeness": 0.0, "removal": "mask"})]
        ['samples']
    """
    parts, names = [], list(block["names"])
    mean = block.get("mean")
    if mean is not None:
        items = zip(names, *(rounded(mean[key]) for key in ("worth", "low", "high")), strict=True)
        bars = [{"label": n, "value": w, "low": low, "high": high} for n, w, low, high in items]
        worth = {"kind": "bars", "title": WORDS["worth"], "caption": WORDS["worth_how"], "items": bars}
        parts.append(Part("worth", worth))
    if block.get("beside"):
        parts.append(Part("beside", _beside(block, names)))
    if block.get("interactions") is not None:
        pairs: dict[str, Any] = {
            "kind": "matrix",
            "title": WORDS["pairs"],
            "caption": WORDS["pairs_how"],
            "rows": names,
        }
        pairs |= {"columns": names, "values": rounded(block["interactions"]), "digits": 3, "axes": ["", ""]}
        parts.append(Part("pairs", pairs))
    parts.append(Part("samples", _samples(block, names), again=True))
    return parts


def honesty(block: Block) -> tuple[str, str]:
    """Return how exact the values are and how a modality was taken away.

    Example:
        >>> honesty({"completeness": 3e-16, "removal": "mask"})[1]
        'A modality was taken away by: mask.'
    """
    return say("complete", error=f"{block['completeness']:.1e}"), say("removal", rule=block["removal"])


def _beside(block: Block, names: list[str]) -> dict[str, Any]:
    mean = block.get("mean")
    measures = [(WORDS["worth_short"], mean["worth"])] if mean is not None else []
    measures += [(other["label"], other["values"]) for other in block["beside"]]
    rows = [[name, *(rounded(values)[index] for _, values in measures)] for index, name in enumerate(names)]
    columns = [WORDS["modality"], *(label for label, _ in measures)]
    made = {"kind": "table", "title": WORDS["beside"], "columns": columns}
    return {**made, "caption": WORDS["beside_how"], "rows": rows, "align": "l" + "r" * len(measures)}


def _samples(block: Block, names: list[str]) -> dict[str, Any]:
    rows: list[list[Any]] = []
    for sample in block["samples"]:
        missing = sample.get("missing") or [False] * len(names)
        empty, full, values = (rounded(sample[key]) for key in ("empty", "full", "values"))
        for at, output in enumerate(block["outputs"]):
            pairs = zip(missing, values, strict=True)
            worths = [WORDS["missing_modality"] if gone else value[at] for gone, value in pairs]
            rows.append([sample["id"], sample.get("why") or "", output, empty[at], *worths, full[at]])
    columns = [WORDS["sample"], WORDS["why"], WORDS["output"], WORDS["f_empty"], *names, WORDS["f_full"]]
    how = " ".join([*([block["left_out"]] if block.get("left_out") else []), WORDS["samples_how"], *honesty(block)])
    made = {"kind": "table", "title": WORDS["samples_table"], "caption": how, "columns": columns, "rows": rows}
    return {**made, "align": "lll" + "r" * (len(names) + 2)}


def attribution_data(block: Block) -> dict[str, Any]:
    """Return what the script reads: the samples with nine digits of each number.

    Example:
        >>> sample = {"id": "7", "empty": [0.5], "full": [2.5], "values": [[2.0]]}
        >>> attribution_data({"names": ["a"], "samples": [sample], "completeness": 0})["completeness"]
        0.0
    """
    samples = [{**one, **{key: rounded(one[key]) for key in ("empty", "full", "values")}} for one in block["samples"]]
    kept = {key: block.get(key) for key in ("title", "names", "outputs", "removal")}
    return {**kept, "samples": samples, "completeness": float(block["completeness"])}
