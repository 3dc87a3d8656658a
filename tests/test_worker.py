"""The queue's task: whose turn it is, that no key is taken twice, and that each comes to a named end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as site
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from probes import burn, models, store, worker
from probes.examination import Examination
from probes.lab.server import Server
from probes.management.commands.proof import wait_for
from probes.models import CatalogueState, Check, Detection, Finding, Provider, State
from tests.conftest import Clock, lab_of, shipped_records
from tests.test_flow import FINE_GRAINED, NO_CREDIT, RESTRICTED, SHARED, Queue, Submit, json_of, run

pytestmark = pytest.mark.django_db


def waiting(owner: str, count: int) -> list[int]:
    """So many keys of an owner that wait; their rows hold nothing."""
    check = Check.objects.create(token_hash=f"{owner}-{time.monotonic_ns()}", owner=owner)
    rows = [
        Detection(check_of=check, number=n, line=n, label=owner, queued_at=timezone.now()) for n in range(1, count + 1)
    ]
    return [row.pk for row in Detection.objects.bulk_create(rows)]


# Claiming


def test_owners_take_turns() -> None:
    waiting("many", 200)
    waiting("few", 3)
    waiting("one", 1)
    claimed = worker.claim_next("a", 50)
    assert len(claimed) == 50
    assert Counter(row.label for row in claimed) == {"many": 46, "few": 3, "one": 1}


def test_one_key_beside_a_thousand_is_in_the_next_claim() -> None:
    waiting("many", 1000)
    worker.claim_next("a", 384)
    waiting("one", 1)
    assert "one" in [row.label for row in worker.claim_next("a", worker.ALWAYS)]


def test_a_lone_owner_gets_all_that_is_taken() -> None:
    waiting("many", 70)
    assert len(worker.claim_next("a", 50)) == 50
    assert len(worker.claim_next("b", 50)) == 20
    assert worker.claim_next("c", 50) == []


def test_a_host_that_bears_one_call_has_one_worker_at_a_time() -> None:
    Provider.objects.filter(slug="huggingface").update(concurrency=1)
    CatalogueState.bump()
    models.forget()
    Detection.objects.filter(pk__in=waiting("narrow", 3)).update(provider="huggingface")
    waiting("other", 2)
    assert len(worker.claim_next("a", 1)) == 1
    assert {row.label for row in worker.claim_next("b", 50)} == {"other"}
    assert {row.label for row in worker.claim_next("a", 50)} == {"narrow"}


def test_a_claim_holds_only_what_it_took_itself() -> None:
    waiting("one", 3)
    first, second = worker.claim_next("a", 50), worker.claim_next("b", 50)
    assert len(first) == 3
    assert second == []
    assert all((row.state, row.claim) == (State.PROBING, "a") for row in first)


def test_what_waits_for_a_choice_or_is_about_to_die_is_not_claimed(at: Clock) -> None:
    waiting("late", 1)
    at(site.KEY_SECONDS - worker.MARGIN)
    undecided = waiting("undecided", 1)
    Detection.objects.filter(pk__in=undecided).update(state=State.NEEDS_CHOICE)
    assert worker.claim_next("a", 50) == []


CLAIMER = """
import sys, time, pathlib, django
django.setup()
from probes import worker
from probes.models import Detection
ready, go = map(pathlib.Path, sys.argv[1:])
ready.touch()
while not go.exists():
    time.sleep(0.001)
turn, empty = 0, 0
while empty < 3:
    turn += 1
    rows = worker.claim_next(f"{ready.name}-{turn}", 7)
    empty = 0 if rows else empty + 1
    for row in rows:
        print(row.pk)
    time.sleep(0.01)  # so that the others come to it
"""


def environment(disk: Path) -> dict[str, str]:
    """Of a process that works on this database and the tests' data keys."""
    own = {"TESTKEY_DATA_DIR": str(disk.parent), "TESTKEY_KEYS_DIR": str(site.KEYS_DIR)}
    return os.environ | own | {"DJANGO_SETTINGS_MODULE": "testkey.settings", "TESTKEY_LAB_URL": site.LAB_URL}


def python(code: str, disk: Path, *arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=site.BASE_DIR, env=environment(disk), stdout=subprocess.PIPE, text=True)


def test_no_row_is_claimed_twice_by_several_processes(disk: Path, tmp_path: Path) -> None:
    rows = [pk for owner in ("a", "b", "c", "d") for pk in waiting(owner, 200)]
    connection.close()
    ready = [tmp_path / str(number) for number in range(4)]
    processes = [python(CLAIMER, disk, file, tmp_path / "go") for file in ready]
    wait_for(lambda: all(file.exists() for file in ready), 30, every=0.01)
    (tmp_path / "go").touch()
    claimed = [list(map(int, process.communicate(timeout=60)[0].split())) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(pk for of_one in claimed for pk in of_one) == rows
    assert sum(bool(of_one) for of_one in claimed) > 1


# Delivery


def test_a_task_delivered_twice_finds_nothing(lab: Server, client: Client, queued: Queue) -> None:
    url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
    task = queued[0]
    run(queued)
    before, asked = json_of(client, url), lab.lab.report()["hosts"]
    task()
    assert json_of(client, url) == before
    assert lab.lab.report()["hosts"] == asked
    assert Finding.objects.count() == len(before["detections"][0]["findings"])


def test_a_task_has_no_arguments(monkeypatch: pytest.MonkeyPatch, lab: Server, client: Client) -> None:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(store, "async_task", lambda *args, **options: calls.append((args, options)))
    client.post("/checks/", {"keys": FINE_GRAINED})
    assert calls == [((worker.pump,), {"save": False})]


@pytest.mark.parametrize(("keys", "tasks"), [(1, 1), (250, 1), (251, 2), (0, 0)])
def test_there_is_a_task_for_each_batch(lab: Server, client: Client, queued: Queue, keys: int, tasks: int) -> None:
    lines = [f"hf_{n:034}" for n in range(1, keys + 1)] or [SHARED]
    url = client.post("/checks/", {"keys": "\n".join(lines)})["Location"]
    if keys > 1:
        client.post(f"{url}start/")
    assert len(queued) == tasks


def test_a_submission_that_cannot_be_queued_is_not_accepted(
    lab: Server, disk: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise OSError

    monkeypatch.setattr(store, "async_task", broken)
    client.raise_request_exception = False
    assert client.post("/checks/", {"keys": FINE_GRAINED}).status_code == 503
    assert not Check.objects.exists()
    assert not Detection.objects.exists()


# Work


def test_keys_that_wait_get_a_task_where_each_other_task_has_been_taken(db: None, at: Clock) -> None:
    waiting("a", 1)
    OrmQ.objects.create(key="testkey", payload="", lock=timezone.now() + timedelta(seconds=300))  # it died, perhaps
    for _ in range(2):
        worker.wake()
        at(1)
    assert OrmQ.objects.count() == 2


def test_nobody_is_woken_for_nothing(db: None) -> None:
    worker.wake()
    assert not OrmQ.objects.exists()


def test_the_keys_of_many_checks_are_worked_off_in_one_task(lab: Server, client: Client, queued: Queue) -> None:
    urls = [client.post("/checks/", {"keys": keys})["Location"] for keys in (FINE_GRAINED, NO_CREDIT, RESTRICTED)]
    queued[0]()
    verdicts = [json_of(client, url)["detections"][0]["verdict"] for url in urls]
    assert verdicts == ["restricted", "no_credit", "restricted"]


def test_findings_are_seen_as_they_arrive(client: Client, queued: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [r for r in shipped_records() if r.slug == "huggingface"]
    slow = [replace(r, answer=dict(r.answer) | {"delay_ms": 300}) if r.probe == "models" else r for r in records]
    seen: list[dict[str, Any]] = []
    write = worker._store

    def watch(*args: Any) -> None:
        write(*args)
        seen.append(json_of(client, url))

    monkeypatch.setattr(worker, "_store", watch)
    with lab_of(slow):
        url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
        run(queued)
    first, last = seen[0], seen[-1]
    assert first["check"]["state"] == "running"
    assert [f["probe"] for f in first["detections"][0]["findings"]] == ["current_key"]
    assert first["detections"][0]["identity"]["state"] == "proven"
    assert first["detections"][0]["next_actions"] == []
    assert [f["probe"] for f in last["detections"][0]["findings"]] == ["current_key", "models"]


@pytest.mark.parametrize(("stumbled", "calls"), [(False, 1), (True, 0)])
def test_a_second_try_is_not_made_of_a_key_that_ended_meanwhile(stumbled: bool, calls: int) -> None:
    batch = worker.Batch("claim")
    job: Any = SimpleNamespace(stumbled=stumbled, owner="a", most=1)
    ask: Any = SimpleNamespace(call=SimpleNamespace(host="host.example"))
    batch.later.append((1.0, 1, worker.Turn(job, ask, attempt=2)))
    batch._send(0.5)
    assert len(batch.later) == 1
    batch.threads = SimpleNamespace(submit=lambda *_: None)  # type: ignore[assignment]
    batch._send(2.0)
    assert batch.lanes.running == calls
    assert not batch.later


@pytest.mark.parametrize("method", ["answer", "next"])
def test_a_fault_in_one_keys_examination_ends_that_key_alone_and_logs_no_key(
    lab: Server,
    check: Submit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    good = getattr(Examination, method)

    def broken(self: Examination, *args: Any) -> Any:
        if self.provider and self.provider.slug == "huggingface":
            raise ValueError(f"cannot read {FINE_GRAINED}")
        return good(self, *args)

    monkeypatch.setattr(Examination, method, broken)
    _url, document = check(f"{NO_CREDIT}\n{FINE_GRAINED}\n{RESTRICTED}")
    assert [(d["state"], d["verdict"], d["cause"]) for d in document["detections"]] == [
        ("done", "no_credit", document["detections"][0]["cause"]),
        ("done", "unknown", "interrupted"),
        ("done", "restricted", document["detections"][2]["cause"]),
    ]
    assert document["detections"][1]["key_destroyed_at"]
    assert "ValueError" in caplog.text
    assert FINE_GRAINED not in caplog.text


def test_a_fault_of_the_whole_batch_ends_every_key_named_and_logs_no_key(
    lab: Server, check: Submit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any) -> None:
        raise ValueError(f"cannot write {FINE_GRAINED}")

    monkeypatch.setattr(worker, "_store", broken)
    _url, document = check(f"{FINE_GRAINED}\n{NO_CREDIT}")
    assert [(d["state"], d["cause"]) for d in document["detections"]] == [("done", "interrupted")] * 2
    assert all(d["key_destroyed_at"] for d in document["detections"])
    assert "ValueError" in caplog.text
    assert FINE_GRAINED not in caplog.text


def test_a_call_that_would_outlive_its_key_is_not_made(
    lab: Server,
    at: Clock,
    client: Client,
    queued: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
    claim = worker.claim_next

    def slow_claim(name: str, most: int) -> list[Detection]:
        rows = claim(name, most)
        at(site.KEY_SECONDS - worker.MARGIN)
        return rows

    monkeypatch.setattr(worker, "claim_next", slow_claim)
    run(queued)
    assert lab.lab.report()["hosts"] == {}
    key = json_of(client, url)["detections"][0]
    assert (key["state"], key["verdict"], key["cause"]) == ("done", "unknown", "timeout")


# A worker that dies

WORKER = "import django; django.setup(); from probes import worker; worker.pump()"


def test_a_worker_killed_in_the_middle_leaves_a_named_end_within_the_keys_life(
    disk: Path,
    client: Client,
    at: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store, "async_task", lambda *args, **options: None)
    with lab_of(shipped_records(), delay_ms=30_000) as lab:
        url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
        process = python(WORKER, disk)
        wait_for(lambda: bool(lab.lab.hosts), 30, every=0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    key = json_of(client, url)["detections"][0]
    assert (key["state"], key["key_destroyed_at"]) == ("probing", None)
    at(site.KEY_SECONDS)
    assert json_of(client, url)["detections"][0]["cause"] == "interrupted"  # at once, for the reader
    assert burn.end_overdue() == 1
    key = json_of(client, url)["detections"][0]
    assert (key["state"], key["verdict"], key["cause"]) == ("done", "unknown", "interrupted")
    assert key["key_destroyed_at"]
    assert "The probing was interrupted" in client.get(url).content.decode()
    assert Detection.objects.get().sealed_key is None


def test_what_a_dead_worker_had_found_stays(
    lab: Server,
    client: Client,
    queued: Queue,
    at: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
    monkeypatch.setattr(worker, "_finish", lambda claim, ids: None)  # it dies before the end
    run(queued)
    assert json_of(client, url)["detections"][0]["state"] == "probing"
    at(site.KEY_SECONDS)
    burn.end_overdue()
    key = json_of(client, url)["detections"][0]
    assert (key["state"], key["verdict"], key["identity"]["state"]) == ("done", "restricted", "proven")
    assert key["next_actions"]


def test_a_worker_that_wakes_after_its_claim_was_ended_writes_nothing(
    lab: Server,
    client: Client,
    queued: Queue,
    at: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.post("/checks/", {"keys": FINE_GRAINED})
    write = worker._store

    def late(*args: Any) -> None:
        at(site.KEY_SECONDS)
        burn.end_overdue()
        write(*args)

    monkeypatch.setattr(worker, "_store", late)
    run(queued)
    assert not Finding.objects.exists()
    assert Detection.objects.get().state == State.DONE


def test_only_the_tasks_own_thread_speaks_to_the_database(
    lab: Server, check: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection of each thread's own would stay open for ever."""
    threads: set[str] = set()
    cursor = BaseDatabaseWrapper.cursor

    def noted(self: BaseDatabaseWrapper) -> Any:
        threads.add(threading.current_thread().name)
        return cursor(self)

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", noted)
    check(f"{FINE_GRAINED}\n{NO_CREDIT}")
    assert threads == {threading.current_thread().name}
