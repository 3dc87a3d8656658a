"""Putting a submission in, starting it, and finding it again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from copy import copy
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from django_q.tasks import async_task

from probes import burn as burning
from probes import evidence, seal, words, worker
from probes.forms import Plan
from probes.models import Check, Detection, State, current, hash_token
from probes.models import Finding as FindingRow
from probes.start import WAITING, Decision, Destination

TOKEN_BYTES = 32
DOUBLE = timedelta(seconds=10)  # the same form with the same paste within these is a double submit


def _any() -> None:
    """Everyone is let in."""


def _all(further: int) -> None:
    """Everything is started."""


class Submitted(NamedTuple):
    token: str  # stored hashed, and sealed
    owner: str  # of a double submit, who submitted first


def submit(
    plan: Plan, owner: str, submission: str = "", spend: bool = False, admit: Callable[[], None] = _any
) -> Submitted:
    """Store a plan's keys, sealed, with its tasks, in one transaction.

    submission: a word that only a repetition of the same post brings; it makes no second check.
    admit: called within the transaction; what it raises undoes all.
    """
    now = timezone.now()
    mark = _mark(plan, submission, spend) if submission else None
    try:
        with transaction.atomic():
            if mark:
                Check.objects.filter(submission=mark, created_at__lt=now - DOUBLE).update(submission=None)
            twin = _twin(mark)
            if twin:
                return twin
            admit()
            return Submitted(_store(plan, owner, mark, spend, now), owner)
    except IntegrityError:
        twin = _twin(mark)  # was stored in the same moment
        if twin:
            return twin
        raise


def _twin(mark: str | None) -> Submitted | None:
    earlier = Check.objects.live().filter(submission=mark).first() if mark else None
    token = token_of(earlier) if earlier else None
    return Submitted(token, earlier.owner) if earlier and token else None


def _mark(plan: Plan, submission: str, spend: bool) -> str:
    """Of this paste in this form. Keyed by a word that is not stored, so that no key can be tried against it."""
    mac = hmac.new(submission.encode(), str(spend).encode(), hashlib.sha256)
    for planned in plan.keys:
        place = f"{planned.pasted.line}:{planned.pasted.column}:{planned.provider}:{planned.base_url}:"
        mac.update(place.encode() + seal.fingerprint(submission, planned.secret))
    return mac.hexdigest()


def _store(plan: Plan, owner: str, mark: str | None, spend: bool, now: datetime) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    check = Check(
        token_hash=hash_token(token),
        owner=owner,
        submission=mark,
        created_at=now,
        burns_at=now + timedelta(seconds=settings.CHECK_SECONDS),
        spend=spend,
        lab=bool(settings.LAB_URL),
        refused=plan.refused,
    )
    check.save()
    seal.make_data_keys(check.pk)
    check.sealed_token = seal.seal_token(seal.data_key(seal.RESULTS, check.pk), token, check.pk)
    check.save(update_fields=["sealed_token"])
    key = seal.data_key(seal.KEYS, check.pk)
    rows = Detection.objects.bulk_create(
        Detection(
            check_of=check,
            number=number,
            line=planned.pasted.line,
            column=planned.pasted.column,
            length=planned.pasted.length,
            label=planned.pasted.label,
            sealed_key=seal.seal_key(key, planned.secret, check.pk, planned.pasted.line, planned.pasted.column),
            candidates=list(planned.candidates),
            shape=planned.pasted.match.shape.name if planned.pasted.match.shape else "",
            distinctive=planned.pasted.match.distinctive,
            notices=list(planned.pasted.notices),
            provider=planned.provider,
            base_url=planned.base_url,
            state=planned.state,
            queued_at=now if planned.state == State.QUEUED else None,
            changed_at=now,
        )
        for number, planned in enumerate(plan.keys, 1)
    )
    _store_forms(check, rows, plan)
    queue(sum(planned.state == State.QUEUED for planned in plan.keys))
    return token


def _store_forms(check: Check, rows: list[Detection], plan: Plan) -> None:
    """What keys say of themselves is a finding like any other, known before anything is asked."""
    key, catalogue = seal.data_key(seal.RESULTS, check.pk), current()
    found = []
    for row, planned in zip(rows, plan.keys, strict=True):
        shape = planned.pasted.match.shape
        finding = evidence.read_form(catalogue, shape, planned.pasted.facts) if shape and planned.pasted.facts else None
        if finding:
            found.append(FindingRow(detection=row, sealed=seal.seal_finding(key, finding, row.pk)))
    FindingRow.objects.bulk_create(found)


def queue(keys: int) -> None:
    """Tasks for so many keys. The broker's rows join the transaction: no accepted check without its task."""
    for _ in range(-(-keys // worker.BATCH)):
        async_task(worker.pump, save=False)


def start(
    check: Check, decisions: list[Decision], left_out: set[int], spend: bool, admit: Callable[[int], None] = _all
) -> int:
    """Send what was decided, and drop what was left out. Returns how many keys were started, each once.

    admit: called within the transaction with the number of copies that further destinations make.
    """
    started = 0
    with transaction.atomic():
        held = Check.objects.select_for_update().filter(pk=check.pk).first()  # as it is now: it may have been burned
        waiting = Detection.objects.filter(check_of=held, state__in=WAITING)
        if held is None or not waiting.exists():  # or another click was first
            return 0
        admit(sum(len(d.numbers) * (len(d.destinations) - 1) for d in decisions))
        now = timezone.now()
        if spend:
            Check.objects.filter(pk=check.pk).update(spend=True)
        if left_out:
            _leave_out(held, waiting.filter(number__in=left_out))
        for decision in decisions:
            (provider, base_url), *others = decision.destinations
            rows = waiting.filter(number__in=decision.numbers)
            copies = list(rows) if others else []
            started += rows.update(
                provider=provider, base_url=base_url, state=State.QUEUED, queued_at=now, changed_at=now
            )
            started += _copy(check, copies, others, now)
        queue(started)
    if left_out:
        burning.forget_keys([check.pk])
    return started


def _copy(check: Check, rows: list[Detection], places: list[Destination], now: datetime) -> int:
    """The same keys at further destinations, as rows of their own. Their findings of form are not repeated."""
    number = Detection.objects.filter(check_of=check).aggregate(last=Max("number"))["last"] or 0
    copies = []
    for provider, base_url in places:
        for row in rows:
            number += 1
            row.pk, row.number, row.provider, row.base_url = None, number, provider, base_url
            row.state, row.queued_at, row.changed_at = State.QUEUED, now, now
            copies.append(copy(row))
    return len(Detection.objects.bulk_create(copies))


def _leave_out(check: Check, rows: QuerySet[Detection]) -> None:
    """Told beside the lines that were not sent."""
    lines = rows.values_list("line", flat=True)
    check.refused = [*check.refused, *({"line": line, "reason": str(words.LEFT_OUT)} for line in lines)]
    check.save(update_fields=["refused"])
    rows.delete()


def find(token: str, owners: Iterable[str]) -> Check | None:
    """The live check of this token and one of these owners; None for a wrong, a foreign and a burned one alike."""
    return Check.objects.live().filter(token_hash=hash_token(token), owner__in=list(owners)).first()


def token_of(check: Check) -> str | None:
    """A live check's token, for its owner's eyes; None once it is burned."""
    try:
        return seal.open_token(seal.data_key(seal.RESULTS, check.pk), bytes(check.sealed_token or b""), check.pk)
    except seal.Burned:
        return None
