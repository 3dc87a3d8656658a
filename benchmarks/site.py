"""A TestKey that asks the fake provider, and one run of it as a browser does it, watched from outside."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser

import requests
from django.conf import settings

from benchmarks.fake_provider import Fake, Figures
from probes.management.commands.proof import PROC, Stand, processes, wait_for

LOOK = 0.01  # seconds between two looks at the database
PATIENCE = 120.0  # seconds for one run
CHILDREN = {"granian": "web", "qcluster": "queue", "burner": "burner"}  # by a word of their command


class Site(Stand):
    """TestKey's processes, with the fake provider in the lab's place."""

    def __init__(self, fake: Fake) -> None:
        super().__init__()
        self.fake = fake

    def __enter__(self) -> Site:
        super().__enter__()
        return self

    def launch(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.dev_without_lab", "--port", str(self.port)],
                cwd=settings.BASE_DIR,
                env=self.environment() | {"TESTKEY_LAB_URL": self.fake.url},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lab_answers(self) -> bool:
        return True  # there is none

    def rows(self) -> Counter[str]:
        """Detections in the database, by state."""
        database = sqlite3.connect(f"file:{self.data / 'testkey.sqlite3'}?mode=ro", uri=True, isolation_level=None)
        try:
            return Counter(dict(database.execute("SELECT state, count(*) FROM probes_detection GROUP BY state")))
        finally:
            database.close()

    def cpu(self) -> Figures:
        """Seconds that web, queue, burner and `dev` itself have used, with processes of theirs that have ended."""
        used = dict.fromkeys(["web", "queue", "burner", "dev"], 0.0)
        for pid in processes(self.process.pid):
            with suppress(FileNotFoundError):  # it has just ended
                stat = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
                head = (PROC / stat[3] / "cmdline").read_text()  # each child of `dev` is the head of a session
                kind = next((kind for word, kind in CHILDREN.items() if word in head), "dev")
                used[kind] += sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")
        return used

    def memory(self) -> float:
        """MiB of all processes; what some of them share is counted once."""
        kib = 0
        for pid in processes(self.process.pid):
            with suppress(FileNotFoundError):
                lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
                kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kib / 1024


class Watch(threading.Thread):
    """Looks at the database until all rows are done; knows when the last one was, and the last but one."""

    def __init__(self, site: Site, number: int, also: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.site, self.number, self.also = site, number, also
        self.last_but_one = self.last = 0.0
        self.start()

    def run(self) -> None:
        end = time.monotonic() + PATIENCE
        while not self.last and time.monotonic() < end:
            done, now = self.site.rows()["done"], time.monotonic()
            if done >= self.number - 1:
                self.last_but_one = self.last_but_one or now
            if done >= self.number:
                self.last = now
            self.also()
            time.sleep(LOOK)


@dataclass
class Form:
    action: str
    fields: dict[str, str]


class Forms(HTMLParser):
    """A page's forms, and what each would post as it stands."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.fields: dict[str, str] = {}
        self.select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attributes}
        name, kind = has.get("name", ""), has.get("type", "text")
        if tag == "form":
            self.fields = {}
            self.found.append(Form(has.get("action", ""), self.fields))
        elif tag == "select":
            self.select = name
        elif tag == "option" and ("selected" in has or self.select not in self.fields):
            self.fields[self.select] = has.get("value", "")
        elif tag == "input" and name and kind in ("checkbox", "radio"):
            self.fields |= {name: has.get("value", "on")} if "checked" in has else {}
        elif tag == "input" and name and kind not in ("submit", "button", "file", "image", "reset"):
            self.fields[name] = has.get("value", "")

    def to(self, end: str) -> Form | None:
        """The form whose address ends so."""
        return next((form for form in self.found if form.action.endswith(end)), None)


@dataclass
class Run:
    figures: Figures
    verdicts: Counter[str]


def run(site: Site, pasted: list[str], provider: str, also: Callable[[], None] = lambda: None) -> Run:
    """Paste, review if there is one, start, wait for the last row, look at JSON and page, burn.

    also: called at each look at the database.
    """
    browser = requests.Session()
    browser.trust_env = False
    browser.headers["Origin"] = site.url

    def page(path: str) -> str:
        return browser.get(site.url + path, timeout=PATIENCE).text

    def post(form: Form | None, **more: str) -> str:
        if form is None:
            raise RuntimeError("a page lacks its form")
        answer = browser.post(site.url + form.action, form.fields | more, allow_redirects=False, timeout=PATIENCE)
        if answer.status_code != 303:
            raise RuntimeError(f"a form was not taken: {answer.status_code}")
        return answer.headers["Location"]

    site.fake.reset()
    before = started = site.cpu()
    form = Forms(page("/")).to("/checks/")
    pasted_at = time.monotonic()
    check = post(form, keys="\n".join(pasted), provider=provider)
    accepted_at = time.monotonic()
    watch = Watch(site, len(pasted), also)
    review = Forms(page(check)).to("/start/")
    started_at = begun_at = pasted_at  # without a review, keys begin with the paste
    if review:
        started, started_at = site.cpu(), time.monotonic()
        post(review)
        begun_at = time.monotonic()
        page(check)
    watch.join()
    ended = site.cpu()
    if not watch.last:
        raise RuntimeError(f"not done after {PATIENCE:g} s: {dict(site.rows())}")
    calls = site.fake.counters()
    looked_at = time.monotonic()
    document = browser.get(f"{site.url}{check.rstrip('/')}.json", timeout=PATIENCE).json()
    json_at = time.monotonic()
    result = page(check)
    page_at = time.monotonic()
    post(Forms(result).to("/burn/"))
    wait_for(lambda: not site.rows(), 30)
    figures = {
        "accept": accepted_at - pasted_at,
        "review": started_at - accepted_at if review else 0.0,
        "begin": begun_at - started_at,
        "first_call": calls["first_in"] - started_at,
        "last_but_one": watch.last_but_one - started_at,
        "last_row": watch.last - started_at,
        "whole": watch.last - pasted_at,
        "json": json_at - looked_at,
        "page": page_at - json_at,
        "cpu": sum(ended.values()) - sum(before.values()),
        "cpu before": sum(started.values()) - sum(before.values()),
    }
    by_kind = {f"cpu {kind}": ended[kind] - before[kind] for kind in ended}
    return Run(figures | by_kind | calls, Counter(each["verdict"] for each in document["detections"]))
