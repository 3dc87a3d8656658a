"""Many models at once: one edit for those that were chosen, and CSV in and out. Nothing is written unseen."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from probes.admin import plan, sheet
from probes.admin.base import SeededAdmin
from probes.admin.forms import PriceInput
from probes.models import AIModel

FILE_SALT = "probes.admin.import"
CARRIED = sheet.MOST_BYTES - 64 * 1024  # of a form that takes the file to the next page

SWITCH = [("", _("as it is")), ("yes", _("yes")), ("no", _("no"))]
EMPTIED = {
    "input_price": _("input price"),
    "output_price": _("output price"),
    "context_window": _("context window"),
    "max_output": _("max output"),
}


def _price(label: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label, required=False, min_value=0, max_digits=14, decimal_places=6, widget=PriceInput(attrs={"min": 0})
    )


def _size(label: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=999_999_999)


class EditForm(forms.Form):
    """What is left empty stays as it is."""

    input_price = _price(_("Input price"))
    output_price = _price(_("Output price"))
    context_window = _size(_("Context window"))
    max_output = _size(_("Max output"))
    route_based = forms.ChoiceField(label=_("Route based"), required=False, choices=SWITCH)
    enabled = forms.ChoiceField(label=_("Enabled"), required=False, choices=SWITCH)
    empty = forms.MultipleChoiceField(
        label=_("Empty these"),
        required=False,
        choices=list(EMPTIED.items()),
        widget=forms.CheckboxSelectMultiple,
    )

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if any(given.get(name) is not None for name in given.get("empty", ())):
            raise ValidationError(_("A field cannot be filled and emptied at once."))
        if not self.errors and not self.values():
            raise ValidationError(_("Fill in what is to change."))
        return given

    def values(self) -> dict[str, Any]:
        """What is to change, by column."""
        given = self.cleaned_data
        numbers = {name: given[name] for name in EMPTIED if given.get(name) is not None}
        switches = {name: given[name] == "yes" for name in ("route_based", "enabled") if given.get(name)}
        return {**numbers, **switches, **dict.fromkeys(given.get("empty", ()))}


class FileForm(forms.Form):
    file = forms.FileField(label=_("CSV file"), max_length=200)


class BulkAdmin(SeededAdmin):
    """The list of models, with an action that edits many, and with import and export."""

    actions = (*SeededAdmin.actions, "edit_many")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("import/", view(self.import_models), name="probes_aimodel_import"),
            path("export/", view(self.export_models), name="probes_aimodel_export"),
            *super().get_urls(),
        ]

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        may = {"has_import_permission": self.has_import_permission(request)}
        return super().changelist_view(request, {**(extra_context or {}), **may})

    # One edit for many

    @admin.action(description=_("Set price, context or enabled"), permissions=["change"])
    def edit_many(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> HttpResponse:
        posted = request.POST
        form = EditForm(posted if {"preview", "confirm", "back"} & set(posted) else None)
        context = {"title": _("Edit many models"), "form": form, "queryset": queryset}
        context |= {"chosen": posted.getlist("_selected_action"), "select_across": posted.get("select_across", "0")}
        if "back" in posted or not form.is_valid():
            return self._page(request, "edit", context)
        planned = plan.edit(queryset, form.values())
        if "confirm" in posted and self._carry_out(request, planned, "Edited with others"):
            return HttpResponseRedirect(request.get_full_path())
        return self._page(request, "edit", context | self._preview(request, planned))

    # CSV

    def import_models(self, request: HttpRequest) -> HttpResponse:
        """A file is read and shown; what was shown comes back signed, is read again, and then written."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        carried = request.POST.get("content")
        form = FileForm(request.POST, request.FILES) if request.method == "POST" and carried is None else FileForm()
        context: dict[str, Any] = {"title": _("Import models"), "form": form, "columns": sheet.COLUMNS}
        if carried is not None:
            raw = _unpacked(carried)
            if raw is None:
                self.message_user(request, _("The preview is too old. Choose the file again."), messages.ERROR)
                return HttpResponseRedirect(request.path)
        elif form.is_valid():
            raw = form.cleaned_data["file"].read()
        else:
            return self._page(request, "import", context)
        try:
            planned, content = plan.read(raw), _carried(raw)
        except sheet.Unreadable as fault:
            form.add_error("file", str(fault))
            return self._page(request, "import", context)
        if "confirm" in request.POST and self._carry_out(request, planned, "Imported"):
            return HttpResponseRedirect(reverse("admin:probes_aimodel_changelist"))
        return self._page(request, "import", context | {"content": content} | self._preview(request, planned))

    def export_models(self, request: HttpRequest) -> HttpResponse:
        """What the list shows under its present filters, all pages of it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:probes_aimodel_changelist") + "?e=1")
        headers = {"Content-Disposition": 'attachment; filename="models.csv"'}
        return HttpResponse(sheet.write(rows), content_type="text/csv; charset=utf-8", headers=headers)

    # Both

    def _carry_out(self, request: HttpRequest, planned: plan.Plan, how: str) -> bool:
        """Write what was previewed; False, with a message, if this is no longer it."""
        user_id: int = request.user.pk  # type: ignore[assignment]
        shown = not planned.refused and planned.sealed_by(request.POST.get("seal", ""), user_id)
        if not shown or not plan.carry_out(planned, user_id, how):
            text = _("The catalogue has changed since the preview, or it is too old. Nothing was written: look again.")
            self.message_user(request, text, messages.WARNING)
            return False
        told = ngettext("%(count)d model written.", "%(count)d models written.", planned.writes)
        self.message_user(request, told % {"count": planned.writes})
        return True

    def _preview(self, request: HttpRequest, planned: plan.Plan) -> dict[str, Any]:
        return {"plan": planned, "seal": planned.seal(request.user.pk)}  # type: ignore[arg-type]

    def _page(self, request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media, **context}
        return TemplateResponse(request, f"admin/probes/aimodel/{name}.html", whole)


def _unpacked(text: str) -> bytes | None:
    """The file of the page before; None if that is too old, or not ours."""
    try:
        return bytes(signing.loads(text, salt=FILE_SALT, max_age=plan.SEAL_SECONDS).encode("latin-1"))
    except signing.BadSignature:
        return None


def _carried(raw: bytes) -> str:
    """The file, signed and packed, for a hidden field. Raises sheet.Unreadable where it would not fit a form."""
    packed = signing.dumps(raw.decode("latin-1"), salt=FILE_SALT, compress=True)
    if len(packed) > CARRIED:
        raise sheet.Unreadable(_("The file is too long for one preview. Split it."))
    return packed
