"""Finding keys in any pasted text, each with its variable's name and the base URL that stood with it. Pure.

A paste that begins with a bare key is a list: every line is a key. Anything else is free text: a file, a command, a
snippet, a message. It is read once, chunk by chunk, whatever its language: a chunk has a name before it ("api_key",
"-H Authorization:", a table's column) or none, and stands in a scope (a pair of brackets, an indented block, a command,
a table's row). What the name and the shape say makes it a key; names and scopes say which base URL belongs to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from probes import names, paste
from probes.beside import Near, Place, Scope
from probes.paste import Pasted
from probes.secret import Secret
from probes.terms import Catalogue

MOST_FAULTS = 1000  # told of one paste
MOST_WORK = 100_000  # chunks, brackets and lines that are looked into
NEAR = 50  # characters, base URLs, scopes that are looked at round a key

_OPENING = "[({"
_ENDS = "”“’»›」』"  # of strings between typographic quotes
# With the colon, comma, semicolon, full stop and round brackets of Chinese.
_APART = rf"\s\"'`{_ENDS}„‘‚«‹「『<>|,;(){{}}\[\]\\\uff1a\uff0c\uff1b\u3001\u3002\uff08\uff09"
_ENTITY = r"&(?:quot|apos|nbsp|lt|gt|#\d{1,6});"
_LEXEME = re.compile(
    rf"(?P<url>https?:(?:\\?/){{2}}(?:(?!{_ENTITY})[^{_APART}]|\\/)*)"
    r"|(?P<dashes>-{4,}|-+(?=\s|$))"
    rf"|(?P<chunk>\$?\{{{{1,2}}\s?[\w.]{{1,60}}\s?\}}{{1,2}}|(?:(?!----|{_ENTITY})[^{_APART}])+)"
    r"|(?P<brackets>[\[\](){}]+)"
    rf"|(?P<between>{_ENTITY}|\\[nrt]?|(?:(?![\[\](){{}}\\])[{_APART}])+)"
)
# A line without any of this holds no key, whatever came before it.
_WORTH_READING = re.compile(
    rf"[^{_APART}]{{16}}|key|token|secret|authorization|bearer|credential|http|host|base|url|endpoint|[密秘令地网]",
    re.I,
)
_BRACKETS = re.compile(r"[\[\](){}]+")
_AT_ONCE = re.compile(rf"[^{_APART}:=&-]{{1,7}}+(?![:=&]|[\s\"'`{_ENDS}\\]+[:=\uff1a])")  # no name, no value
_NAME = r"(?:\$env:)?-{0,2}[^\W\d][\w.-]{0,60}"
_NAMED = re.compile(rf"({_NAME})(?::=|[:=])(.*)", re.S)
_ADDRESS = re.compile(r"https?:(?:\\?/){2}")
_NAME_ALONE = re.compile(_NAME)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_AFTER_VARIABLE = re.compile(rf"[\"'{_ENDS}\],=\s]{{1,8}}")
_SEPARATOR = re.compile(rf"""\\?(?:["'`{_ENDS}]|&quot;)?\s{{0,20}}(?::=|=>|=(?!=)|:|\uff1a)""")
_PART = re.compile(r"[^/?&=#@:]{8,}")
_ARGUMENT = re.compile(r"[?&]([\w.-]{1,40})=$")
_KEY_LENGTH = re.compile(r"(?=[\w-]*\d)[\w-]{20}")
_FRESH_START = re.compile(r"(?:```|~~~|(?:curl|export)\s)")  # whatever was open before is not
_HEADING = re.compile(r"(?:[\w.-]+ ?){0,3}")
_CURL = re.compile(r"(?:^|[\s;&|$(`])curl(?:\.exe)?\s", re.I)
_REQUEST = re.compile(r"(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (/\S*)(?: HTTP/[\d.]+)?\s*$")
_HOST = re.compile(r"\s*:?(?:host|authority):\s*([\w.-]+\.[a-z]{2,}(?::\d+)?)\s*$", re.I)
_SCHEMES = {"bearer", "token", "key"}
_UNSAID = {"too_short", "sentence", "url"}  # faults of what nobody took for a key

_RANDOM = re.compile(r"(?=.*[A-Za-z])(?=.*\d)[A-Za-z0-9_.+/=:~-]+")


def keys(text: str, catalogue: Catalogue, most: int = 1000) -> list[Pasted]:
    """Every key in a text, in order, and every fault of what was meant as one. Never raises.

    It ends early, with more than `most` keys: such a paste is to be refused whole.
    """
    rows = list(paste.numbered(text))
    if not _is_list(rows, catalogue):
        reader = _Reader(catalogue, paste.index_of(catalogue))
        found = _bounded(reader.read(rows), most)
        if found:
            return reader.told(found)
    return _bounded(_each_line(rows, catalogue), most)


def _is_list(rows: list[tuple[int, str]], catalogue: Catalogue) -> bool:
    """Whether the first line that says something is a key with nothing round it but quotes and commas."""
    first = next((raw for _number, raw in rows if not paste.says_nothing(raw)), "")
    if len(first) > paste.LONGEST + paste.ROOM or paste.private_key(first):
        return False
    value, name, _notices = paste.normal_form(first)
    around = paste.visible(first).replace(value, "", 1)
    match = paste.whose(value, catalogue)
    if name or ":" in around or paste.fault_of(value, catalogue, match)[0]:
        return False
    return _shaped(match) or _random(value)


def _each_line(rows: list[tuple[int, str]], catalogue: Catalogue) -> Iterator[Pasted]:
    return filter(None, (paste.line(number, raw, catalogue) for number, raw in rows))


def _bounded(found: Iterable[Pasted], most: int) -> list[Pasted]:
    """Each key once, up to one more than `most`; faults up to MOST_FAULTS, where reading ends."""
    first_line: dict[Secret, int] = {}
    kept: list[Pasted] = []
    faults = 0
    for pasted in found:
        if pasted.secret and pasted.secret in first_line:
            pasted = Pasted(pasted.line, fault="repeated", detail=str(first_line[pasted.secret]))
        elif pasted.secret:
            first_line[pasted.secret] = pasted.line
        faults += bool(pasted.fault)
        if faults > MOST_FAULTS:
            return [*kept, Pasted(pasted.line, fault="unread")]
        kept.append(pasted)
        if len(first_line) > most:
            break
    return kept


def _shaped(match: paste.Match) -> bool:
    return bool(match.candidates or match.gateway)


def _random(value: str) -> bool:
    """Whether it looks like made by a machine: letters, digits, no words."""
    return bool(_RANDOM.fullmatch(value)) and not paste.WORDS.fullmatch(value)


def _heading(line: str) -> tuple[str, list[str]]:
    """What parts a table's columns, and their names, if this is its first line and one of them is for keys."""
    if len(line) < 1000:
        for mark in "|\t,;":
            cells = [cell.strip(" \"'*`\t") for cell in line.split(mark)]
            if len(cells) > 1 and all(map(_HEADING.fullmatch, cells)) and any(map(names.of_key, cells)):
                return ("", []) if any(map(_random, cells)) else (mark, cells)
    return "", []


@dataclass(slots=True)
class _Chunk:
    """A run of characters without space, quote or bracket; `start` and `end` are its place in the line."""

    number: int
    line: str
    start: int
    end: int
    last: tuple[int, int]  # where the chunk before it stands
    places: paste.Places

    @property
    def text(self) -> str:
        return self.line[self.start : self.end]

    def part(self, start: int, end: int | None = None) -> _Chunk:
        end = self.end if end is None else self.start + end
        return _Chunk(self.number, self.line, self.start + start, end, self.last, self.places)

    def trimmed(self) -> _Chunk:
        """Without the marks of a sentence or of bold print round it."""
        text = self.text
        for mark in ("**", "__"):
            if text.startswith(mark) and text.rstrip(".:!?").endswith(mark):
                return self.part(len(mark), max(len(mark), len(text.rstrip(".:!?")) - len(mark)))
        return self.part(0, len(text.rstrip(".:!?"))) if text[-1:] in ".:!?" else self

    def after_word(self, name: str) -> str:
        """A name of one word with the word right before it: "Base URL"."""
        first, end = self.last
        near = end == self.start - 1 and self.line[end] == " " and end - first <= 40
        return f"{self.line[first:end]} {name}" if near and name.isalpha() else name

    @property
    def variable(self) -> str:
        """The variable's name right before it: `setx A_KEY "…"`, `environ["A_KEY"] = "…"`."""
        name, between = self.line[self.last[0] : self.last[1]], self.line[self.last[1] : self.start]
        said = _VARIABLE.fullmatch(name) and _AFTER_VARIABLE.fullmatch(between) and not _VARIABLE.match(self.text)
        return name if said and (names.of_key(name) or names.of_url(name)) else ""

    @property
    def alone(self) -> bool:
        """Whether it is all of a line, a cell, a string or a value, or has but an address beside it."""
        before = self.line[max(0, self.start - NEAR) : self.start].rstrip(" ")
        after = self.line[self.end : self.end + NEAR].lstrip(" ")
        beside = self.line[self.last[0] : self.last[1]]
        return (not before[-1:].isalnum() or "://" in beside) and (not after[:1].isalnum() or after.startswith("http"))

    @property
    def is_link(self) -> bool:
        """Whether it is where a Markdown link leads."""
        return self.line[max(0, self.start - 2) : self.start] == "]("


@dataclass
class _Reader:
    """Reads free text once. `read` gives keys and faults as they come, `told` adds what only the end can tell."""

    catalogue: Catalogue
    index: paste.Index
    scopes: list[Scope] = field(default_factory=lambda: [Scope("text", 0)])
    scope: int = 0
    brackets: int = 0  # how many are open
    block: int = 0
    order: int = 0
    urls: list[tuple[Place, str]] = field(default_factory=list)
    places: dict[Secret, Place] = field(default_factory=dict)
    referring: dict[int, tuple[Pasted, str]] = field(default_factory=dict)  # placeholders, with the name inside
    columns: tuple[str, list[str]] = ("", [])  # of a table: what parts them, their names
    work: int = 0
    command: int = 0  # the scope round an open command
    request: str = ""  # the path of a request whose headers follow
    name: str = ""  # what the next chunk is the value of
    label: str = ""
    keyed: bool = False  # that name is a key's
    fresh: bool = False  # nothing has been its value yet
    variable: str = ""  # the last value of a name "name" or "key" that may be a variable's name

    def read(self, rows: list[tuple[int, str]]) -> Iterator[Pasted]:
        for number, raw in rows:
            if self.work > MOST_WORK:
                break
            if paste.private_key(raw) and not paste.says_nothing(raw):
                yield Pasted(number, fault="private_key")
            line = paste.visible(raw, strip=False)
            begins = line.lstrip()[:2]
            if not begins:
                self._end_block()
            elif begins[0] != "#" and begins != "//":
                yield from self._line(number, raw, line)
        if self.work > MOST_WORK:
            yield Pasted(number, fault="unread")

    def _end_block(self) -> None:
        self.block += 1
        self.columns, self.request = ("", []), ""
        self._end_command()
        self._forget()

    def _end_command(self) -> None:
        if self.command:
            self.scope, self.brackets, self.command = self.scopes[self.command].parent, 0, 0

    def _line(self, number: int, raw: str, line: str) -> Iterator[Pasted]:
        self.work += 1
        self._enter(number, line)
        if not (self.fresh or self.columns[1] or _WORTH_READING.search(line)):
            for found in _BRACKETS.finditer(line):
                self._bracket(found[0], "")
            self._end_line(line)
            return
        row = 0
        if not self.brackets and not self.columns[1]:
            self.columns = _heading(line)
        elif self.columns[1] and self.columns[0] in line:
            self.scope = row = self._open("row")
        yield from self._chunks(number, raw, line)
        if row:
            self.scope = self.scopes[row].parent
        self._end_line(line)

    def _end_line(self, line: str) -> None:
        if self.command and not line.rstrip().endswith(("\\", "^", "`")):
            self._end_command()
        if not (self.fresh and re.search(r":\s*[|>]?-?\s*$", line[-9:])):
            self._forget()

    def _enter(self, number: int, line: str) -> None:
        """The scopes that a line begins or ends by where it begins, and what it says as a whole."""
        if _FRESH_START.match(line):
            self.scope = self.brackets = 0
        if self.brackets or self.command:
            return
        indent = len(line) - len(line.lstrip())
        item = re.match(r"\s*-\s+", line)
        while self.scopes[self.scope].indent > indent:
            self.scope = self.scopes[self.scope].parent
        if item:
            self.scope = self._open("item", indent=item.end())
            around = self.scopes[self.scopes[self.scope].parent]
            around.name = self.name or around.name
            self._call(around.name)
        elif indent > max(self.scopes[self.scope].indent, 0):
            self.scope = self._open("indent", indent=indent)
        if "curl" in line[:200] and _CURL.search(line[:200]):
            self.scope = self.command = self._open("command", indent=self.scopes[self.scope].indent)
        if called := _REQUEST.match(line):
            self.request = names.base_of("https://host" + called[1])[0].removeprefix("https://host")
        elif host := _HOST.match(line):
            self._endpoint(number, f"https://{host[1]}{self.request.rstrip('/')}", "")
            self.request = ""

    def _open(self, kind: str, indent: int = -1, name: str = "") -> int:
        self.scopes.append(Scope(kind, self.scope, name, indent))
        return len(self.scopes) - 1

    def _forget(self) -> None:
        self.name, self.label, self.fresh, self.keyed = "", "", False, False

    def _call(self, name: str, label: str = "") -> None:
        """What follows is the value of this name, or of the variable that was named before ("name: X, value: …")."""
        if label.lower() == "value" and self.variable:
            name = label = self.variable
        self.name, self.label, self.fresh = name, label, True
        self.keyed = name in names.HTTP_NAMES or names.of_key(name)

    def _chunks(self, number: int, raw: str, line: str) -> Iterator[Pasted]:
        places = paste.Places(raw)
        column, quoted = 0, False
        last = (0, 0)  # where the chunk before this one stood
        for found in _LEXEME.finditer(line):
            start, end = found.span()
            if found.lastgroup == "brackets":
                self._bracket(found[0], line[last[0] : start] if last[1] == start else "")
            elif found.lastgroup == "between":
                if self.columns[1]:
                    for c in found[0]:
                        quoted ^= c == '"'
                        column += c == self.columns[0] and not quoted
                if found[0][0] == "\\":
                    self.fresh |= end - start > 1 and self.keyed
                elif "," in found[0] or ";" in found[0]:
                    self._next()
            elif found.lastgroup != "dashes":
                if self.columns[1] and self.scopes[self.scope].kind == "row":
                    self._call(self.columns[1][column] if column < len(self.columns[1]) else "")
                if end - start >= paste.SHORTEST or not _AT_ONCE.match(line, start) or found[0].lower() in _SCHEMES:
                    self.work += 1
                    yield from self._chunk(_Chunk(number, line, start, end, last, places))
                else:
                    self.fresh = False
                last = (start, end)
            if self.work > MOST_WORK:
                return

    def _next(self) -> None:
        """A comma: in an array, and after a name for several, what follows has the same name."""
        scope = self.scopes[self.scope]
        if scope.kind == "[" and scope.name:
            self._call(scope.name)
        elif self.fresh or self.name:
            self.fresh = self.keyed and self.name.lower().endswith("s")

    def _bracket(self, run: str, before: str) -> None:
        """before: a word that stands right before it, as a function's name does."""
        for c in run[:MOST_WORK]:
            self.work += 1
            if c in _OPENING:
                if c == "(" and before and (names.of_key(before) or names.of_url(before)):
                    self._call(before)
                elif c == "{":
                    self._forget()
                self.scope = self._open(c, self.scopes[self.scope].indent, self.name if c == "[" else "")
                self.label = "" if c == "[" else self.label
                self.brackets += 1
            else:
                if self.brackets and self.scopes[self.scope].kind in _OPENING:
                    self.scope = self.scopes[self.scope].parent
                    self.brackets -= 1
                self._forget()

    def _chunk(self, chunk: _Chunk) -> Iterator[Pasted]:
        """A name, an address, or a value, or several of them with no space between."""
        if not self.fresh and (variable := chunk.variable):
            self._call(variable, variable)
        for _ in range(NEAR):
            text = chunk.text.lstrip(":=")
            chunk = chunk.part(len(chunk.text) - len(text))
            named = _NAMED.fullmatch(text)
            if not named or _ADDRESS.match(text) or self._is_key(text) or self._is_key(text.rstrip(":")):
                break
            yield from self._value(chunk.part(0, len(named[1])), free=True)
            self._call(chunk.after_word(named[1]), named[1])
            chunk = chunk.part(named.start(2))
        if not text:
            return
        if _ADDRESS.match(text):
            yield from self._url(chunk)
        elif _SEPARATOR.match(chunk.line, chunk.end) and _NAME_ALONE.fullmatch(text):
            yield from self._value(chunk, free=True)
            self._call(chunk.after_word(text), text)
        elif text.startswith("-") and (names.of_key(text) or names.of_url(text) or text in names.HTTP_NAMES):
            self._call(text)
        elif text.lower() == "bearer" or (text.lower() in _SCHEMES and self.fresh and self.keyed):
            self._call("authorization", self.label)
        else:
            yield from self._value(chunk, free=chunk.line[chunk.end : chunk.end + 1] == "(")  # a function's name
            if self.label.lower() in ("name", "key"):
                self.variable = text if _NAME_ALONE.fullmatch(text) and not self.index.striking.match(text) else ""
            self.fresh = False

    def _is_key(self, text: str) -> bool:
        """Whether what could be a name and a value is one key: some have a colon or an equals sign of their own."""
        keyed = self.keyed and self.fresh
        if not paste.SHORTEST <= len(text) <= paste.LONGEST or not (keyed or self.index.striking.match(text)):
            return False
        match = paste.whose(text, self.catalogue)
        return match.distinctive or (_shaped(match) and (keyed or bool(match.shape and match.shape.prefix)))

    def _url(self, chunk: _Chunk) -> Iterator[Pasted]:
        """An address: an endpoint or not, and keys inside it. One that holds a key is no base URL."""
        url = chunk.text.replace("\\/", "/").rstrip(".:!?*")
        if not self.fresh:
            self._forget()
        named, column = self.name, self.scopes[self.scope].kind == "row"
        base, called = names.base_of(url)
        endpoint = self._names_endpoint(chunk, url, called)
        path = base.partition("//")[2].partition("/")[2]
        held = any(_KEY_LENGTH.match(path, found.start()) for found in self.index.beginning.finditer(path))
        self.work += 2
        for part in _PART.finditer(chunk.text):
            argument = _ARGUMENT.search(chunk.text[max(0, part.start() - NEAR) : part.start()])
            self._call(argument[1] if argument else "")
            for pasted in self._value(chunk.part(part.start(), part.end()), free=not argument):
                held |= part.start() < len(base)
                yield pasted
        self._call(named if column else "")
        self.fresh = False
        if endpoint and not held and "@" not in base:
            self._endpoint(chunk.number, base, named)

    def _names_endpoint(self, chunk: _Chunk, url: str, called: bool) -> bool:
        """Whether an address is one to send calls to, by name, path or place. called: by its path it is."""
        if self.name and names.for_people(url, self.name):
            return False
        if called or names.of_url(self.name) or self.scopes[self.scope].kind == "command":
            return True
        alone = not self.name and chunk.alone and not chunk.is_link
        return (alone or names.versioned(url)) and not names.for_people(url)

    def _endpoint(self, number: int, url: str, name: str) -> None:
        self.urls.append((self._place(number, name), url))

    def _place(self, number: int, name: str) -> Place:
        self.order += 1
        return Place(self.scope, self.block, number, self.order, names.subject(name))

    def _value(self, chunk: _Chunk, free: bool = False) -> Iterator[Pasted]:
        """A key, if shape and position say so. free: whatever name came before is not this one's."""
        chunk = chunk.trimmed()
        value = chunk.text
        if len(value) < paste.SHORTEST:
            return
        keyed = self.keyed and not free
        if not keyed and not self.index.striking.match(value):
            return
        if len(value) > paste.LONGEST:
            if keyed:
                yield Pasted(chunk.number, fault="too_long")
            return
        match = paste.whose(value, self.catalogue)
        distinctive = bool(match.shape and match.shape.kind == "distinctive")
        prefixed = bool(match.gateway or (match.shape and match.shape.prefix))
        meant = keyed and (self.fresh or prefixed)
        fault, detail = paste.fault_of(value, self.catalogue, match)
        if not fault:
            lone = prefixed and not free and (chunk.alone or (len(value) > paste.LABEL_FROM and _random(value)))
            if (
                distinctive
                or (meant and (_shaped(match) or _random(value)))
                or (lone and not paste.WORDS.fullmatch(value))
            ):
                yield self._key(chunk, value, match)
        elif fault not in _UNSAID and (meant or distinctive or self._strikes(value, fault)):
            pasted = Pasted(chunk.number, fault=fault, detail=detail)
            if fault == "placeholder":
                self.referring[id(pasted)] = (pasted, _last_word(value))
            yield pasted

    def _strikes(self, value: str, fault: str) -> bool:
        """Whether what is not in a key's place is a faulty key all the same."""
        if fault in ("neighbour", "doubled", "several"):
            return True
        return fault in ("masked", "placeholder", "non_ascii", "control") and bool(self.index.prefix.match(value))

    def _key(self, chunk: _Chunk, value: str, match: paste.Match) -> Pasted:
        label = "" if self.label.lower() in names.HTTP_NAMES else self.label.removeprefix("$env:").lstrip("-")
        column, length = chunk.places.utf16(chunk.start, len(value))
        place = {"column": column, "length": length, "notices": ("invisible",) if length > len(value) else ()}
        pasted = paste.as_key(chunk.number, value, label, match, self.catalogue, **place)
        if pasted.secret and pasted.secret not in self.places:
            self.places[pasted.secret] = self._place(chunk.number, self.name)
        return pasted

    # What only the end can tell

    def told(self, found: list[Pasted]) -> list[Pasted]:
        """What was found, each key with its base URL, without placeholders that only refer to a key that is there."""
        labels = {pasted.label for pasted in found if pasted.secret}
        idle = {key for key, (_pasted, name) in self.referring.items() if name in labels}
        near = Near(self.scopes, self.urls, list(self.places.values()))
        return [
            replace(pasted, base_url=near.base_url(self.places[pasted.secret])) if pasted.secret else pasted
            for pasted in found
            if id(pasted) not in idle
        ]


def _last_word(text: str) -> str:
    words = re.findall(r"\w+", text)
    return words[-1] if words else ""
