"""Hosts that are slow, over their limit or broken: how often they are asked, when, and who waits for whom."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.test import Client

from probes import burn, models, worker
from probes import client as probing
from probes.management.commands.proof import wait_for
from probes.models import CatalogueState, Check, Detection, Provider, State
from tests.servers import Heard, listen, response, serving
from tests.test_flow import Queue, Submit, json_of, run
from tests.test_worker import WORKER, python

pytestmark = pytest.mark.django_db

ONE_CALL = "upstage"  # its keys cost one call
HOST = "api.upstage.ai"
MODELS = json.dumps({"object": "list", "data": [{"id": "solar-mini", "object": "model", "created": 1}]}).encode()
GOOD = response(MODELS, Content_Type="application/json")
REFUSED = response(
    b'{"error": {"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"}}', "401 No"
)
BROKEN = response(b"{}", "500 Broken")
OVER_LIMIT = b'{"error": {"message": "no", "type": "requests", "code": "rate_limit_exceeded"}}'


def keys(count: int, word: str = "k") -> list[str]:
    return [f"up_{word}{n:04}TestKeyFakeNeverIssued0123" for n in range(count)]


@dataclass
class Host:
    """All providers at once. `answer` gets the request's text and how often that key has asked; None = silence."""

    answer: Callable[[str, int], bytes | None]
    heard: list[tuple[float, str]] = field(default_factory=list)
    now: int = 0
    peak: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, word: str) -> list[float]:
        return [at for at, text in self.heard if word in text]

    def __call__(self, connection: Any, heard: Heard) -> None:
        while said := listen(connection, heard).decode():
            with self.lock:
                key = re.search(r"uthorization: Bearer (\S+)", said)
                before = len(self.asked(key[1])) if key else 0
                self.heard.append((time.monotonic(), said))
                self.now += 1
                self.peak = max(self.peak, self.now)
            answer = self.answer(said, before)
            with self.lock:
                self.now -= 1
            if answer is None:
                heard.stop.wait(30)
                return
            if not answer:
                return
            connection.sendall(answer)


@contextmanager
def hosts(answer: Callable[[str, int], bytes | None]) -> Iterator[Host]:
    host, before = Host(answer), site.LAB_URL
    with serving(host) as heard:
        site.LAB_URL = f"http://127.0.0.1:{heard.port}"
        try:
            yield host
        finally:
            site.LAB_URL = before


def after(seconds: float) -> Callable[[str, int], bytes | None]:
    """A host that accepts every key, after so long."""

    def answer(_said: str, _before: int) -> bytes:
        time.sleep(seconds)
        return GOOD

    return answer


def submit(client: Client, queued: Queue, pasted: list[str], **fields: str) -> str:
    """Start them, and leave the tasks in the queue."""
    url = client.post("/checks/", {"keys": "\n".join(pasted), "provider": ONE_CALL, **fields})["Location"]
    if len(pasted) > 1:
        client.post(f"{url}start/")
    return str(url)


def verdicts(document: dict[str, Any]) -> list[str]:
    return [d["verdict"] for d in document["detections"]]


# Second tries


def test_a_broken_answer_is_asked_for_once_more(check: Submit) -> None:
    with hosts(lambda _said, before: BROKEN if before == 0 else GOOD) as host:
        _url, document = check(keys(1)[0], provider=ONE_CALL)
    assert verdicts(document) == ["active"]
    assert len(host.heard) == 2
    assert document["detections"][0]["requests"] == 2


def test_a_host_that_stays_broken_is_asked_twice_and_no_more(check: Submit) -> None:
    with hosts(lambda _said, _before: BROKEN) as host:
        _url, document = check(keys(1)[0], provider=ONE_CALL)
    assert document["detections"][0]["cause"] == "provider_error"
    assert len(host.heard) == 2


def test_a_connection_that_breaks_off_is_tried_once_more(check: Submit) -> None:
    with hosts(lambda _said, before: b"" if before == 0 else GOOD) as host:
        _url, document = check(keys(1)[0], provider=ONE_CALL)
    assert verdicts(document) == ["active"]
    assert len(host.heard) == 2


@pytest.mark.parametrize("answer", [GOOD, REFUSED, response(OVER_LIMIT, "429 Wait"), response(b"{}", "404 No")])
def test_what_was_answered_is_not_asked_again(check: Submit, answer: bytes) -> None:
    with hosts(lambda _said, _before: answer) as host:
        check(keys(1)[0], provider=ONE_CALL)
    assert len(host.heard) == 1


def test_a_silent_host_is_not_asked_again(check: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "DEADLINE", 0.3)
    with hosts(lambda _said, _before: None) as host:
        _url, document = check(keys(1)[0], provider=ONE_CALL)
    assert document["detections"][0]["cause"] == "timeout"
    assert len(host.heard) == 1


# Limits


def test_a_host_never_gets_more_calls_at_once_than_it_bears(check: Submit) -> None:
    Provider.objects.filter(slug=ONE_CALL).update(concurrency=6)
    CatalogueState.bump()
    models.forget()
    with hosts(after(0.02)) as host:
        _url, document = check("\n".join(keys(40)), provider=ONE_CALL)
    assert set(verdicts(document)) == {"active"}
    assert host.peak == 6 // worker.workers()


def test_an_address_over_its_limit_is_left_alone_as_long_as_it_says(check: Submit) -> None:
    """Nothing in the answer speaks of a key, so all keys wait."""
    Provider.objects.filter(slug=ONE_CALL).update(concurrency=2)
    CatalogueState.bump()
    models.forget()
    wait = response(b"slow down", "429 Wait", Retry_After="1")
    with hosts(lambda said, _before: wait if "k0000" in said else GOOD) as host:
        check("\n".join(keys(3)), provider=ONE_CALL)
    first, second, _third = (host.asked(f"k{n:04}")[0] for n in range(3))
    assert second - first >= 1


def test_one_key_over_its_own_limit_keeps_no_other_waiting(check: Submit) -> None:
    wait = response(OVER_LIMIT, "429 Wait", Retry_After="20")
    with hosts(lambda said, _before: wait if "k0000" in said else GOOD) as host:
        _url, document = check("\n".join(keys(30)), provider=ONE_CALL)
    assert verdicts(document) == ["rate_limited"] + ["active"] * 29
    assert len(host.heard) == 30


def test_a_call_that_would_have_to_wait_for_longer_than_its_key_lives_is_not_made(
    check: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    Provider.objects.filter(slug=ONE_CALL).update(concurrency=2)
    CatalogueState.bump()
    models.forget()
    monkeypatch.setattr(site, "KEY_SECONDS", worker.MARGIN + 2)
    wait = response(b"slow down", "429 Wait", Retry_After="25")
    with hosts(lambda said, _before: wait if "k0000" in said else GOOD) as host:
        _url, document = check("\n".join(keys(2)), provider=ONE_CALL)
    assert document["detections"][1]["cause"] == "not_asked"
    assert document["detections"][1]["requests"] == 0
    assert len(host.heard) == 1


# Who waits for whom


def test_a_silent_host_delays_nobody_else(client: Client, queued: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key is the last to end, and ends by the deadline."""
    monkeypatch.setattr(worker, "DEADLINE", 2.0)
    ended: list[str] = []
    store = worker._store

    def noted(claim: str, touched: list[worker.Job], finished: list[worker.Job]) -> None:
        store(claim, touched, finished)
        ended.extend(job.row.label for job in finished)

    monkeypatch.setattr(worker, "_store", noted)
    with hosts(lambda said, _before: None if "k0000" in said else GOOD):
        url = submit(client, queued, keys(100))
        run(queued)
    document = json_of(client, url)
    assert verdicts(document) == ["unknown"] + ["active"] * 99
    assert document["detections"][0]["cause"] == "timeout"
    assert len(ended) == 100
    assert ended[-1] == document["detections"][0]["label"]


def test_a_single_key_beside_a_thousand_is_answered_while_they_still_wait(disk: Path, queued: Queue) -> None:
    Provider.objects.filter(slug=ONE_CALL).update(concurrency=16)
    CatalogueState.bump()
    models.forget()
    many, one = Client(), Client()
    with hosts(after(0.05)) as host:
        submit(many, queued, keys(1000))
        task = python(WORKER, disk)
        wait_for(lambda: len(host.heard) > 20, 20, every=0.01)
        url = submit(one, queued, keys(1, "single"))
        wait_for(lambda: json_of(one, url)["check"]["state"] == "done", 20, every=0.05)
        assert Detection.objects.filter(state=State.QUEUED).exists()
        burn.burn(Check.objects.values_list("pk", flat=True))  # the rest need not be waited for
        task.communicate(timeout=30)


# Cancel and burn


@pytest.mark.parametrize("how", ["cancel", "burn"])
def test_after_it_no_further_request_is_made(disk: Path, queued: Queue, how: str) -> None:
    client = Client()
    with hosts(after(0.1)) as host:
        url = submit(client, queued, keys(600))
        task = python(WORKER, disk)
        wait_for(lambda: len(host.heard) > 20, 20, every=0.01)
        assert client.post(f"{url}{how}/").status_code == 303
        time.sleep(worker.ALIVE_SECONDS + 0.1)
        heard = len(host.heard)
        task.communicate(timeout=30)
        assert len(host.heard) == heard < 600
    if how == "cancel":
        document = json_of(client, url)
        assert document["check"]["state"] == "done"
        assert document["detections"][0]["key_destroyed_at"]
        causes = {d["cause"] for d in document["detections"] if d["verdict"] == "unknown"}
        assert causes <= {"cancelled", "interrupted"}
        assert "cancelled" in causes


def test_each_thread_has_a_connection_to_keep() -> None:
    assert probing.POOL_SIZE >= worker.THREADS
