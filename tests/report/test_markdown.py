import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodal.report import to_markdown


def table(rows, columns=("name", "n"), **more):
    block = {"kind": "table", "title": "u", "columns": list(columns), "rows": rows, **more}
    made = to_markdown({"title": "t", "blocks": [block]})
    return [line for line in made.splitlines() if line.startswith("|")]


def test_a_table_reads_like_this():
    assert table([["cross", 0.5], ["self", None]], highlight=[0]) == [
        "| name | n |",
        "| :--- | ---: |",
        "| **cross** | **0.500** |",
        "| self | – |",
    ]


@given(st.text(max_size=41), st.text(max_size=41))
def test_any_name_stays_one_cell(head, name):
    for line in table([[name, 1]], columns=(head, "n")):
        free = re.findall(r"(?<!\\)\|", line)
        assert len(free) == 3, line


@pytest.mark.parametrize("name", ["</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "**x**"])
def test_markup_in_a_name_is_escaped_everywhere(name):
    made = to_markdown(
        {
            "title": name,
            "subtitle": name,
            "blocks": [
                {"kind": "text", "title": name, "text": name},
                {"kind": "facts", "items": [[name, name]]},
                {"kind": "bars", "title": "b", "caption": name, "items": [{"label": name, "value": 1}], "unit": name},
                {
                    "kind": "findings",
                    "title": "f",
                    "items": [{"id": name, "severity": "note", "text": name, "remedy": name}],
                },
            ],
        }
    )
    assert name not in made
    assert not re.findall(r"(?<!\\)<(?!br>)", made)
    assert not re.findall(r"(?<!\\)\](?=\()", made)


def test_a_fence_in_a_command_does_not_end_the_block():
    made = to_markdown({"title": "t", "blocks": [{"kind": "commands", "title": "c", "lines": ["```", "````", "x"]}]})
    assert made.endswith("`````console\n```\n````\nx\n`````\n")


def test_every_block_and_every_number_is_there(full):
    made = to_markdown(full)
    for block in full["blocks"]:
        assert f"## {block['title']}\n" in made
    for shown in ("0.966", "12.50", "0.38", "-1.000", "0.750", "NaN", "–", "Compared with 0."):
        assert shown in made
    assert "dashed" not in made, "Markdown draws no line"
