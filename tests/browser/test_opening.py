"""The page opens: offline, in one request, whole without scripts, whatever the names hold, the same bytes each time."""

from __future__ import annotations

import pytest

from intermodal.report import to_html

HOSTILE = [
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "\"' onmouseover='window.pwned=1' x=\"",
    "\u202eright to left\u202c",
    "שלום",
    "👩‍👩‍👧 🏳️‍🌈",
    "x" * 10_000,
    "",
    "a\u2028b\u2029c &amp; {name}",
]

TEXTS = """() => [...document.querySelectorAll("table")].filter((t) => t.checkVisibility())
    .flatMap((t) => [...t.querySelectorAll("td")]).map((c) => c.textContent.trim()).filter(Boolean)"""


def test_it_is_ready_offline_after_one_request_and_without_a_complaint(opened, pages):
    page = opened(pages.whole())
    assert page.title() == "Who asks whom, and what was it worth"
    assert page.locator("[data-view]").count() == 6


def test_without_scripts_the_same_numbers_stand_there(opened, pages):
    quiet, lively = opened(pages.whole(), java_script_enabled=False, ready=False), opened(pages.whole())
    script_only = ("select", "canvas", "input", "button")
    assert [quiet.locator(tag).count() for tag in script_only] == [0, 0, 0, 0]
    numbers = quiet.locator("table td").all_inner_texts()
    assert all(quiet.locator("table").nth(i).is_visible() for i in range(quiet.locator("table").count()))
    for part in ("map", "atlas"):
        cells = f'[data-view="attention"] [data-part="{part}"] td'
        assert quiet.locator(cells).all_inner_texts() == lively.locator(cells).all_inner_texts()
    # What the scripted page shows in its own way stands in a table of the quiet one.
    for start in (
        lively.locator(".fall tbody .r").all_inner_texts(),
        lively.locator(".time tbody .r").all_inner_texts(),
    ):
        assert {text.lstrip("+") for text in start} <= {number.strip() for number in numbers}


@pytest.mark.parametrize("name", HOSTILE, ids=[ascii(name[:16]) for name in HOSTILE])
def test_a_hostile_name_is_text_in_every_view(opened, pages, name):
    report = pages.whole()
    names = [name, "b", name]
    for block in report["blocks"]:
        if "names" in block:
            block["names"] = names[: len(block["names"])]
        if block["kind"] == "attention":
            block["samples"][0] |= {"id": name, "why": name}
            block["layers"][0] = block["heads"][0] = name
        if block["kind"] == "timeline":
            block["items"][0]["words"][0] = block["items"][0]["id"] = name
            block["query"] = name
        if block["kind"] == "attribution":
            block["outputs"][0] = block["samples"][0]["id"] = block["beside"][0]["label"] = name
        if block["kind"] == "curves":
            block["lines"][0]["label"] = block["x_label"] = name
    page = opened(report)
    assert page.evaluate("window.pwned") is None
    assert page.locator("script").count() == 1 + page.locator('script[type="application/json"]').count()
    assert page.locator("main img").count() == 0
    view = page.locator('[data-view="attention"]')
    view.locator("select").nth(2).select_option("0")
    view.locator("select").nth(0).select_option("0")
    shown = view.locator('[data-part="map"] thead th').nth(1).inner_text()
    assert name[:60].strip("\u2028\u2029\u202e\u202c") in shown or len(name) > 200
    page.locator('[data-view="timeline"] select').first.select_option("0")
    page.locator('[data-view="trace"]').get_by_role("button", name="Next step").click()
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_two_builds_are_the_same_bytes_and_a_page_tells_its_size(pages):
    one, other = to_html(pages.whole()), to_html(pages.whole())
    assert one == other
    assert f"{len(one.encode()):,} bytes" in one


def test_a_usual_report_has_less_than_a_megabyte(pages):
    """20 samples of 5 modalities, 2 layers and 8 heads, and a clip of 16 words over 256 frames."""
    names = ["text", "video", "audio", "pose", "table"]
    blocks = [pages.attention(names, 2, 8, 20), pages.timeline(16, 256), pages.attribution(), pages.curves()]
    assert len(to_html({"title": "t", "blocks": blocks}).encode()) < 1_000_000


def test_what_a_view_adds_stays_within_its_budget(pages):
    """The budget was measured: 16,000 numbers as decimal text 0.35 MB, and 64 x 256 weights in 32 bits 87 kB."""
    bare = len(to_html({"title": "t", "blocks": []}).encode())
    dataset = pages.attention([f"m{i}" for i in range(10)], 4, 8, 3)
    video = pages.timeline(64, 256)
    assert len(to_html({"title": "t", "blocks": [dataset]}).encode()) - bare < 350_000 + 120_000
    assert len(to_html({"title": "t", "blocks": [video]}).encode()) - bare < 87_400 + 120_000


def test_only_what_is_on_the_screen_is_drawn_and_a_head_changes_one_map_alone(opened, pages):
    """A page of 5 MB stays quick because it does little: that is counted here, not timed."""
    clips = pages.timeline(64, 4000)
    clips["items"] = [{**pages.timeline(64, 4000, seed)["items"][0], "id": f"clip {seed}"} for seed in range(7)]
    report = {"title": "t", "blocks": [pages.attention(n_samples=20), clips]}
    with pytest.warns(UserWarning, match="timeline"):
        page = opened(report)
    assert page.evaluate("document.querySelector('footer').textContent").count("It is large") == 1
    drawn = page.locator("canvas[data-width]").count()
    assert drawn < 64
    page.evaluate("""() => {
        window.changes = 0;
        new MutationObserver((all) => { window.changes += all.length; })
            .observe(document.querySelector('[data-view=timeline]'),
                {subtree: true, childList: true, attributes: true});
    }""")
    page.locator('[data-view="attention"] select').nth(1).select_option("2")
    assert page.evaluate("window.changes") == 0
    page.locator("canvas").last.scroll_into_view_if_needed()
    page.locator("tbody tr:last-child canvas[data-width]").wait_for()
    assert "places" in page.locator('[data-part="time"] .notes').inner_text()


def test_numbers_that_are_none_are_told_and_reached_from_the_top(opened, pages):
    report = pages.with_gaps()
    page = opened(report)
    link = page.locator(".strip a")
    assert link.all_inner_texts() == ["1 number in “Who attends to whom” is not finite (NaN or ∞)."]
    link.click()
    assert page.evaluate("document.activeElement.id") == "b0"
    view = page.locator('[data-view="attention"]')
    assert view.locator('[data-part="map"] td').all_inner_texts() == ["0.250", "0.750", "–", "–"]
    view.locator("select").first.select_option("std")
    assert view.locator('[data-part="map"] td').all_inner_texts() == ["0.100", "NaN", "–", "–"]
    assert "NaN stands where" in view.locator('[data-part="map"] .notes').inner_text()


def test_nothing_to_show_is_no_reason_to_complain(opened, pages):
    """Views of nothing, of one thing, and of gaps alone: ready, and no error."""
    line, tracks = pages.timeline(2, 4), {}
    item = line["items"][0]
    tracks["no frames"] = {**item, "times": [], "weights": [[], []], "truth": []}
    tracks["no words"] = {**item, "words": [], "weights": []}
    tracks["gaps"] = {**item, "weights": [[None] * 4, [None] * 4], "truth": [[0.0, 0.0]]}
    tracks["a moment"] = {**item, "times": [[1.0, 1.0]] * 4}
    one = pages.attention(["only"], 1, 1, 0)
    nobody = {**one, "mean": [[[[None]]]], "std": None, "samples": [], "count": [0], "n": 0}
    none = {**one, "layers": [], "heads": [], "mean": [], "std": None, "samples": []}
    worth = {**pages.attribution(), "samples": [], "mean": None, "beside": None, "interactions": None}
    flat = {**pages.curves(), "lines": [{"label": "flat", "values": [0.0] * 6}], "band": None}
    blocks = [one, nobody, none, worth, flat, {**flat, "x": [0], "lines": [{"label": "a", "values": [1.0]}]}]
    blocks += [{**line, "items": [track]} for track in tracks.values()]
    blocks += [{**line, "items": [{**track, "id": name} for name, track in tracks.items()]}]
    page = opened({"title": "t", "blocks": blocks})
    for choice in range(4):
        page.locator('[data-view="timeline"]').last.locator("select").first.select_option(str(choice))
    for toggle in page.locator("button[aria-expanded]").all():
        toggle.click()
    page.get_by_role("button", name="Whole length").last.click()
    assert page.locator("html").get_attribute("data-ready") == "yes"
