"""Answers that are for one visitor alone: never kept, indexed or previewed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from probes import access, public, store
from probes.models import Check


def private(response: HttpResponse, etag: str = "") -> HttpResponse:
    response["Cache-Control"] = "no-store"
    response["X-Robots-Tag"] = "noindex, nofollow"
    if etag:
        response["ETag"] = etag
    return response


def found(request: HttpRequest, token: str) -> Check | None:
    """The live check of this token, if it is this visitor's."""
    return store.find(token, access.owners(request))


def gone(request: HttpRequest) -> HttpResponse:
    """Wrong, foreign and burned look alike."""
    return private(render(request, "probes/burned.html", public.elsewhere("/"), status=404))


def unable(request: HttpRequest) -> HttpResponse:
    """The disk is full, or the database is away: nothing was kept and nothing was sent."""
    return private(render(request, "probes/unable.html", status=503))


def see(where: str, *args: object) -> HttpResponse:
    response = redirect(where, *args)
    response.status_code = 303
    return response
