"""`caption` says in words what clips show."""

import csv
import json

import numpy as np
import pytest

from intermodal.cli.captioning import attention_blocks
from intermodal.data.reading import read
from intermodal.find.captioner import Caption, Captioner
from intermodal.find.loading import load

N = 13


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("clips") / "clips.npz"
    lengths = rng.integers(3, 8, N)
    np.savez(path, video=rng.normal(size=(N, 7, 3)), video_len=lengths, place=rng.normal(size=(N, 2)))
    return path


@pytest.fixture(scope="module")
def captioner(clips):
    texts = ["a dog runs, then a cat", "a cat sleeps"] * (N // 2) + ["a bird"]
    options = {"d_model": 8, "n_heads": 2, "n_layers": 1, "max_epochs": 2, "encoder": "conv"}
    return Captioner(**options).fit(read(clips), texts).save(clips.parent / "captioner")


def test_a_terminal_gets_captions(typed, clips, captioner):
    said = typed("caption", captioner, clips, "--min-words", 1)
    assert said.code == 0
    assert "── The first 10 of 13" in said.out
    assert "probability a word" in said.out
    made = load(captioner).predict(read(clips), min_words=1)
    lines = [line.split() for line in said.out.splitlines() if line[:5].strip().isdigit()]
    assert [line[0] for line in lines] == [str(i) for i in range(10)]
    assert lines[0][1] == made[0].words[0]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_a_file_holds_all_of_them(typed, clips, captioner, tmp_path, suffix):
    said = typed("caption", captioner, clips, "-o", "out" + suffix, "--beam", 2, "--rows", "12,2-4")
    assert said.code == 0
    path = tmp_path / ("out" + suffix)
    if suffix == ".csv":
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    elif suffix == ".json":
        rows = json.loads(path.read_text())
    else:
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(path).to_pylist()
    made = load(captioner).predict(read(clips)[[12, 2, 3, 4]], beam=2)
    assert [int(row["row"]) for row in rows] == [12, 2, 3, 4]
    assert [row["caption"] for row in rows] == [c.text for c in made]
    assert [float(row["score"]) for row in rows] == pytest.approx([c.score for c in made])


def test_json_tells_all_with_the_attention(typed, clips, captioner):
    told = typed(
        "caption", captioner, clips, "--rows", "1,5", "--attention", "--json", "--max-words", 3, "--min-words", 3
    ).json
    made = load(captioner).predict(read(clips)[[1, 5]], need_attention=True, max_words=3, min_words=3)
    assert (told["n"], told["unfinished"], told["written"]) == (2, sum(not c.finished for c in made), None)
    for one, caption in zip(told["captions"], made, strict=True):
        assert (one["caption"], one["words"]) == (caption.text, list(caption.words))
        assert one["attention"] == {name: w.tolist() for name, w in caption.attention.items()}
    assert [one["clip"] for one in told["captions"]] == ["1", "5"]
    assert "attention" not in typed("caption", captioner, clips, "--json").json["captions"][0]


def test_attention_is_drawn_in_frames_or_seconds(typed, clips, captioner):
    words = ("caption", captioner, clips, "--attention", "--min-words", 2, "--max-words", 2)
    said = typed(*words)
    assert "Where each word looked in video" in said.out
    assert "(frame)" in said.out
    assert "Where the words of all 13 captions looked: -o captions.html" in said.out
    assert "in place" not in said.out
    assert "(s)" in typed(*words, "--fps", 2, "--rows", 0).out
    assert "1.00 to 1.50" in typed(*words, "--fps", 2).out
    assert "looked" not in typed("caption", captioner, clips).out


def test_a_report_holds_every_clip(typed, clips, captioner, tmp_path):
    said = typed("caption", captioner, clips, "--attention", "-o", "out.html", "--rows", "0-4", "--max-words", 2)
    assert said.code == 0
    assert 'note: the captions are in "out.html"' in said.err
    page = (tmp_path / "out.html").read_text()
    assert "<html" in page and "Where each word looked in video" in page
    assert typed("caption", captioner, clips, "-o", "out.html").code == 2


def test_captions_that_were_cut_are_said(typed, clips, captioner):
    said = typed("caption", captioner, clips, "--max-words", 1, "--min-words", 1, "--rows", "0-2")
    assert "of 3 captions did not end and were cut; more with --max-words" in said.err
    assert " ..." in said.out


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("x", '--rows is numbers and stretches, as "0,3,5-9", however: "x"'),
        ("1,-2", '--rows is numbers and stretches, as "0,3,5-9", however: "-2"'),
        ("13", '--rows are from 0 to 12, the smaller first, however: "13"'),
        ("2, 9-5", '--rows are from 0 to 12, the smaller first, however: "9-5"'),
        ("4-13", '--rows are from 0 to 12, the smaller first, however: "4-13"'),
    ],
)
def test_rows_that_are_not_there_are_refused(typed, clips, captioner, rows, problem):
    said = typed("caption", captioner, clips, "--rows", rows)
    assert (said.code, said.err) == (2, f"error: {problem}\n")


def test_other_mistakes_are_one_sentence(typed, clips, captioner, model, tmp_path):
    assert typed("caption", model, clips).err == (
        f'error: this needs a Captioner, however: "{model}" holds a FusionClassifier\n'
    )
    said = typed("caption", captioner, clips, "--min-words", 9, "--max-words", 3)
    assert (said.code, said.err) == (2, "error: min_words is not above max_words, however: min_words=9, max_words=3\n")
    np.savez("other.npz", video=np.ones((2, 3, 5)))
    said = typed("caption", captioner, "other.npz")
    assert said.code == 2
    assert '"video" has 3 columns as in training, however: it has 5' in said.err
    assert typed("caption", captioner, clips, "-o", "out.doc").code == 2


def test_of_several_modalities_the_look_within_one_is_shown_as_all_of_it():
    weights = np.array([[0.1, 0.3], [0.2, 0.0]])
    made = Caption("a dog", -0.5, ("a", " dog"), True, {"video": weights, "sound": np.array([[0.6], [0.8]])})
    [block] = attention_blocks(["x"], [made])
    np.testing.assert_allclose(block["items"][0]["weights"], [[0.25, 0.75], [1.0, 0.0]])
    assert "30 % of the look fell on video" in block["how"]
