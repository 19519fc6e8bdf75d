"""The colours of heat maps: even steps of lightness, safe for colour-blind eyes, ink chosen by contrast.

Sequential ramps run through blue with lightness that only falls (light theme) or only rises (dark theme), so a
greyscale print keeps the order. Signed values get two such arms, orange below zero and blue above, which all
common forms of colour blindness tell apart. Source: the OKLab space of Ottosson (2020), the contrast of WCAG 2.2.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

Theme = Literal["light", "dark"]
LEVELS = 256
_BLUE, _ORANGE = (228.0, 268.0), (75.0, 45.0)
_LIGHTNESS: dict[Theme, tuple[float, float]] = {"light": (0.985, 0.34), "dark": (0.255, 0.93)}


@cache
def colour(level: int, theme: Theme, *, signed: bool = False) -> str:
    """Return the colour of one of the 256 levels as `#rrggbb`.

    Args:
        level: 0 to 255. Sequential: 0 is the least. Signed: 0 is the most negative, 128 is zero.
        theme: "light" or "dark"; the least stands out least from the page in both.
        signed: take the ramp with two arms.

    Example:
        >>> colour(0, "light"), colour(255, "dark")
        ('#f5fbfe', '#dee8ff')
    """
    if signed:
        share = (level - 128) / 127
        return _mix(min(1.0, abs(share)), theme, _BLUE if share >= 0 else _ORANGE)
    return _mix(level / (LEVELS - 1), theme, _BLUE)


def _mix(share: float, theme: Theme, hues: tuple[float, float]) -> str:
    start, end = _LIGHTNESS[theme]
    lightness = start + (end - start) * share
    hue = hues[0] + (hues[1] - hues[0]) * share
    chroma = 0.012 + 0.13 * math.sin(math.pi * min(1.0, 0.62 * share + 0.02))
    if theme == "dark":
        chroma = 0.015 + 0.12 * math.sin(math.pi * min(1.0, 0.9 * share + 0.02))
    while True:
        channels = _linear(lightness, chroma, hue)
        if all(-1e-4 <= c <= 1.0001 for c in channels) or chroma < 0.002:
            return "#" + "".join(f"{_encode(c):02x}" for c in channels)
        chroma -= 0.002


def _linear(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )


def _encode(channel: float) -> int:
    channel = min(1.0, max(0.0, channel))
    curved = 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055
    return round(255 * curved)


def luminance(hexcode: str) -> float:
    """Return the relative luminance of `#rrggbb`, 0 for black and 1 for white (WCAG 2.2).

    Example:
        >>> luminance("#000000"), luminance("#ffffff")
        (0.0, 1.0)
    """
    parts = [int(hexcode[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2).

    Example:
        >>> contrast("#000000", "#ffffff")
        21.0
    """
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def ink(background: str) -> str:
    """Return black or white, whichever reads better on `background`; the better is never below 4.58.

    Example:
        >>> ink("#ffffff"), ink("#102040")
        ('#000', '#fff')
    """
    return "#000" if contrast(background, "#000000") >= contrast(background, "#ffffff") else "#fff"
