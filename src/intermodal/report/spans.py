"""What bars and intervals share in every form: the axis they stand on and the sentences below them."""

from __future__ import annotations

from intermodal.report.catalogue import WORDS, say
from intermodal.report.figures import figure
from intermodal.report.scale import Scale, scale
from intermodal.report.validating import Block


def span_scale(block: Block) -> Scale:
    """Return the axis of a bars, intervals or track block; bars stand on zero unless the block says otherwise.

    Example:
        >>> span_scale({"kind": "bars", "items": [{"label": "a", "value": 4.0}]}).low
        0.0
    """
    if block["kind"] == "track":  # time runs from the first to the last, not to the nearest round number
        ends = [float(end) for time in block["times"] for end in time]
        low, high = min(ends, default=0.0), max(ends, default=1.0)
        return Scale(low, high, tuple(t for t in scale([low, high], include=[low, high]).ticks if low <= t <= high))
    values = [item.get(key) for item in block["items"] for key in ("value", "low", "high")]
    if block["kind"] == "bars":
        return scale(values, include=[0.0] if block.get("zero", True) else [])
    reference = block.get("reference")
    # The reference is drawn among the values, so the axis keeps a margin beyond it.
    return scale([*values, reference])


def reference_text(reference: float) -> str:
    """Return the reference line's value as text.

    Example:
        >>> reference_text(0.0), reference_text(0.5)
        ('0', '0.5')
    """
    return f"{float(reference):.6g}"


def span_notes(block: Block, axis: Scale) -> tuple[str, ...]:
    """Return the sentences that say how to read the drawing.

    Example:
        >>> block = {"kind": "bars", "items": [{"label": "a", "value": 4.0}], "zero": False}
        >>> span_notes(block, span_scale(block))
        ('The axis does not start at zero; it starts at 1.80.',)
    """
    if block["kind"] == "track":
        return (say("track_how", name=block["name"]),) if block["values"] else ()
    if block["kind"] == "intervals":
        reference = block.get("reference")
        if reference is None:
            return ()
        return (say("reference", value=reference_text(reference)), WORDS["dots"])
    notes = []
    if any(item.get("low") is not None and item.get("high") is not None for item in block["items"]):
        notes.append(WORDS["whiskers"])
    if not axis.low <= 0 <= axis.high:
        notes.append(say("no_zero", low=figure(axis.low, 2)))
    return tuple(notes)
