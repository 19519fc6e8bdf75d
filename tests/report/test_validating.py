import copy

import pytest

from intermodal.report import to_html, to_json, to_markdown, to_text, validate
from intermodal.report.validating import KINDS

TABLE = {"kind": "table", "title": "t", "columns": ["a", "b"], "rows": [["x", 1], ["y", 2]]}
MATRIX = {"kind": "matrix", "title": "t", "rows": ["a"], "columns": ["b", "c"], "values": [[0.5, None]]}
BARS = {"kind": "bars", "title": "t", "items": [{"label": "a", "value": 1.0, "low": 0.5, "high": 2.0}]}
INTERVALS = {"kind": "intervals", "title": "t", "items": [{"label": "a", "value": 1.0, "low": 0.5, "high": 2.0}]}
FINDING = {"kind": "findings", "title": "t", "items": [{"id": "i", "severity": "note", "text": "x"}]}
TRACK = {
    "kind": "track", "title": "t", "name": "fits", "unit": "s", "times": [[0.0, 0.5], [0.5, 1.0]], "values": [0.2, 0.8],
    "spans": [{"label": "answer", "start": 0.5, "end": 1.0}],
}  # fmt: skip
TEXT = {"kind": "text", "text": "hello"}
KINDS_KNOWN = (
    '"text", "facts", "table", "matrix", "bars", "intervals", "track", "findings", "commands", '
    '"attention", "timeline", "attribution", "curves", "trace", "presence"'
)

WRONG = [
    ({"kind": "matrx"}, 'blocks[1] must have a known "kind", however: kind=\'matrx\'; did you mean "matrix"?'),
    ({"kind": 7}, f'blocks[1] must have a known "kind", however: kind=7; known: {KINDS_KNOWN}'),
    ({"kind": ["table"]}, f'blocks[1] must have a known "kind", however: kind=a list; known: {KINDS_KNOWN}'),
    ("text", "blocks[1] must be a dict, however: 'text'"),
    ({"kind": "text"}, 'blocks[1] (text) must have the key "text", however: it is missing'),
    (
        {**TABLE, "hilight": [0]},
        'blocks[1] (table) must have known keys only, however: "hilight"; did you mean "highlight"?',
    ),
    ({**TABLE, "rows": [["x", 1], ["y"]]}, "blocks[1].rows[1] must have 2 cells, one per column, however: 1"),
    ({**TABLE, "rows": "xy"}, "blocks[1].rows must be a list, however: 'xy'"),
    (
        {**TABLE, "rows": [["x", {}]]},
        "blocks[1].rows[0][1] must be text, a number, a truth value or None, however: a dict",
    ),
    (
        {**TABLE, "rows": [["x", 10**400]]},
        "blocks[1].rows[0][1] must fit in a float, however: it is larger than 1.8e308",
    ),
    ({**TABLE, "columns": ["a", 3]}, "blocks[1].columns[1] must be text, however: 3"),
    ({**TABLE, "align": "lx"}, 'blocks[1].align must be 2 letters of "l", "r", "c", however: \'lx\''),
    ({**TABLE, "align": "l"}, 'blocks[1].align must be 2 letters of "l", "r", "c", however: \'l\''),
    ({**TABLE, "highlight": [2]}, "blocks[1].highlight must name rows below 2, however: 2"),
    ({**TABLE, "highlight": [-1]}, "blocks[1].highlight[0] must be an integer of 0 or more, however: -1"),
    ({**TRACK, "values": [0.2]}, "blocks[1].values must have 2 entries, one per time, however: 1"),
    ({**TRACK, "values": [0.2, 1.5]}, "blocks[1].values[1] must lie between 0 and 1, however: 1.5"),
    (
        {**TRACK, "times": [[0.0, 0.5], [0.5, 0.5]]},
        "blocks[1].times[1] must be [start, end] with start < end, however: [0.5, 0.5]",
    ),
    (
        {**TRACK, "times": [[0.0], [0.5, 1.0]]},
        "blocks[1].times[0] must be [start, end] with start < end, however: [0.0]",
    ),
    (
        {**TRACK, "spans": [{"label": "a", "start": 2.0, "end": 1.0}]},
        "blocks[1].spans[0] must have start <= end, however: 2.0 and 1.0",
    ),
    ({**MATRIX, "values": []}, "blocks[1].values must have 1 rows, one per name, however: 0"),
    ({**MATRIX, "values": [[1.0]]}, "blocks[1].values[0] must have 2 numbers, one per column, however: 1"),
    ({**MATRIX, "values": [[1.0, "x"]]}, "blocks[1].values[0][1] must be a number, however: 'x'"),
    ({**MATRIX, "values": [[1.0, True]]}, "blocks[1].values[0][1] must be a number, however: True"),
    ({**MATRIX, "digits": 13}, "blocks[1].digits must be at most 12, however: 13"),
    ({**MATRIX, "axes": ["a"]}, "blocks[1].axes must be two texts [rows, columns], however: it has 1"),
    (
        {**BARS, "items": [{"label": "a", "value": 1.0, "low": 3.0, "high": 2.0}]},
        "blocks[1].items[0] must have low <= high, however: low=3.0, high=2.0",
    ),
    ({**BARS, "zero": 1}, "blocks[1].zero must be True or False, however: 1"),
    ({**BARS, "items": [3]}, "blocks[1].items[0] must be a dict, however: 3"),
    (
        {**INTERVALS, "items": [{"label": "a", "value": 1.0, "low": 0.5}]},
        'blocks[1].items[0] must have the key "high", however: it is missing',
    ),
    (
        {**FINDING, "items": [{"id": "i", "severity": "bad", "text": "x"}]},
        'blocks[1].items[0].severity must be "error", "warning" or "note", however: \'bad\'',
    ),
    (
        {"kind": "facts", "items": [["a", 1, 2]]},
        "blocks[1].items[0] must be a pair [label, value], however: it has 3 entries",
    ),
    ({"kind": "commands", "title": "t", "lines": [None]}, "blocks[1].lines[0] must be text, however: None"),
]


@pytest.mark.parametrize(("block", "sentence"), WRONG, ids=[sentence[:60] for _, sentence in WRONG])
def test_the_message_names_the_block_and_the_key(block, sentence):
    with pytest.raises(ValueError) as caught:
        validate({"title": "t", "blocks": [TEXT, block]})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        ([], "a report must be a dict, however: a list"),
        ({"blocks": []}, 'a report must have the key "title", however: it is missing'),
        ({"title": "t"}, 'a report must have the key "blocks", however: it is missing'),
        ({"title": "t", "blocks": {}}, "blocks must be a list, however: a dict"),
        ({"title": 3, "blocks": []}, "title must be text, however: 3"),
        (
            {"title": "t", "blocks": [], "subtitel": ""},
            'a report must have known keys only, however: "subtitel"; did you mean "subtitle"?',
        ),
    ],
)
def test_the_message_names_what_is_wrong_with_the_report_itself(report, sentence):
    with pytest.raises(ValueError) as caught:
        validate(report)
    assert str(caught.value) == sentence


def test_an_array_is_refused_with_the_way_out():
    class Array:
        def tolist(self):
            return []

    with pytest.raises(ValueError) as caught:
        validate({"title": "t", "blocks": [{**MATRIX, "values": Array()}]})
    assert str(caught.value) == "blocks[0].values must be a list, however: a Array; use .tolist()"


def test_all_problems_are_told_at_once_and_very_many_are_counted():
    with pytest.raises(ValueError) as caught:
        validate({"title": "t", "blocks": [{"kind": "text", "text": 1}] * 11})
    lines = str(caught.value).splitlines()
    assert lines[0] == "blocks[0].text must be text, however: 1"
    assert lines[7] == "blocks[7].text must be text, however: 1"
    assert lines[8:] == ["and 3 problems more"]


def test_a_whole_report_passes_and_is_left_as_it_was(full, views):
    before = copy.deepcopy((full, views))
    validate(full)
    validate(views)
    assert repr((full, views)) == repr(before)
    kinds = {block["kind"] for block in full["blocks"] + views["blocks"]}
    assert kinds == set(KINDS), "the samples have every kind"


@pytest.mark.parametrize("render", [to_text, to_markdown, to_json, to_html])
def test_every_form_checks_the_report_first(render):
    with pytest.raises(ValueError, match='known "kind"'):
        render({"title": "t", "blocks": [{"kind": "pie"}]})


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "text"])
@pytest.mark.parametrize("render", [to_text, to_markdown, to_json, to_html])
def test_every_kind_may_be_empty(render, kind):
    empty = {name: [] for name in KINDS[kind] if not name.endswith("?") and name != "title"}
    scalar = {"n": 0, "completeness": 0.0, "scaled": True, "steps": {"columns": [], "rows": []}}
    empty |= {name: scalar[name] for name in empty if name in scalar}
    empty |= {
        name: ""
        for name in ("unit", "name", "how", "query", "context", "removal", "x_label", "y_label")
        if name in empty
    }
    assert render({"title": "t", "blocks": [{"kind": kind, "title": "u", **empty}]})


@pytest.mark.parametrize("render", [to_text, to_markdown, to_json, to_html])
def test_keys_that_may_be_left_out_may_be_none(render, full):
    full["subtitle"] = None
    for block in full["blocks"]:
        for key in ("caption", "unit", "reference", "align"):
            if f"{key}?" in KINDS[block["kind"]]:
                block[key] = None
    assert render(full)
