"""Whether the parts that keep our promises are alive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from probes.models import Check, Detection, Heartbeat, State

BURNER_SECONDS = 10
UNCLAIMED_SECONDS = 10
OVERDUE_SECONDS = 10


def state() -> dict[str, Any]:
    """{"ok", "burner", "queue", "burning", "lab"}: each a bool. The burner beats each second."""
    now = timezone.now()
    beats = dict(Heartbeat.objects.values_list("name", "at"))
    overdue = Check.objects.filter(burns_at__lt=now - timedelta(seconds=OVERDUE_SECONDS)).exists()
    parts = {
        "burner": "burner" in beats and now - beats["burner"] < timedelta(seconds=BURNER_SECONDS),
        "queue": not queue_stuck(),
        "burning": not overdue,
    }
    return {"ok": all(parts.values()), **parts, "lab": bool(settings.LAB_URL)}


def queue_stuck() -> bool:
    """Whether a key has waited UNCLAIMED_SECONDS and no worker has claimed anything in that time."""
    limit = timezone.now() - timedelta(seconds=UNCLAIMED_SECONDS)
    if not Detection.objects.filter(state=State.QUEUED, queued_at__lt=limit).exists():
        return False
    return not Heartbeat.objects.filter(name="worker", at__gte=limit).exists()
