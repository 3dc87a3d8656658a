"""One request and its answer, redacted as it is made and kept in memory only."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from probes.secret import Secret

REDACTED = "[key]"
WINDOW = 12  # no run of this many characters of a key may be seen anywhere
HALF = WINDOW // 2
MAX_TEXT = 64 * 1024  # what expressions and messages see of a text body
MAX_DEPTH = 64  # of JSON; deeper is no answer of an API
MAX_PARTS = 100_000  # values in one answer; the largest model lists have some 30,000
SAMPLE = 50
REQUEST_ID_HEADERS = (
    "request-id",
    "x-request-id",
    "x-oneapi-request-id",
    "x-litellm-call-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-ds-trace-id",
    "x-trace-id",
    "x-vercel-id",
    "cf-ray",
)


class Redactor:
    """Takes keys, and everything that an echo may make of them, out of a text."""

    def __init__(self, *secrets: Secret | None) -> None:
        keys = [secret.reveal() for secret in secrets if secret]
        self._windows = {key[i : i + WINDOW] for key in keys for i in range(len(key) - WINDOW + 1)}
        self._halves = (
            {key[i : i + HALF] for key in keys for i in range(len(key) - HALF + 1)} if self._windows else set()
        )
        self._forms = sorted({form for key in keys for form in _encodings(key)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, REDACTED)
        return self._cut(text) if self._halves else text

    def _cut(self, text: str) -> str:
        """Replace each maximal run that is made of windows of the key.

        Each window of a text holds one of the text's aligned halves whole, so only those are looked up.
        """
        out, done = [], 0
        for i in range(0, len(text) - HALF + 1, HALF):
            if text[i : i + HALF] not in self._halves:
                continue
            for start in range(max(done, i - HALF), i + 1):
                if text[start : start + WINDOW] in self._windows:
                    end = start + WINDOW
                    while end < len(text) and text[end - WINDOW + 1 : end + 1] in self._windows:
                        end += 1
                    out += [text[done:start], REDACTED]
                    done = end
                    break
        return "".join([*out, text[done:]])

    def inside(self, value: Any) -> Any:
        """A JSON value without the key in any of its texts, names and numbers."""
        if isinstance(value, dict):
            return {self(name): self.inside(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.inside(part) for part in value]
        if value is None or isinstance(value, bool):
            return value
        clean = self(str(value))
        return value if clean == str(value) else clean


def _encodings(key: str) -> set[str]:
    raw = key.encode()
    forms = {key, raw.hex(), raw.hex().upper(), quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1]}
    for lead in range(3):  # base64 has three alignments; the ends are shared with the neighbours
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * lead + raw).decode().rstrip("=")
            forms.add(text[math.ceil(lead * 4 / 3) : -1])
    forms |= {hashlib.new(name, raw).hexdigest() for name in ("md5", "sha1", "sha256")}
    return {form for form in forms if len(form) >= 8}


@dataclass(frozen=True)
class Exchange:
    """What was asked and what came back. `failure` is a named cause when nothing usable came.

    call: method and address, without the key. elapsed_ms: wall clock. text: the body, at most MAX_TEXT.
    """

    call: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    text: str = ""
    elapsed_ms: int = 0
    failure: str = ""

    @classmethod
    def of(
        cls,
        call: str,
        secret: Secret | None,
        status: int,
        headers: Mapping[str, str],
        raw: bytes,
        elapsed_ms: int,
        others: Iterable[Secret] = (),
    ) -> Exchange:
        """From the wire. The body is parsed first, so that no escape of JSON's hides the key.

        others: keys that the same host has seen, or may have: it may answer one with another.
        """
        redact = Redactor(secret, *others)
        text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
        body, failure = None, ""
        try:
            body = parse_json(text)
            text = json.dumps(body, ensure_ascii=False)
        except TooLarge:
            failure = "too_large"
        except ValueError:
            failure = "not_json" if 200 <= status < 300 and text.strip() else ""
        clean = redact(text)
        if body is not None and clean != text:
            body = redact.inside(body)
            clean = json.dumps(body, ensure_ascii=False)
        return cls(
            call=call,
            status=status,
            headers={redact(name).lower(): redact(value)[:1024] for name, value in headers.items()},
            body=body,
            text=clean[:MAX_TEXT],
            elapsed_ms=elapsed_ms,
            failure=failure,
        )

    @cached_property
    def view(self) -> dict[str, Any]:
        """What the catalogue's expressions read."""
        return {"status": self.status, "headers": dict(self.headers), "body": self.body, "text": self.text}

    @cached_property
    def sample(self) -> dict[str, Any]:
        """The same with only the beginning of long lists: enough for a fingerprint, and quick on any answer."""
        body = self.body
        if isinstance(body, dict):
            body = {name: part[:SAMPLE] if isinstance(part, list) else part for name, part in body.items()}
        return self.view | {"body": body[:SAMPLE] if isinstance(body, list) else body}

    @property
    def request_id(self) -> str | None:
        found = next((self.headers[name] for name in REQUEST_ID_HEADERS if self.headers.get(name)), None)
        if not found and isinstance(self.body, dict) and isinstance(self.body.get("request_id"), str):
            found = self.body["request_id"]
        return clip(found) if found else None


class TooLarge(ValueError):
    """More values than any answer of an API."""


def parse_json(text: str) -> Any:
    """JSON as an API speaks it: no NaN, no number, nesting or multitude made to hurt. Raises ValueError."""
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level, parts = ([value] if isinstance(value, dict | list) else []), 0
    for _ in range(MAX_DEPTH):
        parts += sum(len(part) for part in level)
        if parts > MAX_PARTS:
            raise TooLarge("too many values")
        level = [
            child
            for part in level
            for child in (part.values() if isinstance(part, dict) else part)
            if isinstance(child, dict | list)
        ]
        if not level:
            return value
    raise ValueError("nested too deeply")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("number out of range")
    return value


def clip(text: str, length: int = 200) -> str:
    """At most `length` characters, without control characters."""
    return "".join(c if c.isprintable() else " " for c in text[: length * 2]).strip()[:length]
