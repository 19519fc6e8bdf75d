"""How wide text is on a terminal, and how it is cut and wrapped to fit.

A Chinese character takes two places, a combining accent none (Unicode Standard Annex 11).
"""

from __future__ import annotations

import unicodedata


def width(text: str) -> int:
    """Return how many places `text` takes on a terminal.

    Example:
        >>> width("abc"), width("文本"), width("e\\u0301")
        (3, 4, 1)
    """
    return sum(map(_places, text))


def _places(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, places: int) -> str:
    """Return `text`, ended with an ellipsis where it takes more than `places`.

    Example:
        >>> cut("attention", 6), cut("text", 6)
        ('atten…', 'text')
    """
    return text if width(text) <= places else _split(text, places - 1)[0] + "…"


def _split(text: str, places: int) -> tuple[str, str]:
    used = 0
    for index, char in enumerate(text):
        used += _places(char)
        if used > places:
            return text[:index], text[index:]
    return text, ""


def wrap(text: str, places: int, *, max_lines: int | None = None) -> tuple[list[str], bool]:
    """Return the lines of `text`, none wider than `places`, and whether something was left out.

    Lines break at spaces; a word that is wider than a whole line is broken anywhere.

    Example:
        >>> wrap("who asks whom", 8)
        (['who asks', 'whom'], False)
        >>> wrap("one two three", 5, max_lines=2)
        (['one', 'two…'], True)
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        room = places - width(line) - (1 if line else 0)
        if width(word) <= room:
            line = f"{line} {word}" if line else word
            continue
        if width(word) > places and room > 1 and line:
            head, word = _split(word, room)
            line = f"{line} {head}" if head else line
        if line:
            lines.append(line)
        while width(word) > places:
            head, word = _split(word, places)
            if not head:  # one character wider than the line: better too wide than lost
                head, word = word[0], word[1:]
            lines.append(head)
        line = word
    lines.append(line)
    if max_lines is None or len(lines) <= max_lines:
        return lines, False
    kept = lines[:max_lines]
    kept[-1] = cut(kept[-1] + " " * places, places).rstrip("… ") + "…"
    if width(kept[-1]) > places:
        kept[-1] = cut(kept[-1], places)
    return kept, True


def pad(text: str, places: int, align: str) -> str:
    """Return `text` filled with spaces to `places`; `align` is "l", "r" or "c".

    Example:
        >>> pad("文", 4, "r")
        '  文'
    """
    room = max(0, places - width(text))
    left = {"l": 0, "r": room, "c": room // 2}[align]
    return " " * left + text + " " * (room - left)
