"""What the coverage page counts, as filters of the lists that it links to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import cache
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Count, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from probes.evidence import ACCEPTED
from probes.lab import recorded

FRESH_DAYS = 90
UNPRICED = Q(input_price=None, route_based=False)
ANSWERS_ANYONE = ("public_list", "keyless")  # what a probe says that judges no key, when all is well


def stale_before() -> dt.date:
    """Facts that were checked before this day want another look."""
    return timezone.now().date() - dt.timedelta(days=FRESH_DAYS)


def with_counts(providers: QuerySet[Any]) -> QuerySet[Any]:
    """Providers with the number of their enabled models, and of those without a price."""
    own = Q(models__enabled=True)
    bare = own & Q(models__input_price=None, models__route_based=False)
    return providers.annotate(covered=Count("models", filter=own), unpriced=Count("models", filter=bare))


@cache
def recordings() -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
    """Slugs and probes with a recorded yes, and those with a recorded no. The files do not change while it runs."""
    found: dict[bool, set[tuple[str, str]]] = {True: set(), False: set()}
    for record in recorded.read_all():
        said = record.conclude
        good = said["verdict"] in ACCEPTED or said.get("cause") in ANSWERS_ANYONE
        found[good].add((record.slug, record.probe))
    return frozenset(found[True]), frozenset(found[False])


def lacks(slug: str, probe: str) -> list[Any]:
    """What was never recorded of a probe: a yes, a no, both, or nothing."""
    yes, no = recordings()
    return [word for word, known in ((_("a yes"), yes), (_("a no"), no)) if (slug, probe) not in known]


class _Yes(SimpleListFilter):
    """A filter with one choice."""

    choice: Any = ""

    def lookups(self, request: Any, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("yes", self.choice)]


class Unpriced(_Yes):
    title, parameter_name, choice = _("price"), "unpriced", _("Without a price")

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(UNPRICED) if self.value() == "yes" else queryset


class Stale(_Yes):
    title, parameter_name, choice = _("facts"), "stale", _("Checked more than 90 days ago")

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(checked_on__lt=stale_before()) if self.value() == "yes" else queryset


class Models(SimpleListFilter):
    title, parameter_name = _("models"), "models"

    def lookups(self, request: Any, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("none", _("None")), ("unpriced", _("Some without a price"))]

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = {"none": Q(covered=0, retired=""), "unpriced": Q(unpriced__gt=0)}.get(self.value() or "")
        return with_counts(queryset).filter(chosen) if chosen else queryset


class Unrecorded(_Yes):
    title, parameter_name, choice = _("recorded answers"), "unrecorded", _("Lack a yes or a no")

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "yes":
            return queryset
        rows = queryset.values_list("pk", "provider__slug", "gateway__slug", "name")
        return queryset.filter(pk__in=[pk for pk, provider, gateway, name in rows if lacks(provider or gateway, name)])
