"""What a bulk edit or an import would do, row by row; and doing exactly that.

A plan is shown before anything is written. Its seal goes with the page, and what is confirmed is planned anew: where
the two are not the same, the catalogue has changed in between, and the new plan is shown instead.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from probes.admin import sheet
from probes.identity import identity
from probes.models import AIModel, CatalogueState, Provider

SALT = "probes.admin.plan"
SEAL_SECONDS = 3600
AT_ONCE = 500  # rows of a statement
SHOWN = 2000  # rows of a preview


@dataclass
class Step:
    """What becomes of one model. line: of the file; 0 = no file. changes: (column, before, after), as text."""

    provider: str
    model_id: str
    line: int = 0
    model: AIModel = field(default_factory=AIModel)
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        if self.refusals:
            return "refused"
        return "new" if self.model.pk is None else "changed" if self.changes else "same"


@dataclass(frozen=True)
class Plan:
    """steps: one for each model or line. version: of the catalogue, before it was read."""

    steps: list[Step]
    version: int

    @cached_property
    def counts(self) -> dict[str, int]:
        states = [step.state for step in self.steps]
        return {state: states.count(state) for state in ("new", "changed", "same", "refused")}

    @property
    def refused(self) -> bool:
        return self.counts["refused"] > 0

    @property
    def writes(self) -> int:
        return self.counts["new"] + self.counts["changed"]

    @property
    def shown(self) -> list[Step]:
        """Refusals first, then what is written, then what stays; at most SHOWN."""
        order = ("refused", "new", "changed", "same")
        return sorted(self.steps, key=lambda step: (order.index(step.state), step.line))[:SHOWN]

    @property
    def more(self) -> int:
        """How many are not shown."""
        return max(0, len(self.steps) - SHOWN)

    def seal(self, user_id: int) -> str:
        """One signed word for all that this plan would do, and for whom."""
        return signing.dumps([user_id, self._digest], salt=SALT)

    def sealed_by(self, seal: str, user_id: int) -> bool:
        try:
            return bool(signing.loads(seal, salt=SALT, max_age=SEAL_SECONDS) == [user_id, self._digest])
        except signing.BadSignature:
            return False

    @cached_property
    def _digest(self) -> str:
        told = [(s.line, s.provider, s.model_id, s.state, s.changes) for s in self.steps]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def edit(rows: Iterable[AIModel], values: Mapping[str, Any]) -> Plan:
    """The same values for all of these models."""
    version = _version()
    return Plan([_weigh(Step(row.provider.slug, row.model_id), row, values) for row in rows], version)


def read(raw: bytes) -> Plan:
    """What a CSV file would do. Raises sheet.Unreadable."""
    lines, version = sheet.read(raw), _version()
    slugs = {line.cells.get("provider", "") for line in lines}
    providers = {row.slug: row for row in Provider.objects.filter(slug__in=slugs)}
    models = AIModel.objects.filter(provider__slug__in=slugs).select_related("provider")
    known = {(row.provider.slug, row.model_id): row for row in models}
    begun: dict[tuple[str, str], int] = {}
    return Plan([_of_line(line, providers, known, begun) for line in lines], version)


def _of_line(
    line: sheet.Line,
    providers: Mapping[str, Provider],
    known: Mapping[tuple[str, str], AIModel],
    begun: dict[tuple[str, str], int],
) -> Step:
    slug, model_id = (line.cells.get(name, "") for name in sheet.KEY)
    step = Step(slug, model_id, line.number)
    if slug not in providers:
        step.refusals.append(_("provider: there is none with this slug"))
    if (first := begun.setdefault((slug, model_id), line.number)) != line.number:
        step.refusals.append(_("the same model stands on line %(line)d") % {"line": first})
    if not all(cell.isprintable() for cell in line.cells.values()):
        step.refusals.append(_("a cell holds a line break or another control character"))
    values = {}
    for name in sheet.VALUES:
        if name in line.cells:
            try:
                values[name] = sheet.value_of(name, line.cells[name])
            except ValidationError as error:
                step.refusals += [f"{name}: {fault}" for fault in error.messages]
    if step.refusals:
        return step
    return _weigh(step, known.get((slug, model_id)) or AIModel(provider=providers[slug], model_id=model_id), values)


def _weigh(step: Step, row: AIModel, values: Mapping[str, Any]) -> Step:
    """Fill in what would change, and what speaks against it."""
    model = copy.copy(row)
    for name, value in values.items():
        setattr(model, name, value)
    model.identity = model.identity or identity(model.model_id)
    try:
        model.clean_fields(exclude=["provider"])  # looked up already; asking again is a query a row
        model.clean()
    except ValidationError as error:
        told = getattr(error, "error_dict", None) or {"": error.error_list}
        step.refusals += [f"{name}: {fault}" if name else fault for name, e in told.items() for fault in _texts(e)]
        return step
    step.model, fresh = model, row._state.adding
    for name in sheet.VALUES:
        before = "" if fresh else sheet.text_of(getattr(row, name))
        after = sheet.text_of(getattr(model, name))
        if before != after:
            step.changes.append((name, before, after))
    return step


def _texts(errors: list[ValidationError]) -> list[str]:
    return [text for error in errors for text in error.messages]


def _version() -> int:
    """Of the catalogue, as the rows have it this moment. Every change of a row moves it."""
    return CatalogueState.objects.filter(pk=1).values_list("version", flat=True).first() or 0


@transaction.atomic
def carry_out(plan: Plan, user_id: int, how: str) -> bool:
    """Write the plan, with a log entry each and one new version of the catalogue. False if that has moved since."""
    if CatalogueState.objects.select_for_update().get_or_create(pk=1)[0].version != plan.version:
        return False
    fresh, changed = ([step for step in plan.steps if step.state == state] for state in ("new", "changed"))
    for step in (*fresh, *changed):
        step.model.edited = True
    names = {name for step in changed for name, _before, _after in step.changes}
    AIModel.objects.bulk_create([step.model for step in fresh], batch_size=AT_ONCE)
    AIModel.objects.bulk_create(  # a bulk_update would build a CASE of so many arms for each column
        [step.model for step in changed],
        batch_size=AT_ONCE,
        update_conflicts=True,
        unique_fields=["pk"],
        update_fields=[*sorted(names), "edited"],
    )
    entries = [_entry(step, ADDITION, user_id, how) for step in fresh]
    entries += [_entry(step, CHANGE, user_id, how) for step in changed]
    LogEntry.objects.bulk_create(entries, batch_size=AT_ONCE)
    CatalogueState.bump()  # writing many rows sends no signal
    return True


def _entry(step: Step, flag: int, user_id: int, how: str) -> LogEntry:
    told = ", ".join(f"{name} {before or '–'} → {after or '–'}" for name, before, after in step.changes)
    return LogEntry(
        user_id=user_id,
        content_type=ContentType.objects.get_for_model(AIModel),
        object_id=str(step.model.pk),
        object_repr=step.model_id[:200],
        action_flag=flag,
        change_message=f"{how}: {told}.",
    )
