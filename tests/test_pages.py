"""The public pages: from the same rows as detection, whole for every provider, the same bytes for everyone."""

from __future__ import annotations

import datetime as dt
import html
import re
import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext

from probes import models, public, seed
from probes.models.shelf import shelf
from probes.pages import provider_key_probes as family
from probes.pages.shelf import account_probes, metrics
from tests.stand_in import StandIn

BURN = "Read-only check. Detection data burns after 5 minutes."
HF = "/provider-key-probes/huggingface-inventory-fit/"

# The model page's rows, frozen, so that the page's facts hold whatever the catalogue grows into.
HUGGING_FACE = seed.Provider(
    slug="huggingface",
    name="Hugging Face Router",
    auth="bearer",
    checked_on=dt.date(2026, 11, 23),
    protocol="openai",
    origins={"hub": "https://huggingface.co", "router": "https://router.huggingface.co"},
    models=(seed.AIModel("meta-llama/Llama-3.1-8B-Instruct"),),
    probes=(
        seed.Probe(
            "current_key",
            "GET /api/whoami-v2",
            rules=(),
            proves_key=True,
            metrics=tuple(
                seed.Reading(name)
                for name in ["key_valid", "owner_id", "organization_id", "token_type", "token_role", "token_scopes"]
            ),
        ),
        seed.Probe("models", "GET /v1/models", rules=(), origin="router", public=True, sends_key=False),
    ),
)


def page_of(provider: seed.Provider, dimension: str = "inventory-fit") -> Any:
    page = family.find(StandIn(provider), f"{provider.slug}-{dimension}")
    assert page
    return page


def words_of(page: Any) -> str:
    """All that a page says, as one text."""
    parts = [page.kicker, page.title, page.lead, page.warning, page.summary_heading]
    parts += [f"{c.label}: {c.value} ({c.sub})" for c in page.cards]
    parts += [f"{label}: {value}" for label, value in page.summary]
    for section in page.sections:
        parts += [section.heading, section.paragraph, *section.bullets]
    return "\n".join(parts)


def section_of(page: Any, heading: str) -> Any:
    return next(section for section in page.sections if section.heading == heading)


def cards_of(page: Any) -> dict[str, tuple[str, str]]:
    return {card.label: (card.value, card.sub) for card in page.cards}


@pytest.fixture
def shipped(db: None) -> seed.Catalogue:
    return models.current()


def get(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


# The model page, slot by slot


def test_the_model_pages_facts_hold_on_frozen_rows() -> None:
    page = page_of(HUGGING_FACE)
    assert page.kicker == "Provider key onboarding probe"
    assert page.title == "Hugging Face Router | key inventory fit"
    assert [(c.label, c.value, c.sub) for c in page.cards][:7] == [
        ("Provider", "Hugging Face Router", "global route"),
        ("Model coverage", "1", "meta-llama/Llama-3.1-8B-Instruct"),
        ("Probe dimension", "key inventory fit", "inventory-fit"),
        ("Onboarding signal", "1 model can become an inventory candidate", "huggingface"),
        ("Read-only probes", "1", "current_key"),
        ("Sample metrics", "6", "key_valid / owner_id / organization_id / token_type"),
        ("Ten capabilities", "3", "operational actions / key identity / capability matrix"),
    ]
    assert page.summary_heading == "Provider onboarding summary"
    assert page.summary == (
        ("Provider", "Hugging Face Router"),
        ("Probe dimension", "inventory-fit"),
        ("Model coverage", "1"),
    )
    headings = ["Why this probe matters", "How to prove it", "Next action", "Ten key capability anchors"]
    assert [s.heading for s in page.sections if s.heading in headings] == headings
    matters, prove, action, anchors = (section_of(page, heading) for heading in headings)
    assert matters.bullets == (
        "Provider: Hugging Face Router",
        "Model coverage: 1",
        "Probe dimension: key inventory fit",
    )
    assert prove.bullets[-1] == "1 model can become an inventory candidate"
    for move in (
        "add provider config",
        "fill pricing",
        "import inventory",
        "set route",
        "add monitoring",
        "human review",
    ):
        assert move in action.paragraph
    assert action.bullets == (
        "Onboarding signal: 1 model can become an inventory candidate",
        "Model coverage: meta-llama/Llama-3.1-8B-Instruct",
    )
    assert "1 read-only account probe," in anchors.paragraph
    assert "key_valid / owner_id / organization_id / token_type / token_role / token_scopes" in anchors.bullets[1]
    assert "operational actions / key identity / capability matrix" in anchors.bullets[2]
    assert "1 covered model, global route, sample model meta-llama/Llama-3.1-8B-Instruct" in page.lead


def test_a_page_says_where_the_key_goes_and_what_proves_it() -> None:
    page = page_of(HUGGING_FACE, "onboarding-readiness")
    assert cards_of(page)["Key is sent to"] == ("huggingface.co", "Authorization: Bearer …")
    assert cards_of(page)["Protocol"][0] == "OpenAI-compatible"
    assert section_of(page, "The calls").table.rows == (
        ("current_key", "GET /api/whoami-v2", "huggingface.co", "yes"),
        ("models", "GET /v1/models", "router.huggingface.co", "no, it answers anyone"),
    )
    assert page.action.href == "/?provider=huggingface"


def test_the_shipped_catalogue_has_what_the_model_page_shows() -> None:
    shipped = seed.read_catalogue()
    provider = shipped.providers["huggingface"]
    cards = cards_of(family.find(StandIn(provider), "huggingface-inventory-fit"))
    frozen = cards_of(page_of(HUGGING_FACE))
    assert cards["Provider"] == frozen["Provider"]
    assert cards["Read-only probes"] == frozen["Read-only probes"]
    assert metrics(shipped.shared, provider)[:6] == [r.name for r in HUGGING_FACE.probes[0].metrics]
    assert provider.models[0].id == "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize(
    ("dimension", "route", "count", "signal"),
    [
        ("onboarding-readiness", "global", 0, "limited model coverage, confirm provider identity first"),
        ("onboarding-readiness", "china", 2, "limited model coverage, confirm provider identity first"),
        ("onboarding-readiness", "global", 3, "multi-model coverage, suitable for read-only identification first"),
        ("inventory-fit", "global", 0, "0 models can become inventory candidates"),
        ("inventory-fit", "global", 1, "1 model can become an inventory candidate"),
        ("inventory-fit", "china", 2, "2 models can become inventory candidates"),
        ("commercial-launch", "global", 1, "global route, check region/IP, balance, pricing, and stability first"),
        ("commercial-launch", "china", 1, "China route, check "),
    ],
)
def test_signals_follow_from_the_rows(dimension: str, route: str, count: int, signal: str) -> None:
    rows = tuple(seed.AIModel(f"m{i}") for i in range(count))
    page = page_of(replace(HUGGING_FACE, route=route, models=rows), dimension)
    assert cards_of(page)["Onboarding signal"][0].startswith(signal)


# Counts and grammar


def test_probes_are_counted_by_definition_and_named_by_kind() -> None:
    def probe(name: str, kind: str = "", **more: Any) -> seed.Probe:
        return seed.Probe(name, f"GET /{name}", rules=(), kind=kind, **more)

    provider = replace(
        HUGGING_FACE,
        probes=(
            probe("balance_snapshot", metrics=(seed.Reading("balance_total"), seed.Reading("key_valid"))),
            probe("me", "current_key", metrics=(seed.Reading("key_valid"), seed.Reading("owner_id"))),
            probe("org", "current_key"),
            probe("catalogue", "models"),
            probe("ping", "current_key", spends="1 token"),
        ),
    )
    assert [p.name for p in account_probes(provider)] == ["balance_snapshot", "me", "org"]
    cards = cards_of(page_of(provider))
    assert cards["Read-only probes"] == ("3", "balance_snapshot / current_key")
    assert cards["Sample metrics"] == ("3", "balance_total / key_valid / owner_id")
    assert cards["Ten capabilities"] == ("3", "balance and quota / operational actions / key identity")
    assert "ping" not in words_of(page_of(provider))
    assert "3 read-only account probes, which support " in words_of(page_of(provider))


def test_a_provider_without_models_stands_for_itself() -> None:
    page = page_of(replace(HUGGING_FACE, models=()))
    assert cards_of(page)["Model coverage"] == ("0", "Hugging Face Router")
    assert "Model coverage: Hugging Face Router" in section_of(page, "Next action").bullets
    assert "no covered model," in page.lead


@pytest.mark.parametrize("kept", [(), HUGGING_FACE.probes[1:]])
def test_without_account_probes_their_cards_and_section_are_left_out(kept: tuple[seed.Probe, ...]) -> None:
    page = page_of(replace(HUGGING_FACE, probes=kept, unprovable="The list answers anyone."))
    assert not {"Read-only probes", "Sample metrics", "Ten capabilities"} & set(cards_of(page))
    assert "Ten key capability anchors" not in [s.heading for s in page.sections]
    assert cards_of(page)["Key is sent to"] == ("nobody", "")
    assert page.warning == "No free call proves a key of Hugging Face Router. The list answers anyone."


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_grammar_follows_the_numbers_and_labels_do_not(count: int) -> None:
    for dimension in ("onboarding-readiness", "inventory-fit", "commercial-launch"):
        page = page_of(replace(HUGGING_FACE, models=tuple(seed.AIModel(f"m{i}") for i in range(count))), dimension)
        assert not re.search(r"\b1 (?:covered )?(?:models|probes)\b|\b[025] (?:covered )?model\b", words_of(page))
        assert list(cards_of(page))[4:7] == ["Read-only probes", "Sample metrics", "Ten capabilities"]


def test_an_address_splits_at_a_known_dimension() -> None:
    tricky = replace(HUGGING_FACE, slug="inventory-fit-hub")
    rows = StandIn(HUGGING_FACE, tricky)
    page = family.find(rows, "inventory-fit-hub-commercial-launch")
    assert page
    assert page.cards[3].sub == "inventory-fit-hub"
    for slug in (
        "huggingface",
        "inventory-fit",
        "-inventory-fit",
        "huggingface-inventory",
        "huggingface-inventory-fit-x",
    ):
        assert family.find(rows, slug) is None
    assert len(family.slugs(rows)) == 6


# Every page, as it is answered


def test_every_page_is_whole_and_says_the_burn_line_once(shipped: seed.Catalogue, client: Client) -> None:
    """A sample; that every slug has a page is asked in test_provider_pages, without rendering."""
    assert len(family.slugs(shelf())) == 3 * len(shipped.providers)
    for slug in family.slugs(shelf())[::25]:
        answer = client.get(f"/provider-key-probes/{slug}/")
        text = answer.content.decode()
        assert answer.status_code == 200, slug
        assert not answer.cookies
        assert "Cookie" not in answer.get("Vary", "")
        assert len(re.findall(r"<h1[ >]", text)) == 1
        assert not re.search(r"<style\b|\sstyle=|\son[a-z]+=|\|safe|%\(|\bNone\b(?!-)", text), slug
        assert text.count(BURN) == 1


def test_names_stand_unbroken_by_markup(shipped: seed.Catalogue, client: Client) -> None:
    assert ">meta-llama/Llama-3.1-8B-Instruct<" in get(client, HF)


def test_what_the_provider_does_not_tell_and_the_day_are_shown(shipped: seed.Catalogue, client: Client) -> None:
    provider = shipped.providers["huggingface"]
    text = "".join(
        get(client, f"/provider-key-probes/{slug}/") for slug in family.slugs(shelf()) if "huggingface" in slug
    )
    assert f'datetime="{provider.checked_on}"' in text
    for withheld in provider.not_exposed:
        assert withheld.metric in text
        assert html.escape(withheld.reason) in text
    assert f'<a href="{provider.links["keys"]}" rel="noreferrer">' in text


def test_unknown_pages_are_404(shipped: seed.Catalogue, client: Client) -> None:
    for slug in ("nobody-inventory-fit", "huggingface", "huggingface-inventory", "inventory-fit"):
        answer = client.get(f"/provider-key-probes/{slug}/")
        assert answer.status_code == 404
        assert "Page not found" in answer.content.decode()


def test_the_page_for_our_own_fault_needs_nothing() -> None:
    assert "The fault is ours" in render_to_string("500.html")


def test_pages_only_read(shipped: seed.Catalogue, client: Client) -> None:
    assert client.post(HF).status_code in (403, 405)
    assert client.head(HF).status_code == 200


def test_markup_in_a_name_is_escaped(shipped: seed.Catalogue, client: Client) -> None:
    evil = "<script>alert(1)</script>\"'&amp;%(count)s"
    models.Provider.objects.filter(slug="huggingface").update(name=evil, unprovable=evil)
    models.AIModel.objects.filter(provider__slug="huggingface").update(name=evil)
    models.CatalogueState.bump()
    models.forget()
    pages = (HF, "/key-error-routes/huggingface-invalid-api-key/", "/key-intelligence/huggingface-key-identity/")
    for path in (*pages, "/", "/providers/", "/capabilities/", "/models/", "/errors/"):
        text = get(client, path)
        assert "<script>alert" not in text
        assert html.escape(evil) in text


def test_the_demo_mark_is_there_only_in_the_lab(shipped: seed.Catalogue, client: Client, settings: Any) -> None:
    assert "Demo: recorded answers" not in get(client, HF)
    settings.LAB_URL = "http://127.0.0.1:9000"
    assert "Demo: recorded answers, nothing is sent" in get(client, HF)


# The rows are the truth


def test_a_page_follows_its_rows_within_a_second(shipped: seed.Catalogue, client: Client) -> None:
    assert "1 model can become an inventory candidate" in get(client, HF)
    provider = models.Provider.objects.get(slug="huggingface")
    count = len(shipped.providers["huggingface"].models)
    models.AIModel.objects.create(provider=provider, model_id="org/second", position=99)
    row = models.Probe.objects.get(provider=provider, name="current_key")
    row.enabled = False
    row.save()
    time.sleep(models.versions.FRESH_SECONDS + 0.1)
    text = get(client, HF)
    assert f"{count + 1} models can become inventory candidates" in text
    assert "org/second" in text
    assert "Ten key capability anchors" not in text
    assert "current_key" not in text


@pytest.mark.parametrize(
    ("tried", "found"),
    [
        ("/provider-compare/novita-vs-groq/", "/provider-compare/groq-vs-novita/"),
        ("/de/provider-compare/novita-vs-groq/", "/de/provider-compare/groq-vs-novita/"),
        ("/models/nobodys/", ""),
        ("/models/gpt-4.1-nano/", "/models/gpt-4-1-nano/"),
        ("/models/GPT-4.1-nano/", "/models/gpt-4-1-nano/"),
        ("/models/%00/", ""),
        ("/provider-compare/nobody-vs-groq/", ""),
    ],
)
def test_another_way_to_name_a_page_leads_to_it(db: None, client: Client, tried: str, found: str) -> None:
    answer = client.get(tried)
    assert (answer.status_code, answer.get("Location", "")) == ((301, found) if found else (404, ""))


@pytest.mark.parametrize("provider", ["ai21", "openai"])
def test_errors_of_a_provider_are_its_own_or_what_they_usually_mean(db: None, client: Client, provider: str) -> None:
    text = get(client, f"/errors/?provider={provider}")
    own = "/key-error-routes/" in text
    assert own == (provider == "openai")
    assert ("in words of its own" in text) != own
    assert 'id="timeout"' in text or own


def test_a_disabled_provider_has_no_page(shipped: seed.Catalogue, client: Client) -> None:
    get(client, HF)
    row = models.Provider.objects.get(slug="huggingface")
    row.enabled = False
    row.save()
    models.forget()
    assert client.get(HF).status_code == 404


# Cost


@pytest.mark.parametrize("path", [HF, "/", "/providers/", "/models/", "/capabilities/"])
def test_a_first_render_asks_little_however_many_models(shipped: seed.Catalogue, client: Client, path: str) -> None:
    def queries() -> int:
        models.forget()
        models.CatalogueState.bump()
        with CaptureQueriesContext(connection) as asked:
            get(client, path)
        return len(asked)

    few = queries()
    provider = models.Provider.objects.get(slug="huggingface")
    models.AIModel.objects.bulk_create(
        models.AIModel(provider=provider, model_id=f"org/m{i:03}", position=i + 1) for i in range(500)
    )
    assert queries() == few <= 12
    assert "501 models can become inventory candidates" in get(client, HF)


def test_the_form_is_shown_without_the_whole_catalogue(
    shipped: seed.Catalogue, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.CatalogueState.bump()
    models.forget()
    monkeypatch.setattr("probes.models.versions.load", lambda version: pytest.fail("it was read"))
    assert "huggingface.co" in get(client, "/")  # where a key goes


def test_a_kept_page_asks_at_most_one_thing(shipped: seed.Catalogue, client: Client) -> None:
    first = get(client, HF)
    with CaptureQueriesContext(connection) as asked:
        assert get(client, HF) == first
    assert len(asked) <= 1
    models.forget()
    models.current()
    with CaptureQueriesContext(connection) as asked:
        get(client, HF)
    assert len(asked) <= 1


def test_who_has_the_page_gets_304_until_it_changes(shipped: seed.Catalogue, client: Client) -> None:
    etag = client.get(HF)["ETag"]
    again = client.get(HF, headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    models.AIModel.objects.create(
        provider=models.Provider.objects.get(slug="huggingface"), model_id="org/new", position=9
    )
    models.forget()
    assert client.get(HF, headers={"if-none-match": etag}).status_code == 200


def test_kept_pages_are_bounded(shipped: seed.Catalogue, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "KEPT_BYTES", 12_000)
    for slug in family.slugs(shelf())[:5]:
        get(client, f"/provider-key-probes/{slug}/")
        client.get(f"/provider-key-probes/no-{slug}/")
    assert 0 < public._pages.size <= 12_000


# The source site's addresses


@pytest.mark.parametrize(
    ("asked", "goes_to"),
    [
        ("/en/provider-key-probes/huggingface-inventory-fit?locale=en", f"{HF}?locale=en"),
        (f"/en{HF}", HF),
        ("/en/provider-key-probes/", "/provider-key-probes/"),
    ],
)
def test_a_language_prefix_leads_to_the_page(client: Client, asked: str, goes_to: str) -> None:
    answer = client.get(asked)
    assert (answer.status_code, answer["Location"]) == (301, goes_to)


@pytest.mark.parametrize(
    "path",
    [
        *("/en//evil.example/", "/en//evil.example", "/en/%2Fevil.example/", "/en/\\evil.example/", "/en/%5C%5Cevil/"),
        *("/en/https://evil.example/", "/en/en/provider-key-probes/", "/en/nothing-here/", "/en/a%0d%0aLocation:x/"),
    ],
)
def test_a_language_prefix_leads_nowhere_else(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Location" not in answer


def test_each_letter_leads_to_the_first_provider_that_has_it(client: Client, db: None) -> None:
    html = client.get("/providers/").content.decode()
    letters = dict(re.findall(r'<a href="#at-([\w-]+)"><bdi>([^<]+)</bdi>', html))
    rows = re.findall(r'<tr id="at-([\w-]+)">.*?<bdi>([^<]+)</bdi>', html, re.S)
    marked = [letters.get(slug, "") for slug, _name in rows]
    assert marked[0] == "0–9"
    assert len(list(filter(None, marked))) == len(letters) == len(set(letters.values())) > 20
    now = ""
    for mark, (_slug, name) in zip(marked, rows, strict=True):
        now = mark or now
        assert name[0].upper() == now or (now == "0–9" and name[0].isdigit())


def test_the_matrix_says_yes_where_the_providers_metrics_belong_and_no_elsewhere(client: Client, db: None) -> None:
    html = client.get("/capabilities/").content.decode()
    told = [c.slug for c in shelf().shared.capabilities]
    for brief in list(shelf().briefs().values())[:10]:
        if not brief.capabilities:
            continue
        row = html.partition(f"<bdi>{brief.name}</bdi>")[2].partition("</tr>")[0]
        cells = row.split("<td>")[1:]
        assert [slug for slug, cell in zip(told, cells, strict=True) if "●" in cell] == [
            slug for slug in told if slug in brief.capabilities
        ]
        assert all(f"/{brief.slug}-{slug}/" in cell for slug, cell in zip(told, cells, strict=True) if "●" in cell)


def test_the_market_offers_no_seller_that_sells_nothing(client: Client, db: None) -> None:
    html = client.get("/models/").content.decode()
    offered = set(
        re.findall(r'<option value="([\w-]+)"', html.partition('name="provider"')[2].partition("</select>")[0])
    )
    assert offered == {slug for slug, brief in shelf().briefs().items() if brief.models}


def test_a_model_with_one_seller_is_sent_to_no_other(client: Client, db: None) -> None:
    one, many = (
        client.get(f"/model-error-routes/{slug}-rate-limited/").content.decode()
        for slug in ("compound", "gpt-oss-120b")
    )
    assert "No other seller" in one
    assert "another seller" not in one
    assert "to another seller" in many


def test_a_model_that_is_switched_off_counts_nowhere(db: None) -> None:
    before = shelf().briefs()["groq"].models
    row = models.AIModel.objects.filter(provider__slug="groq").first()
    assert row
    row.enabled = False
    row.save()
    models.forget()
    assert shelf().briefs()["groq"].models == before - 1
