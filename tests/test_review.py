"""What a hostile host, a hostile neighbour or a careless admin once could do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from probes import burn, seed, worker
from probes.client import Call
from probes.exchange import MAX_PARTS, Exchange, parse_json
from probes.models import Check
from probes.secret import Secret
from testkey.settings import own_dir
from tests.cases import CATALOGUE

RELAY = "https://relay.acme.dev/v1"
KEYS = ["sk-FakeRelayKeyNumberOne0123456789abcdefABCDEF", "sk-FakeRelayKeyNumberTwo9876543210fedcbaFEDCBA"]


class Echo:
    """A host that remembers every key and answers each call, with a key or without, with all of them."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.calls: list[tuple[str, bool]] = []

    def send(self, call: Call, secret: Secret | None, seconds: float, others: Any = ()) -> Exchange:
        if call.auth and secret:
            self.seen.add(secret.reveal())
        self.calls.append((call.url, bool(call.auth)))
        said = " ".join([*KEYS, *self.seen])
        body = {"error": {"message": said, "code": said, "type": "x"}, "data": [{"id": said}], "version": said}
        headers = {"x-request-id": said}
        return Exchange.of(str(call), secret, 200, headers, json.dumps(body).encode(), 1, others)


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Echo:
    host = Echo()
    threads = worker.resources()[1]
    monkeypatch.setattr(worker, "resources", lambda: (host, threads))
    return host


@pytest.mark.django_db
def test_a_host_that_repeats_keys_on_any_call_shows_none(
    echo: Echo, check: Callable[..., tuple[str, dict[str, Any]]], client: Client
) -> None:
    url, document = check("\n".join(KEYS), base_url=RELAY)
    shown = json.dumps(document) + client.get(url).content.decode()
    assert len(echo.seen) == 2
    for key in KEYS:
        windows = [key[i : i + 12] for i in range(3, len(key) - 11)]
        assert not [window for window in windows if window in shown]


def submit(client: Client, keys: str, **fields: str) -> str:
    """Paste, start whatever waits, and get the address of the check. Its tasks are queued and have not run."""
    url = str(client.post("/checks/", {"keys": keys, **fields})["Location"])
    client.post(f"{url}start/")
    return url


@pytest.mark.django_db
@pytest.mark.parametrize("end", [burn.burn, burn.cancel])
def test_after_the_burn_or_a_cancel_no_call_is_sent(
    echo: Echo,
    queued: list[Callable[[], None]],
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[Any], Any],
) -> None:
    submit(client, "\n".join(KEYS), base_url=RELAY)
    jobs = worker._jobs

    def ended_meanwhile(rows: Any) -> Any:
        found = jobs(rows)
        end(Check.objects.values_list("pk", flat=True))
        return found

    monkeypatch.setattr(worker, "_jobs", ended_meanwhile)
    queued.pop()()
    assert echo.calls == []


@pytest.mark.django_db
def test_keys_that_come_while_a_slow_host_answers_do_not_wait_for_it(
    queued: list[Callable[[], None]], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    class Slow:
        def send(self, call: Call, secret: Secret | None, seconds: float, others: Any = ()) -> Exchange:
            time.sleep(0.6 if "relay" in call.url else 0)
            order.append("slow" if "relay" in call.url else "quick")
            return Exchange(str(call), failure="timeout")

    threads = worker.resources()[1]
    monkeypatch.setattr(worker, "resources", lambda: (Slow(), threads))
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(worker, "BEAT_SECONDS", 0.05)
    take = worker.Batch._take

    def post_one_more(batch: worker.Batch) -> None:
        if not order and not Check.objects.filter(owner="other").exists():
            submit(client, "hf_TestKeyLabFineGrained0000000000000")
            Check.objects.filter(pk=Check.objects.latest("pk").pk).update(owner="other")
        take(batch)

    monkeypatch.setattr(worker.Batch, "_take", post_one_more)
    submit(client, "\n".join(f"sk-FakeRelayKeyNumber{i:030d}" for i in range(20)), base_url=RELAY)
    queued.pop(0)()
    assert "quick" in order[: len(order) // 2]


def test_an_answer_of_too_many_values_is_not_judged() -> None:
    with pytest.raises(ValueError, match="too many"):
        parse_json("[" + "[]," * MAX_PARTS + "[]]")
    told = Exchange.of("GET https://x.dev/", None, 200, {}, b"[" + b"0," * MAX_PARTS + b"0]", 1)
    assert (told.failure, told.body) == ("too_large", None)


@pytest.mark.parametrize(
    "name", ["Host", "connection", "X-HTTP-Method-Override", "Authorization", "x-portkey-custom-host"]
)
def test_fixed_headers_cannot_send_a_key_elsewhere(name: str) -> None:
    with pytest.raises(seed.SeedError, match="not for a catalogue to set"):
        seed.check_headers({name: "evil.example"}, "x.toml")


@pytest.mark.parametrize("path", ["/../../x", "/%2e%2e/x", "/v1/./x", "//evil.example/x", "/v1/a b"])
def test_a_call_s_path_stays_where_its_origin_is(path: str) -> None:
    with pytest.raises(seed.SeedError, match="one slash"):
        seed.check_probe(seed.Probe(name="p", call=f"GET {path}", rules=()), "x.toml", set())


def test_a_gateway_is_only_asked_by_get() -> None:
    gateway = CATALOGUE.gateways["litellm"]
    post = seed.Probe(name="delete", call="POST /key/delete", rules=(), read_only_post=True)
    with pytest.raises(seed.SeedError, match="POST"):
        seed.check_sender(seed.replace(gateway, probes=(post,)), "litellm.toml")


def test_a_probe_whose_origin_is_gone_is_not_asked_and_breaks_no_page() -> None:
    provider = CATALOGUE.providers["openai"]
    lost = seed.Probe(name="lost", call="GET /x", rules=(), origin="eu", proves_key=True)
    assert seed.replace(provider, probes=(lost,)).hosts == []


def test_a_folder_for_data_keys_that_somebody_else_laid_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "keys"
    link.symlink_to(tmp_path)
    with pytest.raises(ImproperlyConfigured):
        own_dir(link)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    with pytest.raises(ImproperlyConfigured):
        own_dir(tmp_path / "fresh")


def test_a_folder_for_data_keys_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o777)
    assert own_dir(tmp_path / "keys").stat().st_mode & 0o077 == 0


@pytest.mark.django_db
def test_an_odd_charset_gets_a_page_and_not_a_trace(client: Client) -> None:
    client.raise_request_exception = False
    answer = client.generic(
        "POST", "/checks/", b"keys=x", content_type="application/x-www-form-urlencoded; charset=utf-16"
    )
    assert answer.status_code in (400, 403, 422, 500)
    assert b"Traceback" not in answer.content


@pytest.mark.django_db
def test_a_full_disk_says_that_nothing_was_sent(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr("probes.store.submit", full)
    answer = client.post("/checks/", {"keys": "hf_TestKeyLabFineGrained0000000000000"})
    assert answer.status_code == 503
    assert b"Nothing was sent" in answer.content
