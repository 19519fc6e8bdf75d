"""The blocks that one can pick in: the same numbers in every form, and a page that is whole without scripts."""

import json
import math
import re

import pytest

from intermodal.report import to_html, to_json, to_markdown, to_text
from intermodal.report.views import VIEWS, parts_of

ONE = {"title": "t"}


def parts(views, kind):
    [block] = [block for block in views["blocks"] if block["kind"] == kind]
    return {part.name: part for part in parts_of(block)}


def test_a_view_is_made_of_blocks_that_stand_for_themselves(views):
    simple = [part.block for block in views["blocks"] for part in parts_of(block)]
    assert {block["kind"] for block in simple} & VIEWS == set()
    assert {block["kind"] for block in simple} == {"matrix", "table", "bars", "facts"}


def test_the_map_is_the_mean_over_layers_and_heads_of_what_is_there(views):
    made = parts(views, "attention")["map"].block
    assert made["values"] == [[0.5, 0.5], [0.5, 0.5]]
    assert made["domain"] == [0.0, 1.0] and made["uniform"] == 0.5
    assert made["caption"] == (
        "Mean over 1 layer, 2 heads and 13 samples. A row asks and sums to 1; a column is looked at. "
        "Asked in fewer samples: video (11)."
    )


def test_the_table_of_heads_counts_only_the_rows_that_asked(views):
    made = parts(views, "attention")
    assert made["atlas"].block["values"] == [[(0.75 + 0.5) / 2, 0.25]]
    quarter = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / math.log(2)
    assert made["even"].block["values"] == [[pytest.approx((quarter + 1) / 2), pytest.approx(quarter)]]


def test_single_samples_stand_on_the_page_and_in_json_alone(views):
    assert "Single samples" in to_html(views)
    assert "Single samples" not in to_text(views) and "Single samples" not in to_markdown(views)
    assert json.loads(to_json(views))["blocks"][0]["samples"][0]["why"] == "random"


def test_a_word_stands_with_its_largest_frames_and_a_gap_is_no_frame(views):
    made = parts(views, "timeline")["item0"].block
    assert made["rows"] == [
        ["a", "0.00 to 0.50", 0.5, 1.5, "0.50 to 1.00; 1.00 to 1.50"],
        ["dog", "1.00 to 1.50", 0.875, 1.75, "0.00 to 0.50"],
    ]
    assert made["caption"].endswith("3 frames. The even share is 1 over the frames that are there. "
                                    "The annotated time is 1.00 to 1.50 (s).")  # fmt: skip


def test_frames_without_times_are_counted(views):
    block = views["blocks"][1]
    block["unit"] = "token"
    block["items"][0]["times"] = [[0, 1], [1, 2], [2, 3]]
    assert parts(views, "timeline")["item0"].block["rows"][1][1] == "3"


def test_a_finer_frame_has_more_digits(views):
    views["blocks"][1]["items"][0]["times"] = [[0.0, 0.001], [0.001, 0.002], [0.002, 0.003]]
    assert parts(views, "timeline")["item0"].block["rows"][0][1] == "0.0000 to 0.0010"


def test_worth_stands_beside_other_measures_and_a_missing_modality_is_named(views):
    views["blocks"][2]["samples"][0]["missing"] = [False, True]
    made = parts(views, "attribution")
    assert made["worth"].block["items"][0] == {"label": "text", "value": 1.5, "low": 1.0, "high": 2.0}
    assert made["beside"].block["rows"] == [["text", 1.5, 1.25], ["video", 0.25, -0.5]]
    assert made["samples"].block["rows"] == [["7", "highest loss", "y", 0.5, 1.5, "missing", 1.75]]
    assert "Completeness error 2.2e-16" in made["samples"].block["caption"]


def test_curves_have_a_column_for_each_line_and_each_bound(views):
    made = parts(views, "curves")["points"].block
    assert made["columns"] == [
        "taken away", "Shapley", "Shapley, low", "Shapley, high", "attention", "random, low", "random, high",
    ]  # fmt: skip
    assert made["rows"][1] == [1, 1.0, 0.5, 1.5, None, 0.75, 1.75]


def test_presence_is_counted(views):
    made = parts(views, "presence")
    assert made["counts"].block["rows"] == [["text", 13, 0, "0.0 %"], ["video", 9, 4, "30.8 %"]]
    assert made["rows"].block["rows"] == [["7", "yes", "missing"], ["8", "yes", "yes"]]


@pytest.mark.parametrize("render", [to_text, to_markdown, to_html])
def test_every_form_shows_every_number(views, render):
    made = render(views)
    for number in ("0.500", "0.62", "1.750", "0.875", "2.2e-16", "9.9296", "30.8 %", "missing", "-0.250"):
        assert number in made.replace("\\", ""), number


def test_no_line_is_wider_than_asked(views):
    for places in (24, 41, 80):
        assert max(map(len, to_text(views, width=places).split("\n"))) <= places


def test_a_terminal_gets_no_control_code(views):
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", to_text(views))


def test_a_page_without_scripts_holds_every_table(views, read_page):
    page = read_page(to_html(views))
    assert len(page.named("table")) == len(page.named("caption")) == 14
    assert all(attrs["scope"] in ("row", "col") for attrs in page.named("th"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_a_page_holds_no_more_script_than_its_blocks_need(views, full):
    assert "views.timeline" not in to_html(full) and ".time canvas" not in to_html(full)
    only = {"title": "t", "blocks": [views["blocks"][4]]}
    assert "views.trace" in to_html(only) and "views.timeline" not in to_html(only)


WRONG = [
    ("attention", {"count": [1]}, "count must have 2 entries, one per name, however: 1"),
    ("attention", {"mean": [[[[1.0, 0.0]]]]}, "mean[0] must have 2 entries, one per head, however: 1"),
    ("attention", {"std": [[[["a", 0.0]] * 2] * 2]}, "std[0][0][0][0] must be a number, however: 'a'"),
    ("attention", {"samples": [{"id": "7", "why": "", "mass": []}]},
     "samples[0].mass must have 1 entries, one per layer, however: 0"),
    ("timeline", {"items": [{"id": "", "words": [], "times": [[1.0, 0.5]], "weights": []}]},
     "items[0].times[0] must be [start, end] with start <= end, however: [1.0, 0.5]"),
    ("timeline", {"items": [{"id": "", "words": ["a"], "times": [[0.0, 0.5]], "weights": [[]]}]},
     "items[0].weights[0] must have 1 entries, one per frame, however: 0"),
    ("attribution", {"completeness": None}, "completeness must be a number, however: None"),
    ("attribution", {"mean": {"worth": [1.0], "low": [], "high": []}},
     "mean.worth must have 2 entries, one per name, however: 1"),
    ("attribution", {"samples": [{"id": "7", "empty": [], "full": [1.0], "values": [[1.0]] * 2}]},
     "samples[0].empty must have 1 entries, one per output, however: 0"),
    ("curves", {"x": [0, 1]}, "lines[0].values must have 2 entries, one per x, however: 3"),
    ("trace", {"q": ["1", "two"]}, "q[1] must be a finite number or its decimal text, however: 'two'"),
    ("trace", {"keep": [True]}, "keep must have 2 entries, one per key, however: 1"),
    ("trace", {"keys": [["2", "3"], [1]]}, "keys[1] must have 2 entries, one per number of q, however: 1"),
    ("presence", {"present": [[True, False]]}, "present must have 2 entries, one per row, however: 1"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "sentence"), WRONG, ids=[sentence[:50] for _, _, sentence in WRONG])
def test_the_message_names_the_place_and_what_was_expected(views, kind, change, sentence):
    [block] = [block for block in views["blocks"] if block["kind"] == kind]
    with pytest.raises(ValueError) as caught:
        to_html({"title": "t", "blocks": [{**block, **change}]})
    assert str(caught.value).split("\n")[0] == f"blocks[0].{sentence}"


def test_a_finding_leads_to_a_block_that_is_there(views, read_page):
    item = {"id": "D17", "severity": "warning", "text": "they disagree", "see": "Query 1"}
    block = {"kind": "findings", "title": "Beware", "items": [item]}
    made = to_html({"title": "t", "blocks": [block, *views["blocks"]]})
    assert '<p class="see">See: <a href="#b5"><bdi>Query 1</bdi></a></p>' in made
    assert "See: Query 1" in to_text({"title": "t", "blocks": [block, *views["blocks"]]})
    item["see"] = "Query 11"
    with pytest.raises(ValueError) as caught:
        to_html({"title": "t", "blocks": [block, *views["blocks"]]})
    assert str(caught.value) == (
        'blocks[0].items[0].see must be the title of a block, however: "Query 11"; did you mean "Query 1"?'
    )


def test_the_first_of_two_blocks_with_one_title_is_meant(views):
    item = {"id": "i", "severity": "note", "text": "x", "see": "same"}
    texts = [{"kind": "text", "title": "same", "text": "one"}, {"kind": "text", "title": "same", "text": "two"}]
    made = to_html({"title": "t", "blocks": [{"kind": "findings", "title": "f", "items": [item]}, *texts]})
    assert '<a href="#b1"><bdi>same</bdi></a>' in made
