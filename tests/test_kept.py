"""Kept pages: compressed for who takes it, bounded, never of another version, and nothing in them that was sent."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.test import Client

from probes import models, public
from probes.models import shelf as shelves
from probes.models.shelf import RowShelf, shelf
from probes.pages import FAMILIES

PAGE = "/provider-key-probes/huggingface-inventory-fit/"
KEY = "sk-proj-NobodysKeyAtAll0000000000000000"
KEPT = public.Kept(b"x" * 10, '"e"', "text/html")


@pytest.mark.parametrize("header", ["gzip", "br, gzip;q=0.5", "GZIP", "deflate , gzip"])
def test_who_takes_gzip_gets_it(client: Client, db: None, header: str) -> None:
    plain, packed = client.get(PAGE), client.get(PAGE, headers={"accept-encoding": header})
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert packed["ETag"] != plain["ETag"]
    assert "Accept-Encoding" in packed["Vary"]
    assert "Accept-Encoding" in plain["Vary"]


@pytest.mark.parametrize("header", ["", "br", "gzip;q=0", "identity, gzip; q=0.0", "notgzip"])
def test_who_does_not_take_gzip_gets_plain_bytes(client: Client, db: None, header: str) -> None:
    response = client.get(PAGE, headers={"accept-encoding": header})
    assert not response.has_header("Content-Encoding")
    assert b"<h1>" in response.content


def test_a_page_made_of_old_rows_is_not_kept_under_the_new(db: None) -> None:
    pages, old, new = public._Pages(), RowShelf(1), RowShelf(2)
    pages.get(old, ("/", "en", False))
    pages.get(new, ("/", "en", False))
    pages.put(old, ("/", "en", False), KEPT)
    assert pages.get(new, ("/", "en", False)) is None


def test_what_was_not_asked_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "KEPT_BYTES", 25)
    pages, rows = public._Pages(), RowShelf(1)
    for address in ("/a/", "/b/"):
        assert pages.get(rows, (address, "en", False)) is None
        pages.put(rows, (address, "en", False), KEPT)
    assert pages.get(rows, ("/a/", "en", False)) is KEPT
    pages.put(rows, ("/c/", "en", False), KEPT)
    assert [pages.get(rows, (a, "en", False)) for a in ("/a/", "/b/", "/c/")] == [KEPT, None, KEPT]


def test_another_version_begins_with_another_shelf(db: None) -> None:
    before = shelf()
    assert shelf() is before
    models.CatalogueState.bump()
    models.forget()
    assert shelf() is not before


def test_a_shelf_keeps_a_bounded_number(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setattr(shelves, "KEPT_AT_MOST", 3)
    rows = RowShelf(1)
    for identity in list(rows.market())[:9]:
        assert rows.offers(identity)
    assert len(rows._offers) == 3


@pytest.mark.parametrize(
    "address",
    [
        "/models/{}/",
        "/models/?compare={}",
        "/provider-key-probes/{}-inventory-fit/",
        "/key-error-routes/{}-unauthorized/",
        "/provider-compare/groq-vs-{}/",
        "/model-key-routes/{}-pricing-context/",
        "/errors/?provider={}",
        "/?provider={}",
    ],
)
@pytest.mark.parametrize("key", [KEY, KEY.lower()])
def test_a_key_in_an_address_is_remembered_by_no_shelf(client: Client, db: None, address: str, key: str) -> None:
    client.get(address.format(key))
    rows = shelf()
    kept = [*rows._providers, *rows._offers, *rows._rivals, *rows._sellers]
    assert not [name for name in kept if key.lower() in name.lower()]


@pytest.mark.parametrize(
    "address",
    [
        f"/?provider={KEY}",
        f"/errors/?provider={KEY}",
        f"/models/{KEY}/",
        f"/{KEY}/",
        f"/de/{KEY}",
        f"/models/?sort={KEY}",
    ],
)
def test_a_key_in_an_address_is_not_repeated(client: Client, db: None, address: str) -> None:
    response = client.get(address, follow=True)
    assert KEY not in response.content.decode()


@pytest.mark.parametrize("name", ["provider", "route", "input", "can"])
def test_a_choice_that_is_none_is_refused_without_its_words(client: Client, db: None, name: str) -> None:
    html = client.get("/models/", {name: KEY}).content.decode()
    assert "This choice is not known here." in html
    assert KEY not in html


def test_what_is_searched_for_stands_in_its_field_and_is_kept_by_nobody(client: Client, db: None) -> None:
    response = client.get("/models/", {"q": KEY})
    assert response["Cache-Control"] == "no-store"
    assert KEY not in response.content.decode().partition("<footer")[2]
    assert not any(KEY in address for address, _language, _lab in public._pages._kept)


@pytest.mark.parametrize("pages", [9999, 21])
def test_pages_far_behind_are_not_kept(client: Client, db: None, pages: int) -> None:
    client.get(f"/models/?page={pages}")
    assert not public._pages._kept


def test_an_identity_that_an_admin_set_leads_to_its_page_everywhere(client: Client, db: None) -> None:
    for row in models.AIModel.objects.filter(identity="gpt-oss-120b"):
        row.identity = "gpt-oss-large"
        row.edited = True
        row.save()
    models.forget()
    for slug in ("cerebras", "groq"):
        html = client.get(f"/provider-key-probes/{slug}-inventory-fit/").content.decode()
        assert "/models/gpt-oss-large/" in html
        assert "/models/gpt-oss-120b/" not in html
    assert client.get("/models/gpt-oss-large/").status_code == 200
    pairs = FAMILIES["provider-compare"]
    assert all(pairs.find(shelf(), slug) for slug in list(pairs.slugs(shelf()))[:20])


@pytest.mark.parametrize(
    ("given", "ours"),
    [("/de/providers", "/de/providers/"), ("/en/admin/", "/admin/"), ("/zh-cn/models", "/zh-hans/models/")],
)
def test_a_slash_that_lacks_is_added_in_every_language(client: Client, db: None, given: str, ours: str) -> None:
    response = client.get(given)
    assert (response.status_code, response["Location"]) == (301, ours)


@pytest.mark.parametrize("path", ["/zh-cn/admin/", "/zh-cn/healthz", "/zh-cn/api/openapi.json", "/de//models/"])
def test_what_has_no_language_is_not_led_to(client: Client, db: None, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_cookie_of_another_application_chooses_no_language(client: Client, db: None, settings: Any) -> None:
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "ru"
    assert client.get("/").status_code == 200
