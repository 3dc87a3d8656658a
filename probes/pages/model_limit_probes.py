"""The family model × limit: what is known of a limit, and where a key's own is read. Pure, no ORM."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes import formats
from probes.pages import limits, models, rules
from probes.pages.models import ABOVE, Angle, Model, Words, figure
from probes.pages.page import Bar, Card, Cell, Column, Page, Section, Table
from probes.pages.rules import Told
from probes.pages.shelf import Shelf, distinct
from probes.terms import AIModel, Provider

__all__ = ["ABOVE", "find", "links", "slugs"]

FAMILY = "model-limit-probes"
PLACE_CAUSES = ("ip_not_allowed",)


def slugs(shelf: Shelf) -> list[str]:
    return models.slugs(shelf, ANGLES)


def find(shelf: Shelf, slug: str) -> Page | None:
    return models.find(shelf, slug, ANGLES)


def links(model: Model) -> Iterable[models.Link]:
    return models.links(model, FAMILY, ANGLES)


def _page(model: Model, angle: Angle, signal: str, description: str, lead: str, *sections: Section) -> Page:
    window = _("Context window: %s") % figure(next(iter(model.windows), None))
    return models.page(
        model,
        angle,
        (FAMILY, ANGLES),
        kicker=_("Model limit probe"),
        description=description,
        lead=lead,
        cards=(
            Card(_("Limit dimension"), str(angle.label), angle.slug),
            Card(_("Visible signal"), signal, window),
        ),
        summary=(_("Limit matrix summary"), ((_("Limit dimension"), angle.slug), (_("Visible signal"), signal))),
        sections=sections,
    )


# Limits of a key, read from an answer


def _of_key(
    names: tuple[str, ...], why: Words, action: Words
) -> tuple[Callable[[Model], bool], Callable[[Model, Angle], Page]]:
    def has(model: Model) -> bool:
        return bool(limits.readings(model, names))

    def page(model: Model, angle: Angle) -> Page:
        read = limits.readings(model, names)
        told = distinct([provider.name for provider, _probe, _reading in read])
        silent = [name for name in model.sellers if name not in told]
        words = {"model": model.described, "label": str(angle.label), "sellers": models.some(told)}
        steps = [_("The limit is the key's own: read it with the key that is to carry the traffic.")]
        if limits.asks_another(model, read):
            steps.append(
                _(
                    "A call that names another model shows that model's limit. "
                    "Send it with this model's id to read this one's."
                )
            )
        if any(probe.spends for _provider, probe, _reading in read):
            steps.append(_("A check asks a call that spends only where you ticked that it may."))
        if silent:
            steps.append(_("No answer that tells it is known at %s.") % models.some(silent))
        return _page(
            model,
            angle,
            _("real key probe required"),
            _("%(model)s, %(label)s: where each seller tells it, by which call, and whether that call spends.") % words,
            formats.together(str(why), _("It can be read at %(sellers)s.") % words),
            Section(_("Where it is read"), table=limits.limit_table(model, read)),
            Section(_("How to prove it"), bullets=tuple(steps)),
            Section(_("Operator action"), str(action)),
        )

    return has, page


# Limits of the model, from the catalogue


def _of_model(
    value: Callable[[AIModel], int | None], lead: Words, same: Words, action: Words
) -> tuple[Callable[[Model], bool], Callable[[Model, Angle], Page]]:
    def has(model: Model) -> bool:
        return bool(model.known(value))

    def page(model: Model, angle: Angle) -> Page:
        known = model.known(value)
        silent = distinct([offer.provider.name for offer in model.offers if not value(offer.model)])
        words = {
            "model": model.described,
            "label": str(angle.label),
            "most": figure(known[0]),
            "least": figure(known[-1]),
        }
        steps = [_("Send the request with the seller's own id; a limit of another of its models does not hold.")]
        if silent:
            steps.append(
                _("Of %s no figure is known: there the error of a request that is too long tells it.")
                % models.some(silent)
            )
        return _page(
            model,
            angle,
            _("partial catalog signal") if silent else _("catalog visible"),
            _("%(model)s, %(label)s: %(most)s tokens at most, seller by seller, with the ids to ask.") % words,
            str(same if len(known) == 1 else lead) % words,
            _by_seller(model, value),
            Section(_("How to prove it"), bullets=tuple(steps)),
            Section(_("Operator action"), str(action)),
        )

    return has, page


def _by_seller(model: Model, value: Callable[[AIModel], int | None]) -> Section:
    """Bars where sellers differ, the largest first; else a table."""
    known = model.known(value)
    told = sorted(
        ((offer, size) for offer in model.offers if (size := value(offer.model))),
        key=lambda pair: pair[1],
        reverse=True,
    )
    if len(known) > 1:
        bars = tuple(
            Bar(
                o.provider.name,
                figure(n),
                models.share(n, known[0]),
                models.link_of_seller(o.provider.slug),
                o.model.id,
            )
            for o, n in told
        )
        return Section(_("Tokens, seller by seller"), bars=bars)
    columns = (Column(_("Seller")), Column(_("Model id"), "mono"), Column(_("Tokens"), "number"))
    table = Table(columns, tuple((models.seller_cell(o), o.model.id, figure(n)) for o, n in told))
    return Section(_("Tokens, seller by seller"), table=table)


# Limits of the place


def _rules(model: Model, provider: Provider) -> list[Told]:
    """By which an answer says that it is the place, not the key."""
    every = rules.distinct(rules.told(model.shared, provider))
    return [t for t in every if t.rule.verdict == "region_blocked" or t.rule.cause in PLACE_CAUSES]


def _told_of_place(model: Model) -> list[tuple[Provider, list[Told]]]:
    found = [(provider, _rules(model, provider)) for provider, _offers in model.by_seller() if not provider.retired]
    return [(provider, refusals) for provider, refusals in found if refusals or provider.regions]


def _place(model: Model, angle: Angle) -> Page:
    told = _told_of_place(model)
    words = {"model": model.described, "sellers": models.some([provider.name for provider, _refusals in told])}
    refusals = tuple(
        (
            Cell(provider.name, models.link_of_seller(provider.slug)),
            models.market(provider.route),
            rules.statuses(each.rule),
            rules.shown(each),
            rules.verdict(each.rule),
        )
        for provider, its in told
        for each in its
    )
    columns = (_("Seller"), _("Market"), _("Status"), _("The answer shows"), _("Verdict"))
    regions = tuple((provider.name, " · ".join(provider.regions)) for provider, _its in told if provider.regions)
    steps = [_("Ask once from the machine that will carry the traffic. The same key may be refused elsewhere.")]
    steps += [_("A key of one region is not known in another: ask each before it is called bad.")] * bool(regions)
    table = Table(tuple(map(Column, columns)), refusals)
    said = Section(_("Answers that refuse the place"), rules.sources(), table=table)
    return _page(
        model,
        angle,
        _("catalog plus runtime"),
        _("Where %(model)s is refused for region or IP, and by which answer each seller says so.") % words,
        _(
            "A seller can refuse the place a request comes from, whatever the key. "
            "Sellers where this is known: %(sellers)s."
        )
        % words,
        *((said,) if refusals else ()),
        *((Section(_("Regions that know different keys"), facts=regions),) if regions else ()),
        Section(_("How to prove it"), bullets=tuple(steps)),
        Section(_("Operator action"), _("Change the egress IP or the region, then ask again.")),
    )


ANGLES = (
    Angle(
        "rpm-limit",
        gettext_lazy("RPM limit"),
        *_of_key(
            limits.REQUESTS,
            gettext_lazy("How many requests a key may send is set for its account, not for the model's name."),
            gettext_lazy("Throttle the route below the number read, and alert before it is used up."),
        ),
    ),
    Angle(
        "tpm-limit",
        gettext_lazy("TPM limit"),
        *_of_key(
            limits.TOKENS,
            gettext_lazy("Long prompts reach the token limit before the request limit."),
            gettext_lazy("Divide the number read by the tokens of a usual request: that is the rate to sell."),
        ),
    ),
    Angle(
        "concurrency",
        gettext_lazy("concurrency limit"),
        *_of_key(
            limits.CONCURRENCY,
            gettext_lazy("Requests that run at the same time are counted apart from requests per minute."),
            gettext_lazy("Give the route as many workers as the number read, and queue the rest."),
        ),
    ),
    Angle(
        "reset-window",
        gettext_lazy("reset window"),
        *_of_key(
            limits.RESET,
            gettext_lazy("A limit that is used up comes back at a moment that some sellers tell."),
            gettext_lazy("Hold requests until the moment read instead of trying again at once."),
        ),
    ),
    Angle(
        "context-window",
        gettext_lazy("context window limit"),
        *_of_model(
            lambda m: m.context_window,
            gettext_lazy("Sellers cut the context of %(model)s differently: from %(least)s to %(most)s tokens."),
            gettext_lazy("The context of %(model)s holds up to %(most)s tokens."),
            gettext_lazy(
                "Tag the listing with the seller's own figure, and route longer prompts to a seller with more."
            ),
        ),
    ),
    Angle(
        "max-output",
        gettext_lazy("max output limit"),
        *_of_model(
            lambda m: m.max_output,
            gettext_lazy("How long an answer of %(model)s may be differs: from %(least)s to %(most)s tokens."),
            gettext_lazy("One answer of %(model)s is at most %(most)s tokens long."),
            gettext_lazy("Cap max_tokens at the seller's figure, so that a request is not refused for asking more."),
        ),
    ),
    Angle("region-ip", gettext_lazy("region and IP limit"), lambda model: bool(_told_of_place(model)), _place),
)
