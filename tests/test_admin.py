"""Admins keep the coverage: who may change what, what is refused, and what the catalogue gets back."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from probes import sow
from probes.models import (
    AIModel,
    Capability,
    CatalogueState,
    Gateway,
    KeyShape,
    Metric,
    Probe,
    Provider,
    current,
    forget,
)
from tests.test_sow import FROZEN, sow_frozen

MODELS = {"provider": Provider, "gateway": Gateway, "probe": Probe, "aimodel": AIModel}
EVERYTHING_BUT_DESTINATION = [
    f"{action}_{model}"
    for action in ("view", "add", "change", "delete")
    for model in ("provider", "gateway", "keyshape", "probe", "aimodel", "metric", "capability")
]


@pytest.fixture(autouse=True)
def rows(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sow_frozen(monkeypatch)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def staff(*codenames: str) -> Client:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames, content_type__app_label="probes"))
    return client_of(user)


@pytest.fixture
def boss() -> Client:
    return client_of(User.objects.create_superuser("boss"))


@pytest.fixture
def clerk() -> Client:
    """May do everything but change where keys are sent."""
    return staff(*EVERYTHING_BUT_DESTINATION)


@pytest.fixture
def acme() -> Provider:
    return Provider.objects.get(slug="acme")


def list_url(model: str) -> str:
    return reverse(f"admin:probes_{model}_changelist")


def change_url(row: Any) -> str:
    return reverse(f"admin:probes_{row._meta.model_name}_change", args=[row.pk])


def values(form: Any) -> dict[str, Any]:
    """What a browser would post of this form: no disabled fields, no unticked boxes."""
    posted = {f.html_name: f.value() for f in form if not f.field.disabled}
    return {name: "" if v is None else v for name, v in posted.items() if v is not False}


def page_data(client: Client, url: str) -> dict[str, Any]:
    """Everything that a browser would post from an admin's change or add page."""
    context = client.get(url).context
    data = values(context["adminform"].form)
    for inline in context["inline_admin_formsets"]:
        for form in (inline.formset.management_form, *inline.formset.forms):
            data |= values(form)
    return data


def list_data(client: Client, url: str) -> dict[str, Any]:
    formset = client.get(url).context["cl"].formset
    data: dict[str, Any] = {"_save": "Save"}
    for form in (formset.management_form, *formset.forms):
        data |= values(form)
    return data


def added(prefix: str, number: int, **fields: Any) -> dict[str, Any]:
    """A new inline row, as the page's "Add another" makes it."""
    return {f"{prefix}-TOTAL_FORMS": number + 1} | {f"{prefix}-{number}-{name}": v for name, v in fields.items()}


def faults(response: Any) -> str:
    """All messages of a refused page; empty if it was saved."""
    if response.status_code == 302:
        return ""
    assert response.status_code == 200
    return re.sub(
        r"<[^>]+>", " ", " ".join(re.findall(r'<ul class="errorlist.*?</ul>', response.content.decode(), re.S))
    )


def act(client: Client, action: str, *chosen: Any) -> Any:
    url = list_url(chosen[0]._meta.model_name)
    return client.post(url, {"action": action, "_selected_action": [row.pk for row in chosen]}, follow=True)


def told(response: Any) -> str:
    return " | ".join(str(m) for m in response.context["messages"])


def edited() -> set[str]:
    """Names of all rows that are marked as edited here."""
    return {
        str(row) for model in (Provider, KeyShape, Probe, AIModel, Gateway) for row in model.objects.filter(edited=True)
    }


# Who sees what


def test_the_catalogue_and_operators_are_in_the_admin_and_no_check() -> None:
    registered = {m._meta.model_name for m in apps.get_app_config("probes").get_models() if admin.site.is_registered(m)}
    assert registered == {"provider", "gateway", "probe", "aimodel", "metric", "capability", "operator", "seenmodel"}
    assert not [m for m in apps.get_app_config("django_q").get_models() if admin.site.is_registered(m)]


def test_staff_without_permission_see_nothing(acme: Provider) -> None:
    clerk = staff()
    assert clerk.get(reverse("admin:index")).context["app_list"] == []
    probe = acme.probes.get(name="current_key")
    for url in (*map(list_url, MODELS), change_url(acme), reverse("admin:probes_probe_try", args=[probe.pk])):
        assert clerk.get(url).status_code == 403


def test_a_visitor_is_asked_to_log_in(acme: Provider) -> None:
    for url in (list_url("provider"), reverse("admin:probes_probe_try", args=[acme.probes.get(name="current_key").pk])):
        assert "login" in Client().get(url).headers["Location"]


@pytest.mark.parametrize("model", [*MODELS, "metric", "capability"])
def test_every_list_and_page_opens_without_inline_script_or_style(boss: Client, model: str) -> None:
    row = apps.get_model("probes", model).objects.first()
    for url in (list_url(model), list_url(model) + "?q=a&edited__exact=0&enabled__exact=1", change_url(row)):
        response = boss.get(url)
        assert response.status_code == 200
        assert not re.search(rb"<style|\sstyle=|\son\w+=|<script(?![^>]*(src=|application/json))", response.content)


def test_a_provider_links_to_its_public_page(boss: Client, acme: Provider) -> None:
    link = 'href="/provider-key-probes/acme-onboarding-readiness/"'
    assert link in boss.get(change_url(acme)).content.decode()
    Provider.objects.update(enabled=False)
    assert link not in boss.get(change_url(acme)).content.decode()


# Natural keys and deletion


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (Provider, "slug"),
        (Gateway, "slug"),
        (AIModel, "model_id"),
        (Probe, "name"),
        (Metric, "name"),
        (Capability, "slug"),
    ],
)
def test_a_natural_key_stays_as_it_is(boss: Client, model: Any, field: str) -> None:
    row = model.objects.first()
    data = page_data(boss, change_url(row)) | {field: "other"}
    assert faults(boss.post(change_url(row), data)) == ""
    assert getattr(model.objects.get(pk=row.pk), field) == getattr(row, field)


def test_the_name_of_a_saved_part_stays_as_it_is(boss: Client, acme: Provider) -> None:
    data = page_data(boss, change_url(acme)) | {"key_shapes-0-name": "other", "probes-0-name": "other"}
    assert faults(boss.post(change_url(acme), data)) == ""
    assert {str(p) for p in acme.probes.all()} == {"Acme: current_key", "Acme: models"}
    assert acme.key_shapes.get().name == "project"


def test_a_row_from_the_catalogue_cannot_be_deleted(boss: Client, acme: Provider) -> None:
    assert boss.post(reverse("admin:probes_provider_delete", args=[acme.pk]), {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [acme.pk], "post": "yes"}
    assert boss.post(list_url("provider"), data).status_code == 403
    assert Provider.objects.filter(pk=acme.pk).exists()


def test_a_row_of_an_admins_own_can_be_deleted(boss: Client, acme: Provider) -> None:
    own = AIModel.objects.create(provider=acme, model_id="own")
    boss.post(reverse("admin:probes_aimodel_delete", args=[own.pk]), {"post": "yes"})
    assert not AIModel.objects.filter(model_id="own").exists()


def test_inline_only_parts_of_an_admins_own_can_be_deleted(boss: Client, acme: Provider) -> None:
    KeyShape.objects.create(provider=acme, name="own", pattern="^x$", kind="shared", position=9)
    data = page_data(boss, change_url(acme)) | {"key_shapes-0-DELETE": "on", "key_shapes-1-DELETE": "on"}
    assert faults(boss.post(change_url(acme), data)) == ""
    assert [shape.name for shape in acme.key_shapes.all()] == ["project"]


# What is marked as edited


def test_a_change_marks_the_row_as_edited(boss: Client, acme: Provider) -> None:
    boss.post(change_url(acme), page_data(boss, change_url(acme)) | {"concurrency": 8})
    assert Provider.objects.get().concurrency == 8
    assert edited() == {"Acme"}


def test_a_change_of_a_part_marks_that_part_alone(boss: Client, acme: Provider) -> None:
    boss.post(change_url(acme), page_data(boss, change_url(acme)) | {"probes-1-kind": "inventory"})
    assert edited() == {"Acme: models"}


def test_saving_without_a_change_marks_nothing_and_moves_no_version(boss: Client, acme: Provider) -> None:
    version = CatalogueState.objects.get().version
    for row in (acme, Gateway.objects.get(), acme.models.first(), acme.probes.get(name="current_key")):
        assert faults(boss.post(change_url(row), page_data(boss, change_url(row)))) == ""
    assert edited() == set()
    assert CatalogueState.objects.get().version == version


def test_a_price_changed_in_the_list_marks_that_model_alone(boss: Client) -> None:
    url = list_url("aimodel")
    boss.post(url, list_data(boss, url) | {"form-0-input_price": "9.5"})
    assert edited() == {"acme-1"}
    assert current().providers["acme"].models[0].input_price == 9.5


def test_what_was_edited_here_survives_a_load(boss: Client, acme: Provider) -> None:
    boss.post(change_url(acme), page_data(boss, change_url(acme)) | {"concurrency": 8})
    sow.sow(FROZEN)
    assert Provider.objects.get().concurrency == 8


def test_a_new_row_is_the_admins_own(boss: Client, acme: Provider) -> None:
    url = reverse("admin:probes_aimodel_add") + f"?provider={acme.pk}&model_id=acme-3"
    assert faults(boss.post(url, page_data(boss, url))) == ""
    row = AIModel.objects.get(model_id="acme-3")
    assert (row.edited, row.seeded) == (True, False)


@pytest.mark.parametrize(("action", "enabled"), [("disable", False), ("enable", True)])
def test_rows_are_switched_for_detection_and_marked(boss: Client, acme: Provider, action: str, enabled: bool) -> None:
    Provider.objects.update(enabled=not enabled)
    version = CatalogueState.objects.get().version
    assert "1 row changed" in told(act(boss, action, acme))
    forget()
    assert ("acme" in current().providers) is enabled
    assert edited() == {"Acme"}
    assert CatalogueState.objects.get().version == version + 1


def test_who_may_only_view_is_offered_no_action(acme: Provider) -> None:
    viewer = staff("view_provider")
    act(viewer, "disable", acme)
    assert Provider.objects.get().enabled


# Where keys are sent


MOVED = {"origins": '{"api": "https://api.rival.example"}', "auth": "x-api-key"}


def test_where_keys_are_sent_needs_a_permission_of_its_own(clerk: Client, acme: Provider) -> None:
    relay = Gateway.objects.get()
    for row in (acme, relay):
        data = page_data(clerk, change_url(row))
        assert not {"origins", "auth"} & set(data)
        assert faults(clerk.post(change_url(row), data | MOVED)) == ""
    acme.refresh_from_db()
    relay.refresh_from_db()
    assert (dict(acme.origins), acme.auth, relay.auth) == (FROZEN.providers["acme"].origins, "bearer", "bearer")


@pytest.mark.parametrize("model", ["provider", "gateway"])
def test_creating_a_sender_needs_that_permission_too(clerk: Client, model: str) -> None:
    assert clerk.get(reverse(f"admin:probes_{model}_add")).status_code == 403


def test_a_change_of_where_keys_are_sent_is_logged(acme: Provider, caplog: pytest.LogCaptureFixture) -> None:
    trusted = staff(*EVERYTHING_BUT_DESTINATION, "change_key_destination")
    data = page_data(trusted, change_url(acme)) | MOVED
    with caplog.at_level(logging.WARNING, "testkey"):
        assert faults(trusted.post(change_url(acme), data)) == ""
    for text in (caplog.text, " ".join(LogEntry.objects.values_list("change_message", flat=True))):
        assert "https://api.acme.example" in text
        assert "https://api.rival.example" in text
    assert "clerk changed where keys of provider acme are sent" in caplog.text


def test_another_order_of_origins_is_a_change_too(boss: Client, acme: Provider, caplog: Any) -> None:
    turned = json.dumps(list(reversed(acme.origins)))
    boss.post(change_url(acme), page_data(boss, change_url(acme)) | {"origins": turned})
    assert edited() == {"Acme"}
    assert "boss changed where keys" in caplog.text


def test_a_change_of_anything_else_is_not_logged_as_a_move(boss: Client, acme: Provider, caplog: Any) -> None:
    boss.post(change_url(acme), page_data(boss, change_url(acme)) | {"concurrency": 8})
    assert caplog.text == ""


@pytest.mark.parametrize("origin", ["http://api.acme.example", "https://10.0.0.1", "https://a.example/?k=1", "acme"])
def test_an_origin_that_is_none_is_refused(boss: Client, acme: Provider, origin: str) -> None:
    data = page_data(boss, change_url(acme)) | {"origins": json.dumps({"api": origin})}
    assert "origins.api: expected https://host" in faults(boss.post(change_url(acme), data))


def test_an_origin_that_a_probe_uses_cannot_go(boss: Client, acme: Provider) -> None:
    Probe.objects.filter(provider=acme, name="models").update(origin="eu")
    data = page_data(boss, change_url(acme)) | {"origins": '{"api": "https://api.acme.example"}'}
    assert "unknown word &#x27;eu&#x27;" in faults(boss.post(change_url(acme), data))


# What is refused


RULES = "probes-0-rules"


@pytest.mark.parametrize(
    ("field", "text", "fault"),
    [
        (RULES, "[{", "Enter a valid JSON"),
        (RULES, '[{"when": "lenght(body.data) > `0`", "verdict": "active"}]', "Unknown function: lenght()"),
        (RULES, '[{"when": "contain(text, \'x\')", "verdict": "active"}]', "Unknown function: contain()"),
        (RULES, '[{"when": "body.[", "verdict": "active"}]', "not a JMESPath expression"),
        (RULES, '[{"status": 200, "verdict": "fine"}]', "unknown word &#x27;fine&#x27;"),
        (RULES, '[{"status": 200}]', "missing key &#x27;verdict&#x27;"),
        (RULES, "7", "expected a list"),
        ("probes-0-metrics", '[{"name": "no_such", "read": "body.x"}]', "unknown word &#x27;no_such&#x27;"),
        ("probes-0-metrics", '[{"name": "plan", "read": "lenght(body)"}]', "Unknown function: lenght()"),
        ("probes-0-pays", "body.credit >", "not a JMESPath expression"),
        ("probes-0-call", "DELETE /v1/me", "unknown word &#x27;DELETE&#x27;"),
        ("probes-0-call", "POST /v1/me", "read_only_post"),
        ("probes-0-body", '{"n": NaN}', "Enter a valid JSON"),
        ("probes-1-call", "GET /v1/{plan}", "{plan}"),
        ("key_shapes-0-pattern", "^(", "pattern"),
        ("headers", '{"x": 1}', "expected a table of strings"),
        ("rule_sets", '["no-such"]', "unknown word &#x27;no-such&#x27;"),
        ("links", '{"blog": "https://acme.example"}', "unknown word &#x27;blog&#x27;"),
        ("fingerprints", '[{"name": "f", "when": "lenght(text)"}]', "Unknown function: lenght()"),
        ("checked_on", "soon", "valid date"),
    ],
)
def test_a_fault_is_refused_and_named(boss: Client, acme: Provider, field: str, text: str, fault: str) -> None:
    data = page_data(boss, change_url(acme)) | {field: text}
    assert fault in faults(boss.post(change_url(acme), data))
    assert edited() == set()


def test_a_gateway_is_checked_in_the_same_way(boss: Client) -> None:
    url = change_url(Gateway.objects.get())
    response = boss.post(url, page_data(boss, url) | {"rule_sets": '["no-such"]'})
    assert "unknown word &#x27;no-such&#x27;" in faults(response)


def test_a_model_is_checked_too(boss: Client, acme: Provider) -> None:
    url = change_url(acme.models.first())
    assert "expected a list" in faults(boss.post(url, page_data(boss, url) | {"parameters": "7"}))


def test_a_metric_without_a_capability_is_refused(boss: Client) -> None:
    url = reverse("admin:probes_metric_add")
    assert "required" in faults(boss.post(url, page_data(boss, url) | {"name": "m", "label": "M"}))


def test_an_emptied_field_is_its_default(boss: Client, acme: Provider) -> None:
    data = page_data(boss, change_url(acme)) | {
        "rule_sets": "",
        "probes-0-metrics": "null",
        "probes-1-call": "GET /v1/models",
    }
    assert faults(boss.post(change_url(acme), data)) == ""
    assert Provider.objects.get().rule_sets == []
    assert acme.probes.get(name="current_key").metrics == []


def test_json_is_shown_a_rule_a_line(boss: Client, acme: Provider) -> None:
    rules = page_data(boss, change_url(acme))["probes-1-rules"]
    assert rules == '[\n{"verdict": "active", "status": [200]}\n]'


def test_the_same_name_twice_is_refused(boss: Client, acme: Provider) -> None:
    shape = added("key_shapes", 1, name="project", pattern="^x$", kind="shared", position=0)
    assert "duplicate" in faults(boss.post(change_url(acme), page_data(boss, change_url(acme)) | shape))


# A provider made in the admin

RULE = '[{"status": 200, "verdict": "active"}]'
NEW = {
    "name": "New",
    "slug": "new",
    "enabled": "on",
    "origins": '{"api": "https://api.new.example"}',
    "auth": "bearer",
    "checked_on": "2026-01-02",
}


def new_probe(number: int, **fields: Any) -> dict[str, Any]:
    usual = {"enabled": "on", "sends_key": "on", "position": number, "rules": RULE, "name": f"probe{number}"}
    return added("probes", number, **usual, **fields)


def test_a_provider_is_made_whole_in_one_page(boss: Client, caplog: pytest.LogCaptureFixture) -> None:
    url = reverse("admin:probes_provider_add")
    data = page_data(boss, url) | NEW
    data |= added("key_shapes", 0, name="s", pattern="^new-", kind="shared", position=0, enabled="on")
    # The first names a metric of the second: both are saved together.
    data |= new_probe(0, call="GET /v1/{organization_id}/models")
    data |= new_probe(1, call="GET /v1/me", metrics='[{"name": "organization_id", "read": "body.org"}]')
    assert faults(boss.post(url, data)) == ""
    provider = current().providers["new"]
    assert [p.name for p in provider.probes] == ["probe0", "probe1"]
    assert provider.key_shapes[0].name == "s"
    assert "nowhere -> " in caplog.text


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"call": "GET /v1/{organization_id}/models"}, "{organization_id}"),
        ({"call": "GET /v1/me", "origin": "eu"}, "unknown word &#x27;eu&#x27;"),
        ({"call": "GET /v1/me", "pays": "lenght(body)"}, "Unknown function"),
    ],
)
def test_a_fault_of_a_new_probe_of_a_new_provider_is_named(boss: Client, fields: dict[str, str], fault: str) -> None:
    url = reverse("admin:probes_provider_add")
    response = boss.post(url, page_data(boss, url) | NEW | new_probe(0, **fields))
    assert fault in faults(response)
    assert not Provider.objects.filter(slug="new").exists()


# The catalogue's version


def test_a_row_takes_the_catalogues_version_back(boss: Client, acme: Provider) -> None:
    AIModel.objects.filter(model_id="acme-1").update(input_price=7, edited=True)
    assert "1 row is as in the catalogue" in told(act(boss, "take_back", acme.models.get(model_id="acme-1")))
    forget()
    assert current().providers["acme"] == FROZEN.providers["acme"]
    assert edited() == set()


def test_a_metric_takes_the_catalogues_version_back(boss: Client) -> None:
    metric = Metric.objects.get(name="plan")
    Metric.objects.filter(pk=metric.pk).update(
        label="x", edited=True, capability=Capability.objects.get(slug="key-identity")
    )
    act(boss, "take_back", metric)
    assert Metric.objects.get(pk=metric.pk).capability.slug == "balance-and-quota"


def test_a_provider_takes_its_edited_parts_back_and_says_how_many(boss: Client, acme: Provider) -> None:
    Probe.objects.filter(provider=acme).update(call="GET /other", edited=True)
    KeyShape.objects.update(pattern="^x$", edited=True)
    assert "4 rows are as in the catalogue again. 3 of them are parts." in told(act(boss, "take_back", acme))
    forget()
    assert current().providers["acme"] == FROZEN.providers["acme"]


def test_a_row_that_the_files_do_not_have_is_named(boss: Client, acme: Provider) -> None:
    own = AIModel.objects.create(provider=acme, model_id="own", edited=True)
    assert "The files do not have: own" in told(act(boss, "take_back", own))
    assert AIModel.objects.get(pk=own.pk).edited


def test_taking_back_moves_no_key_without_the_permission(clerk: Client, acme: Provider) -> None:
    Provider.objects.update(auth="x-api-key", concurrency=8, edited=True)
    assert "You may not change where the keys of Acme are sent" in told(act(clerk, "take_back", acme))
    row = Provider.objects.get()
    assert (row.auth, row.concurrency, row.edited) == ("x-api-key", 8, True)


def test_taking_back_where_keys_are_sent_is_logged(boss: Client, acme: Provider, caplog: Any) -> None:
    Provider.objects.update(auth="x-api-key", edited=True)
    act(boss, "take_back", acme)
    assert Provider.objects.get().auth == "bearer"
    assert "boss changed where keys of provider acme are sent" in caplog.text


# Trying rules


def try_page(client: Client, probe: Probe, **answer: Any) -> Any:
    return client.post(reverse("admin:probes_probe_try", args=[probe.pk]), answer)


def test_rules_are_tried_on_an_answer(boss: Client, acme: Provider) -> None:
    body = '{"id": "u1", "org": "<b>o1</b>", "credit": 0}'
    response = try_page(boss, acme.probes.get(name="current_key"), status=200, headers="{}", body=body)
    found = response.context["found"]
    assert (found["verdict"], found["rule"][0], found["pays"]) == ("active", "Rule 1 of this probe", False)
    assert {e["metric"]: e["value"] for e in found["evidence"]} == {"key_valid": True, "organization_id": "<b>o1</b>"}
    page = response.content.decode()
    assert "type(body.id)" in page
    assert "<b>o1" not in page


def test_trying_counts_the_models(boss: Client, acme: Provider) -> None:
    body = '{"data": [{"id": "a"}, {"id": "b"}]}'
    response = try_page(boss, acme.probes.get(name="models"), status=200, headers="", body=body)
    assert response.context["found"]["models"] == 2


def test_trying_shows_that_a_shared_rule_decided(boss: Client, acme: Provider) -> None:
    body = '{"error": {"code": "invalid_api_key", "message": "Incorrect API key provided"}}'
    response = try_page(boss, acme.probes.get(name="current_key"), status=401, headers="", body=body)
    assert response.context["found"]["verdict"] == "invalid"
    assert "of the shared ones" in response.content.decode()


def test_trying_says_that_no_rule_matches(boss: Client, acme: Provider) -> None:
    response = try_page(boss, acme.probes.get(name="current_key"), status=418, headers='{"A": "b"}', body="tea")
    assert response.context["found"]["verdict"] == "unknown"
    assert "No rule matches" in response.content.decode()


def test_a_gateways_probe_can_be_tried(boss: Client) -> None:
    response = try_page(boss, Gateway.objects.get().probes.get(), status=200, headers="", body="{}")
    assert response.context["found"]["cause"] == "keyless"


@pytest.mark.parametrize("wrong", [{"status": "x"}, {"status": 200, "headers": "[1]"}, {"status": 200, "headers": "{"}])
def test_an_answer_that_is_none_is_refused(boss: Client, acme: Provider, wrong: dict[str, Any]) -> None:
    response = try_page(boss, acme.probes.get(name="current_key"), **wrong)
    assert response.context["found"] is None
    assert faults(response)


def test_trying_is_linked_beside_the_probe(boss: Client, acme: Provider) -> None:
    probe = acme.probes.get(name="current_key")
    link = f'href="{reverse("admin:probes_probe_try", args=[probe.pk])}"'
    for row in (acme, probe):
        assert link in boss.get(change_url(row)).content.decode()
    assert boss.get(reverse("admin:probes_probe_try", args=[probe.pk])).status_code == 200


# How much is asked


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert client.get(url).status_code == 200
    return len(asked)


def test_a_thousand_models_are_listed_with_few_queries(boss: Client, acme: Provider) -> None:
    AIModel.objects.bulk_create(AIModel(provider=acme, model_id=f"m{i}") for i in range(1000))
    assert queries(boss, list_url("aimodel")) <= 10


def test_a_full_list_of_models_is_saved_in_one_go(boss: Client, acme: Provider) -> None:
    """More fields than DATA_UPLOAD_MAX_NUMBER_FIELDS would be a 400."""
    AIModel.objects.bulk_create(AIModel(provider=acme, model_id=f"m{i:03}") for i in range(100))
    url = list_url("aimodel")
    data = list_data(boss, url) | {"form-99-output_price": "3"}
    assert boss.post(url, data).status_code == 302
    assert AIModel.objects.filter(output_price=3).count() == 1


@pytest.mark.parametrize("model", [Provider, Gateway])
def test_a_senders_page_asks_no_more_for_more_parts(boss: Client, model: Any) -> None:
    row = model.objects.get()
    few = queries(boss, change_url(row))
    for i in range(3):
        row.key_shapes.create(name=f"s{i}", pattern="^x$", kind="shared")
        row.probes.create(name=f"p{i}", call="GET /x", rules=json.loads(RULE))
    assert queries(boss, change_url(row)) == few


@pytest.mark.parametrize("model", ["probe", "provider", "metric"])
def test_a_list_asks_no_more_for_more_rows(boss: Client, acme: Provider, model: str) -> None:
    few = queries(boss, list_url(model))
    for i in range(3):
        other = Provider.objects.create(slug=f"x{i}", name=f"X{i}", auth="bearer", checked_on="2026-01-02", origins={})
        Probe.objects.create(provider=other, name=f"p{i}", call="GET /x", rules=json.loads(RULE))
        Metric.objects.create(name=f"m{i}", capability=Capability.objects.get(slug="key-identity"))
    assert queries(boss, list_url(model)) == few


def test_a_result_s_link_to_the_models_of_its_provider_opens(boss: Client) -> None:
    listed = boss.get("/admin/probes/aimodel/", {"provider__slug__exact": "acme"})
    assert listed.status_code == 200


def test_prices_are_shown_without_closing_zeros(boss: Client, acme: Provider) -> None:
    acme.models.update(input_price="1.5")
    page = boss.get("/admin/probes/aimodel/").content.decode()
    assert 'value="1.5"' in page


def test_what_decides_who_receives_a_key_needs_that_permission_too(clerk: Client, acme: Provider) -> None:
    """A shape brings a key to a provider; a probe's call and headers say where and as what it goes."""
    moving = ("pattern", "kind", "refuse", "call", "origin", "headers", "body", "read_only_post", "sends_key", "shapes")
    offered = page_data(clerk, change_url(acme))
    found = [name for name in offered if name.rsplit("-", 1)[-1] in moving]
    assert not [name for name in found if not name.endswith("-kind") or name.startswith("key_shapes")]
    assert "key_shapes-__prefix__-name" not in offered


def test_a_restored_provider_that_does_not_fit_its_own_probes_is_left_as_it_was(boss: Client) -> None:
    row = Provider.objects.get()
    row.origins = [*row.origins, ["mars", "https://mars.acme.example"]]
    row.edited = True
    row.save()
    Probe.objects.create(provider=row, name="mine", call="GET /x", origin="mars", rules=[])
    listing = reverse("admin:probes_provider_changelist")
    boss.post(listing, {"action": "take_back", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert "mars" in dict(row.origins)
