"""The queue's task: claim detections, open each key in memory, see its probes to their end, forget the key.

Threads do nothing but calls; findings are sealed and written in batches by the task's own thread.
A finding is written only while this worker still holds the claim, so nothing comes back after a burn.
"""

from __future__ import annotations

import logging
import os
import secrets
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
    row: Detection
    secret: Secret
    results_key: bytes
    examination: Examination
    deadline: float  # seconds of the epoch
    findings: list[Finding] = field(default_factory=list)

    def send(self, client: Client, ask: Ask) -> Exchange:
        left = min(DEADLINE, self.deadline - timezone.now().timestamp())
        if left <= 0:
            return Exchange(call=str(ask.call), failure="timeout")
        return client.send(ask.call, self.secret if ask.call.auth else None, left)


def pump() -> None:
    """One task: the next detections that wait, whoever queued it. Its arguments hold nothing secret: it has none."""
    claim = secrets.token_hex(8)
    rows = claim_next(claim)
    if not rows:
        return
    try:
        _work(claim, rows)
    except Exception as error:  # its text may hold anything; the key's owner is told by the state
        log.error("a batch of %d ended early: %s", len(rows), type(error).__name__)
    finally:
        _end(claim, [row.pk for row in rows], {row.check_of_id for row in rows})


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
    Detection.objects.filter(pk__in=turns[:BATCH], state=State.QUEUED).update(state=State.PROBING, claim=claim)
    Heartbeat.beat("worker")
    return list(Detection.objects.filter(claim=claim, state=State.PROBING).select_related("check_of"))


def _work(claim: str, rows: list[Detection]) -> None:
    client, threads = resources()
    running: dict[Future[Exchange], tuple[Job, Ask]] = {}
    try:
        for job in _jobs(rows):
            with _alone():
                _start(job, client, threads, running)
            if job.examination.done:
                _store(claim, [], [job])
        while running:
            done, _ = wait(running, timeout=BEAT_SECONDS, return_when=FIRST_COMPLETED)
            Heartbeat.beat("worker")  # slow hosts are no stuck queue
            if not done:
                continue
            touched: dict[int, Job] = {}
            for future in done:
                job, ask = running.pop(future)
                with _alone():
                    job.findings += job.examination.answer(ask, future.result())
                touched[job.row.pk] = job
            for job in touched.values():
                with _alone():
                    _start(job, client, threads, running)
            _store(claim, list(touched.values()), [j for j in touched.values() if j.examination.done])
    finally:
        for future in running:  # the batch broke: nothing more is sent
            future.cancel()


@contextmanager
def _alone() -> Iterator[None]:
    """What goes wrong with one key is said by its class alone, and keeps no other key from its end."""
    try:
        yield
    except Exception as error:
        log.error("a key's examination stumbled: %s", type(error).__name__)


def _start(
    job: Job, client: Client, threads: ThreadPoolExecutor, running: dict[Future[Exchange], tuple[Job, Ask]]
) -> None:
    for ask in job.examination.next():
        running[threads.submit(job.send, client, ask)] = (job, ask)


def _jobs(rows: list[Detection]) -> Iterable[Job]:
    """A job for each row whose keys are still there; a burned one has none."""
    catalogue, today = current(), timezone.now().date()
    data_keys: dict[int, tuple[bytes, bytes] | None] = {}
    for row in rows:
        check_id = row.check_of_id
        if check_id not in data_keys:
            try:
                data_keys[check_id] = (seal.data_key(seal.KEYS, check_id), seal.data_key(seal.RESULTS, check_id))
            except seal.Burned:
                data_keys[check_id] = None
        keys = data_keys[check_id]
        if keys is None or row.sealed_key is None:
            continue
        try:
            secret = seal.open_key(keys[0], bytes(row.sealed_key), check_id, row.line)
        except seal.Burned:
            continue
        examination = Examination(catalogue, catalogue.providers.get(row.provider), row.base_url, today, row.shape)
        yield Job(row, secret, keys[1], examination, row.key_dies_at.timestamp() - MARGIN)


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


def _end(claim: str, ids: list[int], check_ids: set[int]) -> None:
    """Whatever is still claimed here ends now: its state says that it was interrupted if nothing was found."""
    _finish(claim, ids)
    burn.forget_keys(check_ids)
