"""A thousand keys, one call of 200 ms each: TestKey beside two peers, in one run, at one fake provider.

    python -m benchmarks.thousand_keys [--keys N] [--runs N] [--markdown] [--without-peers]

docs/performance.md says what each figure is. All by turns, a run of each a round; figures are medians. Nothing is
sent anywhere but to 127.0.0.1, save that pip fetches the peers, once. Exit status 1: a goal was missed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import string
import time
from collections import Counter
from dataclasses import dataclass

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testkey.settings")

from django.utils import timezone

from benchmarks import fake_provider, peers, site
from benchmarks.fake_provider import ANSWERS, GOOD, LIMITED, SILENT, Fake, Figures
from probes import seed, verdict
from probes.examination import Examination
from probes.exchange import Exchange
from probes.terms import Catalogue, Provider

IN_FLIGHT = 256  # of ours, at one host
MIXED = {"401": 0.10, LIMITED: 0.05, "500": 0.05}  # parts of the keys of the mixed run, beside one that is SILENT
VERDICTS = {GOOD: "active", "401": "invalid", LIMITED: "rate_limited", "500": "unknown", SILENT: "unknown"}
GOAL_SPAN = 2.5  # times the faster peer's span, from the start to the last row
GOAL_CPU, GOAL_ACCEPT, GOAL_MEMORY = 2.5, 1.0, 64.0  # seconds and seconds for a thousand keys, MiB


def keys(number: int, start: int, mixed: bool = False) -> list[str]:
    """Made-up keys whose ends tell the fake provider what to answer."""
    chance = random.Random(start)
    ends = [end for end, part in MIXED.items() for _ in range(round(number * part))] + [SILENT] if mixed else []
    ends += [GOOD] * (number - len(ends))
    chance.shuffle(ends)
    return ["fkp_" + "".join(chance.choices(string.ascii_letters + string.digits, k=37)) + end for end in ends]


def one_call_provider() -> Provider:
    """One of the catalogue whose key costs one call, and whose rules read what the fake provider answers."""
    catalogue = seed.read_catalogue()
    return next(p for p in catalogue.providers.values() if _fits(catalogue, p))


def _fits(catalogue: Catalogue, provider: Provider) -> bool:
    if provider.auth != "bearer" or provider.retired or not provider.origins or provider.concurrency < IN_FLIGHT:
        return False
    for end, answer in ANSWERS.items():
        examination = Examination(catalogue, provider, "", timezone.now().date())
        asks = examination.next()
        if len(asks) != 1:
            return False
        body = answer.partition(b"\r\n\r\n")[2]
        exchange = Exchange.of(str(asks[0].call), None, int(end), {"content-type": "application/json"}, body, 200, ())
        found = examination.answer(asks[0], exchange)
        case = verdict.Case(catalogue, provider, "", False, found)
        if examination.next() or verdict.conclude(case).verdict != VERDICTS[end]:
            return False
    return True


def medians(runs: list[Figures]) -> Figures:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


@dataclass
class Measured:
    number: int
    clients: dict[str, Figures]  # medians; TestKey's first
    mixed: site.Run
    memory: dict[str, float]  # MiB of all TestKey's processes, by moment


def measure(number: int, rounds: int, others: list[str]) -> Measured:
    provider = one_call_provider()
    print(f"keys are checked as {provider.name}'s: {provider.probes[0].call}, one call each")
    with Fake() as fake, site.Site(fake) as ours:
        runs: dict[str, list[Figures]] = {"TestKey": [], **{name: [] for name in others}}
        memory = {"idle": ours.memory()}
        site.run(ours, keys(1, number), provider.slug)
        memory["after one key"] = ours.memory()
        seen: list[float] = []
        site.run(ours, keys(number, 0), provider.slug)
        memory["warm"] = ours.memory()  # threads, connections and both workers' catalogue are there to stay
        site.run(ours, keys(number, 0), provider.slug, lambda: seen.append(ours.memory()))
        for start in range(1, rounds + 1):
            pasted = keys(number, start)
            for name, done in runs.items():
                time.sleep(1)
                done.append(all_active(ours, pasted, provider) if name == "TestKey" else peers.run(name, fake, pasted))
                calls, arrived = done[-1]["requests"], done[-1]["keys"]
                if calls != number or arrived != number:
                    raise RuntimeError(f"{name}: {calls:.0f} calls with {arrived:.0f} keys, for {number} keys")
        memory["at most"] = max(*seen, ours.memory())
        mixed = site.run(ours, keys(number, 0, mixed=True), provider.slug)
    return Measured(number, {name: medians(done) for name, done in runs.items()}, mixed, memory)


def all_active(ours: site.Site, pasted: list[str], provider: Provider) -> Figures:
    done = site.run(ours, pasted, provider.slug)
    if done.verdicts != {"active": len(pasted)}:
        raise RuntimeError(f"TestKey told of good keys: {dict(done.verdicts)}")
    return done.figures


def expected(number: int) -> Counter[str]:
    """Verdicts that the mixed keys must get."""
    ends = Counter(key[-3:] for key in keys(number, 0, mixed=True))
    return sum((Counter({VERDICTS[end]: times}) for end, times in ends.items()), Counter())


Rows = list[list[str]]


def clients(measured: Measured) -> Rows:
    rows = [["Client", "Calls", "Peak in flight", "Span s", "Whole s", "keys/s", "CPU s", "Memory MiB"]]
    for name, m in measured.clients.items():
        numbers = [f"{m['requests']:.0f}", f"{m['peak']:.0f}", f"{m['span']:.2f}", f"{m['whole']:.2f}"]
        memory = m.get("memory", measured.memory["at most"])
        rows.append([name, *numbers, f"{measured.number / m['whole']:.0f}", f"{m['cpu']:.2f}", f"{memory:.0f}"])
    return rows


def ratios(measured: Measured) -> Rows:
    us, *others = measured.clients.values()
    kinds = {
        "Span / span": ("span", "span"),
        "Start to last row / span": ("last_row", "span"),
        "Paste to last row / whole process": ("whole", "whole"),
        "CPU / CPU": ("cpu", "cpu"),
    }
    rows = [["TestKey / peer", *list(measured.clients)[1:]]]
    return rows + [[kind, *(f"{us[a] / o[b]:.2f}" for o in others)] for kind, (a, b) in kinds.items()]


def own(measured: Measured) -> tuple[Rows, int]:
    """TestKey's own figures beside their goals, and how many goals were missed."""
    us, *others = measured.clients.values()
    part = measured.number / 1000
    floor = measured.number * fake_provider.DELAY / IN_FLIGHT
    span = GOAL_SPAN * min((o["span"] for o in others), default=float("inf"))
    mixed, wanted, memory = measured.mixed, expected(measured.number), measured.memory
    lines: list[tuple[str, float, str, float | None]] = [
        ("Paste accepted", us["accept"], "s", GOAL_ACCEPT),
        ("Review page", us["review"], "s", None),
        ("Start accepted", us["begin"], "s", GOAL_ACCEPT),
        ("Start to first call", us["first_call"], "s", None),
        ("Start to last row", us["last_row"], "s", span),
        ("Paste to last row", us["whole"], "s", None),
        ("Floor: all calls, 256 at a time", floor, "s", None),
        ("JSON of all keys", us["json"], "s", None),
        ("Result page", us["page"], "s", 1.0),
        ("CPU, all processes", us["cpu"], "s", GOAL_CPU * part),
        ("CPU, before the start", us["cpu before"], "s", None),
        *((f"CPU, {kind}", us[f"cpu {kind}"], "s", None) for kind in ("web", "queue", "burner", "dev")),
        *((f"Memory {when}", mib, "MiB", None) for when, mib in memory.items()),
        ("Memory that many keys add when warm", memory["at most"] - memory["warm"], "MiB", GOAL_MEMORY),
        ("Mixed: start to last row but one", mixed.figures["last_but_one"], "s", None),
        ("Mixed: start to last row", mixed.figures["last_row"], "s", us["last_row"] + 10),
        ("Mixed: calls", mixed.figures["requests"], "", None),
        ("Mixed: verdicts that are wrong", (wanted - mixed.verdicts).total(), "", 0),
    ]
    rows = [["Of TestKey", "Measured", "Goal"]]
    for name, value, unit, goal in lines:
        form = "{:.2f} {}" if unit == "s" else "{:.0f} {}"
        at_most = "" if goal is None or goal == float("inf") else f"≤ {form.format(goal, unit).strip()}"
        rows.append([name, form.format(value, unit).strip(), at_most])
    return rows, sum(goal is not None and value > goal for _name, value, _unit, goal in lines)


def show(rows: Rows, markdown: bool) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print(f"| {' | '.join(cells)} |" if markdown else "  ".join(cells).rstrip())
        if markdown and number == 0:
            print(f"|{'|'.join(' --- ' for _ in row)}|")
    print()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--markdown", action="store_true", help="print tables for docs/performance.md")
    parser.add_argument("--without-peers", action="store_true")
    options = parser.parse_args()
    others = [] if options.without_peers else list(peers.pins())
    for name in others:
        peers.install(name)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {options.keys} keys, median of {options.runs} runs")
    measured = measure(options.keys, options.runs, others)
    print()
    show(clients(measured), options.markdown)
    if others:
        show(ratios(measured), options.markdown)
    table, missed = own(measured)
    show(table, options.markdown)
    print(f"mixed keys: {dict(measured.mixed.verdicts)}")
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
