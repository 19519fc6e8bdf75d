"""`intermodal explain`: what it prints, what it writes, and what it says to a wrong input."""

import json

import numpy as np
import pytest


def test_it_prints_worth_attention_and_what_to_know(typed, films, model) -> None:
    done = typed("explain", model, films)
    assert done.code == 0, done.err
    for words in ("What each modality was worth", "Who attended to whom", "What to know first", "20 test rows"):
        assert words in done.out
    assert "\x1b" not in done.out and max(map(len, done.out.splitlines())) <= 80


def test_it_writes_the_page_and_says_where(typed, films, model, tmp_path) -> None:
    done = typed("explain", model, films, "-o", "why.html", "--seconds", "video=0.5")
    assert done.code == 0, done.err
    page = (tmp_path / "why.html").read_text("utf-8")
    assert 'the report is in "why.html"' in done.err
    for words in (
        "What moved the prediction",
        "When does text look at video?",
        "One query, worked out",
        "What was missing",
    ):
        assert words in page
    assert (tmp_path / "why.html").stat().st_size < 1_000_000
    again = typed("explain", model, films, "-o", "why.html")
    assert again.code == 2 and "add --force" in again.err
    assert typed("explain", model, films, "-o", "why.html", "--seconds", "video=0.5", "--force").code == 0
    assert (tmp_path / "why.html").read_text("utf-8") == page


def test_json_holds_the_numbers(typed, films, model) -> None:
    found = typed("explain", model, films, "--json", "--samples", "7").json
    assert found["n"] == 7 and found["names"] == ["text", "video"] and found["part"] == "test"
    values, full, empty = (np.array(found["shapley"][key]) for key in ("values", "full", "empty"))
    assert np.abs(values.sum(1) - (full - empty)).max() < 1e-9
    assert found["provenance"]["removal"] == "mask"
    assert [w["name"] for w in found["worth"]] == ["text", "video"]


def test_the_rule_and_the_outcome_are_chosen(typed, films, model) -> None:
    found = typed("explain", model, films, "--json", "--removal", "mean", "--of", "margin", "--split", "train").json
    assert (found["provenance"]["removal"], found["provenance"]["of"]) == ("mean", "margin")
    assert found["n"] == 41 and found["part"] == "train" and found["second_rule"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--removal", "maks"], 'did you mean "mask"?'),
        (["--of", "logits"], 'did you mean "logit"?'),
        (["--seconds", "vidoe=2"], 'did you mean "video"?'),
        (["--seconds", "video"], 'a number above zero for each name, video=0.04, however: "video"'),
        (["--seconds", "video=-1"], 'a number above zero for each name, video=0.04, however: "video=-1"'),
        (["--seconds", "text=2"], 'seconds are given for a sequence of the samples, however: "text"'),
        (["--split", "valid"], 'no row of the split says "valid"'),
        (["--max-mb", "0.01", "-o", "why.html"], "a report must be at most 0.01 MB, however"),
        (["-o", "why.pdf"], "the output must end in one of .html, .md, .json, .txt"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(typed, films, model, tmp_path, words, said) -> None:
    done = typed("explain", model, films, *words)
    assert done.code == 2 and said in done.err and "Traceback" not in done.err, done.err
    assert list(tmp_path.glob("*")) == []


def test_errors_are_json_where_json_was_asked_for(typed, films, model) -> None:
    done = typed("explain", model, films, "--of", "nothing", "--json")
    assert json.loads(done.out)["error"]["exit_code"] == done.code == 2


def test_rows_without_a_target_have_no_loss(typed, films, model) -> None:
    stored = dict(np.load(films))
    stored["rating"] = np.where(np.arange(61) % 5 == 0, None, stored["rating"].astype(object))
    import pandas as pd

    columns = {name: list(stored[name]) for name in ("text", "rating", "split")}
    columns["video"] = [list(frames[:n]) for frames, n in zip(stored["video"], stored["video_len"], strict=True)]
    pd.DataFrame(columns).to_parquet("partly.parquet")
    done = typed("explain", model, "partly.parquet", "--of", "loss", "--split", "all", "--json")
    assert done.code == 0, done.err
    assert "13 rows have no target, and so no loss; they are left out" in done.err and done.json["n"] == 48
    assert "if the model was fitted on these rows" in done.err


@pytest.mark.parametrize(("words", "compared"), [((), True), (("--randomise", "0"), False)])
def test_random_models_are_compared_unless_there_shall_be_none(typed, films, model, words, compared) -> None:
    done = typed("explain", model, films, *words, "--samples", "9", "--json")
    assert any("correlation with the trained model" in line for line in done.json["faithfulness"]) == compared
