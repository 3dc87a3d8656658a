"""The rows as public pages ask for them (`pages.shelf`). A shelf a version; what was read is kept."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import cache, cached_property, lru_cache
from typing import Any, TypeVar

from django.db.models import Count, Exists, OuterRef, TextField
from django.db.models.functions import Cast

from probes import seed
from probes.models import versions
from probes.models.catalogue import LISTS, AIModel, Capability, KeyShape, Metric, Probe, Provider
from probes.pages.shelf import Brief, Offer, Seller, brief, by_price
from probes.terms import AIModel as AIModelTerm
from probes.terms import Catalogue, Reading, Shared
from probes.terms import Probe as ProbeTerm
from probes.terms import Provider as ProviderTerm

T = TypeVar("T")
# The lists as text: a few of them stand on a thousand rows, and each is read once.
AS_TEXT: dict[str, Any] = {f"{name}_text": Cast(name, TextField()) for name in LISTS}
OFFERED = (  # in the order of terms.AIModel
    *("model_id", "name", "context_window", "max_output", "input_price", "output_price", "route_based"),
    *(*AS_TEXT, "identity"),
)
BRIEF_OF_PROBE = ("kind", "spends", "proves_key", "sends_key", "origin")
BRIEF_OF_PROVIDER = ("route", "retired", "own_hosts", "regions")
KEPT_AT_MOST = 512  # providers and models of each shelf

_lock = threading.Lock()
_kept: RowShelf | None = None


def shelf() -> RowShelf:
    """The shelf of the catalogue's present version. Another version begins anew, so that nothing outlives its rows."""
    global _kept
    with _lock:
        version = versions.version()
        if _kept is None or _kept.version != version:
            _kept = RowShelf(version)
        return _kept


class RowShelf:
    def __init__(self, version: int) -> None:
        self.version = version
        self._providers: OrderedDict[str, ProviderTerm | None] = OrderedDict()
        self._sellers: dict[str, ProviderTerm] = {}
        self._offers: OrderedDict[str, tuple[Offer, ...]] = OrderedDict()
        self._rivals: OrderedDict[str, Mapping[str, int]] = OrderedDict()

    @cached_property
    def shared(self) -> Shared:
        words = seed.shared()
        return Shared(
            capabilities=tuple(
                seed.Capability(*values)
                for values in Capability.objects.filter(enabled=True).values_list("slug", "label", "ours")
            ),
            metrics=tuple(
                seed.Metric(*values)
                for values in Metric.objects.filter(enabled=True).values_list(
                    "name", "capability__slug", "label", "unit"
                )
            ),
            protocols=words.protocols,
            rule_sets=words.rule_sets,
            neighbours=words.neighbours,
        )

    def provider(self, slug: str) -> ProviderTerm | None:
        """Four queries."""
        return _once(self._providers, slug, lambda: self._provider(slug))

    def _provider(self, slug: str) -> ProviderTerm | None:
        row = Provider.objects.filter(enabled=True, slug=slug).first()
        if row is None:
            return None

        def parts(model: Any) -> tuple[Any, ...]:
            return tuple(part.as_seed() for part in model.objects.filter(enabled=True, provider=row))

        offered = AIModel.objects.filter(enabled=True, provider=row).annotate(**AS_TEXT)
        models = tuple(_term(*values) for values in offered.values_list(*OFFERED))
        found: ProviderTerm = row.as_seed(key_shapes=parts(KeyShape), probes=parts(Probe), models=models)
        return found

    def names(self) -> Mapping[str, Seller]:
        return self._names

    @cached_property
    def _names(self) -> dict[str, Seller]:
        """One query."""
        rows = Provider.objects.filter(enabled=True).values_list("slug", "name", "route", "retired", "checked_on")
        found = [Seller(slug, name, route, bool(retired), day) for slug, name, route, retired, day in rows]
        return {seller.slug: seller for seller in sorted(found, key=lambda s: s.name.casefold())}

    def briefs(self) -> Mapping[str, Brief]:
        return self._briefs

    @cached_property
    def _briefs(self) -> dict[str, Brief]:
        """Three queries, and none of the models themselves."""
        probes: dict[int, list[ProbeTerm]] = defaultdict(list)
        named = cache(Reading)  # some forty names, and a thousand places where they stand
        told: tuple[str, ...] = ("provider_id", "metrics", "name", *BRIEF_OF_PROBE)
        for owner, read, name, *facts in Probe.objects.filter(enabled=True, provider__enabled=True).values_list(*told):
            readings = tuple(named(one["name"]) for one in read)
            told_of = dict(zip(BRIEF_OF_PROBE, facts, strict=True))
            probes[owner].append(ProbeTerm(name, "", (), metrics=readings, **told_of))
        owned = AIModel.objects.filter(enabled=True).order_by().values_list("provider_id")
        counts = dict(owned.annotate(count=Count("pk")))
        found = {}
        told = ("pk", "origins", "slug", "name", "checked_on", *BRIEF_OF_PROVIDER)
        for pk, origins, slug, name, day, *facts in Provider.objects.filter(enabled=True).values_list(*told):
            told_of = dict(zip(BRIEF_OF_PROVIDER, facts, strict=True))
            light = ProviderTerm(slug, name, "", day, origins=dict(origins), probes=tuple(probes[pk]), **told_of)
            found[slug] = brief(self.shared, light, counts.get(pk, 0))
        return dict(sorted(found.items(), key=lambda item: item[1].name.casefold()))

    def sellers(self, slugs: Collection[str]) -> Mapping[str, ProviderTerm]:
        """Two queries, however many; none for those that were read before."""
        unread = set(slugs) - self._sellers.keys()
        if unread:
            probes: dict[int | None, list[ProbeTerm]] = defaultdict(list)
            for probe in Probe.objects.filter(enabled=True, provider__slug__in=unread):
                probes[probe.provider_id].append(probe.as_seed())
            for row in Provider.objects.filter(enabled=True, slug__in=unread):
                self._sellers[row.slug] = row.as_seed(probes=tuple(probes[row.pk]))
        return {slug: self._sellers[slug] for slug in slugs if slug in self._sellers}

    def rivals(self, slug: str) -> Mapping[str, int]:
        """One query."""
        return _once(self._rivals, slug, lambda: self._count_rivals(slug))

    def _count_rivals(self, slug: str) -> dict[str, int]:
        mine = AIModel.objects.filter(enabled=True, provider__slug=slug).values("identity")
        theirs = AIModel.objects.filter(enabled=True, provider__enabled=True, identity__in=mine)
        counted = theirs.exclude(provider__slug=slug).values_list("provider__slug")
        return dict(counted.annotate(count=Count("identity", distinct=True)).order_by("-count", "provider__slug"))

    def offers(self, identity: str) -> tuple[Offer, ...]:
        return _once(self._offers, identity, lambda: self._read(identity=identity).get(identity, ()))

    @cached_property
    def selling(self) -> list[Seller]:
        """Who sells a model or more, in order of name. One query, and that of the names."""
        offered = AIModel.objects.filter(enabled=True, provider=OuterRef("pk"))
        slugs = {*Provider.objects.filter(Exists(offered)).values_list("slug", flat=True)}
        return [seller for seller in self.names().values() if seller.slug in slugs]

    @cached_property
    def size(self) -> int:
        """How many models the market has, each counted once."""
        return versions.Listing.objects.count()

    def market(self) -> Mapping[str, tuple[Offer, ...]]:
        return self._market

    @cached_property
    def _market(self) -> dict[str, tuple[Offer, ...]]:
        return self._read()

    def _read(self, **chosen: str) -> dict[str, tuple[Offer, ...]]:
        """Plain values: with thousands of models, rows of the ORM cost most of the time."""
        names, found = self.names(), defaultdict(list)
        rows = AIModel.objects.filter(enabled=True, provider__enabled=True, **chosen).order_by("identity")
        for seller, *values in rows.annotate(**AS_TEXT).values_list("provider__slug", *OFFERED):
            if seller in names:  # else it was switched on this moment
                model = _term(*values)
                found[model.identity].append(Offer(names[seller], model))
        return {identity: by_price(offers) for identity, offers in found.items()}

    def whole(self) -> Catalogue:
        return versions.current()


def _term(model_id: str, name: str, *facts: Any) -> AIModelTerm:
    """A model of its row's values, in the order of OFFERED."""
    *plain, can, takes, gives, identity = facts
    told: list[Any] = [*plain, *map(words, (can, takes, gives)), identity]
    return AIModelTerm(model_id, name or model_id, *told)


@lru_cache(1024)
def words(text: str) -> tuple[str, ...]:
    """A list of a row as AS_TEXT gives it."""
    return tuple(json.loads(text))


def _once(kept: OrderedDict[str, T], name: str, read: Callable[[], T]) -> T:
    """What is kept under this name, read if it is not; the oldest goes when there are too many.

    What is not there is not kept: its name may be a key that somebody put into an address.
    """
    try:
        return kept[name]
    except KeyError:  # or another thread has dropped it this moment
        found = read()
    if found:
        kept[name] = found
    while len(kept) > KEPT_AT_MOST:
        kept.popitem(last=False)
    return found
