"""An exchange holds no key, whatever an echo makes of it, and no JSON that was made to hurt."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import random
import string
import time
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.exchange import (
    LONGEST_WAIT,
    MAX_DEPTH,
    MAX_TEXT,
    REDACTED,
    WINDOW,
    Exchange,
    Redactor,
    Traces,
    clip,
    parse_json,
)
from probes.secret import Secret

KEY = "sk-TestKeyFake+0aB1/cD2eF3gH4iJ5kL6mN7oP8=="


def exchange(raw: bytes | str, status: int = 200, headers: dict[str, str] | None = None, key: str = KEY) -> Exchange:
    data = raw.encode() if isinstance(raw, str) else raw
    return Exchange.of("GET https://api.acme.dev/v1/me", Secret(key), status, headers or {}, data, 1)


def everything(found: Exchange) -> str:
    return f"{found!r} {json.dumps(found.view, ensure_ascii=False)} {found.request_id}"


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)


ECHOES = {
    "plain": KEY,
    "in a sentence": f"Incorrect API key provided: {KEY}. You can",
    "with its scheme": f"Bearer {KEY}",
    "a piece": KEY[5:30],
    "the shortest piece that counts": KEY[-WINDOW:],
    "url-encoded": quote(KEY, safe=""),
    "hex": KEY.encode().hex(),
    "HEX": KEY.encode().hex().upper(),
    "md5": hashlib.md5(KEY.encode()).hexdigest(),
    "sha1": hashlib.sha1(KEY.encode()).hexdigest(),
    "sha256": hashlib.sha256(KEY.encode()).hexdigest(),
    **{f"base64 {n}": base64.b64encode(b"abc"[:n] + KEY.encode() + b"tail").decode() for n in range(3)},
    **{f"base64url {n}": base64.urlsafe_b64encode(b"abc"[:n] + KEY.encode() + b"t").decode() for n in range(3)},
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("place", ["text", "json", "nested", "name", "header", "header name"])
def test_no_echo_of_the_key_stays(echo: str, place: str) -> None:
    bodies: dict[str, str] = {
        "json": json.dumps({"error": {"message": echo}}),
        "nested": json.dumps({"a": [{"b": [[echo, {"c": echo * 2}]]}]}),
        "name": json.dumps({echo: 1, "other": {echo: echo}}),
    }
    headers = {"header": {"X-Key": echo}, "header name": {f"X-{echo}": "1"}}.get(place, {})
    found = exchange(bodies.get(place, f"<p>{echo}</p>" if place == "text" else "{}"), 401, headers)
    middle = echo[len(echo) // 2 - 6 :][:WINDOW]  # what is left of an encoding's ends are fewer than these
    assert middle.lower() not in everything(found).lower()
    assert echo.lower() not in everything(found).lower()


def test_an_echo_in_escapes_of_json_is_seen_through() -> None:
    found = exchange(f'{{"error": {{"message": "got {escaped(KEY)}, sorry"}}}}', 401)
    assert found.body == {"error": {"message": f"got {REDACTED}, sorry"}}
    assert KEY not in found.text


def test_what_is_no_key_stays_as_it_was() -> None:
    body = {"id": "org-1", "n": 1.5, "big": 12345678901234567890, "yes": True, "none": None, "list": [{}, [], "ü"]}
    found = exchange(json.dumps(body), headers={"X-Request-Id": "req_1"})
    assert (found.body, found.failure, found.request_id) == (body, "", "req_1")
    assert exchange(KEY[: WINDOW - 1], 401).text == KEY[: WINDOW - 1]


def test_the_rest_of_an_answer_that_echoes_stays_as_it_was() -> None:
    body = {"key": KEY, "n": 1.5, "yes": True, "none": None, "list": [1, {"a": "b"}]}
    assert exchange(json.dumps(body)).body == body | {"key": REDACTED}


@pytest.mark.parametrize("key", ["48271934", "4827193455551234"])
def test_a_key_of_digits_is_taken_out_of_numbers_too(key: str) -> None:
    found = exchange(f'{{"key": {key}, "created": 1712361441}}', key=key)
    assert found.body == {"key": REDACTED, "created": 1712361441}


@pytest.mark.parametrize("key", ['{"object":"list"}', '"id":"gpt-fake",', 'fake"key\\with"quotes'])
def test_a_key_that_looks_like_json_breaks_no_answer(key: str) -> None:
    found = exchange('{"object":"list","data":[{"id":"gpt-fake","echo":%s}]}' % json.dumps(key), key=key)  # noqa: UP031
    assert found.body["data"][0]["echo"] == REDACTED
    assert found.body["object"] == "list"


def test_every_piece_is_found_at_every_offset() -> None:
    redact = Redactor(Secret(KEY))
    for lead in range(15):
        for start in range(len(KEY) - WINDOW + 1):
            text = "." * lead + KEY[start : start + WINDOW] + "!" * 3
            assert redact(text) == "." * lead + REDACTED + "!!!"


def test_two_pieces_side_by_side_are_both_taken_out() -> None:
    piece = KEY[4 : 4 + WINDOW]
    assert Redactor(Secret(KEY))(f"{piece}{piece} {KEY}{piece}.").replace(REDACTED, "") == " ."


def test_without_a_key_nothing_is_taken_out() -> None:
    assert Redactor(None)(f"text {KEY}") == f"text {KEY}"
    assert Redactor(Secret(""))("text") == "text"


def test_the_longest_key_and_the_largest_answer_take_no_seconds() -> None:
    random.seed(1)
    key = "".join(random.choices(string.ascii_letters, k=4096))
    body = json.dumps([["x" * 30] * 50 for _ in range(1900)] + [key])
    started = time.process_time()
    assert exchange(body, key=key).body[-1] == REDACTED
    assert time.process_time() - started < 3


@pytest.mark.parametrize("size", [1, 300], ids=["one key", "many keys"])
def test_whatever_an_echo_makes_of_any_key_has_a_mark_by_which_it_is_found(size: int) -> None:
    """The quick look that nearly every text ends with may overlook nothing."""
    keys = [f"sk-TestKeyFake+{n:03d}aB1/cD2eF3gH4iJ5kL6mN7oP8{n:03d}==" for n in range(size)]
    redact = Redactor(*(Secret(key) for key in keys))
    for key in {keys[0], keys[-1]}:
        traces = Traces(key)
        assert len(traces._forms) > 15
        assert all(any(mark in form for mark in traces.marks) for form in traces._forms)
        for text in [*traces._forms, *(key[i : i + WINDOW] for i in range(len(key) - WINDOW + 1))]:
            assert redact(f"a {text} b") == f"a {REDACTED} b"


@settings(deadline=None)  # a loaded machine
@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=WINDOW, max_size=60),
    st.text(max_size=30),
    st.data(),
)
def test_no_window_of_any_key_stays_in_any_text(key: str, around: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(key) - WINDOW))
    end = data.draw(st.integers(start + WINDOW, len(key)))
    clean = Redactor(Secret(key))(f"{around}{key[start:end]}{around}{key}")
    assert not any(key[i : i + WINDOW] in clean for i in range(len(key) - WINDOW + 1)) or key in REDACTED


def test_a_redactor_that_is_kept_takes_out_its_keys_and_the_one_of_the_call() -> None:
    other = "zz-MadeUp-ZzYyXxWwVvUuTtSsRrQq"
    kept = Redactor(Secret(other))
    for secret in (None, Secret(KEY), Secret(other)):
        found = Exchange.of("GET x", secret, 401, {"x-a": other}, f"{other} {KEY}".encode(), 1, kept)
        assert other not in everything(found)
        assert (KEY in found.text) == (secret != Secret(KEY))


def test_with_a_kept_redactor_a_small_answer_costs_no_more_for_many_keys() -> None:
    kept = Redactor(*(Secret(f"sk-TestKeyFake-{n:04d}-aB1cD2eF3gH4iJ5kL6mN7oP8") for n in range(1000)))
    raw = json.dumps({"object": "list", "data": [{"id": f"model-{i}"} for i in range(20)]}).encode()
    started = time.process_time()
    for _ in range(200):
        Exchange.of("GET x", None, 200, {}, raw, 1, kept)
    assert time.process_time() - started < 2  # made anew each time it is 20


def test_a_host_that_answers_with_all_its_keys_costs_no_minutes() -> None:
    keys = [f"sk-TestKeyFake-{n:04d}-aB1cD2eF3gH4iJ5kL6mN7oP8" for n in range(400)]
    raw = json.dumps([keys, "x" * 1_500_000]).encode()
    started = time.process_time()
    found = Exchange.of("GET x", None, 200, {}, raw, 1, [Secret(key) for key in keys])
    assert time.process_time() - started < 5
    assert (found.failure, found.body, found.text, found.headers) == ("too_large", None, "", {})


# When to come back

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After-Ms": "250"}, 0.25),
        ({"Retry-After": "30", "retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "30", "retry-after-ms": "soon"}, 30),
        ({"Retry-After": "Tue, 24 Nov 2026 12:00:20 GMT"}, 20),
        ({"Retry-After": "Tue, 24 Nov 2026 11:00:00 GMT"}, None),
        ({"Retry-After": "Tue, 24 Nov 2093 11:00:00 GMT"}, None),
        ({"Retry-After": "31622401"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "1e3"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "9" * 500}, None),
        ({"Retry-After": "1, 2"}, None),
        ({"Retry-After": "Tue, 99 Nov 2026 12:00:20 GMT"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_the_time_to_come_back_is_read(
    headers: dict[str, str], seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", NOW.timestamp)
    assert exchange("{}", 429, headers).retry_after == seconds


@settings(deadline=None)
@given(st.text(), st.sampled_from(["Retry-After", "retry-after-ms"]))
def test_whatever_is_said_of_the_time_to_come_back_is_a_number_of_seconds_or_nothing(said: str, name: str) -> None:
    seconds = exchange("{}", 429, {name: said}).retry_after
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


@settings(deadline=None)
@given(st.floats(0, LONGEST_WAIT).map(lambda n: round(n, 3)))
def test_a_plain_number_of_seconds_is_itself(seconds: float) -> None:
    assert exchange("{}", 429, {"Retry-After": f"{seconds:.3f}"}).retry_after == pytest.approx(seconds)


@settings(deadline=None)
@given(st.integers(1, LONGEST_WAIT - 1))
def test_a_date_is_so_many_seconds_from_now(seconds: int) -> None:
    said = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds), usegmt=True)
    found = exchange("{}", 429, {"Retry-After": said}).retry_after
    assert found is None or abs(found - seconds) < 5


# JSON

BROKEN = {
    "NaN": '{"a": NaN}',
    "infinity": '{"a": Infinity}',
    "minus infinity": "[-Infinity]",
    "a float out of range": '{"a": 1e400}',
    "an integer of 5000 digits": f'{{"a": {"9" * 5000}}}',
    "deep lists": "[" * 100 + "]" * 100,
    "very deep lists": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"a":' * 2000 + "1" + "}" * 2000,
    "one too deep": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "a page": "<!doctype html><title>Sign in</title>",
    "cut off": '{"data": [{"id": "gp',
    "two values": "{} {}",
    "words": "OK",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_what_is_no_plain_json_is_no_answer(text: str) -> None:
    found = exchange(text)
    assert (found.body, found.failure, found.status) == (None, "not_json", 200)
    assert len(found.text) <= MAX_TEXT


def test_a_refusal_may_be_a_page() -> None:
    found = exchange(BROKEN["a page"], 403)
    assert (found.body, found.failure) == (None, "")
    assert "Sign in" in found.text


def test_an_empty_body_is_no_failure_and_no_json() -> None:
    assert (exchange(b"").body, exchange(b"").failure, exchange(b" \r\n").failure) == (None, "", "")


def test_json_as_deep_as_allowed_is_read() -> None:
    assert exchange("[" * MAX_DEPTH + "]" * MAX_DEPTH).failure == ""


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbf{}", b' {"a": "\xff"} ', b'{"a": "\\ud800"}', b'{"a": 1, "a": 2}'])
def test_odd_json_is_read_and_can_be_passed_on(raw: bytes) -> None:
    found = exchange(raw)
    assert isinstance(found.body, dict)
    json.dumps(found.body).encode()


def test_utf_16_is_no_json() -> None:
    assert exchange('{"a": 1}'.encode("utf-16")).failure == "not_json"


def test_a_text_is_cut_after_the_key_is_out() -> None:
    text = "x" * (MAX_TEXT - 8) + KEY
    found = exchange(text, 401)
    assert len(found.text) <= MAX_TEXT
    assert KEY[:6] not in found.text


def test_header_names_are_lower_case_and_values_bounded() -> None:
    found = exchange("{}", headers={"X-Request-ID": "r" * 5000})
    assert len(found.headers["x-request-id"]) == 1024
    assert len(found.request_id or "") == 200


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ({}, {"request-id": "req_a", "cf-ray": "ray"}, "req_a"),
        ({}, {"cf-ray": "ray"}, "ray"),
        ({"request_id": "from-body"}, {}, "from-body"),
        ({"request_id": 7}, {}, None),
        ([], {}, None),
        ({}, {"x-request-id": "a\x1b[31m\u202eb"}, "a [31m b"),
    ],
)
def test_the_request_id_is_found(body: Any, headers: dict[str, str], expected: str | None) -> None:
    assert exchange(json.dumps(body), headers=headers).request_id == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x00b\n", "a b"), ("\u202eevil", "evil"), ("x" * 500, "x" * 200), ("\ud800", ""), ("价格 ok", "价格 ok")],
)
def test_a_clipped_text_is_short_and_printable(text: str, shown: str) -> None:
    assert clip(text) == shown


def test_numbers_keep_their_worth() -> None:
    assert parse_json('{"a": 0.1, "b": 100000000000000000000, "c": -0.0}') == {"a": 0.1, "b": 10**20, "c": -0.0}
