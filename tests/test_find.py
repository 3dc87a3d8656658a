"""Keys are found in whatever was pasted, each with its name, its place and the base URL that stood with it."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import find, paste, seed, words

CATALOGUE = seed.read_catalogue()
FILL = "TestKeyFakeNeverIssued0123456789" * 5
HF = "hf_" + FILL[:34]
GROQ = "gsk_" + FILL[:52]
GEMINI = "AIza" + FILL[:35]
ANTHROPIC = f"sk-ant-api03-{FILL[:93]}AA"
DISTINCTIVE = {HF: "huggingface", GROQ: "groq", GEMINI: "google-gemini", ANTHROPIC: "anthropic"}
ONE, TWO = "sk-" + "TestKeyFake00001" * 3, "sk-" + "TestKeyFake00002" * 3  # a shared shape with a beginning
HEX = "0123456789abcdef" * 2  # a shared shape without one
FAL = "01234567-89ab-cdef-0123-456789abcdef:" + HEX
A, B = "https://relay.example/v1", "https://other.example/v1"


def slice_of(text: str, found: paste.Pasted) -> str:
    """What a browser cuts out of its own paste: lines, then UTF-16 code units."""
    line = re.split(r"\r\n|\n|\r", text)[found.line - 1].encode("utf-16-le", "surrogatepass")
    return line[2 * found.column : 2 * (found.column + found.length)].decode("utf-16-le", "surrogatepass")


def read(text: str) -> list[tuple[int, str, str, str]]:
    """(line, key or fault, label, base URL) of all that was found."""
    found = []
    for pasted in find.keys(text, CATALOGUE):
        key = pasted.secret.reveal() if pasted.secret else ""
        assert bool(key) != bool(pasted.fault)
        if key:
            assert paste.visible(slice_of(text, pasted)) == key
            assert pasted.match == paste.whose(key, CATALOGUE)
        label = "" if pasted.label.startswith(("…", *(p[:3] for p in DISTINCTIVE), "sk-…")) else pasted.label
        found.append((pasted.line, key or pasted.fault, label, pasted.base_url))
    return found


FOUND: dict[str, tuple[str, list[tuple[int, str, str, str]]]] = {
    "a list": (f"{HF}\n# mine\n\nexport A_KEY={ONE}\nwrong line\n{HF}", [
        (1, HF, "", ""), (4, ONE, "A_KEY", ""), (5, "sentence", "", ""), (6, "repeated", "", "")]),
    "a list of an unknown maker's keys": ("zz-Fake00one11x\nzz-Fake00two22x", [
        (1, "zz-Fake00one11x", "line 1", ""), (2, "zz-Fake00two22x", "line 2", "")]),
    ".env": (
        f"# mine\nOPENAI_API_KEY={ONE}\nOPENAI_BASE_URL={A}\nexport HF_TOKEN='{HF}'\nG_KEY=\"{GROQ}\"  # old\nDEBUG=1\n"
        "DATABASE_URL=postgres://u:p@h/db\nSITE_URL=https://site.example\n",
        [(2, ONE, "OPENAI_API_KEY", A), (4, HF, "HF_TOKEN", ""), (5, GROQ, "G_KEY", "")]),
    ".env, two providers": (
        f"BASE_URL={A}\nAPI_KEY={ONE}\n\nCLAUDE_AUTH_TOKEN={TWO}\nCLAUDE_BASE_URL={B}\n",
        [(2, ONE, "API_KEY", A), (4, TWO, "CLAUDE_AUTH_TOKEN", B)]),
    ".env, one more secret": (
        f"X_API_KEY={ONE}\nX_BASE_URL={A}\nSECRET_KEY={HEX}\n",
        [(1, ONE, "X_API_KEY", A), (3, HEX, "SECRET_KEY", "")]),
    ".env, numbered": (
        f"X_API_KEY_1={ONE}\nX_API_KEY_2={TWO}\nX_API_BASE={A}\nX_API_BASE_2={B}",
        [(1, ONE, "X_API_KEY_1", A), (2, TWO, "X_API_KEY_2", B)]),
    ".env, several in one": (
        f"OPENAI_API_KEYS={ONE},{TWO}\nOPENAI_API_BASE={A}\n",
        [(1, ONE, "OPENAI_API_KEYS", A), (1, TWO, "OPENAI_API_KEYS", A)]),
    ".env, a key with a colon": (f"FAL_KEY={FAL}\n", [(1, FAL, "FAL_KEY", "")]),
    "JSON": (
        f'{{"name":"a","key":"{ONE}","base_url":"{A}","docs":"https://docs.example/v1"}}', [(1, ONE, "key", A)]),
    "JSON, channels": (
        f'[{{"name":"a","key":"{ONE}\\n{TWO}","base_url":"{A}"}},{{"key":"{HF}"}},'
        f'{{"key":"{HEX}","base_url":"https:\\/\\/other.example\\/v1"}}]',
        [(1, ONE, "key", A), (1, TWO, "key", A), (1, HF, "key", ""), (1, HEX, "key", B)]),
    "JSON, a default outside": (
        f'{{"base_url":"{A}","providers":[{{"key":"{ONE}"}},{{"key":"{TWO}","base_url":"{B}"}}]}}',
        [(1, ONE, "key", A), (1, TWO, "key", B)]),
    "JSON, an environment": (
        f'{{"env":{{"CLAUDE_BASE_URL":"{A}","CLAUDE_AUTH_TOKEN":"{ONE}","OPENAI_API_KEY":"{TWO}"}}}}',
        [(1, ONE, "CLAUDE_AUTH_TOKEN", A), (1, TWO, "OPENAI_API_KEY", "")]),
    "JSON, gpt-load": (
        f'{{"name":"g","upstreams":[{{"url":"{A}","weight":1}}],"keys":["{ONE}","{HEX}"]}}',
        [(1, ONE, "", A), (1, HEX, "", A)]),
    "JSON, pretty": (
        f'{{\n  "apiKey": "{ONE}",\n  "nested": {{\n    "baseURL": "{B}"\n  }},\n  "baseURL": "{A}"\n}}\n',
        [(2, ONE, "apiKey", A)]),
    "JSONC": (
        f'// cfg\n{{\n  // "key": "{HF}",\n  "apiKey": "{ONE}", // mine\n  "baseURL": "{A}",\n}}',
        [(4, ONE, "apiKey", A)]),
    "CSV": (
        f'name,api_key,base_url\nfirst,{ONE},{A}\n"a, b",{HEX},"{B}"\nthird,{HF},\n',
        [(2, ONE, "", A), (3, HEX, "", B), (4, HF, "", "")]),
    "CSV without a header": (f"first,{ONE},{A}\nsecond,{TWO},{B}", [(1, ONE, "", A), (2, TWO, "", B)]),
    "CSV, the key first": (f"{ONE},{A}\n{TWO},{B}", [(1, ONE, "", A), (2, TWO, "", B)]),
    "tabs": (f"key\turl\n{ONE}\t{A}\n{HEX}\t{B}", [(2, ONE, "", A), (3, HEX, "", B)]),
    "dashes": (f"mail@host.example----pass----{ONE}----{A}", [(1, ONE, "", A)]),
    "Markdown table": (
        "# Keys\n\n| Name | Key | Base URL | Console |\n|---|---|---|---|\n"
        f"| a | `{ONE}` | {A} | https://console.example/v1 |\n| b | {HEX} | {B} | |\n\n[docs]({B}/docs)",
        [(5, ONE, "", A), (6, HEX, "", B)]),
    "Markdown fence": (
        f"Use it:\n\n```bash\nexport OPENAI_API_KEY={ONE}\nexport OPENAI_BASE_URL={A}\n```\n"
        "See https://platform.example/api-keys",
        [(4, ONE, "OPENAI_API_KEY", A)]),
    "Markdown bullets": (f"- Key: **{ONE}**\n- URL: {A}\n", [(1, ONE, "Key", A)]),
    "curl": (
        f"curl {A}/chat/completions \\\n  -H 'Content-Type: application/json' \\\n"
        f'  -H "Authorization: Bearer {ONE}" \\\n'
        '  -d \'{"model": "m-4o", "messages": [{"role":"user","content":"hi"}]}\'',
        [(3, ONE, "", A)]),
    "curl, several": (
        f"curl {A}/models -H 'Authorization: Bearer {ONE}'\ncurl -u {TWO}: {B}/models\n"
        f'curl --header="x-api-key: {HEX}" https://third.example/v1/messages\n'
        f"curl 'https://g.example/v1beta/models?key={GEMINI}'",
        [(1, ONE, "", A), (2, TWO, "", B), (3, HEX, "", "https://third.example/v1"),
         (4, GEMINI, "", "https://g.example/v1beta")]),
    "Python": (
        f'from openai import OpenAI\n\nclient = OpenAI(\n    api_key="{ONE}",\n    base_url="{A}",\n)\n'
        f'other = OpenAI(api_key="{HF}")\n',
        [(4, ONE, "api_key", A), (7, HF, "api_key", "")]),
    "Python with requests": (
        f'import requests\nAPI_KEY = "{ONE}"\nurl = "{A}/chat/completions"\n'
        'headers = {"Authorization": f"Bearer {API_KEY}"}\n',
        [(2, ONE, "API_KEY", A)]),
    "JavaScript": (
        f'const a = new Anthropic({{ apiKey: "{ANTHROPIC}" }});\n'
        f"const o = new OpenAI({{apiKey: '{ONE}', baseURL: '{A}'}})\n"
        f"fetch('{B}/chat/completions', {{headers: {{Authorization: `Bearer {TWO}`}}}})",
        [(1, ANTHROPIC, "apiKey", ""), (2, ONE, "apiKey", A), (3, TWO, "", B)]),
    "Go": (
        f'client := openai.NewClient(\n\toption.WithAPIKey("{ONE}"),\n\toption.WithBaseURL("{A}"),\n)',
        [(2, ONE, "", A)]),
    "LiteLLM": (
        f"model_list:\n  - model_name: m\n    litellm_params:\n      model: x/m\n      api_base: {A}\n"
        f"      api_key: {ONE}\n"
        f"  - model_name: h\n    litellm_params:\n      api_key: {HF}\n  - model_name: c\n    litellm_params:\n"
        f"      api_key: os.environ/OTHER_KEY\n      api_base: {B}\n",
        [(6, ONE, "api_key", A), (9, HF, "api_key", ""), (12, "placeholder", "", "")]),
    "YAML list": (f"keys:\n  - {HEX}\n  - {ONE}\nbase_url: {A}\n", [(2, HEX, "", A), (3, ONE, "", A)]),
    "TOML": (
        f'[providers.relay]\napi_key = "{ONE}"\nbase_url = "{A}"\n\n[providers.hf]\napi_key = "{HF}"\n',
        [(2, ONE, "api_key", A), (6, HF, "api_key", "")]),
    "Compose": (
        "services:\n  app:\n    environment:\n"
        f"      - OPENAI_API_KEY={ONE}\n      - OPENAI_BASE_URL={A}\n      - HF={HF}\n",
        [(4, ONE, "OPENAI_API_KEY", A), (6, HF, "HF", "")]),
    "Kubernetes": (
        f"env:\n- name: OPENAI_API_KEY\n  value: {HEX}\n- name: OPENAI_BASE_URL\n  value: {A}",
        [(3, HEX, "OPENAI_API_KEY", A)]),
    "PowerShell": (f'$env:X_API_KEY = "{ONE}"\n$env:X_BASE_URL = "{A}"\n', [(1, ONE, "X_API_KEY", A)]),
    "a command's arguments": (f"tool --api-key {ONE} --base-url {A}", [(1, ONE, "", A)]),
    "HTTP": (
        f"POST /v1/chat/completions HTTP/1.1\nHost: relay.example\nAuthorization: Bearer {ONE}\nAccept: */*\n\n{{}}",
        [(3, ONE, "", A)]),
    "a message": (f"Hi! Base URL: {A}\n\n{ONE}\n{TWO}\n\nenjoy :(", [(3, ONE, "", A), (4, TWO, "", A)]),
    "address, key, address, key": (f"{A}\n{ONE}\n{B}\n{TWO}", [(2, ONE, "", A), (4, TWO, "", B)]),
    "key, address, key, address": (f"Key: {ONE}\n{A}\nKey: {TWO}\n{B}", [(1, ONE, "Key", A), (3, TWO, "Key", B)]),
    "Chinese": (f"接口地址：{A}\n密钥：{ONE}\n", [(2, ONE, "", A)]),
    "prose": (f"my key is {HF} and the other is {GROQ}. md5 {HEX} nothing\n", [(1, HF, "", ""), (1, GROQ, "", "")]),
    "prose, keys of a shared shape": (f"{ONE} {TWO}\nmy key {'sk-' + FILL[:48]} failed; {HF}", [
        (1, ONE, "", ""), (1, TWO, "", ""), (2, "sk-" + FILL[:48], "", ""), (2, HF, "", "")]),
    "HTML": (
        f'<p data-c="{{&quot;key&quot;: &quot;{ONE}&quot;, &quot;base_url&quot;: &quot;{A}&quot;}}">{HF}&nbsp;</p>',
        [(1, ONE, "key", A), (1, HF, "", "")]),
    "prose, typographic quotes": (f"Ключ: «{HF}», Schlüssel „{GROQ}“, 密钥「{ONE}」、“api_key”：“{TWO}”（新）", [
        (1, HF, "", ""), (1, GROQ, "", ""), (1, ONE, "", ""), (1, TWO, "api_key", "")]),
    "a variable's name before its value": (
        f'os.environ["A_KEY"] = "{ONE}"\nos.environ["A_BASE_URL"] = "{A}"\nsetx HF_TOKEN "{HF}"\nENV HEX_KEY {HEX}\n'
        f'$x::SetEnvironmentVariable("GROQ_API_KEY", "{GROQ}")\nneeded = ["A_KEY", "HF_TOKEN"]', [
        (1, ONE, "A_KEY", A), (3, HF, "HF_TOKEN", ""), (4, HEX, "HEX_KEY", ""), (5, GROQ, "GROQ_API_KEY", "")]),
    "faults": (
        "OPENAI_API_KEY=sk-proj-abcd…wxyz\nKEY=<your-key>\n"
        f"token: {HF * 2}\nx {HF}{GROQ}\nAWS_ACCESS_KEY_ID=AKIATESTKEYFAKE00000\n-----BEGIN PRIVATE KEY-----\nMIIfake\n"
        f"-----END PRIVATE KEY-----\nA_KEY={HF}\nB_KEY={HF}\nC_KEY=sk-ant-admin01-{FILL[:93]}\nLOG=debug",
        [(1, "masked", "", ""), (2, "placeholder", "", ""), (3, "doubled", "", ""), (4, "several", "", ""),
         (5, "neighbour", "", ""), (6, "private_key", "", ""), (9, HF, "A_KEY", ""), (10, "repeated", "", ""),
         (11, "refused_kind", "", "")]),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_keys_are_found_with_name_and_base_url(name: str) -> None:
    text, expected = FOUND[name]
    assert read(text) == expected


@pytest.mark.parametrize("name", FOUND)
def test_line_ends_do_not_matter(name: str) -> None:
    text, expected = FOUND[name]
    assert read(text.replace("\n", "\r\n")) == expected


@pytest.mark.parametrize(
    "text",
    [
        f"max_tokens: 4096\nsort_key=created2at\npublic_key={HEX}\nid: {HEX}\nsha256: {HEX}{HEX}\nuser: {HF}",
        f"def f(api_key: str = api_key1, token=get_token(user1)) -> None: {HF}",
        f'const apiKey = config.apiKey; tokenizer: "gpt2tokenizer"; .sk-fading-circle-1 {{}} {HF}',
    ],
)  # fmt: skip
def test_what_only_resembles_a_key_is_silent(text: str) -> None:
    assert [key for _line, key, _label, _url in read(text)] == [HF]


@pytest.mark.parametrize(
    "url",
    [
        "https://docs.example/v1",
        "https://platform.example/api-keys",
        "https://x.example/console",
        "https://github.com/a/b",
    ],
)
@pytest.mark.parametrize(
    "around",
    ["{key}, {url}", "API key: {key}\nGet one at {url}", '{{"key":"{key}","docs_url":"{url}"}}',
     "site_url={url}\nAPI_KEY={key}", "key: {key} (see [here]({url}))"],
)  # fmt: skip
def test_an_address_for_people_is_no_base_url(url: str, around: str) -> None:
    assert [(key, base) for _line, key, _label, base in read(around.format(key=ONE, url=url))] == [(ONE, "")]


def test_an_address_that_holds_a_key_is_no_base_url() -> None:
    assert read(f"curl https://relay.example/{HF}/v1/models") == [(1, HF, "", "")]
    assert read(f"curl https://{HF}@relay.example/v1/models") == [(1, HF, "", "")]


def test_a_variable_that_refers_to_a_key_that_is_there_is_no_fault() -> None:
    assert read(f'A_KEY={ONE}\ncurl {A}/models -H "Authorization: Bearer $A_KEY"')[0][:2] == (1, ONE)
    assert len(read(f'A_KEY={ONE}\ncurl {A}/models -H "Authorization: Bearer $A_KEY"')) == 1
    assert read(f'A_KEY={ONE}\ncurl {A}/models -H "Authorization: Bearer $OTHER_KEY"')[1][:2] == (2, "placeholder")


def test_a_place_counts_as_a_browser_does() -> None:
    text = f"😀 key: \u200bhf_\u200b{HF[3:]}\u200b ok {GROQ}"
    first, second = find.keys(text, CATALOGUE)
    assert (first.column, first.length, first.notices) == (9, len(HF) + 1, ("invisible",))
    assert (slice_of(text, second), second.notices) == (GROQ, ())


def test_where_nothing_is_found_each_line_says_why() -> None:
    assert read("this is my key\nOPENAI_API_KEY=\nshort") == [
        (1, "sentence", "", ""), (2, "placeholder", "", ""), (3, "too_short", "", "")]  # fmt: skip


@pytest.mark.parametrize("text", ["", " \n\t\n", "# only a comment", "\u200b"])
def test_a_paste_that_says_nothing_is_empty(text: str) -> None:
    assert find.keys(text, CATALOGUE) == []


def key(number: int) -> str:
    return f"hf_Q{number:033d}"


@pytest.mark.parametrize("form", ["{}", "KEY={}", 'api_key: "{}"', "the key {} is mine"])
def test_reading_ends_with_one_key_more_than_are_wanted(form: str) -> None:
    text = "\n".join(form.format(key(n)) for n in range(50))
    assert len(find.keys(text, CATALOGUE, most=7)) == 8
    assert len(find.keys(text, CATALOGUE, most=50)) == 50


@pytest.mark.parametrize("text", [HF + "\na" * 100_000, "KEY=sk-****aaaa\n" * 60_000, "{[(" * 300_000])
def test_where_reading_ends_early_it_is_said(text: str) -> None:
    found = find.keys(text, CATALOGUE)
    assert found[-1].fault == "unread"
    assert len(found) <= find.MOST_FAULTS + 2
    assert str(words.FAULTS["unread"])


MIB = 1 << 20
RECORDS = [{"name": f"n{n}", "key": key(n), "base_url": f"https://r{n}.example/v1"} for n in range(1000)]
THOUSAND = {
    "list": "\n".join(key(n) for n in range(1000)),
    "env": "\n".join(f"KEY_{n}={key(n)}" for n in range(1000)),
    "json": json.dumps(RECORDS),
    "csv": "name,key,base_url\n" + "\n".join(",".join(record.values()) for record in RECORDS),
}


@pytest.mark.parametrize("form", THOUSAND)
def test_a_thousand_keys_are_found_at_once(form: str) -> None:
    """Four times the goal of 250 ms: a machine at work elsewhere is no fault."""
    started = time.process_time()
    found = find.keys(THOUSAND[form], CATALOGUE)
    assert time.process_time() - started < 1
    assert [p.secret.reveal() if p.secret else "" for p in found] == [key(n) for n in range(1000)]
    assert sum(p.base_url == f"https://r{n}.example/v1" for n, p in enumerate(found)) == 1000 * (
        form in ("json", "csv")
    )


@pytest.mark.parametrize(
    "piece",
    ["a", '"', "[", "[]{}()", '{"a":', "a\n", "abcdefg1\n", "ab cd ", "key=abcd1234 ", "key: your key ", "curl \\\n",
     "https://a.example/v1 ", "a/", "?key=abcdefg&", ":", "a=", "a,", "|abcdefgh", "sk-hf_",
     "key=x" + "sk-cp-" * 680 + "\n",
     "\\n", "-", "- a: b\n", "\u200b", "é", "Bearer ", "key=" + "my_" * 80 + "!\n", "${a} ", "key,a\n", "key(", "(a ",
     "a-",     "key_url: https://a.b\n", "-----BEGIN PRIVATE KEY-----\n", "key" + " " * 21, "😀", "**", "x" * 40 + "."],
)  # fmt: skip
def test_a_text_made_to_hurt_is_read_at_once(piece: str) -> None:
    started = time.process_time()
    find.keys(piece * (MIB // len(piece.encode())), CATALOGUE)
    assert time.process_time() - started < 5


KEYS = st.sampled_from([*DISTINCTIVE, ONE, TWO, HEX, FAL])
PIECES = st.one_of(
    KEYS,
    st.text(alphabet=st.characters(), max_size=20),
    st.text(alphabet="ab1-_=:\"'` \t\u200b*…,;|#$<>{}()[]/\\\n\r\x00", max_size=12),
    st.sampled_from([*(text for text, _found in FOUND.values())]),
    st.sampled_from(
        ["key: ", "api_key=", "\n", "curl ", "- ", "Bearer ", A, "base_url=", "-----BEGIN PRIVATE KEY-----"]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=10).map("".join))
def test_any_text_is_read(text: str) -> None:
    """Never raises; no invisible character is kept; a key is what its place in the text says; none comes twice."""
    found = find.keys(text, CATALOGUE)
    kept = [p.secret.reveal() for p in found if p.secret]
    assert len(kept) == len(set(kept))
    for pasted in found:
        assert bool(pasted.secret) != bool(pasted.fault)
        assert not pasted.fault or (pasted.label, pasted.base_url, pasted.length) == ("", "", 0)
        assert pasted.fault == "" or pasted.fault in words.FAULTS
        if pasted.secret:
            value = pasted.secret.reveal()
            assert 8 <= len(value) <= 4096
            assert all("!" <= c <= "~" for c in value)
            assert paste.visible(slice_of(text, pasted)) == value
            assert value not in pasted.label
        assert not any(key in pasted.base_url for key in DISTINCTIVE)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(DISTINCTIVE)), st.sampled_from(list(DISTINCTIVE)), st.text(max_size=6), st.booleans())
def test_two_keys_are_never_joined(one: str, other: str, between: str, named: bool) -> None:
    text = f"{'KEY=' if named else ''}{one}{between}{other}"
    for pasted in find.keys(text, CATALOGUE):
        value = pasted.secret.reveal() if pasted.secret else ""
        assert not re.search(f"{re.escape(one)}.*{re.escape(other)}", value)
