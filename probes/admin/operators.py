"""Operators: invited, stopped and let in again. What they check is not here."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from probes import access
from probes.models import Operator
from probes.models.access import OPERATORS


class OperatorForm(forms.ModelForm):
    email = forms.EmailField(label=_("Email address"), max_length=254)

    class Meta:
        model = Operator
        fields = ("username", "email")

    def clean_email(self) -> str:
        """Two with one address would be one person to whoever reads that mailbox."""
        email: str = self.cleaned_data["email"]
        if Operator._base_manager.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("Another user has this address."))
        return email


@admin.register(Operator)
class OperatorAdmin(admin.ModelAdmin):
    form = OperatorForm
    fields = ("username", "email", "is_active", "last_login", "date_joined")
    list_display = ("username", "email", "is_active", "last_login")
    list_filter = ("is_active",)
    search_fields = ("username", "email")
    actions = ("make_links", "stop", "let_in")
    ordering = ("username",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Operator]:
        """A link signs in as whom it is for: nobody makes one for someone who may do more than he."""
        operators = super().get_queryset(request).filter(groups__name=OPERATORS)
        may_all = getattr(request.user, "is_superuser", False)
        return operators if may_all else operators.filter(is_staff=False, is_superuser=False)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ("username", "email")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("is_active", "last_login", "date_joined")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An operator is stopped: what he did keeps its name."""
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        one_button = {"show_save_and_continue": False, "show_save_and_add_another": False}
        title = {"title": _("Invite operator")}
        return super().add_view(request, form_url, {**(extra_context or {}), **title, **one_button})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        if not change:
            obj.groups.add(Group.objects.get(name=OPERATORS))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        return self._show_links(request, [obj], _("Invited"))

    @admin.action(description=_("Make a new sign-in link"), permissions=["change"])
    def make_links(self, request: HttpRequest, queryset: QuerySet[Operator]) -> HttpResponse | None:
        chosen = list(queryset.filter(is_active=True))
        if not chosen:
            self.message_user(request, _("Stopped operators get no link: let them in first."))
            return None
        for row in chosen:
            if not row.has_usable_password():
                row.set_unusable_password()  # at random: earlier links are void
                row.save(update_fields=["password"])
        self._log(request, chosen, "Made a new sign-in link.")
        return self._show_links(request, chosen, _("New sign-in links"))

    @admin.action(description=_("Stop these operators"), permissions=["change"])
    def stop(self, request: HttpRequest, queryset: QuerySet[Operator]) -> None:
        chosen = [row for row in queryset.filter(is_active=True) if row.pk != request.user.pk]
        for row in chosen:
            access.stop(row)
        self._log(request, chosen, "Stopped.")
        self.message_user(request, ngettext("%d operator stopped.", "%d operators stopped.", len(chosen)) % len(chosen))

    @admin.action(description=_("Let these operators in again"), permissions=["change"])
    def let_in(self, request: HttpRequest, queryset: QuerySet[Operator]) -> None:
        chosen = list(queryset.filter(is_active=False))
        Operator.objects.filter(pk__in=[row.pk for row in chosen]).update(is_active=True)
        self._log(request, chosen, "Let in again.")
        self.message_user(request, ngettext("%d operator let in.", "%d operators let in.", len(chosen)) % len(chosen))

    def _show_links(self, request: HttpRequest, rows: list[Operator], title: Any) -> HttpResponse:
        """The links, on this one page, and by mail where there is mail."""
        origin = f"{request.scheme}://{request.get_host()}"
        for row in rows if settings.MAIL else ():
            access.queue_mail(row, request)
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "links": [(row, access.sign_in_link(row, origin)) for row in rows],
            "mail": settings.MAIL,
        }
        return TemplateResponse(request, "admin/probes/operator/links.html", context)

    def _log(self, request: HttpRequest, rows: list[Operator], message: str) -> None:
        if rows:
            LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, message)  # type: ignore[arg-type]
