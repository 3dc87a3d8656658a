"""Models that keys listed and the catalogue does not have: to be added, or left."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Exists, Max, Min, OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from probes.models import AIModel, SeenModel


def uncovered() -> QuerySet[SeenModel]:
    """The days on which ids were seen that the catalogue does not have by now."""
    covered = AIModel.objects.filter(provider=OuterRef("provider"), model_id=OuterRef("model_id"))
    return SeenModel.objects.filter(~Exists(covered))


def add_address(provider_id: int, model_id: str) -> str:
    """The form of a new model, with these two filled in."""
    return reverse("admin:probes_aimodel_add") + "?" + urlencode({"provider": provider_id, "model_id": model_id})


@admin.register(SeenModel)
class SeenModelAdmin(admin.ModelAdmin):
    """A line for each provider and id: the row of its last day, with the sum of all."""

    list_display = ("model_id", "add", "provider", "keys", "first_day", "last_day")
    list_display_links = None
    list_filter = (("provider", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("provider",)
    search_fields = ("model_id", "provider__name")
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[SeenModel]:
        same = SeenModel.objects.filter(provider=OuterRef("provider"), model_id=OuterRef("model_id")).order_by()

        def over(aggregate: Any) -> Subquery:
            return Subquery(same.values("provider", "model_id").annotate(told=aggregate).values("told"))

        last = ~Exists(same.filter(day__gt=OuterRef("day")))
        rows = uncovered().filter(last)
        return rows.annotate(total=over(Sum("count")), first=over(Min("day"))).order_by(*self.get_ordering(request))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("-total", "model_id")

    @admin.display(description=_("keys"), ordering="total")
    def keys(self, row: Any) -> int:
        return int(row.total)

    @admin.display(description=_("first seen"), ordering="first")
    def first_day(self, row: Any) -> Any:
        return row.first

    @admin.display(description=_("last seen"), ordering="day")
    def last_day(self, row: SeenModel) -> Any:
        return row.day

    @admin.display(description="")
    def add(self, row: SeenModel) -> str:
        return format_html('<a href="{}">{}</a>', add_address(row.provider_id, row.model_id), _("Add to the catalogue"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def by_model() -> QuerySet[SeenModel, dict[str, Any]]:
    """Provider, id, sum and last day, the most seen first."""
    told = ("provider", "provider__name", "model_id")
    return uncovered().values(*told).annotate(keys=Sum("count"), last=Max("day")).order_by("-keys", "model_id")
