"""The family provider × dimension: how far a provider's key gets, by one angle. Pure, no ORM.

Labels, signals and the order of the slots are the public site's (docs/decisions.md); the sentences are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from probes.pages.page import Card, Column, IndexRow, Link, Page, Section, Table
from probes.terms import AUTH_SCHEMES, Catalogue, Probe, Provider

Words = str | Promise


@dataclass(frozen=True)
class Dimension:
    slug: str
    label: Words
    short: Words
    why: Words
    signal: Callable[[Provider], str]


def _readiness(provider: Provider) -> str:
    if len(provider.models) >= 3:
        return _("multi-model coverage, suitable for read-only identification first")
    return _("limited model coverage, confirm provider identity first")


def _inventory(provider: Provider) -> str:
    count = len(provider.models)
    return ngettext(
        "%(count)d model can become an inventory candidate",
        "%(count)d models can become inventory candidates",
        count,
    ) % {"count": count}


def _launch(provider: Provider) -> str:
    if provider.route == "china":
        return _("China route, check account region, reach from outside, balance, pricing, and stability first")
    return _("global route, check region/IP, balance, pricing, and stability first")


DIMENSIONS = (
    Dimension(
        "onboarding-readiness",
        gettext_lazy("key onboarding readiness"),
        gettext_lazy("onboarding"),
        gettext_lazy(
            "A key that answers is not yet a key that can be taken in. Whose it is comes first, "
            "then whether enough stands behind it to be worth a place in the configuration."
        ),
        _readiness,
    ),
    Dimension(
        "inventory-fit",
        gettext_lazy("key inventory fit"),
        gettext_lazy("inventory"),
        gettext_lazy(
            "Stock that belongs to another sender, or that this one key cannot call, costs more than a key "
            "that was refused. What the key itself can see decides, not what the provider has on offer."
        ),
        _inventory,
    ),
    Dimension(
        "commercial-launch",
        gettext_lazy("commercial launch readiness"),
        gettext_lazy("launch"),
        gettext_lazy(
            "Whoever sells calls on a key promises a price, a region, a rate and a balance that lasts. "
            "Each of them is known beforehand, or it is found out by the customer."
        ),
        _launch,
    ),
)


# What the rows say


def account_probes(provider: Provider) -> list[Probe]:
    """The one rule for what counts: free probes that ask about the account, so everything but model lists."""
    return [p for p in _free(provider) if kind(p) != "models"]


def kind(probe: Probe) -> str:
    return probe.kind or probe.name


def _free(provider: Provider) -> list[Probe]:
    return [p for p in provider.probes if not p.spends]


def _distinct(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))


def metrics(catalogue: Catalogue, provider: Provider) -> list[str]:
    known = {m.name for m in catalogue.shared.metrics}
    return _distinct([r.name for p in account_probes(provider) for r in p.metrics if r.name in known])


def capabilities(catalogue: Catalogue, provider: Provider) -> list[str]:
    """Labels of what these metrics belong to, in order of first appearance."""
    labels = {c.slug: c.label for c in catalogue.shared.capabilities}
    belongs = {m.name: m.capability for m in catalogue.shared.metrics}
    slugs = _distinct([belongs[name] for name in metrics(catalogue, provider)])
    return [_(labels[slug]) for slug in slugs if slug in labels]


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


def _proof(provider: Provider) -> str:
    """By which kinds of call a key is proved."""
    return " / ".join(_distinct([kind(p) for p in _free(provider) if p.proves_key])) or _("no free call proves it")


# The pages


def slugs(catalogue: Catalogue) -> list[str]:
    return [f"{slug}-{dimension.slug}" for slug in catalogue.providers for dimension in DIMENSIONS]


def find(catalogue: Catalogue, slug: str) -> Page | None:
    """Both halves of an address hold hyphens, so it splits at a dimension that we know."""
    for dimension in DIMENSIONS:
        provider = catalogue.providers.get(slug.removesuffix(f"-{dimension.slug}"))
        if provider and slug == f"{provider.slug}-{dimension.slug}":
            return page(catalogue, provider, dimension)
    return None


def index(catalogue: Catalogue) -> list[IndexRow]:
    return [
        IndexRow(
            name=provider.name,
            market=_("China") if provider.route == "china" else _("global"),
            models=len(provider.models),
            probes=len(account_probes(provider)),
            proof=_proof(provider),
            pages=tuple(_link(provider, d, str(d.short)) for d in DIMENSIONS),
        )
        for provider in sorted(catalogue.providers.values(), key=lambda p: p.name.casefold())
    ]


def page(catalogue: Catalogue, provider: Provider, dimension: Dimension) -> Page:
    label, signal, samples = str(dimension.label), dimension.signal(provider), _samples(provider)
    coverage = str(len(provider.models))
    account = account_probes(provider)
    cards = [
        Card(_("Provider"), provider.name, _route(provider)),
        Card(_("Model coverage"), coverage, samples),
        Card(_("Probe dimension"), label, dimension.slug),
        Card(_("Onboarding signal"), signal, provider.slug),
    ]
    sections = [
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
        read, anchors = metrics(catalogue, provider), capabilities(catalogue, provider)
        kinds = " / ".join(_distinct([kind(p) for p in account]))
        cards += [
            Card(_("Read-only probes"), str(len(account)), kinds),
            Card(_("Sample metrics"), str(len(read)), " / ".join(read[:4])),
            Card(_("Ten capabilities"), str(len(anchors)), " / ".join(anchors[:3])),
        ]
        sections.append(_anchors(provider, len(account), kinds, read, anchors))
    scheme, form = AUTH_SCHEMES[provider.auth]
    cards += [
        Card(
            _("Key is sent to"),
            " / ".join(provider.hosts) or _("nobody"),
            f"{scheme}: {form.format('…')}" if provider.hosts else "",
        ),
        Card(_("Protocol"), _protocol(provider), provider.protocol),
    ]
    return Page(
        slug=f"{provider.slug}-{dimension.slug}",
        kicker=_("Provider key onboarding probe"),
        title=f"{provider.name} | {label}",
        lead=_lead(provider, label, len(account)),
        warning=_warning(provider),
        cards=tuple(cards),
        summary_heading=_("Provider onboarding summary"),
        summary=(
            (_("Provider"), provider.name),
            (_("Probe dimension"), dimension.slug),
            (_("Model coverage"), coverage),
        ),
        burn=_("Read-only check. Detection data burns after 5 minutes."),
        sections=tuple(sections),
        tables=tuple(table for table in (_calls(provider), _withheld(catalogue, provider)) if table.rows),
        checked_on=provider.checked_on,
        links=_links(provider),
        related=tuple(_link(provider, d, str(d.label)) for d in DIMENSIONS if d is not dimension),
        action=None
        if provider.retired
        else Link(_("Check a key of %s") % provider.name, f"/?provider={provider.slug}"),
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
    if not probes and _free(provider):
        asked = _("There is no read-only call about the account: what holds for one key is read from the model list.")
    elif not probes:
        asked = _("There is no read-only call to ask, so what holds for one key stays open.")
    return " ".join((way % words, known % {**words, "count": count}, asked % {"count": probes}))


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


def _calls(provider: Provider) -> Table:
    return Table(
        _("The calls"),
        _("All that a check asks. A model list is not counted as an account probe."),
        (Column(_("Probe")), Column(_("Call"), "mono"), Column(_("Host"), "mono"), Column(_("Proves the key"))),
        tuple(
            (
                probe.name,
                f"{probe.method} {urlsplit(provider.origin(probe)).path}{probe.path}",
                " / ".join(provider.hosts_of(probe)),
                _proves(probe),
            )
            for probe in _free(provider)
        ),
    )


def _proves(probe: Probe) -> str:
    if probe.proves_key:
        return _("yes")
    if probe.public:
        return _("no, it answers anyone")
    return _("no") if probe.sends_key else _("no, it is asked without the key")


def _withheld(catalogue: Catalogue, provider: Provider) -> Table:
    labels = {m.name: m.label for m in catalogue.shared.metrics}
    return Table(
        _("Not exposed by the provider"),
        _("An ordinary key cannot read these here, so a result without them is no fault of the key."),
        (Column(_("Metric")), Column(_("Meaning")), Column(_("Reason"))),
        tuple((w.metric, _(labels[w.metric]), _(w.reason)) for w in provider.not_exposed if w.metric in labels),
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
