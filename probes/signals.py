"""A change of any catalogue row moves the catalogue's version, so that pages and workers see it."""

from typing import Any

from django.db.models.signals import post_delete, post_save

from probes.models import CATALOGUE_MODELS, CatalogueState


def changed(**kwargs: Any) -> None:
    if not kwargs.get("raw"):
        CatalogueState.bump()


for model in CATALOGUE_MODELS:
    post_save.connect(changed, sender=model, dispatch_uid=f"bump-save-{model.__name__}")
    post_delete.connect(changed, sender=model, dispatch_uid=f"bump-delete-{model.__name__}")
