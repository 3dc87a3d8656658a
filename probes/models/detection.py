"""What a submission stores, sealed, for at most five minutes."""

from __future__ import annotations

import datetime as dt
import hashlib

from django.conf import settings
from django.db import models
from django.utils import timezone


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def five_minutes_from_now() -> dt.datetime:
    return timezone.now() + dt.timedelta(seconds=settings.CHECK_SECONDS)


class LiveChecks(models.Manager["Check"]):
    def live(self) -> models.QuerySet[Check]:
        """Checks whose five minutes are not over. Everything that shows a result reads through this."""
        return self.filter(burns_at__gt=timezone.now())


class Check(models.Model):
    """One submission: owns the token, the owner and the clock, which counts from submit.

    Its two data keys (for the pasted keys, for the results) lie in the cache `keys`, never here.
    """

    token_hash = models.CharField(max_length=64, unique=True)
    owner = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    burns_at = models.DateTimeField(db_index=True, default=five_minutes_from_now)
    key_destroyed_at = models.DateTimeField(null=True)
    lab = models.BooleanField(default=False)
    refused = models.JSONField(default=list)

    objects = LiveChecks()


class State(models.TextChoices):
    QUEUED = "queued"
    PROBING = "probing"
    NEEDS_CHOICE = "needs_choice"
    DONE = "done"


class Detection(models.Model):
    """One pasted key of a check. `claim` is the random word of the worker that has it."""

    check_of = models.ForeignKey(Check, on_delete=models.CASCADE, related_name="detections")
    line = models.PositiveSmallIntegerField()
    label = models.CharField(max_length=80)
    sealed_key = models.BinaryField(null=True)
    candidates = models.JSONField(default=list)
    shape = models.CharField(max_length=60, blank=True)
    distinctive = models.BooleanField(default=False)  # only this provider's keys look so
    notices = models.JSONField(default=list)
    provider = models.CharField(max_length=60, blank=True)
    base_url = models.CharField(max_length=300, blank=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    queued_at = models.DateTimeField(null=True)
    claim = models.CharField(max_length=32, blank=True)

    class Meta:
        ordering = ["line"]
        indexes = [models.Index(fields=["state", "queued_at"], name="detection_waiting")]

    @property
    def overdue(self) -> bool:
        """Whether its key must be gone by now, whatever became of its worker."""
        return self.queued_at is not None and timezone.now() >= self.key_dies_at

    @property
    def key_dies_at(self) -> dt.datetime:
        start = self.queued_at or timezone.now()
        return start + dt.timedelta(seconds=settings.KEY_SECONDS)


class Finding(models.Model):
    """One probe's outcome, sealed under the check's data key for results."""

    detection = models.ForeignKey(Detection, on_delete=models.CASCADE, related_name="findings")
    sealed = models.BinaryField()

    class Meta:
        ordering = ["id"]


class Heartbeat(models.Model):
    """When a process of ours was last seen at work: the burner, and a worker that claimed something."""

    name = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()

    @classmethod
    def beat(cls, name: str) -> None:
        cls.objects.update_or_create(name=name, defaults={"at": timezone.now()})
