"""What a page's script reads: numbers with nine digits, long rows in base64, names that cannot end the element.

Nine significant digits give every float32 back exactly.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from intermodal.report.escape import visible
from intermodal.report.figures import is_number

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_EXACT = 40_000  # numbers kept in float32; a longer table takes float16 and says what that costs


def data_script(value: Any) -> str:
    """Return `value` as a JSON element: inert, and whole whatever the names hold.

    Example:
        >>> data_script({"name": "</script>"})
        '<script type="application/json">{"name":"\\\\u003c/script\\\\u003e"}</script>'
    """
    text = json.dumps(_clean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char, code in _ESCAPES.items():
        text = text.replace(char, code)
    return f'<script type="application/json">{text}</script>'


def _clean(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _clean(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(entry) for entry in value]
    if isinstance(value, str):
        return visible(value)
    if is_number(value) and not isinstance(value, int):
        number = nine(value)
        # JSON has no such numbers; the script reads these three words as what they are.
        return number if math.isfinite(number) else "NaN" if math.isnan(number) else f"{'-' * (number < 0)}Infinity"
    return value


def nine(value: Real | float) -> float:
    """Return `value` rounded to nine significant digits, as the page holds it.

    Example:
        >>> nine(1 / 3), nine(float("inf"))
        (0.333333333, inf)
    """
    return float(f"{float(value):.9g}")


def rounded(values: Any) -> Any:
    """Return lists in lists with every number rounded to nine digits; None stays.

    Example:
        >>> rounded([[1 / 3, None]])
        [[0.333333333, None]]
    """
    if isinstance(values, (list, tuple)):
        return [rounded(entry) for entry in values]
    return None if values is None else nine(values)


def packed(rows: Sequence[Sequence[float | None]]) -> dict[str, Any]:
    """Return a long table of weights in base64: little-endian float32, or float16 where it is very long.

    A gap is a NaN.

    Returns:
        `bits` (32 or 16), `data`, and `drift`: how far the sum of a row moved at most.

    Example:
        >>> packed([[0.5, None]])
        {'bits': 32, 'data': 'AAAAPwAAwH8=', 'drift': 0.0}
    """
    bits = 32 if sum(map(len, rows)) <= _EXACT else 16
    form = "f" if bits == 32 else "e"
    data, drift = b"", 0.0
    pieces = []
    for row in rows:
        numbers = [math.nan if value is None else float(value) for value in row]
        piece = struct.pack(f"<{len(row)}{form}", *numbers)
        kept = struct.unpack(f"<{len(row)}{form}", piece)
        pairs = [(a, b) for a, b in zip(numbers, kept, strict=True) if math.isfinite(a)]
        drift = max(drift, abs(math.fsum(a for a, _ in pairs) - math.fsum(b for _, b in pairs)))
        pieces.append(piece)
    data = base64.b64encode(b"".join(pieces))
    return {"bits": bits, "data": data.decode(), "drift": drift}
