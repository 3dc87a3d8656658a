"""The loop of one second that burns what is due, and sees whether the queue still works."""

import datetime as dt
import logging
import signal
import time
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections
from django.utils import timezone

from probes import burn, health, worker
from probes.models import Heartbeat

log = logging.getLogger("testkey.burner")

TURN = 1.0  # seconds; one sweep
SAY_AGAIN = dt.timedelta(seconds=20)  # a new cluster gets so long to come to life


def stuck_is_news() -> bool:
    """Whether the queue hangs, and that was not written down a moment ago."""
    since = timezone.now() - SAY_AGAIN
    return health.queue_stuck() and not Heartbeat.objects.filter(name="stuck", at__gt=since).exists()


class Loop:
    def __init__(self) -> None:
        self.swept_at = self.truncated_at = float("-inf")

    def turn(self) -> None:
        """Sweep first; a failure of one step (say, a full disk) does not keep the next from its work."""
        for step in (self.sweep, self.truncate, self.beat, self.look_at_the_queue):
            try:
                step()
            except Exception as error:
                # The class alone: a message may quote what was being written.
                log.error("%s failed: %s", step.__name__, type(error).__name__)
                connections.close_all()  # a lost database is opened anew

    def sweep(self) -> None:
        if burn.sweep():
            self.swept_at = time.monotonic()

    def truncate(self) -> None:
        """What was deleted lies in the write-ahead log until it is truncated; a reader may be in the way."""
        now = time.monotonic()
        if (self.swept_at > self.truncated_at or now - self.truncated_at >= 10) and burn.truncate_log():
            self.truncated_at = now

    def beat(self) -> None:
        Heartbeat.beat("burner")

    def look_at_the_queue(self) -> None:
        worker.wake()
        if stuck_is_news():
            log.warning("the queue hangs: keys wait and no worker takes them")
            Heartbeat.beat("stuck")


class Command(BaseCommand):
    help = "Burn what is due, each second; `dev` runs this beside web and queue."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stopping = False
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self.stop)
        loop = Loop()
        while not self.stopping:
            end = time.monotonic() + TURN
            loop.turn()
            while not self.stopping and time.monotonic() < end:
                time.sleep(0.1)  # in slices: a signal does not end a sleep

    def stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping = True
