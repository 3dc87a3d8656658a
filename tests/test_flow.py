"""From paste to burn, against the lab over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

FINE_GRAINED = "hf_TestKeyLabFineGrained0000000000000"

pytestmark = pytest.mark.django_db


def test_a_key_is_identified_judged_and_forgotten(lab: Any, check: Callable[..., Any]) -> None:
    _url, document = check(FINE_GRAINED)
    key = document["detections"][0]
    assert document["check"]["state"] == "done"
    assert (key["provider"], key["identity"]["state"], key["verdict"]) == ("huggingface", "proven", "restricted")
    assert key["key_destroyed_at"]
