"""`intermodal trace` prints what `trace` says, reads numbers as typed, and answers before torch is loaded."""

import subprocess
import sys

import pytest

from intermodal.explain.trace import trace

WORKED = ("trace", "--q", "1 2", "--k", "2 3; 1 0", "--v", "10 0; 0 10")


def test_the_text_is_that_of_the_function(typed):
    said = typed(*WORKED)
    assert (said.code, said.err) == (0, "")
    assert said.out == trace("1 2", "2 3; 1 0", "10 0; 0 10").text()
    assert "9.9296464891, 0.0703535109" in said.out


def test_unscaled_hidden_and_fewer_digits(typed):
    said = typed(*WORKED, "--unscaled", "--digits", "4")
    assert said.out == trace("1 2", "2 3; 1 0", "10 0; 0 10", scale=False, digits=4).text()
    assert "[9.9909, 0.0091]" in said.out
    assert "One key is left" in typed(*WORKED, "--keep", "1 0").out


def test_negative_numbers_are_numbers_and_not_options(typed):
    assert "= -1 + 4 = 3" in typed("trace", "--q", "-1 2", "--k", "1 2; -1 -2").out.replace("(-1)", "-1")


def test_a_claim_is_judged(typed):
    said = typed(*WORKED, "--claim", "0.9991 0.0009")
    assert said.code == 0
    assert said.out.endswith("D4: the scores are not scaled: divide them by √2 first.\n")
    assert max(map(len, said.out.splitlines())) <= 80
    assert typed(*WORKED, "--claim", "0.9930 0.0070").out.endswith("Right to the digits given, read as weights.\n")


def test_json_holds_steps_arrays_and_the_verdict(typed):
    found = typed(*WORKED, "--claim", "0.9991 0.0009", "--json").json
    worked = trace("1 2", "2 3; 1 0", "10 0; 0 10")
    assert found["steps"] == worked.steps
    assert (found["weights"], found["output"]) == (worked.weights.tolist(), worked.output.tolist())
    assert (found["check"]["ok"], found["check"]["mistake"]) == (False, "D4")
    masked = typed(*WORKED, "--keep", "1 0", "--json").json
    assert masked["steps"][2]["values"][1] == "-inf" and masked["steps"][2]["floats"][1] is None


@pytest.mark.parametrize("suffix", [".html", ".md", ".txt", ".json"])
def test_a_report_is_written(typed, tmp_path, suffix):
    said = typed(*WORKED, "-o", f"trace{suffix}")
    assert said.code == 0 and f"trace{suffix}" in said.err
    assert "9.9296464891" in (tmp_path / f"trace{suffix}").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--q", "1 x", "--k", "1 2"], "q must hold numbers, however: x"),
        (["--q", "1 inf", "--k", "1 2"], "q must hold finite numbers, however: inf"),
        (["--q", "1 2", "--k", "1 2; 3"], 'the rows of k must be equally long, however: [2, 1] numbers in "1 2; 3"'),
        (["--q", "1 2", "--k", "1 2 3"], "a query and a key must be equally wide, however: 2 and 3"),
        (["--q", "1 2", "--k", "1 2", "--claim", "1 2"], "a claim must have the shape of one of"),
        (["--q", "1 2", "--k", "1 2", "-o", "t.doc"], "the output must end in one of .html, .md, .json, .txt"),
        (["--q", "1 2"], "Missing option '--k'"),
        (["--q", "1 2", "--k", "1 2", "--digits", "99"], "Invalid value for '--digits'"),
    ],
)
def test_a_slip_is_one_sentence_and_exit_code_2(typed, words, sentence):
    said = typed("trace", *words)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err and said.err.count("\n") == 1


def test_torch_is_not_loaded():
    program = (
        "import sys; from intermodal.cli import main\n"
        f"code = main({[*WORKED, '--claim', '1 0']})\n"
        "print([n for n in ('torch', 'sklearn', 'pyarrow', 'pandas') if n in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "[] 0"


def test_a_trace_is_replayed_in_a_precision(typed):
    words = ("trace", "--q", "1 2", "--k", "2 3; 1 0", "--unscaled", "--dtype", "bfloat16")
    said = typed(*words)
    assert said.code == 0 and "── Replayed" in said.out and "In bfloat16 the weights are 1 0.000911" in said.out
    assert typed(*words, "--json").json["replay"]["weights"][0] == 1.0
    assert typed(*words[:-1], "int8").code == 2
