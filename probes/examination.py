"""The probes of one key: what to ask now, given what has been answered. Pure; nothing is sent here.

An official origin is asked all free probes at once, those that need an earlier finding after it;
and last, where that was asked for and they showed a working key, the probes that spend.
A custom base URL is asked the claimed provider's model list, and without the key the status pages
by which gateway software shows itself; software that is recognised is then asked its own probes.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from probes import evidence, hints, verdict
from probes.client import WITHOUT_KEY, Call
from probes.evidence import PUBLIC_LIST, Finding
from probes.exchange import Exchange
from probes.terms import Catalogue, Probe, Protocol, Provider, Rule, Sender

WORKING = ("active", "restricted")  # only such a key is worth a token
CLAIM_WITHOUT_CHOICE = "openai"  # what a relay most often says that it is
MAX_CALLS = 24  # of one key


@dataclass(frozen=True)
class Ask:
    """One call to make, and how its answer is read."""

    probe: Probe
    sender: Sender | Protocol
    call: Call


class Examination:
    """provider: whose key it is said to be, None = nothing said. base_url: "" = the provider's own origins.

    shape: the name of the key's shape there, since some shapes have probes of their own.
    spend: whether the operator allowed the probes that spend.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        provider: Provider | None,
        base_url: str,
        today: dt.date,
        shape: str = "",
        spend: bool = False,
    ) -> None:
        self.catalogue = catalogue
        self.provider = provider
        self.base_url = base_url
        self.custom = bool(base_url) and not (provider and provider.owns(base_url))
        self.shape = shape
        self.spend = spend and not self.custom
        self.gateway: str | None = None
        self._regions = list(provider.regions) if provider else []
        self._found_here: list[Finding] = []
        self._days = {"today": today.isoformat(), "month_ago": (today - dt.timedelta(days=30)).isoformat()}
        self._facts: dict[str, Any] = {}
        self._answers: dict[str, Exchange] = {}
        self._asked: set[str] = set()
        self._open = 0
        self._round = 1

    def next(self) -> list[Ask]:
        """Calls that can be made now and have not been. Empty while answers are awaited, or when all is done."""
        fresh = self._fresh()
        if not fresh and self._open == 0 and self._refused_here():
            self._regions.pop(0)  # a refusal counts only for the region that was asked
            self._found_here = []
            fresh = self._fresh()
        if not fresh and self._open == 0 and self.spend and self._working():
            fresh = self._unasked(self._spending())
        self._asked |= {str(a.call) for a in fresh}
        self._open += len(fresh)
        return fresh

    def _fresh(self) -> list[Ask]:
        return self._unasked(self._custom() if self.custom else self._official())

    def _unasked(self, asks: list[Ask]) -> list[Ask]:
        fresh = {str(a.call): a for a in reversed(asks) if str(a.call) not in self._asked}  # the first of equal calls
        return list(reversed(fresh.values()))[: MAX_CALLS - len(self._asked)]

    def _refused_here(self) -> bool:
        """Whether this region does not know the key, and the same vendor has another to ask."""
        refused = any(f["verdict"] == "invalid" for f in self._found_here)
        return len(self._regions) > 1 and refused and not any(f["accepted"] for f in self._found_here)

    def _working(self) -> bool:
        """Whether what this region answered says that the key works now."""
        case = verdict.Case(self.catalogue, self.provider, self.base_url, False, self._found_here)
        return verdict.conclude(case).verdict in WORKING

    @property
    def done(self) -> bool:
        return self._open == 0

    def answer(self, ask: Ask, exchange: Exchange) -> list[Finding]:
        """The findings of an answer: usually one; more when it shows which software had answered before."""
        self._open -= 1
        self._answers[str(ask.call)] = exchange
        finding = self._read(ask, exchange)
        return [finding, *(self._recognise() if self.custom and self._open == 0 else [])]

    def _read(self, ask: Ask, exchange: Exchange) -> Finding:
        finding = evidence.read(self.catalogue, ask.sender, ask.probe, exchange)
        for item in finding["evidence"]:
            if item["value"] is not None:
                self._facts.setdefault(item["metric"], item["value"])
        self._found_here.append(finding)
        if self.custom:
            if finding["models"] is not None and str(ask.call) == str(self._claimed()[0].call):
                finding["hints"] = hints.hints(self.catalogue, exchange, self.provider)
            finding["marks"] = evidence.all_marks(self.catalogue, exchange)
        return finding

    # An official origin

    def _official(self) -> list[Ask]:
        return self._asks(self.provider, self.provider.probes_for(self.shape)) if self.provider else []

    def _spending(self) -> list[Ask]:
        """The probes that spend; a shape that has probes of its own has those alone."""
        if self.provider is None:
            return []
        own = any(self.shape in p.shapes for p in self.provider.probes)
        probes = [p for p in self.provider.probes if p.spends and (self.shape in p.shapes) == own]
        return self._asks(self.provider, probes)

    def _asks(self, provider: Provider, probes: list[Probe]) -> list[Ask]:
        region = self._regions[0] if self._regions else ""
        asks = [self._ask(provider, p, self.base_url or provider.origin(p, region)) for p in probes]
        return [a for a in asks if a]

    def _ask(self, sender: Sender, probe: Probe, base: str) -> Ask | None:
        """None for a probe whose origin is no more, or whose variables are not known (yet)."""
        if not base:
            return None
        path, body = probe.path, probe.body
        if probe.variables:
            values = self._days | {
                n: str(v) for n, v in self._facts.items() if isinstance(v, str | int) and v not in (".", "..")
            }
            if not all(name in values for name in probe.variables):
                return None
            path = re.sub(r"\{(\w+)\}", lambda m: quote(values[m[1]], safe=""), path)
            body = _filled(body, values)
        call = Call(
            method=probe.method,
            url=base + path,
            headers={**sender.headers, **probe.headers},
            auth=sender.auth if probe.sends_key else "",
            body=body,
            quiet=self.custom,
        )
        return Ask(probe, sender, call)

    # A custom base URL

    @property
    def _root(self) -> str:
        """The base URL without a closing /v1, which the probes' own paths bring."""
        return re.sub(r"/v1(?:beta)?$", "", self.base_url)

    def _custom(self) -> list[Ask]:
        if self.gateway:
            gateway = self.catalogue.gateways[self.gateway]
            asks = [self._ask(gateway, p, self._root) for p in gateway.probes]
        else:
            asks = [*self._claimed()]
            for gateway in self.catalogue.gateways.values():
                asks += [self._ask(gateway, p, self._root) for p in gateway.probes if not p.sends_key]
        return [a for a in asks if a]

    def _claimed(self) -> list[Ask]:
        """The model list, as the protocol of the claimed provider asks for it: with the key, and without it.

        A list that answers without the key answers anyone, and proves nothing of it.
        """
        protocols = self.catalogue.shared.protocols
        protocol = protocols.get(self.provider.protocol if self.provider else "", protocols["openai"])
        call = Call("GET", self._root + protocol.models.path, dict(protocol.headers), protocol.auth, quiet=True)
        public = Rule(verdict="unknown", cause=PUBLIC_LIST, status=(200,), when=protocol.models.rules[0].when)
        control = replace(
            protocol.models, name="models_without_key", sends_key=False, proves_key=False, metrics=(), rules=(public,)
        )
        return [Ask(protocol.models, protocol, call), Ask(control, protocol, replace(call, auth=""))]

    def _recognise(self) -> list[Finding]:
        """After the first round: the software with most marks. What it had answered is read anew by its own rules."""
        if self.gateway or self._round > 1:
            return []
        self._round = 2
        counts = {
            slug: len({m for x in self._answers.values() for m in evidence.marks(gateway.fingerprints, x)})
            for slug, gateway in self.catalogue.gateways.items()
        }
        best = verdict.recognised(self.catalogue, counts)
        if best is None:
            return []
        self.gateway = best
        gateway = self.catalogue.gateways[best]
        again = []
        for probe in gateway.probes:
            ask = self._ask(gateway, probe, self._root)
            exchange = self._answers.get(str(ask.call)) if ask else None
            if ask and exchange:
                again.append(self._read(ask, exchange))
        return again


def _filled(body: Any, values: dict[str, str]) -> Any:
    """A body with its variables: a string that is one variable becomes its value."""
    if body is None:
        return None
    text = re.sub(r'"\{(\w+)\}"', lambda m: json.dumps(values[m[1]]), json.dumps(body))
    return json.loads(text)


def latest(findings: list[Finding]) -> list[Finding]:
    """One finding a call: what was read anew replaces what it was read as before.

    Of a list that answered without the key too, nothing is believed of the key.
    """
    by_call = {f["call"]: f for f in findings}
    opened = {call.removesuffix(WITHOUT_KEY) for call, f in by_call.items() if f["cause"] == PUBLIC_LIST}
    return [_unproved(f) if f["proves_key"] and call in opened else f for call, f in by_call.items()]


def _unproved(finding: Finding) -> Finding:
    said = [e for e in finding["evidence"] if e["metric"] != "key_valid"]
    nothing = {"verdict": "unknown", "cause": PUBLIC_LIST, "accepted": False, "proves_key": False, "public": True}
    return finding | nothing | {"evidence": said}
