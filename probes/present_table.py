"""What the table of many keys needs: each row worded and ready to print, the tally, the filters, the progress.

Templates print these strings and decide nothing, so that a thousand rows take no second.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Max, Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from probes import exports, report, words
from probes.evidence import ACCEPTED, REFUSED
from probes.formats import figure
from probes.formats import number as count
from probes.models import Check, Detection, State, current
from probes.present import cost, named, page
from probes.present_start import start_context
from probes.start import WAITING, StartForm
from probes.terms import Catalogue

UNFINISHED = (State.QUEUED, State.PROBING)
TONES = ("yes", "warn", "no", "unknown", "plain")
# In the order in which the tally tells them: what is alike stands together.
STANDINGS = dict(sorted({**words.VERDICTS, **words.STANDINGS}.items(), key=lambda entry: TONES.index(entry[1][2])))
GROUPS = {"accepted": ACCEPTED, "refused": REFUSED}
PRINTED = ("number", "line", "column", "length", "requests")  # a template is slow to print a number
BAR = 1000  # units of the tally's bar
NUMBER = re.compile(r"-?\d+(\.\d+)?")

SORTS: dict[str, tuple[words.Word, Callable[[dict[str, Any]], Any]]] = {
    "line": (gettext_lazy("Line"), lambda row: row["number"]),
    "label": (gettext_lazy("Key"), lambda row: row["label"].casefold()),
    "whose": (gettext_lazy("Whose"), lambda row: row["whose"].casefold()),
    "verdict": (gettext_lazy("Verdict"), lambda row: list(STANDINGS).index(row["standing"])),
    "balance": (gettext_lazy("Balance, most first"), lambda row: -row["amount"]),
    "models": (gettext_lazy("Models, most first"), lambda row: -(-1 if row["visible"] is None else row["visible"])),
}


def many(
    token: str, check: Check, rows: list[dict[str, Any]], start: StartForm | None, query: QueryDict
) -> dict[str, Any]:
    """The page of a check of many keys. query: `verdict` (or a group of them), `provider`, `sort`."""
    catalogue = current()
    shown = [row(each, catalogue) for each in rows]
    chosen = {name: query.get(name, "") for name in ("verdict", "provider", "sort")}
    wanted = verdicts([chosen["verdict"]])
    for each in shown:
        other = chosen["provider"] and each["provider"] != chosen["provider"]
        each["hidden"] = bool(other) or bool(wanted and each["standing"] not in wanted)
    shown.sort(key=SORTS.get(chosen["sort"], SORTS["line"])[1])
    return {
        **page(token, check),
        **(how_far := progress(check)),
        **({} if how_far["running"] else totals(rows)),
        "rows": shown,
        **start_context(list(Detection.objects.filter(check_of=check, state__in=WAITING)), start),
        "seen_at": str(timezone.now().timestamp()),
        "refused_count": len(check.refused),
        "tally": tally(shown, chosen),
        "verdict_choices": _verdict_choices(),
        "provider_choices": _provider_choices(shown, catalogue),
        "sort_choices": [(slug, label) for slug, (label, _key) in SORTS.items()],
        "heads": _heads(chosen),
        "chosen": chosen,
        "shown_count": sum(not each["hidden"] for each in shown),
        "formats": exports.FORMATS.values(),
        "export_query": urlencode({k: v for k, v in chosen.items() if v and k != "sort"}),
        "query": urlencode({k: v for k, v in chosen.items() if v}),
    }


def changed(token: str, check: Check, how_far: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the script asks for while keys are probed: how far it is, and those of these rows that are done."""
    catalogue = current()
    done = [row(each, catalogue) for each in rows if each["state"] == State.DONE]
    return {**page(token, check), **how_far, "rows": done}


def totals(rows: list[dict[str, Any]]) -> dict[str, str]:
    """What is said of all keys when none is probed any more."""
    done = [row for row in rows if row["state"] == State.DONE]
    if not done:
        return {"status": str(words.STATUS["waiting" if rows else "left_out"])}
    working = sum(row["verdict"] in ACCEPTED for row in done)
    text = ngettext("Done. %(n)s of %(all)s key works.", "Done. %(n)s of %(all)s keys work.", len(done))
    return {
        "status": text % {"n": count(working), "all": count(len(done))},
        "cost": cost(sum(row["requests"] for row in done), sum(row["tokens_spent"] for row in done)),
    }


def progress(check: Check) -> dict[str, Any]:
    """How far a check is, from what is stored in clear: no result is opened for it."""
    dead = timezone.now() - timedelta(seconds=settings.KEY_SECONDS)
    running = Q(state__in=UNFINISHED, queued_at__gt=dead)
    keys = Detection.objects.filter(check_of=check)
    found = keys.aggregate(
        total=Count("id"),
        unstarted=Count("id", filter=Q(state__in=WAITING)),
        left=Count("id", filter=running),
        started_at=Max("queued_at"),
    )
    done = found["total"] - found["unstarted"] - found["left"]
    return {
        "total": found["total"],
        "total_text": count(found["total"]),
        "status": str(words.STATUS["running"]),
        "unstarted": found["unstarted"],
        "running": bool(found["left"]),
        "ending": done > 0 and not (found["left"] or found["unstarted"] or check.key_destroyed_at),
        "asked": found["total"] - found["unstarted"],
        "done": done,
        "progress_text": _progress_text(keys, running, found, done) if found["left"] else "",
    }


def _progress_text(keys: Any, running: Q, found: dict[str, Any], done: int) -> str:
    """ "312 of 1,000, about 4 s left". How fast it goes is seen from the last start; before a second it is not told."""
    text = _("%(done)s of %(all)s") % {"done": count(done), "all": count(found["total"] - found["unstarted"])}
    seconds = (timezone.now() - found["started_at"]).total_seconds()
    ended = keys.filter(queued_at=found["started_at"]).exclude(running).count()
    if seconds < 1 or not ended:
        return text
    left = math.ceil(found["left"] * seconds / ended)
    return _("%(progress)s, about %(left)s s left") % {"progress": text, "left": count(left)}


def verdicts(names: Iterable[str]) -> frozenset[str]:
    """Verdicts by their own names and by those of groups; none for none."""
    return frozenset().union(*(GROUPS.get(name, {name}) for name in names if name))


# Rows


def row(found: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """report.row's slugs, worded."""
    standing = _standing(found)
    word, shape, tone = STANDINGS[standing]
    if standing == found["verdict"]:
        silent = standing == "unknown" and report.silent(found["cause"])
        word = words.SILENT if silent else words.SHORT_VERDICTS[standing]
    elif found["state"] == State.NEEDS_CHOICE:
        word = _("Which provider?")
    balance = next(iter(found["balance"]), "")
    return {
        **found,
        **{f"{name}_text": str(found[name]) for name in PRINTED},
        "provider": found["provider"] or "",
        "standing": standing,
        "word": str(word),
        "label": named(found["label"]),
        "shape": shape,
        # A relay that answers as another than it claims is no green light, though it takes the key.
        "tone": "warn" if tone == "yes" and found["identity"] == "contradicted" else tone,
        "whose": _whose(found, catalogue, standing),
        "host": found["host"] if found["base_url"] else "",
        "balance": figure(balance),
        "amount": float(amount[0]) if (amount := NUMBER.search(balance)) else -math.inf,
        "amount_text": amount[0] if amount else "",  # for the script: the balance is written as the language writes it
        "limits": " · ".join(map(figure, found["limits"])).replace("\u00a0", " "),  # a narrow column
        "models": "" if found["visible"] is None else count(found["visible"]),
        "next": str(words.ACTIONS[found["next"]][0]) if found["next"] else "",
    }


def _standing(found: Mapping[str, Any]) -> str:
    if found["state"] in UNFINISHED:
        return "running"
    return "waiting" if found["state"] in WAITING else str(found["verdict"])


def _whose(found: Mapping[str, Any], catalogue: Catalogue, standing: str) -> str:
    provider = catalogue.providers.get(found["provider"] or "")
    name = provider.name if provider else ""
    if standing in words.STANDINGS:
        return name
    return str(words.IDENTITIES[found["identity"]][0]) % {"name": name, "other": found["other"] or words.ANOTHER}


# Above the rows


def tally(rows: list[dict[str, Any]], chosen: dict[str, str]) -> list[dict[str, Any]]:
    """For each verdict its count, its stretch of the bar, and the address that shows it alone."""
    counted, entries, at = Counter(r["standing"] for r in rows), [], 0.0
    for standing, (word, shape, tone) in STANDINGS.items():
        width = BAR * counted[standing] / max(1, len(rows))
        current = chosen["verdict"] == standing
        query = urlencode({k: v for k, v in (chosen | {"verdict": "" if current else standing}).items() if v})
        entries.append(
            {
                "standing": standing,
                "word": words.SHORT_VERDICTS.get(standing, word),
                "shape": shape,
                "tone": tone,
                "count": count(counted[standing]),
                "some": counted[standing] > 0,
                "x": f"{at:.1f}",
                "width": f"{max(0, width - 2):.1f}",
                "current": current,
                "href": f"?{query}",
            }
        )
        at += width
    return entries


def _verdict_choices() -> list[dict[str, Any]]:
    """All that there may be, groups first, each with what it stands for."""
    groups = [
        {"value": name, "label": words.VERDICT_GROUPS[name], "standings": " ".join(sorted(members))}
        for name, members in GROUPS.items()
    ]
    single = [
        {"value": name, "label": words.SHORT_VERDICTS.get(name, word), "standings": name}
        for name, (word, _shape, _tone) in STANDINGS.items()
    ]
    return groups + single


def _provider_choices(rows: list[dict[str, Any]], catalogue: Catalogue) -> list[tuple[str, str]]:
    slugs = {r["provider"] for r in rows if r["provider"] in catalogue.providers}
    return sorted(((slug, catalogue.providers[slug].name) for slug in slugs), key=lambda p: p[1].casefold())


def _heads(chosen: dict[str, str]) -> list[dict[str, Any]]:
    """The table's heads; those that sort lead to the same page, sorted."""
    heads: list[tuple[str, str]] = [
        ("line", _("Line")),
        ("label", _("Key")),
        ("whose", _("Whose")),
        ("verdict", _("Verdict")),
        ("balance", _("Balance")),
        ("", _("Limits")),
        ("models", _("Models")),
        ("", _("Next action")),
        ("", _("Requests")),
    ]
    sort = chosen["sort"] if chosen["sort"] in SORTS else "line"
    return [
        {
            "sort": slug,
            "label": label,
            "order": "" if slug != sort else "descending" if slug in ("balance", "models") else "ascending",
            "href": "?" + urlencode({k: v for k, v in (chosen | {"sort": slug}).items() if v}),
        }
        for slug, label in heads
    ]
