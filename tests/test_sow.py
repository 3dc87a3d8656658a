"""The catalogue's files come into the rows, and what an admin edited is left alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command

from probes import seed, sow
from probes.models import AIModel, CatalogueState, Gateway, KeyShape, Metric, Probe, Provider, current, forget

DAY = dt.date(2026, 1, 2)
GOOD = seed.Rule(status=(200,), when="type(body.id) == 'string'", verdict="active")
ACME = seed.Provider(
    slug="acme",
    name="Acme",
    auth="bearer",
    checked_on=DAY,
    rule_sets=("openai-errors",),
    origins={"api": "https://api.acme.example", "eu": "https://eu.acme.example"},
    key_shapes=(seed.KeyShape(name="project", pattern="^ac-[a-z0-9]{20}$", kind="distinctive", prefix="ac-"),),
    probes=(
        seed.Probe(
            name="current_key",
            call="GET /v1/me",
            proves_key=True,
            pays="body.credit > `0`",
            metrics=(seed.Reading("key_valid"), seed.Reading("organization_id", read="body.org")),
            rules=(GOOD,),
        ),
        seed.Probe(
            name="models",
            call="GET /v1/orgs/{organization_id}/models",
            models="body.data[].id",
            rules=(seed.Rule(status=(200,), verdict="active"),),
        ),
    ),
    models=(
        seed.AIModel(id="acme-1", name="Acme 1", input_price=Decimal("0.10"), output_price=Decimal("0.40")),
        seed.AIModel(id="acme-2", name="Acme 2"),
    ),
)
RELAY = seed.Gateway(
    slug="relay",
    name="Relay",
    auth="bearer",
    checked_on=DAY,
    fingerprints=(seed.Fingerprint("its header", 'headers."x-relay" != null'),),
    probes=(
        seed.Probe(
            name="status",
            call="GET /api/status",
            sends_key=False,
            rules=(seed.Rule(status=(200,), verdict="unknown", cause="keyless"),),
        ),
    ),
)


def catalogue(*providers: seed.Provider) -> seed.Catalogue:
    return seed.Catalogue(providers={p.slug: p for p in providers}, gateways={RELAY.slug: RELAY}, shared=seed.shared())


FROZEN = catalogue(ACME)
CHEAPER = catalogue(replace(ACME, models=(replace(ACME.models[0], input_price=Decimal("0.05")), ACME.models[1])))


@pytest.fixture(autouse=True)
def files(db: None, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The rows are those of the frozen catalogue, and so are the files."""
    sow_frozen(monkeypatch)
    return monkeypatch


def sow_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (KeyShape, Probe, AIModel, Provider, Gateway):
        model.objects.all()._raw_delete("default")  # without a signal for each of the shipped rows
    say(monkeypatch, FROZEN, "digest-1")
    sow.sow(FROZEN, "digest-1")
    forget()


def say(monkeypatch: pytest.MonkeyPatch, content: seed.Catalogue, digest: str) -> None:
    """From now on the files have this content."""
    monkeypatch.setattr(seed, "read_catalogue", lambda: content)
    monkeypatch.setattr(sow, "digest", lambda: digest)


def version() -> int:
    return CatalogueState.objects.get(pk=1).version


def loadcatalogue(*options: str) -> str:
    out = StringIO()
    call_command("loadcatalogue", *options, stdout=out)
    return out.getvalue()


def price_edited_to(price: str) -> None:
    AIModel.objects.filter(model_id="acme-1").update(input_price=Decimal(price), edited=True)


def price() -> Decimal | None:
    return AIModel.objects.get(model_id="acme-1").input_price


def test_what_was_sown_is_what_detection_reads() -> None:
    read = current()
    assert read.providers["acme"] == ACME
    assert read.gateways["relay"] == RELAY
    assert read.shared == FROZEN.shared


def test_an_absent_row_is_created() -> None:
    Provider.objects.all().delete()
    sown = sow.sow(FROZEN)
    assert "provider acme" in sown.created
    assert Provider.objects.get().seeded
    assert (KeyShape.objects.count(), Probe.objects.count(), AIModel.objects.count()) == (1, 3, 2)


def test_a_row_that_is_as_the_files_say_is_left_alone() -> None:
    assert sow.sow(FROZEN) == sow.Sown()


def test_an_untouched_row_follows_the_files() -> None:
    sown = sow.sow(CHEAPER)
    assert sown.updated == ["AI model acme acme-1: input_price"]
    assert price() == Decimal("0.05")


def test_an_edited_row_that_the_files_agree_with_is_kept_silently() -> None:
    price_edited_to("0.10")
    assert sow.sow(FROZEN).conflicts == []


def test_an_edited_row_is_kept_and_the_difference_reported() -> None:
    price_edited_to("0.09")
    sown = sow.sow(CHEAPER)
    assert sown.kept == ["AI model acme acme-1: edited here, the files differ in input_price"]
    assert price() == Decimal("0.09")


def test_a_row_that_the_files_no_longer_have_is_kept_and_reported() -> None:
    sown = sow.sow(catalogue(replace(ACME, models=ACME.models[:1])))
    assert sown.gone == ["AI model acme acme-2: no longer in the files"]
    assert AIModel.objects.get(model_id="acme-2").enabled


def test_a_disabled_row_that_the_files_no_longer_have_is_no_news() -> None:
    AIModel.objects.filter(model_id="acme-2").update(enabled=False)
    assert sow.sow(catalogue(replace(ACME, models=ACME.models[:1]))).gone == []


def test_a_row_of_an_admins_own_is_never_reported() -> None:
    AIModel.objects.create(provider=Provider.objects.get(), model_id="own", edited=True)
    assert sow.sow(FROZEN) == sow.Sown()


def test_a_disabled_row_stays_disabled() -> None:
    Provider.objects.update(enabled=False, edited=True)
    sow.sow(CHEAPER)
    assert not Provider.objects.get().enabled


def test_restore_takes_the_files_version_back_and_the_files_lead_again() -> None:
    price_edited_to("0.09")
    assert sow.restore([AIModel.objects.get(model_id="acme-1")]) == []
    assert price() == Decimal("0.10")
    sow.sow(CHEAPER)
    assert price() == Decimal("0.05")


@pytest.mark.parametrize("model", [Provider, Gateway, KeyShape, Probe, AIModel, Metric])
def test_restore_works_for_every_kind_of_row(model: type[Provider]) -> None:
    before = {row.pk: row.seed_values() for row in model.objects.all()}
    assert sow.restore(model.objects.all()) == []
    assert {row.pk: row.seed_values() for row in model.objects.all()} == before


def test_restoring_many_rows_is_one_new_version() -> None:
    before = CatalogueState.objects.get().version
    sow.restore([*Provider.objects.all(), *Probe.objects.all(), *AIModel.objects.all()])
    assert CatalogueState.objects.get().version == before + 1


def test_restore_returns_a_row_that_the_files_do_not_have() -> None:
    own = AIModel.objects.create(provider=Provider.objects.get(), model_id="own")
    assert sow.restore([own]) == [own]


def test_the_load_is_skipped_while_the_files_have_not_changed(files: pytest.MonkeyPatch) -> None:
    say(files, CHEAPER, "digest-1")
    loadcatalogue()
    assert price() == Decimal("0.10")
    say(files, CHEAPER, "digest-2")
    loadcatalogue()
    assert price() == Decimal("0.05")


def test_force_loads_although_the_files_have_not_changed() -> None:
    AIModel.objects.all().delete()
    loadcatalogue("--force")
    assert AIModel.objects.count() == 2


def test_check_is_content_where_files_and_rows_agree() -> None:
    assert loadcatalogue("--check") == ""


def test_check_exits_1_where_files_and_an_edited_row_differ(files: pytest.MonkeyPatch) -> None:
    price_edited_to("0.09")
    say(files, CHEAPER, "digest-2")
    with pytest.raises(SystemExit) as stopped:
        loadcatalogue("--check")
    assert stopped.value.code == 1


def test_check_changes_nothing(files: pytest.MonkeyPatch) -> None:
    before = version()
    say(files, CHEAPER, "digest-2")
    with pytest.raises(SystemExit):
        loadcatalogue("--check")
    assert (price(), version()) == (Decimal("0.10"), before)


def test_the_version_moves_once_when_a_load_changes_rows() -> None:
    before = version()
    sow.sow(CHEAPER, "digest-2")
    assert version() == before + 1


def test_the_version_stays_when_a_load_changes_nothing(files: pytest.MonkeyPatch) -> None:
    before = version()
    say(files, FROZEN, "only a comment changed")
    loadcatalogue()
    loadcatalogue("--force")
    assert version() == before
    assert CatalogueState.objects.get().files == "only a comment changed"


def test_the_shipped_catalogue_is_sown_whole_and_once(files: pytest.MonkeyPatch) -> None:
    files.undo()
    Provider.objects.all().delete()
    Gateway.objects.all().delete()
    shipped = seed.read_catalogue()
    sow.sow(shipped)
    forget()
    assert current().providers == shipped.providers
    assert current().gateways == shipped.gateways
    assert sow.sow(shipped) == sow.Sown()
