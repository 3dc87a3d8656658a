"""Proof that nothing of a key stays: a made-up key goes through a real TestKey, is burned, and is searched for.

Searched are files, process arguments and environments. What this cannot see, and does not claim:
the memory of processes, and blocks that a file system freed without wiping.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
import secrets
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from probes.lab import recorded

PIECE = 12  # no run of this many characters may be found either
BURNED_WITHIN = 10.0  # seconds after the button
PROC = Path("/proc")


# Searching


def forms(text: str) -> dict[str, bytes]:
    """What a trace of the text may look like, by name."""
    raw = text.encode()
    found = {"plain": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    found["url"] = quote(text, safe="").encode()
    found["url, every character"] = "".join(f"%{byte:02X}" for byte in raw).encode()
    for shift in range(3):
        # Only what does not depend on the neighbours: base64 packs three bytes into four characters.
        for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            packed = encode(b"\0" * shift + raw).rstrip(b"=")
            found[f"{name}, shifted by {shift}"] = packed[math.ceil(shift * 4 / 3) : -1]
    for i in range(len(text) - PIECE + 1):
        found[f"{PIECE} characters from {i}"] = text[i : i + PIECE].encode()
    return found


@dataclass
class Searched:
    files: int = 0
    size: int = 0
    traces: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def look(self, place: str, content: bytes, wanted: Mapping[str, bytes]) -> None:
        self.files += 1
        self.size += len(content)
        self.traces += [f"{place}: {name}" for name, form in wanted.items() if form in content]


def search(paths: Iterable[Path], wanted: Mapping[str, bytes]) -> Searched:
    """Each file, and each file below each folder; names count as content. Places are told, never what was found."""
    searched = Searched()
    for top in paths:
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_dir() or path.is_socket():
                continue
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue  # gone meanwhile: nothing is left to find
            except OSError:
                searched.unreadable.append(str(path))
                continue
            searched.look(str(path), os.fsencode(path) + b"\n" + content, wanted)
    return searched


def processes(root: int) -> list[int]:
    """The process and all below it."""
    below: dict[int, list[int]] = {}
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        below.setdefault(parent, []).append(int(stat.parent.name))
    tree = [root]
    for pid in tree:
        tree += below.get(pid, [])
    return tree


# A TestKey of our own, and a browser


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stand:
    """A `manage.py dev --lab` with data, keys, temporary files and ports of its own.

    database: a file to begin with instead of an empty one; the tests have one with the catalogue in it.
    """

    def __init__(self, *options: str, database: Path | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="testkey-stand-"))
        self.data, self.tmp, self.log = self.root / "data", self.root / "tmp", self.root / "log"
        self.tmp.mkdir()
        memory = settings.SHM if settings.KEYS_IN_MEMORY else None
        self.keys = Path(tempfile.mkdtemp(prefix="testkey-stand-", dir=memory))
        self.port, self.lab_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.options = options
        if database:
            self.data.mkdir(mode=0o700)
            shutil.copyfile(database, self.data / "testkey.sqlite3")

    def launch(self) -> None:
        ports = ["--port", str(self.port), "--lab-port", str(self.lab_port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "manage.py", "dev", "--lab", *ports, *self.options],
                cwd=settings.BASE_DIR,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def environment(self) -> dict[str, str]:
        """Ours, without a word about another TestKey."""
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("TESTKEY_", "GRANIAN_", "DJANGO_"))}
        ours.pop("PORT", None)
        own = {"TESTKEY_DATA_DIR": self.data, "TESTKEY_KEYS_DIR": self.keys, "TMPDIR": self.tmp}
        return ours | {name: str(path) for name, path in own.items()}

    def __enter__(self) -> Stand:
        self.launch()
        try:
            wait_for(lambda: self.process.poll() is not None or "TestKey is at" in self.said(), 60)
            if self.process.poll() is not None:
                raise RuntimeError("TestKey did not start:\n" + self.said())
            wait_for(self.lab_answers, 30)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: Any) -> None:
        self.stop()
        self.clear()

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(self.keys, ignore_errors=True)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """The exit code. A supervisor that does not end in time is killed; its children then end by themselves."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def asked(self) -> dict[str, Any]:
        """What the lab was asked: requests by host, and whatever no probe may send."""
        with LOCAL.open(f"http://127.0.0.1:{self.lab_port}/__lab__/requests", timeout=10) as answer:
            report: dict[str, Any] = json.load(answer)
        return report

    def lab_answers(self) -> bool:
        try:
            return bool(self.asked())
        except OSError:
            return False


LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Browser:
    """Cookies, redirects and forms: what a browser without JavaScript does. Keeps what it was sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)
        self.received: list[bytes] = []

    def open(self, path: str, fields: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """Status, path at the end of redirects, and body. Fields make it a POST."""
        body = urlencode(fields).encode() if fields is not None else None
        headers = {"Origin": self.url} if fields is not None else {}
        request = urllib.request.Request(self.url + path, data=body, headers=headers)  # noqa: S310
        try:
            answer = self._opener.open(request, timeout=30)
        except HTTPError as error:
            answer = error
        with answer:
            raw = answer.read()
            self.received.append(f"{answer.geturl()}\n{answer.headers}\n".encode() + raw)
            return answer.status, urlsplit(answer.geturl()).path, raw.decode(errors="replace")

    def form(self, page: str) -> dict[str, str]:
        """The hidden field without which Django takes no form of this page."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.open(page)[2])
        if not token:
            raise RuntimeError("a page has no form")
        return {"csrfmiddlewaretoken": token[1]}

    def submit(self, keys: str, form: Mapping[str, str] | None = None) -> str:
        """The path of the check. `form`: of the first page, where it was opened before."""
        fields = form or self.form("/")
        status, path, _ = self.open("/checks/", {**fields, "keys": keys, "provider": "", "base_url": ""})
        if status != 200 or not re.fullmatch(r"/checks/[\w-]+/", path):
            raise RuntimeError(f"the form was not taken: {status}")
        return path

    def report(self, check: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.open(check.rstrip("/") + ".json")[2])
        return report


def finished(report: Mapping[str, Any]) -> bool:
    return bool(report["check"]["state"] == "done")


def wait_for(true: Callable[[], bool], seconds: float, every: float = 0.1) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s in vain")
        time.sleep(every)


# The proof


class Command(BaseCommand):
    help = "Send a made-up key through a TestKey of its own, burn it, and search everything for it."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.failures: list[str] = []
        key, account, canary = new_canary()
        key_forms = {f"key, {name}": form for name, form in forms(key).items()}
        wanted = key_forms | {f"account, {name}": form for name, form in forms(account).items()}
        self.prove_the_search(wanted)
        with tempfile.NamedTemporaryFile("w", prefix="testkey-canary-", delete=False) as file:
            json.dump(canary, file)
        try:
            with Stand("--lab-canary", file.name) as stand:
                os.unlink(file.name)
                self.prove(stand, key, account, key_forms, wanted)
        except (RuntimeError, OSError) as error:
            raise CommandError(f"No proof: {error}") from None
        finally:
            Path(file.name).unlink(missing_ok=True)
        if self.failures:
            raise CommandError("\n".join(["TRACES", *self.failures]))
        self.stdout.write("0 traces")

    def prove_the_search(self, wanted: Mapping[str, bytes]) -> None:
        """A search that finds nothing proves nothing, unless it finds what is there: one file for each form."""
        with tempfile.TemporaryDirectory(prefix="testkey-planted-") as folder:
            for number, form in enumerate(wanted.values()):
                Path(folder, str(number)).write_bytes(b"before" + form + b"after")
            traces = set(search([Path(folder)], wanted).traces)
            found = sum(f"{Path(folder, str(n))}: {name}" in traces for n, name in enumerate(wanted))
        self.stdout.write(f"The search finds {found} of {len(wanted)} planted forms.")
        if found != len(wanted):
            raise CommandError("The search itself does not work.")

    def prove(
        self, stand: Stand, key: str, account: str, key_forms: Mapping[str, bytes], wanted: Mapping[str, bytes]
    ) -> None:
        browser = Browser(stand.url)
        check = browser.submit(key)
        wait_for(lambda: finished(browser.report(check)), 60)
        if account not in browser.open(check.rstrip("/") + ".json")[2]:
            raise RuntimeError("the answer of the provider did not reach the result")
        asked = stand.asked()
        self.stdout.write(f"The key was sent to: {', '.join(sorted(asked['keys']))}.")
        if asked["violations"]:
            self.failures.append(f"calls that no probe may make: {asked['violations']}")

        shutil.copytree(stand.data, stand.root / "copy")
        self.tell("A copy of the data folder, made while the result stands", search([stand.root / "copy"], wanted))

        browser.open(f"{check}burn/", browser.form(check))
        burned_at = time.monotonic()
        gone = browser.open(check)
        if gone[0] != 404 or account in gone[2]:
            self.failures.append("the page: still there after the burn")
        searched = self.places(stand, wanted)
        while searched.traces and time.monotonic() - burned_at < BURNED_WITHIN:
            time.sleep(0.5)
            searched = self.places(stand, wanted)
        self.tell(f"{time.monotonic() - burned_at:.1f} s after the burn: data, keys, log, temporary files", searched)
        tree = list(self.processes(stand))
        self.tell(f"Arguments and environment of {len(tree) // 2} processes", search(tree, wanted))
        pages = Searched()
        for number, content in enumerate(browser.received):
            pages.look(f"answer {number + 1} to the browser", content, key_forms)
        self.tell("Pages that the browser got, for the key", pages)
        stand.stop()
        self.tell("Data, keys, log, temporary files after the end", self.places(stand, wanted))

    def places(self, stand: Stand, wanted: Mapping[str, bytes]) -> Searched:
        return search([stand.data, stand.keys, stand.log, stand.tmp], wanted)

    def processes(self, stand: Stand) -> Iterator[Path]:
        if not PROC.is_dir():
            self.stdout.write("This system has no /proc: arguments and environments were not searched.")
            return
        for pid in processes(stand.process.pid):
            yield from (PROC / str(pid) / "cmdline", PROC / str(pid) / "environ")

    def tell(self, what: str, searched: Searched) -> None:
        self.stdout.write(f"{what}: {searched.files} files, {searched.size} bytes, {len(searched.traces)} traces.")
        self.failures += searched.traces + [f"{path}: could not be read" for path in searched.unreadable]


def new_canary() -> tuple[str, str, dict[str, Any]]:
    """A key and an account's name that nobody has seen before, and what the lab must know to answer for them."""
    model = next(r for r in recorded.read_all() if r.demo and r.conclude.get("evidence", {}).get("owner_id"))
    letters = string.ascii_letters + string.digits
    key = "hf_" + "".join(secrets.choice(letters) for _ in range(34))
    account = f"Canary+{secrets.token_hex(8)}"  # the plus sign tells the URL-encoded form from the plain one
    names = {model.conclude["evidence"]["owner_id"]: account}
    return key, account, {"key": key, "as": model.key, "names": names}
