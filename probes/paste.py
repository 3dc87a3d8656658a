"""Telling pasted keys apart: the normal form of a line, its faults, and whose key it may be. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from probes import keyform
from probes.secret import Secret
from probes.terms import Catalogue, KeyShape

SHORTEST, LONGEST = 8, 4096
LABEL_FROM = 30  # only longer keys show their last four characters
LAYERS = 16  # of quotes and prefixes round one key
ROOM = 256  # characters that they may take

_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "”": "”", "‘": "’", "’": "’", "«": "»", "„": "“"}
_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,40}"
_ASSIGNMENT = re.compile(rf"(?:export\s+|set\s+|setx\s+|\$env:|-e\s+|ENV\s+)?({_NAME})\s*=\s*([^\s=].*)", re.I)
_PAIR = re.compile(rf"""["']({_NAME})["']\s*:\s*(\S.*)""")
_HEADER = re.compile(r"(authorization|api-?key|x-api-key|x-goog-api-key|xi-api-key|api_key|token)\s*:\s*(\S.*)", re.I)
_SCHEME = re.compile(r"(?:bearer|token|key)\s+(\S.*)", re.I)
_PLACEHOLDER = re.compile(  # for short values only: it looks from every place
    r"<.*>|\{+.*\}+|\$\{?\w+\}?|%\w+%|(?:process\.env|os\.environ|os\.getenv)\b.*"
    r"|.*(?:your|my|insert|enter|paste)[-_]?(?:[a-z0-9]+[-_])*?(?:api[-_]?)?(?:key|token|secret).*"
    r"|(?:[a-z]{2,5}[-_])*(?:x{4,}|0{8,}|1234567890?|abcdef\w*|\.{2,})|changeme|change[-_]me|placeholder|example|none|null"
    r"|(?:[a-z]+_)*(?:sk|key|token|secret|api[-_]?key)=?",
    re.I,
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_INSIDE_PRIVATE_KEY = re.compile(r"\s*(?:[A-Za-z0-9+/=]*|(?:Proc-Type|DEK-Info):.*)\s*")
_BETWEEN_KEYS = re.compile(r"[^A-Za-z0-9_.+/=:-]+")
# A variable's name, not a piece of a key that has "=" in it: words, each in one case, few digits.
_WORDS = re.compile(r"(?:(?:[A-Z]+|[A-Z]?[a-z]+(?:[A-Z][a-z]{2,})*[A-Z]*)[0-9]{0,3}(?:[_.-]+|$))+")


@dataclass(frozen=True)
class Match:
    """Who may own a key, by its shape alone."""

    candidates: tuple[str, ...] = ()  # provider slugs, ranked
    distinctive: bool = False  # exactly one provider's keys look so
    gateway: str = ""  # software whose generator makes such keys
    shape: KeyShape | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Pasted:
    """One line that is not blank. Either a key, or a fault (a slug of `words.FAULTS`) and nothing of the line.

    detail: what the fault's message names (a trade, a provider's reason, a line). notices: what was dropped.
    """

    line: int
    secret: Secret | None = None
    label: str = ""
    fault: str = ""
    detail: str = ""
    notices: tuple[str, ...] = ()
    match: Match = field(default_factory=Match)
    facts: Mapping[str, Any] = field(default_factory=dict)  # what the key says of itself


def lines(text: str, catalogue: Catalogue) -> list[Pasted]:
    """Every line of a paste that is neither blank nor a comment, judged. Never raises."""
    seen: dict[Secret, int] = {}
    found = []
    for number, raw in _numbered(text):
        pasted = _line(number, raw, catalogue)
        if pasted is None:
            continue
        if pasted.secret and pasted.secret in seen:
            pasted = Pasted(number, fault="repeated", detail=str(seen[pasted.secret]))
        elif pasted.secret:
            seen[pasted.secret] = number
        found.append(pasted)
    return found


def count(text: str) -> int:
    """How many lines `lines` would judge."""
    return sum(not _says_nothing(raw) for _number, raw in _numbered(text))


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """Lines by number from 1; the body of a private key is one line, its first."""
    inside = False
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if inside and _INSIDE_PRIVATE_KEY.fullmatch(raw):
            continue
        if inside and "-----END" in raw:
            inside = False
            continue
        inside = bool(_PRIVATE_KEY.search(raw)) and "-----END" not in raw and not _says_nothing(raw)
        yield number, raw


def _line(number: int, raw: str, catalogue: Catalogue) -> Pasted | None:
    if _says_nothing(raw):
        return None
    if _PRIVATE_KEY.search(raw):
        return Pasted(number, fault="private_key")
    if len(_visible(raw)) > LONGEST + ROOM:
        return Pasted(number, fault="too_long")
    value, name, notices = normal_form(raw)
    fault, detail = _fault(value, catalogue)
    if fault:
        return Pasted(number, fault=fault, detail=detail, notices=notices)
    match = whose(value, catalogue)
    label = _label(number, value, name, match, catalogue)
    facts = keyform.facts(match.shape.form, value) if match.shape else {}
    return Pasted(number, Secret(value), label, notices=notices, match=match, facts=facts)


def normal_form(raw: str) -> tuple[str, str, tuple[str, ...]]:
    """A line without what is not the key: (value, variable name or "", notices). Layer by layer."""
    visible = _visible(raw)
    notices = ("invisible",) if any(map(_invisible, raw)) else ()
    value, name = visible, ""
    for _ in range(LAYERS):
        before = value
        value = value.strip().rstrip(",;").rstrip()
        found = _PAIR.fullmatch(value)  # before quotes: it may begin and end with one
        if found:
            name, value = name or found[1], found[2]
            continue
        if len(value) >= 2 and _QUOTES.get(value[0]) == value[-1]:
            value = value[1:-1]
            continue
        for pattern in (_HEADER, _ASSIGNMENT):
            found = pattern.fullmatch(value)
            if found:
                name, value = (name or found[1] if pattern is not _HEADER else name), found[2]
                break
        else:
            found = _SCHEME.fullmatch(value)
            value = found[1] if found else value
        if value == before:
            break
    return value, name, notices


def _says_nothing(raw: str) -> bool:
    """Whether a line is blank or a comment."""
    return _visible(raw)[:1] in ("", "#")


def _visible(raw: str) -> str:
    return raw.strip() if raw.isascii() else "".join(c for c in raw if not _invisible(c)).strip()


def _invisible(c: str) -> bool:
    """Format characters, variation selectors and fillers: they come with a copy and are no part of any key."""
    return unicodedata.category(c) == "Cf" or c in "\u034f\u115f\u1160\u3164\uffa0\u2800" or "\ufe00" <= c <= "\ufe0f"


def _fault(value: str, catalogue: Catalogue) -> tuple[str, str]:
    """(slug, detail) of what makes this no key; ("", "") for a key."""
    if any(unicodedata.category(c) == "Cc" for c in value):
        return "control", ""
    if re.match(r"[a-z][a-z0-9+.-]*://", value, re.I):
        return "url", ""
    if re.search(r"\s", value):
        return "sentence", ""
    if len(value) <= ROOM and _PLACEHOLDER.fullmatch(value):
        return "placeholder", ""
    if "*" in value or "…" in value or "•" in value or "..." in value or re.search(r"x{8,}", value, re.I):
        return "masked", ""
    if not all("!" <= c <= "~" for c in value):
        return "non_ascii", ""
    if len(value) < SHORTEST:
        return "too_short", ""
    if len(value) > LONGEST:
        return "too_long", ""
    return _foreign(value, catalogue)


def _foreign(value: str, catalogue: Catalogue) -> tuple[str, str]:
    for neighbour in catalogue.shared.neighbours:
        if re.fullmatch(neighbour.pattern, value):
            return "neighbour", neighbour.name
    match = whose(value, catalogue)
    if match.shape and match.shape.refuse:
        return "refused_kind", match.shape.refuse
    retired = [catalogue.providers[slug].retired for slug in match.candidates]
    if retired and all(retired):
        return "retired", retired[0]
    if match.shape and keyform.facts(match.shape.form, value).get("checksum") is False:
        return "checksum", ""
    if _doubled(value, catalogue):
        return "doubled", ""
    if _several(value, catalogue):
        return "several", ""
    return "", ""


def _doubled(value: str, catalogue: Catalogue) -> bool:
    half, odd = divmod(len(value), 2)
    return not odd and value[:half] == value[half:] and whose(value[:half], catalogue).distinctive


def _several(value: str, catalogue: Catalogue) -> bool:
    """Whether two whole keys stand in one token, with a separator or with nothing between them."""
    parts = [part for part in _BETWEEN_KEYS.split(value) if part]
    if len(parts) > 1:
        matches = [whose(part, catalogue) for part in parts]
        return any(m.distinctive for m in matches) or all(m.candidates for m in matches)
    shapes = [s for p in catalogue.providers.values() for s in p.key_shapes if s.kind == "distinctive" and s.prefix]
    return any(
        re.fullmatch(shape.pattern, value[found.start() :]) and whose(value[: found.start()], catalogue).distinctive
        for shape in shapes
        for found in re.finditer(re.escape(shape.prefix), value)
    )


def whose(key: str, catalogue: Catalogue) -> Match:
    """Candidates by shape. A distinctive shape hides the vendors that merely also match."""
    sure: list[tuple[str, KeyShape]] = []
    maybe: list[tuple[str, KeyShape]] = []
    for provider in catalogue.providers.values():
        shapes = [s for s in provider.key_shapes if re.fullmatch(s.pattern, key)]
        if shapes:
            best = min(shapes, key=lambda s: s.kind != "distinctive")
            (sure if best.kind == "distinctive" else maybe).append((provider.slug, best))
    generators = [
        (s.kind, g.slug) for g in catalogue.gateways.values() for s in g.key_shapes if re.fullmatch(s.pattern, key)
    ]
    gateway = min(generators, default=("", ""))[1]  # "distinctive" comes before "shared"
    found = sure or maybe
    return Match(
        candidates=tuple(slug for slug, _ in found),
        distinctive=len(sure) == 1,
        gateway="" if sure else gateway,
        shape=found[0][1] if found else None,
    )


def _label(number: int, value: str, name: str, match: Match, catalogue: Catalogue) -> str:
    """The variable name it came with; else public beginning, … and the last four; else the line."""
    if name and _WORDS.fullmatch(name) and not whose(name, catalogue).candidates:
        return name
    if len(value) <= LABEL_FROM:
        return f"line {number}"
    shape = match.shape
    prefix = shape.prefix if shape and value.startswith(shape.prefix) else ""
    return f"{prefix}…{value[-4:]}"
