import re

from intermodal.report.matrix import matrix_html, matrix_levels
from intermodal.report.style import style

BLOCK = {
    "kind": "matrix",
    "title": "Attention",
    "rows": ["text", "video"],
    "columns": ["text", "video", "audio"],
    "values": [[0.125, 0.5, 0.375], [1.0, None, float("nan")]],
}


def test_every_cell_shows_its_number_and_keeps_all_digits(read_page):
    page = read_page(matrix_html(BLOCK))
    cells = page.named("td")
    assert [cell.get("data-v") for cell in cells] == ["0.125", "0.5", "0.375", "1.0", "", None]
    assert [text for text in page.texts if re.fullmatch(r"\d\.\d\d|–|NaN", text)] == [
        "0.12", "0.50", "0.38", "1.00", "–", "NaN",
    ]  # fmt: skip


def test_a_stronger_value_has_a_later_colour_and_a_gap_has_none(read_page):
    classes = [cell["class"] for cell in read_page(matrix_html(BLOCK)).named("td")]
    assert classes == ["h32", "h128", "h96", "h255", "gap", "gap"]


def test_signed_values_take_the_ramp_with_two_arms(read_page):
    classes = [a["class"] for a in read_page(matrix_html({**BLOCK, "values": [[-1, 0, 1]] * 2})).named("td")]
    assert classes == ["d1", "d128", "d255"] * 2


def test_the_style_sheet_has_every_colour_of_the_cells_and_the_legend():
    for values in (BLOCK["values"], [[-0.3, 0.2, 0.7]] * 2):
        block = {**BLOCK, "values": values}
        used = set(re.findall(r'class="([hd]\d+)"', matrix_html(block)))
        sheet = style(matrix_levels(block))
        assert used and all(sheet.count(f".{name}{{background:") == 2 for name in used), "light and dark"


def test_the_legend_says_the_ends_of_the_scale():
    made = matrix_html(BLOCK)
    assert "<p>Colour runs from 0 to 1. The values here run from 0.125 to 1.000.</p>" in made
    assert "<span>0</span>" in made and "<span>1</span>" in made


def test_rows_ask_and_columns_are_looked_at_unless_the_block_says_otherwise(read_page):
    assert {"asks ↓", "is looked at →"} <= set(read_page(matrix_html(BLOCK)).texts)
    assert {"head ↓", "layer →"} <= set(read_page(matrix_html({**BLOCK, "axes": ["head", "layer"]})).texts)
    assert "↓" not in matrix_html({**BLOCK, "axes": ["", ""]})


def test_digits_are_as_asked():
    assert ">0.3750<" in matrix_html({**BLOCK, "digits": 4})
