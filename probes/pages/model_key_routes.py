"""The family model × dimension: whether a key can call a model, at what price, within which limits. Pure, no ORM."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from probes import formats
from probes.pages import models
from probes.pages.limits import LIMITS, limit_table, readings
from probes.pages.models import ABOVE, Angle, Model, figure, lowest
from probes.pages.page import Card, Cell, Column, Page, Section, Table
from probes.pages.shelf import Offer, Shelf, distinct, free
from probes.terms import Probe, Provider

__all__ = ["ABOVE", "find", "links", "slugs"]

FAMILY = "model-key-routes"
ASKED, ANSWERED = 2_000, 500  # tokens of the request by which offers are compared


def slugs(shelf: Shelf) -> list[str]:
    return models.slugs(shelf, ANGLES)


def find(shelf: Shelf, slug: str) -> Page | None:
    return models.find(shelf, slug, ANGLES)


def links(model: Model) -> Iterable[models.Link]:
    return models.links(model, FAMILY, ANGLES)


def _page(model: Model, angle: Angle, description: str, lead: str, *sections: Section) -> Page:
    return models.page(
        model,
        angle,
        (FAMILY, ANGLES),
        kicker=_("Model key route"),
        description=description,
        lead=lead,
        cards=(
            Card(_("Context window"), figure(next(iter(model.windows), None)), models.largest(model.windows)),
            models.price_card(_("Input price"), model, "input_price"),
            models.price_card(_("Output price"), model, "output_price"),
        ),
        summary=(_("Key route summary"), ((_("Check dimension"), angle.slug),)),
        sections=sections,
    )


# Whether a key can call it


def _lists(provider: Provider) -> list[Probe]:
    """The free calls that read the ids of models."""
    return [probe for probe in free(provider) if probe.models]


def _can_be_seen(model: Model) -> bool:
    return any(_lists(provider) for provider, _offers in model.by_seller() if not provider.retired)


def _callable(model: Model, angle: Angle) -> Page:
    sellers = [(p, offers) for p, offers in model.by_seller() if _lists(p) and not p.retired]
    own = [p.name for p, _offers in sellers if any(_own(probe) for probe in _lists(p))]
    words = {"model": model.described, "count": formats.number(len(own))}
    told = ngettext(
        "One seller's model list is read with the key and shows what that key may call.",
        "The model lists of %(count)s sellers are read with the key and show what that key may call.",
        len(own),
    )
    if not own:
        told = _("No seller's model list depends on the key, so being in a list says nothing of the key.")
    steps = [
        _("Prove the key first. A familiar prefix or a compatible protocol does not say whose it is."),
        _("Then look for the id itself, letter by letter. Sellers write the same model in different ways."),
    ]
    if len(own) < len(sellers):
        steps.append(_("Where the list answers anyone, only a call to the model itself shows that a key may use it."))
    return _page(
        model,
        angle,
        _("Which id of %(model)s a key must show at each seller, and whether the model list says so.") % words,
        told % words,
        Section(
            _("Where to look"),
            table=Table(
                (
                    Column(_("Seller")),
                    Column(_("Id to look for"), "mono"),
                    Column(_("Model list"), "mono"),
                    Column(_("Key proved by")),
                ),
                tuple(_looked_for(provider, offers) for provider, offers in sellers),
            ),
        ),
        Section(_("How to prove it"), bullets=tuple(steps)),
        Section(
            _("Next action"),
            _("A key that sees the model goes into the inventory under this id. One that does not stays out."),
        ),
    )


def _looked_for(provider: Provider, offers: list[Offer]) -> tuple[str | Cell, ...]:
    probe = _lists(provider)[0]
    whose = _("the key's own list") if _own(probe) else _("answers anyone")
    proofs = [p.name for p in free(provider) if p.proves_key]
    return (
        Cell(provider.name, models.link_of_seller(provider.slug, "inventory-fit")),
        " · ".join(distinct([offer.model.id for offer in offers])),
        Cell(probe.call, sub=whose),
        " · ".join(proofs) or _("no free call"),
    )


def _own(probe: Probe) -> bool:
    return probe.sends_key and not probe.public


# Its price


def _pricing(model: Model, angle: Angle) -> Page:
    asked, dearest = lowest(model.offers, "input_price"), _dearest(model)
    words = {"model": model.described, "low": "", "high": "", "seller": "", "other": ""}
    if asked:
        words |= {
            "low": models.price(asked.model, "input_price"),
            "seller": models.some(models.lowest_at(model.offers, "input_price")),
        }
    if dearest:
        words |= {"high": models.price(dearest.model, "input_price"), "other": dearest.provider.name}
    lead = _("No seller gives %(model)s a fixed price: the route that a request takes decides.")
    if asked:
        lead = _("%(seller)s asks %(low)s for a million input tokens; no other price of this model is known.")
    if asked and dearest and len(model.offers) > 1:
        lead = _("All sellers whose price is known ask %(low)s for a million input tokens.")
        if words["low"] != words["high"]:
            lead = _(
                "A million input tokens cost from %(low)s at %(seller)s to %(high)s at %(other)s. "
                "The model is the same; what a key of each seller may do is not."
            )
    request = Column(_("1,000 requests"), "number")
    charts = [
        Section(heading, bars=bars)
        for heading, which in (
            (_("Input price by seller"), "input_price"),
            (_("Output price by seller"), "output_price"),
        )
        if (bars := models.price_bars(model, which))
    ]
    return _page(
        model,
        angle,
        _("What %(model)s costs at each seller: input, output, context window, and the price of 1,000 requests.")
        % words,
        lead % words,
        Section(
            _("Prices side by side"),
            _("USD per million tokens. A request here is %(asked)s tokens in and %(answered)s out.")
            % {"asked": formats.number(ASKED), "answered": formats.number(ANSWERED)},
            table=models.price_table(model, (request, lambda offer: _thousand(offer))),
        ),
        *charts,
        Section(
            _("Next action"),
            _("Fill the price of the seller whose key it is. A price from another seller's row does not hold for it."),
        ),
    )


def _dearest(model: Model) -> Offer | None:
    found = [offer for offer in model.offers if offer.model.input_price is not None]
    return max(found, key=lambda offer: offer.model.input_price or Decimal(0), default=None)


def _thousand(offer: Offer) -> str:
    asked, answered = offer.model.input_price, offer.model.output_price
    if asked is None or answered is None:
        return models.price(offer.model, "input_price" if asked is None else "output_price")
    return formats.price((asked * ASKED + answered * ANSWERED) / 1000)


# Its limits


def _limits(model: Model, angle: Angle) -> Page:
    read = readings(model, LIMITS)
    told = distinct([provider.name for provider, _probe, _reading in read])
    words = {"model": model.described, "sellers": models.some(told)}
    facts = [(_("Context window"), figure(next(iter(model.windows), None)))]
    facts += [(_("Longest answer"), figure(next(iter(model.outputs), None)))]
    return _page(
        model,
        angle,
        _("Limits of %(model)s: which seller tells them, in which header or field, by which call.") % words,
        _("Limits belong to the key, not to the model's page. Here is where they can be read: %(sellers)s.") % words,
        Section(_("Limits that can be read"), table=limit_table(model, read)),
        Section(_("Limits of the model itself"), _("In tokens, the largest that a seller gives."), facts=tuple(facts)),
        Section(
            _("How to prove it"),
            bullets=(
                _("Read the limits with the very key that is to be sold; two accounts of one seller may differ."),
                _("Note first-token latency and any 429 or 5xx of a week: no header tells those."),
            ),
        ),
        Section(
            _("Next action"), _("Set the route's throttle below the smallest limit read, and monitor what is left.")
        ),
    )


ANGLES = (
    Angle("callable-models", gettext_lazy("callable model check"), _can_be_seen, _callable),
    Angle("pricing-context", gettext_lazy("pricing and context check"), models.has_price, _pricing),
    Angle("limit-probe", gettext_lazy("limit and speed probe"), lambda model: bool(readings(model, LIMITS)), _limits),
)
