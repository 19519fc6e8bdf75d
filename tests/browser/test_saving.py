"""What leaves the page reads back equal to what went in."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from intermodal.report import notebook_html


def saved(page, view, name, place=0):
    with page.expect_download() as waiting:
        page.locator(f'[data-view="{view}"]').get_by_role("button", name=name).nth(place).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_text("utf-8")


def test_a_map_is_saved_as_it_is_seen(opened, pages):
    block = pages.attention()
    page = opened({"title": "t", "blocks": [block]})
    page.locator('[data-view="attention"] > .pickers select').nth(1).select_option("3")
    true = np.array(block["mean"])[:, 3].mean(0)
    name, text = saved(page, "attention", "Save CSV")
    rows = list(csv.reader(io.StringIO(text)))
    assert name == "Who-attends-to-whom.csv"
    assert rows[0][1:] == pages.NAMES and [row[0] for row in rows[1:]] == pages.NAMES
    assert np.abs(np.array([row[1:] for row in rows[1:]], dtype=float) - true).max() < 1e-9
    _, text = saved(page, "attention", "Save SVG")
    picture = ET.fromstring(text)
    numbers = [float(r.get("data-v")) for r in picture.iter("{http://www.w3.org/2000/svg}rect") if r.get("data-v")]
    assert np.abs(np.array(numbers) - true.ravel()).max() < 1e-9
    texts = [t.text for t in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert [f"{v:.3f}" for v in true.ravel()] == [t for t in texts if t not in pages.NAMES]


def nine(value):
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: nine(entry) for key, entry in value.items()}
    return [nine(entry) for entry in value] if isinstance(value, list) else value


def test_json_reads_back_equal_to_the_block(opened, pages):
    page = opened(pages.whole())
    blocks = {block["kind"]: block for block in pages.whole()["blocks"]}
    made = json.loads(saved(page, "attention", "Save JSON")[1])
    assert {key: made[key] for key in blocks["attention"]} == nine(blocks["attention"])
    made = json.loads(saved(page, "attribution", "Save JSON")[1])
    assert made["samples"] == nine(blocks["attribution"]["samples"]) and made["completeness"] == 3.1e-16
    made = json.loads(saved(page, "timeline", "Save JSON")[1])
    [item], [given] = made["items"], blocks["timeline"]["items"]
    assert [item[key] for key in ("times", "words", "truth")] == nine(
        [given[key] for key in ("times", "words", "truth")]
    )
    assert np.array_equal(np.array(item["weights"], dtype=np.float32), np.array(given["weights"], dtype=np.float32))
    made = json.loads(saved(page, "trace", "Save JSON")[1])
    assert made["now"] == {"q": [1, 2], "keys": [[2, 3], [1, 0]], "values": [[10, 0], [0, 10]], "keep": [True, True]}
    assert abs(made["made"]["weights"][0] - 0.9929646489) < 1e-10


@pytest.mark.parametrize("view", ["timeline", "attribution", "curves"])
def test_a_drawing_is_saved_as_a_picture_that_stands_alone(opened, pages, view):
    page = opened(pages.whole())
    _, text = saved(page, view, "Save SVG")
    picture = ET.fromstring(text)
    assert picture.tag == "{http://www.w3.org/2000/svg}svg" and float(picture.get("width")) > 300
    assert "class=" not in text.split("data-v")[0] or view != "curves"
    assert "var(--" not in text and "href" not in text
    if view == "timeline":
        bars = [float(r.get("data-v")) for r in picture.iter("{http://www.w3.org/2000/svg}rect") if r.get("data-v")]
        weights = np.array(pages.timeline()["items"][0]["weights"])
        assert np.abs(np.array(bars) - weights.ravel()).max() < 1e-7


def test_bars_and_points_are_saved_with_all_digits(opened, pages):
    page = opened(pages.whole())
    rows = list(csv.reader(io.StringIO(saved(page, "attribution", "Save CSV")[1])))
    sample = nine(pages.attribution()["samples"][0])
    wanted = [sample["empty"][0], *(value[0] for value in sample["values"]), sample["full"][0]]
    assert [float(row[1]) for row in rows[1:]] == wanted
    rows = list(csv.reader(io.StringIO(saved(page, "curves", "Save CSV")[1])))
    assert [float(row[1]) for row in rows[1:]] == pages.curves()["lines"][0]["values"]


def test_a_name_with_quotes_or_like_a_formula_stays_a_name_in_a_spreadsheet(opened, pages):
    block = pages.attention(["=1+1", 'b, "c"', "-3"])
    page = opened({"title": "t", "blocks": [block]})
    rows = list(csv.reader(io.StringIO(saved(page, "attention", "Save CSV")[1])))
    assert rows[0][1:] == ["'=1+1", 'b, "c"', "-3"]


def test_two_reports_in_one_notebook_do_not_meet_and_their_links_stay_inside(opened, pages, tmp_path):
    frames = notebook_html(pages.whole()) + notebook_html(pages.whole(), height=300)
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>notebook</title><base href='https://example.org/'>{frames}", "utf-8")
    page = opened(path, ready=False)
    one, other = page.frames[1:]
    for frame in (one, other):
        frame.locator("html[data-ready]").wait_for(state="attached")
    select = '[data-view="attention"] > .pickers select'
    one.locator(select).nth(1).select_option("3")
    assert (one.locator(select).nth(1).input_value(), other.locator(select).nth(1).input_value()) == ("3", "-1")
    one.locator(".strip a").first.click()
    assert one.evaluate("document.activeElement.id") == "b0" and one.url == "about:srcdoc"
    assert page.locator("iframe").first.evaluate("(el) => el.clientHeight") == 640
    assert page.locator("iframe").nth(1).evaluate("(el) => el.contentDocument") is None
    assert "0.288" in page.locator("details pre").first.text_content()
