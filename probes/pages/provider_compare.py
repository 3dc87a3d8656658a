"""The family provider against provider: two of them side by side. Pure.

A pair has a page if both sell at least `LEAST` of the same models, so that prices can be compared; its address names
the two in alphabetical order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import combinations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from probes.formats import begin, day, isolated, number, price, together
from probes.pages.page import Card, Cell, Column, Link, Page, Related, Section, Table
from probes.pages.readings import reads, withheld
from probes.pages.shelf import Shelf, account_probes, distinct, free, identity_of, priced
from probes.terms import AUTH_SCHEMES, AIModel, Provider, Shared

ABOVE = "/providers/"
LEAST = 2
MOST_ROWS = 40
BROADER = 3  # times as many models, from which on one of two is clearly broader
MOST_LINKS = 6

Pair = tuple[AIModel, AIModel]


def slugs(shelf: Shelf) -> list[str]:
    shared: Counter[tuple[str, str]] = Counter()
    for offers in shelf.market().values():
        shared.update(combinations(sorted({offer.provider.slug for offer in offers}), 2))
    return sorted(f"{a}-vs-{b}" for (a, b), count in shared.items() if count >= LEAST)


def find(shelf: Shelf, slug: str) -> Page | None:
    for first, second in _split(slug):
        if first < second and (a := shelf.provider(first)) and (b := shelf.provider(second)):
            pairs = common(a, b)
            return page(shelf.shared, a, b, pairs) if len(pairs) >= LEAST else None
    return None


def moved(shelf: Shelf, slug: str) -> str:
    """The page of two providers whose names stand the other way round."""
    for first, second in _split(slug):
        if second < first and {first, second} <= shelf.names().keys():
            return f"{second}-vs-{first}"
    return ""


def _split(slug: str) -> Iterator[tuple[str, str]]:
    """Both names may hold "-vs-" themselves: every place where the address can split."""
    parts = slug.split("-vs-")
    for place in range(1, len(parts)):
        yield "-vs-".join(parts[:place]), "-vs-".join(parts[place:])


def rival_links(shelf: Shelf, provider: Provider) -> tuple[Link, ...]:
    """A few of this provider's comparisons: with those that sell most of its models."""
    names = shelf.names()
    there = [slug for slug, count in shelf.rivals(provider.slug).items() if count >= LEAST and slug in names]
    return tuple(Link(names[slug].name, address(provider.slug, slug)) for slug in there[:MOST_LINKS])


def address(one: str, other: str) -> str:
    first, second = sorted((one, other))
    return f"/provider-compare/{first}-vs-{second}/"


def common(a: Provider, b: Provider) -> list[Pair]:
    """The models that both sell, in the order of the first; of several offers under one identity the first."""
    theirs = {identity_of(m): m for m in reversed(b.models)}
    mine = {identity_of(m): m for m in reversed(a.models)}
    return [(mine[i], theirs[i]) for i in distinct([identity_of(m) for m in a.models]) if i in theirs]


def page(shared: Shared, a: Provider, b: Provider, pairs: list[Pair]) -> Page:
    names = {"a": a.name, "b": b.name}
    cheaper = Counter(_cheaper(pair) for pair in pairs)
    count = len(pairs)
    wins = _("%(a)s %(first)s · %(b)s %(second)s") % {
        **names,
        "first": number(cheaper[0]),
        "second": number(cheaper[1]),
    }
    if not cheaper[0] and not cheaper[1]:
        wins = _("the same") if cheaper[2] else _("not known")
    return Page(
        slug=f"{a.slug}-vs-{b.slug}",
        kicker=_("Providers compared"),
        title=_("%(a)s and %(b)s compared") % names,
        description=ngettext(
            "%(a)s or %(b)s: route, calls and what a key reveals, with the prices of %(count)s shared model.",
            "%(a)s or %(b)s: route, calls and what a key reveals, with the prices of %(count)s shared models.",
            count,
        )
        % {**names, "count": number(count)},
        lead=_(
            "Start from the route, compare coverage and prices, then check one key of each: what is callable is "
            "decided there, not in a catalogue."
        ),
        cards=(
            Card(a.name, _coverage(a), route(a)),
            Card(b.name, _coverage(b), route(b)),
            Card(_("Shared models"), number(count), ""),
            Card(_("Cheaper in"), wins, _("of the shared models, where both prices are known and differ")),
        ),
        summary_heading=_("Comparison in short"),
        summary=(
            (_("Broader"), _broader(a, b)),
            (_("Proves a key for free"), " · ".join(p.name for p in (a, b) if _proofs(p)) or _("neither")),
        ),
        sections=(
            Section(_("Route difference"), _route_difference(a, b)),
            _prices(a, b, pairs),
            Section(_("Side by side"), table=_facts(a, b)),
            _reveals(shared, a, b),
            Section(
                _("What decides"),
                _(
                    "A key may open only some models, calls or regions. In the end supply has to be stable, prices "
                    "have to hold, and changes have to be noticed: check both keys again at intervals."
                ),
            ),
        ),
        related=tuple(
            Related(
                p.name, (Link(_("key onboarding readiness"), f"/provider-key-probes/{p.slug}-onboarding-readiness/"),)
            )
            for p in (a, b)
        ),
        above=Link(_("Providers"), ABOVE),
        checked_on=min(a.checked_on, b.checked_on),
    )


def route(provider: Provider) -> str:
    return _("China route") if provider.route == "china" else _("global route")


def _coverage(provider: Provider) -> str:
    count = len(provider.models)
    return ngettext("%(count)s model", "%(count)s models", count) % {"count": number(count)}


def _broader(a: Provider, b: Provider) -> str:
    few, many = sorted((a, b), key=lambda p: len(p.models))
    if len(many.models) < BROADER * len(few.models):
        return _("neither by much")
    return many.name


def _route_difference(a: Provider, b: Provider) -> str:
    if a.route != b.route:
        routes = _("They serve different markets. Ask first whether your customers reach both, then what they cost.")
    elif a.route == "china":
        routes = _("Both serve the Chinese market, so protocol, coverage and what a key may see tell them apart.")
    else:
        routes = _("Both serve the global market, so protocol, coverage and what a key may see tell them apart.")
    if len(max(a.models, b.models, key=len)) >= BROADER * len(min(a.models, b.models, key=len)):
        wide = _("%(provider)s covers clearly more models, which does not mean that every key can call them.") % {
            "provider": _broader(a, b)
        }
    else:
        wide = _("Neither covers far more models: price, rate limits, compatibility and stability decide.")
    return together(routes, wide)


# Prices


def _prices(a: Provider, b: Provider, pairs: list[Pair]) -> Section:
    columns = (
        Column(_("Model")),
        Column(_("%(provider)s, in / out") % {"provider": a.name}, "number"),
        Column(_("%(provider)s, in / out") % {"provider": b.name}, "number"),
        Column(_("Cheaper")),
    )
    names = (a.name, b.name, _("the same"), "–")
    rows = tuple(
        (
            Cell(one.name or one.id, f"/models/{identity_of(one)}/"),
            _both(one),
            _both(other),
            names[_cheaper((one, other))],
        )
        for one, other in sorted(pairs, key=_cheaper)[:MOST_ROWS]
    )
    words = _("USD per million tokens, as published. Cheaper is who asks less for input and output in equal parts.")
    return Section(_("Prices of shared models"), words, table=Table(columns, rows))


def _both(model: AIModel) -> str:
    if not priced(model):
        return _("not known")
    return f"{price(model.input_price, model.route_based)} / {price(model.output_price, model.route_based)}"


def _cheaper(pair: Pair) -> int:
    """0 or 1: the first or the second; 2: the same; 3: not known of one of them."""
    sums = [_sum(model) for model in pair]
    if sums[0] is None or sums[1] is None:
        return 3
    return 2 if sums[0] == sums[1] else int(sums[1] < sums[0])


def _sum(model: AIModel) -> Decimal | None:
    if model.input_price is None or model.output_price is None:
        return None
    return model.input_price + model.output_price


# Facts


def _facts(a: Provider, b: Provider) -> Table:
    rows = [
        (_("Covered models with a price"), *(number(sum(map(priced, p.models))) for p in (a, b))),
        (_("Free account calls"), *(number(len(account_probes(p))) for p in (a, b))),
        (_("Proved by"), *(_joined(_proofs(p)) for p in (a, b))),
        (_("Ability to pay is shown by"), *(_joined(q.name for q in free(p) if q.pays) for p in (a, b))),
        (_("Key is sent to"), *(_joined(p.hosts) for p in (a, b))),
        (_("Sent as"), *(_scheme(p) for p in (a, b))),
        (_("Its keys begin with"), *(_joined(_prefixes(p)) for p in (a, b))),
        (_("Facts checked on"), *(day(p.checked_on) for p in (a, b))),
    ]
    return Table((Column(_("Fact")), Column(a.name), Column(b.name)), tuple(rows))


def _joined(words: Iterable[str]) -> str:
    return " / ".join(words) or "–"


def _proofs(provider: Provider) -> list[str]:
    return [f"{p.method} {p.path}" for p in free(provider) if p.proves_key]


def _scheme(provider: Provider) -> str:
    header, form = AUTH_SCHEMES[provider.auth]
    return isolated(f"{header}: {form.format('…')}")


def _prefixes(provider: Provider) -> list[str]:
    return distinct([isolated(s.prefix) for s in provider.key_shapes if s.prefix and not s.refuse])


def _reveals(shared: Shared, a: Provider, b: Provider) -> Section:
    rows = tuple(
        (begin(_(c.label)), _state(shared, a, c.slug), _state(shared, b, c.slug))
        for c in shared.capabilities
        if any(_state(shared, p, c.slug).tone for p in (a, b))
    )
    words = _("What free calls show, out of the ten capabilities. What neither of them tells is left out.")
    columns = (Column(_("Capability")), Column(a.name), Column(b.name))
    return Section(_("What a plain key reveals"), words, table=Table(columns, rows))


def _state(shared: Shared, provider: Provider, capability: str) -> Cell:
    found = reads(shared, provider, (capability,))
    read = distinct([r.metric.name for r in found if not r.probe.spends])
    href = f"/key-intelligence/{provider.slug}-{capability}/"
    if read:
        words = ngettext("%(count)s metric", "%(count)s metrics", len(read)) % {"count": number(len(read))}
        return Cell(words, href, "yes", "●")
    if found:
        return Cell(_("by a paid call only"), href, "warn", "◔")
    if withheld(shared, provider, (capability,)):
        return Cell(_("not exposed by the provider"), href, "warn", "○")
    return Cell("–")
