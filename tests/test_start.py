"""The review: keys that were told apart wait, grouped by where they would go, until the operator starts them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from probes import burn, present_start, start, store
from probes.models import Check, Detection, State
from probes.start import Decision

HF = [f"hf_TestKeyFakeNeverIssued{i:04d}ABCDEFGH"[:37] for i in range(20)]
OPENAI = "sk-TestKeyLabNoCredit00T3BlbkFJFakeKeyNeverIssued00"
SHARED = "sk-1abfa4edeadbeef600d0000000000000"  # DeepSeek's shape, and others'
NOBODYS = "TestKeyOfNobodyThatWeKnow-123"
RELAY_URL = "https://relay.example/v1"

pytestmark = pytest.mark.django_db


@pytest.fixture
def submit(client: Client, queued: list[Any]) -> Callable[[str], str]:
    """Paste, and get the address of the check. Nothing is probed here."""

    def submit(*keys: str, **fields: str) -> str:
        response = client.post("/checks/", {"keys": "\n".join(keys), **fields})
        assert response.status_code == 303, visible(response.content.decode())
        return str(response["Location"])

    return submit


def visible(page: str) -> str:
    """A page's text in one line."""
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page).split()))


def review(client: Client, url: str) -> str:
    return client.get(url).content.decode()


def destinations() -> dict[str, list[tuple[str, str]]]:
    """Where the queued keys go, by label or line, several where one key goes to several."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in Detection.objects.filter(state=State.QUEUED):
        found.setdefault(f"line {row.line}", []).append((row.provider, row.base_url))
    return found


def waiting() -> int:
    return Detection.objects.filter(state__in=start.WAITING).count()


def number(line: int) -> int:
    return Detection.objects.get(line=line, state__in=start.WAITING).number


# What is shown


def test_the_review_says_what_each_key_will_be_sent_to_before_anything_is(
    client: Client, submit: Callable[..., str], queued: list[Any]
) -> None:
    page = visible(review(client, submit(HF[0], HF[1], OPENAI)))
    assert "None of these keys has been sent yet" in page
    assert re.search(r"Hugging Face Router 2 keys Will be sent to huggingface\.co", page)
    assert re.search(r"OpenAI 1 key Will be sent to api\.openai\.com", page)
    assert "Start: 3 keys" in page
    assert re.search(r"Started or not, all 3 burn at \d\d:\d\d:\d\d UTC", page)
    assert not queued
    assert waiting() == 3


def test_one_clear_key_starts_at_once(client: Client, submit: Callable[..., str]) -> None:
    assert "sent yet" not in review(client, submit(HF[0]))
    assert waiting() == 0


def test_no_key_stands_in_the_review(client: Client, submit: Callable[..., str]) -> None:
    page = review(client, submit(*HF, SHARED))
    assert not [key for key in (*HF, SHARED) if key[3:15] in page]


def test_a_shared_shape_lists_its_candidates_with_their_hosts_and_ticks_none(
    client: Client, submit: Callable[..., str]
) -> None:
    page = review(client, submit(SHARED))
    assert re.search(r'type="checkbox" name="each-1" value="deepseek">', page)
    assert "DeepSeek api.deepseek.com" in visible(page)
    assert "checked" not in page
    assert "Start: " not in visible(page)


def test_a_long_group_shows_its_first_keys_and_folds_all(client: Client, submit: Callable[..., str]) -> None:
    page = review(client, submit(*HF, OPENAI))
    shown = re.search(r'<ul class="labels">(.*?)</ul>', page, re.S)
    assert shown
    assert shown[1].count("<code ") == present_start.SHOWN_KEYS
    assert "and 8 more" in visible(shown[1])
    assert page.count('name="leave"') == 21


def test_a_thousand_keys_in_thirty_groups_have_every_field_and_can_be_posted(
    client: Client, submit: Callable[..., str]
) -> None:
    lines = [
        f'{{"base_url": "https://relay{i % 30}.example/v1", "api_key": "sk-FakeRelayKey{i:040d}"}}' for i in range(1000)
    ]
    url = submit(*lines)
    page = review(client, url)
    names = re.findall(r'name="((?:leave|base_url-\d|base_url-key-|each-|provider-)[^"]*)"', page)
    assert page.count('role="group"') == 30
    assert len(names) == 2000 + 30 < site.DATA_UPLOAD_MAX_NUMBER_FIELDS
    response = client.post(f"{url}start/", {name: "" for name in names if name != "leave"})
    assert response.status_code == 303
    assert len({places[0][1] for places in destinations().values()}) == 30


# What is decided


def test_one_click_starts_what_is_clear_and_the_rest_goes_on_waiting(
    client: Client, submit: Callable[..., str], queued: list[Any]
) -> None:
    url = submit(HF[0], OPENAI, SHARED)
    response = client.post(f"{url}start/")
    assert (response.status_code, response["Location"]) == (303, url)
    assert destinations() == {"line 1": [("huggingface", "")], "line 2": [("openai", "")]}
    assert len(queued) == 1
    assert "1 key waits for your start" in visible(review(client, url))


def test_a_provider_is_picked_for_a_group(client: Client, submit: Callable[..., str]) -> None:
    url = submit(SHARED, SHARED.replace("1abf", "2abf"))
    client.post(f"{url}start/", {"provider-1": "deepseek"})
    assert destinations() == {"line 1": [("deepseek", "")], "line 2": [("deepseek", "")]}


def test_a_base_url_is_given_for_a_group(client: Client, submit: Callable[..., str]) -> None:
    url = submit(SHARED, NOBODYS)
    client.post(f"{url}start/", {f"base_url-{number(1)}": RELAY_URL})
    assert destinations() == {"line 1": [("openai", RELAY_URL)]}


def test_each_of_the_ticked_is_asked(client: Client, submit: Callable[..., str]) -> None:
    url = submit(SHARED, HF[0])
    candidates = re.findall(r'name="each-1" value="([^"]+)"', review(client, url))
    client.post(f"{url}start/", {"each-1": candidates[:2]})
    assert destinations()["line 1"] == [(candidates[0], ""), (candidates[1], "")]


def test_nobody_is_asked_who_was_not_offered(client: Client, submit: Callable[..., str]) -> None:
    url = submit(SHARED, HF[0])
    client.post(f"{url}start/", {"each-1": ["anthropic", "nonsense"]})
    assert destinations() == {"line 2": [("huggingface", "")]}


def test_a_key_that_is_left_out_is_not_sent_and_its_line_is_told(client: Client, submit: Callable[..., str]) -> None:
    url = submit(HF[0], HF[1], HF[2])
    client.post(f"{url}start/", {"leave": ["2", "99999999999999999999", "x"]})
    assert set(destinations()) == {"line 1", "line 3"}
    assert waiting() == 0
    assert "Line 2: not sent, because you left it out." in visible(review(client, url))


def test_where_every_key_is_left_out_it_says_so(client: Client, submit: Callable[..., str]) -> None:
    url = submit(HF[0], OPENAI)
    client.post(f"{url}start/", {"leave": ["1", "2"]})
    page = visible(review(client, url))
    assert "No key is left" in page
    assert "You left out every key. Nothing was sent." in page


def test_a_single_key_of_a_group_goes_elsewhere(client: Client, submit: Callable[..., str]) -> None:
    url = submit(HF[0], OPENAI)
    client.post(f"{url}start/", {f"base_url-key-{number(2)}": RELAY_URL})
    assert destinations() == {"line 1": [("huggingface", "")], "line 2": [("openai", RELAY_URL)]}


def test_a_whole_clear_group_goes_elsewhere(client: Client, submit: Callable[..., str]) -> None:
    url = submit(OPENAI, HF[0])
    client.post(f"{url}start/", {f"base_url-{number(1)}": RELAY_URL})
    assert destinations()["line 1"] == [("openai", RELAY_URL)]


def test_spending_is_ticked_for_the_check(client: Client, submit: Callable[..., str]) -> None:
    first, second = submit(HF[0], OPENAI), submit(HF[0], OPENAI)
    client.post(f"{first}start/", {"spend": "on"})
    client.post(f"{second}start/")
    assert list(Check.objects.order_by("pk").values_list("spend", flat=True)) == [True, False]


def test_what_was_ticked_in_the_form_is_said_again(client: Client, submit: Callable[..., str]) -> None:
    page = review(client, submit(HF[0], OPENAI, spend="on"))
    assert "As you ticked, probes that may spend" in visible(page)
    assert 'name="spend"' not in page


# Errors: next to what they speak of, nothing echoed, nothing sent


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("provider-1", "", "Choose a provider, or give the base URL"),
        ("provider-1", "nonsense", "There is no such provider here"),
        ("base_url-1", "http://relay.example", "must begin with https://"),
        ("base_url-1", "https://relay.example/" + "x" * 300, "longer than 300 characters"),
        ("base_url-key-1", "https://10.0.0.1/", "must name a host, not an address"),
    ],
)
def test_a_fault_is_told_at_its_field_and_sends_nothing(
    client: Client, submit: Callable[..., str], name: str, value: str, said: str
) -> None:
    response = client.post(f"{submit(SHARED)}start/", {name: value})
    page = response.content.decode()
    assert response.status_code == 422
    assert re.search(rf'<a href="#{name}">[^<]*{re.escape(said)}', page)
    assert re.search(rf'id="{name}-error">[^<]*{re.escape(said)}', page)
    assert re.search(rf'id="{name}"[^>]*aria-invalid="true" aria-describedby="{name}-error"', page)
    assert not value or value not in page
    assert destinations() == {}


def test_after_a_refused_choice_the_switch_of_languages_leads_to_the_review(
    client: Client, submit: Callable[..., str]
) -> None:
    url = submit(SHARED)
    page = client.post(f"{url}start/", {"base_url-key-1": "https://10.0.0.1/"}).content.decode()
    assert f'href="/de{url}start/"' in page
    assert client.get(f"/de{url}start/")["Location"] == f"/de{url}"


def test_a_distinctive_key_is_not_sent_to_another_providers_host(client: Client, submit: Callable[..., str]) -> None:
    url = submit(OPENAI, HF[0])
    response = client.post(f"{url}start/", {f"base_url-{number(1)}": "https://api.deepseek.com/v1"})
    assert response.status_code == 422
    assert destinations() == {}


def test_a_fault_keeps_what_was_chosen_elsewhere(client: Client, submit: Callable[..., str]) -> None:
    url = submit(SHARED, NOBODYS, HF[0])
    mine, fault = number(1), number(2)
    chosen = {f"provider-{mine}": "deepseek", f"base_url-{fault}": "ftp://x", "leave": str(number(3)), "spend": "on"}
    page = client.post(f"{url}start/", chosen).content.decode()
    assert re.search(r'value="deepseek" selected', page)
    assert re.search(rf'name="leave" value="{number(3)}"[^>]* checked', page)
    assert re.search(r'name="spend" checked', page)


# Twice, foreign, too late


def test_a_double_start_sends_once(client: Client, submit: Callable[..., str], queued: list[Any]) -> None:
    url = submit(HF[0], OPENAI)
    answers = [client.post(f"{url}start/").status_code for _ in range(2)]
    assert answers == [303, 303]
    assert Detection.objects.count() == 2
    assert len(queued) == 1


def test_a_double_start_asks_each_once(client: Client, submit: Callable[..., str]) -> None:
    url = submit(SHARED, HF[0])
    for _ in range(2):
        client.post(f"{url}start/", {"each-1": ["deepseek"]})
    assert destinations()["line 1"] == [("deepseek", "")]


def test_two_starts_at_one_moment_lose_nothing_that_was_left_out(submit: Callable[..., str], queued: list[Any]) -> None:
    submit(HF[0], OPENAI)
    seen_by_both = [Check.objects.get() for _ in range(2)]
    numbers = [row.number for row in Detection.objects.all()]
    admitted: list[int] = []
    for check in seen_by_both:
        store.start(check, [Decision((numbers[1],), (("openai", ""),))], {numbers[0]}, False, admitted.append)
    assert [row["line"] for row in Check.objects.get().refused] == [1]
    assert admitted == [0]
    assert len(queued) == 1


def test_a_start_that_meets_a_burn_starts_nothing(submit: Callable[..., str], queued: list[Any]) -> None:
    submit(HF[0], OPENAI)
    check = Check.objects.get()
    burn.burn([check.pk])
    assert store.start(check, [Decision((2,), (("openai", ""),))], {1}, False) == 0
    assert not queued


def test_another_session_can_neither_see_nor_start(client: Client, submit: Callable[..., str]) -> None:
    url = submit(HF[0], OPENAI)
    assert Client().post(f"{url}start/").status_code == 404
    assert waiting() == 2


def test_nothing_starts_after_the_burn(client: Client, submit: Callable[..., str], queued: list[Any]) -> None:
    url = submit(HF[0], OPENAI)
    burn.burn(Check.objects.values_list("pk", flat=True))
    assert client.post(f"{url}start/").status_code == 404
    assert not queued


def test_a_reload_after_a_refused_start_shows_the_check(client: Client, submit: Callable[..., str]) -> None:
    url = submit(HF[0], OPENAI)
    assert client.get(f"{url}start/")["Location"] == url


# The form itself


def test_files_are_read_beside_the_paste(client: Client) -> None:
    files = [SimpleUploadedFile("a.env", f"KEY={HF[1]}".encode("utf-16")), SimpleUploadedFile("b.txt", OPENAI.encode())]
    response = client.post("/checks/", {"keys": HF[0], "files": files})
    assert response.status_code == 303
    assert list(Detection.objects.values_list("provider", flat=True)) == ["huggingface", "huggingface", "openai"]


def test_too_large_files_are_told_at_their_field(client: Client, settings: Any) -> None:
    large = SimpleUploadedFile("a.txt", b"x" * (settings.PASTE_BYTES + 1))
    page = client.post("/checks/", {"files": [large]}).content.decode()
    assert re.search(r'id="id_files_error"[^>]*>\s*<li>The files are larger than 1 MiB together', page)


def test_a_post_that_is_too_large_gets_its_own_page(client: Client, settings: Any) -> None:
    response = client.post("/checks/", {"keys": "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)})
    assert response.status_code == 413
    assert "nothing of it was read" in visible(response.content.decode())


def test_files_that_are_too_large_for_memory_are_refused_unread(client: Client, settings: Any) -> None:
    settings.FILE_UPLOAD_HANDLERS = ["probes.forms.InMemory"]
    large = SimpleUploadedFile("a.txt", b"x" * (settings.FILE_UPLOAD_MAX_MEMORY_SIZE + 1))
    assert client.post("/checks/", {"files": [large]}).status_code == 413


def test_the_form_offers_what_spends_unticked(client: Client) -> None:
    page = client.get("/").content.decode()
    assert re.search(r'<input type="checkbox" name="spend"[^>]*id="id_spend">', page)


def test_who_has_not_signed_in_sees_his_limit_and_the_way_to_more(client: Client, settings: Any) -> None:
    assert "Up to 1,000 keys at once. " in visible(client.get("/").content.decode())
    settings.ANONYMOUS_KEYS = 5
    page = visible(client.get("/").content.decode())
    assert "Up to 5 keys at once. Sign in for more" in page


@pytest.mark.parametrize(
    ("status", "seconds", "said"),
    [
        (429, 1, "in 1 second."),
        (429, 119, "in 119 seconds."),
        (429, 600, "in 10 minutes."),
        (503, 121, "in 3 minutes."),
    ],
)
def test_not_now_says_when(status: int, seconds: int, said: str) -> None:
    text = present_start.not_now(status, seconds)
    assert said in text
    assert ("ten minutes" in text) == (status == 429)


def test_too_much_for_now_is_told_above_the_form(client: Client, settings: Any) -> None:
    settings.ANONYMOUS_LIMIT = 1
    answers = [client.post("/checks/", {"keys": key}) for key in HF[:2]]
    assert [answer.status_code for answer in answers] == [303, 429]
    assert "Try again in" in visible(answers[1].content.decode())
    assert HF[1] not in answers[1].content.decode()
