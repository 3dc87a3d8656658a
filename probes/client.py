"""The only module that opens a socket: one bounded, guarded call becomes one redacted Exchange.

Redirects, cookies, proxies and netrc are off. A call ends at its wall-clock deadline whatever
the other side does, reads at most MAX_WIRE and MAX_DECODED bytes, and dials only an address
that `guard` allows. Whatever the HTTP library raises becomes a named cause (FAILURES) before
anyone can print it: its own texts carry the key.
"""

from __future__ import annotations

import contextlib
import heapq
import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from probes import guard
from probes.exchange import Exchange
from probes.secret import Secret
from probes.terms import AUTH_SCHEMES

DEADLINE = 10.0  # seconds of wall clock for a whole call
DNS_SECONDS = 3.0
MAX_WIRE = 1024 * 1024
MAX_DECODED = 2 * 1024 * 1024
POOL_SIZE = 64
USER_AGENT = "TestKey/1 (read-only key check)"
FAILURES = ("timeout", "dns", "tls", "refused", "reset", "too_large", "not_json", "redirected", "blocked", "bad_http")


WITHOUT_KEY = " (without the key)"


@dataclass(frozen=True)
class Call:
    """What is to be asked. `url` never holds the key; `auth` names the scheme that attaches it, "" sends none."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: str = ""
    body: Any = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def __str__(self) -> str:
        return f"{self.method} {self.url}" + ("" if self.auth else WITHOUT_KEY)


class Failure(Exception):
    """A named cause from within the HTTP library's call."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Client:
    """Sends calls over pooled connections, one pool per host. Make it after a fork; share it between threads.

    lab_url: a loopback address to which every call goes instead ("" = none).
    private: origins that may resolve to private addresses.
    """

    def __init__(self, lab_url: str = "", private: tuple[str, ...] = ()) -> None:
        self.lab_url = lab_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers = requests.structures.CaseInsensitiveDict(
            {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
        )
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.mount("https://", GuardedAdapter())
        self._session.mount("http://", NoAdapter())
        for origin in (lab_url, *private):
            if origin:
                # With the slash: a prefix that is mounted also fits names that only begin so.
                self._session.mount(f"{origin.rstrip('/')}/", PlainAdapter())

    def send(
        self, call: Call, secret: Secret | None, seconds: float = DEADLINE, others: Iterable[Secret] = ()
    ) -> Exchange:
        """One call. Never raises; a failure is the Exchange's `failure`.

        secret: attached only if the call has an `auth`, and taken out of the answer in any case, as `others` are.
        """
        started = time.monotonic()
        try:
            with _watchdog.until(started + seconds):
                return self._send(call, secret, started, seconds, others)
        except Exception as error:
            cause = "timeout" if time.monotonic() - started >= seconds else cause_of(error)
            return Exchange(call=str(call), failure=cause, elapsed_ms=_ms(started))

    def _send(
        self, call: Call, secret: Secret | None, started: float, seconds: float, others: Iterable[Secret]
    ) -> Exchange:
        headers = dict(call.headers)
        if secret and call.auth:
            name, form = AUTH_SCHEMES[call.auth]
            headers[name] = form.format(secret.reveal())
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        with self._session.request(
            call.method,
            self._address(call.url),
            headers=headers,
            data=None if call.body is None else json.dumps(call.body),
            timeout=seconds,
            allow_redirects=False,
            stream=True,
        ) as response:
            if 300 <= response.status_code < 400:
                return Exchange(str(call), response.status_code, failure="redirected", elapsed_ms=_ms(started))
            if response.status_code < 200:  # the true answer is yet to come, on a line that nobody may use again
                raise Failure("bad_http")
            raw = _body(response)
            if time.monotonic() - started >= seconds:  # what the watchdog cut off looks like an end
                raise Failure("timeout")
            return Exchange.of(str(call), secret, response.status_code, response.headers, raw, _ms(started), others)

    def _address(self, url: str) -> str:
        return f"{self.lab_url}/{url.removeprefix('https://')}" if self.lab_url else url


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _body(response: requests.Response) -> bytes:
    """The decoded body. Raises Failure("too_large") past either bound."""
    parts, size = [], 0
    while chunk := response.raw.read(64 * 1024, decode_content=True):
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_DECODED or response.raw.tell() > MAX_WIRE:
            raise Failure("too_large")
    return b"".join(parts)


_CAUSES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ssl.SSLError, ssl.CertificateError), "tls"),
    ((socket.gaierror,), "dns"),
    ((ConnectionRefusedError, urllib3.exceptions.NewConnectionError), "refused"),  # the latter is a TimeoutError, too
    ((TimeoutError, urllib3.exceptions.TimeoutError), "timeout"),
    ((ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead), "reset"),
    ((http.client.HTTPException, urllib3.exceptions.HTTPError, requests.RequestException, ValueError), "bad_http"),
    ((OSError,), "refused"),
)


def cause_of(error: BaseException) -> str:
    """The named cause of whatever was raised: the innermost exception tells most."""
    chain: list[BaseException] = []
    todo: list[Any] = [error]
    while todo:
        e = todo.pop()
        if isinstance(e, BaseException) and e not in chain:
            chain.append(e)
            todo += [e.__cause__, e.__context__, getattr(e, "reason", None), *e.args]
    for e in chain:
        if isinstance(e, Failure):
            return e.cause
    return next((cause for kinds, cause in _CAUSES for e in chain if isinstance(e, kinds)), "bad_http")


# Name to address: resolved once, judged, dialled as judged.

_resolver = ThreadPoolExecutor(32, thread_name_prefix="resolve")
_lookups: dict[str, Future[list[Any]]] = {}
_lookups_lock = threading.RLock()  # a lookup that is done at once calls back in the same thread


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name. One that is not allowed blocks the whole answer. Raises Failure.

    The closing dot keeps search domains out. The resolver of libc has no deadline of its own.
    """
    name = host.rstrip(".") + "."
    with _lookups_lock:  # one question at a time for a name: a slow name server holds one thread, not all
        asked = _lookups.get(name)
        if asked is None or asked.done():
            asked = _resolver.submit(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM)
            _lookups[name] = asked
            asked.add_done_callback(lambda done: _lookups.pop(name, None))
    try:
        found = asked.result(min(DNS_SECONDS, _watchdog.left()))
    except (OSError, UnicodeError, TimeoutError):
        raise Failure("dns") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not all(guard.address_allowed(address) for address in addresses):
        raise Failure("blocked")
    return addresses


class Watched:
    """A connection that shows its socket to the watchdog: before a handshake (it may drip) and at each request."""

    sock: Any

    def _new_conn(self) -> socket.socket:
        sock: socket.socket = self._dial()
        _watchdog.watch(sock)
        return sock

    def _dial(self) -> socket.socket:
        return super()._new_conn()  # type: ignore[misc]

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock:
            _watchdog.watch(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]


class GuardedConnection(Watched, HTTPSConnection):
    def _dial(self) -> socket.socket:
        """The first of the judged addresses that takes the call."""
        port = self.port or 443
        addresses = resolve(self._dns_host, port)
        while True:
            address = addresses.pop(0)
            try:
                return create_connection((address, port), _watchdog.left(), socket_options=self.socket_options)
            except OSError:
                if not addresses:
                    raise


class PlainConnection(Watched, HTTPConnection):
    pass


class PlainTLSConnection(Watched, HTTPSConnection):
    pass


class GuardedPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = GuardedConnection


class PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = PlainConnection


class PlainTLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = PlainTLSConnection


class PooledAdapter(HTTPAdapter):
    def __init__(self) -> None:
        super().__init__(pool_connections=256, pool_maxsize=POOL_SIZE, max_retries=0)


class PlainAdapter(PooledAdapter):
    """For the lab, and for private gateways that this site's operator allows: no address is judged."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": PlainTLSPool}


class GuardedAdapter(PooledAdapter):
    """HTTPS to judged addresses over one shared TLS context; requests' own costs 45 ms of CPU a connection."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self.context = ssl.create_default_context(cafile=certifi.where())
        super().init_poolmanager(*args, ssl_context=self.context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": GuardedPool}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        parts = urlsplit(request.url)
        host = {"scheme": "https", "host": parts.hostname, "port": parts.port or 443}
        return host, {"ssl_context": self.context, "cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


class NoAdapter(HTTPAdapter):
    """Plain http is not spoken to the world."""

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        raise Failure("blocked")


@dataclass
class Held:
    """The sockets of one call, until it is over."""

    deadline: float
    sockets: list[socket.socket] = field(default_factory=list)
    over: bool = False


class Watchdog:
    """Shuts a call's socket down at its deadline. A timeout of the HTTP library is per read, and a drip defeats it."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._due: list[tuple[float, int, Held]] = []
        self._call = threading.local()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._count = 0

    @contextlib.contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        held = Held(deadline)
        self._call.held = held
        with self._lock:
            self._start()
            self._count += 1
            heapq.heappush(self._due, (deadline, self._count, held))
            self._lock.notify()
        try:
            yield
        finally:
            self._call.held = None
            with self._lock:
                held.over = True
                while held.sockets:
                    held.sockets.pop().close()

    def left(self) -> float:
        """Seconds until this thread's call must be over. Raises Failure("timeout") when none are left."""
        held = getattr(self._call, "held", None)
        seconds = held.deadline - time.monotonic() if held else DEADLINE
        if seconds <= 0:
            raise Failure("timeout")
        return seconds

    def watch(self, sock: socket.socket) -> None:
        """Hold a duplicate: wrapping a socket in TLS takes the first one away from us."""
        held = getattr(self._call, "held", None)
        if held is None:
            return
        copy = socket.socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))
        with self._lock:
            held.sockets.append(copy)
        self.left()

    def _start(self) -> None:
        if self._thread is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        with self._lock:
            while True:
                while self._due and (self._due[0][2].over or self._due[0][0] <= time.monotonic()):
                    for sock in heapq.heappop(self._due)[2].sockets:
                        with contextlib.suppress(OSError):
                            sock.shutdown(socket.SHUT_RDWR)
                self._lock.wait(self._due[0][0] - time.monotonic() if self._due else None)


_watchdog = Watchdog()
