"""A pasted line is brought to its normal form, judged, and told apart; nothing of a bad line is kept."""

from __future__ import annotations

import dataclasses
import itertools
import re
import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probes import paste, seed, words
from probes.paste import Pasted, normal_form, whose

CATALOGUE = seed.read_catalogue()
FILL = "TestKeyFakeNeverIssued0123456789" * 5
HF = "hf_" + FILL[:34]
OPENAI = f"sk-{FILL[:20]}T3BlbkFJ{FILL[:20]}"
PROJECT = f"sk-proj-{FILL[:20]}T3BlbkFJ{FILL[:20]}"
ANTHROPIC = f"sk-ant-api03-{FILL[:93]}AA"
GROQ = "gsk_" + FILL[:52]
GEMINI = "AIza" + FILL[:35]
REPLICATE = "r8_" + FILL[:37]
DEEPSEEK = "sk-" + "0fa4e1abc" * 3 + "0fa4e"
UNKNOWN = "zz-" + FILL[:30]
DISTINCTIVE = {
    HF: "huggingface",
    OPENAI: "openai",
    PROJECT: "openai",
    ANTHROPIC: "anthropic",
    GROQ: "groq",
    GEMINI: "google-gemini",
    REPLICATE: "replicate",
}


def lines(text: str) -> list[Pasted]:
    """Every line that says something, judged as a line of a list."""
    return [found for number, raw in paste.numbered(text) if (found := paste.line(number, raw, CATALOGUE))]


def one(text: str) -> Pasted:
    (found,) = lines(text)
    return found


def key_of(text: str) -> str:
    found = one(text)
    assert found.secret is not None, found.fault
    return found.secret.reveal()


# The normal form


@pytest.mark.parametrize(
    "line",
    [
        "{}", "  {}  ", "\t{}\t", "{}\r", '"{}"', "'{}'", "`{}`", "“{}”", "‘{}’", "«{}»", "„{}“",
        "{},", "{};", '"{}",', "\"'{}'\";",
        "Bearer {}", "bearer  {}", "Token {}", "Authorization: Bearer {}", "authorization:Bearer {}",
        "x-api-key: {}", "X-Goog-Api-Key: {}", "xi-api-key:{}", "api-key: {}", "'x-api-key: {}'",
        "export NAME={}", "NAME={}", "NAME = {}", 'NAME="{}"', "export NAME='{}';", "$env:NAME = '{}'",
        "set NAME={}", "setx NAME={}", "ENV NAME={}", "-e NAME={}", 'NAME="Bearer {}"',
        '"name": "{}",', "'name': '{}'", '"apiKey":"{}"', '"Authorization": "Bearer {}",',
        "\ufeff{}", "{}\u200b", "\u200e{}\u200f", "\u2060{}\u00ad", "\u202a{}\u202c", "\U000e0001{}", "\u3164{}\u2800",
    ],
)  # fmt: skip
def test_what_surrounds_a_key_is_taken_off(line: str) -> None:
    assert key_of(line.format(HF)) == HF


@pytest.mark.parametrize("place", [0, 3, 20, len(HF)])
@pytest.mark.parametrize("invisible", "\u200b\u200c\u200d\u2060\ufeff\u00ad\u202e\u2066\ufe0f\u115f\U000e0041")
def test_an_invisible_character_is_dropped_and_said(invisible: str, place: int) -> None:
    found = one(HF[:place] + invisible + HF[place:])
    assert found.secret
    assert found.secret.reveal() == HF
    assert found.notices == ("invisible",)
    assert set(found.notices) <= set(words.NOTICES)


def test_a_plain_key_has_no_notice() -> None:
    assert one(HF).notices == ()


@pytest.mark.parametrize(
    "key", ["QUJDREVGR0hJSktMTU5PUA==", "QUJDREVGR0hJSktMTU5PUFE=", "ab1:cd2:ef3.gh4", "id.secret_9"]
)
def test_a_key_with_signs_of_its_own_stays_whole(key: str) -> None:
    assert key_of(key) == key


@pytest.mark.parametrize(
    "text", ["", " ", "\n\r\n \t", "# a comment", "  # hf_x", "\u200b", "\ufeff\n\u2060", "\u200b# x"]
)
def test_blank_lines_and_comments_say_nothing(text: str) -> None:
    assert lines(text) == []


@pytest.mark.parametrize("text", ['""', "''", ",", ";", '"# x"', "NAME="])
def test_a_line_with_nothing_in_it_is_still_answered(text: str) -> None:
    assert one(text).fault


def test_lines_are_numbered_as_they_stand() -> None:
    found = lines(f"\n# mine\r\n{HF}\r\n\n{GROQ}\rwrong line here\n")
    assert [(p.line, p.fault) for p in found] == [(3, ""), (5, ""), (6, "sentence")]


# Faults

FAULTS = {
    "sk-proj-abcd…wxyz": "masked",
    "sk-proj-abcd...wxyz": "masked",
    "sk-********************wxyz": "masked",
    "sk-••••••••wxyz": "masked",
    "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxab": "masked",
    "YOUR_API_KEY": "placeholder",
    "your-openai-api-key-here": "placeholder",
    "<your key>": "sentence",
    "<api-key>": "placeholder",
    "{{ secrets.KEY }}": "sentence",
    "${OPENAI_API_KEY}": "placeholder",
    "$OPENAI_API_KEY": "placeholder",
    "OPENAI_API_KEY": "placeholder",
    "OPENAI_API_KEY=": "placeholder",
    'OPENAI_API_KEY=""': "too_short",
    "export OPENAI_API_KEY=sk-xxxxxxxx": "placeholder",
    "process.env.OPENAI_API_KEY": "placeholder",
    'os.environ["OPENAI_API_KEY"]': "placeholder",
    "sk-1234567890": "placeholder",
    "changeme": "placeholder",
    "https://api.openai.com/v1": "url",
    "http://127.0.0.1:8000": "url",
    "wss://x.example/y": "url",
    "this is my key": "sentence",
    f"{HF} {GROQ}": "sentence",
    f"{HF}\t{GROQ}": "control",
    f"{HF[:9]}\u2028{HF[9:]}": "sentence",
    f"{HF[:9]}\u00a0{HF[9:]}": "sentence",
    f"{HF[:9]}\x00{HF[9:]}": "control",
    f"{HF[:9]}\x07{HF[9:]}": "control",
    f"{HF[:9]}\x7f{HF[9:]}": "control",
    f"{HF[:9]}\x85{HF[9:]}": "control",
    f"{HF[:9]}\x0b{HF[9:]}": "control",
    "hf_Schlüssel0123456789": "non_ascii",
    "ｓｋ－ＦＡＫＥ０１２３４５６７８９": "non_ascii",
    "sk-FAKE😀0123456789": "non_ascii",
    "sk-FAKE\ud8000123456789": "non_ascii",
    "sk-FAKE\U000e01000123456789": "non_ascii",
    "short": "too_short",
    "k" * 4097: "too_long",
    "k" * 400_000: "too_long",
    HF[:20] + "\u200b" * 5000 + HF[20:]: "too_long",
    "ghp_" + FILL[:36]: "neighbour",
    "AKIA" + "TESTKEYFAKE00000": "neighbour",
    "xoxb-" + FILL[:20]: "neighbour",
    "-----BEGIN OPENSSH PRIVATE KEY-----": "private_key",
    "-----BEGIN PRIVATE KEY-----\\nMIIfake\\n-----END PRIVATE KEY-----": "private_key",
    "sk-ant-admin01-" + FILL[:93]: "refused_kind",
    HF * 2: "doubled",
    ANTHROPIC * 2: "doubled",
    f"{HF},{GROQ}": "several",
    f"{HF};{UNKNOWN}": "several",
    f"{DEEPSEEK}|{DEEPSEEK}": "several",
    f"{ANTHROPIC}{HF}": "several",
    f"{HF}0)0{HF}": "several",
    f"{HF}\u200b{GROQ}": "several",
    f'{HF}"{GROQ}"': "several",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fault"), FAULTS.items(), ids=[k[:40].encode("unicode-escape").decode() for k in FAULTS]
)
def test_a_bad_line_is_set_aside_with_its_fault(text: str, fault: str) -> None:
    found = one(text)
    assert found.fault == fault
    assert found.secret is None
    assert found.label == ""


@pytest.mark.parametrize(
    "text", [t for t in FAULTS if len(t) >= 12], ids=lambda t: t[:40].encode("unicode-escape").decode()
)
def test_nothing_of_a_bad_line_is_kept(text: str) -> None:
    found = one(text)
    kept = " ".join(str(v) for v in dataclasses.asdict(found).values())
    message = str(words.FAULTS[found.fault]) % {"detail": found.detail}
    for i in range(len(text) - 11):
        assert text[i : i + 12] not in kept + message


def test_every_fault_has_words() -> None:
    assert set(FAULTS.values()) | {"repeated", "unread"} <= set(words.FAULTS)


@pytest.mark.parametrize("length", [8, 4096])
def test_the_bounds_of_a_key_are_inside(length: int) -> None:
    assert len(key_of("Zq9" + "k" * (length - 3))) == length


def test_good_lines_go_on_beside_bad_ones() -> None:
    found = lines(f"{HF}\nYOUR_API_KEY\n{GROQ}\nshort\n{GEMINI}")
    assert [bool(p.secret) for p in found] == [True, False, True, False, True]


def test_a_private_key_is_one_line_and_what_follows_it_goes_on() -> None:
    head, end = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED", "-----END RSA PRIVATE KEY-----"
    block = f"{head}\n\nMIIfakeFAKE+/=\nMIIfake\n{end}"
    found = lines(f"{HF}\n{block}\n{GROQ}")
    assert [(p.line, p.fault) for p in found] == [(1, ""), (2, "private_key"), (8, "")]


def test_a_private_key_without_its_end_swallows_no_other_key() -> None:
    found = lines(f"-----BEGIN PRIVATE KEY-----\nMIIfakeFAKE\n{HF}\n{ANTHROPIC}")
    assert [(p.line, p.fault) for p in found] == [(1, "private_key"), (3, ""), (4, "")]


# Whose


@pytest.mark.parametrize(("key", "slug"), DISTINCTIVE.items(), ids=DISTINCTIVE.values())
def test_a_distinctive_shape_names_one_provider(key: str, slug: str) -> None:
    match = whose(key, CATALOGUE)
    assert (match.candidates, match.distinctive) == ((slug,), True)


def test_a_shared_shape_lists_its_candidates() -> None:
    match = whose(DEEPSEEK, CATALOGUE)
    assert "deepseek" in match.candidates
    assert not match.distinctive


def test_a_distinctive_shape_hides_those_that_merely_also_match() -> None:
    for key, slug in DISTINCTIVE.items():
        assert whose(key, CATALOGUE).candidates == (slug,)


def test_a_key_of_no_known_shape_has_no_candidates() -> None:
    assert whose(UNKNOWN, CATALOGUE) == paste.Match()


def test_a_gateway_generator_is_recognised() -> None:
    assert whose("sk-" + "TestKeyFake00000" + "Fa0b" * 8, CATALOGUE).gateway == "one-api"
    assert whose("sk-" + "TestKeyFake00000" * 3, CATALOGUE).gateway == "new-api"


@pytest.mark.parametrize("shape", [s for p in CATALOGUE.providers.values() for s in p.key_shapes], ids=lambda s: s.name)
def test_a_shape_takes_no_closing_newline(shape: seed.KeyShape) -> None:
    for key in (HF, OPENAI, PROJECT, ANTHROPIC, GROQ, GEMINI, REPLICATE, DEEPSEEK):
        assert not re.fullmatch(shape.pattern, key + "\n")


# Labels


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (HF, f"hf_…{HF[-4:]}"),
        (f"export HF_TOKEN={HF}", "HF_TOKEN"),
        (f'"apiKey": "{HF}"', "apiKey"),
        (f"openai.key2={PROJECT}", "openai.key2"),
        (f"Authorization: Bearer {HF}", f"hf_…{HF[-4:]}"),
        ("Zq9kkkkkkkkk", "line 1"),
        (UNKNOWN, f"…{UNKNOWN[-4:]}"),
        (f"{HF}={GROQ}", f"gsk_…{GROQ[-4:]}"),
        (f"Ab3De6Gh9Jk2Mn5={UNKNOWN}", f"…{UNKNOWN[-4:]}"),
    ],
)
def test_a_label_is_a_name_or_the_ends_of_a_long_key(text: str, label: str) -> None:
    assert one(text).label == label


def test_many_keys_ask_for_one_index() -> None:
    assert paste.index_of(CATALOGUE) is paste.index_of(CATALOGUE)
    other = dataclasses.replace(CATALOGUE, providers={})
    assert whose(HF, other) == paste.Match()
    assert whose(HF, CATALOGUE).candidates == ("huggingface",)


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("^hf_[a-z]+$", "hf_"),
        ("^ab?c$", "a"),
        ("^(?:sk|pk)_x$", ""),
        ("^ab|cd$", ""),
        ("^a{2}$", ""),
        ("^a(?:b|c)$", "a"),
    ],
)
def test_what_a_pattern_begins_with_is_never_more_than_sure(pattern: str, literal: str) -> None:
    assert paste.literal_of(pattern) == literal


# Hostile pastes


@pytest.mark.parametrize(
    "text",
    ['"' * 200_000, "Bearer " * 50_000, "a=" * 200_000, "my" + "a_" * 2000 + "!", "\n".join(["mymy" * 1024] * 90),
     "\n".join(["sk-hf_" * 680] * 50), "\u200b" * 400_000, "my_" * 80, "token " * 60_000, "a_" * 19 + "="],
    ids=lambda t: t[:12].encode("unicode-escape").decode(),
)  # fmt: skip
def test_a_paste_made_to_hurt_is_judged_at_once(text: str) -> None:
    started = time.process_time()
    lines(text)
    assert time.process_time() - started < 4


KEYS = st.sampled_from([*DISTINCTIVE, DEEPSEEK, UNKNOWN])
AROUND = st.sampled_from(["{}", '"{}"', "export A_KEY={}", "Bearer {}", "{},", "\u200b{}", "'{}';", " {}\t", "# {}"])
PIECES = st.one_of(
    st.builds(lambda around, key: around.format(key), AROUND, KEYS),
    KEYS,
    st.text(alphabet=st.characters(), max_size=30),
    st.text(alphabet="ab1-_=:\"'` \t\u200b\u2028*…,;|#$<>{}/\x00\x1c\x85", max_size=20),
    st.sampled_from(
        ["\n", "\r\n", "\r", " ", ",", "\u200b", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
@example(f"{HF}\u200b{GROQ}")
@example(f"{ANTHROPIC}\u2060{HF}")
@example(f"{HF}\u2028{GROQ}")
def test_any_paste_is_judged_line_by_line(text: str) -> None:
    """Never raises; keeps no invisible character; joins no two keys; every line that is not blank is accounted for."""
    found = lines(text)
    rows = re.split(r"\r\n|\n|\r", text)
    assert [p.line for p in found] == sorted({p.line for p in found})
    for pasted in found:
        row = rows[pasted.line - 1]
        assert bool(pasted.secret) != bool(pasted.fault)
        if pasted.secret:
            key = pasted.secret.reveal()
            assert 8 <= len(key) <= 4096
            assert all("!" <= c <= "~" for c in key)
            assert key in "".join(c for c in row if unicodedata.category(c) != "Cf" and c not in paste_fillers())
            for one_key, other in itertools.permutations(DISTINCTIVE, 2):
                assert not re.fullmatch(f'{re.escape(one_key)}[,;|"]?{re.escape(other)}', key)
    if "PRIVATE KEY" not in text:
        spoken = {n for n, row in enumerate(rows, 1) if normal_form(row)[0] and not normal_form(row)[0].startswith("#")}
        assert spoken <= {p.line for p in found}


def paste_fillers() -> str:
    return "\u034f\u115f\u1160\u3164\uffa0\u2800" + "".join(map(chr, range(0xFE00, 0xFE10)))


@settings(max_examples=100, deadline=None)
@given(st.lists(KEYS, min_size=1, max_size=8, unique=True), st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\n#\n"]))
def test_keys_on_lines_of_their_own_come_out_as_they_went_in(keys: list[str], between: str) -> None:
    found = lines(between.join(keys))
    assert [p.secret.reveal() if p.secret else p.fault for p in found] == keys
