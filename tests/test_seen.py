"""Models that keys list and the catalogue does not have: what is counted, and everything that is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from probes import burn, evidence, models, seen
from probes.lab.recorded import Recorded
from probes.lab.server import as_canary
from probes.management.commands.proof import new_canary
from probes.models import AIModel, CatalogueState, Probe, Provider, SeenModel
from probes.models.seen import KEPT_DAYS, NEW_A_DAY, nobodys
from tests.cases import CATALOGUE
from tests.conftest import Clock, lab_of, shipped_records
from tests.exchanges import as_exchange
from tests.test_flow import FINE_GRAINED, RELAY, RELAY_URL, Submit

pytestmark = pytest.mark.django_db

PROJECT = "sk-proj-TestKeyLabProject000T3BlbkFJFakeKeyNeverIssued00"
NOBODYS_PROJECT = "sk-proj-TestKeyLabNobodys000T3BlbkFJFakeKeyNeverIssued00"


@pytest.fixture(autouse=True)
def counted_in_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "IN_LAB", True)


@contextmanager
def lists(slug: str, *models_: tuple[str, str], records: list[Recorded] | None = None) -> Iterator[None]:
    """A lab in which every good model list of this sender is this one, of ids and their owners."""
    body = {"object": "list", "data": [{"id": name, "object": "model", "owned_by": owner} for name, owner in models_]}
    with lab_of(
        replace(r, answer={**r.answer, "body": body})
        if (r.slug, r.probe) == (slug, "models") and r.answer["status"] == 200
        else r
        for r in records or shipped_records()
    ):
        yield


def counted() -> dict[str, int]:
    return dict(SeenModel.objects.values_list("model_id", "count"))


# What is counted


def test_a_proved_key_counts_the_vendors_own_models_that_the_catalogue_does_not_have(check: Submit) -> None:
    with lists("openai", ("gpt-9", "openai"), ("gpt-9-mini", "system"), ("gpt-4o-mini", "system")):
        check(PROJECT)
        check(PROJECT)
    assert counted() == {"gpt-9": 2, "gpt-9-mini": 2}
    row = SeenModel.objects.first()
    assert row is not None
    assert {f.name for f in row._meta.fields} == {"id", "provider", "model_id", "day", "count"}
    assert row.day == timezone.now().date()


def test_a_list_that_answers_anyone_counts_whole(check: Submit) -> None:
    with lists("huggingface", ("an-author/new-model", "whoever"), ("meta-llama/Llama-3.1-8B-Instruct", "")):
        check(FINE_GRAINED)
    assert counted() == {"an-author/new-model": 1}


def test_a_model_that_is_switched_off_is_covered_all_the_same(check: Submit) -> None:
    AIModel.objects.create(provider=Provider.objects.get(slug="openai"), model_id="gpt-9", enabled=False)
    with lists("openai", ("gpt-9", "openai")):
        check(PROJECT)
    assert counted() == {}


# What leaves nothing


OWN = (
    ("ft:gpt-4o-mini:acme-corp::abc123", "user-1"),
    ("ft:gpt-4o-mini:acme-corp::abc124", "system"),  # whatever its owner is called
    ("curie:ft-acme-2026", "system"),
    ("qwen-plus-ft-202611", "system"),
    ("acme-corp-model", "acme-corp"),
    ("acme", "user-acme"),
    ("someone@acme.example", "system"),
    ("a model of mine", "system"),
    ("x" * 201, "system"),
    ("<b>x</b>", "system"),
)


def test_a_customers_own_models_leave_nothing(check: Submit) -> None:
    with lists("openai", *OWN, ("gpt-9", "openai")):
        check(PROJECT)
    assert counted() == {"gpt-9": 1}


def test_a_keyed_list_without_a_word_on_what_is_public_leaves_nothing(check: Submit) -> None:
    Probe.objects.filter(provider__slug="openai").update(public_models="")
    CatalogueState.bump()
    models.forget()
    with lists("openai", ("gpt-9", "openai")):
        check(PROJECT)
    assert counted() == {}


def test_a_deployment_at_a_customers_own_host_leaves_nothing(check: Submit) -> None:
    Probe.objects.filter(provider__slug="azure-openai", name="models").update(public_models="body.data[].id")
    CatalogueState.bump()
    models.forget()
    good = next(r for r in shipped_records() if (r.slug, r.file) == ("azure-openai", "good-models.json"))
    host = good.url.removeprefix("https://").partition("/")[0]
    with lists("azure-openai", ("acme-gpt-9", "system")):
        _url, document = check(good.key, provider="azure-openai", base_url=f"https://{host}")
    assert document["detections"][0]["identity"]["state"] == "proven"
    assert counted() == {}


def test_a_relays_list_leaves_nothing(check: Submit) -> None:
    with lists("new-api", ("gpt-9", "openai")):
        check(RELAY, base_url=RELAY_URL)
    assert counted() == {}


def test_an_unproven_key_leaves_nothing(check: Submit) -> None:
    with lists("huggingface", ("an-author/new-model", "")):
        check(f"{NOBODYS_PROJECT}\nhf_{'TestKeyLabNobody' * 2}00")
    assert counted() == {}


def test_the_lab_leaves_nothing(check: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "IN_LAB", False)
    with lists("openai", ("gpt-9", "openai")):
        check(PROJECT)
    assert counted() == {}


def test_no_part_of_the_key_and_no_name_of_the_account_is_in_an_id(check: Submit) -> None:
    key, account, canary = new_canary()
    ids = ("public/one", f"x/{key}", f"y/{key[5:25]}", f"{account}/mine", f"z/{account.lower()}-v2")
    records = as_canary(shipped_records(), canary)
    with lists("huggingface", *((name, "") for name in ids), records=records):
        _url, document = check(key)
    assert account in str(document)
    kept = " ".join(str(vars(row)) for row in SeenModel.objects.all())
    assert list(counted()) == ["public/one"]
    assert account.lower() not in kept.lower()
    assert not any(key[i : i + 12] in kept for i in range(len(key) - 11))


# How much is kept, and for how long


def test_many_keys_are_counted_with_one_write(check: Submit) -> None:
    keys = [f"sk-proj-TestKeyLabProject{n:03}T3BlbkFJFakeKeyNeverIssued00" for n in range(40)]
    good = [r for r in shipped_records() if r.key == PROJECT]
    twins = [replace(r, key=key) for r in good for key in keys if key != PROJECT]
    records = [*shipped_records(), *twins]
    with lists("openai", ("gpt-9", "openai"), records=records), CaptureQueriesContext(connection) as asked:
        check("\n".join(keys))
    assert counted() == {"gpt-9": 40}
    assert 1 <= sum('INSERT INTO "probes_seenmodel"' in q["sql"] for q in asked) <= 3


def test_so_many_new_ids_of_a_provider_are_kept_a_day_and_the_known_ones_go_on_counting() -> None:
    SeenModel.count_up({("openai", f"new-{n:04}"): 1 for n in range(NEW_A_DAY + 50)} | {("groq", "other"): 1})
    SeenModel.count_up({("openai", "new-0000"): 2, ("openai", "one-more"): 1, ("nobody", "x"): 1})
    assert SeenModel.objects.filter(provider__slug="openai").count() == NEW_A_DAY
    assert counted()["new-0000"] == 3
    assert not {"one-more", "x"} & set(counted())


def test_each_day_has_counts_of_its_own(at: Clock) -> None:
    for _day in range(2):
        SeenModel.count_up({("openai", "gpt-9"): 1})
        at(24 * 3600)
    assert list(SeenModel.objects.values_list("count", flat=True)) == [1, 1]


def test_what_is_older_than_ninety_days_goes_with_the_minute_task() -> None:
    provider, today = Provider.objects.get(slug="openai"), timezone.now().date()
    for days in (KEPT_DAYS, KEPT_DAYS + 1):
        SeenModel.objects.create(provider=provider, model_id="m", day=today - dt.timedelta(days=days), count=1)
    burn.burn_task()
    assert [row.day for row in SeenModel.objects.all()] == [today - dt.timedelta(days=KEPT_DAYS)]


def test_a_count_that_cannot_be_written_keeps_no_key_from_its_end(
    check: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(counts: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(SeenModel, "count_up", broken)
    with lists("openai", ("gpt-9", "openai")):
        _url, document = check(PROJECT)
    assert document["check"]["state"] == "done"


# What the catalogue says is nobody's own


SAID = [(p.slug, probe) for p in CATALOGUE.providers.values() for probe in p.probes if probe.public_models]


@pytest.mark.parametrize(("slug", "probe"), SAID, ids=[slug for slug, _probe in SAID])
def test_what_a_file_calls_public_is_a_part_of_the_recorded_list(slug: str, probe: Any) -> None:
    assert not probe.public
    found: set[str] = set()
    for record in shipped_records():
        if (record.slug, record.probe) == (slug, probe.name):
            listed, public = (of(probe, as_exchange(record)) for of in (evidence.model_ids, evidence.public_ids))
            assert set(public or ()) <= set(listed or ())
            found |= set(public or ())
    assert found
    assert all(map(nobodys, found))


@pytest.mark.parametrize(
    ("slug", "body"),
    [
        ("mistral", {"data": [{"id": "mistral-x", "type": "fine-tuned", "owned_by": "mistralai"}]}),
        ("cohere", {"models": [{"name": "mine-ft", "finetuned": True}]}),
        ("fireworks", {"data": [{"id": "accounts/acme/models/mine", "owned_by": "fireworks"}]}),
        ("google-gemini", {"models": [{"name": "tunedModels/mine"}]}),
        ("anthropic", {"data": [{"id": "mine"}]}),
        ("openai", {"data": [{"id": "mine"}, {"id": "gpt", "owned_by": None}]}),
    ],
)
def test_what_a_customer_tuned_is_not_public(slug: str, body: dict[str, Any]) -> None:
    probe = next(p for s, p in SAID if s == slug)
    record = next(r for r in shipped_records() if (r.slug, r.probe) == (slug, probe.name))
    exchange = as_exchange(replace(record, answer={"status": 200, "body": body}))
    assert evidence.public_ids(probe, exchange) == []
