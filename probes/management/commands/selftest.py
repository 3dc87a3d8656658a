"""Ask each provider's model list without a key and with a wrong one, and say where the catalogue's belief is wrong."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from probes import seed, terms
from probes.client import Call, Client
from probes.models import current
from probes.secret import Secret

WRONG = "invalid"  # no provider's key; nothing secret is sent


class Command(BaseCommand):
    help = (
        "Ask the model lists of these providers (absent = all) with no key and with the word 'invalid', and report "
        "lists that are believed to need a key and answer anyone, or the other way round. Exit status 1 if any."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("providers", nargs="*", metavar="PROVIDER")

    def handle(self, *args: Any, **options: Any) -> None:
        known = current().providers
        for slug in options["providers"]:
            if slug not in known:
                raise CommandError(f"there is no provider {slug!r}")
        client = Client(settings.LAB_URL)
        wrong = 0
        for slug in options["providers"] or known:
            for probe in known[slug].probes:
                if probe.models and not probe.variables and known[slug].origins:
                    wrong += not self._agrees(client, known[slug], probe)
        raise SystemExit(1 if wrong else 0)

    def _agrees(self, client: Client, provider: seed.Provider, probe: seed.Probe) -> bool:
        """Whether the answers fit what the catalogue says; a list that cannot be reached fits anything."""
        url, headers = provider.origin(probe) + probe.path, {**provider.headers, **probe.headers}
        asked = [
            client.send(Call(probe.method, url, headers), None),
            client.send(Call(probe.method, url, headers, provider.auth), Secret(WRONG)),
        ]
        statuses = [x.status if x.status is not None else x.failure for x in asked]
        opened = [x.status == 200 and isinstance(terms.evaluate(probe.models, x.view), list) for x in asked]
        silent = any(x.status is None for x in asked)
        believed, found = probe.public, opened[0] or opened[1]
        verdict = "no answer" if silent else "as believed" if believed == found else "WRONG"
        says = "public" if believed else "needs a key"
        today = timezone.now().date()
        self.stdout.write(
            f"{today} {provider.slug} {probe.call}: without a key {statuses[0]}, wrong key {statuses[1]}; "
            f"the catalogue says {says}: {verdict}"
        )
        return verdict != "WRONG"
