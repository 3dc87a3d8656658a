"""The family model × error: what an error of a model means at each seller. Pure, no ORM."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes import formats
from probes.pages import models, rules
from probes.pages.models import ABILITIES, ABOVE, Angle, Model, figure
from probes.pages.page import Card, Cell, Column, Page, Section, Table
from probes.pages.rules import Told
from probes.pages.shelf import Offer, Shelf, distinct
from probes.terms import Provider

__all__ = ["ABOVE", "find", "links", "slugs"]

FAMILY = "model-error-routes"


def slugs(shelf: Shelf) -> list[str]:
    return models.slugs(shelf, ANGLES)


def find(shelf: Shelf, slug: str) -> Page | None:
    return models.find(shelf, slug, ANGLES)


def links(model: Model) -> Iterable[models.Link]:
    return models.links(model, FAMILY, ANGLES)


def _page(model: Model, angle: Angle, code: int, description: str, lead: str, *sections: Section) -> Page:
    routes = distinct([models.market(offer.provider.route) for offer in model.offers])
    return models.page(
        model,
        angle,
        (FAMILY, ANGLES),
        kicker=_("Model error diagnosis"),
        description=description,
        lead=lead,
        cards=(
            Card(_("Error type"), str(angle.label), angle.slug),
            Card(_("Status code"), str(code), " · ".join(routes)),
        ),
        summary=(_("Model error summary"), ((_("Error type"), angle.slug), (_("Status code"), str(code)))),
        sections=sections,
    )


# 429


def _answers(model: Model) -> list[tuple[Provider, Told]]:
    """Each rule by which a seller's 429 is judged, in the order of judging."""
    sellers = [provider for provider, _offers in model.by_seller() if not provider.retired]
    return [(provider, told) for provider in sellers for told in _rules(model, provider)]


def _rules(model: Model, provider: Provider) -> list[Told]:
    """The first that matches counts, so none after the one that every 429 matches."""
    found = []
    for told in rules.told(model.shared, provider):
        if 429 in told.rule.status:
            found.append(told)
            if not told.rule.when and told.probe is None:
                break
    return rules.distinct(found)


def _rate_limited(model: Model, angle: Angle) -> Page:
    answers = _answers(model)
    told = distinct([provider.name for provider, _told in answers])
    silent = [name for name in model.sellers if name not in told]
    words = {"model": model.described, "sellers": models.some(told)}
    lead = _(
        "A 429 for %(model)s is judged by what the answer says, not by its number. "
        "Sellers where this is known: %(sellers)s."
    )
    if any(each.rule.verdict == "no_credit" for _provider, each in answers):
        lead = _(
            "A 429 for %(model)s need not be a rate limit: some answers mean an empty account. "
            "What tells them apart is known of: %(sellers)s."
        )
    steps = [
        _("Keep the whole answer. The number alone says neither whose limit it is nor when it ends."),
        _("Ask once more after the time in Retry-After, with a single short request."),
    ]
    if silent:
        steps.append(_("No such answer is known of %s: there a 429 says nothing certain.") % models.some(silent))
    return _page(
        model,
        angle,
        429,
        _("What a 429 for %(model)s means at each seller: rate limit, empty account, or nothing certain.") % words,
        lead % words,
        Section(
            _("What this model error usually means"),
            rules.sources(),
            table=Table(
                (Column(_("Seller")), Column(_("The answer shows")), Column(_("Verdict"), "word")),
                tuple(
                    (
                        Cell(p.name, models.link_of_seller(p.slug)),
                        rules.shown(each),
                        rules.verdict(each.rule),
                    )
                    for p, each in answers
                ),
            ),
        ),
        Section(_("How to prove it during checking"), bullets=tuple(steps)),
        Section(
            _("Next action"),
            _("Wait, slow the route down, or send the overflow to another seller of the same model.")
            if len(model.sellers) > 1
            else _("Wait, or slow the route down. No other seller of this model is known here."),
        ),
    )


# 400: too long


def _too_long(model: Model, angle: Angle) -> Page:
    most, least = model.windows[0], model.windows[-1]
    words = {"model": model.described, "most": figure(most), "least": figure(least)}
    lead = _("A request to %(model)s that does not fit into %(most)s tokens is refused.")
    if most != least:
        lead = _(
            "%(model)s refuses a request that is too long, and sellers differ in that: %(least)s to %(most)s tokens."
        )
    known = [offer for offer in model.offers if offer.model.context_window]
    return _page(
        model,
        angle,
        400,
        _("When %(model)s answers 400 for too long a request: the window at each seller, and what a full one costs.")
        % words,
        lead % words,
        Section(
            _("What this model error usually means"),
            _("The length counts in tokens of this model. The answer that was asked for may count with the prompt."),
            table=Table(
                (
                    Column(_("Seller")),
                    Column(_("Model id"), "mono"),
                    Column(_("Context window"), "number"),
                    Column(_("Longest answer"), "number"),
                    Column(_("One full window costs"), "number"),
                ),
                tuple(
                    (
                        models.seller_cell(offer),
                        offer.model.id,
                        figure(offer.model.context_window),
                        figure(offer.model.max_output),
                        _full(offer),
                    )
                    for offer in known
                ),
            ),
        ),
        Section(
            _("How to prove it during checking"),
            bullets=(
                _("Send one word with the same id and key. If that is answered, key and route are sound."),
                _("Lower the answer's maximum before the prompt is cut: often it alone goes over the window."),
            ),
        ),
        Section(
            _("Next action"), _("Shorten the context, or send long requests to the seller with the larger window.")
        ),
    )


def _full(offer: Offer) -> str:
    asked, window = offer.model.input_price, offer.model.context_window
    if asked is None or window is None:
        return models.price(offer.model, "input_price")
    return formats.price((asked * window / 1_000_000).quantize(Decimal("0.000001")))


# 400: it cannot do that


def _missing(offer: Offer) -> list[str]:
    """What a row that lists something does not list."""
    found: list[str] = []
    if offer.model.parameters:
        found += models.words_of(ABILITIES.keys() - set(offer.model.parameters), ABILITIES)
    if offer.model.input_modalities and "image" not in offer.model.input_modalities:
        found.append(_("image input"))
    return found


def _unsupported(model: Model, angle: Angle) -> Page:
    lacking = [(offer, missing) for offer in model.offers if (missing := _missing(offer))]
    count = distinct([word for _offer, missing in lacking for word in missing])
    words = {"model": model.described, "missing": models.some(count)}
    return _page(
        model,
        angle,
        400,
        _("What a request to %(model)s may not ask for: the capabilities that each seller's row does not list.")
        % words,
        _("Not every row of %(model)s lists these: %(missing)s. A request that asks for one may be answered with 400.")
        % words,
        Section(
            _("What this model error usually means"),
            _("The request holds a field or a kind of content that this seller does not take for this model."),
            table=Table(
                (
                    Column(_("Seller")),
                    Column(_("Model id"), "mono"),
                    Column(_("Its row lists")),
                    Column(_("Not listed")),
                ),
                tuple(
                    (
                        models.seller_cell(offer),
                        offer.model.id,
                        " · ".join(models.words_of(offer.model.parameters, ABILITIES)) or _("nothing listed"),
                        " · ".join(missing),
                    )
                    for offer, missing in lacking
                ),
            ),
        ),
        Section(
            _("How to prove it during checking"),
            bullets=(
                _("Send the same request with one field less each time; the field that ends the 400 is the one."),
                _("List the models that this key sees: the id may be another than the one that was meant."),
            ),
        ),
        Section(
            _("Next action"),
            _("Turn the field off for this route, or change to a seller or a model whose row lists it."),
        ),
    )


ANGLES = (
    Angle("rate-limited", gettext_lazy("model rate limited"), lambda model: bool(_answers(model)), _rate_limited),
    Angle("context-exceeded", gettext_lazy("model context exceeded"), lambda model: bool(model.windows), _too_long),
    Angle(
        "capability-unsupported",
        gettext_lazy("model capability unsupported"),
        lambda model: any(_missing(offer) for offer in model.offers),
        _unsupported,
    ),
)
