"""The public pages, computed from the same rows that detection uses; nothing of them is stored.

A family is a module with `ABOVE`, `slugs(shelf)` and `find(shelf, slug)`, and pure; with `moved(shelf, slug)` where
people may try another address of its pages. A new one is its module and its line here: address, sitemap and languages
follow.
"""

from collections.abc import Iterable
from typing import Protocol

from probes.pages import (
    key_error_routes,
    key_intelligence,
    model_capability_probes,
    model_error_routes,
    model_key_routes,
    model_limit_probes,
    provider_compare,
    provider_key_probes,
)
from probes.pages.page import Page
from probes.pages.shelf import Shelf

__all__ = ["FAMILIES", "Family", "Page", "Shelf"]


class Family(Protocol):
    ABOVE: str
    """The core page that leads to this family's pages."""

    def slugs(self, shelf: Shelf) -> Iterable[str]:
        """Every page that has something of its own to say."""

    def find(self, shelf: Shelf, slug: str) -> Page | None:
        """The page, or None for a slug that is not among `slugs`. At most a dozen queries."""


FAMILIES: dict[str, Family] = {
    "provider-key-probes": provider_key_probes,
    "model-key-routes": model_key_routes,
    "model-limit-probes": model_limit_probes,
    "model-capability-probes": model_capability_probes,
    "model-error-routes": model_error_routes,
    "key-error-routes": key_error_routes,
    "key-intelligence": key_intelligence,
    "provider-compare": provider_compare,
}
