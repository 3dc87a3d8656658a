"""A provider that answers each call 200 ms after its last byte, and counts: python -m benchmarks.fake_provider

Any path is a list of three models, in OpenAI's form. The end of the key says otherwise: see ANSWERS. It prints its
port, tells its counters at COUNTERS, starts them anew at RESET, and ends by itself after its life.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from typing import Any

Figures = dict[str, float]

DELAY = 0.2  # seconds
COUNTERS, RESET = "/__fake__/counters", "/__fake__/reset"
GOOD, SILENT = "200", "999"  # the last three characters of a key
LIMITED = "429"

LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # asks no proxy
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
BEARER = re.compile(rb"\r\nauthorization: *bearer +(\S+)", re.IGNORECASE)


def _answer(status: str, body: Any, *headers: str) -> bytes:
    content = json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + content


def _error(status: str, kind: str, code: str, *headers: str) -> bytes:
    return _answer(status, {"error": {"message": "made up", "type": kind, "param": None, "code": code}}, *headers)


MODELS = [{"id": f"made-up-{n}", "object": "model", "created": 1700000000, "owned_by": "made-up"} for n in range(3)]
ANSWERS = {
    GOOD: _answer("200 OK", {"object": "list", "data": MODELS}, "x-ratelimit-limit-requests: 500"),
    "401": _error("401 Unauthorized", "invalid_request_error", "invalid_api_key"),
    LIMITED: _error("429 Too Many Requests", "requests", "rate_limit_exceeded", "Retry-After: 1"),
    "500": _error("500 Internal Server Error", "server_error", "server_error"),
}


class Counters:
    """What was asked since the last reset. Times are of the system's monotonic clock, which all processes share."""

    def __init__(self) -> None:
        self.requests = self.in_flight = self.peak = 0
        self.keys: set[bytes] = set()
        self.first_in = self.last_out = 0.0

    def came(self, key: bytes) -> None:
        self.first_in = self.first_in or time.monotonic()
        self.requests += 1
        self.keys.add(key)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)

    def left(self, answered: bool) -> None:
        self.in_flight -= 1
        if answered:
            self.last_out = time.monotonic()

    def told(self) -> Figures:
        span = self.last_out - self.first_in
        numbers = {"requests": self.requests, "keys": len(self.keys), "peak": self.peak}
        return numbers | {"first_in": self.first_in, "span": span}


class Provider(asyncio.Protocol):
    """One connection, kept alive; calls may come before the last one is answered."""

    counters = Counters()
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.received, self.waiting = transport, b"", 0
        self.loop = asyncio.get_running_loop()

    def connection_lost(self, error: Exception | None) -> None:
        for _ in range(self.waiting):
            Provider.counters.left(answered=False)
        self.waiting = 0

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end]
            length = LENGTH.search(head)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self.received) < size:
                return
            self.received = self.received[size:]
            self.asked(head)

    def asked(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1].decode()
        if path == RESET:
            Provider.counters = Counters()
        if path in (RESET, COUNTERS):
            self.transport.write(_answer("200 OK", Provider.counters.told()))
            return
        bearer = BEARER.search(head)
        key = bearer[1] if bearer else b""
        Provider.counters.came(key)
        self.waiting += 1
        ending = key[-3:].decode(errors="replace")
        if ending != SILENT:
            self.loop.call_later(DELAY, self.answer, ANSWERS.get(ending, ANSWERS[GOOD]))

    def answer(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.waiting -= 1
            Provider.counters.left(answered=True)


class Fake:
    """A fake provider as a process of its own, for the length of a `with`."""

    def __enter__(self) -> Fake:
        command = [sys.executable, "-m", "benchmarks.fake_provider"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *exception: Any) -> None:
        self.process.terminate()
        self.process.wait(10)

    def counters(self) -> Figures:
        return dict(self._ask(COUNTERS))

    def reset(self) -> None:
        self._ask(RESET)

    def _ask(self, path: str) -> Any:
        with LOCAL.open(self.url + path, timeout=10) as answer:
            return json.load(answer)


async def serve(port: int, life: float) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(life)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="absent = any that is free")
    parser.add_argument("--life", type=float, default=1800, help="seconds")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.life))
