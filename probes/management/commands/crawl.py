"""Every page of the sitemap, asked for in this process: is it there, is it complete, in its language, and cheap?"""

from __future__ import annotations

import html
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from django.test import Client
from django.utils.translation import get_language_from_path, get_language_info
from django.utils.translation.trans_real import translation

MOST_IN_A_FILE = 1000
MOST_QUERIES = 12
SLOW_QUERY = 0.050  # seconds
SLOWEST = 10
SEED = 5  # the same sample each time, so that a fault is found again


# Reading and judging, without a server


@dataclass
class Told:
    """What a page says of itself, and where it leads."""

    title: str
    description: str
    canonical: str
    alternates: dict[str, str]  # address by language, in lower case
    headings: int
    lang: str
    dir: str
    links: list[str]


def tags(page: str, name: str) -> list[dict[str, str]]:
    """The attributes of each tag of this name. By pattern: a parser takes longer than the page took to make."""
    return [
        {key: html.unescape(value) for key, value in re.findall(r'([\w-]+)="([^"]*)"', attributes)}
        for attributes in re.findall(rf"<{name}\s([^>]*)>", page)
    ]


def read(page: str) -> Told:
    head = page.partition("</head>")[0]
    links = tags(head, "link")
    root = next(iter(tags(head, "html")), {})
    title = re.search(r"<title>(.*?)</title>", head, re.S)
    return Told(
        title=html.unescape(title[1]).strip() if title else "",
        description=next((m.get("content", "") for m in tags(head, "meta") if m.get("name") == "description"), ""),
        canonical=next((link.get("href", "") for link in links if link.get("rel") == "canonical"), ""),
        alternates={link["hreflang"].lower(): link.get("href", "") for link in links if "hreflang" in link},
        headings=len(re.findall(r"<h1[\s>]", page)),
        lang=root.get("lang", ""),
        dir=root.get("dir", "ltr"),
        links=[a["href"] for a in tags(page, "a") if "href" in a],
    )


def judge(told: Told, url: str, language: str, languages: Iterable[str]) -> list[str]:
    """What is wrong with what a page says of itself, if this is its address and these are the site's languages."""
    direction = "rtl" if get_language_info(language)["bidi"] else "ltr"
    missing = {code.lower() for code in languages} - set(told.alternates)
    faults = {
        f"{told.headings} h1": told.headings != 1,
        "no title": not told.title,
        "no description": not told.description.strip(),
        f"canonical is {told.canonical or 'missing'}": told.canonical != url,
        f"no hreflang for {', '.join(sorted(missing))}": bool(missing),
        "its own hreflang leads elsewhere": told.alternates.get(language.lower(), url) != url,
        f"lang is {told.lang or 'missing'}": told.lang.lower() != language.lower(),
        f"dir is {told.dir}": told.dir != direction,
    }
    return [fault for fault, found in faults.items() if found]


def locations(sitemap: str) -> list[str]:
    return [html.unescape(location.strip()) for location in re.findall(r"<loc>(.*?)</loc>", sitemap, re.S)]


def language_of(url: str) -> str:
    return get_language_from_path(urlsplit(url).path) or settings.LANGUAGE_CODE


def family_of(url: str) -> str:
    """The first part of the path after the language; "" is the home page's."""
    path = urlsplit(url).path
    return (path.removeprefix(f"/{language_of(url)}") if get_language_from_path(path) else path).split("/")[1]


def sample(urls: Iterable[str], number: int) -> list[str]:
    """So many pages of each family in each language; the same ones each time."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for url in urls:
        groups[family_of(url), language_of(url)].append(url)
    chance = random.Random(SEED)  # noqa: S311 (nothing secret)
    return [url for group in groups.values() for url in chance.sample(group, min(number, len(group)))]


# Watching


class Fallback:
    """Stands behind a language's catalogue, notes what was not found there, and answers in English."""

    def __init__(self, note: Callable[[str], object], english: Any) -> None:
        self.note, self.english = note, english

    def gettext(self, message: str) -> str:
        self.note(message)
        return str(self.english.gettext(message))

    def ngettext(self, one: str, many: str, number: int) -> str:
        self.note(one)
        return str(self.english.ngettext(one, many, number))


@dataclass
class Queries:
    """What the database was asked since the last page."""

    number: int = 0
    slow: list[str] = field(default_factory=list)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.number += 1
        start = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            if (taken := time.perf_counter() - start) > SLOW_QUERY:
                self.slow.append(f"{taken * 1000:.0f} ms: {sql[:200]}")


class Command(BaseCommand):
    help = "Ask for every page of the sitemap in this process and tell what is wrong; exit 1 if anything is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sample", type=int, metavar="N", help="N pages of each family in each language.")
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES])

    def handle(self, *args: Any, **options: Any) -> None:
        site = urlsplit(settings.PUBLIC_URL)
        self.origin = f"{site.scheme}://{site.netloc}"
        self.client = Client(raise_request_exception=False, headers={"host": site.netloc})
        self.faults = self.max_queries = 0
        self.at = ""  # the page that is asked for
        self.missing: dict[tuple[str, str], str] = {}
        self.seen: dict[tuple[str, str, str], str] = {}  # the page of a title or description
        self.links: dict[str, str] = {}  # a page that leads there
        self.watch_translations()
        started = time.perf_counter()
        urls = named = self.addresses()
        if options["language"]:
            urls = [url for url in urls if language_of(url) == options["language"]]
        if options["sample"]:
            urls = sample(urls, options["sample"])
        times = [(self.page(url), url) for url in urls]
        self.follow(set(named))
        for (language, message), url in self.missing.items():
            if any(letter.isalpha() for letter in message):  # Django's own ":" need not be translated
                self.fault(url, f"not in {language}: {message!r}")
        for taken, url in sorted(times, reverse=True)[:SLOWEST]:
            self.stdout.write(f"{taken * 1000:6.0f} ms  {url}")
        self.stdout.write(
            f"{len(urls)} pages and {len(self.links)} links in {time.perf_counter() - started:.1f} s, "
            f"at most {self.max_queries} queries a page, {self.faults} faults"
        )
        if self.faults or not urls:
            raise SystemExit(1)

    def fault(self, url: str, text: str) -> None:
        self.faults += 1
        self.stdout.write(f"{url}: {text}")

    def watch_translations(self) -> None:
        for code, _name in settings.LANGUAGES:
            if code != settings.LANGUAGE_CODE:
                catalogue: Any = translation(code)
                catalogue._fallback = Fallback(self.miss_in(code), translation(settings.LANGUAGE_CODE))

    def miss_in(self, language: str) -> Callable[[str], object]:
        return lambda message: self.missing.setdefault((language, message), self.at)

    def get(self, url: str) -> Any:
        self.at = url
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return self.client.get(path, secure=parts.scheme == "https")

    def addresses(self) -> list[str]:
        """Every page that the sitemap names: an index of files, or one file."""
        urls: list[str] = []
        files = [f"{self.origin}/sitemap.xml"]
        for file in files:
            response = self.get(file)
            found = locations(response.content.decode()) if response.status_code == 200 else []
            if not found:
                self.fault(file, f"no sitemap: status {response.status_code}")
            if len(found) > MOST_IN_A_FILE:
                self.fault(file, f"{len(found)} addresses in one file")
            if b"<sitemapindex" in response.content:
                files += found
            else:
                urls += found
        for url, times in Counter(urls).items():
            if times > 1:
                self.fault(url, f"{times} times in the sitemap")
        return urls

    def page(self, url: str) -> float:
        """Seconds that the page took; what is wrong with it is told."""
        queries, start = Queries(), time.perf_counter()
        with connection.execute_wrapper(queries):
            response = self.get(url)
        taken = time.perf_counter() - start
        self.max_queries = max(self.max_queries, queries.number)
        if queries.number > MOST_QUERIES:
            self.fault(url, f"{queries.number} queries")
        for slow in queries.slow:
            self.fault(url, f"slow query, {slow}")
        if response.status_code != 200:
            self.fault(url, f"status {response.status_code}")
            return taken
        told, language = read(response.content.decode()), language_of(url)
        for fault in judge(told, url, language, dict(settings.LANGUAGES)):
            self.fault(url, fault)
        for what, text in (("title", told.title), ("description", told.description)):
            if (other := self.seen.setdefault((language, what, text), url)) != url:
                self.fault(url, f"has the {what} of {other}")
        for link in told.links:
            to = urldefrag(urljoin(url, link)).url
            if to.startswith(f"{self.origin}/"):
                self.links.setdefault(to, url)
        return taken

    def follow(self, named: set[str]) -> None:
        """Every link of our own must lead somewhere, too. What the sitemap names is asked for as a page."""
        for link, source in self.links.items():
            if link not in named and (status := self.get(link).status_code) >= 400:
                self.fault(source, f"leads to {link}: status {status}")
