"""Hosts, names and addresses that would lead a key, or our calls, to where neither may go."""

from __future__ import annotations

import json
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import urllib3
from django.test import Client as Browser
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from probes import client as client_module
from probes import evidence, guard, seed, verdict, words
from probes.client import Call, Client
from probes.exchange import Exchange
from probes.secret import Secret
from tests.servers import Heard, always, answers, certificate, response, serving

KEY = "sk-TestKeyFake-0aB1cD2eF3gH4iJ5kL6mN7oP8"
GOOD = "127.0.0.2"  # loopback, too, and let through by the guard in these tests
NAME = "relay.acme.dev"
CATALOGUE = seed.read_catalogue()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    return certificate(tmp_path_factory.mktemp("tls"), NAME)


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard as it is, but for one loopback address."""
    real = guard.address_allowed
    monkeypatch.setattr(guard, "address_allowed", lambda address: address == GOOD or real(address))


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Answer the n-th question with the n-th of these lists, and begin again; gives the names that were asked."""

    def to(*lists: tuple[str, ...]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            addresses = lists[len(asked) % len(lists)]
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return to


def trusting(tls: tuple[ssl.SSLContext, str]) -> Client:
    client = Client()
    client._tls.load_verify_locations(tls[1])
    return client


# A name server that changes its mind


@pytest.mark.usefixtures("allowed")
def test_a_name_that_turns_private_between_two_questions_is_never_dialled_there(
    tls: tuple[ssl.SSLContext, str], name_server: Callable[..., list[str]]
) -> None:
    """A good answer, a bad one, in turn, 200 times: each connection has one question, and what it got is dialled."""
    with (
        serving(answers(response()), tls[0], (GOOD, 0)) as good,
        serving(answers(response()), tls[0], ("127.0.0.1", good.port)) as sink,
    ):
        asked, client = name_server((GOOD,), ("127.0.0.1",)), trusting(tls)
        call = Call("GET", f"https://{NAME}:{good.port}/v1/models", auth="bearer")
        found = [client.send(call, Secret(KEY), 5) for _ in range(200)]
        assert [(x.status, x.failure) for x in found] == [(200, ""), (None, "blocked")] * 100
        assert (good.connects, sink.connects) == (100, 0)
        assert asked == [f"{NAME}."] * 200


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("private", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1"])
def test_an_answer_of_good_and_bad_addresses_is_refused_whole(
    private: str, tls: tuple[ssl.SSLContext, str], name_server: Callable[..., list[str]]
) -> None:
    with serving(answers(response()), tls[0], (GOOD, 0)) as good:
        name_server((GOOD, private), (private, GOOD))
        client, call = trusting(tls), Call("GET", f"https://{NAME}:{good.port}/")
        assert [client.send(call, Secret(KEY), 5).failure for _ in range(2)] == ["blocked"] * 2
        assert good.connects == 0


@pytest.mark.usefixtures("allowed")
def test_many_connections_at_once_ask_at_most_one_question_each(
    tls: tuple[ssl.SSLContext, str], name_server: Callable[..., list[str]]
) -> None:
    with (
        serving(answers(response()), tls[0], (GOOD, 0)) as good,
        serving(answers(response()), tls[0], ("127.0.0.1", good.port)) as sink,
    ):
        asked, client = name_server((GOOD,), ("127.0.0.1",), (GOOD, "127.0.0.1")), trusting(tls)
        call = Call("GET", f"https://{NAME}:{good.port}/")
        with ThreadPoolExecutor(16) as threads:
            found = list(threads.map(lambda _: client.send(call, Secret(KEY), 5), range(64)))
        assert {(x.status, x.failure) for x in found} == {(200, ""), (None, "blocked")}
        assert sink.connects == 0
        assert len(asked) <= 64


def test_slow_names_of_base_urls_keep_no_provider_s_name_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host.startswith("slow"):
            release.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    client, slow = Client(), [Call("GET", f"https://slow-{i}.dev/", quiet=True) for i in range(100)]
    with ThreadPoolExecutor(100) as threads:
        found = [threads.submit(client.send, call, None, 1.0) for call in slow]
        time.sleep(0.2)
        started = time.monotonic()
        assert client.send(Call("GET", f"https://{NAME}/"), None, 5).failure == "blocked"
        assert time.monotonic() - started < 0.7
        assert {future.result().failure for future in found} == {"unreachable"}
    release.set()


# Sent elsewhere

REDIRECTS = ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
TARGETS = [
    "http://127.0.0.1:{sink}/",
    "//127.0.0.1:{sink}/v1",
    "http://user@127.0.0.1:{sink}/",
    "http://2130706433:{sink}/",
    "http://127.0.0.1:{own}/elsewhere",
    "/elsewhere",
    "http://169.254.169.254/latest/meta-data/",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_redirect_makes_no_second_request(status: str, target: str) -> None:
    with serving(answers(response())) as sink:

        def script(connection: Any, heard: Heard) -> None:
            to = target.format(sink=sink.port, own=heard.port)
            always(response(b"{}", status, Location=to, Refresh=f"0; url={to}"))(connection, heard)

        with serving(script) as heard:
            origin = f"http://127.0.0.1:{heard.port}"
            found = Client(private=(origin,)).send(Call("GET", f"{origin}/v1", auth="bearer"), Secret(KEY), 5)
            assert (found.failure, found.status, found.body) == ("redirected", int(status[:3]), None)
            assert (len(heard.requests), heard.connects, sink.connects) == (1, 1, 0)


@pytest.mark.django_db
def test_no_address_in_an_answer_is_ever_asked(settings: Any, check: Callable[..., tuple[str, dict[str, Any]]]) -> None:
    """Refresh, Location on a 200, Link, and every way to say "next page"."""
    with serving(always(response())) as sink:
        to = f"http://127.0.0.1:{sink.port}/next"
        names = "next next_page next_url nextPageToken url href first_id last_id @odata.nextLink"
        pages = dict.fromkeys(names.split(), to)
        body = {"object": "list", "data": [{"id": "gpt-4o"}], "has_more": True, "links": pages, "paging": pages} | pages
        headers = {"Refresh": f"0; url={to}", "Location": to, "Content_Location": to, "Link": f'<{to}>; rel="next"'}
        with serving(always(response(json.dumps(body).encode(), **headers))) as heard:
            settings.PRIVATE_GATEWAYS = [f"http://127.0.0.1:{heard.port}"]
            _address, result = check(KEY, base_url=f"http://127.0.0.1:{heard.port}/v1")
            asked = [said.split(b" ")[1] for said in heard.requests]
            assert result["detections"][0]["verdict"]
            assert len(asked) == len(set(asked)) + asked.count(b"/v1/models") - 1
            assert not [path for path in asked if b"next" in path or b"after" in path]
            assert sink.connects == 0


# What is judged is what is dialled


@limits(deadline=None)
@given(st.from_regex(r"\Ahttps://[a-z0-9.:@\\/%#?\[\]①。-]{1,40}\Z"))
def test_what_the_guard_lets_pass_means_the_same_host_to_every_parser(text: str) -> None:
    try:
        spelled = guard.base_url(text)
    except guard.BaseUrlError:
        return
    host = spelled.removeprefix("https://").partition("/")[0]
    assert urllib3.util.parse_url(spelled).host == host
    assert client_module._origin(spelled) == f"https://{host}"
    assert text.lower().startswith(f"https://{host}")


# No scanner: what we could not speak to looks one way

QUIET = 0.4
CLOSED = 1  # a port where nobody listens


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tls: tuple[ssl.SSLContext, str], tmp_path: Any) -> Iterator[dict[str, int]]:
    """The port of each kind of unreachable host; its name is the kind's."""
    addresses = {"refused": "127.0.0.3", "private": "127.0.0.4"}
    real = guard.address_allowed
    monkeypatch.setattr(guard, "address_allowed", lambda a: a in (GOOD, "127.0.0.3") or real(a))
    monkeypatch.setattr(client_module, "QUIET_SECONDS", QUIET)

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        kind = host.partition(".")[0]
        if kind == "nameless":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        if kind == "silent-names":
            time.sleep(QUIET * 3)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (addresses.get(kind, GOOD), port))]
        return [*found, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))] if kind == "mixed" else found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with ExitStack() as stack:

        def at(script: Any, context: ssl.SSLContext | None = None) -> int:
            return stack.enter_context(serving(script, context, (GOOD, 0))).port

        filtered = stack.enter_context(socket.create_server((GOOD, 0), backlog=0))
        for _ in range(3):  # a full queue: what comes now gets no answer at all
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(filtered.getsockname())
        yield {
            "refused": CLOSED,
            "private": CLOSED,
            "mixed": CLOSED,
            "nameless": CLOSED,
            "silent-names": CLOSED,
            "filtered": filtered.getsockname()[1],
            "closes": at(lambda c, h: None),
            "hangs": at(lambda c, h: h.stop.wait(5)),
            "speaks-http": at(lambda c, h: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
            "garbage": at(lambda c, h: c.sendall(b"\x16\x03\x03\x40\x00" + b"\x00" * 99)),
            "other-name": at(answers(response()), tls[0]),
        }


def test_whatever_keeps_us_from_a_host_looks_the_same_and_takes_as_long(
    hosts: dict[str, int], tls: tuple[ssl.SSLContext, str]
) -> None:
    client = trusting(tls)

    def ask(kind: str) -> tuple[str, Exchange, float]:
        started = time.monotonic()
        call = Call("GET", f"https://{kind}.dev:{hosts[kind]}/v1/models", auth="bearer", quiet=True)
        found = client.send(call, Secret(KEY), 10)
        return kind, replace(found, call=""), time.monotonic() - started

    with ThreadPoolExecutor(64) as threads:
        found = list(threads.map(ask, list(hosts) * 5))
    assert {str(exchange) for _kind, exchange, _took in found} == {
        str(Exchange("", failure="unreachable", elapsed_ms=int(QUIET * 1000)))
    }
    medians = [statistics.median(took for kind, _x, took in found if kind == this) for this in hosts]
    assert min(medians) >= QUIET
    assert max(medians) - min(medians) < 0.05


def test_with_less_time_than_that_it_ends_in_that_time(hosts: dict[str, int]) -> None:
    for kind in ("refused", "hangs"):
        call = Call("GET", f"https://{kind}.dev:{hosts[kind]}/", quiet=True)
        found = Client().send(call, Secret(KEY), 0.2)
        assert (found.failure, found.elapsed_ms) == ("unreachable", 200)


def test_without_quiet_each_has_its_own_cause_at_once(hosts: dict[str, int], tls: tuple[ssl.SSLContext, str]) -> None:
    causes = {"refused": "refused", "private": "blocked", "mixed": "blocked", "nameless": "dns", "other-name": "tls"}
    for kind, cause in causes.items():
        started = time.monotonic()
        found = trusting(tls).send(Call("GET", f"https://{kind}.dev:{hosts[kind]}/"), Secret(KEY), 10)
        assert found.failure == cause
        assert time.monotonic() - started < 5


def hang(connection: Any, heard: Heard) -> None:
    connection.recv(65536)
    heard.stop.wait(5)


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    ("script", "cause"),
    [(answers(b""), "reset"), (answers(b"nonsense\r\n\r\n"), "bad_http"), (hang, "timeout"), (answers(response()), "")],
    ids=["closes", "speaks nonsense", "hangs", "answers"],
)
def test_a_quiet_call_that_was_connected_keeps_its_own_cause_and_its_whole_time(
    script: Any,
    cause: str,
    tls: tuple[ssl.SSLContext, str],
    name_server: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "QUIET_SECONDS", 1.0)
    name_server((GOOD,))
    with serving(script, tls[0], (GOOD, 0)) as heard:
        call = Call("GET", f"https://{NAME}:{heard.port}/", auth="bearer", quiet=True)
        found = trusting(tls).send(call, Secret(KEY), 1.5)
        assert found.failure == cause
        assert (found.elapsed_ms >= 1500) == (cause == "timeout")


@pytest.mark.usefixtures("allowed")
def test_a_quiet_call_may_answer_later_than_it_must_connect(
    tls: tuple[ssl.SSLContext, str], name_server: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "QUIET_SECONDS", 1.0)
    name_server((GOOD,))

    def slow(connection: Any, heard: Heard) -> None:
        connection.recv(65536)
        time.sleep(1.3)
        connection.sendall(response())

    with serving(slow, tls[0], (GOOD, 0)) as heard:
        call = Call("GET", f"https://{NAME}:{heard.port}/", quiet=True)
        assert trusting(tls).send(call, None, 5).status == 200


def test_our_own_gateways_and_the_lab_are_told_of_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for client in (Client(private=(origin,)), Client(lab_url=origin)):
        found = client.send(Call("GET", f"{origin}/v1", quiet=True), None, 10)
        assert found.failure == "refused"
        assert found.elapsed_ms < 4000


def test_an_unreachable_host_leaves_the_key_unknown_and_is_said_in_words() -> None:
    provider = CATALOGUE.providers["openai"]
    probe = next(p for p in provider.probes if p.proves_key)
    finding = evidence.read(CATALOGUE, provider, probe, Exchange("GET x", failure="unreachable", elapsed_ms=5000))
    assert (finding["verdict"], finding["cause"]) == ("unknown", "unreachable")
    assert "unreachable" in verdict.NO_ANSWER
    assert words.cause_text("unreachable")


# Ourselves

OWN = ("testkey.acme.dev", ".acme.org", "Check.Acme.NET:8000")


@pytest.mark.parametrize(
    "host",
    [
        "testkey.acme.dev",
        "TestKey.ACME.dev",
        "testkey.acme.dev:443",
        "acme.org",
        "www.acme.org",
        "a.b.acme.org",
        "check.acme.net",
    ],
)
def test_a_base_url_that_is_this_site_is_refused(host: str) -> None:
    with pytest.raises(guard.BaseUrlError, match="own_name"):
        guard.base_url(f"https://{host}/v1", own=OWN)


@pytest.mark.parametrize("host", ["acme.dev", "a.testkey.acme.dev", "notacme.org", "acme.org.evil.dev", "acme.net"])
def test_a_name_that_only_looks_like_ours_is_not_ours(host: str) -> None:
    assert guard.base_url(f"https://{host}/v1", own=OWN) == f"https://{host}/v1"


@pytest.mark.django_db
def test_the_form_refuses_our_own_name_and_sends_nothing(client: Browser, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["testserver", ".acme.dev"]
    answer = client.post("/checks/", {"keys": KEY, "base_url": "https://testkey.acme.dev/v1"})
    assert answer.status_code == 422
    assert str(words.BASE_URL_FAULTS["own_name"]) in answer.content.decode()
