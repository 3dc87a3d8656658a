"""What a report gives to take along, and that it holds whatever admins switch off."""

from __future__ import annotations

import dataclasses

import pytest

from probes import present, report
from probes.evidence import Finding
from probes.report import Examined, Reported
from tests.cases import CATALOGUE, finding


def reported(provider: str = "openai", base_url: str = "", *found: Finding) -> Reported:
    key = Examined(
        number=1,
        line=1,
        label="OPENAI_API_KEY",
        state="done",
        candidates=[],
        distinctive=False,
        provider=provider,
        base_url=base_url,
        key_destroyed_at=None,
        findings=list(found),
    )
    return report.report(CATALOGUE, key)


@pytest.mark.parametrize(
    ("provider", "base_url"),
    [("openai", "https://relay.acme.dev/v1"), ("azure-openai", "https://acme.openai.azure.com")],
)
def test_a_command_to_take_along_asks_where_the_key_was_asked(provider: str, base_url: str) -> None:
    shown = reported(provider, base_url, finding("no_credit", call=f"GET {base_url}/models"))
    assert f"--base-url {base_url} " in report.take_along(shown)["add-monitoring"]


def test_a_route_points_to_where_the_models_are() -> None:
    shown = reported("huggingface", "", finding("active", call="GET https://huggingface.co/api/whoami-v2"))
    assert "api_base: https://router.huggingface.co/v1\n" in report._route(shown)


def test_inventory_is_not_offered_without_a_visible_covered_model() -> None:
    shown = reported("elevenlabs", "", finding("active", pays=True))
    assert "import-inventory" not in [action["slug"] for action in shown.json["next_actions"]]


def test_every_action_that_points_into_the_page_has_something_there() -> None:
    for word in ("active", "restricted", "no_credit", "rate_limited", "invalid", "unknown"):
        shown = reported("openai", "", finding(word, pays=True, models=["gpt-4o-mini"]))
        inside = [a["slug"] for a in shown.json["next_actions"] if (a["href"] or "").startswith("#")]
        assert set(inside) <= set(report.take_along(shown)), word


def test_a_metric_that_an_admin_switched_off_breaks_no_result() -> None:
    words = CATALOGUE.shared
    fewer = tuple(m for m in words.metrics if m.name != "balance_total")
    catalogue = dataclasses.replace(CATALOGUE, shared=dataclasses.replace(words, metrics=fewer))
    key = Examined(1, 1, "line 1", "done", [], True, "huggingface", "", None, [finding("active")])
    assert present.key(report.report(catalogue, key))["verdict"] == "active"
