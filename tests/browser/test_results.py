"""Many keys in a browser: rows that arrive, are filtered, sorted, opened and compared; and the end of their time."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import WIDTHS, Watched
from tests.browser.test_browser import assert_looks
from tests.test_flow import FINE_GRAINED, NO_CREDIT, RESTRICTED, SHARED

Visit = Callable[..., Watched]
ANTHROPIC = [f"sk-ant-api03-{n:04d}{'A' * 89}AA" for n in range(17)]
HUGGING_FACE = [f"hf_TestKeyLabNobodys{n:017d}" for n in range(19)]
FORTY = [FINE_GRAINED, NO_CREDIT, RESTRICTED, *ANTHROPIC, *HUGGING_FACE, SHARED]
FEW = [FINE_GRAINED, NO_CREDIT, RESTRICTED, HUGGING_FACE[0]]


def start(seen: Watched, keys: list[str], language: str = "") -> str:
    """Paste, look through, start; the address of the result."""
    address = seen.submit("\n".join(keys), language=language)
    seen.page.locator("#review button").last.click()
    seen.page.locator("table.rows").wait_for()
    return address


def shown(page: Page) -> list[int]:
    """The numbers of the rows that are shown, in order."""
    rows = page.locator("table.rows tbody tr[data-number]:visible")
    return [int(n) for n in rows.evaluate_all("rows => rows.map((row) => row.dataset.number)")]


def row(page: Page, number: int) -> Locator:
    return page.locator(f"table.rows tr[data-number='{number}']")


def opener(page: Page, number: int) -> Locator:
    return row(page, number).locator(".label a")


def test_forty_mixed_keys_arrive_in_their_rows_without_a_reload(visit: Visit) -> None:
    seen = visit()
    start(seen, FORTY)
    page = seen.page
    page.evaluate("window.sameDocument = true")
    expect(page.get_by_role("status")).to_have_text("Checking. Findings appear as they arrive.")
    expect(page.get_by_role("progressbar", name="Keys done")).to_be_visible()
    expect(page.locator(".progress")).to_contain_text(re.compile(r"\d+ of 39"))
    opener(page, 3).focus()
    seen.done()
    expect(opener(page, 3)).to_be_focused()
    expect(row(page, 2)).to_contain_text("Works, no credit")
    expect(row(page, 30)).to_contain_text("Refused")
    expect(row(page, 40)).to_contain_text("Which provider?")
    expect(page.locator("#tally")).to_contain_text("Refused 36")
    expect(page.locator(".status")).to_contain_text("0 tokens spent")
    expect(page.locator("#tally li[data-standing=running]")).to_be_hidden()
    assert shown(page) == list(range(1, 41))
    assert page.evaluate("window.sameDocument")


@pytest.mark.parametrize("language", ["", "/de"])
def test_balances_are_sorted_by_what_they_are_however_they_are_written(visit: Visit, language: str) -> None:
    seen = visit()
    start(seen, FEW, language)
    page = seen.page
    page.locator("#progress[data-running=no]").wait_for(state="attached")
    page.evaluate(
        """() => [["1234.50", "1.234,50 USD"], ["99.00", "99,00 USD"], ["12.00", "12,00 USD"]].forEach(
            ([amount, text], at) => {
                const row = document.querySelectorAll("table.rows tbody tr")[at];
                row.dataset.amount = amount;
                row.querySelector(".balance").textContent = text;
            })"""
    )
    page.locator("[data-sort=balance]").click()
    assert shown(page) == [1, 2, 3, 4]


def test_a_filter_without_a_hit_says_so_and_leads_back(visit: Visit) -> None:
    seen = visit()
    start(seen, FEW)
    page = seen.page
    seen.done()
    expect(page.get_by_text("No key passes these filters.")).to_be_hidden()
    page.get_by_label("Verdict", exact=True).select_option("leaked")
    expect(page.get_by_text("No key passes these filters.")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    page.wait_for_load_state()
    assert shown(page) == [1, 2, 3, 4]


def test_rows_are_filtered_and_sorted_in_the_page(visit: Visit) -> None:
    seen = visit()
    address = start(seen, FEW)
    page = seen.page
    seen.done()
    page.evaluate("window.sameDocument = true")
    page.get_by_label("Verdict", exact=True).select_option("accepted")
    assert shown(page) == [1, 2, 3]
    expect(page.locator(".filters")).to_contain_text("3 of 4 shown")
    page.get_by_label("Provider", exact=True).select_option("openai")
    assert shown(page) == [2, 3]
    query = "format=csv&verdict=accepted&provider=openai"
    assert (page.locator("a.export").first.get_attribute("href") or "").endswith(query)
    page.get_by_label("Provider", exact=True).select_option("")
    page.get_by_label("Verdict", exact=True).select_option("")
    page.get_by_role("link", name="Balance").click()
    assert shown(page) == [2, 1, 3, 4]
    expect(page.get_by_role("columnheader", name="Balance")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("link", name=re.compile("Refused 1")).click()
    assert shown(page) == [4]
    assert page.evaluate("window.sameDocument")
    assert page.url == f"{address}?verdict=invalid&sort=balance"
    page.reload()
    assert shown(page) == [4]


def test_rows_are_filtered_sorted_and_opened_without_scripts(visit: Visit) -> None:
    seen = visit(java_script_enabled=False)
    start(seen, FEW)
    page = seen.page
    while page.get_by_role("link", name="Show the latest").count():
        page.wait_for_timeout(300)
        page.get_by_role("link", name="Show the latest").click()
    page.get_by_label("Verdict", exact=True).select_option("accepted")
    page.get_by_label("Order").select_option("verdict")
    page.get_by_role("button", name="Show").click()
    assert shown_without_scripts(page) == [1, 3, 2]
    opener(page, 2).click()
    expect(page.get_by_text("The balance is used up.").first).to_be_visible()
    page.get_by_role("link", name="Back to all keys").click()
    row(page, 1).get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("tick exactly two")).to_be_visible()
    seen.complaints = [c for c in seen.complaints if "422" not in c]  # Chromium reports the status


def shown_without_scripts(page: Page) -> list[int]:
    rows = page.locator("table.rows tbody tr[data-number]:visible").all()
    return [int(each.get_attribute("data-number") or 0) for each in rows]


def test_a_row_opens_in_place_by_keyboard_and_closes_again(visit: Visit) -> None:
    seen = visit()
    start(seen, FEW)
    page = seen.page
    seen.done()
    link, place = opener(page, 2), page.locator("tr.opened")
    expect(link).to_have_attribute("aria-expanded", "false")
    link.focus()
    page.keyboard.press("Enter")
    expect(place).to_contain_text("The balance is used up.")
    expect(link).to_have_attribute("aria-expanded", "true")
    expect(link).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(place).to_have_count(0)
    expect(link).to_be_focused()
    link.click()
    page.get_by_label("Order").select_option("label")
    assert place.evaluate("place => place.previousElementSibling.dataset.number") == "2"
    page.get_by_label("Provider", exact=True).select_option("huggingface")
    expect(place).to_be_hidden()
    page.get_by_label("Provider", exact=True).select_option("")
    page.get_by_role("button", name="Close").click()
    expect(place).to_have_count(0)


def test_a_row_that_is_open_is_filled_when_its_key_is_done(visit: Visit) -> None:
    seen = visit()
    start(seen, FEW)
    opener(seen.page, 2).click()
    seen.done()
    expect(seen.page.locator("tr.opened")).to_contain_text("The balance is used up.")


def test_two_keys_are_compared_and_the_difference_is_told_in_words(visit: Visit) -> None:
    seen = visit()
    start(seen, FEW)
    page = seen.page
    seen.done()
    button = page.get_by_role("button", name="Compare")
    expect(button).to_be_disabled()
    row(page, 2).get_by_role("checkbox").check()
    row(page, 3).get_by_role("checkbox").check()
    with seen.context.expect_page() as opened:
        button.click()
    beside = opened.value
    expect(beside.get_by_role("heading", name="Two keys side by side")).to_be_visible()
    differing = beside.get_by_role("row").filter(has_text="Verdict").first
    expect(differing).to_contain_text("differs")
    expect(differing).to_contain_text("Works, no credit")
    expect(differing).to_contain_text("Works, limited permissions")


def test_an_export_is_copied_as_the_filter_shows_it(visit: Visit) -> None:
    seen = visit(permissions=["clipboard-read", "clipboard-write"])
    start(seen, FEW)
    page = seen.page
    seen.done()
    page.get_by_label("Provider", exact=True).select_option("huggingface")
    page.get_by_text("Act before it burns").click()
    page.get_by_role("button", name="Copy CSV").click()
    expect(page.get_by_role("button", name="Copy CSV")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "huggingface" in copied
    assert "openai" not in copied


def test_a_check_is_cancelled_while_it_runs(visit: Visit) -> None:
    seen = visit()
    start(seen, FORTY)
    page = seen.page
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".status")).to_contain_text("Cancelled at")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    expect(page.get_by_role("status")).to_contain_text("Done.")


def test_the_last_minute_is_warned_of_once(visit: Visit) -> None:
    seen = visit()
    seen.page.clock.install()
    start(seen, FEW)
    page = seen.page
    for _ in range(40):
        page.clock.run_for(500)
        if "Done." in page.get_by_role("status").inner_text():
            break
        page.wait_for_timeout(50)
    expect(page.locator("#soon")).to_be_hidden()
    page.clock.fast_forward(243_000)
    page.clock.run_for(1000)
    expect(page.locator("#soon")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("Less than a minute is left.")
    page.evaluate("document.getElementById('status').textContent = 'heard'")
    page.clock.run_for(5000)
    expect(page.get_by_role("status")).to_have_text("heard")


@pytest.mark.parametrize("part", ["keys/2/", "compare/?a=1&b=2"])
def test_every_page_of_a_result_empties_itself_when_the_time_is_over(visit: Visit, part: str) -> None:
    seen = visit()
    seen.page.clock.install()
    address = start(seen, FEW)
    seen.page.goto(address + part)
    asked: list[str] = []

    def late(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=404, content_type="text/html", body="<main>gone</main>")

    seen.page.route(address, late)
    seen.page.clock.fast_forward(301_000)
    expect(seen.page.locator("main")).to_have_text("gone")
    assert asked == [address]


def test_a_thousand_keys_are_told_apart_started_and_shown(visit: Visit) -> None:
    letters = random.Random(4)
    keys = ["hf_" + "".join(letters.choices(string.ascii_letters, k=34)) for _ in range(1000)]
    seen = visit()
    start(seen, keys)
    page = seen.page
    page.evaluate("window.sameDocument = true")
    expect(page.get_by_role("heading", name="Results for 1,000 keys")).to_be_visible()
    page.get_by_role("status").filter(has_text="Done.").wait_for(timeout=60_000)
    expect(page.locator("#tally")).to_contain_text("Refused 1,000")
    opener(page, 900).click()
    expect(page.locator("tr.opened")).to_contain_text("Refused by huggingface.co", timeout=20_000)
    assert page.evaluate("window.sameDocument")


def test_rows_are_cards_of_few_lines_where_it_is_narrow(visit: Visit) -> None:
    seen = visit(viewport=WIDTHS[1])
    start(seen, FEW)
    seen.done()
    heights = seen.page.locator("table.rows tbody tr").evaluate_all("rows => rows.map((row) => row.offsetHeight)")
    assert max(heights) < 110, heights
    assert seen.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_rows_an_opened_row_and_a_comparison_fit_and_are_legible(visit: Visit) -> None:
    seen = visit()
    address = start(seen, [*FEW, SHARED])
    seen.done()
    opener(seen.page, 2).click()
    seen.page.locator("tr.opened").wait_for()
    assert_looks(seen.page)
    seen.page.goto(f"{address}compare/?a=1&b=2")
    assert_looks(seen.page)
