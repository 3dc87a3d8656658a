"""One model, one name: the slug of an id, the table of names that mean the same, and both on the whole catalogue."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from probes import seed
from probes.identity import ALIASES, LONGEST, aliases, identity, slug
from probes.terms import AIModel
from tests.cases import CATALOGUE

SLUG = r"[a-z0-9]+(-[a-z0-9]+)*"
SOLD = [(p.slug, m) for p in CATALOGUE.providers.values() for m in p.models]
SLUGS = {slug(m.id) for _provider, m in SOLD}
# Of one provider under one identity, beside dated and latest names: where a call of Bedrock's may run.
WHERE_IT_RUNS = r"(?:au|eu|global|jp|us)\."


# The slug


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama-3-3-70b-instruct-turbo"),
        ("accounts/fireworks/models/qwen3p6-27b", "qwen3p6-27b"),
        ("@cf/meta/llama-3.1-8b-instruct-fp8", "llama-3-1-8b-instruct-fp8"),
        ("hf:moonshotai/Kimi-K3", "kimi-k3"),
        ("amazon.nova-lite-v1:0", "amazon-nova-lite-v1-0"),
        ("V_3", "v-3"),
        ("openai/gpt-5.2:free", "gpt-5-2-free"),
        (" Some  Model @ v1. ", "some-model-v1"),
        ("a--b__c", "a-b-c"),
        ("café+", "caf"),
    ],
)
def test_a_slug_is_the_last_part_of_the_id_in_plain_letters(model_id: str, expected: str) -> None:
    assert slug(model_id) == expected


def test_an_id_whose_last_part_has_no_letters_is_written_whole() -> None:
    assert slug("acme/model-1/") == "acme-model-1"
    assert slug("acme/模型") == "acme"


def test_ids_without_any_plain_letter_get_names_that_differ() -> None:
    assert re.fullmatch(SLUG, slug("模型"))
    assert len({slug("模型"), slug("型"), slug("/"), slug("")}) == 4


def test_a_long_id_is_cut_and_does_not_end_in_a_hyphen() -> None:
    assert slug("a" * 500) == "a" * LONGEST
    assert slug("a" * 99 + "-b") == "a" * 99
    assert len(slug("模" * 500)) == LONGEST


def test_whatever_the_id_its_identity_is_a_slug_and_its_own() -> None:
    dice = random.Random(7)
    letters = "aZ09-._:@/ \t\n+%$'\"<模é\u212a\ud800\0"
    for _ in range(3000):
        model_id = "".join(dice.choices(letters, k=dice.randrange(140)))
        name = identity(model_id)
        assert re.fullmatch(SLUG, name), repr(model_id)
        assert len(name) <= LONGEST
        assert identity(name) == name


# The table


@pytest.mark.parametrize(
    "ids",
    [
        (
            "meta-llama/Meta-Llama-3.1-8B-Instruct",
            "llama-3.1-8b-instant",
            "meta.llama3-1-8b-instruct-v1:0",
            "llama3.1-8b",
        ),
        ("deepseek-ai/DeepSeek-V3.1", "accounts/fireworks/models/deepseek-v3p1", "deepseek.v3-v1:0"),
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("openai/gpt-oss-120b", "openai.gpt-oss-120b-1:0", "openai/gpt-oss-120b-TEE"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("moonshotai/Kimi-K2.5", "accounts/fireworks/models/kimi-k2p5", "moonshotai.kimi-k2.5"),
    ],
    ids=lambda ids: ids[0],
)
def test_names_of_one_model_have_one_identity(ids: tuple[str, ...]) -> None:
    assert len({identity(i) for i in ids}) == 1


@pytest.mark.parametrize(
    "ids",
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        (
            "@cf/meta/llama-3.1-8b-instruct-fp8",
            "@cf/meta/llama-3.1-8b-instruct-awq",
            "meta-llama/Llama-3.1-8B-Instruct",
        ),
        ("zai-org/GLM-5", "zai-org/GLM-5-FP8"),
        ("deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-R1-0528", "deepseek-reasoner"),
        ("gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-2024-11-20"),
        ("claude-opus-4-6", "claude-opus-4-6-fast"),
        ("MiniMax-M2.5", "MiniMax-M2.5-highspeed"),
        ("openai/gpt-oss-20b", "openai/gpt-oss-20b:free"),
        ("mistral-large-latest", "mistral-large-2512", "mistral-large-2411"),
    ],
    ids=lambda ids: ids[0],
)
def test_what_is_sold_at_another_quality_or_date_keeps_its_own(ids: tuple[str, ...]) -> None:
    assert len({identity(i) for i in ids}) == len(ids)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'aliases'"),
        ("[aliases", "table declaration"),
        ("aliases = 1", "'aliases'"),
        ("more = 1\n[aliases]\na = ['b']", "'aliases'"),
        ("[aliases]\na = 'b'", "a: expected a list of slugs, got 'b'"),
        ("[aliases]\na = []", "a: expected a list of slugs"),
        ("[aliases]\na = [1]", "a: 1: not a slug"),
        ("[aliases]\na = ['B.c']", "a: 'B.c': not a slug"),
        ("[aliases]\nA_b = ['c']", "A_b: 'c': not a slug, or not under one"),
        ("[aliases]\na = ['b', 'b']", "a: 'b' stands twice"),
        ("[aliases]\na = ['b']\nc = ['b']", "c: 'b' stands twice"),
        ("[aliases]\na = ['b']\nb = ['c']", "a: 'b' is an identity itself"),
        ("[aliases]\na = ['a']", "a: 'a' is an identity itself"),
    ],
)
def test_a_wrong_table_is_an_error_that_names_file_and_slug(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "_aliases.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as error:
        aliases(path)
    assert str(error.value).startswith("_aliases.toml: ")
    assert told in str(error.value)


def test_every_name_in_the_table_is_that_of_a_model_in_the_catalogue() -> None:
    table = aliases(ALIASES)
    assert not (set(table) | set(table.values())) - SLUGS


# The catalogue


def test_every_model_of_the_catalogue_has_an_identity() -> None:
    for _provider, model in SOLD:
        assert re.fullmatch(SLUG, identity(model.id)), model.id


def test_one_provider_sells_a_model_under_two_names_only_by_date_and_at_one_price() -> None:
    """A `-latest` that has moved on shows in its price."""
    groups: dict[tuple[str, str], list[AIModel]] = defaultdict(list)
    for provider, model in SOLD:
        groups[provider, identity(model.id)].append(model)
    twice = {key: models for key, models in groups.items() if len(models) > 1}
    for (provider, name), models in twice.items():
        everywhere = [m for m in models if not re.match(WHERE_IT_RUNS, m.id)]
        prices = {(m.input_price, m.output_price) for m in everywhere}
        assert len(prices) == 1, f"{provider}: {name}: {[m.id for m in everywhere]} at {prices}"
        dated = [m.id for m in everywhere if re.search(r"-(?:latest|\d{4}|\d{8}|\d{4}-\d\d-\d\d)$", m.id)]
        assert len(dated) >= len(everywhere) - 1, f"{provider}: {name}: {[m.id for m in everywhere]}"


def test_the_models_that_many_sell_stand_together() -> None:
    sellers: dict[str, set[str]] = defaultdict(set)
    for provider, model in SOLD:
        sellers[identity(model.id)].add(provider)
    assert len(sellers["gpt-oss-120b"]) >= 15
    assert len(sellers["llama-3-1-8b-instruct"]) >= 15
    assert len(sellers["claude-sonnet-4-5"]) >= 6
    assert len(sellers) < len(SLUGS) < len(SOLD)


# Modalities


def test_a_model_says_what_it_takes_and_gives() -> None:
    found = {(p, m.id): m for p, m in SOLD}
    haiku = found["anthropic", "claude-haiku-4-5"]
    assert haiku.input_modalities == ("text", "image", "pdf")
    assert haiku.output_modalities == ("text",)
    assert "image" in found["google-gemini", "gemini-2.5-flash-image"].output_modalities


@pytest.mark.parametrize("key", ["input_modalities", "output_modalities"])
@pytest.mark.parametrize(
    ("value", "told"), [(["smell"], "unknown word 'smell'"), ("text", "expected a list"), ([1], "expected str")]
)
def test_a_modality_that_there_is_not_is_an_error_that_names_file_and_key(
    key: str, value: Any, told: str, tmp_path: Path
) -> None:
    merged = tmp_path / seed.MODELS_FILE
    merged.write_text(f'{{"models": {{"acme": [{{"id": "m", "{key}": {value!r}}}]}}}}'.replace("'", '"'))
    with pytest.raises(seed.SeedError, match=rf"^models\.json: acme.*{key}.*{told}"):
        seed.read_models(merged)
    mistral = seed.CATALOGUE_DIR / "mistral.toml"
    table = f'models = [{{ id = "m", {key} = {value!r} }}]\n'
    body = re.sub(r"(?ms)^models = \[.*?^\]\n", "", mistral.read_text(encoding="utf-8"))
    (tmp_path / "acme.toml").write_text(table + body, encoding="utf-8")
    with pytest.raises(seed.SeedError, match=rf"^acme\.toml: models.*{key}.*{told}"):
        seed.read_catalogue(tmp_path)
