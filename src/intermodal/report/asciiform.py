"""The text form with letters that every terminal has: what is drawn gets a plainer sign, one place for one place."""

from __future__ import annotations

from intermodal.report.cells import width

_SIGNS = str.maketrans("═─━│┊├┤░▒▓█●○▸…–−·×√“”→↓⟨⟩▁▂▃▄▅▆▇", '=--|:||.:+#*o>~--.xV"">v<>..:-=++')


def ascii_only(text: str) -> str:
    """Return `text` in ASCII; a letter that ASCII lacks becomes one question mark for each place it takes.

    Example:
        >>> ascii_only("── café … 文"), ascii_only("0.50 ▒")
        ('-- caf? ~ ??', '0.50 :')
    """
    return "".join(char if char.isascii() else "?" * width(char) for char in text.translate(_SIGNS))
