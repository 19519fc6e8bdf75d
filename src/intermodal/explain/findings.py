"""What was found: one sentence each, with its numbers and a remedy.

The catalogue below names every finding there is, its number among the known mistakes (D6 to D27) and what to do. A
detector says whether a finding is there and in which words; it never makes up an id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From "a result is wrong" over "likely a mistake" to "good to know"."""


class Kind(NamedTuple):
    """One kind of finding: its number, how bad it is unless a detector knows better, and what to do."""

    code: str
    severity: Severity
    remedy: str


KINDS: dict[str, Kind] = {
    # --- the arithmetic of weights
    "not-weights": Kind("D23", "error", "show the weights: a score becomes a weight by the softmax over the keys"),
    "wrong-axis": Kind("D6", "error", "take the softmax over the last axis, the keys: each row sums to 1"),
    "transposed-when-applied": Kind("D7", "error", "multiply weights @ values: out_i = sum over j of w_ij v_j"),
    "rows-and-columns-swapped": Kind(
        "D8", "error", "transpose the array: rows ask and sum to 1, columns are looked at"
    ),
    "rows-do-not-sum-to-1": Kind("D6", "warning", "look for columns that were cut off, or for a factor on the weights"),
    "softmaxed-twice": Kind("D19", "warning", "show the weights as they were returned, without a second softmax"),
    "dropout-in-weights": Kind("D24", "warning", "call .eval() before weights are taken: dropout is on"),
    "mask-inverted": Kind("D20", "error", "invert the mask: True means keep here, and padding in key_padding_mask"),
    "hidden-keys-seen": Kind("D22", "warning", "pass which tokens are there, so that padding is never looked at"),
    # --- samples that meet
    "samples-mix": Kind(
        "D10", "error", "put the batch first, (batch, tokens, width), and check batch_first and the normalisation"
    ),
    "batch-differs-from-single": Kind(
        "D21", "error", "look for a mask that is repeated over heads in another order (repeat_interleave, not repeat)"
    ),
    "batch-on-second-axis": Kind("D10", "error", "put the batch first: x.transpose(0, 1)"),
    "sequence-first": Kind("D10", "note", "choose batch_first=True, or pass (tokens, batch, width) and nothing else"),
    "read-as-one-sequence": Kind("D10", "error", "write x[:, None] for samples of one token, x[None] for one sample"),
    # --- attention without a choice
    "one-key": Kind(
        "D11",
        "warning",
        "keep the tokens of a sequence instead of pooling them, give a vector several tokens (n_tokens), or ask the "
        'modalities as one sequence (fusion "self")',
    ),
    "same-keys": Kind("D12", "warning", "ask the tokens themselves instead of copies of one pooled vector"),
    "cut-off": Kind(
        "D27", "error", "add a residual around the attention, or give the context more keys than one, or ask it too"
    ),
    "even-by-construction": Kind(
        "",
        "note",
        'fusion "self", or a side that joins modalities such as "text -> [*]", lets the attention choose between '
        "modalities",
    ),
    "asked-twice": Kind("", "note", "leave one of the edges out, unless it shall count more"),
    "outside-attention": Kind("", "note", 'name it in the fusion, or choose "self" or "cross", if it shall take part'),
    "nobody-can-ask": Kind("", "warning", 'choose n_layers=1 or more, or the fusion "none"'),
    "extra-key": Kind("D18", "note", "expect one column of weights more than there are keys"),
    # --- what attention became
    "untrained": Kind("D14", "note", "read nothing into this attention: it is as it was drawn"),
    "not-heard": Kind(
        "", "note", "the answer owes nothing to this attention; experts=False shows what the network alone would say"
    ),
    "predicts-nothing": Kind("D14", "warning", "do not explain this model before it beats the constant answer"),
    "uniform": Kind("D14", "note", "check that the weights were loaded; or the mean is enough here: compare with none"),
    "collapsed": Kind("D15", "warning", "check the scale of the scores and the learning rate, or normalise q and k"),
    "query-blind": Kind("D13", "note", "do not read the rows apart: what asks makes no difference here"),
    "sink": Kind("D18", "note", "hide this key or use a logarithmic scale to see the rest of the map"),
    "never-attended": Kind("D16", "warning", "check its scale and its encoder, or leave the modality out and compare"),
    "attended-but-unused": Kind(
        "D17", "warning", "trust the worth: attention is where the model looked, not what it used"
    ),
    # --- the samples
    "often-missing": Kind("", "note", "read its shares over the samples that have it, and mind how few they are"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or good to know.

    Attributes:
        id: what it is called, a key of `KINDS`.
        severity: `error` (a result is wrong), `warning` (likely a mistake) or `note` (good to know).
        text: one sentence.
        evidence: name -> number, what the sentence rests on.

    Example:
        >>> found = Finding("one-key", "warning", "text -> video sees one key", {"keys": 1})
        >>> found.code, sorted(found.to_dict())
        ('D11', ['id', 'remedy', 'severity', 'text'])
    """

    id: str
    severity: Severity
    text: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.id in KINDS, self.id

    @property
    def code(self) -> str:
        """The number among the known mistakes, such as D11; empty for what has none."""
        return KINDS[self.id].code

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return KINDS[self.id].remedy

    def to_dict(self) -> dict[str, str]:
        """Return what a report draws: `id`, `severity`, `text`, `remedy`."""
        return {"id": self.id, "severity": self.severity, "text": self.text, "remedy": self.remedy}


def finding(id: str, text: str, *, severity: Severity | None = None, **evidence: Any) -> Finding:
    """Make a finding with the severity of its kind, unless told another.

    Example:
        >>> finding("sink", "every query looks at token 0", share=0.9).severity
        'note'
    """
    return Finding(id, severity or KINDS[id].severity, text, evidence)


def worst_first(*found: Iterable[Finding]) -> list[Finding]:
    """Join findings, each sentence once, the worst first.

    Example:
        >>> a, b = finding("sink", "x"), finding("wrong-axis", "y")
        >>> [f.id for f in worst_first([a, b], [a])]
        ['wrong-axis', 'sink']
    """
    once = {(f.id, f.text): f for part in found for f in part}
    return sorted(once.values(), key=lambda f: SEVERITIES.index(f.severity))


def quoted(names: Iterable[str]) -> str:
    """Write names for a sentence.

    Example:
        >>> quoted(["a", "b"])
        '"a", "b"'
    """
    return ", ".join(f'"{name}"' for name in names)
