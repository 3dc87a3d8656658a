"""The crawl finds what is wrong with a page, and reads a sitemap."""

from __future__ import annotations

from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path, re_path
from django.utils.translation import gettext, override

from probes.management.commands import crawl

URL = "https://testkey.example/ar/models/"
GOOD = """<!doctype html><html lang="ar" dir="rtl"><head>
<title>Models &amp; prices</title><meta name="description" content="All of them">
<link rel="canonical" href="https://testkey.example/ar/models/">
<link rel="alternate" hreflang="en" href="https://testkey.example/models/">
<link rel="alternate" hreflang="ar" href="https://testkey.example/ar/models/">
</head><body><h1 class="big">Models</h1><a class="x" href="/ar/?a=1&amp;b=2">Home</a></body></html>"""


def faults(page: str) -> list[str]:
    return crawl.judge(crawl.read(page), URL, "ar", ["en", "ar"])


def test_a_good_page_is_read_and_has_no_fault() -> None:
    told = crawl.read(GOOD)
    assert (told.title, told.links) == ("Models & prices", ["/ar/?a=1&b=2"])
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("<h1", "<h1>Another</h1><h1", "2 h1"),
        ("Models &amp; prices", " ", "no title"),
        ("All of them", "", "no description"),
        ('rel="canonical" href="https', 'rel="canonical" href="http', "canonical is http://testkey.example/ar/models/"),
        ('rel="canonical"', "", "canonical is missing"),
        ('hreflang="en"', 'hreflang="de"', "no hreflang for en"),
        (
            'hreflang="ar" href="https://testkey.example/ar',
            'hreflang="ar" href="/de',
            "its own hreflang leads elsewhere",
        ),
        ('<html lang="ar"', '<html lang="en"', "lang is en"),
        (' dir="rtl"', "", "dir is ltr"),
    ],
)
def test_a_fault_is_told(old: str, new: str, fault: str) -> None:
    assert old in GOOD
    assert faults(GOOD.replace(old, new)) == [fault]


def test_a_sample_takes_so_many_of_each_family_and_language() -> None:
    urls = [f"https://testkey.example{p}{f}/{n}/" for p in ("", "/ar") for f in ("/a", "/b") for n in range(9)]
    taken = crawl.sample(urls, 2)
    assert len(taken) == len(set(taken)) == 8
    assert {(crawl.family_of(url), crawl.language_of(url)) for url in taken} == {
        (family, language) for family in ("a", "b") for language in ("en", "ar")
    }
    assert crawl.sample(urls, 2) == taken
    assert crawl.family_of("https://testkey.example/ar/") == crawl.family_of("https://testkey.example/") == ""


@pytest.mark.django_db
def test_no_page_of_ours_has_a_fault_in_a_sample_of_each_family_and_language() -> None:
    out = StringIO()
    call_command("crawl", sample=1, stdout=out)
    assert "0 faults" in out.getvalue()


# A small site of its own


def sitemap(request: HttpRequest) -> HttpResponse:
    return HttpResponse(
        f"<sitemapindex><sitemap><loc>{settings.PUBLIC_URL}/sitemaps/a.xml</loc></sitemap></sitemapindex>"
    )


def part(request: HttpRequest) -> HttpResponse:
    addresses = "".join(
        f"<url><loc>{settings.PUBLIC_URL}{path}</loc></url>" for path in ("/one/", "/ar/one/", "/gone/")
    )
    return HttpResponse(f"<urlset>{addresses}</urlset>")


def page(request: HttpRequest, prefix: str = "") -> HttpResponse:
    code = prefix.strip("/") or "en"
    with override(code):
        word = gettext("A sentence that nobody has translated")
    alternates = "".join(
        f'<link hreflang="{c}" href="{settings.PUBLIC_URL}{"" if c == "en" else "/" + c}/one/">'
        for c in dict(settings.LANGUAGES)
    )
    return HttpResponse(
        f'<html lang="{code}" dir="{"rtl" if code == "ar" else "ltr"}"><head><title>t</title>'
        f'<meta name="description" content="d"><link rel="canonical" href="{settings.PUBLIC_URL}{request.path}">'
        f'{alternates}</head><h1>{word}</h1><a href="/nowhere/">x</a><a href="https://other.example/">y</a>'
    )


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponse(status=404)


handler404 = missing
urlpatterns = [
    path("sitemap.xml", sitemap),
    path("sitemaps/a.xml", part),
    re_path("^(?P<prefix>ar/)?one/$", page),
]


@pytest.mark.django_db
@override_settings(
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    LANGUAGES=[("en", "English"), ("ar", "Arabic")],
    PUBLIC_URL="http://127.0.0.1:8000",
)
def test_a_site_is_walked_and_its_faults_are_told_each_once() -> None:
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("crawl", stdout=out)
    told = out.getvalue().replace("http://127.0.0.1:8000", "")
    assert told.count("\n/") + told.startswith("/") == 3, told
    assert "/gone/: status 404" in told
    assert "/one/: leads to /nowhere/: status 404" in told
    assert "/ar/one/: not in ar: 'A sentence that nobody has translated'" in told
    assert "3 pages and 1 links" in told
    assert "3 faults" in told
