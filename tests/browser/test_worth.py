"""Bars are as long as what they stand for and end where the prediction is; findings lead to their evidence."""

from __future__ import annotations

import numpy as np

from intermodal.report import validate

BARS = """() => [...document.querySelectorAll(".fall tbody tr")].map((row) => {
    const svg = row.querySelector("svg").getBoundingClientRect();
    const bar = row.querySelector("rect"), line = row.querySelector(".level");
    const box = (bar || line) && (bar || line).getBoundingClientRect();
    return box ? [box.left - svg.left, box.right - svg.left, bar && bar.classList.contains("minus")] : null; })"""


def test_bars_begin_where_the_one_before_ended_and_end_at_the_prediction(opened, pages):
    block = pages.attribution()
    page = opened({"title": "t", "blocks": [block]})
    for index, sample in enumerate(block["samples"]):
        for output in range(2):
            selects = page.locator('[data-view="attribution"] > .pickers select')
            selects.nth(0).select_option(str(index))
            selects.nth(1).select_option(str(output))
            empty, *bars, full = page.evaluate(BARS)
            values = [value[output] for value in sample["values"]]
            start, end = (empty[0] + empty[1]) / 2, (full[0] + full[1]) / 2
            pixels = (end - start) / (sample["full"][output] - sample["empty"][output])
            at = start
            for bar, value in zip(bars, values, strict=True):
                if value == 0:
                    assert bar is None
                    continue
                left, right, minus = bar
                assert minus == (value < 0)
                assert abs((right - left) - abs(value * pixels)) < 1
                assert abs((right if minus else left) - at) < 1
                at += value * pixels
            assert abs(at - end) < 1


def test_how_exact_the_values_are_and_what_taking_away_means_is_printed(opened, pages):
    page = opened({"title": "t", "blocks": [pages.attribution()]})
    text = page.locator('[data-view="attribution"]').inner_text()
    assert "Completeness error 3.1e-16" in text and "A modality was taken away by: mask." in text


def test_a_missing_modality_has_no_bar_but_a_word(opened, pages):
    page = opened({"title": "t", "blocks": [pages.attribution()]})
    page.locator('[data-view="attribution"] > .pickers select').first.select_option("1")
    assert page.locator(".fall tbody tr").nth(3).locator(".r").inner_text() == "missing"
    assert "missing" in page.locator("[data-part=samples] tbody").text_content()


def test_points_of_a_curve_stand_where_their_numbers_are(opened, pages):
    block = pages.curves()
    page = opened({"title": "t", "blocks": [block]})
    places = page.evaluate("""() => {
        const box = document.querySelector(".lines").getBoundingClientRect();
        return [...document.querySelectorAll(".lines > .mark")].map((el) => {
            const b = el.getBoundingClientRect();
            return [el.classList[1], (b.left + b.right) / 2 - box.left, (b.top + b.bottom) / 2 - box.top]; }); }""")
    for index, line in enumerate(block["lines"][:2]):  # a triangle's middle is not its point
        seen = np.array([place[1:] for place in places if place[0] == f"c{index}"])
        for axis, numbers in ((0, block["x"]), (1, line["values"])):
            slope = np.polyfit(numbers, seen[:, axis], 1)
            assert np.abs(np.polyval(slope, numbers) - seen[:, axis]).max() < 1
            assert (slope[0] > 0) == (axis == 0)
    dashes = page.locator(".lines .line").evaluate_all("(all) => all.map((el) => getComputedStyle(el).strokeDasharray)")
    assert len(set(dashes)) == 3


def test_every_finding_stands_once_and_leads_to_its_evidence(opened, pages):
    ids = [f"D{number}" for number in range(1, 29)]
    severities = ("error", "warning", "note")
    items = [
        {"id": one, "severity": severities[i % 3], "text": f"what {one} saw", "see": "What was missing"}
        for i, one in enumerate(ids)
    ]
    report = {"title": "t", "blocks": [{"kind": "findings", "title": "Beware", "items": items}, pages.presence()]}
    validate(report)
    page = opened(report)
    assert page.locator(".findings .id").all_inner_texts() == ids
    assert page.locator(".strip a").all_inner_texts() == ["10 errors", "9 warnings", "9 notes"]
    for index in (0, 13, 27):
        page.locator(".findings .see a").nth(index).click()
        assert page.evaluate("document.activeElement.querySelector('h2').textContent") == "What was missing"
    assert page.locator(".findings .see a").count() == 28


def test_what_was_missing_is_marked_by_more_than_colour(opened, pages):
    page = opened({"title": "t", "blocks": [pages.presence()]})
    cells = page.locator(".presence td").evaluate_all("(all) => all.map((c) => [c.className, c.textContent])")
    wanted = [
        ["there", "yes"] if there else ["away", "missing"] for row in pages.presence()["present"] for there in row
    ]
    assert cells == wanted


def test_a_sample_that_nothing_moved_is_not_said_to_be_moved(opened, pages):
    block = pages.attribution()
    sample = block["samples"][0]
    sample["values"] = [[0.0] * 2 for _ in sample["values"]]
    sample["full"] = list(sample["empty"])
    page = opened({"title": "t", "blocks": [block]})
    said = page.locator('[data-view="attribution"] .live').first.inner_text()
    assert said.endswith("nothing moved it.") and "most" not in said
