"""What was pasted and what was found die on time: for the reader, in the cache, in the rows, on the disk."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from django_q.models import Failure

from probes import burn, formats, results, seal, store, worker
from probes.lab.server import Server
from probes.management.commands.proof import forms, search
from probes.models import Check, Detection, Finding, State
from tests.conftest import Clock, database_file
from tests.test_flow import FINE_GRAINED, NO_CREDIT, SHARED, Queue, Submit, json_of, run

pytestmark = pytest.mark.django_db

OWNER_OF_FINE_GRAINED = "lab-fine"


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.split(maxsplit=1)[0].upper() in ("INSERT", "UPDATE", "DELETE"):
            raise OperationalError("database or disk is full")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse):
        yield


def gone(client: Client, url: str) -> bool:
    pages = ("", "live/", "keys/1/", "compare/?a=1&b=2", "export/?format=json")
    addresses = (*(url + page for page in pages), url.rstrip("/") + ".json")
    return all(client.get(address).status_code == 404 for address in addresses)


def started(client: Client, keys: str) -> str:
    """Submit, start what is clear, and get the address of the check."""
    url = str(client.post("/checks/", {"keys": keys})["Location"])
    if Detection.objects.filter(state=State.READY).exists():
        assert client.post(f"{url}start/").status_code == 303
    return url


def has(purpose: str) -> bool:
    """Whether the one check's data key is still there."""
    return caches["keys"].get(f"{purpose}:{Check.objects.get().pk}") is not None


# The reader


def test_nothing_is_read_at_five_minutes_though_nothing_else_runs(
    lab: Server, at: Clock, check: Submit, client: Client
) -> None:
    url, _document = check(FINE_GRAINED)
    at(299.999)
    assert not gone(client, url)
    at(300)
    assert gone(client, url)
    assert Check.objects.exists()  # nobody has swept


@pytest.mark.parametrize("action", ["start", "cancel", "burn"])
def test_at_five_minutes_nothing_can_be_started_cancelled_or_burned_any_more(
    lab: Server, at: Clock, check: Submit, client: Client, queued: Queue, action: str
) -> None:
    url, _document = check(SHARED)
    at(300)
    assert client.post(f"{url}{action}/", {"provider-1": "deepseek"}).status_code == 404
    assert not queued
    assert Detection.objects.get().state == State.NEEDS_CHOICE


def test_a_check_without_its_data_key_is_burned(lab: Server, check: Submit, client: Client) -> None:
    url, _document = check(FINE_GRAINED)
    caches["keys"].clear()
    assert gone(client, url)


def test_burn_now_leaves_no_row_and_no_data_key(lab: Server, check: Submit, client: Client) -> None:
    url, _document = check(f"{FINE_GRAINED}\n{SHARED}")
    number = Check.objects.get().pk
    answer = client.post(f"{url}burn/")
    assert (answer.status_code, answer["Location"]) == (303, url)
    assert gone(client, url)
    assert not Check.objects.exists()
    assert not Detection.objects.exists()
    assert not Finding.objects.exists()
    for purpose in (seal.KEYS, seal.RESULTS):
        with pytest.raises(seal.Burned):
            seal.data_key(purpose, number)


def test_burning_one_check_leaves_the_other(lab: Server, check: Submit, client: Client) -> None:
    first, _document = check(FINE_GRAINED)
    second, _document = check(NO_CREDIT)
    client.post(f"{first}burn/")
    assert gone(client, first)
    assert not gone(client, second)


# The sweep


def test_the_sweep_takes_what_is_due_and_nothing_else(lab: Server, at: Clock, check: Submit, client: Client) -> None:
    check(FINE_GRAINED)
    old = Check.objects.get().pk
    at(100)
    young, _document = check(NO_CREDIT)
    at(300)
    assert burn.sweep()
    assert [c.pk for c in Check.objects.all()] != [old]
    assert Check.objects.count() == 1
    assert not seal.is_there(seal.RESULTS, old)
    assert not gone(client, young)
    assert burn.sweep() == 0


def test_no_file_of_a_data_key_stays_after_the_sweep(lab: Server, at: Clock, check: Submit, settings: Any) -> None:
    check(f"{FINE_GRAINED}\n{SHARED}")
    assert list(Path(settings.KEYS_DIR).glob("*.djcache"))
    at(300)
    burn.sweep()
    assert not list(Path(settings.KEYS_DIR).glob("*.djcache"))


def test_the_minute_task_burns_too_and_clears_failures_and_sessions(
    lab: Server, at: Clock, check: Submit, client: Client
) -> None:
    check(FINE_GRAINED)
    now = timezone.now()
    Failure.objects.create(id="1", name="f", func="x", started=now, stopped=now, success=False)
    Session.objects.create(session_key="old", session_data="", expire_date=now)
    at(300)
    burn.burn_task()
    assert not Check.objects.exists()
    assert not Failure.objects.exists()
    assert [s.session_key for s in Session.objects.all()] == [client.session.session_key]


def test_the_queue_has_the_minute_task() -> None:
    from django_q.models import Schedule

    schedule = Schedule.objects.get(func="probes.burn.burn_task")
    assert (schedule.schedule_type, schedule.minutes, schedule.repeats) == (Schedule.MINUTES, 1, -1)


# A full disk


@pytest.fixture
def submit(disk: Path, lab: Server, client: Client, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Submit through the form and start, with a database on disk: an error ends its own transaction alone."""
    monkeypatch.setattr(store, "async_task", lambda *args, **options: None)
    return lambda keys: started(client, keys)


def test_burn_now_works_on_a_full_disk(submit: Callable[[str], str], client: Client) -> None:
    url = submit(f"{FINE_GRAINED}\n{SHARED}")
    worker.pump()
    with full_disk():
        assert client.post(f"{url}burn/").status_code == 303
        assert gone(client, url)
        assert not has(seal.KEYS)
        assert not has(seal.RESULTS)


def test_the_sweep_works_on_a_full_disk_and_ends_its_work_later(submit: Callable[[str], str], at: Clock) -> None:
    submit(f"{FINE_GRAINED}\n{SHARED}")
    at(300)
    with full_disk():
        assert burn.sweep() == 0
        assert not has(seal.KEYS)
        assert not has(seal.RESULTS)
    assert burn.sweep() > 0
    assert not Check.objects.exists()


def test_a_key_dies_on_time_on_a_full_disk(submit: Callable[[str], str], at: Clock) -> None:
    submit(FINE_GRAINED)
    at(60)
    with full_disk():
        burn.sweep()
        assert not has(seal.KEYS)


@pytest.mark.parametrize("already", ["waiting", "claimed"])
def test_a_key_dies_on_time_though_its_worker_met_a_full_disk(
    submit: Callable[[str], str], at: Clock, client: Client, monkeypatch: pytest.MonkeyPatch, already: str
) -> None:
    url = submit(FINE_GRAINED)
    with contextlib.ExitStack() as filled:
        jobs = worker._jobs

        def full_meanwhile(rows: Any) -> Any:
            filled.enter_context(full_disk())
            return jobs(rows)

        if already == "waiting":
            filled.enter_context(full_disk())
        monkeypatch.setattr(worker, "_jobs", full_meanwhile)
        with contextlib.suppress(OperationalError):  # the queue notes it
            worker.pump()
    at(60)
    burn.sweep()
    assert not has(seal.KEYS)
    assert not Detection.objects.exclude(sealed_key=None).exists()
    assert json_of(client, url)["detections"][0]["cause"] == "interrupted"


# The life of a key


def test_keys_are_destroyed_when_the_last_probe_has_ended(lab: Server, client: Client, queued: Queue) -> None:
    started(client, f"{FINE_GRAINED}\n{NO_CREDIT}")
    assert has(seal.KEYS)
    run(queued)
    assert not has(seal.KEYS)
    assert has(seal.RESULTS)
    assert not Detection.objects.exclude(sealed_key=None).exists()
    assert Check.objects.get().key_destroyed_at


def test_keys_are_destroyed_though_the_worker_died_right_after_the_last_row(
    lab: Server, client: Client, queued: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(client, f"{FINE_GRAINED}\n{NO_CREDIT}")
    with monkeypatch.context() as dying:
        dying.setattr(burn, "forget_keys", lambda ids: None)
        run(queued)
    assert not Detection.objects.exclude(state="done").exists()
    assert has(seal.KEYS)
    burn.sweep()
    assert not has(seal.KEYS)
    assert Check.objects.get().key_destroyed_at


def test_the_sweep_leaves_keys_that_wait_for_their_probes(lab: Server, client: Client, queued: Queue) -> None:
    started(client, f"{FINE_GRAINED}\n{NO_CREDIT}")
    Detection.objects.filter(number=1).update(state="done")
    burn.sweep()
    assert has(seal.KEYS)


def test_a_key_that_nobody_probes_lives_a_minute(lab: Server, at: Clock, client: Client, queued: Queue) -> None:
    url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
    at(59.9)
    assert burn.sweep() == 0
    assert has(seal.KEYS)
    at(60)
    assert burn.sweep() == 1
    assert not has(seal.KEYS)
    key = json_of(client, url)["detections"][0]
    assert (key["state"], key["verdict"], key["cause"]) == ("done", "unknown", "interrupted")
    assert key["key_destroyed_at"]


def test_a_key_whose_minute_is_over_is_shown_as_ended_before_anyone_writes_it_down(
    lab: Server, at: Clock, client: Client, queued: Queue
) -> None:
    url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
    at(60)
    document = json_of(client, url)
    assert document["check"]["state"] == "done"
    assert (document["detections"][0]["state"], document["detections"][0]["cause"]) == ("done", "interrupted")
    assert "interrupted" in client.get(url).content.decode()


def test_a_key_whose_minute_is_over_is_probed_no_more(lab: Server, at: Clock, client: Client, queued: Queue) -> None:
    client.post("/checks/", {"keys": FINE_GRAINED})
    at(60)
    run(queued)
    assert lab.lab.report()["hosts"] == {}


def test_a_key_that_waits_for_a_choice_lives_until_the_results_burn(
    lab: Server, at: Clock, check: Submit, client: Client
) -> None:
    url, _document = check(SHARED)
    at(299)
    burn.sweep()
    assert has(seal.KEYS)
    assert json_of(client, url)["detections"][0]["state"] == "needs_choice"
    at(300)
    burn.sweep()
    assert not Check.objects.exists()


def test_a_key_chosen_late_has_its_minute_from_the_choice(
    lab: Server, at: Clock, check: Submit, client: Client, queued: Queue
) -> None:
    url, _document = check(SHARED)
    at(200)
    client.post(f"{url}start/", {"provider-1": "deepseek"})
    at(230)
    burn.sweep()
    run(queued)
    assert json_of(client, url)["detections"][0]["verdict"] == "active"
    assert not has(seal.KEYS)


def test_an_overdue_key_does_not_take_one_along_that_waits_for_a_choice(
    lab: Server, at: Clock, client: Client, queued: Queue
) -> None:
    started(client, f"{FINE_GRAINED}\n{SHARED}")
    at(60)
    burn.sweep()
    assert has(seal.KEYS)
    ended, waiting = Detection.objects.all()
    assert (ended.state, ended.sealed_key) == (State.DONE, None)
    assert (waiting.state, bool(waiting.sealed_key)) == (State.NEEDS_CHOICE, True)


def test_keys_that_wait_for_a_start_live_until_the_results_burn(lab: Server, at: Clock, client: Client) -> None:
    url = client.post("/checks/", {"keys": f"{FINE_GRAINED}\n{NO_CREDIT}"})["Location"]
    at(299)
    burn.sweep()
    assert has(seal.KEYS)
    assert [d["state"] for d in json_of(client, url)["detections"]] == ["ready", "ready"]
    at(300)
    burn.sweep()
    assert not Check.objects.exists()


def test_keys_started_late_have_their_minute_from_the_start(
    lab: Server, at: Clock, client: Client, queued: Queue
) -> None:
    url = client.post("/checks/", {"keys": f"{FINE_GRAINED}\n{NO_CREDIT}"})["Location"]
    at(200)
    client.post(f"{url}start/")
    at(259.9)
    assert burn.sweep() == 0
    assert has(seal.KEYS)
    at(260)
    assert burn.sweep() == 2
    assert not has(seal.KEYS)
    assert {d["cause"] for d in json_of(client, url)["detections"]} == {"interrupted"}


def test_a_start_at_the_end_lives_no_longer_than_the_results(
    lab: Server, at: Clock, client: Client, queued: Queue
) -> None:
    url = client.post("/checks/", {"keys": f"{FINE_GRAINED}\n{NO_CREDIT}"})["Location"]
    at(297)
    client.post(f"{url}start/")
    run(queued)  # five seconds are kept for writing: there are none for asking
    assert lab.lab.report()["hosts"] == {}
    at(300)
    assert gone(client, url)


def test_the_last_key_that_is_left_out_takes_the_data_key_with_it(lab: Server, client: Client, queued: Queue) -> None:
    url = client.post("/checks/", {"keys": f"{FINE_GRAINED}\n{NO_CREDIT}"})["Location"]
    client.post(f"{url}start/", {"leave": "1"})
    assert has(seal.KEYS)
    run(queued)
    assert not has(seal.KEYS)
    url = client.post("/checks/", {"keys": f"{FINE_GRAINED}\n{NO_CREDIT}"})["Location"]
    client.post(f"{url}start/", {"leave": ["1", "2"]})
    latest = Check.objects.latest("pk")
    assert not seal.is_there(seal.KEYS, latest.pk)
    assert latest.key_destroyed_at


def test_a_cancel_destroys_every_pasted_key_at_once_and_leaves_what_was_found(
    lab: Server, client: Client, queued: Queue
) -> None:
    url = started(client, f"{FINE_GRAINED}\n{SHARED}")
    run(queued)
    before = json_of(client, url)["detections"][0]
    client.post(f"{url}cancel/")
    assert not has(seal.KEYS)
    assert has(seal.RESULTS)
    assert not Detection.objects.exclude(sealed_key=None).exists()
    after = json_of(client, url)["detections"][0]
    assert after["key_destroyed_at"]
    assert after | {"key_destroyed_at": None} == before | {"key_destroyed_at": None}


def test_a_cancel_on_a_full_disk_destroys_the_keys_all_the_same(submit: Callable[[str], str], client: Client) -> None:
    url = submit(FINE_GRAINED)
    with full_disk():
        assert client.post(f"{url}cancel/").status_code == 303
        assert not has(seal.KEYS)
        assert client.get(url).status_code == 200


# Nothing comes back


def test_a_late_write_after_a_burn_creates_nothing(
    lab: Server, client: Client, queued: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
    write = worker._store
    burned: list[int] = []

    def burn_first(claim: str, touched: Any, finished: Any) -> None:
        if not burned:
            burned.append(client.post(f"{url}burn/").status_code)
        write(claim, touched, finished)

    monkeypatch.setattr(worker, "_store", burn_first)
    run(queued)
    assert burned == [303]
    assert lab.lab.hosts  # it had been asked
    assert not Check.objects.exists()
    assert not Detection.objects.exists()
    assert not Finding.objects.exists()
    assert gone(client, url)


def test_a_key_burned_before_its_turn_is_sent_nowhere(lab: Server, client: Client, queued: Queue) -> None:
    url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
    client.post(f"{url}burn/")
    run(queued)
    assert lab.lab.report()["hosts"] == {}


def test_a_key_whose_data_key_is_gone_ends_and_is_sent_nowhere(lab: Server, client: Client, queued: Queue) -> None:
    client.post("/checks/", {"keys": FINE_GRAINED})
    seal.destroy(seal.KEYS, Check.objects.get().pk)
    run(queued)
    assert lab.lab.report()["hosts"] == {}
    assert Detection.objects.get().state == State.DONE


def test_a_sealed_key_opens_nowhere_but_in_its_own_row() -> None:
    from probes.secret import Secret

    key = b"k" * 32
    sealed = seal.seal_key(key, Secret(FINE_GRAINED), 1, 1, 8)
    assert seal.open_key(key, sealed, 1, 1, 8) == Secret(FINE_GRAINED)
    for check_id, line, column, other in ((2, 1, 8, key), (1, 2, 8, key), (1, 1, 0, key), (1, 1, 8, b"x" * 32)):
        with pytest.raises(seal.Burned):
            seal.open_key(other, sealed, check_id, line, column)


def test_a_sealed_row_and_a_sealed_token_open_nowhere_but_where_they_belong() -> None:
    key = b"k" * 32
    row, token = seal.seal_row(key, {"number": 1}, 7), seal.seal_token(key, "token", 7)
    assert seal.open_row(key, row, 7) == {"number": 1}
    assert seal.open_token(key, token, 7) == "token"
    for attempt in (
        lambda: seal.open_row(key, row, 8),
        lambda: seal.open_row(b"x" * 32, row, 7),
        lambda: seal.open_finding(key, row, 7),
        lambda: seal.open_token(key, token, 8),
        lambda: seal.open_token(key, b"", 7),
    ):
        with pytest.raises(seal.Burned):
            attempt()


def test_a_copy_of_the_database_opens_nothing_once_the_data_keys_are_destroyed(
    submit: Callable[[str], str], disk: Path, tmp_path: Path, client: Client
) -> None:
    url = submit(f"{FINE_GRAINED}\n{SHARED}")
    worker.pump()
    assert OWNER_OF_FINE_GRAINED in json.dumps(json_of(client, url))
    copy = tmp_path / "copy"
    shutil.copytree(disk.parent, copy)  # with the write-ahead log, while the result stands
    client.post(f"{url}burn/")
    with database_file(copy / disk.name):
        assert Check.objects.count() == 1
        assert Detection.objects.exclude(sealed_key=None).count() == 1
        with pytest.raises(seal.Burned):
            results.document(Check.objects.get())
        with pytest.raises(seal.Burned):
            results.table(Check.objects.get())
        assert store.token_of(Check.objects.get()) is None
        assert gone(client, url)
    for text in (FINE_GRAINED, SHARED, OWNER_OF_FINE_GRAINED):
        assert not search([copy], forms(text)).traces


def test_a_burn_leaves_no_byte_of_a_row_on_the_disk(submit: Callable[[str], str], disk: Path, client: Client) -> None:
    url = submit(f"{FINE_GRAINED}\nplease no")
    hashed = Check.objects.get().token_hash
    sealed = bytes(Detection.objects.get().sealed_key or b"")
    marks = {"token": hashed.encode(), "key": sealed[20:40], "refusal": b"there are spaces inside"}
    assert len({place.rpartition(": ")[2] for place in search([disk.parent], marks).traces}) == 3
    client.post(f"{url}burn/")
    assert not search([disk.parent], marks).traces


def test_a_fact_that_is_shown_stays_in_no_cache() -> None:
    """The result burns; a process lives on."""
    fact = "".join(("Somebodys", " Organization"))
    held = sys.getrefcount(fact)
    formats.figure(fact)
    assert sys.getrefcount(fact) == held
