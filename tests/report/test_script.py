"""The page in a real browser: the content policy lets the script run, and it does what it should."""

import html
import shutil
import subprocess

import pytest

from intermodal.report import write

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --virtual-time-budget=2000 --dump-dom"""


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome to run the page's script")
def test_the_script_runs_under_the_policy_and_a_matrix_has_one_tab_stop(full, read_page, tmp_path):
    full["blocks"][3]["columns"][0] = "</script><script>document.title='pwned'</script>"
    path = write(full, tmp_path / "r.html")
    command = [BROWSER, *QUIET.split(), f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
    made = subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode()
    page = read_page(made)
    grids = [attrs for attrs in page.named("table") if attrs.get("role") == "grid"]
    assert len(grids) == 1
    assert [attrs["tabindex"] for attrs in page.named("td") if "tabindex" in attrs] == ["0"] + ["-1"] * 5
    assert page.texts.count("Copy as CSV") == len(page.named("button")) == 4
    assert f"<title>{html.escape(full['title'])}</title>" in made
