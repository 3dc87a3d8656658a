"""What a visitor does: paste, start, cancel, burn. And what machines ask of the site itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.html import escape, format_html_join
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from probes import access, health, present, present_start, public, store, words
from probes import burn as burning
from probes.forms import CheckForm
from probes.models import Detection
from probes.pages.shelf import Brief
from probes.private import found, gone, private, see, unable
from probes.result_views import result_page
from probes.start import StartForm
from testkey.language import of_path

HOSTS = (
    '<tr><th scope="row"><a href="{}provider-key-probes/{}-onboarding-readiness/">{}</a></th>'
    '<td class="mono">{}</td></tr>\n'
)
SWITCHED = {"check", "key", "compare", "start"}  # who opens these has their token


def site(request: HttpRequest) -> dict[str, Any]:
    """What every template may ask. The switch of languages keeps a page that may be named: nothing that was sent is."""
    match = request.resolver_match
    named = match and (match.url_name in SWITCHED or not match.kwargs)
    address = "/" + request.path_info.lstrip("/").removeprefix(f"{of_path(request.path_info)}/") if named else "/"
    return {"lab": bool(settings.LAB_URL), **public.elsewhere(address)}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The form. Never kept, since it holds a form token; indexed where no query makes it another page."""
    initial = {"provider": request.GET.get("provider", ""), "submission": secrets.token_urlsafe(16)}
    response = _form_page(request, CheckForm(initial=initial, most=access.most_keys(request)), 200)
    if not request.GET:
        del response["X-Robots-Tag"]
    return response


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def create(request: HttpRequest) -> HttpResponse:
    """303 to the check; 422 with the form and what to do if nothing can be sent, 429 or 503 if not now.

    What was pasted is never echoed.
    """
    if request.method != "POST":
        return redirect("home")  # a reload after a refused form
    form = CheckForm(request.POST, request.FILES, most=access.most_keys(request))
    if not form.is_valid():
        return _form_page(request, form, 422)
    chosen, keys = form.cleaned_data, len(form.plan.keys)
    try:
        submitted = store.submit(
            form.plan,
            access.make_owner(request),
            submission=chosen["submission"],
            spend=chosen["spend"],
            admit=lambda: access.admit(access.who(request), keys, operator=access.is_operator(request.user)),
        )
    except access.Refused as refused:
        return _not_now(request, form, refused)
    except (DatabaseError, OSError):
        return unable(request)
    if not submitted.owner.startswith(access.USER):
        request.session[access.OWNER] = submitted.owner  # of a double submit both answers lead to the one check
    return see("check", submitted.token)


def _form_page(request: HttpRequest, form: CheckForm, status: int) -> HttpResponse:
    briefs = public.shelf().briefs().values()
    context = {
        "form": form,
        "refused": form.plan.refused,
        "lab_keys": present.lab_keys(),
        "section": "check",
        "figures": {
            "providers": len(briefs),
            "models": public.shelf().size,
            "probes": sum(b.account_probes for b in briefs),
        },
        "steps": words.STEPS.values(),
        "hosts": _hosts(briefs),
    }
    provider = form["provider"].value()
    if provider in public.shelf().names():
        context |= public.elsewhere(f"/?provider={provider}")
    if request.get_full_path() == public.localized("/"):
        context = public.head("/", context)
    return private(render(request, "probes/home.html", context, status=status))


def _hosts(briefs: Iterable[Brief]) -> str:
    """Rows of the table of who receives keys; as the lists of providers, not by the template."""
    root = escape(public.localized("/"))
    return format_html_join("", HOSTS, ((root, b.slug, b.name, ", ".join(b.hosts) or "–") for b in briefs))


def _not_now(request: HttpRequest, form: CheckForm, refused: access.Refused) -> HttpResponse:
    """Too much was asked lately, by this visitor or by all: the form again, and when to come back."""
    form.add_error(None, present_start.not_now(refused.status, refused.retry_after))
    form.plan.refused = []
    response = _form_page(request, form, refused.status)
    response["Retry-After"] = str(refused.retry_after)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Without a look at the form, which may be what was bad."""
    large = isinstance(exception, RequestDataTooBig)
    return HttpResponse(render_to_string("413.html" if large else "400.html"), status=413 if large else 400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponse(render_to_string("404.html", site(request)), status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    return HttpResponse(render_to_string("500.html", site(request)), status=500)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def start(request: HttpRequest, token: str) -> HttpResponse:
    """Send the keys that wait, where the operator says (`start` names the fields)."""
    if request.method != "POST":
        return redirect("check", token)  # a reload after a refused choice
    check = found(request, token)
    if check is None:
        return gone(request)
    form = StartForm(Detection.objects.filter(check_of=check), request.POST)
    if not form.is_valid():
        return result_page(request, token, check, start=form, status=422)
    try:
        store.start(check, form.decisions, form.left_out, form.spend, lambda further: _admit_start(request, further))
    except access.Refused as refused:
        form.errors[present_start.WHOLE] = present_start.not_now(refused.status, refused.retry_after)
        response = result_page(request, token, check, start=form, status=refused.status)
        response["Retry-After"] = str(refused.retry_after)
        return response
    except (DatabaseError, OSError):
        return unable(request)
    return see("check", token)


def _admit_start(request: HttpRequest, further: int) -> None:
    access.admit_start(access.who(request), further, operator=access.is_operator(request.user))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def cancel(request: HttpRequest, token: str) -> HttpResponse:
    """Ask no further host; what was found stays until it burns."""
    if request.method != "POST":
        return redirect("check", token)
    check = found(request, token)
    if check is None:
        return gone(request)
    burning.cancel([check.pk])
    return see("check", token)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def burn(request: HttpRequest, token: str) -> HttpResponse:
    if request.method != "POST":
        return redirect("check", token)
    check = found(request, token)
    if check is None:
        return gone(request)
    burning.burn([check.pk])
    burning.truncate_log()
    return see("check", token)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while everything that must run runs; 503 with what does not."""
    state = health.state()
    return JsonResponse(state, status=200 if state["ok"] else 503)
