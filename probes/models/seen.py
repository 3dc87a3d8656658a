"""Models that vendors list to anyone and the catalogue does not have: by provider, id and day, and nothing else."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Mapping

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from probes.models.catalogue import AIModel, Provider

KEPT_DAYS = 90
NEW_A_DAY = 500  # ids of one provider
PLAIN = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9._:/+-]{0,198}")  # no space and no inner @: no sentence, no address
TUNED = re.compile(r"(?:^|[:/-])ft(?:[:-]|$)", re.I)


def nobodys(model_id: str) -> bool:
    """Whether this may be the id of a model that anyone can call: no fine-tune by its own name, nothing but an id."""
    return bool(PLAIN.fullmatch(model_id)) and not TUNED.search(model_id)


class SeenModel(models.Model):
    """How many keys of a provider listed this id on a day. Of which keys, whose, and when on that day is not kept."""

    provider = models.ForeignKey(Provider, verbose_name=_("provider"), on_delete=models.CASCADE, related_name="+")
    model_id = models.CharField(_("model id"), max_length=200)
    day = models.DateField(_("day"))
    count = models.PositiveIntegerField(_("keys that listed it"))

    class Meta:
        verbose_name = _("seen model")
        verbose_name_plural = _("seen models")
        ordering = ["provider__name", "model_id", "-day"]
        constraints = [models.UniqueConstraint(fields=["provider", "model_id", "day"], name="seen_on_a_day")]

    def __str__(self) -> str:
        return self.model_id

    @classmethod
    def count_up(cls, seen: Mapping[tuple[str, str], int]) -> None:
        """Add to today's counts, by (provider's slug, id). Three queries and one write, however many there are.

        What the catalogue has, switched off or not, is not counted; nor are new ids beyond NEW_A_DAY. Two workers
        that write at one moment lose a count: no harm.
        """
        slugs = {slug for slug, _id in seen}
        owners = dict(Provider.objects.filter(slug__in=slugs).values_list("slug", "pk"))
        covered = set(AIModel.objects.filter(provider__slug__in=slugs).values_list("provider__slug", "model_id"))
        day = timezone.now().date()
        rows = cls.objects.filter(day=day, provider__slug__in=slugs)
        today = {(slug, name): n for slug, name, n in rows.values_list("provider__slug", "model_id", "count")}
        SeenModel.objects.bulk_create(
            [
                SeenModel(provider_id=owners[key[0]], model_id=key[1], day=day, count=today.get(key, 0) + seen[key])
                for key in _bounded({key for key in seen if key[0] in owners} - covered, set(today))
            ],
            update_conflicts=True,
            unique_fields=["provider", "model_id", "day"],
            update_fields=["count"],
        )

    @classmethod
    def purge(cls) -> None:
        """Delete what is older than is kept."""
        cls.objects.filter(day__lt=timezone.now().date() - dt.timedelta(days=KEPT_DAYS)).delete()


def _bounded(seen: set[tuple[str, str]], today: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that have a row today, and of the others as many of each provider as there is still room for."""
    count, chosen = Counter(slug for slug, _id in today), list(seen & today)
    for slug, model_id in sorted(seen - today):
        if nobodys(model_id) and count[slug] < NEW_A_DAY:
            count[slug] += 1
            chosen.append((slug, model_id))
    return chosen
