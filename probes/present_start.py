"""What the review shows: the keys that wait for a start, group by group, with what each will be sent to."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from probes import words
from probes.models import Detection, current
from probes.start import Group, StartForm, groups
from probes.terms import Catalogue

WHOLE = "review"  # the field of an error that speaks of the whole start
SHOWN_KEYS = 12
NOTICED = 8  # lines that a notice names
SAMPLES = (0, 1, 2, 3, 5, 11, 100)  # together they show every plural form that a language has


def not_now(status: int, seconds: int) -> str:
    """Why a submission was not let in (429: this visitor's limit; 503: everyone's), and when to come again."""
    minutes = -(-seconds // 60)
    if seconds < 120:
        wait = ngettext("%(n)d second", "%(n)d seconds", seconds) % {"n": seconds}
    else:
        wait = ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes}
    if status == 429:
        return _("This is more than you may submit within ten minutes. Try again in %(wait)s.") % {"wait": wait}
    return _("More keys are waiting than can be asked in time. Try again in %(wait)s.") % {"wait": wait}


def start_context(rows: list[Detection], start: StartForm | None) -> dict[str, Any]:
    """`start_groups`, ready to print, empty if nothing waits; and `review`, what stands round them.

    start: what was decided, if it cannot be done so. Providers and ticks are kept, base URLs are not echoed.
    """
    catalogue = current()
    found = start.groups if start else groups(rows, catalogue)
    if not found:
        return {"start_groups": [], "review": None}
    shown = [_group(group, start, catalogue) for group in found]
    check = found[0].rows[0].check_of
    clear = sum(len(group.rows) for group in found if not group.needs_choice)
    return {
        "start_groups": shown,
        "review": {
            "keys": sum(len(group.rows) for group in found),
            "clear": clear,
            "errors": _of_the_whole(start) + [error for group in shown for error in group["all_errors"]],
            "providers": _providers(catalogue) if any(group.needs_choice for group in found) else [],
            "burns_at": check.burns_at,
            "spends_already": check.spend,
            "spend": bool(start and start.spend),
            "button": button(clear) if clear else _("Start"),
            "buttons": "|".join(button(n) for n in SAMPLES),
        },
    }


def _of_the_whole(start: StartForm | None) -> list[dict[str, str]]:
    return [{"field": WHOLE, "text": start.errors[WHOLE]}] if start and WHOLE in start.errors else []


def button(keys: int) -> str:
    return ngettext("Start: %(n)d key", "Start: %(n)d keys", keys) % {"n": keys}


def _group(group: Group, start: StartForm | None, catalogue: Catalogue) -> dict[str, Any]:
    errors = start.errors if start else {}
    left_out = start.left_out if start else set()
    keys = [
        {
            "number": str(row.number),  # text: a thousand numbers in a locale's form take half a second
            "line": str(row.line),
            "label": "" if row.label == f"line {row.line}" else row.label,
            "left_out": row.number in left_out,
            "error": errors.get(f"base_url-key-{row.number}", ""),
        }
        for row in group.rows
    ]
    own = {name: errors.get(f"{name}-{group.id}", "") for name in ("provider", "base_url")}
    if not group.needs_choice and own["provider"]:
        own = {"provider": "", "base_url": own["provider"]}  # its provider is not for choosing
    provider = catalogue.providers.get(group.provider)
    chosen = start.data.get(f"provider-{group.id}", "") if start else ""
    ticked = start.data.getlist(f"each-{group.id}") if start else []
    return {
        "id": str(group.id),
        "needs_choice": group.needs_choice,
        "title": group.base_url.partition("://")[2] or (provider.name if provider else ""),
        "asked_as": provider.name if provider and group.base_url else "",
        "hosts": [group.base_url] if group.base_url else provider.hosts if provider else [],
        "keys": keys,
        "shown": keys[:SHOWN_KEYS],
        "more": max(0, len(keys) - SHOWN_KEYS),
        "notices": _notices(group),
        "candidates": [
            {"slug": p.slug, "name": p.name, "hosts": p.hosts, "ticked": p.slug in ticked} for p in group.candidates
        ],
        "chosen": chosen,
        "chosen_fits": chosen in [p.slug for p in group.candidates],
        "errors": own,
        "all_errors": [
            *({"field": f"{name}-{group.id}", "text": text} for name, text in own.items() if text),
            *({"field": f"base_url-key-{k['number']}", "text": k["error"]} for k in keys if k["error"]),
        ],
        "unfolded": any(key["error"] or key["left_out"] for key in keys)
        or bool(own["base_url"] and not group.needs_choice),
    }


def _notices(group: Group) -> list[dict[str, Any]]:
    """What was noticed of keys of this group, and on which lines."""
    lines: dict[str, list[int]] = {}
    for row in group.rows:
        for slug in row.notices:
            lines.setdefault(slug, []).append(row.line)
    return [
        {"text": words.NOTICES[slug], "lines": on[:NOTICED], "more": max(0, len(on) - NOTICED)}
        for slug, on in lines.items()
    ]


def _providers(catalogue: Catalogue) -> list[dict[str, str]]:
    """Whose key one may say it is, by name."""
    known = sorted((p for p in catalogue.providers.values() if not p.retired), key=lambda p: p.name.casefold())
    return [{"slug": p.slug, "name": p.name, "hosts": ", ".join(p.hosts)} for p in known]
