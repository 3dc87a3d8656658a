"""Which addresses a key may be sent to: the form's rule for a base URL, and the rule for what a name resolves to.

Measured and argued in docs/decisions.md ("Where a key may go"). Pure.
"""

from __future__ import annotations

import ipaddress
import re

_BASE_URL = re.compile(r"https://([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SPECIAL = ("localhost", "local", "internal", "arpa", "onion", "invalid", "lan", "home", "corp", "intranet")

# IPv4 that is nobody's on the open internet: this network, private, carrier NAT, loopback, link-local (with the
# clouds' metadata), IETF, documentation, 6to4 relay, benchmarks, multicast and reserved, Azure's host.
_BLOCKED_4 = [
    ipaddress.IPv4Network(n)
    for n in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
        "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 168.63.129.16/32"
    ).split()
]
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_BLOCKED_6 = [ipaddress.IPv6Network(n) for n in "2001::/23 2001:db8::/32 2002::/16 3fff::/20".split()]


class BaseUrlError(ValueError):
    """The base URL is refused; `args[0]` is the reason's slug (see `words.BASE_URL_FAULTS`)."""


def address_allowed(text: str) -> bool:
    """Whether a resolved address may be dialled. What cannot be parsed may not."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _BLOCKED_4)
    return (
        address in _GLOBAL_6
        and address.ipv4_mapped is None
        and address.scope_id is None
        and not any(address in network for network in _BLOCKED_6)
    )


def base_url(text: str, private: tuple[str, ...] = (), own: tuple[str, ...] = ()) -> str:
    """The base URL in its one spelling, without a closing slash. Raises BaseUrlError.

    One expression is the only parser, so that what is judged is what is dialled.
    private: origins that the operator of this site allows although they are private.
    own: this site's own names; a leading dot means all below it, too.
    """
    text = text.strip()
    origin = _origin(text)
    if origin in [allowed.rstrip("/") for allowed in private]:
        return origin + _checked_path(text.removeprefix(origin))
    if any(c <= " " or c == "\x7f" for c in text):
        raise BaseUrlError("characters")
    if not text.lower().startswith("https://"):
        raise BaseUrlError("scheme")
    if "@" in text:
        raise BaseUrlError("user_info")
    found = _BASE_URL.fullmatch("https" + text[5:])
    if not found:
        raise BaseUrlError("characters")
    host, port = found[1].lower(), found[2]
    if port and int(port) != 443:
        raise BaseUrlError("port")
    _check_host(host)
    if any(_names(name, host) for name in own):
        raise BaseUrlError("own_name")
    return f"https://{host}{_checked_path(found[3] or '')}"


def _names(own: str, host: str) -> bool:
    """Whether a name of this site, perhaps with a port or for all below it, is this host's."""
    name = own.lower().partition(":")[0].rstrip(".")
    return host == name.removeprefix(".") or (name.startswith(".") and host.endswith(name))


def _checked_path(path: str) -> str:
    """The path without a closing slash."""
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~/-]*)?", path):
        raise BaseUrlError("characters")
    path = path.rstrip("/")
    if "//" in path or any(part in (".", "..") for part in path.split("/")):
        raise BaseUrlError("path")
    return path


def _check_host(host: str) -> None:
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BaseUrlError("host")
    # A last label of digits (also hexadecimal) is an address in one of its many notations.
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        raise BaseUrlError("address")
    if len(labels) < 2:
        raise BaseUrlError("dotless")
    if labels[-1] in _SPECIAL:
        raise BaseUrlError("special_name")


def _origin(text: str) -> str:
    found = re.match(r"https?://[A-Za-z0-9.:\[\]-]+(?=/|$)", text)
    return found[0] if found else ""
