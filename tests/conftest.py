"""What the tests share: a catalogue that is loaded once, a lab on loopback, and a browser's way through the form."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from probes import models, seed, sow, store, worker
from probes.lab import recorded
from probes.lab.server import Lab, Server


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Every test with a database has the shipped catalogue in it."""
    with django_db_blocker.unblock():
        sow.sow(seed.read_catalogue(), "tests")


@pytest.fixture(autouse=True)
def fresh_memory() -> Iterator[None]:
    """No catalogue, client or data key is left over from another test."""
    models.forget()
    yield
    models.forget()
    worker._process = None
    caches["keys"].clear()


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """Tasks that were queued; a test runs them when it wants to."""
    tasks: list[Callable[[], None]] = []
    monkeypatch.setattr(store, "async_task", lambda task, **_: tasks.append(task))
    return tasks


@pytest.fixture
def lab(settings: Any) -> Iterator[Server]:
    """The lab on a free loopback port, with the settings that send every call there."""
    with Server(Lab(recorded.read_all())) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        settings.LAB_URL = f"http://127.0.0.1:{server.server_address[1]}"
        yield server
        server.shutdown()


@pytest.fixture
def check(client: Client, queued: list[Callable[[], None]]) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Submit keys through the form, run the queue, and give (address, JSON)."""

    def submit(keys: str, **fields: str) -> tuple[str, dict[str, Any]]:
        response = client.post("/checks/", {"keys": keys, **fields})
        assert response.status_code == 303, response.content.decode()
        while queued:
            queued.pop(0)()
        return response["Location"], client.get(response["Location"].rstrip("/") + ".json").json()

    return submit
