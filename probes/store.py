"""Putting a submission in, and taking its report out."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_q.tasks import async_task

from probes import evidence, report, seal, worker
from probes.forms import Plan
from probes.models import Check, Detection, State, current, hash_token
from probes.models import Finding as FindingRow

TOKEN_BYTES = 32


def submit(plan: Plan, owner: str) -> str:
    """Store a plan's keys, sealed, with its task, in one transaction. Returns the token, which is stored hashed."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    now = timezone.now()
    with transaction.atomic():
        check = Check(
            token_hash=hash_token(token),
            owner=owner,
            created_at=now,
            burns_at=now + timedelta(seconds=settings.CHECK_SECONDS),
            lab=bool(settings.LAB_URL),
            refused=plan.refused,
        )
        check.save()
        seal.make_data_keys(check.pk)
        key = seal.data_key(seal.KEYS, check.pk)
        rows = Detection.objects.bulk_create(
            Detection(
                check_of=check,
                line=planned.pasted.line,
                label=planned.pasted.label,
                sealed_key=seal.seal_key(key, planned.pasted.secret, check.pk, planned.pasted.line),
                candidates=list(planned.candidates),
                shape=planned.pasted.match.shape.name if planned.pasted.match.shape else "",
                distinctive=planned.pasted.match.distinctive,
                notices=list(planned.pasted.notices),
                provider=planned.provider,
                base_url=planned.base_url,
                state=planned.state,
                queued_at=now if planned.state == State.QUEUED else None,
            )
            for planned in plan.keys
            if planned.pasted.secret
        )
        _store_forms(check, dict(zip((row.line for row in rows), rows, strict=True)), plan)
        _queue(sum(planned.state == State.QUEUED for planned in plan.keys))
    return token


def _store_forms(check: Check, rows: dict[int, Detection], plan: Plan) -> None:
    """What keys say of themselves is a finding like any other, known before anything is asked."""
    key = seal.data_key(seal.RESULTS, check.pk)
    for planned in plan.keys:
        shape, row = planned.pasted.match.shape, rows[planned.pasted.line]
        finding = evidence.read_form(current(), shape, planned.pasted.facts) if shape else None
        if finding:
            FindingRow.objects.create(detection=row, sealed=seal.seal_finding(key, finding, row.pk))


def _queue(keys: int) -> None:
    """One task for each batch of keys. The broker's row joins the transaction: no accepted check without its task."""
    for _ in range(-(-keys // worker.BATCH)):
        async_task(worker.pump, save=False)


def choose(check: Check, line: int, provider: str, base_url: str) -> bool:
    """Send a key that waits for a choice. False if it no longer waits."""
    with transaction.atomic():
        rows = Detection.objects.filter(check_of=check, line=line, state=State.NEEDS_CHOICE)
        chosen = rows.update(provider=provider, base_url=base_url, state=State.QUEUED, queued_at=timezone.now())
        if chosen:
            _queue(1)
    return bool(chosen)


def find(token: str, owner: str | None) -> Check | None:
    """The live check of this token and this owner; None for a wrong, a foreign and a burned one alike."""
    if not owner:
        return None
    return Check.objects.live().filter(token_hash=hash_token(token), owner=owner).first()


def examined(check: Check) -> list[report.Examined]:
    """Every key of a check with its findings opened. Raises seal.Burned once the data key is gone."""
    key = seal.data_key(seal.RESULTS, check.pk)
    rows = list(Detection.objects.filter(check_of=check))
    findings: dict[int, list[dict[str, Any]]] = {row.pk: [] for row in rows}
    for found in FindingRow.objects.filter(detection__check_of=check):
        findings[found.detection_id].append(seal.open_finding(key, bytes(found.sealed), found.detection_id))
    return [_examined(row, check, findings[row.pk]) for row in rows]


def _examined(row: Detection, check: Check, findings: list[dict[str, Any]]) -> report.Examined:
    """A row whose key must be dead by now is shown as ended, whether or not anyone has written that down."""
    unfinished = row.state in (State.QUEUED, State.PROBING)
    unasked = all(f["kind"] == "key_form" for f in findings) and _has_calls(row)
    interrupted = (unfinished and row.overdue) or (row.state == State.DONE and unasked)
    return report.Examined(
        line=row.line,
        label=row.label,
        state=State.DONE.value if unfinished and row.overdue else str(row.state),
        candidates=row.candidates,
        distinctive=row.distinctive,
        provider=row.provider,
        base_url=row.base_url,
        key_destroyed_at=check.key_destroyed_at,
        findings=findings,
        interrupted=interrupted,
        notices=tuple(row.notices),
    )


def _has_calls(row: Detection) -> bool:
    """Whether there was anything to ask: some providers have no free call at all."""
    provider = current().providers.get(row.provider)
    return bool(row.base_url) or provider is None or bool(provider.probes_for(row.shape))


def document(check: Check) -> tuple[dict[str, Any], list[report.Reported]]:
    """The check's JSON and its reports. Raises seal.Burned."""
    return report.of_check(current(), examined(check), check.refused, check.created_at, check.burns_at, check.lab)
