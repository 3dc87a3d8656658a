"""Numbers, prices and days as the reader's language writes them (CLDR, by Babel). Files and JSON are not written so."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from babel import Locale, dates, numbers
from django.utils.functional import lazy
from django.utils.translation import get_language, get_language_bidi, ngettext_lazy, to_locale
from django.utils.translation import gettext as _

# The catalogue's units that are counted, behind a figure. Others (USD, percent) stand there as they are.
COUNTED: dict[str, Any] = {
    "characters": ngettext_lazy("%(n)s character", "%(n)s characters", "count"),
    "credits": ngettext_lazy("%(n)s credit", "%(n)s credits", "count"),
    "credits a month": ngettext_lazy("%(n)s credit a month", "%(n)s credits a month", "count"),
    "messages": ngettext_lazy("%(n)s message", "%(n)s messages", "count"),
    "models": ngettext_lazy("%(n)s model", "%(n)s models", "count"),
    "points": ngettext_lazy("%(n)s point", "%(n)s points", "count"),
    "quota units": ngettext_lazy("%(n)s quota unit", "%(n)s quota units", "count"),
    "requests": ngettext_lazy("%(n)s request", "%(n)s requests", "count"),
    "requests a day": ngettext_lazy("%(n)s request a day", "%(n)s requests a day", "count"),
    "requests a minute": ngettext_lazy("%(n)s request a minute", "%(n)s requests a minute", "count"),
    "tokens": ngettext_lazy("%(n)s token", "%(n)s tokens", "count"),
    "tokens a minute": ngettext_lazy("%(n)s token a minute", "%(n)s tokens a minute", "count"),
    "units": ngettext_lazy("%(n)s unit", "%(n)s units", "count"),
}

PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
FIGURE = re.compile(r"(?<=\d) (?=[^\W\d])")
PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")


def number(value: int) -> str:
    """1,047,576; in Hindi 10,47,576."""
    return _number(value, _locale())


def price(usd: Decimal | None, route_based: bool = False) -> str:
    """USD per million tokens: at least three decimals below one, no trailing zeros from there on."""
    if route_based:
        return _("route based")
    return _("not known") if usd is None else _price(usd, _locale())


def figure(text: str) -> str:
    """A fact as `report.plain` writes it ("1234.5 USD", "2026-11-24 10:00 UTC"), as the language writes it."""
    return _figure(text, _locale())


def milliseconds(value: int) -> str:
    return tied(_("%(n)s ms") % {"n": number(value)})


def tied(text: str) -> str:
    """With no line end between a figure and what is counted."""
    return FIGURE.sub("\u00a0", text)


def begin(text: str) -> str:
    """As a line begins. A dotted i keeps its dot in Turkish."""
    first = "İ" if text.startswith("i") and get_language() == "tr" else text[:1].upper()
    return first + text[1:]


def begun(words: dict[str, Any] | list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Choices, each of which begins a line; said when they are shown."""
    return [(slug, _later(word)) for slug, word in dict(words).items()]


_later = lazy(lambda word: begin(str(word)), str)


def named(name: str, text: str) -> str:
    """A text behind what it is."""
    return _("%(name)s: %(text)s") % {"name": name, "text": text}


def aside(text: str, more: str) -> str:
    """More of it, in the language's own brackets."""
    return _("%(text)s (%(more)s)") % {"text": text, "more": more}


def together(*sentences: str) -> str:
    """Sentences one after another; not every language puts a space between them."""
    text = sentences[0]
    for sentence in sentences[1:]:
        text = _("%(first)s %(second)s") % {"first": text, "second": sentence}
    return text


def isolated(text: str) -> str:
    """Code or a name within a sentence; where people read from right to left, it keeps its own direction."""
    return f"\u2068{text}\u2069" if get_language_bidi() else text


def listed(words: Iterable[str]) -> str:
    """A list in a line, with the language's own comma."""
    first, *others = [*words] or [""]
    for word in others:
        first = _("%(first)s, %(rest)s") % {"first": first, "rest": word}
    return first


def day(value: dt.date) -> str:
    """24 November 2026, as the language says it."""
    return dates.format_date(value, "long", locale=_locale())


def _locale() -> str:
    return to_locale(get_language() or "en")


@lru_cache(4096)
def _number(value: int, locale: str) -> str:
    return numbers.format_decimal(value, locale=locale)


@lru_cache(4096)
def _price(usd: Decimal, locale: str) -> str:
    digits = "0.000###" if usd < 1 else "0.######"
    pattern = Locale.parse(locale).currency_formats["standard"].pattern.replace("0.00", digits)
    shown = numbers.format_currency(usd, "USD", format=pattern, locale=locale, currency_digits=False)
    return shown.replace("US$", "US$\u200e") if Locale.parse(locale).text_direction == "rtl" else shown


def _whole(value: Decimal, locale: str) -> int:
    """A whole number behind which words stand as behind this one: translations know the forms of no others."""
    if value.as_tuple().exponent == 0:  # 1.0 is no 1: decimals that are seen count
        return abs(int(value))
    form = Locale.parse(locale).plural_form
    return next((n for n in (2, 5, 100, 1) if form(n) == form(value)), 2)


def _figure(text: str, locale: str) -> str:  # not kept: what was found of a key burns
    value, _space, unit = text.partition(" ")
    if PLAIN_NUMBER.fullmatch(value):
        digits = len(value.partition(".")[2])  # as many as were told: 0.00 is not 0
        whole = Locale.parse(locale).decimal_formats[None].pattern.partition(".")[0]
        shown = numbers.format_decimal(Decimal(value), format=f"{whole}.{'0' * digits}", locale=locale)
        if unit in COUNTED:
            said = str(COUNTED[unit] % {"n": shown, "count": _whole(Decimal(value), locale)})
            # A dual tells its number in its form, but neither a sign nor decimals.
            return tied(said if shown in said or value.isdigit() else str(COUNTED[unit] % {"n": shown, "count": 100}))
        return f"{shown}\u00a0{_(unit)}" if unit else shown
    if PLAIN_TIME.fullmatch(text):
        moment = dt.datetime.strptime(text, "%Y-%m-%d %H:%M UTC").replace(tzinfo=dt.UTC)
        return f"{dates.format_datetime(moment, 'medium', locale=locale)} UTC"
    return text
