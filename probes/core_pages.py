"""The pages that everything else hangs on: providers, errors, capabilities, the promise, the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.html import escape, format_html, format_html_join
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from probes import formats, public, words
from probes.formats import begin
from probes.models.shelf import RowShelf
from probes.pages.errors import ERRORS, by_error
from probes.pages.page import Link
from probes.pages.rules import Told
from probes.pages.shelf import Brief, distinct

# Rows of the two long tables. Not by the template: what stands in a thousand places takes it longer than all else.
PROVIDER = (
    '<tr id="at-{slug}">'
    '<th scope="row"><a href="{root}provider-key-probes/{slug}-onboarding-readiness/"><bdi>{name}</bdi></a></th>'
    '<td data-label="{h_market}">{market}</td>'
    '<td class="number" data-label="{h_models}">{models}</td>'
    '<td class="number" data-label="{h_probes}">{probes}</td>'
    '<td data-label="{h_by}">{by}</td>'
    '<td data-label="{h_dimensions}" class="links">'
    '<a href="{root}provider-key-probes/{slug}-inventory-fit/">{of}{inventory}</a> '
    '<a href="{root}provider-key-probes/{slug}-commercial-launch/">{of}{launch}</a> '
    '<a href="{root}errors/?provider={slug}">{of}{errors}</a></td></tr>\n'
)
COVERED = '<a href="{}models/?provider={}"><span class="visually-hidden">{}, {}: </span>{}</a>'
OF = '<span class="visually-hidden">{}, </span>'
PROOF = '<span class="mono">{}</span>'
SUPPORTED = (
    '<tr><th scope="row"><a href="{}provider-key-probes/{}-onboarding-readiness/"><bdi>{}</bdi></a></th>{}</tr>\n'
)
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
            "count": len(briefs),
            "letters": _letters(briefs),
            "rows": _providers(briefs),
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
            or [(error, None) for error in ERRORS],
            "known": bool(known),
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
        known: dict[str, list[str]] = {c.slug: [] for c in ten}
        for metric in rows.shared.metrics:
            known[metric.capability].append(_(metric.label))
        named = [(c.slug, begin(_(c.label))) for c in ten]
        return {
            "ten": [(word, known[slug], sum(slug in b.capabilities for b in briefs)) for slug, word in named],
            "of": len(briefs),
            "matrix": _matrix(briefs, named),
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


def _providers(briefs: Iterable[Brief]) -> str:
    """The table of all of them. Words that stand in every row are looked up and escaped once."""
    markets = {"global": escape(_("global")), "china": escape(_("China"))}
    retired, unproved = escape(_("no more in service")), escape(_("no free call proves it"))
    said = {
        "root": public.localized("/"),
        "inventory": _("inventory"),
        "launch": _("launch"),
        "errors": _("errors"),
        "h_market": _("Market"),
        "h_models": _("Covered models"),
        "h_probes": _("Account probes"),
        "h_by": _("Proved by"),
        "h_dimensions": _("Dimensions"),
    }
    said = {name: escape(word) for name, word in said.items()}

    def row(brief: Brief) -> str:
        slug, name, count = escape(brief.slug), escape(brief.name), formats.number(brief.models)
        covered = format_html(COVERED, said["root"], slug, name, said["h_models"], count) if brief.models else count
        proof = format_html(PROOF, " / ".join(brief.proof)) if brief.proof else unproved
        return format_html(
            PROVIDER,
            slug=slug,
            name=name,
            of=format_html(OF, name),
            market=markets[brief.route],
            models=covered,
            probes=brief.account_probes,
            by=retired if brief.retired else proof,
            **said,
        )

    return format_html_join("", "{}", ((row(brief),) for brief in briefs))


def _matrix(briefs: list[Brief], named: list[tuple[str, str]]) -> str:
    """Provider by provider, which of the capabilities it supports. What stands in every row is escaped once."""
    root, yes, no = escape(public.localized("/")), escape(_("yes")), format_html(NO, _("no"))
    columns = [(slug, escape(slug), escape(word)) for slug, word in named]

    def row(brief: Brief) -> str:
        provider, name = escape(brief.slug), escape(brief.name)
        cells = [
            format_html(YES, root, provider, slug, name, word, yes) if own in brief.capabilities else no
            for own, slug, word in columns
        ]
        return format_html(SUPPORTED, root, provider, name, format_html("{}" * len(cells), *cells))

    return format_html_join("", "{}", ((row(brief),) for brief in briefs))


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
