"""A check's pages, readable by who submitted it alone: its result, its rows, one key, two side by side, a file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from probes import exports, present, present_table, results, seal
from probes.models import Check, Detection, State
from probes.private import found, gone, private
from probes.start import StartForm

OVERLAP = timedelta(seconds=2)  # rows are told again that were written shortly before the last look


@require_safe
def check(request: HttpRequest, token: str) -> HttpResponse:
    mine = found(request, token)
    return result_page(request, token, mine) if mine else gone(request)


def result_page(
    request: HttpRequest, token: str, check: Check, start: StartForm | None = None, status: int = 200
) -> HttpResponse:
    """One key's whole result, or the table of many; what waits for a start stands above it."""
    try:
        of_one = results.document(check) if _is_one(check) else None
        if of_one and len(of_one[1]) == 1:  # a start may have added copies meanwhile
            context = present.one(token, check, of_one, start)
            return private(render(request, "probes/check.html", context, status=status))
        context = present_table.many(token, check, results.table(check), start, request.GET)
        return private(render(request, "probes/checks.html", context, status=status))
    except seal.Burned:
        return gone(request)


def _is_one(check: Check) -> bool:
    return Detection.objects.filter(check_of=check).count() == 1


@require_safe
def live(request: HttpRequest, token: str) -> HttpResponse:
    """What changed, for the script that asks: of one key the whole report, 304 when nothing moved; of many the progress
    and the rows that ended since `since` (seconds of the epoch, as the last answer gave them; without it, all)."""
    mine = found(request, token)
    if mine is None:
        return gone(request)
    try:
        of_one = results.document(mine) if _is_one(mine) else None
        if of_one and len(of_one[1]) == 1:
            return _live_one(request, present.one(token, mine, of_one, None))
        seen_at, since = timezone.now(), _since(request.GET.get("since", ""))
        how_far = present_table.progress(mine)  # before the rows: none may end unseen between
        rows = results.table(mine, since)
        context = present_table.changed(token, mine, how_far, rows)
        if not how_far["running"]:
            context |= present_table.totals(results.table(mine))
        response = render(request, "probes/_rows.html", context)
        response["X-Seen-At"] = str(seen_at.timestamp())
        return private(response)
    except seal.Burned:
        return gone(request)


def _live_one(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    etag = quote_etag(context["fingerprint"])
    if request.headers.get("If-None-Match") == etag:
        return private(HttpResponse(status=304), etag)
    return private(render(request, "probes/_report.html", context), etag)


def _since(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text), UTC) - OVERLAP
    except (ValueError, OverflowError, OSError):
        return None


@require_safe
def check_json(request: HttpRequest, token: str) -> HttpResponse:
    mine = found(request, token)
    try:
        if mine is not None:
            return private(JsonResponse(results.document(mine)[0]))
    except seal.Burned:
        pass
    return private(JsonResponse({"detail": "burned, or not yours"}, status=404))


@require_safe
def key(request: HttpRequest, token: str, number: int) -> HttpResponse:
    """The whole result of one key among many."""
    mine = found(request, token)
    reports = _reports(mine, [number]) if mine else None
    if not mine or not reports:
        return gone(request)
    in_place = request.headers.get("X-Requested-With") == "fetch"
    context = present.one_of_many(token, mine, reports[0], in_place)
    return private(render(request, "probes/_key.html" if in_place else "probes/key.html", context))


@require_safe
def compare(request: HttpRequest, token: str) -> HttpResponse:
    """Two keys of a check side by side, by number: `a` and `b`, or `key` twice, as boxes that were ticked send it."""
    mine = found(request, token)
    if mine is None:
        return gone(request)
    asked = [request.GET.get("a", ""), request.GET.get("b", ""), *request.GET.getlist("key")]
    numbers = list(dict.fromkeys(int(n) for n in asked if n.isascii() and n.isdigit() and len(n) < 6))
    both = _reports(mine, numbers[:2])
    if both is None:
        return gone(request)
    reports = {r.json["number"]: r for r in both}
    if len(numbers) != 2 or len(reports) != 2:
        return private(render(request, "probes/compare.html", present.not_compared(token, mine), status=422))
    context = present.compared(token, mine, *(reports[n] for n in numbers))
    return private(render(request, "probes/compare.html", context))


@require_safe
def export(request: HttpRequest, token: str) -> HttpResponse:
    """A file to take along: `format`, and any number of `verdict` (a group counts for its verdicts) and `provider`;
    without one, all."""
    mine = found(request, token)
    chosen = exports.FORMATS.get(request.GET.get("format", ""))
    everything = _reports(mine) if mine and chosen else None
    if not chosen or everything is None:
        return gone(request)
    verdicts, providers = present_table.verdicts(request.GET.getlist("verdict")), request.GET.getlist("provider")
    reports = [
        r
        for r in everything
        if r.json["state"] == State.DONE
        and (not verdicts or r.json["verdict"] in verdicts)
        and (not any(providers) or r.json["provider"] in providers)
    ]
    response = HttpResponse(exports.write(chosen.name, reports), content_type=f"{chosen.media_type}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="testkey-{chosen.name}.{chosen.extension}"'
    return private(response)


def _reports(check: Check, numbers: list[int] | None = None) -> list[Any] | None:
    """Reports of a check's keys; None once it is burned."""
    try:
        return results.reports(check, numbers)
    except seal.Burned:
        return None
