"""What the pages of one key need beside the public JSON: words for slugs, ready to print."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override

from probes import exports, formats, report, words
from probes.client import WITHOUT_KEY
from probes.compare import compare
from probes.evidence import KEY_FORM
from probes.lab import recorded
from probes.models import Check, Detection, State
from probes.pages import errors
from probes.present_start import not_now as not_now
from probes.present_start import start_context
from probes.report import Reported
from probes.start import WAITING, StartForm

Explained = Callable[[str, str | None, int | None], str]
SHOWN_MODELS = 30
SHOWN_REFUSED = 5
SEEN = ("confirmed", "partial")  # states of a capability of which something was read
SOON = 60  # seconds before the burn from which it is warned of


def fingerprint(document: dict[str, Any]) -> str:
    """A word that changes when the report does; random enough to tell nothing else."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def one(
    token: str, check: Check, documented: tuple[dict[str, Any], list[Reported]], start: StartForm | None
) -> dict[str, Any]:
    """The page of a check of one key: its whole result, or the form that starts it."""
    document, (reported,) = documented
    shown = key(reported)
    return {
        **page(token, check),
        **start_context(list(Detection.objects.filter(check_of=check, state__in=WAITING)), start),
        "fingerprint": fingerprint(document),
        "key": shown,
        "unfolded": True,
        "running": shown["waiting"],
        "ending": shown["state"] == State.DONE and check.key_destroyed_at is None,
        "status": words.STATUS["running" if shown["waiting"] else "waiting" if shown["unstarted"] else "done"],
        "formats": exports.FORMATS.values(),
        "export_query": "",
    }


def one_of_many(token: str, check: Check, reported: Reported, in_place: bool) -> dict[str, Any]:
    """The page of one key among many, or what opens in place under its row."""
    return {**page(token, check), "key": key(reported), "unfolded": not in_place}


def not_compared(token: str, check: Check) -> dict[str, Any]:
    """The page that says that comparing takes two keys."""
    return {**page(token, check), "comparison": None}


def compared(token: str, check: Check, a: Reported, b: Reported) -> dict[str, Any]:
    """Two keys side by side."""
    comparison = compare(a, b)
    models, names = comparison.models, {"a": named(a.json["label"]), "b": named(b.json["label"])}
    return {
        **page(token, check),
        "comparison": comparison,
        "compared": [{**one.json, "label": named(one.json["label"])} for one in (a, b)],
        "differing": sum(group.differing for group in comparison.groups),
        "compared_rows": sum(len(group.rows) for group in comparison.groups),
        "model_groups": models
        and (
            (_("Visible to both"), models.both),
            (_("Only to %(a)s") % names, models.only_a),
            (_("Only to %(b)s") % names, models.only_b),
        ),
    }


def page(token: str, check: Check) -> dict[str, Any]:
    """What every page of a result has: the clock, and what was not sent."""
    left = max(0, round((check.burns_at - timezone.now()).total_seconds()))
    return {
        "section": "check",
        "token": token,
        "base": reverse("check", args=[token]),
        "check": check,
        "refused": check.refused[:SHOWN_REFUSED],
        "more_refused": check.refused[SHOWN_REFUSED:],
        "left": left,
        "soon": left <= SOON,
        "clock": f"{left // 60}:{left % 60:02d}",
    }


def named(label: str) -> str:
    """How a key is called: by its label, or in the page's language by its line where it has none of its own."""
    line = re.fullmatch(r"line (\d+)", label)
    return _("line %(line)s") % {"line": line[1]} if line else label


def titled(line: int, label: str) -> str:
    """The heading of one key among many."""
    name = named(label)
    return formats.begin(name) if name != label else _("Line %(line)s: %(label)s") % {"line": line, "label": label}


def key(reported: Reported) -> dict[str, Any]:
    """One key, in the order in which it is read: whose, verdict, what blocks it, next action, path, evidence."""
    shown, done, case = reported.json, reported.conclusion, reported.case
    host = report.host(reported.case)
    _word, shape, tone = words.VERDICTS[shown["verdict"]]
    text = words.verdict_text(shown["verdict"], host, report.silent(shown["cause"]))
    with override("en"):  # as all that is taken along: who gets it may read another language than who copied it
        take = report.take_along(reported)
        summary = report.summary(reported) if shown["state"] == "done" else ""
    known = [c for c in shown["capabilities"] if c["state"]]
    explained = _explained(case)
    seen = [c for c in known if c["state"] in SEEN]
    # Accepted is no error: what one of the calls had to say stands with that call.
    cause = None if shown["verdict"] == "active" else shown["cause"]
    return {
        **shown,
        "label": named(shown["label"]),
        "title": titled(shown["line"], shown["label"]),
        "cause": cause,
        "waiting": shown["state"] in (State.QUEUED, State.PROBING),
        "unstarted": shown["state"] in WAITING,
        "base_url": case.base_url,
        "host": host,
        "notices": [words.NOTICES[slug] for slug in reported.notices],
        "identity_text": report.identity_text(reported),
        "identity_tone": words.IDENTITIES[done.identity][1],
        "verdict_text": text,
        "verdict_shape": shape,
        "verdict_tone": tone,
        "cause_text": words.cause_text(cause, shown["verdict"]) if cause else "",
        "error": "" if shown["verdict"] == "active" else explained(shown["verdict"], cause, _status(shown, cause)),
        "pay_text": words.ABILITY_TO_PAY[shown["ability_to_pay"]],
        "pay_probe": done.pay_evidence,
        "actions": [
            {**a, "copy": take.get(a["slug"]), "id": report.take_along_id(a["slug"], shown["number"])}
            for a in shown["next_actions"]
        ],
        "steps": [{**s, "label": words.STEPS[s["step"]], "word": words.STEP_STATES[s["state"]]} for s in shown["path"]],
        "calls": [_finding(case, i, f, explained) for i, f in enumerate(shown["findings"])],
        "withheld": _withheld(reported),
        "limits": _facts(reported, "limit-matrix"),
        "balance": _facts(reported, "balance-and-quota"),
        "models_public": done.models_public,
        "more_new": max(0, len(shown["models"]["new"]) - SHOWN_MODELS),
        "shown_new": shown["models"]["new"][:SHOWN_MODELS],
        "known": [_capability(c) for c in known],
        "unknown": [_capability(c) for c in shown["capabilities"] if not c["state"]],
        "count_text": _("%(known)d of %(all)d capabilities") % {"known": len(seen), "all": len(shown["capabilities"])},
        "cost": cost(shown["requests"], shown["tokens_spent"]),
        "summary": summary,
    }


def _status(shown: dict[str, Any], cause: str | None) -> int | None:
    """That of the answer which the verdict rests on."""
    return next((found["status"] for found in shown["findings"] if found["cause"] == cause), None)


def cost(requests: int, tokens: int) -> str:
    """What was asked and spent, said of every result."""
    made = ngettext("%(n)s request", "%(n)s requests", requests) % {"n": formats.number(requests)}
    spent = ngettext("%(n)s token spent", "%(n)s tokens spent", tokens) % {"n": formats.number(tokens)}
    return formats.tied(_("%(requests)s, %(tokens)s") % {"requests": made, "tokens": spent})


def _explained(case: Any) -> Explained:
    """Where the public pages tell what this provider's error means, else what it usually means; "" for no error."""
    provider = None if case.custom else case.provider
    pages = errors.pages_of(provider, case.catalogue.shared) if provider else []

    def address(verdict: str, cause: str | None, status: int | None) -> str:
        error = errors.error_page(verdict, cause, status)
        if provider and error in pages:
            return errors.error_address(provider.slug, error)
        return f"/errors/#{error}" if error else ""

    return address


def _finding(case: Any, index: int, finding: dict[str, Any], explained: Explained) -> dict[str, Any]:
    _word, shape, tone = words.VERDICTS[finding["verdict"]]
    host = finding["call"].partition("//")[2].partition("/")[0]
    labels = {m.name: m.label for m in case.catalogue.shared.metrics}
    keyless = finding["cause"] in ("public_list", "keyless")
    return {
        **finding,
        "call": _("the key's own form") if finding["call"] == KEY_FORM else finding["call"].removesuffix(WITHOUT_KEY),
        "without_key": finding["call"].endswith(WITHOUT_KEY),
        "id": f"{index}-{finding['probe']}",
        "open": finding["verdict"] != "unknown" and bool(finding["evidence"]),
        "verdict_text": words.unstopped(words.cause_text(finding["cause"]))
        if keyless
        else words.verdict_text(finding["verdict"], host, report.silent(finding["cause"])),
        "verdict_shape": "·" if keyless else shape,
        "verdict_tone": "plain" if keyless else tone,
        "cause_text": "" if keyless else words.cause_text(finding["cause"], finding["verdict"]),
        "error": explained(finding["verdict"], finding["cause"], finding["status"]),
        "facts": [
            {
                **e,
                "label": _(labels.get(e["metric"], e["metric"])),
                "text": formats.figure(report.plain(e)),
                "state_text": words.EVIDENCE_STATES[e["state"]],
                "place": _place(e["read_from"]),
            }
            for e in finding["evidence"]
        ],
    }


def _place(read_from: str) -> str:
    """Where a fact was read, in the reader's words. An expression on an answer stays as it is."""
    if read_from.startswith(f"{KEY_FORM}: "):
        return _("the key's own form: %s") % formats.isolated(read_from.removeprefix(f"{KEY_FORM}: "))
    if status := re.fullmatch(r"status (\d+)", read_from):
        return _("status %s") % status[1]
    return formats.isolated(read_from)


def _facts(reported: Reported, capability: str) -> list[dict[str, Any]]:
    """Facts of one capability over all probes: limits, balance."""
    metrics = {m.name: m for m in reported.case.catalogue.shared.metrics if m.capability == capability}
    return [
        {
            "label": _(metrics[e["metric"]].label),
            "text": formats.figure(report.plain(e)),
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
    return {
        **capability,
        "label": formats.begin(_(capability["label"])),
        "state_text": words.EVIDENCE_STATES[state] if state else "",
    }


def lab_keys() -> list[recorded.Recorded]:
    """In the lab: keys to paste, each with what it shows."""
    return recorded.demos() if settings.LAB_URL else []
