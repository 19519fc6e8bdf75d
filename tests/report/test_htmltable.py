from intermodal.report.htmltable import table_html

BLOCK = {
    "kind": "table",
    "title": "Scores",
    "columns": ["fusion", "accuracy"],
    "rows": [["cross", 0.96612], ["self", float("nan")], ["none", None]],
    "highlight": [0],
}


def test_numbers_keep_all_digits_beside_the_shown_ones():
    assert '<td class="r" data-v="0.96612">0.966</td>' in table_html(BLOCK)


def test_a_gap_says_why(read_page):
    page = read_page(table_html(BLOCK))
    titles = [attrs.get("title") for attrs in page.named("td")]
    assert titles[0] is None and titles[1].startswith("NaN stands where") and titles[2].startswith("– stands where")
    assert "– stands where no value was given." in page.texts, "said below the table too, not on hover alone"


def test_a_highlighted_row_is_told_in_words(read_page):
    page = read_page(table_html(BLOCK))
    assert [attrs.get("class") for attrs in page.named("tr")] == [None, "hit", None, None]
    assert page.texts.count(" (highlighted)") == 1


def test_columns_follow_the_given_alignment(read_page):
    page = read_page(table_html({**BLOCK, "align": "rc"}))
    assert {attrs.get("class") for attrs in page.named("td")} == {"r", "c"}
    assert [a for a in page.named("th") if a["scope"] == "row"] == []


def test_a_very_long_cell_opens_without_scripts(read_page):
    page = read_page(table_html({**BLOCK, "rows": [["x" * 997, 1.0]], "highlight": []}))
    assert len(page.named("details")) == 1
    assert "x" * 997 in page.texts and " (997 characters)" in page.texts
