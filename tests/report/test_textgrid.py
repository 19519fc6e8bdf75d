from hypothesis import given
from hypothesis import strategies as st

from intermodal.report.cells import width
from intermodal.report.grid import Grid
from intermodal.report.textgrid import lay_out

CELL = st.text(st.sampled_from("ab1 文."), max_size=41)


def grid(columns, rows, align=None, highlight=()):
    rows = tuple(map(tuple, rows))
    return Grid(tuple(columns), rows, rows, align or "l" * len(columns), frozenset(highlight))


@given(st.data(), st.integers(1, 13), st.integers(0, 3), st.integers(24, 97))
def test_no_line_is_too_wide_and_every_column_is_there(data, n_columns, n_rows, places):
    heads = [f"h{index}" for index in range(n_columns)]
    rows = [data.draw(st.lists(CELL, min_size=n_columns, max_size=n_columns)) for _ in range(n_rows)]
    align = data.draw(st.text("lrc", min_size=n_columns, max_size=n_columns))
    lines = lay_out(grid(heads, rows, align, highlight=range(n_rows)), places)
    assert all(width(line) <= places for line in lines)
    assert set(heads) <= set(" ".join(lines).split())


def test_a_grid_too_wide_goes_on_below_and_says_so():
    numbers = [f"{index}.25" for index in range(11)]
    lines = lay_out(grid([f"c{i}" for i in range(11)], [numbers], "l" + "r" * 10), 30)
    assert [line for line in lines if line.startswith("(")] == [
        "(columns 2 to 5 of 11)",
        "(columns 6 to 9 of 11)",
        "(columns 10 to 11 of 11)",
    ]
    assert [line.split()[0] for line in lines if ".25" in line] == ["0.25"] * 3, "the first column is repeated"


def test_a_shortened_cell_is_counted():
    lines = lay_out(grid(["name", "n"], [["x" * 997, "1"], ["y", "2"]], "lr"), 40)
    assert " ".join(lines[-2:]) == "1 cell was shortened (…); the JSON and HTML forms hold it whole."
    assert sum("…" in line for line in lines) == 2


def test_a_highlighted_row_is_marked():
    lines = lay_out(grid(["name"], [["a"], ["b"]], highlight=[1]), 30)
    assert lines == ["  name", "  ────", "  a", "▸ b"]
