"""The form says for each line where it would go, or why it goes nowhere, and echoes nothing."""

from __future__ import annotations

import pytest
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.datastructures import MultiValueDict

from probes.forms import CheckForm
from probes.models import State
from probes.secret import Secret

FILL = "TestKeyFakeNeverIssued0123456789" * 5
HF = "hf_" + FILL[:34]
OPENAI = f"sk-{FILL[:20]}T3BlbkFJ{FILL[:20]}"
DEEPSEEK = "sk-" + "0fa4e1abc" * 3 + "0fa4e"
UNKNOWN = "zz-" + FILL[:30]
BASE = "https://relay.acme.dev/v1"

pytestmark = pytest.mark.django_db


def form(keys: str, **fields: str) -> CheckForm:
    made = CheckForm({"keys": keys, **fields})
    made.is_valid()
    return made


def errors(made: CheckForm) -> dict[str, list[str]]:
    return {name: [str(e) for e in found] for name, found in made.errors.items()}


def reason(line: str, **fields: str) -> str:
    """Why one bad line beside a good one is not sent."""
    made = form(f"{HF}\n{line}", **fields)
    assert made.is_valid(), errors(made)
    assert [k.pasted.line for k in made.plan.keys] == [1]
    (refused,) = made.plan.refused
    assert refused["line"] == 2
    return str(refused["reason"])


BAD_LINES = {
    "too long": "Zq9" + "k" * 5000,
    "too short": "Zq9k",
    "masked": "sk-proj-Zq9k…Ab3d",
    "placeholder": "YOUR_OPENAI_API_KEY",
    "sentence": "here is my fake key",
    "url": "https://relay.acme.dev/v1",
    "control": "hf_TestKey\x07Fake0123456789abcdefghij",
    "letters": "sk-TestKeyFäke0123456789",
    "another trade": "ghp_" + FILL[:36],
    "private key": "-----BEGIN RSA PRIVATE KEY-----",
    "refused kind": "sk-ant-admin01-" + FILL[:93],
    "doubled": OPENAI * 2,
    "several": f"{OPENAI},{HF}",
    "repeated": HF,
}


def test_each_bad_line_has_its_own_message() -> None:
    reasons = {name: reason(line) for name, line in BAD_LINES.items()}
    assert len(set(reasons.values())) == len(reasons)
    assert all(reasons.values())


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_no_message_holds_anything_of_the_line(line: str) -> None:
    said = reason(line)
    for i in range(max(1, len(line) - 11)):
        assert line[i : i + 12] not in said


def test_a_nul_is_the_fault_of_its_line_alone() -> None:
    assert reason("hf_TestKey\x00Fake0123456789") == reason(BAD_LINES["control"])


def test_a_fault_that_has_a_name_in_it_says_it() -> None:
    assert "GitHub" in reason(BAD_LINES["another trade"])
    assert "line 1" in reason(BAD_LINES["repeated"])


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"keys": ""}, "keys"),
        ({}, "keys"),
        ({"keys": " \n\t\n"}, "keys"),
        ({"keys": "# only a comment"}, "keys"),
        ({"keys": "\n".join(f"{UNKNOWN}{i}" for i in range(site.MAX_KEYS + 1))}, "keys"),
        ({"keys": "x" * (site.PASTE_BYTES + 1)}, "keys"),
        ({"keys": "\n".join(line for name, line in BAD_LINES.items() if name not in ("several", "repeated"))}, "keys"),
        ({"keys": HF, "provider": "nobody"}, "provider"),
        ({"keys": HF, "provider": HF}, "provider"),
        ({"keys": HF, "base_url": "http://relay.acme.dev"}, "base_url"),
        ({"keys": HF, "base_url": HF}, "base_url"),
        ({"keys": HF, "base_url": "https://" + "a" * 300 + ".dev"}, "base_url"),
        ({"keys": HF, "base_url": "https://relay.acme.dev\x00/"}, "base_url"),
        ({"keys": HF, "base_url": "https://api.openai.com", "provider": "huggingface"}, "base_url"),
    ],
)
def test_a_form_that_cannot_be_sent_says_so_by_the_field(fields: dict[str, str], name: str) -> None:
    made = CheckForm(fields)
    assert not made.is_valid()
    assert list(made.errors) == [name]
    assert len(made.errors[name]) == 1
    assert made.plan.keys == []


def test_the_messages_of_a_field_differ_by_the_fault() -> None:
    many = "\n".join(f"{UNKNOWN}{i}" for i in range(site.MAX_KEYS + 1))
    said = [str(form(keys).errors["keys"][0]) for keys in ("", many, "x" * (site.PASTE_BYTES + 1), "short")]
    assert len(set(said)) == 4
    assert "1000" in said[1]
    assert "1048576" in said[2]
    urls = ("http://a.dev", "https://u@a.dev", "https://a.dev:1", "https://10.0.0.1", "https://a", "https://a.local",
            "https://a.dev/..", "https://a_.dev", "https://-a.dev")  # fmt: skip
    assert len({str(form(HF, base_url=url).errors["base_url"][0]) for url in urls}) == len(urls)


@pytest.mark.parametrize(
    "fields",
    [
        {"keys": f"{HF}\nbad line {UNKNOWN}"},
        {"keys": HF, "provider": HF},
        {"keys": HF, "base_url": f"https://user:{UNKNOWN}@relay.acme.dev/"},
        {"keys": f"{HF}\n" * 60, "provider": UNKNOWN, "base_url": f"https://relay.acme.dev/?key={UNKNOWN}"},
        {"keys": "x y " + UNKNOWN},
    ],
)
def test_nothing_that_was_posted_is_printed_back(fields: dict[str, str], client: Client) -> None:
    made = CheckForm(fields)
    made.is_valid()
    shown = made.as_p() + str(made.errors) + str(made.plan.refused)
    page = client.post("/checks/", {**fields, "provider": fields.get("provider", "nobody")}).content.decode()
    for key in (HF, UNKNOWN):
        for i in range(4, len(key) - 11):
            assert key[i : i + 12] not in shown
            assert key[i : i + 12] not in page


def test_good_lines_go_on_beside_bad_ones() -> None:
    made = form(f"{HF}\nYOUR_API_KEY\n\n{OPENAI}\nshort")
    assert made.is_valid()
    assert [(k.pasted.line, k.provider) for k in made.plan.keys] == [(1, "huggingface"), (4, "openai")]
    assert [r["line"] for r in made.plan.refused] == [2, 5]


def test_a_thousand_keys_are_taken_at_once() -> None:
    made = form("\n".join(f"hf_{i:04}{FILL[:30]}" for i in range(1000)))
    assert made.is_valid()
    assert len(made.plan.keys) == 1000


def test_a_form_takes_no_more_keys_than_it_is_told_and_says_how_to_give_more() -> None:
    keys = "\n".join(f"hf_{i:04}{FILL[:30]}" for i in range(6))
    assert CheckForm({"keys": keys}, most=6).is_valid()
    made = CheckForm({"keys": keys}, most=5)
    assert not made.is_valid()
    assert errors(made) == {"keys": ["Without an account at most 5 keys at once; sign in for more."]}
    assert made.plan.keys == []


def test_a_repeated_key_and_a_bad_line_count_for_no_key() -> None:
    made = CheckForm({"keys": f"{HF}\n{HF}\nYOUR_API_KEY\n{OPENAI}"}, most=2)
    assert made.is_valid()
    assert [r["line"] for r in made.plan.refused] == [2, 3]


def test_lines_come_through_a_browser_s_line_ends() -> None:
    made = form(f"{HF}\r\n{OPENAI}\r\n")
    assert [k.pasted.line for k in made.plan.keys] == [1, 2]


def test_of_two_equal_fields_the_last_counts_and_nothing_is_joined() -> None:
    made = CheckForm(MultiValueDict({"keys": [HF, OPENAI]}))
    assert made.is_valid()
    assert [k.provider for k in made.plan.keys] == ["openai"]


# Files


def with_files(*files: bytes, keys: str = "") -> CheckForm:
    given = MultiValueDict({"files": [SimpleUploadedFile(f"{n}.env", raw) for n, raw in enumerate(files)]})
    made = CheckForm({"keys": keys}, given)
    made.is_valid()
    return made


def test_files_go_on_where_the_paste_ends() -> None:
    made = with_files(f"{OPENAI}\n".encode(), DEEPSEEK.encode(), keys=HF)
    assert [k.pasted.line for k in made.plan.keys] == [1, 2, 4]


def test_a_file_alone_is_enough() -> None:
    assert [k.provider for k in with_files(f"KEY={HF}".encode()).plan.keys] == ["huggingface"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_in_its_own_encoding(encoding: str) -> None:
    (one,) = with_files(f"# ключ\nKEY={HF}".encode(encoding)).plan.keys
    assert one.pasted.secret == Secret(HF)
    assert one.pasted.line == 2


def test_a_file_that_is_no_text_holds_no_key_and_breaks_nothing() -> None:
    assert errors(with_files(bytes(range(256)) * 40)) == {"keys": ["Nothing in this holds a key that can be sent."]}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([b""], "A file is empty."),
        ([b"x" * (site.PASTE_BYTES // 2 + 1)] * 2, "The files are larger than 1 MiB together; give the part"),
    ],
)
def test_files_that_cannot_be_read_are_told_by_their_field(files: list[bytes], said: str) -> None:
    made = with_files(*files, keys=HF)
    assert list(made.errors) == ["files"]
    assert said in str(made.errors["files"][0])
    assert made.plan.keys == []


# Where a key goes


def plan(keys: str, **fields: str) -> tuple[str, str, State, tuple[str, ...]]:
    made = form(keys, **fields)
    assert made.is_valid(), errors(made)
    (one,) = made.plan.keys
    return one.provider, one.base_url, one.state, one.candidates


def test_a_distinctive_key_goes_to_its_provider() -> None:
    assert plan(HF) == ("huggingface", "", State.QUEUED, ("huggingface",))


def test_a_shared_shape_goes_nowhere_before_the_choice() -> None:
    provider, base_url, state, candidates = plan(DEEPSEEK)
    assert (provider, base_url, state) == ("", "", State.NEEDS_CHOICE)
    assert "deepseek" in candidates


def test_a_key_of_no_known_shape_asks_for_a_provider() -> None:
    assert plan(UNKNOWN) == ("", "", State.NEEDS_CHOICE, ())


def test_a_chosen_provider_wins_over_a_shared_or_unknown_shape() -> None:
    assert plan(DEEPSEEK, provider="deepseek")[:3] == ("deepseek", "", State.QUEUED)
    assert plan(UNKNOWN, provider="groq")[:3] == ("groq", "", State.QUEUED)


def test_another_s_distinctive_shape_is_refused_with_its_name() -> None:
    made = form(f"{OPENAI}\n{HF}", provider="openai")
    assert [k.pasted.line for k in made.plan.keys] == [1]
    assert "Hugging Face" in str(made.plan.refused[0]["reason"])
    alone = form(HF, provider="openai")
    assert not alone.is_valid()
    assert len(alone.plan.refused) == 1


def test_a_refused_key_is_held_by_nobody() -> None:
    made = form(f"{OPENAI}\n{HF}", provider="openai")
    assert HF not in str([k.pasted.secret.reveal() for k in made.plan.keys if k.pasted.secret])
    assert set(made.plan.refused[0]) == {"line", "reason"}


def test_a_base_url_takes_the_key_whatever_its_shape() -> None:
    assert plan(UNKNOWN, base_url=BASE)[:3] == ("openai", BASE, State.QUEUED)
    assert plan(DEEPSEEK, base_url=BASE)[:3] == ("openai", BASE, State.QUEUED)
    assert plan(HF, base_url=BASE)[:3] == ("huggingface", BASE, State.QUEUED)
    assert plan(UNKNOWN, base_url=BASE, provider="anthropic")[:3] == ("anthropic", BASE, State.QUEUED)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.openai.com",
        "https://api.openai.com/v1/",
        "HTTPS://API.OPENAI.COM:443/v1",
        " https://api.openai.com ",
    ],
)
def test_a_provider_s_own_base_url_is_that_provider(base_url: str) -> None:
    assert plan(UNKNOWN, base_url=base_url) == ("openai", "", State.QUEUED, ())
    assert plan(UNKNOWN, base_url=base_url, provider="openai")[:2] == ("openai", "")


@pytest.mark.parametrize("base_url", ["https://api.openai.com.acme.dev", "https://xapi.openai.com.dev/v1"])
def test_a_name_that_only_looks_like_a_provider_s_is_a_base_url(base_url: str) -> None:
    assert plan(UNKNOWN, base_url=base_url)[1] == base_url


def test_another_provider_s_base_url_contradicts_the_choice() -> None:
    made = form(UNKNOWN, base_url="https://api.openai.com", provider="groq")
    assert "OpenAI" in made.errors["base_url"][0]


def test_a_distinctive_key_at_another_provider_s_own_base_url_is_refused() -> None:
    made = form(HF, base_url="https://api.openai.com")
    assert made.plan.keys == []
    assert "Hugging Face" in str(made.plan.refused[0]["reason"])


def test_find_out_stands_first_and_every_provider_once() -> None:
    values = [value for value, _label in CheckForm().fields["provider"].choices]  # type: ignore[attr-defined]
    assert values[0] == ""
    assert len(values) == len(set(values))
    assert {"openai", "huggingface", "sambanova"} <= set(values)


def test_the_keys_have_a_textarea_that_keeps_lines_apart() -> None:
    shown = str(CheckForm()["keys"])
    assert shown.startswith("<textarea")
    assert 'autocomplete="off"' in shown


# What starts at once, and what waits for the operator's start


def states(made: CheckForm) -> list[State]:
    assert made.is_valid(), errors(made)
    return [key.state for key in made.plan.keys]


def test_one_clear_key_starts_at_once() -> None:
    assert states(form(HF)) == [State.QUEUED]
    assert states(form(f"{HF}\nYOUR_API_KEY")) == [State.QUEUED]


def test_several_keys_wait_for_a_start_wherever_they_would_go() -> None:
    assert states(form(f"{HF}\n{OPENAI}\n{DEEPSEEK}")) == [State.READY, State.READY, State.NEEDS_CHOICE]
    assert states(form(f"{UNKNOWN}\n{DEEPSEEK}", base_url=BASE)) == [State.READY] * 2
    assert states(form(f"{UNKNOWN}\n{DEEPSEEK}", provider="deepseek")) == [State.READY] * 2


def test_one_key_beside_one_that_needs_a_choice_waits_too() -> None:
    assert states(form(f"{HF}\n{UNKNOWN}")) == [State.READY, State.NEEDS_CHOICE]


CURL = f"curl {BASE}/models -H 'Authorization: Bearer {OPENAI}'"


def test_a_base_url_that_was_found_in_the_text_waits_for_a_start_and_a_typed_one_does_not() -> None:
    assert plan(CURL)[:3] == ("openai", BASE, State.READY)
    assert plan(OPENAI, base_url=BASE)[:3] == ("openai", BASE, State.QUEUED)
    assert plan(CURL, base_url="https://other.acme.dev/v1")[:3] == ("openai", "https://other.acme.dev/v1", State.QUEUED)


def test_a_provider_s_own_address_in_the_text_is_that_provider_and_clear() -> None:
    own = CURL.replace(BASE, "https://api.openai.com/v1")
    assert plan(own)[:3] == ("openai", "", State.QUEUED)


def test_a_distinctive_key_beside_another_provider_s_own_address_is_refused() -> None:
    made = form(f"curl https://api.groq.com/openai/v1/models -H 'Authorization: Bearer {HF}'")
    assert made.plan.keys == []
    assert "Hugging Face" in str(made.plan.refused[0]["reason"])


@pytest.mark.parametrize("address", ["http://relay.acme.dev/v1", "https://10.1.2.3/v1", "http://localhost:8080/v1"])
def test_a_key_beside_an_address_that_may_not_be_asked_goes_nowhere_by_itself(address: str) -> None:
    made = form(CURL.replace(BASE, address))
    (one,) = made.plan.keys
    assert (one.provider, one.base_url, one.state) == ("", "", State.NEEDS_CHOICE)
    assert "base_url_refused" in one.pasted.notices


def test_a_program_may_have_all_that_is_clear_started_at_once() -> None:
    made = CheckForm({"keys": f"{HF}\n{OPENAI}\n{DEEPSEEK}"}, at_once=True)
    assert states(made) == [State.QUEUED, State.QUEUED, State.NEEDS_CHOICE]
    assert states(CheckForm({"keys": CURL}, at_once=True)) == [State.QUEUED]


def test_each_key_goes_to_the_base_url_that_stood_with_it() -> None:
    lines = [f'{{"base_url": "https://relay{i}.acme.dev/v1", "api_key": "{UNKNOWN}{i}"}}' for i in range(3)]
    made = form("\n".join(lines))
    assert [k.base_url for k in made.plan.keys] == [f"https://relay{i}.acme.dev/v1" for i in range(3)]


def test_what_spends_is_off_unless_it_is_ticked() -> None:
    assert form(HF).cleaned_data["spend"] is False
    assert form(HF, spend="on").cleaned_data["spend"] is True


def test_every_key_of_a_paste_can_be_found_again_by_its_place() -> None:
    text = f"# keys\nexport A='{HF}'\n\tB = \"{OPENAI}\"  # 🔑"
    lines = [line.encode("utf-16-le") for line in text.split("\n")]
    made = form(text)
    for key, secret in zip(made.plan.keys, (HF, OPENAI), strict=True):
        at = 2 * key.pasted.column
        assert lines[key.pasted.line - 1][at : at + 2 * key.pasted.length].decode("utf-16-le") == secret
