"""The public pages. Rendered once for each version of the catalogue and kept in memory:
no session, no cookie, no form token, so that every reader gets the same bytes."""

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils.cache import get_conditional_response
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from probes import models
from probes.pages import FAMILIES
from probes.terms import Catalogue

KEPT_AT_MOST = 4096
Key = tuple[str, str | None, bool]
_kept: tuple[Catalogue | None, dict[Key, tuple[bytes, str]]] = (None, {})


@require_safe
def page_index(request: HttpRequest, family: str = "provider-key-probes") -> HttpResponseBase:
    def context(catalogue: Catalogue) -> dict[str, Any]:
        return {"rows": FAMILIES[family].index(catalogue)}

    return _answer(request, f"{family}/", "probes/page_index.html", context)


@require_safe
def public_page(request: HttpRequest, slug: str, family: str = "provider-key-probes") -> HttpResponseBase:
    def context(catalogue: Catalogue) -> dict[str, Any]:
        page = FAMILIES[family].find(catalogue, slug)
        if page is None:
            raise Http404
        return {"page": page}

    return _answer(request, f"{family}/{slug}/", "probes/page.html", context)


@require_safe
def without_prefix(request: HttpRequest, path: str = "") -> HttpResponse:
    """`/en/<path>` is `<path>`, for good. Only to addresses of our own: what does not resolve is not followed."""
    for target in (f"/{path}", f"/{path}/"):
        try:
            found = resolve(target)
        except Resolver404:
            continue
        if not target.startswith("//") and found.func is not without_prefix:
            query = request.META.get("QUERY_STRING", "")
            return HttpResponsePermanentRedirect(quote(target) + (f"?{query}" if query else ""))
    raise Http404


def _answer(
    request: HttpRequest, path: str, template: str, context: Callable[[Catalogue], dict[str, Any]]
) -> HttpResponseBase:
    """The kept page, or a new one if the catalogue has changed since; 304 to who has it already."""
    catalogue, lab = models.current(), bool(settings.LAB_URL)
    kept, key = _pages_of(catalogue), (path, get_language(), lab)
    if key not in kept:
        body = render_to_string(template, {"lab": lab, "section": "providers"} | context(catalogue)).encode()
        if len(kept) >= KEPT_AT_MOST:
            kept.pop(next(iter(kept)), None)
        kept[key] = (body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    body, etag = kept[key]
    response = HttpResponse(body)
    response["ETag"] = etag
    response["Cache-Control"] = "public, max-age=0, must-revalidate"
    return get_conditional_response(request, etag, response=response) or response


def _pages_of(catalogue: Catalogue) -> dict[Key, tuple[bytes, str]]:
    """The pages kept of this catalogue. Another catalogue begins anew, so that no page outlives its rows."""
    global _kept
    kept = _kept
    if kept[0] is not catalogue:
        kept = _kept = (catalogue, {})
    return kept[1]
