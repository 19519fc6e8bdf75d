import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodal.report.escape import html, markdown, plain, visible

EVERY = st.text(st.characters(codec=None, exclude_categories=()))


@given(EVERY)
def test_what_is_visible_can_be_written_and_holds_no_control_code(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert not [c for c in shown if (ord(c) < 32 and c not in "\t\n") or 0x7F <= ord(c) <= 0x9F]
    assert visible(shown) == shown


@given(EVERY)
def test_html_holds_no_character_that_ends_text_or_attribute(text):
    assert not set(html(text)) & set("<>\"'")


@given(EVERY)
def test_plain_text_is_one_line_that_cannot_turn_the_terminal(text):
    shown = plain(text)
    assert shown.splitlines() in ([], [shown])
    assert not set(shown) & set("\x1b\u202e\u2066\u2028")


@given(EVERY)
def test_a_markdown_cell_holds_no_free_bar(text):
    shown = markdown(text)
    assert shown.count("|") == shown.count("\\|")
    assert "\\\\" not in shown
    assert "<" not in shown.replace("\\<", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("a\\|b", "a&#92;\\|b"),
        ("*bold* _it_ `code`", "\\*bold\\* \\_it\\_ \\`code\\`"),
        ("[x](y) ![z]", "\\[x\\](y) !\\[z\\]"),
        ("# heading", "\\# heading"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("---", "\\---"),
        ("-0.25", "-0.25"),
        ("1.5", "1.5"),
        ("&lt; $x$", "\\&lt; \\$x\\$"),
        ("two\n\nlines", "two lines"),
    ],
)
def test_markup_in_a_name_stays_text(text, shown):
    assert markdown(text) == shown
