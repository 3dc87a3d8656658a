"""Rules as people read them: what an answer must show, and what TestKey then concludes. Pure.

A condition is said in words where its form is a common one, else its expression is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes import formats, words
from probes.pages.page import Cell, Column, Table
from probes.terms import Probe, Provider, Rule, Shared, expression

Node = dict[str, Any]
Words = str | Promise


@dataclass(frozen=True)
class Told:
    """A rule and where it stands: at one probe, at the provider (for all its calls), or in a set that several share."""

    rule: Rule
    probe: Probe | None = None
    rule_set: str = ""


def told(shared: Shared, provider: Provider) -> list[Told]:
    """All rules of a provider in the order in which answers are judged (`evidence.rules_of`)."""
    own = [Told(rule, probe) for probe in provider.probes for rule in probe.rules]
    own += [Told(rule) for rule in provider.rules]
    return own + [Told(rule, rule_set=name) for name in provider.rule_sets for rule in shared.rule_sets.get(name, ())]


def distinct(told: Iterable[Told]) -> list[Told]:
    """Each once, where it stands first: several probes may have the same."""
    found: dict[tuple[Rule, str], Told] = {}
    for each in told:
        found.setdefault((each.rule, each.rule_set), each)
    return list(found.values())


def rule_table(rules: Iterable[Told], hrefs: dict[Rule, str]) -> Table:
    """hrefs: the page that says more of a rule's error, where there is one."""
    columns = (
        Column(_("If")),
        Column(_("Status")),
        Column(_("Verdict"), "word"),
        Column(_("What it says")),
    )
    return Table(columns, tuple(_row(each, hrefs.get(each.rule, "")) for each in rules))


def _row(each: Told, href: str) -> tuple[str | Cell, ...]:
    rule = each.rule
    word, shape, tone = words.VERDICTS[rule.verdict]
    verdict = Cell(str(words.SHORT_VERDICTS.get(rule.verdict, word)), href, tone, shape)
    sentence = words.cause_text(rule.cause, rule.verdict)
    cause = Cell(sentence or rule.cause or "–", sub=rule.cause if sentence else "")
    return shown(each), statuses(rule), verdict, cause


def shown(each: Told) -> Cell:
    """What the answer must show, and where that stands."""
    return Cell(condition(each.rule.when), sub=source(each))


def sources() -> str:
    return _(
        "Behind each condition: the probe whose answers it judges, or the set of rules that several providers share."
    )


def source(each: Told) -> str:
    return each.probe.name if each.probe else each.rule_set or _("every call")


def statuses(rule: Rule) -> str:
    return " / ".join(str(status) for status in rule.status) or _("any")


def verdict(rule: Rule) -> str:
    """The verdict as a table of results says it."""
    return str(words.SHORT_VERDICTS[rule.verdict])


# Conditions

KINDS: dict[str, Words] = {
    "array": gettext_lazy("%(place)s is a list"),
    "object": gettext_lazy("%(place)s is an object"),
    "number": gettext_lazy("%(place)s is a number"),
    "string": gettext_lazy("%(place)s is a text"),
    "boolean": gettext_lazy("%(place)s is true or false"),
}
SIGNS: dict[str, Words] = {
    "eq": gettext_lazy("%(place)s is %(value)s"),
    "ne": gettext_lazy("%(place)s is not %(value)s"),
    "lte": gettext_lazy("%(place)s is %(value)s or less"),
    "gt": gettext_lazy("%(place)s is more than %(value)s"),
}


def condition(when: str) -> str:
    """A rule's condition in words, or its expression."""
    if not when:
        return _("any answer")
    return _clause(expression(when).parsed) or formats.isolated(when)


def _clause(node: Node) -> str:
    """A condition as a clause; "" where words would not say it exactly."""
    kind, parts = node["type"], node["children"]
    if kind in ("and_expression", "or_expression"):
        return _joined(kind, parts)
    if kind == "not_expression":
        return _contains(parts[0], _("%(place)s does not contain %(value)s"), "")
    if kind == "comparator":
        return _compared(node["value"], *parts)
    if kind == "function_expression" and node["value"] == "contains":
        return _contains(node, _("%(place)s contains %(value)s"), _("%(place)s is one of %(value)s"))
    if kind == "function_expression" and node["value"] == "starts_with":
        return _said(_("%(place)s begins with %(value)s"), _place(parts[0]), _value(parts[1]))
    return ""


def _joined(kind: str, parts: list[Node]) -> str:
    """Words have no brackets, so "or" within "and" is not said in them."""
    first, second = _clause(parts[0]), _clause(parts[1])
    if not (first and second) or (kind == "and_expression" and "or_expression" in (p["type"] for p in parts)):
        return ""
    both = {"first": first, "second": second}
    return _("%(first)s, and %(second)s") % both if kind == "and_expression" else _("%(first)s, or %(second)s") % both


def _compared(sign: str, left: Node, right: Node) -> str:
    if left["type"] == "function_expression" and left["value"] == "type":
        is_so = KINDS.get(right["value"], "") if sign == "eq" else ""
        return _said(str(is_so), _place(left["children"][0]), " ")
    if sign == "ne" and "null" in (_value(right), _path(right)):
        return _said(_("%(place)s is there"), _place(left), " ")
    return _said(str(SIGNS.get(sign, "")), _place(left), _value(right) or _place(right))


def _contains(node: Node, within: str, among: str) -> str:
    """contains(place, value), or contains(values, place)."""
    if node["type"] != "function_expression" or node["value"] != "contains":
        return ""
    first, second = node["children"]
    if values := _values(first):
        return _said(among, _place(second), values)
    return _said(within, _place(first), _value(second))


def _said(template: str, place: str, value: str) -> str:
    return template % {"place": place, "value": value} if template and place and value else ""


def _value(node: Node) -> str:
    if node["type"] != "literal":
        return ""
    value = node["value"]
    return formats.isolated(_("“%s”") % value if isinstance(value, str) else json.dumps(value))


def _values(node: Node) -> str:
    """The values of a list of literals, in either of JMESPath's spellings."""
    if node["type"] == "multi_select_list" and all(part["type"] == "literal" for part in node["children"]):
        return formats.listed(_value(part) for part in node["children"])
    if node["type"] == "literal" and isinstance(node["value"], list):
        return formats.listed(_value({"type": "literal", "value": value}) for value in node["value"])
    return ""


def _place(node: Node) -> str:
    """Where in the answer something stands: a field of the body, a header, the text."""
    kind, parts = node["type"], node["children"]
    if kind == "or_expression":
        if parts[1].get("value") == []:  # in place of nothing
            return _place(parts[0])
        first, second = _place(parts[0]), _place(parts[1])
        return _("%(first)s or %(second)s") % {"first": first, "second": second} if first and second else ""
    if kind == "function_expression" and node["value"] == "to_number":
        return _place(parts[0])
    path = _path(node)
    if path == "text":
        return _("the text")
    if path == "body":
        return _("the body")
    if path.startswith("headers."):
        return _("the header %(name)s") % {"name": formats.isolated(path.removeprefix("headers."))}
    return formats.isolated(path.removeprefix("body."))


def _path(node: Node) -> str:
    kind, parts = node["type"], node["children"]
    if kind == "field":
        return str(node["value"])
    if kind == "index":
        return f"[{node['value']}]"
    if kind == "flatten":
        return f"{_path(parts[0])}[]" if _path(parts[0]) else ""
    if kind not in ("subexpression", "index_expression", "projection"):
        return ""
    names = [_path(part) for part in parts]
    return "".join(names) if kind == "index_expression" else ".".join(names) if all(names) else ""
