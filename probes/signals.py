"""A change of any catalogue row moves the catalogue's version, so that pages and workers see it."""

from typing import Any

from django.db.models.signals import post_delete, post_save

from probes.models import CATALOGUE_MODELS, AIModel, CatalogueState, Provider


def changed(instance: Any, raw: bool = False, **kwargs: Any) -> None:
    if not raw:
        CatalogueState.bump(listed=_listed(instance))


def _listed(row: Any) -> set[str] | None:
    """The models of the market that this row may have changed. One by one: a provider may go with a thousand."""
    if isinstance(row, AIModel):
        return {row.identity, row.listed} - {""}
    return None if isinstance(row, Provider) else set()


for model in CATALOGUE_MODELS:
    post_save.connect(changed, sender=model, dispatch_uid=f"bump-save-{model.__name__}")
    post_delete.connect(changed, sender=model, dispatch_uid=f"bump-delete-{model.__name__}")
