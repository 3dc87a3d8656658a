"""The public pages. Rendered once for each version of the catalogue and kept in memory, compressed:
no session, no cookie, no form token, so that every reader gets the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.safestring import mark_safe
from django.utils.translation import get_language, get_language_bidi, get_supported_language_variant, override
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from probes.models.shelf import RowShelf, shelf
from probes.pages import FAMILIES
from probes.pages.page import Link

KEPT_BYTES = 32 * 1024 * 1024  # of each process: some six thousand pages


@dataclass(frozen=True)
class Kept:
    body: bytes  # gzip
    etag: str
    media_type: str


@require_safe
def page(request: HttpRequest, family: str, slug: str) -> HttpResponseBase:
    """One page of a family."""
    moved = getattr(FAMILIES[family], "moved", None)
    if moved and (place := moved(shelf(), slug)):
        return HttpResponsePermanentRedirect(localized(f"/{family}/{place}/"))

    def context(rows: RowShelf) -> dict[str, Any]:
        found = FAMILIES[family].find(rows, slug)
        if found is None:
            raise Http404
        here = Link(found.title, f"/{family}/{slug}/")
        return {
            "page": found,
            "picture": family,
            "section": found.above.href.strip("/"),
            "crumbs": (found.above, here),
        }

    return answer(request, f"/{family}/{slug}/", "probes/page.html", context)


@require_safe
def family_home(request: HttpRequest, family: str) -> HttpResponse:
    """A family has no list of its own: a core page leads to it."""
    return HttpResponsePermanentRedirect(localized(FAMILIES[family].ABOVE))


@require_safe
def other_language(request: HttpRequest, tag: str, path: str) -> HttpResponse:
    """`/en/<path>`, `/zh-cn/<path>`, `/pt-PT/<path>`: to our address for that language, for good.

    Only to addresses of our own: what does not resolve is not followed.
    """
    try:
        language = get_supported_language_variant(tag.lower())
    except LookupError:
        raise Http404 from None
    for target in (localized(f"/{path}", language), localized(f"/{path}/", language)):
        try:
            with override(language):
                found = resolve(target)
        except Resolver404:
            continue
        if not target.startswith("//") and found.func is not other_language:
            query = request.META.get("QUERY_STRING", "")
            return HttpResponsePermanentRedirect(quote(target) + (f"?{query}" if query else ""))
    raise Http404


def localized(path: str, language: str = "") -> str:
    """An address of ours in a language, else in that of the page."""
    language = language or get_language() or settings.LANGUAGE_CODE
    return path if language == settings.LANGUAGE_CODE or not path.startswith("/") else f"/{language}{path}"


def head(address: str, context: dict[str, Any]) -> dict[str, Any]:
    """What the frame of an indexed page says of it: its address in each language, and the way to it for machines.

    context: the page's own; its `crumbs` are links, the last to the page itself.
    """
    crumbs = (Link(_("Home"), "/"), *context["crumbs"]) if "crumbs" in context else ()
    way = {
        "@context": "https://schema.org",
        "@type": "BreadcrumbList",
        "itemListElement": [
            {"@type": "ListItem", "position": i, "name": c.label, "item": settings.PUBLIC_URL + localized(c.href)}
            for i, c in enumerate(crumbs, 1)
        ],
    }
    return {
        **context,
        **elsewhere(context.get("switch", address)),
        "canonical": "" if "?" in address else settings.PUBLIC_URL + localized(address),  # none: not indexed
        "public_url": settings.PUBLIC_URL,
        "crumbs": crumbs,
        "mark": "page" if len(crumbs) <= 2 else "true",  # of the section in the menu: this page, or above it
        "way": mark_safe(json.dumps(way, ensure_ascii=False).replace("<", "\\u003c")) if crumbs else "",  # noqa: S308
    }


def elsewhere(address: str) -> dict[str, Any]:
    """The same page in every language; `address` is without one."""
    here, rtl = get_language(), get_language_bidi()
    languages = [(code, name, localized(address, code), code == here) for code, name in settings.LANGUAGES]
    return {"languages": languages, "direction": "rtl" if rtl else "ltr", "root": localized("/")}


def answer(
    request: HttpRequest,
    address: str,
    template: str,
    context: Callable[[RowShelf], dict[str, Any]],
    media_type: str = "text/html; charset=utf-8",
    keep: bool = True,
) -> HttpResponseBase:
    """The kept page, or a new one if the catalogue has changed since; 304 to who has it already.

    address: without a language, with its query in one fixed order. keep: no for what hardly two people ask.
    """
    rows, lab = shelf(), bool(settings.LAB_URL)
    key = (address, get_language() or "", lab)
    kept = _pages.get(rows, key) if keep else None
    if kept is None:
        body = render_to_string(template, {"lab": lab} | head(address, context(rows))).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        kept = Kept(gzip.compress(body, 6, mtime=0), etag, media_type)
        if keep:
            _pages.put(rows, key, kept)
    response = _response(request, kept)
    if not keep:
        response["Cache-Control"] = "no-store"
    return response


def _response(request: HttpRequest, kept: Kept) -> HttpResponseBase:
    packed = _takes_gzip(request.headers.get("Accept-Encoding", ""))
    etag = kept.etag if not packed else f'{kept.etag[:-1]}z"'
    response = HttpResponse(kept.body if packed else gzip.decompress(kept.body), content_type=kept.media_type)
    if packed:
        response["Content-Encoding"] = "gzip"
    response["ETag"] = etag
    response["Cache-Control"] = "public, max-age=0, must-revalidate"
    patch_vary_headers(response, ("Accept-Encoding",))
    return get_conditional_response(request, etag, response=response) or response


def _takes_gzip(header: str) -> bool:
    """Whether an Accept-Encoding names gzip, and not only to refuse it."""
    for part in header.lower().split(","):
        name, _semicolon, weight = part.partition(";")
        if name.strip() == "gzip":
            return not re.fullmatch(r"q=0(\.0*)?", weight.replace(" ", ""))
    return False


class _Pages:
    """What is kept of one version of the catalogue; bounded in bytes, what was not asked for longest goes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self._rows: RowShelf | None = None
        self._kept: OrderedDict[tuple[str, str, bool], Kept] = OrderedDict()
        self.size = 0

    def get(self, rows: RowShelf, key: tuple[str, str, bool]) -> Kept | None:
        with self._lock:
            if self._rows is not rows:
                self.forget()
                self._rows = rows
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, rows: RowShelf, key: tuple[str, str, bool], kept: Kept) -> None:
        with self._lock:
            if self._rows is not rows or key in self._kept:
                return
            self._kept[key] = kept
            self.size += len(kept.body)
            while self.size > KEPT_BYTES:
                self.size -= len(self._kept.popitem(last=False)[1].body)


_pages = _Pages()
