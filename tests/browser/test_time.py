"""The timeline: what a word looks at most, where the play head stands, what lies in a stretch of time."""

from __future__ import annotations

import re

import numpy as np
import pytest


def report(block):
    return {"title": "t", "blocks": [block]}


def told(page):
    box = page.locator(".told").first
    return int(box.get_attribute("data-frame")), float(box.get_attribute("data-v") or "nan")


@pytest.mark.parametrize(("words", "frames"), [(7, 251), (1, 31), (3, 1), (2, 5000)])
def test_a_word_leads_to_the_frame_that_numpy_finds(opened, pages, words, frames):
    block = pages.timeline(words, frames)
    weights = np.array(block["items"][0]["weights"])
    page = opened(report(block))
    for word in range(words):
        page.locator('[data-view="timeline"] .pickers select').last.select_option(str(word))
        frame, value = told(page)
        assert frame == weights[word].argmax()
        assert abs(value - weights[word].max()) < 1e-8
    best = [int(i) for i in np.argsort(-weights[words - 1], kind="stable")[:5]]
    for place, frame in enumerate(best):
        page.locator(".best button").nth(place).click()
        assert told(page)[0] == frame


def test_every_weight_reads_back_and_the_largest_are_whole(opened, pages):
    block = pages.timeline(3, 251)
    weights = np.array(block["items"][0]["weights"])
    page = opened(report(block))
    page.locator('[data-view="timeline"] .pickers select').last.select_option("1")
    page.get_by_role("button", name="Show as table").click()
    rows = page.locator('[data-part="word"] tbody tr').evaluate_all(
        "(all) => all.map((row) => [...row.cells].slice(0, 3).map((c) => Number(c.dataset.v)))"
    )
    assert np.abs(np.array(rows)[:, :2] - np.array(block["items"][0]["times"])).max() == 0
    assert np.abs(np.array(rows)[:, 2] - weights[1]).max() < 1e-7


def test_a_click_goes_to_the_moment_under_it_and_keys_move_from_there(opened, pages):
    block = pages.timeline(7, 251)
    page = opened(report(block))
    row = page.locator(".time tbody tr").nth(4)
    row.scroll_into_view_if_needed()
    box = row.locator("canvas").bounding_box()
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 5)
    frame, value = told(page)
    assert abs(frame - 0.4 * 251) <= 2
    assert abs(value - block["items"][0]["weights"][4][frame]) < 1e-7
    assert page.locator('[data-view="timeline"] .pickers select').last.input_value() == "4"
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert told(page)[0] == frame + 1
    page.keyboard.press("Home")
    assert told(page)[0] == 0
    page.keyboard.press("End")
    assert told(page)[0] == 250
    assert slider.get_attribute("aria-valuetext").startswith("25.00 to 25.10 s")
    x = float(page.locator(".playhead").first.get_attribute("x1").rstrip("%"))
    assert abs(x - 100 * 250.5 / 251) < 0.01


def test_bars_play_head_and_axis_share_one_scale(opened, pages):
    page = opened(report(pages.timeline(7, 251)), viewport={"width": 1000, "height": 900})
    page.get_by_role("slider").press("Home")
    for _ in range(5):
        page.get_by_role("slider").press("PageUp")
    frame = told(page)[0]
    canvas = page.locator(".time canvas").first.bounding_box()
    head = page.locator(".playhead").first.bounding_box()
    assert frame > 50
    assert abs(head["x"] + head["width"] / 2 - canvas["x"] - canvas["width"] * (frame + 0.5) / 251) < 1
    tick = page.locator(".axis text").last
    seconds, place = float(tick.text_content()), tick.bounding_box()
    assert abs(place["x"] + place["width"] / 2 - canvas["x"] - canvas["width"] * seconds / 25.1) < 1


def test_a_stretch_is_picked_by_dragging_or_by_typing_and_tells_its_share(opened, pages):
    block = pages.timeline(7, 251)
    weights = np.array(block["items"][0]["weights"])
    page = opened(report(block))
    row = page.locator(".time tbody tr").nth(2)
    row.scroll_into_view_if_needed()
    box = row.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 9)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 9)
    page.mouse.up()
    low, high = (float(one.input_value()) for one in page.locator("input[type=number]").all())
    assert abs(low - 0.2 * 25.1) < 0.1 and abs(high - 0.6 * 25.1) < 0.1
    first, last = page.locator("input[type=number]").all()
    first.fill("5")
    last.fill("10")
    last.press("Enter")
    page.locator('[data-view="timeline"] .pickers select').last.select_option("6")
    middles = np.array(block["items"][0]["times"]).mean(1)
    share = weights[6][(middles >= 5) & (middles <= 10)].sum()
    sentence = page.locator(".told").nth(1).inner_text()
    assert abs(float(re.match(r"[\d.e-]+", sentence)[0]) - share) < 1e-4
    page.get_by_role("button", name="Whole length").click()
    assert [float(one.input_value()) for one in (first, last)] == [0.0, 25.1]


def test_times_need_not_be_regular_and_frames_may_be_missing(opened, pages):
    block = pages.timeline(2, 5)
    item = block["items"][0]
    item["times"] = [[0.0, 0.25], [0.25, 2.0], [2.0, 2.5], [7.0, 9.0], [9.0, 9.125]]
    item["weights"] = [[0.125, None, 0.25, 0.5, 0.125], [0.5, 0.25, 0.125, None, 0.125]]
    item["truth"] = [[7.0, 9.0]]
    page = opened(report(block))
    page.locator('[data-view="timeline"] .pickers select').last.select_option("0")
    assert told(page) == (3, 0.5)
    assert "7.00 to 9.00 s, dog" not in page.locator(".told").first.inner_text()
    assert "Frames without a weight, hatched: 1." in page.locator('[data-part="time"] .notes').inner_text()
    page.get_by_role("slider").press("ArrowLeft")
    page.get_by_role("slider").press("ArrowLeft")
    assert told(page)[0] == 1 and np.isnan(told(page)[1])
    assert "–" in page.locator(".told").first.inner_text()
    # The bar of the third frame lies where its seconds lie: 2.0 to 2.5 of 9.125.
    lit = page.locator(".time canvas").first.evaluate("""(el) => {
        const pen = el.getContext("2d"), y = el.height - 3, found = [];
        const row = pen.getImageData(0, y, el.width, 1).data;
        for (let x = 0; x < el.width; x += 1) if (row[4 * x + 3] > 200) found.push(x / el.width);
        return found; }""")
    third = [x for x in lit if 1.9 / 9.125 < x < 2.6 / 9.125]
    assert abs(min(third) - 2.0 / 9.125) < 0.005 and abs(max(third) - 2.5 / 9.125) < 0.005


def test_frames_without_times_are_counted(opened, pages):
    block = pages.timeline(2, 5, step=1)
    block["unit"] = "token"
    page = opened(report(block))
    word = int(page.locator('[data-view="timeline"] .pickers select').last.input_value())
    best = np.argmax(block["items"][0]["weights"][word])
    assert f"At token {best + 1}, " in page.locator(".told").first.inner_text()
    assert page.locator(".time tbody tr").nth(word).locator(".r").inner_text() == str(best + 1)
    assert page.locator(".axis text").all_text_contents() == ["1", "2", "3", "4", "5"]
    first, last = page.locator("input[type=number]").all()
    assert (first.input_value(), last.input_value()) == ("1", "5")
    first.fill("2")
    last.fill("3")
    last.press("Enter")
    page.locator(".best button").first.click()
    share = sum(block["items"][0]["weights"][word][1:3])
    sentence = page.locator(".told").nth(1).inner_text()
    assert sentence.startswith(f"{share:.4f} of the weight") and "between token 2 and token 3;" in sentence


def test_many_frames_are_drawn_as_the_largest_of_each_place_and_that_is_said(opened, pages):
    block = pages.timeline(2, 5000)
    page = opened(report(block))
    notes = page.locator('[data-part="time"] .notes').inner_text()
    bins = int(re.search(r"5,000 frames are drawn in (\d+) places", notes)[1])
    assert bins == int(page.locator("canvas").first.get_attribute("data-width"))
    weights = np.array(block["items"][0]["weights"])[1]
    tall = (
        page.locator("canvas")
        .nth(1)
        .evaluate("""(el) => {
        const pen = el.getContext("2d"), data = pen.getImageData(0, 0, el.width, el.height).data;
        return Array.from({ length: el.width }, (_, x) => {
            let y = 4;
            while (y < el.height - 2 && data[4 * (y * el.width + x) + 3] < 200) y += 1;
            return el.height - y; }); }""")
    )
    # A place takes the frames that reach into it; a bar of the largest ratio is 22 pixels.
    first = np.floor(np.arange(5000) * bins / 5000).astype(int)
    last = np.ceil(np.arange(1, 5001) * bins / 5000).astype(int) - 1
    largest = np.array([weights[(first <= place) & (place <= last)].max() for place in range(bins)])
    peak = np.array(block["items"][0]["weights"]).max()
    wanted = 22 * largest / peak
    seen = wanted > 4
    assert seen.sum() > 10 and np.abs(np.array(tall) - wanted)[seen].max() <= 1.01


def test_very_many_weights_are_kept_in_16_bits_and_the_page_says_what_that_costs(opened, pages):
    block = pages.timeline(10, 4500)
    page = opened(report(block))
    notes = page.locator('[data-part="time"] .notes').inner_text()
    drift = float(re.search(r"moved by at most ([\de.-]+)\.", notes)[1])
    weights = np.array(block["items"][0]["weights"])
    half = weights.astype(np.float16).astype(float)
    assert abs(drift - np.abs(weights.sum(1) - half.sum(1)).max()) < 0.6 * drift
    page.get_by_role("button", name="Show as table").click()
    row = page.locator('[data-part="word"] tbody tr').evaluate_all(
        "(all) => all.map((r) => Number(r.cells[2].dataset.v))"
    )
    word = int(page.locator('[data-view="timeline"] .pickers select').last.input_value())
    top = np.argsort(-weights[word])[:5]
    expected = half[word].copy()
    expected[top] = weights[word][top]
    assert np.abs(np.array(row) - expected).max() < 1e-9
