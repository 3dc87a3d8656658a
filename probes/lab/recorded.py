"""The recorded exchanges: a call, its answer, and what must be concluded. Lab and tests read the same files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from probes.seed import build

EXCHANGES_DIR = Path(__file__).parent / "exchanges"
ANY_KEY = "*"


@dataclass(frozen=True)
class Recorded:
    """One file. `key` is ANY_KEY where the answer is for every key that no other file names.

    demo: a title, where the key is one that `make lab` offers to paste; base_url: what is pasted with it.
    """

    slug: str
    file: str
    case: str
    probe: str
    key: str
    call: str
    answer: Mapping[str, Any]
    conclude: Mapping[str, Any] = field(default_factory=dict)
    demo: str = ""
    base_url: str = ""

    @property
    def url(self) -> str:
        return self.call.partition(" ")[2]


def read_all(directory: Path = EXCHANGES_DIR, slug: str = "*") -> list[Recorded]:
    """Every recorded exchange, or one sender's, in the order of folder and file name. Raises ValueError naming it."""
    found = []
    for path in sorted(directory.glob(f"{slug}/*.json")):
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path.parent.name}/{path.name}: {error}") from None
        where = f"{path.parent.name}/{path.name}"
        given = {"slug": path.parent.name, "file": path.name}
        known = {k: table.pop(k) for k in ("answer", "conclude") if k in table}
        found.append(build(Recorded, table, where, **given, **known))
    return found


@cache
def demos() -> list[Recorded]:
    """The keys that `make lab` offers to paste, those that come with a base URL last."""
    return sorted((r for r in read_all() if r.demo), key=lambda r: bool(r.base_url))
