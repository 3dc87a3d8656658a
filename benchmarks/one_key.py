"""How long one key takes, and how much of it is ours: python -m benchmarks.one_key

The lab answers each call after DELAY. What a submission takes beyond the calls that wait for one
another is overhead: form, queue, worker, sealing, the page's answer and our own look every 10 ms.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testkey.settings")

from probes.lab import recorded
from probes.management.commands.proof import Browser, Stand, finished, wait_for

DELAY = 200  # ms, each call
DEPTH = 1  # calls that wait for one another: Hugging Face's are all asked at once
TIMES = 20
GOAL_OVERHEAD, GOAL_QUEUE = 250, 100  # ms


def key() -> str:
    return next(
        r.key
        for r in recorded.read_all()
        if (r.slug, r.probe) == ("huggingface", "current_key") and r.key != recorded.ANY_KEY
    )


def once(stand: Stand, text: str) -> tuple[float, float]:
    """Milliseconds from submit to verdict, and to the first call that the lab saw."""
    browser = Browser(stand.url)
    form = browser.form("/")
    start, clock = time.time(), time.monotonic()
    check = browser.submit(text, form)
    wait_for(lambda: finished(browser.report(check)), 60, every=0.01)
    took = time.monotonic() - clock
    first = min(at for at, _ in stand.asked()["recent"] if at >= start)
    return took * 1000, (first - start) * 1000


def main() -> int:
    with Stand("--lab-delay", str(DELAY)) as stand:
        text = key()
        once(stand, text)  # the first finds everything cold
        runs = [once(stand, text) for _ in range(TIMES)]
    total, queue = (statistics.median(column) for column in zip(*runs, strict=True))
    overhead = total - DELAY * DEPTH
    print(f"submit to verdict   {total:6.0f} ms, median of {TIMES} (slowest {max(run[0] for run in runs):.0f})")
    print(f"the provider's part {DELAY * DEPTH:6.0f} ms: {DEPTH} call of {DELAY} ms after another")
    print(f"overhead            {overhead:6.0f} ms, goal {GOAL_OVERHEAD}")
    print(f"submit to 1st call  {queue:6.0f} ms, goal {GOAL_QUEUE}")
    return int(overhead > GOAL_OVERHEAD or queue > GOAL_QUEUE)


if __name__ == "__main__":
    raise SystemExit(main())
