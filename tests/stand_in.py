"""A shelf of a few providers, for what pages are tested without rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from probes import seed
from probes.identity import identity
from probes.pages.shelf import Brief, Offer, Seller, brief, by_price


class StandIn:
    """As `models.shelf.RowShelf`, from providers that are given."""

    version = 1

    def __init__(self, *providers: seed.Provider) -> None:
        self.shared = seed.shared()
        self._providers = {provider.slug: provider for provider in providers}

    def provider(self, slug: str) -> seed.Provider | None:
        return self._providers.get(slug)

    def sellers(self, slugs: Collection[str]) -> Mapping[str, seed.Provider]:
        return {slug: self._providers[slug] for slug in slugs if slug in self._providers}

    def briefs(self) -> Mapping[str, Brief]:
        return {
            slug: brief(self.shared, p, len(p.models))
            for slug, p in sorted(self._providers.items(), key=lambda item: item[1].name.casefold())
        }

    def names(self) -> Mapping[str, Seller]:
        return {
            slug: Seller(slug, p.name, p.route, bool(p.retired), p.checked_on)
            for slug, p in sorted(self._providers.items(), key=lambda item: item[1].name.casefold())
        }

    def market(self) -> Mapping[str, tuple[Offer, ...]]:
        found: dict[str, list[Offer]] = defaultdict(list)
        for slug, provider in self._providers.items():
            for model in provider.models:
                found[identity(model.id)].append(Offer(self.names()[slug], model))
        return {name: by_price(offers) for name, offers in found.items()}

    def offers(self, identity: str) -> tuple[Offer, ...]:
        return self.market().get(identity, ())

    def rivals(self, slug: str) -> Mapping[str, int]:
        mine = [identity(m.id) for m in self._providers[slug].models]
        theirs = {s: {identity(m.id) for m in p.models} & set(mine) for s, p in self._providers.items() if s != slug}
        return {s: len(common) for s, common in theirs.items() if common}

    def whole(self) -> seed.Catalogue:
        return seed.Catalogue(providers=self._providers, gateways={}, shared=self.shared)
