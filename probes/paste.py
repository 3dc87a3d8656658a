"""One pasted key: the normal form of a line, what makes it no key, and whose it may be. Pure.

`find` looks for keys in any text and asks here about each.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from probes import keyform
from probes.secret import Secret
from probes.terms import Catalogue, KeyShape

SHORTEST, LONGEST = 8, 4096
LABEL_FROM = 30  # only longer keys show their last four characters
LAYERS = 16  # of quotes and prefixes round one key
ROOM = 256  # characters that they may take
BEGINNINGS = 32  # more beginnings of keys than this in one token: no key is like that

_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "”": "”", "‘": "’", "’": "’", "«": "»", "„": "“"}
_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,40}"
_ASSIGNMENT = re.compile(rf"(?:export\s+|set\s+|setx\s+|\$env:|-e\s+|ENV\s+)?({_NAME})\s*=\s*([^\s=].*)", re.I)
_PAIR = re.compile(rf"""["']({_NAME})["']\s*:\s*(\S.*)""")
_HEADER = re.compile(r"(authorization|api-?key|x-api-key|x-goog-api-key|xi-api-key|api_key|token)\s*:\s*(\S.*)", re.I)
_SCHEME = re.compile(r"(?:bearer|token|key)\s+(\S.*)", re.I)
_PLACEHOLDER = re.compile(  # for short values only: it looks from every place
    r"<.*>|\{+.*\}+|\$\{?\w+\}?|%\w+%|(?:process\.env|os\.environ|os\.getenv)\b.*"
    r"|.*(?:your|my|insert|enter|paste)[-_]?(?:[a-z0-9]{1,20}[-_]){0,6}?(?:api[-_]?)?(?:key|token|secret).*"
    r"|(?:[a-z]{2,5}[-_])*(?:x{4,}|0{8,}|1234567890?|abcdef\w*|\.{2,})|changeme|change[-_]me|placeholder|example|none|null"
    r"|(?:[a-z]+_)*(?:sk|key|token|secret|api[-_]?key)=?",
    re.I,
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.I)
_MASK = re.compile(r"[*…•]|\.\.\.|x{8,}", re.I)
_PLAIN = re.compile(r"[!-~]*")
_INSIDE_PRIVATE_KEY = re.compile(r"\s*(?:[A-Za-z0-9+/=]*|(?:Proc-Type|DEK-Info):.*)\s*")
_BETWEEN_KEYS = re.compile(r"[^A-Za-z0-9_.+/=:-]+")
# A variable's name, not a piece of a key that has "=" in it: words, each in one case, few digits.
WORDS = re.compile(
    r"(?:(?:[A-Z]+|[A-Z]?[a-z]+(?:[A-Z][a-z]{2,})*[A-Z]*)[0-9]{0,3}(?:[_.-]+|$)|[0-9]{1,3}(?:[_.-]+|$))+"
)


@dataclass(frozen=True)
class Match:
    """Who may own a key, by its shape alone."""

    candidates: tuple[str, ...] = ()  # provider slugs, ranked
    distinctive: bool = False  # exactly one provider's keys look so
    gateway: str = ""  # software whose generator makes such keys
    shape: KeyShape | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Pasted:
    """What was found in a line. Either a key, or a fault (a slug of `words.FAULTS`) and nothing of the line.

    detail: what the fault's message names (a trade, a provider's reason, a line). notices: what was dropped.
    column, length: where a key stands in its line, in UTF-16 code units, invisible characters inside it counted too.
    base_url: the one that stood with the key, as written; nobody has judged it yet.
    """

    line: int
    secret: Secret | None = None
    label: str = ""
    fault: str = ""
    detail: str = ""
    notices: tuple[str, ...] = ()
    match: Match = field(default_factory=Match)
    facts: Mapping[str, Any] = field(default_factory=dict)  # what the key says of itself
    column: int = 0  # its place in its line, and its length there, in UTF-16 units
    length: int = 0
    base_url: str = ""  # that stood with it


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """Lines by number from 1; the body of a private key is one line, its first."""
    inside = False
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if inside and _INSIDE_PRIVATE_KEY.fullmatch(raw):
            continue
        if inside and "-----END" in raw:
            inside = False
            continue
        inside = private_key(raw) and "-----END" not in raw and not says_nothing(raw)
        yield number, raw


def private_key(raw: str) -> bool:
    """Whether a line holds a private key, or begins one."""
    return "-----BEGIN" in raw and bool(_PRIVATE_KEY.search(raw))


def line(number: int, raw: str, catalogue: Catalogue) -> Pasted | None:
    """A line that is a key and nothing else, judged; None for one that says nothing. Never raises."""
    if says_nothing(raw):
        return None
    if private_key(raw):
        return Pasted(number, fault="private_key")
    if len(visible(raw)) > LONGEST + ROOM:
        return Pasted(number, fault="too_long")
    value, name, notices = normal_form(raw)
    match = whose(value, catalogue) if len(value) <= LONGEST else Match()
    fault, detail = fault_of(value, catalogue, match)
    if fault:
        return Pasted(number, fault=fault, detail=detail, notices=notices)
    column, length = Places(raw).utf16(visible(raw, strip=False).rindex(value), len(value))
    return as_key(number, value, name, match, catalogue, column=column, length=length, notices=notices)


def as_key(number: int, value: str, name: str, match: Match, catalogue: Catalogue, **place: Any) -> Pasted:
    """A key without fault, with all that its form tells. match: whose it may be; place: where it stands, notices."""
    if place["length"] > LONGEST + ROOM:  # nearly all of it invisible
        return Pasted(number, fault="too_long")
    facts = keyform.facts(match.shape.form, value) if match.shape else {}
    return Pasted(
        number, Secret(value), _label(number, value, name, match, catalogue), match=match, facts=facts, **place
    )


class Places:
    """From a place in a line without its invisible characters to the place in the line as a browser counts."""

    def __init__(self, raw: str) -> None:
        self._starts: list[int] | None = None  # of each visible character; None where all places are the same
        if not raw.isascii():
            self._starts, at = [], 0
            for c in raw:
                if not invisible(c):
                    self._starts.append(at)
                at += 1 + (c > "\uffff")

    def utf16(self, start: int, length: int) -> tuple[int, int]:
        """(column, length) in UTF-16 code units of a run of plain characters."""
        if self._starts is None or not length:
            return start, length
        return self._starts[start], self._starts[start + length - 1] + 1 - self._starts[start]


def normal_form(raw: str) -> tuple[str, str, tuple[str, ...]]:
    """A line without what is not the key: (value, variable name or "", notices). Layer by layer."""
    notices = ("invisible",) if not raw.isascii() and any(map(invisible, raw)) else ()
    value, name = visible(raw), ""
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


def says_nothing(raw: str) -> bool:
    """Whether a line is blank or a comment."""
    return visible(raw)[:1] in ("", "#")


def visible(raw: str, strip: bool = True) -> str:
    """A line without its invisible characters."""
    seen = raw if raw.isascii() else "".join(c for c in raw if not invisible(c))
    return seen.strip() if strip else seen


@cache
def invisible(c: str) -> bool:
    """Format characters, variation selectors and fillers: they come with a copy and are no part of any key."""
    return unicodedata.category(c) == "Cf" or c in "\u034f\u115f\u1160\u3164\uffa0\u2800" or "\ufe00" <= c <= "\ufe0f"


def fault_of(value: str, catalogue: Catalogue, match: Match) -> tuple[str, str]:
    """(slug, detail) of what makes this no key; ("", "") for a key."""
    if _CONTROL.search(value):
        return "control", ""
    if _URL.match(value):
        return "url", ""
    if re.search(r"\s", value):
        return "sentence", ""
    if len(value) <= ROOM and _PLACEHOLDER.fullmatch(value):
        return "placeholder", ""
    if _MASK.search(value):
        return "masked", ""
    if not _PLAIN.fullmatch(value):
        return "non_ascii", ""
    if len(value) < SHORTEST:
        return "too_short", ""
    if len(value) > LONGEST:
        return "too_long", ""
    return _foreign(value, catalogue, match)


def _foreign(value: str, catalogue: Catalogue, match: Match) -> tuple[str, str]:
    index = index_of(catalogue)
    for name, fits in index.neighbours:
        if fits(value):
            return "neighbour", name
    if match.shape and match.shape.refuse:
        return "refused_kind", match.shape.refuse
    retired = [catalogue.providers[slug].retired for slug in match.candidates]
    if retired and all(retired):
        return "retired", retired[0]
    if match.shape and keyform.facts(match.shape.form, value).get("checksum") is False:
        return "checksum", ""
    if _doubled(value, catalogue):
        return "doubled", ""
    if _several(value, match, catalogue):
        return "several", ""
    return "", ""


def _doubled(value: str, catalogue: Catalogue) -> bool:
    half, odd = divmod(len(value), 2)
    return not odd and value[:half] == value[half:] and whose(value[:half], catalogue).distinctive


def _several(value: str, match: Match, catalogue: Catalogue) -> bool:
    """Whether two whole keys stand in one token, with a separator or with next to nothing between them."""
    parts = [part for part in _BETWEEN_KEYS.split(value) if part]
    matches = [whose(part, catalogue) for part in parts] if len(parts) > 1 else []
    if matches and (any(m.distinctive for m in matches) or all(m.candidates for m in matches)):
        return True
    starts = [found.start() for found in index_of(catalogue).beginning.finditer(value) if found.start() >= SHORTEST]
    return len(starts) > BEGINNINGS or any(
        _sure(value[start:], catalogue) and (not match.distinctive or whose(value[:start], catalogue).distinctive)
        for start in starts
    )


def _sure(value: str, catalogue: Catalogue) -> bool:
    shape = whose(value, catalogue).shape
    return shape is not None and shape.kind == "distinctive" and bool(shape.prefix)


@dataclass(frozen=True)
class Fit:
    """A pattern and those whose keys it describes, each with its place in the catalogue's order."""

    literal: str  # what every match begins with
    fits: Callable[[str], Any]
    owners: list[tuple[int, str, KeyShape]]


class Index:
    """A catalogue's shapes, ready to be asked about many keys."""

    def __init__(self, catalogue: Catalogue) -> None:
        owned: dict[str, list[tuple[int, str, KeyShape]]] = {}
        pairs = [(p.slug, s) for p in catalogue.providers.values() for s in p.key_shapes]
        for place, (slug, shape) in enumerate(pairs):
            owned.setdefault(shape.pattern, []).append((place, slug, shape))
        fits = [Fit(literal_of(p), re.compile(p).fullmatch, owners) for p, owners in owned.items()]
        self.anywhere = [fit for fit in fits if not fit.literal]
        self.by_first = {
            first: [fit for fit in fits if fit.literal[:1] in ("", first)] for first in {f.literal[:1] for f in fits}
        }
        self.gateways = [
            (s.kind, g.slug, re.compile(s.pattern).fullmatch) for g in catalogue.gateways.values() for s in g.key_shapes
        ]
        self.neighbours = [(n.name, re.compile(n.pattern).fullmatch) for n in catalogue.shared.neighbours]
        shapes = [shape for _slug, shape in pairs] + [s for g in catalogue.gateways.values() for s in g.key_shapes]
        self.prefix = _any_of({s.prefix for s in shapes if s.prefix})
        self.beginning = re.compile(
            f"(?={_any_of({s.prefix for s in shapes if s.kind == 'distinctive' and s.prefix}).pattern})"
        )
        # What may be a key, or another trade's, wherever it stands: by a beginning, or whole where it has none.
        whole = [s.pattern for s in shapes if s.kind == "distinctive"] + [
            n.pattern for n in catalogue.shared.neighbours
        ]
        self.striking = re.compile("|".join([self.prefix.pattern, *(f"(?:{p})" for p in dict.fromkeys(whole))]))


def _any_of(words: set[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))) or r"(?!)")


def literal_of(pattern: str) -> str:
    """The plain characters that whatever matches begins with; fewer, where it is not clear at sight."""
    if "|" in re.sub(r"\([^()]*\)", "", pattern):
        return ""
    found = re.match(r"\^?([A-Za-z0-9_-]*)(?![?*{])", pattern)
    return found[1] if found else ""


_last: tuple[Catalogue, Index] | None = None


def index_of(catalogue: Catalogue) -> Index:
    """The catalogue's index; that of the last one is kept."""
    global _last
    kept = _last
    if kept is None or kept[0] is not catalogue:
        kept = _last = (catalogue, Index(catalogue))
    return kept[1]


def whose(key: str, catalogue: Catalogue) -> Match:
    """Candidates by shape. A distinctive shape hides the vendors that merely also match."""
    index = index_of(catalogue)
    fitting = sorted(
        (shape.kind != "distinctive", place, slug, shape)
        for fit in index.by_first.get(key[:1], index.anywhere)
        if key.startswith(fit.literal) and fit.fits(key)
        for place, slug, shape in fit.owners
    )
    sure = bool(fitting) and not fitting[0][0]
    found = dict.fromkeys(slug for vague, _place, slug, _shape in fitting if vague != sure)
    generators = [(kind, slug) for kind, slug, fits in index.gateways if not sure and fits(key)]
    return Match(
        candidates=tuple(found),
        distinctive=sure and len(found) == 1,
        gateway=min(generators, default=("", ""))[1],  # "distinctive" comes before "shared"
        shape=fitting[0][3] if fitting else None,
    )


def _label(number: int, value: str, name: str, match: Match, catalogue: Catalogue) -> str:
    """The variable name it came with; else public beginning, … and the last four; else the line."""
    if name and WORDS.fullmatch(name) and not whose(name, catalogue).candidates:
        return name
    if len(value) <= LABEL_FROM:
        return f"line {number}"
    shape = match.shape
    prefix = shape.prefix if shape and value.startswith(shape.prefix) else ""
    return f"{prefix}…{value[-4:]}"
