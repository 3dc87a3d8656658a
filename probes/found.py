"""What searching machines ask of the site: which pages there are, and what they may fetch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from probes import core_pages
from probes.models.shelf import RowShelf
from probes.pages import FAMILIES
from probes.public import answer, localized

PAGES = 1000  # in one file
XML = "application/xml"
CORE = "core"
CLOSED = ("/checks/", "/account/")  # in each language
CLOSED_ONCE = ("/admin/", "/api/checks/")

_listed: WeakKeyDictionary[RowShelf, dict[str, list[str]]] = WeakKeyDictionary()


def listed(rows: RowShelf) -> dict[str, list[str]]:
    """The addresses of all pages with something to say, by family; put together once for each version."""
    if rows not in _listed:
        core = [f"/{slug}/" if slug else "/" for slug in core_pages.SLUGS]
        _listed[rows] = {CORE: core + [f"/models/{identity}/" for identity in rows.market()]} | {
            name: [f"/{name}/{slug}/" for slug in family.slugs(rows)] for name, family in FAMILIES.items()
        }
    return _listed[rows]


def files(rows: RowShelf) -> Iterator[tuple[str, str, str, list[str]]]:
    """Each sitemap: its name, its family, its language and its pages."""
    for part, addresses in listed(rows).items():
        for language, _name in settings.LANGUAGES:
            for number, start in enumerate(range(0, len(addresses), PAGES), 1):
                yield f"{part}-{language}-{number}", part, language, addresses[start : start + PAGES]


@require_safe
def index(request: HttpRequest) -> HttpResponseBase:
    """Every sitemap there is."""

    def context(rows: RowShelf) -> dict[str, Any]:
        return {"files": [f"{settings.PUBLIC_URL}/sitemaps/{name}.xml" for name, *_ in files(rows)]}

    return answer(request, "/sitemap.xml", "found/index.xml", context, XML)


@require_safe
def sitemap(request: HttpRequest, name: str) -> HttpResponseBase:
    """At most a thousand pages of one family in one language."""

    def context(rows: RowShelf) -> dict[str, Any]:
        for found, part, language, addresses in files(rows):
            if found == name:
                days = dates(rows, part)
                return {"pages": [(settings.PUBLIC_URL + localized(a, language), checked(a, days)) for a in addresses]}
        raise Http404

    return answer(request, f"/sitemaps/{name}.xml", "found/sitemap.xml", context, XML)


def dates(rows: RowShelf, part: str) -> dict[str, str]:
    """When the facts about what this family's addresses begin with, a model or a provider, were last checked."""
    if part == CORE or part.startswith("model-"):
        return {name: str(max(o.provider.checked_on for o in offers)) for name, offers in rows.market().items()}
    return {slug: str(brief.checked_on) for slug, brief in rows.briefs().items()}


def checked(address: str, days: Mapping[str, str]) -> str:
    """`/…/<name>-<anything>/`: the date of the longest name that is known; of `a-vs-b` the later one."""
    found = []
    for name in address.split("/")[-2].split("-vs-"):
        while name and name not in days:
            name = name.rpartition("-")[0]
        found += [days[name]] if name else []
    return max(found, default="")


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """All may be fetched but what belongs to one visitor alone."""
    closed = [localized(path, language) for language, _name in settings.LANGUAGES for path in CLOSED]
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in (*CLOSED_ONCE, *closed))]
    lines += ["", f"Sitemap: {settings.PUBLIC_URL}/sitemap.xml", ""]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")
