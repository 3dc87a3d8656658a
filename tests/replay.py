"""Judging recorded answers from outside the catalogue, as evidence that the rules hold. Pure.

A recorded answer names its sender, its request and what it means; the file that `test_recorded_answers` reads has
the form. It is judged by the probe that makes that very call, or, where none does (most were recorded on calls that
spend), by the sender's own rules; and as if it had come from a base URL that claims to be OpenAI.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from probes import evidence, verdict
from probes.examination import CLAIM_WITHOUT_CHOICE
from probes.exchange import Exchange
from probes.terms import Catalogue, Probe, Provider, Rule, Sender
from probes.verdict import Case

# What a recorded meaning is called here; the others have the same name.
MEANINGS = {
    "valid": "active",
    "restricted_scope": "restricted",
    "revoked_or_disabled": "revoked",
    "unknown_transient": "unknown",
    "not_openai_but_compatible": "contradicted",
}
RECORDED = "recorded"
GOOD = Rule(verdict="active", status=(200,), when="type(body) == 'object' && body.error == null")


@dataclass(frozen=True)
class Judged:
    """One recorded answer: what was wanted, and what we say."""

    id: str
    wanted: tuple[str, ...]
    verdict: str
    cause: str | None
    identity: str

    @property
    def right(self) -> bool:
        return self.verdict in self.wanted or self.identity in self.wanted


def judge(catalogue: Catalogue, record: Mapping[str, Any]) -> Judged:
    sender = sender_of(catalogue, record["provider"])
    request, body = record["request"], record["body"]
    exchange = Exchange.of(
        f"{request['method']} https://{request['path']}",
        None,
        int(record["status"]),
        record.get("headers") or {},
        body.encode() if isinstance(body, str) else json.dumps(body).encode(),
        0,
    )
    probe = _probe(sender, request)
    if isinstance(sender, Provider) and probe.name == RECORDED and sender.owns(exchange.call.partition(" ")[2]):
        sender = replace(sender, rules=(*sender.rules, GOOD))
    said = evidence.read(catalogue, sender or catalogue.shared.protocols["openai"], probe, exchange)
    wanted = (record["meaning"], *record.get("also_accept", ()))
    return Judged(
        id=record["id"],
        wanted=tuple(MEANINGS.get(word, word) for word in wanted),
        verdict=said["verdict"],
        cause=said["cause"],
        identity=_identity(catalogue, said, exchange),
    )


def sender_of(catalogue: Catalogue, name: str) -> Sender | None:
    """Provider or gateway by slug, or by the slug's beginning: "litellm-proxy" and "cloudflare" are found too."""
    word = name.partition(" ")[0]
    senders: dict[str, Sender] = {**catalogue.providers, **catalogue.gateways}
    close = (s for slug, s in senders.items() if slug.startswith(f"{word}-") or word.startswith(f"{slug}-"))
    return senders.get(word) or next(close, None)


def _probe(sender: Sender | None, request: Mapping[str, str]) -> Probe:
    """The probe that makes this call; else one without rules of its own, so that the sender's rules judge."""
    host, _, path = request["path"].partition("/")
    call = f"{request['method']} /{path.partition('?')[0]}"
    for probe in sender.probes if sender else ():
        regions = (sender.regions or ("",)) if isinstance(sender, Provider) else ("",)
        for region in regions:
            parts = urlsplit(sender.origin(probe, region) if isinstance(sender, Provider) else "")
            own = f"{probe.method} {parts.path}{probe.path.partition('?')[0]}"
            if own == call and (not parts.hostname or parts.hostname == host or host.startswith("(")):
                return probe
    return Probe(name=RECORDED, call=call, rules=(), proves_key=True)


def _identity(catalogue: Catalogue, said: evidence.Finding, exchange: Exchange) -> str:
    """Whose key it would be, had the answer come from a base URL that claims to be OpenAI."""
    finding = said | {"marks": evidence.all_marks(catalogue, exchange)}
    base_url = "https://" + exchange.call.partition("//")[2].partition("/")[0]
    claimed = catalogue.providers[CLAIM_WITHOUT_CHOICE]
    if any(p.owns(base_url) for p in catalogue.providers.values() if p != claimed):
        return "contradicted"  # the form refuses such a base URL: it is another provider's own
    claim = replace(claimed, origins={})  # judged as a stranger's host, whatever it was
    return verdict.conclude(Case(catalogue, claim, base_url, False, [finding])).identity
