"""Who asks whom: the text of a fusion, parsed once into frozen edges.

    spec   = preset | clause {"," clause}
    preset = "self" | "cross" | "none"
    clause = side arrow side              arrow = "->" | "<-" | "<->"
    side   = name | "*" | "[" name {name} "]" | "[*]"

`a -> b` reads "a asks b": queries from a, keys and values from b. A name with blanks or signs in it is
written between double quotes. This file knows no tensor and no data.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from intermodal.errors import SpecError, did_you_mean, nearest

Side = str | tuple[str, ...]

EACH: Side = "*"
"""The side `*`: each modality in turn."""
ALL: Side = ("*",)
"""The side `[*]`: all modalities as one sequence."""

PRESETS = {"self": "[*] -> [*]", "cross": "* -> *", "none": ""}

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<arrow><->|->|<-)|(?P<sign>[\[\],*])
      |"(?P<quoted>(?:[^"\\]|\\.)+)"|(?P<name>(?:[^\s,\[\]<>*"\-]|-(?!>))+)""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"(?:[^\s,\[\]<>*\"\-]|-(?!>))+")


@dataclass(frozen=True, eq=False)
class Edge:
    """One attention: the query side asks the context side.

    A side is a modality's name, a tuple of names joined into one sequence, `"*"` (each modality in turn)
    or `("*",)` (all modalities joined). The order inside a joined side does not matter.

    Args:
        query: who asks.
        context: who is asked: keys and values come from here.

    Raises:
        SpecError: a side is empty or names a modality twice.

    Example:
        >>> Edge("text", "video")
        Edge('text -> video')
        >>> Edge(("text", "audio"), "video") == Edge(["audio", "text"], "video")
        True
    """

    query: Side
    context: Side

    def __post_init__(self) -> None:
        object.__setattr__(self, "query", _side(self.query))
        object.__setattr__(self, "context", _side(self.context))

    @property
    def query_names(self) -> tuple[str, ...]:
        """The names on the asking side; a wildcard counts as the name `*`."""
        return _names(self.query)

    @property
    def context_names(self) -> tuple[str, ...]:
        """The names on the asked side; a wildcard counts as the name `*`."""
        return _names(self.context)

    @property
    def is_self(self) -> bool:
        """True when both sides are the same modality or the same joined sequence."""
        return _key(self.query) == _key(self.context) and self.query != EACH

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Edge):
            return NotImplemented
        return (_key(self.query), _key(self.context)) == (_key(other.query), _key(other.context))

    def __hash__(self) -> int:
        return hash((_key(self.query), _key(self.context)))

    def __str__(self) -> str:
        return f"{_write(self.query)} -> {_write(self.context)}"

    def __repr__(self) -> str:
        return f"Edge('{self}')"


@dataclass(frozen=True, eq=False)
class Spec:
    """All edges of a fusion: a frozen value whose text reads back to an equal spec.

    Two spellings of one fusion are equal; `edges` keeps the order of writing.

    Args:
        edges: the attentions, in order; a repeated edge is kept once.

    Example:
        >>> spec = Spec.parse("text <-> video, audio -> text")
        >>> spec.edges
        (Edge('text -> video'), Edge('video -> text'), Edge('audio -> text'))
        >>> spec == Spec.parse("video -> text, text <- audio, text -> video")
        True
        >>> print(spec.describe())
        text asks video; video asks text; audio asks text
        >>> print(Spec.parse("cross").resolve(["text", "video"]))
        text <-> video
    """

    edges: tuple[Edge, ...] = ()
    _text: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", tuple(dict.fromkeys(self.edges)))

    @classmethod
    def parse(cls, text: str | Spec, modalities: Iterable[str] | None = None) -> Spec:
        """Read a spec from its text.

        Args:
            text: a preset (`self`, `cross`, `none`) or clauses; a `Spec` is returned as it is.
            modalities: the names that exist; when given, wildcards are expanded and names are checked.

        Returns:
            The spec; with `modalities`, every edge names modalities.

        Raises:
            SpecError: the text cannot be read, or names an unknown modality; a caret points at the place.

        Example:
            >>> Spec.parse("[text audio] -> video")
            Spec('[text audio] -> video')
        """
        if isinstance(text, Spec):
            spec = text
        elif isinstance(text, str):
            spec = _parse(text)
        else:
            raise SpecError(f"a spec is a text or a Spec, however: {type(text).__name__} came")
        return spec if modalities is None else spec.resolve(modalities)

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities that the spec names, in order of appearance, wildcards left out.

        Example:
            >>> Spec.parse("text <-> video, * -> text").names
            ('text', 'video')
        """
        named = [n for e in self.edges for n in (*e.query_names, *e.context_names)]
        return tuple(n for n in dict.fromkeys(named) if n != "*")

    def resolve(self, modalities: Iterable[str]) -> Spec:
        """Expand the wildcards over the modalities that exist, and check every name.

        Args:
            modalities: the names, in the order in which wildcards expand.

        Returns:
            A spec whose edges name modalities only. `cross` over one modality has no edge.

        Raises:
            SpecError: a name is not among the modalities; the message names the nearest one.

        Example:
            >>> Spec.parse("self").resolve(["text", "video"]).edges
            (Edge('[text video] -> [text video]'),)
        """
        known = tuple(modalities)
        for name in self.names:
            if name not in known:
                text = self._text if self._text is not None else str(self)
                problem = f'a spec names modalities that exist, however: "{name}"'
                raise _error(text, *_find(text, name), problem + did_you_mean(name, known))
        return Spec(tuple(edge for wild in self.edges for edge in _expand(wild, known)))

    def describe(self) -> str:
        """Say in words who asks whom.

        Example:
            >>> Spec.parse("self").describe()
            'all modalities ask one another as one sequence'
        """
        if not self.edges:
            return "nobody asks: each modality is pooled on its own (late fusion)"
        return "; ".join(_words(edge) for edge in self.edges)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spec):
            return NotImplemented
        return frozenset(self.edges) == frozenset(other.edges)

    def __hash__(self) -> int:
        return hash(frozenset(self.edges))

    def __str__(self) -> str:
        for preset in PRESETS:
            if self == _parse(preset):
                return preset
        clauses = {}
        for edge in self.edges:
            if (back := Edge(edge.context, edge.query)) in clauses and back != edge:
                clauses[back] = f"{_write(back.query)} <-> {_write(back.context)}"
            else:
                clauses[edge] = str(edge)
        return ", ".join(clauses.values())

    def __repr__(self) -> str:
        return f"Spec('{self}')"


# --- sides ----------------------------------------------------------------------------------------


def _side(side: Side | Sequence[str]) -> Side:
    if isinstance(side, str):
        return ALL if side == "[*]" else side
    names = tuple(side)
    if not names or len(set(names)) < len(names):
        raise SpecError(f"a joined side names each modality once, however: {_write(names)}")
    return names if len(names) > 1 or names == ALL else names[0]


def _names(side: Side) -> tuple[str, ...]:
    return (side,) if isinstance(side, str) else side


def _key(side: Side) -> str | frozenset[str]:
    return side if isinstance(side, str) else frozenset(side)


def _write(side: Side) -> str:
    if isinstance(side, tuple):
        return "[" + " ".join(_quote(n) for n in side) + "]"
    return _quote(side)


def _quote(name: str) -> str:
    if name == "*" or _PLAIN.fullmatch(name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def _expand(edge: Edge, known: tuple[str, ...]) -> Iterator[Edge]:
    for query in _each(edge.query, known):
        for context in _each(edge.context, known):
            if EACH in (edge.query, edge.context) and _key(query) == _key(context):
                continue
            yield Edge(query, context)


def _each(side: Side, known: tuple[str, ...]) -> tuple[Side, ...]:
    if side == EACH:
        return known
    return (known,) if side == ALL else (side,)


# --- words ----------------------------------------------------------------------------------------


def _words(edge: Edge) -> str:
    if edge.query == edge.context == ALL:
        return "all modalities ask one another as one sequence"
    if edge.query == edge.context == EACH:
        return "every modality asks every other"
    if edge.is_self and isinstance(edge.query, str):
        return f"{edge.query} asks its own tokens"
    if edge.is_self:
        return f"{_and(edge.query_names)} ask one another as one sequence"
    if edge.query == EACH:
        return f"every other modality asks {_asked(edge.context)}"
    plural = isinstance(edge.query, tuple)
    who = "all modalities together" if edge.query == ALL else _and(edge.query_names)
    who += " together" if plural and edge.query != ALL else ""
    return f"{who} {'ask' if plural else 'asks'} {_asked(edge.context)}"


def _asked(side: Side) -> str:
    if side == EACH:
        return "every other modality in turn"
    if side == ALL:
        return "all modalities as one sequence"
    return _and(_names(side)) + (" as one sequence" if isinstance(side, tuple) else "")


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


# --- parsing --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Token:
    kind: str  # "name", "arrow", one of [ ] , * or "end"
    value: str
    start: int
    stop: int


@lru_cache(maxsize=256)
def _parse(text: str) -> Spec:
    word = text.strip()
    if word in PRESETS:
        if word == "none":
            return Spec((), text)
        return Spec(_Parser(PRESETS[word]).clauses(), text)
    if not word:
        raise SpecError('a spec is "self", "cross", "none" or clauses as "text -> video", however: it is empty')
    return Spec(_Parser(text).clauses(), text)


class _Parser:
    """One pass over the tokens; each method reads one rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0

    def clauses(self) -> tuple[Edge, ...]:
        edges = list(self.clause())
        while self.next.kind == ",":
            self.at += 1
            edges += self.clause()
        if self.next.kind != "end":
            self.fail("clauses are separated by commas")
        return tuple(edges)

    def clause(self) -> list[Edge]:
        start = self.next
        left = self.side()
        if self.next.kind != "arrow":
            alone = self.next.kind == "end" and len(self.tokens) == 2
            close = nearest(start.value, PRESETS) if alone else None
            hint = f'; did you mean "{close}"?' if close else ""
            self.fail('a clause reads "a -> b", "a <- b" or "a <-> b"', hint)
        arrow = self.take().value
        right = self.side()
        forth, back = Edge(left, right), Edge(right, left)
        return {"->": [forth], "<-": [back], "<->": [forth, back]}[arrow]

    def side(self) -> Side:
        token = self.next
        if token.kind == "name":
            return self.take().value
        if token.kind == "*":
            self.take()
            return EACH
        if token.kind != "[":
            self.fail('a side is a name, "*", "[name name]" or "[*]"')
        self.take()
        if self.next.kind == "*":
            self.take()
            names: tuple[str, ...] = ALL  # type: ignore[assignment]
        else:
            names = self.joined()
        if self.next.kind != "]":
            self.fail('"[" is closed by "]"')
        self.take()
        return names

    def joined(self) -> tuple[str, ...]:
        names: list[str] = []
        while self.next.kind == "name":
            if self.next.value in names:
                self.fail("a joined side names each modality once")
            names.append(self.take().value)
        if not names:
            self.fail('"[" is followed by names or by "*"')
        return tuple(names)

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def fail(self, requirement: str, hint: str = "") -> None:
        token = self.next
        found = "the text ends here" if token.kind == "end" else f'"{self.text[token.start : token.stop]}"'
        raise _error(self.text, token.start, token.stop, f"{requirement}, however: {found}{hint}")


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            problem = f'a spec is made of names, "*", "[ ]", commas and arrows, however: "{text[at]}"'
            raise _error(text, at, at + 1, problem)
        kind, value = str(match.lastgroup), match.group()
        if kind == "quoted":
            kind, value = "name", re.sub(r"\\(.)", r"\1", match.group("quoted"))
            if value == "*":
                raise _error(text, at, match.end(), 'a modality has a name, however: "*" means each modality')
        if kind != "space":
            yield _Token(value if kind == "sign" else kind, value, at, match.end())
        at = match.end()
    yield _Token("end", "", len(text), len(text) + 1)


def _find(text: str, name: str) -> tuple[int, int]:
    if text.strip() in PRESETS:
        return 0, len(text)
    return next((t.start, t.stop) for t in _tokens(text) if t.kind == "name" and t.value == name)


def _error(text: str, start: int, stop: int, message: str) -> SpecError:
    shown = re.sub(r"\s", " ", text)
    caret = " " * _columns(shown[:start]) + "^" * max(1, _columns(shown[start:stop]))
    return SpecError(f"{message}\n    {shown}\n    {caret}")


def _columns(text: str) -> int:
    """The columns that a terminal gives to the text: two for a wide character."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
