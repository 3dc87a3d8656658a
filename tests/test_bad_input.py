"""Whatever a browser, a program or a person without manners sends: a clear message or a named state, and no more.

After each case: no answer was a 500, nothing of a key stands in an answer or in the log, and a neighbour's check is as
it was.
"""

from __future__ import annotations

import io
import json
import logging
import socket
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from probes.management.commands.proof import Browser, Stand, wait_for
from probes.models import ApiToken, Check, Detection, State
from tests.test_access import operator
from tests.test_flow import FINE_GRAINED, NO_CREDIT, NOBODYS, RESTRICTED, Queue, json_of

pytestmark = pytest.mark.django_db

KEY = "sk-0f1e2d3c4b5a69788796a5b4c3d2e1f0"  # several could own it
NEIGHBOURS = "hf_TestKeyOfANeighbour000000000000000"
SECRETS = (KEY, FINE_GRAINED, NO_CREDIT, NEIGHBOURS)
WINDOWS = {s[i : i + 12] for s in SECRETS for i in range(3, len(s) - 11)}  # behind the public prefix
LOGGERS = ("", "django", "django.request", "django.security", "django.template", "testkey")
MEBI = 1024 * 1024


class Visitor:
    """Whoever sends it. What he is told is kept."""

    def __init__(self, told: list[str]) -> None:
        self.browser, self.told = Client(), told

    def ask(self, method: str, path: str, data: Any = "", kind: str = "text/plain", **headers: Any) -> Any:
        return self._keep(self.browser.generic(method, path, data, content_type=kind, headers=_named(headers)))

    def get(self, path: str, **headers: Any) -> Any:
        return self.ask("GET", path, **headers)

    def post(self, path: str, fields: Any, **headers: Any) -> Any:
        return self._keep(self.browser.post(path, fields, headers=_named(headers)))

    def submit(self, keys: str, **fields: Any) -> str:
        answer = self.post("/checks/", {"keys": keys, **fields})
        assert answer.status_code == 303
        return str(answer["Location"])

    def _keep(self, answer: Any) -> Any:
        assert answer.status_code < 500, answer.status_code
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        self.told.append(f"{answer.headers}{answer.cookies}" + body.decode(errors="replace"))
        return answer


def _named(headers: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def echoes(text: str) -> set[str]:
    return {window for window in WINDOWS if window in text}


@pytest.fixture
def told(queued: Queue, caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """All that is answered; at the end it is searched, with the log, and the neighbour is asked how he is."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(caplog.handler)
        logger.setLevel(logging.INFO)
    neighbour = Client()
    url = neighbour.post("/checks/", {"keys": NEIGHBOURS})["Location"]
    before = json_of(neighbour, url)
    answers: list[str] = []
    yield answers
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(caplog.handler)
        logger.setLevel(level)
    assert not echoes("".join(answers)), "echoed"
    assert not echoes(caplog.text + "".join(repr(vars(record)) for record in caplog.records)), "logged"
    assert json_of(neighbour, url) == before


@pytest.fixture
def visitor(told: list[str]) -> Visitor:
    return Visitor(told)


# The form

FIELDS: dict[str, tuple[dict[str, Any], int]] = {
    "nothing": ({}, 422),
    "empty": ({"keys": ""}, 422),
    "spaces": ({"keys": " \t\u00a0\u200b\ufeff"}, 422),
    "NUL": ({"keys": "\0"}, 422),
    "NUL in a key": ({"keys": f"{KEY[:20]}\0{KEY[20:]}"}, 422),
    "NUL beside a key": ({"keys": f"\0\n{KEY}"}, 303),
    "lone surrogate": ({"keys": "\ud800" + KEY}, 422),
    "override mark in a key": ({"keys": f"{KEY[:20]}\u202e{KEY[20:]}"}, 303),
    "override mark in a name": ({"keys": f"API\u202e_KEY={KEY}"}, 303),
    "escape sequences": ({"keys": f"\x1b[31m{KEY}\x1b[0m"}, 422),
    "a mebibyte of line breaks": ({"keys": "\n" * MEBI}, 422),
    "a mebibyte in one line": ({"keys": "a" * MEBI}, 422),
    "a mebibyte of brackets": ({"keys": "{[(" * (MEBI // 3)}, 422),
    "a mebibyte of quotes": ({"keys": '"' * MEBI}, 422),
    "more than a mebibyte": ({"keys": KEY + "\n" * MEBI}, 422),
    "carriage returns": ({"keys": f"{KEY}\r{KEY}\r\n"}, 303),
    "1001 keys": ({"keys": "\n".join(f"{KEY[:-4]}{n:04}" for n in range(1001))}, 422),
    "all keys twice": ({"keys": "\n".join([KEY, FINE_GRAINED] * 2)}, 303),
    "each key doubled in its line": ({"keys": f"{FINE_GRAINED}{FINE_GRAINED}\n{NO_CREDIT}{NO_CREDIT}"}, 422),
    "a key of 5000 characters": ({"keys": KEY * 140}, 422),
    "markup": ({"keys": f"<script>alert('{KEY}')</script>"}, 303),
    "a template's brackets": ({"keys": f"{{{{ {KEY} }}}} {{% debug %}}"}, 303),
    "a private key": ({"keys": f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----"}, 303),
    "an address with the key": ({"keys": f"https://user:{KEY}@example.com/?key={KEY}"}, 303),
    "the key as every field's name": ({KEY: KEY}, 422),
    "an unknown provider": ({"keys": KEY, "provider": "nobody"}, 422),
    "the key as provider": ({"keys": KEY, "provider": KEY}, 422),
    "NUL as provider": ({"keys": KEY, "provider": "\0"}, 422),
    "two providers": ({"keys": KEY, "provider": ["deepseek", "nobody"]}, 422),
    "a provider that does not fit": ({"keys": FINE_GRAINED, "provider": "deepseek"}, 422),
    "keys twice": ({"keys": [KEY, FINE_GRAINED]}, 303),
    "a submission of 10,000 letters": ({"keys": KEY, "submission": "x" * 10_000}, 422),
    "the key as submission": ({"keys": KEY, "submission": KEY}, 303),
    "NUL as submission": ({"keys": KEY, "submission": "\0"}, 422),
    "spend of no meaning": ({"keys": KEY, "spend": ["maybe", KEY]}, 303),
}


@pytest.mark.parametrize(("fields", "status"), FIELDS.values(), ids=FIELDS)
def test_a_form_that_is_odd_is_taken_or_told(visitor: Visitor, fields: dict[str, Any], status: int) -> None:
    if any("\ud800" in str(value) for value in fields.values()):
        fields = {"keys": b"\xed\xa0\x80" + KEY.encode()}
    answer = visitor.post("/checks/", fields)
    assert answer.status_code == status
    if status == 303:
        assert visitor.get(answer["Location"]).status_code == 200
        assert visitor.get(answer["Location"].rstrip("/") + ".json").status_code == 200
    else:
        assert Check.objects.count() == 1  # the neighbour's
        assert "There is a problem" in visitor.told[-1] or "not sent" in visitor.told[-1] or "error" in visitor.told[-1]


def test_fields_that_the_form_does_not_have_change_nothing(visitor: Visitor) -> None:
    foreign = {
        "is_staff": "1",
        "state": "done",
        "burns_at": "2099-01-01T00:00:00Z",
        "owner": "user:1",
        "lab": "1",
        "check_of": "1",
        "token": "x" * 43,
        "token_hash": "x",
        "provider__secret__startswith": "sk-",
        "cancelled_at": "2020-01-01",
        "sealed_key": KEY,
        "shape": KEY,
        "label": KEY,
    }
    url = visitor.submit(FINE_GRAINED, **foreign)
    check = Check.objects.latest("pk")
    row = Detection.objects.get(check_of=check)
    assert (check.burns_at - check.created_at).total_seconds() == 300
    assert (check.lab, check.cancelled_at, check.spend) == (False, None, False)
    assert not check.owner.startswith("user:")
    assert (row.state, row.label) == (State.QUEUED, "hf_…0000")
    assert "x" * 43 not in url


BODIES: dict[str, tuple[str, bytes, int]] = {
    "multipart without boundary": ("multipart/form-data", b"x", 400),
    "multipart with a boundary that is none": ("multipart/form-data; boundary=\xe9", b"x", 400),
    "multipart that breaks off": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="keys"\r\n\r\n' + KEY[:6].encode(),
        422,
    ),
    "multipart that breaks off in its head": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="ke',
        422,
    ),
    "multipart in base64 that is none": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="keys"\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%\r\n--b--',
        422,
    ),
    "JSON": ("application/json", json.dumps({"keys": KEY}).encode(), 422),
    "plain text": ("text/plain", KEY.encode(), 422),
    "a charset that is none": ("application/x-www-form-urlencoded; charset=klingon", b"keys=", 422),
    "UTF-16 by its charset": (
        "application/x-www-form-urlencoded; charset=utf-16",
        f"keys={KEY}".encode("utf-16"),
        422,
    ),
    "bytes that are no text": ("application/x-www-form-urlencoded", b"keys=%ff%fe%00" + KEY.encode(), 422),
    "5001 fields": ("application/x-www-form-urlencoded", b"&".join(b"%d=1" % n for n in range(5001)), 400),
    "more than four mebibytes": ("application/x-www-form-urlencoded", b"keys=" + b"a" * (4 * MEBI), 413),
    "a field's name of a mebibyte": ("application/x-www-form-urlencoded", b"a" * MEBI + b"=1", 422),
}


@pytest.mark.parametrize(("kind", "body", "status"), BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_form_is_told(visitor: Visitor, kind: str, body: bytes, status: int) -> None:
    assert visitor.ask("POST", "/checks/", body, kind).status_code in (status, 400)
    assert Check.objects.count() == 1


# Files


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("keys.txt", KEY)
    return packed.getvalue()


FILES: dict[str, tuple[list[bytes], int]] = {
    "binary": ([bytes(range(256)) * 40], 422),
    "zip": ([zipped()], 422),
    "UTF-16": ([KEY.encode("utf-16")], 303),
    "UTF-8 with its mark": ([b"\xef\xbb\xbf" + KEY.encode()], 303),
    "half a UTF-16": ([b"\xff\xfe" + KEY.encode("utf-16-le")[:-1]], 422),
    "empty": ([b""], 422),
    "two mebibytes": ([KEY.encode() + b"\n" * 2 * MEBI], 422),
    "over four mebibytes": ([b"\n" * 5 * MEBI], 413),
    "ten": ([f"{KEY[:-1]}{n}\n".encode() for n in range(10)], 303),
    "a hundred and one": ([KEY.encode()] * 101, 400),
}


@pytest.mark.parametrize(("contents", "status"), FILES.values(), ids=FILES)
def test_a_file_that_is_odd_is_taken_or_told(visitor: Visitor, contents: list[bytes], status: int) -> None:
    files = [SimpleUploadedFile(f"../../{KEY}.txt", content) for content in contents]
    answer = visitor.post("/checks/", {"keys": "", "files": files})
    assert answer.status_code == status
    if status == 303:
        assert visitor.get(answer["Location"]).status_code == 200
    else:
        assert Check.objects.count() == 1


def test_a_text_in_the_field_for_files_is_no_file(visitor: Visitor) -> None:
    assert visitor.post("/checks/", {"keys": "", "files": KEY}).status_code == 422


# Base URLs: what a resolver decodes, and what two parsers read as two hosts

BASE_URLS = [
    *(f"https://{host}/v1" for host in ("2130706433", "0x7f000001", "0x7f.0x0.0x0.0x1", "0177.0.0.1", "127.1", "0")),
    *(f"https://{host}/v1" for host in ("017700000001", "2852039166", "0xa9fea9fe", "169.254.43518", "[::1]", "::1")),
    *(f"https://{host}/v1" for host in ("①②⑦.⓪.⓪.①", "127。0。0。1", "localhost", "localhost.", "x.local", "a..b")),
    "http://127.0.0.1\\@api.openai.com/",
    "https://api.openai.com\\@127.0.0.1/",
    "https://exa mple.com/",
    "https://relay.acme.dev:99999/",
    "https://relay.acme.dev:-1/",
    "https://relay.acme.dev:٤٤٣/",
    "https://relay\n.acme.dev/",
    "https://relay\t.acme.dev/",
    "https://relay.acme.dev/\0",
    "https://relay.acme.dev/../v1",
    "https://relay.acme.dev/%2e%2e/",
    "https://relay.acme.dev/?key=" + KEY,
    "https://relay.acme.dev/#" + KEY,
    f"https://{KEY}@relay.acme.dev/",
    f"https://relay.acme.dev/{KEY}/v1",
    f"https://relay.acme.dev/{FINE_GRAINED}",
    f"https://{KEY}.acme.dev/v1",
    f"https://{KEY}/",
    "http://relay.acme.dev/",
    "//relay.acme.dev/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "gopher://relay.acme.dev/",
    "https:///v1",
    "https://",
    "https://xn--/",
    "https://" + "a" * 250 + ".dev/",
    "https://" + "a." * 130 + "dev/",
    "https://relay.acme.dev/" + "a" * 300,
    "https://169.254.169.254/latest/meta-data",
    "https://relay.acme.dev\u202e/",
    KEY,
]


@pytest.mark.parametrize("base_url", BASE_URLS, ids=count())
def test_a_base_url_that_is_none_is_told_and_nothing_is_kept(visitor: Visitor, base_url: str) -> None:
    assert visitor.post("/checks/", {"keys": KEY, "base_url": base_url}).status_code == 422
    assert Check.objects.count() == 1
    url = visitor.submit(KEY)
    row = Detection.objects.latest("pk")
    for field in (f"base_url-{row.number}", f"base_url-key-{row.number}"):
        assert visitor.post(f"{url}start/", {field: base_url}).status_code == 422
    row.refresh_from_db()
    assert (row.state, row.base_url) == (State.NEEDS_CHOICE, "")


def test_a_key_of_no_known_shape_is_not_taken_as_a_part_of_its_base_url(visitor: Visitor) -> None:
    answer = visitor.post("/checks/", {"keys": NOBODYS, "base_url": f"https://relay.acme.dev/{NOBODYS}/v1"})
    assert answer.status_code == 422
    assert NOBODYS not in answer.content.decode()


def test_an_address_in_the_text_that_holds_a_key_is_not_used(visitor: Visitor) -> None:
    for place in (f"relay.acme.dev/{KEY}/v1", f"{KEY}.acme.dev/v1"):
        url = visitor.submit(f"OPENAI_BASE_URL=https://{place}\nOPENAI_API_KEY={KEY}")
        assert visitor.get(url).status_code == 200
        assert Detection.objects.latest("pk").base_url == ""


@pytest.mark.parametrize("base_url", ["https://risk-management-2024-prod.acme.dev/v1", f"https://x.dev/{'0f' * 16}/v1"])
def test_an_address_that_only_resembles_a_key_is_taken(visitor: Visitor, base_url: str) -> None:
    visitor.submit(KEY, base_url=base_url)
    assert Detection.objects.latest("pk").base_url == base_url


# Addresses of results


@pytest.mark.parametrize(
    "token",
    [
        *("x", "X" * 43, "a" * 10_000, "%00", "..", "%2e%2e", "%2F", "é", "%ff", "%ED%A0%80", "'", '"><script>'),
        *("%0d%0aSet-Cookie:x=1", "*", "$", "null", "1", "-1", KEY),
    ],
    ids=count(),
)
def test_a_token_that_is_none_is_burned_or_not_his(visitor: Visitor, token: str) -> None:
    for tail in ("/", ".json", "/live/", "/keys/1/", "/compare/?a=1&b=2", "/export/?format=csv"):
        assert visitor.get(f"/checks/{token}{tail}").status_code in (301, 404)
    for tail in ("/start/", "/cancel/", "/burn/"):
        assert visitor.post(f"/checks/{token}{tail}", {"keys": "x"}).status_code == 404


def test_a_token_in_other_letters_is_another(visitor: Visitor) -> None:
    url = visitor.submit(FINE_GRAINED)
    for other in (url.upper().replace("CHECKS", "checks"), url.swapcase().replace("CHECKS", "checks"), url[:-2] + "/"):
        assert visitor.get(other).status_code == 404
    assert visitor.get(f"{url}/").status_code == 404
    assert visitor.get(url + "%20").status_code in (301, 404)


@pytest.fixture
def two(visitor: Visitor) -> str:
    """A check of two keys, both asked for a choice."""
    return visitor.submit(f"{FINE_GRAINED}\n{KEY}")


@pytest.mark.parametrize(
    "number", ["0", "3", "-1", "٣", "1.0", "1e1", "99999999999999999999", "9" * 5000, "%00", "01x", "x", ""]
)
def test_a_number_that_no_key_has_is_no_key(visitor: Visitor, two: str, number: str) -> None:
    assert visitor.get(f"{two}keys/{number}/").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        *("", "a=1", "a=1&b=1", "a=-1&b=2", "a=٣&b=1", "a=1&b=99999999999999999999", f"a=1&b={'9' * 5000}"),
        *("a=%00&b=%00", "a=1&b=2&key=3", "key=1", "key=x&key=y", f"a={KEY}&b={KEY}", "a[]=1&b[]=2", "a=²&b=1"),
    ],
)
def test_numbers_that_cannot_be_compared_are_told(visitor: Visitor, two: str, query: str) -> None:
    assert visitor.get(f"{two}compare/?{query}").status_code == 422


@pytest.mark.parametrize(
    "since",
    [
        *("", "nan", "inf", "-inf", "1e400", "-1e400", "1e18", "-1e18", "-62135596800", "253402300799", "٣", "0x10"),
        *("1_000", "%00", "x", KEY, "9" * 5000),
    ],
)
def test_a_since_of_no_meaning_is_none(visitor: Visitor, two: str, since: str) -> None:
    assert visitor.get(f"{two}live/?since={since}").status_code == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404),
        ("format=exe", 404),
        ("format=%00", 404),
        (f"format={KEY}", 404),
        ("format=csv&verdict=nothing", 200),
        (f"format=csv&verdict={KEY}&provider={KEY}", 200),
        ("format=csv&provider=%00&provider=' OR 1=1 --", 200),
        ("format=csv&" + "&".join(f"verdict=v{n}" for n in range(2000)), 200),
        ("format=../../etc/passwd", 404),
    ],
)
def test_an_export_of_no_meaning_is_empty_or_none(visitor: Visitor, two: str, query: str, status: int) -> None:
    assert visitor.get(f"{two}export/?{query}").status_code == status


@pytest.mark.parametrize(
    "query",
    [
        f"verdict={KEY}&provider={KEY}&sort={KEY}",
        "sort=__class__&verdict=%00",
        "sort=-line&sort=line",
        "verdict=<script>&provider=\"onload='x",
        "page=-1&limit=1e9",
    ],
)
def test_a_table_asked_for_nonsense_is_the_table(visitor: Visitor, two: str, query: str) -> None:
    assert visitor.get(f"{two}?{query}").status_code == 200
    assert "<script>&" not in visitor.told[-1]


# The start


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 303),
        ({"leave": ["x", "-1", "٢", "99999999999999999999", "%00", "\0", KEY]}, 303),
        ({"leave": ["1", "2", "3"]}, 303),
        ({"each-2": ["nobody", "huggingface", KEY]}, 303),
        ({"each-1": ["deepseek"]}, 303),
        ({"provider-2": KEY}, 422),
        ({"provider-2": "\0"}, 422),
        ({"provider-1": "deepseek"}, 422),
        ({"provider-99": "deepseek", "base_url-key-99": "https://relay.acme.dev/"}, 303),
        ({"base_url-key-2": KEY}, 422),
        ({"base_url-key-٢": KEY, "provider-٢": KEY, "base_url-": KEY}, 303),
        ({"state": "done", "number": "1", "provider__secret__startswith": "sk", KEY: KEY}, 303),
        ({"spend": KEY}, 303),
    ],
    ids=count(),
)
def test_a_start_that_is_odd_is_taken_or_told(
    visitor: Visitor, two: str, fields: dict[str, Any], status: int, queued: Queue
) -> None:
    Detection.objects.filter(check_of=Check.objects.latest("pk"), number=1).update(state=State.READY, queued_at=None)
    assert visitor.post(f"{two}start/", fields).status_code == status
    assert visitor.get(two).status_code in (200, 404)
    assert not Detection.objects.filter(check_of=Check.objects.latest("pk"), base_url__contains="acme").exists()


def test_a_start_of_a_check_of_nobody_is_not_his(visitor: Visitor, told: list[str], two: str) -> None:
    stranger = Visitor(told)
    for place in ("start", "cancel", "burn"):
        assert stranger.post(f"{two}{place}/", {"provider-2": "deepseek"}).status_code == 404
    assert visitor.get(two).status_code == 200


# Methods and headers


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X" * 99])
def test_other_methods_are_refused_and_change_nothing(visitor: Visitor, two: str, method: str) -> None:
    paths = ["/", "/checks/", two, f"{two}live/", f"{two}keys/1/", f"{two}compare/", f"{two}export/", f"{two}start/"]
    paths += [f"{two}cancel/", f"{two}burn/", two.rstrip("/") + ".json", "/healthz", "/providers/"]
    for path in [*paths, "/account/", "/account/tokens/", "/account/tokens/1/revoke/", "/account/reset/"]:
        assert visitor.ask(method, path, f"keys={KEY}", "application/x-www-form-urlencoded").status_code in (302, 405)
    assert visitor.get(two).status_code == 200
    assert Check.objects.count() == 2


def test_an_override_of_the_method_burns_nothing(visitor: Visitor, two: str) -> None:
    for header in ("X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override"):
        assert visitor.get(f"{two}burn/?_method=POST", **{header: "POST"}).status_code == 302
        assert visitor.get(two, **{header: "DELETE"}).status_code == 200


HEADERS: dict[str, dict[str, str]] = {
    "languages": {"Accept_Language": "xx-" * 5000 + ";q=nan, *, ../../etc, " + KEY},
    "a language that is none": {"Accept_Language": "\x00;q=-1"},
    "what is accepted": {"Accept": "*/*;q=" + "9" * 5000, "Accept_Encoding": "gzip;q=x, br;;;"},
    "an etag": {"If_None_Match": 'W/"' + KEY + '", *, "'},
    "a day": {"If_Modified_Since": "Sat, 99 Foo 9999 99:99:99 GMT"},
    "a range": {"Range": "bytes=9999999999-0,-1"},
    "cookies": {"Cookie": f'sessionid={KEY}; csrftoken="; sessionid=\x01; ={KEY}; a'},
    "a session of no one": {"Cookie": "sessionid=" + "a" * 5000},
    "a referrer": {"Referer": f"https://evil.example/{KEY}", "Origin": "null"},
    "proxies": {"X_Forwarded_For": f"{KEY}, ::1, 999.1.1.1", "X_Forwarded_Host": "evil.example"},
    "another address": {"X_Original_URL": "/admin/", "X_Rewrite_URL": "/admin/"},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_headers_of_no_meaning_change_nothing(visitor: Visitor, two: str, headers: dict[str, str]) -> None:
    for path in ("/", "/providers/", "/account/sign-in/"):
        answer = visitor.get(path, **headers)
        assert answer.status_code == 200
        assert "evil.example" not in visitor.told[-1]
    theirs = 404 if "Cookie" in headers else 200
    for path in (two, f"{two}live/", f"{two}keys/1/", f"{two}export/?format=csv"):
        assert visitor.get(path, **headers).status_code == theirs


@pytest.mark.parametrize(
    "host", ["evil.example", KEY, "localhost@evil.example", "localhost:x", "a" * 5000, "", "[::1", "\u202e"]
)
def test_a_host_that_is_not_ours_is_refused(visitor: Visitor, two: str, host: str) -> None:
    for path in ("/", two, "/api/openapi.json", "/account/sign-in/"):
        assert visitor.get(path, Host=host).status_code == 400
        assert "evil" not in visitor.told[-1]
    assert visitor.post("/checks/", {"keys": KEY}, Host=host).status_code == 400
    assert Check.objects.count() == 2


def test_a_session_that_is_broken_is_a_new_one(visitor: Visitor, two: str) -> None:
    mine = visitor.browser.session.session_key
    Session.objects.filter(pk=mine).update(session_data="broken:" + KEY)
    assert visitor.get(two).status_code == 404
    assert visitor.submit(NO_CREDIT)
    session = visitor.browser.session
    session["owner"] = {"a": [1]}
    session.save()
    assert visitor.get(two).status_code == 404
    assert visitor.get("/").status_code == 200


def test_a_form_without_its_token_is_refused(told: list[str]) -> None:
    visitor = Visitor(told)
    visitor.browser = Client(enforce_csrf_checks=True)
    for fields in ({"keys": KEY}, {"keys": KEY, "csrfmiddlewaretoken": KEY}, {"csrfmiddlewaretoken": "\0"}):
        assert visitor.post("/checks/", fields).status_code == 403


# Accounts


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("", ""),
        ("\0", "\0"),
        (KEY, KEY),
        ("a" * 10_000, "b" * 10_000),
        ("olga", KEY),
        ("' OR 1=1 --", "x"),
        ("\u202e", "x"),
    ],
    ids=count(),
)
def test_a_wrong_sign_in_is_told(visitor: Visitor, username: str, password: str) -> None:
    operator()
    fields = {"username": username, "password": password, "next": f"https://evil.example/{KEY}", "is_staff": "1"}
    assert visitor.post("/account/sign-in/", fields).status_code == 422
    assert "evil.example" not in visitor.told[-1]
    assert visitor.post("/admin/login/", fields).status_code == 200
    assert not echoes("".join(repr(vars(attempt)) for attempt in AccessAttempt.objects.all()))


@pytest.mark.parametrize(
    "where", ["https://evil.example/", "//evil.example", "\\\\evil.example", "javascript:alert(1)"]
)
def test_a_sign_in_leads_nowhere_else(visitor: Visitor, where: str) -> None:
    operator()
    fields = {"username": "olga", "password": "a long and quiet phrase", "next": where}
    assert visitor.post("/account/sign-in/", fields)["Location"] == "/account/"


def test_an_account_takes_no_nonsense(visitor: Visitor) -> None:
    olga, otto = operator(), operator("otto")
    foreign = ApiToken.objects.create(user=otto, name="his", token_hash="x")
    visitor.browser.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")
    for name in ("", " ", "x" * 61, "\0", "a" * MEBI):
        assert visitor.post("/account/tokens/", {"name": name, "user": otto.pk}).status_code == 422
    for pk in (foreign.pk, 0, 99, 99999999999999999999):
        assert visitor.post(f"/account/tokens/{pk}/revoke/", {}).status_code == 404
    for word in ("-1", "٣", "x", "9" * 5000):
        assert visitor.post(f"/account/tokens/{word}/revoke/", {}).status_code == 404
    wrong = {"old_password": KEY, "new_password1": KEY, "new_password2": KEY, "is_superuser": "1"}
    assert visitor.post("/account/password/", wrong).status_code == 422
    assert list(ApiToken.objects.all()) == [foreign]
    olga.refresh_from_db()
    assert (olga.is_staff, olga.is_superuser) == (False, False)


@pytest.mark.parametrize("link", ["x/y", "MQ/set-password", "%00/%00", "٣/x", "a" * 5000 + "/x", f"MQ/{KEY}", "!!/!!"])
def test_a_link_that_is_none_opens_nothing(visitor: Visitor, link: str) -> None:
    operator()
    assert visitor.get(f"/account/reset/{link}/").status_code == 404
    assert visitor.post(f"/account/reset/{link}/", {"new_password1": KEY, "new_password2": KEY}).status_code == 404


# The API, beside what test_api.py has


@pytest.mark.parametrize(
    "body",
    [
        '{"keys": "KEY", "keys": 1}',
        '{"keys": "\\ud800KEY"}',
        '{"keys": "\\u0000KEY"}',
        '{"__proto__": {"keys": "KEY"}}',
        '{"keys": ["KEY", null]}',
        '{"keys": "KEY", "provider": 1e400}',
        '{"keys": "KEY", "KEY": 1}',
        '{"keys": "KEY", "spend": "KEY"}',
        '"KEY"',
        "KEY",
        "9" * 5000,
        "[" * 5000,
    ],
    ids=count(),
)
def test_a_body_for_programs_that_is_odd_is_told(visitor: Visitor, body: str) -> None:
    bearer = {"Authorization": f"Bearer {ApiToken.make(operator().pk, 'tests')}"}
    answer = visitor.ask("POST", "/api/checks/", body.replace("KEY", KEY), "application/json", **bearer)
    assert answer.status_code in (400, 422)
    assert answer["Content-Type"] == "application/problem+json"


# Over the wire, where no client of ours puts things right


@pytest.fixture(scope="module")
def stand(shipped_file: Path) -> Iterator[Stand]:
    with Stand(database=shipped_file) as running:
        yield running


HEAD = "POST /checks/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
LOCAL = "Host: localhost\r\nConnection: close\r\n\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
WIRE = {
    "a body that breaks off": f"{HEAD}{FORM}Content-Length: 9999\r\n\r\nkeys={KEY}",
    "chunks that break off": f"{HEAD}{FORM}Transfer-Encoding: chunked\r\n\r\n50\r\nkeys={KEY}",
    "two lengths": f"{HEAD}{FORM}Content-Length: 5\r\nContent-Length: 50\r\n\r\nkeys={KEY}",
    "length and chunks": f"{HEAD}{FORM}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{KEY}",
    "a length that is none": f"{HEAD}{FORM}Content-Length: -1\r\n\r\nkeys={KEY}",
    "no HTTP at all": f"{KEY}\r\n\r\n",
    "the key as method": f"{KEY} / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a bare line break in a header": f"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\n{KEY}\r\n\r\n",
    "a header of a mebibyte": f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {KEY * 30_000}\r\n\r\n",
    "an address of another": f"GET http://evil.example/ HTTP/1.1\r\n{LOCAL}",
    "two hosts": f"GET / HTTP/1.1\r\nHost: evil.example\r\n{LOCAL}",
    "a NUL in the address": f"GET /checks/\0{KEY}/ HTTP/1.1\r\n{LOCAL}",
    "a lone surrogate in the address": f"GET /checks/%ED%A0%80/ HTTP/1.1\r\n{LOCAL}",
}


def say(port: int, words: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        heard = b""
        try:
            connection.sendall(words)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                heard += part
        except OSError:
            pass  # it hung up on us, as it may
    return heard.decode(errors="replace")


def test_what_is_no_request_disturbs_no_neighbour(stand: Stand) -> None:
    neighbour = Browser(stand.url)
    wait_for(lambda: neighbour.open("/")[0] == 200, 30)
    check = neighbour.submit(RESTRICTED)
    for name, words in WIRE.items():
        heard = say(stand.port, words.encode())
        assert not heard.startswith("HTTP/1.1 5"), name
        assert "303" not in heard[:20], name
        assert "evil.example" not in heard, name
        assert not {window for window in echoes(heard) if window in KEY}, name  # the form shows keys of the lab
    assert neighbour.open(check)[0] == 200
    assert "Traceback" not in stand.said()
    assert not {window for window in echoes(stand.said()) if window in KEY}  # it prints keys of the lab itself
