"""The public pages, computed from the same rows that detection uses; nothing of them is stored.

A family is a module with `KICKER`, `slugs(catalogue)`, `find(catalogue, slug)` and `index(catalogue)`,
all pure. A new family is its module, its line here and its address in `probes/urls.py`.
"""

from typing import Protocol

from probes.pages import provider_key_probes
from probes.pages.page import IndexRow, Page
from probes.pages.provider_key_probes import account_probes
from probes.terms import Catalogue

__all__ = ["FAMILIES", "Family", "IndexRow", "Page", "account_probes"]


class Family(Protocol):
    def slugs(self, catalogue: Catalogue) -> list[str]: ...
    def find(self, catalogue: Catalogue, slug: str) -> Page | None: ...
    def index(self, catalogue: Catalogue) -> list[IndexRow]: ...


FAMILIES: dict[str, Family] = {"provider-key-probes": provider_key_probes}
