"""What templates ask beyond Django's own: addresses in the page's language, and figures as the language writes them."""

import datetime as dt
import re
from decimal import Decimal

from django import template
from django.utils.html import escape, format_html, format_html_join

from probes import formats, public
from probes.pages.page import Cell, Table

register = template.Library()

PART = re.compile(r"(?<=[./_:?&=\]])(?=\w)")
LINK = '<a href="{}">{}</a>'
TONE = '<span class="tone {}">{}</span>'
SHAPE = '<span class="tone {}" aria-hidden="true">{}</span>&nbsp;{}'
SUB = '{} <span class="sub">{}</span>'
FIRST = '<th scope="row"{}>{}</th>'
OTHER = '<td data-label="{}"{}>{}</td>'


@register.filter
def local(path: str) -> str:
    return public.localized(path)


@register.filter
def number(value: int) -> str:
    return formats.number(value)


@register.filter
def milliseconds(value: int) -> str:
    return formats.milliseconds(value)


@register.filter
def begin(text: str) -> str:
    return formats.begin(str(text))


@register.simple_tag
def gap() -> str:
    """What stands between two sentences; nothing where a language has no spaces."""
    return formats.together("", "")


@register.filter
def price(usd: Decimal | None) -> str:
    return formats.price(usd)


@register.filter
def day(value: dt.date) -> str:
    return formats.day(value)


@register.filter
def breaks(text: str) -> str:
    """An address, a path or a field, which may go on in the next line behind each of its parts."""
    first, *rest = PART.split(str(text))
    if not rest:
        return first
    return format_html("{}{}", first, format_html_join("", "<wbr>{}", ((part,) for part in rest)))


@register.filter
def rows(table: Table) -> str:
    """A table's rows. Tables are most of a public page, and by a template took most of its time."""
    columns = [
        (escape(c.heading), format_html(' class="{}"', c.style) if c.style else "", c.style == "mono")
        for c in table.columns
    ]

    def row(cells: tuple[str | Cell, ...]) -> str:
        shown = [
            format_html(OTHER, heading, style, _inside(cell, mono))
            if at
            else format_html(FIRST, style, _inside(cell, mono))
            for at, ((heading, style, mono), cell) in enumerate(zip(columns, cells, strict=True))
        ]
        return format_html("{}" * len(shown), *shown)

    return format_html_join("", "<tr>{}</tr>\n", ((row(cells),) for cells in table.rows))


def _inside(cell: str | Cell, mono: bool) -> str:
    if isinstance(cell, str):
        return breaks(cell) if mono else cell
    inside = breaks(cell.text) if mono else cell.text
    if cell.href:
        inside = format_html(LINK, public.localized(cell.href), inside)
    elif cell.tone:
        inside = format_html(TONE, cell.tone, inside)
    if cell.shape:
        inside = format_html(SHAPE, cell.tone, cell.shape, inside)
    return format_html(SUB, inside, cell.sub) if cell.sub else inside
