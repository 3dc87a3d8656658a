"""The queue's task: claim detections, open each key in memory, see its probes to their end, forget the key.

Threads do nothing but calls; findings are sealed and written in batches by the task's own thread.
A finding is written only while this worker still holds the claim, so nothing comes back after a burn.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import zip_longest
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from probes import burn, seal
from probes.client import DEADLINE, Client
from probes.evidence import Finding
from probes.examination import Ask, Examination
from probes.exchange import Exchange
from probes.models import Detection, Heartbeat, State, current
from probes.models import Finding as FindingRow
from probes.secret import Secret

log = logging.getLogger("testkey.worker")

BATCH = 50
THREADS = 64
HOST_CALLS = 16  # to one host at once, of one task
LOOK_SECONDS = 0.2  # between two looks for keys that came later
MORE_SECONDS = 20.0  # how long a task takes up keys that came later; the queue's own limit is 90 s
BEAT_SECONDS = 2.0
MARGIN = 5.0  # seconds that writing may take before a key's life ends

_process: tuple[int, Client, ThreadPoolExecutor] | None = None


def resources() -> tuple[Client, ThreadPoolExecutor]:
    """This process's client and threads: made after the fork, kept between tasks so that connections are kept."""
    global _process
    if _process is None or _process[0] != os.getpid():
        client = Client(settings.LAB_URL, tuple(settings.PRIVATE_GATEWAYS))
        _process = (os.getpid(), client, ThreadPoolExecutor(THREADS, thread_name_prefix="probe"))
    return _process[1], _process[2]


@dataclass
class Job:
    """One key: what is known of it while its probes run. deadline: seconds of the epoch."""

    row: Detection
    secret: Secret
    results_key: bytes
    examination: Examination
    deadline: float
    others: list[Secret] = field(default_factory=list)  # keys of the same check, at the same base URL
    findings: list[Finding] = field(default_factory=list)

    def send(self, client: Client, ask: Ask) -> Exchange:
        """One call, unless the check has been burned meanwhile, or the key's time is over."""
        left = min(DEADLINE, self.deadline - timezone.now().timestamp())
        try:
            seal.data_key(seal.KEYS, self.row.check_of_id)
        except seal.Burned:
            return Exchange(call=str(ask.call), failure="interrupted")
        if left <= 0:
            return Exchange(call=str(ask.call), failure="timeout")
        # Also a call without the key goes with it to the client: the host may echo what it saw before.
        return client.send(ask.call, self.secret, left, self.others)


def pump() -> None:
    """One task: the next detections that wait, whoever queued it. Its arguments hold nothing secret: it has none."""
    claim = secrets.token_hex(8)
    rows = claim_next(claim)
    if not rows:
        return
    try:
        Batch(claim).run(rows)
    except Exception as error:  # its text may hold anything; the key's owner is told by the state
        log.error("a batch ended early: %s", type(error).__name__)
    finally:
        _end(claim)


def claim_next(claim: str) -> list[Detection]:
    """At most BATCH waiting detections, by turns over their owners. A row is claimed once, by one filtered UPDATE."""
    alive = timezone.now() - timedelta(seconds=settings.KEY_SECONDS - MARGIN)
    waiting = (
        Detection.objects.filter(state=State.QUEUED, queued_at__gt=alive)
        .order_by("queued_at", "pk")
        .values_list("check_of__owner", "pk")[:2000]
    )
    by_owner: dict[str, list[int]] = {}
    for owner, pk in waiting:
        by_owner.setdefault(owner, []).append(pk)
    turns = [pk for turn in zip_longest(*by_owner.values()) for pk in turn if pk is not None]
    if not turns:
        return []
    chosen = turns[:BATCH]
    Detection.objects.filter(pk__in=chosen, state=State.QUEUED).update(state=State.PROBING, claim=claim)
    Heartbeat.beat("worker")
    held = Detection.objects.filter(pk__in=chosen, claim=claim, state=State.PROBING)
    return list(held.select_related("check_of"))


class Batch:
    """The claimed keys of one task. No host gets more than HOST_CALLS at once, so that a slow one leaves
    threads to the others; and while threads are free, keys that came later are claimed too."""

    def __init__(self, claim: str) -> None:
        self.claim = claim
        self.client, self.threads = resources()
        self.running: dict[Future[Exchange], tuple[Job, Ask]] = {}
        self.waiting: list[tuple[Job, Ask]] = []
        self.look_at = time.monotonic() + LOOK_SECONDS
        self.more_until = time.monotonic() + MORE_SECONDS

    def run(self, rows: list[Detection]) -> None:
        try:
            self._begin(rows)
            while self.running:
                done, _ = wait(self.running, timeout=BEAT_SECONDS, return_when=FIRST_COMPLETED)
                Heartbeat.beat("worker")  # slow hosts are no stuck queue
                self._take(done)
                if self.look_at <= time.monotonic() < self.more_until and len(self.running) < THREADS:
                    self.look_at = time.monotonic() + LOOK_SECONDS
                    self._begin(claim_next(self.claim))
        finally:
            for future in self.running:  # the batch broke: nothing more is sent
                future.cancel()

    def _begin(self, rows: list[Detection]) -> None:
        for job in _jobs(rows):
            self._ask(job)
            if job.examination.done:
                _store(self.claim, [], [job])
        self._fill()

    def _take(self, done: Iterable[Future[Exchange]]) -> None:
        touched: dict[int, Job] = {}
        for future in done:
            job, ask = self.running.pop(future)
            with _alone():
                job.findings += job.examination.answer(ask, future.result())
            touched[job.row.pk] = job
        for job in touched.values():
            self._ask(job)
        self._fill()
        if touched:
            _store(self.claim, list(touched.values()), [j for j in touched.values() if j.examination.done])

    def _ask(self, job: Job) -> None:
        with _alone():
            self.waiting += [(job, ask) for ask in job.examination.next()]

    def _fill(self) -> None:
        """Send what waits, as far as threads and each host's share allow."""
        busy = Counter(ask.call.host for _job, ask in self.running.values())
        left = []
        for job, ask in self.waiting:
            if len(self.running) < THREADS and busy[ask.call.host] < HOST_CALLS:
                busy[ask.call.host] += 1
                self.running[self.threads.submit(job.send, self.client, ask)] = (job, ask)
            else:
                left.append((job, ask))
        self.waiting = left


@contextmanager
def _alone() -> Iterator[None]:
    """What goes wrong with one key is said by its class alone, and keeps no other key from its end."""
    try:
        yield
    except Exception as error:
        log.error("a key's examination stumbled: %s", type(error).__name__)


def _jobs(rows: list[Detection]) -> list[Job]:
    """A job for each row whose keys are still there; a burned one has none."""
    catalogue, today = current(), timezone.now().date()
    jobs = []
    for row in rows:
        try:
            key = seal.data_key(seal.KEYS, row.check_of_id)
            results_key = seal.data_key(seal.RESULTS, row.check_of_id)
            secret = seal.open_key(key, bytes(row.sealed_key or b""), row.check_of_id, row.line)
        except seal.Burned:
            continue
        examination = Examination(catalogue, catalogue.providers.get(row.provider), row.base_url, today, row.shape)
        dies_at = min(row.key_dies_at, row.check_of.burns_at).timestamp()
        jobs.append(Job(row, secret, results_key, examination, dies_at - MARGIN))
    for job in jobs:
        if job.row.base_url:
            job.others = [
                other.secret
                for other in jobs
                if (other.row.check_of_id, other.row.base_url) == (job.row.check_of_id, job.row.base_url)
            ]
    return jobs


def _store(claim: str, touched: list[Job], finished: list[Job]) -> None:
    """Write what is new, and end what is done, in one transaction, for rows that are still this claim's."""
    ids = [job.row.pk for job in (*touched, *finished)]
    with transaction.atomic():
        held = Detection.objects.select_for_update().filter(pk__in=ids, claim=claim, state=State.PROBING)
        alive = set(held.values_list("pk", flat=True))
        FindingRow.objects.bulk_create(
            FindingRow(detection_id=job.row.pk, sealed=seal.seal_finding(job.results_key, finding, job.row.pk))
            for job in touched
            if job.row.pk in alive
            for finding in job.findings
        )
        _finish(claim, [job.row.pk for job in finished])
    for job in touched:
        job.findings = []
    if finished:
        burn.forget_keys({job.row.check_of_id for job in finished})


def _finish(claim: str, ids: list[int]) -> None:
    if ids:
        held: Any = Detection.objects.filter(pk__in=ids, claim=claim, state=State.PROBING)
        held.update(state=State.DONE, sealed_key=None)


def _end(claim: str) -> None:
    """Whatever is still claimed here ends now: its state says that it was interrupted if nothing was found."""
    held = Detection.objects.filter(claim=claim, state=State.PROBING).values_list("pk", "check_of_id")
    rows = list(held)
    _finish(claim, [pk for pk, _check_id in rows])
    burn.forget_keys({check_id for _pk, check_id in rows})
