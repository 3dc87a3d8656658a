"""Made-up keys go through the real form, and everything that could have kept them is searched.

The key itself, every 12 characters of it, and the whole in base64 at its three alignments, in hex and URL-encoded.
`make proof` does the same with real processes; here also the moments in between.
"""

from __future__ import annotations

import contextlib
import io
import logging
import secrets
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as site
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter
from django_q.models import OrmQ

from probes import exports, store, views, worker
from probes.lab import recorded
from probes.lab.server import Lab, as_canary
from probes.management.commands.proof import forms, new_canary, search
from probes.models import Check, Detection
from tests.conftest import lab_of, shipped_records

pytestmark = pytest.mark.django_db

HEX = "0123456789abcdef"


def random_of(letters: str, length: int) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))


@pytest.fixture
def shared() -> str:
    """A canary that several could own, so that it waits for a choice."""
    return "sk-" + random_of(HEX, 32)


class Watch:
    """A browser, and everything that it or the log was told."""

    def __init__(self, client: Client, log: io.StringIO, disk: Path) -> None:
        self.client, self.log, self.disk = client, log, disk
        self.told: list[bytes] = []

    def open(self, path: str, **fields: Any) -> Any:
        answer = self.client.post(path, fields) if fields else self.client.get(path)
        self.told.append(f"{answer.headers}{answer.cookies}".encode() + answer.content)
        return answer

    def burns(self, url: str) -> None:
        self.open(f"{url}burn/", now="1")

    def traces(self, *keys: str) -> list[str]:
        """Where any form of any of the keys is found."""
        wanted = {f"{n}: {name}": form for n, key in enumerate(keys) for name, form in forms(key).items()}
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        places = search([self.disk.parent, Path(site.KEYS_DIR)], wanted)
        assert places.files >= 3  # database, write-ahead log, its index
        for n, content in enumerate(self.told):
            places.look(f"answer {n}", content, wanted)
        places.look("log", self.log.getvalue().encode(), wanted)
        # Sessions and tasks are stored compressed: what the files hold, opened.
        for session in Session.objects.all():
            places.look("session", repr(session.get_decoded()).encode(), wanted)
        for task in OrmQ.objects.all():
            places.look("task", repr(task.task).encode(), wanted)
        for model in apps.get_models():
            for row in model._default_manager.all():
                places.look(f"table {model._meta.db_table}", repr(vars(row)).encode(), wanted)
        return places.traces


@pytest.fixture
def watch(disk: Path, client: Client) -> Iterator[Watch]:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    loggers = [
        root,
        *(logging.getLogger(name) for name in ("django", "django.request", "django.template", "urllib3", "testkey")),
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    logging.getLogger("django.template").setLevel(logging.INFO)  # below that it prints whatever it renders
    yield Watch(client, log, disk)
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_the_search_finds_what_it_is_for(watch: Watch, shared: str) -> None:
    check = Check.objects.create(token_hash="x", owner="y")
    Detection.objects.create(check_of=check, number=1, line=1, label=shared[5:17])
    watch.client.session.update({"kept": shared})
    session = watch.client.session
    session["kept"] = shared
    session.save()
    watch.log.write(shared)
    watch.told.append(shared.encode())
    found = {place.split(":")[0].split("/")[-1] for place in watch.traces(shared)}
    assert {"answer 0", "log", "session", "table probes_detection"} <= found
    assert any("testkey.sqlite3" in place for place in found)


def test_a_key_leaves_no_trace_from_the_form_to_the_burn(watch: Watch) -> None:
    key, account, canary = new_canary()
    with lab_of(as_canary(shipped_records(), canary)) as lab:
        watch.open("/")
        url = watch.open("/checks/", keys=f'export SOME_NAME="{key}"')["Location"]
        assert OrmQ.objects.count() == 1  # the real queue
        watch.open(url)
        assert not watch.traces(key)
        worker.pump()
        for path in (url, f"{url}live/", url.rstrip("/") + ".json"):
            assert account in watch.open(path).content.decode()
        assert lab.lab.report()["keys"] == {"huggingface.co": 1}
        assert not watch.traces(key)
        watch.burns(url)
        assert watch.open(url).status_code == 404
    assert not watch.traces(key)
    watch.told.clear()  # the account's name was shown, and no more is left of it
    assert not watch.traces(account)


def test_a_key_that_waits_for_a_choice_leaves_no_trace(watch: Watch, shared: str) -> None:
    with lab_of(shipped_records()) as lab:
        url = watch.open("/checks/", keys=shared)["Location"]
        for path in (url, f"{url}live/", url.rstrip("/") + ".json"):
            assert watch.open(path).status_code == 200
        wrong: dict[str, str]
        for wrong in (
            {"provider-1": "nobody"},
            {"base_url-1": f"https://x@{shared}/"},
            {"provider-1": shared, "base_url-1": shared, "each-1": shared, "leave": shared},
            {"base_url-key-1": shared},
            {f"provider-{shared}": shared},
        ):
            assert watch.open(f"{url}start/", **wrong).status_code == 422, wrong
        assert not watch.traces(shared)
        watch.open(f"{url}start/", **{"provider-1": "deepseek"})
        worker.pump()
        assert lab.lab.report()["keys"]
        watch.open(url)
        assert not watch.traces(shared)


def test_a_paste_that_waits_is_started_cancelled_and_exported_without_a_trace(watch: Watch, shared: str) -> None:
    key = "hf_" + random_of(string.ascii_letters, 34)
    with lab_of(shipped_records()):
        url = watch.open("/checks/", keys=f"A={key}\nB={shared}", submission="s" * 22)["Location"]
        watch.open("/checks/", keys=f"A={key}\nB={shared}", submission="s" * 22)
        assert Check.objects.count() == 1
        assert not watch.traces(key, shared)
        watch.open(f"{url}start/", **{"provider-2": "deepseek"})
        assert not watch.traces(key, shared)
        worker.pump()
        for path in ("", "live/", "live/?since=1", "keys/1/", "keys/2/", "compare/?a=1&b=2"):
            assert watch.open(url + path).status_code == 200, path
        for chosen in exports.FORMATS:
            assert watch.open(f"{url}export/?format={chosen}").status_code == 200, chosen
        watch.open(f"{url}cancel/", now="1")
        watch.open(url)
    assert not watch.traces(key, shared)


def test_a_key_in_a_file_leaves_no_trace(watch: Watch, shared: str) -> None:
    file = SimpleUploadedFile(f"{shared}.env", f"KEY={shared}".encode())
    assert watch.open("/checks/", keys="", files=file).status_code == 303
    faulty = SimpleUploadedFile("x.env", f"KEY={shared}é\n{shared}\x00".encode())
    assert watch.open("/checks/", keys="", files=faulty).status_code == 422
    assert not watch.traces(shared)


def test_a_cancelled_key_leaves_no_trace(watch: Watch, shared: str) -> None:
    url = watch.open("/checks/", keys=shared, provider="deepseek")["Location"]
    watch.open(f"{url}cancel/", now="1")
    watch.open(url)
    assert not watch.traces(shared)


AROUND = (
    "{} with words behind",
    "words before {}",
    "{}\x07",
    "{}é",
    "https://example.com/?key={}",
    "{0}{0}",
    "{0}\n{0}",
    "<{}>",
    "ghp_{}",
    "{}" + "a" * 4096,
    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    "{}=",
    "{}: x",
    "'{}",
    "{}=value",
)


def test_a_line_that_is_refused_leaves_no_trace(watch: Watch, shared: str) -> None:
    for around in AROUND:
        answer = watch.open("/checks/", keys=around.format(shared))
        if answer.status_code == 303:
            watch.open(answer["Location"])
            watch.open(answer["Location"].rstrip("/") + ".json")
    assert not watch.traces(shared)


def test_a_key_in_the_wrong_place_leaves_no_trace(watch: Watch, shared: str) -> None:
    assert watch.open("/checks/", keys=shared, provider=shared).status_code == 422
    assert watch.open("/checks/", keys=shared, base_url=shared).status_code == 422
    assert watch.open("/checks/", keys=shared, base_url=f"https://{shared}.example/{shared}/..").status_code == 422
    assert watch.open("/checks/", keys="", provider=shared, base_url=shared).status_code == 422
    assert watch.open("/checks/", wrong=shared).status_code == 422
    watch.open(f"/?provider={shared}&keys={shared}")
    assert not watch.traces(shared)


def test_a_form_without_its_token_leaves_no_trace(watch: Watch, shared: str) -> None:
    watch.client.handler.enforce_csrf_checks = True
    assert watch.open("/checks/", keys=shared).status_code == 403
    assert not watch.traces(shared)


def test_the_admin_shows_nothing_of_a_key(watch: Watch, shared: str) -> None:
    boss = User.objects.create_superuser("boss")
    with lab_of(shipped_records()):
        url = watch.open("/checks/", keys=shared)["Location"]
        watch.client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")
        watch.open(reverse("admin:index"))
        for model in ("provider", "gateway", "probe", "aimodel", "metric", "capability"):
            assert watch.open(reverse(f"admin:probes_{model}_changelist")).status_code == 200
        for model in ("check", "detection", "finding"):
            assert watch.open(f"/admin/probes/{model}/").status_code == 404
        assert watch.open("/admin/django_q/ormq/").status_code in (200, 404)
        assert watch.open(url).status_code == 200  # signing in does not lose the result
    assert not watch.traces(shared)


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_of_ours_tells_nobody_the_key(
    watch: Watch, shared: str, monkeypatch: pytest.MonkeyPatch, settings: Any, debug: bool
) -> None:
    """The page, the log, the mail to admins, and the debug page that nobody should switch on."""

    def broken(plan: Any, *args: Any, **kwargs: Any) -> str:
        key = plan.keys[0].pasted.secret.reveal()  # a local variable, as any frame may have
        raise RuntimeError(f"could not store {len(key)} characters")

    monkeypatch.setattr(store, "submit", broken)
    settings.DEBUG = debug
    settings.ADMINS = [("Admin", "admin@testkey.example")]
    watch.client.raise_request_exception = False
    mailer = AdminEmailHandler(include_html=True)
    logging.getLogger("django.request").addHandler(mailer)
    try:
        answer = watch.open("/checks/", keys=shared)
    finally:
        logging.getLogger("django.request").removeHandler(mailer)
    assert answer.status_code == 500
    assert len(mail.outbox) == 1
    message: Any = mail.outbox[0]
    assert "could not store" in message.body
    watch.told += [message.body.encode(), message.alternatives[0][0].encode()]
    assert "could not store 35 characters" in watch.log.getvalue()
    assert not watch.traces(shared)


def test_an_error_report_of_a_worker_tells_nobody_the_key(
    watch: Watch, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[str] = []

    def broken(*args: Any) -> None:
        key = shared
        try:
            raise RuntimeError(f"{len(key)} characters")
        except RuntimeError as error:
            reporter = ExceptionReporter(None, type(error), error, error.__traceback__)
            reports.extend((reporter.get_traceback_text(), reporter.get_traceback_html()))
            raise

    monkeypatch.setattr(worker.Batch, "run", broken)
    with lab_of(shipped_records()):
        url = watch.open("/checks/", keys=shared, provider="deepseek")["Location"]
        worker.pump()
        watch.open(url)
    assert len(reports) == 2
    watch.told += [report.encode() for report in reports]
    assert not watch.traces(shared)


def test_a_report_of_a_posted_form_holds_no_field_of_it(shared: str) -> None:
    request = RequestFactory().post("/checks/", {"keys": shared})
    with contextlib.suppress(AttributeError):
        views.create(request)  # no session
    try:
        raise RuntimeError
    except RuntimeError as error:
        reporter = ExceptionReporter(request, RuntimeError, error, error.__traceback__)
        text = reporter.get_traceback_text() + reporter.get_traceback_html()
    assert "/checks/" in text
    assert shared not in text


def test_a_provider_that_echoes_the_key_is_redacted(watch: Watch) -> None:
    key = "sk-proj-" + random_of(string.ascii_letters, 20) + "T3BlbkFJ" + random_of(string.ascii_letters, 20)
    echoes = {
        "message": f"Incorrect key {key}, or {key[8:]}, {key.encode().hex()}, {key[10:30]}",
        "type": key[8:30],
        "code": key,
    }
    answer = {"status": 401, "body": {"error": echoes}, "headers": {"x-request-id": key}}
    urls = {r.call: r for r in shipped_records() if r.slug == "openai"}
    records = [recorded.Recorded("openai", "x.json", "", r.probe, key, call, answer) for call, r in urls.items()]
    with lab_of(records):
        url = watch.open("/checks/", keys=key)["Location"]
        worker.pump()
        page = watch.open(url).content.decode()
        watch.open(url.rstrip("/") + ".json")
    assert "[key]" in page
    assert not watch.traces(key)


def test_the_lab_itself_remembers_no_key(shared: str) -> None:
    lab = Lab(shipped_records())
    lab.saw("api.deepseek.com", shared)
    lab.find("GET https://api.deepseek.com/models", shared)
    assert shared not in repr(vars(lab))
