"""The catalogue's terms, as frozen dataclasses that core, lab, pages and tests speak.

`seed` reads them from files, the ORM builds the same ones. `evaluate` is how their expressions read an answer.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, cached_property
from typing import Any
from urllib.parse import urlsplit

import jmespath

VERDICTS = ("active restricted no_credit rate_limited suspended revoked leaked region_blocked invalid unknown").split()
MODALITIES = ("text", "image", "audio", "video", "pdf")
AUTH_SCHEMES = {
    "bearer": ("Authorization", "Bearer {}"),
    "x-api-key": ("x-api-key", "{}"),
    "x-goog-api-key": ("x-goog-api-key", "{}"),
    "xi-api-key": ("xi-api-key", "{}"),
    "api-key": ("api-key", "{}"),
    "x-portkey-api-key": ("x-portkey-api-key", "{}"),
    "token": ("Authorization", "Token {}"),
    "key": ("Authorization", "Key {}"),
    "raw": ("Authorization", "{}"),
}


@dataclass(frozen=True)
class Capability:
    slug: str
    label: str
    ours: bool = False


@dataclass(frozen=True)
class Metric:
    name: str
    capability: str
    label: str
    unit: str = ""


@dataclass(frozen=True)
class Rule:
    verdict: str
    status: tuple[int, ...] = ()
    when: str = ""
    cause: str = ""


@dataclass(frozen=True)
class Reading:
    """One metric of a probe: where in the answer it is read, and in which unit."""

    name: str
    read: str = ""
    type: str = ""
    scale: str = ""
    minus: str = ""
    unit: str = ""
    unit_read: str = ""


@dataclass(frozen=True)
class KeyShape:
    name: str
    pattern: str
    kind: str
    prefix: str = ""
    refuse: str = ""
    note: str = ""
    form: str = ""  # how facts are read from the key itself, a name of `keyform.READERS`
    metrics: tuple[Reading, ...] = ()  # what is read there


@dataclass(frozen=True)
class Fingerprint:
    name: str
    when: str


@dataclass(frozen=True)
class Withheld:
    metric: str
    reason: str


@dataclass(frozen=True)
class Probe:
    name: str
    call: str
    rules: tuple[Rule, ...]
    kind: str = ""
    origin: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    read_only_post: bool = False
    sends_key: bool = True
    proves_key: bool = False
    public: bool = False
    spends: str = ""
    models: str = ""
    public_models: str = ""  # those of them that are no customer's own; a list that answers anyone has no others
    pays: str = ""
    metrics: tuple[Reading, ...] = ()
    shapes: tuple[str, ...] = ()  # asked only for keys of these shapes, and such keys ask nothing else

    @property
    def method(self) -> str:
        return self.call.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.call.partition(" ")[2]

    @cached_property
    def variables(self) -> list[str]:
        """Names in braces in the path and the body, in order."""
        return re.findall(r"\{(\w+)\}", f"{self.path} {self.body or ''}")


@dataclass(frozen=True)
class AIModel:
    id: str
    name: str = ""
    context_window: int | None = None
    max_output: int | None = None
    input_price: Decimal | None = None  # USD per million tokens; None = unknown
    output_price: Decimal | None = None
    route_based: bool = False  # the price depends on the route taken
    parameters: tuple[str, ...] = ()
    input_modalities: tuple[str, ...] = ()  # words of `MODALITIES`; none = unknown
    output_modalities: tuple[str, ...] = ()
    identity: str = field(default="", compare=False)  # where it is not what `identity` makes of the id


@dataclass(frozen=True)
class Sender:
    """Who may answer a call: what a provider and a gateway have in common."""

    slug: str
    name: str
    auth: str
    checked_on: dt.date
    headers: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()  # of every probe here, after the probe's own
    rule_sets: tuple[str, ...] = ()
    not_exposed: tuple[Withheld, ...] = ()
    key_shapes: tuple[KeyShape, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    probes: tuple[Probe, ...] = ()


@dataclass(frozen=True)
class Gateway(Sender):
    pass


@dataclass(frozen=True)
class Provider(Sender):
    route: str = "global"
    protocol: str = "own"
    concurrency: int = 256
    denials: tuple[Fingerprint, ...] = ()  # what its own answers never show
    unprovable: str = ""
    retired: str = ""  # what became of it; its keys are sent nowhere
    origins: Mapping[str, str] = field(default_factory=dict)
    own_hosts: tuple[str, ...] = ()  # endings of the hosts that a customer gets from it: a base URL there is its own
    regions: tuple[str, ...] = ()  # origins of one vendor's separate regions, in order of asking
    models_from: Mapping[str, str] = field(default_factory=dict)  # its names in the model data sets
    models: tuple[AIModel, ...] = ()

    def origin(self, probe: Probe, region: str = "") -> str:
        """Where a probe is asked; "" if its origin is no more, and then it is not asked."""
        return self.origins.get(probe.origin or region or next(iter(self.origins), ""), "")

    def owns(self, base_url: str) -> bool:
        """Whether a base URL is at one of the vendor's own hosts, so that who answers is proved by TLS."""
        host = urlsplit(base_url).hostname or ""
        return bool(base_url) and (
            host in {urlsplit(o).hostname for o in self.origins.values()} or host.endswith(self.own_hosts)
        )

    def probes_for(self, shape: str) -> list[Probe]:
        """The free probes for a key of this shape."""
        free = [p for p in self.probes if not p.spends]
        own = [p for p in free if shape in p.shapes]
        return own or [p for p in free if not p.shapes]

    @property
    def hosts(self) -> list[str]:
        """The hosts that receive a key of this provider in one check, in order of asking."""
        keyed = [p for p in self.probes if p.sends_key and not p.spends]
        return list(dict.fromkeys(host for p in keyed for host in self.hosts_of(p)))

    def hosts_of(self, probe: Probe) -> list[str]:
        """The hosts that this probe is asked at: of every region, or the endings of the customers' own."""
        asked = [urlsplit(self.origin(probe, region)).netloc for region in self.regions or ("",)]
        return list(dict.fromkeys([*filter(None, asked), *(f"*{ending}" for ending in self.own_hosts)]))


@dataclass(frozen=True)
class Protocol:
    auth: str
    models: Probe
    headers: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    rule_sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Neighbour:
    name: str
    pattern: str


@dataclass(frozen=True)
class Shared:
    """The words of `_shared.toml`."""

    capabilities: tuple[Capability, ...]
    metrics: tuple[Metric, ...]
    protocols: Mapping[str, Protocol]
    rule_sets: Mapping[str, tuple[Rule, ...]]
    neighbours: tuple[Neighbour, ...]

    @cached_property
    def metric(self) -> Mapping[str, Metric]:
        """The metrics by name."""
        return {m.name: m for m in self.metrics}


@dataclass(frozen=True)
class Catalogue:
    """All that detection and pages know of the world at one moment."""

    providers: Mapping[str, Provider]
    gateways: Mapping[str, Gateway]
    shared: Shared
    version: int = 0


@cache
def expression(text: str) -> Any:
    """A compiled JMESPath expression. Raises ValueError with the parser's words."""
    try:
        return jmespath.compile(text)
    except (jmespath.exceptions.JMESPathError, ValueError) as error:
        raise ValueError(f"not a JMESPath expression: {error}") from None


_PATH = re.compile(r'(?:\w+|"[\w.:/-]+")(?:\.(?:\w+|"[\w.:/-]+"))*', re.ASCII)


@cache
def _names(text: str) -> tuple[str, ...]:
    """The names of an expression that is a path and nothing else, as most are; else none."""
    if not _PATH.fullmatch(text) or text[0].isdigit():
        return ()
    return tuple(name.strip('"') for name in re.findall(r'\w+|"[^"]+"', text))


def evaluate(text: str, answer: Any) -> Any:
    """The expression's value on an answer; None where it errors or finds nothing.

    Paths are walked here: JMESPath's own walk costs ten times as much, and each answer is asked a dozen.
    """
    expression(text)  # what is no expression is told, whatever it looks like
    for name in (names := _names(text)):
        answer = answer.get(name) if isinstance(answer, dict) else None
    if names:
        return answer
    try:
        return expression(text).search(answer)
    except (jmespath.exceptions.JMESPathError, TypeError, ValueError, RecursionError):
        return None
