"""The paste stays the operator's: it lives in the page alone, and brings keys to files and to new checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Download, FilePayload, Page, expect

from probes.management.commands.proof import Stand
from tests.browser.conftest import Watched

HF = "hf_TestKeyLabFineGrained0000000000000"
OPENAI = "sk-TestKeyLabNoCredit00T3BlbkFJFakeKeyNeverIssued00"
SHARED = "sk-1abfa4edeadbeef600d0000000000000"  # DeepSeek's shape, and others'
RELAY = "sk-LABfakeRelayKeyGoodAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
RELAY_URL = "https://relay.example/v1"
MIXED = "\n".join(
    [
        *(f"HF_TOKEN_OF_TEAM={HF[:-4]}{i:04d}" for i in range(20)),
        *(f"sk-ant-api03-{i:04d}{'A' * 89}AA" for i in range(12)),
        f'{{"base_url": "{RELAY_URL}", "api_key": "{RELAY}"}}',
        *(f"{SHARED[:-2]}{i:02d}" for i in range(7)),
    ]
)
STORED = """async () => JSON.stringify([
  {...localStorage}, {...sessionStorage}, await indexedDB.databases(), history.state, document.cookie, location.href,
  await caches.keys(),
])"""

Visit = Callable[..., Watched]


def paste(page: Page, url: str, keys: str) -> None:
    page.goto(f"{url}/")
    page.get_by_label("Keys").fill(keys)


def press_check(page: Page) -> None:
    page.get_by_role("button", name="Check", exact=True).click()


def forgive(seen: Watched, status: str) -> None:
    """Chromium reports an answer's status as a complaint; this one is expected."""
    assert any(status in complaint for complaint in seen.complaints)
    seen.complaints = [complaint for complaint in seen.complaints if status not in complaint]


def test_forty_mixed_keys_are_reviewed_then_started_in_one_document(visit: Visit, stand: Stand) -> None:
    seen = visit()
    page, before = seen.page, stand.asked()["keys"]
    seen.submit(MIXED)
    page.evaluate("window.sameDocument = true")
    expect(page.locator("h1")).to_be_focused()
    expect(page.get_by_role("heading", name="been sent yet")).to_be_visible()
    group = page.get_by_role("group", name="relay.example/v1")
    expect(group).to_contain_text(f"Will be sent to {RELAY_URL}")
    assert stand.asked()["keys"] == before

    expect(page.get_by_role("button", name="Start: 33 keys")).to_be_visible()
    open_group = page.get_by_role("group", name="Which provider?")
    open_group.get_by_label("Or it is a key of").select_option("deepseek")
    expect(page.get_by_role("button", name="Start: 40 keys")).to_be_visible()
    group.get_by_text("Leave keys out").click()
    group.get_by_role("checkbox").check()
    start = page.get_by_role("button", name="Start: 39 keys")
    start.focus()
    page.keyboard.press("Enter")
    seen.done()
    assert page.evaluate("window.sameDocument")
    expect(page.locator("main")).to_contain_text("Line 33: not sent, because you left it out.")
    expect(page.locator("tr[data-provider=deepseek]")).to_have_count(7)


def test_a_curl_command_is_enough(visit: Visit) -> None:
    seen = visit()
    header = f'  -H "Authorization: Bearer {OPENAI}"'
    seen.submit(f"curl https://api.openai.com/v1/models \\\n{header}")
    seen.done()
    expect(seen.page.get_by_text("Works, no credit").first).to_be_visible()
    assert seen.page.evaluate(f"testkey.keyAt(2, {header.index(OPENAI)}, {len(OPENAI)})") == OPENAI


def test_files_join_the_paste_by_drop_and_by_picker(visit: Visit) -> None:
    seen = visit()
    page = seen.page
    paste(page, seen.url, HF)
    box = page.get_by_label("Keys")
    dropped = page.evaluate_handle(
        "(text) => { const d = new DataTransfer(); d.items.add(new File([text], 'team.env')); return d; }", OPENAI
    )
    box.dispatch_event("drop", {"dataTransfer": dropped})
    expect(page.get_by_text("Added to the box: team.env")).to_be_visible()
    wide = FilePayload(name="wide.txt", mimeType="text/plain", buffer=SHARED.encode("utf-16"))
    page.get_by_label("Files").set_input_files(wide)
    expect(page.get_by_text("Added to the box: wide.txt")).to_be_visible()
    assert box.input_value().split() == [HF, OPENAI, SHARED]
    large = FilePayload(name="large.txt", mimeType="text/plain", buffer=b"x" * 2**20)
    page.get_by_label("Files").set_input_files(large)
    expect(page.get_by_text("nothing of it was read")).to_be_visible()
    assert box.input_value().split() == [HF, OPENAI, SHARED]


def test_back_brings_the_paste_and_nothing_of_it_is_stored(visit: Visit) -> None:
    seen = visit()
    page = seen.page
    url = seen.submit(f"{HF}\n{SHARED}")
    stored = page.evaluate(STORED) + str(seen.context.cookies())
    assert HF[3:15] not in stored
    assert SHARED[3:15] not in stored
    assert HF not in page.content()
    page.go_back()
    expect(page.get_by_label("Keys")).to_have_value(f"{HF}\n{SHARED}")
    page.go_forward()
    expect(page.get_by_role("heading", name="been sent yet")).to_be_visible()
    assert page.url == url
    page.reload()
    assert page.evaluate("testkey.keyAt?.(1, 0, 37) ?? ''") == ""


def test_keys_go_into_an_export_only_in_the_browser_and_only_when_ticked(visit: Visit) -> None:
    seen = visit()
    page = seen.page
    seen.submit(HF)
    seen.done()
    page.get_by_text("Act before it burns").click()
    assert "TESTKEY-KEY-1" in downloaded(page)
    page.get_by_label("With the keys themselves").check()
    expect(page.locator("li", has=page.locator("a.export[data-format=csv]"))).to_contain_text("with keys")
    with page.expect_response("**/export/**") as sent:
        whole = downloaded(page)
    assert HF in whole
    assert "TESTKEY-KEY-" not in whole
    assert HF not in sent.value.text()


def downloaded(page: Page) -> str:
    with page.expect_download() as download:
        page.locator("a.export[data-format=csv]").click()
    file: Download = download.value
    assert file.suggested_filename == "testkey-csv.csv"
    return file.path().read_text()


def test_a_key_is_checked_again_from_the_paste(visit: Visit, stand: Stand) -> None:
    seen = visit()
    page = seen.page
    first = seen.submit(RELAY, RELAY_URL)
    seen.done()
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url(lambda url: "/checks/" in url and url != first)
    expect(page.get_by_text("relay.example").first).to_be_visible()
    page.go_back()
    expect(page).to_have_url(first)
    page.go_back()
    expect(page.get_by_label("Keys")).to_have_value(RELAY)


def test_a_comparison_opens_beside_the_result_so_that_the_paste_stays(visit: Visit) -> None:
    seen = visit()
    page = seen.page
    seen.submit(f"{HF}\n{OPENAI}")
    page.get_by_role("button", name="Start").click()
    seen.done()
    for box in page.locator("table.rows tbody input").all():
        box.check()
    with seen.context.expect_page() as opened:
        page.get_by_role("button", name="Compare").click()
    expect(opened.value.get_by_role("heading", name="Two keys side by side")).to_be_visible()
    page.get_by_text("Act before it burns").click()
    page.get_by_label("With the keys themselves").check()
    assert OPENAI in downloaded(page)


def test_a_key_is_checked_again_after_a_sign_in_elsewhere(visit: Visit) -> None:
    """Signing in changes the CSRF token that the open page holds."""
    seen = visit()
    page = seen.page
    first = seen.submit(HF)
    seen.done()
    seen.context.clear_cookies()
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url(lambda url: "/checks/" in url and url != first)
    forgive(seen, "403")


def test_a_refused_paste_stays_in_the_box(visit: Visit) -> None:
    seen = visit()
    page = seen.page
    paste(page, seen.url, "sk-proj-Zq9k…Ab3d")
    page.get_by_label("Base URL").fill("https://relay.example/v1")
    press_check(page)
    expect(page.locator("#errors")).to_be_focused()
    expect(page.locator("#errors")).to_contain_text("Nothing was sent")
    expect(page.get_by_label("Keys")).to_have_value("sk-proj-Zq9k…Ab3d")
    expect(page.get_by_label("Keys")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Base URL")).to_have_value("https://relay.example/v1")
    forgive(seen, "422")


@pytest.mark.parametrize("answer", ["none", "413"])
def test_a_paste_that_does_not_arrive_stays_in_the_box(visit: Visit, answer: str) -> None:
    seen = visit()
    page = seen.page

    def refuse(route: Any) -> None:
        if answer == "none":
            route.abort()
        else:
            route.fulfill(
                status=413, content_type="text/html", body='<main><h1>Sorry</h1><p class="lead">Too large</p>'
            )

    page.route("**/checks/", refuse)
    paste(page, seen.url, HF)
    press_check(page)
    expect(page.get_by_role("alert")).to_contain_text({"none": "No answer came", "413": "Too large"}[answer])
    expect(page.get_by_label("Keys")).to_have_value(HF)
    expect(page.get_by_role("button", name="Check", exact=True)).to_be_enabled()
    forgive(seen, {"none": "ERR_FAILED", "413": "413"}[answer])


def test_a_paste_of_more_than_a_mebibyte_is_not_sent(visit: Visit) -> None:
    seen = visit()
    page = seen.page
    posts: list[str] = []
    page.on("request", lambda r: posts.append(r.url) if r.method == "POST" else None)
    paste(page, seen.url, "")
    page.evaluate("document.getElementById('id_keys').value = 'x'.repeat(2 ** 20 + 1)")
    press_check(page)
    expect(page.get_by_role("alert")).to_contain_text("larger than 1 MiB")
    assert posts == []


def test_a_double_click_submits_once(visit: Visit) -> None:
    seen = visit()
    page = seen.page
    posts: list[str] = []
    page.on("request", lambda r: posts.append(r.url) if r.method == "POST" else None)
    paste(page, seen.url, f"{HF}\n{OPENAI}")
    page.get_by_role("button", name="Check", exact=True).dblclick()
    expect(page.get_by_role("heading", name="been sent yet")).to_be_visible()
    assert len(posts) == 1


def test_a_fault_in_the_review_keeps_what_was_typed(visit: Visit) -> None:
    seen = visit()
    page = seen.page
    seen.submit(f"{HF}\n{SHARED}")
    field = page.get_by_label("It came with a base URL")
    field.fill("http://relay.example")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#errors")).to_be_focused()
    expect(field).to_have_value("http://relay.example")
    expect(field).to_have_attribute("aria-invalid", "true")
    forgive(seen, "422")


def test_the_review_works_without_scripts(visit: Visit) -> None:
    seen = visit(java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = seen.page
    url = seen.submit(MIXED)
    page.get_by_label("Or it is a key of").select_option("deepseek")
    page.get_by_label("Also ask probes").check()
    page.get_by_role("button", name="Start: 33 keys").click()
    assert page.url == url
    expect(page.get_by_role("heading", name="been sent yet")).to_have_count(0)
    expect(page.locator("button.again:visible")).to_have_count(0)


def test_the_review_is_worked_by_keyboard_alone(visit: Visit) -> None:
    seen = visit()
    page = seen.page
    seen.submit(f"{HF}\n{OPENAI}")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith("Start"):
            break
    page.keyboard.press("Enter")
    seen.done()
