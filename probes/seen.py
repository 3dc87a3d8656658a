"""Which models keys of a vendor list that the catalogue does not have: gathered in memory while keys are probed.

Of a key that was proved at the vendor's own origin alone, and only ids that are nobody's own (`evidence.public_ids`).
A base URL says nothing here, whoever answers there: its list is a relay's, or a customer's own deployments.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from django.conf import settings
from django.db import DatabaseError, transaction

from probes import evidence
from probes.evidence import Finding
from probes.exchange import Exchange
from probes.models import Detection, SeenModel, current
from probes.terms import Probe

log = logging.getLogger("testkey.worker")

IN_LAB = False  # a lab's answers are made up; tests of this say True
OF_ACCOUNT = ("owner_id", "organization_id", "project_id", "token_name")
SHORTEST = 3  # letters of an account's name that are looked for in an id
LISTS = 64  # lists that are remembered

_Key = tuple[int, str, str, tuple[str, ...]]


class Seen:
    """What one task has seen and not yet written. A list that many keys share is read once."""

    def __init__(self) -> None:
        self._known: dict[_Key, frozenset[str]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def of(self, row: Detection, probe: Probe, exchange: Exchange, listed: list[str] | None) -> frozenset[str]:
        """Ids of an answer that may be counted once its key is proved. listed: all that the answer lists."""
        told = probe.public or probe.public_models
        provider = current().providers.get(row.provider)
        if not listed or not told or provider is None or row.base_url or (settings.LAB_URL and not IN_LAB):
            return frozenset()
        key = (current().version, row.provider, probe.name, tuple(listed))
        if key not in self._known:
            if len(self._known) >= LISTS:
                self._known.clear()
            covered = {model.id for model in provider.models}
            self._known[key] = frozenset(evidence.public_ids(probe, exchange)) - covered
        return self._known[key]

    def count(self, slug: str, ids: Iterable[str], findings: list[Finding]) -> None:
        """A key of this provider is proved: what it lists counts, but for ids that hold a name of its account."""
        names = _names(findings)
        self._counts.update((slug, one) for one in ids if not any(name in one.casefold() for name in names))

    def write(self) -> None:
        """Add what was counted since the last time to the day's rows. Never raises DatabaseError."""
        counts, self._counts = self._counts, Counter()
        try:
            if counts:
                with transaction.atomic():
                    SeenModel.count_up(counts)
        except DatabaseError as error:  # no key waits for a count
            log.warning("models seen are not counted: %s", type(error).__name__)


def _names(findings: list[Finding]) -> set[str]:
    """What findings call the account and the key."""
    values = [e["value"] for f in findings for e in f["evidence"] if e["metric"] in OF_ACCOUNT]
    texts = {str(text).casefold() for value in values for text in (value if isinstance(value, list) else [value])}
    return {text for text in texts if len(text) >= SHORTEST}
