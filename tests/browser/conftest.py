"""A real Chromium before a real TestKey with the lab, for all tests in this folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from probes.management.commands.proof import Stand
from tests.pages import CHROMIUM

BETWEEN = 400  # ms that the lab takes for an answer, so that the page is seen before it
WIDTHS: list[ViewportSize] = [{"width": 1280, "height": 900}, {"width": 390, "height": 800}]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not CHROMIUM and os.environ.get("CI"):
        pytest.fail("CI has no Chromium: the browser tests may not be skipped there", pytrace=False)
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine: nothing was tried in a browser")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="package")
def stand(browser: Browser, shipped_file: Path) -> Iterator[Stand]:
    with Stand("--lab-delay", str(BETWEEN), database=shipped_file) as running:
        yield running


class Watched:
    """A visitor's browser. It notes whatever a page complains of, and whom it asks but us."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context, self.url = context, url
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        context.on("console", lambda m: self.complain(m.text, m.location["url"]) if m.type != "log" else None)
        context.on("weberror", lambda e: self.complaints.append(str(e.error)))
        context.on("request", lambda r: self.asks(r.url))
        self.page: Page = context.new_page()

    def complain(self, text: str, place: str) -> None:
        # Chromium reports the page of what was burned: it is a 404.
        if not ("404" in text and "/checks/" in place):
            self.complaints.append(f"{place}: {text}")

    def asks(self, url: str) -> None:
        if not url.startswith((f"{self.url}/", "data:", "blob:")):
            self.strangers.append(url)

    def submit(self, keys: str, base_url: str = "", language: str = "") -> str:
        """Paste and press the button. The address of the result. language: as addresses begin, "/de"."""
        self.page.goto(f"{self.url}{language}/")
        self.page.locator("[name=keys]").fill(keys)
        if base_url:
            self.page.locator("[name=base_url]").fill(base_url)
        self.page.locator("#paste .submit button").click()
        self.page.wait_for_url(re.compile("/checks/[^/]+/$"))
        return self.page.url

    def done(self) -> None:
        self.page.get_by_role("status").filter(has_text="Done.").wait_for(timeout=15_000)


@pytest.fixture
def visit(browser: Browser, stand: Stand) -> Iterator[Callable[..., Watched]]:
    opened: list[Watched] = []

    def visit(**options: Any) -> Watched:
        opened.append(Watched(browser.new_context(**({"viewport": WIDTHS[0]} | options)), stand.url))
        return opened[-1]

    yield visit
    for watched in opened:
        watched.context.close()
        assert not watched.complaints
        assert not watched.strangers
