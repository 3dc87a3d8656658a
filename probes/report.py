"""The report of a check: the public JSON shape, from stored rows or from a run on the command line. Pure.

The shape is public (docs/json.md): later versions add to it and never change it.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from probes import verdict, words
from probes.evidence import KEY_FORM, Finding
from probes.examination import latest
from probes.terms import Catalogue, Gateway, Provider, Sender
from probes.verdict import Case, Conclusion

PUBLIC_FINDING = (
    *("probe", "call", "status", "elapsed_ms", "request_id", "code", "message", "verdict", "cause"),
    "evidence",
)

PLACE = ("number", "line", "column", "length", "label")
CHECK_STATES = ("waiting", "running", "done")
DETECTION_STATES = ("ready", "needs_choice", "queued", "probing", "done")
IDENTITY_STATES = ("proven", "consistent", "contradicted", "unproven")
LEFT = ("balance_total", "limit_remaining")  # metrics that say what can still be spent, the better one first
BALANCE, LIMITS = "balance-and-quota", "limit-matrix"
MAX_ROUTES = 20
ADDS_VERSION = "anthropic"  # clients of this protocol put the version behind an address by themselves


@dataclass(frozen=True)
class Examined:
    """One key as it stands now: what was stored of it, and its findings opened."""

    number: int
    line: int
    label: str
    state: str
    candidates: list[str]
    distinctive: bool
    provider: str
    base_url: str
    key_destroyed_at: dt.datetime | None
    findings: list[Finding]
    interrupted: bool = False
    cancelled: bool = False
    notices: tuple[str, ...] = ()
    column: int = 0
    length: int = 0


@dataclass(frozen=True)
class Reported:
    """A key's public report, and beside it what only the page needs."""

    json: dict[str, Any]
    case: Case
    conclusion: Conclusion
    notices: tuple[str, ...]


def concluded(catalogue: Catalogue, key: Examined) -> tuple[Case, Conclusion]:
    """What the findings come to, without a word."""
    provider = catalogue.providers.get(key.provider)
    case = Case(
        catalogue,
        provider,
        key.base_url,
        key.distinctive,
        latest(key.findings),
        key.interrupted,
        key.cancelled,
    )
    done = verdict.conclude(case)
    _put_in_order(case.findings, catalogue.gateways.get(done.gateway or "") or provider)
    return case, done


def report(catalogue: Catalogue, key: Examined) -> Reported:
    case, done = concluded(catalogue, key)
    provider, findings = case.provider, case.findings
    shown = {
        "number": key.number,
        "line": key.line,
        "column": key.column,
        "length": key.length,
        "label": key.label,
        "state": key.state,
        "candidates": key.candidates,
        "provider": key.provider or None,
        "gateway": done.gateway,
        "origin": origin(provider, key.base_url, findings),
        "identity": {
            "state": done.identity,
            "evidence": identity_evidence(done),
        },
        "verdict": done.verdict,
        "cause": done.cause,
        "ability_to_pay": done.ability_to_pay,
        "requests": requests(findings),
        "tokens_spent": tokens_spent(findings),
        "key_destroyed_at": key.key_destroyed_at.isoformat() if key.key_destroyed_at else None,
        "findings": [{name: f[name] for name in PUBLIC_FINDING} for f in findings],
        "models": done.models,
        "capabilities": done.capabilities,
        "path": [
            {"step": step, "state": state, "reason": str(words.PATH_REASONS[reason])}
            for step, state, reason in done.path
        ],
        "next_actions": [],
    }
    if key.state == "done":
        shown["next_actions"] = [_action(slug, case, done, key.number) for slug in done.next_actions]
    return Reported(shown, case, done, key.notices)


def _put_in_order(findings: list[Finding], sender: Sender | None) -> None:
    """As the catalogue lists the sender's probes, not as the answers happened to arrive; others last."""
    names = [probe.name for probe in sender.probes] if sender else []
    findings.sort(key=lambda f: names.index(f["probe"]) if f["probe"] in names else len(names))


def requests(findings: list[Finding]) -> int:
    """How many requests were made, with the second tries."""
    return sum(f.get("attempts", 1) for f in findings if f["call"] != KEY_FORM)


def tokens_spent(findings: list[Finding]) -> int:
    """At most so many tokens were spent: one for each probe that spends."""
    return sum(bool(f.get("spends")) for f in findings)


def row(catalogue: Catalogue, key: Examined) -> dict[str, Any]:
    """The key's row in the table of results: slugs and values, worded when it is shown."""
    case, done = concluded(catalogue, key)
    return {
        **{name: getattr(key, name) for name in PLACE},
        "provider": key.provider or None,
        "base_url": key.base_url,
        "gateway": done.gateway,
        "origin": origin(case.provider, key.base_url, case.findings),
        "host": host(case),
        "identity": done.identity,
        "other": other_sender(done),
        "verdict": done.verdict,
        "cause": done.cause,
        "ability_to_pay": done.ability_to_pay,
        "balance": [plain(left)] if (left := balance_left(case)) else [],
        "limits": _limits(case),
        "visible": None if done.models_public else done.models["visible"],  # of a list that answers anyone, nothing
        "covered": len(done.models["covered"]),
        "next": done.next_actions[0] if done.next_actions else "",
        "requests": requests(case.findings),
        "tokens_spent": tokens_spent(case.findings),
    }


def balance_left(case: Case) -> dict[str, Any] | None:
    """What is left of the account, else under the key's limit. What was once given is no balance."""
    known = [e for e in metrics_of(case, BALANCE) if e["metric"] in LEFT]
    return min(known, key=lambda e: LEFT.index(e["metric"]), default=None)


def _limits(case: Case) -> list[str]:
    """Two limits, without what is left of them: beside a number without its label that would say nothing."""
    return [plain(e) for e in metrics_of(case, LIMITS) if not e["metric"].endswith("_remaining")][:2]


def waiting_row(key: Any, catalogue: Catalogue) -> dict[str, Any]:
    """The same for a key of which nothing is known yet, from what was stored of it."""
    provider = catalogue.providers.get(key.provider)
    where = origin(provider, key.base_url, [])
    said = {**{name: getattr(key, name) for name in PLACE}, "provider": key.provider or None, "base_url": key.base_url}
    nothing = {"gateway": None, "verdict": "unknown", "cause": None, "ability_to_pay": "not_tested"}
    none = {
        "requests": 0,
        "tokens_spent": 0,
        "identity": "unproven",
        "other": None,
        "balance": [],
        "limits": [],
        "visible": None,
        "covered": 0,
        "next": "",
    }
    return {**said, **nothing, **none, "origin": where, "host": urlsplit(where or "").hostname or ""}


def metrics_of(case: Case, capability: str) -> list[dict[str, Any]]:
    """The facts of one capability that were read."""
    known = case.catalogue.shared.metric
    return [
        e
        for f in case.findings
        for e in f["evidence"]
        if e["value"] is not None and e["metric"] in known and known[e["metric"]].capability == capability
    ]


def silent(cause: str | None) -> bool:
    """Whether no whole answer came at all."""
    return cause in verdict.NO_ANSWER


def origin(provider: Provider | None, base_url: str, findings: list[Finding]) -> str | None:
    """Where the key was or will be sent: the base URL, the origin that accepted it, or the provider's first."""
    if base_url or provider is None:
        return base_url or None
    calls = [f["call"].partition(" ")[2] for f in findings if f["accepted"]]
    origins = list(provider.origins.values())
    return next(
        (o for o in origins if any(call.startswith(o + "/") for call in calls)), origins[0] if origins else None
    )


def host(case: Case) -> str:
    """The host that a verdict is about: the one that accepted, else that was asked."""
    findings = case.findings
    said = next((f for f in findings if f["accepted"]), None) or next((f for f in findings if f["proves_key"]), None)
    url = said["call"].partition(" ")[2] if said else origin(case.provider, case.base_url, findings) or ""
    return urlsplit(url).hostname or ""


def of_check(
    catalogue: Catalogue,
    keys: list[Examined],
    refused: list[dict[str, Any]],
    created_at: dt.datetime,
    burns_at: dt.datetime,
    lab: bool,
) -> tuple[dict[str, Any], list[Reported]]:
    """The whole document, and each key's report for the page."""
    reports = [report(catalogue, key) for key in keys]
    return {
        "check": {
            "created_at": created_at.isoformat(),
            "burns_at": burns_at.isoformat(),
            "state": state_of_check({key.state for key in keys}),
            "lab": lab,
        },
        "detections": [r.json for r in reports],
        "refused": refused,
    }, reports


def state_of_check(states: set[str]) -> str:
    """waiting: nothing is under way, and keys wait for a start. Keys that need a choice hold nothing up."""
    if states & {"queued", "probing"}:
        return "running"
    return "waiting" if "ready" in states else "done"


# Next actions, and what each gives to take along


def _action(slug: str, case: Case, done: Conclusion, number: int) -> dict[str, Any]:
    label, reason = words.ACTIONS[slug]
    text = str(reason)
    if slug == "add-permission" and done.cause:
        text = words.cause_text(done.cause, done.verdict) or text
    if slug == "human-review":
        text = str(words.PATH_REASONS[next((r for _s, state, r in done.path if state != "yes"), "not_proved")])
    return {"slug": slug, "label": str(label), "reason": text, "href": _href(slug, case, done, number)}


def _href(slug: str, case: Case, done: Conclusion, number: int) -> str | None:
    """An admin page, the provider's page where it is done, or the place on this page with something to copy."""
    provider, gateway = case.provider, case.catalogue.gateways.get(done.gateway or "")
    links = dict(gateway.links if gateway else provider.links if provider else {})
    if slug == "add-provider-config":
        return _config_link(provider, gateway, case.base_url if case.custom else "")
    if slug == "fill-pricing" and provider:
        return f"/admin/probes/aimodel/?{urlencode({'provider__slug__exact': provider.slug})}"
    if slug == "top-up":
        return links.get("billing") or links.get("keys")
    if slug in ("replace-key", "add-permission"):
        return links.get("keys")
    if slug == "change-region":
        return links.get("docs")
    return f"#{take_along_id(slug, number)}"


def take_along_id(slug: str, number: int) -> str:
    return f"key-{number}-{slug}"


def _config_link(provider: Provider | None, gateway: Gateway | None, base_url: str) -> str:
    if provider and not base_url:
        return f"/admin/probes/provider/?{urlencode({'slug__exact': provider.slug})}"
    name = urlsplit(base_url).hostname or ""
    prefilled = {"name": name, "slug": name.replace(".", "-"), "auth": gateway.auth if gateway else "bearer"}
    return f"/admin/probes/provider/add/?{urlencode(prefilled)}"


def take_along(reported: Reported) -> dict[str, str]:
    """Texts to copy, by action slug. None of them holds a key: placeholders stand where one belongs."""
    shown = reported.json
    texts = {
        "human-review": summary(reported),
        "add-monitoring": f"*/15 * * * *  {_checkkey(reported)} --format json < /path/to/the-key",
        "set-route": _route(reported),
        "wait": f"{_checkkey(reported)} < /path/to/the-key",
    }
    if shown["models"]["covered"]:
        texts["import-inventory"] = _inventory(reported)
    return {slug: texts[slug] for slug in (a["slug"] for a in shown["next_actions"]) if slug in texts}


def _checkkey(reported: Reported) -> str:
    """The command that checks this key again, where it was checked now."""
    provider, base_url = reported.json["provider"], reported.case.base_url
    flags = [f"--provider {provider}"] if provider else []
    flags += [f"--base-url {base_url}"] if base_url else []
    return " ".join(["python manage.py checkkey", *flags])


def _safe(label: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in label).strip("-").lower() or "line"


def _inventory(reported: Reported) -> str:
    """CSV of the covered models that this key may see. All of it is catalogue rows: no formula comes in."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["provider", "model", "context_window", "input_usd_per_million", "output_usd_per_million"])
    seen = set(reported.json["models"]["covered"])
    for model in reported.case.provider.models if reported.case.provider else ():
        if model.id in seen:
            prices = ["" if p is None else p for p in (model.input_price, model.output_price)]
            rows.writerow([reported.json["provider"], model.id, model.context_window or "", *prices])
    return out.getvalue()


def _route(reported: Reported) -> str:
    """A route for LiteLLM's config.yaml."""
    lines = ["model_list:"]
    for name, model in routes(reported):
        lines += [
            f"  - model_name: {name}",
            "    litellm_params:",
            f"      model: {model}",
            f"      api_base: {api_base(reported)}",
            f"      api_key: os.environ/{_safe(reported.json['label']).replace('-', '_').upper()}",
        ]
    return "\n".join(lines) + "\n"


def routes(reported: Reported) -> list[tuple[str, str]]:
    """For LiteLLM: each visible covered model's name, and the same after the protocol to speak and a slash.

    One wildcard where there are none, or more than one would look through.
    """
    provider, models = reported.case.provider, reported.json["models"]["covered"]
    speaks = provider.protocol if provider and provider.protocol != "own" else reported.json["provider"]
    if not 0 < len(models) <= MAX_ROUTES:
        return [(f"{speaks}/*", f"{speaks}/*")]
    return [(model, f"{speaks}/{model}") for model in models]


def api_base(reported: Reported) -> str:
    """Where calls go: the address at which the models were, or would be, listed, less its last part."""
    provider, shown = reported.case.provider, reported.json
    lists = [f["call"].partition(" ")[2] for f in reported.case.findings if f["models"] is not None]
    if provider and not reported.case.base_url:
        lists += [provider.origin(probe) + probe.path for probe in provider.probes if probe.models]
    for url in map(urlsplit, lists):
        path, *more = re.split(r"/[\w-]*models\b", url.path)
        if url.netloc and more:
            versioned = not provider or provider.protocol != ADDS_VERSION
            return f"{url.scheme}://{url.netloc}{path if versioned else path.removesuffix('/v1')}"
    return shown["origin"] or ""


def summary(reported: Reported) -> str:
    """What to send to a person: everything that was seen, without the key."""
    shown = reported.json
    lines = [
        f"TestKey, key {shown['label']} (line {shown['line']})",
        f"Whose: {identity_text(reported)}",
        *(f"  - {sentence}" for sentence in identity_evidence(reported.conclusion)),
        f"Verdict: {words.verdict_text(shown['verdict'], host(reported.case), silent(shown['cause']))}"
        + (f" ({shown['cause']})" if shown["cause"] else ""),
        f"Able to pay: {words.ABILITY_TO_PAY[shown['ability_to_pay']]}",
        "Path: " + ", ".join(f"{words.STEPS[s['step']]} {words.STEP_STATES[s['state']]}" for s in shown["path"]),
    ]
    for f in shown["findings"]:
        parts = [f["call"], str(f["status"] or f["cause"]), f"{f['elapsed_ms']} ms"]
        lines.append("  ".join([*parts, *(x for x in (f["code"], f["request_id"]) if x)]))
        lines += [f"    {e['metric']} = {plain(e)}" for e in f["evidence"] if e["value"] is not None]
    return "\n".join(lines) + "\n"


def plain(evidence: dict[str, Any]) -> str:
    """A metric's value and unit in a line; "" for none."""
    value, unit = evidence["value"], evidence["unit"]
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(words.YES if value else words.NO)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if unit == "time":
        return dt.datetime.fromisoformat(value).strftime("%Y-%m-%d %H:%M UTC")
    return f"{value} {unit}" if unit else str(value)


def identity_text(reported: Reported) -> str:
    """The identity as a sentence."""
    done, case = reported.conclusion, reported.case
    name = case.provider.name if case.provider else ""
    return str(words.IDENTITIES[done.identity][0]) % {"name": name, "other": other_sender(done) or words.ANOTHER}


def identity_evidence(done: Conclusion) -> list[str]:
    """What the identity rests on, in sentences."""
    return [words.identity_evidence(slug, values) for slug, values in done.identity_evidence]


def other_sender(done: Conclusion) -> str | None:
    """The software or sender that answered in place of the one claimed, where it is known."""
    return next((v.get("software") or v.get("sender") for _s, v in done.identity_evidence if len(v) > 1), None)
