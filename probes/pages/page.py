"""What a public page is made of: plain values, which one template shows for every family."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    label: str
    href: str  # an address of ours without a language ("/providers/"), or https://


@dataclass(frozen=True)
class Card:
    label: str
    value: str
    sub: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell of a table where a word alone is not enough."""

    text: str
    href: str = ""
    tone: str = ""  # yes, no, warn, unknown: the stylesheet's
    shape: str = ""  # stands before the text and is not read out
    sub: str = ""


@dataclass(frozen=True)
class Column:
    heading: str
    style: str = ""  # a class of site.css: mono, number


@dataclass(frozen=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | Cell, ...], ...]


@dataclass(frozen=True)
class Bar:
    """One line of a small chart. The value is written out; the bar is only to be looked at."""

    label: str
    value: str
    share: int  # 0 to 100, of the longest
    href: str = ""
    sub: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Section:
    """A heading and any of what can stand below it, in this order."""

    heading: str
    paragraph: str = ""
    bullets: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    code: tuple[str, ...] = ()  # lines as they are: an example of a key's shape, a call
    bars: tuple[Bar, ...] = ()
    table: Table | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Related:
    """Links to further pages of ours, under one word."""

    label: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Page:
    slug: str
    kicker: str
    title: str
    description: str  # for who has not opened it yet: one or two sentences, 50 to 160 characters
    lead: str
    cards: tuple[Card, ...]
    summary_heading: str
    summary: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    related: tuple[Related, ...]
    above: Link  # the core page that leads here
    warning: str = ""  # what a reader must know before the rest; mostly empty
    action: Link | None = None
    checked_on: dt.date | None = None  # when the facts were last checked
    links: tuple[Link, ...] = ()  # to the provider: its own words on what is said here
