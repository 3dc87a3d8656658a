"""Bring the catalogue's files into the rows, and leave what an admin edited alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction

from probes import seed
from probes.identity import identity
from probes.models import (
    AIModel,
    Capability,
    CatalogueState,
    Gateway,
    KeyShape,
    Metric,
    Probe,
    Provider,
)
from probes.models.catalogue import Seeded


@dataclass
class Sown:
    """What a load did: names of rows, and for kept ones where file and row differ."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    @property
    def conflicts(self) -> list[str]:
        return self.kept + self.gone


def digest(directory: Path = seed.CATALOGUE_DIR) -> str:
    """One word for the present content of all catalogue files."""
    h = hashlib.sha256()
    for path in sorted([*directory.rglob("*.toml"), *directory.glob(seed.MODELS_FILE)]):
        h.update(path.relative_to(directory).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return h.hexdigest()


def sow(catalogue: seed.Catalogue, files: str = "", dry: bool = False, only: type[Seeded] | None = None) -> Sown:
    """Absent rows are created, unedited ones overwritten, edited ones kept and reported. One transaction.

    only: rows of this model alone; what they hang on must be there.
    """
    with transaction.atomic():
        sown = _Sower(only).all(catalogue)
        if dry:
            transaction.set_rollback(True)
        elif sown.created or sown.updated:
            CatalogueState.bump(**({"files": files} if files else {}))
        elif files:  # a comment changed: remembered, but no news to anyone
            CatalogueState.objects.update_or_create(pk=1, defaults={"files": files})
    return sown


def restore(rows: Iterable[Seeded]) -> list[Seeded]:
    """Take the catalogue's version of these rows back. Returns the rows that the files do not have."""
    wanted = dict(_wanted(seed.read_catalogue()))
    missing = []
    with transaction.atomic():
        for row in rows:
            values = wanted.get(_key(row))
            if values is None:
                missing.append(row)
                continue
            if "capability_id" in values:
                values = values | {"capability_id": Capability.objects.get(slug=values["capability_id"]).pk}
            for name, value in values.items():
                setattr(row, name, value)
            row.edited, row.seeded = False, True
            # Sends no signal: the version moves once, at the end.
            type(row)._default_manager.bulk_update([row], [*values, "edited", "seeded"])
        CatalogueState.bump()
    return missing


def differing(rows: Iterable[Seeded]) -> dict[Seeded, list[str]]:
    """In which fields the files say otherwise of these rows; rows that are as in the files, or not there, are left out.

    Reads and compares; nothing is written.
    """
    edited = list(rows)
    wanted = dict(_wanted(seed.read_catalogue())) if edited else {}
    found = {
        row: [name for name, value in wanted.get(_key(row), {}).items() if _said(row, name) != value] for row in edited
    }
    return {row: names for row, names in found.items() if names}


def _said(row: Any, name: str) -> Any:
    """A row's value as the files write it."""
    return row.capability.slug if name == "capability_id" else getattr(row, name)


Key = tuple[type[Seeded], tuple[tuple[str, Any], ...]]


def _key(row: Any) -> Key:
    """The row's natural key."""
    if isinstance(row, AIModel):
        return AIModel, (("provider__slug", row.provider.slug), ("model_id", row.model_id))
    if isinstance(row, KeyShape | Probe):
        owner = "provider" if row.provider else "gateway"
        return type(row), ((f"{owner}__slug", getattr(row, owner).slug), ("name", row.name))
    natural = "name" if isinstance(row, Metric) else "slug"
    return type(row), ((natural, getattr(row, natural)),)


def _wanted(catalogue: seed.Catalogue) -> list[tuple[Key, dict[str, Any]]]:
    """Every row that the files want, by natural key, parents before parts."""
    rows: list[tuple[Key, dict[str, Any]]] = []
    for i, capability in enumerate(catalogue.shared.capabilities):
        values = {"label": capability.label, "ours": capability.ours, "position": i}
        rows.append(((Capability, (("slug", capability.slug),)), values))
    for i, metric in enumerate(catalogue.shared.metrics):
        values = {"label": metric.label, "unit": metric.unit, "capability_id": metric.capability, "position": i}
        rows.append(((Metric, (("name", metric.name),)), values))
    for provider in catalogue.providers.values():
        rows.append(((Provider, (("slug", provider.slug),)), _values(Provider, provider)))
        rows += _parts("provider", provider)
        for i, model in enumerate(provider.models):
            values = _values(AIModel, model) | {"position": i, "name": model.name or model.id}
            values["identity"] = model.identity or identity(model.id)
            rows.append(((AIModel, (("provider__slug", provider.slug), ("model_id", model.id))), values))
    for gateway in catalogue.gateways.values():
        rows.append(((Gateway, (("slug", gateway.slug),)), _values(Gateway, gateway)))
        rows += _parts("gateway", gateway)
    return rows


def _parts(owner: str, sender: seed.Sender) -> list[tuple[Key, dict[str, Any]]]:
    rows: list[tuple[Key, dict[str, Any]]] = []
    kinds: list[tuple[type[Seeded], tuple[Any, ...]]] = [(KeyShape, sender.key_shapes), (Probe, sender.probes)]
    for model, parts in kinds:
        for i, part in enumerate(parts):
            key: Key = (model, ((f"{owner}__slug", sender.slug), ("name", part.name)))
            rows.append((key, _values(model, part) | {"position": i}))
    return rows


def _values(model: type[Seeded], part: Any) -> dict[str, Any]:
    values = {name: _plain(getattr(part, name)) for name in model.SEED_FIELDS if name != "position"}
    if "origins" in values:  # their order counts, and PostgreSQL's JSON keeps none
        values["origins"] = [list(pair) for pair in values["origins"].items()]
    return values


def _plain(value: Any) -> Any:
    """JSON's own types, without the defaults that a file leaves out."""
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "__dataclass_fields__"):
        return {k: _plain(v) for k, v in asdict(value).items() if v not in ("", (), None, {})}
    return dict(value) if isinstance(value, dict) else value


class _Sower:
    def __init__(self, only: type[Seeded] | None) -> None:
        self.only = only
        self.sown = Sown()
        self.owners: dict[tuple[str, str], int] = {}
        self.parts: dict[type[Seeded], list[Seeded]] = {}

    def all(self, catalogue: seed.Catalogue) -> Sown:
        rows = self._rows()
        seen: set[int] = set()
        for key, values in _wanted(catalogue):
            if self.only in (None, key[0]):
                row = rows.get(key)
                self._one(key, row, self._resolve(values))
                seen |= {id(row)}
        for model, parts in self.parts.items():
            # bulk_create sends no signal: the version moves once, at the end.
            model._default_manager.bulk_create(parts, batch_size=500)
        for key, row in rows.items():
            if id(row) not in seen and row.seeded and row.enabled and self.only in (None, key[0]):
                self.sown.gone.append(f"{_name(key)}: no longer in the files")
        return self.sown

    def _rows(self) -> dict[Key, Seeded]:
        """Every present row by its natural key: one query a model."""
        found: dict[Key, Seeded] = {}
        for model in (Capability, Metric, Provider, Gateway):
            for row in model.objects.all():
                key = _key(row)
                found[key] = row
                self.owners[(model.__name__, key[1][0][1])] = row.pk
        for part in (KeyShape, Probe):
            found |= {_key(row): row for row in part.objects.select_related("provider", "gateway")}
        found |= {_key(row): row for row in AIModel.objects.select_related("provider")}
        return found

    def _resolve(self, values: dict[str, Any]) -> dict[str, Any]:
        if "capability_id" in values:
            return values | {"capability_id": self.owners[("Capability", values["capability_id"])]}
        return values

    def _one(self, key: Key, row: Seeded | None, values: dict[str, Any]) -> None:
        if row is None:
            self._create(key, values)
            return
        differ = [name for name, value in values.items() if getattr(row, name) != value]
        if row.edited:
            if differ:
                self.sown.kept.append(f"{_name(key)}: edited here, the files differ in {', '.join(differ)}")
            return
        if differ or not row.seeded:
            for name in differ:
                setattr(row, name, values[name])
            row.seeded = True
            type(row)._default_manager.bulk_update([row], [*differ, "seeded"])
            self.sown.updated.append(f"{_name(key)}: {', '.join(differ)}")

    def _create(self, key: Key, values: dict[str, Any]) -> None:
        model, natural = key
        given = dict(values, seeded=True)
        for path, value in natural:
            owner, _, rest = path.partition("__")
            given[f"{owner}_id" if rest else owner] = self.owners[(owner.capitalize(), value)] if rest else value
        if len(natural) == 1:  # parts hang on it: its id is wanted now
            row = model._default_manager.bulk_create([model(**given)])[0]
            self.owners[(model.__name__, natural[0][1])] = row.pk
        else:
            self.parts.setdefault(model, []).append(model(**given))
        self.sown.created.append(_name(key))


def _name(key: Key) -> str:
    return f"{key[0]._meta.verbose_name} {' '.join(str(value) for _, value in key[1])}"
