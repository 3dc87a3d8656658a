"""What a key says of itself: facts read from its own form, without any call. Pure.

Each reader takes a key and gives facts for the catalogue's expressions, or {} where the form is not as expected.
`checksum` False means that a character is wrong or missing. No signature is verified: these are claims.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def facts(form: str, key: str) -> dict[str, Any]:
    """The facts of one key. Never raises."""
    try:
        return READERS[form](key) if form else {}
    except (ValueError, KeyError, IndexError, OverflowError, RecursionError):
        return {}


def jwt(key: str) -> dict[str, Any]:
    """A JSON web token, with or without a prefix that ends in a colon: {"header", "payload"}."""
    header, payload, _signature = key.rpartition(":")[2].split(".")
    found = {"header": json.loads(_decoded(header)), "payload": json.loads(_decoded(payload))}
    return found if all(isinstance(part, dict) for part in found.values()) else {}


def crc32_base62(key: str) -> dict[str, Any]:
    """prefix_ + body + 6 digits of base 62, the CRC-32 of the body (Vercel): {"checksum"}."""
    body, given = key.partition("_")[2][:-6], key[-6:]
    number, text = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        text = DIGITS[digit] + text
    return {"checksum": text.rjust(6, "0") == given}


def presigned_url(key: str) -> dict[str, Any]:
    """prefix + base64 of a presigned AWS address (Bedrock, short-lived): {"region", "issued_at", "expires_at"}."""
    query = parse_qs(urlsplit("https://" + _decoded(key.rpartition("-")[2]).decode().removeprefix("https://")).query)
    issued = dt.datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    expires = issued + dt.timedelta(seconds=int(query["X-Amz-Expires"][0]))
    region = query["X-Amz-Credential"][0].split("/")[2]
    return {"region": region, "issued_at": issued.isoformat(), "expires_at": expires.isoformat()}


def dotted(key: str) -> dict[str, Any]:
    """prefix_id.id.secret or id.secret: {"parts"}, all but the last, which is the secret."""
    return {"parts": re.sub(r"^[a-z]+_", "", key).split(".")[:-1]}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))


READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "jwt": jwt,
    "crc32-base62": crc32_base62,
    "presigned-url": presigned_url,
    "dotted": dotted,
}
