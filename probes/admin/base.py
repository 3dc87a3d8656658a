"""What every list of catalogue rows has: who may do what, and the actions."""

from __future__ import annotations

import json
import logging
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from probes import seed, sow
from probes.admin.forms import JSON_AS_TEXT, PartForm, PartFormSet, SeededForm
from probes.models import CatalogueState
from probes.models.versions import whole

logger = logging.getLogger("testkey")


class SeededAdmin(admin.ModelAdmin):
    natural: tuple[str, ...] = ()
    """The row's natural key, by which the catalogue's files find it: fixed once the row exists."""

    form = SeededForm
    formfield_overrides = JSON_AS_TEXT
    actions: tuple[str, ...] = ("enable", "disable", "take_back")
    list_filter: ClassVar[Any] = ("enabled", "edited", "seeded")
    list_per_page = 100
    view_on_site = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("edited", "seeded", *(self.natural if obj else ()))

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": self.form, **kwargs})

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What the files bring is disabled, not deleted: the next load would bring it again."""
        return super().has_delete_permission(request, obj) and not (obj and obj.seeded)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change or form.has_changed():
            super().save_model(request, obj, form, change)

    @admin.action(description=_("Enable"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._switch(request, queryset, True)

    @admin.action(description=_("Disable"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._switch(request, queryset, False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Any], enabled: bool) -> None:
        with transaction.atomic():
            rows = list(queryset.exclude(enabled=enabled))
            self.model._default_manager.filter(pk__in=[row.pk for row in rows]).update(enabled=enabled, edited=True)
            if rows:
                CatalogueState.bump()  # an update sends no signal
                self._log(request, rows, "Enabled." if enabled else "Disabled.")
        self.message_user(request, ngettext("%d row changed.", "%d rows changed.", len(rows)) % len(rows))

    @admin.action(description=_("Take the catalogue's version back"), permissions=["change"])
    def take_back(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rows = list(queryset)
        try:
            with transaction.atomic():
                parts, missing = self.restore(request, rows)
                self._log(request, [row for row in rows if row not in missing], "Took the catalogue's version back.")
        except (PermissionDenied, seed.SeedError) as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return
        count = len(rows) + len(parts) - len(missing)
        text = ngettext("%d row is as in the catalogue again.", "%d rows are as in the catalogue again.", count) % count
        if parts:
            text += " " + ngettext("%d of them is a part.", "%d of them are parts.", len(parts)) % len(parts)
        self.message_user(request, text)
        if missing:
            names = ", ".join(str(row) for row in missing)
            self.message_user(request, _("The files do not have: %s") % names, messages.WARNING)

    def restore(self, request: HttpRequest, rows: list[Any]) -> tuple[list[Any], list[Any]]:
        """The parts that were restored too, and the rows that the files do not have."""
        return [], sow.restore(rows)

    def _log(self, request: HttpRequest, rows: list[Any], message: str) -> None:
        if rows:
            LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, message)  # type: ignore[arg-type]


class SenderAdmin(SeededAdmin):
    """A provider or gateway. Where its keys go is changed only with a permission of its own, and is logged."""

    natural = ("slug",)
    destination: tuple[str, ...] = ("auth", "headers")

    def may_move(self, request: HttpRequest) -> bool:
        return request.user.has_perm("probes.change_key_destination")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self.may_move(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if self.may_move(request) else (*fixed, *self.destination)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = self._sent_to(self.model._default_manager.get(pk=obj.pk)) if change else "nowhere"
        super().save_model(request, obj, form, change)
        self._moved(request, obj, before)

    def restore(self, request: HttpRequest, rows: list[Any]) -> tuple[list[Any], list[Any]]:
        parts = [
            part
            for inline in self.get_inline_instances(request)
            if inline.has_change_permission(request)
            for part in inline.model._default_manager.filter(
                **{f"{inline.fk_name}__in": rows, "seeded": True, "edited": True}
            ).select_related(inline.fk_name)
        ]
        before = {row.pk: self._sent_to(row) for row in rows}
        missing = sow.restore([*rows, *parts])
        for row in rows:
            whole(row)  # parts of one's own must fit it still
        for row in rows:
            self._moved(request, row, before[row.pk])
        return parts, missing

    def _sent_to(self, row: Any) -> str:
        return json.dumps({name: getattr(row, name) for name in self.destination})

    def _moved(self, request: HttpRequest, row: Any, before: str) -> None:
        after = self._sent_to(row)
        if after == before:
            return
        if not self.may_move(request):
            raise PermissionDenied(_("You may not change where the keys of %s are sent.") % row)
        self.log_change(request, row, f"Keys were sent to {before}, now to {after}.")
        logger.warning(
            "%s changed where keys of %s %s are sent: %s -> %s",
            request.user.get_username(),
            self.opts.model_name,
            row.slug,
            before,
            after,
        )


class PartInline(admin.options.InlineModelAdmin):
    """Parts of a sender. `moving` fields say where keys go, or as what: they want the permission of their own."""

    moving: tuple[str, ...] = ()
    form = PartForm
    formset = PartFormSet
    formfield_overrides = JSON_AS_TEXT
    readonly_fields: ClassVar[Any] = ("edited",)
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = request.user.has_perm("probes.change_key_destination")
        return super().has_add_permission(request, obj) and may

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        may = request.user.has_perm("probes.change_key_destination")
        return self.readonly_fields if may else (*self.readonly_fields, *self.moving)
