"""The family provider × error: what this provider really answers, what it means, what to do. Pure.

A page exists where the provider's own rules, or a rule set that it names, mean the error (`by_error`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from probes.formats import aside, number, together
from probes.lab.recorded import Recorded, read_all
from probes.pages import rules
from probes.pages.errors import BY_SLUG, ERRORS, MOVES, Error, by_error, error_address, error_page
from probes.pages.page import Card, Link, Page, Related, Section
from probes.pages.provider_sections import call, market
from probes.pages.rules import Told, verdict
from probes.pages.rules import told as rules_of
from probes.pages.shelf import Shelf, distinct, free, kind
from probes.terms import Provider

ABOVE = "/errors/"
MOST_LINES = 24  # of an answer
MOST_ELSEWHERE = 6
LOOKED_AT = 12  # other providers, in which the same error is looked for


def slugs(shelf: Shelf) -> list[str]:
    providers = shelf.whole().providers.values()
    return [f"{p.slug}-{error}" for p in providers for error in by_error(shelf.shared, p)]


def find(shelf: Shelf, slug: str) -> Page | None:
    """Both halves of an address hold hyphens, so it splits at an error that we know."""
    for error in ERRORS:
        if slug.endswith(f"-{error.slug}"):
            provider = shelf.provider(slug.removesuffix(f"-{error.slug}"))
            found = by_error(shelf.shared, provider) if provider else {}
            return page(shelf, provider, error, found) if provider and error.slug in found else None
    return None


def page(shelf: Shelf, provider: Provider, error: Error, found: dict[str, list[Told]]) -> Page:
    label, told, count = str(error.label), found[error.slug], len(provider.models)
    china = provider.route == "china"
    said = distinct([str(s) for each in told for s in each.rule.status])
    others = tuple(Link(str(BY_SLUG[s].label), error_address(provider.slug, s)) for s in found if s != error.slug)
    readiness = Link(
        _("How its keys are recognised and proved"), f"/provider-key-probes/{provider.slug}-onboarding-readiness/"
    )
    related = (
        Related(_("Other errors of %(provider)s") % {"provider": provider.name}, others),
        Related(_("The same error elsewhere"), _elsewhere(shelf, provider, error)),
        Related(provider.name, (readiness, *([Link(_("its models"), market(provider))] if count else []))),
    )
    return Page(
        slug=f"{provider.slug}-{error.slug}",
        kicker=_("Key error diagnosis"),
        title=f"{provider.name} | {label}",
        description=_description(provider, label, len(told)),
        lead=_lead(provider, error, told, said),
        cards=(
            Card(_("Provider"), provider.name, _("China provider route") if china else _("global provider route")),
            Card(_("Error type"), label, _("severity: %(severity)s") % {"severity": error.severity}),
            Card(_("Status code"), error.code, error.slug),
            Card(_("Sample models"), number(count), " · ".join(m.name or m.id for m in provider.models[:3])),
        ),
        summary_heading=_("Error route summary"),
        summary=(
            (_("Error type"), aside(error.slug, str(error.severity))),
            (_("Provider"), provider.slug),
            (_("Status here"), " / ".join(said) or _("any")),
        ),
        sections=(
            Section(_("What this error usually means"), str(error.means)),
            _answers(provider, told),
            *_example(provider, error),
            Section(
                _("What it does not mean"), bullets=(*_shared_statuses(shelf, provider, told), *map(str, error.traps))
            ),
            Section(_("How to prove it during checking"), bullets=_proofs(provider, error)),
            Section(_("Next action"), bullets=tuple(str(MOVES[move]) for move in error.moves)),
        ),
        related=tuple(r for r in related if r.links),
        above=Link(_("Errors"), ABOVE),
        action=None
        if provider.retired
        else Link(_("Check a key of %s") % provider.name, f"/?provider={provider.slug}"),
        checked_on=provider.checked_on,
        links=_links(provider, error),
    )


def _description(provider: Provider, label: str, count: int) -> str:
    return ngettext(
        "“%(label)s” from %(provider)s: the %(count)d answer that means it, what it does not mean, and what to do.",
        "“%(label)s” from %(provider)s: the %(count)d answers that mean it, what they do not mean, and what to do.",
        count,
    ) % {"label": label, "provider": provider.name, "count": count}


def _lead(provider: Provider, error: Error, told: list[Told], said: list[str]) -> str:
    values = {"provider": provider.name, "label": error.label, "code": error.code, "said": " / ".join(said)}
    if not all(each.rule.when for each in told):
        return _("At %(provider)s status %(said)s alone tells “%(label)s”.") % values
    if said and not set(error.code.split("/")) & set(said):
        return (
            _("%(provider)s does not tell “%(label)s” by status %(code)s: here it comes with status %(said)s.") % values
        )
    return _("%(provider)s tells “%(label)s” in words of its own, and these decide it, not the status.") % values


def _answers(provider: Provider, told: list[Told]) -> Section:
    words = _("Each line is a rule by which TestKey judges an answer of this provider. Fields are those of its body.")
    heading = _("What %(provider)s answers") % {"provider": provider.name}
    return Section(heading, together(words, rules.sources()), table=rules.rule_table(rules.distinct(told), {}))


def _shared_statuses(shelf: Shelf, provider: Provider, told: list[Told]) -> Iterator[str]:
    """Statuses of this error behind which this provider also says something else."""
    mine = {status for each in told for status in each.rule.status if status >= 400}
    own = {verdict(each.rule) for each in told}
    everything = rules_of(shelf.shared, provider)
    for status in sorted(mine):
        others = distinct([v for e in everything if status in e.rule.status and (v := verdict(e.rule)) not in own])
        if others:
            yield _("%(provider)s uses status %(status)s for other things, too: %(verdicts)s.") % {
                "provider": provider.name,
                "status": status,
                "verdicts": " / ".join(others),
            }


def _proofs(provider: Provider, error: Error) -> tuple[str, ...]:
    asked = [p for p in provider.probes if p.proves_key and not p.spends]
    deciding = [p for p in provider.probes if kind(p) in error.asks and p not in asked]
    values = {"provider": provider.name}
    steps = []
    if asked:
        calls = " · ".join(call(provider, p) for p in asked)
        steps.append(
            _("Ask what only a good key passes, so that the answer is about the key: %(calls)s.") % {"calls": calls}
        )
    for probe in deciding:
        words = _("Then %(call)s, which tells more of it. It spends, so it is asked only if you tick it.")
        if not probe.spends:
            words = _("Then %(call)s, which tells more of it, for free.")
        steps.append(words % {"call": call(provider, probe)})
    if not asked and not deciding and not free(provider):
        steps.append(_("No free call of %(provider)s is known: the answer has to come from a call of yours.") % values)
    return (*steps, _("Note status, machine word, request id and the address you called from, then check again."))


def _links(provider: Provider, error: Error) -> tuple[Link, ...]:
    words = {"docs": _("Documentation"), "keys": _("Key console"), "status": _("Status")}
    if "refill" in error.moves:
        words["billing"] = _("Billing")
    if error.slug in ("rate-limited", "quota-exceeded"):
        words["limits"] = _("Limits")
    there = {name: provider.links.get(name, "") for name in words}
    return tuple(Link(word, there[name]) for name, word in words.items() if there[name].startswith("https://"))


def _elsewhere(shelf: Shelf, provider: Provider, error: Error) -> tuple[Link, ...]:
    """A few others that say this, from those that follow in order of name; then the page of all."""
    names = list(shelf.names())
    place = names.index(provider.slug) + 1 if provider.slug in names else 0
    following = [slug for slug in names[place:] + names[:place] if slug != provider.slug][:LOOKED_AT]
    others = [p for p in shelf.sellers(following).values() if error.slug in by_error(shelf.shared, p)]
    return (
        *(Link(p.name, error_address(p.slug, error.slug)) for p in others[:MOST_ELSEWHERE]),
        Link(_("all providers"), ABOVE),
    )


# An example, as recorded


def _example(provider: Provider, error: Error) -> list[Section]:
    """A recorded answer that means this error, if there is one; refusals before good answers that tell it."""
    found = [one for one in _recorded(provider.slug) if _means(one) == error.slug and one.answer.get("body")]
    if not found:
        return []
    one = min(found, key=lambda r: (r.answer["status"] < 400, len(json.dumps(r.answer["body"]))))
    words = _("From the recorded exchanges, for %(call)s. Keys and ids are left out.") % {"call": _path(one)}
    return [Section(_("An answer"), words, code=tuple(_lines(one)))]


def _path(one: Recorded) -> str:
    return one.call.partition("?")[0]


def _means(one: Recorded) -> str:
    verdict = one.conclude.get("verdict")
    cause = one.conclude.get("cause")
    unread = not isinstance(verdict, str) or cause == "unrecognised_answer"
    return "" if unread else error_page(str(verdict), cause, one.answer.get("status"))


def _lines(one: Recorded) -> list[str]:
    body = one.answer["body"]
    text = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
    lines = [f"HTTP {one.answer['status']}", *_redacted(text, one.key).splitlines()]
    return lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], "…"]


def _redacted(text: str, key: str) -> str:
    """Without what is a key, looks like one or is masked: recorded keys are made up, and still not shown."""
    text = text.replace(key, "…") if len(key) > 1 else text
    return re.sub(r"[\w*+=-]*(?:\*{3}|\d)[\w*+=-]*", _unless_short, text)


def _unless_short(word: re.Match[str]) -> str:
    return "…" if len(word[0]) >= 16 or "***" in word[0] else word[0]


@lru_cache(128)
def _recorded(slug: str) -> list[Recorded]:
    return read_all(slug=slug)
