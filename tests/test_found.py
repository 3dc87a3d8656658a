"""How the site is found and shared: sitemaps, robots, and what a page's head says to machines."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.robotparser import RobotFileParser
from xml.etree import ElementTree

import pytest
from django.conf import settings
from django.test import Client

from probes import core_pages, found, models
from probes.models import CatalogueState
from probes.models.shelf import shelf
from probes.pages import FAMILIES
from probes.pages.page import Link
from probes.public import head, localized

PROVIDER = "/provider-key-probes/huggingface-inventory-fit/"


def named(client: Client, path: str) -> list[str]:
    """The addresses in a sitemap or in the index, without the site's own."""
    response = client.get(path)
    assert response["Content-Type"] == "application/xml"
    locations = [e.text or "" for e in ElementTree.fromstring(response.content).iter() if e.tag.endswith("}loc")]
    assert all(location.startswith(settings.PUBLIC_URL) for location in locations)
    return [location.removeprefix(settings.PUBLIC_URL) for location in locations]


@pytest.fixture(autouse=True)
def _asks_again(db: None) -> Iterator[None]:
    yield
    models.forget()


def test_the_index_names_every_file_once_and_each_holds_at_most_a_thousand_pages(client: Client) -> None:
    files = named(client, "/sitemap.xml")
    families = found.listed(shelf())
    assert len(set(files)) == len(files)
    for family, addresses in families.items():
        for language, _name in settings.LANGUAGES:
            mine = [f for f in files if re.fullmatch(rf"/sitemaps/{family}-{language}-\d+\.xml", f)]
            assert len(mine) == -(-len(addresses) // found.PAGES)
    assert len(files) == len(settings.LANGUAGES) * sum(-(-len(a) // found.PAGES) for a in families.values())


def test_a_long_family_is_split_and_loses_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "PAGES", 100)
    files = [f for f in named(client, "/sitemap.xml") if "/provider-key-probes-ar-" in f]
    pages = [named(client, file) for file in files]
    assert max(map(len, pages)) == 100
    slugs = FAMILIES["provider-key-probes"].slugs(shelf())
    assert sum(pages, []) == [f"/ar/provider-key-probes/{slug}/" for slug in slugs]


def test_pages_in_sitemaps_are_there_and_canonical_of_themselves(client: Client) -> None:
    chosen = random.Random(5)
    for language, family in zip(dict(settings.LANGUAGES), cycle(found.listed(shelf())), strict=False):
        addresses = named(client, f"/sitemaps/{family}-{language}-1.xml")
        for address in chosen.sample(addresses, 2):
            response = client.get(address, headers={"Referer": "http://testserver/"})
            assert response.status_code == 200, address
            page = response.content.decode()
            assert f'<link rel="canonical" href="{settings.PUBLIC_URL}{address}">' in page
            assert '<meta name="robots" content="index, follow">' in page


def test_every_core_page_is_listed_and_there(client: Client) -> None:
    listed = found.listed(shelf())["core"]
    assert listed[0] == "/"
    for address in listed[: len(core_pages.SLUGS)]:
        page = client.get(address)
        assert page.status_code == 200, address
        assert f'<link rel="canonical" href="{settings.PUBLIC_URL}{address}">' in page.content.decode()


def test_a_file_says_when_the_facts_were_checked(client: Client) -> None:
    checked_on = shelf().briefs()["huggingface"].checked_on
    body = client.get("/sitemaps/provider-key-probes-de-1.xml").content.decode()
    address = f"{settings.PUBLIC_URL}/de{PROVIDER}"
    assert f"<url><loc>{address}</loc><lastmod>{checked_on:%Y-%m-%d}</lastmod></url>" in body


@pytest.mark.parametrize(
    ("address", "day"),
    [
        ("/key-error-routes/open-router-timeout/", "2026-02-02"),  # the longest name, not `open`
        ("/provider-compare/open-vs-late/", "2026-03-03"),
        ("/provider-compare/late-vs-open/", "2026-03-03"),
        ("/key-error-routes/nobody-timeout/", ""),
        ("/", ""),
    ],
)
def test_the_date_of_a_page_is_that_of_whom_it_is_about(address: str, day: str) -> None:
    days = {"open": "2026-01-01", "open-router": "2026-02-02", "late": "2026-03-03"}
    assert found.checked(address, days) == day


@pytest.mark.parametrize("name", ["core-de-0", "core-de-99", "core-xx-1", "core-1", "nothing-de-1", "core-DE-1", ""])
def test_an_unknown_file_is_not_found(client: Client, name: str) -> None:
    assert client.get(f"/sitemaps/{name}.xml").status_code == 404


def test_an_edit_renews_the_sitemaps(client: Client) -> None:
    assert "/models/" in named(client, "/sitemaps/core-en-1.xml")
    assert PROVIDER in named(client, "/sitemaps/provider-key-probes-en-1.xml")
    models.Provider.objects.filter(slug="huggingface").update(enabled=False)
    CatalogueState.bump()
    models.forget()
    assert PROVIDER not in named(client, "/sitemaps/provider-key-probes-en-1.xml")


def test_pages_are_listed_once_for_each_version(client: Client, django_assert_num_queries: Any) -> None:
    client.get("/sitemap.xml")
    with django_assert_num_queries(0):
        client.get("/sitemaps/provider-key-probes-tr-1.xml")


def test_robots_keep_out_of_what_is_a_visitors_own() -> None:
    told = RobotFileParser()
    told.parse(Client().get("/robots.txt").content.decode().splitlines())
    for language, _name in settings.LANGUAGES:
        assert told.can_fetch("any", localized("/", language))
        assert told.can_fetch("any", localized(PROVIDER, language))
        assert not told.can_fetch("any", localized("/checks/token/", language))
        assert not told.can_fetch("any", localized("/account/", language))
    assert not told.can_fetch("any", "/admin/login/")
    assert not told.can_fetch("any", "/api/checks/")
    assert told.can_fetch("any", "/api/")
    assert told.site_maps() == [f"{settings.PUBLIC_URL}/sitemap.xml"]


def test_a_result_is_neither_indexed_nor_previewed(client: Client, queued: list[Any]) -> None:
    address = client.post("/checks/", {"keys": "sk-proj-TestKeyLabRestrictedT3BlbkFJFakeKeyNeverIssued00"})["Location"]
    for path in (address, f"/de{address}"):
        response = client.get(path)
        assert response["X-Robots-Tag"] == "noindex, nofollow"
        page = response.content.decode()
        assert '<meta name="robots" content="noindex, nofollow">' in page
        assert not re.search("og:|canonical|ld\\+json", page)


def test_the_icon_that_browsers_ask_for_is_the_sites_own() -> None:
    response = Client().get("/favicon.ico")
    assert (response.status_code, response["Location"]) == (301, "/static/favicon.svg")


# What the head says


def test_the_way_to_a_page_is_told_to_machines_as_it_is_to_readers(client: Client) -> None:
    page = client.get(f"/de{PROVIDER}").content.decode()
    data = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.S)
    assert data
    way = json.loads(data[1])
    items = [(each["position"], each["item"]) for each in way["itemListElement"]]
    paths = ["/de/", "/de/providers/", f"/de{PROVIDER}"]
    assert (way["@type"], items) == ("BreadcrumbList", list(enumerate([settings.PUBLIC_URL + p for p in paths], 1)))


def test_no_name_ends_the_data_block() -> None:
    name = "</script><script>alert(1)</script> & <!--"
    way = head("/x/", {"crumbs": (Link(name, "/x/"),)})["way"]
    assert "<" not in way
    assert json.loads(way)["itemListElement"][1]["name"] == name


def test_a_shared_page_has_a_title_a_description_and_a_picture(client: Client) -> None:
    page = client.get(f"/ar{PROVIDER}").content.decode()
    said = dict(re.findall(r'<meta property="og:([\w:]+)" content="([^"]*)">', page))
    assert said["url"] == f"{settings.PUBLIC_URL}/ar{PROVIDER}"
    assert said["image"] == f"{settings.PUBLIC_URL}/static/previews/provider-key-probes.png"
    assert said["title"]
    assert said["description"]


def test_each_family_and_core_page_has_a_picture_of_the_size_that_is_told() -> None:
    for name in {slug or "home" for slug in core_pages.SLUGS} | set(FAMILIES):
        picture = Path(settings.BASE_DIR, "static", "previews", f"{name}.png").read_bytes()
        assert picture[:8] == b"\x89PNG\r\n\x1a\n"
        assert [int.from_bytes(picture[start : start + 4]) for start in (16, 20)] == [1200, 630]
        assert len(picture) <= 40 * 1024, name
