from intermodal.report import to_text
from intermodal.report.cells import width


def test_every_line_is_ascii_and_as_wide_as_before(full, views):
    for report in (full, views):
        report["title"] = "文本 asks café"
        before, after = to_text(report), to_text(report, ascii_form=True)
        assert after.isascii()
        assert [width(line) for line in before.split("\n")] == [width(line) for line in after.split("\n")]


def test_numbers_and_plain_names_stay(full):
    made = to_text(full, ascii_form=True)
    assert "cross" in made and "0.966" in made
    assert "|::::" in made and "#" in made, "bars and maps are drawn with plainer signs"
