"""`compare` in the shell is `compare` in Python."""

import json

import pytest

from intermodal.data.reading import read
from intermodal.learn.compare import compare

SHORT = ("--epochs", 3, "--members", 1, "--folds", 2)


def without_seconds(result):
    table = [{key: value for key, value in row.items() if key != "seconds"} for row in result["table"]]
    return {**result, "table": table}


def test_json_is_what_python_finds(typed, films, monkeypatch):
    fusions = ("none", "text -> video")
    said = typed(
        "compare", films, "--target", "rating", "--fusion", fusions[0], "--fusion", fusions[1], *SHORT, "--json"
    )
    assert said.code == 0
    options = {"fusions": fusions, "n_splits": 2, "max_epochs": 3, "n_members": 1, "device": "auto"}
    expected = compare(read(films, target="rating"), **options).to_dict()
    told = said.json
    assert (told.pop("data"), told.pop("report")) == (str(films), None)
    assert without_seconds(told) == json.loads(json.dumps(without_seconds(expected)))


def test_every_option_reaches_the_comparison(typed, films, monkeypatch):
    import intermodal.learn.compare

    got = {}

    def spy(samples, **options):
        got.update(options)
        return compare(samples, **{**options, "fusions": (), "baselines": (), "scoring": None})

    monkeypatch.setattr(intermodal.learn.compare, "compare", spy)
    said = typed(
        "compare", films, "--target", "rating", "--fusion", "self", "--baseline", "late", "--baseline", "svm",
        "--folds", 3, "--repeats", 2, "--seed", 7, "--nan", "impute", "--device", "cpu", "--epochs", 5, "--members", 2,
        "--task", "classification", "--scoring", "log loss", "--protocol", "cv", "--no-experts", "--budget", 9,
    )  # fmt: skip
    assert said.code == 0, said.err
    del got["progress"]
    assert got == {
        "fusions": ("self",), "baselines": ("late", "svm"), "n_splits": 3, "n_repeats": 2, "seed": 7, "nan": "impute",
        "device": "cpu", "max_epochs": 5, "n_members": 2, "task": "classification", "scoring": "log loss",
        "protocol": "cv", "experts": False, "budget_s": 9.0,
    }  # fmt: skip


def test_without_options_it_compares_what_python_compares(typed, films, monkeypatch):
    import inspect

    import intermodal.learn.compare

    got = {}

    def spy(samples, **options):
        got.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(intermodal.learn.compare, "compare", spy)
    assert typed("compare", films, "--target", "rating").code == 130
    del got["progress"]
    usual = {name: p.default for name, p in inspect.signature(compare).parameters.items()}
    assert got == {name: usual.get(name, got[name]) for name in got}
    assert (got["nan"], got["device"]) == ("error", "auto")


def test_says_who_asks_whom_before_it_trains_and_writes_a_report(typed, films, tmp_path):
    said = typed("compare", films, "--target", "rating", "--fusion", "text <-> video", *SHORT, "-o", "found.md")
    assert said.err == ("note: text <-> video: text asks video; video asks text\nnote: the report is in found.md\n")
    assert "── Verdict" in said.out
    assert "text <-> video" in said.out
    assert (tmp_path / "found.md").read_text().startswith("# Does attention help?")


@pytest.mark.parametrize("suffix", [".html", ".json", ".txt"])
def test_the_suffix_of_a_report_is_its_form(typed, films, tmp_path, suffix, monkeypatch):
    said = typed("compare", films, "--target", "minutes", "--fusion", "none", *SHORT, "-o", "found" + suffix, "--json")
    assert said.json["report"] == "found" + suffix
    text = (tmp_path / ("found" + suffix)).read_text()
    assert text[:2] == {".html": "<!", ".json": "{\n", ".txt": "Do"}[suffix]
