"""What the templates of home and result need beside the public JSON: words for slugs, ready to print."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from probes import report, words
from probes.lab import recorded
from probes.models import Check
from probes.report import Reported
from probes.terms import Provider

SHOWN_MODELS = 30


def fingerprint(document: dict[str, Any]) -> str:
    """A word that changes when the report does; random enough to tell nothing else."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def context(
    token: str, check: Check, document: dict[str, Any], reports: list[Reported], choice: Any = None
) -> dict[str, Any]:
    left = max(0, round((check.burns_at - timezone.now()).total_seconds()))
    return {
        "token": token,
        "check": check,
        "running": document["check"]["state"] == "running",
        "keys": [key(r) for r in reports],
        "refused": document["refused"],
        "left": left,
        "clock": f"{left // 60}:{left % 60:02d}",
        "choice": choice,
        "choice_line": choice.cleaned_data.get("line") if choice else None,
        "providers": _offered(reports[0]) if reports else [],
    }


def _offered(reported: Reported) -> list[Provider]:
    """The providers that a waiting key may be sent to, by name."""
    known = reported.case.catalogue.providers.values()
    return sorted((p for p in known if not p.retired), key=lambda p: p.name.casefold())


def key(reported: Reported) -> dict[str, Any]:
    """One key, in the order in which it is read: whose, verdict, what blocks it, next action, path, evidence."""
    shown, done, case = reported.json, reported.conclusion, reported.case
    host = report.host(reported)
    _word, shape, tone = words.VERDICTS[shown["verdict"]]
    text = words.verdict_text(shown["verdict"], host, report.silent(shown["cause"]))
    take = report.take_along(reported)
    known = [c for c in shown["capabilities"] if c["state"]]
    return {
        **shown,
        "waiting": shown["state"] in ("queued", "probing"),
        "needs_choice": shown["state"] == "needs_choice",
        "host": host,
        "notices": [words.NOTICES[slug] for slug in reported.notices],
        "identity_text": report.identity_text(reported),
        "identity_tone": words.IDENTITIES[done.identity][1],
        "verdict_text": text,
        "verdict_shape": shape,
        "verdict_tone": tone,
        "cause_text": words.cause_text(shown["cause"], shown["verdict"]),
        "pay_text": words.ABILITY_TO_PAY[shown["ability_to_pay"]],
        "pay_probe": done.pay_evidence,
        "actions": [
            {**a, "copy": take.get(a["slug"]), "id": report.take_along_id(a["slug"], shown["line"])}
            for a in shown["next_actions"]
        ],
        "steps": [{**s, "label": words.STEPS[s["step"]], "word": words.STEP_STATES[s["state"]]} for s in shown["path"]],
        "calls": [_finding(case, i, f) for i, f in enumerate(shown["findings"])],
        "withheld": _withheld(reported),
        "limits": _facts(reported, "limit-matrix"),
        "balance": _facts(reported, "balance-and-quota"),
        "models_public": done.models_public,
        "more_new": max(0, len(shown["models"]["new"]) - SHOWN_MODELS),
        "shown_new": shown["models"]["new"][:SHOWN_MODELS],
        "known": [_capability(c) for c in known],
        "unknown": [_capability(c) for c in shown["capabilities"] if not c["state"]],
        "count_text": _("%(known)d of %(all)d capabilities") % {"known": len(known), "all": len(shown["capabilities"])},
        "candidate_names": [
            (slug, case.catalogue.providers[slug].name, ", ".join(case.catalogue.providers[slug].hosts))
            for slug in shown["candidates"]
            if slug in case.catalogue.providers and not case.catalogue.providers[slug].retired
        ],
        "summary": report.summary(reported) if shown["state"] == "done" else "",
        "next_label": shown["next_actions"][0]["label"] if shown["next_actions"] else "",
    }


def _finding(case: Any, index: int, finding: dict[str, Any]) -> dict[str, Any]:
    _word, shape, tone = words.VERDICTS[finding["verdict"]]
    host = finding["call"].partition("//")[2].partition("/")[0]
    labels = {m.name: m.label for m in case.catalogue.shared.metrics}
    keyless = finding["cause"] in ("public_list", "keyless")
    return {
        **finding,
        "id": f"{index}-{finding['probe']}",
        "open": finding["verdict"] != "unknown" and bool(finding["evidence"]),
        "verdict_text": words.cause_text(finding["cause"]).rstrip(".")
        if keyless
        else words.verdict_text(finding["verdict"], host, report.silent(finding["cause"])),
        "verdict_shape": "·" if keyless else shape,
        "verdict_tone": "plain" if keyless else tone,
        "cause_text": "" if keyless else words.cause_text(finding["cause"], finding["verdict"]),
        "facts": [
            {
                **e,
                "label": _(labels.get(e["metric"], e["metric"])),
                "text": report.plain(e),
                "state_text": words.EVIDENCE_STATES[e["state"]],
            }
            for e in finding["evidence"]
        ],
    }


def _facts(reported: Reported, capability: str) -> list[dict[str, Any]]:
    """Facts of one capability over all probes: limits, balance."""
    metrics = {m.name: m for m in reported.case.catalogue.shared.metrics if m.capability == capability}
    return [
        {
            "label": _(metrics[e["metric"]].label),
            "text": report.plain(e),
            "state_text": words.EVIDENCE_STATES[e["state"]],
            "probe": f["probe"],
        }
        for f in reported.json["findings"]
        for e in f["evidence"]
        if e["metric"] in metrics
    ]


def _withheld(reported: Reported) -> list[dict[str, Any]]:
    provider = reported.case.provider
    if provider is None or reported.case.custom:
        return []
    labels = {m.name: m.label for m in reported.case.catalogue.shared.metrics}
    return [{"label": _(labels[w.metric]), "reason": _(w.reason)} for w in provider.not_exposed if w.metric in labels]


def _capability(capability: dict[str, Any]) -> dict[str, Any]:
    state = capability["state"]
    return {**capability, "label": _(capability["label"]), "state_text": words.EVIDENCE_STATES[state] if state else ""}


def lab_keys() -> list[recorded.Recorded]:
    """In the lab: keys to paste, each with what it shows."""
    return recorded.demos() if settings.LAB_URL else []
