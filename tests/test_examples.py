"""The notebooks run from top to bottom without a word on stderr, and turn into pages that show what they promise."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
PROMISED = {
    "attention_by_hand": [
        "9.9296464891",
        "Right to the digits given, read as weights.",
        *(f" {mistake}: " for mistake in ("D1", "D2", "D3", "D4")),
        "largest gradient of W_q: 0.0",
        "dog  0.0433  0.0714  0.8694  0.0159",
        "dog  0.9820  0.0180",
        "fused: [1.2408 0.5444]",
    ],
    "who_asks_whom": [
        "majority",
        "best single",
        "with everything:",
        "fou  without it:",
        "the first digit: ",
        "trust the worth",
    ],
}

DRAWN = {
    "attention_by_hand": ["Attention, worked out", "Attention, worked out"],
    "who_asks_whom": ["Does attention help?", "Who asks whom, and what was it worth"],
}

OPTIONS = ["--ExecutePreprocessor.timeout=300", "--ExecutePreprocessor.coalesce_streams=True"]
REACH_OUT = "() => { try { return parent.document.title } catch { return 'refused' } }"


def execute(notebook: Path, folder: Path) -> nbformat.NotebookNode:
    """Run every cell with the Python that runs the tests; all that is written lies in the folder.

    In a process of its own: what drives a kernel leaves sockets open until it ends.
    """
    kernel = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
    }
    (folder / "kernels" / "python3").mkdir(parents=True)
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(kernel | {"language": "python"}))
    homes = ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR")
    env = os.environ | {name: str(folder / name.lower()) for name in homes}
    env |= {"JUPYTER_PATH": str(folder), "OMP_NUM_THREADS": "1"}
    copy = shutil.copy(notebook, folder)
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", copy]
    done = subprocess.run([*command, *OPTIONS], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return nbformat.read(copy, as_version=4)


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp(request.param.stem)
    return SimpleNamespace(name=request.param.stem, notebook=execute(request.param, folder), folder=folder)


def test_both_notebooks_are_there() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(PROMISED)


def test_a_notebook_runs_and_says_nothing_on_stderr(executed: SimpleNamespace) -> None:
    outputs = [output for cell in executed.notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert outputs
    assert [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"] == []
    assert all(cell.execution_count for cell in executed.notebook.cells if cell.cell_type == "code")


def test_the_page_of_a_notebook_shows_what_is_promised(executed: SimpleNamespace) -> None:
    page, _ = HTMLExporter().from_notebook_node(executed.notebook)
    assert [piece for piece in PROMISED[executed.name] if piece not in html.unescape(page)] == []


def test_a_notebook_writes_its_report(executed: SimpleNamespace) -> None:
    code = "\n".join(cell.source for cell in executed.notebook.cells if cell.cell_type == "code")
    written = re.findall(r'\.report\("([^"]+)"\)', code)
    assert written
    assert all((executed.folder / name).stat().st_size > 1000 for name in written)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_clean(path: Path) -> None:
    stored = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(stored, as_version=4)
    nbformat.validate(notebook)
    assert stored == nbformat.writes(notebook) + "\n"
    assert [cell.id for cell in notebook.cells] == [f"cell-{i:02d}" for i in range(1, len(notebook.cells) + 1)]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert not any(cell.metadata for cell in notebook.cells)
    assert notebook.metadata.kernelspec == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert re.findall(r"/(?:home|root|work|tmp|Users)/", stored) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_links_of_a_notebook_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_what_a_notebook_draws_stands_in_frames_that_do_not_clash(executed: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(HTMLExporter().from_notebook_node(executed.notebook)[0], encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page()
        page.route("http*://**", lambda route: route.abort())  # what the exporter itself would fetch
        page.goto(file.as_uri())
        frames, drawn = page.frames[1:], page.locator("iframe")
        assert [frame.locator("h1").inner_text() for frame in frames] == DRAWN[executed.name]
        title = executed.notebook.cells[0].source.splitlines()[0].removeprefix("# ")
        assert page.locator("h1").all_inner_texts() == [title]  # a report stays in its frame
        for i, frame in enumerate(frames):
            size = drawn.nth(i).bounding_box()
            assert size is not None and size["width"] > 300 and size["height"] > 150
            assert set((drawn.nth(i).get_attribute("sandbox") or "none").split()) <= {
                "allow-scripts",
                "allow-downloads",
            }
            assert frame.evaluate(REACH_OUT) == "refused"
            ids = frame.locator("[id]").evaluate_all("found => found.map(e => e.id)")
            assert len(ids) == len(set(ids))
            assert frame.evaluate("() => window.mark ?? (window.mark = 'mine')") == "mine"
            assert all(other.evaluate("() => window.mark ?? null") is None for other in frames[i + 1 :])
        browser.close()
