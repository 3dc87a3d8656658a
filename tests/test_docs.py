"""The documents name all that the catalogue's language has."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from probes import coverage, report, seed
from probes.lab import recorded
from probes.lab.server import Server
from probes.management.commands.cataloguewords import FILE, text
from tests.test_flow import CHECK_SHAPE, DETECTION_SHAPE, FINDING_SHAPE, FINE_GRAINED, Submit

DOCS = Path(__file__).parent.parent / "docs"
CATALOGUE = seed.read_catalogue()
SENDERS: dict[str, seed.Sender] = {**CATALOGUE.providers, **CATALOGUE.gateways}
LANGUAGE = (
    seed.Provider,
    seed.Gateway,
    seed.Probe,
    seed.KeyShape,
    seed.Rule,
    seed.Reading,
    seed.AIModel,
    seed.Fingerprint,
    seed.Withheld,
)


def table(name: str) -> list[list[str]]:
    """The cells of all table rows of a document, without the heads."""
    lines = (DOCS / name).read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in rows[1:] if set("".join(row)) - set("- ")]


def test_every_metric_is_in_the_table_as_the_catalogue_has_it() -> None:
    labels = {c.slug: c.label for c in CATALOGUE.shared.capabilities}
    told = [row[:4] for row in table("metrics.md")]
    assert told == [[f"`{m.name}`", labels[m.capability], m.unit, m.label] for m in CATALOGUE.shared.metrics]


def test_which_capabilities_are_ours_is_said() -> None:
    text = " ".join((DOCS / "metrics.md").read_text(encoding="utf-8").split())
    ours = ", ".join(c.label for c in CATALOGUE.shared.capabilities if c.ours)
    theirs = ", ".join(c.label for c in CATALOGUE.shared.capabilities if not c.ours)
    assert f"**{ours}**" in text
    assert f"the public site's: {theirs}." in text


def test_every_post_has_its_source() -> None:
    told = {(row[0], row[1]) for row in table("read-only-posts.md") if row[2].startswith("[") and row[3]}
    made = {(f"`{s.slug}`", f"`{p.call}`") for s in SENDERS.values() for p in s.probes if p.method == "POST"}
    assert told == made
    assert all(protocol.models.method != "POST" for protocol in CATALOGUE.shared.protocols.values())


@pytest.mark.parametrize("part", LANGUAGE, ids=lambda part: part.__name__)
def test_every_key_of_the_language_is_explained(part: type) -> None:
    text = re.sub(r"```.*?```", "", (DOCS / "adding-a-provider.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    told = {word for span in re.findall(r"`+([^`]+)`+", text) for word in re.findall(r"\w+", span)}
    missing = [f.name for f in fields(part) if f.name not in told]
    assert not missing, f"{part.__name__}: {', '.join(missing)}"


def test_every_auth_scheme_is_named() -> None:
    told = next(row[1] for row in table("adding-a-provider.md") if row[0] == "`auth`")
    assert set(seed.AUTH_SCHEMES) <= set(re.findall(r"`([^`]+)`", told))


def test_every_command_is_named() -> None:
    files = (DOCS.parent / "probes" / "management" / "commands").glob("[!_]*.py")
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \| ", text, flags=re.MULTILINE)) >= {file.stem for file in files}


def test_the_coverage_table_is_fresh() -> None:
    page = (DOCS / "coverage.md").read_text(encoding="utf-8")
    assert page == coverage.table(seed.read_catalogue(), recorded.read_all()), "run: python manage.py coverage"


def test_every_sentence_of_the_catalogue_can_be_translated() -> None:
    assert FILE.read_text(encoding="utf-8") == text(seed.read_catalogue()), "run: python manage.py cataloguewords"


def without_what_differs_each_time(part: Any) -> Any:
    """A document less its times and request ids."""
    if isinstance(part, dict):
        each_time = ("created_at", "burns_at", "key_destroyed_at", "elapsed_ms", "request_id")
        return {
            name: "" if name in each_time else without_what_differs_each_time(value) for name, value in part.items()
        }
    return [without_what_differs_each_time(each) for each in part] if isinstance(part, list) else part


@pytest.mark.django_db
def test_the_example_of_the_json_is_what_is_really_answered(lab: Server, check: Submit) -> None:
    example = json.loads((DOCS / "json.md").read_text(encoding="utf-8").partition("```json")[2].partition("```")[0])
    _url, answered = check(f"{FINE_GRAINED}\nhttps://api.openai.com/v1")
    told, made = without_what_differs_each_time(example), without_what_differs_each_time(answered)
    assert told == made
    assert json.dumps(told) == json.dumps(made)  # in the same order too


def test_every_key_and_state_of_the_json_is_explained() -> None:
    told = {word for row in table("json.md") for word in re.findall(r"`(\w+)`", row[0])}
    below = ("findings", "models", "capabilities", "path", "next_actions")  # each has a paragraph or table of its own
    assert told >= {*CHECK_SHAPE, *DETECTION_SHAPE, *FINDING_SHAPE} - set(below)
    text = (DOCS / "json.md").read_text(encoding="utf-8")
    for word in (*below, *report.CHECK_STATES, *report.DETECTION_STATES):
        assert f"`{word}`" in text, word
