"""One call against real servers on loopback: bounded in time and size, guarded, and silent about the key."""

from __future__ import annotations

import base64
import gc
import gzip
import http.client
import json
import logging
import os
import socket
import ssl
import struct
import threading
import time
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from probes import client as client_module
from probes import guard
from probes.client import FAILURES, MAX_WIRE, Call, Client, resolve
from probes.exchange import REDACTED, Exchange
from probes.secret import Secret
from tests.servers import Heard, Script, always, answers, certificate, listen, response, serving

KEY = "sk-TestKeyFake-0aB1cD2eF3gH4iJ5kL6mN7oP8"
SECONDS = 0.25
SLACK = 2.0  # a loaded machine
NAME = "api.acme.dev"


def ask(script: Script, seconds: float = SECONDS, method: str = "GET", key: str = KEY) -> tuple[Exchange, Heard, float]:
    """One call to a server that follows the script; what came, what it heard, how long it took."""
    with serving(script) as heard:
        origin = f"http://127.0.0.1:{heard.port}"
        started = time.monotonic()
        found = Client(private=(origin,)).send(Call(method, f"{origin}/v1/me", auth="bearer"), Secret(key), seconds)
        return found, heard, time.monotonic() - started


def says(whole: bytes, seconds: float = 5.0, **kwargs: Any) -> Exchange:
    return ask(answers(whole), seconds, **kwargs)[0]


# Time


def hang(connection: Any, heard: Heard) -> None:
    listen(connection, heard)
    heard.stop.wait(5)


def drip(first: bytes, then: bytes, pause: float = 0.05) -> Script:
    def script(connection: Any, heard: Heard) -> None:
        listen(connection, heard)
        connection.sendall(first)
        while not heard.stop.wait(pause):
            connection.sendall(then)

    return script


SLOW = {
    "never answers": hang,
    "never reads": lambda connection, heard: heard.stop.wait(5),
    "drips a header byte by byte": drip(b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
    "drips the status line": drip(b"", b"H"),
    "drips headers": drip(b"HTTP/1.1 200 OK\r\n", b"X-A: a\r\n"),
    "drips a body of a known length": drip(
        response(b"")[:-4].replace(b"Length: 0", b"Length: 9999") + b"\r\n\r\n", b"1"
    ),
    "drips a body of no length": drip(b"HTTP/1.1 200 OK\r\n\r\n", b"1"),
    "drips chunks": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n1\r\n"),
    "drips gzip": drip(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}")[:10], b"\x00"),
    "sends 100 Continue for ever": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
    "stops in the body": drip(response(b'{"a":')[:-1].replace(b"Length: 5", b"Length: 50"), b""),
}


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW)
def test_a_call_ends_at_its_deadline_whatever_the_other_side_does(script: Script) -> None:
    found, _heard, took = ask(script)
    assert found.failure == "timeout"
    assert found.body is None
    assert SECONDS <= took < SECONDS + SLACK
    assert SECONDS * 1000 <= found.elapsed_ms < (SECONDS + SLACK) * 1000


def test_many_slow_calls_at_once_all_end_at_their_deadline() -> None:
    with serving(drip(b"HTTP/1.1 200 OK\r\nX-A: ", b"a")) as heard:
        origin = f"http://127.0.0.1:{heard.port}"
        client, found = Client(private=(origin,)), list[Exchange]()
        call = Call("GET", f"{origin}/", auth="bearer")
        threads = [
            threading.Thread(target=lambda s=s: found.append(client.send(call, Secret(KEY), s))) for s in (0.3, 0.6) * 8
        ]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [x.failure for x in found] == ["timeout"] * 16
        assert time.monotonic() - started < 0.6 + SLACK


def test_a_quick_call_is_not_cut_off_by_one_that_ended_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline belongs to its call: a kept connection outlives it."""

    def script(connection: Any, heard: Heard) -> None:
        while listen(connection, heard):
            connection.sendall(response(b"{}"))

    with serving(script) as heard:
        origin = f"http://127.0.0.1:{heard.port}"
        client = Client(private=(origin,))
        call = Call("GET", f"{origin}/", auth="bearer")
        assert client.send(call, Secret(KEY), 0.3).status == 200
        time.sleep(0.35)
        assert client.send(call, Secret(KEY), 5).status == 200
        assert heard.connects == 1


def test_a_slow_resolver_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: release.wait(5) and [])
    started = time.monotonic()
    found = Client().send(Call("GET", f"https://{NAME}/"), None, SECONDS)
    release.set()
    assert found.failure in ("timeout", "dns")
    assert time.monotonic() - started < SECONDS + SLACK


# What breaks


def reset(connection: Any, heard: Heard) -> None:
    listen(connection, heard)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_in_the_body(connection: Any, heard: Heard) -> None:
    listen(connection, heard)
    connection.sendall(response(b'{"a":').replace(b"Length: 5", b"Length: 50"))
    time.sleep(0.05)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


BREAKS = {
    "closes without an answer": (answers(b""), "reset"),
    "resets": (reset, "reset"),
    "resets in the body": (reset_in_the_body, "reset"),
    "ends in the body": (answers(response(b'{"a":').replace(b"Length: 5", b"Length: 50")), "reset"),
    "ends in the headers": (answers(b"HTTP/1.1 200 OK\r\nX-A"), None),
    "speaks another protocol": (answers(b"SSH-2.0-OpenSSH_9.6\r\n"), "bad_http"),
    "speaks HTTP/0.9": (answers(b"<html>"), "bad_http"),
    "sends a TLS alert": (answers(b"\x15\x03\x01\x00\x02\x02\x0a"), "bad_http"),
    "sends a header of 200 KB": (answers(response(b"{}", X_A="a" * 200_000)), "bad_http"),
    "sends 5000 headers": (answers(response(b"{}", **{f"X_{i}": "a" for i in range(5000)})), "bad_http"),
    "sends a bad chunk": (answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"), None),
    "sends bad gzip": (answers(response(b"not gzip", Content_Encoding="gzip")), "bad_http"),
    "sends an unasked 101": (answers(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), "bad_http"),
    "sends Early Hints": (answers(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(b"{}")), "bad_http"),
    "sends 20,000 Early Hints": (answers(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000), "bad_http"),
    "sends a status that is no number": (answers(b"HTTP/1.1 abc OK\r\n\r\n"), "bad_http"),
}


@pytest.mark.parametrize(("script", "cause"), BREAKS.values(), ids=BREAKS)
def test_what_breaks_has_a_named_cause(script: Script, cause: str | None) -> None:
    found, _heard, took = ask(script, 5)
    assert found.failure in ([cause] if cause else ["bad_http", "reset", "not_json", ""])
    assert found.body is None
    assert took < SLACK
    assert KEY not in repr(found)


def test_an_answer_behind_early_hints_reaches_nobody_else() -> None:
    """A response that comes late on a kept connection would be taken for the next key's."""

    def script(connection: Any, heard: Heard) -> None:
        listen(connection, heard)
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        time.sleep(0.05)
        connection.sendall(response(b'{"owner": "first"}'))
        listen(connection, heard)
        connection.sendall(response(b'{"owner": "second"}'))

    with serving(script) as heard:
        origin = f"http://127.0.0.1:{heard.port}"
        client = Client(private=(origin,))
        for _ in range(2):
            assert client.send(Call("GET", f"{origin}/"), None, 2).failure == "bad_http"
        assert heard.connects == 2


def test_nobody_listening_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = Client(private=(f"http://127.0.0.1:{port}",)).send(Call("GET", f"http://127.0.0.1:{port}/"), None, 2)
    assert found.failure == "refused"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed_and_the_key_reaches_no_target(status: str) -> None:
    with serving(answers(response())) as target:
        to = f"http://127.0.0.1:{target.port}/{KEY}"
        found, heard, _took = ask(answers(response(b"moved", status, Location=to)), 5)
        assert (found.failure, found.status) == ("redirected", int(status[:3]))
        assert KEY.encode() in heard.all
        assert target.connects == 0
        assert KEY not in repr(found)


def test_a_page_is_no_answer() -> None:
    found = says(response(b"<!doctype html><title>Welcome</title>", Content_Type="text/html"))
    assert (found.status, found.failure, found.body) == (200, "not_json", None)


@pytest.mark.parametrize(
    "body", [b'{"a": NaN}', b"[Infinity]", b"[-Infinity]", b'{"a": 1e400}', b"[" * 90_000 + b"]" * 90_000, b"9" * 5000]
)
def test_json_made_to_hurt_is_no_answer(body: bytes) -> None:
    found = says(response(body))
    assert (found.status, found.failure, found.body) == (200, "not_json", None)


def test_both_lengths_at_once_are_no_way_in() -> None:
    smuggled = response(b"{}", Transfer_Encoding="chunked")
    found = says(smuggled)
    assert found.failure in ("", "reset", "bad_http", "not_json")
    assert found.body in (None, {})


def test_head_has_no_body() -> None:
    found = says(response(b"{}").removesuffix(b"{}"), method="HEAD")
    assert (found.status, found.failure, found.text) == (200, "", "")


# Size


def zeros(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(mebibytes)) + packer.flush()


def test_200_mib_in_200_kb_end_too_large_and_cost_little_memory() -> None:
    bomb = response(zeros(200), Content_Encoding="gzip")
    assert len(bomb) < 250_000
    tracemalloc.start()
    found, _heard, took = ask(answers(bomb), 5)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.failure == "too_large"
    assert took < SLACK
    assert peak < 16 * 2**20


LARGE = {
    "a long body": response(b"[" + b"1," * (2**20 + 2**19) + b"1]"),
    "a body without an end": b"HTTP/1.1 200 OK\r\n\r\n" + b"1" * (3 * 2**20),
    "long chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + (b"10000\r\n" + b"1" * 65536 + b"\r\n") * 50,
    "gzip in gzip": response(gzip.compress(zeros(50)), Content_Encoding="gzip, gzip"),
    "deflate": response(zlib.compress(bytes(20 * 2**20)), Content_Encoding="deflate"),
}


@pytest.mark.parametrize("whole", LARGE.values(), ids=LARGE)
def test_a_large_answer_is_not_read_to_its_end(whole: bytes) -> None:
    assert says(whole).failure == "too_large"


def test_an_answer_as_large_as_any_model_list_is_read() -> None:
    body = json.dumps({"data": [{"id": f"model-{i}", "description": "d" * 300} for i in range(3000)]}).encode()
    found = says(response(gzip.compress(body), Content_Encoding="gzip"))
    assert (found.failure, len(found.body["data"])) == ("", 3000)


# Echoes

B64 = [base64.b64encode(b"abc"[:n] + KEY.encode() + b"z").decode() for n in range(3)]
ECHOES = [
    KEY,
    f"Bearer {KEY}",
    KEY.encode().hex(),
    quote(KEY, safe=""),
    KEY[:20],
    *B64,
]


@pytest.mark.parametrize("echo", ECHOES)
def test_an_echoed_key_is_in_nothing_that_is_kept(echo: str) -> None:
    body = json.dumps({"error": {"message": f"bad {echo}"}}).encode()
    for whole in (
        response(body, "401 Unauthorized", X_Echo=echo),
        response(f"<p>{echo}</p>".encode(), "401 Unauthorized"),
        response(b"{}", f"401 {echo}", Set_Cookie=f"k={echo}", WWW_Authenticate=echo),
    ):
        found = says(whole)
        assert found.status == 401
        assert echo not in repr(found)
        assert KEY[8:20] not in repr(found)


def test_a_key_in_escapes_of_json_is_in_nothing_that_is_kept() -> None:
    escaped = "".join(f"\\u{ord(c):04x}" for c in KEY)
    found = says(response(f'{{"error": "{escaped}"}}'.encode(), "401 No"))
    assert found.body == {"error": REDACTED}
    assert escaped[:24] not in repr(found)


# Exceptions hold the key (V4); none of their texts gets out


@pytest.mark.parametrize(
    "key", [KEY + "\r\nX-Evil: 1", KEY + "\n", KEY + "\x00", KEY + "\u200b", "“" + KEY + "”", KEY + "😀", " " + KEY]
)
def test_a_key_that_no_header_can_hold_raises_nothing(key: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    found, heard, _took = ask(answers(response(b"{}")), 2, key=key)
    assert found.failure in ("bad_http", "")
    assert KEY not in repr(found) + caplog.text
    assert b"X-Evil" not in heard.all


def test_no_log_line_and_no_failure_holds_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for script in (answers(response(b"{}")), answers(b""), reset, answers(b"nonsense\r\n"), hang):
        found, heard, _took = ask(script, 0.2)
        assert KEY.encode() in heard.all
        assert KEY not in repr(found)
    assert KEY not in caplog.text


def test_whatever_the_library_raises_becomes_a_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    for error in (RuntimeError(KEY), MemoryError(), OSError(KEY), http.client.BadStatusLine(KEY), UnicodeError(KEY)):

        def fail(*_: Any, error: BaseException = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(client, "_pool", fail)
        found = client.send(Call("GET", f"https://{NAME}/"), Secret(KEY), 2)
        assert found.failure in FAILURES
        assert KEY not in repr(found)


# How the key is sent


@pytest.mark.parametrize(
    ("auth", "line"),
    [
        ("bearer", f"Authorization: Bearer {KEY}"),
        ("x-api-key", f"x-api-key: {KEY}"),
        ("x-goog-api-key", f"x-goog-api-key: {KEY}"),
        ("xi-api-key", f"xi-api-key: {KEY}"),
    ],
)
def test_the_key_goes_in_the_header_of_its_scheme_and_nowhere_else(auth: str, line: str) -> None:
    with serving(answers(response())) as heard:
        origin = f"http://127.0.0.1:{heard.port}"
        call = Call("POST", f"{origin}/v1/x", {"anthropic-version": "2023-06-01"}, auth, {"a": 1})
        assert Client(private=(origin,)).send(call, Secret(KEY), 5).status == 200
    assert f"\r\n{line}\r\n".encode() in heard.all
    assert heard.all.count(KEY.encode()) == 1
    assert b"\r\nanthropic-version: 2023-06-01\r\n" in heard.all
    assert b'\r\n\r\n{"a": 1}' in heard.all
    assert heard.all.startswith(b"POST /v1/x HTTP/1.1\r\n")


def test_without_a_scheme_or_without_a_key_none_is_sent() -> None:
    for call_auth, secret in (("", Secret(KEY)), ("bearer", None)):
        with serving(answers(response())) as heard:
            origin = f"http://127.0.0.1:{heard.port}"
            Client(private=(origin,)).send(Call("GET", f"{origin}/", auth=call_auth), secret, 5)
        assert heard.requests
        assert b"Authorization" not in heard.all
        assert KEY.encode() not in heard.all


def test_proxies_and_netrc_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login somebody password other-secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nothing"))
    with serving(answers(response())) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with serving(answers(response())) as heard:
            origin = f"http://127.0.0.1:{heard.port}"
            assert Client(private=(origin,)).send(Call("GET", f"{origin}/"), None, 5).status == 200
        assert b"uthorization" not in heard.all
        assert proxy.connects == 0


def test_no_cookie_is_kept() -> None:
    whole = response(b"{}", Set_Cookie="session=abc; Path=/")
    with serving(answers(whole, whole)) as heard:
        origin = f"http://127.0.0.1:{heard.port}"
        client = Client(private=(origin,))
        for _ in range(2):
            client.send(Call("GET", f"{origin}/"), None, 5)
    assert len(heard.requests) == 2
    assert b"Cookie" not in heard.all


def test_two_calls_to_a_host_share_a_connection() -> None:
    with serving(answers(response(), response())) as heard:
        origin = f"http://127.0.0.1:{heard.port}"
        client = Client(private=(origin,))
        assert [client.send(Call("GET", f"{origin}/{i}"), Secret(KEY), 5).status for i in (1, 2)] == [200, 200]
    assert heard.connects == 1


@pytest.mark.parametrize("name", ["user-agent", "ACCEPT", "Accept-Encoding"])
def test_a_probe_s_own_header_stands_in_place_of_ours(name: str) -> None:
    with serving(answers(response())) as heard:
        origin = f"http://127.0.0.1:{heard.port}"
        Client(private=(origin,)).send(Call("GET", f"{origin}/", {name: "own"}), None, 5)
    lines = [line for line in heard.all.split(b"\r\n") if line.lower().startswith(name.lower().encode() + b":")]
    assert lines == [f"{name}: own".encode()]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\n b", "a\x00b", "é", " a", "a ", ""])
def test_a_header_that_would_not_arrive_as_it_is_sends_nothing(value: str) -> None:
    with serving(answers(response())) as heard:
        origin = f"http://127.0.0.1:{heard.port}"
        found = Client(private=(origin,)).send(Call("GET", f"{origin}/", {"x-own": value}), None, 5)
        assert (found.failure, heard.connects) == ("bad_http", 0)


@pytest.mark.parametrize("url", ["https://[::1/", "https:///v1", "https://a.dev:99999/", "https://a.dev:x/", "", "//a"])
def test_an_address_that_is_none_raises_nothing(url: str) -> None:
    assert Client().send(Call("GET", url, auth="bearer"), Secret(KEY), 2).failure in ("bad_http", "blocked")


# What is kept open


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not tell how many files are open")
def test_two_thousand_calls_of_every_kind_leave_no_file_open() -> None:
    large = response(b" " * (MAX_WIRE + 70_000))
    scripts = [always(response()), answers(response()), answers(b""), always(response(b"", "302 X")), answers(large)]
    before = open_files()
    with ExitStack() as servers:
        origins = [f"http://127.0.0.1:{servers.enter_context(serving(script)).port}" for script in scripts]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            origins.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
        client = Client(private=tuple(origins))
        calls = [Call("GET", f"{origins[i % 6 if i % 40 == 4 or i % 6 != 4 else 0]}/") for i in range(2000)]
        send = partial(client.send, secret=Secret(KEY))
        with ThreadPoolExecutor(16) as threads:
            found = Counter(x.failure for x in threads.map(send, calls))
        assert set(found) == {"", "reset", "redirected", "too_large", "refused"}
        assert open_files() - before < 6 * 16 * 2  # kept connections, and the servers' ends of them
    del client, send
    for _ in range(50):
        if open_files() <= before:
            break
        time.sleep(0.1)
    assert open_files() <= before


def test_connections_that_nobody_has_used_for_long_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def script(connection: Any, heard: Heard) -> None:
        always(response())(connection, heard)
        ended.set()

    with serving(script) as first, serving(always(response())) as second:
        origins = [f"http://127.0.0.1:{heard.port}" for heard in (first, second)]
        client = Client(private=tuple(origins))
        client.send(Call("GET", f"{origins[0]}/"), None, 5)
        client.send(Call("GET", f"{origins[1]}/"), None, 5)
        assert not ended.wait(0.2)
        monkeypatch.setattr(client_module, "IDLE_SECONDS", 0.0)
        client.send(Call("GET", f"{origins[1]}/"), None, 5)
        assert ended.wait(5)


def test_the_lab_gets_every_call_with_its_host_in_the_path() -> None:
    with serving(answers(response())) as heard:
        lab = Client(lab_url=f"http://127.0.0.1:{heard.port}")
        found = lab.send(Call("GET", "https://api.acme.dev/v1/me?a=b", auth="bearer"), Secret(KEY), 5)
    assert (found.status, found.call) == (200, "GET https://api.acme.dev/v1/me?a=b")
    assert heard.all.startswith(b"GET /api.acme.dev/v1/me?a=b HTTP/1.1\r\n")


# Names and addresses


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let every name resolve to these addresses; gives the names that were asked."""

    def to(*addresses: str) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            asked.append(host)
            family = [socket.AF_INET6 if ":" in a else socket.AF_INET for a in addresses]
            return [(f, socket.SOCK_STREAM, 6, "", (a, port)) for f, a in zip(family, addresses, strict=True)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return to


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What would be dialled; every call is refused."""
    found: list[tuple[str, int]] = []

    def connect(address: str, port: int, *_: Any) -> None:
        found.append((address, port))
        raise ConnectionRefusedError

    monkeypatch.setattr(client_module, "connect", connect)
    return found


def test_a_name_that_resolves_to_a_private_address_is_blocked_without_a_connect(
    resolving: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(hang) as sink:
        resolving("127.0.0.1")
        found = Client().send(Call("GET", f"https://{NAME}:{sink.port}/v1", auth="bearer"), Secret(KEY), 2)
        assert (found.failure, found.status, sink.connects) == ("blocked", None, 0)
        monkeypatch.setattr(guard, "address_allowed", lambda address: True)
        Client().send(Call("GET", f"https://{NAME}:{sink.port}/v1"), None, 1)
        assert sink.connects == 1  # so the sink does count


@pytest.mark.parametrize(
    "addresses",
    [
        ("8.8.8.8", "127.0.0.1"),
        ("10.0.0.1", "8.8.8.8"),
        ("8.8.8.8", "2606:4700:4700::1111", "fd00::1"),
        ("8.8.8.8", "::ffff:127.0.0.1"),
        ("8.8.8.8", "fe80::1%eth0"),
        (),
    ],
)
def test_one_private_address_among_public_ones_blocks_them_all(
    addresses: tuple[str, ...], resolving: Callable[..., list[str]], dialled: list[Any]
) -> None:
    resolving(*addresses)
    assert Client().send(Call("GET", f"https://{NAME}/"), None, 2).failure == "blocked"
    assert dialled == []


def test_the_judged_addresses_are_the_dialled_ones_and_are_resolved_once(
    resolving: Callable[..., list[str]], dialled: list[Any]
) -> None:
    asked = resolving("8.8.8.8", "2606:4700:4700::1111")
    assert Client().send(Call("GET", f"https://{NAME}/"), None, 2).failure == "refused"
    assert dialled == [("8.8.8.8", 443), ("2606:4700:4700::1111", 443)]
    assert asked == [f"{NAME}."]


def test_no_search_domain_is_tried(resolving: Callable[..., list[str]]) -> None:
    asked = resolving("8.8.8.8")
    assert resolve("api.acme.dev.", 443) == ["8.8.8.8"]
    assert asked == ["api.acme.dev."]


def test_a_name_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert Client().send(Call("GET", f"https://{NAME}/"), None, 2).failure == "dns"


def test_plain_http_is_not_spoken_to_the_world(dialled: list[Any]) -> None:
    for client in (Client(), Client(private=("http://10.1.2.3:80",))):
        for url in (f"http://{NAME}/", "http://10.1.2.3:8000/", "http://10.1.2.3:80.acme.dev/", "ftp://10.1.2.3/"):
            assert client.send(Call("GET", url, auth="bearer"), Secret(KEY), 2).failure in ("blocked", "bad_http")
    assert dialled == []


def test_a_name_that_only_begins_like_a_private_gateway_is_judged(
    resolving: Callable[..., list[str]], dialled: list[Any]
) -> None:
    resolving("10.0.0.1")
    client = Client(private=("https://llm.acme",))
    assert client.send(Call("GET", "https://llm.acme.attacker.dev/v1"), None, 2).failure == "blocked"
    assert dialled == []


# TLS


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    return certificate(tmp_path_factory.mktemp("tls"), NAME)


@pytest.fixture
def on_loopback(monkeypatch: pytest.MonkeyPatch, resolving: Callable[..., list[str]]) -> None:
    """Every name resolves to loopback, and the guard lets it pass."""
    resolving("127.0.0.1")
    monkeypatch.setattr(guard, "address_allowed", lambda address: True)


@pytest.fixture
def trusting(tls: tuple[ssl.SSLContext, str]) -> Client:
    client = Client()
    client._tls.load_verify_locations(tls[1])
    return client


@pytest.mark.usefixtures("on_loopback")
def test_a_certificate_that_nobody_vouches_for_ends_before_the_key_is_sent(tls: tuple[ssl.SSLContext, str]) -> None:
    with serving(answers(response()), tls[0]) as heard:
        found = Client().send(Call("GET", f"https://{NAME}:{heard.port}/", auth="bearer"), Secret(KEY), 5)
        assert (found.failure, heard.connects, heard.requests) == ("tls", 1, [])


@pytest.mark.usefixtures("on_loopback")
def test_a_certificate_of_another_name_ends_before_the_key_is_sent(
    tls: tuple[ssl.SSLContext, str], trusting: Client
) -> None:
    with serving(answers(response()), tls[0]) as heard:
        found = trusting.send(Call("GET", f"https://other.dev:{heard.port}/", auth="bearer"), Secret(KEY), 5)
        assert (found.failure, heard.requests) == ("tls", [])


@pytest.mark.usefixtures("on_loopback")
def test_a_server_that_speaks_no_tls_is_told(trusting: Client) -> None:
    with serving(lambda c, h: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as heard:
        assert trusting.send(Call("GET", f"https://{NAME}:{heard.port}/"), Secret(KEY), 5).failure == "tls"


@pytest.mark.usefixtures("on_loopback")
def test_two_calls_over_tls_share_a_connection(tls: tuple[ssl.SSLContext, str], trusting: Client) -> None:
    with serving(answers(response(), response()), tls[0]) as heard:
        call = Call("GET", f"https://{NAME}:{heard.port}/", auth="bearer")
        assert [trusting.send(call, Secret(KEY), 5).status for _ in range(2)] == [200, 200]
        assert (heard.connects, len(heard.requests)) == (1, 2)


@pytest.mark.usefixtures("on_loopback")
@pytest.mark.parametrize("name", ["never answers", "drips a header byte by byte", "drips a body of no length"])
def test_a_deadline_holds_over_tls(name: str, tls: tuple[ssl.SSLContext, str], trusting: Client) -> None:
    with serving(SLOW[name], tls[0]) as heard:
        started = time.monotonic()
        found = trusting.send(Call("GET", f"https://{NAME}:{heard.port}/", auth="bearer"), Secret(KEY), SECONDS)
        assert found.failure == "timeout"
        assert time.monotonic() - started < SECONDS + SLACK


@pytest.mark.usefixtures("on_loopback")
@pytest.mark.parametrize("drips", [False, True], ids=["hangs", "drips"])
def test_a_deadline_holds_in_the_handshake(drips: bool, trusting: Client) -> None:
    def script(connection: Any, heard: Heard) -> None:
        connection.recv(10)
        connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB begins
        while not heard.stop.wait(0.05):
            connection.sendall(b"\x02" * drips)

    with serving(script) as heard:
        started = time.monotonic()
        found = trusting.send(Call("GET", f"https://{NAME}:{heard.port}/"), Secret(KEY), SECONDS)
        assert found.failure == "timeout"
        assert time.monotonic() - started < SECONDS + SLACK


def test_a_private_gateway_over_tls_keeps_the_deadline_too(tls: tuple[ssl.SSLContext, str]) -> None:
    with serving(lambda c, h: h.stop.wait(5)) as heard:
        origin = f"https://localhost:{heard.port}"
        started = time.monotonic()
        found = Client(private=(origin,)).send(Call("GET", f"{origin}/"), Secret(KEY), SECONDS)
        assert found.failure == "timeout"
        assert time.monotonic() - started < SECONDS + SLACK
