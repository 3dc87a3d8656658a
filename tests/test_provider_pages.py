"""What the pages of a provider tell: its keys and rules, its errors, what a key reveals, and the next provider."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from probes import seed
from probes.models.shelf import RowShelf, shelf
from probes.pages import FAMILIES, Page, key_error_routes, key_intelligence, provider_compare, provider_key_probes
from probes.pages.errors import ERRORS, MOVES, by_error, error_page, pages_of
from probes.pages.key_shapes import example
from probes.pages.rules import condition, told
from tests.stand_in import StandIn

OURS = ("provider-key-probes", "key-error-routes", "key-intelligence", "provider-compare")


@cache
def catalogue() -> seed.Catalogue:
    return seed.read_catalogue()


def provider(slug: str = "somebody", **more: Any) -> seed.Provider:
    made = seed.Provider(
        slug=slug,
        name=slug.title(),
        auth="bearer",
        checked_on=dt.date(2026, 11, 24),
        origins={"api": f"https://api.{slug}.example"},
        rules=(seed.Rule("no_credit", (429,), "body.error.code == 'empty'", "insufficient_balance"),),
        probes=(
            seed.Probe(
                "balance_snapshot",
                "GET /balance",
                (seed.Rule("active", (200,), "type(body.left) == 'number'"),),
                proves_key=True,
                metrics=(seed.Reading("balance_total", "body.left", unit="USD"),),
            ),
        ),
        models=(seed.AIModel("a-1", "A One", 8_000), seed.AIModel("b-2", "B Two")),
    )
    return replace(made, **more)


def texts(value: Any) -> Iterator[str]:
    """All that a page says."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from texts(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))


def words(page: Page | None) -> str:
    assert page
    return "\n".join(texts(page))


def section(page: Page | None, heading: str) -> Any:
    assert page
    return next((section for section in page.sections if section.heading == heading), None)


# Every page there is


def test_every_page_has_a_title_and_a_description_of_its_own_and_nothing_empty(db: None) -> None:
    rows, titles, descriptions, count = shelf(), set(), set(), 0
    for family in OURS:
        for slug in FAMILIES[family].slugs(rows):
            page = FAMILIES[family].find(rows, slug)
            assert page, f"{family}/{slug}"
            assert page.slug == slug
            assert 50 <= len(page.description) <= 160, page.description
            for each in page.sections:
                assert each.paragraph or each.bullets or each.code or each.bars or (each.table and each.table.rows), (
                    slug
                )
                assert all(bullet.strip() for bullet in each.bullets)
                assert each.table is None or len(each.table.rows) <= 40
                assert each.table is None or {len(row) for row in each.table.rows} == {len(each.table.columns)}
            count += 1
            if count % 10 == 0:  # the text of all would take seconds
                assert not re.search(r"\bNone\b(?!-)|%\(", words(page)), slug
            titles.add(page.title)
            descriptions.add(page.description)
    assert len(titles) == len(descriptions) == count > 1_000


@pytest.mark.parametrize(
    ("family", "slug"),
    [
        ("provider-key-probes", "azure-openai-commercial-launch"),
        ("key-error-routes", "openai-invalid-api-key"),
        ("key-intelligence", "openrouter-balance-and-quota"),
        ("provider-compare", "azure-openai-vs-openai"),
    ],
)
def test_a_page_costs_a_dozen_queries_at_most(db: None, family: str, slug: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert FAMILIES[family].find(RowShelf(-1), slug)
    assert len(asked) <= 12


@pytest.mark.parametrize(
    ("family", "slug"),
    [
        ("provider-key-probes", "nobody-inventory-fit"),
        ("key-error-routes", "openai"),
        ("key-error-routes", "nobody-unauthorized"),
        ("key-error-routes", "openai-signature-invalid"),
        ("key-error-routes", "invalid-api-key"),
        ("key-intelligence", "openai-nothing"),
        ("key-intelligence", "nobody-limit-matrix"),
        ("key-intelligence", "deepseek-project-scope"),
        ("provider-compare", "openai-vs-azure-openai"),
        ("provider-compare", "openai-vs-openai"),
        ("provider-compare", "openai-vs-nobody"),
        ("provider-compare", "ai21-vs-elevenlabs"),
        ("provider-compare", "openai"),
        ("provider-compare", "-vs-"),
    ],
)
def test_what_is_no_page_is_not_found(db: None, family: str, slug: str) -> None:
    assert FAMILIES[family].find(shelf(), slug) is None


def test_a_page_leads_only_to_pages_that_there_are(db: None) -> None:
    rows = shelf()
    known = {f"/{family}/{slug}/" for family in OURS for slug in FAMILIES[family].slugs(rows)}
    found: set[str] = set()
    for slug in ("openai", "moonshot", "huggingface", "google-vertex"):
        for dimension in provider_key_probes.DIMENSIONS:
            page = provider_key_probes.find(rows, f"{slug}-{dimension.slug}")
            found |= {href for href in texts(page) if href.startswith(tuple(f"/{family}/" for family in OURS))}
    for page in (
        key_error_routes.find(rows, "openai-invalid-api-key"),
        key_intelligence.find(rows, "openai-limit-matrix"),
        provider_compare.find(rows, "azure-openai-vs-openai"),
    ):
        found |= {href for href in texts(page) if href.startswith(tuple(f"/{family}/" for family in OURS))}
    assert len(found) > 40
    assert found <= known


# Rules in words


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("", "any answer"),
        ("body.error.code == 'invalid_api_key'", "error.code is “invalid_api_key”"),
        ("body.code == `1004` || body.code == `2049`", "code is 1004, or code is 2049"),
        ("body.available == `true`", "available is true"),
        ("contains(body.error.message, 'Missing scopes: ')", "error.message contains “Missing scopes: ”"),
        ("contains(`[401, 1000]`, body.code)", "code is one of 401, 1000"),
        ("!contains(text, '<html')", "the text does not contain “<html”"),
        ("starts_with(body.detail, 'Model ')", "detail begins with “Model ”"),
        ("type(body.data) == 'array'", "data is a list"),
        ("to_number(body.left) <= `0`", "left is 0 or less"),
        ('headers."x-ds-trace-id" != null', "the header x-ds-trace-id is there"),
        ("contains(body.error.details[].reason || `[]`, 'EXPIRED')", "error.details[].reason contains “EXPIRED”"),
        ("body.a == 'x' && type(body.b) == 'number'", "a is “x”, and b is a number"),
        ("body.Message == 'x' || body.message == 'x'", "Message is “x”, or message is “x”"),
    ],
)
def test_a_condition_is_said_in_words(when: str, said: str) -> None:
    assert condition(when) == said


@pytest.mark.parametrize("when", ["a && (b == 'x' || c == 'y')", "length(keys(body)) > `3`", "a[?b == 'x'] != `[]`"])
def test_what_words_would_not_say_exactly_stays_an_expression(when: str) -> None:
    assert condition(when) == when


def test_nearly_every_condition_of_the_catalogue_is_said_in_words() -> None:
    shared = catalogue().shared
    rules = {each.rule.when for p in catalogue().providers.values() for each in told(shared, p)}
    left = [when for when in rules if when and condition(when) == when]
    assert len(left) <= len(rules) / 20, left


def test_code_keeps_its_direction_where_people_read_from_right_to_left() -> None:
    with translation.override("ar"):
        assert "\u2068error.code\u2069" in condition("body.error.code == 'x'")


def test_rules_stand_in_the_order_in_which_answers_are_judged() -> None:
    somebody = provider(rule_sets=("anthropic-errors",))
    rules = told(catalogue().shared, somebody)
    assert [each.probe.name if each.probe else each.rule_set for each in rules][:3] == [
        "balance_snapshot",
        "",
        "anthropic-errors",
    ]


# Keys


def test_a_shape_is_drawn_so_that_no_drawing_is_a_key() -> None:
    assert (
        example(r"^sk-(?:proj|svc)-[A-Za-z0-9_-]{74}T3\d{2,4}(?!x)$") == "sk-(proj|svc)-‹74 × A-Za-z0-9_-›T3‹2–4 × 0-9›"
    )
    assert example(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){2}$") == "‹8 × 0-9a-f›-‹4 × 0-9a-f›-‹4 × 0-9a-f›"
    assert example(r"^v1\.[a-z]+={0,2}$") == "v1.‹1+ × a-z›‹0–2 × =›"
    shapes = [shape for p in catalogue().providers.values() for shape in p.key_shapes]
    assert [s.pattern for s in shapes if re.search(s.pattern, example(s.pattern))] == []


def test_onboarding_tells_whose_a_shape_is_and_what_is_never_sent() -> None:
    shapes = (
        seed.KeyShape("API key", "^sk-[a-f0-9]{32}$", "shared", "sk-", note="Others look the same"),
        seed.KeyShape("admin key", "^adm-[a-z]{9}$", "distinctive", "adm-", refuse="it manages an organization"),
    )
    page = provider_key_probes.find(StandIn(provider(key_shapes=shapes)), "somebody-onboarding-readiness")
    (api, admin) = section(page, "How its keys are recognised").table.rows
    assert (api[1], api[2].text, api[3]) == ("sk-‹32 × a-f0-9›", "Others, too", "Others look the same")
    assert (admin[2].text, admin[3]) == ("Never sent", "It manages an organization")


# The three dimensions


def test_the_three_pages_of_a_provider_stress_different_things(db: None) -> None:
    pages = [provider_key_probes.find(shelf(), f"moonshot-{d.slug}") for d in provider_key_probes.DIMENSIONS]
    own = [{s.heading for s in page.sections if page} for page in pages if page]
    assert {"How its keys are recognised", "How an answer is judged", "Known traps"} <= own[0]
    assert {"Covered models", "The list"} <= own[1] - own[0]
    assert {"Prices", "Balance and usage", "Regions"} <= own[2] - own[1] - own[0]


def test_covered_models_have_context_and_price_and_lead_to_the_market() -> None:
    page = provider_key_probes.find(StandIn(provider()), "somebody-inventory-fit")
    first = section(page, "Covered models").table.rows[0]
    assert (first[0].text, first[0].href, first[1], first[2]) == ("A One", "/models/a-1/", "8,000", "not known")
    assert "/models/?provider=somebody" in words(page)


def test_a_status_that_means_several_things_is_a_known_trap() -> None:
    rules = (
        seed.Rule("invalid", (401,), "body.a == 'x'", "invalid_api_key"),
        seed.Rule("restricted", (401,), "body.a == 'y'", "missing_scope"),
    )
    page = provider_key_probes.find(StandIn(provider(rules=rules)), "somebody-onboarding-readiness")
    assert section(page, "Known traps").bullets == (
        "Status 401 decides nothing alone. Here it can mean: Refused / Works, limited permissions.",
    )


def test_limit_headers_that_cost_something_are_told_so(db: None) -> None:
    page = provider_key_probes.find(shelf(), "openai-commercial-launch")
    assert section(page, "Limits").paragraph == "The limit headers come with paid answers only."
    assert "x-ratelimit-limit-requests" in words(page)


# Errors


@pytest.mark.parametrize(
    ("verdict", "cause", "status", "error"),
    [
        ("invalid", "invalid_api_key", 401, "invalid-api-key"),
        ("invalid", "authentication_error", 401, "invalid-api-key"),
        ("revoked", "expired", 403, "invalid-api-key"),
        ("restricted", "missing_scope: api.model.read", 401, "permission-denied-model"),
        ("restricted", "ip_not_allowed", 401, "access-forbidden"),
        ("active", "model_not_found", 404, "permission-denied-model"),
        ("no_credit", "insufficient_quota", 429, "quota-exceeded"),
        ("no_credit", "billing_inactive", 429, "billing-disabled"),
        ("no_credit", "no_balance", 200, "insufficient-balance"),
        ("rate_limited", "rate_limit_exceeded", 429, "rate-limited"),
        ("unknown", "timeout", None, "timeout"),
        ("unknown", "overloaded", 429, "upstream-5xx"),
        ("unknown", "unrecognised_answer", 402, "insufficient-balance"),
        ("unknown", "unrecognised_answer", 503, "upstream-5xx"),
        ("unknown", "dns", None, ""),
        ("unknown", "public_list", 200, ""),
        ("active", None, 200, ""),
    ],
)
def test_a_result_means_one_of_the_thirteen_or_none(verdict: str, cause: str, status: int | None, error: str) -> None:
    assert error_page(verdict, cause, status) == error


def test_the_thirteen_are_whole() -> None:
    assert len({error.slug for error in ERRORS}) == 13
    assert all(set(error.moves) <= set(MOVES) and error.traps for error in ERRORS)
    assert {move for error in ERRORS for move in error.moves} == set(MOVES)


def test_an_error_page_shows_the_providers_own_words_and_what_is_concluded() -> None:
    page = key_error_routes.find(StandIn(provider()), "somebody-insufficient-balance")
    (row,) = section(page, "What Somebody answers").table.rows
    assert (row[0].text, row[0].sub, row[1]) == ("error.code is “empty”", "every call", "429")
    assert (row[2].text, row[3].text) == ("Works, no credit", "The balance is too low.")
    assert page
    assert page.lead == "Somebody does not tell “insufficient balance” by status 402: here it comes with status 429."
    assert [card.label for card in page.cards] == ["Provider", "Error type", "Status code", "Sample models"]


def test_a_provider_without_such_a_rule_has_no_such_page() -> None:
    rows = StandIn(provider())
    assert pages_of(provider(), rows.shared) == ["insufficient-balance"]
    assert key_error_routes.slugs(rows) == ["somebody-insufficient-balance"]
    assert key_error_routes.find(rows, "somebody-rate-limited") is None


def test_a_rule_set_speaks_for_every_provider_that_names_it() -> None:
    known = by_error(catalogue().shared, provider(rules=(), rule_sets=("openai-errors",)))
    assert {"invalid-api-key", "quota-exceeded", "billing-disabled", "permission-denied-model"} <= set(known)


def test_a_recorded_answer_is_shown_without_what_looks_like_a_key() -> None:
    page = key_error_routes.find(StandIn(catalogue().providers["openai"]), "openai-invalid-api-key")
    lines = section(page, "An answer").code
    assert lines[0] == "HTTP 401"
    assert '"code": "invalid_api_key"' in "\n".join(lines)
    assert "***" not in "\n".join(lines)


def test_an_answer_stands_in_the_page_line_by_line(db: None, client: Client) -> None:
    text = client.get("/key-error-routes/openai-invalid-api-key/").content.decode()
    assert re.search(r"<pre[^>]*>HTTP 401\n{\n", text)


def test_no_error_page_shows_a_recorded_key(db: None) -> None:
    for slug in key_error_routes.slugs(shelf()):
        page = key_error_routes.find(shelf(), slug)
        shown = "\n".join(line for s in page.sections for line in s.code) if page else ""
        keys = {one.key for one in key_error_routes._recorded(slug.rpartition("-")[0])}
        assert not [key for key in keys if len(key) > 1 and key in shown], slug


def test_the_same_error_elsewhere_is_a_few_others_that_say_it() -> None:
    page = key_error_routes.find(
        StandIn(provider(), provider("other"), provider("mute", rules=())), "somebody-insufficient-balance"
    )
    elsewhere = next(r for r in page.related if r.label == "The same error elsewhere") if page else None
    assert elsewhere
    assert [link.href for link in elsewhere.links] == ["/key-error-routes/other-insufficient-balance/", "/errors/"]


# What a key reveals


def test_a_topic_tells_where_each_metric_is_read_and_what_is_not_told() -> None:
    withheld = (seed.Withheld("balance_granted", "shown only in the browser"),)
    page = key_intelligence.find(StandIn(provider(not_exposed=withheld)), "somebody-balance-and-quota")
    (row,) = section(page, "What the calls tell").table.rows
    assert (row[0].text, row[1], row[2].text, row[2].sub, row[3]) == (
        "Balance",
        "USD",
        "body.left",
        "balance_snapshot",
        "confirmed",
    )
    assert section(page, "What is not given").table.rows[0][1] == "shown only in the browser"
    assert "Plan renews" in section(page, "What is not read").paragraph


def test_a_topic_without_a_metric_has_no_page() -> None:
    assert key_intelligence.slugs(StandIn(provider())) == ["somebody-balance-and-quota"]


def test_what_a_paid_call_reads_is_not_called_out_of_reach(db: None) -> None:
    page = key_intelligence.find(shelf(), "openai-limit-matrix")
    assert section(page, "What is not given") is None
    assert "spends up to 1 token, only if ticked" in words(page)


# Two providers


def priced(slug: str, *prices: str) -> seed.Provider:
    models = [
        seed.AIModel(f"m{i}", input_price=seed.Decimal(p), output_price=seed.Decimal(1)) for i, p in enumerate(prices)
    ]
    return provider(slug, models=tuple(models))


def test_two_that_sell_two_of_the_same_models_are_compared() -> None:
    rows = StandIn(priced("bee", "1", "2", "3"), priced("ant", "2", "2"), priced("cow", "1"))
    assert provider_compare.slugs(rows) == ["ant-vs-bee"]
    page = provider_compare.find(rows, "ant-vs-bee")
    assert [row[3] for row in section(page, "Prices of shared models").table.rows] == ["Bee", "the same"]
    assert provider_compare.find(rows, "ant-vs-cow") is None
    assert provider_compare.find(rows, "bee-vs-ant") is None


def test_a_slug_with_vs_in_it_is_told_apart() -> None:
    rows = StandIn(priced("a-vs-b", "1", "2"), priced("c-vs-d", "1", "2"))
    page = provider_compare.find(rows, "a-vs-b-vs-c-vs-d")
    assert page
    assert page.cards[0].label == "A-Vs-B"


def test_recorded_answers_are_read_of_one_provider_alone() -> None:
    assert {one.slug for one in key_error_routes.read_all(slug="openai")} == {"openai"}
    assert key_error_routes.read_all(slug="nobody") == []
