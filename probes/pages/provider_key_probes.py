"""The family provider × dimension: how far a provider's key gets, by one angle. Pure, no ORM.

Labels, signals and the order of the slots are the public site's (docs/decisions.md); the sentences are ours.
"""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from probes.formats import isolated, together
from probes.pages.dimensions import DIMENSIONS, Dimension
from probes.pages.errors import BY_SLUG, error_address, pages_of
from probes.pages.key_intelligence import topic_links
from probes.pages.page import Card, Link, Page, Related, Section
from probes.pages.provider_compare import rival_links
from probes.pages.provider_sections import market
from probes.pages.shelf import Shelf, account_probes, capabilities, distinct, free, kind, metrics
from probes.terms import AUTH_SCHEMES, Provider

ABOVE = "/providers/"


# What the rows say


def _samples(provider: Provider) -> str:
    return " · ".join(m.name or m.id for m in provider.models[:3]) or provider.name


def _route(provider: Provider) -> str:
    return _("China route") if provider.route == "china" else _("global route")


def _protocol(provider: Provider) -> str:
    return {
        "openai": _("OpenAI-compatible"),
        "anthropic": _("Anthropic-compatible"),
        "gemini": _("Gemini-compatible"),
    }.get(provider.protocol, _("the provider's own"))


# The pages


def slugs(shelf: Shelf) -> list[str]:
    return [f"{slug}-{dimension.slug}" for slug in shelf.briefs() for dimension in DIMENSIONS]


def find(shelf: Shelf, slug: str) -> Page | None:
    """Both halves of an address hold hyphens, so it splits at a dimension that we know."""
    for dimension in DIMENSIONS:
        if slug.endswith(f"-{dimension.slug}"):
            provider = shelf.provider(slug.removesuffix(f"-{dimension.slug}"))
            return page(shelf, provider, dimension) if provider else None
    return None


def page(shelf: Shelf, provider: Provider, dimension: Dimension) -> Page:
    shared = shelf.shared
    label, signal, samples = str(dimension.label), dimension.signal(provider), _samples(provider)
    coverage = str(len(provider.models))
    account = account_probes(provider)
    cards = [
        Card(_("Provider"), provider.name, _route(provider)),
        Card(_("Model coverage"), coverage, samples),
        Card(_("Probe dimension"), label, dimension.slug),
        Card(_("Onboarding signal"), signal, provider.slug),
    ]
    before = [
        Section(
            _("Why this probe matters"),
            str(dimension.why),
            (
                _("Provider: %s") % provider.name,
                _("Model coverage: %s") % coverage,
                _("Probe dimension: %s") % label,
            ),
        ),
        Section(_("How to prove it"), _destination(provider), (*_steps(provider, label), signal)),
    ]
    after = [
        Section(
            _("Next action"),
            _(
                "%(provider)s %(label)s is settled when it has become a move: add provider config, fill pricing, "
                "import inventory, set route, add monitoring, or send to human review."
            )
            % {"provider": provider.name, "label": label},
            (_("Onboarding signal: %s") % signal, _("Model coverage: %s") % samples),
        ),
    ]
    if account:
        read, anchors = metrics(shared, provider), [_(c.label) for c in capabilities(shared, provider)]
        kinds = " / ".join(distinct([kind(p) for p in account]))
        cards += [
            Card(_("Read-only probes"), str(len(account)), kinds),
            Card(_("Sample metrics"), str(len(read)), " / ".join(read[:4])),
            Card(_("Ten capabilities"), str(len(anchors)), " / ".join(anchors[:3])),
        ]
        after.append(_anchors(provider, len(account), kinds, read, anchors))
    scheme, form = AUTH_SCHEMES[provider.auth]
    cards += [
        Card(
            _("Key is sent to"),
            " / ".join(provider.hosts) or _("nobody"),
            isolated(f"{scheme}: {form.format('…')}") if provider.hosts else "",
        ),
        Card(_("Protocol"), _protocol(provider), provider.protocol),
    ]
    return Page(
        slug=f"{provider.slug}-{dimension.slug}",
        kicker=_("Provider key onboarding probe"),
        title=f"{provider.name} | {label}",
        description=dimension.description(provider),
        lead=_lead(provider, label, len(account)),
        warning=_warning(provider),
        cards=tuple(cards),
        summary_heading=_("Provider onboarding summary"),
        summary=(
            (_("Provider"), provider.name),
            (_("Probe dimension"), dimension.slug),
            (_("Model coverage"), coverage),
        ),
        sections=(*before, *dimension.sections(shared, provider), *after),
        checked_on=provider.checked_on,
        links=_links(provider),
        related=tuple(r for r in _related(shelf, provider, dimension) if r.links),
        above=Link(_("Providers"), ABOVE),
        action=_check(provider),
    )


# Their sentences


def _lead(provider: Provider, label: str, probes: int) -> str:
    count = len(provider.models)
    words = {"provider": provider.name, "label": label, "route": _route(provider), "samples": _samples(provider)}
    way = _(
        "%(provider)s %(label)s tells how far a key gets on the way from identification "
        "to inventory, pricing, routing and launch."
    )
    known = ngettext(
        "Known beforehand: %(count)d covered model, %(route)s, sample model %(samples)s.",
        "Known beforehand: %(count)d covered models, %(route)s, sample models %(samples)s.",
        count,
    )
    if not count:
        known = _("Known beforehand: no covered model, %(route)s.")
    asked = ngettext(
        "What holds for one key is then read by %(count)d read-only account probe.",
        "What holds for one key is then read by %(count)d read-only account probes.",
        probes,
    )
    if not probes and free(provider):
        asked = _("There is no read-only call about the account: what holds for one key is read from the model list.")
    elif not probes:
        asked = _("There is no read-only call to ask, so what holds for one key stays open.")
    return together(way % words, known % {**words, "count": count}, asked % {"count": probes})


def _check(provider: Provider) -> Link | None:
    if provider.retired:
        return None
    return Link(_("Check a key of %s") % provider.name, f"/?provider={provider.slug}")


def _warning(provider: Provider) -> str:
    if provider.retired:
        return _(provider.retired)
    if not provider.unprovable:
        return ""
    return _("No free call proves a key of %(provider)s. %(reason)s") % {
        "provider": provider.name,
        "reason": _(provider.unprovable),
    }


def _destination(provider: Provider) -> str:
    hosts = provider.hosts
    if not hosts:
        return _("The key is sent to nobody: no free call of this provider needs it.")
    return _("The key is sent to %s and to nobody else, in calls that only read.") % " / ".join(hosts)


def _steps(provider: Provider, label: str) -> tuple[str, str]:
    count = len(provider.models)
    candidates = ngettext(
        "Take the %(count)d covered model as a candidate, then read /models, the balance, error bodies "
        "and limit headers.",
        "Take the %(count)d covered models as candidates, then read /models, the balance, error bodies "
        "and limit headers.",
        count,
    )
    if not count:
        candidates = _(
            "Without a covered model to start from, read /models, the balance, error bodies and limit headers."
        )
    return (
        _(
            "Settle first that %(provider)s issued the key, then turn to %(label)s; "
            "OpenAI-compatible does not mean OpenAI."
        )
        % {"provider": provider.name, "label": label},
        candidates % {"count": count},
    )


def _anchors(provider: Provider, probes: int, kinds: str, read: list[str], anchors: list[str]) -> Section:
    return Section(
        _("Ten key capability anchors"),
        ngettext(
            "%(provider)s has %(count)d read-only account probe, which supports %(anchors)s. "
            "A check runs on the very rows that are counted here.",
            "%(provider)s has %(count)d read-only account probes, which support %(anchors)s. "
            "A check runs on the very rows that are counted here.",
            probes,
        )
        % {"provider": provider.name, "count": probes, "anchors": " / ".join(anchors) or _("none of the ten")},
        (
            _("Read-only probes: %s. They show whose the key is and what its account may do.") % kinds,
            _("Sampleable metrics: %s.") % (" / ".join(read) or _("none")),
            _("Ten-capability anchors: %s.") % (" / ".join(anchors) or _("none")),
        ),
    )


def _links(provider: Provider) -> tuple[Link, ...]:
    words = {
        "site": _("Site"),
        "docs": _("Documentation"),
        "keys": _("Key console"),
        "billing": _("Billing"),
        "limits": _("Limits"),
        "status": _("Status"),
    }
    return tuple(
        Link(word, provider.links[name])
        for name, word in words.items()
        if provider.links.get(name, "").startswith("https://")
    )


def _link(provider: Provider, dimension: Dimension, label: str) -> Link:
    return Link(label, f"/provider-key-probes/{provider.slug}-{dimension.slug}/")


def _related(shelf: Shelf, provider: Provider, dimension: Dimension) -> tuple[Related, ...]:
    said = pages_of(provider, shelf.shared)
    sale = (Link(_("the market"), market(provider)),) if provider.models else ()
    return (
        Related(
            _("Other dimensions"), tuple(_link(provider, d, str(d.label)) for d in DIMENSIONS if d is not dimension)
        ),
        Related(
            _("Errors of its keys"),
            tuple(Link(str(BY_SLUG[slug].label), error_address(provider.slug, slug)) for slug in said),
        ),
        Related(_("What a key reveals"), topic_links(shelf.shared, provider)),
        Related(_("Compared with"), rival_links(shelf, provider)),
        Related(_("Models for sale"), sale),
    )
