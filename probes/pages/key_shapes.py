"""How a provider's keys are told: their shapes, drawn so that no drawing is a key. Pure."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from probes.formats import begin
from probes.pages.page import Cell, Column, Section, Table
from probes.terms import KeyShape, Provider


def shapes(provider: Provider) -> list[Section]:
    if not provider.key_shapes:
        return []
    legend = _(
        "The shape is read before anything is sent. ‹32 × a-f0-9› stands for 32 characters of that kind, 32+ for 32 or "
        "more, (a|b) for one of the two, and “?” stands after what may be missing."
    )
    columns = (Column(_("Key")), Column(_("Shape"), "mono"), Column(_("Who has such keys")), Column(_("Remark")))
    rows = tuple((begin(_(s.name)), example(s.pattern), _whose(s), _remark(s)) for s in provider.key_shapes)
    return [Section(_("How its keys are recognised"), legend, table=Table(columns, rows))]


def _whose(shape: KeyShape) -> Cell:
    if shape.refuse:
        return Cell(begin(_("never sent")), tone="no", shape="✕")
    if shape.kind == "distinctive":
        return Cell(begin(_("this provider alone")), tone="yes", shape="●")
    return Cell(begin(_("others, too")), tone="warn", shape="◐")


def _remark(shape: KeyShape) -> str:
    remarks = [_(text) for text in (shape.refuse, shape.note) if text]
    facts = [_("holds facts that are read without a call")] if shape.metrics else []
    return begin("; ".join([*remarks, *facts])) or "–"


_CHOICE = re.compile(r"(\[[^\]]+\]|\\d|(?<!\\)\.|=(?=\{))(\{[\d,]+\}|[+*?])?")
_REPEATED = re.compile(r"\(\?:([^()]*)\)\{(\d)\}")
_NO_CHARACTER = re.compile(r"\(\?![^)]*\)|^\^|\$$|\?:")


def example(pattern: str) -> str:
    """A pattern as a shape that can never be a key: what is chosen at random is counted and not made up."""

    def counted(match: re.Match[str]) -> str:
        least, comma, most = (match[2] or "").strip("{}").partition(",")
        count = {"": "1", "+": "1+", "*": "0+", "?": "0–1"}.get(least, least)
        more = f"–{most}" if most else comma and "+"
        return f"‹{count}{more} × {match[1].strip('[]')}›".replace("\\d", "0-9")

    written_out = _REPEATED.sub(lambda match: match[1] * int(match[2]), pattern)
    return _CHOICE.sub(counted, _NO_CHARACTER.sub("", written_out)).replace("\\.", ".")
