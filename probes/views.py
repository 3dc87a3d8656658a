"""The form, a check's pages, and what machines ask. A result is readable by who submitted it: token and session."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import quote_etag
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from probes import burn as burning
from probes import health, present, seal, store
from probes.forms import CheckForm, ChoiceForm
from probes.models import Check

OWNER = "owner"


def site(request: HttpRequest) -> dict[str, Any]:
    """What every template may ask."""
    return {"lab": bool(settings.LAB_URL)}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    form = CheckForm(initial={"provider": request.GET.get("provider", "")})
    return _form_page(request, form, 200)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def create(request: HttpRequest) -> HttpResponse:
    """303 to the check; 422 with the form and what to do if nothing can be sent. What was pasted is never echoed."""
    if request.method != "POST":
        return redirect("home")  # a reload after a refused form
    form = CheckForm(request.POST)
    if not form.is_valid():
        return _form_page(request, form, 422)
    owner = request.session.setdefault(OWNER, secrets.token_urlsafe(32))
    try:
        token = store.submit(form.plan, owner)
    except (DatabaseError, OSError):
        return unable(request)
    return _see(reverse("check", args=[token]))


def _form_page(request: HttpRequest, form: CheckForm, status: int) -> HttpResponse:
    context = {"form": form, "refused": form.plan.refused, "lab_keys": present.lab_keys()}
    response = render(request, "probes/home.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _see(url: str) -> HttpResponse:
    response = redirect(url)
    response.status_code = 303
    return response


def _found(request: HttpRequest, token: str) -> Check | None:
    return store.find(token, request.session.get(OWNER))


def gone(request: HttpRequest) -> HttpResponse:
    """Wrong, foreign and burned look alike."""
    return _private(render(request, "probes/burned.html", status=404))


def unable(request: HttpRequest) -> HttpResponse:
    """The disk is full, or the database is away: nothing was kept and nothing was sent."""
    return _private(render(request, "probes/unable.html", status=503))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Without a look at the form, which may be what was bad."""
    return HttpResponse(render_to_string("400.html"), status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    return HttpResponse(render_to_string("500.html"), status=500)


def _private(response: HttpResponse, etag: str = "") -> HttpResponse:
    """Never kept, indexed or previewed."""
    response["Cache-Control"] = "no-store"
    response["X-Robots-Tag"] = "noindex, nofollow"
    if etag:
        response["ETag"] = etag
    return response


@require_safe
def check(request: HttpRequest, token: str) -> HttpResponse:
    return _show(request, token, "probes/check.html")


@require_safe
def live(request: HttpRequest, token: str) -> HttpResponse:
    """The part of the page that changes, for the script that polls; 304 when nothing moved."""
    return _show(request, token, "probes/_report.html")


def _show(request: HttpRequest, token: str, template: str) -> HttpResponse:
    found = _found(request, token)
    if found is None:
        return gone(request)
    try:
        document, reports = store.document(found)
    except seal.Burned:
        return gone(request)
    etag = quote_etag(present.fingerprint(document))
    if template.endswith("_report.html") and request.headers.get("If-None-Match") == etag:
        return _private(HttpResponse(status=304), etag)
    return _private(render(request, template, present.context(token, found, document, reports)), etag)


@require_safe
def check_json(request: HttpRequest, token: str) -> HttpResponse:
    found = _found(request, token)
    try:
        if found is not None:
            return _private(JsonResponse(store.document(found)[0]))
    except seal.Burned:
        pass
    return _private(JsonResponse({"detail": "burned, or not yours"}, status=404))


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def choose(request: HttpRequest, token: str) -> HttpResponse:
    """Send one key that waits: `line`, and a `provider` or a `base_url`."""
    if request.method != "POST":
        return redirect("check", token=token)  # a reload after a refused choice
    found = _found(request, token)
    if found is None:
        return gone(request)
    form = ChoiceForm(found, request.POST)
    if form.is_valid():
        chosen = form.cleaned_data
        try:
            store.choose(found, chosen["line"], chosen["provider"], chosen["base_url"])
        except (DatabaseError, OSError):
            return unable(request)
        return _see(reverse("check", args=[token]))
    try:
        document, reports = store.document(found)
    except seal.Burned:
        return gone(request)
    context = present.context(token, found, document, reports, choice=form)
    return _private(render(request, "probes/check.html", context, status=422))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def burn(request: HttpRequest, token: str) -> HttpResponse:
    if request.method != "POST":
        return redirect("check", token=token)
    found = _found(request, token)
    if found is None:
        return gone(request)
    burning.burn([found.pk])
    burning.truncate_log()
    return _see(reverse("check", args=[token]))


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while everything that must run runs; 503 with what does not."""
    state = health.state()
    return JsonResponse(state, status=200 if state["ok"] else 503)
