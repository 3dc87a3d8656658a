"""What keeps our promises is seen to be alive; who signs in is throttled; every answer carries its headers."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from django.utils import timezone

from probes import health
from probes.lab.server import Server
from probes.models import Check, Detection, Heartbeat, State
from tests.conftest import Clock
from tests.test_flow import FINE_GRAINED, Submit

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"


def told(client: Client) -> tuple[int, dict[str, bool]]:
    answer = client.get("/healthz")
    assert "no-store" in answer["Cache-Control"]
    return answer.status_code, answer.json()


def key_that_waits(seconds: float, state: State = State.QUEUED) -> None:
    check = Check.objects.create(token_hash="x", owner="y")
    at = timezone.now() - dt.timedelta(seconds=seconds)
    Detection.objects.create(check_of=check, number=1, line=1, label="l", queued_at=at, state=state)


def test_all_is_well_while_the_burner_beats(client: Client) -> None:
    Heartbeat.beat("burner")
    assert told(client) == (200, {"ok": True, "burner": True, "queue": True, "burning": True, "lab": False})


def test_a_burner_that_never_beat_is_red(client: Client) -> None:
    status, parts = told(client)
    assert (status, parts["ok"], parts["burner"]) == (503, False, False)


def test_a_burner_that_stopped_is_red_after_ten_seconds(client: Client, at: Clock) -> None:
    Heartbeat.beat("burner")
    at(health.BURNER_SECONDS - 0.1)
    assert told(client)[1]["burner"]
    at(health.BURNER_SECONDS)
    assert not told(client)[1]["burner"]


def test_a_key_that_nobody_takes_turns_the_queue_red(client: Client) -> None:
    Heartbeat.beat("burner")
    key_that_waits(health.UNCLAIMED_SECONDS + 1)
    status, parts = told(client)
    assert (status, parts["queue"]) == (503, False)


def test_a_key_that_waits_behind_others_is_no_stuck_queue(client: Client) -> None:
    key_that_waits(health.UNCLAIMED_SECONDS + 1)
    Heartbeat.beat("worker")
    assert told(client)[1]["queue"]


@pytest.mark.parametrize("state", [State.READY, State.NEEDS_CHOICE, State.PROBING, State.DONE])
def test_a_key_that_waits_for_no_worker_is_no_stuck_queue(client: Client, state: State) -> None:
    key_that_waits(health.UNCLAIMED_SECONDS + 1, state)
    assert told(client)[1]["queue"]


def test_results_that_outlive_their_time_are_red(client: Client, at: Clock, lab: Server, check: Submit) -> None:
    check(FINE_GRAINED)
    at(300)
    assert told(client)[1]["burning"]
    at(300 + health.OVERDUE_SECONDS + 1)
    assert not told(client)[1]["burning"]


def test_a_heartbeat_is_one_row(client: Client) -> None:
    Heartbeat.beat("burner")
    Heartbeat.beat("burner")
    assert Heartbeat.objects.count() == 1


# Signing in


def sign_in(client: Client, password: str) -> int:
    return client.post("/admin/login/", {"username": "boss", "password": password}).status_code


def test_the_sixth_wrong_password_is_429_and_then_the_right_one_too(client: Client) -> None:
    User.objects.create_superuser("boss", password=PASSWORD)
    statuses = [sign_in(client, f"wrong {n}") for n in range(6)]
    assert statuses[:4] == [200] * 4
    assert statuses[5] == 429
    assert sign_in(client, PASSWORD) == 429
    assert client.get("/admin/").status_code == 302


def test_a_throttled_name_does_not_lock_others_out(client: Client) -> None:
    User.objects.create_superuser("boss", password=PASSWORD)
    for n in range(6):
        client.post("/admin/login/", {"username": "someone", "password": f"wrong {n}"})
    assert sign_in(client, PASSWORD) == 302


def test_checking_keys_needs_no_sign_in_and_is_not_throttled_here(client: Client, lab: Server, check: Submit) -> None:
    for _ in range(6):
        sign_in(client, "wrong")
    assert check(FINE_GRAINED)[1]["detections"][0]["state"] == "done"


def test_a_password_can_be_changed_and_a_weak_one_is_refused(client: Client) -> None:
    client.force_login(
        User.objects.create_superuser("boss", password=PASSWORD),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    assert client.get("/admin/password_change/").status_code == 200

    def change(new: str) -> int:
        fields = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        return client.post("/admin/password_change/", fields).status_code

    assert change("short") == 200
    assert change("password1234") == 200
    assert change("another long and quiet phrase") == 302


# Headers


@pytest.mark.parametrize("path", ["/", "/provider-key-probes/", "/checks/nothing/", "/admin/login/", "/healthz", "/no"])
def test_every_answer_carries_the_strict_policy(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "http" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_cookies_are_kept_from_scripts_and_other_sites(client: Client, queued: Any) -> None:
    client.get("/")
    client.post("/checks/", {"keys": FINE_GRAINED})
    assert set(client.cookies) == {"sessionid", "csrftoken"}
    for cookie in client.cookies.values():
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"


def test_a_session_holds_nothing_but_a_random_owner(client: Client, queued: Any) -> None:
    client.post("/checks/", {"keys": FINE_GRAINED})
    assert list(client.session.keys()) == ["owner"]
    assert re.fullmatch(r"[\w-]{43}", client.session["owner"])


def test_a_visitor_who_only_looks_gets_no_session(client: Client) -> None:
    client.get("/")
    client.get("/checks/nothing/")
    assert "sessionid" not in client.cookies


def test_the_lab_is_refused_where_others_reach_us(settings: Any) -> None:
    settings.LAB_URL = "http://127.0.0.1:9000"
    settings.LOCAL = False
    with pytest.raises(SystemCheckError, match="E001"):
        call_command("check")
    settings.LOCAL = True
    settings.LAB_URL = "http://lab.example"
    with pytest.raises(SystemCheckError, match="E001"):
        call_command("check")


def test_the_deploy_check_refuses_any_lab(settings: Any) -> None:
    settings.LAB_URL = "http://127.0.0.1:9000"
    call_command("check")
    with pytest.raises(SystemCheckError, match="E002"):
        call_command("check", "--deploy")


def test_a_queue_that_would_repeat_a_running_task_is_refused(settings: Any) -> None:
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"retry": 600}
    with pytest.raises(SystemCheckError, match="E003"):
        call_command("check")
