"""The only module that opens a socket: one bounded, guarded call becomes one redacted Exchange.

No redirect is followed; there are no cookies, no proxies, no netrc. A call ends at its wall-clock
deadline whatever the other side does, reads at most MAX_WIRE and MAX_DECODED bytes, and dials only
an address that `guard` allows. Whatever the HTTP library raises becomes a named cause (FAILURES)
before anyone can print it: its own texts carry the key. A quiet call tells nothing of a host that
it could not speak to.
"""

from __future__ import annotations

import contextlib
import heapq
import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection

from probes import guard
from probes.exchange import Exchange, Redactor
from probes.secret import Secret
from probes.terms import AUTH_SCHEMES

DEADLINE = 10.0  # seconds of wall clock for a whole call
DNS_SECONDS = 3.0
QUIET_SECONDS = 5.0  # what a quiet call takes when no connection comes to stand, whatever the reason
MAX_WIRE = 1024 * 1024
MAX_DECODED = 2 * 1024 * 1024
POOL_SIZE = 256  # connections that are kept for one host
IDLE_SECONDS = 30.0  # after which a host's connections are closed
USER_AGENT = "TestKey/1 (read-only key check)"
FAILURES = (
    *("timeout", "dns", "tls", "refused", "reset", "too_large", "not_json", "redirected", "blocked", "bad_http"),
    "unreachable",
)
HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
WITHOUT_KEY = " (without the key)"
Others = Iterable[Secret] | Redactor

_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")  # what is no plain ASCII may not come out as it went in
_NO_RETRIES = urllib3.Retry(total=False, redirect=False)


@dataclass(frozen=True)
class Call:
    """What is to be asked. `url` never holds the key; `auth` names the scheme that attaches it, "" sends none.

    quiet: an operator named the host, who is not to learn which hosts and ports there are around us: refused, closed,
    filtered, without a name, private or not who it says it is are one failure, "unreachable", after one time.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: str = ""
    body: Any = None
    quiet: bool = False

    @cached_property
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
    """Sends calls over pooled connections, one pool per origin. Make it after a fork; share it between threads.

    lab_url: a loopback address to which every call goes instead ("" = none).
    private: origins that may resolve to private addresses. No call to them, or to the lab, is quiet.
    """

    def __init__(self, lab_url: str = "", private: tuple[str, ...] = ()) -> None:
        self.lab_url = lab_url.rstrip("/")
        self._private = {origin.rstrip("/") for origin in (lab_url, *private) if origin}
        self._pools: OrderedDict[str, tuple[float, urllib3.HTTPConnectionPool]] = OrderedDict()
        self._pools_lock = threading.Lock()
        self._adapter = Adapter(self._pool)

    def send(self, call: Call, secret: Secret | None, seconds: float = DEADLINE, others: Others = ()) -> Exchange:
        """One call. Never raises; a failure is the Exchange's `failure`.

        secret: attached only if the call has an `auth`, and taken out of the answer in any case, as `others` are.
        Where the others are many and the same for many calls, give a Redactor of them.
        """
        started = time.monotonic()
        try:
            address = self._address(call.url)
            origin = _origin(address)
        except ValueError:
            return Exchange(str(call), failure="bad_http")
        quiet = call.quiet and origin not in self._private
        patience = min(seconds, QUIET_SECONDS) if quiet else seconds
        with _watchdog.until(started + patience, started + seconds, quiet) as held:
            try:
                return self._send(call, address, secret, held, others)
            except Exception as error:
                failed = error
        if quiet and not held.connected:
            time.sleep(max(0.0, started + patience - time.monotonic()))
            return Exchange(str(call), failure="unreachable", elapsed_ms=round(patience * 1000))
        cause = "timeout" if time.monotonic() >= held.ends else cause_of(failed)
        return Exchange(str(call), failure=cause, elapsed_ms=_ms(started))

    def _send(self, call: Call, address: str, secret: Secret | None, held: Held, others: Others) -> Exchange:
        asked = _prepared(call, address, secret)
        response = self._adapter.send(asked, stream=True, timeout=held.ends - held.started).raw
        try:
            if 300 <= response.status < 400:
                return Exchange(str(call), response.status, failure="redirected", elapsed_ms=_ms(held.started))
            if response.status < 200:  # the true answer is yet to come, on a line that nobody may use again
                raise Failure("bad_http")
            raw = _body(response)
            if time.monotonic() >= held.ends:  # what the watchdog cut off looks like an end
                raise Failure("timeout")
            headers = dict(response.headers.itermerged())
            return Exchange.of(str(call), secret, response.status, headers, raw, _ms(held.started), others)
        finally:
            response.close()  # unless it was read to its end, which has given the connection back
            response.release_conn()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Shared by all connections: it takes 45 ms of CPU to make."""
        context = ssl.create_default_context(cafile=certifi.where())
        context.sslsocket_class = WatchedSocket
        return context

    def _address(self, url: str) -> str:
        return f"{self.lab_url}/{url.removeprefix('https://')}" if self.lab_url else url

    def _pool(self, origin: str) -> urllib3.HTTPConnectionPool:
        """The connections to an origin; those that nobody has used for long are closed on the way."""
        now = time.monotonic()
        with self._pools_lock:
            _used, pool = self._pools.pop(origin, (now, None))
            pool = pool or self._new_pool(origin)
            self._pools[origin] = now, pool
            while next(iter(self._pools.values()))[0] < now - IDLE_SECONDS:
                self._pools.popitem(last=False)[1][1].close()
        return pool

    def _new_pool(self, origin: str) -> urllib3.HTTPConnectionPool:
        private, parts = origin in self._private, urlsplit(origin)
        if parts.scheme == "http" and private:
            return PlainPool(parts.hostname or "", parts.port, maxsize=POOL_SIZE)
        if parts.scheme != "https":  # plain http is not spoken to the world
            raise Failure("blocked")
        kind = PlainTLSPool if private else GuardedPool
        host = parts.hostname or ""
        return kind(host, parts.port, maxsize=POOL_SIZE, ssl_context=self._tls, cert_reqs="CERT_REQUIRED")


class Adapter(HTTPAdapter):
    """requests over our own pools. It is called itself: a session would cost half as much CPU again."""

    def __init__(self, pool: Callable[[str], urllib3.HTTPConnectionPool]) -> None:
        super().__init__(max_retries=_NO_RETRIES)
        self._pool = pool

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        return self._pool(_origin(request.url or ""))

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The pool's TLS context has said it already."""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _prepared(call: Call, address: str, secret: Secret | None) -> requests.PreparedRequest:
    """The request as it goes out, to the letter: nothing of it is normalised or added to."""
    asked = requests.PreparedRequest()
    asked.method, asked.url = call.method, address
    asked.headers = CaseInsensitiveDict(_headers(call, secret))
    if call.body is not None:
        asked.body = json.dumps(call.body).encode()
        asked.headers["Content-Length"] = str(len(asked.body))
    return asked


def _headers(call: Call, secret: Secret | None) -> dict[str, str]:
    own = dict(call.headers)
    if secret and call.auth:
        name, form = AUTH_SCHEMES[call.auth]
        own[name] = form.format(secret.reveal())
    if call.body is not None:
        own["Content-Type"] = "application/json"
    if not all(_HEADER_VALUE.fullmatch(value) for value in own.values()):
        raise Failure("bad_http")
    given = {name.lower() for name in own}
    return {name: value for name, value in HEADERS.items() if name.lower() not in given} | own


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _body(response: urllib3.BaseHTTPResponse) -> bytes:
    """The decoded body. Raises Failure("too_large") past either bound."""
    parts, size = [], 0
    while chunk := response.read(64 * 1024, decode_content=True):
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_DECODED or response.tell() > MAX_WIRE:
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

# Names that operators brought wait in a line of their own: their name servers may be made to be slow.
_resolvers = {quiet: ThreadPoolExecutor(64, thread_name_prefix="resolve") for quiet in (False, True)}
_lookups: dict[tuple[str, bool], Future[list[Any]]] = {}
_lookups_lock = threading.RLock()  # a lookup that is done at once calls back in the same thread


def resolve(host: str, port: int, quiet: bool = False) -> list[str]:
    """All addresses of a name. One that is not allowed blocks the whole answer. Raises Failure.

    The closing dot keeps search domains out. The resolver of libc has no deadline of its own.
    """
    name = host.rstrip(".") + "."
    with _lookups_lock:  # one question at a time for a name: a slow name server holds one thread, not all
        asked = _lookups.get((name, quiet))
        if asked is None or asked.done():
            asked = _resolvers[quiet].submit(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM)
            _lookups[name, quiet] = asked
            asked.add_done_callback(lambda done: _lookups.pop((name, quiet), None))
    try:
        found = asked.result(min(DNS_SECONDS, _watchdog.left()))
    except (OSError, UnicodeError, TimeoutError):
        raise Failure("dns") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not all(guard.address_allowed(address) for address in addresses):
        raise Failure("blocked")
    return addresses


def connect(address: str, port: int, options: Iterable[Any] | None) -> socket.socket:
    """A socket to this very address, within the time that this thread's call has left: no resolver is asked again."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        for option in options or ():
            sock.setsockopt(*option)
        sock.settimeout(_watchdog.left())
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


class WatchedSocket(ssl.SSLSocket):
    """Shows itself to the watchdog before its handshake, which may drip: it has taken the plain socket away."""

    def do_handshake(self, block: bool = False) -> None:
        _watchdog.watch(self)
        super().do_handshake(block)


class Watched:
    """A connection that shows its socket to the watchdog, new or kept."""

    sock: Any

    def _new_conn(self) -> socket.socket:
        sock: socket.socket = self._dial()
        _watchdog.watch(sock)
        return sock

    def _dial(self) -> socket.socket:
        return super()._new_conn()  # type: ignore[misc]

    def request(self, *args: Any, **kwargs: Any) -> None:
        _watchdog.connected(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]


class GuardedConnection(Watched, HTTPSConnection):
    def _dial(self) -> socket.socket:
        """The first of the judged addresses that takes the call."""
        port = self.port or 443
        addresses = resolve(self._dns_host, port, _watchdog.quiet())
        while True:
            address = addresses.pop(0)
            try:
                return connect(address, port, self.socket_options)
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


@dataclass
class Held:
    """One call until it is over. It must be connected at `due`, which then becomes `ends`."""

    due: float
    ends: float
    quiet: bool
    started: float = field(default_factory=time.monotonic)
    sock: socket.socket | None = None
    connected: bool = False
    over: bool = False


class Watchdog:
    """Shuts a call's socket down at its deadline. A timeout of the HTTP library is per read, and a drip defeats it."""

    def __init__(self) -> None:
        self._lock = threading.Condition(threading.Lock())
        self._due: list[tuple[float, int, Held]] = []
        self._call = threading.local()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._count = 0

    @contextlib.contextmanager
    def until(self, due: float, ends: float, quiet: bool) -> Iterator[Held]:
        held = Held(due, ends, quiet)
        self._call.held = held
        with self._lock:
            self._start()
            self._push(held)
            if self._due[0][2] is held:
                self._lock.notify()
        try:
            yield held
        finally:
            self._call.held = None
            with self._lock:  # from here on the connection may be another call's
                held.over = True
                held.sock = None

    def left(self) -> float:
        """Seconds until this thread's call must be over, or connected. Raises Failure("timeout") when none are left."""
        held = self._held()
        seconds = held.due - time.monotonic() if held else DEADLINE
        if seconds <= 0:
            raise Failure("timeout")
        return seconds

    def quiet(self) -> bool:
        """Whether this thread's call is."""
        held = self._held()
        return bool(held and held.quiet)

    def watch(self, sock: socket.socket) -> None:
        if held := self._held():
            with self._lock:
                held.sock = sock
            self.left()

    def connected(self, sock: socket.socket | None) -> None:
        """This thread's call may speak from now on. sock: None where the request itself connects."""
        if held := self._held():
            with self._lock:
                held.sock = sock
                held.due = held.ends
            held.connected = True
            self.left()

    def _held(self) -> Held | None:
        return getattr(self._call, "held", None)

    def _push(self, held: Held) -> None:
        self._count += 1
        heapq.heappush(self._due, (held.due, self._count, held))

    def _start(self) -> None:
        if self._thread is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        with self._lock:
            while True:
                while self._due and (self._due[0][2].over or self._due[0][0] <= time.monotonic()):
                    held = heapq.heappop(self._due)[2]
                    if not held.over and held.due > time.monotonic():
                        self._push(held)  # it was connected meanwhile
                    elif held.sock:
                        with contextlib.suppress(OSError):  # not SSLSocket's own, which would let it go on in clear
                            socket.socket.shutdown(held.sock, socket.SHUT_RDWR)
                self._lock.wait(self._due[0][0] - time.monotonic() if self._due else None)


_watchdog = Watchdog()
