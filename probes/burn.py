"""Destroying: keys when their probing has ended, everything when its five minutes are over or the button is pressed.

Data keys go first: without them the rows are unreadable, whatever becomes of the rows.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import time
from collections.abc import Iterable

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django_q.models import Failure

from probes import seal
from probes.models import Admission, Check, Detection, SeenModel, State

log = logging.getLogger("testkey.burn")

UNFINISHED = (State.READY, State.NEEDS_CHOICE, State.QUEUED, State.PROBING)


def burn(check_ids: Iterable[int]) -> int:
    """Destroy the checks' data keys, then their rows. Returns their number; a full disk leaves unreadable rows."""
    ids = list(check_ids)
    for check_id in ids:
        seal.destroy(seal.KEYS, check_id)
        seal.destroy(seal.RESULTS, check_id)
    try:
        return _delete(ids) if ids else 0
    except DatabaseError as error:
        log.warning("rows of %d burned checks are not deleted yet: %s", len(ids), type(error).__name__)
        return 0


def _delete(check_ids: list[int]) -> int:
    """Delete these checks. Who writes to them is waited for: in PostgreSQL a finding could come between the steps."""
    with transaction.atomic():
        for rows in (Check.objects.filter(pk__in=check_ids), Detection.objects.filter(check_of__in=check_ids)):
            list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))
        return Check.objects.filter(pk__in=check_ids).delete()[0]


def cancel(check_ids: Iterable[int]) -> None:
    """End these checks' probing now: without the keys' data key no further call is sent. What was found stays."""
    ids = list(check_ids)
    for check_id in ids:
        seal.destroy(seal.KEYS, check_id)
    try:
        with transaction.atomic():
            now = timezone.now()
            # The same form again is a check of its own, not this one.
            Check.objects.filter(pk__in=ids, cancelled_at=None).update(cancelled_at=now, submission=None)
            Check.objects.filter(pk__in=ids, key_destroyed_at=None).update(key_destroyed_at=now)
            rows = Detection.objects.filter(check_of__in=ids, state__in=UNFINISHED)
            rows.update(state=State.DONE, sealed_key=None, claim="", changed_at=now)
    except DatabaseError as error:
        log.warning("%d cancelled checks are not marked so yet: %s", len(ids), type(error).__name__)


def sweep() -> int:
    """Burn what is due, forget keys whose time is over. Returns how many rows changed. Never raises DatabaseError."""
    try:
        due = list(Check.objects.filter(burns_at__lte=timezone.now()).values_list("pk", flat=True)[:1000])
        changed = burn(due) + end_overdue()
        forget_keys(_ended())
        return changed
    except DatabaseError as error:
        log.warning("sweep failed: %s", type(error).__name__)
        return 0


def end_overdue() -> int:
    """End detections whose key must be gone by now: their worker died, or none ever came."""
    latest = timezone.now() - dt.timedelta(seconds=settings.KEY_SECONDS)
    rows = Detection.objects.filter(state__in=(State.QUEUED, State.PROBING), queued_at__lte=latest)
    checks = set(rows.values_list("check_of_id", flat=True))
    if not checks:
        return 0
    waiting = Detection.objects.filter(check_of__in=checks, state__in=UNFINISHED).exclude(pk__in=rows.values("pk"))
    for check_id in checks - set(waiting.values_list("check_of_id", flat=True)):
        seal.destroy(seal.KEYS, check_id)  # before any row is written: a full disk takes none
    ended = rows.update(state=State.DONE, sealed_key=None, claim="", changed_at=timezone.now())
    forget_keys(checks)
    return ended


def _ended() -> list[int]:
    """Checks in which a key has ended. Of the last one the worker forgets the keys itself, unless it died before."""
    ended = Detection.objects.filter(check_of=OuterRef("pk"), state=State.DONE)
    return list(Check.objects.filter(Exists(ended), key_destroyed_at=None).values_list("pk", flat=True))


def forget_keys(check_ids: Iterable[int]) -> None:
    """Destroy the data key for pasted keys of each of these checks in which nothing waits for its key any more."""
    with transaction.atomic():
        finished = Check.objects.filter(pk__in=list(check_ids), key_destroyed_at=None).exclude(
            pk__in=Detection.objects.filter(state__in=UNFINISHED).values("check_of_id")
        )
        for check_id in list(finished.values_list("pk", flat=True)):
            seal.destroy(seal.KEYS, check_id)
            Check.objects.filter(pk=check_id).update(key_destroyed_at=timezone.now())


def truncate_log() -> bool:
    """Empty SQLite's write-ahead log, which keeps the bytes of deleted rows. False if a reader was in the way."""
    if connection.vendor != "sqlite":
        return True
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy = cursor.fetchone()[0]
        return not busy
    except DatabaseError:
        return False


def drop_stale_data_keys() -> None:
    """Remove data keys that no row names, as a submit that broke off may leave them."""
    oldest = time.time() - settings.CHECK_SECONDS
    for file in [] if settings.KEYS_URL else list(settings.KEYS_DIR.glob("*.djcache")):
        with contextlib.suppress(OSError):
            if file.stat().st_mtime < oldest:
                file.unlink()


def burn_task() -> None:
    """The queue's own minute task: what the burner does each second, for a site that runs without it."""
    sweep()
    truncate_log()
    drop_stale_data_keys()
    Failure.objects.all().delete()
    Admission.purge()
    SeenModel.purge()
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
