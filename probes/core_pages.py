"""The pages that everything else hangs on: providers, errors, capabilities, the promise, the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from probes import public, words
from probes.models.shelf import RowShelf
from probes.pages.errors import ERRORS, by_error
from probes.pages.page import Link
from probes.pages.rules import Told
from probes.pages.shelf import Brief, distinct

YES = (
    '<td><a href="{}key-intelligence/{}-{}/"><span aria-hidden="true">●</span>'
    '<span class="visually-hidden">{}, {}: {}</span></a></td>'
)
NO = '<td><span class="soft" aria-hidden="true">–</span><span class="visually-hidden">{}</span></td>'
SLUGS = ("", "providers", "models", "errors", "capabilities", "promise", "api")  # addresses, for the sitemap


@require_safe
def providers(request: HttpRequest) -> HttpResponseBase:
    """Everyone in one table."""

    def context(rows: RowShelf) -> dict[str, Any]:
        briefs = rows.briefs().values()
        return {
            "providers": [vars(brief) for brief in briefs],  # as dicts: a template finds a name in half the time
            "letters": _letters(briefs),
            **_frame(_("Providers"), "providers"),
        }

    return public.answer(request, "/providers/", "probes/providers.html", context)


@require_safe
def errors(request: HttpRequest) -> HttpResponseBase:
    """The thirteen errors, and those of one provider where `?provider=` names it."""
    chosen = request.GET.get("provider", "")

    def context(rows: RowShelf) -> dict[str, Any]:
        provider = rows.provider(chosen) if chosen else None
        known = by_error(rows.shared, provider) if provider else {}
        return {
            "errors": [(error, _here(known[error.slug])) for error in ERRORS if error.slug in known]
            if provider
            else [(error, None) for error in ERRORS],
            "providers": list(rows.names().values()),
            "provider": provider,
            **_frame(_("Errors"), "errors"),
        }

    if chosen and chosen not in public.shelf().names():
        return HttpResponseRedirect(public.localized("/errors/"))
    return public.answer(request, f"/errors/{f'?provider={chosen}' if chosen else ''}", "probes/errors.html", context)


@require_safe
def capabilities(request: HttpRequest) -> HttpResponseBase:
    """The ten, and who supports which."""

    def context(rows: RowShelf) -> dict[str, Any]:
        briefs = [b for b in rows.briefs().values() if b.capabilities]
        ten = rows.shared.capabilities
        named = [(c.slug, _(c.label)) for c in ten]
        known: dict[str, list[str]] = {c.slug: [] for c in ten}
        for metric in rows.shared.metrics:
            known[metric.capability].append(_(metric.label))
        return {
            "ten": [(c, _(c.label), known.get(c.slug, []), sum(c.slug in b.capabilities for b in briefs)) for c in ten],
            "matrix": [(vars(b), _cells(b, named)) for b in briefs],
            **_frame(_("Capabilities"), "capabilities"),
        }

    return public.answer(request, "/capabilities/", "probes/capabilities.html", context)


def _letters(briefs: Iterable[Brief]) -> list[tuple[str, str]]:
    """Each first letter, and the slug of the first provider that has it."""
    first: dict[str, str] = {}
    for brief in briefs:
        letter = brief.name[:1].upper()
        first.setdefault("0–9" if letter.isdigit() else letter, brief.slug)
    return list(first.items())


def _cells(brief: Brief, named: list[tuple[str, str]]) -> str:
    """A row of the matrix. Not by the template: a thousand cells would take it longer than all else of the page."""
    root, yes, no = public.localized("/"), _("yes"), format_html(NO, _("no"))
    told = (
        format_html(YES, root, brief.slug, slug, brief.name, word, yes) if slug in brief.capabilities else no
        for slug, word in named
    )
    return format_html_join("", "{}", ((cell,) for cell in told))


@require_safe
def promise(request: HttpRequest) -> HttpResponseBase:
    def context(rows: RowShelf) -> dict[str, Any]:
        return {"key_seconds": settings.KEY_SECONDS, **_frame(_("What we promise"), "promise")}

    return public.answer(request, "/promise/", "probes/promise.html", context)


@require_safe
def for_scripts(request: HttpRequest) -> HttpResponseBase:
    def context(rows: RowShelf) -> dict[str, Any]:
        return {"site": settings.PUBLIC_URL, **_frame(_("For scripts: the API"), "api")}

    return public.answer(request, "/api/", "probes/api.html", context)


def _verdict(verdict: str) -> tuple[str, str, str]:
    word, shape, tone = words.VERDICTS[verdict]
    return str(words.SHORT_VERDICTS.get(verdict, word)), shape, tone


def _here(answers: list[Told]) -> dict[str, Any]:
    """By which statuses a provider says an error, and what a check concludes of them."""
    return {
        "statuses": " / ".join(str(status) for status in sorted({s for told in answers for s in told.rule.status})),
        "verdicts": [
            {"word": word, "shape": shape, "tone": tone}
            for word, shape, tone in (_verdict(v) for v in distinct([told.rule.verdict for told in answers]))
        ],
    }


def _frame(title: str, slug: str) -> dict[str, Any]:
    return {"crumbs": (Link(title, f"/{slug}/"),), "section": slug, "picture": slug}
