"""Everybody can read it: contrast in every state, narrow and enlarged, forced colours, paper, screen readers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

# Every text on the page against what lies under it, as WCAG 2.2 counts it. Letters in a drawing stand on the page.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const under = (el) => {
    for (let at = el; at; at = at.parentElement) {
      const back = parse(getComputedStyle(at).backgroundColor);
      if (back.length < 4 || back[3] === 1) return back;
    }
    return parse(getComputedStyle(document.body).backgroundColor);
  };
  const poor = [];
  let count = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const el = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || el.closest("script,option,.sr") || !el.checkVisibility()) continue;
    const style = getComputedStyle(el);
    const ink = parse(el.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [a, b] = [light(ink), light(under(el))].sort((x, y) => y - x);
    count += 1;
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push([walker.currentNode.textContent.trim().slice(0, 40), ratio, el.outerHTML.slice(0, 60)]);
  }
  return [count, poor];
}"""

STATES = {
    "as it opens": "",
    "one head": "choose(0, '1'); choose(1, '2')",
    "spread": "choose(2, 'std')",
    "a sample": "choose(2, '1')",
    "difference": "choose(3, 'minus')",
    "nothing of oneself": "choose(4, 'self')",
    "logarithmic": "choose(5, 'log')",
    "evenness": "pick(document.querySelector('[data-part=atlas] select'), 'even')",
    "tables": "document.querySelectorAll('button[aria-expanded]').forEach((b) => b.click())",
    "later step": "for (let i = 0; i < 5; i += 1) document.querySelectorAll('.walk button')[1].click()",
    "a hidden key": "document.querySelectorAll('.entry input[type=checkbox]')[1].click()",
}
DO = """(code) => {
  const pick = (one, value) => { one.value = value; one.dispatchEvent(new Event("change")); };
  const choose = (i, value) => pick(document.querySelectorAll("[data-view=attention] > .pickers select")[i], value);
  %s
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_in_every_state_has_enough_contrast(opened, pages, scheme):
    page = opened(pages.whole(), color_scheme=scheme)
    for state, code in STATES.items():
        page.evaluate(DO % code)
        count, poor = page.evaluate(CONTRAST)
        assert count > 150 and poor == [], (state, poor)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_drawn_can_be_seen(opened, pages, scheme):
    """Bars, lines and marks have 3 to 1 against the page."""
    page = opened(pages.whole(), color_scheme=scheme)
    poor = page.evaluate("""() => {
      const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
      const light = (c) => c.slice(0, 3).map((x) => x / 255)
        .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
        .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
      const back = light(parse(getComputedStyle(document.body).backgroundColor));
      const poor = [];
      const drawn = ".plus, .minus, .line, .mark, .level, .playhead, .link, select, input";
      for (const el of document.querySelectorAll(drawn)) {
        const style = getComputedStyle(el);
        const ink = el.matches(".line, .level, .playhead, .link") ? style.stroke
          : el.matches("select, input") ? style.borderTopColor : style.fill;
        if (el.disabled || el.matches("[type=range], [type=checkbox]")) continue;
        const [a, b] = [light(parse(ink)), back].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 3) poor.push([el.className.baseVal ?? el.tagName, ink]);
      }
      return poor;
    }""")
    assert poor == []


def test_axe_finds_nothing(opened, pages):
    page = opened(pages.whole())
    page.evaluate(DO % STATES["tables"])
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"], "rules": {"target-size": {"enabled": True}}}
    response = Axe().run(page, options=options).response
    assert {"color-contrast", "button-name", "target-size", "select-name"} <= {
        rule["id"] for rule in response["passes"]
    }
    assert [(v["id"], v["impact"], v["nodes"][0]["html"][:160]) for v in response["violations"]] == []


STORED = Path(__file__).parent / "aria.txt"


def test_a_screen_reader_hears_what_was_written_down(opened, pages):
    page = opened(pages.whole())
    heard = page.locator("body").aria_snapshot()
    heard = re.sub(r"[\d,]+ bytes", "N bytes", heard) + "\n"
    if not STORED.exists():
        STORED.write_text(heard, "utf-8")
        pytest.fail(f"{STORED.name} was missing and is written now: read it, then keep it")
    assert heard == STORED.read_text("utf-8")


@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_scrolls_sideways_even_narrow_or_enlarged_four_times(opened, pages, width):
    # 400 % on a screen of 1280 leaves the room of 320 pixels, each four device pixels wide.
    settings = {"viewport": {"width": 320, "height": 256}, "device_scale_factor": 4} if width == 1280 else {}
    page = opened(pages.whole(), **{"viewport": {"width": 320, "height": 700}, **settings})
    for state in ("as it opens", "tables", "one head"):
        page.evaluate(DO % STATES[state])
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, state
        outside = page.evaluate("""() => [...document.querySelectorAll("main *")].filter((el) => {
            const box = el.getBoundingClientRect();
            return box.right > innerWidth + 1 && !el.closest(".region, .sr, svg");
        }).map((el) => el.outerHTML.slice(0, 80))""")
        assert outside == [], state


def test_every_target_is_at_least_24_pixels_high(opened, pages):
    page = opened(pages.whole(), viewport={"width": 320, "height": 700})
    low = page.evaluate("""() => [...document.querySelectorAll("main :is(button, select, input), .strip a, nav a")]
        .filter((el) => el.checkVisibility() && el.type !== "range")
        .map((el) => [el.textContent.slice(0, 20), el.getBoundingClientRect().height]).filter(([, h]) => h < 24)""")
    assert low == []


def test_forced_colours_keep_every_mark(opened, pages):
    page = opened(pages.whole(), forced_colors="active")
    canvas = "getComputedStyle(document.body).backgroundColor"
    for mark in (".plus", ".mark", ".there"):
        key = "backgroundColor" if mark == ".there" else "fill"
        assert page.evaluate(f"getComputedStyle(document.querySelector('{mark}')).{key} !== {canvas}"), mark
    assert page.evaluate(f"getComputedStyle(document.querySelector('.line')).stroke !== {canvas}")
    assert page.locator("[data-part=map] td").first.evaluate("(el) => getComputedStyle(el).borderTopStyle") == "solid"


def test_nothing_moves_for_those_who_asked_for_rest(opened, pages):
    page = opened(pages.whole(), reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    moving = page.evaluate("""() => [...document.querySelectorAll("*")].filter((el) => {
        const style = getComputedStyle(el);
        return style.animationName !== "none" || parseFloat(style.transitionDuration) > 0; }).length""")
    assert moving == 0


def test_on_paper_every_table_stands_and_no_control(opened, pages):
    report = pages.whole()
    page = opened(report)
    tables = page.locator("[data-part]:not([data-part=time]):not([data-part=work]) table")
    page.emulate_media(media="print")
    hidden = [i for i in range(tables.count()) if not tables.nth(i).is_visible()]
    assert hidden == []
    assert (
        page.locator("main select, main button, main input").evaluate_all(
            "(all) => all.some((e) => e.checkVisibility())"
        )
        is False
    )
    paper = page.pdf()
    assert paper.startswith(b"%PDF") and len(paper) > 20_000


def test_the_ramp_is_monotone_in_grey(opened, pages):
    for scheme in ("light", "dark"):
        page = opened(pages.whole(), color_scheme=scheme)
        greys = page.locator("[data-part=map] .legend b").evaluate_all("""(all) => all.map((el) => {
            const [r, g, b] = getComputedStyle(el).backgroundColor.match(/\\d+/g).map(Number);
            return 0.299 * r + 0.587 * g + 0.114 * b; })""")
        assert greys == sorted(greys, reverse=scheme == "light") and len(set(greys)) == 17
