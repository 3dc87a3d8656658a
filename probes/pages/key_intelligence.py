"""The family provider × topic: what a key of that provider reveals of one thing, metric by metric. Pure.

Topics are the ten capabilities, and the project that a key belongs to where a call names it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from probes import words
from probes.formats import begin, together
from probes.pages.page import Card, Cell, Column, Link, Page, Related, Section, Table
from probes.pages.readings import Read, cost, read_from, reads, unit, withheld, withheld_table
from probes.pages.rules import Told, rule_table, told
from probes.pages.shelf import Shelf, distinct
from probes.terms import Metric, Provider, Shared

Words = str | Promise
ABOVE = "/capabilities/"
PROJECT = "project-scope"
PROJECT_METRICS = ("project_id", "organization_id", "token_scopes")
MANY = "list"  # the type of a metric of which more may be there than is kept

# What the topic decides, by its slug.
WHY: dict[str, Words] = {
    "operational-actions": gettext_lazy("Whether the key is accepted decides every move that follows."),
    "key-identity": gettext_lazy(
        "Who owns a key decides whom to ask when it fails, and whether it may be sold at all."
    ),
    "model-permission-matrix": gettext_lazy("What one key may call is less than what its provider offers."),
    "limit-matrix": gettext_lazy("A limit decides how many customers one key can serve at once."),
    "balance-and-quota": gettext_lazy("A key that is accepted can still be unable to pay for a single call."),
    "capability-matrix": gettext_lazy("Rights are given one by one: a key may chat and yet not read a file."),
    "continuous-monitoring": gettext_lazy("A window that resets and a key that expires can be planned for."),
    "cost-and-usage": gettext_lazy("Past spending shows whether somebody else is using the key, too."),
    "route-and-region": gettext_lazy("The region that answers decides delay, law and price."),
    "protocol-authenticity": gettext_lazy("A relay that poses as the provider gives itself away in small marks."),
    PROJECT: gettext_lazy("A key that belongs to one project has that project's rights, limits and bill."),
}


@dataclass(frozen=True)
class Topic:
    slug: str
    label: str
    metrics: tuple[Metric, ...]


def topics(shared: Shared) -> list[Topic]:
    ten = [
        Topic(c.slug, _(c.label), tuple(m for m in shared.metrics if m.capability == c.slug))
        for c in shared.capabilities
    ]
    project = tuple(shared.metric[name] for name in PROJECT_METRICS if name in shared.metric)
    return [*ten, Topic(PROJECT, _("project scope"), project)]


def topics_of(shared: Shared, provider: Provider) -> list[Topic]:
    """Those of which a probe of this provider reads something, or of which we know that it cannot be read."""
    read = {r.name for p in provider.probes for r in p.metrics}
    known = read | {w.metric for w in provider.not_exposed}
    return [
        topic
        for topic in topics(shared)
        if (PROJECT_METRICS[0] in read if topic.slug == PROJECT else known & {m.name for m in topic.metrics})
    ]


def topic_links(shared: Shared, provider: Provider) -> tuple[Link, ...]:
    return tuple(Link(t.label, f"/key-intelligence/{provider.slug}-{t.slug}/") for t in topics_of(shared, provider))


def slugs(shelf: Shelf) -> list[str]:
    providers = shelf.whole().providers.values()
    return [f"{p.slug}-{topic.slug}" for p in providers for topic in topics_of(shelf.shared, p)]


def find(shelf: Shelf, slug: str) -> Page | None:
    """Both halves of an address hold hyphens, so it splits at a topic that we know."""
    for topic in topics(shelf.shared):
        if slug.endswith(f"-{topic.slug}"):
            provider = shelf.provider(slug.removesuffix(f"-{topic.slug}"))
            there = provider and topic in topics_of(shelf.shared, provider)
            return page(shelf.shared, provider, topic) if provider and there else None
    return None


def page(shared: Shared, provider: Provider, topic: Topic) -> Page:
    names = {m.name for m in topic.metrics}
    capabilities = {m.capability for m in topic.metrics}
    found = [r for r in reads(shared, provider, capabilities) if r.metric.name in names]
    kept = [w for w in withheld(shared, provider, capabilities) if w.metric in names]
    silent = [m for m in topic.metrics if m.name not in {r.metric.name for r in found} | {w.metric for w in kept}]
    read = distinct([r.metric.name for r in found])
    calls = distinct([r.probe.name for r in found])
    values = {"provider": provider.name, "topic": topic.label}
    sections = [
        Section(
            _("Why it matters"),
            str(WHY.get(topic.slug, "")),
            (
                _(
                    "All of this counts only once the key is proved to be of %(provider)s: "
                    "a relay in between can say anything."
                )
                % values,
                _("What was not seen is never taken for a no."),
            ),
        ),
        Section(_("What the calls tell"), _states_legend(), table=_table(shared, provider, found)),
        *_unseen(shared, provider, topic, found),
    ]
    if kept:
        text = _("These are not exposed by the provider to an ordinary key.")
        sections.append(Section(_("What is not given"), text, table=withheld_table(shared, kept)))
    if silent:
        asked = " / ".join(_(m.label) for m in silent)
        text = _("No call that TestKey makes here reads: %(metrics)s. A result leaves them open.") % {"metrics": asked}
        sections.append(Section(_("What is not read"), text))
    return Page(
        slug=f"{provider.slug}-{topic.slug}",
        kicker=_("Key intelligence"),
        title=f"{provider.name} | {topic.label}",
        description=_description(values, len(read), len(kept)),
        lead=_lead(values, len(read), calls, len(kept)),
        cards=(
            Card(_("Provider"), provider.name, _("China route") if provider.route == "china" else _("global route")),
            Card(_("Topic"), begin(topic.label), topic.slug),
            Card(_("Metrics read"), str(len(read)), " / ".join(read[:4])),
            Card(_("Not exposed"), str(len(kept)), " / ".join(w.metric for w in kept[:4])),
        ),
        summary_heading=_("Evidence in short"),
        summary=(
            (_("Read by"), " / ".join(calls) or _("no call")),
            (_("Not read"), str(len(silent))),
        ),
        sections=tuple(s for s in sections if s.table is None or s.table.rows),
        related=(
            Related(_("Other topics"), tuple(k for k in topic_links(shared, provider) if k.label != topic.label)),
        ),
        above=Link(_("Capabilities"), ABOVE),
        action=None
        if provider.retired
        else Link(_("Check a key of %s") % provider.name, f"/?provider={provider.slug}"),
        checked_on=provider.checked_on,
        links=tuple(
            Link(word, provider.links[name])
            for name, word in (("docs", _("Documentation")), ("keys", _("Key console")))
            if provider.links.get(name, "").startswith("https://")
        ),
    )


def _description(values: dict[str, str], read: int, withheld: int) -> str:
    if not read:
        return _("“%(topic)s” at %(provider)s: what an ordinary key cannot read of it, and for which reason.") % values
    if not withheld:
        return _("“%(topic)s” at %(provider)s: which calls read it, and where in the answer each fact stands.") % values
    return _("“%(topic)s” at %(provider)s: which calls read it, where each fact stands, and what is not told.") % values


def _lead(values: dict[str, str], read: int, calls: list[str], withheld: int) -> str:
    told = ngettext(
        "At %(provider)s %(count)d metric of “%(topic)s” is read, by %(calls)s.",
        "At %(provider)s %(count)d metrics of “%(topic)s” are read, by %(calls)s.",
        read,
    ) % {**values, "count": read, "calls": " / ".join(calls)}
    if not read:
        told = _("At %(provider)s no call reads anything of “%(topic)s”.") % values
    kept = ngettext(
        "%(count)d metric is known to be out of an ordinary key's reach.",
        "%(count)d metrics are known to be out of an ordinary key's reach.",
        withheld,
    ) % {"count": withheld}
    return together(told, kept) if withheld else told


def _states_legend() -> str:
    return _(
        "A result says of each: “%(confirmed)s” if the value was read, “%(partial)s” if the list was longer than is "
        "kept, “%(invisible)s” if this key alone was turned away, “%(not_exposed)s” if a good answer does not have it."
    ) % {state: str(word) for state, word in words.EVIDENCE_STATES.items()}


def _table(shared: Shared, provider: Provider, found: list[Read]) -> Table:
    columns = (
        Column(_("Metric")),
        Column(_("Unit"), "word"),
        Column(_("Read from"), "mono"),
        Column(_("A result can say")),
    )
    return Table(
        columns,
        tuple(
            (
                Cell(_(read.metric.label), sub=read.metric.name),
                unit(read) or "–",
                Cell(read_from(read), sub=" · ".join(filter(None, (read.probe.name, cost(read.probe))))),
                " / ".join(str(words.EVIDENCE_STATES[s]) for s in states(shared, provider, read)),
            )
            for read in found
        ),
    )


def states(shared: Shared, provider: Provider, read: Read) -> list[str]:
    """The evidence states that a metric can have here, besides a good answer that lacks it (`evidence.state_of`)."""
    partial = ["partial"] if read.reading.type == MANY else []
    hidden = any(_hides(each) for each in told(shared, provider) if each.probe in (None, read.probe))
    return ["confirmed", *partial, *(["invisible"] if hidden else [])]


def _hides(each: Told) -> bool:
    """Whether this answer turns the key away from the call, though the key is none that is refused."""
    return bool({401, 403} & set(each.rule.status)) and each.rule.verdict in ("restricted", "active", "unknown")


def _unseen(shared: Shared, provider: Provider, topic: Topic, found: list[Read]) -> list[Section]:
    """The answers by which these calls turn away a key that is good."""
    probes = [read.probe for read in found]
    hiding = [e for e in told(shared, provider) if _hides(e) and (e.probe is None or e.probe in probes)]
    if not hiding or not found:
        return []
    text = _("These answers turn a key away from the call without refusing the key.")
    return [Section(_("When this key may not see it"), text, table=rule_table(hiding, {}))]
