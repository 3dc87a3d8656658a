"""TestKey in one command: database, catalogue, then web, queue and burner (and lab) as supervised children.

Each child is the head of a session of its own, so that Ctrl-C and a TERM to our group reach us alone:
django-q2 hangs for ever when its whole process group gets a TERM (docs/decisions.md).
"""

import contextlib
import ctypes
import errno
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import caches
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections
from django.utils import timezone
from django_q.models import OrmQ

from probes import burn
from probes.lab import recorded
from probes.models import Check, Heartbeat

GRACE = 4.0  # seconds from TERM to KILL
PAUSES = (0.5, 1, 2, 4, 8, 15, 30)  # before a dead child is started again
WELL = 60.0  # a child that ran so long starts over with the first pause
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """In the child, before exec: the kernel sends TERM when `dev` is gone, even killed."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    name: str
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    deaths: int = 0
    since: Any = field(default_factory=timezone.now)

    def start(self) -> None:
        self.started_at, self.since = time.monotonic(), timezone.now()
        self.process = subprocess.Popen(  # noqa: S603
            self.command,
            cwd=settings.BASE_DIR,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,  # we have no threads
        )

    def died(self) -> str:
        """How it ended, if it did; what it left behind is killed, and the time of its next start set."""
        if self.process is None or self.process.poll() is None:
            return ""
        how = f"exit {self.process.returncode}"
        self.kill()
        now = time.monotonic()
        self.deaths = 0 if now - self.started_at >= WELL else self.deaths
        pause = PAUSES[min(self.deaths, len(PAUSES) - 1)]
        self.deaths += 1
        self.start_again_at = now + pause
        return f"{how}; again in {pause:g} s"

    def due(self) -> bool:
        return self.process is None and time.monotonic() >= self.start_again_at

    def terminate(self) -> None:
        """A TERM to the main process only: see above."""
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """The whole group, whoever of it is left."""
        if not self.process:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


class Command(BaseCommand):
    help = "Run TestKey: web, queue and burner, and with --lab a stand-in for all providers."
    requires_system_checks: list[str] = []  # done below, when the lab's address is known

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument("--lab", action="store_true", help="Recorded answers; nothing is sent anywhere.")
        parser.add_argument("--lab-port", type=int, help="Default: the port + 1000.")
        parser.add_argument("--lab-delay", type=int, default=0, metavar="MS")
        parser.add_argument("--lab-canary", metavar="FILE", help="For `proof`.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stops = 0
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, self.stop)
        self.host, self.port = options["host"], options["port"]
        lab_port = self.choose_lab(options)
        free_or_exit(self.host, self.port, f"PORT={self.port + 1} make run")
        if lab_port:
            free_or_exit("127.0.0.1", lab_port, "--lab-port")
        self.check()
        call_command("migrate", verbosity=0, skip_checks=True)
        call_command("loadcatalogue", skip_checks=True)
        call_command("collectstatic", interactive=False, verbosity=0, skip_checks=True)
        if not settings.KEYS_IN_MEMORY and not settings.KEYS_URL:
            self.say(f"data keys lie in {settings.KEYS_DIR} on disk, not in memory")
        self.children = self.family(lab_port, options)
        try:
            self.supervise()
        finally:
            self.end()

    def stop(self, signum: int, frame: FrameType | None) -> None:
        self.stops += 1

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def choose_lab(self, options: dict[str, Any]) -> int:
        """The lab's port, or 0. From here on the settings say what the children's will say."""
        if not options["lab"] and not settings.LAB_URL:
            return 0
        if self.host not in ("127.0.0.1", "localhost", "::1"):
            raise CommandError("The lab answers for every provider: only on a loopback --host.", returncode=2)
        if not settings.LAB_URL:
            port = options["lab_port"] or (self.port + 1000 if self.port < 64536 else self.port - 1000)
            settings.LAB_URL = f"http://127.0.0.1:{port}"
        return urlsplit(settings.LAB_URL).port or 80

    def family(self, lab_port: int, options: dict[str, Any]) -> list[Child]:
        # Absolute: the children's working directory is the project's.
        # A thread's own heap stays when the thread is idle: with two for all, a thousand keys leave less behind.
        environment = {"MALLOC_ARENA_MAX": "2"} | os.environ
        environment |= {"TESTKEY_DATA_DIR": str(settings.DATA_DIR), "PORT": str(self.port)}
        if lab_port:
            environment["TESTKEY_LAB_URL"] = settings.LAB_URL
        manage = [sys.executable, "manage.py"]
        web = [sys.executable, "-m", "granian", "testkey.wsgi:application", "--interface", "wsgi"]
        web += ["--host", self.host, "--port", str(self.port), "--workers", "2", "--blocking-threads", "4"]
        web += ["--no-access-log", "--log-level", "warning"]
        web += ["--respawn-failed-workers", "--workers-kill-timeout", "2"]
        commands = {"web": web, "queue": [*manage, "qcluster"], "burner": [*manage, "burner"]}
        if lab_port:
            lab = [*manage, "lab", "--verbosity", "0", "--port", str(lab_port), "--delay", str(options["lab_delay"])]
            commands["lab"] = lab + (["--canary", options["lab_canary"]] if options["lab_canary"] else [])
        return [Child(name, command, environment) for name, command in commands.items()]

    def supervise(self) -> None:
        answered, looked_at = False, 0.0
        while not self.stops:
            for child in self.children:
                if ended := child.died():
                    self.say(f"{child.name} ended ({ended})")
                if child.due():
                    self.start(child)
            if not answered and (answered := self.web_answers()):
                self.greet()
            if time.monotonic() - looked_at >= 1:
                looked_at = time.monotonic()
                self.restart_a_hung_queue()
            time.sleep(0.2)

    def start(self, child: Child) -> None:
        if child.name == "queue":
            # What a killed cluster had fetched is locked for `retry` seconds; a task may come twice, and may not wait.
            now = timezone.now()
            with contextlib.suppress(DatabaseError):
                OrmQ.objects.filter(lock__gt=now).update(lock=now)
        connections.close_all()
        child.start()

    def restart_a_hung_queue(self) -> None:
        """The burner writes that it hangs; django-q2 itself does not notice, and a TERM would not end it."""
        queue = next(child for child in self.children if child.name == "queue")
        try:
            hangs = queue.process and Heartbeat.objects.filter(name="stuck", at__gt=queue.since).exists()
        except DatabaseError:
            connections.close_all()
            return
        if hangs:
            self.say("queue hangs; starting it again")
            queue.kill()

    def web_answers(self) -> bool:
        connection = http.client.HTTPConnection(reachable(self.host), self.port, timeout=1)
        try:
            name = settings.ALLOWED_HOSTS[0].removeprefix(".").replace("*", "localhost")
            connection.request("GET", "/healthz", headers={"Host": name})
            return bool(connection.getresponse().status)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def greet(self) -> None:
        self.say(f"TestKey is at http://{reachable(self.host)}:{self.port}/")
        if settings.LAB_URL:
            self.say("Demo: recorded answers, nothing is sent. Keys to paste:")
            for record in recorded.demos():
                with_it = f"  (base URL {record.base_url})" if record.base_url else ""
                self.say(f"  {record.key}  {record.demo}{with_it}")

    def end(self) -> None:
        for child in self.children:
            child.terminate()
        deadline = time.monotonic() + GRACE
        while self.stops < 2 and time.monotonic() < deadline:
            if all(child.process is None or child.process.poll() is not None for child in self.children):
                break
            time.sleep(0.05)
        for child in self.children:
            child.kill()
        burn_all()


def burn_all() -> None:
    """Nothing of ours keeps the time any more: what is left burns now rather than at the next start."""
    try:
        burn.burn(Check.objects.values_list("pk", flat=True))
        burn.truncate_log()
    except DatabaseError:
        pass  # the data keys are what counts
    if not settings.KEYS_URL:
        caches["keys"].clear()


def reachable(host: str) -> str:
    """Where we ask ourselves, and what we print: a wildcard is no address."""
    return "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104


def free_or_exit(host: str, port: int, remedy: str) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            text = f"Port {port} {why}. End what listens there, or take another: {remedy}"
            raise CommandError(text, returncode=2) from None
