"""Two keys side by side, or one key asked at two origins: what is the same and what is not. Pure.

Its texts are ready to be shown; provider texts among them are to be escaped like anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from probes import formats, report, words
from probes.evidence import KEY_FORM
from probes.report import LIMITS, Reported

SHOWN_MODELS = 30


@dataclass(frozen=True)
class Row:
    label: str
    a_text: str
    b_text: str
    same: bool


@dataclass(frozen=True)
class Group:
    """Rows of one kind: `result`, `path`, `evidence`, `limits` or `calls`."""

    slug: str
    label: str
    rows: tuple[Row, ...]

    @property
    def differing(self) -> int:
        return sum(not row.same for row in self.rows)


@dataclass(frozen=True)
class Ids:
    """Model ids: how many there are, and the first of them."""

    count: int
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Models:
    only_a: Ids
    both: Ids
    only_b: Ids


@dataclass(frozen=True)
class Comparison:
    groups: tuple[Group, ...]  # only those with rows
    models: Models | None  # None where one of the two model lists was not seen


def compare(a: Reported, b: Reported) -> Comparison:
    """What was found of two keys, row by row, a's beside b's."""
    groups = (
        Group("result", _("Result"), _result(a, b)),
        Group("path", _("Path"), _path(a, b)),
        Group("evidence", _("Evidence"), _evidence(a, b, limits=False)),
        Group("limits", _("Limits"), _evidence(a, b, limits=True)),
        Group("calls", _("Calls"), _calls(a, b)),
    )
    return Comparison(tuple(group for group in groups if group.rows), _models(a, b))


def _row(label: str, a: str, b: str) -> Row:
    return Row(label, a, b, a == b)


def _result(a: Reported, b: Reported) -> tuple[Row, ...]:
    return tuple(_row(label, of_a, of_b) for (label, of_a), (_same, of_b) in zip(_said(a), _said(b), strict=True))


def _said(reported: Reported) -> list[tuple[str, str]]:
    """What is said of a key as a whole: label and text."""
    shown = reported.json
    verdict, cause = shown["verdict"], shown["cause"]
    return [
        (_("Whose"), report.identity_text(reported)),
        (_("Verdict"), words.verdict_text(verdict, report.host(reported.case), report.silent(cause))),
        (_("Cause"), words.cause_text(cause, verdict) or cause or ""),
        (_("Origin"), shown["origin"] or ""),
        (_("Able to pay"), str(words.ABILITY_TO_PAY[shown["ability_to_pay"]])),
        (_("Requests"), str(shown["requests"])),
    ]


def _path(a: Reported, b: Reported) -> tuple[Row, ...]:
    return tuple(
        _row(formats.begin(str(words.STEPS[of_a["step"]])), _step(of_a), _step(of_b))
        for of_a, of_b in zip(a.json["path"], b.json["path"], strict=True)
    )


def _step(step: dict[str, Any]) -> str:
    return formats.named(str(words.STEP_STATES[step["state"]]), step["reason"])


def _evidence(a: Reported, b: Reported, limits: bool) -> tuple[Row, ...]:
    """A row for each metric that either has evidence of, in the catalogue's order; limits, or all the others."""
    of_a, of_b = _facts(a), _facts(b)
    return tuple(
        _row(_(metric.label), of_a.get(metric.name, ""), of_b.get(metric.name, ""))
        for metric in a.case.catalogue.shared.metrics
        if metric.name in of_a | of_b and (metric.capability == LIMITS) == limits
    )


def _facts(reported: Reported) -> dict[str, str]:
    """By metric: value, unit and state, each once however many probes read it."""
    return _joined((e["metric"], _fact(e)) for f in reported.json["findings"] for e in f["evidence"])


def _fact(evidence: dict[str, Any]) -> str:
    state = words.EVIDENCE_STATES[evidence["state"]]
    value = formats.figure(report.plain(evidence))
    return formats.aside(formats.isolated(value), str(state)) if value else str(state)


def _calls(a: Reported, b: Reported) -> tuple[Row, ...]:
    """A row for each probe. How long it took is shown, and makes no difference."""
    timed_a, timed_b = _joined(_call(f, True) for f in _asked(a)), _joined(_call(f, True) for f in _asked(b))
    plain_a, plain_b = _joined(_call(f, False) for f in _asked(a)), _joined(_call(f, False) for f in _asked(b))
    return tuple(
        Row(probe, timed_a.get(probe, ""), timed_b.get(probe, ""), plain_a.get(probe) == plain_b.get(probe))
        for probe in timed_a | timed_b
    )


def _asked(reported: Reported) -> list[dict[str, Any]]:
    return [f for f in reported.json["findings"] if f["call"] != KEY_FORM]


def _call(finding: dict[str, Any], timed: bool) -> tuple[str, str]:
    answer = str(finding["status"] or words.unstopped(words.cause_text(finding["cause"])) or finding["cause"])
    return finding["probe"], formats.listed([answer, formats.milliseconds(finding["elapsed_ms"])]) if timed else answer


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Texts by name, in order; several of one name in one text, each once."""
    found: dict[str, dict[str, None]] = {}
    for name, text in pairs:
        found.setdefault(name, {})[text] = None
    return {name: "; ".join(texts) for name, texts in found.items()}


def _models(a: Reported, b: Reported) -> Models | None:
    if None in (a.json["models"]["visible"], b.json["models"]["visible"]):
        return None
    of_a, of_b = _ids(a), _ids(b)
    return Models(_first(of_a - of_b), _first(of_a & of_b), _first(of_b - of_a))


def _ids(reported: Reported) -> set[str]:
    return {*reported.json["models"]["covered"], *reported.json["models"]["new"]}


def _first(ids: set[str]) -> Ids:
    return Ids(len(ids), tuple(sorted(ids)[:SHOWN_MODELS]))
