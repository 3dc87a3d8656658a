"""The lists: providers and gateways with their shapes and probes, models, metrics, capabilities."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import DecimalField
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from probes.admin.base import PartInline, SeededAdmin, SenderAdmin
from probes.admin.bulk import BulkAdmin
from probes.admin.filters import Models, Stale, Unpriced, Unrecorded
from probes.admin.forms import PriceInput, ProbeFormSet
from probes.admin.try_rules import try_rules
from probes.models import AIModel, Capability, Gateway, KeyShape, Metric, Probe, Provider

PROBE_FIELDS: Any = (
    (
        None,
        {
            "fields": (
                "name",
                "call",
                "origin",
                ("sends_key", "proves_key", "public"),
                "rules",
                "metrics",
                "models",
                "public_models",
            )
        },
    ),
    (
        _("More"),
        {
            "classes": ["collapse"],
            "fields": ("kind", "pays", "spends", "headers", "body", "read_only_post", "shapes", "position"),
        },
    ),
)


# What decides who receives a key, and in what call.
SHAPE_MOVES = ("kind", "pattern", "refuse", "enabled")
PROBE_MOVES = ("call", "origin", "headers", "body", "read_only_post", "spends", "sends_key", "shapes")


class ShapesOf(PartInline, admin.StackedInline):
    model = KeyShape
    moving = SHAPE_MOVES
    fields = (
        ("name", "kind", "prefix"),
        "pattern",
        ("refuse", "note"),
        ("form", "metrics"),
        ("position", "enabled", "edited"),
    )


class ProbesOf(PartInline, admin.StackedInline):
    model = Probe
    moving = PROBE_MOVES
    formset = ProbeFormSet
    show_change_link = True
    readonly_fields = ("edited", "try_rules")
    fieldsets = (*PROBE_FIELDS, (None, {"fields": (("enabled", "edited"), "try_rules")}))

    @admin.display(description=_("rules"))
    def try_rules(self, row: Probe) -> str:
        if not row.pk:
            return "-"
        address = reverse("admin:probes_probe_try", args=[row.pk])
        return format_html('<a href="{}">{}</a>', address, _("Try these rules on an answer"))


class ProviderShapes(ShapesOf):
    fk_name = "provider"


class ProviderProbes(ProbesOf):
    fk_name = "provider"


class GatewayShapes(ShapesOf):
    fk_name = "gateway"


class GatewayProbes(ProbesOf):
    fk_name = "gateway"


@admin.register(Provider)
class ProviderAdmin(SenderAdmin):
    destination = ("origins", "own_hosts", "regions", "auth", "headers")
    list_display = ("name", "slug", "route", "protocol", "checked_on", "enabled", "edited")
    list_filter = ("enabled", "edited", "seeded", Models, Stale, "route", "protocol")
    search_fields = ("name", "slug")
    fieldsets = (
        (None, {"fields": ("name", "slug", "route", "protocol", "checked_on", "enabled", "edited", "seeded")}),
        (_("Where keys are sent"), {"fields": ("origins", "own_hosts", "auth")}),
        (
            _("More"),
            {
                "fields": (
                    *("headers", "links", "rules", "rule_sets", "not_exposed", "fingerprints"),
                    *("regions", "concurrency", "denials", "unprovable", "retired", "models_from"),
                )
            },
        ),
    )
    inlines = (ProviderShapes, ProviderProbes)

    def get_view_on_site_url(self, obj: Any = None) -> str | None:
        return _public_page(obj)


def _public_page(row: Provider | None) -> str | None:
    """A provider's first public page; None where it has none."""
    return f"/provider-key-probes/{row.slug}-onboarding-readiness/" if row and row.enabled else None


@admin.register(Gateway)
class GatewayAdmin(SenderAdmin):
    list_display = ("name", "slug", "checked_on", "enabled", "edited")
    list_filter = ("enabled", "edited", "seeded", Stale)
    search_fields = ("name", "slug")
    fieldsets = (
        (None, {"fields": ("name", "slug", "auth", "checked_on", "enabled", "edited", "seeded")}),
        (_("More"), {"fields": ("headers", "links", "rules", "rule_sets", "not_exposed", "fingerprints")}),
    )
    inlines = (GatewayShapes, GatewayProbes)


@admin.register(Probe)
class ProbeAdmin(SeededAdmin):
    """One probe, where its rules can be tried. Probes are added on their sender's page."""

    natural = ("provider", "gateway", "name")
    list_display = ("name", "sender", "call", "proves_key", "enabled", "edited")
    list_filter = ("enabled", "edited", "seeded", "proves_key", Unrecorded, "provider", "gateway")
    list_select_related = ("provider", "gateway")
    search_fields = ("name", "call", "provider__name", "gateway__name")
    ordering = ("provider__name", "gateway__name", "position")
    fieldsets = (
        (None, {"fields": ("provider", "gateway")}),
        *PROBE_FIELDS,
        (None, {"fields": ("enabled", "edited", "seeded")}),
    )

    def get_view_on_site_url(self, obj: Any = None) -> str | None:
        return _public_page(obj and obj.provider)

    @admin.display(description=_("whose"))
    def sender(self, row: Probe) -> str:
        return str(row.provider or row.gateway)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if request.user.has_perm("probes.change_key_destination") else (*fixed, *PROBE_MOVES)

    def get_urls(self) -> list[Any]:
        address = path("<int:pk>/try/", self.admin_site.admin_view(self.try_rules), name="probes_probe_try")
        return [address, *super().get_urls()]

    def try_rules(self, request: HttpRequest, pk: int) -> HttpResponse:
        return try_rules(self, request, pk)


@admin.register(AIModel)
class AIModelAdmin(BulkAdmin):
    """A list of its own: some providers have hundreds of models."""

    formfield_overrides: ClassVar[Any] = SeededAdmin.formfield_overrides | {DecimalField: {"widget": PriceInput}}

    natural = ("provider", "model_id")
    list_display = ("model_id", "provider", "input_price", "output_price", "context_window", "enabled", "edited")
    list_editable = ("input_price", "output_price")
    list_filter = ("enabled", "edited", "seeded", Unpriced, "route_based", "provider")
    list_select_related = ("provider",)
    search_fields = ("model_id", "name", "identity")
    ordering = ("provider__name", "position", "model_id")
    fields = (
        *("provider", "model_id", "name", "identity", "context_window", "max_output", "input_price", "output_price"),
        *("route_based", "parameters", "input_modalities", "output_modalities", "position", "enabled"),
        *("edited", "seeded"),
    )

    def get_view_on_site_url(self, obj: Any = None) -> str | None:
        return f"/models/{obj.identity}/" if obj and obj.enabled and obj.provider.enabled and obj.identity else None

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Results link to the models of one provider, by the slug that they know."""
        return lookup == "provider__slug__exact" or super().lookup_allowed(lookup, value, request)


@admin.register(Metric)
class MetricAdmin(SeededAdmin):
    natural = ("name",)
    list_display = ("name", "label", "unit", "capability", "position", "enabled", "edited")
    list_filter = ("enabled", "edited", "seeded", "capability")
    list_select_related = ("capability",)
    search_fields = ("name", "label")


@admin.register(Capability)
class CapabilityAdmin(SeededAdmin):
    natural = ("slug",)
    list_display = ("label", "slug", "ours", "position", "enabled", "edited")
    search_fields = ("slug", "label")
