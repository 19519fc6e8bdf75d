import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodal.report import to_text
from intermodal.report.cells import width as wide
from intermodal.report.text import fact

LABEL = st.text(max_size=67)


def one(block):
    return to_text({"title": "t", "blocks": [block]}).split("\n\n", 1)[1]


def test_the_whole_report_reads_like_this(full):
    assert to_text(full) == GOLDEN


def test_no_control_code_without_colour_and_only_styles_with_it(full):
    full["blocks"][0]["text"] = "\x1b[31mred\x1b]0;title\x07"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", to_text(full))
    coloured = to_text(full, color=True)
    assert re.sub(r"\x1b\[\d+m", "", coloured) == to_text(full)
    assert coloured.count("\x1b[0m") == coloured.count("\x1b[") / 2 > 0


@settings(max_examples=60)
@given(st.integers(24, 113), st.lists(LABEL, min_size=5, max_size=5))
def test_no_line_is_wider_than_asked(places, names):
    a, b, c, d, e = names
    item = {"label": a, "value": 0.5, "low": 0.25, "high": 0.75}
    report = {
        "title": a,
        "subtitle": b,
        "blocks": [
            {"kind": "text", "title": c, "text": d},
            {"kind": "facts", "title": e, "items": [[a, b], [c, 1.5]]},
            {"kind": "table", "title": a, "caption": b, "columns": [c, d], "rows": [[e, 3.25], [a, None]]},
            {"kind": "matrix", "title": a, "rows": [b, c], "columns": [d, e], "values": [[0.5, 1], [0, None]]},
            {"kind": "bars", "title": a, "items": [item], "unit": b},
            {"kind": "intervals", "title": a, "items": [item], "reference": 0.5},
            {"kind": "findings", "title": a, "items": [{"id": b, "severity": "note", "text": c, "remedy": d}]},
        ],
    }
    assert max(map(wide, to_text(report, width=places).split("\n"))) <= places


def test_a_command_is_never_broken():
    line = "intermodal compare data.parquet --fusion '" + "text <-> video, " * 11 + "' -o report.html"
    assert f"  {line}\n" in to_text({"title": "t", "blocks": [{"kind": "commands", "title": "c", "lines": [line]}]})


def test_a_width_that_cannot_work_is_refused(full):
    with pytest.raises(ValueError) as caught:
        to_text(full, width=23)
    assert str(caught.value) == "width must be at least 24, however: width=23"


def test_chinese_names_line_up():
    rows = [["文本", 1], ["text", 2]]
    lines = one({"kind": "table", "title": "u", "columns": ["n", "v"], "rows": rows}).splitlines()[1:]
    assert lines == ["n     v", "────  ─", "文本  1", "text  2"]


def test_bars_are_proportional_and_grow_from_zero():
    items = [{"label": "a", "value": 2.0}, {"label": "b", "value": 4.0}, {"label": "c", "value": -2.0}]
    drawn = [line.count("▒") for line in one({"kind": "bars", "title": "u", "items": items}).splitlines()[3:6]]
    assert drawn[1] == pytest.approx(2 * drawn[0], abs=1) and drawn[0] == pytest.approx(drawn[2], abs=1)


def test_a_long_label_wraps_before_the_drawing_is_given_up():
    items = [{"label": "a rather long name of a modality that has to wrap", "value": 2.0}]
    assert "▒" in one({"kind": "bars", "title": "u", "items": items})


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1"), (0.1, "0.1"), (float("nan"), "NaN"), (float("inf"), "∞"), (True, "yes"), (None, "–"), ("x", "x")],
)
def test_facts_show_any_value(value, shown):
    assert fact(value) == shown


GOLDEN = """\
Does attention help?
════════════════════
23 samples

── Verdict
It does.

The interval leaves out zero.

── Data
samples  23
share    0.25
note     –
– stands where no value was given.

── Scores
Higher is better.
  fusion  accuracy  seconds
  ──────  ────────  ───────
▸ cross      0.966    12.50
  self         NaN     3.25
  none       0.500        –
– stands where no value was given.
NaN stands where the calculation gave no number (for instance 0/0).

── Who attends to whom
asks ↓, is looked at →    text   video   audio
──────────────────────  ──────  ──────  ──────
text                      0.12  0.50 ▒  0.38 ▒
video                   1.00 █     – ·   NaN ·
Shades run from blank (0) through ░▒▓ to █ (1).
– stands where no value was given.
NaN stands where the calculation gave no number (for instance 0/0).

── Worth
name   value (log-odds)    low   high  -1.30                               5.30
─────  ────────────────  ─────  ─────  ────────────────────────────────────────
text              3.000  2.000  5.000          │▒▒▒▒▒▒▒▒▒▒▒├────█───────────┤
video            -1.000      –      –    ▒▒▒▒▒▒│
Whiskers reach from low to high.
– stands where no value was given.

── Difference
name   value     low   high  -0.30                               0.80
─────  ─────  ──────  ─────  ────────────────────────────────────────
cross  0.500   0.250  0.750             ┊        ├───────●────────┤
self   0.125  -0.250  0.500    ├────────────○────────────┤
Compared with 0, the dashed line.
A solid dot's interval leaves the line out; a hollow dot's includes it.

── When
name           start (s)  end (s)  0.00                                     7.00
─────────────  ─────────  ───────  ─────────────────────────────────────────────
fits: highest       2.50     5.00  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█████████████████
answer              2.50     4.75                  ├─────────────┤
truth               7.00     7.00                                              │
The curve shows “fits”, from 0 to 1.

── Findings
WARNING  one-key
  One key.
  What to do: Use n_tokens.
ERROR  nan
  A number is missing.

── Next
  intermodal demo
"""
