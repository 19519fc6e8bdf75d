"""Reading and writing files: every format, every kind of damage, and the sentence each ends in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from intermodal.data.npz import samples_from_arrays
from intermodal.data.reading import read
from intermodal.data.writing import write_table
from intermodal.errors import DataError, DataWarning

DATA = Path(os.environ.get("INTERMODAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILES = {
    # file: (arguments, N, name -> (kind, width, missing), kinds of y)
    "charades_sta": ({"only": ["video"]}, 1334, {"video": ("sequence", 512, 0)}, None),
    "cll": (
        {"target": "y_ighv", "nan": "impute"},
        188,
        {"drugs": ("vector", 310, 16), "mutations": ("vector", 67, 0), "clinical": ("vector", 2, 0)},
        2,
    ),
    "cub": ({}, 600, {"image_googlenet": ("vector", 1024, 0), "text_doc2vec": ("vector", 300, 0)}, 10),
    "handwritten": (
        {},
        2000,
        {n: ("vector", d, 0) for n, d in dict(pix=240, fou=76, fac=216, zer=47, kar=64, mor=6).items()},
        10,
    ),
    "houses": ({}, 535, {"images": ("sequence", 420, 0), "tabular": ("vector", 4, 0)}, 369),
    "mosi": (
        {"group": "video_id"},
        2199,
        {"text": ("vector", 100, 0), "audio": ("vector", 73, 0), "video": ("vector", 100, 0)},
        2,
    ),
    "rosmap": ({}, 351, {n: ("vector", 200, 0) for n in ("mrna", "meth", "mirna")}, 2),
    "scene15": ({}, 4485, {n: ("vector", d, 0) for n, d in dict(gist20=20, phog59=59, lbp40=40).items()}, 15),
    "utd_mhad": (
        {"group": "subject"},
        861,
        {"inertial": ("sequence", 6, 0), "skeleton": ("sequence", 60, 0), "depth": ("sequence", 384, 0)},
        27,
    ),
    "wikipedia": ({}, 2866, {"image": ("vector", 128, 0), "text": ("vector", 10, 0)}, 10),
}


@pytest.mark.filterwarnings("ignore:12 of 200 samples have no target")
@pytest.mark.parametrize("name", FILES)
def test_real_files_are_read_as_what_they_are(name):
    arguments, n, modalities, kinds = FILES[name]
    path = DATA / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"the data set {name} is not on this machine")
    samples = read(path, **arguments)
    assert len(samples) == n
    found = {m: samples.modality(m) for m in samples.names}
    assert {k: (m.kind, m.width, m.n_missing) for k, m in found.items()} == modalities
    assert (None if samples.y is None else len(np.unique(samples.y))) == kinds
    if name == "utd_mhad":
        with np.load(path) as stored:
            depth = samples.modality("depth")
            assert np.array_equal(depth.lengths, stored["depth_len"]) and depth.values.dtype == np.float32
            last = depth.values[depth.offsets[7] : depth.offsets[8]]
            assert np.array_equal(last, stored["depth"][7, : stored["depth_len"][7]].astype(np.float32))
    if name == "cll":
        assert samples.modality("mutations").columns[0] == "gain2p25.3"


def arrays(**more) -> dict[str, np.ndarray]:
    return {
        "video": np.arange(70.0).reshape(5, 7, 2),
        "video_len": np.array([7, 0, 3, 1, 2]),
        "genes": np.arange(15.0, dtype=np.float16).reshape(5, 3),
        "present_genes": np.array([True, True, False, True, True]),
        "gene_names": np.array(["BRCA1", "TP53", "KRAS"]),
        "y": np.array([0, 1, 0, 1, 0]),
        "y_other": np.array([3, 5, 7, 11, 13]),
        "split": np.array(["train"] * 4 + ["test"]),
        "patient": np.array([1, 1, 2, 2, 3]),
        "title": np.array(list("abcde")),
        **more,
    }


def test_an_npz_follows_its_conventions(tmp_path):
    np.savez(tmp_path / "some.npz", **arrays())
    samples = read(tmp_path / "some.npz", group="patient")
    assert samples.names == ("video", "genes")
    assert samples.modality("video").lengths.tolist() == [7, 0, 3, 1, 2]
    genes = samples.modality("genes")
    assert genes.columns == ("BRCA1", "TP53", "KRAS") and genes.values.dtype == np.float32
    assert genes.present.tolist() == [True, True, False, True, True]
    assert samples.y.tolist() == [0, 1, 0, 1, 0] and samples.split.tolist() == ["train"] * 4 + ["test"]
    assert samples.groups.tolist() == [1, 1, 2, 2, 3] and samples.target == "y"
    assert samples_from_arrays(arrays(), target="y_other").y.tolist() == [3, 5, 7, 11, 13]
    assert samples_from_arrays(arrays(), only=["genes"]).names == ("genes",)
    assert samples_from_arrays(arrays(id=np.array([9, 8, 7, 6, 5]))).ids.tolist() == [9, 8, 7, 6, 5]


def test_presence_by_token_goes_with_its_modality():
    tokens = np.arange(35).reshape(5, 7) % 5 != 3
    samples = samples_from_arrays(arrays(present_video=tokens))
    video = samples.modality("video")
    assert samples.names == ("video", "genes") and video.lengths.tolist() == [7, 0, 3, 1, 2]
    assert video.token_present.tolist() == [*tokens[0], *tokens[2, :3], tokens[3, 0], *tokens[4, :2]]


def test_a_value_per_token_is_no_modality():
    times = np.where(np.arange(7) < arrays()["video_len"][:, None], np.arange(7.0), np.nan)
    assert samples_from_arrays(arrays(times=times)).names == ("video", "genes")
    times[0, 0] = np.nan
    with pytest.raises(DataError, match='modality "times" holds NaN'):
        samples_from_arrays(arrays(times=times))


def test_arrays_of_another_length_are_left_out_only_without_a_target():
    odd = arrays(pairs=np.ones((11, 2)))
    with pytest.raises(DataError) as caught:
        samples_from_arrays(odd)
    assert str(caught.value) == (
        'all modalities must have the same number of samples, however: "video" has 5, "pairs" has 11'
    )
    del odd["y"]
    with pytest.warns(DataWarning) as warned:
        assert samples_from_arrays(odd).names == ("video", "genes")
    assert str(warned[0].message) == (
        'left out, because "video" has 5 samples and they have another number of rows: "pairs" (11)'
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"target": "y_othr"}, 'target must be one of the keys, however: "y_othr" is not; did you mean "y_other"?'),
        ({"group": "patients"}, 'group must be one of the keys, however: "patients" is not; did you mean "patient"?'),
        ({"only": ["vidoe"]}, 'only must name modalities, however: "vidoe" is none; did you mean "video"?'),
        (
            {"group": "gene_names"},
            "groups must hold one value per sample, however: its shape is (3,) for 5 samples",
        ),
    ],
)
def test_a_key_that_is_not_there_is_refused(arguments, sentence):
    with pytest.raises(DataError) as caught:
        samples_from_arrays(arrays(), **arguments)
    assert str(caught.value) == sentence


def test_an_npz_without_modalities_is_refused():
    with pytest.raises(DataError) as caught:
        samples_from_arrays({"y": np.ones(3), "title": np.array(["a"])})
    assert str(caught.value) == (
        "an npz must hold at least one array (N, D) or (N, T, D) of numbers, however: ['title', 'y']"
    )


TABLE = pa.table({"text": [[1.0, 2.0], None, [3.0, 4.0]], "c.age": [71, 53, 67], "price": [0.5, None, 1.5]})


@pytest.mark.parametrize("suffix", [".parquet", ".pq", ".arrow", ".feather", ".ipc", ".PARQUET"])
def test_arrow_formats_are_read_and_unlabelled_rows_are_left_out(tmp_path, suffix):
    path = tmp_path / f"some{suffix}"
    if suffix.lower() in (".parquet", ".pq"):
        pyarrow.parquet.write_table(TABLE, path)
    else:
        pyarrow.feather.write_feather(TABLE, str(path))
    with pytest.warns(DataWarning) as caught:
        samples = read(path, target="price")
    assert [str(w.message) for w in caught] == ['1 of 3 samples have no target "price" and are left out']
    assert samples.y.tolist() == [0.5, 1.5] and samples.modality("c").columns == ("age",)
    assert samples.modality("text").values.tolist() == [[1, 2], [3, 4]]
    assert read(path, only=["text"]).names == ("text",)


def test_csv_is_read_and_an_empty_text_is_null(tmp_path):
    path = tmp_path / "some.csv"
    path.write_text("c.age,c.sex,label,split\n71,F,yes,train\n53,,no,test\n67,M,,test\n")
    with pytest.warns(DataWarning, match='^1 of 3 samples have no target "label" and are left out$'):
        samples = read(path, target="label")
    assert samples.modality("c").columns == ("age", "sex=F", "sex=M")
    assert samples.modality("c").values.tolist() == [[71, 1, 0], [53, 0, 0]]
    assert samples.y.tolist() == ["yes", "no"] and samples.y.dtype.kind == "U"
    assert samples.split.tolist() == ["train", "test"]


def test_a_target_missing_in_all_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", text=np.ones((3, 2)), y=np.full(3, np.nan))
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.npz")
    assert str(caught.value) == 'the target must be there for some samples, however: "y" is missing in all'


def damage(folder: Path) -> dict[str, str]:
    """Make one file of every broken kind, and say what each ends in."""
    (folder / "folder.npz").mkdir()
    (folder / "empty.csv").write_bytes(b"")
    pyarrow.parquet.write_table(TABLE, folder / "whole.parquet")
    whole = (folder / "whole.parquet").read_bytes()
    (folder / "half.parquet").write_bytes(whole[: len(whole) // 2])
    np.savez(folder / "whole.npz", text=np.arange(6000.0).reshape(600, 10))
    whole = (folder / "whole.npz").read_bytes()
    (folder / "half.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "flipped.npz").write_bytes(whole[:500] + b"\xff" * 50 + whole[550:])
    (folder / "text.npz").write_bytes(b"hello, this is not a zip")
    (folder / "text.feather").write_bytes(b"hello, this is not Arrow")
    (folder / "ragged.csv").write_text("a,b\n1,2\n3\n")
    (folder / "latin.csv").write_bytes(b"gr\xf6\xdfe,b\n1,2\n")
    pyarrow.feather.write_feather(TABLE, str(folder / "whole.feather"), compression="uncompressed")
    whole = (folder / "whole.feather").read_bytes()
    offsets = np.array([0, 2, 2, 4], dtype=np.int32).tobytes()
    assert whole.count(offsets) == 1
    wild = np.array([0, 2**30, 2**30, 4], dtype=np.int32).tobytes()
    (folder / "wild.feather").write_bytes(whole.replace(offsets, wild))
    np.savez(folder / "pickled.npz", text=np.array([{"a": 1}, None], dtype=object))
    with (folder / "single.npz").open("wb") as file:
        np.save(file, np.ones((3, 2)))
    (folder / "data.xlsx").write_bytes(b"x")
    broken = "is damaged or something else"
    return {
        "folder.npz": 'the path must be that of a file, however: "{}" is a folder',
        "empty.csv": 'the file must hold data, however: "{}" is empty',
        "half.parquet": f'the file must be a Parquet file that can be read, however: "{{}}" {broken}',
        "half.npz": f'the file must be an npz that can be read, however: "{{}}" {broken}',
        "flipped.npz": f'the file must be an npz that can be read, however: "{{}}" {broken}',
        "text.npz": f'the file must be an npz that can be read, however: "{{}}" {broken}',
        "text.feather": f'the file must be an Arrow file that can be read, however: "{{}}" {broken}',
        "wild.feather": f'the file must be an Arrow file that can be read, however: "{{}}" {broken}',
        "latin.csv": f'the file must be a CSV file that can be read, however: "{{}}" {broken}',
        "ragged.csv": f'the file must be a CSV file that can be read, however: "{{}}" {broken}',
        "pickled.npz": 'an npz must hold plain arrays, however: "text" of "{}" holds Python objects, '
        "which are never unpickled; save it as numbers or texts",
        "single.npz": 'an npz must hold named arrays, however: "{}" holds a single one',
        "data.xlsx": 'the file must end in one of .npz, .parquet, .pq, .arrow, .feather, .ipc, .csv, however: "{}"',
        "whole.parqet": 'the file must end in one of .npz, .parquet, .pq, .arrow, .feather, .ipc, .csv, however: "{}"',
        "whol.npz": 'the file must exist, however: "{}" does not; did you mean "whole.npz"?',
    }


def test_every_kind_of_damage_ends_in_its_sentence(tmp_path):
    for name, sentence in damage(tmp_path).items():
        with pytest.raises(DataError) as caught:
            read(tmp_path / name)
        assert str(caught.value) == sentence.format(tmp_path / name)
        assert caught.value.__cause__ is None


# Writing


COLUMNS = {"id": np.array(["a", "b,c", 'd"e']), "p": np.array([0.25, np.nan, 1.0]), "n": [3, 5, 7]}


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather", ".csv"])
def test_what_is_written_is_read_back(tmp_path, suffix):
    path = write_table(tmp_path / f"out{suffix}", COLUMNS)
    samples = read(path, nan="impute")
    assert samples.ids.tolist() == ["a", "b,c", 'd"e'] and samples.modality("table").columns == ("p", "n")
    assert np.array_equal(samples.modality("table").values, [[0.25, 3], [np.nan, 5], [1, 7]], equal_nan=True)


def test_json_holds_one_object_per_row_and_null_for_nan(tmp_path):
    path = write_table(tmp_path / "out.json", COLUMNS | {"v": np.array([[1.0, np.inf], [2, 3], [4, 5]])})
    assert json.loads(path.read_text())[:2] == [
        {"id": "a", "p": 0.25, "n": 3, "v": [1.0, None]},
        {"id": "b,c", "p": None, "n": 5, "v": [2.0, 3.0]},
    ]


def test_a_table_of_vectors_is_read_back_as_a_modality(tmp_path):
    path = write_table(tmp_path / "out.parquet", {"vector": np.arange(6.0).reshape(3, 2)})
    assert read(path).modality("vector").values.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("name", "columns", "sentence"),
    [
        (
            "out.xlsx",
            {"a": [1]},
            'the file must end in one of .parquet, .arrow, .feather, .csv, .json, however: "{folder}/out.xlsx"',
        ),
        ("no/out.csv", {"a": [1]}, 'the folder must exist, however: "{folder}/no" does not'),
        ("out.csv", {}, "a table must have at least one column, however: there is none"),
        (
            "out.csv",
            {"a": [1], "b": [1, 2]},
            'all columns must have the same length, however: "a" has 1, "b" has 2',
        ),
        ("out.csv", {"a": 3}, 'a column must be (N,) or (N, K), however: "a" has the shape ()'),
        (
            "out.csv",
            {"a": np.ones((2, 2))},
            'a column of a CSV file must be (N,), however: "a" is (N, K); write .parquet',
        ),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_no_file(tmp_path, name, columns, sentence):
    with pytest.raises(DataError) as caught:
        write_table(tmp_path / name, columns)
    assert str(caught.value) == sentence.format(folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_breaks_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"^no space left$"):
        write_table(path, {"a": np.ones(2)})
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["out.csv"]
