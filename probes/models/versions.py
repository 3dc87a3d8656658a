"""Which version of the catalogue the rows are, what is read of it whole, and what is summed up of it once a version."""

from __future__ import annotations

import gc
import threading
import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Count, F, Max, Min

from probes import seed
from probes.models.catalogue import AIModel, Capability, Gateway, KeyShape, Metric, Probe, Provider


class Listing(models.Model):
    """One model as the market lists it, of all its offers. Written with each version of the catalogue, so that a page
    of the market costs the same however many models there are."""

    SUMS = {
        "sellers": Count("provider", distinct=True),
        "window": Max("context_window"),
        "cheapest_input": Min("input_price"),
        "cheapest_output": Min("output_price"),
    }

    identity = models.SlugField(max_length=100, primary_key=True)
    sellers = models.PositiveIntegerField()
    window = models.PositiveIntegerField(null=True)
    cheapest_input = models.DecimalField(max_digits=14, decimal_places=6, null=True)
    cheapest_output = models.DecimalField(max_digits=14, decimal_places=6, null=True)

    class Meta:
        indexes = [models.Index(F("sellers").desc(), "identity", name="most_sold_first")]

    def __str__(self) -> str:
        return self.identity

    @classmethod
    def renew(cls, identities: Collection[str] | None = None) -> None:
        """Sum up anew: these models, or all. One statement, since rows would pass through Python for nothing."""
        offers, rows = AIModel.objects.filter(enabled=True, provider__enabled=True).order_by(), cls.objects.all()
        if identities is not None:
            offers, rows = offers.filter(identity__in=identities), rows.filter(identity__in=identities)
        summed, values = offers.values_list("identity").annotate(**cls.SUMS).query.sql_with_params()
        names = ", ".join(connection.ops.quote_name(field.attname) for field in cls._meta.fields)
        with transaction.atomic(), connection.cursor() as cursor:
            rows.delete()
            cursor.execute(f"INSERT INTO {connection.ops.quote_name(cls._meta.db_table)} ({names}) {summed}", values)


class CatalogueState(models.Model):
    """One row: which version of the catalogue the rows are, and which files were last loaded."""

    version = models.PositiveBigIntegerField(default=1)
    files = models.CharField(max_length=64, blank=True)

    @classmethod
    def bump(cls, listed: Collection[str] | None = None, **values: Any) -> None:
        """Tell every process that the catalogue has changed. Two at once wait for each other at the row.

        listed: identities of the models whose offers may have changed; None for any. values: of the row.
        """
        with transaction.atomic():
            if not cls.objects.filter(pk=1).update(version=F("version") + 1, **values):
                cls.objects.create(pk=1, version=1, **values)
            if listed is None or listed:
                Listing.renew(listed)


_lock = threading.Lock()
_asked: tuple[float, int] | None = None
_kept: seed.Catalogue | None = None
FRESH_SECONDS = 0.5


def version() -> int:
    """Which version of the catalogue the rows are. Asked at most twice a second, so that an edit shows within one."""
    global _asked
    now, asked = time.monotonic(), _asked
    if asked is None or now - asked[0] >= FRESH_SECONDS:
        number = CatalogueState.objects.filter(pk=1).values_list("version", flat=True).first() or 0
        _asked = asked = (now, number)
    return asked[1]


def current() -> seed.Catalogue:
    """The whole enabled catalogue, for detection. Pages ask `shelf` for their part of it."""
    global _kept
    with _lock:
        number = version()
        if _kept is None or _kept.version != number:
            _kept = load(number)
            gc.freeze()  # it is large and stays: the collector need not go through it again and again
        return _kept


def forget() -> None:
    """Make the next `version()` look at the rows (tests, and commands that have just changed them)."""
    global _asked
    _asked = None


def load(version: int) -> seed.Catalogue:
    """All enabled rows as one catalogue: seven queries, however many rows."""
    shapes, probes, models_ = _by_owner(KeyShape), _by_owner(Probe), _by_owner(AIModel)
    words = seed.shared()
    return seed.Catalogue(
        providers={
            row.slug: row.as_seed(
                key_shapes=shapes[("provider", row.pk)],
                probes=probes[("provider", row.pk)],
                models=models_[("provider", row.pk)],
            )
            for row in Provider.objects.filter(enabled=True)
        },
        gateways={
            row.slug: row.as_seed(key_shapes=shapes[("gateway", row.pk)], probes=probes[("gateway", row.pk)])
            for row in Gateway.objects.filter(enabled=True)
        },
        shared=seed.Shared(
            capabilities=tuple(row.as_seed() for row in Capability.objects.filter(enabled=True)),
            metrics=tuple(row.as_seed() for row in Metric.objects.filter(enabled=True).select_related("capability")),
            protocols=words.protocols,
            rule_sets=words.rule_sets,
            neighbours=words.neighbours,
        ),
        version=version,
    )


def _by_owner(model: Any) -> dict[tuple[str, int], tuple[Any, ...]]:
    """The enabled parts of each provider and gateway, in their order."""
    found: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for row in model.objects.filter(enabled=True):
        gateway = getattr(row, "gateway_id", None)
        found[("gateway", gateway) if gateway else ("provider", row.provider_id)].append(row.as_seed())
    return defaultdict(tuple, {owner: tuple(parts) for owner, parts in found.items()})


def whole(row: Provider | Gateway) -> seed.Provider | seed.Gateway:
    """A sender with its enabled parts, checked as a file is. Raises SeedError if they do not fit together."""
    parts = {
        name: tuple(p.as_seed() for p in getattr(row, name).filter(enabled=True)) for name in ("key_shapes", "probes")
    }
    sender = row.as_seed(**parts)
    if isinstance(sender, seed.Provider) and not sender.unprovable and not any(p.proves_key for p in sender.probes):
        sender = replace(sender, unprovable="switched off here")
    seed.check_sender(sender, sender.slug)
    return sender
