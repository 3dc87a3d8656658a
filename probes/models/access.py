"""Who may ask, and how much: what was let in lately, and the tokens of operators' programs."""

from __future__ import annotations

import datetime as dt
import secrets

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from probes.models.detection import hash_token

PREFIX = "tk_"
OPERATORS = "operator"  # the group; migration 0002 makes it


class Operator(User):
    """A user as the admin's list of operators sees him: with permissions of its own, which reach no further."""

    class Meta:
        proxy = True
        default_permissions = ("view", "add", "change")
        verbose_name = _("operator")
        verbose_name_plural = _("operators")


class Admission(models.Model):
    """One submission that was let in. Outlives its check, so that burning does not refill a quota."""

    who = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)
    keys = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["who", "at"], name="admission_lately")]

    @classmethod
    def lately(cls, who: str) -> models.QuerySet[Admission]:
        """What still counts, oldest first."""
        return cls.objects.filter(who=who, at__gt=cls._window_start()).order_by("at")

    @classmethod
    def purge(cls) -> None:
        """Delete what counts no more."""
        cls.objects.filter(at__lte=cls._window_start()).delete()

    @staticmethod
    def _window_start() -> dt.datetime:
        return timezone.now() - dt.timedelta(seconds=settings.WINDOW_SECONDS)


class ApiToken(models.Model):
    """What an operator's program signs in with. Only its hash is stored; deleting it revokes it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_on = models.DateField(null=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="api_token_name")]

    @classmethod
    def make(cls, user_id: int, name: str) -> str:
        """Store a new token; returns the token itself, which is not seen again."""
        token = PREFIX + secrets.token_urlsafe(32)
        cls.objects.create(user_id=user_id, name=name, token_hash=hash_token(token))
        return token
