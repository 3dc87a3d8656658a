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
    sealed_token = models.BinaryField(null=True)  # for the owner's list of running checks
    owner = models.CharField(max_length=64, db_index=True)
    # So that a double submit makes one check; null, since many checks may have none.
    submission = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001
    created_at = models.DateTimeField(default=timezone.now)
    burns_at = models.DateTimeField(db_index=True, default=five_minutes_from_now)
    key_destroyed_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    spend = models.BooleanField(default=False)  # the operator ticked probes that spend
    lab = models.BooleanField(default=False)
    refused = models.JSONField(default=list)

    objects = LiveChecks()


class State(models.TextChoices):
    READY = "ready"  # told apart; waits for the operator's start
    QUEUED = "queued"
    PROBING = "probing"
    NEEDS_CHOICE = "needs_choice"
    DONE = "done"


class Detection(models.Model):
    """One pasted key of a check, at one destination. `claim` is the random word of the worker that has it.

    line, column and length are the key's place in the paste, as a browser counts (UTF-16 units); only a browser that
    still has the paste can make the key of them. number counts from 1 within the check: a key that is asked at
    several providers has one for each.
    """

    check_of = models.ForeignKey(Check, on_delete=models.CASCADE, related_name="detections")
    number = models.PositiveSmallIntegerField()
    line = models.PositiveIntegerField()
    column = models.PositiveIntegerField(default=0)
    length = models.PositiveSmallIntegerField(default=0)
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
    changed_at = models.DateTimeField(default=timezone.now)
    sealed_row = models.BinaryField(null=True)  # its row of the table of results, once it is done

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["check_of", "number"], name="detection_number")]
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
