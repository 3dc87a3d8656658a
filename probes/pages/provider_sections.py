"""What the three pages of a provider tell in full: onboarding its keys, calls and rules; inventory its models; launch
prices, balance, limits and regions. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from probes.formats import number, price, together
from probes.pages.errors import ERRORS, error_address, meant
from probes.pages.key_shapes import shapes
from probes.pages.page import Bar, Cell, Column, Link, Section, Table
from probes.pages.readings import cost, metric_table, reads, withheld, withheld_table
from probes.pages.rules import Told, condition, rule_table, sources, statuses, told, verdict
from probes.pages.shelf import free, identity_of, kind, priced
from probes.terms import AIModel, Probe, Provider, Shared

MOST_ROWS = 40
BARS = 8

# Which of the ten each page tells of, so that no two pages tell the same.
IDENTITY = (
    "operational-actions",
    "key-identity",
    "capability-matrix",
    "continuous-monitoring",
    "protocol-authenticity",
)
INVENTORY = ("model-permission-matrix",)
MONEY = ("balance-and-quota", "cost-and-usage")
LIMITS = ("limit-matrix",)
LAUNCH = (*MONEY, *LIMITS, "route-and-region")


def onboarding(shared: Shared, provider: Provider) -> list[Section]:
    every = told(shared, provider)
    return [
        *shapes(provider),
        *_calls(provider, list(provider.probes)),
        *_rules(_("How an answer is judged"), shared, provider, every),
        *_traps(provider, every),
        *_read(_("What is read of the key"), shared, provider, IDENTITY),
        *_withheld(shared, provider, IDENTITY),
    ]


def inventory(shared: Shared, provider: Provider) -> list[Section]:
    return [
        *_models(provider),
        *_calls(provider, [p for p in free(provider) if kind(p) == "models"]),
        *_read(_("What the list says of a key"), shared, provider, INVENTORY),
        *_withheld(shared, provider, INVENTORY),
    ]


def launch(shared: Shared, provider: Provider) -> list[Section]:
    broke = [each for each in told(shared, provider) if each.rule.verdict in ("no_credit", "rate_limited")]
    return [
        *_prices(provider),
        *_read(_("Balance and usage"), shared, provider, MONEY, _pays(provider)),
        *_read(_("Limits"), shared, provider, LIMITS, _headers(shared, provider)),
        *_rules(_("Answers when the account is empty or over a limit"), shared, provider, broke),
        *_regions(shared, provider),
        *_withheld(shared, provider, LAUNCH),
    ]


# Calls and rules


def _calls(provider: Provider, probes: list[Probe]) -> list[Section]:
    if not probes:
        return []
    columns = (
        Column(_("Probe"), "mono"),
        Column(_("Call"), "mono"),
        Column(_("Host"), "mono host"),
        Column(_("Proves the key")),
    )
    rows = tuple(
        (
            Cell(p.name, sub=cost(p)) if p.spends else p.name,
            call(provider, p),
            " / ".join(provider.hosts_of(p)),
            _proves(p),
        )
        for p in probes
    )
    lists = all(kind(p) == "models" for p in probes)
    words = _("A list that answers anyone shows what is on offer, not what this key may call.")
    if not lists:
        words = _("All that a check asks. A model list is not counted as an account probe.")
    return [Section(_("The list") if lists else _("The calls"), words, table=Table(columns, rows))]


def call(provider: Provider, probe: Probe) -> str:
    """Method and path, with the part of the path that the origin brings."""
    return f"{probe.method} {urlsplit(provider.origin(probe)).path}{probe.path}"


def _proves(probe: Probe) -> str:
    if probe.proves_key:
        return _("yes")
    if probe.public:
        return _("no, it answers anyone")
    return _("no") if probe.sends_key else _("no, it is asked without the key")


def _rules(heading: str, shared: Shared, provider: Provider, told: list[Told]) -> list[Section]:
    """The rules, each with the page of the error that it means; below them the pages of the errors that had no room."""
    if not told:
        return []
    shown = told[:MOST_ROWS]
    hrefs = {e.rule: error_address(provider.slug, meant(e.rule)) for e in told if meant(e.rule)}
    words = _(
        "The first line that fits counts; an answer that fits none is “Could not tell”. Fields are those of the "
        "answer's body. A verdict that means an error leads to its page."
    )
    rest = {meant(e.rule) for e in told[MOST_ROWS:]} - {meant(e.rule) for e in shown} - {""}
    links = tuple(Link(str(e.label), error_address(provider.slug, e.slug)) for e in ERRORS if e.slug in rest)
    return [Section(heading, together(words, sources()), table=rule_table(shown, hrefs), links=links)]


def _traps(provider: Provider, told: list[Told]) -> list[Section]:
    found = [
        _("Status %(status)s decides nothing alone. Here it can mean: %(verdicts)s.")
        % {"status": status, "verdicts": " / ".join(verdicts)}
        for status, verdicts in ambiguous(told).items()
    ]
    if provider.regions:
        found.append(_regions_words(provider))
    if provider.own_hosts:
        found.append(
            _("Each customer has hosts that end in %(endings)s. Give yours as the base URL, else nothing can be asked.")
            % {"endings": " / ".join(provider.own_hosts)}
        )
    if provider.denials:
        found.append(
            _("At a base URL, an answer with one of these marks is not from %(provider)s: %(marks)s.")
            % {"provider": provider.name, "marks": " / ".join(_(d.name) for d in provider.denials)}
        )
    return [Section(_("Known traps"), bullets=tuple(found))] if found else []


def ambiguous(told: list[Told]) -> dict[int, list[str]]:
    """Error statuses behind which different verdicts stand, with these."""
    found: dict[int, list[str]] = {}
    for each in told:
        for status in each.rule.status:
            if status >= 400 and (word := verdict(each.rule)) not in found.setdefault(status, []):
                found[status].append(word)
    return {status: verdicts for status, verdicts in sorted(found.items()) if len(verdicts) > 1}


# Metrics


def _read(
    heading: str, shared: Shared, provider: Provider, capabilities: tuple[str, ...], words: str = ""
) -> list[Section]:
    found = reads(shared, provider, capabilities)
    return [Section(heading, words, table=metric_table(found))] if found else []


def _withheld(shared: Shared, provider: Provider, capabilities: tuple[str, ...]) -> list[Section]:
    found = withheld(shared, provider, capabilities)
    if not found:
        return []
    words = _("An ordinary key cannot read these here, so a result without them is no fault of the key.")
    return [Section(_("Not exposed by the provider"), words, table=withheld_table(shared, found))]


def _pays(provider: Provider) -> str:
    shown = [p.name for p in provider.probes if p.pays]
    if not shown:
        return _("No call here shows whether the account can pay, so a result leaves that open.")
    return _("Whether the account can pay is shown by: %(probes)s.") % {"probes": " / ".join(shown)}


def _headers(shared: Shared, provider: Provider) -> str:
    found = reads(shared, provider, LIMITS)
    if not any(read.header for read in found):
        return ""
    if all(read.probe.spends for read in found if read.header):
        return _("The limit headers come with paid answers only.")
    return _("The limit headers come with free answers.")


# Models, prices, regions


def market(provider: Provider) -> str:
    return f"/models/?provider={provider.slug}"


def model_cell(model: AIModel) -> Cell:
    return Cell(model.name or model.id, f"/models/{identity_of(model)}/", sub=model.id if model.name else "")


def _models(provider: Provider) -> list[Section]:
    if not provider.models:
        return []
    columns = (
        Column(_("Model")),
        Column(_("Context"), "number"),
        Column(_("Input, USD per million tokens"), "number"),
        Column(_("Output, USD per million tokens"), "number"),
    )
    shown = provider.models[:MOST_ROWS]
    rows = tuple(
        (
            model_cell(m),
            number(m.context_window) if m.context_window else _("not known"),
            price(m.input_price, m.route_based),
            price(m.output_price, m.route_based),
        )
        for m in shown
    )
    words = _("These are looked for in the key's own list. What that list does not show is not counted as stock.")
    if len(provider.models) > len(shown):
        words = _("The first %(shown)s of %(count)s; all of them are looked for in the key's own list.") % {
            "shown": number(len(shown)),
            "count": number(len(provider.models)),
        }
    links = (Link(_("All models of %(provider)s") % {"provider": provider.name}, market(provider)),)
    return [Section(_("Covered models"), words, table=Table(columns, rows), links=links)]


def _prices(provider: Provider) -> list[Section]:
    known = [m for m in provider.models if m.input_price is not None]
    if not known:
        return []
    cheapest = sorted(known, key=lambda m: (m.input_price or 0, m.output_price or 0, m.id))[:BARS]
    most = max((m.input_price or 0) for m in cheapest) or 1
    bars = tuple(
        Bar(
            m.name or m.id,
            f"{price(m.input_price)} / {price(m.output_price)}",
            round(100 * (m.input_price or 0) / most),
            f"/models/{identity_of(m)}/",
        )
        for m in cheapest
    )
    count = sum(map(priced, provider.models))
    words = ngettext(
        "%(count)d covered model has a price. The cheapest by input, as input / output in USD per million tokens:",
        "%(count)d covered models have a price. The cheapest by input, as input / output in USD per million tokens:",
        count,
    ) % {"count": count}
    links = (Link(_("All prices of %(provider)s") % {"provider": provider.name}, market(provider)),)
    return [Section(_("Prices"), words, bars=bars, links=links)]


def _regions(shared: Shared, provider: Provider) -> list[Section]:
    blocked = [e for e in told(shared, provider) if e.rule.verdict == "region_blocked"]
    found = [_regions_words(provider)] if provider.regions else []
    found += [
        _("Status %(status)s if %(condition)s: this place is not served, which says nothing about the key.")
        % {"status": statuses(e.rule), "condition": condition(e.rule.when)}
        for e in blocked
    ]
    read = metric_table(reads(shared, provider, ("route-and-region",)))
    if not found and not read.rows:
        return []
    return [Section(_("Regions"), bullets=tuple(found), table=read if read.rows else None)]


def _regions_words(provider: Provider) -> str:
    return _(
        "A key is good in its own region only. Asked in this order: %(regions)s. It is refused only if all of them "
        "refuse it."
    ) % {"regions": " / ".join(f"{name} ({urlsplit(provider.origins[name]).netloc})" for name in provider.regions)}
