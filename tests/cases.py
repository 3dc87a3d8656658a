"""Small stand-ins for a finding and a run, for tests of what is concluded."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

from probes import seed, verdict
from probes.evidence import ACCEPTED, Finding
from probes.examination import Ask, Examination, latest
from probes.exchange import Exchange
from probes.verdict import Case, Conclusion

CATALOGUE = seed.read_catalogue()
TODAY = dt.date(2026, 11, 24)
OPENAI = CATALOGUE.providers["openai"]


def finding(word: str = "active", cause: str | None = None, proves: bool = True, **more: Any) -> Finding:
    base: Finding = {
        "probe": "models",
        "kind": "models",
        "call": "GET https://api.openai.com/v1/models",
        "status": 200,
        "elapsed_ms": 1,
        "request_id": None,
        "code": None,
        "message": None,
        "verdict": word,
        "cause": cause,
        "evidence": [],
        "accepted": proves and word in ACCEPTED,
        "proves_key": proves,
        "public": False,
        "models": None,
        "pays": None,
    }
    return base | more


def conclude(
    *findings: Finding,
    provider: seed.Provider | None = OPENAI,
    base_url: str = "",
    distinctive: bool = True,
    catalogue: seed.Catalogue = CATALOGUE,
) -> Conclusion:
    return verdict.conclude(Case(catalogue, provider, base_url, distinctive, list(findings)))


def answer(status: int, body: Any = None, headers: dict[str, str] | None = None, call: str = "GET x") -> Exchange:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Exchange.of(call, None, status, headers or {}, raw, 1)


def run(examination: Examination, answers: Callable[[Ask], Exchange]) -> tuple[list[Finding], list[Ask]]:
    """Every finding and every call of an examination."""
    findings: list[Finding] = []
    asked: list[Ask] = []
    while asks := examination.next():
        asked += asks
        for ask in asks:
            findings += examination.answer(ask, answers(ask))
    assert examination.done
    return latest(findings), asked
