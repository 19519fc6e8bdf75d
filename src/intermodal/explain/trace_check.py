"""Is a claimed number right? Names the first wrong one, its first wrong digit, and the mistake behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, Any

from intermodal.errors import InputError, did_you_mean
from intermodal.explain.trace_claim import Claim, read_claim
from intermodal.explain.trace_mistakes import Mistake, mistakes
from intermodal.explain.trace_numbers import Number, rounded

if TYPE_CHECKING:
    from intermodal.explain.trace import Trace

STAGES = ("scores", "scaled", "exp", "weights", "output")
_SLIP = 0.01


@dataclass(frozen=True)
class Check:
    """A verdict on claimed numbers; true where all of them are right.

    Attributes:
        ok: right to the digits given.
        what: how the claim was read: "scores", "scaled", "exp", "weights" or "output".
        index: the first wrong number, counted from 0 in the claim's own axes; None where all is right.
        claimed, true: that number as claimed, and right to as many decimals.
        precise: the right number to at least four decimals.
        digit: which digit is the first wrong one, in words.
        mistake: D1 to D7 (D20 and D22 for masks), or None where no known mistake gives these numbers.
        reason: what the mistake is, in words.
        also: other known mistakes that give the same numbers.
    """

    ok: bool
    what: str
    index: tuple[int, ...] | None = None
    claimed: str | None = None
    true: str | None = None
    digit: str | None = None
    mistake: str | None = None
    reason: str | None = None
    also: tuple[str, ...] = ()
    precise: str | None = None

    def __bool__(self) -> bool:
        return self.ok

    def text(self) -> str:
        """Return the verdict in words."""
        if self.ok:
            return f"Right to the digits given, read as {self.what}."
        axes = ["part" if self.what == "output" else "key", "query", "head", "batch"]
        parts = [f"{axis} {i + 1}" for axis, i in zip(axes, reversed(self.index or ()), strict=False)]
        place = ", ".join(reversed(parts))
        said = f"Wrong: {self.what} at {place}: claimed {self.claimed}, true {self.precise}; {self.digit}."
        if self.mistake:
            said += f" {self.mistake}: {self.reason}."
        if self.also:
            said += f" Or {', '.join(self.also)}: the same numbers."
        return said

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as a dict, ready for JSON."""
        names = ("ok", "what", "index", "claimed", "true", "digit", "mistake", "reason", "also", "precise")
        return {name: getattr(self, name) for name in names} | {"text": self.text()}


def checked(trace: Trace, claimed: Any, what: str | None, digits: int | None) -> Check:
    """Check one claim, or several by name in the order of the arithmetic."""
    if isinstance(claimed, Mapping):
        for name in claimed:
            _known(trace, name)
        verdicts = [checked(trace, claimed[name], name, digits) for name in STAGES if name in claimed]
        if not verdicts:
            raise InputError("a claim must name at least one of " + ", ".join(STAGES) + ", however: it is empty")
        wrong = [verdict for verdict in verdicts if not verdict.ok]
        return wrong[0] if wrong else Check(True, ", ".join(verdict.what for verdict in verdicts))
    claim = read_claim(claimed, digits)
    if what is not None:
        _known(trace, what)
        claim = _shaped(trace, claim, what)
        return _judge(trace, claim, what)
    fitting = [stage for stage in ("weights", "output", "scores", "scaled") if _fits(trace, claim, stage)]
    if not fitting:
        shapes = ", ".join(f"{stage} {_shape(trace, stage)}" for stage in STAGES if _is_there(trace, stage))
        raise InputError(f"a claim must have the shape of one of {shapes}, however: {claim.shape}")
    verdicts = [_judge(trace, _shaped(trace, claim, stage), stage) for stage in fitting]
    by_name = dict(zip(fitting, verdicts, strict=True))
    read_as = [name for name in ("weights", "output") if name in by_name]
    for wanted in (
        [by_name[name] for name in read_as if by_name[name].ok],
        [by_name[name] for name in read_as if by_name[name].mistake not in (None, "D3")],
        [verdict for verdict in verdicts if verdict.ok],
        [verdict for verdict in verdicts if verdict.mistake],
    ):
        if wanted:
            return wanted[0]
    return verdicts[0]


def _known(trace: Trace, what: str) -> None:
    if what not in STAGES:
        raise InputError(f'what is claimed must be a stage, however: "{what}"{did_you_mean(str(what), STAGES)}')
    if not _is_there(trace, what):
        raise InputError("an output must have values behind it, however: this trace has no v")


def _is_there(trace: Trace, stage: str) -> bool:
    return stage != "output" or trace.asked.v is not None


def _shape(trace: Trace, stage: str) -> tuple[int, ...]:
    asked = trace.asked
    last = asked.k.shape[-2] if stage != "output" or asked.v is None else asked.v.shape[-1]
    return (*asked.q.shape[: -2 if asked.is_one_query else -1], last)


def _fits(trace: Trace, claim: Claim, stage: str) -> bool:
    if not _is_there(trace, stage):
        return False
    shape = _shape(trace, stage)
    return _squeezed(claim.shape) == _squeezed(shape)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Leave out leading axes of length 1: one query may be claimed as a row or as a table of one row.

    Example:
        >>> _squeezed((1, 3)), _squeezed((1, 1)), _squeezed((3, 1))
        ((3,), (1,), (3, 1))
    """
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _shaped(trace: Trace, claim: Claim, stage: str) -> Claim:
    if not _fits(trace, claim, stage):
        raise InputError(f"claimed {stage} must have the shape {_shape(trace, stage)}, however: {claim.shape}")
    return replace(claim, shape=_shape(trace, stage))


def _truth(trace: Trace, stage: str) -> list[Number | None]:
    found: list[Number | None] = []
    for row in trace.rows.values():
        rows = {"scores": row.scores, "scaled": row.scaled, "exp": row.exps, "weights": row.weights}
        found += rows[stage] if stage != "output" else (row.output or ())
    return found


def _judge(trace: Trace, claim: Claim, stage: str) -> Check:
    truth = _truth(trace, stage)
    wrong = [i for i, number in enumerate(truth) if not _is_right(claim.numbers[i], number, claim.decimals[i])]
    if not wrong:
        return Check(True, stage)
    first = wrong[0]
    claimed, decimals = claim.numbers[first], claim.decimals[first]
    shown, true = _shown(claimed, decimals), _shown(truth[first], decimals)
    verdict = Check(False, stage, _index(first, claim.shape), shown, true, _first_wrong_digit(shown, true))
    verdict = replace(verdict, precise=_shown(truth[first], max(4, decimals)))
    fitting = _fitting(list(mistakes(trace, stage)), claim)
    if fitting:
        others = tuple(dict.fromkeys(m.id for m in fitting if m.id != fitting[0].id))
        return replace(verdict, mistake=fitting[0].id, reason=fitting[0].text, also=others)
    if all(_is_close(claim.numbers[i], truth[i]) for i in wrong):
        cut = all(_is_cut(claim.numbers[i], truth[i], claim.decimals[i]) for i in wrong)
        reason = "the digits are cut off instead of rounded" if cut else "a slip in the arithmetic, no known mistake"
        return replace(verdict, mistake="D3", reason=reason)
    return verdict


def _fitting(known: list[Mistake], claim: Claim) -> list[Mistake]:
    """Return the mistakes that give the claim; few digits fit many, so what is tried out asks for more of them."""
    decimals = max(claim.decimals)
    found = [mistake for mistake in known if _explains(mistake, claim)]
    plain = [mistake for mistake in found if not mistake.guessed and (decimals >= 2 or mistake.id == "D1")]
    guesses = [mistake for mistake in found if mistake.guessed]
    return plain or (guesses if len(guesses) == 1 and decimals >= 4 else [])


def _value(number: Number, decimals: int) -> Fraction:
    """A number to 30 decimals more than it is looked at."""
    return Fraction(rounded(number, decimals + 30)[0], 10 ** (decimals + 30))


def _is_right(claimed: Fraction | None, true: Number | None, decimals: int) -> bool:
    if claimed is None or true is None:
        return claimed is None and true is None
    return abs(claimed - _value(true, decimals)) * 2 <= Fraction(1, 10**decimals)


def _explains(mistake: Mistake, claim: Claim) -> bool:
    """Whether a mistake gives every number that is claimed."""
    for claimed, number, decimals in zip(claim.numbers, mistake.numbers.flat, claim.decimals, strict=True):
        if claimed is None or not isfinite(number):
            if claimed is not None or number != float("-inf"):
                return False
        elif abs(float(claimed) - number) > 0.5 * 10.0**-decimals + 1e-13 * max(1.0, abs(number)):
            return False
    return True


def _is_close(claimed: Fraction | None, true: Number | None) -> bool:
    if claimed is None or true is None:
        return False
    value = _value(true, 30)
    return abs(claimed - value) <= _SLIP * abs(value)


def _is_cut(claimed: Fraction | None, true: Number | None, decimals: int) -> bool:
    if claimed is None or true is None:
        return False
    return claimed * 10**decimals == int(_value(true, decimals) * 10**decimals)


def _shown(number: Number | None, decimals: int) -> str:
    if number is None:
        return "-inf"
    whole, _ = rounded(number, decimals)
    text = f"{abs(whole):0{decimals + 1}d}"
    point = len(text) - decimals
    return "-" * (whole < 0) + text[:point] + ("." + text[point:] if decimals else "")


def _first_wrong_digit(claimed: str, true: str) -> str:
    """Say which digit is the first that differs.

    Example:
        >>> _first_wrong_digit("1.66082", "1.66048"), _first_wrong_digit("16.1", "9.1"), _first_wrong_digit("-1", "1")
        ('decimal 4 is the first wrong digit', 'it is wrong before the point', 'the sign is wrong')
    """
    if "inf" in (claimed[-3:], true[-3:]):
        return "a hidden key has the score -inf, and no other has"
    if claimed.startswith("-") != true.startswith("-"):
        return "the sign is wrong"
    whole, _, decimals = claimed.partition(".")
    true_whole, _, true_decimals = true.partition(".")
    if whole != true_whole:
        return "it is wrong before the point"
    for place, (one, other) in enumerate(zip(decimals, true_decimals, strict=True), start=1):
        if one != other:
            return f"decimal {place} is the first wrong digit"
    return "it is wrong beyond the digits shown"


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    index: list[int] = []
    for size in reversed(shape):
        index.insert(0, flat % size)
        flat //= size
    return tuple(index)
