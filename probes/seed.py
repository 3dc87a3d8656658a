"""The catalogue's files, read strictly into `terms`, and the checks that files and the admin's forms share.

An unknown or missing key, an unknown word and an expression that does not compile are errors that name the file
and the key.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jmespath

from probes.keyform import READERS
from probes.terms import (
    AUTH_SCHEMES,
    MODALITIES,
    VERDICTS,
    AIModel,
    Capability,
    Catalogue,
    Fingerprint,
    Gateway,
    KeyShape,
    Metric,
    Neighbour,
    Probe,
    Protocol,
    Provider,
    Reading,
    Rule,
    Sender,
    Shared,
    Withheld,
    expression,
)

CATALOGUE_DIR = Path(__file__).parent / "catalogue"

METRIC_TYPES = ("", "text", "integer", "decimal", "boolean", "time", "list")
METHODS = ("GET", "HEAD", "POST")
HEADERS_REFUSED = re.compile(
    r"host|connection|content-length|transfer-encoding|te|trailer|upgrade|cookie|forwarded|x-forwarded-.*|proxy-.*"
    r"|x-http-method.*|x-method-override|.*-custom-host|.*[^A-Za-z0-9-].*",
    re.I,
)
DAY_VARIABLES = ("today", "month_ago")
MODELS_FILE = "models.json"  # made by `manage.py mergemodels`
MODEL_SETS = ("models_dev", "genai_prices")
LINKS = ("site", "docs", "keys", "billing", "limits", "status")


class SeedError(ValueError):
    """A catalogue file says something that it may not; the text names file and key."""


# Reading


def build(cls: type, table: Any, where: str, **given: Any) -> Any:
    """One dataclass from one TOML table. Raises SeedError on an unknown or missing key or a wrong type."""
    if not isinstance(table, Mapping):
        raise SeedError(f"{where}: expected a table")
    known, needed = _fields(cls)
    values: dict[str, Any] = dict(given)
    for name, value in table.items():
        if name not in known:
            raise SeedError(f"{where}: unknown key {name!r} (known: {', '.join(sorted(known))})")
        values[name] = _convert(known[name], value, f"{where}: {name}")
    for name in needed:
        if name not in values:
            raise SeedError(f"{where}: missing key {name!r}")
    return cls(**values)


@cache
def _fields(cls: Any) -> tuple[dict[str, str], list[str]]:
    """A dataclass's types by name, and the names without a default."""
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    return {f.name: str(f.type) for f in fields(cls)}, needed


_PARTS: dict[str, type] = {
    "Rule": Rule,
    "Reading": Reading,
    "KeyShape": KeyShape,
    "Fingerprint": Fingerprint,
    "Withheld": Withheld,
    "Probe": Probe,
    "AIModel": AIModel,
}
_PLAIN: dict[str, Any] = {
    "str": str,
    "int": int,
    "int | None": int,
    "bool": bool,
    "dt.date": dt.date,
}


def _convert(kind: str, value: Any, where: str) -> Any:
    if kind == "Any":
        return value
    if kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind != "bool"):
            raise SeedError(f"{where}: expected {kind}, got {value!r}")
        return value
    if kind == "Decimal | None":
        return value if isinstance(value, Decimal) else check_number(str(value), where)
    if kind == "Mapping[str, str]":
        if isinstance(value, list) and all(isinstance(v, list) and len(v) == 2 for v in value):
            value = dict(value)  # pairs, where the database keeps no order of keys
        if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
            raise SeedError(f"{where}: expected a table of strings")
        return dict(value)
    if kind == "Probe":
        return build(Probe, value, where)
    if kind == "tuple[int, ...]" and isinstance(value, int):
        return (value,)
    if not isinstance(value, list | tuple):
        raise SeedError(f"{where}: expected a list")
    part = kind.removeprefix("tuple[").removesuffix(", ...]")
    if part in _PARTS:
        return tuple(build(_PARTS[part], v, f"{where}[{i}]") for i, v in enumerate(value))
    return tuple(_convert(part, v, f"{where}[{i}]") for i, v in enumerate(value))


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SeedError(f"{path.name}: {error}") from None


@cache
def shared() -> Shared:
    """`_shared.toml`, read once: the words are code's own and do not change while it runs."""
    name = "_shared.toml"
    table = read_toml(CATALOGUE_DIR / name)
    words = Shared(
        capabilities=tuple(build(Capability, t, f"{name}: capabilities") for t in table.pop("capabilities")),
        metrics=tuple(build(Metric, t, f"{name}: metrics") for t in table.pop("metrics")),
        protocols={slug: build(Protocol, t, f"{name}: protocols.{slug}") for slug, t in table.pop("protocols").items()},
        rule_sets={
            slug: tuple(build(Rule, t, f"{name}: rule_sets.{slug}") for t in rules)
            for slug, rules in table.pop("rule_sets").items()
        },
        neighbours=tuple(build(Neighbour, t, f"{name}: neighbours") for t in table.pop("neighbours")),
    )
    if table:
        raise SeedError(f"{name}: unknown key {next(iter(table))!r}")
    for slug, rules in words.rule_sets.items():
        for i, rule in enumerate(rules):
            check_rule(rule, f"{name}: rule_sets.{slug}[{i}]")
    return words


def protocols() -> tuple[str, ...]:
    """What a provider may speak: a protocol that several share, or its own."""
    return (*shared().protocols, "own")


def read_catalogue(directory: Path = CATALOGUE_DIR) -> Catalogue:
    """Every file of the catalogue, checked. Raises SeedError."""
    providers = {p.stem: _sender(Provider, p) for p in sorted(directory.glob("*.toml")) if p.stem[0] != "_"}
    merged = read_models(directory / MODELS_FILE)
    providers = {slug: with_models(p, merged.get(slug, ())) for slug, p in providers.items()}
    gateways = {p.stem: _sender(Gateway, p) for p in sorted((directory / "gateways").glob("*.toml"))}
    return Catalogue(providers=providers, gateways=gateways, shared=shared())


def read_models(path: Path) -> dict[str, tuple[AIModel, ...]]:
    """The merged model data by provider, without each entry's source and date. Raises SeedError."""
    if not path.is_file():
        return {}
    table = json.loads(path.read_text(encoding="utf-8"))["models"]
    found = {
        slug: tuple(
            build(AIModel, {k: v for k, v in row.items() if k not in ("source", "as_of")}, f"{path.name}: {slug}")
            for row in rows
        )
        for slug, rows in table.items()
    }
    for slug, models in found.items():
        for model in models:
            check_model(model, f"{path.name}: {slug}")
    return found


def with_models(provider: Provider, merged: tuple[AIModel, ...]) -> Provider:
    """The file's own models first, with what they leave out filled in; then the others."""
    known = {m.id: m for m in merged}
    own = tuple(_filled(model, known.pop(model.id, None)) for model in provider.models)
    return replace(provider, models=own + tuple(known.values()))


def _filled(model: AIModel, other: AIModel | None) -> AIModel:
    if other is None:
        return model
    empty = {f.name: getattr(other, f.name) for f in fields(model) if getattr(model, f.name) in (None, "", (), False)}
    return replace(model, **empty)


def _sender(cls: type, path: Path) -> Any:
    sender = build(cls, read_toml(path), path.name, slug=path.stem)
    check_sender(sender, path.name)
    return sender


# Checking: the same sentences for a catalogue file and for the admin's forms.


def check_sender(sender: Sender, where: str) -> None:
    """Raises SeedError if a provider or gateway uses a word or an expression that there is not."""
    _known(sender.auth, AUTH_SCHEMES, f"{where}: auth")
    check_headers(sender.headers, where)
    if isinstance(sender, Gateway):
        for probe in sender.probes:
            _known(probe.method, METHODS[:2], f"{where}: probes {probe.name!r}: call")
    for name in sender.links:
        _known(name, LINKS, f"{where}: links")
    for i, rule in enumerate(sender.rules):
        check_rule(rule, f"{where}: rules[{i}]")
    for name in sender.rule_sets:
        _known(name, shared().rule_sets, f"{where}: rule_sets")
    for withheld in sender.not_exposed:
        _known(withheld.metric, _metric_names(), f"{where}: not_exposed")
    for shape in sender.key_shapes:
        check_key_shape(shape, f"{where}: key_shapes {shape.name!r}")
    for mark in sender.fingerprints:
        check_expression(mark.when, f"{where}: fingerprints {mark.name!r}: when")
    _unique([p.name for p in sender.probes], f"{where}: probes")
    read = {r.name for p in sender.probes for r in p.metrics}
    shapes = [shape.name for shape in sender.key_shapes]
    for probe in sender.probes:
        check_probe(probe, f"{where}: probes {probe.name!r}", read)
        for name in probe.shapes:
            _known(name, shapes, f"{where}: probes {probe.name!r}: shapes")
    if isinstance(sender, Provider):
        _check_provider(sender, where)


def _check_provider(provider: Provider, where: str) -> None:
    _known(provider.route, ("global", "china"), f"{where}: route")
    _known(provider.protocol, protocols(), f"{where}: protocol")
    for mark in provider.denials:
        check_expression(mark.when, f"{where}: denials {mark.name!r}: when")
    if not provider.origins and not provider.own_hosts:
        raise SeedError(f"{where}: origins: at least one is needed")
    for ending in provider.own_hosts:
        if not re.fullmatch(r"(?:\.[a-z0-9-]+){2,}", ending):
            raise SeedError(f"{where}: own_hosts: expected an ending such as .openai.azure.com, got {ending!r}")
    for name in provider.models_from:
        _known(name, MODEL_SETS, f"{where}: models_from")
    for name in provider.regions:
        _known(name, provider.origins, f"{where}: regions")
    for name, origin in provider.origins.items():
        check_origin(origin, f"{where}: origins.{name}")
    for probe in provider.probes:
        if probe.origin:
            _known(probe.origin, provider.origins, f"{where}: probes {probe.name!r}: origin")
    _unique([m.id for m in provider.models], f"{where}: models")
    for model in provider.models:
        check_model(model, where)
    proves = any(p.proves_key for p in provider.probes if not p.spends)
    if proves and provider.unprovable:
        raise SeedError(f"{where}: unprovable: a probe here proves a key")
    if not proves and not provider.unprovable and not provider.retired:
        raise SeedError(f"{where}: no probe proves a key: say so in 'unprovable'")


def check_model(model: AIModel, where: str) -> None:
    for key in ("input_modalities", "output_modalities"):
        for word in getattr(model, key):
            _known(word, MODALITIES, f"{where}: models {model.id!r}: {key}")


def check_probe(probe: Probe, where: str, read: set[str]) -> None:
    """`read` are the metrics that any probe of the same sender reads: what a variable may name."""
    _known(probe.method, METHODS, f"{where}: call")
    path = probe.path.partition("?")[0]
    if not path.startswith("/") or "//" in path or re.search(r"[\\%\s]|/\.{1,2}(?:/|$)", path):
        raise SeedError(f"{where}: call: the path must begin with one slash, without dot segments and escapes")
    check_headers(probe.headers, where)
    if probe.method == "POST" and probe.read_only_post == bool(probe.spends):  # it says one, never both
        raise SeedError(f"{where}: call: a POST needs read_only_post = true, and a source that says so, or spends")
    for name in probe.variables:
        if name not in DAY_VARIABLES and name not in read:
            raise SeedError(f"{where}: call: {{{name}}} is neither a day nor a metric that a probe here reads")
    if probe.public and (probe.proves_key or probe.sends_key):
        raise SeedError(f"{where}: a public list proves nothing: it wants proves_key = false, sends_key = false")
    for i, rule in enumerate(probe.rules):
        check_rule(rule, f"{where}: rules[{i}]")
    for text, key in ((probe.models, "models"), (probe.public_models, "public_models"), (probe.pays, "pays")):
        if text:
            check_expression(text, f"{where}: {key}")
    for reading in probe.metrics:
        check_reading(reading, f"{where}: metrics {reading.name!r}")


def check_headers(headers: Mapping[str, str], where: str) -> None:
    """Fixed headers may not say to whom a call goes, as whom, or as what."""
    for name in headers:
        if HEADERS_REFUSED.fullmatch(name) or name.lower() in {n.lower() for n, _form in AUTH_SCHEMES.values()}:
            raise SeedError(f"{where}: headers: {name!r} is not for a catalogue to set")


def check_rule(rule: Rule, where: str) -> None:
    _known(rule.verdict, VERDICTS, f"{where}: verdict")
    if not rule.status and not rule.when:
        raise SeedError(f"{where}: a rule needs status or when")
    if rule.when:
        check_expression(rule.when, f"{where}: when")


def check_reading(reading: Reading, where: str) -> None:
    _known(reading.name, _metric_names(), where)
    _known(reading.type, METRIC_TYPES, f"{where}: type")
    if not reading.read and reading.name != "key_valid":
        raise SeedError(f"{where}: missing key 'read'")
    for text, key in ((reading.read, "read"), (reading.minus, "minus"), (reading.unit_read, "unit_read")):
        if text:
            check_expression(text, f"{where}: {key}")
    if reading.scale:
        check_number(reading.scale, f"{where}: scale")


def check_key_shape(shape: KeyShape, where: str) -> None:
    _known(shape.kind, ("distinctive", "shared"), f"{where}: kind")
    try:
        re.compile(shape.pattern)
    except re.error as error:
        raise SeedError(f"{where}: pattern: {error}") from None
    _known(shape.form, ("", *READERS), f"{where}: form")
    for reading in shape.metrics:
        check_reading(reading, f"{where}: metrics {reading.name!r}")


def check_expression(text: str, where: str) -> None:
    """JMESPath compiles calls of functions that there are not, and with too few arguments; here they are found."""
    try:
        compiled = expression(text)
    except ValueError as error:
        raise SeedError(f"{where}: {error}") from None
    for name, given in _calls(compiled.parsed):
        known = jmespath.functions.Functions.FUNCTION_TABLE.get(name)
        if known is None:
            raise SeedError(f"{where}: Unknown function: {name}()")
        wanted = known["signature"]
        variadic = bool(wanted) and wanted[-1].get("variadic", False)
        if given < len(wanted) or (given > len(wanted) and not variadic):
            raise SeedError(f"{where}: {name}() takes {len(wanted)} arguments, not {given}")


def _calls(node: Any) -> Iterator[tuple[str, int]]:
    """Every function call in a parsed expression: its name and number of arguments."""
    if node["type"] == "function_expression":
        yield node["value"], len(node["children"])
    for child in node["children"]:
        yield from _calls(child)


def check_origin(origin: str, where: str) -> None:
    parts = urlsplit(origin)
    clean = re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]{2,}(?:/[A-Za-z0-9._~/-]*)?", origin)
    if not clean or parts.path.endswith("/") or ".." in parts.path:
        raise SeedError(f"{where}: expected https://host or https://host/path, got {origin!r}")


def check_number(text: str, where: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise SeedError(f"{where}: expected a number in quotes, got {text!r}") from None


def _known(word: str, words: Any, where: str) -> None:
    if word not in words:
        raise SeedError(f"{where}: unknown word {word!r} (known: {', '.join(w for w in words if w)})")


def _unique(names: list[str], where: str) -> None:
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise SeedError(f"{where}: {twice[0]!r} stands twice")


@cache
def _metric_names() -> tuple[str, ...]:
    return tuple(m.name for m in shared().metrics)
