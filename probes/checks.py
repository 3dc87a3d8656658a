"""System checks: settings that would break a promise stop the start."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security)
def lab_is_local(**kwargs: Any) -> list[CheckMessage]:
    """The lab answers for every provider: on a machine that others reach it would be a lie."""
    if not settings.LAB_URL:
        return []
    host = urlsplit(settings.LAB_URL).hostname
    if host not in ("127.0.0.1", "::1", "localhost") or not settings.LOCAL:
        return [
            Error(
                "TESTKEY_LAB_URL is set, but the lab or our own address is not loopback.",
                hint="Unset TESTKEY_LAB_URL, or leave TESTKEY_ALLOWED_HOSTS unset.",
                id="testkey.E001",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def no_lab_in_production(**kwargs: Any) -> list[CheckMessage]:
    if settings.LAB_URL:
        return [Error("TESTKEY_LAB_URL is set: every answer would be a recorded one.", id="testkey.E002")]
    return []


@register
def queue_repeats_nothing_early(**kwargs: Any) -> list[CheckMessage]:
    """django-q2 counts `retry` from the moment that it takes a task, not from the task's start."""
    q: Any = settings.Q_CLUSTER
    least = q["timeout"] * (1 + (q["queue_limit"] + q["bulk"]) / q["workers"])
    if q["retry"] <= least:
        return [Error(f"Q_CLUSTER retry must be more than {least:.0f} s, or tasks run twice.", id="testkey.E003")]
    return []
