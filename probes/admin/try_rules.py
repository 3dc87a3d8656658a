"""Try a saved probe's rules on a pasted answer. Nothing is sent and nothing is stored."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from probes import evidence, seed
from probes.admin.forms import JSONText
from probes.exchange import Exchange
from probes.models import Probe, current

AREA = {"class": "vLargeTextField", "spellcheck": "false"}


class AnswerForm(forms.Form):
    status = forms.IntegerField(label=_("Status"), min_value=100, max_value=599, initial=200)
    headers = JSONText(
        label=_("Headers"), required=False, initial=dict, widget=forms.Textarea(attrs={"rows": 3, **AREA})
    )
    body = forms.CharField(
        label=_("Body"), required=False, strip=False, widget=forms.Textarea(attrs={"rows": 12, **AREA})
    )

    def clean_headers(self) -> dict[str, str]:
        headers = self.cleaned_data["headers"]
        if not isinstance(headers, dict):
            raise ValidationError(_('Expected an object, e.g. {"x-request-id": "1"}.'))
        return {name: str(value) for name, value in headers.items()}


def try_rules(site: admin.ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    row = Probe.objects.select_related("provider", "gateway").filter(pk=pk).first()
    if not site.has_view_permission(request, row):
        raise PermissionDenied
    if row is None:
        raise Http404
    form = AnswerForm(request.POST or None)
    context = {
        **site.admin_site.each_context(request),
        "title": _("Try these rules on an answer"),
        "opts": site.opts,
        "original": row,
        "form": form,
        "found": _conclude(row, **form.cleaned_data) if form.is_valid() else None,
    }
    return TemplateResponse(request, "admin/probes/probe/try.html", context)


def _conclude(row: Probe, status: int, headers: dict[str, str], body: str) -> dict[str, Any]:
    """What detection would read from this answer, and the rule that decided."""
    owner: Any = row.provider or row.gateway
    catalogue, sender, probe = current(), owner.as_seed(), row.as_seed()
    exchange = Exchange.of(probe.call, None, status, headers, body.encode(), 0)
    finding = evidence.read(catalogue, sender, probe, exchange)
    lists = {
        _("Rule %d of this probe"): probe.rules,
        _("Rule %d of its sender"): sender.rules,
        _("Rule %d of the shared ones"): evidence.rules_of(catalogue, sender, probe)[
            len(probe.rules) + len(sender.rules) :
        ],
    }
    matched = (
        (text % number, _as_json(rule))
        for text, rules in lists.items()
        for number, rule in enumerate(rules, 1)
        if evidence.judge((rule,), exchange).matched
    )
    models = finding["models"]
    return finding | {"models": None if models is None else len(models), "rule": next(matched, None)}


def _as_json(rule: seed.Rule) -> str:
    told = {"status": list(rule.status), "when": rule.when, "verdict": rule.verdict, "cause": rule.cause}
    return json.dumps({name: value for name, value in told.items() if value}, ensure_ascii=False)
