"""Real servers on loopback, one thread a connection, that answer as badly as a test wants."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Script = Callable[[Any, "Heard"], object]


@dataclass
class Heard:
    """What a server was told: the connections, and each request."""

    port: int = 0
    connects: int = 0
    requests: list[bytes] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def all(self) -> bytes:
        return b"\n".join(self.requests)


@contextlib.contextmanager
def serving(
    script: Script, tls: ssl.SSLContext | None = None, address: tuple[str, int] = ("127.0.0.1", 0)
) -> Iterator[Heard]:
    """`script(connection, heard)` speaks on each connection; it ends when it returns."""
    heard = Heard()
    listener = socket.create_server(address, backlog=256)
    heard.port = listener.getsockname()[1]

    def speak(connection: Any) -> None:
        with contextlib.suppress(OSError), connection:
            script(tls.wrap_socket(connection, server_side=True) if tls else connection, heard)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listener.accept()
                heard.connects += 1
                connection.settimeout(10)
                threading.Thread(target=speak, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield heard
    finally:
        heard.stop.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def listen(connection: Any, heard: Heard) -> bytes:
    """One request, head and body; b"" when the other side has gone."""
    said = b""
    while b"\r\n\r\n" not in said:
        part = connection.recv(65536)
        if not part:
            return b""
        said += part
    length = re.search(rb"\r\nContent-Length: (\d+)\r\n", said)
    missing = int(length[1]) - len(said.partition(b"\r\n\r\n")[2]) if length else 0
    while missing > 0 and (part := connection.recv(65536)):
        said, missing = said + part, missing - len(part)
    heard.requests.append(said)
    return said


def answers(*wholes: bytes) -> Script:
    """Say these bytes, one to each request on a connection, then end it."""

    def script(connection: Any, heard: Heard) -> None:
        for whole in wholes:
            if not listen(connection, heard):
                return
            connection.sendall(whole)

    return script


def always(whole: bytes) -> Script:
    """Say these bytes to every request, on a connection that is kept."""

    def script(connection: Any, heard: Heard) -> None:
        while listen(connection, heard):
            connection.sendall(whole)

    return script


def response(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """A server's TLS context for one host name, and the file of the certificate that vouches for it: its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, str(public)
