"""The probes that spend: what they cost, when they are asked, and that they never make a key look worse than it is."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from probes import seed
from probes.examination import Ask, Examination
from probes.exchange import Exchange
from probes.lab import recorded
from probes.lab.server import Lab
from probes.pages.shelf import account_probes
from probes.terms import Probe, Provider, Rule
from tests.cases import CATALOGUE, OPENAI, TODAY, answer, conclude, run
from tests.exchanges import as_exchange

RECORDS = recorded.read_all()
LAB = Lab(RECORDS)
SPENDING = [(provider, probe) for provider in CATALOGUE.providers.values() for probe in provider.probes if probe.spends]
ONE_TOKEN = ("max_tokens", "max_completion_tokens", "max_output_tokens")
STORIES = sorted(
    {(r.slug, r.key) for r in RECORDS if r.slug in {p.slug for p, _probe in SPENDING} and r.key != recorded.ANY_KEY}
)


def named(pair: tuple[Provider, Probe]) -> str:
    return f"{pair[0].slug}-{pair[1].name}"


def told(provider: Provider, key: str, spend: bool, base_url: str = "") -> tuple[Any, list[Ask]]:
    """What is concluded of a lab's key, and every call that was made, in order."""

    def one(ask: Ask) -> Exchange:
        record = LAB.find(str(ask.call), key)
        return as_exchange(record) if record else answer(404, {}, call=str(ask.call))

    findings, calls = run(Examination(CATALOGUE, provider, base_url, TODAY, spend=spend), one)
    return conclude(*findings, provider=provider), calls


def spent(calls: list[Ask]) -> list[Ask]:
    return [ask for ask in calls if ask.probe.spends]


# What the catalogue says


@pytest.mark.parametrize("pair", SPENDING, ids=named)
def test_a_spending_probe_asks_for_one_token_of_a_fixed_model(pair: tuple[Provider, Probe]) -> None:
    _provider, probe = pair
    assert probe.spends == "up to 1 token"
    assert [probe.body[name] for name in ONE_TOKEN if name in probe.body] == [1]
    assert probe.body["messages"] == [{"role": "user", "content": "Hi"}]
    assert set(probe.body) <= {"model", "messages", *ONE_TOKEN}
    assert not probe.variables


@pytest.mark.parametrize("pair", SPENDING, ids=named)
def test_a_spending_probe_asks_for_a_model_that_costs_little(pair: tuple[Provider, Probe]) -> None:
    provider, probe = pair
    model = next(m for m in provider.models if m.id == probe.body["model"])
    assert model.input_price is not None
    assert model.input_price <= 1
    assert model.output_price is not None
    assert model.output_price <= 5


@pytest.mark.parametrize("pair", SPENDING, ids=named)
def test_a_spending_probe_is_one_a_provider_and_goes_where_its_keys_go_anyway(pair: tuple[Provider, Probe]) -> None:
    provider, probe = pair
    assert [p for p in provider.probes if p.spends] == [probe]
    assert set(provider.hosts_of(probe)) <= set(provider.hosts)


@pytest.mark.parametrize("pair", SPENDING, ids=named)
def test_a_spending_probe_reads_limits_that_no_free_call_tells(pair: tuple[Provider, Probe]) -> None:
    provider, probe = pair
    capability = {m.name: m.capability for m in CATALOGUE.shared.metrics}
    limits = {r.name for r in probe.metrics if capability[r.name] == "limit-matrix"}
    assert {"requests_limit", "requests_remaining"} <= limits
    assert not limits & {r.name for p in provider.probes if not p.spends for r in p.metrics}


@pytest.mark.parametrize("pair", SPENDING, ids=named)
def test_a_spending_probe_is_no_read_only_call_and_no_account_probe(pair: tuple[Provider, Probe]) -> None:
    provider, probe = pair
    assert not probe.read_only_post
    assert probe not in account_probes(provider)


@pytest.mark.parametrize("slug", sorted({provider.slug for provider, _probe in SPENDING}))
def test_a_free_call_proves_the_key_before_anything_is_spent(slug: str) -> None:
    assert any(p.proves_key and not p.spends for p in CATALOGUE.providers[slug].probes)


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        ({}, "a POST needs"),
        ({"spends": "up to 1 token", "read_only_post": True}, "a POST needs"),
    ],
)
def test_a_post_says_that_it_only_reads_or_what_it_spends(flags: dict[str, Any], fault: str) -> None:
    with pytest.raises(seed.SeedError, match=fault):
        seed.check_probe(Probe("limits", "POST /v1/x", (Rule("active", (200,)),), **flags), "x", set())


# When they are asked


@pytest.mark.parametrize(("slug", "key"), STORIES)
def test_nothing_is_spent_unasked(slug: str, key: str) -> None:
    _found, calls = told(CATALOGUE.providers[slug], key, spend=False)
    assert not spent(calls)


@pytest.mark.parametrize(("slug", "key"), STORIES)
def test_a_token_is_spent_on_a_working_key_alone_and_after_all_that_is_free(slug: str, key: str) -> None:
    free, before = told(CATALOGUE.providers[slug], key, spend=False)
    _found, calls = told(CATALOGUE.providers[slug], key, spend=True)
    assert [str(a.call) for a in calls[: len(before)]] == [str(a.call) for a in before]
    assert len(spent(calls)) == len(calls) - len(before) == (free.verdict in ("active", "restricted"))


@pytest.mark.parametrize(("slug", "key"), STORIES)
def test_every_key_that_may_spend_has_a_recorded_answer_of_its_own(slug: str, key: str) -> None:
    _found, calls = told(CATALOGUE.providers[slug], key, spend=True)
    for ask in spent(calls):
        record = LAB.find(str(ask.call), key)
        assert record
        assert record.key == key, f"{slug}: {key} wants an exchange for {ask.call}"


def test_it_waits_for_the_last_free_answer() -> None:
    examination = Examination(CATALOGUE, OPENAI, "", TODAY, spend=True)
    free = examination.next()
    for ask in free[:-1]:
        examination.answer(ask, answer(200, {"object": "list", "data": [], "id": "u"}, call=str(ask.call)))
        assert examination.next() == []
    examination.answer(free[-1], answer(200, {"object": "list", "data": []}, call=str(free[-1].call)))
    assert [ask.probe.spends for ask in examination.next()] == ["up to 1 token"]


def test_it_is_asked_once_whatever_it_answers() -> None:
    good = {"object": "list", "data": [{"id": "m"}], "id": "u"}
    for status in (200, 401, 429, 500):
        examination = Examination(CATALOGUE, OPENAI, "", TODAY, spend=True)
        _findings, calls = run(
            examination,
            lambda a, s=status: answer(s if a.probe.spends else 200, good, call=str(a.call)),  # type: ignore[misc]
        )
        assert len(spent(calls)) == 1


def test_nothing_is_spent_at_a_base_url_of_another_host() -> None:
    examination = Examination(CATALOGUE, OPENAI, "https://relay.acme.dev", TODAY, spend=True)
    listed = {"object": "list", "data": [{"id": "m"}]}
    _findings, calls = run(
        examination, lambda a: answer(200 if a.call.auth else 401, listed if a.call.auth else {}, call=str(a.call))
    )
    assert calls
    assert not spent(calls)


def test_a_key_of_a_shape_with_probes_of_its_own_spends_only_by_those() -> None:
    rules = (Rule("active", (200,), "type(body) == 'object'"),)
    plain = Probe("limits", "POST /plain", rules, spends="up to 1 token", proves_key=True)
    own = Probe("token", "GET /token", rules, proves_key=True, shapes=("sign-in",))
    provider = dataclasses.replace(OPENAI, probes=(Probe("me", "GET /me", rules, proves_key=True), own, plain))
    for shape, paths in (("", ["/me", "/plain"]), ("sign-in", ["/token"])):
        examination = Examination(CATALOGUE, provider, "", TODAY, shape, spend=True)
        _findings, calls = run(examination, lambda a: answer(200, {}, call=str(a.call)))
        assert [ask.probe.path for ask in calls] == paths


# What they may say


@pytest.mark.parametrize(("slug", "key"), STORIES)
def test_a_good_answer_says_no_more_of_the_key_than_the_free_calls(slug: str, key: str) -> None:
    free, _calls = told(CATALOGUE.providers[slug], key, spend=False)
    found, calls = told(CATALOGUE.providers[slug], key, spend=True)
    for ask in spent(calls):
        record = LAB.find(str(ask.call), key)
        assert record
        if record.answer["status"] == 200:
            assert (found.verdict, found.cause, found.identity) == (free.verdict, free.cause, free.identity)


@pytest.mark.parametrize(("slug", "key"), STORIES)
def test_an_answer_to_a_spending_call_never_refuses_a_key_that_was_accepted(slug: str, key: str) -> None:
    found, calls = told(CATALOGUE.providers[slug], key, spend=True)
    if spent(calls):
        assert found.verdict in ("active", "restricted", "no_credit", "rate_limited")
        assert found.identity == "proven"


@pytest.mark.parametrize("status", [400, 404, 422, 500, 503])
@pytest.mark.parametrize("pair", SPENDING, ids=named)
def test_an_answer_without_a_known_word_changes_nothing(pair: tuple[Provider, Probe], status: int) -> None:
    provider, _probe = pair
    key = next(r.key for r in RECORDS if (r.slug, r.probe) == (provider.slug, "limits") and r.answer["status"] == 200)
    free, _calls = told(provider, key, spend=False)

    def one(ask: Ask) -> Exchange:
        record = LAB.find(str(ask.call), key)
        assert record
        return answer(status, {"error": "?"}, call=str(ask.call)) if ask.probe.spends else as_exchange(record)

    findings, calls = run(Examination(CATALOGUE, provider, "", TODAY, spend=True), one)
    found = conclude(*findings, provider=provider)
    assert spent(calls)
    assert (found.verdict, found.cause, found.ability_to_pay) == (free.verdict, free.cause, free.ability_to_pay)


def test_a_balance_that_is_used_up_is_found_out_by_the_spending_call() -> None:
    empty = next(r for r in RECORDS if r.file == "restricted-acl-limits.json")
    free, _calls = told(CATALOGUE.providers[empty.slug], empty.key, spend=False)
    found, _calls = told(CATALOGUE.providers[empty.slug], empty.key, spend=True)
    assert free.verdict == "restricted"
    assert (found.verdict, found.ability_to_pay) == ("no_credit", "no")
