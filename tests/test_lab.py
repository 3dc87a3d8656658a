"""The lab over real loopback HTTP: what it answers, what it refuses, what it tells."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from probes.lab import recorded
from probes.lab.recorded import Recorded
from probes.lab.server import Lab, Server, as_canary

GOOD = "sk-TestKeyLab0001"


def record(key: str, call: str, status: int = 200, **answer: Any) -> Recorded:
    return Recorded("acme", "x.json", "a case", "current_key", key, call, {"status": status, **answer})


RECORDS = [
    record(GOOD, "GET https://api.acme.ai/v1/me", body={"name": "lab-owner"}, headers={"x-request-id": "r1"}),
    record("*", "GET https://api.acme.ai/v1/me", 401, body={"error": "bad key"}),
    record(GOOD, "GET https://api.acme.ai/v1/costs?from={month_ago}&to={today}", body={"cost": 1}),
    record(GOOD, "GET https://api.acme.ai/v1/orgs/{organization_id}/limits", body={"limit": 2}),
    record(GOOD, "POST https://api.acme.ai/v1/balance", body={"balance": 3}),
    record("*", "GET https://api.acme.ai/blocked", 403, body="<html>no</html>"),
    record("*", "GET https://api.acme.ai/slow", delay_ms=120, body="slow"),
]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Lab(RECORDS)) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


class Client:
    def __init__(self, server: Server) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)

    def ask(self, path: str, key: str = "", method: str = "GET", **headers: str) -> tuple[int, Any, Any]:
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self.connection.request(method, path, body=b"{}" if method == "POST" else None, headers=headers)
        answer = self.connection.getresponse()
        raw = answer.read().decode()
        return answer.status, answer.headers, raw if not raw.startswith("{") else json.loads(raw)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.connection.close()


def test_a_known_key_gets_its_answer_and_another_the_refusal(client: Client) -> None:
    status, headers, body = client.ask("/api.acme.ai/v1/me", GOOD)
    assert (status, headers["x-request-id"], headers["content-type"]) == (200, "r1", "application/json")
    assert body == {"name": "lab-owner"}
    assert client.ask("/api.acme.ai/v1/me", "sk-other")[0] == 401
    assert client.ask("/api.acme.ai/v1/me")[0] == 401


@pytest.mark.parametrize("header", ["x-api-key", "x-goog-api-key", "xi-api-key"])
def test_a_key_is_read_from_every_scheme(client: Client, header: str) -> None:
    assert client.ask("/api.acme.ai/v1/me", **{header: GOOD})[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/costs?from=2026-10-25&to=2026-11-24",
        "/v1/costs?from=%7Bmonth_ago%7D&to=%7Btoday%7D",
        "/v1/orgs/org-7%20a/limits",
    ],
)
def test_a_variable_stands_for_one_value(client: Client, path: str) -> None:
    assert client.ask("/api.acme.ai" + path, GOOD)[0] == 200


@pytest.mark.parametrize("path", ["/v1/costs?from=2026-10-25", "/v1/orgs/a/b/limits", "/v2/me", "/v1/me/"])
def test_an_unknown_call_is_said_to_be_one(client: Client, path: str) -> None:
    status, _, body = client.ask("/api.acme.ai" + path, GOOD)
    assert (status, body) == (404, {"error": {"message": "The lab has no such exchange"}})


def test_a_page_is_html(client: Client) -> None:
    status, headers, body = client.ask("/api.acme.ai/blocked", GOOD)
    assert (status, headers.get_content_type(), body) == (403, "text/html", "<html>no</html>")


def test_a_slow_answer_is_slow(client: Client) -> None:
    start = time.monotonic()
    assert client.ask("/api.acme.ai/slow")[2] == "slow"
    assert time.monotonic() - start >= 0.12


def test_head_has_no_body_and_the_connection_lives_on(client: Client) -> None:
    assert client.ask("/api.acme.ai/v1/me", GOOD, "HEAD")[2] == ""
    assert client.ask("/api.acme.ai/v1/me", GOOD)[0] == 200


def test_only_the_recorded_posts_are_taken(client: Client) -> None:
    assert client.ask("/api.acme.ai/v1/balance", GOOD, "POST")[2] == {"balance": 3}
    assert client.ask("/api.acme.ai/v1/me", GOOD, "POST")[0] == 405
    assert client.ask("/api.acme.ai/v1/balance", GOOD, "DELETE")[0] == 405
    report = client.ask("/__lab__/requests")[2]
    assert report["violations"] == [
        {"method": "POST", "host": "api.acme.ai"},
        {"method": "DELETE", "host": "api.acme.ai"},
    ]


def test_the_report_counts_and_holds_no_key(client: Client) -> None:
    client.ask("/api.acme.ai/v1/me", GOOD)
    client.ask("/api.acme.ai/blocked")
    client.ask(f"/elsewhere.ai/{GOOD}", GOOD, "PUT")
    report = client.ask("/__lab__/requests")[2]
    assert report["hosts"] == {"api.acme.ai": 2, "elsewhere.ai": 1}
    assert report["keys"] == {"api.acme.ai": 1, "elsewhere.ai": 1}
    assert [host for _, host in report["recent"]] == ["api.acme.ai", "api.acme.ai", "elsewhere.ai"]
    assert GOOD not in json.dumps(report)


def test_a_burst_is_answered_without_loss(server: Server) -> None:
    def many() -> None:
        client = Client(server)
        for _ in range(50):
            statuses.append(client.ask("/api.acme.ai/v1/me", GOOD)[0])
        client.connection.close()

    statuses: list[int] = []
    threads = [threading.Thread(target=many) for _ in range(16)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 800
    assert server.lab.hosts["api.acme.ai"] == 800
    assert time.monotonic() - start < 8


def test_a_canary_is_answered_like_the_key_it_stands_for() -> None:
    lab = Lab(as_canary(RECORDS, {"key": "sk-canary", "as": GOOD, "names": {"lab-owner": 'a "new" name'}}))
    found = lab.find("GET https://api.acme.ai/v1/me", "sk-canary")
    assert found is not None
    assert found.answer["body"] == {"name": 'a "new" name'}
    assert lab.find("GET https://api.acme.ai/v1/me", GOOD) is RECORDS[0]


@pytest.mark.parametrize("record", recorded.read_all(), ids=lambda r: f"{r.slug}/{r.file}")
def test_every_recorded_answer_can_be_had(record: Recorded) -> None:
    """Two exchanges of one call and one key: the second would never be answered."""
    assert LAB.find(record.call, record.key) == record


LAB = Lab(recorded.read_all())
