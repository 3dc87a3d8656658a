"""The operator's start: the keys that were told apart, in groups by where they would go, and what he decides of each.

A group's fields end in its id: `provider-3`, `base_url-3`, `each-3` (ask each of these). `leave` names keys, by
number, that are not to be sent; `base_url-key-7` sends one key of a group elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from probes import guard, words
from probes.forms import LONGEST_BASE_URL, Elsewhere, checked_base_url, default_claim, destination
from probes.models import Detection, State, current
from probes.terms import Catalogue, Provider

WAITING = (State.READY, State.NEEDS_CHOICE)
OFFERED = 8  # candidates that one may tick

Destination = tuple[str, str]  # provider, base URL


@dataclass(frozen=True)
class Group:
    """Keys that would go to the same place, or wait for the same choice. Its id is its first key's number."""

    rows: tuple[Detection, ...]
    candidates: tuple[Provider, ...]  # whose keys these may be by shape, asked at hosts that are known

    @property
    def id(self) -> int:
        return self.rows[0].number

    @property
    def provider(self) -> str:
        return self.rows[0].provider

    @property
    def base_url(self) -> str:
        return self.rows[0].base_url

    @property
    def needs_choice(self) -> bool:
        return self.rows[0].state == State.NEEDS_CHOICE


@dataclass(frozen=True)
class Decision:
    """Keys by number, and where each is sent."""

    numbers: tuple[int, ...]
    destinations: tuple[Destination, ...]


def groups(rows: Iterable[Detection], catalogue: Catalogue) -> list[Group]:
    """What waits for a start: first what needs a choice, then the largest."""
    found: dict[tuple[Any, ...], list[Detection]] = {}
    for row in rows:
        if row.state in WAITING:
            place = (row.state, row.provider, row.base_url, *([] if row.provider else row.candidates))
            found.setdefault(place, []).append(row)
    made = [Group(tuple(members), _offered(members[0], catalogue)) for members in found.values()]
    return sorted(made, key=lambda g: (not g.needs_choice, -len(g.rows), g.id))


def _offered(row: Detection, catalogue: Catalogue) -> tuple[Provider, ...]:
    known = [catalogue.providers[slug] for slug in row.candidates if slug in catalogue.providers]
    return tuple(p for p in known if p.origins and p.hosts and not p.retired)[:OFFERED]


class StartForm:
    """What was decided. errors: why it cannot be started so, by the name of the field that must change.

    Groups without a choice go on waiting.
    """

    def __init__(self, rows: Iterable[Detection], data: QueryDict) -> None:
        self.catalogue = current()
        self.groups = groups(rows, self.catalogue)
        self.data = data
        self.errors: dict[str, str] = {}
        self.spend = bool(data.get("spend"))
        leave = set(data.getlist("leave"))
        self.left_out = {row.number for group in self.groups for row in group.rows if str(row.number) in leave}
        self.decisions: list[Decision] = []

    def is_valid(self) -> bool:
        for group in self.groups:
            self.decisions += self._decided(group)
        if not self.decisions and not self.errors and not self._all_left_out():
            self.errors[f"provider-{self.groups[0].id}"] = str(
                _("Choose a provider, or give the base URL that the key came with.")
            )
        return not self.errors

    def _all_left_out(self) -> bool:
        return all(row.number in self.left_out for group in self.groups for row in group.rows)

    def _decided(self, group: Group) -> list[Decision]:
        """The group's own destinations, and those of single keys that go elsewhere."""
        decided, rest = [], []
        for row in group.rows:
            base_url = self.data.get(f"base_url-key-{row.number}", "").strip()
            if row.number in self.left_out:
                continue
            if not base_url:
                rest.append(row)
                continue
            try:
                decided.append(Decision((row.number,), (self._at([row], group.provider, base_url),)))
            except Elsewhere as error:
                self.errors[f"base_url-key-{row.number}"] = str(error)
        try:
            places = self._destinations(group, rest) if rest else ()
        except Elsewhere as error:
            self.errors[f"{error.field}-{group.id}"] = str(error)
            places = ()
        return decided + ([Decision(tuple(row.number for row in rest), places)] if places else [])

    def _destinations(self, group: Group, rows: list[Detection]) -> tuple[Destination, ...]:
        chosen = self.data.get(f"provider-{group.id}", "").strip()
        base_url = self.data.get(f"base_url-{group.id}", "").strip()
        ticked = self.data.getlist(f"each-{group.id}")
        places = [(p.slug, "") for p in group.candidates if p.slug in ticked]
        if base_url or chosen:
            kept = group.base_url if not chosen else ""
            places.insert(0, self._at(rows, chosen or group.provider, base_url or kept))
        elif not places and not group.needs_choice:
            places.append((group.provider, group.base_url))
        return tuple(dict.fromkeys(places))

    def _at(self, rows: Iterable[Detection], provider: str, base_url: str) -> Destination:
        """One destination, judged as the form judges it. Raises Elsewhere."""
        known = self.catalogue.providers.get(provider)
        if provider and (known is None or known.retired):
            raise Elsewhere("provider", _("There is no such provider here; choose one of the list."))
        if len(base_url) > LONGEST_BASE_URL:
            raise Elsewhere("base_url", _("The base URL is longer than 300 characters."))
        field = "base_url" if base_url else "provider"
        try:
            base_url = checked_base_url(base_url)
        except guard.BaseUrlError as error:
            raise Elsewhere("base_url", words.BASE_URL_FAULTS[error.args[0]]) from None
        provider, base_url = destination(self.catalogue, provider, base_url)
        for row in rows:
            if provider and row.distinctive and provider not in row.candidates:
                owner = self.catalogue.providers[row.candidates[0]].name
                raise Elsewhere(field, capfirst(str(words.FAULTS["wrong_provider"]) % {"detail": owner}))
        return provider or default_claim(self.catalogue), base_url
