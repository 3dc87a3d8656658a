"""Taking results out: a check's keys with their findings opened, its document, and the rows of its table.

Everything raises seal.Burned once the data key for results is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from probes import report, seal
from probes.models import Check, Detection, State, current
from probes.models import Finding as FindingRow

LARGEST = 2**15  # of numbers, as the database keeps them; it cannot be asked for a huge one


def examined(check: Check, numbers: Iterable[int] | None = None) -> list[report.Examined]:
    """The keys of a check (those with these numbers; None = all) with their findings opened."""
    key = seal.data_key(seal.RESULTS, check.pk)
    rows = list(_rows(check, numbers))
    findings: dict[int, list[dict[str, Any]]] = {row.pk: [] for row in rows}
    for found in FindingRow.objects.filter(detection__in=rows) if numbers is not None else _all_findings(check):
        if found.detection_id in findings:
            findings[found.detection_id].append(seal.open_finding(key, bytes(found.sealed), found.detection_id))
    return [examined_row(row, check, findings[row.pk]) for row in rows]


def _rows(check: Check, numbers: Iterable[int] | None) -> QuerySet[Detection]:
    rows = Detection.objects.filter(check_of=check)
    if numbers is None:
        return rows
    return rows.filter(number__in=[n for n in numbers if n < LARGEST])


def _all_findings(check: Check) -> QuerySet[FindingRow]:
    return FindingRow.objects.filter(detection__check_of=check)


def examined_row(row: Detection, check: Check, findings: list[dict[str, Any]]) -> report.Examined:
    """A row whose key must be dead by now is shown as ended, whether or not anyone has written that down."""
    unfinished = row.state in (State.QUEUED, State.PROBING)
    unasked = all(f["kind"] == "key_form" for f in findings) and _has_calls(row)
    interrupted = (unfinished and row.overdue) or (row.state == State.DONE and unasked)
    return report.Examined(
        number=row.number,
        line=row.line,
        column=row.column,
        length=row.length,
        label=row.label,
        state=State.DONE.value if unfinished and row.overdue else str(row.state),
        candidates=row.candidates,
        distinctive=row.distinctive,
        provider=row.provider,
        base_url=row.base_url,
        key_destroyed_at=check.key_destroyed_at,
        findings=findings,
        interrupted=interrupted,
        cancelled=check.cancelled_at is not None,
        notices=tuple(row.notices),
    )


def _has_calls(row: Detection) -> bool:
    """Whether there was anything to ask: some providers have no free call at all."""
    provider = current().providers.get(row.provider)
    return bool(row.base_url) or provider is None or bool(provider.probes_for(row.shape))


def _changed(since: datetime) -> Q:
    """What was written since then; and keys whose time is over, whether or not anyone has written that down."""
    overdue = timezone.now() - timedelta(seconds=settings.KEY_SECONDS)
    return Q(changed_at__gte=since) | Q(state__in=(State.QUEUED, State.PROBING), queued_at__lte=overdue)


def document(check: Check) -> tuple[dict[str, Any], list[report.Reported]]:
    """The check's JSON and its reports."""
    return report.of_check(current(), examined(check), check.refused, check.created_at, check.burns_at, check.lab)


def reports(check: Check, numbers: Iterable[int] | None = None) -> list[report.Reported]:
    """The reports of a check's keys, all or those with these numbers."""
    catalogue = current()
    return [report.report(catalogue, key) for key in examined(check, numbers)]


def table(check: Check, since: datetime | None = None) -> list[dict[str, Any]]:
    """A row for each key (that changed since then), in order: report.row's words and `state`. Raises seal.Burned.

    The worker sealed a row when it finished a key, so that a thousand need no thousand conclusions here.
    """
    key, catalogue = seal.data_key(seal.RESULTS, check.pk), current()
    rows = Detection.objects.filter(check_of=check)
    found, unsealed = {}, []
    for row in rows.filter(_changed(since)) if since else rows:
        if row.sealed_row:
            found[row.number] = {**seal.open_row(key, bytes(row.sealed_row), row.pk), "state": "done"}
        elif row.state == State.DONE or row.overdue:
            unsealed.append(row.number)
        else:
            found[row.number] = report.waiting_row(row, catalogue) | {"state": str(row.state)}
    for ended in examined(check, unsealed) if unsealed else []:
        found[ended.number] = {**report.row(catalogue, ended), "state": "done"}
    return [found[number] for number in sorted(found)]
