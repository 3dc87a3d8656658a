"""Check keys from standard input, with the same core as the site, and without storing anything."""

from __future__ import annotations

import json
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from probes import evidence, report
from probes.client import Client
from probes.evidence import ACCEPTED, REFUSED, Finding
from probes.examination import Ask, Examination
from probes.forms import CheckForm, Planned
from probes.models import State
from probes.report import Examined, Reported
from probes.terms import Catalogue

ALL_ACCEPTED, SOME_REFUSED, SOME_NOT_TOLD = 0, 3, 4


class Command(BaseCommand):
    help = (
        "Check keys from standard input, one a line. Exit status: 0 all accepted, 3 some refused, "
        "4 some not told (also lines that were not sent), 2 nothing to check."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", default="", help="slug of the provider; absent = find out")
        parser.add_argument("--base-url", default="", help="the gateway's or relay's address")
        parser.add_argument("--json", action="store_true", help="print the JSON of the site's result page")

    def handle(self, *args: Any, **options: Any) -> None:
        data = {"keys": sys.stdin.read(), "provider": options["provider"], "base_url": options["base_url"]}
        form = CheckForm(data)
        if not form.is_valid():
            for row in form.plan.refused:
                self.stderr.write(f"line {row['line']}: not sent, because {row['reason']}")
            texts = [str(error) for errors in form.errors.values() for error in errors]
            raise CommandError(" ".join(texts), returncode=2)
        started = timezone.now()
        keys = [self._examine(form.catalogue, planned) for planned in form.plan.keys]
        lab = bool(settings.LAB_URL)
        document, reports = report.of_check(form.catalogue, keys, form.plan.refused, started, started, lab)
        if options["json"]:
            self.stdout.write(json.dumps(document, indent=2))
        else:
            self._print(reports, form.plan.refused)
        sys.exit(exit_status(document))

    def _examine(self, catalogue: Catalogue, planned: Planned) -> Examined:
        findings = run(catalogue, planned) if planned.state == State.QUEUED else []
        return Examined(
            line=planned.pasted.line,
            label=planned.pasted.label,
            state=(State.DONE if planned.state == State.QUEUED else planned.state).value,
            candidates=list(planned.candidates),
            distinctive=planned.pasted.match.distinctive,
            provider=planned.provider,
            base_url=planned.base_url,
            key_destroyed_at=None,
            findings=findings,
            notices=planned.pasted.notices,
        )

    def _print(self, reports: list[Reported], refused: list[dict[str, Any]]) -> None:
        for reported in reports:
            if reported.json["state"] == State.NEEDS_CHOICE:
                names = ", ".join(reported.json["candidates"]) or "any provider"
                self.stdout.write(f"{reported.json['label']}: which provider? ({names}) Use --provider or --base-url.")
            else:
                self.stdout.write(report.summary(reported))
        for row in refused:
            self.stdout.write(f"line {row['line']}: not sent, because {row['reason']}")


def run(catalogue: Catalogue, planned: Planned) -> list[Finding]:
    """All findings of one key, asked from here and now."""
    provider = catalogue.providers.get(planned.provider)
    shape = planned.pasted.match.shape
    today = timezone.now().date()
    examination = Examination(catalogue, provider, planned.base_url, today, shape.name if shape else "")
    client = Client(settings.LAB_URL, tuple(settings.PRIVATE_GATEWAYS))
    own = evidence.read_form(catalogue, shape, planned.pasted.facts) if shape else None
    secret, findings = planned.pasted.secret, list[Finding]([own] if own else [])
    with ThreadPoolExecutor(8) as threads:
        running: dict[Any, Ask] = {}
        while True:
            for ask in examination.next():
                running[threads.submit(client.send, ask.call, secret)] = ask
            if not running:
                return findings
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                findings += examination.answer(running.pop(future), future.result())


def exit_status(document: dict[str, Any]) -> int:
    """0 all accepted, 3 some refused, 4 some not told."""
    verdicts = [d["verdict"] for d in document["detections"]]
    if any(v in REFUSED for v in verdicts):
        return SOME_REFUSED
    return ALL_ACCEPTED if all(v in ACCEPTED for v in verdicts) and not document["refused"] else SOME_NOT_TOLD
