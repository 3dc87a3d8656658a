"""What one answer says: rules and metrics read from an exchange. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from probes.exchange import Exchange, clip
from probes.terms import Catalogue, Fingerprint, KeyShape, Probe, Protocol, Reading, Rule, Sender, evaluate

ACCEPTED = frozenset({"active", "restricted", "no_credit", "rate_limited"})
REFUSED = frozenset({"invalid", "revoked", "leaked", "suspended"})
MAX_MODELS = 5_000
MAX_LIST = 50
PUBLIC_LIST = "public_list"  # the cause of a list that answers anyone
KEY_FORM = "the key's own form"

Finding = dict[str, Any]
"""JSON-able: probe kind call status elapsed_ms request_id code message verdict cause evidence,
and for the conclusion: accepted proves_key spends public models pays marks hints attempts."""


@dataclass(frozen=True)
class Judgement:
    verdict: str = "unknown"
    cause: str | None = None
    matched: bool = False
    by_status: bool = False  # alone: whatever stands before a provider answers so, too


def judge(rules: tuple[Rule, ...], exchange: Exchange) -> Judgement:
    """The first rule that matches; without one, unknown, with the named cause of the failure if there is one."""
    for rule in rules:
        if exchange.status is not None and _matches(rule, exchange):
            return Judgement(rule.verdict, rule.cause or None, matched=True, by_status=not rule.when)
    if exchange.failure:
        return Judgement(cause=exchange.failure)
    if exchange.status is not None and exchange.status >= 500:
        return Judgement(cause="provider_error")
    return Judgement(cause="unrecognised_answer")


def _matches(rule: Rule, exchange: Exchange) -> bool:
    if rule.status and exchange.status not in rule.status:
        return False
    return not rule.when or bool(evaluate(rule.when, exchange.view))


def rules_of(catalogue: Catalogue, sender: Sender | Protocol, probe: Probe) -> tuple[Rule, ...]:
    """The probe's own rules, then its sender's, then the shared sets that the sender names."""
    shared = tuple(r for name in sender.rule_sets for r in catalogue.shared.rule_sets[name])
    return probe.rules + sender.rules + shared


def read(catalogue: Catalogue, sender: Sender | Protocol, probe: Probe, exchange: Exchange) -> Finding:
    """The finding of one probe."""
    judged = judge(rules_of(catalogue, sender, probe), exchange)
    if not probe.sends_key and judged.verdict not in ("unknown", "region_blocked"):
        judged = Judgement(cause=judged.cause, matched=judged.matched)  # no key was sent: nothing is said of one
    status = exchange.status
    good = status is not None and 200 <= status < 300 and not exchange.failure
    accepted = (
        probe.proves_key
        and not judged.by_status
        and (judged.verdict in ACCEPTED or (good and judged.matched and judged.verdict in REFUSED - {"invalid"}))
    )
    code, message = said(exchange)
    return {
        "probe": probe.name,
        "kind": probe.kind or probe.name,
        "call": exchange.call,
        "status": status,
        "elapsed_ms": exchange.elapsed_ms,
        "request_id": exchange.request_id,
        "code": code,
        "message": message,
        "verdict": judged.verdict,
        "cause": judged.cause,
        "evidence": [e for r in probe.metrics for e in _evidence(catalogue, r, judged, exchange, good)],
        "accepted": accepted,
        "proves_key": probe.proves_key,
        "spends": bool(probe.spends),
        "public": probe.public,
        "models": model_ids(probe, exchange) if good else None,
        "pays": _truth(probe.pays, exchange) if judged.matched else None,
    }


def read_form(catalogue: Catalogue, shape: KeyShape, facts: Mapping[str, Any]) -> Finding | None:
    """What a key says of itself, as a finding that judges nothing; None where it says nothing."""
    exchange = Exchange(call=KEY_FORM, body=dict(facts))
    items = [
        {
            "metric": r.name,
            "value": value,
            "unit": unit_of(catalogue, r, exchange),
            "state": "confirmed",
            "read_from": f"{KEY_FORM}: {r.read}",
        }
        for r in shape.metrics
        if (value := value_of(r, exchange)) is not None
    ]
    if not items:
        return None
    nothing = dict.fromkeys(("status", "request_id", "code", "message", "models", "pays"))
    said = {"probe": "key_form", "kind": "key_form", "call": KEY_FORM, "elapsed_ms": 0, "verdict": "unknown"}
    flags = {"accepted": False, "proves_key": False, "public": False}
    return {**nothing, **said, **flags, "cause": "key_form", "evidence": items}


def _evidence(
    catalogue: Catalogue, reading: Reading, judged: Judgement, exchange: Exchange, good: bool
) -> list[dict[str, Any]]:
    """One metric of a probe, or nothing where the answer allows no statement."""
    value, read_from = None, reading.read
    if reading.name == "key_valid":
        read_from = f"status {exchange.status}"
        if judged.verdict in ACCEPTED:
            value = True
        elif judged.verdict in REFUSED:
            value = False
        if value is None:
            return []
    elif good and judged.matched and judged.verdict != "invalid":
        value = value_of(reading, exchange)
    state = state_of(value, judged, exchange, good)
    if state is None:
        return []
    return [
        {
            "metric": reading.name,
            "value": value,
            "unit": unit_of(catalogue, reading, exchange),
            "state": state,
            "read_from": read_from,
        }
    ]


def state_of(value: Any, judged: Judgement, exchange: Exchange, good: bool) -> str | None:
    """confirmed, partial, invisible, not_exposed; None where nothing can be said."""
    if value is not None:
        return "partial" if isinstance(value, list) and len(value) >= MAX_LIST else "confirmed"
    if not judged.matched or judged.verdict in REFUSED or judged.verdict == "region_blocked":
        return None
    if good:
        return "not_exposed"
    return "invisible" if exchange.status in (401, 403) else None


def value_of(reading: Reading, exchange: Exchange) -> Any:
    """A metric's value in its type, or None. Lists hold at most MAX_LIST items, texts 200 characters."""
    value = evaluate(reading.read, exchange.view)
    if value is None or value == "":
        return None
    try:
        return _typed(reading, value, exchange)
    except (ValueError, TypeError, ArithmeticError, OSError):
        return None


def _typed(reading: Reading, value: Any, exchange: Exchange) -> Any:
    if reading.type == "list" or (not reading.type and isinstance(value, list)):
        items = [clip(str(v)) for v in (value if isinstance(value, list) else [value]) if v not in (None, "")]
        return list(dict.fromkeys(items))[:MAX_LIST] or None
    if reading.type == "boolean" or isinstance(value, bool):
        return value if isinstance(value, bool) and reading.type in ("", "boolean") else None
    if reading.type == "time":
        return instant(value)
    if reading.type in ("integer", "decimal"):
        number = Decimal(str(value)) * Decimal(reading.scale or "1")
        if reading.minus:
            number -= Decimal(str(evaluate(reading.minus, exchange.view))) * Decimal(reading.scale or "1")
        if not number.is_finite() or abs(number) > Decimal("1e18"):
            return None
        return int(number) if reading.type == "integer" else plain(number)
    return clip(value) if isinstance(value, str) else clip(str(value))


def plain(number: Decimal) -> str:
    """A decimal as people write it: no exponent, no closing zeros beyond two places."""
    whole, _, part = format(number.quantize(Decimal("0.000001")) + 0, "f").partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"


def instant(value: Any) -> str | None:
    """ISO 8601 in UTC from ISO text, or from seconds or milliseconds since 1970. Zero and below: None ("never")."""
    if isinstance(value, int | float) or (isinstance(value, str) and value.isdigit()):
        seconds = float(value)
        seconds = seconds / 1000 if seconds > 1e11 else seconds
        return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat() if seconds > 0 else None
    moment = dt.datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC).isoformat()


def unit_of(catalogue: Catalogue, reading: Reading, exchange: Exchange) -> str | None:
    if reading.unit_read:
        unit = evaluate(reading.unit_read, exchange.view)
        return clip(unit, 16) if isinstance(unit, str) else None
    metric = catalogue.shared.metric.get(reading.name)
    own = metric.unit if metric else ""
    return reading.unit or (own if own != "currency" else "") or None


def model_ids(probe: Probe, exchange: Exchange) -> list[str] | None:
    """The ids that a models probe lists, at most MAX_MODELS; None where the answer holds no list."""
    return _ids(probe.models, exchange)


def public_ids(probe: Probe, exchange: Exchange) -> list[str]:
    """Those of them that are nobody's own: of a list that answers anyone all, of another what its file says."""
    return _ids(probe.models if probe.public else probe.public_models, exchange) or []


def _ids(text: str, exchange: Exchange) -> list[str] | None:
    ids = evaluate(text, exchange.view) if text else None
    if not isinstance(ids, list):
        return None
    return list(dict.fromkeys(clip(i).removeprefix("models/") for i in ids[:MAX_MODELS] if isinstance(i, str) and i))


CODES = (
    ("error", "code"),
    ("error", "status"),
    ("error", "type"),
    ("detail", "status"),
    ("base_resp", "status_code"),
    ("code",),
    ("error_code",),
)
MESSAGES = (
    ("error", "message"),
    ("detail", "message"),
    ("base_resp", "status_msg"),
    ("message",),
    ("detail",),
    ("error",),
    ("title",),
)


def said(exchange: Exchange) -> tuple[str | None, str | None]:
    """The sender's own machine word and first 200 characters, where the usual envelopes have them."""
    code, message = _first(exchange.body, CODES), _first(exchange.body, MESSAGES)
    good = exchange.status is not None and exchange.status < 400
    if message is None and not good and exchange.body is None and exchange.text.strip():
        message = exchange.text.strip()
    return (clip(str(code), 64) if code is not None else None, clip(message) if isinstance(message, str) else None)


def _first(body: Any, places: tuple[tuple[str, ...], ...]) -> str | int | None:
    """The first place that holds something. In Python, since every answer is asked and JMESPath is slow."""
    for place in places:
        value = body
        for name in place:
            value = value.get(name) if isinstance(value, dict) else None
        if value not in (None, False, "", [], {}):
            return value if isinstance(value, str | int) and not isinstance(value, bool) else None
    return None


def _truth(text: str, exchange: Exchange) -> bool | None:
    value = evaluate(text, exchange.view) if text else None
    return value if isinstance(value, bool) else None


def marks(fingerprints: Iterable[Fingerprint], exchange: Exchange) -> list[str]:
    """Names of the fingerprints that this answer shows."""
    if exchange.status is None:
        return []
    return [m.name for m in fingerprints if evaluate(m.when, exchange.sample)]


def all_marks(catalogue: Catalogue, exchange: Exchange) -> dict[str, dict[str, list[str]]]:
    """What an answer shows of every gateway and provider, and what it shows that a provider never does."""
    known = {
        "gateways": {s.slug: s.fingerprints for s in catalogue.gateways.values()},
        "providers": {s.slug: s.fingerprints for s in catalogue.providers.values()},
        "denials": {s.slug: s.denials for s in catalogue.providers.values()},
    }
    return {
        kind: {slug: found for slug, prints in senders.items() if (found := marks(prints, exchange))}
        for kind, senders in known.items()
    }
