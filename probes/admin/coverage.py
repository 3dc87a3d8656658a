"""What the coverage lacks, on one page: counts, the first of each, and the lists with the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from probes import sow
from probes.admin import filters, seen
from probes.models import AIModel, Capability, Gateway, KeyShape, Metric, Probe, Provider, SeenModel
from probes.models.catalogue import Seeded

SHOWN = 20  # rows of a section

Cell = tuple[Any, str]
"""A text, and the address that it leads to; "" = none."""


@dataclass(frozen=True)
class Section:
    """One thing that is lacking. count: of all rows; rows: the first of them; more: the lists that have all."""

    slug: str
    title: Any
    says: Any
    head: tuple[Any, ...]
    rows: list[tuple[Cell, ...]]
    count: int
    more: list[Cell]


def coverage(request: HttpRequest) -> HttpResponse:
    """The page; for staff who may see providers."""
    if not request.user.has_perm("probes.view_provider"):
        raise PermissionDenied
    context = {**admin.site.each_context(request), "title": _("What the coverage lacks"), "sections": sections()}
    return TemplateResponse(request, "admin/probes/coverage.html", context)


def sections() -> list[Section]:
    """All sections; the number of queries does not grow with the rows."""
    providers = list(filters.with_counts(Provider.objects.all()))
    gateways = list(Gateway.objects.all())
    return [
        _unpriced([row for row in providers if row.enabled and row.unpriced]),
        _bare([row for row in providers if row.enabled and not row.covered and not row.retired]),
        _seen(),
        _stale([row for row in (*providers, *gateways) if row.enabled and row.checked_on < filters.stale_before()]),
        _unrecorded(),
        _edited([row for row in (*providers, *gateways) if row.edited]),
    ]


def _unpriced(rows: list[Any]) -> Section:
    rows.sort(key=lambda row: (-row.unpriced, row.name))
    return Section(
        "prices",
        _("Providers without all prices"),
        _("Models without an input price that are not priced by their route either."),
        (_("Provider"), _("Without a price"), _("Models")),
        [
            (
                (row.name, _change(row)),
                (row.unpriced, _list(AIModel, provider__id__exact=row.pk, unpriced="yes", enabled__exact=1)),
                (row.covered, _list(AIModel, provider__id__exact=row.pk, enabled__exact=1)),
            )
            for row in rows[:SHOWN]
        ],
        len(rows),
        _lists(AIModel, unpriced="yes", enabled__exact=1),
    )


def _bare(rows: list[Any]) -> Section:
    return Section(
        "models",
        _("Providers without models"),
        _("No key of theirs gets beyond the inventory."),
        (_("Provider"), _("Market")),
        [((row.name, _change(row)), (row.get_route_display(), "")) for row in rows[:SHOWN]],
        len(rows),
        _lists(Provider, models="none", enabled__exact=1),
    )


def _seen() -> Section:
    found = seen.by_model()
    return Section(
        "seen",
        _("Models seen and not covered"),
        _("Keys that were proved at the provider's own origin list them. Counted by day, for 90 days."),
        (_("Model"), "", _("Provider"), _("Keys"), _("Last seen")),
        [
            (
                (row["model_id"], ""),
                (_("Add to the catalogue"), seen.add_address(row["provider"], row["model_id"])),
                (row["provider__name"], ""),
                (row["keys"], ""),
                (date_format(row["last"]), ""),
            )
            for row in found[:SHOWN]
        ],
        found.count(),
        _lists(SeenModel),
    )


def _stale(rows: list[Any]) -> Section:
    rows.sort(key=lambda row: row.checked_on)
    return Section(
        "facts",
        _("Facts older than 90 days"),
        _("Read the sources again, then set the day on which they were checked."),
        (_("Name"), _("Kind"), _("Checked on")),
        [
            ((row.name, _change(row)), (row._meta.verbose_name, ""), (date_format(row.checked_on), ""))
            for row in rows[:SHOWN]
        ],
        len(rows),
        _lists(Provider, Gateway, stale="yes", enabled__exact=1),
    )


def _unrecorded() -> Section:
    told = ("pk", "name", "provider__slug", "gateway__slug", "provider__name", "gateway__name")
    lacking: list[tuple[Cell, ...]] = []
    for pk, name, provider, gateway, *names in Probe.objects.filter(enabled=True).values_list(*told):
        if words := filters.lacks(provider or gateway, name):
            address = reverse("admin:probes_probe_change", args=[pk])
            lacking.append(((name, address), (names[0] or names[1], ""), (", ".join(map(str, words)), "")))
    lacking.sort(key=lambda row: (row[1], row[0]))
    return Section(
        "answers",
        _("Probes without recorded answers"),
        _("Each probe wants a recorded yes and a recorded no in probes/lab/exchanges/."),
        (_("Probe"), _("Whose"), _("Lacks")),
        lacking[:SHOWN],
        len(lacking),
        _lists(Probe, unrecorded="yes", enabled__exact=1),
    )


def _edited(senders: list[Seeded]) -> Section:
    owners = {Probe: ("provider", "gateway"), KeyShape: ("provider", "gateway"), AIModel: ("provider",)}
    rows = list(senders)
    for model in (Probe, KeyShape, AIModel, Metric, Capability):
        related = owners.get(model, ("capability",) if model is Metric else ())
        rows += model._default_manager.filter(edited=True).select_related(*related)
    differ = sow.differing(rows)
    return Section(
        "edited",
        _("Rows edited here that differ from the files"),
        _("They stay as they are until the files say the same, or until an admin takes the catalogue's version back."),
        (_("Row"), _("Kind"), _("Differs in")),
        [
            ((str(row), _change(row)), (row._meta.verbose_name, ""), (", ".join(names), ""))
            for row, names in list(differ.items())[:SHOWN]
        ],
        len(differ),
        _lists(Provider, Gateway, Probe, AIModel, Metric, Capability, edited__exact=1),
    )


def _change(row: Any) -> str:
    """Where a row is changed; a shape is, on its sender's page."""
    target: Any = row.provider or row.gateway if isinstance(row, KeyShape) else row
    return reverse(f"admin:probes_{target._meta.model_name}_change", args=[target.pk])


def _lists(*models: Any, **chosen: Any) -> list[Cell]:
    return [(model._meta.verbose_name_plural, _list(model, **chosen)) for model in models]


def _list(model: Any, **chosen: Any) -> str:
    return reverse(f"admin:probes_{model._meta.model_name}_changelist") + "?" + urlencode(chosen)
