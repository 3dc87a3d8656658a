"""Which of a model's sellers tell which limit, where in an answer, and by which call."""

from __future__ import annotations

import re
from collections.abc import Collection

from django.utils.translation import gettext as _

from probes import formats
from probes.pages.models import Model, link_of_seller
from probes.pages.page import Cell, Column, Table
from probes.terms import Probe, Provider, Reading

REQUESTS = ("requests_limit", "requests_remaining")
TOKENS = ("tokens_limit", "tokens_remaining")
CONCURRENCY = ("concurrency_limit",)
RESET = ("bucket_reset",)
LIMITS = (*REQUESTS, *TOKENS, *CONCURRENCY, *RESET)

Read = tuple[Provider, Probe, Reading]


def readings(model: Model, names: Collection[str]) -> list[Read]:
    """Each place where a seller's probe reads one of these metrics, spending probes too."""
    return [
        (provider, probe, reading)
        for provider, _offers in model.by_seller()
        if not provider.retired
        for probe in provider.probes
        for reading in probe.metrics
        if reading.name in names and reading.name in model.shared.metric
    ]


def limit_table(model: Model, read: list[Read]) -> Table:
    return Table(
        (
            Column(_("Seller")),
            Column(_("Limit")),
            Column(_("Read from"), "mono"),
            Column(_("Call"), "mono"),
            Column(_("Costs")),
        ),
        tuple(
            (
                Cell(provider.name, link_of_seller(provider.slug)),
                Cell(_(model.shared.metric[reading.name].label), sub=unit(model, reading)),
                place(reading),
                Cell(probe.call, sub=asked_model(probe)),
                _(probe.spends) if probe.spends else _("no cost"),
            )
            for provider, probe, reading in read
        ),
    )


def unit(model: Model, reading: Reading) -> str:
    if reading.type == "time":
        return _("a moment")
    word = reading.unit or model.shared.metric[reading.name].unit
    return _(word) if word else ""


def place(reading: Reading) -> str:
    """The header's name, or the expression on the body."""
    header = re.fullmatch(r'headers\."([^"]+)"', reading.read)
    less = f" − {reading.minus}" if reading.minus else ""
    return _("header %s") % header[1] if header else formats.isolated(reading.read + less)


def asked_model(probe: Probe) -> str:
    """A call that names a model reads the limits of that one."""
    body = probe.body if isinstance(probe.body, dict) else {}
    return _("asks %s") % body["model"] if body.get("model") else ""


def asks_another(model: Model, read: list[Read]) -> bool:
    """Whether one of these calls names a model that is not this one."""
    own = {offer.model.id for offer in model.offers}
    named = {str(p.body["model"]) for _provider, p, _reading in read if isinstance(p.body, dict) and "model" in p.body}
    return bool(named - own)
