"""A real Chromium before a real TestKey with the lab: what a person sees, with scripts and without."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from probes.management.commands.proof import Stand
from tests.browser.conftest import WIDTHS, Watched
from tests.test_flow import FINE_GRAINED, NO_CREDIT, RELAY, RELAY_URL, RESTRICTED, SHARED

HUGGING_FACE = "/provider-key-probes/huggingface-inventory-fit/"


def text(page: Page) -> str:
    return page.locator("main").inner_text()


# With scripts


def test_findings_arrive_by_themselves(visit: Callable[..., Watched]) -> None:
    seen = visit()
    seen.submit(FINE_GRAINED)
    page = seen.page
    expect(page.get_by_role("status")).to_contain_text("Checking.")
    expect(page.get_by_text("Asking huggingface.co")).to_be_visible()
    page.evaluate("window.sameDocument = true")
    seen.done()
    expect(page.get_by_text("It is Hugging Face Router").first).to_be_visible()
    expect(page.get_by_text("Works, limited permissions").first).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("Done.")
    expect(page.locator(".status")).to_contain_text("Keys destroyed at")
    assert page.evaluate("window.sameDocument")  # nobody loaded the page again


def test_word_that_the_keys_are_destroyed_arrives_when_the_result_was_there_before(
    visit: Callable[..., Watched],
) -> None:
    seen = visit()
    early: list[str] = []

    def before(route: Any) -> None:
        answer = route.fetch()
        html = answer.text() if answer.status == 200 else ""
        if 'data-running="no"' not in html or early:
            return route.fulfill(response=answer)
        early.append(route.request.url)
        html = re.sub(r"Keys destroyed at [\d:]+ UTC\.", "", html.replace('data-running="no"', 'data-running="ending"'))
        return route.fulfill(response=answer, body=html, headers={**answer.headers, "etag": '"of before"'})

    seen.page.route("**/live/**", before)
    seen.submit(FINE_GRAINED)
    seen.done()
    expect(seen.page.locator(".status")).to_contain_text("Keys destroyed at")
    assert early


def test_the_clock_counts_down(visit: Callable[..., Watched]) -> None:
    seen = visit()
    seen.submit(FINE_GRAINED)
    clock = seen.page.locator("#clock time")
    first = clock.inner_text()
    assert re.fullmatch(r"(5:00|4:5\d)", first)
    expect(clock).not_to_have_text(first, timeout=3000)
    seen.done()
    assert re.fullmatch(r"4:5\d", clock.inner_text())


def test_the_page_empties_itself_when_the_time_is_over(visit: Callable[..., Watched]) -> None:
    seen = visit()
    seen.page.clock.install()
    url = seen.submit(FINE_GRAINED)
    seen.page.clock.run_for(3000)
    asked: list[str] = []

    def late(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(status=404, content_type="text/html", body="<main>gone</main>")

    seen.page.route(url, late)
    seen.page.clock.fast_forward(301_000)
    expect(seen.page.locator("main")).to_have_text("gone")
    assert asked == [url]


def test_a_shared_key_is_chosen_and_then_asked(visit: Callable[..., Watched], stand: Stand) -> None:
    seen = visit()
    before = stand.asked()["keys"].get("api.deepseek.com", 0)
    seen.submit(SHARED)
    page = seen.page
    expect(page.get_by_role("heading", name="Which provider?")).to_be_visible()
    assert stand.asked()["keys"].get("api.deepseek.com", 0) == before
    page.get_by_label("Or it is a key of").select_option("deepseek")
    page.get_by_role("button", name="Start: 1 key").click()
    seen.done()
    expect(page.get_by_text("It is DeepSeek").first).to_be_visible()
    assert stand.asked()["keys"]["api.deepseek.com"] > before


def test_a_choice_in_the_making_survives_the_findings_of_others(visit: Callable[..., Watched]) -> None:
    seen = visit()
    seen.submit(f"{FINE_GRAINED}\n{SHARED}")
    seen.page.get_by_role("button", name="Start: 1 key").click()
    seen.page.locator("summary", has_text="1 key waits for your start").click()
    field = seen.page.get_by_label("It came with a base URL")
    field.fill("https://relay.example")
    expect(seen.page.locator("#key-1")).to_contain_text("It is Hugging Face Router")
    assert field.input_value() == "https://relay.example"
    expect(field).to_be_focused()


def test_the_summary_is_copied_without_the_key(visit: Callable[..., Watched]) -> None:
    seen = visit(permissions=["clipboard-read", "clipboard-write"])
    seen.submit(NO_CREDIT)
    seen.done()
    page = seen.page
    page.get_by_text("Copy summary, without the key").click()
    page.locator(".summary-block").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "Whose: It is OpenAI" in copied
    assert "Works, no credit" in copied
    assert NO_CREDIT[3:15] not in copied


def test_a_burned_result_does_not_come_back(visit: Callable[..., Watched]) -> None:
    seen = visit()
    url = seen.submit(FINE_GRAINED)
    seen.done()
    page = seen.page
    page.get_by_role("button", name="Burn now").click()
    expect(page.get_by_role("heading", name="Burned, or not yours")).to_be_visible()
    for step in (page.go_back, page.go_forward, page.reload):
        step()
        assert "lab-fine" not in page.content()
        assert "It is Hugging Face" not in page.content()
    page.goto(url)
    assert "Burned, or not yours" in text(page)


def test_a_result_left_open_is_not_shown_again_by_going_back(visit: Callable[..., Watched]) -> None:
    """Burned meanwhile: neither a cache nor the back-forward cache may hold it."""
    seen = visit()
    url = seen.submit(FINE_GRAINED)
    seen.done()
    seen.page.goto(f"{seen.url}/provider-key-probes/")
    other = seen.context.new_page()
    other.goto(url)
    other.get_by_role("button", name="Burn now").click()
    expect(other.get_by_role("heading", name="Burned, or not yours")).to_be_visible()
    seen.page.go_back()
    expect(seen.page.get_by_role("heading", name="Burned, or not yours")).to_be_visible()
    assert "lab-fine" not in seen.page.content()


def test_another_browser_sees_nothing(visit: Callable[..., Watched]) -> None:
    url = visit().submit(FINE_GRAINED)
    stranger = visit()
    stranger.page.goto(url)
    assert "Burned, or not yours" in text(stranger.page)


# Without scripts


def test_everything_works_without_scripts(visit: Callable[..., Watched]) -> None:
    seen = visit(java_script_enabled=False)
    page = seen.page
    url = seen.submit(f"{FINE_GRAINED}\n{SHARED}\nthis is no key")
    assert "Line 3: not sent" in text(page)
    page.get_by_label("Or it is a key of").select_option("deepseek")
    page.get_by_role("button", name="Start").click()
    assert page.url == url
    for _ in range(20):
        follow = page.get_by_role("link", name="Show the latest")
        if not follow.count():
            break
        page.wait_for_timeout(300)
        follow.click()
    whole = text(page)
    assert "Done." in whole
    assert "It is Hugging Face Router" in whole
    assert "It is DeepSeek" in whole
    page.locator("th.label a").first.click()
    page.get_by_text("Copy summary, without the key").click()
    expect(page.locator(".summary-block pre")).to_be_visible()
    page.get_by_role("button", name="Burn now").click()
    assert "Burned, or not yours" in text(page)
    page.go_back()
    assert "It is DeepSeek" not in page.content()


# How it looks

CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return rgb(getComputedStyle(document.documentElement).backgroundColor);
  };
  const weak = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const box = element.getBoundingClientRect();
    if (!own || !element.checkVisibility() || box.width < 2 || box.height < 2) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(rgb(style.color)), light(behind(element))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24;
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) weak.push(`${element.className}: ${element.textContent.trim()}`);
  }
  return weak;
}"""

WIDER = """() => {
  const root = document.documentElement;
  return root.scrollWidth > root.clientWidth ? `${root.scrollWidth} > ${root.clientWidth}` : "";
}"""


def assert_looks(page: Page) -> None:
    """With everything unfolded, at both widths, in light and in dark."""
    page.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
    for width in WIDTHS:
        page.set_viewport_size(width)
        assert page.evaluate(WIDER) == "", (page.url, width)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shade = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", shade)[:3])) < 384) == (scheme == "dark"), shade
        assert page.evaluate(CONTRAST) == [], (page.url, scheme)


@pytest.mark.parametrize("path", ["/", "/provider-key-probes/", HUGGING_FACE, "/checks/nothing/", "/nothing"])
def test_a_page_fits_and_is_legible(visit: Callable[..., Watched], path: str) -> None:
    seen = visit()
    seen.page.goto(seen.url + path)
    assert_looks(seen.page)
    seen.complaints = [c for c in seen.complaints if "404" not in c]  # Chromium reports the status


def test_results_fit_and_are_legible(visit: Callable[..., Watched]) -> None:
    seen = visit()
    seen.submit("\n".join([FINE_GRAINED, RESTRICTED, NO_CREDIT, SHARED, "this is no key"]))
    assert_looks(seen.page)
    seen.page.get_by_label("Or it is a key of").select_option("deepseek")
    seen.page.get_by_role("button", name="Start").click()
    seen.done()
    assert_looks(seen.page)
    seen.submit(RELAY, RELAY_URL)
    seen.done()
    assert_looks(seen.page)


def test_the_form_is_worked_by_keyboard_alone(visit: Callable[..., Watched]) -> None:
    seen = visit()
    page = seen.page
    page.goto(f"{seen.url}/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "keys":
            break
    page.keyboard.type(FINE_GRAINED)
    while page.evaluate("document.activeElement.tagName") != "BUTTON":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/checks/[^/]+/$"))
    seen.done()
