"""How well the rules judge answers that other people recorded: the score that `make test` prints.

The file is shared between projects and is not part of this one; without it nothing is scored.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probes import seed
from tests import replay

ANSWERS = Path(__file__).parents[2] / "shared" / "facts" / "recorded-answers.json"
RECORDS = json.loads(ANSWERS.read_text(encoding="utf-8")) if ANSWERS.is_file() else []
SCORED = [r for r in RECORDS if r["scored"] and r["replayable"]]
CATALOGUE = seed.read_catalogue()


@pytest.mark.skipif(not SCORED, reason=f"{ANSWERS.name} is not here: the rules are not scored")
def test_every_recorded_answer_is_judged_right(score: pytest.StashKey[str], request: pytest.FixtureRequest) -> None:
    judged = [replay.judge(CATALOGUE, record) for record in SCORED]
    right = [j for j in judged if j.right]
    request.config.stash[score] = f"Recorded answers judged right: {len(right)} of {len(judged)}"
    wrong = [f"{j.id}: wanted {j.wanted}, said {j.verdict} ({j.cause}), {j.identity}" for j in judged if not j.right]
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(not RECORDS, reason=f"{ANSWERS.name} is not here: the rules are not scored")
def test_no_recorded_answer_makes_a_key_more_than_it_is() -> None:
    """Also of those that are not scored: a refusal is never taken for an acceptance."""
    refused = [r for r in RECORDS if r["replayable"] and r["meaning"] == "invalid" and not r["also_accept"]]
    assert not [r["id"] for r in refused if replay.judge(CATALOGUE, r).verdict == "active"]
