"""One identity for a model at all its sellers: the slug of its id, and the slugs that name the same model."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from probes.seed import CATALOGUE_DIR, SeedError, read_toml

ALIASES = CATALOGUE_DIR / "_aliases.toml"
LONGEST = 100


def identity(model_id: str) -> str:
    """The slug under which a model is public, the same at every seller that the alias table knows."""
    name = slug(model_id)
    return aliases(ALIASES).get(name, name)


def slug(model_id: str) -> str:
    """The id's last part in a-z, 0-9 and hyphens, as the public site writes it; never empty."""
    unwritable = f"x{model_id.encode(errors='replace').hex()}"[:LONGEST]  # one word for all would merge them
    return _slug(model_id.rpartition("/")[2]) or _slug(model_id) or unwritable


def _slug(text: str) -> str:
    kept = re.sub(r"[^a-z0-9-]", "", re.sub(r"[.:_@/\s]", "-", text.lower()))
    return re.sub(r"-+", "-", kept).strip("-")[:LONGEST].rstrip("-")


@cache
def aliases(path: Path) -> dict[str, str]:
    """The identity of every slug that has another than itself. Raises SeedError."""
    table = read_toml(path)
    groups = table.pop("aliases", None)
    if table or not isinstance(groups, dict):
        raise SeedError(f"{path.name}: expected the table 'aliases' and nothing else")
    found: dict[str, str] = {}
    for name, others in groups.items():
        if not isinstance(others, list) or not others:
            raise SeedError(f"{path.name}: {name}: expected a list of slugs, got {others!r}")
        for other in others:
            if not isinstance(other, str) or slug(name) != name or slug(other) != other:
                raise SeedError(f"{path.name}: {name}: {other!r}: not a slug, or not under one")
            if other in groups:
                raise SeedError(f"{path.name}: {name}: {other!r} is an identity itself")
            if other in found:
                raise SeedError(f"{path.name}: {name}: {other!r} stands twice")
            found[other] = name
    return found
