"""What cannot work: one sentence, the right exit code, no traceback, nothing written."""

import signal
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from intermodal.cli import console, failing
from intermodal.errors import InputError, MissingDependencyError


def save(folder, **changed):
    rng = np.random.default_rng(1)
    arrays = {"text": rng.normal(size=(23, 5)), "video": rng.normal(size=(23, 3)), "y": np.arange(23) % 2, **changed}
    path = folder / "data.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def with_cell(value):
    text = np.random.default_rng(2).normal(size=(23, 5))
    text[7, 3] = value
    return text


def truncated_parquet(folder):
    path = folder / "data.parquet"
    pyarrow.parquet.write_table(pa.table({"text": [[1.0, 2.0]] * 99, "y": [0, 1, 1] * 33}), path)
    path.write_bytes(path.read_bytes()[:-40])
    return path


def empty(folder):
    (folder / "data.npz").touch()
    return folder / "data.npz"


def existing_model(folder):
    (folder / "out").mkdir()
    (folder / "out" / "config.json").write_text("mine")
    return save(folder)


# name: (how the file is made, what else is typed, what the sentence says); -o comes last
BAD = {
    "unknown modality": (save, ["--fusion", "txt -> video"], 'however: "txt"; did you mean "text"?'),
    "grammar": (save, ["--fusion", "text - video"], "    text - video\n         ^"),
    "no such target": (lambda f: save(f, label=np.arange(23)), ["--target", "lable"], 'did you mean "label"?'),
    "no target": (lambda f: save(f, y=None), [], "name it with --target"),
    "no such group": (save, ["--group", "patient"], 'group must be one of the keys, however: "patient"'),
    "counts differ": (lambda f: save(f, video=np.ones((19, 3))), [], '"text" has 23, "video" has 19'),
    "NaN inside": (lambda f: save(f, text=with_cell(np.nan)), [], '"text"'),
    "infinite": (lambda f: save(f, text=with_cell(np.inf)), [], '"text"'),
    "labels equal": (lambda f: save(f, y=np.ones(23, int)), [], "a target must vary"),
    "empty file": (empty, [], "is empty"),
    "truncated": (truncated_parquet, [], "is damaged or something else"),
    "pickled": (lambda f: save(f, text=np.array([{}] * 23)), [], "never unpickled"),
    "device": (save, ["--device", "abacus"], "abacus"),
    "missing file": (lambda f: save(f).with_name("dota.npz"), [], 'did you mean "data.npz"?'),
    "suffix": (lambda f: save(f).rename(f / "data.doc"), [], "must end in one of"),
    "task": (lambda f: save(f, y=np.array(["a", "b"] * 11 + ["a"])), ["--task", "regression"], "needs numbers"),
}


@pytest.mark.parametrize("command", ["fit", "compare"])
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_sentence_before_anything_is_written(typed, tmp_path, name, command):
    make, words, sentence = BAD[name]
    path = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    out = "out" if command == "fit" else "out.html"
    said = typed(command, path, *words, "-o", out, "--epochs", 1, "--json")
    assert said.code == 2
    error = said.json["error"]
    assert sentence in error["message"]
    assert error["exit_code"] == 2
    assert f"error: {error['message']}\n" in said.err
    assert "Traceback" not in said.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_class_of_one_sample_cannot_be_compared(typed, tmp_path):
    path = save(tmp_path, y=np.array([0, 1] * 11 + [2]))
    said = typed("compare", path, "-o", "out.html")
    assert said.code == 2
    assert 'class "2" is in one row only' in said.err
    assert not (tmp_path / "out.html").exists()


def test_a_model_is_not_overwritten_and_not_even_trained(typed, tmp_path):
    path = existing_model(tmp_path)
    said = typed("fit", path, "-o", "out", "--epochs", 10**6, "--validation", 0)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        'error: a model is saved to a new folder, however: "out" exists; choose another or add --force\n'
    )
    assert (tmp_path / "out" / "config.json").read_text() == "mine"


def test_force_overwrites_a_model_only(typed, tmp_path):
    (tmp_path / "photos").mkdir()
    said = typed("fit", save(tmp_path), "-o", "photos", "--force")
    assert said.code == 2
    assert 'however: "photos" holds no config.json' in said.err


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("out.doc", "the output must end in one of .html, .md, .json, .txt"),
        ("no/such/out.html", "the folder of the output must exist"),
    ],
)
def test_a_report_needs_a_place_before_anything_is_trained(typed, tmp_path, out, sentence):
    said = typed("compare", save(tmp_path), "-o", out)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert "note:" not in said.err  # which comes before training


def test_a_folder_without_a_model(typed, films, tmp_path):
    for command in ("predict", "evaluate"):
        said = typed(command, tmp_path, films)
        assert said.code == 2
        assert "a model is a folder with config.json in it" in said.err


def test_our_own_failure_is_1_and_says_how_to_see_more(typed, tmp_path, monkeypatch):
    import intermodal.data.inspecting

    monkeypatch.setattr(intermodal.data.inspecting, "inspect", lambda samples: 1 / 0)
    said = typed("inspect", save(tmp_path))
    assert said.code == 1
    assert said.err == (
        "error: this should not have happened: ZeroDivisionError: division by zero "
        "(set INTERMODAL_TRACEBACK=1 to see where)\n"
    )
    monkeypatch.setenv("INTERMODAL_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in typed("inspect", save(tmp_path)).err


def test_what_each_failure_means():
    assert failing.sentence(InputError("x"))[0] == 2
    assert failing.sentence(KeyboardInterrupt()) == (130, "interrupted")
    assert failing.sentence(MissingDependencyError("pip install pandas"))[1].startswith("pip install pandas (")
    code, said = failing.sentence(PermissionError(13, "Permission denied", "out.csv"))
    assert (code, said[: said.index(" (")]) == (1, 'Permission denied: "out.csv"')
    assert failing.sentence(MemoryError())[0] == 1


def test_names_with_control_codes_do_not_reach_the_terminal(typed, tmp_path):
    np.savez(tmp_path / "data.npz", **{"te\x1b[31mxt[/red]": np.random.default_rng(0).normal(size=(13, 2))})
    said = typed("inspect", "data.npz")
    assert said.code == 0
    assert "te␛[31mxt[/red]" in said.out.replace("\n", "")
    refused = typed("compare", "data.npz", "--target", "\x1b[31m")
    assert refused.code == 2
    assert "\x1b" not in said.out + refused.err


def test_ctrl_c_leaves_nothing_behind(started, tmp_path):
    path = save(tmp_path)
    process = started(
        "fit", path, "-o", tmp_path / "out", "--epochs", 10**6, "--validation", 0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stderr.readline().startswith("note: self:")  # said right before training
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "error: interrupted\n")
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_that_goes_away_is_no_news(started, films):
    process = started("inspect", films)
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr.read() == ""


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert console.is_coloured(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not console.is_coloured(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not console.is_coloured(Terminal())
