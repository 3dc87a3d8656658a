"""The model market: one row a model across its sellers. Found, sorted and counted in the database, a page at a time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.db.models import F, FloatField, IntegerField, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponsePermanentRedirect, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from probes import formats, public
from probes.identity import identity as identity_of
from probes.market_form import TYPED, Filters
from probes.models.catalogue import AIModel
from probes.models.shelf import AS_TEXT, RowShelf, shelf
from probes.models.shelf import words as words_of
from probes.models.versions import Listing
from probes.pages import model as model_page
from probes.pages import models
from probes.pages.models import ABILITIES, MODALITIES
from probes.pages.page import Link
from probes.pages.shelf import commonest, distinct, price_order

Words = Mapping[str, str]

ADDRESS = models.ABOVE
IDENTITY = re.compile(r"[-a-z0-9]+")
ON_A_PAGE = 25
SIDE_BY_SIDE = 4
WORDS = 8  # of a search
KEPT_FILTERS, KEPT_PAGES = 2, 20  # beyond these there are endlessly many questions, which hardly two people ask

OFFERED = ("identity", "model_id", "name", "context_window")
# A page may show a thousand offers. So no value of them is converted: prices are only compared, lists read once each.
PLAIN: dict[str, Any] = {
    "seller": F("provider__name"),
    "input": Cast("input_price", FloatField()),
    "output": Cast("output_price", FloatField()),
    "by_route": Cast("route_based", IntegerField()),
    **AS_TEXT,
}

ORDERS: dict[str, tuple[Any, ...]] = {
    "sellers": ("-sellers", "identity"),
    "name": ("identity",),
    "input": (F("cheapest_input").asc(nulls_last=True), "identity"),
    "output": (F("cheapest_output").asc(nulls_last=True), "identity"),
    "context": (F("window").desc(nulls_last=True), "identity"),
}


@require_safe
def market(request: HttpRequest) -> HttpResponseBase:
    """The list, or with `compare` some models side by side. Each question has one address."""
    if "compare" in request.GET:
        return _comparison(request)
    form = Filters(request.GET, shelf().selling)
    if not form.errors and _asked(request) != form.pairs():
        return HttpResponseRedirect(public.localized(ADDRESS) + form.query())

    switch = ADDRESS + form.query(but=TYPED)  # what was typed may be a key

    def context(rows: RowShelf) -> dict[str, Any]:
        return {
            "form": form,
            "found": Found(form),
            "compared": None,
            "most": SIDE_BY_SIDE,
            "switch": switch,
            **_frame(),
        }

    keep = not form.errors and not form.typed and len(form.pairs()) <= KEPT_FILTERS and form.page_number <= KEPT_PAGES
    return public.answer(request, ADDRESS + form.query(), "probes/models.html", context, keep=keep)


@require_safe
def model(request: HttpRequest, identity: str) -> HttpResponseBase:
    """One model at all its sellers. By an id of a seller, to the model that it is."""
    known = identity_of(identity)
    if known != identity and shelf().offers(known):
        return HttpResponsePermanentRedirect(public.localized(f"{ADDRESS}{known}/"))
    if not IDENTITY.fullmatch(identity):
        raise Http404

    def context(rows: RowShelf) -> dict[str, Any]:
        found = models.model_of(rows, identity)
        if found is None:
            raise Http404
        return {"page": model_page.page(found), **_frame(Link(found.title, found.address))}

    return public.answer(request, f"{ADDRESS}{identity}/", "probes/page.html", context)


def _comparison(request: HttpRequest) -> HttpResponseBase:
    chosen = list(dict.fromkeys(request.GET.getlist("compare")))
    known = [one for one in chosen[:SIDE_BY_SIDE] if IDENTITY.fullmatch(one) and shelf().offers(one)]
    query = "?" + urlencode([("compare", one) for one in known])

    def context(rows: RowShelf) -> dict[str, Any]:
        side_by_side = [found for one in known if (found := models.model_of(rows, one))]
        return {
            "compared": side_by_side,
            "comparison": model_page.comparison(side_by_side) if side_by_side else None,
            "too_many": len(chosen) > SIDE_BY_SIDE,
            "most": SIDE_BY_SIDE,
            "missing": len(chosen[:SIDE_BY_SIDE]) - len(known),
            **_frame(Link(_("Side by side"), ADDRESS + query)),
        }

    return public.answer(request, ADDRESS + query, "probes/models.html", context, keep=known == chosen)


def _frame(*here: Link) -> dict[str, Any]:
    return {"section": "models", "picture": "models", "crumbs": (Link(_("Models"), ADDRESS), *here)}


def _asked(request: HttpRequest) -> list[tuple[str, str]]:
    return parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True)


# What is found


class Found:
    """The page of the list that a question asks for: three queries, however large the market is."""

    def __init__(self, form: Filters) -> None:
        self.form = form
        offers = matching(form.cleaned_data)
        listed: QuerySet[Any, Any] = Listing.objects.values("identity", *Listing.SUMS)
        if form.pairs(but=("sort", "page")):
            listed = offers.order_by().values("identity").annotate(**Listing.SUMS)
        self.total = listed.count()
        self.pages = max(1, -(-self.total // ON_A_PAGE))
        self.page = min(form.page_number, self.pages)
        self.rows = list(self._rows(listed, offers))

    def _rows(self, listed: QuerySet[Any, Any], offers: QuerySet[AIModel]) -> Iterator[dict[str, str]]:
        first = (self.page - 1) * ON_A_PAGE
        ordered = listed.order_by(*ORDERS[self.form.cleaned_data.get("sort") or "sellers"])
        page = list(ordered[first : first + ON_A_PAGE])
        at: dict[str, list[Any]] = defaultdict(list)
        shown = offers.filter(identity__in=[each["identity"] for each in page]).order_by()
        for offer in shown.annotate(**PLAIN).values_list(*OFFERED, *PLAIN, named=True):
            at[offer.identity].append(offer)
        abilities, modalities = ({slug: str(word) for slug, word in w.items()} for w in (ABILITIES, MODALITIES))
        for each in page:
            if each["identity"] in at:  # else it was switched off this moment
                yield _row(each, sorted(at[each["identity"]], key=_by_price), abilities, modalities)

    @property
    def counted(self) -> str:
        return ngettext("%(count)s model", "%(count)s models", self.total) % {"count": formats.number(self.total)}

    @property
    def before(self) -> str:
        return self._address(self.page - 1) if self.page > 1 else ""

    @property
    def after(self) -> str:
        return self._address(self.page + 1) if self.page < self.pages else ""

    def _address(self, page: int) -> str:
        return ADDRESS + self.form.query(page=page)

    @property
    def drops(self) -> list[Link]:
        """The same question with one filter less each."""
        return [Link(words, ADDRESS + query) for words, query in self.form.drops()]


def _by_price(offer: Any) -> tuple[Any, ...]:
    return price_order(offer.input, offer.output, offer.seller)


def _row(listed: Mapping[str, Any], offers: list[Any], abilities: Words, modalities: Words) -> dict[str, str]:
    """One model as the list shows it: what those of its offers say that the filters let through.

    listed: what is summed up of it. offers: rows of OFFERED and PLAIN, the cheapest first.
    """
    sellers = distinct([offer.seller for offer in offers])

    def who(field: str, said: Any) -> list[str]:
        return distinct([offer.seller for offer in offers if getattr(offer, field) == said])

    def price(field: str, lowest: Decimal | None) -> tuple[str, str]:
        """The lowest, and whose it is where there are several sellers."""
        at = who(field, float(lowest)) if lowest is not None and len(sellers) > 1 else []
        return formats.price(lowest, lowest is None and bool(offers[0].by_route)), models.some(at, 1)

    def every(field: str, words: Words) -> str:
        given = {word for text in {getattr(offer, field) for offer in offers} for word in words_of(text)}
        return formats.listed(word for slug, word in words.items() if slug in given) or _("not known")

    window = listed["window"]
    widest = who("context_window", window)
    asked, asked_at = price("input", listed["cheapest_input"])
    answered, answered_at = price("output", listed["cheapest_output"])
    return {
        "identity": listed["identity"],
        "address": public.localized(f"{ADDRESS}{listed['identity']}/"),
        "name": models.short(commonest([offer.name or offer.model_id for offer in offers])),
        "sellers": formats.number(len(sellers)),
        "names": models.some(sellers, 2),
        "window": formats.number(window) if window else "",
        "window_at": models.some(widest, 1) if len(widest) < len(sellers) else "",
        "input": asked,
        "input_at": asked_at,
        "output": answered,
        "output_at": answered_at,
        "takes": every("input_modalities_text", modalities),
        "gives": every("output_modalities_text", modalities),
        "can": every("parameters_text", abilities),
    }


def matching(asked: dict[str, Any]) -> QuerySet[AIModel]:
    """The offers that pass the filters. A search finds models, with all their offers."""
    offers = AIModel.objects.filter(enabled=True, provider__enabled=True)
    named = offers
    for word in asked.get("q", "").split()[:WORDS]:
        named = named.filter(Q(model_id__icontains=word) | Q(name__icontains=word) | Q(identity__icontains=word))
    if named is not offers:
        offers = offers.filter(identity__in=named.order_by().values("identity"))
    by = {
        "provider": "provider__slug",
        "route": "provider__route",
        "context": "context_window__gte",
        "price": "input_price__lte",
    }
    offers = offers.filter(**{by[name]: asked[name] for name in by if asked.get(name) not in (None, "")})
    if asked.get("free"):
        offers = offers.filter(input_price=0, output_price=0)
    for field, words in (
        ("input_modalities", [asked.get("input")]),
        ("output_modalities", [asked.get("output")]),
        ("parameters", asked.get("can") or []),
    ):
        for word in filter(None, words):
            offers = _listing(offers, field, word)
    return offers


def _listing(offers: QuerySet[AIModel], field: str, word: str) -> QuerySet[AIModel]:
    """Those whose list holds the word. SQLite knows no `contains` of JSON, and as text both databases quote a word."""
    return offers.alias(**{f"{field}_text": Cast(field, TextField())}).filter(
        **{f"{field}_text__contains": f'"{word}"'}
    )
