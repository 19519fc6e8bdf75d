"""The rooms and who may import whom: the table of the design, read from the source with `ast`."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "intermodal"
TABULAR = {"pandas", "polars"}  # only where the user brings one of their frames

# room -> the rooms of the package, and the foreign libraries, that it may import
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "spec": ({"errors"}, set()),
    "kernel": (set(), {"torch"}),
    "attention": ({"errors", "kernel"}, {"torch"}),
    "nn": ({"errors", "spec", "attention", "kernel"}, {"torch"}),
    "data": ({"errors"}, {"numpy", "pyarrow", "torch", *TABULAR}),
    "encode": ({"errors", "data"}, {"numpy", "torch", "tokenizers", "PIL", "soundfile", "av"}),
    "learn": (
        {"errors", "spec", "kernel", "nn", "data"},
        {"numpy", "torch", "sklearn", "scipy", "threadpoolctl", "safetensors", *TABULAR},
    ),
    "find": (
        {"errors", "spec", "attention", "nn", "data", "learn"},
        {"numpy", "torch", "sklearn", "scipy", "safetensors", "tokenizers", "faiss", "pymilvus", "sacrebleu"},
    ),
    "explain": ({"errors", "spec", "attention", "nn", "data"}, {"numpy", "torch", "networkx"}),
    "report": (set(), set()),
    "serve": ({"errors", "learn", "find", "explain", "report"}, {"numpy", "torch", "starlette", "uvicorn"}),
    "cli": (
        {"errors", "spec", "attention", "nn", "data", "encode", "learn", "find", "explain", "report", "serve"},
        {"numpy", "torch", "sklearn", "scipy", "threadpoolctl", "pyarrow", "typer", "click", "rich", *TABULAR},
    ),
    "__main__": ({"cli"}, set()),
}

# Imports that the table forbids and that stand all the same: (file, what is imported, inside which functions).
# A result knows how to write itself, and loads the writer when it is asked to.
EXCEPTIONS = {
    ("learn/comparison.py", "intermodal.report", "report"),
    ("explain/explaining.py", "intermodal.report", "report"),
    ("learn/comparison.py", "intermodal.report", "_repr_html_"),
    ("learn/compare.py", "intermodal.explain", "_findings"),
    ("learn/estimators.py", "intermodal.explain", "_findings"),
    ("learn/estimators.py", "intermodal.explain", "_sure"),
    ("explain/explaining.py", "intermodal.report", "_repr_html_"),
    ("explain/explaining.py", "intermodal.report", "_repr_markdown_"),
    ("explain/trace.py", "intermodal.report", "_report_room"),
}

BANNED_FILES = {"utils", "util", "helpers", "helper", "common", "base", "core", "misc"}


def sources() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def imports(text: str) -> Iterator[tuple[int, str, str, bool]]:
    """Every import: line, dotted name, innermost function around it, and whether it is for type checkers alone."""

    def walk(node: ast.AST, function: str, typing: bool) -> Iterator[tuple[int, str, str, bool]]:
        for child in ast.iter_child_nodes(node):
            inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            checked = typing or (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"))
            if isinstance(child, ast.Import):
                yield from ((child.lineno, alias.name, function, typing) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                if child.level:
                    yield child.lineno, "." * child.level + (child.module or ""), function, typing
                elif child.module == "intermodal":
                    yield from ((child.lineno, f"intermodal.{a.name}", function, typing) for a in child.names)
                else:
                    yield child.lineno, str(child.module), function, typing
            elif isinstance(child, ast.Call):
                named = re.fullmatch(r"(?:\w+\.)?(?:import_module|__import__)\('([\w.]+)'.*\)", ast.unparse(child))
                if named:
                    yield child.lineno, named[1], function, typing
            yield from walk(child, inside, checked)

    yield from walk(ast.parse(text), "", False)


def forbidden_imports(file: str, text: str) -> list[str]:
    """What this file may not import, as lines that name the file, the line and the import."""
    room = file.split("/")[0].removesuffix(".py")
    if room not in ALLOWED:
        return [f"{file}: no such room in the table of the design"]
    rooms, foreign = ALLOWED[room]
    found = []
    for line, name, function, _ in imports(text):
        top, *rest = name.split(".")
        if top == "intermodal":
            fine = bool(rest) and (rest[0] == room or rest[0] in rooms)
            fine |= name == "intermodal.__version__"  # a fact of the package, not a part of it
            fine |= any(f == file and name.startswith(what) and function == inside for f, what, inside in EXCEPTIONS)
        else:
            fine = top in sys.stdlib_module_names or top in foreign
        if not fine:
            found.append(f"{file}:{line}: {room} may not import {name}")
    return found


def calls(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def forbidden_calls(file: str, text: str) -> list[str]:
    found = []
    for line, name in calls(text):
        last = name.split(".")[-1]
        if name in ("eval", "exec", "torch.load"):
            found.append(f"{file}:{line}: {name} runs what a file says")
        if last in ("softmax", "Softmax") and file != "attention.py" and not file.startswith("report/"):
            found.append(f"{file}:{line}: the only softmax is in attention.py")
    found += [
        f"{file}:{line}: pickle runs what a file says"
        for line, name, _, _ in imports(text)
        if name.split(".")[0] in ("pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve")
    ]
    return found


def nameless_masks(file: str, text: str) -> list[str]:
    """A mask is named for what True means: `keep`, `present`."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            args = node.args
            every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
            found += [f"{file}:{a.lineno}: an argument called mask" for a in every if a is not None and a.arg == "mask"]
    return found


def everywhere(check) -> list[str]:  # type: ignore[no-untyped-def]
    return [line for path in sources() for line in check(path.relative_to(SOURCE).as_posix(), path.read_text("utf-8"))]


def test_no_room_imports_what_the_table_forbids() -> None:
    assert not (found := everywhere(forbidden_imports)), "\n".join(found)


def test_nothing_runs_what_a_file_says_and_there_is_one_softmax() -> None:
    assert not (found := everywhere(forbidden_calls)), "\n".join(found)


def test_the_one_softmax_is_there() -> None:
    assert [name for _, name in calls((SOURCE / "attention.py").read_text()) if name.endswith("softmax")] == [
        "scores.softmax"
    ]


def test_no_argument_is_called_mask() -> None:
    assert not (found := everywhere(nameless_masks)), "\n".join(found)


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [path for path in sources() if path.stem in BANNED_FILES] == []


def test_every_exception_is_needed() -> None:
    """An exception whose import is gone must go too."""
    for file, what, function in EXCEPTIONS:
        path = SOURCE / file
        used = [] if not path.exists() else [n for _, n, f, _ in imports(path.read_text()) if f == function]
        if path.exists() and not any(n.startswith(what) for n in used):
            pytest.fail(f"{file} imports {what} in {function} no longer: take the exception out of the table")


PLANTED = [
    ("spec.py", "import torch", "spec.py:1: spec may not import torch"),
    ("nn/layer.py", "x = 1\nfrom intermodal.data.samples import Samples",
     "nn/layer.py:2: nn may not import intermodal.data.samples"),
    ("data/reading.py", "def f():\n    from intermodal.spec import Edge",
     "data/reading.py:2: data may not import intermodal.spec"),
    ("report/text.py", "import numpy as np", "report/text.py:1: report may not import numpy"),
    ("explain/shapley_values.py", "import intermodal.learn.estimators",
     "explain/shapley_values.py:1: explain may not import intermodal.learn.estimators"),
    ("explain/explaining.py", "from intermodal.report.writing import write",
     "explain/explaining.py:1: explain may not import intermodal.report.writing"),
    ("learn/loop.py", "from intermodal.cli import main", "learn/loop.py:1: learn may not import intermodal.cli"),
    ("learn/loop.py", "from intermodal import Samples", "learn/loop.py:1: learn may not import intermodal.Samples"),
    ("cli/fit.py", "import intermodal", "cli/fit.py:1: cli may not import intermodal"),
    ("cli/fit.py", "from . import show", "cli/fit.py:1: cli may not import ."),
    ("cli/fit.py", "import importlib\nimportlib.import_module('requests')",
     "cli/fit.py:2: cli may not import requests"),
    ("nn/layer.py", "if TYPE_CHECKING:\n    import sklearn", "nn/layer.py:2: nn may not import sklearn"),
    ("tools.py", "", "tools.py: no such room in the table of the design"),
    ("learn/saving.py", "import pickle", "learn/saving.py:1: pickle runs what a file says"),
    ("learn/saving.py", "torch.load(path)", "learn/saving.py:1: torch.load runs what a file says"),
    ("learn/saving.py", "eval('1')", "learn/saving.py:1: eval runs what a file says"),
    ("nn/pooling.py", "w = scores.softmax(-1)", "nn/pooling.py:1: the only softmax is in attention.py"),
    ("nn/pooling.py", "w = torch.softmax(s, 1)", "nn/pooling.py:1: the only softmax is in attention.py"),
    ("nn/pooling.py", "def pool(x, *, mask=None): ...", "nn/pooling.py:1: an argument called mask"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "text", "line"), PLANTED)
def test_the_checks_see_what_is_planted(file: str, text: str, line: str) -> None:
    found = [*forbidden_imports(file, text), *forbidden_calls(file, text), *nameless_masks(file, text)]
    assert line in found


def test_the_checks_pass_what_is_allowed() -> None:
    text = "import json\nimport torch\nfrom intermodal.spec import Edge\nfrom intermodal.nn.fused import Fused\n"
    assert forbidden_imports("nn/layer.py", text) == []
    lazily = "def report():\n    from intermodal.report.writing import write\n"
    assert forbidden_imports("explain/explaining.py", lazily) == []
    assert forbidden_calls("learn/losses.py", "F.log_softmax(x, 1)\nF.cross_entropy(x, y)") == []


def loaded(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted(m for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


HEAVY = {"torch", "sklearn", "pandas", "polars", "pyarrow", "numpy", "typer", "rich"}


def test_import_intermodal_loads_nothing_heavy() -> None:
    assert loaded("import intermodal\nintermodal.Spec.parse('cross')") & HEAVY == set()
    assert "torch" in loaded("import intermodal\nintermodal.attend")  # the measure sees what it is meant to see


def test_the_facade_names_only_what_exists() -> None:
    text = (SOURCE / "__init__.py").read_text()
    named = re.findall(r'"\w+": "([\w.]+)"', text)
    assert named
    for name in named:
        path = SOURCE / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__init__.py").exists(), name
