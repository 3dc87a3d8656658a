"""From findings to a conclusion: whose key, what it may do, how far it can go, what to do next. Pure.

Unknown is the default; every other word is earned by a finding. The order in which findings
that disagree are settled (docs/decisions.md, "When findings disagree"):

1. A proof of acceptance beats a refusal at another route.
2. Among acceptances the one that hinders most speaks: leaked, revoked, suspended (said on an
   accepted call), no_credit, restricted, rate_limited, active.
3. Without an acceptance, the refusal that says most: leaked, revoked, suspended, invalid, region_blocked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from probes.evidence import ACCEPTED, REFUSED, Finding
from probes.terms import AIModel, Catalogue, Metric, Provider, Sender

HINDERING = ("leaked", "revoked", "suspended", "no_credit", "restricted", "rate_limited", "active")
REFUSING = ("leaked", "revoked", "suspended", "invalid", "region_blocked")
LOW_BALANCE = {"USD": Decimal(1), "CNY": Decimal(7)}
STATES = ("confirmed", "partial", "invisible", "not_exposed")
STEPS = ("identified", "inventory", "pricing", "routing", "launch")


@dataclass(frozen=True)
class Case:
    """What is concluded about: a key's shape, its claim, and the findings."""

    catalogue: Catalogue
    provider: Provider | None
    base_url: str
    distinctive: bool
    findings: list[Finding]
    interrupted: bool = False
    cancelled: bool = False

    @property
    def custom(self) -> bool:
        """Whether a host was asked that is none of the provider's own."""
        return bool(self.base_url) and not (self.provider and self.provider.owns(self.base_url))


@dataclass(frozen=True)
class Conclusion:
    identity: str
    identity_evidence: list[tuple[str, dict[str, Any]]]  # (slug of words.IDENTITY_EVIDENCE, its values)
    verdict: str
    cause: str | None
    gateway: str | None
    ability_to_pay: str
    pay_evidence: str | None
    models: dict[str, Any]
    models_public: bool
    case: Case = field(repr=False, compare=False)
    path: list[tuple[str, str, str]]  # (step, yes | no | not_tested, slug of words.PATH_REASONS)
    next_actions: list[str] = field(default_factory=list)

    @cached_property
    def capabilities(self) -> list[dict[str, str | None]]:
        """The ten, as far as they were seen: only a whole report asks for them."""
        return _capabilities(self.case)


def conclude(case: Case) -> Conclusion:
    verdict, cause = _verdict(case)
    gateway = _gateway(case) if case.custom else None
    identity, why = _custom_identity(case, gateway) if case.custom else _official_identity(case)
    why += [(hint["slug"], hint) for finding in case.findings for hint in finding.get("hints", ())]
    pays, pay_evidence = _ability_to_pay(case.findings, verdict)
    if verdict == "active" and pays == "yes" and cause is None and _low_balance(case.findings):
        cause = "low_balance"
    models, public = _models(case)
    path = _path(case, identity, verdict, pays, models, public)
    return Conclusion(
        identity=identity,
        identity_evidence=why,
        verdict=verdict,
        cause=cause,
        gateway=gateway,
        ability_to_pay=pays,
        pay_evidence=pay_evidence,
        models=models,
        models_public=public,
        case=case,
        path=path,
        next_actions=_next_actions(case, verdict, cause, identity, path),
    )


# Verdict


def _verdict(case: Case) -> tuple[str, str | None]:
    accepted = [f for f in case.findings if f["accepted"]]
    if accepted:
        # A side probe's answer to an accepted key (no balance, account suspended) counts too.
        accepted += [f for f in case.findings if not f["proves_key"] and f["verdict"] in ("no_credit", "suspended")]
        return _strongest(accepted, HINDERING)
    refused = [f for f in case.findings if f["verdict"] in REFUSING and (f["proves_key"] or not _proving(case))]
    if refused:
        verdict, cause = _strongest(refused, REFUSING)
        return (
            (verdict, cause)
            if verdict != "invalid" or _all_regions(case, refused)
            else ("unknown", "other_region_silent")
        )
    causes = [f["cause"] for f in case.findings if f["proves_key"]] or [f["cause"] for f in case.findings]
    if case.interrupted and not causes:
        return "unknown", "cancelled" if case.cancelled else "interrupted"
    if not case.custom and case.provider and case.provider.unprovable and (causes or not case.provider.probes):
        return "unknown", "unprovable"
    return "unknown", causes[0] if causes else None


def _all_regions(case: Case, refused: list[Finding]) -> bool:
    """Whether every region of the vendor has refused: a key is good in its own region only."""
    if case.base_url or not case.provider:
        return True
    origins = case.provider.origins
    return {urlsplit(origins[r]).hostname for r in case.provider.regions} <= {_host(f) for f in refused}


def _proving(case: Case) -> bool:
    return any(f["proves_key"] for f in case.findings)


def _strongest(findings: list[Finding], order: tuple[str, ...]) -> tuple[str, str | None]:
    best = min(findings, key=lambda f: (order.index(f["verdict"]), f["cause"] is None))
    return best["verdict"], best["cause"]


# Identity


def _official_identity(case: Case) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    if case.provider is None:
        return "unproven", []
    name = case.provider.name
    shape = [("shape", {"provider": name})] if case.distinctive else [("chosen", {"provider": name})]
    proof = next((f for f in case.findings if f["accepted"]), None)
    if proof:
        return "proven", [("accepted", {"host": _host(proof), "probe": proof["probe"]}), *shape]
    refusal = next((f for f in case.findings if f["verdict"] in REFUSED and f["proves_key"]), None)
    why = [*shape, ("refused", {"host": _host(refusal)})] if refusal else [*shape, ("not_proved", {})]
    return ("consistent" if case.distinctive else "unproven"), why


def _custom_identity(case: Case, gateway: str | None) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """At a custom base URL only fingerprints speak; the claimed provider's own prove nothing: relays pass them on."""
    claim = case.provider.name if case.provider else ""
    host = urlsplit(case.base_url).hostname or ""
    marks = _marks(case.findings, "gateways").get(gateway or "", [])
    if gateway:
        software = case.catalogue.gateways[gateway]
        told = {"host": host, "software": software.name}
        why = [("software", told | {"mark": mark}) for mark in _weightiest(marks, software)]
        return "contradicted", [("claim", {"claim": claim}), *why]
    others = {
        s: m for s, m in _marks(case.findings, "providers").items() if not case.provider or s != case.provider.slug
    }
    if others:
        slug = max(others, key=lambda s: len(others[s]))
        sender = case.catalogue.providers[slug]
        told = {"host": host, "sender": sender.name}
        why = [("sender", told | {"mark": mark}) for mark in _weightiest(others[slug], sender)]
        return "contradicted", [("claim", {"claim": claim}), *why]
    denied = _marks(case.findings, "denials").get(case.provider.slug, []) if case.provider else []
    if denied:
        why = [("denial", {"host": host, "provider": claim, "mark": mark}) for mark in denied]
        return "contradicted", [("claim", {"claim": claim}), *why]
    return "unproven", [("claim", {"claim": claim}), ("no_mark", {"host": host})]


def _marks(findings: list[Finding], kind: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in findings:
        for slug, names in finding.get("marks", {}).get(kind, {}).items():
            found[slug] = list(dict.fromkeys(found.get(slug, []) + names))
    return found


def _weightiest(marks: list[str], sender: Sender) -> list[str]:
    """In the order of the sender's file, whichever answer came first."""
    place = {mark.name: number for number, mark in enumerate(sender.fingerprints)}
    return sorted(marks, key=lambda mark: place.get(mark, len(place)))


def _gateway(case: Case) -> str | None:
    counts = {slug: len(names) for slug, names in _marks(case.findings, "gateways").items()}
    return recognised(case.catalogue, counts)


def recognised(catalogue: Catalogue, counts: dict[str, int]) -> str | None:
    """The software with most marks. A web server's page counts only where nothing behind it shows itself."""
    marked = sorted(slug for slug, count in counts.items() if count)
    return max(marked, key=lambda slug: (bool(catalogue.gateways[slug].probes), counts[slug]), default=None)


def _host(finding: Finding) -> str:
    return urlsplit(finding["call"].partition(" ")[2]).hostname or ""


# What it can do


def _ability_to_pay(findings: list[Finding], verdict: str) -> tuple[str, str | None]:
    """yes, no or not_tested, and the probe that shows it. Accepted is not able to pay."""
    told = [(f["pays"], f["probe"]) for f in findings if f["pays"] is not None]
    if verdict == "no_credit":
        return "no", next((f["probe"] for f in findings if f["verdict"] == "no_credit"), None)
    if verdict not in ACCEPTED or not told:
        return "not_tested", None
    pays, probe = min(told)
    return ("yes" if pays else "no"), probe


def _low_balance(findings: list[Finding]) -> bool:
    """Whether a balance was seen that pays for hardly more than a try."""
    seen = [e for f in findings for e in f["evidence"] if e["metric"] == "balance_total" and e["value"] is not None]
    return any(Decimal(str(e["value"])) < LOW_BALANCE[e["unit"]] for e in seen if e["unit"] in LOW_BALANCE)


def _models(case: Case) -> tuple[dict[str, Any], bool]:
    """Covered and visible, covered and missing, visible and new; and whether the list answers anyone."""
    lists = [f for f in case.findings if f["models"] is not None]
    own = [f for f in lists if not f["public"] and f["accepted"]]
    best = next(iter(own or [f for f in lists if f["public"]]), None)
    covered = _covered(case)
    if best is None:
        return {"visible": None, "covered": [], "missing": [], "new": []}, False
    seen = set(best["models"])
    return {
        "visible": len(best["models"]),
        "covered": [m.id for m in covered if m.id in seen],
        "missing": [m.id for m in covered if m.id not in seen],
        "new": [i for i in best["models"] if i not in {m.id for m in covered}],
    }, bool(best["public"])


def _covered(case: Case) -> tuple[AIModel, ...]:
    return case.provider.models if case.provider else ()


def _capabilities(case: Case) -> list[dict[str, str | None]]:
    """The ten, known ones first. A capability's state is rolled up from its metrics; None = nothing was seen."""
    metrics = case.catalogue.shared.metric
    states: dict[str, set[str]] = {}
    for finding in case.findings:
        for item in finding["evidence"]:
            states.setdefault(_capability_of(metrics, item["metric"]), set()).add(item["state"])
    if case.provider and not case.custom and any(f["accepted"] for f in case.findings):
        for withheld in case.provider.not_exposed:
            states.setdefault(_capability_of(metrics, withheld.metric), set()).add("not_exposed")
    rows: list[dict[str, str | None]] = [
        {"slug": c.slug, "label": c.label, "state": _rolled(states.get(c.slug, set()))}
        for c in case.catalogue.shared.capabilities
    ]
    return sorted(rows, key=lambda row: STATES.index(row["state"]) if row["state"] else len(STATES))


def _capability_of(metrics: Mapping[str, Metric], name: str) -> str:
    return metrics[name].capability if name in metrics else ""


def _rolled(states: set[str]) -> str | None:
    if "confirmed" in states or "partial" in states:
        return "partial" if states & {"partial", "invisible"} else "confirmed"
    return next((state for state in STATES if state in states), None)


# How far it goes


def _path(
    case: Case, identity: str, verdict: str, pays: str, models: dict[str, Any], public: bool
) -> list[tuple[str, str, str]]:
    """The five steps. The first that is not yes stops those behind it."""
    steps: list[tuple[str, str, str]] = []
    for step in STEPS:
        if steps and steps[-1][1] != "yes":
            steps.append((step, "not_tested", "after_" + next(s for s, state, _ in steps if state != "yes")))
            continue
        state, reason = _STEP_RULES[step](case, identity, verdict, pays, models, public)
        steps.append((step, state, reason))
    return steps


def _identified(case: Case, identity: str, verdict: str, *_: Any) -> tuple[str, str]:
    if identity == "contradicted":
        return "no", "another_sender"
    if verdict in REFUSED:
        return "no", "refused"
    if identity == "proven":
        return "yes", "accepted_by_origin"
    return "not_tested", "not_proved"


def _inventory(
    case: Case, identity: str, verdict: str, pays: str, models: dict[str, Any], public: bool
) -> tuple[str, str]:
    if pays != "yes":
        return ("no", "cannot_pay") if pays == "no" else ("not_tested", "pay_not_tested")
    if not _covered(case):
        return "no", "no_covered_models"
    if models["visible"] is None or public:
        return "not_tested", "models_not_seen"
    return ("yes", "models_visible") if models["covered"] else ("no", "covered_models_missing")


def _pricing(
    case: Case, identity: str, verdict: str, pays: str, models: dict[str, Any], public: bool
) -> tuple[str, str]:
    visible = [m for m in _covered(case) if m.id in set(models["covered"])]
    if all(m.route_based or (m.input_price is not None and m.output_price is not None) for m in visible):
        return "yes", "prices_known"
    return "no", "prices_missing"


def _routing(case: Case, identity: str, verdict: str, *_: Any) -> tuple[str, str]:
    return ("yes", "answers_calls") if verdict in ("active", "restricted") else ("no", "not_callable_now")


def _launch(case: Case, identity: str, verdict: str, *_: Any) -> tuple[str, str]:
    if verdict != "active":
        return "no", "permissions_limited"
    return "yes", "nothing_in_the_way"


_STEP_RULES = {
    "identified": _identified,
    "inventory": _inventory,
    "pricing": _pricing,
    "routing": _routing,
    "launch": _launch,
}

# Causes that pass by themselves: asking again later may tell more.
NO_ANSWER = ("timeout", "dns", "tls", "refused", "reset", "blocked", "unreachable", "bad_http")
NOT_ASKED = ("interrupted", "cancelled", "not_asked")  # our own doing: the provider had nothing to answer
PASSING = (*NO_ANSWER, *NOT_ASKED, "provider_error", "overloaded", "rate_limited_by_address", "other_region_silent")

_BY_VERDICT = {
    "no_credit": ["top-up", "add-monitoring"],
    "rate_limited": ["wait", "add-monitoring"],
    "suspended": ["replace-key", "human-review"],
    "revoked": ["replace-key"],
    "leaked": ["replace-key"],
    "region_blocked": ["change-region", "human-review"],
    "invalid": ["replace-key"],
}
_BY_STEP = {
    "identified": ["human-review"],
    "inventory": ["add-provider-config"],
    "pricing": ["import-inventory", "fill-pricing"],
    "routing": ["set-route"],
    "launch": ["set-route", "add-monitoring"],
}


def _next_actions(
    case: Case, verdict: str, cause: str | None, identity: str, path: list[tuple[str, str, str]]
) -> list[str]:
    """Slugs of words.ACTIONS, the first thing to do first; never empty."""
    if identity == "contradicted":
        return ["human-review", "add-provider-config"]
    if verdict == "unknown":
        return ["wait", "human-review"] if cause in PASSING else ["human-review"]
    if verdict in _BY_VERDICT:
        return _BY_VERDICT[verdict]
    first = ["add-permission"] if verdict == "restricted" else []
    if cause == "low_balance":
        first = ["top-up"]
    if cause and re.match("ip_not_allowed|referrer_not_allowed|app_not_allowed", cause):
        first = ["add-permission", "human-review"]
    step, reason = next(((s, r) for s, state, r in path if state != "yes"), ("launch", ""))
    then = ["human-review", "add-provider-config"] if reason == "pay_not_tested" else _BY_STEP[step]
    return list(dict.fromkeys([*first, *then, "add-monitoring"]))
