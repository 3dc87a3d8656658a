"""Check keys from standard input, with the same core as the site, and without storing anything."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from probes import evidence, exports, report, words
from probes.client import Client
from probes.evidence import ACCEPTED, REFUSED, Finding
from probes.examination import Ask, Examination
from probes.exchange import Exchange, Redactor
from probes.forms import CheckForm, Planned, decoded
from probes.lanes import RESERVE, Lanes, Place
from probes.models import State
from probes.report import Examined, Reported
from probes.terms import Catalogue

ALL_ACCEPTED, NOTHING, SOME_REFUSED, SOME_NOT_TOLD, INTERRUPTED = 0, 2, 3, 4, 130
THREADS = 64  # calls at once
HOST_CALLS = 32  # of these to one host
TICK_SECONDS = 0.1
BAR = 30  # characters
COLUMNS = ("LINE", "LABEL", "WHOSE", "VERDICT", "BALANCE", "NEXT ACTION")


class Command(BaseCommand):
    help = (
        "Check keys from standard input: a list, or any text that holds some. Exit status: 0 all accepted, 3 some "
        "refused, 4 some not told (also lines that were not sent), 2 nothing to check, 130 interrupted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", default="", help="slug of the provider; absent = find out")
        parser.add_argument("--base-url", default="", help="the gateway's or relay's address")
        parser.add_argument(
            "--format",
            choices=("json", "csv", "table"),
            help="json: as the site's result page has it; csv, table: a row a key; absent = a summary of each key",
        )
        parser.add_argument("--spend", action="store_true", help="also ask probes that may spend up to 1 token per key")

    def handle(self, *args: Any, **options: Any) -> None:
        progress = Progress(self.stderr)
        try:
            status = self._check(progress, **options)
        except KeyboardInterrupt:
            progress.clear()
            self.stderr.write("interrupted; nothing was stored")
            sys.stdout.flush()
            os._exit(INTERRUPTED)  # at once: calls under way would be waited for
        sys.exit(status)

    def _check(self, progress: Progress, **options: Any) -> int:
        pasted = decoded(sys.stdin.buffer.read())  # as the form reads a file, whatever bytes it holds
        data = {"keys": pasted, **{name: options[name] for name in ("provider", "base_url", "spend")}}
        form = CheckForm(data, at_once=True)
        if not form.is_valid():
            self._refused(form.plan.refused)
            texts = [str(error) for errors in form.errors.values() for error in errors]
            raise CommandError(" ".join(texts), returncode=NOTHING)
        started = timezone.now()
        jobs = jobs_of(form.catalogue, form.plan.keys, options["spend"])
        run(jobs, progress.show)
        progress.clear()
        keys = [job.examined(number) for number, job in enumerate(jobs, 1)]
        lab = bool(settings.LAB_URL)
        document, reports = report.of_check(form.catalogue, keys, form.plan.refused, started, started, lab)
        self._print(options["format"], document, reports)
        return exit_status(document)

    def _print(self, format: str | None, document: dict[str, Any], reports: list[Reported]) -> None:
        if format == "json":
            self.stdout.write(json.dumps(document, indent=2))
            return
        if format == "csv":
            self.stdout.write(exports.write("csv", reports), ending="")
        elif format == "table":
            self.stdout.write(table(reports), ending="")
        else:
            for reported in reports:
                self.stdout.write(summary(reported))
        self._refused(document["refused"])

    def _refused(self, rows: list[dict[str, Any]]) -> None:
        """On standard error: a table of keys has no row for what was none."""
        for row in rows:
            self.stderr.write(f"line {row['line']}: not sent, because {row['reason']}")


class Progress:
    """A bar on standard error, where that is a terminal; nothing elsewhere."""

    def __init__(self, out: Any) -> None:
        self.out = out
        self.shown = out.isatty()
        self.started = time.monotonic()
        self.width = 0

    def show(self, done: int, total: int) -> None:
        if self.shown:
            left = (time.monotonic() - self.started) / done * (total - done) if done else 0
            bar = "#" * (BAR * done // total)
            self._write(f"[{bar:.<{BAR}}] {done:,} of {total:,}" + (f", about {left:.0f} s left" if done else ""))

    def clear(self) -> None:
        if self.width:
            self._write("")
            self.out.write("\r", str, ending="")

    def _write(self, text: str) -> None:
        self.out.write(f"\r{text:{self.width}}", str, ending="")
        self.out.flush()
        self.width = len(text)


@dataclass(eq=False)
class Job:
    """One key, and what is found of it. others: keys that its host may answer it with."""

    planned: Planned
    examination: Examination | None  # None: nobody has said whose it is
    most: int
    others: Redactor
    findings: list[Finding] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.examination is None or self.examination.done

    def examined(self, number: int) -> Examined:
        pasted = self.planned.pasted
        return Examined(
            number=number,
            line=pasted.line,
            label=pasted.label,
            state=(State.DONE if self.examination else State.NEEDS_CHOICE).value,
            candidates=list(self.planned.candidates),
            distinctive=pasted.match.distinctive,
            provider=self.planned.provider,
            base_url=self.planned.base_url,
            key_destroyed_at=None,
            findings=self.findings,
            notices=pasted.notices,
            column=pasted.column,
            length=pasted.length,
        )


def jobs_of(catalogue: Catalogue, keys: list[Planned], spend: bool) -> list[Job]:
    """The keys as they are before any call; keys at one base URL know of each other."""
    together: dict[str, Redactor] = {}
    for planned in keys:
        if planned.base_url:
            together.setdefault(planned.base_url, Redactor()).add(planned.secret)
    return [_job(catalogue, planned, together.get(planned.base_url, Redactor()), spend) for planned in keys]


def _job(catalogue: Catalogue, planned: Planned, others: Redactor, spend: bool) -> Job:
    if planned.state == State.NEEDS_CHOICE:
        return Job(planned, None, 0, others)
    provider, shape, today = (
        catalogue.providers.get(planned.provider),
        planned.pasted.match.shape,
        timezone.now().date(),
    )
    examination = Examination(catalogue, provider, planned.base_url, today, shape.name if shape else "", spend)
    most = min(HOST_CALLS, provider.concurrency) if provider and not examination.custom else HOST_CALLS
    said = evidence.read_form(catalogue, shape, planned.pasted.facts) if shape else None
    return Job(planned, examination, most, others, [said] if said else [])


def run(jobs: list[Job], tell: Callable[[int, int], None]) -> None:
    """See all keys' probes to their end, many at once. tell: gets the keys done and all keys, some times a second."""
    client = Client(settings.LAB_URL, tuple(settings.PRIVATE_GATEWAYS))
    threads = ThreadPoolExecutor(THREADS)
    lanes: Lanes[tuple[Job, Ask]] = Lanes(THREADS + RESERVE)  # the reserve is for others, and here are none
    answers: SimpleQueue[tuple[Place[tuple[Job, Ask]], Exchange]] = SimpleQueue()
    open_jobs = {id(job) for job in jobs}

    def queue(job: Job) -> None:
        for ask in job.examination.next() if job.examination else ():
            lanes.add(ask.call.host, "", (job, ask), job.most)
        if job.done:
            open_jobs.discard(id(job))

    def call(place: Place[tuple[Job, Ask]]) -> None:
        job, ask = place.item
        answers.put((place, client.send(ask.call, job.planned.pasted.secret, others=job.others)))

    for job in jobs:
        queue(job)
    told_at = 0.0
    while open_jobs:
        for place in lanes.take(time.monotonic()):
            threads.submit(call, place)
        if time.monotonic() >= told_at:
            tell(len(jobs) - len(open_jobs), len(jobs))
            told_at = time.monotonic() + TICK_SECONDS
        try:
            place, exchange = answers.get(timeout=TICK_SECONDS)
        except Empty:
            continue
        job, ask = place.item
        found = job.examination.answer(ask, exchange) if job.examination else []
        job.findings += found
        lanes.done(place)
        if exchange.status == 429:
            of_key = found[0]["verdict"] in ACCEPTED
            lanes.refuse(place, time.monotonic(), exchange.retry_after or 0.0, whole_host=not of_key)
        elif exchange.status is not None:
            lanes.welcome(place)
        queue(job)
    threads.shutdown()


def summary(reported: Reported) -> str:
    """What is told of one key to people, in lines."""
    shown = reported.json
    if shown["state"] == State.NEEDS_CHOICE:
        return f"{shown['label']}: {which(reported)} Use --provider or --base-url."
    return report.summary(reported)


def which(reported: Reported) -> str:
    return f"which provider? ({', '.join(reported.json['candidates']) or 'any provider'})"


def table(reports: list[Reported]) -> str:
    """Aligned columns under COLUMNS, a line a key."""
    rows = [COLUMNS, *map(cells, reports)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def cells(reported: Reported) -> tuple[str, ...]:
    shown = reported.json
    if shown["state"] == State.NEEDS_CHOICE:
        return str(shown["line"]), shown["label"], which(reported), "", "", ""
    silent = report.silent(shown["cause"])
    left = report.balance_left(reported.case)
    return (
        str(shown["line"]),
        shown["label"],
        report.identity_text(reported),
        words.verdict_text(shown["verdict"], report.host(reported.case), silent),
        report.plain(left) if left else "",
        *([action["label"] for action in shown["next_actions"]] or [""])[:1],
    )


def exit_status(document: dict[str, Any]) -> int:
    """0 all accepted, 3 some refused, 4 some not told."""
    verdicts = [d["verdict"] for d in document["detections"]]
    if any(v in REFUSED for v in verdicts):
        return SOME_REFUSED
    return ALL_ACCEPTED if all(v in ACCEPTED for v in verdicts) and not document["refused"] else SOME_NOT_TOLD
