"""Run with the peer's own Python: kingfisher.py RULE KEYS CONCURRENCY OUT. Writes a line of JSON for each key."""

import json
import sys
from pathlib import Path

from kingfisher_sdk import Rules, Scanner, Validator  # type: ignore[import-not-found]

rule, keys, concurrency, out = sys.argv[1:]
findings = Scanner(Rules([rule], builtins=False)).scan(Path(keys).read_text(encoding="utf-8"))
results = Validator(concurrency=int(concurrency), allow_internal_ips=True).validate(findings)
with Path(out).open("w", encoding="utf-8") as file:
    for result in results:
        valid = "valid" if result.outcome == "verified_active" else result.outcome
        file.write(json.dumps({"status": valid}, separators=(",", ":")) + "\n")
