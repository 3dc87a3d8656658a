"""What a public page is made of: plain values, which one template shows for every family."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    label: str
    value: str
    sub: str = ""


@dataclass(frozen=True)
class Section:
    heading: str
    paragraph: str
    bullets: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    heading: str
    style: str = ""  # a class of site.css


@dataclass(frozen=True)
class Table:
    heading: str
    paragraph: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def cells(self) -> list[list[tuple[Column, str]]]:
        return [list(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Link:
    label: str
    href: str


@dataclass(frozen=True)
class Page:
    slug: str
    kicker: str
    title: str
    lead: str
    warning: str  # what a reader must know before the rest; mostly empty
    cards: tuple[Card, ...]
    summary_heading: str
    summary: tuple[tuple[str, str], ...]
    burn: str
    sections: tuple[Section, ...]
    tables: tuple[Table, ...]
    checked_on: dt.date
    links: tuple[Link, ...]  # to the provider: its own words on what is said here
    related: tuple[Link, ...]  # to our other pages
    action: Link | None  # none for a provider that is no more


@dataclass(frozen=True)
class IndexRow:
    """One provider in the list of a family's pages."""

    name: str
    market: str
    models: int
    probes: int
    proof: str
    pages: tuple[Link, ...]
