"""Tables: pandas, polars and Arrow say the same, and every column finds its place or its error."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodal.data.packing import pack
from intermodal.data.samples import Samples
from intermodal.data.tables import samples_from_table
from intermodal.errors import DataError, DataWarning

ROWS = {
    "text": [[1.0, 2.0], None, [3.0, 4.0]],
    "audio": [[[1.0], [2.0]], [[3.0]], None],
    "clinical.age": [71.0, 53.0, 67.0],
    "clinical.sex": ["M", "F", None],
    "smokes": [True, False, True],
    "y": ["yes", "no", "yes"],
    "y_later": [1, 2, 3],
    "split": ["train", "train", "test"],
    "id": ["p1", "p2", "p3"],
    "ward": [5, 5, 7],
}
MAKERS = {
    "arrow": pa.table,
    "batch": lambda rows: pa.table(rows).to_batches()[0],
    "pandas": pd.DataFrame,
    "pandas arrays": lambda rows: pd.DataFrame(
        rows | {"audio": [None if a is None else np.array(a) for a in rows["audio"]]}
    ),
    "polars": pl.DataFrame,
}


@pytest.mark.parametrize("maker", MAKERS)
def test_every_library_gives_the_same_samples(maker):
    samples = samples_from_table(MAKERS[maker](ROWS), group="ward")
    assert samples.names == ("text", "audio", "clinical", "table")
    text, audio, clinical, table = map(samples.modality, samples.names)
    assert text.values.tolist() == [[1, 2], [0, 0], [3, 4]] and text.present.tolist() == [True, False, True]
    assert audio.offsets.tolist() == [0, 2, 3, 3] and audio.present.tolist() == [True, True, False]
    assert clinical.columns == ("age", "sex=F", "sex=M")
    assert clinical.values.tolist() == [[71, 0, 1], [53, 1, 0], [67, 0, 0]]
    assert table.columns == ("smokes",) and table.values.tolist() == [[1], [0], [1]]
    assert samples.y.tolist() == ["yes", "no", "yes"] and samples.target == "y"
    assert samples.split.tolist() == ["train", "train", "test"]
    assert samples.ids.tolist() == ["p1", "p2", "p3"] and samples.groups.tolist() == [5, 5, 7]


def test_the_target_asked_for_leaves_the_other_targets_out():
    samples = samples_from_table(pa.table(ROWS), target="y_later")
    assert samples.y.tolist() == [1, 2, 3] and samples.target == "y_later"
    assert samples.modality("table").columns == ("smokes", "ward")


def test_samples_of_takes_tables():
    assert Samples.of(pl.DataFrame({"a": [1, 2], "b": [3.0, 5.0]})).modality("table").columns == ("a", "b")
    assert Samples.of(pd.DataFrame({"v.a": [1, 2]}, index=["x", "z"])).ids.tolist() == ["x", "z"]
    assert Samples.of({"clinical": pd.DataFrame({"age": [1, 2]})}).modality("clinical").columns == ("age",)


@given(
    st.lists(st.lists(st.booleans(), max_size=4) | st.none(), min_size=1, max_size=9).filter(
        lambda c: any(map(any, filter(None, c)))
    )
)
@settings(max_examples=80, deadline=None)
def test_a_nested_column_equals_the_same_as_a_list(case):
    rng = np.random.default_rng(len(case))
    rows = [None if r is None else [rng.normal(size=3).tolist() if there else None for there in r] for r in case]
    plain = [None if r is None else [[np.nan] * 3 if t is None else t for t in r] for r in rows]
    kind = pa.list_(pa.list_(pa.float64()))
    chunks = [pa.array(rows[:1], kind), pa.array(rows[1:], kind)]
    found = samples_from_table(pa.table({"audio": pa.chunked_array(chunks)})).modality("audio")
    expected = pack("audio", plain)
    assert found.offsets.tolist() == expected.offsets.tolist()
    assert found.values.tolist() == expected.values.tolist()
    assert found.present.tolist() == expected.present.tolist()
    assert (found.token_present is None) == (expected.token_present is None)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.int16(), 2), pa.list_(pa.float16(), 2)]
)
def test_every_list_type_is_a_vector(kind):
    item = np.float16 if kind.value_type == pa.float16() else float
    cells = [None if c is None else [item(v) if "int" not in str(kind) else int(v) for v in c] for c in ROWS["text"]]
    found = samples_from_table(pa.table({"text": pa.array(cells, kind)})).modality("text")
    assert found.values.tolist() == [[1, 2], [0, 0], [3, 4]] and found.n_missing == 1


def test_a_slice_of_an_arrow_table_is_that_slice():
    found = samples_from_table(pa.table(ROWS).slice(1, 2))
    assert found.modality("text").present.tolist() == [False, True]
    assert found.modality("text").values.tolist() == [[0, 0], [3, 4]]
    assert found.modality("audio").lengths.tolist() == [1, 0]


def test_categories_decimals_and_bools_with_null_are_read():
    frame = pa.table(
        {
            "a": pa.array(["x", "z", "x"]).dictionary_encode(),
            "b": pa.array([Decimal("1.5"), Decimal("2.5"), None]),
            "c": pa.array([True, None, False]),
        }
    )
    found = samples_from_table(frame, nan="impute").modality("table")
    assert found.columns == ("a=x", "a=z", "b", "c")
    assert np.array_equal(found.values, [[1, 0, 1.5, 1], [0, 1, 2.5, np.nan], [1, 0, np.nan, 0]], equal_nan=True)


def test_a_row_of_nothing_but_null_is_missing():
    frame = pa.table({"clinical.age": [71.0, None, 5.0], "clinical.sex": ["F", None, None]})
    found = samples_from_table(frame).modality("clinical")
    assert found.present.tolist() == [True, False, True] and found.values[1].tolist() == [0, 0]


def test_free_text_is_left_out_with_a_warning():
    frame = pd.DataFrame({"note": [f"text {i}" for i in range(23)], "age": range(23)})
    with pytest.warns(DataWarning) as caught:
        found = samples_from_table(frame)
    assert str(caught[0].message) == (
        'column "note" holds 23 different texts in 23 rows, which is a name or free text and no category, '
        "and is left out"
    )
    assert found.modality("table").columns == ("age",)


def test_a_column_of_nothing_but_null_is_left_out_with_a_warning():
    with pytest.warns(DataWarning, match='^column "b" is null in every row and is left out$'):
        found = samples_from_table(pa.table({"a": [1, 2], "b": pa.nulls(2)}))
    assert found.modality("table").columns == ("a",)


REFUSED = [
    (
        {"clinical.age": [71.0, None], "clinical.sex": ["F", "M"]},
        {},
        'a vector must be wholly NaN (missing) or free of NaN, however: sample 1 of modality "clinical" holds NaN in '
        'column "age"; choose nan="impute" to have such places filled',
    ),
    (
        {"text": [[1.0, 2.0], [3.0]]},
        {},
        'all lists of column "text" must have one width, however: row 0 has 2, row 1 has 1',
    ),
    (
        {"text": [[[1.0, 2.0]], [[1.0, 2.0], [3.0]]]},
        {},
        'all lists of column "text" must have one width, however: token 0 has 2, token 2 has 1',
    ),
    (
        {"text": [[[[1.0]]]]},
        {},
        'a column must hold lists of numbers or lists of lists, however: "text" nests deeper',
    ),
    (
        {"text": [["a"], ["b"]]},
        {},
        'a column of features must hold numbers, bools or texts, however: "text" holds string; '
        "turn it into a number or leave it out",
    ),
    (
        {"day": [datetime.date(2020, 1, 2)]},
        {},
        'a column of features must hold numbers, bools or texts, however: "day" holds date32[day]; '
        "turn it into a number or leave it out",
    ),
    (
        {"text": pa.array([None, []], pa.list_(pa.float32())), "a": [1, 2]},
        {},
        'a column must hold at least one number, however: "text" is null or empty in every row',
    ),
    (
        {"text.a": [1], "text": [[1.0]]},
        {},
        'modality names must differ, however: "text" is both a column of lists and scalar columns',
    ),
    (
        {"table": [[1.0]], "a": [1]},
        {},
        'modality names must differ, however: "table" is both a column of lists and scalar columns',
    ),
    ({"y": [1, 2]}, {}, "a table must have at least one column of features, however: ['y']"),
    ({"a": pa.array([], pa.int64())}, {}, "a table must have at least one row, however: it has none"),
    (
        {"a": [1], "price": [2]},
        {"target": "prize"},
        'target must be one of the columns, however: "prize" is not; did you mean "price"?',
    ),
    (
        {"a": [1], "b": [2]},
        {"group": "patient"},
        'group must be one of the columns, however: "patient" is not; known: "a", "b"',
    ),
    (
        {"a": [1], "fold": ["train"]},
        {"split": "folds"},
        'split must be one of the columns, however: "folds" is not; did you mean "fold"?',
    ),
    (
        {"a": [1.0, float("inf")]},
        {},
        'values must be finite, however: sample 1 of modality "table" holds inf in column "a"',
    ),
]


@pytest.mark.parametrize(("rows", "arguments", "sentence"), REFUSED)
def test_a_table_that_cannot_be_used_is_refused_in_one_sentence(rows, arguments, sentence):
    with pytest.raises(DataError) as caught:
        samples_from_table(pa.table(rows), **arguments)
    assert str(caught.value) == sentence


def test_a_column_twice_is_refused():
    for frame in (
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]),
    ):
        with pytest.raises(DataError) as caught:
            samples_from_table(frame)
        assert str(caught.value) == 'column names must differ, however: "a" is there 2 times'


def test_a_column_without_a_text_for_a_name_is_refused():
    with pytest.raises(DataError) as caught:
        samples_from_table(pd.DataFrame(np.ones((2, 2))))
    assert str(caught.value) == (
        "a column must be named by a text, however: the name is 0; "
        "write table.columns = [str(c) for c in table.columns]"
    )


def test_a_column_of_several_kinds_is_refused():
    with pytest.raises(DataError) as caught:
        samples_from_table(pd.DataFrame({"a": [1, "x", object()]}))
    assert str(caught.value) == 'a column must hold one kind of value, however: "a" mixes several (dtype object)'


def test_split_none_ignores_the_column_and_never_makes_it_a_feature():
    samples = samples_from_table(pa.table(ROWS), split=None)
    assert samples.split is None and samples.modality("table").columns == ("smokes", "ward")
