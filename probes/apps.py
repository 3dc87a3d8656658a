from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ProbesConfig(AppConfig):
    name = "probes"

    def ready(self) -> None:
        post_migrate.connect(schedule_burn, sender=self)
        from probes import checks, signals  # noqa: F401


def schedule_burn(**kwargs: Any) -> None:
    """The queue's minute task, so that a site that runs no burner clears the disk all the same."""
    from django_q.models import Schedule

    Schedule.objects.update_or_create(
        name="burn",
        defaults={"func": "probes.burn.burn_task", "schedule_type": Schedule.MINUTES, "minutes": 1, "repeats": -1},
    )
