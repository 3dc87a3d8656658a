"""Models as CSV: how a cell is written, and how it is read. No rows are touched here."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from probes.models import AIModel

KEY = ("provider", "model_id")
VALUES = (
    *("name", "context_window", "max_output", "input_price", "output_price", "route_based"),
    *("parameters", "input_modalities", "output_modalities", "identity", "enabled"),
)
COLUMNS = (*KEY, *VALUES)
MOST_ROWS = 10_000
MOST_BYTES = 4 * 1024 * 1024
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that spreadsheets calculate
YES, NO = ("yes", "true", "1"), ("no", "false", "0")


class Unreadable(ValueError):
    """The file as a whole cannot be read; the text says why."""


@dataclass(frozen=True)
class Line:
    """A row of the file: the line on which it begins, and its cells by column."""

    number: int
    cells: dict[str, str]


def read(raw: bytes) -> list[Line]:
    """The rows of a CSV file. Raises Unreadable."""
    if len(raw) > MOST_BYTES:
        raise Unreadable(_("The file is larger than 4 MiB."))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable(_("The file is not UTF-8 text. Save it as “CSV UTF-8”.")) from None
    lines = _lines(text)
    _number, head = next(lines, (0, []))
    columns = [name.strip() for name in head]
    _check_head(columns)
    found = []
    for number, cells in lines:
        if len(cells) > len(columns):
            raise Unreadable(_("Line %(line)d has more cells than the first line.") % {"line": number})
        if any(cell.strip() for cell in cells):
            found.append(Line(number, {name: unguarded(cell) for name, cell in zip(columns, cells, strict=False)}))
        if len(found) > MOST_ROWS:
            raise Unreadable(_("The file has more than 10,000 rows."))
    return found


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line on which it begins. Where the first line has semicolons and no comma, they separate."""
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first and "," not in first else ",")
    begins = 1
    try:
        for cells in rows:
            yield begins, cells
            begins = rows.line_num + 1
    except csv.Error as error:
        raise Unreadable(_("Line %(line)d: %(fault)s.") % {"line": begins, "fault": error}) from None


def _check_head(columns: list[str]) -> None:
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        told = {"name": unknown[0][:60], "known": ", ".join(COLUMNS)}
        raise Unreadable(_("The first line names an unknown column “%(name)s”. Known: %(known)s.") % told)
    if missing := [name for name in KEY if name not in columns]:
        raise Unreadable(_("The first line does not name the column “%(name)s”.") % {"name": missing[0]})
    if len(set(columns)) < len(columns):
        raise Unreadable(_("The first line names a column twice."))


def write(rows: Iterable[AIModel]) -> str:
    """These models as CSV, as `read` reads it."""
    file = io.StringIO(newline="")
    sheet = csv.writer(file)
    sheet.writerow(COLUMNS)
    for row in rows:
        cells = [row.provider.slug, row.model_id, *(text_of(getattr(row, name)) for name in VALUES)]
        sheet.writerow([guarded(cell) for cell in cells])
    return file.getvalue()


def guarded(text: str) -> str:
    """A cell that spreadsheets show and do not calculate."""
    return f"'{text}" if text.startswith(FORMULA) else text


def unguarded(text: str) -> str:
    text = text.strip()
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA) else text


def text_of(value: Any) -> str:
    """A value as a cell, and as the preview shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value).strip()


def value_of(name: str, text: str) -> Any:
    """A cell as the column's value. Raises ValidationError."""
    column = AIModel._meta.get_field(name)
    if isinstance(column, models.BooleanField):
        if text.lower() not in YES + NO:
            raise ValidationError(_("expected yes or no"))
        return text.lower() in YES
    if isinstance(column, models.JSONField):
        return [word.strip() for word in text.split(",") if word.strip()]
    if isinstance(column, models.DecimalField):
        return _number(text, r"[0-9]{1,8}(?:\.[0-9]{1,6})?", Decimal, _("expected a price such as 0.15"))
    if isinstance(column, models.IntegerField):
        return _number(text, r"[0-9]{1,9}", int, _("expected a whole number such as 128000"))
    return text


def _number(text: str, form: str, kind: Any, fault: str) -> Any:
    if not text:
        return None
    if not re.fullmatch(form, text):
        raise ValidationError(fault)
    return kind(text)
