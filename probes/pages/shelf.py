"""The catalogue as pages ask for it: a provider, a model's sellers, everyone in short. Each part is read when it is
asked for, so that a page costs the same however large the catalogue is. `models.shelf` reads the rows."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from probes.identity import identity
from probes.terms import AIModel, Capability, Catalogue, Probe, Provider, Shared


@dataclass(frozen=True)
class Seller:
    """A provider by name."""

    slug: str
    name: str
    route: str
    retired: bool
    checked_on: dt.date


@dataclass(frozen=True)
class Brief(Seller):
    """A provider in short, for lists."""

    models: int
    account_probes: int
    proof: tuple[str, ...]  # the kinds of call by which a key is proved
    capabilities: tuple[str, ...]  # slugs of the ten
    hosts: tuple[str, ...]  # that receive its keys


@dataclass(frozen=True)
class Offer:
    """A model at one of its sellers."""

    provider: Seller
    model: AIModel


class Shelf(Protocol):
    version: int

    @property
    def shared(self) -> Shared: ...

    def provider(self, slug: str) -> Provider | None:
        """One provider, whole."""

    def names(self) -> Mapping[str, Seller]:
        """Every provider by slug, in order of name."""

    def briefs(self) -> Mapping[str, Brief]:
        """Every provider in short by slug, in order of name."""

    def sellers(self, slugs: Collection[str]) -> Mapping[str, Provider]:
        """Those of these providers that there are, with their probes, without their models and key shapes."""

    def rivals(self, slug: str) -> Mapping[str, int]:
        """Who else sells this provider's models, by slug, with how many of them: most first."""

    def offers(self, identity: str) -> tuple[Offer, ...]:
        """Who sells this model: cheapest input first, without a price last. Empty for what nobody sells."""

    def market(self) -> Mapping[str, tuple[Offer, ...]]:
        """Every identity with its offers: the whole market, for sitemaps and lists of pages."""

    def whole(self) -> Catalogue:
        """The whole catalogue, as detection has it; for sitemaps and what else needs every rule."""


# The rules of counting, one for all pages


def free(provider: Provider) -> list[Probe]:
    return [p for p in provider.probes if not p.spends]


def kind(probe: Probe) -> str:
    return probe.kind or probe.name


def account_probes(provider: Provider) -> list[Probe]:
    """The one rule for what counts: free probes that ask about the account, so everything but model lists."""
    return [p for p in free(provider) if kind(p) != "models"]


def distinct(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))


def metrics(shared: Shared, provider: Provider) -> list[str]:
    """Names of what the account probes read, in order."""
    return distinct([r.name for p in account_probes(provider) for r in p.metrics if r.name in shared.metric])


def capabilities(shared: Shared, provider: Provider) -> list[Capability]:
    """What these metrics belong to, in order of first appearance."""
    known = {c.slug: c for c in shared.capabilities}
    slugs = distinct([shared.metric[name].capability for name in metrics(shared, provider)])
    return [known[slug] for slug in slugs if slug in known]


def brief(shared: Shared, provider: Provider, models: int) -> Brief:
    """models: counted, since a provider in a list has not its models with it."""
    return Brief(
        slug=provider.slug,
        name=provider.name,
        route=provider.route,
        models=models,
        account_probes=len(account_probes(provider)),
        proof=tuple(distinct([kind(p) for p in free(provider) if p.proves_key])),
        capabilities=tuple(c.slug for c in capabilities(shared, provider)),
        hosts=tuple(provider.hosts),
        retired=bool(provider.retired),
        checked_on=provider.checked_on,
    )


def identity_of(model: AIModel) -> str:
    return model.identity or identity(model.id)


def priced(model: AIModel) -> bool:
    return model.input_price is not None or model.route_based


Order = tuple[bool, Decimal | float, Decimal | float, str]


def price_order(asked: Decimal | float | None, answered: Decimal | float | None, seller: str) -> Order:
    """Cheapest input first, then output; what has no fixed price last, by name."""
    return asked is None, asked or 0, answered or 0, seller.casefold()


def by_price(offers: list[Offer]) -> tuple[Offer, ...]:
    def key(offer: Offer) -> Order:
        return price_order(offer.model.input_price, offer.model.output_price, offer.provider.name)

    return tuple(sorted(offers, key=key))


def commonest(names: list[str]) -> str:
    """What most sellers call a model; of several such names the shortest."""
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], len(name), name))
