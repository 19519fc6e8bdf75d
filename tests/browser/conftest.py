"""One Chromium for each file of tests, without a network; a page that complains fails its test.

Without Chromium these tests fail, so that nobody takes silence for success; INTERMODAL_NO_BROWSER=1 skips them.
"""

from __future__ import annotations

import os
import runpy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from intermodal.report import write

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = """--no-sandbox --disable-gpu --disable-background-networking --no-first-run --disable-component-update
--disable-sync --disable-quic --disable-dev-shm-usage"""


@pytest.fixture(scope="session")
def pages() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "pages.py")))


# For each file and not for the whole run: while it lives, nobody else can run a loop of asyncio.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if os.environ.get("INTERMODAL_NO_BROWSER") == "1":
        pytest.skip("INTERMODAL_NO_BROWSER=1: the page is not tested in a browser")
    if PROGRAM is None:
        pytest.fail("the tests of the page need Chromium, however: none was found; apt install chromium", pytrace=False)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=PROGRAM, args=QUIET.split())
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Open a report offline; at the end, one request a page and not one complaint is what passes."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def open_it(report: dict[str, Any] | Path, *, ready: bool = True, **settings: Any) -> Page:
        path = report if isinstance(report, Path) else write(report, tmp_path / f"report{len(contexts)}.html")
        settings = {"viewport": {"width": 1280, "height": 900}, **settings}
        context = browser.new_context(offline=True, accept_downloads=True, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        if ready:
            page.locator("html[data-ready]").wait_for(state="attached")
        return page

    yield open_it
    for context in contexts:
        context.close()
    fetched = [url for url in requests if not url.startswith(("blob:", "data:"))]
    assert complaints == []
    assert len(fetched) == len(contexts), fetched
