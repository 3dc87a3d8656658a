"""What one answer says: which rule speaks, which values are read, and in which state."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import evidence, seed, terms
from probes.evidence import MAX_LIST, MAX_MODELS, instant, judge, plain, read, said
from probes.exchange import Exchange
from probes.terms import Probe, Reading, Rule
from tests.cases import CATALOGUE, OPENAI, answer

OK = Rule("active", status=(200,), when="body != null")


def probe(*metrics: Reading, rules: tuple[Rule, ...] = (OK,), **more: Any) -> Probe:
    return Probe("current_key", "GET /v1/me", rules, metrics=metrics, proves_key=True, **more)


def value(body: Any, kind: str = "", read_: str = "body.v", **more: Any) -> Any:
    """The value of one metric; None where nothing was read."""
    reading = Reading("owner_id", read_, type=kind, **more)
    (item,) = read(CATALOGUE, OPENAI, probe(reading), answer(200, body))["evidence"]
    assert (item["value"] is None) == (item["state"] == "not_exposed")
    return item["value"]


# Rules


def test_the_first_rule_that_matches_decides() -> None:
    rules = (Rule("invalid", when="body.a == `2`"), Rule("active", status=(200,), cause="x"), Rule("leaked", (200,)))
    assert judge(rules, answer(200, {"a": 1})) == evidence.Judgement("active", "x", matched=True, by_status=True)


@pytest.mark.parametrize(
    ("exchange", "cause"),
    [
        (answer(418, {}), "unrecognised_answer"),
        (answer(500, {}), "provider_error"),
        (answer(503, b"<html>"), "provider_error"),
        (answer(200, b"<html>"), "not_json"),
        (Exchange("GET x", failure="timeout"), "timeout"),
        (Exchange("GET x", 302, failure="redirected"), "redirected"),
    ],
)
def test_without_a_rule_the_verdict_is_unknown_with_a_named_cause(exchange: Exchange, cause: str) -> None:
    assert judge((Rule("active", when="body.ok"),), exchange) == evidence.Judgement("unknown", cause)


def test_no_rule_speaks_where_nothing_came() -> None:
    everything = (Rule("active", when="`true`"),)
    assert judge(everything, Exchange("GET x", failure="reset")).verdict == "unknown"


@pytest.mark.parametrize(
    "when", ["length(body.a) > `0`", "contains(body.a, 'x')", "sum(body.a) > `0`", "keys(body)[0]"]
)
@pytest.mark.parametrize("body", [None, 7, "text", [], {"a": None}, {"a": 7}, {"a": ["x", 1]}])
def test_a_rule_that_errors_on_an_answer_does_not_match(when: str, body: Any) -> None:
    judge((Rule("active", when=when),), answer(200, body))


def test_a_probe_own_rules_come_before_its_sender_and_the_shared_sets() -> None:
    own = Rule("leaked", (401,))
    rules = evidence.rules_of(CATALOGUE, OPENAI, probe(rules=(own,)))
    assert rules[0] == own
    assert rules[1:] == OPENAI.rules + CATALOGUE.shared.rule_sets["openai-errors"]


# Types


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ("text", "", "text"),
        (7, "", "7"),
        (1.5, "text", "1.5"),
        (True, "", True),
        (False, "boolean", False),
        ("true", "boolean", None),
        (1, "boolean", None),
        (True, "integer", None),
        (True, "decimal", None),
        (False, "time", None),
        ("", "", None),
        (None, "integer", None),
        (7, "integer", 7),
        ("7", "integer", 7),
        (7.9, "integer", 7),
        (0, "integer", 0),
        ("seven", "integer", None),
        ([], "integer", None),
        ({}, "decimal", None),
        (0.1, "decimal", "0.10"),
        ("12.345678", "decimal", "12.345678"),
        (0, "decimal", "0.00"),
        (-0.0, "decimal", "0.00"),
        (-0.0000001, "decimal", "0.00"),
        ("-3.5", "decimal", "-3.50"),
        ("NaN", "decimal", None),
        ("sNaN", "decimal", None),
        ("Infinity", "decimal", None),
        (10**19, "integer", None),
        (10**4000, "decimal", None),
        ("1e999999", "decimal", None),
        ("1e9999999999", "decimal", None),
        (["a", "b", "a", "", None], "list", ["a", "b"]),
        ("a", "list", ["a"]),
        (["a"], "", ["a"]),
        ([], "list", None),
        ([1, {"b": 2}], "list", ["1", "{'b': 2}"]),
        ("x" * 500, "", "x" * 200),
        ("a\u202eb\x00", "", "a b"),
    ],
)
def test_a_value_is_read_in_its_type_or_not_at_all(body: Any, kind: str, expected: Any) -> None:
    assert value({"v": body}, kind) == expected


def test_a_scale_and_a_minus_are_exact() -> None:
    assert value({"v": 1234, "w": 234}, "decimal", scale="0.01") == "12.34"
    assert value({"v": 1234, "w": 234}, "decimal", scale="0.01", minus="body.w") == "10.00"
    assert value({"v": 0.3, "w": 0.1}, "decimal", minus="body.w") == "0.20"
    assert value({"v": 1, "w": 1}, "decimal", minus="body.w") == "0.00"
    assert value({"v": 1, "w": 3}, "integer", minus="body.w") == -2


@pytest.mark.parametrize("other", [None, "x", [], "NaN"])
def test_a_minus_that_cannot_be_read_gives_no_value(other: Any) -> None:
    assert value({"v": 1, "w": other}, "decimal", minus="body.w") is None


def test_numbers_made_to_overflow_raise_nothing() -> None:
    assert value({"v": "9e999999", "w": "-9e999999"}, "decimal", minus="body.w") is None
    assert value({"v": "9e999999"}, "decimal", scale="1000") is None
    assert value({"v": "1e-999999"}, "decimal", scale="0.001") in (None, "0.00")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("0", "0.00"), ("-0", "0.00"), ("-0.0000004", "0.00"), ("0.0000006", "0.000001"), ("5", "5.00"),
        ("5.5", "5.50"), ("5.123456789", "5.123457"), ("-1.10", "-1.10"), ("1e3", "1000.00"),
        ("1E18", "1" + "0" * 18 + ".00"),
    ],
)  # fmt: skip
def test_a_decimal_is_written_as_people_write_it(number: str, shown: str) -> None:
    assert plain(Decimal(number)) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (1700000000, "2023-11-14T22:13:20+00:00"),
        (1700000000000, "2023-11-14T22:13:20+00:00"),
        (1700000000.5, "2023-11-14T22:13:20.500000+00:00"),
        ("1700000000", "2023-11-14T22:13:20+00:00"),
        ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00+00:00"),
        ("2026-11-24T10:00:00+02:00", "2026-11-24T08:00:00+00:00"),
        ("2026-11-24T10:00:00.123456", "2026-11-24T10:00:00.123456+00:00"),
        ("2026-11-24", "2026-11-24T00:00:00+00:00"),
        (0, None),
        (-1, None),
        ("0", None),
        ("never", None),
        ("9" * 400, None),
        (1e300, None),
        ("0001-01-01T00:00:00+05:00", None),
        ("²", None),
        ([], None),
    ],
)
def test_a_time_is_iso_8601_in_utc(given: Any, shown: str | None) -> None:
    assert value({"v": given}, "time") == shown


def test_a_time_of_its_own_is_read_as_one() -> None:
    assert instant("2026-11-24T10:00:00Z") == "2026-11-24T10:00:00+00:00"


# Units


def test_a_unit_is_the_reading_s_the_answer_s_or_the_metric_s() -> None:
    def unit(name: str, body: Any, **more: str) -> Any:
        metric = Reading(name, "body.v", type="decimal", **more)
        return read(CATALOGUE, OPENAI, probe(metric), answer(200, body))["evidence"][0]["unit"]

    assert unit("balance_total", {"v": 1}, unit="USD") == "USD"
    assert unit("balance_total", {"v": 1, "c": "CNY"}, unit_read="body.c") == "CNY"
    assert unit("balance_total", {"v": 1, "c": 7}, unit_read="body.c") is None
    assert unit("balance_total", {"v": 1, "c": "x" * 99}, unit_read="body.c") == "x" * 16
    assert unit("balance_total", {"v": 1}) is None
    assert unit("tokens_limit", {"v": 1}) == "tokens"
    assert unit("owner_id", {"v": 1}) is None


# States


def states(exchange: Exchange, *rules: Rule) -> dict[str, str]:
    metrics = (Reading("key_valid"), Reading("owner_id", "body.id"), Reading("plan", "body.plan"))
    found = read(CATALOGUE, OPENAI, probe(*metrics, rules=rules or (OK,)), exchange)
    return {e["metric"]: e["state"] for e in found["evidence"]}


def test_what_was_read_is_confirmed_and_what_the_answer_leaves_out_is_not_exposed() -> None:
    assert states(answer(200, {"id": "me"})) == {
        "key_valid": "confirmed",
        "owner_id": "confirmed",
        "plan": "not_exposed",
    }


def test_what_a_live_key_may_not_see_is_invisible() -> None:
    found = states(answer(403, {}), Rule("restricted", (403,)))
    assert found == {"key_valid": "confirmed", "owner_id": "invisible", "plan": "invisible"}


def test_a_refused_key_says_only_that() -> None:
    assert states(answer(401, {"id": "me"}), Rule("invalid", (401,))) == {"key_valid": "confirmed"}


def test_a_refusal_within_a_good_status_gives_no_values() -> None:
    assert states(answer(200, {"id": "me"}), Rule("invalid", (200,))) == {"key_valid": "confirmed"}


@pytest.mark.parametrize("exchange", [answer(418, {"id": "x"}), answer(500), Exchange("GET x", failure="timeout")])
def test_an_answer_that_no_rule_knows_says_nothing(exchange: Exchange) -> None:
    assert states(exchange) == {}


def test_a_rate_limit_says_nothing_of_the_account() -> None:
    assert states(answer(429, {}), Rule("rate_limited", (429,))) == {"key_valid": "confirmed"}


def test_a_long_list_is_cut_and_said_to_be_part() -> None:
    metric = Reading("token_scopes", "body.s", type="list")
    (item,) = read(CATALOGUE, OPENAI, probe(metric), answer(200, {"s": [f"s{i}" for i in range(900)]}))["evidence"]
    assert (len(item["value"]), item["state"]) == (MAX_LIST, "partial")


@pytest.mark.parametrize(
    ("word", "expected"),
    [("active", True), ("restricted", True), ("no_credit", True), ("invalid", False), ("leaked", False)],
)
def test_key_valid_follows_the_verdict(word: str, expected: bool) -> None:
    found = read(CATALOGUE, OPENAI, probe(Reading("key_valid"), rules=(Rule(word, (403,)),)), answer(403, {}))
    assert found["evidence"] == [
        {"metric": "key_valid", "value": expected, "unit": "yes/no", "state": "confirmed", "read_from": "status 403"}
    ]


# Accepted


@pytest.mark.parametrize(
    ("word", "status", "accepted"),
    [
        ("active", 200, True), ("restricted", 403, True), ("no_credit", 429, True), ("rate_limited", 429, True),
        ("suspended", 200, True), ("suspended", 403, False), ("leaked", 403, False), ("revoked", 200, True),
        ("invalid", 200, False), ("invalid", 401, False), ("region_blocked", 403, False), ("unknown", 200, False),
    ],
)  # fmt: skip
def test_a_proving_probe_accepts_by_its_verdict(word: str, status: int, accepted: bool) -> None:
    found = read(CATALOGUE, OPENAI, probe(rules=(Rule(word, (status,), "body != null"),)), answer(status, {}))
    assert found["accepted"] is accepted


@pytest.mark.parametrize(("word", "status"), [("active", 200), ("rate_limited", 429), ("no_credit", 402)])
def test_a_status_alone_accepts_nothing(word: str, status: int) -> None:
    """Whatever stands before a provider, a cache or a firewall, says 402 and 429 to anyone."""
    found = read(CATALOGUE, OPENAI, probe(rules=(Rule(word, (status,)),)), answer(status, {}))
    assert (found["verdict"], found["accepted"]) == (word, False)


def test_a_probe_that_proves_nothing_accepts_nothing() -> None:
    public = Probe("models", "GET /v1/models", (OK,), sends_key=False, public=True)
    assert read(CATALOGUE, OPENAI, public, answer(200, {}))["accepted"] is False


# Models, and what the sender says itself


def test_model_ids_are_read_once_each_and_bounded() -> None:
    listing = probe(models="body.data[].id")
    ids = ["a", "models/b", "a", 7, None, "", {"id": 1}, "x" * 500]
    found = read(CATALOGUE, OPENAI, listing, answer(200, {"data": [{"id": i} for i in ids]}))
    assert found["models"] == ["a", "b", "x" * 200]
    many = read(CATALOGUE, OPENAI, listing, answer(200, {"data": [{"id": str(i)} for i in range(9000)]}))
    assert len(many["models"]) == MAX_MODELS


@pytest.mark.parametrize(
    "exchange", [answer(200, {"data": "no"}), answer(401, {"data": [{"id": "a"}]}), answer(200, [])]
)
def test_without_a_list_there_are_no_models(exchange: Exchange) -> None:
    assert read(CATALOGUE, OPENAI, probe(models="body.data"), exchange)["models"] is None


@pytest.mark.parametrize(
    ("exchange", "code", "message"),
    [
        (answer(401, {"error": {"code": "c", "type": "t", "message": "m"}}), "c", "m"),
        (answer(401, {"error": {"code": None, "type": "t", "message": "m"}}), "t", "m"),
        (answer(400, {"error": {"code": 400, "status": "S", "message": "m"}}), "400", "m"),
        (answer(401, {"error": "words"}), None, "words"),
        (answer(401, {"detail": {"status": "s", "message": "m"}}), "s", "m"),
        (answer(200, {"base_resp": {"status_code": 1004, "status_msg": "m"}}), "1004", "m"),
        (answer(403, b"<html>\n<b>no</b>"), None, "<html> <b>no</b>"),
        (answer(200, b"<html>"), None, None),
        (answer(401, {"error": {"message": "m" * 900, "code": "c" * 900}}), "c" * 64, "m" * 200),
        (answer(401, {"error": {"message": {"a": 1}, "code": True}}), None, None),
        (answer(401, []), None, None),
        (answer(401), None, None),
        (Exchange("GET x", failure="timeout"), None, None),
    ],
)
def test_the_sender_s_own_words_are_kept_short(exchange: Exchange, code: str | None, message: str | None) -> None:
    assert said(exchange) == (code, message)


@pytest.mark.parametrize("body", [None, 1, "x", [], {}, {"data": 1}, {"error": []}, [[[]]], {"v": {"v": {"v": 1}}}])
@pytest.mark.parametrize("status", [200, 204, 301, 401, 404, 429, 500, 599, 999])
def test_no_answer_stops_any_probe_of_the_catalogue(status: int, body: Any) -> None:
    senders: list[seed.Sender] = [*CATALOGUE.providers.values(), *CATALOGUE.gateways.values()]
    for sender in senders:
        for one in sender.probes:
            found = read(CATALOGUE, sender, one, answer(status, body))
            assert found["verdict"] in seed.VERDICTS
            assert not found["accepted"] or isinstance(body, dict | list)


# Paths are walked without JMESPath, as JMESPath would

NAMES = st.sampled_from(["a", "b", "x-y", "headers", "body"])
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(st.lists(NAMES, min_size=1, max_size=4), TREES)
def test_a_path_reads_what_jmespath_reads(names: list[str], answer: Any) -> None:
    text = ".".join(name if name.isalnum() else f'"{name}"' for name in names)
    assert terms.evaluate(text, answer) == jmespath.search(text, answer)
