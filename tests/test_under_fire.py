"""The burn while everything runs at once: processes killed in the middle, the folder copied, readers, a clock.

A TestKey with all its processes asks a relay of this test's own, which answers slowly with a name and a balance that
stand nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.contrib.auth.models import User
from django.core.cache.backends.filebased import FileBasedCache
from django.test import Client

from probes import burn, exports, results, seal, store
from probes.lab.recorded import Recorded
from probes.lab.server import Lab, Server
from probes.management.commands.proof import PROC, Browser, Stand, forms, processes, search, wait_for
from probes.models import Check, Detection, Finding
from tests.conftest import Clock, database_file, shipped_records
from tests.test_access import operator
from tests.test_api import Program
from tests.test_flow import FINE_GRAINED, NO_CREDIT, RELAY, SHARED, Queue, Submit, run

pytestmark = pytest.mark.django_db

NAME = f"Canary+{secrets.token_hex(12)}"
BALANCE = 9_173_519_486.27
SHOWN_BALANCE = "9173519486.27"
MANY = 200


class Relay(Lab):
    """Answers any key as it was recorded for one, but with our name and balance."""

    def __init__(self) -> None:
        super().__init__(_renamed(record) for record in shipped_records() if record.key == RELAY)

    def find(self, call: str, key: str) -> Recorded | None:
        return super().find(call, RELAY if key else "")

    def asked(self) -> list[float]:
        with self._lock:
            return [at for at, _host in self.recent]


def _renamed(record: Recorded) -> Recorded:
    text = json.dumps(record.answer).replace("lab token", NAME)
    answer = json.loads(text)
    if "hard_limit_usd" in (answer["body"] if isinstance(answer["body"], dict) else {}):
        answer["body"] |= {"hard_limit_usd": BALANCE, "soft_limit_usd": BALANCE, "system_hard_limit_usd": BALANCE}
    return replace(record, answer=answer)


class Tree(Stand):
    """A `manage.py dev` that may ask a relay on loopback."""

    def __init__(self, relay: Server) -> None:
        super().__init__()
        self.relay: Any = relay.lab
        self.origin = f"http://127.0.0.1:{relay.server_address[1]}"
        self.base_url = f"{self.origin}/relay.example/v1"

    def launch(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "dev", "--port", str(self.port)],
                cwd=site.BASE_DIR,
                env=self.environment() | {"TESTKEY_PRIVATE_GATEWAYS": self.origin},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lab_answers(self) -> bool:
        return True

    def submit(self, browser: Browser, keys: list[str]) -> str:
        """Send them to the relay; the path of the check."""
        fields = browser.form("/") | {"keys": "\n".join(keys), "provider": "openai", "base_url": self.base_url}
        status, check, _page = browser.open("/checks/", fields)
        assert status == 200
        if len(keys) > 1:
            assert browser.open(f"{check}start/", browser.form(check))[0] == 200
        return check

    def searched(self) -> list[str]:
        places = search([self.data, self.log, self.tmp], WANTED)
        assert places.files >= 3
        return places.traces

    @contextmanager
    def rows(self) -> Iterator[None]:
        """The tests' own connection leads to this TestKey's database."""
        with database_file(self.data / "testkey.sqlite3"):
            yield

    def stored(self) -> list[int]:
        with self.rows():
            return [model.objects.count() for model in (Check, Detection, Finding)]

    def kill(self) -> None:
        """All of it at once, as a power cut does."""
        for pid in processes(self.process.pid):
            with suppress(ProcessLookupError):  # one that ended this moment
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def keys(count: int) -> list[str]:
    """Made up, and looked for from now on: each in clear, the first in any form."""
    made = [f"sk-{secrets.token_urlsafe(36)}" for _ in range(count)]
    WANTED.update({f"key {key[-4:]}": key[20:32].encode() for key in made})
    WANTED.update({f"key {made[0][-4:]}: {name}": form for name, form in forms(made[0]).items()})
    return made


WANTED = {f"name: {name}": form for name, form in forms(NAME).items()}
WANTED |= {f"balance: {name}": form for name, form in forms(SHOWN_BALANCE).items()}


@pytest.fixture(scope="module")
def tree() -> Iterator[Tree]:
    with Server(Relay()) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        running = Tree(server)
        with running:
            yield running
        server.shutdown()


@pytest.fixture
def browser(tree: Tree) -> Browser:
    return Browser(tree.url)


def done(tree: Tree, browser: Browser, check: str) -> str:
    """The report as text, when the check is done."""
    wait_for(lambda: bool(browser.report(check)["check"]["state"] == "done"), 30, every=0.2)
    return browser.open(check.rstrip("/") + ".json")[2]


def burned(browser: Browser, check: str) -> None:
    assert browser.open(f"{check}burn/", browser.form("/"))[0] == 404  # where it leads


# A copy of the folder


def test_a_copy_of_the_data_folder_opens_nothing_though_its_secret_key_is_in_it(
    tree: Tree, browser: Browser, tmp_path: Path, settings: Any, client: Client
) -> None:
    tree.relay.delay_ms = 0
    check = tree.submit(browser, keys(1))
    told = done(tree, browser, check)
    assert NAME in told
    assert SHOWN_BALANCE in told
    copy = shutil.copytree(tree.data, tmp_path / "copy")
    assert not search([copy], WANTED).traces
    settings.SECRET_KEY = secret = (copy / "secret-key").read_text().strip()
    guesses = [hashlib.sha256(secret.encode()).digest(), secret.encode()[:32], secret.encode()[-32:], b"\0" * 32]
    with database_file(copy / "testkey.sqlite3"):
        row = Check.objects.get()
        assert store.token_of(row) is None
        for read in (results.document, results.table, results.reports):
            with pytest.raises(seal.Burned):
                read(row)
        token = check.split("/")[2]
        session = client.session
        session["owner"] = row.owner
        session.save()
        assert {client.get(f"/checks/{token}{tail}").status_code for tail in ("/", ".json", "/live/")} == {404}
        found = Finding.objects.filter(detection__check_of=row)
        sealed = [(bytes(f.sealed), f.detection_id) for f in found]
        for guess in guesses:
            for blob, detection in sealed:
                with pytest.raises(seal.Burned):
                    seal.open_finding(guess, blob, detection)
        # Nothing else is wrong with the copy: the data key, which is not in it, opens it.
        key = FileBasedCache(str(tree.keys), {}).get(f"results:{row.pk}")
        assert NAME in json.dumps([seal.open_finding(key, blob, detection) for blob, detection in sealed])
    burned(browser, check)


# Burned and cancelled in the middle


def in_the_middle(tree: Tree, browser: Browser) -> str:
    """A check of many keys of which some have had answers."""
    tree.relay.delay_ms = 400
    before = len(tree.relay.asked())
    check = tree.submit(browser, keys(MANY))
    wait_for(lambda: len(tree.relay.asked()) > before + MANY, 20, every=0.02)
    wait_for(lambda: any(d["findings"] for d in browser.report(check)["detections"]), 10, every=0.1)
    return check


def test_after_a_burn_no_call_is_made_no_row_comes_back_and_nothing_is_left(tree: Tree, browser: Browser) -> None:
    check = in_the_middle(tree, browser)
    form = browser.form("/")
    assert tree.stored()[1] == MANY
    browser.open(f"{check}burn/", form)
    answered = time.time()
    time.sleep(3)
    late = [at - answered for at in tree.relay.asked() if at > answered + 1]
    assert not late
    assert time.time() - tree.relay.asked()[-1] < 10  # it was in the middle
    assert tree.stored() == [0, 0, 0]
    assert browser.open(check)[0] == 404
    wait_for(lambda: not tree.searched(), 10, every=0.5)


def test_after_a_cancel_no_call_is_made_and_what_was_found_stays(tree: Tree, browser: Browser) -> None:
    check = in_the_middle(tree, browser)
    browser.open(f"{check}cancel/", browser.form("/"))
    answered = time.time()
    assert browser.report(check)["check"]["state"] == "done"
    time.sleep(2)
    assert not [at for at in tree.relay.asked() if at > answered + 1]
    document = browser.report(check)
    assert len(document["detections"]) == MANY
    assert document["check"]["state"] == "done"
    assert any(d["findings"] for d in document["detections"])
    with tree.rows():
        assert not Detection.objects.exclude(sealed_key=None).exists()
    burned(browser, check)


def test_who_reads_while_it_burns_reads_nothing_after_it(tree: Tree, browser: Browser) -> None:
    """Ten rounds of ten threads: nine look, by all ways, while the probing ends, and one burns."""
    tree.relay.delay_ms = 30
    form = browser.form("/")
    for number in range(10):
        check = tree.submit(browser, keys(1 + number % 2))
        ways = [check, check.rstrip("/") + ".json", f"{check}live/", f"{check}keys/1/", f"{check}export/?format=csv"]
        ended: list[float] = []
        seen: list[tuple[float, int, str]] = []

        def look(way: str, ended: list[float] = ended, seen: list[tuple[float, int, str]] = seen) -> None:
            while not ended or time.monotonic() < ended[0] + 0.3:
                started = time.monotonic()
                status, _path, body = browser.open(way)
                seen.append((started, status, body))

        def end(check: str = check, number: int = number, ended: list[float] = ended) -> None:
            time.sleep(0.05 * number)
            browser.open(f"{check}burn/", form)
            ended.append(time.monotonic())

        with ThreadPoolExecutor(10) as threads:
            for waited in [threads.submit(end), *(threads.submit(look, ways[n % len(ways)]) for n in range(9))]:
                waited.result()
        late = [(status, body) for started, status, body in seen if started > ended[0]]
        assert late
        assert {status for status, _body in late} == {404}
        assert not [body for _status, body in late if NAME in body or SHOWN_BALANCE in body]
    time.sleep(1)
    assert tree.stored() == [0, 0, 0]
    wait_for(lambda: not tree.searched(), 10, every=0.5)


# Killed in the middle


@pytest.mark.skipif(not PROC.is_dir(), reason="this system has no /proc")
def test_a_kill_in_the_middle_leaves_no_trace_and_a_restart_does_what_is_promised(
    tree: Tree, browser: Browser, tmp_path: Path, at: Clock
) -> None:
    tree.relay.delay_ms = 0
    finished = tree.submit(browser, keys(1))
    assert NAME in done(tree, browser, finished)
    running = in_the_middle(tree, browser)
    queue = next(p for p in processes(tree.process.pid)[1:] if b"qcluster" in Path(f"/proc/{p}/cmdline").read_bytes())
    for pid in processes(queue):
        os.kill(pid, signal.SIGSTOP)
    waiting = tree.submit(browser, keys(1))
    tree.kill()
    copy = shutil.copytree(tree.data, tmp_path / "data")
    shutil.copy(tree.log, tmp_path / "log")
    assert not search([copy, tmp_path / "log", tree.tmp], WANTED).traces

    # Keys that were being probed end within 60 s: seen on the copy, with the data keys and a later clock.
    for file in tree.keys.iterdir():
        shutil.copy(file, site.KEYS_DIR)
    with database_file(copy / "testkey.sqlite3"):
        row = Detection.objects.get(number=MANY).check_of
        at(site.KEY_SECONDS + 30)  # from the beginning of this test
        document = results.document(row)[0]
        assert document["check"]["state"] == "done"
        assert len(document["detections"]) == MANY
        assert any(d["findings"] for d in document["detections"])
        assert {d["cause"] for d in document["detections"] if not d["findings"]} <= {"interrupted"}
        at(0)

    tree.relay.delay_ms = 0
    tree.__enter__()
    assert NAME in browser.open(finished.rstrip("/") + ".json")[2]  # a finished result is there again
    assert NAME in done(tree, browser, waiting)  # what was queued is taken up
    assert browser.report(running)["check"]["state"] in ("running", "done")
    tree.stop()  # which burns what is left
    assert not list(tree.keys.glob("*.djcache"))
    assert tree.stored() == [0, 0, 0]
    assert not tree.searched()


# The read gate, with burner and queue stopped


def readings(url: str) -> list[str]:
    formats = [f"{url}export/?format={name}" for name in exports.FORMATS]
    pages = [url, url.rstrip("/") + ".json", f"{url}live/", f"{url}live/?since=0", f"{url}compare/?a=1&b=2"]
    return [*pages, *formats, *(f"{url}keys/{number}/" for number in (1, 2, 3))]


def test_at_five_minutes_no_way_leads_to_a_result_though_nobody_burns(
    lab: Server, at: Clock, check: Submit, client: Client
) -> None:
    url, document = check(f"{FINE_GRAINED}\n{NO_CREDIT}\n{SHARED}")
    secret = [d["label"] for d in document["detections"]] + ["lab-fine"]
    at(299.9)
    assert {client.get(path).status_code for path in readings(url)} == {200}
    assert any("lab-fine" in client.get(path).content.decode() for path in readings(url))
    at(300)
    answers = [client.get(path) for path in readings(url)]
    answers += [client.post(f"{url}{word}/", {"provider-3": "deepseek"}) for word in ("start", "cancel", "burn")]
    assert {answer.status_code for answer in answers} == {404}
    assert not [word for word in secret for answer in answers if word in answer.content.decode()]
    assert Check.objects.exists()
    assert seal.data_key(seal.RESULTS, Check.objects.get().pk)  # only the clock keeps it


def test_at_five_minutes_neither_api_nor_account_leads_to_a_result(lab: Server, at: Clock, queued: Queue) -> None:
    olga: User = operator()
    program, browser = Program(olga), Client()
    browser.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")
    accepted = program.submit([FINE_GRAINED, NO_CREDIT]).json()
    run(queued)
    page = accepted["page"].removeprefix("http://testserver")
    at(299.9)
    assert program.ask("GET", accepted["url"]).status_code == 200
    assert page in browser.get("/account/").content.decode()
    at(300)
    assert [program.ask(method, accepted["url"]).status_code for method in ("GET", "HEAD", "DELETE")] == [404] * 3
    assert page not in browser.get("/account/").content.decode()
    assert {browser.get(path).status_code for path in readings(page)} == {404}


# What docs/operations.md says of a reboot


def test_lost_data_keys_burn_a_check_at_once_and_its_rows_go_with_its_time(
    lab: Server, at: Clock, check: Submit, client: Client
) -> None:
    url, _document = check(FINE_GRAINED)
    for purpose in (seal.KEYS, seal.RESULTS):
        seal.destroy(purpose, Check.objects.get().pk)
    assert {client.get(path).status_code for path in readings(url)} == {404}
    at(300)
    burn.sweep()
    assert not Check.objects.exists()
