"""How fast is a public page? Measured against an empty answer of the same server in the same run.

    python benchmarks/public_page.py [rounds] [seconds a round]

Starts granian as `manage.py dev` does, in a data folder of its own, and asks both addresses by
turns, with `wrk` if there is one, else with a few threads. Goal: at least 0.7 of the empty answer's rate.
Then prints what a first render costs in queries and CPU, for each kind of page: at most 12, and 15 ms.
"""

import http.client
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = "/provider-key-probes/huggingface-inventory-fit/"
EMPTY = "/empty/"
PORT = 8917
CONNECTIONS = 16
SAMPLE = 12  # pages of each family


def environment(folder: str) -> dict[str, str]:
    return os.environ | {
        "TESTKEY_DATA_DIR": folder,
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def server(env: dict[str, str]) -> Iterator[None]:
    command = (
        f"--interface wsgi --host 127.0.0.1 --port {PORT} --workers 2 --blocking-threads 4 testkey.wsgi:application"
    )
    granian = Path(sys.executable).with_name("granian")
    process = subprocess.Popen(
        [granian, *command.split()], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 30
        while True:
            with suppress(OSError):
                fetch(EMPTY)
                break
            if time.monotonic() > until or process.poll() is not None:
                raise SystemExit("granian did not start")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(10)


def fetch(path: str, connection: http.client.HTTPConnection | None = None) -> bytes:
    connection = connection or http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status}")
    return body


def rate(path: str, seconds: float) -> float:
    """Answers a second."""
    wrk = shutil.which("wrk")
    if not wrk:
        return _rate_by_threads(path, seconds)
    options = ["-H", "Accept-Encoding: gzip", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{seconds:.0f}s"]
    said = subprocess.run(
        [wrk, *options, f"http://127.0.0.1:{PORT}{path}"], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if not found:
        raise SystemExit(said)
    return float(found.group(1))


def _rate_by_threads(path: str, seconds: float) -> float:
    until, counts = time.monotonic() + seconds, [0] * 4

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
        while time.monotonic() < until:
            fetch(path, connection)
            counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(counts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def first_render() -> None:
    """In a process that has answered before: what each kind of page costs after the catalogue has changed."""
    import django

    django.setup()
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from probes import models
    from probes.models.shelf import shelf
    from probes.pages import FAMILIES

    client = Client(headers={"host": "localhost", "accept-encoding": "gzip"})
    rows = shelf()
    pages = ["/", "/promise/", "/errors/", "/providers/", "/capabilities/", "/models/"]
    for name, family in FAMILIES.items():
        slugs = list(family.slugs(rows))
        pages += [f"/{name}/{slug}/" for slug in slugs[:: max(1, len(slugs) // SAMPLE)][:SAMPLE]]
    medians: dict[str, list[float]] = {}
    most = 0
    for page in pages:
        client.get(page)
        cpu = []
        for _ in range(5):
            models.CatalogueState.bump()
            models.forget()
            with CaptureQueriesContext(connection) as asked:
                began = time.process_time()
                client.get(page)
                cpu.append((time.process_time() - began) * 1000)
        most = max(most, len(asked))
        medians.setdefault(page.split("/")[1] or "the form", []).append(statistics.median(cpu))
    print(f"first render after a change, {len(pages)} pages: {most} queries at most (goal ≤ 12), CPU (goal ≤ 15 ms):")
    for kind, found in medians.items():
        print(f"  {kind:24} median {statistics.median(found):5.1f}  worst {max(found):5.1f}")
    print(f"  {'all':24} median {statistics.median([ms for found in medians.values() for ms in found]):5.1f}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory(prefix="testkey-bench-") as folder:
        env = environment(folder)
        for command in ("migrate", "loadcatalogue"):
            subprocess.run([sys.executable, "manage.py", command, "-v0"], cwd=ROOT, env=env, check=True)
        measured: dict[str, list[float]] = {PAGE: [], EMPTY: []}
        with server(env):
            size = len(fetch(PAGE))
            for path in measured:
                rate(path, 1)
            for number in range(rounds):
                for path in (PAGE, EMPTY) if number % 2 else (EMPTY, PAGE):
                    measured[path].append(rate(path, seconds))
        page, empty = (statistics.median(measured[path]) for path in (PAGE, EMPTY))
        print(f"public page    {page:.0f}/s median of {rounds} ({size} bytes)")
        print(f"empty answer   {empty:.0f}/s median of {rounds}")
        print(f"ratio          {page / empty:.2f} (goal ≥ 0.7)")
        os.environ.update(env)
        sys.path.insert(0, str(ROOT))
        first_render()


if __name__ == "__main__":
    main()
