"""Every kind of page in a browser: accessible, valid, light, still; by keyboard, without script, with little room."""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, ViewportSize, expect

from probes.management.commands.proof import Stand
from tests import pages
from tests.browser.conftest import WIDTHS, Watched
from tests.servers import Heard, listen, serving

# Every kind in English and from right to left. `make crawl` looks at all of all. At one time: results burn.
ALL = bool(os.environ.get("EVERY_LANGUAGE"))
LANGUAGES = [code for code, _name in settings.LANGUAGES] if ALL else ["en", "ar"]
IN_THE_DARK = {  # which have all the colours between them
    *("home", "models", "provider-key-probes", "promise", "result", "results"),
    *("errors", "review", "compare", "sign-in"),
}
HEAVIEST = 60 * 1024
ZOOMED: ViewportSize = {"width": 320, "height": 256}  # 1280 x 1024 at 400 %

Faults = dict[str, list[str]]


@pytest.fixture(scope="module")
def node() -> None:
    if not pages.NODE and os.environ.get("CI"):
        pytest.fail("CI has no node_modules: axe and the validator may not be skipped there", pytrace=False)
    if not pages.NODE:
        pytest.skip("no node_modules (make node_modules): axe and the validator were not asked")


@pytest.fixture(scope="module")
def seen(browser: Browser, stand: Stand) -> Iterator[Watched]:
    context = browser.new_context(viewport=WIDTHS[0])
    pages.watch_shift(context)
    watched = Watched(context, stand.url)
    yield watched
    watched.context.close()


@pytest.fixture(scope="module", params=LANGUAGES)
def opened(request: pytest.FixtureRequest, seen: Watched) -> Iterator[dict[str, Page]]:
    """A tab for each kind of page in a language. A test leaves it as it was."""
    tabs, language = {}, request.param
    kinds = {kind: seen.url + pages.address(path, language) for kind, path in pages.KINDS.items()}
    for kind, url in (kinds | pages.results(seen.page, seen.url, language)).items():
        tabs[f"{kind}, {language}"] = page = seen.context.new_page()
        answered = page.goto(url)
        assert answered
        assert answered.status == (404 if kind in ("burned", "missing") else 200), kind
    yield tabs
    for page in tabs.values():
        page.close()


def assert_none(faults: Faults) -> None:
    lines = [f"{name}: {fault}" for name, found in faults.items() for fault in found]
    assert not lines, "\n".join(lines)


def in_one_language(opened: dict[str, Page]) -> dict[str, Page]:
    """For what no language changes: every kind of page, each once."""
    language = next(iter(opened)).rpartition(" ")[2]
    return {name: page for name, page in opened.items() if name.endswith(f" {language}")}


def test_no_page_has_a_fault_that_axe_finds(node: None, opened: dict[str, Page]) -> None:
    """Colours are looked at in one language, in light and in dark."""
    faults: Faults = {}
    for name, page in opened.items():
        faults[name] = pages.axe(page, without="" if name in in_one_language(opened) else "color-contrast")
    for name, page in in_one_language(opened).items():
        if name.partition(",")[0] not in IN_THE_DARK:
            continue
        page.emulate_media(color_scheme="dark")
        faults[f"{name}, dark"] = pages.axe(page, "color-contrast")
        page.emulate_media(color_scheme="light")
    assert_none(faults)


def test_every_page_is_valid_html(node: None, opened: dict[str, Page]) -> None:
    faults = pages.valid({name: page.request.get(page.url).text() for name, page in opened.items()})
    assert not faults, "\n".join(faults)


def test_no_page_weighs_more_than_60_kib(opened: dict[str, Page]) -> None:
    sizes: dict[str, int] = {}
    weights = {name: pages.weight(page, sizes) for name, page in opened.items()}
    assert {name: weight for name, weight in weights.items() if weight > HEAVIEST} == {}


def test_nothing_moves_under_the_reader(opened: dict[str, Page]) -> None:
    shifts = {name: pages.shift(page) for name, page in opened.items()}
    assert {name: shift for name, shift in shifts.items() if shift} == {}


def test_nothing_moves_where_a_page_arrives_in_pieces(browser: Browser, stand: Stand) -> None:
    """A long table that is painted too early finds its widths anew with each piece."""

    def piecemeal(connection: Any, heard: Heard) -> None:
        path = listen(connection, heard).split()[1].decode()
        with urllib.request.urlopen(stand.url + path) as answer:
            kind, body = answer.headers["Content-Type"], answer.read()
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode())
        for start in range(0, len(body), 4096):
            connection.sendall(body[start : start + 4096])
            time.sleep(0.04 if "html" in kind else 0)

    with serving(piecemeal) as heard, closing(browser.new_context(viewport=WIDTHS[0])) as context:
        pages.watch_shift(context)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{heard.port}/providers/")
        page.wait_for_timeout(400)  # the watch ends after 300
        assert pages.shift(page) == 0


def test_a_page_is_read_without_scripts(browser: Browser, seen: Watched, opened: dict[str, Page]) -> None:
    """All that the scripts add is for what the reader does, not for what he reads."""
    faults: Faults = {}
    context = browser.new_context(
        viewport=WIDTHS[0], java_script_enabled=False, storage_state=seen.context.storage_state()
    )
    bare = context.new_page()
    for name, page in in_one_language(opened).items():
        bare.goto(page.url)
        without = pages.lines(bare)
        faults[name] = [line for line in pages.lines(page) if line not in without]
    context.close()
    assert_none(faults)


def test_the_first_stop_leads_past_the_head(opened: dict[str, Page]) -> None:
    for name, page in in_one_language(opened).items():
        pages.to_top(page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.hash") == "#main", name
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        page.evaluate("history.replaceState(null, '', location.pathname + location.search)")  # as it was


def test_everything_is_reached_by_keyboard_in_order_and_in_sight(opened: dict[str, Page]) -> None:
    """But for three lists whose hundreds of rows are all alike."""
    faults: Faults = {}
    for name, page in in_one_language(opened).items():
        if name.partition(",")[0] not in ("providers", "models", "capabilities"):
            faults[name] = pages.walk(page)
    assert_none(faults)


def test_a_page_fits_at_four_times_its_size(node: None, opened: dict[str, Page]) -> None:
    faults: Faults = {}
    for name, page in opened.items():
        page.set_viewport_size(ZOOMED)
        faults[name] = pages.cramped(page) + pages.axe(page, "scrollable-region-focusable")
        page.set_viewport_size(WIDTHS[0])
    assert_none(faults)


def test_a_page_fits_with_text_twice_its_size(opened: dict[str, Page]) -> None:
    faults: Faults = {}
    for name, page in opened.items():
        page.evaluate("document.documentElement.style.fontSize = '32px'")
        faults[name] = pages.cramped(page)
        page.evaluate("document.documentElement.style.fontSize = ''")
    assert_none(faults)


def test_no_page_complains_or_asks_anybody_else(seen: Watched, opened: dict[str, Page]) -> None:
    assert [text for text in seen.complaints if "404" not in text] == []  # Chromium reports the status
    assert seen.strangers == []
