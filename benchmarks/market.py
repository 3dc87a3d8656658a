"""How long does a question to the model market take? Over 5,000 models, in a throw-away database.

    python -m benchmarks.market [rounds]

Copies the shipped models over the shipped providers with changed ids, then asks a dozen questions through Django's
test client, each answer made anew. Prints CPU and wall time, queries, and the ratio to an empty answer behind the same
middleware. Goals: at most 50 ms of CPU in the median over all questions (the wall clock counts the machine's other work
too), at most 12 queries.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

MODELS = 5_000
GOAL_MS, GOAL_QUERIES = 50, 12
QUESTIONS = (
    "/models/",
    "/models/?page=9",
    "/models/?provider=openrouter",
    "/models/?route=china",
    "/models/?context=128000&sort=context",
    "/models/?input=image&output=text",
    "/models/?input=audio&sort=input",
    "/models/?can=tool_call&can=reasoning&sort=input",
    "/models/?price=0.5&sort=output",
    "/models/?free=1&sort=name",
    "/models/?q=claude+sonnet",
    "/models/?q=gpt&route=global&context=100000&input=image&can=tool_call&price=5&sort=input&page=2",
)


def grow() -> int:
    """Copies of models at other sellers: every third under a name of its own, so that there are more rows too."""
    from probes.models import AIModel, CatalogueState, Provider

    shipped, providers = list(AIModel.objects.all()), list(Provider.objects.all())
    copies = []
    for number, row in zip(range(MODELS - len(shipped)), itertools.cycle(shipped), strict=False):
        row.pk, row.model_id = None, f"{row.model_id}-{number}"
        row.provider = providers[number % len(providers)]
        if number % 3 == 0:
            row.identity = f"{row.identity}-{number}"[:100]
        copies.append(
            AIModel(**{f.attname: getattr(row, f.attname) for f in AIModel._meta.concrete_fields if f.name != "id"})
        )
    AIModel.objects.bulk_create(copies, batch_size=500)
    CatalogueState.bump()
    return AIModel.objects.count()


def measure(ask: Callable[[], object], rounds: int) -> tuple[list[float], list[float]]:
    """CPU and wall milliseconds of each round."""
    cpu, wall = [], []
    for _ in range(rounds):
        began, at = time.process_time(), time.perf_counter()
        ask()
        cpu.append((time.process_time() - began) * 1000)
        wall.append((time.perf_counter() - at) * 1000)
    return cpu, wall


def run(rounds: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from probes import models, public

    call_command("migrate", verbosity=0)
    call_command("loadcatalogue", verbosity=0)
    count = grow()
    models.forget()
    client = Client(headers={"host": "localhost", "accept-encoding": "gzip"})

    def ask(address: str) -> None:
        public._pages.forget()
        answer = client.get(address)
        if answer.status_code != 200:
            raise SystemExit(f"{address}: {answer.status_code}")

    empty, _wall = measure(lambda: ask("/empty/"), rounds * 5)
    base = statistics.median(empty)
    print(f"{count} models; an empty answer takes {base:.2f} ms of CPU")
    print(f"{'median':>8} {'worst':>8} {'wall':>8} {'queries':>8} {'ratio':>6}  (ms of CPU, but wall)")
    medians, most = [], 0
    for address in QUESTIONS:
        with CaptureQueriesContext(connection) as asked:
            ask(address)
            queries = len(asked)
        cpu, wall = measure(lambda address=address: ask(address), rounds)  # type: ignore[misc]
        medians.append(statistics.median(cpu))
        most = max(most, queries)
        figures = f"{statistics.median(cpu):8.1f} {max(cpu):8.1f} {statistics.median(wall):8.1f} {queries:8}"
        print(f"{figures} {statistics.median(cpu) / base:6.0f}  {address}")
    print(f"server time    {statistics.median(medians):.1f} ms of CPU in the median (goal ≤ {GOAL_MS})")
    print(f"queries        {most} at most (goal ≤ {GOAL_QUERIES})")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="testkey-bench-") as folder:
        os.environ |= {"TESTKEY_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "benchmarks.settings"}
        run(int(sys.argv[1]) if len(sys.argv) > 1 else 15)


if __name__ == "__main__":
    main()
