import math
from itertools import pairwise

import pytest

from intermodal.report.colours import LEVELS, colour, contrast, ink, luminance
from intermodal.report.style import THEMES

BOTH = pytest.mark.parametrize("theme", ["light", "dark"])


@BOTH
@pytest.mark.parametrize("signed", [False, True])
def test_the_number_in_every_cell_can_be_read(theme, signed):
    for level in range(LEVELS):
        back = colour(level, theme, signed=signed)
        front = "#000000" if ink(back) == "#000" else "#ffffff"
        assert contrast(back, front) >= 4.5, (level, back, front)


@BOTH
def test_the_ramp_is_monotone_in_lightness(theme):
    path = [luminance(colour(level, theme)) for level in range(LEVELS)]
    if theme == "light":
        path.reverse()
    assert all(a < b for a, b in zip(path[::3], path[3::3], strict=False))
    # Neighbours may tie or swap by less than one step of 8 bits, never more.
    assert all(b - a > -0.0015 for a, b in pairwise(path))


@BOTH
def test_a_signed_ramp_has_two_monotone_arms_of_equal_lightness(theme):
    path = [luminance(colour(level, theme, signed=True)) for level in range(1, LEVELS)]
    below, above = path[:128][::-1], path[127:]
    sign = -1 if theme == "light" else 1
    for arm in (below, above):
        assert all(sign * (b - a) > 0 for a, b in zip(arm[::3], arm[3::3], strict=False))
    assert below == pytest.approx(above, abs=0.06)


# Viénot, Brettel, Mollon (1999): what a dichromat sees, as a matrix on linear RGB.
_DICHROMATS = {
    "protan": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deutan": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


@BOTH
@pytest.mark.parametrize("eye", _DICHROMATS)
def test_the_arms_differ_for_colour_blind_eyes(theme, eye):
    for level in (40, 80, 127):
        minus = _seen(colour(128 - level, theme, signed=True), eye)
        plus = _seen(colour(128 + level, theme, signed=True), eye)
        assert math.dist(minus, plus) > 0.1, (level, minus, plus)


def _seen(hexcode, eye):
    rgb = [(int(hexcode[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    return [sum(weight * channel for weight, channel in zip(row, rgb, strict=True)) for row in _DICHROMATS[eye]]


@BOTH
@pytest.mark.parametrize("front", ["ink", "muted", "accent", "error", "warning", "note"])
@pytest.mark.parametrize("back", ["page", "quiet", "tint"])
def test_text_can_be_read_on_every_ground(theme, front, back):
    assert contrast(THEMES[theme][front], THEMES[theme][back]) >= 4.5


@BOTH
def test_marks_can_be_seen(theme):
    names = THEMES[theme]
    for mark in ("plus", "minus", "accent", "muted"):
        assert contrast(names[mark], names["page"]) >= 3, mark
    for bar in ("plus", "minus"):
        assert contrast(names["ink"], names[bar]) >= 3, f"a whisker over {bar}"


def test_contrast_equals_the_published_examples():
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert contrast("#0000ff", "#ffffff") == pytest.approx(8.59, abs=0.005)
