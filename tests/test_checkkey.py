"""`manage.py checkkey`: keys from standard input, an exit status for scripts, and nothing stored."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.management import CommandError, call_command, load_command_class

from probes import seed
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
CATALOGUE = seed.read_catalogue()
GOOD_OPENAI = next(r.key for r in shipped_records() if r.slug == "openai" and r.file == "good-project-key-limits.json")
REFUSED_OPENAI = "sk-" + "R" * 20 + "T3BlbkFJ" + "R" * 20
UNANSWERED = next(r.key for r in shipped_records() if r.slug == "openai" and r.file.startswith("server-error"))


@dataclass
class Ran:
    status: int
    out: str
    err: str


@pytest.fixture
def checkkey(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(keys: str | bytes, *options: str) -> Ran:
        given = keys if isinstance(keys, bytes) else keys.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
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
        ("\n".join(f"hf_TestKeyLabMany{n:020}" for n in range(1001)), 2),
    ],
)
def test_the_exit_status_says_what_came_out(lab: Server, checkkey: Any, keys: str, status: int) -> None:
    assert checkkey(keys).status == status


@pytest.mark.parametrize(
    "given", [b"caf\xe9\nA_KEY=" + FINE_GRAINED.encode(), f"A_KEY={FINE_GRAINED}".encode("utf-16")]
)
def test_what_is_no_utf8_is_read_as_a_file_is(lab: Server, checkkey: Any, given: bytes) -> None:
    ran = checkkey(given)
    assert "key A_KEY" in ran.out
    assert ran.status == 0


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
    ran = checkkey(f"{FINE_GRAINED}\nthis is no key\n{SHARED}", "--format", "json")
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
    assert "line 2: not sent, because it is a key for" in ran.err
    assert "AKIAIOSFODNN7EXAMPLE" not in ran.err


@pytest.mark.parametrize("keys", [FINE_GRAINED, REFUSED, SHARED, f"{FINE_GRAINED} x", UNANSWERED])
@pytest.mark.parametrize("options", [[], *(["--format", name] for name in ("json", "csv", "table"))])
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
    assert own == {"provider", "base_url", "format", "spend", "no_color", "force_color", "skip_checks"}
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


# Many keys


def forty() -> list[str]:
    """Forty keys of the lab, of many providers, and how their shape alone tells whose they are."""
    alone = [r.key for r in shipped_records() if r.slug in CATALOGUE.providers and is_clear(r.key)]
    return list(dict.fromkeys(alone))[:40]


def is_clear(key: str) -> bool:
    return sum(bool(re.fullmatch(s.pattern, key)) for p in CATALOGUE.providers.values() for s in p.key_shapes) == 1


def test_forty_mixed_keys_are_told_each_for_itself_and_in_order(lab: Server, checkkey: Any) -> None:
    keys = forty()
    assert len(keys) == 40
    alone = [json.loads(checkkey(key, "--format", "json").out)["detections"][0] for key in keys[:40:8]]
    document = json.loads(checkkey("\n".join(keys), "--format", "json").out)
    assert [d["line"] for d in document["detections"]] == list(range(1, 41))
    assert len({d["provider"] for d in document["detections"]}) > 5
    told = ("provider", "verdict", "cause", "ability_to_pay", "path")
    assert [[d[name] for name in told] for d in document["detections"][:40:8]] == [[d[n] for n in told] for d in alone]


def test_keys_are_asked_at_once_and_no_host_is_flooded(checkkey: Any) -> None:
    now, most, lock = Counter[str](), Counter[str](), threading.Lock()
    with lab_of([]) as lab:

        def slow(call: str, key: str) -> None:
            host = call.split("/")[2]
            with lock:
                now[host] += 1
                most[host] = max(most[host], now[host])
            time.sleep(0.05)
            with lock:
                now[host] -= 1

        lab.lab.find = slow  # type: ignore[method-assign]
        checkkey("\n".join(f"hf_TestKeyLabMany{n:020}" for n in range(60)))
    assert most
    assert all(8 < count <= 32 for count in most.values()), most


def test_the_csv_has_a_row_a_key(lab: Server, checkkey: Any) -> None:
    ran = checkkey(f"{FINE_GRAINED}\nthis is no key\n{REFUSED}", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [(row["line"], row["provider"], row["verdict"]) for row in rows] == [
        ("1", "huggingface", "restricted"),
        ("3", "huggingface", "invalid"),
    ]
    assert "line 2: not sent, because" in ran.err


def test_the_table_is_aligned(lab: Server, checkkey: Any) -> None:
    ran = checkkey(f"{FINE_GRAINED}\n{NO_CREDIT}\n{SHARED}", "--format", "table")
    head, *rows = ran.out.splitlines()
    assert re.split(r"  +", head) == ["LINE", "LABEL", "WHOSE", "VERDICT", "BALANCE", "NEXT ACTION"]
    for column, first, second in (
        ("WHOSE", "It is Hugging Face", "It is OpenAI"),
        ("VERDICT", "Works, l", "Works, no"),
    ):
        assert rows[0][head.index(column) :].startswith(first)
        assert rows[1][head.index(column) :].startswith(second)
    assert rows[1][head.index("BALANCE") :].startswith("0.00 USD")
    assert rows[1].endswith("Top up")
    assert "which provider?" in rows[2]


def test_a_wrong_format_is_refused(checkkey: Any) -> None:
    assert "invalid choice" in checkkey(FINE_GRAINED, "--format", "xml").err


# Spending


def test_nothing_is_spent_unasked(lab: Server, checkkey: Any) -> None:
    detection = json.loads(checkkey(GOOD_OPENAI, "--format", "json").out)["detections"][0]
    assert detection["tokens_spent"] == 0
    assert "requests_limit" not in str(detection["findings"])


def test_a_token_is_spent_where_that_was_asked_for(lab: Server, checkkey: Any) -> None:
    detection = json.loads(checkkey(GOOD_OPENAI, "--format", "json", "--spend").out)["detections"][0]
    assert detection["tokens_spent"] == 1
    assert "requests_limit" in str(detection["findings"])


def test_nothing_is_spent_on_a_refused_key(lab: Server, checkkey: Any) -> None:
    detection = json.loads(checkkey(REFUSED_OPENAI, "--format", "json", "--spend").out)["detections"][0]
    assert (detection["verdict"], detection["tokens_spent"]) == ("invalid", 0)


# As a process


def command(disk: Path, *options: str) -> dict[str, Any]:
    environment = os.environ | {"TESTKEY_DATA_DIR": str(disk.parent), "TESTKEY_LAB_URL": site.LAB_URL}
    environment["DJANGO_SETTINGS_MODULE"] = "testkey.settings"
    return {"args": [sys.executable, "manage.py", "checkkey", *options], "cwd": site.BASE_DIR, "env": environment}


def test_the_process_ends_with_that_status_for_a_script(lab: Server, disk: Path) -> None:
    ran = subprocess.run(**command(disk), input=REFUSED, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (3, "")
    assert "Refused by huggingface.co" in ran.stdout


def test_an_interrupt_ends_it_within_a_second(disk: Path) -> None:
    with lab_of([], delay_ms=5000) as lab:
        ran = subprocess.Popen(
            **command(disk), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert ran.stdin
        ran.stdin.write("\n".join(f"hf_TestKeyLabMany{n:020}" for n in range(100)))
        ran.stdin.close()
        ran.stdin = None
        deadline = time.monotonic() + 30
        while not lab.lab.hosts and time.monotonic() < deadline:
            time.sleep(0.02)
        at = time.monotonic()
        ran.send_signal(signal.SIGINT)
        out, err = ran.communicate(timeout=10)
    assert time.monotonic() - at < 1
    assert (ran.returncode, out) == (130, "")
    assert err.strip() == "interrupted; nothing was stored"


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_alone(disk: Path, terminal: bool) -> None:
    with lab_of([], delay_ms=300):
        outside, inside = pty.openpty() if terminal else os.pipe()
        keys = "\n".join(f"hf_TestKeyLabMany{n:020}" for n in range(3))
        ran = subprocess.run(
            **command(disk, "--format", "csv"), input=keys, stdout=subprocess.PIPE, stderr=inside, text=True
        )
        os.write(inside, b"\n")  # so that there is something to read
        shown = os.read(outside, 65536).decode().strip()
        os.close(inside)
        os.close(outside)
    assert len(list(csv.reader(io.StringIO(ran.stdout)))) == 4
    assert ("of 3" in shown) == terminal
    assert bool(shown) == terminal
