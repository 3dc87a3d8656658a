"""The three angles on a provider, and what each says of it at a glance. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from probes.pages.page import Section
from probes.pages.provider_sections import inventory, launch, onboarding
from probes.terms import Provider, Shared

Words = str | Promise


@dataclass(frozen=True)
class Dimension:
    slug: str
    label: Words
    short: Words
    why: Words
    signal: Callable[[Provider], str]
    description: Callable[[Provider], str]
    sections: Callable[[Shared, Provider], list[Section]]


def _readiness(provider: Provider) -> str:
    if len(provider.models) >= 3:
        return _("multi-model coverage, suitable for read-only identification first")
    return _("limited model coverage, confirm provider identity first")


def _inventory(provider: Provider) -> str:
    count = len(provider.models)
    return ngettext(
        "%(count)d model can become an inventory candidate",
        "%(count)d models can become inventory candidates",
        count,
    ) % {"count": count}


def _launch(provider: Provider) -> str:
    if provider.route == "china":
        return _("China route, check account region, reach from outside, balance, pricing, and stability first")
    return _("global route, check region/IP, balance, pricing, and stability first")


def _about_onboarding(provider: Provider) -> str:
    words = {"provider": provider.name}
    if provider.retired:
        return (
            _("%(provider)s takes no keys any more: what became of it, and how its keys can still be recognised.")
            % words
        )
    if not any(p.proves_key for p in provider.probes):
        return _("How a key of %(provider)s is recognised, and why no free call proves that it is good.") % words
    return (
        _("How a key of %(provider)s is recognised, which free calls prove it, and what each of its answers means.")
        % words
    )


def _about_inventory(provider: Provider) -> str:
    count = len(provider.models)
    if not count:
        return _("No model of %(provider)s is covered yet: how to find out which models a key may call.") % {
            "provider": provider.name
        }
    return ngettext(
        "%(count)d covered model of %(provider)s with context and price, and what a key's own list shows of it.",
        "%(count)d covered models of %(provider)s with context and price, and what a key's own list shows of them.",
        count,
    ) % {"provider": provider.name, "count": count}


def _about_launch(provider: Provider) -> str:
    return _("What can be known of %(provider)s before launch: prices, balance, limits and regions, and what not.") % {
        "provider": provider.name
    }


DIMENSIONS = (
    Dimension(
        "onboarding-readiness",
        gettext_lazy("key onboarding readiness"),
        gettext_lazy("onboarding"),
        gettext_lazy(
            "A key that answers is not yet a key that can be taken in. Whose it is comes first, "
            "then whether enough stands behind it to be worth a place in the configuration."
        ),
        _readiness,
        _about_onboarding,
        onboarding,
    ),
    Dimension(
        "inventory-fit",
        gettext_lazy("key inventory fit"),
        gettext_lazy("inventory"),
        gettext_lazy(
            "Stock that belongs to another sender, or that this one key cannot call, costs more than a key "
            "that was refused. What the key itself can see decides, not what the provider has on offer."
        ),
        _inventory,
        _about_inventory,
        inventory,
    ),
    Dimension(
        "commercial-launch",
        gettext_lazy("commercial launch readiness"),
        gettext_lazy("launch"),
        gettext_lazy(
            "Whoever sells calls on a key promises a price, a region, a rate and a balance that lasts. "
            "Each of them is known beforehand, or it is found out by the customer."
        ),
        _launch,
        _about_launch,
        launch,
    ),
)
