"""The pages of a model: each says what the sellers' rows say of it, and there is none where they say nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from django.utils.translation import override

from probes.identity import identity
from probes.pages import (
    Page,
    model_capability_probes,
    model_error_routes,
    model_key_routes,
    model_limit_probes,
    models,
)
from probes.pages import model as model_page
from probes.pages.page import Cell
from probes.pages.shelf import Brief, Offer, brief, by_price
from probes.terms import AIModel, Probe, Provider, Reading, Rule, Shared
from tests.cases import CATALOGUE

FAMILIES: dict[str, Any] = {
    "key": model_key_routes,
    "limit": model_limit_probes,
    "capability": model_capability_probes,
    "error": model_error_routes,
}


class Shelf:
    """The given providers as pages ask for them, without a database."""

    version = 1
    shared: Shared = CATALOGUE.shared

    def __init__(self, *providers: Provider) -> None:
        self.all = {p.slug: p for p in providers}
        self._briefs = {slug: brief(self.shared, p, len(p.models)) for slug, p in self.all.items()}
        market: dict[str, list[Offer]] = {}
        for p in providers:
            for m in p.models:
                market.setdefault(identity(m.id), []).append(Offer(self._briefs[p.slug], m))
        self._market = {name: by_price(offers) for name, offers in market.items()}

    def briefs(self) -> Mapping[str, Brief]:
        return self._briefs

    def sellers(self, slugs: Collection[str]) -> Mapping[str, Provider]:
        return {slug: self.all[slug] for slug in slugs}

    def offers(self, name: str) -> tuple[Offer, ...]:
        return self._market.get(name, ())

    def market(self) -> Mapping[str, tuple[Offer, ...]]:
        return self._market


SHIPPED = Shelf(*CATALOGUE.providers.values())


def seller(name: str, *models: AIModel, **more: Any) -> Provider:
    known: dict[str, Any] = {"origins": {"api": f"https://api.{name}.example"}, "checked_on": dt.date(2026, 11, 24)}
    return Provider(slug=name, name=name.title(), auth="bearer", models=models, **known | more)


def page(family: str, slug: str, *providers: Provider) -> Page:
    found: Page | None = FAMILIES[family].find(Shelf(*providers), slug)
    assert found, slug
    return found


def slugs(family: str, *providers: Provider) -> set[str]:
    return {slug.removeprefix("m-") for slug in FAMILIES[family].slugs(Shelf(*providers))}


def rows(found: Page) -> list[list[str]]:
    """The cells of the page's tables, in order."""
    tables = [section.table for section in found.sections if section.table]
    return [[of(cell)[0] for cell in row] for table in tables for row in table.rows]


def of(cell: str | Cell) -> tuple[str, str]:
    """What it says, and what stands below that."""
    return (cell.text, cell.sub) if isinstance(cell, Cell) else (cell, "")


def words(found: Page) -> str:
    parts = [found.title, found.description, found.lead]
    for section in found.sections:
        parts += [section.heading, section.paragraph, *section.bullets]
    return "\n".join(parts)


# The shipped catalogue


@pytest.fixture(scope="module")
def sample() -> dict[str, dict[str, Page]]:
    """Every page of each eighth model, and of those that most sell."""
    names = sorted(SHIPPED.market(), key=lambda name: -len(SHIPPED.market()[name]))
    chosen = {*names[:3], *names[::8]}

    def pages(family: Any) -> Iterator[tuple[str, Page]]:
        for slug in family.slugs(SHIPPED):
            if any(slug.startswith(f"{name}-") for name in chosen):
                found = family.find(SHIPPED, slug)
                assert found, slug
                yield slug, found

    return {name: dict(pages(family)) for name, family in FAMILIES.items()}


def test_every_slug_of_a_family_has_its_page(sample: dict[str, dict[str, Page]]) -> None:
    for pages in sample.values():
        assert len(pages) > 100
        assert all(found.slug == slug for slug, found in pages.items())


def test_titles_and_descriptions_are_unique(sample: dict[str, dict[str, Page]]) -> None:
    pages = [found for family in sample.values() for found in family.values()]
    assert len({found.title for found in pages}) == len(pages)
    assert len({found.description for found in pages}) == len(pages)
    every = [models.model_of(SHIPPED, name) for name in SHIPPED.market()]  # type: ignore[arg-type]
    assert len({model.title for model in every if model}) == len(every)


def test_descriptions_fit_where_they_are_shown(sample: dict[str, dict[str, Page]]) -> None:
    pages = [found for family in sample.values() for found in family.values()]
    assert not [found.description for found in pages if not 50 <= len(found.description) <= 160]


def test_no_page_says_none_or_leaves_a_placeholder(sample: dict[str, dict[str, Page]]) -> None:
    for family in sample.values():
        for found in family.values():
            said = words(found) + str(rows(found)) + str(found.cards) + str(found.summary)
            assert "None" not in said
            assert "%(" not in said


def test_every_page_has_a_section_with_something_of_each_seller(sample: dict[str, dict[str, Page]]) -> None:
    for family in sample.values():
        assert all(rows(found) or any(s.facts or s.bars for s in found.sections) for found in family.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_slug_that_is_none_of_a_family_has_no_page(family: str) -> None:
    find = FAMILIES[family].find
    for slug in ("", "gpt-4o", "nobody-rpm-limit", "gpt-4o-flying", "-rpm-limit", "nobody-tool-calling"):
        assert find(SHIPPED, slug) is None


def test_pages_speak_the_language_that_is_asked_for() -> None:
    with override("de"):
        found = page("key", "m-pricing-context", seller("acme", AIModel("m", input_price=Decimal("0.5"))))
    assert "0,500" in found.lead


# What each page needs


NOTHING = seller("acme", AIModel("m"))


def test_a_model_of_which_nothing_is_known_has_no_pages() -> None:
    assert {name for name in FAMILIES if slugs(name, NOTHING)} == set()


def test_a_retired_seller_tells_nothing() -> None:
    asked = Probe("limits", "GET /limits", (Rule("rate_limited", (429,)),), metrics=(Reading("requests_limit"),))
    listed = Probe("models", "GET /models", (), models="body.data[].id")
    gone = seller("acme", AIModel("m"), probes=(asked, listed), retired="It is no more.")
    assert {name for name in FAMILIES if slugs(name, gone)} == set()


# Calling it


LIST = Probe("models", "GET /v1/models", (), proves_key=True, models="body.data[].id")


def test_the_call_that_lists_models_says_whether_the_list_is_the_keys_own() -> None:
    own = seller("own", AIModel("m"), probes=(LIST,))
    public = seller("open", AIModel("maker/m"), probes=(Probe("models", "GET /all", (), public=True, models="[].id"),))
    found = page("key", "m-callable-models", own, public)
    table = found.sections[0].table
    assert table
    assert [[of(cell) for cell in row] for row in table.rows] == [
        [("Open", ""), ("maker/m", ""), ("GET /all", "answers anyone"), ("no free call", "")],
        [("Own", ""), ("m", ""), ("GET /v1/models", "the key's own list"), ("models", "")],
    ]
    assert "One seller's model list" in found.lead


def test_a_model_that_no_list_shows_has_no_page_on_calling_it() -> None:
    assert slugs("key", seller("acme", AIModel("m"), probes=(Probe("me", "GET /me", (), proves_key=True),))) == set()


def test_prices_stand_side_by_side_with_the_lowest_marked_and_bars() -> None:
    dear = seller("dear", AIModel("m", input_price=Decimal(2), output_price=Decimal(6)))
    cheap = seller("cheap", AIModel("maker/m", input_price=Decimal(1), output_price=Decimal(8)))
    found = page("key", "m-pricing-context", dear, cheap)
    assert rows(found) == [
        ["Cheap", "maker/m", "$1", "$8", "not known", "$6"],
        ["Dear", "m", "$2", "$6", "not known", "$7"],
    ]
    table = found.sections[0].table
    assert table
    assert [[of(cell)[1] for cell in row][2:4] for row in table.rows] == [["lowest", ""], ["", "lowest"]]
    assert [(b.label, b.share) for b in found.sections[1].bars] == [("Cheap", 50), ("Dear", 100)]
    assert "from $1 at Cheap to $2 at Dear" in found.lead


def test_one_price_has_no_chart_and_a_router_says_that_the_route_decides() -> None:
    single = page("key", "m-pricing-context", seller("acme", AIModel("m", input_price=Decimal(1))))
    assert not [section for section in single.sections if section.bars]
    assert "lowest" not in str(single.sections)
    routed = page("key", "m-pricing-context", seller("acme", AIModel("m", route_based=True)))
    assert rows(routed)[0][2] == "route based"
    assert "the route that a request takes decides" in routed.lead


# Limits


def limit(*metrics: str, **more: Any) -> Probe:
    return Probe("limits", "POST /chat", (), metrics=tuple(Reading(m, 'headers."x-left"') for m in metrics), **more)


@pytest.mark.parametrize(
    ("metric", "slug"),
    [
        ("requests_limit", "rpm-limit"),
        ("tokens_limit", "tpm-limit"),
        ("concurrency_limit", "concurrency"),
        ("bucket_reset", "reset-window"),
    ],
)
def test_a_limit_has_a_page_where_a_seller_tells_it(metric: str, slug: str) -> None:
    acme = seller("acme", AIModel("m"), probes=(limit(metric),))
    assert slugs("limit", acme) == {slug}
    assert slugs("key", acme) == {"limit-probe"}
    found = page("limit", f"m-{slug}", acme)
    assert rows(found)[0][2:] == ["header x-left", "POST /chat", "no cost"]


def test_a_call_that_spends_or_asks_for_another_model_is_said_so() -> None:
    spends = limit("requests_limit", spends="up to 1 token", body={"model": "other"})
    found = page("limit", "m-rpm-limit", seller("acme", AIModel("m"), probes=(spends,)), seller("mute", AIModel("m")))
    said = words(found)
    assert rows(found)[0][4] == "up to 1 token"
    assert "names another model" in said
    assert "only where you ticked" in said
    assert "No answer that tells it is known at Mute." in said
    own = limit("requests_limit", body={"model": "m"})
    assert "another model" not in words(page("limit", "m-rpm-limit", seller("acme", AIModel("m"), probes=(own,))))


@pytest.mark.parametrize(("figure", "slug"), [("context_window", "context-window"), ("max_output", "max-output")])
def test_a_figure_of_the_model_has_a_page_where_a_seller_gives_it(figure: str, slug: str) -> None:
    known = seller("known", AIModel("m", **{figure: 128_000}))  # type: ignore[arg-type]
    assert slugs("limit", known) == {slug}
    full = page("limit", f"m-{slug}", known)
    part = page("limit", f"m-{slug}", known, NOTHING)
    assert dict(full.summary)["Visible signal"] == "catalog visible"
    assert dict(part.summary)["Visible signal"] == "partial catalog signal"
    assert [row[2] for row in rows(part)] == ["128,000"]
    assert "Of Acme no figure is known" in words(part)


def test_sellers_whose_figures_differ_stand_as_bars_the_largest_first() -> None:
    short, long = seller("short", AIModel("m", max_output=25)), seller("long", AIModel("m", max_output=100))
    found = page("limit", "m-max-output", short, long)
    assert [(bar.label, bar.value, bar.share) for bar in found.sections[0].bars] == [
        ("Long", "100", 100),
        ("Short", "25", 25),
    ]
    assert "from 25 to 100 tokens" in found.lead


def test_a_place_has_a_page_where_a_seller_refuses_it_or_has_regions() -> None:
    refuses = seller("refuses", AIModel("m"), rules=(Rule("region_blocked", (403,), "body.code == 'place'"),))
    regional = seller("regional", AIModel("m"), regions=("eu", "us"))
    assert slugs("limit", refuses) == slugs("limit", regional) == {"region-ip"}
    found = page("limit", "m-region-ip", refuses, regional)
    assert rows(found) == [["Refuses", "global", "403", "code is “place”", "Not answered from our region"]]
    assert ("Regional", "eu · us") in [fact for section in found.sections for fact in section.facts]


# Capabilities


def test_a_capability_has_a_page_where_a_row_shows_it() -> None:
    able = AIModel("m", parameters=("reasoning", "tool_call"), input_modalities=("text", "image"))
    assert slugs("capability", seller("acme", able)) == {"tool-calling", "reasoning", "vision"}


def test_a_row_without_tools_is_worth_a_page_a_row_without_images_is_not() -> None:
    unable = AIModel("m", parameters=("temperature",), input_modalities=("text",))
    assert slugs("capability", seller("acme", unable)) == {"tool-calling"}
    found = page("capability", "m-tool-calling", seller("acme", unable))
    assert dict(found.summary)["Catalog signal"] == "runtime probe required"
    assert rows(found)[0][2:] == ["not listed", "nothing listed"]


def test_sellers_that_differ_are_told_apart() -> None:
    able, unable = AIModel("m", parameters=("tool_call",)), AIModel("m", parameters=("reasoning",))
    found = page(
        "capability", "m-tool-calling", seller("able", able), seller("unable", unable), seller("mute", AIModel("m"))
    )
    assert {row[0]: row[2] for row in rows(found)} == {"Able": "yes", "Unable": "not listed", "Mute": "not known"}
    assert "at Able, and not at Unable" in found.lead
    assert "The rows of Mute say nothing of it" in words(found)


# Errors


def test_a_429_has_a_page_where_a_seller_has_a_rule_for_it() -> None:
    rules = (
        Rule("no_credit", (429,), "body.code == 'empty'"),
        Rule("rate_limited", (429,)),
        Rule("suspended", (429,), "body.code == 'never reached'"),
        Rule("invalid", (401,)),
    )
    acme = seller("acme", AIModel("m"), rules=rules)
    assert slugs("error", acme) == {"rate-limited"}
    found = page("error", "m-rate-limited", acme)
    assert rows(found) == [
        ["Acme", "code is “empty”", "Works, no credit"],
        ["Acme", "any answer", "Works, over its limit now"],
    ]
    assert "need not be a rate limit" in found.lead


@pytest.mark.parametrize(("family", "angle"), [("error", "rate-limited"), ("limit", "region-ip")])
def test_a_rule_says_where_it_stands(family: str, angle: str) -> None:
    own = (Rule("rate_limited", (429,)), Rule("region_blocked", (403,), "body.code == 'place'"))
    makers = page(family, f"m-{angle}", seller("own", AIModel("m"), rules=own))
    shared = page(family, f"m-{angle}", seller("shares", AIModel("m"), rule_sets=("openai-errors",)))
    assert said_of_rules(makers) == {"every call"}
    assert said_of_rules(shared) == {"openai-errors"}


def said_of_rules(found: Page) -> set[str]:
    """What stands below a condition."""
    table = next(section.table for section in found.sections if section.table)
    at = next(i for i, column in enumerate(table.columns) if column.heading == "The answer shows")
    return {of(row[at])[1] for row in table.rows}


def test_too_long_a_request_has_a_page_where_the_window_is_known_with_the_price_of_a_full_one() -> None:
    priced = AIModel("m", context_window=200_000, max_output=8_000, input_price=Decimal("0.5"))
    found = page("error", "m-context-exceeded", seller("acme", priced), NOTHING)
    assert rows(found) == [["Acme", "m", "200,000", "8,000", "$0.100"]]


def test_what_is_not_supported_names_what_a_row_does_not_list() -> None:
    everything = AIModel("m", parameters=tuple(models.ABILITIES), input_modalities=("text", "image"))
    assert slugs("error", seller("acme", everything)) == set()
    less = AIModel("m", parameters=("tool_call",), input_modalities=("text",))
    found = page("error", "m-capability-unsupported", seller("whole", everything), seller("less", less))
    assert [row[0] for row in rows(found)] == ["Less"]
    assert rows(found)[0][3] == "reasoning · structured output · attachments · image input"


# The model's own page


def test_a_models_page_leads_to_all_its_pages_and_to_no_other() -> None:
    model = models.model_of(SHIPPED, "gpt-oss-120b")  # type: ignore[arg-type]
    assert model
    linked = {link.href for related in model_page.page(model).related for link in related.links}
    addresses = {
        f"/{family.FAMILY}/{slug}/"
        for family in FAMILIES.values()
        for slug in family.slugs(SHIPPED)
        if slug.startswith("gpt-oss-120b-")
    }
    assert linked == addresses


def test_models_pages_have_descriptions_of_their_own() -> None:
    every = [model_page.page(model) for name in SHIPPED.market() if (model := models.model_of(SHIPPED, name))]  # type: ignore[arg-type]
    assert len({found.description for found in every}) == len(every)
    assert not [found.description for found in every if not 50 <= len(found.description) <= 160]
