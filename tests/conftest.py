"""What the tests share: a catalogue that is loaded once, a lab on loopback, and a browser's way through the form."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.cache import caches
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.utils import timezone

from probes import lanes, models, public, seed, sow, store, worker
from probes.lab import recorded
from probes.lab.recorded import Recorded
from probes.lab.server import Lab, Server
from probes.models import shelf, versions

Clock = Callable[[float], None]
SCORE: pytest.StashKey[str] = pytest.StashKey()
LONG = {"test_results", "test_processes", "test_paste", "test_browser", "test_bad_input", "test_under_fire", "test_api"}
LONG |= {"test_public"}


@pytest.fixture
def score() -> pytest.StashKey[str]:
    """Where a test leaves the line that the run's summary prints."""
    return SCORE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that none is left over when the other processes have ended."""
    items.sort(key=lambda item: item.path.stem not in LONG)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Of the processes that share the tests one has the score; it tells the one that prints."""
    if SCORE in session.config.stash and hasattr(session.config, "workeroutput"):
        session.config.workeroutput["score"] = session.config.stash[SCORE]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if "score" in getattr(node, "workeroutput", {}):
        node.config.stash[SCORE] = node.workeroutput["score"]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if SCORE in config.stash:
        terminalreporter.write_line(config.stash[SCORE])


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Every test with a database has the shipped catalogue in it. (Without such a test pytest-django makes none.)"""
    with django_db_blocker.unblock():
        if not connections["default"].introspection.table_names():
            return
        sow.sow(seed.read_catalogue(), "tests")
        shipped.append(models.current())


shipped: list[seed.Catalogue] = []


@pytest.fixture(autouse=True)
def fresh_memory() -> Iterator[None]:
    """No edited catalogue, page, client or data key is left over from another test.

    The shipped catalogue stays: its version is asked before it serves again.
    """
    versions._asked, versions._kept = None, shipped[0] if shipped else None
    public._pages.forget()
    if shelf._kept and shipped and shelf._kept.version != shipped[0].version:
        shelf._kept = None  # versions count anew after a test has been rolled back
    yield
    worker._process = None
    caches["keys"].clear()


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """Tasks that were queued; a test runs them when it wants to."""
    tasks: list[Callable[[], None]] = []
    monkeypatch.setattr(store, "async_task", lambda task, **_: tasks.append(task))
    return tasks


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Move the clock to so many seconds after now; data keys in the cache keep to the real one."""
    start = timezone.now()

    def move(seconds: float) -> None:
        monkeypatch.setattr(timezone, "now", lambda: start + dt.timedelta(seconds=seconds))

    move(0)
    return move


@contextmanager
def lab_of(records: Iterable[Recorded], delay_ms: int = 0) -> Iterator[Server]:
    """A lab with these answers on a free loopback port, and the settings that send every call there."""
    before = site.LAB_URL
    with Server(Lab(records, delay_ms)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        site.LAB_URL = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield server
            assert not server.lab.violations, "something else than a read-only call of the catalogue was sent"
        finally:
            site.LAB_URL = before
            server.shutdown()


@cache
def shipped_records() -> list[Recorded]:
    return recorded.read_all()


@pytest.fixture
def lab() -> Iterator[Server]:
    with lab_of(shipped_records()) as server:
        yield server


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that ask us to wait, as recorded ones do for half a minute, are asked again at once."""
    for module in (worker, lanes):
        monkeypatch.setattr(module, "LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(worker, "AGAIN_SECONDS", (0.0, 0.0))


@contextmanager
def database_file(file: Path) -> Iterator[Path]:
    """Our one connection leads to this file instead of the tests' database in memory: commits are real."""
    before = connections["default"]
    here = type(before)(before.settings_dict | {"NAME": str(file)}, "default")
    connections["default"] = here
    try:
        yield file
    finally:
        here.close()
        connections["default"] = before


@pytest.fixture(scope="session")
def shipped_file(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any) -> Path:
    """A database file as `dev` makes it: migrated, with the shipped catalogue."""
    with (
        django_db_blocker.unblock(),
        database_file(tmp_path_factory.mktemp("shipped") / "testkey.sqlite3") as file,
    ):
        call_command("migrate", verbosity=0)
        sow.sow(seed.read_catalogue(), sow.digest())
        with connections["default"].cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


@pytest.fixture
def disk(shipped_file: Path, tmp_path: Path, django_db_blocker: Any) -> Iterator[Path]:
    """A database of this test's own, on disk with its write-ahead log; its folder is a data folder."""
    copy = tmp_path / "data" / shipped_file.name
    copy.parent.mkdir()
    copy.write_bytes(shipped_file.read_bytes())
    with django_db_blocker.unblock(), database_file(copy):
        yield copy


@pytest.fixture
def check(client: Client, queued: list[Callable[[], None]]) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Submit keys through the form, start what is clear, run the queue, and give (address, JSON)."""

    def submit(keys: str, **fields: str) -> tuple[str, dict[str, Any]]:
        response = client.post("/checks/", {"keys": keys, **fields})
        assert response.status_code == 303, response.content.decode()
        if models.Detection.objects.filter(state=models.State.READY).exists():
            client.post(f"{response['Location']}start/")
        while queued:
            queued.pop(0)()
        return response["Location"], client.get(response["Location"].rstrip("/") + ".json").json()

    return submit
