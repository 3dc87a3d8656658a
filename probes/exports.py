"""A check's results as files to take along: tables, JSON, .env, and configurations for gateways. Pure.

No key is here. `placeholder` stands where one belongs, in the quotes of its format, and static/join.js puts the key
there in the browser of an operator who still has it. Nothing that a provider, a relay or a label says can look like
a placeholder, so no key is joined to a place that a stranger chose. docs/exports.md tells the shapes and sources.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from probes import report
from probes.report import LIMITS, Reported

KEY = "TESTKEY-KEY-"
COLUMNS = (
    *("number", "line", "label", "key", "provider", "gateway", "origin", "identity", "verdict", "cause"),
    *("ability_to_pay", "balance", "balance_unit", "limits", "models_visible", "models_covered"),
    *("next_action", "requests"),
)
FOREIGN = {"label", "origin", "cause", "balance", "balance_unit", "limits"}  # columns that others have a say in

FORMULA = tuple("=+-@|%;＝＋－＠")  # what makes a spreadsheet calculate
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")

# New API's and One API's numbers of a channel's type.
CHANNEL_TYPES = {"openai": 1, "anthropic": 14, "gemini": 24}
MAX_MODELS = 200  # of a channel, where we cover none of them
CUSTOM_CHANNEL = 8  # its address is that of the call itself
VERSIONS = ("/v1", "/v1beta")  # what gateways put behind an address by themselves


@dataclass(frozen=True)
class Format:
    name: str
    media_type: str
    extension: str
    label: str
    write: Callable[[list[Reported]], str]


def write(format: str, reports: list[Reported]) -> str:
    """The file in one of FORMATS, of these keys in this order."""
    return FORMATS[format].write(reports)


def placeholder(number: int) -> str:
    """What stands for the key with this number."""
    return f"{KEY}{number}"


# Rows


def row(reported: Reported) -> dict[str, Any]:
    """A key's row by COLUMNS: slugs, numbers and ISO times, the same in every language; "" for what is not known."""
    shown = reported.json
    value, unit = _balance(reported)
    values = {
        **{name: shown[name] for name in COLUMNS if name in shown},
        "key": placeholder(shown["number"]),
        "identity": shown["identity"]["state"],
        "balance": value,
        "balance_unit": unit,
        "limits": ", ".join(f"{e['metric']} {_value(e)}" for e in report.metrics_of(reported.case, LIMITS)),
        "models_visible": shown["models"]["visible"],
        "models_covered": len(shown["models"]["covered"]),
        "next_action": shown["next_actions"][0]["slug"] if shown["next_actions"] else "",
    }
    return {name: "" if values[name] is None else values[name] for name in COLUMNS}


def _balance(reported: Reported) -> tuple[str, str]:
    """What is left, and its currency."""
    left = report.balance_left(reported.case)
    return (str(left["value"]), left["unit"] or "") if left else ("", "")


def _value(evidence: dict[str, Any]) -> str:
    return " ".join(filter(None, (str(evidence["value"]), evidence["unit"])))


def clean(text: Any) -> str:
    """One line without anything invisible, and without what would be taken for a placeholder."""
    line = str(text)
    if not line.isprintable():
        line = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in line)
    return line.replace(KEY, KEY.replace("-", " ")).strip()


# Tables


def _csv(reports: list[Reported]) -> str:
    out = io.StringIO()
    table = csv.writer(out, quoting=csv.QUOTE_ALL)
    table.writerow(COLUMNS)
    for values in map(row, reports):
        table.writerow([v if name == "key" else _cell(v) for name, v in values.items()])
    return out.getvalue()


def _cell(value: Any) -> str:
    """A value that no spreadsheet takes for a formula.

    A plain number stays one, though it may begin with a minus: it can call nothing, and balances want to be summed.
    A semicolon parts cells where commas are decimal points, so none is left for a formula to stand behind.
    """
    text = clean(value).replace(";", ",")
    return f"'{text}" if text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text


def _markdown(reports: list[Reported]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    for values in map(row, reports):
        values["key"] = f"`{values['key']}`"
        lines.append(tuple(_code(v) if name in FOREIGN else str(v) for name, v in values.items()))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _code(value: Any) -> str:
    """A code span in a table: nothing in it is a link, an image, a tag or emphasis."""
    text = clean(value)
    if not text:
        return ""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", r"\|")


# JSON and .env


def _json(reports: list[Reported]) -> str:
    """The public document's detections, one a line, each with its key's placeholder before it."""
    lines = []
    for shown in (r.json for r in reports):
        said = json.dumps(shown).replace(KEY, KEY.replace("-", " "))
        lines.append(f'{{"key": "{placeholder(shown["number"])}", {said[1:]}')
    return '{"detections": [\n' + ",\n".join(lines) + "\n]}\n"


def _env(reports: list[Reported]) -> str:
    """Each key under a name, after a comment with its label; a base URL beside it where one was given."""
    lines: list[str] = []
    taken: dict[str, int] = {}
    for reported in reports:
        shown, base_url = reported.json, reported.case.base_url
        name = _unique(_variable(shown), taken, "_")
        lines.append(f"# {shown['number']}: {clean(shown['label'])}, {shown['verdict']}")
        lines.append(f"{name}='{placeholder(shown['number'])}'")
        if base_url:
            lines.append(f"{_unique(_beside(name), taken, '_')}='{base_url}'")
    return "".join(f"{line}\n" for line in lines)


def _variable(shown: dict[str, Any]) -> str:
    """The name that the key came with, else one after its provider."""
    name = shown["label"].upper()
    return name if VARIABLE.fullmatch(name) else f"{shown['provider'] or 'some'}_API_KEY".upper().replace("-", "_")


def _beside(name: str) -> str:
    """The base URL's name: the usual one only where the key's is the usual one with the same number, since programs
    read the two together and would send one key to another's address."""
    usual, found = re.subn(r"_API_KEY(_\d+)?$", r"_BASE_URL\1", name)
    return usual if found else f"{name}_BASE_URL"


def _unique(name: str, taken: dict[str, int], joint: str) -> str:
    """The name, or with a number behind it where it is taken."""
    free = name
    while free in taken:
        taken[name] += 1
        free = f"{name}{joint}{taken[name]}"
    taken[free] = 1
    return free


# Configurations for gateways, of keys that were sent somewhere


def _litellm(reports: list[Reported]) -> str:
    lines = []
    for reported in filter(_sent, reports):
        for name, model in report.routes(reported):
            lines += [
                f"  - model_name: {_quoted(name)}",
                "    litellm_params:",
                f"      model: {_quoted(model)}",
                f"      api_base: {_quoted(report.api_base(reported))}",
                f'      api_key: "{placeholder(reported.json["number"])}"',
            ]
    return "".join(f"{line}\n" for line in (["model_list:", *lines] if lines else ["model_list: []"]))


def _quoted(text: str) -> str:
    """A double-quoted scalar of YAML."""
    return json.dumps(clean(text), ensure_ascii=False)


def _new_api(reports: list[Reported]) -> str:
    """A list of bodies of New API's call that adds a channel; One API's is the channel alone."""
    return _lines({"mode": "single", "channel": _channel(r)} for r in filter(_spoken, reports))


def _channel(reported: Reported) -> dict[str, Any]:
    shown = reported.json
    root, chat = _address(reported)
    return {
        "type": CUSTOM_CHANNEL if chat else CHANNEL_TYPES[_protocol(reported)],
        "name": clean(f"{shown['number']} {shown['label']}"),
        "key": placeholder(shown["number"]),
        "base_url": root + chat,
        "models": ",".join(_models(reported)),
        "group": "default",
    }


def _gpt_load(reports: list[Reported]) -> str:
    """A group for each address: the body of the call that makes it, and the list of keys to import into it."""
    groups: dict[tuple[str, str, str], list[Reported]] = {}
    for reported in filter(_spoken, reports):
        groups.setdefault((_protocol(reported), *_address(reported)), []).append(reported)
    taken: dict[str, int] = {}
    return _lines(
        {"group": _group(*address, keys, taken), "keys": [placeholder(r.json["number"]) for r in keys]}
        for address, keys in groups.items()
    )


def _group(protocol: str, root: str, chat: str, keys: list[Reported], taken: dict[str, int]) -> dict[str, Any]:
    host = urlsplit(root).hostname or ""
    models = [model for r in keys for model in _models(r)]
    return {
        "name": _unique(re.sub("[^a-z0-9]+", "-", host)[:26].strip("-"), taken, "-"),  # its own limit is 30
        "display_name": host,
        "channel_type": protocol,
        "upstreams": [{"url": root, "weight": 1}],
        "test_model": models[0] if models else "MODEL",
        **({"validation_endpoint": chat} if chat else {}),
    }


def _lines(values: Iterable[Any]) -> str:
    """A JSON list, one value a line."""
    return "[\n" + ",\n".join(map(json.dumps, values)) + "\n]\n"


def _models(reported: Reported) -> list[str]:
    """The visible models that are covered; where none is, what else is visible, as far as a list can hold it."""
    models = reported.json["models"]
    return [m for m in map(clean, models["covered"] or models["new"][:MAX_MODELS]) if m and "," not in m]


def _sent(reported: Reported) -> bool:
    return reported.json["state"] == "done" and reported.json["requests"] > 0


def _spoken(reported: Reported) -> bool:
    """Whether it was sent, and speaks a protocol that a gateway knows."""
    return _sent(reported) and _protocol(reported) in CHANNEL_TYPES


def _protocol(reported: Reported) -> str:
    return reported.case.provider.protocol if reported.case.provider else ""


def _address(reported: Reported) -> tuple[str, str]:
    """What to give a gateway that puts the version behind an address by itself: the address without the version, and
    the path of a chat call where the address has a path and no such version."""
    base = report.api_base(reported).rstrip("/")
    root = next((base.removesuffix(v) for v in VERSIONS if base.endswith(v)), base)
    own_path = root == base and bool(urlsplit(base).path) and _protocol(reported) == "openai"
    return root, "/chat/completions" if own_path else ""


FORMATS = {
    f.name: f
    for f in (
        Format("csv", "text/csv", "csv", "CSV", _csv),
        Format("json", "application/json", "json", "JSON", _json),
        Format("markdown", "text/markdown", "md", "Markdown", _markdown),
        Format("env", "text/plain", "env", ".env", _env),
        Format("litellm", "application/yaml", "yaml", "LiteLLM", _litellm),
        Format("new-api", "application/json", "json", "New API / One API", _new_api),
        Format("gpt-load", "application/json", "json", "GPT-Load", _gpt_load),
    )
}
