"""From paste to burn, against the lab over real HTTP: what is asked, what is shown, and to whom."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.test import Client

from probes import exports, find, results, worker
from probes.lab.recorded import ANY_KEY, Recorded
from probes.lab.server import Server
from probes.management.commands.proof import free_port
from probes.models import Check, Detection, Finding, current
from tests.conftest import Clock, lab_of, shipped_records

FINE_GRAINED = "hf_TestKeyLabFineGrained0000000000000"
RESTRICTED = "sk-proj-TestKeyLabRestrictedT3BlbkFJFakeKeyNeverIssued00"
NO_CREDIT = "sk-TestKeyLabNoCredit00T3BlbkFJFakeKeyNeverIssued00"
RELAY = "sk-LABfakeRelayKeyGoodAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
RELAY_URL = "https://relay.example/v1"
SHARED = "sk-1abfa4edeadbeef600d0000000000000"  # DeepSeek's shape, and others'
NOBODYS = "TestKeyOfNobodyThatWeKnow-123"

Queue = list[Callable[[], None]]
Submit = Callable[..., tuple[str, dict[str, Any]]]

pytestmark = pytest.mark.django_db


@pytest.fixture
def stranger() -> Client:
    """Another browser, which has checked a key of its own."""
    return Client()


def json_of(client: Client, url: str) -> dict[str, Any]:
    document: dict[str, Any] = client.get(url.rstrip("/") + ".json").json()
    return document


def page_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def visible(page: str) -> str:
    """A page's text in one line."""
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page.replace("<wbr>", "")).split()))


def submit(client: Client, keys: str, **fields: str) -> str:
    """Paste, and get the address of the check. Nothing that waits is started, and no task is run."""
    answer = client.post("/checks/", {"keys": keys, **fields})
    assert answer.status_code == 303, visible(answer.content.decode())
    return str(answer["Location"])


def run(queued: Queue) -> None:
    while queued:
        queued.pop(0)()


# The keys that the demo offers


def test_a_fine_grained_hugging_face_key_works_with_limited_permissions(lab: Server, check: Submit) -> None:
    _url, document = check(FINE_GRAINED)
    key = document["detections"][0]
    assert document["check"]["state"] == "done"
    assert (key["provider"], key["identity"]["state"], key["verdict"]) == ("huggingface", "proven", "restricted")
    assert key["ability_to_pay"] == "not_tested"
    assert key["models"]["covered"] == ["meta-llama/Llama-3.1-8B-Instruct"]
    assert key["key_destroyed_at"]


def test_a_restricted_openai_key_is_proven_by_its_own_refusal(lab: Server, check: Submit) -> None:
    key = check(RESTRICTED)[1]["detections"][0]
    assert (key["provider"], key["identity"]["state"], key["verdict"]) == ("openai", "proven", "restricted")
    assert key["cause"].startswith("missing_scope: ")
    assert key["next_actions"][0]["slug"] == "add-permission"


def test_an_openai_key_without_credit_gets_no_further_than_identified(lab: Server, check: Submit) -> None:
    key = check(NO_CREDIT)[1]["detections"][0]
    assert (key["identity"]["state"], key["verdict"], key["ability_to_pay"]) == ("proven", "no_credit", "no")
    assert [s["state"] for s in key["path"]] == ["yes", "no", "not_tested", "not_tested", "not_tested"]
    assert key["next_actions"][0]["slug"] == "top-up"


def test_a_relay_that_poses_as_openai_is_contradicted_and_named(lab: Server, check: Submit) -> None:
    key = check(RELAY, base_url=RELAY_URL)[1]["detections"][0]
    assert (key["provider"], key["gateway"], key["origin"]) == ("openai", "new-api", RELAY_URL)
    assert key["identity"]["state"] == "contradicted"
    assert any("New API" in text for text in key["identity"]["evidence"])
    assert key["next_actions"][0]["slug"] == "human-review"
    assert set(lab.lab.hosts) == {"relay.example"}


def test_a_made_up_key_is_refused_with_the_providers_own_words(lab: Server, check: Submit) -> None:
    key = check("sk-ant-api03-" + "A" * 93 + "AA")[1]["detections"][0]
    assert (key["provider"], key["identity"]["state"], key["verdict"]) == ("anthropic", "consistent", "invalid")
    proof = next(f for f in key["findings"] if f["verdict"] == "invalid")
    assert proof["status"] == 401
    assert proof["code"]
    assert proof["request_id"]
    assert set(lab.lab.hosts) == {"api.anthropic.com"}


@pytest.mark.parametrize("record", [r for r in shipped_records() if r.demo], ids=lambda r: r.demo)
def test_every_demo_key_comes_to_a_verdict_and_is_asked_read_only(
    lab: Server, check: Submit, client: Client, record: Recorded
) -> None:
    url, document = check(record.key, base_url=record.base_url)
    assert document["check"]["lab"] is True
    assert [d["state"] for d in document["detections"]] == ["done"]
    assert document["detections"][0]["verdict"] != "unknown"
    assert not lab.lab.violations
    assert "Demo: recorded answers, nothing is sent" in page_of(client, url)


def test_a_provider_that_cannot_be_reached_gives_a_named_cause(check: Submit, settings: Any, client: Client) -> None:
    settings.LAB_URL = f"http://127.0.0.1:{free_port()}"  # nobody listens there
    url, document = check(FINE_GRAINED)
    key = document["detections"][0]
    assert (key["verdict"], key["cause"], key["identity"]["state"]) == ("unknown", "refused", "consistent")
    assert "Provider did not answer" in visible(page_of(client, url))


# The JSON is public: this shape, exactly


def is_time(value: Any) -> bool:
    return dt.datetime.fromisoformat(value).utcoffset() is not None


TEXT = (str,)
TEXT_OR_NULL = (str, type(None))
VERDICTS = set(
    "active restricted no_credit rate_limited suspended revoked leaked region_blocked invalid unknown".split()
)

CHECK_SHAPE = {"created_at": TEXT, "burns_at": TEXT, "state": TEXT, "lab": (bool,)}
DETECTION_SHAPE = {
    **{"number": (int,), "line": (int,), "column": (int,), "length": (int,)},
    **{"label": TEXT, "state": TEXT, "candidates": (list,), "provider": TEXT_OR_NULL},
    **{"gateway": TEXT_OR_NULL, "origin": TEXT_OR_NULL, "identity": (dict,), "verdict": TEXT, "cause": TEXT_OR_NULL},
    **{"ability_to_pay": TEXT, "requests": (int,), "tokens_spent": (int,)},
    **{"key_destroyed_at": TEXT_OR_NULL, "findings": (list,), "models": (dict,)},
    **{"capabilities": (list,), "path": (list,), "next_actions": (list,)},
}
FINDING_SHAPE = {
    **{"probe": TEXT, "call": TEXT, "status": (int, type(None)), "elapsed_ms": (int,), "request_id": TEXT_OR_NULL},
    **{"code": TEXT_OR_NULL, "message": TEXT_OR_NULL, "verdict": TEXT, "cause": TEXT_OR_NULL, "evidence": (list,)},
}
EVIDENCE_SHAPE = {
    **{"metric": TEXT, "value": (str, int, bool, list, type(None)), "unit": TEXT_OR_NULL, "state": TEXT},
    "read_from": TEXT,
}
MODELS_SHAPE = {"visible": (int, type(None)), "covered": (list,), "missing": (list,), "new": (list,)}
CAPABILITY_SHAPE = {"slug": TEXT, "label": TEXT, "state": TEXT_OR_NULL}
STEP_SHAPE = {"step": TEXT, "state": TEXT, "reason": TEXT}
ACTION_SHAPE = {"slug": TEXT, "label": TEXT, "reason": TEXT, "href": TEXT_OR_NULL}


def assert_shape(part: Any, shape: Mapping[str, tuple[type, ...]]) -> None:
    assert list(part) == list(shape)
    for name, kinds in shape.items():
        assert type(part[name]) in kinds, f"{name}: {part[name]!r}"


def assert_detection(key: dict[str, Any]) -> None:
    assert_shape(key, DETECTION_SHAPE)
    assert key["state"] in ("ready", "queued", "probing", "needs_choice", "done")
    assert_shape(key["identity"], {"state": TEXT, "evidence": (list,)})
    assert key["identity"]["state"] in ("proven", "consistent", "contradicted", "unproven")
    assert key["verdict"] in VERDICTS
    assert key["ability_to_pay"] in ("yes", "no", "not_tested")
    assert key["key_destroyed_at"] is None or is_time(key["key_destroyed_at"])
    for finding in key["findings"]:
        assert_shape(finding, FINDING_SHAPE)
        assert finding["verdict"] in VERDICTS
        for item in finding["evidence"]:
            assert_shape(item, EVIDENCE_SHAPE)
            assert item["state"] in ("confirmed", "partial", "invisible", "not_exposed")
    assert_shape(key["models"], MODELS_SHAPE)
    assert len(key["capabilities"]) == 10
    for capability in key["capabilities"]:
        assert_shape(capability, CAPABILITY_SHAPE)
    for step in key["path"]:
        assert_shape(step, STEP_SHAPE)
        assert step["state"] in ("yes", "no", "not_tested")
    assert [s["step"] for s in key["path"]] == ["identified", "inventory", "pricing", "routing", "launch"]
    for action in key["next_actions"]:
        assert_shape(action, ACTION_SHAPE)


def assert_document(document: dict[str, Any]) -> None:
    assert list(document) == ["check", "detections", "refused"]
    assert_shape(document["check"], CHECK_SHAPE)
    assert document["check"]["state"] in ("waiting", "running", "done")
    created, burns = (dt.datetime.fromisoformat(document["check"][n]) for n in ("created_at", "burns_at"))
    assert created.utcoffset() == dt.timedelta(0)
    assert burns - created == dt.timedelta(minutes=5)
    for key in document["detections"]:
        assert_detection(key)
    assert [key["number"] for key in document["detections"]] == list(range(1, len(document["detections"]) + 1))
    for row in document["refused"]:
        assert_shape(row, {"line": (int,), "reason": TEXT})


def test_the_json_has_its_public_shape_while_it_waits_for_a_start(lab: Server, client: Client, queued: Queue) -> None:
    url = client.post("/checks/", {"keys": f"A={FINE_GRAINED}\n{SHARED}"})["Location"]
    document = json_of(client, url)
    assert_document(document)
    assert document["check"]["state"] == "waiting"
    ready, undecided = document["detections"]
    assert (ready["state"], ready["provider"], ready["origin"]) == ("ready", "huggingface", "https://huggingface.co")
    assert (ready["line"], ready["column"], ready["length"]) == (1, 2, len(FINE_GRAINED))
    assert (undecided["state"], undecided["provider"], undecided["origin"]) == ("needs_choice", None, None)
    for key in (ready, undecided):
        assert (key["verdict"], key["cause"], key["key_destroyed_at"]) == ("unknown", None, None)
        assert (key["requests"], key["tokens_spent"], key["next_actions"]) == (0, 0, [])


def test_the_json_has_its_public_shape_while_keys_are_asked(lab: Server, client: Client, queued: Queue) -> None:
    url = submit(client, f"{FINE_GRAINED}\n{SHARED}")
    client.post(f"{url}start/")
    document = json_of(client, url)
    assert_document(document)
    assert document["check"]["state"] == "running"
    waiting, undecided = document["detections"]
    assert (waiting["state"], waiting["verdict"], waiting["cause"]) == ("queued", "unknown", None)
    assert waiting["key_destroyed_at"] is None
    assert waiting["models"] == {"visible": None, "covered": [], "missing": [], "new": []}
    assert (undecided["state"], undecided["provider"], undecided["origin"]) == ("needs_choice", None, None)
    assert "deepseek" in undecided["candidates"]
    assert waiting["next_actions"] == undecided["next_actions"] == []


@pytest.mark.parametrize(
    ("keys", "base_url"),
    [(FINE_GRAINED, ""), (RESTRICTED, ""), (NO_CREDIT, ""), (RELAY, RELAY_URL), (f"{FINE_GRAINED}\nhello you", "")],
)
def test_the_json_has_its_public_shape_when_done(lab: Server, check: Submit, keys: str, base_url: str) -> None:
    document = check(keys, base_url=base_url)[1]
    assert_document(document)
    assert document["check"]["state"] == "done"
    assert document["detections"][0]["next_actions"]
    assert document["detections"][0]["requests"] > 0
    assert document["detections"][0]["tokens_spent"] == 0


def test_the_json_counts_each_request_that_was_made(lab: Server, check: Submit) -> None:
    document = check(f"{FINE_GRAINED}\n{NO_CREDIT}")[1]
    assert sum(key["requests"] for key in document["detections"]) == sum(lab.lab.hosts.values())


# The first fourteen were chosen because their answers differ most; software is recognised behind a base URL.
FOURTEEN = (
    *("anthropic", "deepinfra", "deepseek", "elevenlabs", "google-gemini", "groq", "huggingface", "minimax"),
    *("openai", "openrouter", "replicate", "sambanova", "vercel-ai-gateway", "xai"),
)
SOFTWARE = ("litellm", "new-api", "one-api")


@pytest.mark.usefixtures("without_pauses")
@pytest.mark.parametrize("slug", [*FOURTEEN, *SOFTWARE])
def test_all_recorded_answers_of_a_sender_give_the_public_shape(lab: Server, check: Submit, slug: str) -> None:
    records = [r for r in shipped_records() if r.slug == slug]
    keys = "\n".join(sorted({r.key for r in records} - {ANY_KEY})) or NOBODYS
    address = next((r.url.partition("/v1/")[0] for r in records if slug in SOFTWARE and "/v1/" in r.url), "")
    document = check(keys, base_url=address, provider="" if address else slug)[1]
    assert_document(document)
    assert {d["state"] for d in document["detections"]} == {"done"}
    assert not document["refused"]
    assert not lab.lab.violations


def test_every_key_of_the_lab_can_be_pasted() -> None:
    keys = [(r.slug, r.key) for r in shipped_records() if r.key != ANY_KEY]
    faults = {where: pasted.fault for where in keys for pasted in find.keys(where[1], current())}
    assert {where: fault for where, fault in faults.items() if fault} == {}


# A key that several could own


def test_a_key_that_several_could_own_is_sent_nowhere_before_the_choice(
    lab: Server, check: Submit, client: Client
) -> None:
    url, document = check(SHARED)
    assert document["check"]["state"] == "done"
    assert document["detections"][0]["state"] == "needs_choice"
    page = page_of(client, url)
    assert "Which provider?" in page
    assert f'action="{url}start/"' in page
    assert "api.deepseek.com" in page
    assert lab.lab.report()["hosts"] == {}


def test_the_chosen_provider_alone_is_asked(lab: Server, check: Submit, client: Client, queued: Queue) -> None:
    url, _document = check(SHARED)
    answer = client.post(f"{url}start/", {"provider-1": "deepseek"})
    assert (answer.status_code, answer["Location"]) == (303, url)
    assert json_of(client, url)["detections"][0]["state"] == "queued"
    run(queued)
    key = json_of(client, url)["detections"][0]
    assert (key["state"], key["provider"], key["identity"]["state"]) == ("done", "deepseek", "proven")
    assert set(lab.lab.hosts) == {"api.deepseek.com"}


def test_the_base_url_that_it_came_with_alone_is_asked(
    lab: Server, check: Submit, client: Client, queued: Queue
) -> None:
    url, _document = check(RELAY)
    client.post(f"{url}start/", {"base_url-1": RELAY_URL})
    run(queued)
    key = json_of(client, url)["detections"][0]
    assert (key["gateway"], key["origin"]) == ("new-api", RELAY_URL)
    assert set(lab.lab.hosts) == {"relay.example"}


def test_a_choice_that_is_none_is_refused_with_its_reason(
    lab: Server, check: Submit, client: Client, queued: Queue
) -> None:
    url, before = check(SHARED)
    for fields, message in (
        ({"provider-1": "nobody"}, "There is no such provider here"),
        ({}, "Choose a provider, or give the base URL"),
        ({"provider-2": "deepseek"}, "Choose a provider, or give the base URL"),
        ({"each-1": "nobody"}, "Choose a provider, or give the base URL"),
        ({"base_url-1": "http://relay.example"}, "must begin with https://"),
        ({"base_url-1": "https://127.0.0.1/"}, "must name a host, not an address"),
        ({"base_url-1": "https://api.deepseek.com", "provider-1": "openai"}, "DeepSeek"),
    ):
        answer = client.post(f"{url}start/", fields)
        assert answer.status_code == 422, message
        assert message in html.unescape(answer.content.decode())
    assert not queued
    assert json_of(client, url) == before
    assert lab.lab.report()["hosts"] == {}


def test_a_start_for_a_key_that_does_not_wait_changes_nothing(
    lab: Server, check: Submit, client: Client, queued: Queue
) -> None:
    url, before = check(f"{FINE_GRAINED}\n{SHARED}")
    asked = dict(lab.lab.hosts)
    for name in ("provider-1", "base_url-key-1", "base_url-1", "provider--1", f"provider-{10**30}", "leave"):
        value = "1" if name == "leave" else RELAY_URL if "url" in name else "openai"
        assert client.post(f"{url}start/", {name: value}).status_code == 422
    assert not queued
    assert json_of(client, url) == before
    assert lab.lab.hosts == asked


def test_a_choice_is_made_once(lab: Server, check: Submit, client: Client, queued: Queue) -> None:
    url, _document = check(SHARED)
    client.post(f"{url}start/", {"provider-1": "deepseek"})
    client.post(f"{url}start/", {"provider-1": "openai"})
    assert len(queued) == 1
    assert json_of(client, url)["detections"][0]["provider"] == "deepseek"


def test_each_of_those_that_were_ticked_is_asked_and_has_a_row_with_the_same_line(
    lab: Server, client: Client, queued: Queue
) -> None:
    url = submit(client, f"# mine\n  {SHARED}")
    ticked = re.findall(r'name="each-1" value="([\w-]+)"', page_of(client, url))[:3]
    assert len(ticked) == 3
    assert client.post(f"{url}start/", {"each-1": ticked}).status_code == 303
    run(queued)
    document = json_of(client, url)
    assert_document(document)
    assert [key["provider"] for key in document["detections"]] == ticked
    assert {(key["line"], key["column"], key["length"]) for key in document["detections"]} == {(2, 2, len(SHARED))}
    assert {key["state"] for key in document["detections"]} == {"done"}
    hosts = {host for slug in ticked for host in current().providers[slug].hosts}
    assert set(lab.lab.hosts) <= hosts
    assert len(lab.lab.hosts) >= 3
    assert not Detection.objects.exclude(sealed_key=None).exists()
    rows = re.findall(r'<tr [^>]*data-line="(\d+)"', page_of(client, url))
    assert rows == ["2"] * 3


def test_one_key_waits_while_the_others_are_asked(lab: Server, check: Submit, client: Client) -> None:
    url, document = check(f"{FINE_GRAINED}\n{SHARED}")
    assert [d["state"] for d in document["detections"]] == ["done", "needs_choice"]
    assert document["detections"][0]["key_destroyed_at"] is None  # the other still needs the data key
    assert Detection.objects.get(line=1).sealed_key is None  # but nothing of this one is left to open
    assert "api.deepseek.com" not in lab.lab.hosts


# What waits for the operator's start


def test_several_keys_are_sent_nowhere_before_the_start(lab: Server, client: Client, queued: Queue) -> None:
    url = submit(client, f"{FINE_GRAINED}\n{NO_CREDIT}")
    page = page_of(client, url)
    assert not queued
    assert f'action="{url}start/"' in page
    text = visible(page)
    assert "huggingface.co" in text
    assert "api.openai.com" in text
    answer = client.post(f"{url}start/")
    assert (answer.status_code, answer["Location"]) == (303, url)
    run(queued)
    document = json_of(client, url)
    assert [(key["line"], key["state"], key["verdict"]) for key in document["detections"]] == [
        (1, "done", "restricted"),
        (2, "done", "no_credit"),
    ]
    assert f'action="{url}start/"' not in page_of(client, url)


def test_a_key_from_a_curl_command_waits_until_its_base_url_was_seen(
    lab: Server, client: Client, queued: Queue
) -> None:
    url = submit(client, f"curl {RELAY_URL}/models \\\n  -H 'Authorization: Bearer {RELAY}'")
    document = json_of(client, url)
    assert_document(document)
    assert document["check"]["state"] == "waiting"
    assert (document["detections"][0]["state"], document["detections"][0]["origin"]) == ("ready", RELAY_URL)
    assert "relay.example" in visible(page_of(client, url))
    assert not queued
    client.post(f"{url}start/")
    run(queued)
    key = json_of(client, url)["detections"][0]
    assert (key["gateway"], key["origin"], key["line"]) == ("new-api", RELAY_URL, 2)
    assert set(lab.lab.hosts) == {"relay.example"}


def test_one_clear_key_and_a_typed_base_url_start_at_once(lab: Server, client: Client, queued: Queue) -> None:
    submit(client, FINE_GRAINED)
    submit(client, RELAY, base_url=RELAY_URL)
    assert len(queued) == 2


def test_a_start_is_made_once(lab: Server, client: Client, queued: Queue) -> None:
    url = submit(client, f"{FINE_GRAINED}\n{NO_CREDIT}")
    for _ in range(2):
        assert client.post(f"{url}start/").status_code == 303
    assert len(queued) == 1
    assert len(json_of(client, url)["detections"]) == 2


def test_a_key_that_is_left_out_is_sent_nowhere_and_told_as_refused(lab: Server, client: Client, queued: Queue) -> None:
    url = submit(client, f"{FINE_GRAINED}\nYOUR_API_KEY\n{NO_CREDIT}\n{SHARED}")
    client.post(f"{url}start/", {"leave": "2"})
    client.post(f"{url}start/", {"leave": "3"})
    run(queued)
    document = json_of(client, url)
    assert_document(document)
    assert [key["line"] for key in document["detections"]] == [1]
    assert [row["line"] for row in document["refused"]] == [2, 3, 4]
    assert {row["reason"] for row in document["refused"][1:]} == {"you left it out."}
    assert "api.openai.com" not in lab.lab.hosts
    assert "Line 3: not sent, because you left it out." in visible(page_of(client, url))


def test_a_check_of_which_all_is_left_out_ends_with_nothing_sent(lab: Server, client: Client, queued: Queue) -> None:
    url = submit(client, f"{FINE_GRAINED}\n{NO_CREDIT}")
    assert client.post(f"{url}start/", {"leave": ["1", "2"]}).status_code == 303
    document = json_of(client, url)
    assert_document(document)
    assert (document["check"]["state"], document["detections"], len(document["refused"])) == ("done", [], 2)
    for path in ("", "live/", "export/?format=csv"):
        assert client.get(url + path).status_code == 200
    assert not queued
    assert lab.lab.report()["hosts"] == {}


def test_what_may_spend_is_asked_only_where_it_was_ticked(lab: Server, client: Client, queued: Queue) -> None:
    for tick, spends in (({}, False), ({"spend": "on"}, True)):
        url = submit(client, f"{FINE_GRAINED}\n{NO_CREDIT}")
        client.post(f"{url}start/", tick)
        assert Check.objects.latest("pk").spend is spends


def test_a_start_that_finds_no_room_says_so_and_when_to_come_again(
    lab: Server, client: Client, queued: Queue, settings: Any
) -> None:
    url = submit(client, f"{FINE_GRAINED}\n{NO_CREDIT}")
    settings.QUEUE_KEYS = 0
    answer = client.post(f"{url}start/")
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert "Try again in" in visible(answer.content.decode())
    assert not queued
    assert {key["state"] for key in json_of(client, url)["detections"]} == {"ready"}


# The same form twice


def test_a_double_submit_makes_one_check_and_counts_as_one(
    lab: Server, client: Client, queued: Queue, settings: Any
) -> None:
    settings.ANONYMOUS_LIMIT = 1
    first, second = (submit(client, FINE_GRAINED, submission="s" * 22) for _ in range(2))
    assert first == second
    assert Check.objects.count() == 1
    assert len(queued) == 1
    assert client.get(second).status_code == 200


@pytest.mark.parametrize(
    "second",
    [
        {"keys": NO_CREDIT},
        {"keys": f"\n{FINE_GRAINED}"},
        {"keys": FINE_GRAINED, "base_url": RELAY_URL},
        {"keys": FINE_GRAINED, "spend": "on"},
        {"keys": FINE_GRAINED, "submission": "t" * 22},
        {"keys": FINE_GRAINED, "submission": ""},
    ],
)
def test_another_paste_or_place_or_leave_or_form_makes_another_check(
    lab: Server, client: Client, queued: Queue, second: dict[str, str]
) -> None:
    submit(client, FINE_GRAINED, submission="s" * 22)
    submit(client, **({"submission": "s" * 22} | second))
    assert Check.objects.count() == 2


def test_the_same_again_after_ten_seconds_is_another_check(
    lab: Server, at: Clock, client: Client, queued: Queue
) -> None:
    first = submit(client, FINE_GRAINED, submission="s" * 22)
    at(10.1)
    assert submit(client, FINE_GRAINED, submission="s" * 22) != first
    assert Check.objects.count() == 2
    assert client.get(first).status_code == 200


def test_a_double_submit_after_a_burn_is_a_check_of_its_own(lab: Server, client: Client, queued: Queue) -> None:
    first = submit(client, FINE_GRAINED, submission="s" * 22)
    client.post(f"{first}burn/")
    second = submit(client, FINE_GRAINED, submission="s" * 22)
    assert second != first
    assert client.get(second).status_code == 200


def test_the_same_form_after_a_cancel_is_a_check_of_its_own(lab: Server, client: Client, queued: Queue) -> None:
    first = submit(client, FINE_GRAINED, submission="s" * 22)
    client.post(f"{first}cancel/")
    second = submit(client, FINE_GRAINED, submission="s" * 22)
    assert second != first
    assert not Check.objects.get(submission__isnull=False).cancelled_at


def test_a_guessed_submission_without_the_paste_leads_to_nobodys_check(
    lab: Server, client: Client, stranger: Client, queued: Queue
) -> None:
    url = submit(client, FINE_GRAINED, submission="s" * 22)
    assert submit(stranger, NO_CREDIT, submission="s" * 22) != url
    assert stranger.get(url).status_code == 404


def test_each_form_brings_a_submission_of_its_own(client: Client) -> None:
    found = [re.findall(r'name="submission" value="([\w-]+)"', page_of(client, "/")) for _ in range(2)]
    assert [len(each) for each in found] == [1, 1]
    assert found[0] != found[1]


# Cancel


@pytest.fixture
def one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "THREADS", 1)
    monkeypatch.setattr(worker, "ALIVE_SECONDS", 0)


def test_after_a_cancel_nobody_is_asked_any_more_and_what_was_found_stays(
    lab: Server, client: Client, queued: Queue, one_call_at_a_time: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = submit(client, f"{FINE_GRAINED}\n{NO_CREDIT}\n{SHARED}")
    client.post(f"{url}start/")
    write = worker._store
    asked: list[int] = []
    found: list[Any] = []

    def cancel_after_the_first(*args: Any) -> None:
        write(*args)
        if not asked:
            found.append(json_of(client, url)["detections"])
            assert client.post(f"{url}cancel/").status_code == 303
            asked.append(sum(lab.lab.hosts.values()))

    monkeypatch.setattr(worker, "_store", cancel_after_the_first)
    run(queued)
    assert asked == [1]
    assert sum(lab.lab.hosts.values()) == 1
    document = json_of(client, url)
    assert_document(document)
    assert document["check"]["state"] == "done"
    assert [key["findings"] for key in document["detections"]] == [key["findings"] for key in found[0]]
    (told,) = [key for key in document["detections"] if key["findings"]]
    assert told["verdict"] != "unknown"
    for key in document["detections"]:
        assert key["state"] == "done"
        assert key["key_destroyed_at"]
        assert key is told or (key["verdict"], key["cause"], key["requests"]) == ("unknown", "cancelled", 0)
    assert "what was found stays" in visible(page_of(client, url))


def test_a_check_that_was_cancelled_in_the_queue_asks_nobody(lab: Server, client: Client, queued: Queue) -> None:
    url = submit(client, FINE_GRAINED)
    assert f'action="{url}cancel/"' in page_of(client, url)
    answer = client.post(f"{url}cancel/")
    assert (answer.status_code, answer["Location"]) == (303, url)
    run(queued)
    key = json_of(client, url)["detections"][0]
    assert (key["state"], key["verdict"], key["cause"], key["requests"]) == ("done", "unknown", "cancelled", 0)
    assert "cancelled before this key was asked about" in visible(page_of(client, url))
    assert lab.lab.report()["hosts"] == {}


def test_what_was_cancelled_cannot_be_started(lab: Server, client: Client, queued: Queue) -> None:
    url = submit(client, f"{FINE_GRAINED}\n{SHARED}")
    client.post(f"{url}cancel/")
    before = json_of(client, url)
    assert {key["cause"] for key in before["detections"]} == {"cancelled"}
    client.post(f"{url}start/", {"provider-2": "deepseek"})
    assert not queued
    assert json_of(client, url) == before


def test_a_cancel_of_what_is_done_changes_no_result(lab: Server, check: Submit, client: Client) -> None:
    url, before = check(f"{FINE_GRAINED}\n{NO_CREDIT}")
    for _ in range(2):
        assert client.post(f"{url}cancel/").status_code == 303
    assert json_of(client, url) == before


# Rows as they come


def rows_of(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return re.findall(r'data-number="(\d+)"', answer.content.decode())


def test_the_live_rows_are_those_that_ended_since_the_last_look(
    lab: Server, at: Clock, client: Client, queued: Queue
) -> None:
    url = submit(client, f"{FINE_GRAINED}\n{NO_CREDIT}\n{SHARED}")
    client.post(f"{url}start/")
    first = client.get(f"{url}live/")
    assert rows_of(first) == []
    at(5)
    run(queued)
    at(8)
    second = client.get(f"{url}live/?since={first['X-Seen-At']}")
    assert rows_of(second) == ["1", "2"]
    at(12)
    third = client.get(f"{url}live/?since={second['X-Seen-At']}")
    assert rows_of(third) == []
    client.post(f"{url}start/", {"provider-3": "deepseek"})
    run(queued)
    assert rows_of(client.get(f"{url}live/?since={third['X-Seen-At']}")) == ["3"]
    assert rows_of(client.get(f"{url}live/")) == ["1", "2", "3"]


@pytest.mark.parametrize("since", ["x", "-1", "nan", "inf", "1e400", "9" * 400, "0"])
def test_a_moment_that_is_none_gets_all_rows(lab: Server, check: Submit, client: Client, since: str) -> None:
    url, _document = check(f"{FINE_GRAINED}\n{NO_CREDIT}")
    assert rows_of(client.get(f"{url}live/?since={since}")) == ["1", "2"]


def test_a_row_is_marked_as_changed_by_start_end_and_cancel(
    lab: Server, at: Clock, client: Client, queued: Queue
) -> None:
    def changed() -> list[float]:
        begun = Check.objects.get().created_at
        return [round((row.changed_at - begun).total_seconds()) for row in Detection.objects.all()]

    url = submit(client, f"{FINE_GRAINED}\n{SHARED}")
    assert changed() == [0, 0]
    at(5)
    client.post(f"{url}start/")
    assert changed() == [5, 0]
    at(7)
    run(queued)
    assert changed() == [7, 0]
    at(9)
    client.post(f"{url}cancel/")
    assert changed() == [7, 9]


def test_a_row_says_the_same_as_the_whole_result_of_its_key(lab: Server, check: Submit, client: Client) -> None:
    _url, document = check(f"{FINE_GRAINED}\n{NO_CREDIT}\n{RESTRICTED}")
    rows = results.table(Check.objects.get())
    said = ("number", "line", "column", "length", "label", "provider", "gateway", "origin", "verdict", "cause")
    for row, key in zip(rows, document["detections"], strict=True):
        for name in (*said, "ability_to_pay", "requests", "tokens_spent", "state"):
            assert row[name] == key[name], name
        assert row["identity"] == key["identity"]["state"]
        assert row["next"] == key["next_actions"][0]["slug"]


# Several keys, and lines that are not sent


def test_several_keys_are_a_table_and_each_has_a_page(lab: Server, check: Submit, client: Client) -> None:
    url, document = check(f"{FINE_GRAINED}\n\n# a comment\n{NO_CREDIT}")
    assert [d["line"] for d in document["detections"]] == [1, 4]
    page = page_of(client, url)
    rows = re.findall(r"<tr [^>]*data-number.*?</tr>", page, re.S)
    assert [("hf_…0000" in row, "sk-…ed00" in row) for row in rows] == [(True, False), (False, True)]
    for key in document["detections"]:
        assert f'href="{url}keys/{key["number"]}/"' in page
        whole = page_of(client, f"{url}keys/{key['number']}/")
        assert f"Line {key['line']}: {key['label']}" in visible(whole)
        assert key["findings"][0]["call"] in visible(whole)


def test_one_key_has_no_table_of_keys(lab: Server, check: Submit, client: Client) -> None:
    url, _document = check(FINE_GRAINED)
    page = page_of(client, url)
    assert f"{url}keys/" not in page
    assert "<tr role" not in page


@pytest.mark.parametrize("path", ["keys/3/", "keys/0/", f"keys/{10**30}/", "keys/x/", "keys/-1/"])
def test_a_key_that_is_not_there_is_not_found(lab: Server, check: Submit, client: Client, path: str) -> None:
    url, _document = check(f"{FINE_GRAINED}\n{NO_CREDIT}")
    assert client.get(url + path).status_code == 404


def test_two_keys_are_compared_and_nothing_else_is(lab: Server, check: Submit, client: Client) -> None:
    url, document = check(f"{FINE_GRAINED}\n{NO_CREDIT}")
    for query in ("a=1&b=2", "key=2&key=1"):
        text = visible(page_of(client, f"{url}compare/?{query}"))
        assert all(key["label"] in text for key in document["detections"])
    for query in (
        "",
        "a=1",
        "a=1&b=1",
        "a=1&b=3",
        "key=1&key=2&key=3",
        f"a=1&b={10**30}",
        f"a=1&b={'9' * 5000}",
        "a=²&b=1",
    ):
        answer = client.get(f"{url}compare/?{query}")
        assert answer.status_code == 422, query[:40]
        assert "no-store" in answer["Cache-Control"]


def test_a_line_that_is_not_sent_is_named_and_the_others_go_on(lab: Server, check: Submit, client: Client) -> None:
    url, document = check(f"{FINE_GRAINED}\nAKIAIOSFODNN7EXAMPLE\nthis is a sentence\nsk-…abcd")
    assert [row["line"] for row in document["refused"]] == [2, 3, 4]
    assert len({row["reason"] for row in document["refused"]}) == 3
    assert [d["state"] for d in document["detections"]] == ["done"]
    text = visible(page_of(client, url))
    assert "Line 2: not sent, because it is a key for" in text
    assert "AKIAIOSFODNN7EXAMPLE" not in text
    assert "this is a sentence" not in text


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("", "Paste at least one key."),
        (" \n\t\n", "Paste at least one key."),
        ("a" * (2**20 + 1), "more text than 1048576 characters"),
        (
            "\n".join(f"hf_TestKeyFakeNeverIssued{n:012}" for n in range(1001)),
            "At most 1000 keys at once; give the rest after them.",
        ),
        ("sk-****************************abcd", "it is masked"),
        ("YOUR_API_KEY", "it is a placeholder"),
        ("please check this key", "there are spaces inside"),
        ("https://api.openai.com/v1", "it is an address, not a key"),
        ("sk-abc\x07defghijklmnop", "it holds a control character"),
        ("ghp_" + "a" * 36, "it is a key for"),
        ("sk-" + "a" * 4100, "longer than 4096 characters"),
        ("abc", "shorter than 8 characters"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEabcdefghijkl\n-----END PRIVATE KEY-----", "it is a private key"),
    ],
)
def test_bad_input_gets_its_own_message_and_nothing_is_sent_or_echoed(
    client: Client, queued: Queue, keys: str, message: str
) -> None:
    answer = client.post("/checks/", {"keys": keys})
    page = html.unescape(answer.content.decode())
    assert answer.status_code == 422
    assert message in page
    for line in keys.split("\n"):
        assert len(line) < 8 or line[:50] not in page.replace("https://api.openai.com", "")
    assert not queued
    assert not Check.objects.exists()


def test_an_unknown_provider_is_refused_by_its_field(client: Client, queued: Queue) -> None:
    answer = client.post("/checks/", {"keys": FINE_GRAINED, "provider": "sk-in-the-wrong-field"})
    assert answer.status_code == 422
    assert "There is no such provider here" in answer.content.decode()
    assert "sk-in-the-wrong-field" not in answer.content.decode()
    assert not queued


def test_a_key_of_another_provider_than_chosen_is_not_sent(lab: Server, client: Client, queued: Queue) -> None:
    answer = client.post("/checks/", {"keys": FINE_GRAINED, "provider": "openai"})
    assert answer.status_code == 422
    assert "shape of a key of Hugging Face Router" in html.unescape(answer.content.decode())
    assert not queued


def test_a_form_without_its_token_is_refused_in_words_of_its_own(queued: Queue) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/checks/", {"keys": FINE_GRAINED})
    assert answer.status_code == 403
    assert "Nothing was sent" in answer.content.decode()
    assert FINE_GRAINED not in answer.content.decode()
    assert not queued


@pytest.mark.parametrize("action", ["burn", "start", "cancel"])
def test_a_button_without_its_token_is_refused(
    lab: Server, check: Submit, client: Client, queued: Queue, action: str
) -> None:
    url, before = check(f"{FINE_GRAINED}\n{SHARED}")
    client.handler.enforce_csrf_checks = True
    assert client.post(f"{url}{action}/", {"provider-2": "deepseek"}).status_code == 403
    assert json_of(client, url) == before
    assert not queued
    token = re.search(
        rf'action="{url}{action}/".*?name="csrfmiddlewaretoken" value="(\w+)"', page_of(client, url), re.S
    )
    assert token
    fields = {"provider-2": "deepseek", "csrfmiddlewaretoken": token[1]}
    assert client.post(f"{url}{action}/", fields).status_code == 303


# Addresses


def test_a_submission_answers_303_to_its_page(lab: Server, client: Client, queued: Queue) -> None:
    answer = client.post("/checks/", {"keys": FINE_GRAINED})
    assert answer.status_code == 303
    assert re.fullmatch(r"/checks/[\w-]{43}/", answer["Location"])


def test_the_form_offers_find_out_first_and_every_provider(client: Client) -> None:
    page = client.get("/").content.decode()
    options = re.findall(r'<option value="([\w-]*)"[^>]*>([^<]+)', page)
    assert options[0] == ("", "Find out")
    assert ("huggingface", "Hugging Face Router") in options
    assert "<textarea" in page
    assert 'action="/checks/"' in page
    assert "keys that you are allowed to test" in page


def test_a_public_pages_link_opens_the_form_with_the_provider_chosen(client: Client) -> None:
    page = client.get("/?provider=huggingface").content.decode()
    assert '<option value="huggingface" selected>' in page
    assert "sk-not-echoed" not in client.get("/?provider=sk-not-echoed").content.decode()


RESULT_PAGES = ("", "live/", "keys/1/", "compare/?a=1&b=2", "compare/", "export/?format=csv", "export/?format=json")


@pytest.mark.parametrize("path", RESULT_PAGES)
def test_wrong_foreign_and_burned_get_the_same_page(
    lab: Server, check: Submit, client: Client, stranger: Client, path: str
) -> None:
    url, _document = check(FINE_GRAINED)
    stranger.get("/")
    foreign = stranger.get(url + path)
    wrong = client.get(f"/checks/{'A' * 43}/{path}")
    client.post(f"{url}burn/")
    burned = client.get(url + path)
    for answer in (foreign, wrong, burned):
        assert answer.status_code == 404
        assert "Burned, or not yours" in answer.content.decode()
        assert answer.content == burned.content
        assert answer.headers == burned.headers


def test_wrong_foreign_and_burned_get_the_same_json(
    lab: Server, check: Submit, client: Client, stranger: Client
) -> None:
    url, _document = check(FINE_GRAINED)
    address = url.rstrip("/") + ".json"
    foreign = stranger.get(address)
    wrong = client.get(f"/checks/{'A' * 43}.json")
    client.post(f"{url}burn/")
    burned = client.get(address)
    for answer in (foreign, wrong, burned):
        assert (answer.status_code, answer.json()) == (404, {"detail": "burned, or not yours"})
        assert answer.headers == burned.headers


def test_a_stranger_who_has_a_check_of_his_own_may_not_start_cancel_or_burn(
    lab: Server, check: Submit, client: Client, stranger: Client, queued: Queue
) -> None:
    url, before = check(SHARED)
    stranger.post("/checks/", {"keys": FINE_GRAINED})
    queued.clear()
    refused = [stranger.post(f"{url}{action}/", {"provider-1": "deepseek"}) for action in ("start", "cancel", "burn")]
    assert [answer.status_code for answer in refused] == [404] * 3
    assert len({answer.content for answer in refused}) == 1
    assert not queued
    assert json_of(client, url) == before


def test_the_token_is_stored_hashed(lab: Server, check: Submit) -> None:
    token = check(FINE_GRAINED)[0].split("/")[2]
    assert token not in Check.objects.get().token_hash
    assert not Check.objects.filter(token_hash__contains=token).exists()


def test_reading_changes_nothing(lab: Server, check: Submit, client: Client, queued: Queue) -> None:
    url, before = check(f"{SHARED}\n{FINE_GRAINED}")
    pages = [(path.partition("?")[0], 200) for path in RESULT_PAGES]
    buttons = [("burn/", 302), ("start/", 302), ("cancel/", 302)]
    query = "provider-1=deepseek&leave=1&a=1&b=2&format=csv&spend=on"
    for method in (client.get, client.head):
        for path, status in (*pages, *buttons):
            assert method(f"{url}{path}?{query}").status_code == status, path
    assert json_of(client, url) == before
    assert not queued


def test_a_result_is_only_read(lab: Server, check: Submit, client: Client) -> None:
    url, before = check(FINE_GRAINED)
    for method in (client.post, client.put, client.patch, client.delete):
        for address in (*(url + path for path in RESULT_PAGES), url.rstrip("/") + ".json"):
            assert method(address).status_code == 405
    for method in (client.put, client.patch, client.delete):
        for action in ("start", "cancel", "burn"):
            assert method(f"{url}{action}/").status_code == 405
    assert json_of(client, url) == before


def test_a_head_of_a_result_has_no_body(lab: Server, check: Submit, client: Client) -> None:
    url, _document = check(FINE_GRAINED)
    answer = client.head(url)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_result_is_kept_by_nobody_and_found_by_no_search_engine(lab: Server, check: Submit, client: Client) -> None:
    mine = check(FINE_GRAINED)[0].rstrip("/")
    for url in (mine, mine + "x"):
        for path in (*(f"/{path}" for path in RESULT_PAGES), ".json"):
            answer = client.get(url + path)
            assert answer.status_code in ((200, 422) if url == mine else (404,))
            assert answer["Cache-Control"] == "no-store"
            assert answer["X-Robots-Tag"] == "noindex, nofollow"


def test_the_form_and_its_faults_are_not_kept_either(lab: Server, client: Client, queued: Queue) -> None:
    for answer in (
        client.get("/"),
        client.post("/checks/", {"keys": ""}),
        client.post("/checks/", {"keys": SHARED}),
    ):
        assert "no-store" in answer["Cache-Control"]


def test_the_live_part_is_sent_again_only_when_something_moved(lab: Server, client: Client, queued: Queue) -> None:
    url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
    first = client.get(f"{url}live/")
    assert first.status_code == 200
    again = client.get(f"{url}live/", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    run(queued)
    then = client.get(f"{url}live/", headers={"If-None-Match": first["ETag"]})
    assert then.status_code == 200
    assert then["ETag"] != first["ETag"]
    assert "<html" not in then.content.decode()


# Files to take along


@pytest.mark.parametrize("name", exports.FORMATS)
def test_a_file_holds_what_was_found_and_no_key(lab: Server, check: Submit, client: Client, name: str) -> None:
    url, _document = check(f"{FINE_GRAINED}\nWITH_CREDIT_TO_COME={NO_CREDIT}\n{SHARED}")
    answer = client.get(f"{url}export/?format={name}")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Robots-Tag"] == "noindex, nofollow"
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    text = answer.content.decode()
    for key in (FINE_GRAINED, NO_CREDIT, SHARED):
        windows = {key[i : i + 12] for i in range(4, len(key) - 11)} - {"0" * 12}
        assert not [window for window in windows if window in text]


def test_a_file_has_only_keys_that_are_done_and_fit_the_filter(lab: Server, check: Submit, client: Client) -> None:
    url, _document = check(f"{FINE_GRAINED}\n{NO_CREDIT}\n{RESTRICTED}\n{SHARED}")

    def lines(query: str) -> list[str]:
        text = client.get(f"{url}export/?format=csv{query}").content.decode()
        return [row["line"] for row in csv.DictReader(io.StringIO(text.lstrip("\ufeff")))]

    assert lines("") == ["1", "2", "3"]
    assert lines("&verdict=no_credit") == ["2"]
    assert lines("&verdict=no_credit&verdict=restricted") == ["1", "2", "3"]
    assert lines("&provider=huggingface") == ["1"]
    assert lines("&verdict=accepted&provider=openai") == ["2", "3"]
    assert lines("&verdict=invalid") == []


@pytest.mark.parametrize("query", ["", "?format=", "?format=exe", "?format=../csv"])
def test_a_format_that_is_none_is_not_found(lab: Server, check: Submit, client: Client, query: str) -> None:
    url, _document = check(FINE_GRAINED)
    assert client.get(f"{url}export/{query}").status_code == 404


def test_a_browser_that_holds_the_tag_of_a_burned_result_gets_404(lab: Server, check: Submit, client: Client) -> None:
    url, _document = check(FINE_GRAINED)
    tag = client.get(f"{url}live/")["ETag"]
    client.post(f"{url}burn/")
    assert client.get(f"{url}live/", headers={"If-None-Match": tag}).status_code == 404


# The page


@pytest.mark.parametrize("keys", [FINE_GRAINED, RESTRICTED, NO_CREDIT])
def test_the_page_reads_whose_verdict_action_path_evidence(
    lab: Server, check: Submit, client: Client, keys: str
) -> None:
    url, document = check(keys)
    text = visible(page_of(client, url).partition("<main")[2])
    key = document["detections"][0]
    words = [" Whose ", " Verdict ", key["cause"].partition(": ")[0], " Next action ", key["next_actions"][0]["label"]]
    words += [" Path ", " Evidence ", key["findings"][0]["call"], " Models ", "of 10 capabilities"]
    places, start = [], 0
    for word in words:
        start = text.find(word, start)
        places.append((word, start >= 0))
        assert start >= 0, places


def test_the_page_shows_call_status_time_code_request_id_and_where_a_fact_was_read(
    lab: Server, check: Submit, client: Client
) -> None:
    url, document = check(NO_CREDIT)
    text = visible(page_of(client, url))
    for finding in document["detections"][0]["findings"]:
        for said in (finding["call"], finding["status"], f"{finding['elapsed_ms']} ms", finding["code"]):
            assert said is None or str(said) in text
        assert finding["request_id"] is None or finding["request_id"] in text
        for item in finding["evidence"]:
            assert item["read_from"] in text


def test_a_running_page_can_be_followed_without_script(lab: Server, client: Client, queued: Queue) -> None:
    url = client.post("/checks/", {"keys": FINE_GRAINED})["Location"]
    page = page_of(client, url)
    assert f'<a href="{url}">Show the latest</a>' in page
    assert "Asking huggingface.co" in page
    run(queued)
    assert "Show the latest" not in page_of(client, url)


def test_every_next_action_can_be_taken_along(lab: Server, check: Submit, client: Client) -> None:
    for keys, base_url in ((FINE_GRAINED, ""), (RESTRICTED, ""), (NO_CREDIT, ""), (RELAY, RELAY_URL)):
        url, document = check(keys, base_url=base_url)
        page = page_of(client, url)
        for action in document["detections"][0]["next_actions"]:
            assert action["href"], action["slug"]
            if action["href"].startswith("#"):
                assert f'id="{action["href"][1:]}"' in page


def test_the_summary_tells_everything_but_the_key(lab: Server, check: Submit, client: Client) -> None:
    page = page_of(client, check(RESTRICTED)[0])
    block = page.partition("Copy summary, without the key")[2]
    summary = html.unescape(block.partition("<pre")[2].partition("</pre>")[0])
    assert "Whose: It is OpenAI" in summary
    assert "Works, limited permissions" in summary
    assert RESTRICTED[8:20] not in page


# What a provider says is hostile

MARKUP = "<script>alert(1)</script>"
ATTRIBUTE = "\"'><img src=x onerror=alert(2)>"
BIDI = "\u202eevil\u2066"
HOSTILE_NAME = f"{MARKUP}{ATTRIBUTE}{BIDI}{{{{7*7}}}}"


def hostile_records() -> list[Recorded]:
    """The fine-grained key's answers with every text replaced by something that hurts."""

    def spoiled(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {k: spoiled(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [spoiled(v, name) for v in value]
        # What the rules judge by stays, so that the answer is understood.
        return value if not isinstance(value, str) or name in ("role", "permissions") else f"{HOSTILE_NAME}{name}"

    records = []
    for record in shipped_records():
        if record.slug == "huggingface" and record.key in (FINE_GRAINED, ANY_KEY):
            answer = dict(record.answer) | {"body": spoiled(record.answer["body"])}
            answer["headers"] = {"x-request-id": ATTRIBUTE}
            records.append(Recorded(record.slug, record.file, "", record.probe, record.key, record.call, answer))
    return records


def refusal(key: str) -> Recorded:
    error = {"message": HOSTILE_NAME, "type": MARKUP, "code": MARKUP}
    answer = {"status": 401, "body": {"error": error}, "headers": {"x-request-id": MARKUP}}
    return Recorded("openai", "x.json", "", "models", key, "GET https://api.openai.com/v1/models", answer)


def assert_harmless(page: str) -> None:
    assert "<script>alert" not in page
    assert "<img" not in page.partition("<main")[2]
    assert "onerror=alert(2)>" not in page
    assert "49" not in page.partition("alert(2)")[2][:60]  # nothing is a template
    for raw in re.findall(r"<[^>]*alert\(", page):
        raise AssertionError(raw)


def test_what_a_provider_answers_is_escaped_everywhere(check: Submit, client: Client) -> None:
    with lab_of(hostile_records()):
        url, document = check(FINE_GRAINED)
        page, live = page_of(client, url), page_of(client, f"{url}live/")
        answer = client.get(url.rstrip("/") + ".json")
    key = document["detections"][0]
    owner = next(e["value"] for f in key["findings"] for e in f["evidence"] if e["metric"] == "owner_id")
    assert MARKUP in owner  # it got through, as data
    assert any(MARKUP in model for model in key["models"]["new"])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert_harmless(page)
    assert_harmless(live)
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_message_of_a_provider_is_quoted_escaped_and_cannot_turn_the_text_around(
    check: Submit, client: Client
) -> None:
    with lab_of([refusal(ANY_KEY)]):
        url, document = check(RESTRICTED)
        page = page_of(client, url)
    finding = next(f for f in document["detections"][0]["findings"] if f["message"])
    assert MARKUP in finding["message"]
    assert len(finding["message"]) <= 200
    assert not set(BIDI) & set("\u202e\u2066") & set(page)
    assert re.search(r"<bdi>&lt;script&gt;alert", page)
    assert_harmless(page)


def test_an_owners_name_from_right_to_left_stays_in_its_cell(check: Submit, client: Client) -> None:
    with lab_of(hostile_records()):
        page = page_of(client, check(FINE_GRAINED)[0])
    assert "\u202e" not in page
    assert "\u2066" not in page


def test_nothing_sealed_is_readable_in_the_rows(lab: Server, check: Submit) -> None:
    check(FINE_GRAINED)
    assert Finding.objects.exists()
    for row in Finding.objects.all():
        assert b"lab-fine" not in bytes(row.sealed)
