import json
import math

from hypothesis import given
from hypothesis import strategies as st

from intermodal.report import to_json


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**30), 10**30))
def test_a_report_without_gaps_reads_back_equal(name, value, count):
    report = {
        "title": name,
        "blocks": [{"kind": "table", "title": name, "columns": [name] * 3, "rows": [[name, value, count]]}],
    }
    assert strict(to_json(report)) == report


def test_numbers_that_json_lacks_become_null_with_a_note_each():
    values = [[math.nan, math.inf, -math.inf, None, 0.5]]
    block = {"kind": "matrix", "title": "m", "rows": ["a"], "columns": list("bcdef"), "values": values}
    made = strict(to_json({"title": "t", "blocks": [block]}))
    assert made["blocks"][0]["values"] == [[None, None, None, None, 0.5]]
    assert made["notes"] == [
        "blocks[0].values[0][0] was NaN; JSON has no such number, so null stands there.",
        "blocks[0].values[0][1] was infinity; JSON has no such number, so null stands there.",
        "blocks[0].values[0][2] was -infinity; JSON has no such number, so null stands there.",
    ]


def test_half_a_character_can_be_written():
    made = to_json({"title": "a\ud800b", "blocks": []})
    assert strict(made.encode("utf-8").decode())["title"] == "a\ufffdb"


def test_truth_values_and_order_stay(full):
    full["blocks"][4]["zero"] = False
    made = strict(to_json(full))
    assert made["blocks"][4]["zero"] is False
    assert list(made) == ["title", "subtitle", "blocks", "notes"]
    assert [list(block) for block in made["blocks"]] == [list(block) for block in full["blocks"]]
