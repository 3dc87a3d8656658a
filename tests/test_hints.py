"""What a relay's model list says that the catalogue knows otherwise: each hint, and what gives none."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from probes import words
from probes.hints import Hint, hints
from probes.terms import AIModel, Provider
from tests.cases import CATALOGUE, OPENAI, answer

ANTHROPIC = CATALOGUE.providers["anthropic"]
OWN = [m.id for m in OPENAI.models if not m.id.startswith("text-")][:12]
THEIRS = [m.id for m in ANTHROPIC.models][:6]


def told(models: Any, claim: Provider | None = OPENAI, name: str = "data") -> dict[str, Hint]:
    """The hints of a list, by slug."""
    exchange = answer(200, {name: models} if name else models, call="GET https://relay.acme.dev/v1/models")
    found = hints(CATALOGUE, exchange, claim)
    assert len(found) == len({hint["slug"] for hint in found}) <= 6
    for hint in found:
        json.dumps(hint)
        assert hint["host"] == "relay.acme.dev"
        sentence = str(words.IDENTITY_EVIDENCE[hint["slug"]])
        assert set(re.findall(r"%\((\w+)\)s", sentence)) <= set(hint)
        assert sentence % hint
    return {hint["slug"]: hint for hint in found}


def listed(ids: list[str], **more: Any) -> list[dict[str, Any]]:
    return [{"id": name, "object": "model", "created": 1_700_000_000 + n, **more} for n, name in enumerate(ids)]


# What gives none


@pytest.mark.parametrize("owner", ["openai", "system", "openai-internal", "OpenAI", "", "custom"])
def test_the_claims_own_models_by_its_own_name_give_no_hint(owner: str) -> None:
    assert told(listed(OWN, owned_by=owner)) == {}


def test_others_models_by_their_own_owners_give_no_hint() -> None:
    assert told([*listed(OWN, owned_by="openai"), *listed(THEIRS, owned_by="anthropic")]) == {}


def test_an_owner_who_offers_the_model_too_gives_no_hint() -> None:
    reseller = next(p for p in CATALOGUE.providers.values() if p is not OPENAI and {m.id for m in p.models} & set(OWN))
    both = [m.id for m in reseller.models if m.id in OWN]
    assert told(listed(both, owned_by=reseller.slug)) == {}


@pytest.mark.parametrize("slug", CATALOGUE.providers)
def test_a_list_made_of_the_catalogue_s_own_rows_gives_no_hint(slug: str) -> None:
    provider = CATALOGUE.providers[slug]
    models = [
        {"id": m.id, "created": n + 1, "owned_by": provider.slug, "context_length": m.context_window}
        for n, m in enumerate(provider.models)
    ]
    assert told(models, provider) == {}


@pytest.mark.parametrize(
    "body", [None, [], {}, "text", 7, {"data": None}, {"data": {}}, {"data": [None, 7, "x", [], {}, {"id": 7}]}]
)
def test_no_list_gives_no_hint(body: Any) -> None:
    assert hints(CATALOGUE, answer(200, body, call="GET https://relay.acme.dev/v1/models"), OPENAI) == []


def test_models_that_nobody_knows_by_names_that_nobody_has_give_no_hint() -> None:
    assert told(listed(["acme-7b", "our-best-3", "x", "7b-chat", "o-77"], owned_by="acme")) == {}


# Owners


def test_others_models_that_are_said_to_be_the_claims_are_named() -> None:
    models = [*listed(OWN, owned_by="openai"), *listed(THEIRS, owned_by="openai"), *listed(["m"], owned_by="acme")]
    hint = told(models)["hint_owner"]
    assert (hint["count"], hint["owner"]) == (len(THEIRS), "openai")
    assert hint["examples"] == ", ".join(THEIRS[:3])


def test_one_owner_for_all_models_is_said_so() -> None:
    found = told(listed([*OWN, *THEIRS], owned_by="openai"))
    assert set(found) == {"hint_one_owner"}
    assert (found["hint_one_owner"]["count"], found["hint_one_owner"]["total"]) == (len(THEIRS), len(OWN + THEIRS))


def test_a_strange_owner_of_the_claims_model_is_named() -> None:
    models = [*listed(OWN[1:], owned_by="openai"), *listed(OWN[:1], owned_by="leaked-pool")]
    hint = told(models)["hint_other_owner"]
    assert (hint["count"], hint["examples"], hint["claim"]) == (1, f"{OWN[0]} (leaked-pool)", "OpenAI")


def test_another_vendor_as_the_owner_of_the_claims_models_is_named() -> None:
    assert told(listed(THEIRS, owned_by="openai"), ANTHROPIC)["hint_other_owner"]["count"] == len(THEIRS)


# Names


@pytest.mark.parametrize("name", ["gpt-99", "gpt-99-turbo", "gpt-77o-mini", "acme/gpt-99"])
def test_a_name_of_the_claims_with_a_version_that_nobody_has_is_named(name: str) -> None:
    hint = told(listed([*OWN, name], owned_by="openai"))["hint_unknown_model"]
    assert (hint["count"], hint["examples"]) == (1, name)


@pytest.mark.parametrize("name", ["gpt-4o-2024-05-13", "gpt-4o-some-preview", "gpt-image", "gpt-4-32k"])
def test_a_variant_of_a_known_version_is_not(name: str) -> None:
    assert told(listed([*OWN, name], owned_by="openai")) == {}


def test_a_name_of_another_vendors_is_not_held_against_the_claim() -> None:
    assert told(listed([*OWN, "claude-99"])) == {}
    assert "hint_unknown_model" in told(listed([*THEIRS, "claude-99"]), ANTHROPIC)


# Context windows


@pytest.mark.parametrize("name", ["context_length", "context_window", "max_model_len", "max_context_length"])
def test_a_window_that_is_not_the_claims_is_named(name: str) -> None:
    model = next(m for m in OPENAI.models if m.context_window)
    hint = told([{"id": model.id, name: 4096}])["hint_context"]
    assert (hint["count"], hint["examples"]) == (1, f"{model.id} (4096, not {model.context_window})")


def test_a_window_that_is_rounded_is_the_same() -> None:
    model = AIModel("m-1", context_window=131_072)
    provider = dataclasses.replace(OPENAI, models=(model,))
    catalogue = dataclasses.replace(CATALOGUE, providers={"openai": provider})
    for told_window, count in ((128_000, 0), (131_072, 0), (131_000, 0), (65_536, 1), (1_000_000, 1)):
        exchange = answer(200, {"data": [{"id": "m-1", "context_length": told_window}]})
        assert len(hints(catalogue, exchange, provider)) == count


@pytest.mark.parametrize("window", [None, True, 0, -1, "4096", 4096.5, 10**12, {}])
def test_a_window_that_is_no_number_says_nothing(window: Any) -> None:
    model = next(m for m in OPENAI.models if m.context_window)
    assert told([{"id": model.id, "context_length": window}]) == {}


# Days


@pytest.mark.parametrize(
    ("made", "day"),
    [
        ({"created": 1626777600}, "2021-07-20"),
        ({"created_at": "2026-01-02T03:04:05Z"}, "2026-01-02T03:04:05Z"),
        ({"created": 10**30}, "1" + "0" * 30),
        ({"created": {"a": 1}}, "{'a': 1}"),
    ],
)
def test_one_instant_for_all_models_is_said(made: dict[str, Any], day: str) -> None:
    hint = told([{"id": f"m-{n}"} | made for n in range(5)])["hint_created"]
    assert (hint["total"], hint["day"]) == (5, day)


@pytest.mark.parametrize("created", [0, None, "", False])
def test_no_day_at_all_says_nothing(created: Any) -> None:
    assert told([{"id": f"m-{n}", "created": created} for n in range(5)]) == {}


def test_two_models_of_one_day_may_be_chance() -> None:
    assert told([{"id": f"m-{n}", "created": 5} for n in range(2)]) == {}


# Any list


@pytest.mark.parametrize("name", ["data", "models", ""])
def test_a_list_is_found_where_the_protocols_have_it(name: str) -> None:
    assert set(told([{"name": "models/gpt-99", "created": 1}], name=name)) == {"hint_unknown_model"}


def test_without_a_claim_only_the_list_itself_speaks() -> None:
    models = [{"id": i, "owned_by": "leaked-pool", "created": 5} for i in (*OWN, "gpt-99")]
    assert set(told(models, None)) == {"hint_created"}


def test_hostile_texts_are_clipped_and_cleaned() -> None:
    evil = "gpt-99-\x1b[31m\u202e" + "%(host)s<b>" * 500
    hint = told(listed([evil] * 9, owned_by="x" * 9000))["hint_unknown_model"]
    assert len(hint["examples"]) < 400
    assert not {"\x1b", "\u202e"} & set(hint["examples"])


def test_a_new_catalogue_is_looked_up_anew() -> None:
    listing = answer(200, {"data": [{"id": "gpt-99"}]})
    assert hints(CATALOGUE, listing, OPENAI)
    newer = dataclasses.replace(OPENAI, models=(*OPENAI.models, AIModel("gpt-99")))
    assert hints(dataclasses.replace(CATALOGUE, providers={"openai": newer}), listing, newer) == []
