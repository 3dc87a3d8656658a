"""What the pages of a model have in common: one identity with its sellers, and how its addresses are told apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from probes import formats
from probes.pages.page import Bar, Card, Cell, Column, Link, Page, Related, Section, Table
from probes.pages.shelf import Offer, Shelf, commonest, distinct, priced
from probes.terms import AIModel, Provider, Shared

Words = str | Promise
NO_BREAK = "\u00a0"
ABOVE = "/models/"

ABILITIES: dict[str, Words] = {
    "tool_call": gettext_lazy("tool calling"),
    "reasoning": gettext_lazy("reasoning"),
    "structured_output": gettext_lazy("structured output"),
    "attachment": gettext_lazy("attachments"),
}
MODALITIES: dict[str, Words] = {
    "text": gettext_lazy("text"),
    "image": gettext_lazy("images"),
    "audio": gettext_lazy("audio"),
    "video": gettext_lazy("video"),
    "pdf": gettext_lazy("PDF"),
}


@dataclass(frozen=True)
class Model:
    """One model at all its sellers."""

    identity: str
    offers: tuple[Offer, ...]  # the cheapest first
    providers: Mapping[str, Provider]  # the sellers, without their models
    shared: Shared

    @cached_property
    def name(self) -> str:
        return short(commonest([offer.model.name or offer.model.id for offer in self.offers]))

    @property
    def title(self) -> str:
        """The name alone where it says the identity, so that no two models have one title."""
        return self.name if _letters(self.name) == _letters(self.identity) else f"{self.name} ({self.identity})"

    @property
    def described(self) -> str:
        """The title, if it leaves room for what is said of it."""
        return self.title if len(self.title) <= 45 else self.identity

    @property
    def address(self) -> str:
        return f"{ABOVE}{self.identity}/"

    @cached_property
    def sellers(self) -> list[str]:
        """Their names, the cheapest first."""
        return distinct([offer.provider.name for offer in self.offers])

    def known(self, figure: Callable[[AIModel], int | None]) -> list[int]:
        """A figure as the sellers give it: each value once, the largest first."""
        return sorted({value for offer in self.offers if (value := figure(offer.model))}, reverse=True)

    @property
    def windows(self) -> list[int]:
        return self.known(lambda m: m.context_window)

    @property
    def outputs(self) -> list[int]:
        return self.known(lambda m: m.max_output)

    def by_seller(self) -> list[tuple[Provider, list[Offer]]]:
        """Each seller once with all that it offers of this model."""
        slugs = distinct([offer.provider.slug for offer in self.offers])
        return [
            (self.providers[slug], [o for o in self.offers if o.provider.slug == slug])
            for slug in slugs
            if slug in self.providers
        ]


@dataclass(frozen=True)
class Angle:
    """One of a family's pages on a model: the end of its address, and where there is something to say."""

    slug: str
    label: Words
    has: Callable[[Model], bool]
    page: Callable[[Model, Angle], Page]


def lowest_at(offers: Iterable[Offer], which: str) -> list[str]:
    """The names of all who ask the lowest price."""
    offers = list(offers)
    low = lowest(offers, which)
    same = [o for o in offers if low and getattr(o.model, which) == getattr(low.model, which)]
    return distinct([offer.provider.name for offer in same])


def price_card(label: str, model: Model, which: str) -> Card:
    """The lowest price, and who asks it where others could."""
    offer = lowest(model.offers, which)
    if offer is None:
        return Card(label, unpriced(model))
    at = _("lowest price, at %s") % some(lowest_at(model.offers, which)) if len(model.sellers) > 1 else ""
    return Card(label, price(offer.model, which), at)


# Addresses


def slugs(shelf: Shelf, angles: Iterable[Angle]) -> list[str]:
    providers = shelf.sellers(list(shelf.briefs()))
    every = [Model(identity, offers, providers, shelf.shared) for identity, offers in shelf.market().items()]
    return [f"{model.identity}-{angle.slug}" for model in every for angle in angles if angle.has(model)]


def find(shelf: Shelf, slug: str, angles: Iterable[Angle]) -> Page | None:
    """Both halves of an address hold hyphens, so it splits at an angle that we know."""
    for angle in angles:
        if slug.endswith(f"-{angle.slug}"):
            model = model_of(shelf, slug.removesuffix(f"-{angle.slug}"))
            return angle.page(model, angle) if model and angle.has(model) else None
    return None


def model_of(shelf: Shelf, identity: str) -> Model | None:
    offers = shelf.offers(identity)
    if not offers:
        return None
    return Model(identity, offers, shelf.sellers({offer.provider.slug for offer in offers}), shelf.shared)


def links(model: Model, family: str, angles: Iterable[Angle]) -> tuple[Link, ...]:
    """To this model's pages in a family."""
    return tuple(Link(str(a.label), f"/{family}/{model.identity}-{a.slug}/") for a in angles if a.has(model))


def link_of_seller(provider: str, dimension: str = "commercial-launch") -> str:
    return f"/provider-key-probes/{provider}-{dimension}/"


# Parts of pages


def page(
    model: Model,
    angle: Angle,
    family: tuple[str, Iterable[Angle]],
    *,
    kicker: str,
    description: str,
    lead: str,
    cards: tuple[Card, ...],
    summary: tuple[str, tuple[tuple[str, str], ...]],
    sections: tuple[Section, ...],
) -> Page:
    """family: its name and all its angles. cards, summary: what stands beside the model itself."""
    here = f"/{family[0]}/{model.identity}-{angle.slug}/"
    others = tuple(link for link in links(model, *family) if link.href != here)
    related = (Related(_("More on this kind of question"), others),) if others else ()
    one = model.by_seller()[0][0] if len(model.sellers) == 1 else None
    check = Link(_("Check a key of %s") % one.name, f"/?provider={one.slug}") if one else Link(_("Check a key"), "/")
    return Page(
        slug=f"{model.identity}-{angle.slug}",
        kicker=kicker,
        title=f"{model.title} | {angle.label}",
        description=description,
        lead=lead,
        cards=(Card(_("Model"), model.name, model.identity), seller_card(model), *cards),
        summary_heading=summary[0],
        summary=((_("Model"), model.name), *summary[1]),
        sections=sections,
        related=(Related(_("This model"), (Link(_("Sellers and prices"), model.address),)), *related),
        above=Link(_("Models"), ABOVE),
        action=check,
        checked_on=min(offer.provider.checked_on for offer in model.offers),
    )


def seller_card(model: Model) -> Card:
    return Card(_("Sellers"), formats.number(len(model.sellers)), some(model.sellers))


def some(names: list[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    more = len(names) - most
    if more < 2:  # one more takes no more room than saying so
        return " · ".join(names)
    rest = ngettext("and %(count)s more", "and %(count)s more", more) % {"count": formats.number(more)}
    return f"{' · '.join(names[:most])} {rest.replace(' ', NO_BREAK)}"


def short(name: str) -> str:
    """Without the maker that some sellers write before it."""
    return name.rpartition("/")[2].strip() or name


def largest(known: list[int]) -> str:
    """What is said below a figure of which sellers tell several."""
    return _("the largest that a seller gives") if len(known) > 1 else ""


def figure(value: int | None) -> str:
    return formats.number(value) if value else _("not known")


def price(model: AIModel, which: str) -> str:
    usd: Decimal | None = getattr(model, which)
    return formats.price(usd, model.route_based and usd is None)


def lowest(offers: Iterable[Offer], which: str) -> Offer | None:
    found = [offer for offer in offers if getattr(offer.model, which) is not None]
    return min(found, key=lambda offer: getattr(offer.model, which), default=None)


def unpriced(model: Model) -> str:
    """Of a model of which no price is known: whether it depends on the route, wherever it is sold."""
    return formats.price(None, all(offer.model.route_based for offer in model.offers))


def seller_cell(offer: Offer) -> Cell:
    return Cell(offer.provider.name, link_of_seller(offer.provider.slug))


def market(route: str) -> str:
    return _("China") if route == "china" else _("global")


def price_cell(model: Model, offer: Offer, which: str) -> Cell:
    """The lowest is marked in words, where there is another to be lower than."""
    prices = {getattr(o.model, which) for o in model.offers} - {None}
    own = getattr(offer.model, which)
    cheapest = len(prices) > 1 and own is not None and own == min(prices)
    return Cell(price(offer.model, which), sub=_("lowest") if cheapest else "")


def price_bars(model: Model, which: str) -> tuple[Bar, ...]:
    """A line for each offer with a price, the cheapest first; none where there is nothing to compare."""
    with_price = [offer for offer in model.offers if getattr(offer.model, which) is not None]
    with_price.sort(key=lambda offer: getattr(offer.model, which))
    values = [getattr(offer.model, which) for offer in with_price]
    if len(values) < 2 or not max(values):
        return ()
    return tuple(
        Bar(o.provider.name, formats.price(v), share(v, max(values)), link_of_seller(o.provider.slug), o.model.id)
        for o, v in zip(with_price, values, strict=True)
    )


def share(value: Decimal | int, largest: Decimal | int) -> int:
    """Of the longest bar, in percent; what is not nothing can be seen."""
    return max(1, round(100 * value / largest)) if value else 0


def price_table(model: Model, *more: tuple[Column, Callable[[Offer], str | Cell]]) -> Table:
    """What each seller asks, the cheapest first; `more` are further columns."""
    return Table(
        (
            Column(_("Seller")),
            Column(_("Model id"), "mono"),
            Column(_("Input price"), "number"),
            Column(_("Output price"), "number"),
            Column(_("Context window"), "number"),
            *(column for column, _cell in more),
        ),
        tuple(
            (
                seller_cell(offer),
                offer.model.id,
                price_cell(model, offer, "input_price"),
                price_cell(model, offer, "output_price"),
                figure(offer.model.context_window),
                *(cell(offer) for _column, cell in more),
            )
            for offer in model.offers
        ),
    )


def has_price(model: Model) -> bool:
    return any(priced(offer.model) for offer in model.offers)


def words_of(slugs: Iterable[str], words: Mapping[str, Words]) -> list[str]:
    """Those that there is a word for, in the order of the words."""
    given = set(slugs)
    return [str(word) for slug, word in words.items() if slug in given]


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
