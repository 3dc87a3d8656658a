"""Eleven languages: the address says which, every sentence is there, figures are as it writes them."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import cache
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Catalog
from django.conf import settings
from django.test import Client
from django.utils.html import escape
from django.utils.translation import gettext, override

from probes import formats, seed
from probes.management.commands import messages
from probes.models.shelf import shelf
from tests.test_flow import FINE_GRAINED, RELAY, RELAY_URL

FOLDERS = messages.languages()
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]")
COUNTS = {"%(n)s", "%(n)d", "%(count)s", "%(count)d"}  # a plural form may say the number in a word
PAGE = "/provider-key-probes/huggingface-inventory-fit/"


@cache
def po(folder: Path) -> Catalog:
    return messages.read(folder / "LC_MESSAGES" / "django.po")


@pytest.fixture(scope="module")
def wanted() -> set[Any]:
    return {message.id for message in messages.collected() if message.id}


# The sentences


def test_there_are_the_ten_languages_of_the_public_site_beside_english() -> None:
    codes = {code for code, _name in settings.LANGUAGES}
    assert codes >= {"en", "zh-hans", "ar", "th", "hi", "id", "pt-br", "ru", "es", "de", "tr"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_no_sentence_is_missing_or_only_perhaps_translated(folder: Path) -> None:
    assert messages.missing(po(folder)) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_the_sentences_are_those_of_the_code(folder: Path, wanted: set[Any]) -> None:
    assert {m.id for m in po(folder) if m.id} == wanted, "run: python manage.py messages"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_every_translation_has_the_placeholders_of_its_sentence(folder: Path) -> None:
    for message in filter(lambda m: m.id, po(folder)):
        plural = not isinstance(message.id, str)
        asked = set(PLACEHOLDER.findall(str(message.id[1] if plural else message.id)))
        for text in list(message.string or ()) if plural else [str(message.string)]:
            found = set(PLACEHOLDER.findall(str(text)))
            assert found <= asked, message.id
            assert asked - found <= (COUNTS if plural else set()), message.id


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_what_gettext_reads_is_what_the_translators_wrote(folder: Path) -> None:
    file = folder / "LC_MESSAGES" / "django.po"
    with file.with_suffix(".mo").open("rb") as read:
        compiled = GNUTranslations(read)
    for message in po(folder):
        if message.id and isinstance(message.id, str):
            assert compiled.gettext(message.id) == message.string, "run: python manage.py messages"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_each_language_has_its_glossary(folder: Path) -> None:
    rows = re.findall(r"^\|.*\|.*\|", (folder / "glossary.md").read_text(encoding="utf-8"), re.M)
    assert len(rows) >= 40


# The address


@pytest.mark.parametrize("code", [code for code, _name in settings.LANGUAGES if code != "en"])
def test_a_page_is_in_the_language_of_its_address(client: Client, db: None, code: str) -> None:
    response = client.get(f"/{code}{PAGE}")
    html = response.content.decode()
    assert f'<html lang="{code}" dir="{"rtl" if code == "ar" else "ltr"}">' in html
    assert response["Content-Language"] == code
    assert f'<link rel="canonical" href="{settings.PUBLIC_URL}/{code}{PAGE}">' in html
    assert "You are here" not in html
    inward = re.findall(r'href="(/[^"]*)"', html.partition("</header>")[2].partition("<footer")[0])
    assert inward
    assert all(href.startswith(f"/{code}/") for href in inward)


def test_each_page_names_itself_in_every_language(client: Client, db: None) -> None:
    html = client.get(f"/de{PAGE}").content.decode()
    named = dict(re.findall(r'rel="alternate" hreflang="([^"]+)" href="([^"]+)"', html))
    assert named.pop("x-default") == settings.PUBLIC_URL + PAGE
    assert named == {
        code: settings.PUBLIC_URL + (PAGE if code == "en" else f"/{code}{PAGE}") for code, _name in settings.LANGUAGES
    }


def test_the_switch_keeps_the_page(client: Client, db: None) -> None:
    switch = client.get(f"/de{PAGE}").content.decode().partition("<footer")[2]
    assert f'href="/ru{PAGE}"' in switch
    assert f'href="{PAGE}"' in switch
    assert 'href="/tr/?provider=huggingface"' in client.get("/?provider=huggingface").content.decode()


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        (f"/zh-cn{PAGE}", f"/zh-hans{PAGE}"),
        (f"/zh-CN{PAGE}", f"/zh-hans{PAGE}"),
        ("/pt-PT/providers/", "/pt-br/providers/"),
        ("/pt/providers", "/pt-br/providers/"),
        (f"/en{PAGE}?a=1", f"{PAGE}?a=1"),
        ("/de-AT/", "/de/"),
    ],
)
def test_other_spellings_of_a_language_lead_to_ours(client: Client, db: None, given: str, ours: str) -> None:
    response = client.get(given)
    assert (response.status_code, response["Location"]) == (301, ours)


@pytest.mark.parametrize(
    "path", ["/en//evil.example/", "/zh-cn/nothing-here/", "/de/de/", "/xx/", "/de/api/openapi.json"]
)
def test_what_is_no_page_of_ours_is_not_led_to(client: Client, db: None, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("header", "where"),
    [
        ("de-DE,de;q=0.9,en;q=0.5", "/de/"),
        ("zh-CN,zh;q=0.9", "/zh-hans/"),
        ("pt-PT", "/pt-br/"),
        ("ja,ar;q=0.5", "/ar/"),
    ],
)
def test_the_bare_root_follows_the_browsers_languages(client: Client, db: None, header: str, where: str) -> None:
    response = client.get("/", headers={"accept-language": header})
    assert (response.status_code, response["Location"]) == (302, where)
    assert "Accept-Language" in response["Vary"]


@pytest.mark.parametrize("header", ["en-GB,de;q=0.5", "ja", "", "*"])
def test_the_bare_root_is_english_for_who_wants_english_or_nothing_we_have(
    client: Client, db: None, header: str
) -> None:
    assert client.get("/", headers={"accept-language": header}).status_code == 200


def test_who_chose_english_on_our_page_gets_it(client: Client, db: None) -> None:
    asked = {"accept-language": "de", "referer": "http://testserver/de/"}
    assert client.get("/", headers=asked).status_code == 200


@pytest.mark.parametrize("path", ["/?provider=openai", "/providers/", PAGE])
def test_no_other_address_looks_at_what_the_browser_prefers(client: Client, db: None, path: str) -> None:
    response = client.get(path, headers={"accept-language": "de"})
    assert response.status_code == 200
    assert 'lang="en"' in response.content.decode()


# A check in another language


def test_a_check_stays_in_its_language_and_what_is_taken_along_is_plain(
    client: Client, lab: Any, queued: Any, db: None
) -> None:
    keys = "sk-TestKeyLabNoCredit00T3BlbkFJFakeKeyNeverIssued00"
    address = client.post("/de/checks/", {"keys": keys})["Location"]
    assert address.startswith("/de/checks/")
    while queued:
        queued.pop(0)()
    html = client.get(address).content.decode()
    assert 'lang="de"' in html
    assert "0,00\u00a0USD" in html
    assert "Able to pay: no" in html  # the summary to copy
    csv = client.get(f"{address.removeprefix('/de')}export/?format=csv").content.decode()
    assert '"0.00","USD"' in csv


def test_an_error_message_is_in_the_pages_language(client: Client, db: None) -> None:
    german, english = (client.post(f"{p}/checks/", {"keys": "https://x.example"}).content.decode() for p in ("/de", ""))
    assert "Nothing was sent" in english
    assert "Nothing was sent" not in german
    assert "it is an address" not in german


def test_the_marks_of_a_relay_and_how_it_was_asked_are_in_the_pages_language(
    client: Client, lab: Any, queued: Any, db: None
) -> None:
    address = client.post("/de/checks/", {"keys": RELAY, "base_url": RELAY_URL})["Location"]
    while queued:
        queued.pop(0)()
    html = client.get(address).content.decode()
    marks = {mark.name for mark in seed.read_catalogue().gateways["new-api"].fingerprints}
    with override("de"):
        german = {gettext(mark) for mark in marks}
        assert gettext("without the key") in html
    assert any(escape(mark) in html for mark in german)
    page = re.sub(r"<pre.*?</pre>", "", html, flags=re.S)  # the summary to copy is English
    assert not [mark for mark in marks - german if escape(mark) in page]
    assert "without the key" not in page


def test_code_keeps_its_direction_among_words_that_run_the_other_way(
    client: Client, lab: Any, queued: Any, db: None
) -> None:
    address = client.post("/ar/checks/", {"keys": FINE_GRAINED})["Location"]
    while queued:
        queued.pop(0)()
    html = client.get(address).content.decode().replace("<wbr>", "")
    assert ">\u2068body.name\u2069<" in html
    assert '<bdi class="mono">GET https://huggingface.co/api/whoami-v2</bdi>' in html


# Figures


def written(language: str, value: Any) -> str:
    with override(language):
        if isinstance(value, int):
            return formats.number(value)
        return formats.price(value) if isinstance(value, Decimal) else formats.day(value)


@pytest.mark.parametrize(
    ("language", "value", "text"),
    [
        ("en", 1_047_576, "1,047,576"),
        ("hi", 1_047_576, "10,47,576"),
        ("de", 1_047_576, "1.047.576"),
        ("en", Decimal("0.1"), "$0.100"),
        ("en", Decimal("0.0375"), "$0.0375"),
        ("en", Decimal("0"), "$0.000"),
        ("en", Decimal("3.400000"), "$3.4"),
        ("en", Decimal("30"), "$30"),
        ("en", Decimal("1500"), "$1,500"),
        ("de", Decimal("0.1"), "0,100\xa0$"),
        ("zh-hans", Decimal("2"), "US$2"),
        ("th", Decimal("2"), "US$2"),
        ("en", dt.date(2026, 11, 24), "November 24, 2026"),
        ("de", dt.date(2026, 11, 24), "24. November 2026"),
        ("es", dt.date(2026, 5, 5), "5 de mayo de 2026"),
    ],
)
def test_figures_are_written_as_the_language_writes_them(language: str, value: Any, text: str) -> None:
    assert written(language, value) == text


def test_what_has_no_fixed_price_says_so() -> None:
    assert formats.price(None) == "not known"
    assert formats.price(None, route_based=True) == "route based"


@pytest.mark.parametrize(
    ("text", "german"),
    [
        ("1234.50 USD", "1.234,50 USD"),
        ("-3", "-3"),
        ("free plan", "free plan"),
        ("2026-11-24 10:00 UTC", "24.11.2026, 10:00:00 UTC"),
        ("1e9 USD", "1e9 USD"),
    ],
)
def test_a_fact_of_a_result_is_written_as_the_language_writes_it(text: str, german: str) -> None:
    with override("de"):
        assert formats.figure(text).replace("\u00a0", " ") == german


@pytest.mark.parametrize(
    ("language", "text", "told"),
    [
        ("en", "1 requests", "1 request"),
        ("en", "1000 requests a minute", "1,000 requests a minute"),
        ("de", "1 requests", "1 Anfrage"),
        ("ru", "3 requests", "3 запроса"),
        ("ru", "5 requests", "5 запросов"),
        ("ru", "2.5 requests", "2,5 запроса"),
        ("ar", "2.5 requests", "2.5 طلب"),
        ("ar", "2 requests", "طلبان"),
        ("ar", "2.00 requests", "2.00 طلب"),
        ("ar", "-2 requests", "-2 طلب"),
        ("ar", "0.00 requests", "0.00 طلب"),
        ("en", "1.0 requests", "1.0 requests"),
        ("en", "-1 requests", "-1 request"),
        ("de", "1.0 credits", "1,0 Credits"),
        ("ru", "21.0 requests", "21,0 запроса"),
        ("pt-br", "1.5 requests", "1,5 requisição"),
    ],
)
def test_a_unit_takes_the_form_that_its_number_asks_for(language: str, text: str, told: str) -> None:
    with override(language):
        assert formats.figure(text).replace("\u00a0", " ") == told


@pytest.mark.parametrize("text", ["1000 requests a minute", "1.50 USD", "12 percent"])
def test_no_line_ends_between_a_figure_and_its_unit(text: str) -> None:
    with override("de"):
        assert re.match(r"[\d.,]+\u00a0\w", formats.figure(text))


@pytest.mark.parametrize(
    ("language", "word", "begun"), [("en", "tool calling", "Tool calling"), ("tr", "istek", "İstek"), ("ar", "", "")]
)
def test_a_line_begins_as_the_language_begins_it(language: str, word: str, begun: str) -> None:
    with override(language):
        assert formats.begin(word) == begun


def test_each_unit_of_the_catalogue_is_counted_or_never_changes() -> None:
    catalogue = seed.read_catalogue()
    senders = [*catalogue.providers.values(), *catalogue.gateways.values()]
    found = {metric.unit for metric in catalogue.shared.metrics}
    found |= {reading.unit for sender in senders for probe in sender.probes for reading in probe.metrics}
    assert found - set(formats.COUNTED) <= {"", "yes/no", "time", "currency", "USD", "CNY", "percent", "pollen"}


@pytest.mark.parametrize("code", [code for code, _name in settings.LANGUAGES])
def test_a_figure_stands_before_its_unit_whatever_it_is(code: str) -> None:
    with override(code):
        for unit in formats.COUNTED:
            for value in (-1, 0, 1, 2, 3, 5, 11, 100):
                told = formats.figure(f"{value} {unit}")
                assert formats.number(abs(value)) in told or (code == "ar" and value == 2), unit


def test_time_is_written_as_the_language_writes_it() -> None:
    with override("pt-br"):
        assert formats.milliseconds(10**6) == "1.000.000\u00a0ms"
    with override("en"):
        assert formats.milliseconds(1234) == "1,234\u00a0ms"
    with override("zh-hans"):
        assert formats.milliseconds(123) == "123\u00a0毫秒"


def test_pages_of_two_languages_are_kept_apart(client: Client, db: None) -> None:
    assert shelf().version
    english, german = client.get(PAGE), client.get(f"/de{PAGE}")
    assert english.content != german.content
    assert client.get(PAGE).content == english.content
