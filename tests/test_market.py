"""The model market: what is found, in which order, at which address; and a model's own page."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from probes import market, models, public
from probes.models import AIModel, Listing, Provider

Page = Callable[..., str]


@pytest.fixture
def get(client: Client, db: None) -> Page:
    """The page at an address below /models/, as text."""

    def page(query: str = "") -> str:
        answer = client.get(f"/models/{query}")
        assert answer.status_code == 200, (answer.status_code, answer.headers.get("Location"))
        return html.unescape(answer.content.decode())

    return page


@pytest.fixture
def small(db: None) -> None:
    """A market of three models at two sellers, and nothing else."""
    AIModel.objects.update(enabled=False)
    groq, zhipu = Provider.objects.get(slug="groq"), Provider.objects.get(slug="zhipu")
    text, seeing = {"input_modalities": ["text"]}, {"input_modalities": ["text", "image"]}
    tools, thinking = {"parameters": ["tool_call"]}, {"parameters": ["tool_call", "reasoning"]}
    for provider, model_id, name, window, asked, answered, more in (
        (groq, "acme/alpha-1", "Alpha One", 8_000, "0.5", "3", text | tools),
        (zhipu, "alpha.1", "", 16_000, "0.2", "4", text | thinking),
        (groq, "beta", "Beta", 128_000, "2", "2", seeing | tools),
        (zhipu, "gamma", "Gamma", None, "0", "0", {"output_modalities": ["audio"]}),
    ):
        AIModel.objects.create(
            provider=provider,
            model_id=model_id,
            name=name,
            context_window=window,
            input_price=Decimal(asked),
            output_price=Decimal(answered),
            **more,
        )
    models.CatalogueState.bump()
    models.forget()


def names(page: str) -> list[str]:
    return re.findall(r'<span class="sub mono">([^<]+)</span>', page)


def row(page: str, identity: str) -> str:
    found = re.search(rf'value="{identity}".*?</tr>', page, re.S)
    assert found
    return re.sub(r"<[^>]+>|\s+", " ", found[0])


# The list


def test_a_model_stands_once_with_all_its_sellers_and_the_lowest_prices(get: Page, small: None) -> None:
    page = get()
    assert names(page) == ["alpha-1", "beta", "gamma"]
    assert "3 models" in page
    alpha = re.sub(r"\s+", " ", row(page, "alpha-1"))
    assert "2 Zhipu AI (GLM) · Groq 16,000 Zhipu AI (GLM) $0.200 Zhipu AI (GLM) $3 Groq text" in alpha
    assert "tool calling, reasoning" in alpha


def alter(model_id: str, **values: Any) -> None:
    row = AIModel.objects.get(model_id=model_id)
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


def switch_off(provider: str) -> None:
    row = Provider.objects.get(slug=provider)
    row.enabled = False
    row.save()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda: None, id="nothing"),
        pytest.param(lambda: AIModel.objects.get(model_id="beta").delete(), id="an offer is deleted"),
        pytest.param(lambda: AIModel.objects.filter(identity="alpha-1").delete(), id="a model is deleted"),
        pytest.param(lambda: alter("beta", enabled=False), id="an offer is switched off"),
        pytest.param(lambda: alter("beta", input_price=Decimal("0.1")), id="a price"),
        pytest.param(lambda: alter("beta", context_window=None), id="a window"),
        pytest.param(lambda: alter("beta", identity="alpha-1"), id="an identity"),
        pytest.param(lambda: alter("beta", identity="a-new-one"), id="a new identity"),
        pytest.param(lambda: alter("beta", provider=Provider.objects.get(slug="openai")), id="another seller"),
        pytest.param(lambda: switch_off("zhipu"), id="a provider is switched off"),
        pytest.param(lambda: Provider.objects.get(slug="zhipu").delete(), id="a provider is deleted"),
    ],
)
def test_what_is_summed_up_of_a_model_is_what_its_offers_say(change: Callable[[], object], small: None) -> None:
    change()
    offers = AIModel.objects.filter(enabled=True, provider__enabled=True).order_by()
    said = offers.values_list("identity").annotate(**Listing.SUMS)
    assert sorted(Listing.objects.values_list("identity", *Listing.SUMS)) == sorted(said)
    assert said


def test_a_provider_goes_with_its_offers_at_the_price_of_each_and_not_of_all(small: None) -> None:
    whole: list[bool] = []
    offers = AIModel.objects.filter(provider__slug="zhipu").count()
    renew = Listing.renew

    def noted(identities: Any = None) -> None:
        whole.append(identities is None)
        renew(identities)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Listing, "renew", noted)
        Provider.objects.get(slug="zhipu").delete()
    assert whole.count(True) == 1  # its own row's
    assert whole.count(False) == offers > 2


def test_a_dump_that_was_loaded_is_summed_up_when_the_site_starts(db: None) -> None:
    Listing.objects.all().delete()
    call_command("loadcatalogue", verbosity=0)
    assert Listing.objects.count() == AIModel.objects.values("identity").distinct().count()


def test_the_market_lists_what_admins_enabled_and_nothing_else(get: Page, small: None) -> None:
    AIModel.objects.filter(model_id="beta").update(enabled=False)
    Provider.objects.filter(slug="zhipu").update(enabled=False)
    models.CatalogueState.bump()
    models.forget()
    page = get()
    assert names(page) == ["alpha-1"]
    assert "1 model<" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=ALPHA", ["alpha-1"]),
        ("?q=acme", ["alpha-1"]),  # an id of one seller finds the model
        ("?q=one+alpha", ["alpha-1"]),
        ("?q=alpha+beta", []),
        ("?q=%25", []),
        ("?provider=groq", ["alpha-1", "beta"]),
        ("?route=china", ["alpha-1", "gamma"]),
        ("?context=16000", ["alpha-1", "beta"]),
        ("?input=image", ["beta"]),
        ("?output=audio", ["gamma"]),
        ("?can=reasoning", ["alpha-1"]),
        ("?can=tool_call&can=reasoning", ["alpha-1"]),
        ("?can=tool_call", ["alpha-1", "beta"]),
        ("?price=0.2", ["alpha-1", "gamma"]),
        ("?free=1", ["gamma"]),
        ("?price=0", ["gamma"]),
        ("?provider=groq&can=reasoning", []),  # another seller's row does not count
    ],
)
def test_a_search_or_a_filter_leaves_what_passes_it(query: str, found: list[str], get: Page, small: None) -> None:
    assert names(get(query)) == found


def test_a_search_finds_a_model_with_all_its_sellers_a_filter_only_the_offers_that_pass(get: Page, small: None) -> None:
    assert "2 Zhipu AI (GLM) · Groq" in re.sub(r"\s+", " ", row(get("?q=acme"), "alpha-1"))
    page = get("?provider=groq")
    assert "1 Groq 8,000 $0.500" in re.sub(r"\s+", " ", row(page, "alpha-1"))
    assert "those that pass the filters" in page


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", ["alpha-1", "beta", "gamma"]),
        ("?sort=name", ["alpha-1", "beta", "gamma"]),
        ("?sort=input", ["gamma", "alpha-1", "beta"]),
        ("?sort=output", ["gamma", "beta", "alpha-1"]),
        ("?sort=context", ["beta", "alpha-1", "gamma"]),  # unknown last
    ],
)
def test_the_list_is_sorted_by_what_was_chosen(sort: str, order: list[str], get: Page, small: None) -> None:
    assert names(get(sort)) == order


def test_free_is_what_costs_nothing_both_ways(get: Page, small: None) -> None:
    AIModel.objects.filter(model_id="beta").update(input_price=0)
    assert names(get("?free=1")) == ["gamma"]


def test_a_price_that_is_not_known_comes_last(get: Page, small: None) -> None:
    gamma = AIModel.objects.get(model_id="gamma")
    gamma.input_price = None
    gamma.save()
    assert names(get("?sort=input"))[-1] == "gamma"


def test_the_list_has_pages_and_each_leads_to_its_neighbours(
    get: Page, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market, "ON_A_PAGE", 2)
    first, last = get("?sort=name"), get("?sort=name&page=2")
    assert (names(first), names(last)) == (["alpha-1", "beta"], ["gamma"])
    assert 'rel="next" href="/models/?sort=name&page=2"' in first
    assert 'rel="prev" href="/models/?sort=name"' in last
    assert "Page 2 of 2" in last
    beyond = get("?sort=name&page=9")
    assert names(beyond) == ["gamma"]
    assert "this is the last" in beyond


# Addresses


@pytest.mark.parametrize(
    ("asked", "address"),
    [
        ("?q=&provider=&route=&context=&sort=sellers&page=1", "/models/"),
        ("?provider=groq&q=llama", "/models/?q=llama&provider=groq"),
        ("?price=0,50&free=on", "/models/?price=0.5&free=1"),
        ("?context=128,000", "/models/?context=128000"),
        ("?can=reasoning&can=tool_call&can=reasoning&utm_source=x", "/models/?can=tool_call&can=reasoning"),
        ("?q=+a++b+&price=0.000", "/models/?q=a+b&price=0"),
    ],
)
def test_a_question_has_one_address(asked: str, address: str, client: Client, db: None) -> None:
    answer = client.get(f"/models/{asked}")
    assert (answer.status_code, answer.headers["Location"]) == (302, address)
    assert client.get(address).status_code == 200
    assert client.get(f"/de/models/{asked}").headers["Location"] == f"/de{address}"


def test_only_the_plain_list_is_indexed(get: Page) -> None:
    assert '<meta name="robots" content="index, follow">' in get()
    for query in ("?provider=groq", "?q=gpt", "?compare=gpt-4o"):
        page = get(query)
        assert 'content="noindex, nofollow"' in page
        assert 'rel="canonical"' not in page


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?context=many", "Enter a whole number."),
        ("?context=0", "Ensure this value is greater than or equal to 1."),
        ("?price=cheap", "Enter a number."),
        ("?price=-1", "Ensure this value is greater than or equal to 0."),
        ("?price=NaN", "Enter a number."),
        ("?provider=acme", "This choice is not known here."),
        ("?can=fly", "This choice is not known here."),
        ("?q=%00", "Null characters are not allowed."),
        ("?sort=beauty", "This choice is not known here."),
        ("?page=0", "There is no such page"),
        ("?page=x", "There is no such page"),
    ],
)
def test_a_bad_value_is_told_and_left_out(query: str, told: str, get: Page, small: None) -> None:
    page = get(query)
    assert told in page
    assert names(page) == ["alpha-1", "beta", "gamma"]
    good = get("?provider=groq&" + query[1:]) if "provider" not in query else ""
    assert not good or names(good) == ["alpha-1", "beta"]


def test_what_was_typed_and_what_was_wrong_is_not_kept(get: Page) -> None:
    for query in ("?q=gpt", "?context=5000", "?price=1", "?sort=beauty", "?compare=gpt-4o&compare=nobody"):
        get(query)
    assert not public._pages._kept
    get("?provider=groq")
    assert len(public._pages._kept) == 1


def test_an_empty_list_says_which_filter_to_leave_out(get: Page, small: None) -> None:
    page = get("?q=beta&provider=zhipu")
    assert "No model passes all of these filters" in page
    assert '<a href="/models/?provider=zhipu">Search by id or name: beta</a>' in page
    assert '<a href="/models/?q=beta">Seller: Zhipu AI (GLM)</a>' in page
    assert "<table" not in page


def test_the_form_shows_what_was_asked(get: Page) -> None:
    page = get("?q=gpt&provider=groq&can=reasoning&price=0.5")
    assert re.search(r'name="q" value="gpt"', page)
    assert '<option value="groq" selected>' in page
    assert re.search(r'value="reasoning"[^>]* checked', page)
    assert 'value="0.5"' in page
    assert "<details open>" in page


def test_what_a_visitor_typed_cannot_become_markup(client: Client, db: None) -> None:
    page = client.get("/models/?q=%22%3E%3Cscript%3E").content.decode()
    assert "<script>" not in page


# Cost


@pytest.mark.parametrize("query", ["", "?q=a&can=tool_call&price=5&sort=input"])
def test_the_number_of_queries_does_not_grow_with_the_market(query: str, client: Client, small: None) -> None:
    def asked() -> int:
        models.CatalogueState.bump()
        models.forget()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/models/{query}").status_code == 200
        return len(queries)

    before = asked()
    groq = Provider.objects.get(slug="groq")
    AIModel.objects.bulk_create(
        AIModel(provider=groq, model_id=f"llama-{n}", identity=f"llama-{n}", input_price=1, parameters=["tool_call"])
        for n in range(200)
    )
    assert asked() == before <= 12


# Side by side


def test_up_to_four_models_stand_side_by_side(get: Page, small: None) -> None:
    page = get("?compare=beta&compare=alpha-1")
    assert re.findall(r'<th scope="col">([^<]+)</th>', page)[:3] == ["Fact", "Beta", "alpha.1"]
    text = re.sub(r"<[^>]+>|\s+", " ", page)
    assert re.search(r"Context window\s+128,000\s+16,000", text)
    assert re.search(r"Groq\s+\$2 / \$2\s+\$0\.500 / \$3", text)
    assert re.search(r"Zhipu AI \(GLM\)\s+–\s+\$0\.200 / \$4", text)


def test_a_fifth_model_and_one_that_is_not_known_are_told_of(get: Page) -> None:
    five = "&".join(f"compare={name}" for name in ("gpt-4o", "gpt-oss-120b", "gpt-oss-20b", "kimi-k2-5", "deepseek-v3"))
    assert "Only the first 4 models are shown." in get(f"?{five}")
    page = get("?compare=gpt-4o&compare=nobody")
    assert "One of the models that were named is not known here." in page
    assert "Tick two or more models" in page
    assert "not known here" in get("?compare=nobody&compare=%00")


# One model


def test_a_model_has_a_page_with_its_sellers_cheapest_first(get: Page, small: None) -> None:
    page = get("alpha-1/")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert text.index(" alpha.1 $0.200") < text.index(" acme/alpha-1 $0.500")
    assert "$0.200 lowest" in text
    assert "$3 lowest" in text
    assert 'href="/provider-key-probes/groq-commercial-launch/"' in page
    assert 'class="bars"' in page
    assert 'href="/model-key-routes/alpha-1-pricing-context/"' in page
    assert '<meta name="robots" content="index, follow">' in page
    assert page.count('aria-current="page">') >= 1


def test_an_identity_that_nobody_sells_has_no_page(client: Client, db: None) -> None:
    assert client.get("/models/nobody/").status_code == 404


def test_the_pages_of_a_model_ask_at_most_a_dozen_questions(client: Client, db: None) -> None:
    for address in ("/models/gpt-oss-120b/", "/model-limit-probes/gpt-oss-120b-rpm-limit/"):
        models.CatalogueState.bump()
        models.forget()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        assert len(queries) <= 12
