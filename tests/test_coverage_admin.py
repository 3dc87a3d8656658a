"""Coverage work: what is lacking, many models at once, CSV in and out. Nothing is written that was not shown."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from probes.admin import filters, plan, sheet
from probes.admin.catalogue import AIModelAdmin
from probes.models import AIModel, CatalogueState, Gateway, KeyShape, Metric, Provider, SeenModel
from tests.test_admin import act, boss, change_url, clerk, list_url, page_data, queries, rows, staff, told

__all__ = ["boss", "clerk", "rows"]  # fixtures

COVERAGE = "/admin/coverage/"
IMPORT = "/admin/probes/aimodel/import/"
EXPORT = "/admin/probes/aimodel/export/"


@pytest.fixture
def acme() -> Provider:
    return Provider.objects.get(slug="acme")


def section(client: Client, slug: str) -> Any:
    return next(s for s in client.get(COVERAGE).context["sections"] if s.slug == slug)


def texts(client: Client, slug: str) -> list[list[str]]:
    return [[str(text) for text, _address in row] for row in section(client, slug).rows]


def version() -> int:
    return int(CatalogueState.objects.get().version)


def other(slug: str, **fields: Any) -> Provider:
    usual = {"name": slug.title(), "auth": "bearer", "checked_on": timezone.now().date()}
    return Provider.objects.create(slug=slug, **{**usual, **fields})


# Who sees it, and where it is found


def test_coverage_is_for_staff_who_may_see_providers() -> None:
    assert "login" in Client().get(COVERAGE).headers["Location"]
    assert staff("view_aimodel").get(COVERAGE).status_code == 403


def test_coverage_is_linked_from_the_first_page_and_from_the_lists(boss: Client) -> None:
    assert boss.get(COVERAGE).status_code == 200
    for url in (reverse("admin:index"), *map(list_url, ("provider", "gateway", "probe", "aimodel", "seenmodel"))):
        assert f'href="{COVERAGE}"' in boss.get(url).content.decode()


def test_a_viewer_of_providers_sees_it_with_few_queries_however_many_rows(acme: Provider) -> None:
    viewer = staff("view_provider")
    for n in range(30):
        mine = other(f"p{n}", edited=True, checked_on="2020-01-01")
        mine.models.create(model_id="m", edited=True)
        mine.probes.create(name="p", call="GET /x", rules=[], edited=True)
        mine.key_shapes.create(name="s", pattern="^x$", kind="shared", edited=True)
        SeenModel.objects.create(provider=mine, model_id="seen", day=timezone.now().date(), count=1)
    Metric.objects.filter(name="plan").update(label="x", edited=True)
    assert queries(viewer, COVERAGE) <= 15
    assert len(section(viewer, "prices").rows) == 20


# What is lacking


def test_models_without_a_price_are_counted_by_provider(boss: Client, acme: Provider) -> None:
    acme.models.create(model_id="routed", route_based=True)
    acme.models.create(model_id="off", enabled=False)
    assert texts(boss, "prices") == [["Acme", "1", "3"]]
    AIModel.objects.update(input_price=1)
    assert section(boss, "prices").count == 0


def test_providers_without_models_are_named_but_for_the_retired_and_disabled(boss: Client) -> None:
    other("bare")
    other("gone", retired="closed")
    other("off", enabled=False)
    assert texts(boss, "models") == [["Bare", "global"]]


def test_facts_are_old_on_the_ninety_first_day(boss: Client, acme: Provider) -> None:
    today = timezone.now().date()
    Gateway.objects.update(checked_on=today)
    for days, names in ((90, []), (91, ["Acme"])):
        Provider.objects.update(checked_on=today - dt.timedelta(days=days))
        assert [row[0] for row in texts(boss, "facts")] == names


def test_a_gateways_facts_grow_old_too(boss: Client) -> None:
    Provider.objects.update(checked_on=timezone.now().date())
    assert [row[:2] for row in texts(boss, "facts")] == [["Relay", "gateway"]]


def test_a_probe_lacks_what_was_never_recorded_of_it(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    yes = frozenset({("acme", "current_key"), ("acme", "models")})
    monkeypatch.setattr(filters, "recordings", lambda: (yes, frozenset({("acme", "models")})))
    assert texts(boss, "answers") == [["current_key", "Acme", "a no"], ["status", "Relay", "a yes, a no"]]


def test_every_shipped_probe_has_its_recordings() -> None:
    yes, no = filters.recordings()
    assert ("openai", "models") in yes & no


def test_an_edited_row_is_named_only_where_it_differs_from_the_files(boss: Client, acme: Provider) -> None:
    acme.models.filter(model_id="acme-1").update(input_price=Decimal(7), edited=True)
    acme.models.filter(model_id="acme-2").update(edited=True)
    KeyShape.objects.update(pattern="^x$", edited=True)
    Metric.objects.filter(name="plan").update(capability=Metric.objects.get(name="owner_id").capability, edited=True)
    assert texts(boss, "edited") == [
        ["Acme: project", "key shape", "pattern"],
        ["acme-1", "AI model", "input_price"],
        ["plan", "metric", "capability_id"],
    ]
    assert section(boss, "edited").rows[0][0][1] == change_url(acme)  # a shape has no page of its own


def test_each_number_is_that_of_the_list_behind_it(boss: Client, acme: Provider) -> None:
    other("bare", checked_on="2020-01-01")
    SeenModel.objects.create(provider=acme, model_id="acme-9", day=timezone.now().date(), count=1)
    found = {s.slug: s for s in boss.get(COVERAGE).context["sections"]}
    for slug in ("models", "seen", "facts", "answers"):
        counts = [boss.get(address).context["cl"].result_count for _text, address in found[slug].more]
        assert sum(counts) == found[slug].count > 0, slug
    by_provider = found["prices"].rows[0]
    assert [boss.get(address).context["cl"].result_count for _text, address in by_provider[1:]] == [1, 2]
    unpriced = boss.get(list_url("provider") + "?models=unpriced").context["cl"]
    assert unpriced.result_count == found["prices"].count


def test_a_seen_model_is_summed_and_leads_to_the_form_filled_in(boss: Client, acme: Provider) -> None:
    for day, count in ((1, 2), (2, 3)):
        SeenModel.objects.create(provider=acme, model_id="acme-9", day=f"2026-11-0{day}", count=count)
    assert texts(boss, "seen") == [["acme-9", "Add to the catalogue", "Acme", "5", "Nov. 2, 2026"]]
    [listed] = boss.get(list_url("seenmodel")).context["cl"].queryset
    assert (listed.total, str(listed.first), str(listed.day)) == (5, "2026-11-01", "2026-11-02")
    address = section(boss, "seen").rows[0][1][1]
    assert address in boss.get(list_url("seenmodel")).content.decode().replace("&amp;", "&")
    boss.post(address, page_data(boss, address))
    assert acme.models.get(model_id="acme-9").edited
    assert section(boss, "seen").count == boss.get(list_url("seenmodel")).context["cl"].result_count == 0


def test_seen_models_are_only_looked_at(boss: Client, acme: Provider) -> None:
    row = SeenModel.objects.create(provider=acme, model_id="acme-9", day="2026-11-01", count=1)
    assert boss.get(reverse("admin:probes_seenmodel_add")).status_code == 403
    assert boss.post(reverse("admin:probes_seenmodel_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


# View on site


def test_rows_lead_to_their_public_pages(boss: Client, acme: Provider) -> None:
    model, probe = acme.models.get(model_id="acme-1"), acme.probes.get(name="models")
    page = "/provider-key-probes/acme-onboarding-readiness/"
    for row, address in ((acme, page), (probe, page), (model, "/models/acme-1/")):
        assert boss.get(change_url(row)).context["absolute_url"] == address
    assert boss.get(change_url(Gateway.objects.get().probes.get())).context["absolute_url"] is None
    Provider.objects.update(enabled=False)
    assert [boss.get(change_url(row)).context["absolute_url"] for row in (acme, probe, model)] == [None] * 3


def test_models_are_found_by_their_identity(boss: Client, acme: Provider) -> None:
    acme.models.create(model_id="x", identity="one-of-many")
    for query in ("?q=one-of-many", "?identity__exact=one-of-many"):
        assert [row.model_id for row in boss.get(list_url("aimodel") + query).context["cl"].result_list] == ["x"]


def test_a_modality_that_there_is_not_is_refused(boss: Client, acme: Provider) -> None:
    url = change_url(acme.models.get(model_id="acme-1"))
    page = boss.post(url, page_data(boss, url) | {"input_modalities": '["smell"]'}).content.decode()
    assert "unknown word &#x27;smell&#x27;" in page


# One edit for many


def edit(client: Client, *chosen: AIModel, url: str = "", **fields: Any) -> Any:
    data = {"action": "edit_many", "_selected_action": [row.pk for row in chosen], **fields}
    return client.post(url or list_url("aimodel"), data, follow=True)


def confirm(client: Client, preview: Any, *chosen: AIModel, **fields: Any) -> Any:
    return edit(client, *chosen, **fields, confirm="1", seal=preview.context["seal"])


def test_many_models_are_edited_after_a_preview(boss: Client, acme: Provider) -> None:
    models, before = list(acme.models.all()), version()
    assert "Edit many models" in act(boss, "edit_many", *models).content.decode()
    fields: dict[str, Any] = {"input_price": "1.5", "enabled": "no", "empty": ["output_price"]}
    preview = edit(boss, *models, **fields, preview="1")
    assert [step.changes for step in preview.context["plan"].steps] == [
        [("input_price", "0.1", "1.5"), ("output_price", "0.4", ""), ("enabled", "yes", "no")],
        [("input_price", "", "1.5"), ("enabled", "yes", "no")],
    ]
    assert version() == before
    assert "2 models written." in told(confirm(boss, preview, *models, **fields))
    assert set(acme.models.values_list("input_price", "output_price", "enabled", "edited")) == {
        (Decimal("1.5"), None, False, True)
    }
    assert version() == before + 1
    entries = LogEntry.objects.filter(action_flag=CHANGE).values_list("object_id", "change_message")
    assert len(entries) == 2
    assert "input_price 0.1 → 1.5" in dict(entries)[str(models[0].pk)]


def test_what_changed_since_the_preview_is_shown_anew_and_not_written(boss: Client, acme: Provider) -> None:
    models = list(acme.models.all())
    preview = edit(boss, *models, input_price="1.5", preview="1")
    acme.models.filter(model_id="acme-1").update(input_price=3)
    answer = confirm(boss, preview, *models, input_price="1.5")
    assert "has changed since the preview" in told(answer)
    assert answer.context["plan"].steps[0].changes == [("input_price", "3", "1.5")]
    assert not acme.models.filter(edited=True).exists()


@pytest.mark.parametrize("more", [{"seal": ""}, {"seal": "made:up"}, {"input_price": "9"}])
def test_nothing_is_written_that_was_not_previewed(boss: Client, acme: Provider, more: dict[str, str]) -> None:
    models = list(acme.models.all())
    preview = edit(boss, *models, input_price="1.5", preview="1")
    edit(boss, *models, **{"input_price": "1.5", "confirm": "1", "seal": preview.context["seal"]} | more)
    assert not acme.models.filter(edited=True).exists()


def test_the_preview_of_another_admin_confirms_nothing(boss: Client, acme: Provider) -> None:
    models = list(acme.models.all())
    preview = edit(staff("change_aimodel", "view_aimodel"), *models, input_price="1.5", preview="1")
    confirm(boss, preview, *models, input_price="1.5")
    assert not acme.models.filter(edited=True).exists()


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, "Fill in what is to change."),
        ({"input_price": "1", "empty": ["input_price"]}, "cannot be filled and emptied at once"),
        ({"input_price": "-1"}, "greater than or equal to 0"),
        ({"context_window": "x"}, "Enter a whole number"),
    ],
)
def test_an_edit_that_is_none_is_refused(boss: Client, acme: Provider, fields: Any, fault: str) -> None:
    page = edit(boss, *acme.models.all(), **fields, preview="1")
    assert "plan" not in page.context
    assert fault in page.content.decode()


def test_all_pages_of_a_filtered_list_are_edited_at_once(
    boss: Client, acme: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AIModelAdmin, "list_per_page", 2)
    AIModel.objects.bulk_create(AIModel(provider=acme, model_id=f"m{i}") for i in range(5))
    url = list_url("aimodel") + "?q=m"
    fields = {"select_across": "1", "context_window": "4096", "url": url}
    first = AIModel.objects.get(model_id="m0")
    preview = edit(boss, first, **fields, preview="1")
    confirm(boss, preview, first, **fields)
    edited = AIModel.objects.filter(context_window=4096)
    assert {row.model_id for row in edited} == {"acme-1", "acme-2", *(f"m{i}" for i in range(5))}


def test_who_may_only_view_models_is_offered_no_edit_and_no_import(acme: Provider) -> None:
    viewer = staff("view_aimodel")
    edit(viewer, *acme.models.all(), input_price="1.5", preview="1")
    assert "edit_many" not in viewer.get(list_url("aimodel")).content.decode()
    assert viewer.get(IMPORT).status_code == 403
    assert IMPORT not in viewer.get(list_url("aimodel")).content.decode()
    assert viewer.get(EXPORT).status_code == 200


def test_import_wants_both_adding_and_changing(acme: Provider) -> None:
    assert staff("view_aimodel", "change_aimodel").get(IMPORT).status_code == 403


# CSV


def upload(client: Client, text: str | bytes) -> Any:
    raw = text.encode() if isinstance(text, str) else text
    return client.post(IMPORT, {"file": SimpleUploadedFile("models.csv", raw)})


def write(client: Client, preview: Any, **more: Any) -> Any:
    sent = {name: preview.context[name] for name in ("content", "seal")}
    return client.post(IMPORT, {**sent, "confirm": "1", **more}, follow=True)


def steps(preview: Any) -> dict[int, tuple[str, Any]]:
    """Of each line what it becomes, and why."""
    return {step.line: (step.state, step.refusals or step.changes) for step in preview.context["plan"].steps}


MIXED = """provider,model_id,name,input_price,output_modalities
acme,acme-1,Acme One,0.2,"text, image"
acme,acme-2,Acme 2,,
acme,acme-3,,1,text
"""


def test_a_file_is_previewed_row_by_row_and_then_written(boss: Client, acme: Provider) -> None:
    before = version()
    preview = upload(boss, MIXED)
    found = steps(preview)
    changed = [("name", "Acme 1", "Acme One"), ("input_price", "0.1", "0.2"), ("output_modalities", "", "text, image")]
    assert found[2] == ("changed", changed)
    assert found[3] == ("same", [])
    assert (found[4][0], ("identity", "", "acme-3") in found[4][1]) == ("new", True)
    assert (version(), acme.models.count()) == (before, 2)
    assert "2 models written." in told(write(boss, preview))
    row = acme.models.get(model_id="acme-1")
    assert (row.name, row.input_price, row.output_price) == ("Acme One", Decimal("0.2"), Decimal("0.4"))
    assert (row.output_modalities, row.edited, acme.models.get(model_id="acme-2").edited) == (
        ["text", "image"],
        True,
        False,
    )
    fresh = acme.models.get(model_id="acme-3")
    assert (fresh.identity, fresh.enabled, fresh.edited, fresh.seeded) == ("acme-3", True, True, False)
    assert version() == before + 1
    assert sorted(LogEntry.objects.values_list("action_flag", "object_repr")) == [
        (ADDITION, "acme-3"),
        (CHANGE, "acme-1"),
    ]


def test_what_was_exported_is_the_same_when_it_comes_back(boss: Client, acme: Provider) -> None:
    acme.models.create(model_id="@cf/a", name="=1+1", parameters=["a", "b"], context_window=128000, max_output=1)
    text = boss.get(EXPORT).content.decode()
    assert text.splitlines()[0] == ",".join(sheet.COLUMNS)
    assert "acme,'@cf/a,'=1+1,128000,1,,,no,\"a, b\",,," in text
    assert upload(boss, text).context["plan"].counts == {"new": 0, "changed": 0, "same": 3, "refused": 0}


def test_an_export_holds_what_the_list_shows(boss: Client, acme: Provider) -> None:
    link = re.search(rf'href="({EXPORT}[^"]*)"', boss.get(list_url("aimodel") + "?q=acme-2").content.decode())
    assert link
    answer = boss.get(link[1])
    assert "attachment" in answer["Content-Disposition"]
    assert [line.split(",")[1] for line in answer.content.decode().splitlines()] == ["model_id", "acme-2"]
    assert boss.get(EXPORT + "?nothing=1").status_code == 302


@pytest.mark.parametrize("begins", sheet.FORMULA)
def test_no_cell_of_an_export_is_calculated(begins: str) -> None:
    assert sheet.guarded(f"{begins}cmd").startswith("'")


REFUSED = [
    ("nobody,x,,,yes", "provider: there is none with this slug"),
    ("acme,,,,yes", "model_id: This field cannot be blank."),
    ("acme,a,abc,,yes", "input_price: expected a price such as 0.15"),
    ("acme,b,-1,,yes", "input_price: expected a price such as 0.15"),
    ('acme,c,"1,5",,yes', "input_price: expected a price such as 0.15"),
    ("acme,d,123456789,,yes", "input_price: expected a price such as 0.15"),
    ("acme,e,,1e9,yes", "context_window: expected a whole number such as 128000"),
    ("acme,f,,9999999999,yes", "context_window: expected a whole number such as 128000"),
    ("acme,g,,,maybe", "enabled: expected yes or no"),
    ("acme,h,,,", "enabled: expected yes or no"),
    ('acme,"i\nj",,,yes', "a cell holds a line break or another control character"),
]


def test_a_row_is_refused_with_its_line_and_the_reason(boss: Client) -> None:
    lines = ["provider,model_id,input_price,context_window,enabled", "acme,acme-1,5,,yes", *(row for row, _ in REFUSED)]
    preview = upload(boss, "\n".join(lines))
    found = steps(preview)
    assert found.pop(2)[0] == "changed"
    assert [(state, reasons[-1]) for state, reasons in found.values()] == [("refused", reason) for _, reason in REFUSED]
    assert list(found) == list(range(3, 3 + len(REFUSED)))
    assert "Nothing is written while a row is refused." in preview.content.decode()
    write(boss, preview)  # as a forged form could
    assert not AIModel.objects.filter(edited=True).exists()


def test_a_word_that_the_catalogue_does_not_know_refuses_the_row(boss: Client) -> None:
    preview = upload(boss, "provider,model_id,input_modalities,identity\nacme,a,smell,\nacme,b,,Not A Slug\n")
    told_ = {line: reasons[0] for line, (_state, reasons) in steps(preview).items()}
    assert "unknown word 'smell'" in told_[2]
    assert "identity: Enter a valid “slug”" in told_[3]


def test_the_same_model_twice_is_refused_with_both_lines(boss: Client) -> None:
    found = steps(upload(boss, "provider,model_id\nacme,acme-1\n\nacme,acme-1\n"))
    assert found[4] == ("refused", ["the same model stands on line 2"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"provider,model_id\nacme,\xff\n", "not UTF-8"),
        ("provider,model_id,colour\n", "unknown column “colour”"),
        ("provider,name\n", "does not name the column “model_id”"),
        ("provider,model_id,name,name\n", "names a column twice"),
        ("provider,model_id\nacme,a,b\n", "Line 2 has more cells"),
        ('provider,model_id\nacme,"' + "a" * 200_000 + '"\n', "Line 2: field larger than"),
        ("provider,model_id\n" + "acme,a\n" * 10_001, "more than 10,000 rows"),
        ("model_id\na\n", "does not name the column “provider”"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(text: Any, fault: str) -> None:
    with pytest.raises(sheet.Unreadable, match=fault):
        sheet.read(text if isinstance(text, bytes) else text.encode())


def test_why_a_file_cannot_be_read_stands_beside_it(boss: Client) -> None:
    page = upload(boss, "provider,model_id,<b>\n")
    assert "plan" not in page.context
    assert "unknown column “&lt;b&gt;”" in page.content.decode()


def test_a_file_of_more_than_four_mebibytes_is_not_read() -> None:
    with pytest.raises(sheet.Unreadable, match="larger than 4 MiB"):
        sheet.read(b"x" * (sheet.MOST_BYTES + 1))


def test_a_sheet_with_semicolons_and_a_byte_order_mark_is_read(boss: Client) -> None:
    assert steps(upload(boss, "\ufeffprovider;model_id;input_price\nacme;acme-1;7\n"))[2] == (
        "changed",
        [("input_price", "0.1", "7")],
    )


def test_an_import_that_no_longer_fits_is_shown_anew(boss: Client, acme: Provider) -> None:
    preview = upload(boss, MIXED)
    acme.models.filter(model_id="acme-1").update(input_price=3)
    again = write(boss, preview)
    assert "has changed since the preview" in told(again)
    assert not acme.models.filter(edited=True).exists()
    assert "2 models written." in told(write(boss, again))


def test_a_plan_is_not_carried_out_once_the_catalogue_has_moved(boss: Client, acme: Provider) -> None:
    planned = plan.read(MIXED.encode())
    CatalogueState.bump()
    assert not plan.carry_out(planned, User.objects.get().pk, "Imported")
    assert not acme.models.filter(edited=True).exists()


def test_a_long_preview_shows_its_refusals_first_and_says_how_much_it_leaves_out(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SHOWN", 1)
    preview = upload(boss, MIXED + "nobody,x,,,\n")
    assert [step.line for step in preview.context["plan"].shown] == [5]
    assert "Rows that are not shown: 3." in preview.content.decode()


def test_a_file_that_was_changed_on_its_way_is_not_taken(boss: Client, acme: Provider) -> None:
    preview = upload(boss, MIXED)
    answer = write(boss, preview, content=preview.context["content"] + "x")
    assert "Choose the file again" in told(answer)
    assert acme.models.count() == 2


def test_each_page_is_without_inline_script_and_style(boss: Client, acme: Provider) -> None:
    models = list(acme.models.all())
    pages = [boss.get(COVERAGE), boss.get(IMPORT), boss.get(list_url("seenmodel")), upload(boss, MIXED)]
    pages += [act(boss, "edit_many", *models), edit(boss, *models, input_price="1.5", preview="1")]
    for page in pages:
        assert page.status_code == 200
        assert not re.search(rb"<style|\sstyle=|\son\w+=|<script(?![^>]*(src=|application/json))", page.content)


def test_a_name_is_escaped_where_it_is_previewed(boss: Client, acme: Provider) -> None:
    acme.models.filter(model_id="acme-2").update(name="x", edited=True)
    acme.probes.filter(name="models").update(name="<b>x")
    page = upload(boss, "provider,model_id,name\nacme,acme-1,<b>x\n").content + boss.get(COVERAGE).content
    assert b"<b>x" not in page
    assert page.count(b"&lt;b&gt;x") >= 2
