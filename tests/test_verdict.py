"""From findings to a conclusion: whose key, what it may do, how far it goes, what to do next."""

from __future__ import annotations

import dataclasses
import itertools
from decimal import Decimal
from typing import Any

import pytest

from probes import evidence, seed, verdict, words
from probes.evidence import ACCEPTED, REFUSED, Finding
from probes.examination import Ask, Examination
from probes.exchange import Exchange
from probes.lab import recorded
from probes.lab.server import Lab
from probes.terms import AIModel
from tests.cases import CATALOGUE, OPENAI, TODAY, answer, conclude, finding, run
from tests.exchanges import as_exchange

LAB = Lab(recorded.read_all())
MADE_UP = "made-up-FakeKeyNeverIssued0123456789"


def verdict_of(*findings: Finding, **case: Any) -> tuple[str, str | None]:
    found = conclude(*findings, **case)
    return found.verdict, found.cause


# Findings that disagree


@pytest.mark.parametrize(
    ("words_found", "expected"),
    [
        (["active", "invalid"], "active"),
        (["invalid", "active"], "active"),
        (["restricted", "revoked"], "restricted"),
        (["active", "restricted"], "restricted"),
        (["active", "no_credit"], "no_credit"),
        (["restricted", "no_credit"], "no_credit"),
        (["rate_limited", "active"], "rate_limited"),
        (["rate_limited", "restricted"], "restricted"),
        (["active", "region_blocked"], "active"),
        (["active", "unknown"], "active"),
        (["invalid", "leaked"], "leaked"),
        (["invalid", "revoked"], "revoked"),
        (["revoked", "suspended"], "revoked"),
        (["suspended", "invalid"], "suspended"),
        (["invalid", "region_blocked"], "invalid"),
        (["region_blocked", "unknown"], "region_blocked"),
        (["unknown", "unknown"], "unknown"),
        ([], "unknown"),
    ],
)
def test_findings_that_disagree_are_settled_in_the_order_told(words_found: list[str], expected: str) -> None:
    for order in itertools.permutations(words_found):
        found = [finding(word, probe=f"p{i}", call=f"GET https://api.openai.com/{i}") for i, word in enumerate(order)]
        assert verdict_of(*found)[0] == expected


def test_a_suspension_said_on_an_accepted_call_hinders_most() -> None:
    said = finding("suspended", "api_key_blocked", accepted=True)
    assert verdict_of(finding(), said) == ("suspended", "api_key_blocked")


def test_a_side_probe_without_money_counts_for_an_accepted_key_alone() -> None:
    balance = finding("no_credit", "no_balance", proves=False, probe="balance_snapshot")
    assert verdict_of(finding(), balance) == ("no_credit", "no_balance")
    assert verdict_of(finding("invalid"), balance)[0] == "invalid"
    assert verdict_of(finding("unknown", "timeout"), balance)[0] == "unknown"


def test_a_side_probe_that_refuses_says_nothing_where_another_proves() -> None:
    side = finding("invalid", proves=False)
    assert verdict_of(finding("unknown", "timeout"), side) == ("unknown", "timeout")
    assert verdict_of(finding(), side)[0] == "active"


def test_a_verdict_with_a_cause_speaks_before_one_without() -> None:
    assert verdict_of(finding("restricted"), finding("restricted", "missing_scope")) == ("restricted", "missing_scope")


def test_unknown_has_the_proving_probe_s_cause() -> None:
    side = finding("unknown", "public_list", proves=False, public=True)
    assert verdict_of(side, finding("unknown", "timeout")) == ("unknown", "timeout")
    assert verdict_of(side) == ("unknown", "public_list")
    assert verdict_of() == ("unknown", None)


def test_an_interruption_is_said() -> None:
    case = verdict.Case(CATALOGUE, OPENAI, "", True, [], interrupted=True)
    assert (verdict.conclude(case).verdict, verdict.conclude(case).cause) == ("unknown", "interrupted")


def test_where_nothing_proves_a_key_that_is_the_cause() -> None:
    sambanova = CATALOGUE.providers["sambanova"]
    side = finding("unknown", "public_list", proves=False, public=True)
    assert verdict_of(side, provider=sambanova) == ("unknown", "unprovable")


# Identity


def test_a_key_that_an_official_origin_accepted_is_proven() -> None:
    found = conclude(finding("no_credit"))
    assert found.identity == "proven"
    assert found.identity_evidence[0] == ("accepted", {"host": "api.openai.com", "probe": "models"})


def test_a_shape_alone_is_a_guess() -> None:
    refused = conclude(finding("invalid"))
    assert refused.identity == "consistent"
    assert ("shape", {"provider": "OpenAI"}) in refused.identity_evidence
    assert ("refused", {"host": "api.openai.com"}) in refused.identity_evidence
    assert conclude(finding("unknown", "timeout")).identity == "consistent"


def test_a_choice_alone_is_nothing() -> None:
    found = conclude(finding("invalid"), distinctive=False)
    assert found.identity == "unproven"
    assert found.identity_evidence[0] == ("chosen", {"provider": "OpenAI"})


def test_without_a_provider_there_is_no_identity() -> None:
    found = conclude(provider=None, distinctive=False)
    assert (found.identity, found.identity_evidence, found.path[0][1]) == ("unproven", [], "not_tested")


def test_a_public_list_proves_nothing() -> None:
    side = finding("active", proves=False, public=True, models=["gpt-4"])
    found = conclude(side)
    assert (found.verdict, found.identity) == ("unknown", "consistent")
    assert found.models_public


BASE = "https://relay.acme.dev/v1"


def marked(*, gateways: dict[str, list[str]] | None = None, providers: dict[str, list[str]] | None = None) -> Finding:
    url = f"GET {BASE}/models"
    return finding("active", call=url, marks={"gateways": gateways or {}, "providers": providers or {}})


def test_at_a_base_url_acceptance_proves_nothing_of_the_provider() -> None:
    found = conclude(marked(), base_url=BASE)
    assert (found.identity, found.verdict, found.gateway) == ("unproven", "active", None)
    assert found.identity_evidence == [("claim", {"claim": "OpenAI"}), ("no_mark", {"host": "relay.acme.dev"})]


def test_the_claimed_provider_s_own_marks_prove_nothing_since_relays_pass_them_on() -> None:
    assert conclude(marked(providers={"openai": ["a mark"]}), base_url=BASE).identity == "unproven"


def test_software_that_shows_itself_contradicts_the_claim() -> None:
    found = conclude(marked(gateways={"new-api": ["a", "b"], "one-api": ["a"]}), base_url=BASE)
    assert (found.identity, found.gateway) == ("contradicted", "new-api")
    assert [v.get("mark") for _slug, v in found.identity_evidence] == [None, "a", "b"]
    assert found.path[0] == ("identified", "no", "another_sender")
    assert found.next_actions == ["human-review", "add-provider-config"]


def test_the_marks_stand_in_the_order_of_the_softwares_file_whichever_answer_came_first() -> None:
    shipped = [mark.name for mark in CATALOGUE.gateways["new-api"].fingerprints[:3]]
    found = conclude(marked(gateways={"new-api": ["of an older file", *reversed(shipped)]}), base_url=BASE)
    assert [v.get("mark") for _slug, v in found.identity_evidence] == [None, *shipped, "of an older file"]


def test_so_do_the_marks_of_another_provider() -> None:
    slug, shipped = next((s, p.fingerprints) for s, p in CATALOGUE.providers.items() if len(p.fingerprints) > 1)
    names = [mark.name for mark in shipped]
    found = conclude(marked(providers={slug: names[::-1]}), base_url=BASE)
    assert [v.get("mark") for _slug, v in found.identity_evidence] == [None, *names]


def test_another_provider_behind_a_base_url_contradicts_the_claim() -> None:
    found = conclude(marked(providers={"minimax": ["base_resp envelope"]}), base_url=BASE)
    assert found.identity == "contradicted"
    assert ("sender", {"host": "relay.acme.dev", "sender": "MiniMax", "mark": "base_resp envelope"}) in (
        found.identity_evidence
    )


def test_at_an_official_origin_marks_are_not_asked() -> None:
    assert conclude(finding(marks={"gateways": {"new-api": ["a"]}})).identity == "proven"


def test_every_piece_of_evidence_has_words() -> None:
    for slug, values in (
        *conclude(finding()).identity_evidence,
        *conclude(finding("invalid"), distinctive=False).identity_evidence,
        *conclude(marked(gateways={"new-api": ["a"]}), base_url=BASE).identity_evidence,
        *conclude(marked(), base_url=BASE).identity_evidence,
    ):
        assert "%" not in str(words.IDENTITY_EVIDENCE[slug]) % values


# Ability to pay


@pytest.mark.parametrize(
    ("findings", "pays"),
    [
        ([finding()], "not_tested"),
        ([finding(pays=True)], "yes"),
        ([finding(pays=False)], "no"),
        ([finding(pays=True), finding(pays=False)], "no"),
        ([finding(), finding("unknown", proves=False, pays=True)], "yes"),
        ([finding("no_credit")], "no"),
        ([finding("no_credit", pays=True)], "no"),
        ([finding("invalid", pays=True)], "not_tested"),
        ([finding("unknown", pays=True)], "not_tested"),
        ([], "not_tested"),
    ],
)
def test_accepted_is_not_able_to_pay(findings: list[Finding], pays: str) -> None:
    assert conclude(*findings).ability_to_pay == pays


# Models


def test_models_are_told_in_three_lists() -> None:
    found = conclude(finding(models=["gpt-4", "gpt-9", "gpt-4o-mini"]))
    covered = [m.id for m in OPENAI.models]
    assert found.models["visible"] == 3
    assert set(found.models["covered"]) == {"gpt-4", "gpt-4o-mini"} & set(covered)
    assert found.models["missing"] == [i for i in covered if i not in ("gpt-4", "gpt-9", "gpt-4o-mini")]
    assert "gpt-9" in found.models["new"]


def test_without_a_list_all_three_are_empty() -> None:
    empty: dict[str, Any] = {"visible": None, "covered": [], "missing": [], "new": []}
    assert conclude(finding("invalid")).models == empty
    assert conclude(finding("unknown", models=["gpt-4"])).models == empty


def test_the_key_s_own_list_speaks_before_a_public_one() -> None:
    public = finding("unknown", proves=False, public=True, models=["a", "b"])
    found = conclude(public, finding(models=["gpt-4"]))
    assert (found.models["visible"], found.models_public) == (1, False)


# Capabilities


def told(metric: str, state: str = "confirmed") -> dict[str, Any]:
    return {"metric": metric, "value": "x", "unit": None, "state": state, "read_from": "body.x"}


def states(*findings: Finding, provider: seed.Provider | None = OPENAI) -> dict[str | None, str | None]:
    return {c["slug"]: c["state"] for c in conclude(*findings, provider=provider).capabilities}


def test_all_ten_capabilities_are_listed_known_ones_first() -> None:
    found = conclude(finding(evidence=[told("plan", "not_exposed"), told("token_scopes"), told("owner_id", "partial")]))
    order = [c["state"] for c in found.capabilities]
    assert len(found.capabilities) == 10
    assert order[:2] == ["confirmed", "partial"]
    assert order == sorted(order, key=lambda s: verdict.STATES.index(s) if s else 9)


def test_a_capability_is_rolled_up_from_its_metrics() -> None:
    bare = dataclasses.replace(OPENAI, not_exposed=())
    for parts, expected in (
        (["confirmed"], "confirmed"),
        (["confirmed", "not_exposed"], "confirmed"),
        (["confirmed", "invisible"], "partial"),
        (["partial"], "partial"),
        (["invisible", "not_exposed"], "invisible"),
        (["not_exposed"], "not_exposed"),
        ([], None),
    ):
        metrics = ("owner_id", "organization_id")
        rows = [told(metric, state) for metric, state in zip(metrics, parts, strict=False)]
        assert states(finding(evidence=rows), provider=bare)["key-identity"] == expected


def test_what_the_provider_withholds_is_said_of_an_accepted_key_alone() -> None:
    assert states(finding())["cost-and-usage"] == "not_exposed"
    assert states(finding("invalid"))["cost-and-usage"] is None


# Path

PRICED = (AIModel("gpt-4", input_price=Decimal(1), output_price=Decimal(2)),)


def path(*findings: Finding, models: tuple[AIModel, ...] = PRICED, **case: Any) -> list[tuple[str, str]]:
    provider = dataclasses.replace(OPENAI, models=models)
    found = conclude(*findings, provider=provider, **case)
    assert [step for step, _state, _reason in found.path] == list(verdict.STEPS)
    assert all(reason in words.PATH_REASONS for _step, _state, reason in found.path)
    states = [state for _step, state, _reason in found.path]
    stop = next((i for i, state in enumerate(states) if state != "yes"), 5)
    assert states[stop + 1 :] == ["not_tested"] * (4 - stop)
    return [(state, reason) for _step, state, reason in found.path]


GOOD = finding(models=["gpt-4"], pays=True)


def test_a_good_key_goes_all_the_way() -> None:
    assert [state for state, _reason in path(GOOD)] == ["yes"] * 5


@pytest.mark.parametrize(
    ("findings", "case", "step", "expected"),
    [
        ([finding("invalid")], {}, 0, ("no", "refused")),
        ([finding("leaked", accepted=True)], {}, 0, ("no", "refused")),
        ([finding("unknown")], {}, 0, ("not_tested", "not_proved")),
        ([], {}, 0, ("not_tested", "not_proved")),
        ([finding(models=["gpt-4"])], {}, 1, ("not_tested", "pay_not_tested")),
        ([finding("no_credit", models=["gpt-4"])], {}, 1, ("no", "cannot_pay")),
        ([GOOD], {"models": ()}, 1, ("no", "no_covered_models")),
        ([finding(pays=True)], {}, 1, ("not_tested", "models_not_seen")),
        (
            [finding(pays=True), finding(proves=False, public=True, models=["gpt-4"])],
            {},
            1,
            ("not_tested", "models_not_seen"),
        ),
        ([finding(pays=True, models=["other"])], {}, 1, ("no", "covered_models_missing")),
        ([GOOD], {"models": (AIModel("gpt-4"),)}, 2, ("no", "prices_missing")),
        ([GOOD], {"models": (AIModel("gpt-4", input_price=Decimal(1)),)}, 2, ("no", "prices_missing")),
        ([GOOD], {"models": (AIModel("gpt-4", route_based=True),)}, 2, ("yes", "prices_known")),
        ([GOOD], {"models": (*PRICED, AIModel("unseen"))}, 2, ("yes", "prices_known")),
        ([GOOD | {"verdict": "rate_limited"}], {}, 3, ("no", "not_callable_now")),
        ([GOOD | {"verdict": "restricted"}], {}, 3, ("yes", "answers_calls")),
        ([GOOD | {"verdict": "restricted"}], {}, 4, ("no", "permissions_limited")),
        ([marked() | {"models": ["gpt-4"], "pays": True}], {"base_url": BASE}, 0, ("not_tested", "not_proved")),
    ],
)
def test_the_first_step_that_is_not_yes_says_why_and_stops_the_rest(
    findings: list[Finding], case: dict[str, Any], step: int, expected: tuple[str, str]
) -> None:
    assert path(*findings, **case)[step] == expected


# Next actions


def test_there_is_always_something_to_do() -> None:
    for word, pays, models, distinctive, base_url, cause in itertools.product(
        seed.VERDICTS, (None, True, False), (None, [], ["gpt-4"]), (True, False), ("", BASE), (None, "ip_not_allowed")
    ):
        found = conclude(finding(word, cause, pays=pays, models=models), distinctive=distinctive, base_url=base_url)
        assert found.next_actions
        assert set(found.next_actions) <= set(words.ACTIONS)
        assert len(set(found.next_actions)) == len(found.next_actions)
    assert conclude(provider=None).next_actions


@pytest.mark.parametrize(
    ("found", "first"),
    [
        (finding("no_credit"), "top-up"),
        (finding("rate_limited"), "wait"),
        (finding("invalid"), "replace-key"),
        (finding("leaked"), "replace-key"),
        (finding("region_blocked"), "change-region"),
        (finding("unknown", "timeout"), "wait"),
        (finding("unknown", "unrecognised_answer"), "human-review"),
        (finding("restricted", "missing_scope"), "add-permission"),
        (finding("active", "ip_not_allowed"), "add-permission"),
        (finding("active"), "human-review"),
    ],
)
def test_the_first_thing_to_do_follows_from_what_blocks(found: Finding, first: str) -> None:
    assert conclude(found).next_actions[0] == first


# Nobody is called good for nothing


def answered(asked: Ask, key: str) -> Exchange:
    record = LAB.find(str(asked.call), key)
    return as_exchange(record) if record else answer(404, {"error": {"message": "no such call"}}, call=str(asked.call))


def shapes() -> list[Any]:
    return [
        pytest.param(provider, shape, id=f"{provider.slug}: {shape.name}")
        for provider in CATALOGUE.providers.values()
        for shape in provider.key_shapes
        if provider.origins and not shape.refuse and not provider.retired
    ]


@pytest.mark.parametrize(("provider", "shape"), shapes())
def test_a_made_up_key_is_never_called_good(provider: seed.Provider, shape: seed.KeyShape) -> None:
    examination = Examination(CATALOGUE, provider, "", TODAY, shape.name)
    findings, _asked = run(examination, lambda ask: answered(ask, MADE_UP))
    found = conclude(*findings, provider=provider)
    assert found.verdict not in ACCEPTED
    assert found.identity == "consistent"
    assert found.path[0][1] != "yes"
    assert found.ability_to_pay == "not_tested"


@pytest.mark.parametrize(
    "provider", [p for p in CATALOGUE.providers.values() if any(q.public for q in p.probes)], ids=lambda p: p.slug
)
def test_a_key_is_not_called_good_where_only_a_public_list_answered(provider: seed.Provider) -> None:
    def only_public(ask: Ask) -> Exchange:
        return answered(ask, MADE_UP) if ask.probe.public else Exchange(str(ask.call), failure="timeout")

    findings, asked = run(Examination(CATALOGUE, provider, "", TODAY), only_public)
    found = conclude(*findings, provider=provider)
    assert (found.verdict, found.identity) == ("unknown", "consistent")
    assert found.path[0][1] == "not_tested"
    assert all(not ask.call.auth for ask in asked if ask.probe.public)


def all_answered(exchange: Exchange, provider: seed.Provider = OPENAI) -> list[Finding]:
    """The findings of a key whose every call is answered alike."""
    examination = Examination(CATALOGUE, provider, "", TODAY)
    findings, asked = run(examination, lambda ask: dataclasses.replace(exchange, call=str(ask.call)))
    assert len(findings) == len(asked)
    return findings


FAILURES = ("timeout", "dns", "tls", "refused", "reset", "too_large", "blocked", "bad_http")
PAGE = b"<!doctype html><title>quota balance invalid expired rate limit</title>"


@pytest.mark.parametrize("provider", CATALOGUE.providers.values(), ids=lambda p: p.slug)
def test_a_provider_that_does_not_answer_says_nothing_of_the_key(provider: seed.Provider) -> None:
    for failure in FAILURES:
        found = conclude(*all_answered(Exchange("GET x", failure=failure), provider), provider=provider)
        assert (found.verdict, found.ability_to_pay) == ("unknown", "not_tested")
        assert found.cause in (failure, "unprovable", None)


@pytest.mark.parametrize("provider", CATALOGUE.providers.values(), ids=lambda p: p.slug)
def test_a_page_says_nothing_of_the_key(provider: seed.Provider) -> None:
    for status in (200, 401, 402, 403, 404, 429, 500, 503):
        found = conclude(*all_answered(answer(status, PAGE), provider), provider=provider)
        assert found.verdict not in {"active", "leaked", "revoked", "suspended"}
        assert found.identity != "proven"


# The thirteen cases that no peer tells apart (facts/peers.md 4.6)


def openai_error(
    status: int, code: str | None, message: str = "words", kind: str = "invalid_request_error"
) -> Exchange:
    return answer(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


SCOPE = "You have insufficient permissions for this operation. Missing scopes: api.model.read. Check that"
THIRTEEN = {
    "200 list": (answer(200, {"object": "list", "data": [{"id": "gpt-4"}]}), ("active", None)),
    "401 invalid_api_key": (openai_error(401, "invalid_api_key"), ("invalid", "invalid_api_key")),
    "402 insufficient balance": (openai_error(402, "insufficient_balance"), ("no_credit", "insufficient_balance")),
    "403 missing scope": (openai_error(403, None, SCOPE), ("restricted", "missing_scope: api.model.read")),
    "403 region": (
        openai_error(403, "unsupported_country_region_territory", kind="request_forbidden"),
        ("region_blocked", "unsupported_region"),
    ),
    "429 quota": (
        openai_error(429, "insufficient_quota", kind="insufficient_quota"),
        ("no_credit", "insufficient_quota"),
    ),
    "429 rate": (openai_error(429, "rate_limit_exceeded", kind="requests"), ("rate_limited", "rate_limit_exceeded")),
    "404 model": (openai_error(404, "model_not_found"), ("active", "model_not_found")),
    "500": (
        answer(500, {"error": {"message": "The server had an error", "type": "server_error"}}),
        ("unknown", "provider_error"),
    ),
    "503": (answer(503, {"error": {"message": "Overloaded", "type": "server_error"}}), ("unknown", "provider_error")),
    "200 page": (answer(200, b"<!doctype html><title>Sign in</title>"), ("unknown", "not_json")),
    "reset": (Exchange("GET x", failure="reset"), ("unknown", "reset")),
    "silence": (Exchange("GET x", failure="timeout"), ("unknown", "timeout")),
}


def test_there_are_thirteen() -> None:
    assert len(THIRTEEN) == 13
    assert len({expected for _exchange, expected in THIRTEEN.values()}) == 12  # 500 and 503 are one case


@pytest.mark.parametrize(("exchange", "expected"), THIRTEEN.values(), ids=THIRTEEN)
def test_the_thirteen_cases_are_told_apart(exchange: Exchange, expected: tuple[str, str | None]) -> None:
    found = conclude(*all_answered(exchange))
    assert (found.verdict, found.cause) == expected
    assert found.identity == ("proven" if expected[0] in ACCEPTED else "consistent")


def test_a_generic_word_never_decides() -> None:
    for words_said in ("quota", "balance", "expired", "invalid", "rate limit", "suspended", "leaked"):
        for status in (400, 401, 402, 403, 404, 429):
            said = openai_error(status, None, f"Something about {words_said} happened")
            assert conclude(*all_answered(said)).verdict == "unknown"


def test_the_words_of_the_verdicts_are_whole() -> None:
    assert set(words.VERDICTS) == set(seed.VERDICTS)
    assert set(verdict.HINDERING) >= ACCEPTED
    assert set(verdict.REFUSING) >= REFUSED
    assert not evidence.ACCEPTED & evidence.REFUSED


@pytest.mark.parametrize(
    ("balance", "unit", "cause"),
    [("0.99", "USD", "low_balance"), ("1.00", "USD", None), ("3.00", "CNY", "low_balance"), ("0.10", "points", None)],
)
def test_a_balance_that_is_nearly_used_up_is_told(balance: str, unit: str, cause: str | None) -> None:
    item = {
        "metric": "balance_total",
        "value": balance,
        "unit": unit,
        "state": "confirmed",
        "read_from": "body.balance",
    }
    found = conclude(finding("active", pays=True, evidence=[item]))
    assert (found.verdict, found.cause) == ("active", cause)
    assert (found.next_actions[0] == "top-up") is (cause is not None)
