"""Help, versions and completion: what is typed first, and must answer before anything heavy loads."""

import os
import subprocess
import sys

import numpy as np
import pytest

HEAVY = ("torch", "sklearn", "scipy", "pyarrow", "numpy", "pandas", "rich")
COMMANDS = ("demo", "inspect", "compare", "fit", "evaluate", "predict", "explain")
COMMANDS += ("localize", "index", "search", "caption", "trace")


@pytest.mark.parametrize("arguments", [["--help"], ["compare", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    program = (
        f"import sys; from intermodal.cli import main; code = main({arguments})\n"
        f"print([n for n in {HEAVY} if n in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "[] 0"
    assert "intermodal" in done.stdout


def loaded_by(program: str, *modules: str) -> str:
    program = f"import sys\n{program}\nprint([n for n in {modules} if n in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr.strip()


def test_the_package_loads_nothing_heavy():
    assert loaded_by("import intermodal", *HEAVY, "typer", "safetensors", "networkx") == "[]"


@pytest.mark.parametrize("out", [[], ["--json"], ["-o", "out.json"]])
def test_a_prediction_loads_torch_and_nothing_else_heavy(films, model, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with np.load(films) as held:
        np.savez("one.npz", **{name: held[name][:1] for name in held.files})
    words = ["predict", str(model), "one.npz", *out]
    idle = ("sklearn", "scipy", "pandas", "pyarrow", "networkx", "sympy", "rich", "matplotlib", "torch._dynamo")
    ours = ("learn.estimators", "learn.loop", "explain", "find", "report.html")
    program = f"from intermodal.cli import main\nassert main({words}) == 0\nassert 'torch' in sys.modules"
    assert loaded_by(program, *idle, *(f"intermodal.{name}" for name in ours)) == "[]"


def test_help_names_every_command(typed):
    said = typed("--help").out
    listed = said[said.index("Commands:") :]
    assert [line.split()[0] for line in listed.splitlines()[1 : 1 + len(COMMANDS)]] == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_an_example_and_fits_a_terminal(typed, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = typed(command, "--help")
    assert said.code == 0
    assert f"$ intermodal {command}" in said.out
    assert "──" in said.out
    assert "--json" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_nothing_typed_shows_the_help_and_is_a_mistake(typed):
    said = typed()
    assert (said.code, said.out) == (2, "")
    assert "Commands:" in said.err


def test_version(typed):
    import intermodal

    assert typed("--version").out == f"intermodal {intermodal.__version__}\n"


def test_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "intermodal", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[0]) == (0, "intermodal")


def test_the_shell_completes_commands():
    asked = {"_INTERMODAL_COMPLETE": "complete_bash", "COMP_WORDS": "intermodal ins", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "intermodal"], capture_output=True, text=True, env={**os.environ, **asked}
    )
    assert done.stdout.split() == ["inspect"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["inspekt"], "No such command 'inspekt'"),
        (["inspect"], "Missing argument 'DATA'"),
        (["fit", "films.npz", "--epochs", "none", "-o", "m"], "Invalid value for '--epochs'"),
        (["inspect", "films.npz", "--nan", "zero"], "Invalid value for '--nan'"),
        (["fit", "films.npz"], "Missing option '-o'"),
    ],
)
def test_a_slip_in_the_options_is_one_sentence(typed, words, sentence):
    said = typed(*words, "--json")
    assert said.code == 2
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert sentence in said.json["error"]["message"]


def test_a_terminal_without_unicode_gets_the_ascii_form(started, tmp_path, monkeypatch):
    np.savez(tmp_path / "d.npz", a=np.random.default_rng(0).normal(size=(9, 2)), y=np.arange(9) % 2)
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = started("inspect", tmp_path / "d.npz")
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0, err
    assert out.isascii() and "-- Modalities" in out and "?" not in out.split("-- Modalities")[1].split("\n")[0]
