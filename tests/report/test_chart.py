import pytest

from intermodal.report.bars import bars_html
from intermodal.report.intervals import intervals_html


def place(text):
    return float(text.removesuffix("%"))


def bars(items, **more):
    return bars_html({"kind": "bars", "title": "t", "items": items, **more})


def rects(page, look):
    return [attrs for attrs in page.named("rect") if attrs["class"] == look]


def test_lengths_are_proportional_and_bars_meet_at_the_zero_line(read_page):
    page = read_page(bars([{"label": "a", "value": 2.0}, {"label": "b", "value": 5.0}, {"label": "c", "value": -1.0}]))
    two, five = rects(page, "plus")
    (minus,) = rects(page, "minus")
    zero = place(next(attrs["x1"] for attrs in page.named("line") if attrs["class"] == "zero"))
    assert place(five["width"]) / place(two["width"]) == pytest.approx(2.5, rel=1e-3)
    assert place(minus["width"]) / place(two["width"]) == pytest.approx(0.5, rel=1e-3)
    assert place(two["x"]) == place(five["x"]) == pytest.approx(zero)
    assert place(minus["x"]) + place(minus["width"]) == pytest.approx(zero, abs=0.002)


def test_whiskers_reach_from_low_to_high(read_page):
    page = read_page(bars([{"label": "a", "value": 2.0, "low": 1.0, "high": 4.0}]))
    (whisker,) = [attrs for attrs in page.named("line") if attrs["class"] == "whisker"]
    (bar,) = rects(page, "plus")
    assert place(whisker["x1"]) == pytest.approx(place(bar["width"]) / 2, abs=0.002)
    assert place(whisker["x2"]) == pytest.approx(place(bar["width"]) * 2, abs=0.002)


def test_the_numbers_stand_beside_the_drawing(read_page):
    made = bars([{"label": "a", "value": 2.0, "low": 1.0, "high": 4.0}], unit="s")
    assert '<td class="r" data-vs="2.0 1.0 4.0">2.000 <span class="ci">[1.000, 4.000]</span></td>' in made
    assert "value (s) " in read_page(made).texts


def test_an_axis_without_zero_is_told(read_page):
    made = bars([{"label": "a", "value": 100.0}, {"label": "b", "value": 104.0}], zero=False)
    assert "The axis does not start at zero; it starts at 99.80." in read_page(made).texts
    assert "does not start" not in bars([{"label": "a", "value": 100.0}])


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_gap_has_no_bar_but_a_reason(value, read_page):
    page = read_page(bars([{"label": "a", "value": value}, {"label": "b", "value": 1.0}]))
    assert len(rects(page, "plus") + rects(page, "minus")) == 1
    assert page.named("td")[1]["title"] in page.texts


@pytest.mark.parametrize(
    ("low", "high", "look"),
    [
        (0.25, 0.75, "dot"),
        (-0.25, 0.75, "dot hollow"),
        (0.0, 0.75, "dot hollow"),
        (None, 0.75, "dot hollow"),
        (-0.5, 0.0, "dot hollow"),
    ],
)
def test_a_dot_is_hollow_when_the_interval_holds_the_reference(low, high, look, read_page):
    items = [{"label": "a", "value": 0.5, "low": low, "high": high}]
    page = read_page(intervals_html({"kind": "intervals", "title": "t", "items": items, "reference": 0.0}))
    assert [attrs["class"] for attrs in page.named("circle")] == [look]


def test_the_reference_line_is_drawn_in_every_row_and_named(read_page):
    items = [{"label": name, "value": v, "low": v - 1, "high": v + 1} for name, v in (("a", 3.0), ("b", 7.0))]
    page = read_page(intervals_html({"kind": "intervals", "title": "t", "items": items, "reference": 5}))
    places = [attrs["x1"] for attrs in page.named("line") if attrs["class"] == "reference"]
    assert len(places) == 2 and place(places[0]) == pytest.approx(50) and len(set(places)) == 1
    assert "Compared with 5, the dashed line." in page.texts


def test_without_a_reference_no_line_and_no_hollow_dot(read_page):
    items = [{"label": "a", "value": 0.0, "low": -1.0, "high": 1.0}]
    page = read_page(intervals_html({"kind": "intervals", "title": "t", "items": items}))
    assert [attrs["class"] for attrs in page.named("circle")] == ["dot"]
    assert not [attrs for attrs in page.named("line") if attrs["class"] == "reference"]
