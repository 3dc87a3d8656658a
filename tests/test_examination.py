"""Which calls are made for one key: what goes where, with which headers, and what is never asked."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from probes import seed
from probes.client import Call
from probes.examination import MAX_CALLS, Ask, Examination, latest
from probes.exchange import Exchange
from probes.lab import recorded
from probes.terms import Probe, Reading, Rule
from tests.cases import CATALOGUE, OPENAI, TODAY, answer, conclude, run
from tests.exchanges import as_exchange

OK = (Rule("active", status=(200,)),)
BASE = "https://relay.acme.dev/v1"
RECORDS = recorded.read_all()


def with_probes(*probes: Probe, **more: Any) -> seed.Provider:
    return dataclasses.replace(OPENAI, probes=probes, **more)


def asked(provider: seed.Provider | None, answers: dict[str, Any] | None = None, base_url: str = "") -> list[Call]:
    """Every call of an examination; answers: bodies by path, of status 200."""

    def one(ask: Ask) -> Exchange:
        path = urlsplit(ask.call.url).path
        return answer(200, (answers or {}).get(path, {}), call=str(ask.call))

    return [ask.call for ask in run(Examination(CATALOGUE, provider, base_url, TODAY), one)[1]]


def probe(name: str, call: str, *metrics: Reading, **more: Any) -> Probe:
    return Probe(name, call, OK, metrics=metrics, proves_key=True, **more)


ORGANIZATION = Reading("organization_id", "body.org")


# Official origins


def test_all_free_probes_are_asked_at_once() -> None:
    examination = Examination(CATALOGUE, OPENAI, "", TODAY)
    first = examination.next()
    assert [ask.probe.name for ask in first] == [p.name for p in OPENAI.probes if not p.spends and not p.variables]
    assert examination.next() == []
    assert not examination.done


def test_nothing_is_asked_without_a_provider_and_a_base_url() -> None:
    examination = Examination(CATALOGUE, None, "", TODAY)
    assert examination.next() == []
    assert examination.done


def test_a_spending_probe_is_not_asked_unless_that_was_allowed() -> None:
    provider = with_probes(probe("a", "GET /a"), probe("costly", "GET /costly", spends="a cent"))
    assert [str(c) for c in asked(provider)] == ["GET https://api.openai.com/a"]
    for shipped in CATALOGUE.providers.values():
        costly = {p.path for p in shipped.probes if p.spends}
        assert not costly & {urlsplit(c.url).path for c in asked(shipped) if shipped.origins}


def test_a_call_has_its_sender_s_headers_and_its_own() -> None:
    provider = with_probes(
        probe("a", "GET /a", headers={"x-own": "1", "x-both": "probe"}), headers={"x-both": "s", "x-s": "2"}
    )
    (call,) = asked(provider)
    assert call == Call("GET", "https://api.openai.com/a", {"x-own": "1", "x-both": "probe", "x-s": "2"}, "bearer")


def test_a_probe_may_have_an_origin_of_its_own() -> None:
    provider = with_probes(
        probe("a", "GET /a"), probe("b", "GET /b", origin="other"),
        origins={"api": "https://api.acme.dev", "other": "https://other.acme.dev/x"},
    )  # fmt: skip
    assert [c.url for c in asked(provider)] == ["https://api.acme.dev/a", "https://other.acme.dev/x/b"]


# Variables


def test_a_day_is_filled_in() -> None:
    provider = with_probes(probe("cost", "GET /costs?from={month_ago}&to={today}"))
    assert asked(provider)[0].url == "https://api.openai.com/costs?from=2026-10-25&to=2026-11-24"


def test_a_probe_that_needs_a_finding_is_asked_after_it() -> None:
    provider = with_probes(probe("limits", "GET /orgs/{organization_id}/limits"), probe("me", "GET /me", ORGANIZATION))
    examination = Examination(CATALOGUE, provider, "", TODAY)
    (first,) = examination.next()
    assert first.probe.name == "me"
    examination.answer(first, answer(200, {"org": "org-1"}))
    (second,) = examination.next()
    assert second.call.url == "https://api.openai.com/orgs/org-1/limits"
    examination.answer(second, answer(200, {}))
    assert examination.next() == []
    assert examination.done


@pytest.mark.parametrize("body", [{}, {"org": None}, {"org": []}, {"org": ""}])
def test_a_probe_whose_variable_never_comes_is_not_asked(body: Any) -> None:
    provider = with_probes(probe("limits", "GET /orgs/{organization_id}/limits"), probe("me", "GET /me", ORGANIZATION))
    assert len(asked(provider, {"/me": body})) == 1


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("a b", "a%20b"),
        ("../admin", "..%2Fadmin"),
        ("a/b?c=d#e&f", "a%2Fb%3Fc%3Dd%23e%26f"),
        ("@evil.dev", "%40evil.dev"),
        ("ü", "%C3%BC"),
        ("{today}", "%7Btoday%7D"),
        ("\r\nX: y", "X%3A%20y"),
    ],
)
def test_a_value_from_an_answer_stays_inside_its_place(value: str, url: str) -> None:
    provider = with_probes(probe("me", "GET /me", ORGANIZATION), probe("limits", "GET /orgs/{organization_id}/limits"))
    calls = asked(provider, {"/me": {"org": value}})
    assert calls[1].url == f"https://api.openai.com/orgs/{url}/limits"


@pytest.mark.parametrize("value", [".", ".."])
def test_a_value_that_would_climb_in_the_path_is_not_asked_with(value: str) -> None:
    provider = with_probes(probe("me", "GET /me", ORGANIZATION), probe("limits", "GET /orgs/{organization_id}/limits"))
    assert len(asked(provider, {"/me": {"org": value}})) == 1


def test_a_read_only_post_has_its_body_with_its_variables() -> None:
    body = {"model": "{runtime_model}", "day": "{today}", "messages": [{"content": "{not one} text {today}"}], "n": 1}
    model = Reading("runtime_model", "body.id")
    provider = with_probes(
        probe("me", "GET /me", model), probe("count", "POST /count", body=body | {"messages": []}, read_only_post=True)
    )
    calls = asked(provider, {"/me": {"id": 'a"b\\{today}'}})
    assert (calls[1].method, calls[1].url) == ("POST", "https://api.openai.com/count")
    assert calls[1].body == {"model": 'a"b\\{today}', "day": "2026-11-24", "messages": [], "n": 1}
    json.dumps(calls[1].body)


def test_a_get_has_no_body() -> None:
    assert all(c.body is None for p in CATALOGUE.providers.values() for c in asked(p) if c.method != "POST")


def test_the_posts_that_are_made_are_declared_read_only() -> None:
    for provider in CATALOGUE.providers.values():
        examination = Examination(CATALOGUE, provider, "", TODAY)
        for ask in run(examination, lambda a: answer(200, {"data": [{"id": "m"}]}, call=str(a.call)))[1]:
            assert ask.call.method in ("GET", "HEAD") or ask.probe.read_only_post


def test_calls_are_bounded_and_none_is_made_twice() -> None:
    provider = with_probes(probe("again", "GET /0"), *(probe(f"p{i}", f"GET /{i}") for i in range(60)))
    calls = [str(c) for c in asked(provider)]
    assert len(calls) == len(set(calls)) == MAX_CALLS


# Where a key goes


@pytest.mark.parametrize("provider", CATALOGUE.providers.values(), ids=lambda p: p.slug)
def test_only_the_hosts_that_were_shown_receive_the_key(provider: seed.Provider) -> None:
    for body in ({}, {"data": [{"id": "m"}], "id": "me"}, {"error": "x"}):
        for status in (200, 401, 403):
            for shape in ("", *(s.name for s in provider.key_shapes)):
                examination = Examination(CATALOGUE, provider, "", TODAY, shape)
                calls = run(examination, lambda a, s=status, b=body: answer(s, b, call=str(a.call)))[1]  # type: ignore[misc]
                keyed = {urlsplit(a.call.url).netloc for a in calls if a.call.auth}
                assert keyed <= set(provider.hosts)
                assert all(urlsplit(a.call.url).scheme == "https" for a in calls)


def test_a_probe_that_sends_no_key_names_no_scheme() -> None:
    for provider in CATALOGUE.providers.values():
        for ask in run(Examination(CATALOGUE, provider, "", TODAY), lambda a: answer(200, {}, call=str(a.call)))[1]:
            assert bool(ask.call.auth) == ask.probe.sends_key


# A custom base URL


def test_what_a_claimed_list_says_oddly_is_noted_once() -> None:
    listing = {"object": "list", "data": [{"id": "gpt-99-turbo", "owned_by": "openai"}]}
    _found, _calls, findings = at_relay({"/v1/models": answer(200, listing)})
    assert [[hint["slug"] for hint in f["hints"]] for f in findings if "hints" in f] == [["hint_unknown_model"]]


def test_a_hint_is_evidence_and_no_verdict() -> None:
    plain = {"object": "list", "data": [{"id": "acme-1"}]}
    odd = {"object": "list", "data": [{"id": "gpt-99", "created": 5}] * 3}
    (before, _calls, _findings), (after, _more, _found) = (
        at_relay({"/v1/models": answer(200, listing)}) for listing in (plain, odd)
    )
    assert [slug for slug, _values in after.identity_evidence][-2:] == ["hint_unknown_model", "hint_created"]
    assert dataclasses.replace(after, identity_evidence=[], models={}) == dataclasses.replace(
        before, identity_evidence=[], models={}
    )


def test_an_official_list_gives_no_hints() -> None:
    listing = {"object": "list", "data": [{"id": "gpt-99-turbo"}]}
    findings, _calls = run(Examination(CATALOGUE, OPENAI, "", TODAY), lambda a: answer(200, listing, call=str(a.call)))
    assert not any("hints" in f for f in findings)


def relay(slug: str, *files: str) -> dict[str, Exchange]:
    """Recorded answers of a gateway, by path."""
    found = {r.file: r for r in RECORDS if r.slug == slug}
    return {urlsplit(found[f].url).path: as_exchange(found[f]) for f in files}


def at_relay(answers: dict[str, Exchange], base_url: str = BASE, provider: seed.Provider | None = OPENAI) -> Any:
    def one(ask: Ask) -> Exchange:
        found = answers.get(urlsplit(ask.call.url).path.removeprefix("/api/x"))
        return dataclasses.replace(found or answer(404, {}), call=str(ask.call))

    findings, calls = run(Examination(CATALOGUE, provider, base_url, TODAY), one)
    return conclude(*findings, base_url=base_url, provider=provider), [a.call for a in calls], findings


def test_the_claimed_protocol_is_asked_for_its_models_and_status_pages_without_the_key() -> None:
    calls = asked(OPENAI, base_url=BASE)
    keyed = [c for c in calls if c.auth]
    assert [str(c) for c in keyed] == ["GET https://relay.acme.dev/v1/models"]
    keyless = {p.path for g in CATALOGUE.gateways.values() for p in g.probes if not p.sends_key}
    asked_openly = {urlsplit(c.url).path for c in calls if not c.auth}
    assert asked_openly == {path.partition("?")[0] for path in keyless} | {"/v1/models"}


@pytest.mark.parametrize(
    ("slug", "auth", "url"),
    [
        ("openai", "bearer", "https://relay.acme.dev/v1/models"),
        ("deepseek", "bearer", "https://relay.acme.dev/v1/models"),
        ("anthropic", "x-api-key", "https://relay.acme.dev/v1/models?limit=1000"),
        ("google-gemini", "x-goog-api-key", "https://relay.acme.dev/v1beta/models?pageSize=1000"),
        ("elevenlabs", "bearer", "https://relay.acme.dev/v1/models"),
    ],
)
def test_a_relay_is_asked_as_the_claimed_provider_would_be(slug: str, auth: str, url: str) -> None:
    call = next(c for c in asked(CATALOGUE.providers[slug], base_url="https://relay.acme.dev") if c.auth)
    assert (call.auth, call.url) == (auth, url)
    assert slug != "anthropic" or call.headers["anthropic-version"]


@pytest.mark.parametrize(
    ("base_url", "root"),
    [
        ("https://relay.acme.dev", "https://relay.acme.dev"),
        ("https://relay.acme.dev/v1", "https://relay.acme.dev"),
        ("https://relay.acme.dev/api/v1", "https://relay.acme.dev/api"),
        ("https://relay.acme.dev/v1beta", "https://relay.acme.dev"),
        ("https://relay.acme.dev/v12", "https://relay.acme.dev/v12"),
    ],
)
def test_a_closing_version_is_not_doubled(base_url: str, root: str) -> None:
    assert next(c for c in asked(OPENAI, base_url=base_url) if c.auth).url == f"{root}/v1/models"


def test_every_call_to_a_base_url_is_quiet_and_no_other() -> None:
    for slug in (*GATEWAYS, "openai"):
        _found, calls, _findings = at_relay(relay(slug, *GATEWAYS.get(slug, ())))
        assert all(call.quiet for call in calls)
    for provider in CATALOGUE.providers.values():
        assert not any(call.quiet for call in asked(provider))


def test_only_the_base_url_s_host_is_asked() -> None:
    for provider in (None, *CATALOGUE.providers.values()):
        hosts = {urlsplit(c.url).netloc for c in asked(provider, base_url=BASE)}
        assert hosts == {"relay.acme.dev"}


GATEWAYS = {
    "new-api": ("status.json", "models-unlimited.json", "token-unlimited.json", "subscription-unlimited.json"),
    "one-api": ("status.json", "models-unlimited.json", "subscription-unlimited.json"),
    "litellm": ("readiness.json", "models-accepted.json", "key-accepted.json"),
}


@pytest.mark.parametrize(("slug", "files"), GATEWAYS.items(), ids=GATEWAYS)
def test_a_gateway_is_recognised_and_asked_its_own_probes(slug: str, files: tuple[str, ...]) -> None:
    found, calls, findings = at_relay(relay(slug, *files))
    assert (found.gateway, found.identity) == (slug, "contradicted")
    own = {p.path.partition("?")[0] for p in CATALOGUE.gateways[slug].probes}
    assert own <= {urlsplit(c.url).path for c in calls}
    assert len([str(c) for c in calls]) == len({str(c) for c in calls})
    assert found.verdict in ("active", "restricted", "no_credit")
    keyless = [p.path for p in CATALOGUE.gateways[slug].probes if not p.sends_key]
    assert all(not c.auth for c in calls if urlsplit(c.url).path in keyless)
    assert len([f for f in findings if f["call"].endswith("/v1/models")]) == 1


@pytest.mark.parametrize("slug", GATEWAYS)
def test_a_refusal_alone_shows_the_software(slug: str) -> None:
    found, _calls, _findings = at_relay(relay(slug, "models-refused.json"))
    assert (found.gateway, found.verdict) == (slug, "invalid")


def test_a_relay_that_poses_as_openai_is_named() -> None:
    record = next(r for r in RECORDS if r.demo and r.base_url and r.slug in CATALOGUE.gateways)
    found, _calls, _findings = at_relay(relay(record.slug, record.file, "status.json"), record.base_url or BASE)
    assert (found.identity, found.gateway) == ("contradicted", record.slug)


def test_without_marks_a_relay_is_asked_no_more_and_stays_unproven() -> None:
    listing = answer(
        200, {"object": "list", "data": [{"id": "gpt-4", "owned_by": "openai"}]}, {"openai-version": "2020-10-01"}
    )
    found, calls, _findings = at_relay({"/v1/models": listing})
    # It answers the list without the key as well, so that nothing is believed of the key.
    assert (found.gateway, found.identity, found.verdict) == (None, "unproven", "unknown")
    assert len([c for c in calls if c.auth]) == 1
    assert found.path[0][1] == "not_tested"


def test_marks_are_looked_for_once() -> None:
    """Software that shows itself by turns as one and the other does not send the key round and round."""
    examination = Examination(CATALOGUE, OPENAI, BASE, TODAY)
    slugs = iter(["new-api", "one-api"] * 50)

    def turn(ask: Ask) -> Exchange:
        kind = "new_api_error" if next(slugs) == "new-api" else "one_api_error"
        return answer(401, {"error": {"type": kind, "message": "x"}}, call=str(ask.call))

    _findings, calls = run(examination, turn)
    assert len(calls) <= MAX_CALLS


def test_the_days_are_of_the_day_given() -> None:
    provider = with_probes(probe("cost", "GET /c?from={month_ago}&to={today}"))
    (ask,) = Examination(CATALOGUE, provider, "", dt.date(2027, 1, 1)).next()
    assert ask.call.url.endswith("/c?from=2026-12-02&to=2027-01-01")


def test_a_list_that_answers_without_the_key_proves_nothing_of_it() -> None:
    listed = {"object": "list", "data": [{"id": "m-1"}]}
    case = Examination(CATALOGUE, OPENAI, BASE, TODAY)
    findings = []
    while asks := case.next():
        for ask in asks:
            body = listed if ask.call.url.endswith("/v1/models") else {}
            findings += case.answer(ask, Exchange(str(ask.call), 200 if body else 404, {}, body))
    told = {f["call"]: f for f in latest(findings)}["GET https://relay.acme.dev/v1/models"]
    assert (told["verdict"], told["cause"], told["accepted"]) == ("unknown", "public_list", False)
