import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodal.report import ReportTooLarge, to_html
from intermodal.report.escape import visible

HOSTILE = [
    "</script><script>window.pwned=1</script>",
    "</style></title></textarea><svg onload=alert(1)>",
    "\"' onmouseover='alert(1)' x=\"",
    "--><!-- ]]>",
    "&lt;b&gt; &amp; &#60;",
    "\u202eright to left\u202c",
    "עברית",
    "👩‍👩‍👧 🏳️‍🌈",
    "x" * 10_000,
    "",
    "a\x00b\x1b[31m",
    "half \ud800 character",
    "{curly} %s {0}",
    "javascript:alert(1)",
]


def named_views(name):
    """The blocks that one can pick in, with `name` in every place that takes text."""
    attention = {"names": [name] * 2, "layers": [name], "heads": [name], "mean": [[[[0.5, 0.5]] * 2]], "count": [3, 3]}
    attention |= {"n": 3, "samples": [{"id": name, "why": name, "mass": [[[[0.5, 0.5]] * 2]]}], "left_out": name}
    item = {"id": name, "words": [name], "times": [[0.0, 1.0]], "weights": [[1.0]], "truth": [[0.0, 1.0]]}
    timeline = {"unit": name, "how": name, "query": name, "context": name, "items": [item]}
    sample = {"id": name, "why": name, "empty": [0.0], "full": [1.0], "values": [[1.0]]}
    attribution = {"names": [name], "outputs": [name], "samples": [sample], "completeness": 0.0, "removal": name}
    curves = {"x_label": name, "y_label": name, "x": [0, 1], "lines": [{"label": name, "values": [0.0, 1.0]}]}
    curves |= {"band": {"label": name, "low": [0, 1], "high": [0, 1]}}
    trace = {"q": [1], "keys": [[1]], "values": [[1]], "keep": None, "scaled": True, "names": [name]}
    trace |= {"steps": {"columns": [name], "rows": [[name]]}, "facts": [[name, name]]}
    presence = {"names": [name], "rows": [name], "present": [[False]], "missing": [1], "n": 1, "left_out": name}
    kinds = {"attention": attention, "timeline": timeline, "attribution": attribution}
    kinds |= {"curves": curves, "trace": trace, "presence": presence}
    return [{"kind": kind, "title": name, "caption": name, **block} for kind, block in kinds.items()]


def everywhere(name):
    """A report with `name` in every place that takes text."""
    item = {"label": name, "value": 0.5, "low": 0.25, "high": 0.75}
    return {
        "title": name,
        "subtitle": name,
        "blocks": [
            {"kind": "text", "title": name, "text": name},
            {"kind": "facts", "title": name, "items": [[name, name]]},
            {"kind": "table", "title": name, "caption": name, "columns": [name] * 2, "rows": [[name, name]]},
            {"kind": "matrix", "title": name, "caption": name, "rows": [name], "columns": [name], "values": [[1.0]]},
            {"kind": "matrix", "title": name, "axes": [name] * 2, "rows": [name], "columns": [name], "values": [[-1]]},
            {"kind": "bars", "title": name, "caption": name, "items": [item], "unit": name},
            {"kind": "intervals", "title": name, "items": [item], "reference": 0.0, "unit": name},
            {
                "kind": "findings",
                "title": name,
                "items": [{"id": name, "severity": "error", "text": name, "remedy": name}],
            },
            {"kind": "commands", "title": name, "lines": [name]},
            *named_views(name),
        ],
    }


def shape(page):
    """The tags of a page without the texts that names may change."""
    free = ("title", "aria-label", "data-vs", "content")
    return [(tag, sorted((k, v) for k, v in attrs.items() if k not in free)) for tag, attrs in page.tags]


@pytest.mark.parametrize("name", HOSTILE, ids=[ascii(name[:24]) for name in HOSTILE])
def test_a_hostile_name_is_shown_as_it_is_and_changes_no_tag(name, read_page):
    page = read_page(to_html(everywhere(name)))
    assert page.texts.count(visible(name)) >= 10 or not name
    if 0 < len(name) <= 80:
        assert shape(page) == shape(read_page(to_html(everywhere("harmless"))))
    assert len(page.raw["script"]) == 1 and "pwned" not in page.raw["script"][0]
    assert all(json.loads(text) for text in page.raw["json"])


class Names(HTMLParser):
    """The texts inside <bdi>, one after the other."""

    inside, found = False, ""

    def handle_starttag(self, tag, attrs):
        self.inside = tag == "bdi"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        self.found += data if self.inside else ""


@settings(max_examples=50)
@given(name=st.text(min_size=1, max_size=80).filter(str.strip))
def test_any_name_reads_back_the_same(name):
    names = Names()
    names.feed(to_html({"title": "", "blocks": [{"kind": "facts", "items": [[name, 1]]}]}))
    names.close()
    assert names.found == visible(name) + "1"


def test_the_content_policy_holds_the_digests_of_the_one_style_and_the_one_script(full, read_page):
    page = read_page(to_html(full))
    policy = next(a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert len(page.named("style")) == len([a for a in page.named("script") if not a]) == 1
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256("".join(page.raw[tag]).encode()).digest()).decode()
        assert rules.pop(f"{tag}-src") == f"'sha256-{digest}'"
    none = "'none'"
    assert rules == {"default-src": none, "img-src": "data:", "base-uri": none, "form-action": none}


def test_nothing_is_fetched_and_no_attribute_runs_or_styles(full, read_page):
    page = read_page(to_html(full))
    for tag, attrs in page.tags:
        assert not {"src", "srcset", "style", "action", "data"} & set(attrs), tag
        assert not [key for key in attrs if key.startswith("on")], tag
        assert (attrs.get("href") or "#").startswith(("#", "data:,")), tag
    assert "url(" not in page.raw["style"][0] and "@import" not in page.raw["style"][0]
    assert not re.search(r"fetch|XMLHttp|innerHTML|eval|localStorage|import\(", page.raw["script"][0])


def test_the_same_report_gives_the_same_bytes(full):
    assert to_html(full) == to_html(copy.deepcopy(full))


@pytest.mark.parametrize("filler", [0, 1, 50, 500, 5_000])
def test_the_page_states_its_own_size(filler):
    page = to_html({"title": "t", "blocks": [{"kind": "text", "text": "文" * filler}]})
    stated = re.search(r"complete in itself: ([\d,]+) bytes", page).group(1)
    assert int(stated.replace(",", "")) == len(page.encode())


def test_a_page_too_large_is_refused_with_the_block_that_makes_it_so():
    blocks = [{"kind": "text", "text": "x"}, {"kind": "text", "text": "x" * 3_000_000}]
    with pytest.raises(ReportTooLarge) as caught:
        to_html({"title": "t", "blocks": blocks}, max_mb=2)
    assert str(caught.value) == (
        "a report must be at most 2 MB, however: it has 3.0 MB, of which blocks[1] (text) has 3.0 MB; "
        "show fewer rows there, or raise max_mb"
    )
    assert isinstance(caught.value, ValueError)
    assert to_html({"title": "t", "blocks": blocks}, max_mb=4)


def test_the_page_has_a_language_a_title_and_one_first_heading(full, read_page):
    page = read_page(to_html(full))
    assert page.named("html") == [{"lang": "en"}]
    assert [len(page.named(tag)) for tag in ("h1", "main", "title", "footer")] == [1, 1, 1, 1]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in page.tags:
        for key in ("aria-labelledby", "aria-describedby"):
            assert attrs.get(key, ids[0]) in ids
        if (attrs.get("href") or "").startswith("#"):
            assert attrs["href"][1:] in ids


def test_every_table_has_a_caption_scopes_and_a_named_region_for_the_keyboard(full, read_page):
    page = read_page(to_html(full))
    assert len(page.named("table")) == len(page.named("caption")) == 5
    assert all(attrs["scope"] in ("row", "col") for attrs in page.named("th"))
    regions = [attrs for _, attrs in page.tags if "region" in (attrs.get("class") or "")]
    assert len(regions) == 6
    assert all(a["role"] == "region" and a["tabindex"] == "0" and a["aria-label"] for a in regions)
    assert all(attrs["aria-hidden"] == "true" for attrs in page.named("svg"))


def test_the_style_serves_dark_narrow_printed_and_forced_colours(full):
    page = to_html(full)
    for query in ("prefers-color-scheme:dark", "max-width:40rem", "media print", "forced-colors", "reduced-motion"):
        assert query in page


def test_without_tables_there_are_no_scrolling_regions(read_page):
    page = read_page(to_html({"title": "t", "blocks": []}))
    assert page.named("table") == [] and page.named("nav") == []


def test_a_subtitle_that_would_fill_the_screen_opens_on_request():
    short, long = (to_html({"title": "t", "subtitle": "x" * n, "blocks": []}) for n in (150, 1500))
    assert f'<p class="subtitle" dir="auto">{"x" * 150}</p>' in short and "<details" not in short
    assert '<div class="subtitle" dir="auto"><details><summary>' in long and "x" * 1500 in long
