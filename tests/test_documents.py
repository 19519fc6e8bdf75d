"""Every block of the README and the docs runs, and the two READMEs say the same."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from intermodal.explain.findings import KINDS
from intermodal.explain.outcome import OUTCOMES
from intermodal.explain.removal import RULES

ROOT = Path(__file__).resolve().parent.parent
ALL = ["README.md", "README.zh-CN.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]
CHINESE = [page for page in ALL if page.endswith(".zh-CN.md")]
PAGES = [page for page in ALL if page not in CHINESE]  # the blocks of a translation are those of its page, tested below
SET_UP = ("python3 -m venv", "pip install")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def found(mark: str, page: str) -> list[str]:
    """What matches outside the blocks of code."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(mark, text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run the Python blocks of a page once; the folder that they ran in, with what they left."""
    folders: dict[str, Path] = {}

    def run(page: str) -> Path:
        if page not in folders:
            folder = tmp_path_factory.mktemp("page")
            names: dict[str, object] = {"__name__": "__page__"}
            with contextlib.chdir(folder):
                for block in blocks(page, "python"):
                    exec(compile(block, page, "exec"), names)
            folders[page] = folder
        return folders[page]

    return run


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")])
def test_the_python_blocks_run(page: str, ran, capsys) -> None:
    written = re.findall(r'"([\w-]+\.html)"', "".join(blocks(page, "python")))
    assert all((ran(page) / name).stat().st_size > 1000 for name in written)


@pytest.mark.parametrize("page", ["docs/attention.md", "docs/trace.md"])
def test_every_number_that_is_taught_stands_in_a_block(page: str) -> None:
    computed = {float(number) for number in re.findall(r"\d+\.\d+", "".join(blocks(page, "python")))}
    taught = found(r"\b\d+\.\d+\b", page)
    assert taught
    assert [number for number in taught if float(number) not in computed] == []


def shell_lines(page: str) -> list[str]:
    lines = "".join(blocks(page, "sh")).splitlines()
    return [line for line in lines if line.strip() and not line.startswith(SET_UP)]


@pytest.mark.parametrize("page", [p for p in PAGES if shell_lines(p)])
def test_the_shell_blocks_run(page: str, tmp_path: Path, ran, capsys) -> None:
    if ".npz" in "".join(blocks(page, "sh")):  # the commands take the models and the data that the page made
        tmp_path = ran(page)
    write = (
        "import numpy, pyarrow, pyarrow.parquet\n"
        "from intermodal.data.digits import load_digits6\n"
        "digits = load_digits6()[::20].only('fou', 'zer', 'mor')\n"
        "columns = {n: list(digits.modality(n).values) for n in digits.names}\n"
        "columns |= {'y': digits.y, 'split': digits.split.astype(str)}\n"
        "pyarrow.parquet.write_table(pyarrow.table(columns), 'digits6.parquet')\n"
    )
    subprocess.run([sys.executable, "-c", write], cwd=tmp_path, check=True)
    for line in shell_lines(page):
        words = shlex.split(line)
        assert words[0] == "intermodal", f"{page} shows a command that nobody runs: {line}"
        command = [sys.executable, "-m", "intermodal", *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_the_two_readmes_say_the_same() -> None:
    english, chinese = ((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "README.zh-CN.md"))
    for language in ("python", "sh"):
        assert blocks("README.md", language) == blocks("README.zh-CN.md", language)
    for mark in (r"^#+ ", r"^- ", r"^\| `", r"\]\((?!README)[^)]+\)"):
        counts = [len(re.findall(mark, text, flags=re.MULTILINE)) for text in (english, chinese)]
        assert counts[0] == counts[1], f"{mark}: {counts}"


def links(page: str) -> list[str]:
    """Where a page leads, but for the switch between languages; a translation counts as its page."""
    leads_to = [link.replace(".zh-CN.md", ".md") for link in found(r"\]\(([^)]+)\)", page)]
    return sorted(link for link in leads_to if link != Path(page).name.replace(".zh-CN.md", ".md"))


@pytest.mark.parametrize("chinese", CHINESE)
def test_a_translation_says_the_same(chinese: str) -> None:
    english = chinese.replace(".zh-CN.md", ".md")
    for page, other in ((english, chinese), (chinese, english)):
        assert f"]({Path(other).name})" in found(r"\]\([^)]+\)", page), f"{page} does not lead to {other}"
    for language in ("python", "sh"):
        assert blocks(english, language) == blocks(chinese, language)
    assert links(english) == links(chinese)
    assert found(r"^#+ ", english) == found(r"^#+ ", chinese), "headings"
    decimals = r"\b\d+\.\d+\b"
    assert sorted(found(decimals, english)) == sorted(found(decimals, chinese)), "numbers"
    for mark in (r"^\d+\. ", r"^- ", r"^\|", r"`[^`\n]+`", r"!\["):
        counts = [len(found(mark, page)) for page in (english, chinese)]
        assert counts[0] == counts[1], f"{mark}: {counts}"


@pytest.mark.parametrize("page", ["docs/explaining.md", "docs/explaining.zh-CN.md"])
def test_the_page_of_findings_has_every_finding_there_is(page: str) -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \| (D\d+)? ?\| (error|warning|note) \| \S", (ROOT / page).read_text("utf-8"), re.M
    )
    assert rows == [(name, kind.code, kind.severity) for name, kind in KINDS.items()]


@pytest.mark.parametrize("page", ["docs/explaining.md", "docs/explaining.zh-CN.md"])
def test_the_page_of_rules_has_every_rule_of_removal_and_every_outcome(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \| [^|]+ \|$", text, re.M) == list(RULES)
    assert [of for of in OUTCOMES if f"`{of}`" not in text] == []


@pytest.mark.parametrize("page", ALL)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert missing == []


def test_make_ci_and_readme_run_the_same_commands() -> None:
    demo, test = (block.strip() for block in blocks("README.md", "sh")[:2])
    assert test in (ROOT / ".ci" / "run").read_text()
    make = (ROOT / "Makefile").read_text().replace("$$", "$")
    assert demo in make and test in make
