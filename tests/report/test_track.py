import re

import pytest

from intermodal.report import to_html, to_markdown, to_text

TIMES = [[0.0, 2.0], [2.0, 4.0], [4.0, 7.0], [7.0, 8.0]]


def track(values, spans=(), times=TIMES, **more):
    named = [{"label": label, "start": start, "end": end} for label, start, end in spans]
    block = {"kind": "track", "title": "When", "name": "fits", "unit": "s", "times": times, "values": values}
    return {"title": "t", "blocks": [{**block, "spans": named, **more}]}


def drawn(report, width=120):
    """The drawing of each line of the table, cut out by the place where the axis stands."""
    lines = to_text(report, width=width).splitlines()
    head = next(line for line in lines if "start (s)" in line)
    at = re.search(r"\d", head[head.index("end (s)") + 7 :]).start() + head.index("end (s)") + 7
    rule = next(i for i, line in enumerate(lines) if line.startswith("─") and "  ─" in line)
    return [line[at:].ljust(len(head) - at) for line in lines[rule + 1 :] if line and not line.startswith("The curve")]


def test_the_curve_stands_where_the_times_are_and_is_as_high_as_the_values():
    [curve] = drawn(track([0.0, 0.5, 1.0, 0.25]))
    n = len(curve)
    eighth = n // 8
    assert set(curve[: 2 * eighth - 1]) == {" "}
    assert set(curve[2 * eighth + 1 : 4 * eighth - 1]) == {"▄"}
    assert set(curve[4 * eighth + 1 : 7 * eighth - 1]) == {"█"}
    assert set(curve[7 * eighth + 1 :]) == {"▂"}


def test_a_span_is_a_bracket_over_its_time():
    _, answer, whole, last = drawn(track([0.0] * 4, [("answer", 2.0, 4.0), ("whole", 0.0, 8.0), ("last", 8.0, 8.0)]))
    n = len(whole)
    assert whole == "├" + "─" * (n - 2) + "┤"
    assert answer.strip() == "├" + "─" * (n // 4 - 2) + "┤" and answer.index("├") == n // 4
    assert last == " " * (n - 1) + "│"


def test_a_short_peak_among_many_times_is_not_lost():
    times = [[float(i), float(i + 1)] for i in range(997)]
    values = [0.0] * 997
    values[611] = 1.0
    [curve] = drawn(track(values, times=times))
    assert curve.count("█") in (1, 2)
    assert abs(curve.index("█") / len(curve) - 611 / 997) < 0.05


def test_the_highest_place_and_the_spans_stand_there_as_numbers():
    report = track([0.0, 0.5, 1.0, 0.25], [("answer", 2.25, 4.0)])
    markdown = to_markdown(report)
    assert "| name | start (s) | end (s) |" in markdown
    assert "| fits: highest | 4.00 | 7.00 |" in markdown
    assert "| answer | 2.25 | 4.00 |" in markdown
    assert "The curve shows “fits”, from 0 to 1." in to_text(report)


def test_the_page_draws_a_bar_a_time_and_a_rect_a_span(read_page):
    page = read_page(to_html(track([0.0, 0.5, 1.0, 0.25], [("<b>", 2.0, 4.0)])))
    curve = [a for a in page.named("rect") if a["class"] == "curve"]
    assert [(a["x"], a["width"], a["height"]) for a in curve] == [
        ("25%", "25%", "50%"), ("50%", "37.5%", "100%"), ("87.5%", "12.5%", "25%"),
    ]  # fmt: skip
    [span] = [a for a in page.named("rect") if a["class"] == "plus"]
    assert (span["x"], span["width"]) == ("25%", "25%")
    assert "2.00 to 4.00" in page.texts and "<b>" in page.texts


@pytest.mark.parametrize("width", [24, 40, 120])
def test_a_narrow_terminal_keeps_the_numbers(width):
    report = track([0.0, 0.5, 1.0, 0.25], [("answer", 2.25, 4.0)])
    text = to_text(report, width=width)
    assert "2.25" in text and max(map(len, text.splitlines())) <= width
