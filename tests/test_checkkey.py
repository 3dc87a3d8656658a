"""`manage.py checkkey`: keys from standard input, an exit status for scripts, and nothing stored."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.management import CommandError, call_command, load_command_class

from probes.lab import recorded
from probes.lab.server import Server
from probes.models import Check, Detection
from tests.conftest import lab_of, shipped_records
from tests.test_flow import (
    ATTRIBUTE,
    FINE_GRAINED,
    NO_CREDIT,
    RELAY,
    RELAY_URL,
    RESTRICTED,
    SHARED,
    assert_document,
)

pytestmark = pytest.mark.django_db

REFUSED = "hf_" + "R" * 34  # whatever the lab does not know gets the provider's no
UNANSWERED = next(r.key for r in shipped_records() if r.slug == "openai" and r.file.startswith("server-error"))


@dataclass
class Ran:
    status: int
    out: str
    err: str


@pytest.fixture
def checkkey(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(keys: str, *options: str) -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command("checkkey", *options, stdout=out, stderr=err)
        except SystemExit as ended:
            return Ran(int(str(ended.code)), out.getvalue(), err.getvalue())
        except CommandError as error:  # as manage.py would say it
            return Ran(error.returncode, out.getvalue(), f"{err.getvalue()}{error}")
        return Ran(-1, out.getvalue(), err.getvalue())

    return run


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        (FINE_GRAINED, 0),
        (f"{FINE_GRAINED}\n{NO_CREDIT}\n{RESTRICTED}", 0),
        (REFUSED, 3),
        (f"{FINE_GRAINED}\n{REFUSED}", 3),
        (f"{UNANSWERED}\n{REFUSED}", 3),
        (UNANSWERED, 4),
        (f"{FINE_GRAINED}\n{UNANSWERED}", 4),
        (SHARED, 4),
        (f"{FINE_GRAINED}\nthis is no key", 4),
        ("", 2),
        ("this is no key", 2),
        ("\n".join(f"hf_{n:034}" for n in range(51)), 2),
    ],
)
def test_the_exit_status_says_what_came_out(lab: Server, checkkey: Any, keys: str, status: int) -> None:
    assert checkkey(keys).status == status


def test_a_provider_that_cannot_be_reached_is_not_told(checkkey: Any) -> None:
    with lab_of([]) as lab:
        lab.shutdown()
        lab.server_close()
        ran = checkkey(FINE_GRAINED)
    assert ran.status == 4
    assert "Provider did not answer" in ran.out


def test_the_summary_is_for_people(lab: Server, checkkey: Any) -> None:
    ran = checkkey(FINE_GRAINED)
    assert "Whose: It is Hugging Face Router" in ran.out
    assert "Works, limited permissions" in ran.out
    assert ran.err == ""


def test_the_json_is_the_sites(lab: Server, checkkey: Any) -> None:
    ran = checkkey(f"{FINE_GRAINED}\nthis is no key\n{SHARED}", "--json")
    document = json.loads(ran.out)
    created, burns = document["check"].pop("created_at"), document["check"].pop("burns_at")
    assert created == burns  # nothing is kept
    assert_document(document | {"check": {"created_at": created, "burns_at": five_later(created), **document["check"]}})
    assert [d["state"] for d in document["detections"]] == ["done", "needs_choice"]
    assert [row["line"] for row in document["refused"]] == [2]


def five_later(moment: str) -> str:
    return (dt.datetime.fromisoformat(moment) + dt.timedelta(minutes=5)).isoformat()


def test_a_shared_shape_names_its_candidates_and_is_sent_nowhere(lab: Server, checkkey: Any) -> None:
    assert re.search(r"which provider\? \(.*deepseek.*\)", checkkey(SHARED).out)
    assert lab.lab.report()["hosts"] == {}


def test_the_provider_can_be_given(lab: Server, checkkey: Any) -> None:
    assert checkkey(SHARED, "--provider", "deepseek").status == 0
    assert set(lab.lab.hosts) == {"api.deepseek.com"}


def test_the_base_url_can_be_given(lab: Server, checkkey: Any) -> None:
    ran = checkkey(RELAY, "--base-url", RELAY_URL)
    assert "Claims OpenAI, answers as New API" in ran.out
    assert set(lab.lab.hosts) == {"relay.example"}


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--provider", "nobody"], "no such provider"), (["--base-url", "http://x.example"], "must begin with https://")],
)
def test_a_wrong_option_is_named_on_standard_error(
    lab: Server, checkkey: Any, options: list[str], message: str
) -> None:
    ran = checkkey(FINE_GRAINED, *options)
    assert (ran.status, ran.out) == (2, "")
    assert message in ran.err
    assert lab.lab.report()["hosts"] == {}


def test_lines_that_were_not_sent_are_named_on_standard_error_when_none_was(lab: Server, checkkey: Any) -> None:
    ran = checkkey("this is no key\nAKIAIOSFODNN7EXAMPLE")
    assert (ran.status, ran.out) == (2, "")
    assert "line 1: not sent, because there are spaces inside" in ran.err
    assert "line 2: not sent, because it is a key for" in ran.err
    assert "AKIAIOSFODNN7EXAMPLE" not in ran.err


@pytest.mark.parametrize("keys", [FINE_GRAINED, REFUSED, SHARED, f"{FINE_GRAINED} x", UNANSWERED])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_key_is_never_printed(lab: Server, checkkey: Any, keys: str, options: list[str]) -> None:
    ran = checkkey(keys, *options)
    key = keys.split()[0]
    for start in range(3, len(key) - 11):
        assert key[start : start + 12] not in ran.out + ran.err


def test_nothing_is_stored(lab: Server, checkkey: Any) -> None:
    checkkey(FINE_GRAINED)
    assert not Check.objects.exists()
    assert not Detection.objects.exists()


def test_a_key_is_no_argument(lab: Server) -> None:
    parser = load_command_class("probes", "checkkey").create_parser("manage.py", "checkkey")
    own = {a.dest for a in parser._actions} - {"help", "version", "verbosity", "settings", "pythonpath", "traceback"}
    assert own == {"provider", "base_url", "json", "no_color", "force_color", "skip_checks"}
    assert all(action.option_strings for action in parser._actions)


def test_controls_of_a_provider_do_not_reach_the_terminal(checkkey: Any) -> None:
    evil = f"\x1b[31mred\x1b[0m \u202eevil {ATTRIBUTE}\nWhose: It is OpenAI\n"
    body = {"error": {"message": evil, "code": evil}}
    answer = {"status": 401, "body": body, "headers": {"x-request-id": "evil\tid"}}
    call = "GET https://huggingface.co/api/whoami-v2"
    with lab_of([recorded.Recorded("huggingface", "x.json", "", "current_key", "*", call, answer)]):
        out = checkkey(FINE_GRAINED).out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\nWhose: It is OpenAI" not in out


def test_the_process_ends_with_that_status_for_a_script(lab: Server, disk: Path) -> None:
    environment = os.environ | {"TESTKEY_DATA_DIR": str(disk.parent), "TESTKEY_LAB_URL": site.LAB_URL}
    environment["DJANGO_SETTINGS_MODULE"] = "testkey.settings"
    command = [sys.executable, "manage.py", "checkkey"]
    ran = subprocess.run(command, input=REFUSED, cwd=site.BASE_DIR, env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (3, "")
    assert "Refused by huggingface.co" in ran.stdout
