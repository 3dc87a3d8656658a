"""A stand-in for all providers: `/HOST/PATH?QUERY` is answered as `https://HOST/PATH?QUERY` was recorded.

It keeps no key: the count tells hosts and times, a violation a method and a host.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from probes.lab.recorded import ANY_KEY, Recorded
from probes.terms import AUTH_SCHEMES

REQUESTS = "/__lab__/requests"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


class Lab:
    """The recorded answers, found by call and key, and who was asked."""

    def __init__(self, records: Iterable[Recorded], delay_ms: int = 0) -> None:
        self.delay_ms = delay_ms
        self.hosts: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()
        self.recent: deque[tuple[float, str]] = deque(maxlen=1000)
        self.violations: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self._calls: dict[str, dict[str, Recorded]] = {}
        for record in records:
            self._calls.setdefault(unquote(record.call), {}).setdefault(record.key, record)
        # A variable of a call ({today}, {organization_id}) stands for any one segment or value.
        self._patterns = [
            (re.compile(re.sub(r"\\\{\w+\\\}", "[^/?&]+", re.escape(call))), answers)
            for call, answers in self._calls.items()
            if "{" in call
        ]

    def answers(self, call: str) -> dict[str, Recorded] | None:
        """The recorded answers of a call ("GET https://…"), by key."""
        call = unquote(call)
        found = self._calls.get(call)
        return found or next((answers for pattern, answers in self._patterns if pattern.fullmatch(call)), None)

    def find(self, call: str, key: str) -> Recorded | None:
        answers = self.answers(call) or {}
        return answers.get(key) or answers.get(ANY_KEY)

    def saw(self, host: str, key: str) -> None:
        with self._lock:
            self.hosts[host] += 1
            self.keys[host] += bool(key)
            self.recent.append((time.time(), host))

    def report(self) -> dict[str, Any]:
        """Requests by host, those of them that carried a key, what nobody may ask, and when the last ones came."""
        with self._lock:
            keyed = {host: count for host, count in self.keys.items() if count}
            hosts, recent = dict(self.hosts), list(self.recent)
        return {"hosts": hosts, "keys": keyed, "violations": list(self.violations), "recent": recent}


def as_canary(records: Iterable[Recorded], canary: dict[str, Any]) -> list[Recorded]:
    """The records, and those of the key `canary["as"]` once more for `canary["key"]`, with `names` replaced."""

    def renamed(value: Any) -> Any:
        text = json.dumps(value)
        for old, new in canary["names"].items():
            text = text.replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1])
        return json.loads(text)

    records = list(records)
    twins = [r for r in records if r.key == canary["as"]]
    return records + [replace(r, key=canary["key"], answer=renamed(r.answer)) for r in twins]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # with the single write below: no answer waits 40 ms for an ACK
    timeout = 60
    lab: Lab

    def handle_call(self) -> None:
        # The body is read and forgotten: what a recorded POST asks for stands in its address.
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == REQUESTS:
            return self.send(200, {}, self.lab.report())
        host, slash, rest = self.path.lstrip("/").partition("/")
        call = f"{self.command} https://{host}{slash}{rest}"
        key = self.key()
        self.lab.saw(host, key)
        if self.command not in ("GET", "HEAD") and self.lab.answers(call) is None:
            self.lab.violations.append({"method": self.command, "host": host})
            return self.send(405, {}, {"error": {"message": "The lab takes GET, HEAD and the recorded POSTs"}})
        record = self.lab.find(call, key)
        answer = record.answer if record else {}
        time.sleep((self.lab.delay_ms + answer.get("delay_ms", 0)) / 1000)
        if not record:
            return self.send(404, {}, {"error": {"message": "The lab has no such exchange"}})
        return self.send(answer["status"], answer.get("headers", {}), answer.get("body", ""))

    def key(self) -> str:
        for header, form in AUTH_SCHEMES.values():
            value, prefix = self.headers.get(header, ""), form.partition("{}")[0]
            if value and value.startswith(prefix):
                return value.removeprefix(prefix)
        return ""

    def send(self, status: int, headers: dict[str, str], body: Any) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        raw = text.encode()
        page = isinstance(body, str) and text.lstrip().startswith("<")
        sent = {"Content-Type": "text/html; charset=utf-8" if page else "application/json"}
        sent |= {k.title(): v for k, v in headers.items()} | {"Content-Length": str(len(raw))}
        sent.pop("Transfer-Encoding", None)
        sent.pop("Content-Encoding", None)
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        empty = self.command == "HEAD" or status in (204, 304)
        self.wfile.write(f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n".encode() + (b"" if empty else raw))

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: an address is no news."""


for _method in METHODS:
    setattr(Handler, f"do_{_method}", Handler.handle_call)


class Server(ThreadingHTTPServer):
    request_queue_size = 512  # of connections not yet accepted; the default of 5 drops a burst
    block_on_close = False

    def __init__(self, lab: Lab, port: int = 0) -> None:
        self.lab = lab
        handler = type("LabHandler", (Handler,), {"lab": lab})
        super().__init__(("127.0.0.1", port), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news either."""
