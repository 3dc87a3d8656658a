"""One request and its answer, redacted as it is made and kept in memory only."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from probes.secret import Secret

REDACTED = "[key]"
WINDOW = 12  # no run of this many characters of a key may be seen anywhere
HALF = WINDOW // 2
FEW = 256  # marks of keys that are looked for one by one; more are quicker found in one pass over the text
MAX_SEARCH = 16 * 1024 * 1024  # characters of a text, times the keys of which it seems to hold something
MAX_TEXT = 64 * 1024  # what expressions and messages see of a text body
MAX_DEPTH = 64  # of JSON; deeper is no answer of an API
MAX_PARTS = 100_000  # values in one answer; the largest model lists have some 30,000
SAMPLE = 50
LONGEST_WAIT = 366 * 24 * 3600  # seconds; whoever asks for more says nothing
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
RETRY_HEADERS = {"retry-after-ms": 1000.0, "retry-after": 1.0}  # the finer first; how many of its units are a second


class Traces:
    """One key, and everything that an echo may make of it.

    marks: pieces of HALF characters. A text without any holds no trace: each window of the key has one of its pieces
    whole, and each form ends with one. Nearly all texts are without, so the rest is made when it is needed.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        # The pieces begin behind the prefix that all keys of a provider share.
        pieces = range(HALF - 1, len(key) - HALF + 1, HALF) if len(key) >= WINDOW else ()
        ends = _spellings(key[-HALF:]) | _digests(key)
        self.marks = {key[i : i + HALF] for i in pieces} | {end[-HALF:] for end in ends}

    @cached_property
    def _forms(self) -> list[str]:
        """The longest first."""
        forms = _spellings(self._key) | _digests(self._key)
        return sorted((form for form in forms if len(form) >= 8), key=len, reverse=True)

    @cached_property
    def _windows(self) -> set[str]:
        return {self._key[i : i + WINDOW] for i in range(len(self._key) - WINDOW + 1)}

    @cached_property
    def _halves(self) -> set[str]:
        return {self._key[i : i + HALF] for i in range(len(self._key) - HALF + 1)} if self._windows else set()

    def without_forms(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, REDACTED)
        return text

    def without_windows(self, text: str) -> str:
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


class Redactor:
    """Takes keys, and everything that an echo may make of them, out of a text. Many keys: make it once, and keep it."""

    def __init__(self, *secrets: Secret | None) -> None:
        self._traces: dict[Secret, Traces] = {}
        self._marks: set[str] = set()
        self.add(*secrets)

    def add(self, *secrets: Secret | None) -> None:
        """More keys; other threads may be using it meanwhile."""
        more = {secret: Traces(secret.reveal()) for secret in secrets if secret and secret not in self._traces}
        self._traces = self._traces | more
        self._marks = self._marks.union(*(traces.marks for traces in more.values()))

    def knowing(self, secret: Secret | None) -> Redactor:
        """One that takes this key out, too."""
        return self if not secret or secret in self._traces else Redactor(secret, *self._traces)

    def __call__(self, text: str) -> str:
        """Raises TooLarge where so much seems to be held that it cannot be taken out in good time."""
        held = self._held(text)
        if len(held) * len(text) > MAX_SEARCH:
            raise TooLarge("too many keys")
        for traces in held:
            text = traces.without_forms(text)  # of all keys, before a window that two have in common is taken out
        for traces in held:
            text = traces.without_windows(text)
        return text

    def _held(self, text: str) -> list[Traces]:
        """The keys of which the text has a mark: nearly always none."""
        known = self._marks
        if len(known) <= FEW:
            marks = {mark for mark in known if mark in text}
        else:
            marks = {part for i in range(len(text) - HALF + 1) if (part := text[i : i + HALF]) in known}
        return [traces for traces in self._traces.values() if not marks.isdisjoint(traces.marks)] if marks else []

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


_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")  # nothing escapes these but what escapes everything


def _spellings(key: str) -> set[str]:
    """The key as others may write it, letter by letter."""
    raw = key.encode()
    spelled = {key, raw.hex(), raw.hex().upper(), "".join(f"&#{byte};" for byte in raw)}
    for digits in (raw.hex("|"), raw.hex("|").upper()):
        spelled |= {"%" + digits.replace("|", "%"), "\\u00" + digits.replace("|", "\\u00")}
        spelled.add("&#x" + digits.replace("|", ";&#x") + ";")
    if not _PLAIN.fullmatch(key):
        spelled |= {quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1], html.escape(key)}
    return spelled


def _digests(key: str) -> set[str]:
    """What can be told from the whole key alone: base64 in its three alignments, less the ends, and hashes."""
    raw = key.encode()
    texts = {
        base64.b64encode(b"\0" * lead + raw).decode().rstrip("=")[math.ceil(lead * 4 / 3) : -1] for lead in range(3)
    }
    hashes = {digest(raw).hexdigest() for digest in (hashlib.md5, hashlib.sha1, hashlib.sha256)}
    return texts | {text.replace("+", "-").replace("/", "_") for text in texts} | hashes


@dataclass(frozen=True)
class Exchange:
    """What was asked and what came back. `failure` is a named cause when nothing usable came.

    call: method and address, without the key. elapsed_ms: wall clock. text: the body, at most MAX_TEXT.
    retry_after: seconds from then on that the host asks us to wait, however many; None = it does not say.
    """

    call: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    text: str = ""
    elapsed_ms: int = 0
    failure: str = ""
    retry_after: float | None = None

    @classmethod
    def of(
        cls,
        call: str,
        secret: Secret | None,
        status: int,
        headers: Mapping[str, str],
        raw: bytes,
        elapsed_ms: int,
        others: Iterable[Secret] | Redactor = (),
    ) -> Exchange:
        """From the wire. The body is parsed first, so that no escape of JSON's hides the key.

        others: keys that the same host has seen, or may have: it may answer one with another.
        """
        redact = (others if isinstance(others, Redactor) else Redactor(*others)).knowing(secret)
        text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
        body, failure = None, ""
        try:
            try:
                body = parse_json(text)
                text = json.dumps(body, ensure_ascii=False)
            except TooLarge:
                raise
            except ValueError:
                failure = "not_json" if 200 <= status < 300 and text.strip() else ""
            everything = "\n".join([text, *headers, *headers.values()])  # no key and no form of one has a line break
            if redact(everything) != everything:
                clean, body = redact(text), redact.inside(body)
                headers = {redact(name): redact(value) for name, value in headers.items()}
                text = clean if body is None else json.dumps(body, ensure_ascii=False)
        except TooLarge:
            body, text, headers, failure = None, "", {}, "too_large"
        return cls(
            call=call,
            status=status,
            headers={name.lower(): value[:1024] for name, value in headers.items()},
            body=body,
            text=text[:MAX_TEXT],
            elapsed_ms=elapsed_ms,
            failure=failure,
            retry_after=_retry_after(headers),
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


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from the headers that say when to come back; None where they say nothing, or what nobody can mean."""
    said = {name.lower(): value.strip() for name, value in headers.items() if name.lower() in RETRY_HEADERS}
    if not said:
        return None
    for name, a_second in RETRY_HEADERS.items():
        seconds = _number(said.get(name, "")) / a_second
        if 0 <= seconds <= LONGEST_WAIT:
            return seconds
    try:
        seconds = parsedate_to_datetime(said.get("retry-after", "")).timestamp() - time.time()
    except (ValueError, OverflowError, OSError):
        return None
    return seconds if 0 <= seconds <= LONGEST_WAIT else None


def _number(text: str) -> float:
    """A plain decimal; NaN, which compares with nothing, for anything else."""
    return float(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", text) else math.nan


class TooLarge(ValueError):
    """More values, or more keys, than any answer of an API."""


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
