"""What a provider's probes read of a key, metric by metric, and what they do not. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.utils.translation import gettext as _

from probes.pages.page import Cell, Column, Table
from probes.pages.shelf import free
from probes.terms import Metric, Probe, Provider, Reading, Shared, Withheld


@dataclass(frozen=True)
class Read:
    """A metric as one probe reads it."""

    metric: Metric
    probe: Probe
    reading: Reading

    @property
    def header(self) -> str:
        """The header that holds it; "" if it is read from the body."""
        return self.reading.read.partition("headers.")[2].strip('"') if self.reading.read.startswith("headers.") else ""


def reads(shared: Shared, provider: Provider, capabilities: Collection[str]) -> list[Read]:
    """The metrics of these capabilities that the probes read, those that cost nothing first."""
    probes = [*free(provider), *(p for p in provider.probes if p.spends)]
    found = [Read(shared.metric[r.name], p, r) for p in probes for r in p.metrics if r.name in shared.metric]
    return [read for read in found if read.metric.capability in capabilities]


def withheld(shared: Shared, provider: Provider, capabilities: Collection[str]) -> list[Withheld]:
    """What is not exposed here, of these capabilities, and by no paid call either."""
    read = {reading.name for probe in provider.probes for reading in probe.metrics}
    known = [w for w in provider.not_exposed if w.metric in shared.metric and w.metric not in read]
    return [w for w in known if shared.metric[w.metric].capability in capabilities]


def read_from(read: Read) -> str:
    if read.reading.name == "key_valid":
        return _("the verdict on the answer")
    return f"{read.reading.read} − {read.reading.minus}" if read.reading.minus else read.reading.read


def unit(read: Read) -> str:
    """Its unit; a currency is named by the probe, or by the answer itself."""
    if read.reading.unit_read:
        return _("in the currency that the answer names")
    own = read.reading.unit or read.metric.unit
    return _(own) if own and own != "currency" else ""


def cost(probe: Probe) -> str:
    """What a call costs; "" if nothing. Such a call is made only if the operator ticks it."""
    return _("spends %(cost)s, only if ticked") % {"cost": _(probe.spends)} if probe.spends else ""


def metric_table(found: list[Read]) -> Table:
    columns = (
        Column(_("Metric")),
        Column(_("Unit"), "word"),
        Column(_("Read by"), "mono"),
        Column(_("Read from"), "mono"),
    )
    return Table(
        columns,
        tuple(
            (
                Cell(_(read.metric.label), sub=read.metric.name),
                unit(read) or "–",
                Cell(read.probe.name, sub=cost(read.probe)),
                read_from(read),
            )
            for read in found
        ),
    )


def withheld_table(shared: Shared, found: list[Withheld]) -> Table:
    columns = (Column(_("Metric")), Column(_("Reason")))
    rows = tuple((Cell(_(shared.metric[w.metric].label), sub=w.metric), _(w.reason)) for w in found)
    return Table(columns, rows)
