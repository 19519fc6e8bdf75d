"""Names are data: what each form does to a text so that it stays text.

A modality may be called `</script>` or `a|b`, or carry a terminal's control codes. Every string of a
report passes through exactly one of these three doors.
"""

from __future__ import annotations

import re
from html import escape as _escape_html

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
_MARKUP = re.compile(r"[`*_\[\]<>|~#&$]")
_STARTS = re.compile(r"^([-+=]|\d{1,9}[.)])(?=[\s=-]|$)")


def visible(text: str) -> str:
    r"""Return `text` with control characters as their pictures and broken halves of characters as U+FFFD.

    Tabs and line ends stay. A file written from the result is valid UTF-8 and valid HTML.

    Example:
        >>> visible("a\x00b\x1b[31m")
        'a␀b␛[31m'
    """
    text = _SURROGATE.sub("\ufffd", text.replace("\r\n", "\n"))
    return _CONTROL.sub(lambda found: _picture(ord(found.group())), text)


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\ufffd"


def html(text: str) -> str:
    """Return `text` safe between tags and inside a quoted attribute.

    Example:
        >>> html('</script> & "x"')
        '&lt;/script&gt; &amp; &quot;x&quot;'
    """
    return _escape_html(visible(text), quote=True)


def plain(text: str) -> str:
    r"""Return `text` on one line for a terminal: no control codes, no characters that turn the writing direction.

    Example:
        >>> plain("two\nlines\u202e")
        'two lines⟨U+202E⟩'
    """
    text = _TURNING.sub(lambda found: f"⟨U+{ord(found.group()):04X}⟩", visible(text))
    return " ".join(text.split())


def markdown(text: str) -> str:
    r"""Return `text` on one line with everything escaped that GitHub's Markdown would read as markup.

    A backslash becomes an entity, so that `\|` always is an escaped bar and never an escaped backslash.

    Example:
        >>> print(markdown("a|b <i> *c*"))
        a\|b \<i\> \*c\*
    """
    text = plain(text).replace("\\", "\0")
    text = _MARKUP.sub(lambda found: "\\" + found.group(), text)
    text = _STARTS.sub(lambda found: _escape_last(found.group()), text)
    return text.replace("\0", "&#92;")


def _escape_last(mark: str) -> str:
    return mark[:-1] + "\\" + mark[-1]
