import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodal.report.cells import cut, pad, width, wrap

WORDS = st.text(st.sampled_from("ab 文本字e\u0301👩"), max_size=67)


@given(WORDS, st.integers(2, 23))
def test_no_line_is_wider_than_asked_and_nothing_is_lost(text, places):
    lines, is_cut = wrap(text, places)
    assert all(width(line) <= places for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert not is_cut


@given(WORDS, st.integers(2, 23), st.integers(1, 3))
def test_what_is_left_out_is_marked_and_told(text, places, max_lines):
    whole, _ = wrap(text, places)
    lines, is_cut = wrap(text, places, max_lines=max_lines)
    assert is_cut == (len(whole) > max_lines) == (lines != whole)
    assert lines[-1].endswith("…") == is_cut
    assert all(width(line) <= places for line in lines)


@given(WORDS, st.integers(1, 23))
def test_cutting_fits(text, places):
    assert width(cut(text, places)) <= places
    assert cut(text, places) == text or cut(text, places).endswith("…")


@pytest.mark.parametrize(("align", "shown"), [("l", "文  "), ("r", "  文"), ("c", " 文 ")])
def test_a_wide_character_takes_two_places_when_padding(align, shown):
    assert pad("文", 4, align) == shown
