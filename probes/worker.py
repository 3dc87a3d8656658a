"""The queue's task: claim detections, open each key in memory, see its probes to their end, forget the key.

Threads do nothing but calls; findings are sealed and written in batches by the task's own thread. Which call goes
next is `lanes`' to say. A finding is written only while this worker still holds the claim, so nothing comes back
after a burn.
"""

from __future__ import annotations

import heapq
import logging
import os
import random
import secrets
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from probes import burn, evidence, report, results, seal
from probes.client import DEADLINE, Client
from probes.evidence import Finding
from probes.examination import Ask, Examination
from probes.exchange import Exchange, Redactor
from probes.lanes import LONGEST_PAUSE, Lanes, Place
from probes.models import Check, Detection, Heartbeat, State, current
from probes.models import Finding as FindingRow
from probes.secret import Secret
from probes.seen import Seen

log = logging.getLogger("testkey.worker")

BATCH = 250  # keys of a task
THREADS = 256
ANY_HOST = 256  # calls at once that a host bears of which the catalogue knows nothing
IN_HAND = 384  # keys that a task has in hand: enough that its threads never wait for the database
CLAIM = 192  # keys that it takes up at one look: the first calls set out before the rest is opened
ALWAYS = 16  # more that it takes up at each look, however many it has: whoever comes late begins
LOOK_SECONDS = 0.2  # between two looks for keys that came later
WRITE_SECONDS = 0.2  # between two writes while much is under way
FEW = 16  # calls under way below which each answer is written at once
MORE_SECONDS = 220.0  # how long, at most, a task takes up keys that came later; the queue's own limit is 300 s
BEAT_SECONDS = 2.0
MARGIN = 5.0  # seconds that writing may take before a key's life ends
ALIVE_SECONDS = 0.2  # for which it is believed that a check has not been burned or cancelled
AGAIN = ("dns", "tls", "refused", "reset", "bad_http", "provider_error")  # what a second try may mend
AGAIN_SECONDS = (0.2, 0.6)  # before the second try

_process: tuple[int, Client, ThreadPoolExecutor] | None = None


def resources() -> tuple[Client, ThreadPoolExecutor]:
    """This process's client and threads: made after the fork, kept between tasks so that connections are kept."""
    global _process
    if _process is None or _process[0] != os.getpid():
        client = Client(settings.LAB_URL, tuple(settings.PRIVATE_GATEWAYS))
        _process = (os.getpid(), client, ThreadPoolExecutor(THREADS, thread_name_prefix="probe"))
    return _process[1], _process[2]


def workers() -> int:
    """Processes that share each host's limit."""
    return int(settings.Q_CLUSTER["workers"])  # type: ignore[call-overload]


@dataclass
class Job:
    """One key: what is known of it while its probes run. deadline: seconds of the epoch."""

    row: Detection
    secret: Secret
    results_key: bytes
    examination: Examination
    deadline: float
    most: int  # calls at once that its hosts bear from this process
    others: Redactor = field(default_factory=Redactor)  # of the keys of the same check at the same base URL
    findings: list[Finding] = field(default_factory=list)
    unwritten: int = 0  # of its findings, the last so many
    stumbled: bool = False  # its examination went wrong: it ends with what was found
    listed: set[str] = field(default_factory=set)  # models that are counted if the key is proved
    proven: bool = False  # whose key it is, as it was concluded

    @property
    def done(self) -> bool:
        return self.stumbled or self.examination.done

    @property
    def owner(self) -> str:
        return str(self.row.check_of.owner)


@dataclass(eq=False)
class Turn:
    """A call that waits for its turn, or is under way. attempt: 1, or 2 for a second try."""

    job: Job
    ask: Ask
    attempt: int = 1


class Alive:
    """Whether a check has neither been burned nor cancelled; asked of the data keys a few times a second."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, bool]] = {}

    def __call__(self, check_id: int) -> bool:
        now = time.monotonic()
        until, alive = self._known.get(check_id, (0.0, False))
        if now >= until:
            alive = seal.is_there(seal.KEYS, check_id)
            self._known[check_id] = (now + ALIVE_SECONDS, alive)
        return alive


def pump() -> None:
    """One task: the next detections that wait, whoever queued them. It has no argument, so none holds a key."""
    claim = secrets.token_hex(8)
    batch = Batch(claim)
    try:
        batch.run()
    except Exception as error:  # its text may hold anything; the key's owner is told by the state
        log.error("a batch ended early: %s", type(error).__name__)
    finally:
        _end(claim)
        if batch.claimed:
            wake()


def wake() -> None:
    """A task for keys that wait, where there is none: this one took up another's, or a worker died with its own.

    A task that is under way, or died, stays locked in the queue: it is none.
    """
    now = timezone.now()
    alive = now - timedelta(seconds=settings.KEY_SECONDS - MARGIN)
    waits = Detection.objects.filter(state=State.QUEUED, queued_at__gt=alive).exists()
    if waits and not OrmQ.objects.filter(lock__lte=now).exists():
        async_task(pump, save=False)


def claim_next(claim: str, most: int) -> list[Detection]:
    """At most so many waiting detections, by turns over their owners. Each is claimed once, by one filtered UPDATE."""
    alive = timezone.now() - timedelta(seconds=settings.KEY_SECONDS - MARGIN)
    turn = Window(RowNumber(), partition_by=F("check_of__owner"), order_by=["queued_at", "pk"])
    with transaction.atomic():
        queued = Detection.objects.filter(state=State.QUEUED, queued_at__gt=alive).exclude(provider__in=_taken(claim))
        waiting = queued.annotate(turn=turn).order_by("turn", "queued_at", "pk")
        chosen = list(waiting.values_list("pk", flat=True)[:most])
        if not chosen:
            return []
        Detection.objects.filter(pk__in=chosen, state=State.QUEUED).update(state=State.PROBING, claim=claim)
        held = Detection.objects.filter(pk__in=chosen, claim=claim, state=State.PROBING)
        rows = list(held.order_by("queued_at", "pk"))
        checks = Check.objects.in_bulk({row.check_of_id for row in rows})  # one object each, not one a row
    for row in rows:
        row.check_of = checks[row.check_of_id]
    return rows


def _taken(claim: str) -> list[str]:
    """Providers whose hosts bear fewer calls than there are workers, and that another worker has in hand."""
    narrow = [slug for slug, provider in current().providers.items() if provider.concurrency < workers()]
    held = Detection.objects.filter(state=State.PROBING, provider__in=narrow).exclude(claim=claim)
    return list(held.values_list("provider", flat=True)) if narrow else []


class Batch:
    """The keys that one task has in hand, and their calls."""

    def __init__(self, claim: str) -> None:
        self.claim = claim
        self.client, self.threads = resources()
        self.alive = Alive()
        self.lanes: Lanes[Turn] = Lanes(THREADS)
        self.later: list[tuple[float, int, Turn]] = []  # a heap: calls that wait for their moment
        self.answers: SimpleQueue[tuple[Place[Turn], Exchange]] = SimpleQueue()
        self.jobs: dict[int, Job] = {}
        self.touched: dict[int, Job] = {}
        self.together: dict[tuple[int, str], Redactor] = {}
        self.seen = Seen()
        now = time.monotonic()
        self.look_at = self.write_at = self.beat_at = now
        # Not all workers may come to that at one moment: each then works off what it has, which takes up to a minute.
        self.more_until = now + MORE_SECONDS * random.uniform(0.5, 1)  # noqa: S311
        self.claimed = 0
        self.stopping = False

    def run(self) -> None:
        try:
            self._look(time.monotonic())
            while self.jobs:
                self._send(time.monotonic())
                self._take()
                now = time.monotonic()
                if self.touched and (now >= self.write_at or self.lanes.running <= FEW):
                    self._write(now)
                self._look(now)
        finally:
            self.stopping = True  # if the batch broke, nothing more is sent
            self.seen.write()

    def _look(self, now: float) -> None:
        """Take up keys that wait, tell that we are at work, and end what has waited too long."""
        if now >= self.beat_at and self.claimed:
            Heartbeat.beat("worker")  # slow hosts are no stuck queue
            self.seen.write()
            self.beat_at = now + BEAT_SECONDS
        if now < self.look_at:
            return
        self.look_at = now + LOOK_SECONDS
        clock = timezone.now().timestamp()
        for turn in self.lanes.remove(lambda turn: turn.job.deadline <= clock):
            self._answered(turn, Exchange(call=str(turn.ask.call), failure="not_asked"))
        if now < self.more_until:
            most = min(CLAIM, max(ALWAYS, IN_HAND - len(self.jobs)))
            fresh = claim_next(self.claim, most)
            self.claimed += len(fresh)
            if len(fresh) == CLAIM:
                self.look_at = now  # there may be more
            jobs = _jobs(fresh)
            self._tell_of_each_other(jobs)
            for job in jobs:
                self.jobs[job.row.pk] = job
                self._ask(job)

    def _tell_of_each_other(self, jobs: list[Job]) -> None:
        """At a base URL a host may answer one key with another of the same check: each job knows them all."""
        for job in jobs:
            if job.row.base_url:
                job.others = self.together.setdefault((job.row.check_of_id, job.row.base_url), job.others)
                job.others.add(job.secret)

    def _ask(self, job: Job) -> None:
        """Queue the calls that can be made now; a key that has none left is done."""
        with _alone(job):
            for ask in job.examination.next():
                self.lanes.add(ask.call.host, job.owner, Turn(job, ask), job.most)
        if job.stumbled:
            self.lanes.remove(lambda turn: turn.job is job)
        if job.unwritten or job.done:
            self.touched[job.row.pk] = job

    def _send(self, now: float) -> None:
        while self.later and self.later[0][0] <= now:
            _at, _number, turn = heapq.heappop(self.later)
            if not turn.job.stumbled:  # its key has been told as done
                self.lanes.add(turn.ask.call.host, turn.job.owner, turn, turn.job.most)
        for place in self.lanes.take(now):
            self.threads.submit(self._call, place)

    def _call(self, place: Place[Turn]) -> None:
        """In a thread: one call, unless the check has been burned meanwhile, or the key's time is over."""
        turn = place.item
        job, call = turn.job, turn.ask.call
        exchange = Exchange(call=str(call), failure="interrupted")
        try:
            left = min(DEADLINE, job.deadline - timezone.now().timestamp())
            if not self.stopping and self.alive(job.row.check_of_id):
                # Also a call without the key goes with it to the client: the host may echo what it saw before.
                exchange = (
                    self.client.send(call, job.secret, left, job.others)
                    if left > 0
                    else Exchange(call=str(call), failure="timeout")
                )
        finally:
            self.answers.put((place, exchange))

    def _take(self) -> None:
        """Answers that have come; the first is waited for."""
        wait = max(0.0, min(LOOK_SECONDS, self.look_at - time.monotonic()))
        while True:
            try:
                place, exchange = self.answers.get(timeout=wait) if wait else self.answers.get_nowait()
            except Empty:
                return
            wait = 0
            self.lanes.done(place)
            if not self._again(place, exchange):
                self._answered(place.item, exchange)

    def _again(self, place: Place[Turn], exchange: Exchange) -> bool:
        """What an answer tells of its host; and whether the call is made a second time."""
        turn, now = place.item, time.monotonic()
        if exchange.status == 429:
            retry_after = exchange.retry_after or 0.0
            self.lanes.refuse(place, now, retry_after, whole_host=not _of_key(turn.ask, exchange))
            self._hold(turn.job, now + min(retry_after, LONGEST_PAUSE))
            return False
        if exchange.status is not None:
            self.lanes.welcome(place)
        broken = exchange.failure in AGAIN or (exchange.status or 0) >= 500
        once = turn.attempt > 1 or turn.ask.probe.spends  # a second try may spend a second token
        if once or not broken or self.stopping or not self.alive(turn.job.row.check_of_id):
            return False
        at = max(now + random.uniform(*AGAIN_SECONDS), now + min(exchange.retry_after or 0.0, LONGEST_PAUSE))  # noqa: S311
        self._put_off(Turn(turn.job, turn.ask, attempt=2), at)
        return True

    def _hold(self, job: Job, until: float) -> None:
        """This key's other calls wait until its host will hear of it again."""
        if until > time.monotonic():
            for turn in self.lanes.remove(lambda turn: turn.job is job):
                self._put_off(turn, until)

    def _put_off(self, turn: Turn, at: float) -> None:
        ends = time.monotonic() + turn.job.deadline - timezone.now().timestamp()
        if at >= ends:
            self._answered(turn, Exchange(call=str(turn.ask.call), failure="not_asked"))
        else:
            heapq.heappush(self.later, (at, id(turn), turn))

    def _answered(self, turn: Turn, exchange: Exchange) -> None:
        job = turn.job
        if job.stumbled:
            return
        with _alone(job):
            found = job.examination.answer(turn.ask, exchange)
            found[0]["attempts"] = 0 if exchange.failure == "not_asked" else turn.attempt
            job.findings += found
            job.unwritten += len(found)
            job.listed |= self.seen.of(job.row, turn.ask.probe, exchange, found[0]["models"])
        self._ask(job)

    def _write(self, now: float) -> None:
        touched, self.touched = list(self.touched.values()), {}
        self.write_at = now + WRITE_SECONDS
        finished = [job for job in touched if job.done]
        for job in finished:
            self.jobs.pop(job.row.pk, None)
        _store(self.claim, touched, finished)
        for job in finished:
            if job.proven and job.listed:
                self.seen.count(job.row.provider, job.listed, job.findings)


def _of_key(ask: Ask, exchange: Exchange) -> bool:
    """Whether a 429 speaks of this key's own limit or quota, by the rules of who sent it."""
    return evidence.judge(evidence.rules_of(current(), ask.sender, ask.probe), exchange).verdict in evidence.ACCEPTED


@contextmanager
def _alone(job: Job) -> Iterator[None]:
    """What goes wrong with one key is said by its class alone, and keeps no other key from its end."""
    try:
        yield
    except Exception as error:
        job.stumbled = True
        log.error("a key's examination stumbled: %s", type(error).__name__)


def _jobs(rows: list[Detection]) -> list[Job]:
    """A job for each row whose keys are still there; a burned one has none."""
    catalogue, today = current(), timezone.now().date()
    data_keys = {check_id: _data_keys(check_id) for check_id in {row.check_of_id for row in rows}}
    jobs = []
    for row in rows:
        try:
            keys, results_key = data_keys[row.check_of_id]
            secret = seal.open_key(keys, bytes(row.sealed_key or b""), row.check_of_id, row.line, row.column)
        except seal.Burned:
            continue
        provider = catalogue.providers.get(row.provider)
        examination = Examination(catalogue, provider, row.base_url, today, row.shape, row.check_of.spend)
        dies_at = min(row.key_dies_at, row.check_of.burns_at).timestamp()
        at_once = provider.concurrency if provider and not examination.custom else ANY_HOST
        jobs.append(Job(row, secret, results_key, examination, dies_at - MARGIN, max(1, at_once // workers())))
    _give_what_is_known(jobs)
    return jobs


def _data_keys(check_id: int) -> tuple[bytes, bytes]:
    """(for keys, for results); empty ones, which open nothing, of a check that is burned."""
    try:
        return seal.data_key(seal.KEYS, check_id), seal.data_key(seal.RESULTS, check_id)
    except seal.Burned:
        return b"", b""


def _give_what_is_known(jobs: list[Job]) -> None:
    """What the keys said of themselves was written when they were submitted."""
    speaking = {s.name for p in current().providers.values() for s in p.key_shapes if s.form}
    by_row = {job.row.pk: job for job in jobs if job.row.shape in speaking}
    for found in FindingRow.objects.filter(detection__in=list(by_row)) if by_row else ():
        job = by_row[found.detection_id]
        with _alone(job):
            job.findings.append(seal.open_finding(job.results_key, bytes(found.sealed), found.detection_id))


def _store(claim: str, touched: list[Job], finished: list[Job]) -> None:
    """Write what is new, and end what is done, in one transaction, for rows that are still this claim's."""
    rows = {job.row.pk: _sealed_row(job) for job in finished}
    with transaction.atomic():
        held = Detection.objects.select_for_update().filter(claim=claim, state=State.PROBING)
        alive = set(held.filter(pk__in=[job.row.pk for job in touched]).values_list("pk", flat=True))
        _write_findings(job for job in touched if job.row.pk in alive and job.unwritten)
        _finish(claim, [(pk, sealed) for pk, sealed in rows.items() if pk in alive])
        said = [job.row.pk for job in touched if job.unwritten and job.row.pk not in rows]
        Detection.objects.filter(pk__in=[pk for pk in said if pk in alive]).update(changed_at=timezone.now())
    for job in touched:
        job.unwritten = 0
    if finished:
        burn.forget_keys({job.row.check_of_id for job in finished})


def _write_findings(jobs: Iterable[Job]) -> None:
    """Plain SQL here and in `_finish`: of a thousand keys Django's own way of writing many rows is a tenth."""
    rows = [
        (job.row.pk, seal.seal_finding(job.results_key, finding, job.row.pk))
        for job in jobs
        for finding in job.findings[-job.unwritten :]
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO probes_finding (detection_id, sealed) VALUES (%s, %s)", rows)


def _sealed_row(job: Job) -> bytes | None:
    """The key's row of the table of results; None where it cannot be made: then it is concluded when it is shown."""
    sealed = None
    with _alone(job):
        job.row.state = State.DONE
        examined = results.examined_row(job.row, job.row.check_of, list(job.findings))
        told = report.row(current(), examined)
        job.proven = told["identity"] == "proven"
        sealed = seal.seal_row(job.results_key, told, job.row.pk)
    return sealed  # noqa: RET504 (None where it stumbled)


def _finish(claim: str, rows: list[tuple[int, bytes | None]]) -> None:
    """These keys are done. A bulk_update would build a CASE of a thousand arms."""
    if not rows:
        return
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE probes_detection SET state = %s, sealed_key = NULL, sealed_row = %s, changed_at = %s"
            " WHERE id = %s AND claim = %s AND state = %s",
            [(State.DONE.value, sealed, now, pk, claim, State.PROBING.value) for pk, sealed in rows],
        )


def _end(claim: str) -> None:
    """Whatever is still claimed here ends now: its state says that it was interrupted if nothing was found."""
    held = list(Detection.objects.filter(claim=claim, state=State.PROBING).values_list("pk", "check_of_id"))
    _finish(claim, [(pk, None) for pk, _check_id in held])
    burn.forget_keys({check_id for _pk, check_id in held})
