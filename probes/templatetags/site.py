"""What templates ask beyond Django's own: addresses in the page's language, and figures as the language writes them."""

import datetime as dt
from decimal import Decimal

from django import template

from probes import formats, public

register = template.Library()


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
