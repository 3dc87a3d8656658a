"""Answers made to hurt, from the socket to the finding: each ends in a named state, and none holds the key."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import itertools
import json
import socket
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client as Browser

from probes import evidence, seed, verdict, worker
from probes.client import Call, Client
from probes.exchange import REDACTED, WINDOW
from probes.secret import Secret
from probes.verdict import Case
from tests.servers import Heard, Script, always, answers, listen, response, serving

KEY = "sk-TestKeyFake-0aB1cD2eF3gH4iJ5kL6mN7oP8qR9"
SECONDS = 0.6
CATALOGUE = seed.read_catalogue()
OPENAI = CATALOGUE.providers["openai"]
MODELS = next(p for p in OPENAI.probes if p.name == "models")


def holds_key(text: str) -> bool:
    """Whether any twelve characters in a row of the key are there, in large or small letters."""
    low = text.lower()
    return any(KEY[i : i + WINDOW].lower() in low for i in range(len(KEY) - WINDOW + 1))


def finding_of(script: Script) -> tuple[dict[str, Any], str]:
    """What is found of the model list that a server answers so, and everything that is kept of it."""
    with serving(script) as heard:
        origin = f"http://127.0.0.1:{heard.port}"
        call = Call("GET", f"{origin}/v1/models", auth="bearer")
        exchange = Client(private=(origin,)).send(call, Secret(KEY), SECONDS)
    found = evidence.read(CATALOGUE, OPENAI, MODELS, exchange)
    found["marks"] = evidence.all_marks(CATALOGUE, exchange)
    concluded = verdict.conclude(Case(CATALOGUE, OPENAI, origin, False, [found]))
    return found, f"{exchange!r} {json.dumps(found, allow_nan=False)} {concluded!r}"


def listed(*ids: Any) -> bytes:
    return json.dumps({"object": "list", "data": [{"id": i, "object": "model"} for i in ids]}).encode()


def packed(body: bytes, coding: str = "gzip") -> bytes:
    return response(gzip.compress(body), Content_Encoding=coding)


def drip(first: bytes, then: bytes, pause: float = 0.05) -> Script:
    def script(connection: Any, heard: Heard) -> None:
        listen(connection, heard)
        connection.sendall(first)
        while not heard.stop.wait(pause):
            connection.sendall(then)

    return script


def ending(said: bytes) -> Script:
    """Say so much, then reset the connection."""

    def script(connection: Any, heard: Heard) -> None:
        listen(connection, heard)
        connection.sendall(said)
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


@dataclass
class Bad:
    """script: what the server does, or just says. The cause is one of these; the verdict follows from the rules."""

    script: Script | bytes
    causes: str
    verdict: str = "unknown"


HEAD = b"HTTP/1.1 200 OK\r\n"
GOOD = listed("gpt-4o-mini")
HALF_GOOD = response(GOOD)[:-20]
ZEROS = gzip.compress(bytes(200 * 2**20), 9)
DEEP = b"[" * 100_000 + b"]" * 100_000

WIRE = {
    "closes at once": Bad(lambda c, h: None, "reset"),
    "closes after the request": Bad(b"", "reset"),
    "closes in the status line": Bad(b"HTTP/1.1 20", "reset bad_http unrecognised_answer"),
    "closes in a header": Bad(HEAD + b"X-A", "reset bad_http unrecognised_answer"),
    "closes in the body": Bad(HALF_GOOD, "reset"),
    "closes in a chunk": Bad(HEAD + b"Transfer-Encoding: chunked\r\n\r\n50\r\n{", "reset bad_http"),
    "resets after the request": Bad(ending(b""), "reset"),
    "resets in a header": Bad(ending(HEAD + b"X-A: b"), "reset bad_http"),
    "resets in the body": Bad(ending(HALF_GOOD), "reset"),
    "never answers": Bad(drip(b"", b""), "timeout"),
    "a byte of the status now and then": Bad(drip(b"", b"H"), "timeout"),
    "a byte of the body now and then": Bad(drip(HEAD + b"\r\n", b" "), "timeout"),
    "a header now and then": Bad(drip(HEAD, b"X-A: b\r\n"), "timeout"),
    "a chunk now and then": Bad(drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), "timeout"),
    "an endless body": Bad(drip(HEAD + b"\r\n", b" " * 65536, 0), "too_large timeout"),
    "endless headers": Bad(drip(HEAD, b"X-A: " + b"b" * 5000 + b"\r\n", 0), "bad_http"),
    "an endless status line": Bad(drip(b"HTTP/1.1 200 ", b"O" * 5000, 0), "bad_http"),
    "5,000 headers": Bad(response(GOOD, **{f"X_{i}": "a" for i in range(5000)}), "bad_http"),
    "a header of 200 KB": Bad(response(GOOD, X_A="a" * 200_000), "bad_http"),
    "a flood of 103": Bad(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000 + response(GOOD), "bad_http"),
    "an unasked 101": Bad(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "bad_http"),
    "HTTP/0.9": Bad(GOOD, "bad_http"),
    "HTTP/2 in clear": Bad(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18), "bad_http"),
    "TLS on a plain line": Bad(b"\x15\x03\x01\x00\x02\x02\x0a", "bad_http"),
    "another protocol": Bad(b"220 mail.acme.dev ESMTP\r\n", "bad_http"),
    "a status that is no number": Bad(b"HTTP/1.1 two OK\r\n\r\n", "bad_http"),
    "a status of four digits": Bad(b"HTTP/1.1 2000 OK\r\n\r\n", "bad_http"),
    "both lengths at once": Bad(response(GOOD, Transfer_Encoding="chunked"), "reset bad_http not_json"),
    "a length that is no number": Bad(HEAD + b"Content-Length: x\r\n\r\n" + b"{", "not_json bad_http"),
    "a negative length": Bad(HEAD + b"Content-Length: -5\r\n\r\n{", "not_json bad_http"),
    "a chunk of no length": Bad(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "bad_http reset"),
    "a chunk of an endless length": Bad(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 70_000, "bad_http reset timeout"
    ),
    "a bomb": Bad(response(ZEROS, Content_Encoding="gzip"), "too_large"),
    "a bomb in a bomb": Bad(response(gzip.compress(ZEROS), Content_Encoding="gzip, gzip"), "too_large"),
    "a hundred codings": Bad(response(GOOD, Content_Encoding=", ".join(["gzip"] * 100)), "bad_http"),
    "deflate that is none": Bad(response(b"\x00garbage", Content_Encoding="deflate"), "bad_http"),
    "gzip that is none": Bad(response(GOOD, Content_Encoding="gzip"), "bad_http"),
    "gzip cut off": Bad(response(gzip.compress(GOOD)[:-12], Content_Encoding="gzip"), "not_json reset bad_http"),
    "gzip that nobody named": Bad(response(gzip.compress(GOOD)), "not_json"),
    "an unknown coding": Bad(response(zlib.compress(GOOD), Content_Encoding="br2"), "not_json"),
}

STATUS = {
    f"an empty {status}": Bad(response(b"", f"{status} X"), cause)
    for status, cause in (
        ("200", "unrecognised_answer"),
        ("204", "unrecognised_answer"),
        ("206", "unrecognised_answer"),
        ("299", "unrecognised_answer"),
        ("400", "unrecognised_answer"),
        ("418", "unrecognised_answer"),
        ("499", "unrecognised_answer"),
        ("500", "provider_error"),
        ("599", "provider_error"),
        ("999", "provider_error"),
    )
} | {
    f"a {status} to elsewhere": Bad(response(b"", f"{status} X", Location="https://x.dev/"), "redirected")
    for status in (300, 301, 302, 303, 304, 305, 307, 308, 399)
}

PAGE = b"<!doctype html><title>Just a moment...</title><form id=challenge-form>"
BODY = {
    "a page": Bad(response(PAGE, Content_Type="text/html"), "not_json"),
    "a page that calls itself JSON": Bad(response(PAGE, Content_Type="application/json"), "not_json"),
    "a captcha behind a 403": Bad(response(PAGE, "403 Forbidden", Content_Type="text/html"), "unrecognised_answer"),
    "a string": Bad(response(b'"ok"'), "unrecognised_answer"),
    "a number": Bad(response(b"1"), "unrecognised_answer"),
    "null": Bad(response(b"null"), "unrecognised_answer"),
    "true": Bad(response(b"true"), "unrecognised_answer"),
    "a list": Bad(response(b"[]"), "unrecognised_answer"),
    "an empty object": Bad(response(b"{}"), "unrecognised_answer"),
    "data that is no list": Bad(response(b'{"object": "list", "data": {"id": "a"}}'), "unrecognised_answer"),
    "data that is a string": Bad(response(b'{"object": "list", "data": "gpt-4o"}'), "unrecognised_answer"),
    "an object that is no word": Bad(response(b'{"object": ["list"], "data": []}'), "unrecognised_answer"),
    "cut off": Bad(response(GOOD[:-20]), "not_json"),
    "two answers": Bad(response(GOOD + GOOD), "not_json"),
    "events": Bad(response(b"data: " + GOOD + b"\n\n", Content_Type="text/event-stream"), "not_json"),
    "100,000 levels": Bad(response(DEEP), "not_json"),
    "100,000 levels of objects": Bad(packed(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "not_json"),
    "NaN": Bad(response(b'{"object": "list", "data": [NaN]}'), "not_json"),
    "infinity": Bad(response(b'{"object": "list", "data": [-Infinity]}'), "not_json"),
    "1e400": Bad(response(b'{"object": "list", "data": [1e400]}'), "not_json"),
    "a number of 5,000 digits": Bad(response(b'{"object": "list", "data": [%s]}' % (b"9" * 5000)), "not_json"),
    "UTF-16": Bad(response(GOOD.decode().encode("utf-16")), "not_json"),
    "UTF-32": Bad(response(GOOD.decode().encode("utf-32")), "not_json"),
    "a NUL before it": Bad(response(b"\x00" + GOOD), "not_json"),
    "100,000 ids": Bad(packed(listed(*range(100_000)).replace(b', "object": "model"', b"")), "too_large"),
    "an error that is a list": Bad(response(b'{"error": [1, 2]}', "401 X"), "*", "*"),
    "an error that is a number": Bad(response(b'{"error": 7}', "401 X"), "*", "*"),
    "an error whose message is an object": Bad(response(b'{"error": {"message": {"a": 1}}}', "401 X"), "*", "*"),
    "an error whose code is a list": Bad(response(b'{"error": {"code": []}}', "401 X"), "*", "*"),
    "a message of 1 MB": Bad(packed(json.dumps({"error": {"message": "m" * 10**6}}).encode()), "unrecognised_answer"),
}

# A whole list is a whole list, whatever stands in it: the key was accepted, and nothing of it reaches a page raw.
LISTS = {
    "a mark of byte order": Bad(response(b"\xef\xbb\xbf" + GOOD), "None", "active"),
    "the same name twice": Bad(response(b'{"data": 1, ' + GOOD[1:]), "None", "active"),
    "half a letter": Bad(response(listed("\ud800")), "None", "active"),
    "bytes that are no UTF-8": Bad(response(GOOD.replace(b"gpt", b"\xff\xfe")), "None", "active"),
    "no models": Bad(response(listed()), "None", "active"),
    "models without an id": Bad(response(b'{"object": "list", "data": [{}, {"name": "a"}]}'), "None", "active"),
    "models that are no objects": Bad(response(b'{"object": "list", "data": [1, null, "a", [2]]}'), "None", "active"),
    "ids that are numbers": Bad(response(listed(1, 2.5, None, True, [], {})), "None", "active"),
    "ids with markup": Bad(response(listed("<script>alert(1)</script>", "</bdi><img src=x>")), "None", "active"),
    "ids that are formulas": Bad(response(listed("=1+1", "+cmd|' /C calc'!A0", "@SUM(1)", "-2")), "None", "active"),
    "ids with bidi marks": Bad(response(listed("\u202egpt", "a\u2066b\u2069", "\u200fx")), "None", "active"),
    "ids with control characters": Bad(response(listed("a\x00b", "\x1b[31mred\x1b[0m", "a\r\nb")), "None", "active"),
    "an id of 1 MB": Bad(packed(listed("x" * 10**6)), "None", "active"),
    "20,000 ids": Bad(packed(listed(*(f"model-{i}" for i in range(20_000)))), "None", "active"),
    "templates": Bad(response(listed("{{ 7*7 }}", "{% load x %}", "${7*7}", "%(name)s")), "None", "active"),
}


@pytest.mark.parametrize("bad", (cases := WIRE | STATUS | BODY | LISTS).values(), ids=cases)
def test_a_bad_answer_ends_in_a_named_state(bad: Bad) -> None:
    started = time.monotonic()
    found, kept = finding_of(answers(bad.script) if isinstance(bad.script, bytes) else bad.script)
    assert time.monotonic() - started < 5
    assert bad.verdict in ("*", found["verdict"])
    assert bad.causes == "*" or str(found["cause"]) in bad.causes.split()
    assert found["accepted"] == (found["verdict"] == "active")
    assert len(json.dumps(found)) < 200_000
    assert not holds_key(kept)
    for text in (found["code"], found["message"], *(found["models"] or ())):
        assert text is None or (len(text) <= 200 and text.isprintable())


# The key comes back

RAW = KEY.encode()
ECHOES = {
    "plain": KEY,
    "with its scheme": f"Bearer {KEY}",
    "as a curl command": f"curl -H 'Authorization: Bearer {KEY}' https://x.dev",
    "masked late": KEY[:30] + "****",
    "small letters": KEY.lower()[:11] + "…",
    "in two halves": f"{KEY[:20]}\n{KEY[20:]}",
    "its halves turned round": KEY[20:] + KEY[:20],
    "URL-encoded": quote(f"{KEY}/", safe=""),
    "every byte URL-encoded": "".join(f"%{b:02X}" for b in RAW),
    "HTML-escaped": html.escape(f"<{KEY}>"),
    "in HTML's numbers": "".join(f"&#{b};" for b in RAW),
    "in HTML's hexadecimal numbers": "".join(f"&#x{b:x};" for b in RAW),
    "in JSON's escapes": "".join(f"\\u{b:04x}" for b in RAW),
    "hex": RAW.hex(),
    "HEX": RAW.hex().upper(),
    **{f"base64 behind {n} letters": base64.b64encode(b"abc"[:n] + RAW).decode() for n in range(3)},
    **{f"base64 of a header, {n}": base64.urlsafe_b64encode(b"Bearer "[n:] + RAW + b"\n").decode() for n in range(3)},
    **{name: hashlib.new(name, RAW).hexdigest() for name in ("md5", "sha1", "sha256")},
}
PLACES: dict[str, Callable[[str], bytes]] = {
    "in the message": lambda e: response(json.dumps({"error": {"message": f"bad {e} key"}}).encode(), "401 X"),
    "in the code": lambda e: response(json.dumps({"error": {"code": e, "type": e}}).encode(), "401 X"),
    "in text": lambda e: response(f"Unauthorized: {e}".encode(), "401 X"),
    "in a page": lambda e: response(f"<p>{e}</p>".encode()),
    "in a header": lambda e: response(GOOD, X_Echo=e.replace("\n", " ")),
    "as the request id": lambda e: response(GOOD, X_Request_Id=e.replace("\n", " ")),
    "as a request id in the body": lambda e: response(json.dumps({"request_id": e}).encode()),
    "as a model": lambda e: response(listed("gpt-4o-mini", e, f"ft:{e}")),
    "as a name": lambda e: response(json.dumps({"object": "list", "data": [], e: {e: [e]}}).encode()),
    "as the owner": lambda e: response(json.dumps({"object": "list", "data": [{"id": "a", "owned_by": e}]}).encode()),
    "in the reason": lambda e: response(GOOD, "401 " + e.replace("\n", " ")),
    "in escapes of JSON": lambda e: response(
        b'{"error": {"message": "%s"}}' % "".join(f"\\u{ord(c):04x}" for c in e).encode(), "401 X"
    ),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_key_that_comes_back_is_not_kept_however_it_is_written(place: Callable[[str], bytes]) -> None:
    for name, echo in ECHOES.items():
        _found, kept = finding_of(answers(place(echo)))
        assert not holds_key(kept), name
        middle = echo[len(echo) // 2 - 8 : len(echo) // 2 + 8]
        assert middle.lower() not in kept.lower() or "…" in echo, name


@pytest.mark.parametrize("name", [f"X-{KEY}", f"X-{RAW.hex()}", f"{KEY[:20]}-{KEY[20:]}"])
def test_a_key_as_a_header_s_name_is_not_kept(name: str) -> None:
    assert not holds_key(finding_of(answers(response(GOOD, **{name: "1"})))[1])


@pytest.mark.parametrize("split", range(WINDOW, len(KEY) - WINDOW + 1, 3))
def test_a_key_in_two_fields_is_not_kept(split: int) -> None:
    body = json.dumps({"error": {"code": KEY[:split], "message": KEY[split:]}}).encode()
    found, kept = finding_of(answers(response(body, "401 X")))
    assert not holds_key(kept)
    assert REDACTED in found["code"] + found["message"]


# Through form, queue and page


def relay(body: bytes) -> Script:
    """A relay of the usual kind: this list for a key, 401 without one, nothing else there."""

    def script(connection: Any, heard: Heard) -> None:
        while said := listen(connection, heard):
            if not said.startswith(b"GET /v1/models "):
                connection.sendall(response(b"", "404 Not Found"))
            elif b"\r\nAuthorization: " in said:
                connection.sendall(response(body))
            else:
                connection.sendall(response(b'{"error": {"code": "invalid_api_key"}}', "401 Unauthorized"))

    return script


def by_turns(*scripts: Script) -> Script:
    """Another script for each connection."""
    turns = itertools.cycle(scripts)
    return lambda connection, heard: next(turns)(connection, heard)


WHOLE = {
    "markup": relay(listed("<script>alert(1)</script>", "\"onload='x", "</bdi><hr>")),
    "formulas and bidi": relay(listed("=1+1", "\u202egpt", "a\x00b", "\x1b[31m")),
    "the key as a model": relay(listed(KEY, RAW.hex(), KEY[:20], base64.b64encode(RAW).decode())),
    "a list that answers anyone, with the key": always(response(listed("gpt-4o", KEY), X_Request_Id=KEY)),
    "deep": always(response(DEEP)),
    "a bomb": always(response(ZEROS, Content_Encoding="gzip")),
    "a page": always(response(PAGE + RAW, Content_Type="text/html")),
    "a redirect with the key": always(response(b"", "302 Found", Location=f"https://x.dev/?key={KEY}")),
    "another each time": by_turns(*(answers(bad.script) for bad in WIRE.values() if isinstance(bad.script, bytes))),
}


@pytest.mark.django_db
@pytest.mark.parametrize("script", WHOLE.values(), ids=WHOLE)
def test_a_bad_relay_ends_in_a_page_without_the_key(
    script: Script, settings: Any, client: Browser, check: Callable[..., tuple[str, dict[str, Any]]]
) -> None:
    with serving(script) as heard:
        settings.PRIVATE_GATEWAYS = [f"http://127.0.0.1:{heard.port}"]
        address, result = check(KEY, base_url=f"http://127.0.0.1:{heard.port}/v1")
        page = client.get(address).content.decode()
    (row,) = result["detections"]
    assert result["check"]["state"] == "done"
    assert row["verdict"] in ("unknown", "active")
    assert row["verdict"] == "active" or row["cause"]
    assert not holds_key(page + json.dumps(result))
    assert not any(raw in page for raw in ("<script>alert", "\"onload='x", "</bdi><hr>", "\u202e", "\x00", "\x1b"))


@pytest.mark.django_db
def test_a_hostile_host_disturbs_no_neighbour(
    settings: Any, client: Browser, queued: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay that does something worse on each connection, with ten keys, submitted before twenty good ones."""
    monkeypatch.setattr(worker, "DEADLINE", 2.0)
    hostile = by_turns(*(answers(b.script) if isinstance(b.script, bytes) else b.script for b in WIRE.values()))
    with serving(hostile) as bad, serving(relay(listed("gpt-4o-mini"))) as good:
        origins = [f"http://127.0.0.1:{server.port}" for server in (bad, good)]
        settings.PRIVATE_GATEWAYS = origins
        places = []
        for origin, count in zip(origins, (10, 20), strict=True):
            keys = "\n".join(f"sk-TestKeyFake-{origin[-5:]}-aB1cD2eF3gH4iJ5kL{n:03d}" for n in range(count))
            places.append(client.post("/checks/", {"keys": keys, "base_url": f"{origin}/v1"})["Location"])
            assert client.post(f"{places[-1]}start/").status_code == 303
        started = time.monotonic()
        while queued:
            queued.pop(0)()
        assert time.monotonic() - started < 60
    first, second = (client.get(place.rstrip("/") + ".json").json() for place in places)
    assert [row["verdict"] for row in second["detections"]] == ["active"] * 20
    assert (first["check"]["state"], len(first["detections"])) == ("done", 10)
    assert all(row["verdict"] == "unknown" and row["cause"] for row in first["detections"])
