"""For scripts: each status as problem JSON, whose checks a token reads, and the description held against a server."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.conf import settings as site
from django.contrib.auth.models import User
from django.db import OperationalError
from django.http import HttpRequest, UnreadablePostError
from django.test import Client
from django.urls import reverse

from probes import access, api, burn, openapi, seal
from probes.lab.server import Server
from probes.management.commands.proof import Stand, wait_for
from probes.models import ApiToken, Check, Detection, State
from tests.conftest import Clock
from tests.test_access import operator
from tests.test_flow import FINE_GRAINED, NO_CREDIT, RELAY, RELAY_URL, SHARED, Queue, run

pytestmark = pytest.mark.django_db

CHECKS = "/api/checks/"


class Program:
    """A script of an operator: it has a token, and keeps no cookie."""

    def __init__(self, user: User, name: str = "nightly") -> None:
        self.token = ApiToken.make(user.pk, name)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        sent = {"Authorization": f"Bearer {self.token}"} | {n.replace("_", "-"): v for n, v in headers.items()}
        kind = sent.pop("Content-Type", "application/json")
        browser = Client(enforce_csrf_checks=True)
        return browser.generic(method, path, "" if body is None else data, content_type=kind, headers=sent)

    def submit(self, keys: Any = FINE_GRAINED, **fields: Any) -> Any:
        return self.ask("POST", CHECKS, {"keys": keys, **fields})


@pytest.fixture
def olga() -> User:
    return operator()


@pytest.fixture
def program(olga: User) -> Program:
    return Program(olga)


def assert_problem(answer: Any, status: int) -> dict[str, Any]:
    """The body of an answer that is a problem as RFC 9457 has them."""
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Cache-Control"] == "no-store"
    problem: dict[str, Any] = answer.json()
    assert (problem["type"], problem["status"], problem["title"]) == ("about:blank", status, api.TITLES[status])
    assert problem["detail"]
    return problem


# From submit to burn


def test_a_script_submits_reads_and_burns(lab: Server, program: Program, queued: Queue) -> None:
    accepted = program.submit([FINE_GRAINED, NO_CREDIT])
    assert accepted.status_code == 201
    assert accepted["Location"] == accepted.json()["url"] == f"http://testserver/api/checks/{accepted.json()['token']}/"
    assert accepted.json()["page"] == f"http://testserver/checks/{accepted.json()['token']}/"
    url = accepted["Location"]
    assert program.ask("GET", url).json()["check"]["state"] == "running"
    run(queued)
    document = program.ask("GET", url).json()
    assert document["check"]["state"] == "done"
    assert [d["verdict"] for d in document["detections"]] == ["restricted", "no_credit"]
    assert not program.ask("HEAD", url).content
    assert program.ask("DELETE", url).status_code == 204
    assert_problem(program.ask("GET", url), 404)
    assert_problem(program.ask("DELETE", url), 404)
    assert not Check.objects.exists()


def test_its_result_is_the_json_of_the_page(lab: Server, olga: User, program: Program, queued: Queue) -> None:
    accepted = program.submit().json()
    run(queued)
    browser = Client()
    browser.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get(accepted["page"]).status_code == 200
    assert browser.get(accepted["page"].rstrip("/") + ".json").json() == program.ask("GET", accepted["url"]).json()


def test_keys_of_a_list_keep_their_numbers_as_lines(program: Program, queued: Queue) -> None:
    url = program.submit([FINE_GRAINED, "", "please no", NO_CREDIT, FINE_GRAINED])["Location"]
    document = program.ask("GET", url).json()
    assert [d["line"] for d in document["detections"]] == [1, 4]
    assert [r["line"] for r in document["refused"]] == [3, 5]


def test_what_is_clear_starts_at_once_and_what_is_not_is_sent_nowhere(
    lab: Server, program: Program, queued: Queue
) -> None:
    url = program.submit([FINE_GRAINED, SHARED])["Location"]
    run(queued)
    document = program.ask("GET", url).json()
    assert [d["state"] for d in document["detections"]] == ["done", "needs_choice"]
    assert set(lab.lab.report()["keys"]) == {"huggingface.co"}


def test_a_provider_and_a_base_url_are_taken(program: Program, queued: Queue) -> None:
    program.submit(SHARED, provider="deepseek")
    program.submit(RELAY, base_url=RELAY_URL, spend=True)
    first, second = Detection.objects.order_by("pk")
    assert (first.provider, first.state) == ("deepseek", State.QUEUED)
    assert (second.base_url, second.state, second.check_of.spend) == (RELAY_URL, State.QUEUED, True)


def test_any_text_is_taken_as_in_the_form(program: Program, queued: Queue) -> None:
    program.submit(f"# keys\nexport HF_TOKEN={FINE_GRAINED}\n")
    assert Detection.objects.get().label == "HF_TOKEN"


# Who asks


def test_without_a_good_token_every_address_asks_for_one(program: Program, queued: Queue) -> None:
    url = program.submit()["Location"]
    good = program.token
    for wrong in ("", "Bearer", "Bearer ", f"Basic {good}", good, f"Bearer {good}x", f"Bearer {good} x", "Bearer é"):
        for method, path in (("POST", CHECKS), ("GET", url), ("DELETE", url), ("GET", f"{CHECKS}nobody/")):
            answer = program.ask(method, path, {"keys": FINE_GRAINED}, Authorization=wrong)
            assert_problem(answer, 401)
            assert answer["WWW-Authenticate"] == 'Bearer realm="TestKey"'
    assert Check.objects.count() == 1


def test_a_revoked_token_is_refused(program: Program) -> None:
    ApiToken.objects.all().delete()
    assert_problem(program.submit(), 401)


def test_a_stopped_operator_is_refused_and_his_check_is_cancelled(
    olga: User, program: Program, lab: Server, queued: Queue
) -> None:
    url = program.submit()["Location"]
    access.stop(olga)
    run(queued)
    assert_problem(program.ask("GET", url), 401)
    assert lab.lab.report()["hosts"] == {}


def test_one_who_is_no_operator_any_more_is_refused(olga: User, program: Program) -> None:
    olga.groups.clear()
    assert_problem(program.submit(), 401)


def test_a_session_counts_for_nothing(olga: User, queued: Queue) -> None:
    browser = Client()
    browser.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")
    body = {"keys": FINE_GRAINED}
    assert_problem(browser.post(CHECKS, body, content_type="application/json"), 401)
    assert not Check.objects.exists()


def test_no_cookie_is_set(program: Program, queued: Queue) -> None:
    accepted = program.submit()
    assert not accepted.cookies
    assert not program.ask("GET", accepted["Location"]).cookies


def test_wrong_foreign_and_burned_look_alike(program: Program, queued: Queue, at: Clock) -> None:
    stranger = Program(operator("otto"))
    mine, late = program.submit()["Location"], program.submit(NO_CREDIT)["Location"]
    answers = [stranger.ask(method, mine) for method in ("GET", "DELETE")]
    answers += [program.ask("GET", f"{CHECKS}{wrong}/") for wrong in ("x", "A" * 43, "A" * 5000, "%00", "é", "a.b")]
    program.ask("DELETE", mine)
    answers.append(program.ask("GET", mine))
    at(300)
    answers += [program.ask(method, late) for method in ("GET", "DELETE")]
    bodies = {answer.content for answer in answers}
    assert len(bodies) == 1
    for answer in answers:
        assert_problem(answer, 404)
    assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1


def test_a_check_of_the_form_is_not_read_with_a_token(program: Program, client: Client, queued: Queue) -> None:
    page = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
    assert_problem(program.ask("GET", f"/api{page}"), 404)


def test_a_check_whose_data_key_is_gone_is_burned(program: Program, queued: Queue) -> None:
    url = program.submit()["Location"]
    seal.destroy(seal.RESULTS, Check.objects.get().pk)
    assert_problem(program.ask("GET", url), 404)


# What is wrong with a request


@pytest.mark.parametrize(
    "body",
    [b" ", b"{", b"\xff\xfe{", b'{"keys": NaN}', b'{"keys": ' + b"[" * 200 + b"]" * 200 + b"}", b"[" * 100_000],
)
def test_what_is_not_json_is_told(program: Program, body: bytes) -> None:
    assert_problem(program.ask("POST", CHECKS, body), 400)


def test_a_body_of_which_not_all_arrives_is_told(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*args: Any) -> bytes:
        raise UnreadablePostError

    monkeypatch.setattr(HttpRequest, "read", read)
    assert_problem(program.submit(), 400)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", ""]
)
def test_another_media_type_is_told(program: Program, kind: str) -> None:
    assert_problem(program.ask("POST", CHECKS, {"keys": FINE_GRAINED}, Content_Type=kind), 415)


def test_a_charset_behind_the_media_type_is_taken(program: Program, queued: Queue) -> None:
    kind = "application/json; charset=utf-8"
    assert program.ask("POST", CHECKS, {"keys": FINE_GRAINED}, Content_Type=kind).status_code == 201


def test_a_body_that_is_too_large_is_told(program: Program) -> None:
    assert_problem(program.submit("x" * site.DATA_UPLOAD_MAX_MEMORY_SIZE), 413)
    assert_problem(program.submit([""] * 200_000), 413)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], ""),
        ("text", ""),
        (None, ""),
        ({}, "keys"),
        ({"keys": None}, "keys"),
        ({"keys": 1}, "keys"),
        ({"keys": [1]}, "keys"),
        ({"keys": {}}, "keys"),
        ({"keys": ""}, "keys"),
        ({"keys": []}, "keys"),
        ({"keys": "x" * (1024 * 1024 + 1)}, "keys"),
        ({"keys": [f"{FINE_GRAINED}\n{NO_CREDIT}"]}, "keys"),
        ({"keys": [f"{FINE_GRAINED[:-4]}{n:04}" for n in range(1001)]}, "keys"),
        ({"keys": FINE_GRAINED, "provider": "nobody"}, "provider"),
        ({"keys": FINE_GRAINED, "provider": ["openai"]}, "provider"),
        ({"keys": FINE_GRAINED, "provider": "\ud800"}, "provider"),
        ({"keys": FINE_GRAINED, "base_url": "http://127.0.0.1/"}, "base_url"),
        ({"keys": FINE_GRAINED, "base_url": None}, "base_url"),
        ({"keys": FINE_GRAINED, "spend": "yes"}, "spend"),
        ({"keys": FINE_GRAINED, "spend": 1}, "spend"),
        ({"keys": FINE_GRAINED, "state": "done"}, "body"),
        ({"keys": FINE_GRAINED, "owner": "user:1", "burns_at": "2099-01-01"}, "body"),
    ],
)
def test_what_cannot_be_sent_is_told_by_its_field(program: Program, body: Any, field: str) -> None:
    answer = program.ask("POST", CHECKS, json.dumps(body))
    problem = assert_problem(answer, 422)
    assert [error["field"] for error in problem["errors"]] == ([field] if field else [])
    assert FINE_GRAINED[:12] not in answer.content.decode()
    assert not Check.objects.exists()


def test_lines_that_are_refused_are_told_by_number(program: Program) -> None:
    problem = assert_problem(program.submit(["please no", "https://example.com/"]), 422)
    assert [line["line"] for line in problem["refused"]] == [1, 2]


def test_other_methods_are_told_which_there_are(program: Program) -> None:
    for path, methods in ((CHECKS, "POST"), (f"{CHECKS}x/", "GET, HEAD, DELETE"), (reverse("openapi"), "GET, HEAD")):
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - set(methods.split(", ")):
            answer = program.ask(method, path)
            assert answer["Allow"] == methods
            assert answer.status_code == 405
            if method != "HEAD":
                assert_problem(answer, 405)


def test_an_override_of_the_method_changes_nothing(program: Program, queued: Queue) -> None:
    url = program.submit()["Location"]
    assert program.ask("GET", f"{url}?_method=DELETE", X_HTTP_Method_Override="DELETE").status_code == 200
    assert Check.objects.exists()


def test_an_address_that_is_none_is_told_as_a_problem(program: Program) -> None:
    for path in ("/api/checks", "/api/checks/x", "/api/checks/a/b/", "/api/checks//", "/api/x"):
        assert_problem(program.ask("GET", path), 404)
        assert_problem(program.ask("POST", path), 404)


def test_over_the_quota_it_says_when_to_come_again(program: Program, settings: Any, queued: Queue) -> None:
    settings.OPERATOR_KEYS = 2
    assert program.submit([FINE_GRAINED, NO_CREDIT]).status_code == 201
    answer = program.submit(SHARED)
    assert_problem(answer, 429)
    assert 595 <= int(answer["Retry-After"]) <= 600


def test_more_keys_than_the_whole_quota_are_refused_without_a_time(program: Program, settings: Any) -> None:
    settings.OPERATOR_KEYS = 1
    assert_problem(program.submit([FINE_GRAINED, NO_CREDIT]), 422)


def test_while_too_many_keys_wait_it_says_when_to_come_again(program: Program, settings: Any, queued: Queue) -> None:
    settings.QUEUE_KEYS = 1
    program.submit()
    answer = program.submit(NO_CREDIT)
    assert_problem(answer, 503)
    assert int(answer["Retry-After"]) >= access.LEAST_WAIT


def test_where_nothing_can_be_kept_nothing_is_sent(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OperationalError("database or disk is full: " + FINE_GRAINED)

    monkeypatch.setattr(seal, "make_data_keys", full)
    answer = program.submit()
    assert_problem(answer, 503)
    assert answer["Retry-After"] == "60"
    assert not Check.objects.exists()


def test_a_full_disk_keeps_no_script_from_burning(
    program: Program, queued: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = program.submit()["Location"]
    ApiToken.objects.update(last_used_on=None)
    check = Check.objects.get().pk

    def full(*args: Any, **values: Any) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr("django.db.models.query.QuerySet.update", full)
    monkeypatch.setattr("django.db.models.query.QuerySet.delete", full)
    assert program.ask("DELETE", url).status_code == 204
    assert_problem(program.ask("GET", url), 404)
    with pytest.raises(seal.Burned):
        seal.data_key(seal.RESULTS, check)


def test_neither_token_nor_key_is_logged(
    program: Program, queued: Queue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("django.request", "django.security", "django"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    for name in ("django.request", "django.security", "django"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
    url = program.submit()["Location"]
    program.ask("GET", url)
    program.ask("PUT", url)
    program.ask("POST", CHECKS, "{" + FINE_GRAINED)
    program.ask("GET", f"{CHECKS}wrong/", Authorization=f"Bearer {FINE_GRAINED}")
    program.ask("DELETE", url)
    monkeypatch.setattr(burn, "burn", lambda _ids: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        program.ask("DELETE", program.submit(SHARED)["Location"])
    logged = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "Internal Server Error" in logged
    for secret in (program.token[3:], FINE_GRAINED[3:], SHARED[3:]):
        assert not [i for i in range(len(secret) - 11) if secret[i : i + 12] in logged]


# The description


def test_the_description_is_open_to_all_and_names_this_site(client: Client) -> None:
    document = client.get("/api/openapi.json").json()
    assert document == json.loads(json.dumps(openapi.document("http://testserver")))
    assert document["openapi"] == "3.1.0"


def test_the_description_is_openapi(client: Client) -> None:
    document = client.get("/api/openapi.json").json()
    schemathesis.openapi.from_dict(document).validate()
    del document["paths"][CHECKS]["post"]["responses"]["201"]["description"]
    with pytest.raises(Exception, match="description"):
        schemathesis.openapi.from_dict(document).validate()


@pytest.fixture(scope="module")
def stand(shipped_file: Path) -> Iterator[Stand]:
    with Stand(database=shipped_file) as running:
        yield running


@pytest.fixture(scope="module")
def token(stand: Stand) -> str:
    code = (
        "from django.contrib.auth.models import Group, User; from probes.models import ApiToken;"
        "user = User.objects.create_user('olga'); user.groups.add(Group.objects.get(name='operator'));"
        "print(ApiToken.make(user.pk, 'tests'))"
    )
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    made = subprocess.run(command, cwd=site.BASE_DIR, env=stand.environment(), check=True, capture_output=True)
    return made.stdout.decode().strip()


SCHEMATHESIS = """
headers = {{ Authorization = "Bearer ${{TOKEN}}" }}
seed = 20261124
max-failures = 5

[checks]
positive_data_acceptance.enabled = false
"""


def test_the_running_server_does_what_its_description_says(stand: Stand, token: str, tmp_path: Path) -> None:
    """All of schemathesis's checks but one: a text may fit the schema and hold no key, which is 422."""
    (tmp_path / "schemathesis.toml").write_text(SCHEMATHESIS.format())
    tool = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    run = ["--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{stand.url}/api/openapi.json"]
    limits = ["--max-examples", "15", "--max-time", "15", "--no-color"]
    ended = subprocess.run(
        [*tool, *run, *limits],
        cwd=tmp_path,
        env={**os.environ, "TOKEN": token, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]


def test_each_answer_of_a_whole_run_is_as_described(stand: Stand, token: str) -> None:
    described = schemathesis.openapi.from_url(f"{stand.url}/api/openapi.json")
    headers = {"Authorization": f"Bearer {token}"}

    def call(method: str, path: str, **parts: Any) -> Any:
        case = described[path][method].Case(headers=headers, **parts)
        answer = case.call()
        case.validate_response(answer)
        return answer

    keys = [FINE_GRAINED, NO_CREDIT, SHARED, "please no"]
    accepted = call("POST", "/api/checks/", body={"keys": keys}, media_type="application/json")
    assert accepted.status_code == 201
    place: dict[str, Any] = {"path": "/api/checks/{token}/", "path_parameters": {"token": accepted.json()["token"]}}
    wait_for(lambda: call("GET", **place).json()["check"]["state"] == "done", 30, every=0.5)
    document = call("GET", **place).json()
    assert [d["verdict"] for d in document["detections"]] == ["restricted", "no_credit", "unknown"]
    assert document["detections"][0]["findings"]
    assert call("DELETE", **place).status_code == 204
    assert call("GET", **place).status_code == 404
    headers["Authorization"] = "Bearer wrong"
    assert call("GET", **place).status_code == 401
