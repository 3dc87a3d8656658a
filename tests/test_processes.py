"""`manage.py dev` for real: it starts, stops, and starts again what died or hangs."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from probes import burn, health
from probes.management.commands import burner
from probes.management.commands.dev import GRACE, PAUSES, WELL, Child
from probes.management.commands.proof import LOCAL, PROC, Browser, Stand, free_port, processes, wait_for
from probes.models import Check, Detection, Heartbeat

needs_proc = pytest.mark.skipif(not PROC.is_dir(), reason="this system has no /proc")


@pytest.fixture
def stand(shipped_file: Path) -> Iterator[Stand]:
    with Stand(database=shipped_file) as running:
        yield running


@pytest.fixture(scope="module")
def long_lived(shipped_file: Path) -> Iterator[Stand]:
    """One for all that a supervisor survives."""
    with Stand(database=shipped_file) as running:
        yield running


def alive(pid: int) -> bool:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def child(stand: Stand, word: str) -> int:
    """The main process of a child: 0 while there is none."""
    for pid in processes(stand.process.pid)[1:]:
        try:
            status = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            command = (PROC / str(pid) / "cmdline").read_text()
        except OSError:
            continue
        if int(status[1]) == stand.process.pid and word in command:
            return pid
    return 0


def first_page(stand: Stand) -> int:
    try:
        return Browser(stand.url).open("/")[0]
    except OSError:
        return 0


@needs_proc
def test_ctrl_c_ends_every_process_within_five_seconds(stand: Stand) -> None:
    assert first_page(stand) == 200
    wait_for(lambda: len(processes(child(stand, "qcluster"))) >= 6, 20)  # guard, two workers, monitor, pusher
    tree = processes(stand.process.pid)
    start = time.monotonic()
    os.killpg(stand.process.pid, signal.SIGINT)
    assert stand.process.wait(10) == 0
    assert time.monotonic() - start < 5
    assert not [pid for pid in tree if alive(pid)]


@needs_proc
def test_a_child_that_does_not_listen_is_killed_after_the_grace(stand: Stand) -> None:
    tree = processes(stand.process.pid)
    os.kill(child(stand, "burner"), signal.SIGSTOP)
    start = time.monotonic()
    assert stand.stop(signal.SIGINT) == 0
    assert GRACE <= time.monotonic() - start < GRACE + 3
    assert not [pid for pid in tree if alive(pid)]


@needs_proc
@pytest.mark.parametrize("word", ["manage.py", "qcluster", "lab"])
def test_a_stop_in_the_middle_of_the_start_leaves_nothing(word: str) -> None:
    stand = Stand()
    try:
        stand.launch()
        if word != "manage.py":
            wait_for(lambda: bool(child(stand, word)), 20, every=0.01)
        else:
            wait_for(lambda: stand.data.is_dir(), 20, every=0.01)
            time.sleep(0.3)
        tree = processes(stand.process.pid)
        start = time.monotonic()
        stand.stop(signal.SIGTERM)
        assert time.monotonic() - start < 8
        assert not [pid for pid in tree if alive(pid)]
    finally:
        stand.clear()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_children_end_when_the_supervisor_is_killed(stand: Stand) -> None:
    tree = processes(stand.process.pid)
    stand.process.kill()
    stand.process.wait()
    wait_for(lambda: not [pid for pid in tree if alive(pid)], 15)


def test_static_files_are_compressed_named_by_content_and_kept_for_ever(long_lived: Stand) -> None:
    style = re.search(r'href="(/static/site\.[0-9a-f]{12}\.css)"', Browser(long_lived.url).open("/")[2])
    assert style
    request = urllib.request.Request(long_lived.url + style[1], headers={"Accept-Encoding": "gzip"})
    with LOCAL.open(request, timeout=10) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "immutable" in answer.headers["Cache-Control"]
        assert gzip.decompress(answer.read()) == (settings.BASE_DIR / "static" / "site.css").read_bytes()
    with LOCAL.open(f"{long_lived.url}/static/previews/home.png", timeout=10) as answer:  # shared pages name it
        assert "immutable" not in answer.headers["Cache-Control"]


@needs_proc
@pytest.mark.parametrize("word", ["granian", "qcluster", "burner", "lab"])
def test_a_killed_child_is_started_again(long_lived: Stand, word: str) -> None:
    stand = long_lived
    old = child(stand, word)
    below = processes(old)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: child(stand, word) not in (0, old), 20)
    assert not [pid for pid in below if alive(pid)]
    wait_for(lambda: first_page(stand) == 200, 20)


@needs_proc
def test_a_hung_queue_is_started_again(long_lived: Stand) -> None:
    stand = long_lived
    old = child(stand, "qcluster")
    code = (
        "import datetime as dt; from django.utils import timezone; from probes.models import Check, Detection;"
        "at = timezone.now() - dt.timedelta(seconds=15); check = Check.objects.create(token_hash='x', owner='y');"
        "Detection.objects.create(check_of=check, number=1, line=1, label='l', queued_at=at)"
    )
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    subprocess.run(command, cwd=settings.BASE_DIR, env=stand.environment(), check=True)
    wait_for(lambda: child(stand, "qcluster") not in (0, old), 30)
    assert "queue hangs; starting it again" in stand.said()


def refused(*options: str, **environment: str) -> tuple[int, str]:
    """Exit code and words of a `dev` that must not start anything."""
    stand = Stand()
    try:
        ended = subprocess.run(
            [sys.executable, "manage.py", "dev", *options],
            cwd=settings.BASE_DIR,
            env=stand.environment() | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not (stand.data / "testkey.sqlite3").exists()
        return ended.returncode, ended.stderr
    finally:
        stand.clear()


def test_a_taken_port_is_named_before_anything_starts() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, words = refused("--port", str(port))
        assert code == 2
        assert f"Port {port} is taken" in words
        assert f"PORT={port + 1} make run" in words
        code, words = refused("--lab", "--port", "0", "--lab-port", str(port))
        assert code == 2
        assert f"Port {port} is taken" in words


@pytest.mark.parametrize(
    ("options", "environment"),
    [(["--host", "0.0.0.0"], {}), ([], {"TESTKEY_ALLOWED_HOSTS": "testkey.example"})],
)
def test_a_lab_that_others_reach_is_refused(options: list[str], environment: dict[str, str]) -> None:
    code, words = refused("--lab", "--port", str(free_port()), "--lab-port", str(free_port()), *options, **environment)
    assert code != 0
    assert "loopback" in words


def test_pauses_grow_and_start_over_after_a_good_while() -> None:
    broken = Child("web", [sys.executable, "-c", "raise SystemExit(3)"], dict(os.environ))
    for pause in [*PAUSES, PAUSES[-1]]:
        broken.start()
        assert broken.process is not None
        broken.process.wait()
        assert broken.died() == f"exit 3; again in {pause:g} s"
        assert not broken.due()
    broken.start()
    assert broken.process is not None
    broken.process.wait()
    broken.started_at -= WELL
    assert broken.died() == "exit 3; again in 0.5 s"


# The burner


@pytest.fixture
def waiting(db: None) -> Detection:
    check = Check.objects.create(token_hash="x", owner="y")
    return Detection.objects.create(check_of=check, number=1, line=1, label="l", queued_at=timezone.now())


def test_a_queue_that_hangs_is_said_once_in_a_while(waiting: Detection) -> None:
    assert not burner.stuck_is_news()  # it has only just begun to wait
    Detection.objects.update(queued_at=timezone.now() - dt.timedelta(seconds=health.UNCLAIMED_SECONDS + 1))
    assert burner.stuck_is_news()
    burner.Loop().look_at_the_queue()
    assert not burner.stuck_is_news()
    Heartbeat.objects.update(at=timezone.now() - burner.SAY_AGAIN)
    assert burner.stuck_is_news()
    Heartbeat.beat("worker")
    assert not burner.stuck_is_news()


def test_the_loop_survives_and_says_no_more_than_the_class(
    waiting: Detection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> int:
        raise OSError("sk-secret")

    monkeypatch.setattr(burn, "sweep", broken)
    monkeypatch.setattr(burner.connections, "close_all", lambda: None)  # the test's own transaction lives on
    burner.Loop().turn()
    assert "sweep failed: OSError" in caplog.text
    assert "sk-secret" not in caplog.text
    assert Heartbeat.objects.filter(name="burner").exists()


def test_the_log_is_truncated_after_a_sweep_and_else_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    swept, busy, calls = [0], [False], [0]

    def truncate_log() -> bool:
        calls[0] += 1
        return not busy[0]

    monkeypatch.setattr(burn, "sweep", lambda: swept[0])
    monkeypatch.setattr(burn, "truncate_log", truncate_log)
    loop = burner.Loop()

    def turn() -> int:
        calls[0] = 0
        loop.sweep()
        loop.truncate()
        return calls[0]

    assert [turn(), turn()] == [1, 0]  # the first, then not for ten seconds
    swept[0], busy[0] = 1, True
    assert turn() == 1
    swept[0] = 0
    assert turn() == 1  # a reader was in the way: again
    busy[0] = False
    assert [turn(), turn()] == [1, 0]
