"""A model's own page, and several models side by side. Pure, no ORM."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from probes import formats
from probes.pages import (
    model_capability_probes,
    model_error_routes,
    model_key_routes,
    model_limit_probes,
    models,
)
from probes.pages.models import ABILITIES, ABOVE, MODALITIES, Model, figure, largest, lowest
from probes.pages.page import Card, Cell, Column, Link, Page, Related, Section, Table
from probes.pages.shelf import distinct


def page(model: Model) -> Page:
    words = {"model": model.described, "count": formats.number(len(model.sellers))}
    market = (Column(_("Market")), lambda offer: models.market(offer.provider.route))
    charts = ((_("Input price by seller"), "input_price"), (_("Output price by seller"), "output_price"))
    return Page(
        slug=model.identity,
        kicker=_("Model"),
        title=model.title,
        description=ngettext(
            "%(model)s at its one seller: price, context window, abilities, and how a key shows that it may call it.",
            "%(model)s at %(count)s sellers: prices, context window, abilities, how a key shows that it may call it.",
            len(model.sellers),
        )
        % words,
        lead=_lead(model),
        cards=(
            Card(_("Context window"), figure(next(iter(model.windows), None)), largest(model.windows)),
            Card(_("Longest answer"), figure(next(iter(model.outputs), None)), largest(model.outputs)),
            models.price_card(_("Input price"), model, "input_price"),
            models.price_card(_("Output price"), model, "output_price"),
        ),
        summary_heading=_("What it is"),
        summary=(
            (_("Identity"), model.identity),
            (_("Names"), " · ".join(distinct([models.short(o.model.name or o.model.id) for o in model.offers]))),
            (_("Takes"), _said(model, "input_modalities", MODALITIES)),
            (_("Gives"), _said(model, "output_modalities", MODALITIES)),
            (_("Can do"), _said(model, "parameters", ABILITIES)),
        ),
        sections=(
            Section(
                _("Sellers"),
                _("USD per million tokens, the cheapest first.")
                if len(model.offers) > 1
                else _("USD per million tokens."),
                table=models.price_table(model, market),
            ),
            *(Section(head, bars=bars) for head, which in charts if (bars := models.price_bars(model, which))),
            _must_show(model),
        ),
        related=_related(model),
        above=Link(_("Models"), ABOVE),
        checked_on=min(offer.provider.checked_on for offer in model.offers),
    )


def _lead(model: Model) -> str:
    asked = lowest(model.offers, "input_price")
    words = {"model": model.name, "sellers": models.some(model.sellers)}
    if len(model.sellers) == 1:
        return _("%(model)s is sold by %(sellers)s.") % words
    if asked is None:
        return _("%(model)s is sold by %(sellers)s. No price of it is known.") % words
    cheapest = models.some(models.lowest_at(model.offers, "input_price"))
    words |= {"price": models.price(asked.model, "input_price"), "cheapest": cheapest}
    told = _("%(model)s is sold by %(sellers)s. Its input is cheapest at %(cheapest)s: %(price)s for a million tokens.")
    return told % words


def _said(model: Model, field: str, words: dict[str, models.Words]) -> str:
    """What any seller's row says of it."""
    said = {word for offer in model.offers for word in getattr(offer.model, field)}
    return formats.listed(models.words_of(said, words)) or _("not known")


def _must_show(model: Model) -> Section:
    calling = [link for link in model_key_routes.links(model) if link.href.endswith("-callable-models/")]
    return Section(
        _("What a key must show"),
        _(
            "First whose key it is: each seller's page tells the call that proves it. "
            "Then that it may call this model: the id stands in the key's own model list, or a call to it is answered."
        ),
        links=tuple(Link(_("Seller by seller: %s") % link.label, link.href) for link in calling),
    )


def _related(model: Model) -> tuple[Related, ...]:
    families = (
        (_("Calling it"), model_key_routes.links(model)),
        (_("Limits"), model_limit_probes.links(model)),
        (_("Abilities"), model_capability_probes.links(model)),
        (_("Errors"), model_error_routes.links(model)),
    )
    return tuple(Related(label, tuple(links)) for label, links in families if links)


# Side by side


def comparison(chosen: Sequence[Model]) -> tuple[Table, Table]:
    """A column a model: what is known of each, and its price at each seller of any of them."""

    def row(label: str, cell: Callable[[Model], str | Cell]) -> tuple[str | Cell, ...]:
        return (label, *(cell(model) for model in chosen))

    facts = (
        row(_("Sellers"), lambda m: formats.number(len(m.sellers))),
        row(_("Context window"), lambda m: figure(next(iter(m.windows), None))),
        row(_("Longest answer"), lambda m: figure(next(iter(m.outputs), None))),
        row(_("Takes"), lambda m: _said(m, "input_modalities", MODALITIES)),
        row(_("Gives"), lambda m: _said(m, "output_modalities", MODALITIES)),
        row(_("Can do"), lambda m: _said(m, "parameters", ABILITIES)),
        row(_("Lowest input price"), lambda m: _lowest(m, "input_price")),
        row(_("Lowest output price"), lambda m: _lowest(m, "output_price")),
    )
    sellers = distinct([name for model in chosen for name in model.sellers])
    prices = tuple(row(seller, lambda m, seller=seller: _at(m, seller)) for seller in sellers)  # type: ignore[misc]
    heads = tuple(Column(model.title) for model in chosen)
    return Table((Column(_("Fact")), *heads), facts), Table((Column(_("Seller")), *heads), prices)


def _lowest(model: Model, which: str) -> Cell:
    offer = lowest(model.offers, which)
    if offer is None:
        return Cell(models.unpriced(model))
    return Cell(models.price(offer.model, which), sub=models.some(models.lowest_at(model.offers, which)))


def _at(model: Model, seller: str) -> str:
    """The first of its offers there: they stand in the order of price."""
    offer = next((offer for offer in model.offers if offer.provider.name == seller), None)
    if offer is None:
        return "–"
    asked, answered = (models.price(offer.model, which) for which in ("input_price", "output_price"))
    return asked if asked == answered and offer.model.input_price is None else f"{asked} / {answered}"
