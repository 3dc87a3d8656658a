"""Two keys side by side, or one key at two origins."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from probes import report
from probes.compare import SHOWN_MODELS, Comparison, Row, compare
from probes.evidence import Finding
from probes.report import Examined, Reported
from tests.cases import CATALOGUE, finding


def reported(*found: Finding, number: int = 1, provider: str = "openai", base_url: str = "") -> Reported:
    key = Examined(number, number, "sk-…0000", "done", [], True, provider, base_url, None, list(found))
    return report.report(CATALOGUE, key)


def fact(metric: str, value: Any, unit: str | None = None, state: str = "confirmed") -> dict[str, Any]:
    return {"metric": metric, "value": value, "unit": unit, "state": state, "read_from": "body"}


INVISIBLE = fact("plan", None, None, "invisible")


def rows(comparison: Comparison, slug: str) -> dict[str, Row]:
    return {row.label: row for group in comparison.groups if group.slug == slug for row in group.rows}


def test_a_key_beside_itself_differs_in_nothing() -> None:
    one = reported(finding("active", models=["gpt-4o"], evidence=[fact("requests_limit", 60, "requests")]))
    found = compare(one, one)
    assert [group.slug for group in found.groups] == ["result", "path", "limits", "calls"]
    assert [group.differing for group in found.groups] == [0, 0, 0, 0]
    assert found.models is not None
    assert (found.models.only_a.count, found.models.both.shown, found.models.only_b.count) == (0, ("gpt-4o",), 0)


def test_two_keys_are_told_apart_by_what_was_found_of_each() -> None:
    good = reported(finding("active", pays=True, models=["gpt-4o", "x"]))
    bad = reported(finding("invalid", "invalid_api_key", models=None, status=401), number=2)
    result = rows(compare(good, bad), "result")
    assert result["Verdict"] == Row("Verdict", "Accepted by api.openai.com", "Refused by api.openai.com", False)
    assert result["Cause"].b_text == "The provider does not know this key."
    assert result["Able to pay"].a_text == "yes"
    assert result["Origin"].same
    assert compare(good, bad).models is None


def test_one_key_at_two_origins_is_compared_call_by_call() -> None:
    here = reported(finding("active", models=["gpt-4o"], elapsed_ms=120))
    call = "GET https://relay.example/v1/models"
    relay = reported(
        finding("active", call=call, models=["gpt-4o", "gpt-9"], elapsed_ms=900),
        finding(
            "unknown", "timeout", probe="balance", status=None, elapsed_ms=8000, call="GET https://relay.example/b"
        ),
        base_url="https://relay.example",
        number=2,
    )
    found = compare(here, relay)
    assert rows(found, "result")["Origin"].b_text == "https://relay.example"
    assert rows(found, "calls") == {
        "models": Row("models", "200, 120\u00a0ms", "200, 900\u00a0ms", True),
        "balance": Row("balance", "", "No whole answer came in time, 8,000\u00a0ms", False),
    }
    assert found.models is not None
    assert found.models.only_b.shown == ("gpt-9",)


def test_evidence_shows_value_unit_and_state_and_limits_stand_apart() -> None:
    a = reported(
        finding(evidence=[fact("balance_total", "1.50", "USD"), fact("requests_limit", 60, "requests")]),
        finding(
            probe="plan",
            call="GET https://api.openai.com/plan",
            evidence=[fact("balance_total", "1.50", "USD"), INVISIBLE],
        ),
    )
    b = reported(finding(evidence=[fact("balance_total", "1.50", "CNY")]))
    found = compare(a, b)
    assert rows(found, "evidence") == {
        "Balance": Row("Balance", "1.50\u00a0USD (confirmed)", "1.50\u00a0CNY (confirmed)", False),
        "Plan": Row("Plan", "this key may not see it", "", False),
    }
    assert list(rows(found, "limits")) == ["Request limit"]


def test_the_path_is_compared_step_by_step() -> None:
    path = rows(compare(reported(finding("active")), reported(finding("invalid"))), "path")
    assert list(path) == ["Identified", "Inventory", "Pricing", "Routing", "Launch"]
    assert path["Identified"].a_text.startswith("yes: ")
    assert path["Identified"].b_text.startswith("no: ")


def test_long_lists_of_models_are_counted_and_clipped() -> None:
    a = reported(finding("active", models=[f"a-{n}" for n in range(100)] + ["both"]))
    b = reported(finding("active", models=["both"]))
    found = compare(a, b).models
    assert found is not None
    assert (found.only_a.count, len(found.only_a.shown), found.both.count) == (100, SHOWN_MODELS, 1)


def test_keys_of_different_providers_and_keys_that_wait_are_compared_too() -> None:
    waiting = report.report(CATALOGUE, Examined(2, 2, "x", "needs_choice", ["openai"], False, "", "", None, []))
    for other in (waiting, reported(finding("active", call="GET https://api.x.ai/v1/api-key"), provider="xai")):
        assert not rows(compare(reported(finding("active")), other), "result")["Whose"].same


def test_a_comparison_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        compare(reported(finding()), reported(finding())).models = None  # type: ignore[misc]
