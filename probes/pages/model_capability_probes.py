"""The family model × capability: which seller's row shows it, which does not. Pure, no ORM.

What no row says of any model (streaming) has no page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes.pages import models
from probes.pages.models import ABILITIES, ABOVE, MODALITIES, Angle, Model, Words, figure
from probes.pages.page import Card, Cell, Column, Page, Section, Table
from probes.pages.shelf import Offer, Shelf, distinct
from probes.terms import AIModel

__all__ = ["ABOVE", "find", "links", "slugs"]

FAMILY = "model-capability-probes"


@dataclass(frozen=True)
class Shown:
    """Where a row shows a capability, and how a call proves it."""

    listed: Callable[[AIModel], tuple[str, ...]]  # the words of the row in which it would stand
    word: str
    proof: Words  # the smallest call that shows it
    lack_tells: bool = False  # a row that says something else is worth a page although nobody shows it

    def at(self, offer: Offer) -> bool | None:
        """None: the row says nothing of the kind."""
        words = self.listed(offer.model)
        return self.word in words if words else None


def slugs(shelf: Shelf) -> list[str]:
    return models.slugs(shelf, ANGLES)


def find(shelf: Shelf, slug: str) -> Page | None:
    return models.find(shelf, slug, ANGLES)


def links(model: Model) -> Iterable[models.Link]:
    return models.links(model, FAMILY, ANGLES)


def _angle(slug: str, label: Words, shown: Shown) -> Angle:
    def has(model: Model) -> bool:
        states = [shown.at(offer) for offer in model.offers]
        return True in states or (shown.lack_tells and False in states)

    def page(model: Model, angle: Angle) -> Page:
        return _page(model, angle, shown)

    return Angle(slug, label, has, page)


def _page(model: Model, angle: Angle, shown: Shown) -> Page:
    def of(state: bool | None) -> list[str]:
        return distinct([offer.provider.name for offer in model.offers if shown.at(offer) is state])

    yes, no, unsaid = of(True), of(False), of(None)
    signal = _("catalog shows support") if yes else _("runtime probe required")
    words = {"model": model.described, "label": str(angle.label), "yes": models.some(yes), "no": models.some(no)}
    if yes and no:
        lead = _("The catalogue shows %(label)s for %(model)s at %(yes)s, and not at %(no)s.")
    elif yes:
        lead = _("The catalogue shows %(label)s for %(model)s at %(yes)s.")
    else:
        lead = _("What the catalogue lists for %(model)s does not include %(label)s.")
    steps = [str(shown.proof)]
    if no:
        steps.append(_("Where it is not listed, expect a 400 that names the field, or an answer that ignores it."))
    if unsaid:
        steps.append(_("The rows of %s say nothing of it: there only a call tells.") % models.some(unsaid))
    action = _("Tag the listing with it for the sellers that show it, and route such requests to them alone.")
    if not yes:
        action = _("Do not sell this model for it until a call has shown it; suggest another model as a fallback.")
    window = _("Context window: %s") % figure(next(iter(model.windows), None))
    return models.page(
        model,
        angle,
        (FAMILY, ANGLES),
        kicker=_("Model capability probe"),
        description=_description(words, bool(yes)),
        lead=lead % words,
        cards=(
            Card(_("Capability"), str(angle.label), angle.slug),
            Card(_("Catalog signal"), signal, window),
        ),
        summary=(_("Capability probe summary"), ((_("Capability"), angle.slug), (_("Catalog signal"), signal))),
        sections=(
            Section(_("Seller by seller"), table=_table(model, shown)),
            Section(_("How to prove it during checking"), bullets=tuple(steps)),
            Section(_("Next action"), action),
        ),
    )


def _description(words: dict[str, str], shows: bool) -> str:
    if shows:
        return (
            _("%(model)s, %(label)s: which sellers' rows show it, which do not, and the call that proves it.") % words
        )
    return (
        _("%(model)s, %(label)s: no seller's row shows it. What the rows list instead, and the call that tells.")
        % words
    )


def _table(model: Model, shown: Shown) -> Table:
    states = {True: (_("yes"), "yes", "●"), False: (_("not listed"), "no", "○"), None: (_("not known"), "unknown", "·")}

    def cell(offer: Offer) -> Cell:
        text, tone, shape = states[shown.at(offer)]
        return Cell(text, tone=tone, shape=shape)

    return Table(
        (Column(_("Seller")), Column(_("Model id"), "mono"), Column(_("Listed")), Column(_("Its row lists"))),
        tuple(
            (
                models.seller_cell(offer),
                offer.model.id,
                cell(offer),
                " · ".join(_listed(shown, offer)) or _("nothing listed"),
            )
            for offer in model.offers
        ),
    )


def _listed(shown: Shown, offer: Offer) -> list[str]:
    words = shown.listed(offer.model)
    return models.words_of(words, ABILITIES) + models.words_of(words, MODALITIES)


def _parameters(model: AIModel) -> tuple[str, ...]:
    return model.parameters


def _taken(model: AIModel) -> tuple[str, ...]:
    return model.input_modalities


def _given(model: AIModel) -> tuple[str, ...]:
    return model.output_modalities


ANGLES = (
    _angle(
        "tool-calling",
        gettext_lazy("tool calling"),
        Shown(
            _parameters,
            "tool_call",
            gettext_lazy("Send one tool without parameters and ask for it by name: a tool call comes back, or none."),
            lack_tells=True,
        ),
    ),
    _angle(
        "structured-output",
        gettext_lazy("structured output"),
        Shown(
            _parameters,
            "structured_output",
            gettext_lazy("Send a JSON schema of one field as the response format: the answer parses, or it does not."),
        ),
    ),
    _angle(
        "reasoning",
        gettext_lazy("reasoning"),
        Shown(
            _parameters,
            "reasoning",
            gettext_lazy("Ask one short question and look at the usage: reasoning tokens are counted apart."),
        ),
    ),
    _angle(
        "attachments",
        gettext_lazy("attachments"),
        Shown(
            _parameters,
            "attachment",
            gettext_lazy("Send the smallest file that the seller documents, with one question on it."),
        ),
    ),
    _angle(
        "vision",
        gettext_lazy("image input"),
        Shown(
            _taken,
            "image",
            gettext_lazy("Send an image of a single colour and ask which: a model that cannot see says so or guesses."),
        ),
    ),
    _angle(
        "pdf-input",
        gettext_lazy("PDF input"),
        Shown(_taken, "pdf", gettext_lazy("Send a one-page PDF that holds one word, and ask for the word.")),
    ),
    _angle(
        "audio-input",
        gettext_lazy("audio input"),
        Shown(_taken, "audio", gettext_lazy("Send a second of speech, and ask which word was said.")),
    ),
    _angle(
        "video-input",
        gettext_lazy("video input"),
        Shown(_taken, "video", gettext_lazy("Send a clip of two seconds, and ask what changes in it.")),
    ),
    _angle(
        "image-output",
        gettext_lazy("image output"),
        Shown(_given, "image", gettext_lazy("Ask for the smallest size on offer. Each image is charged, so ask once.")),
    ),
    _angle(
        "audio-output",
        gettext_lazy("audio output"),
        Shown(
            _given, "audio", gettext_lazy("Ask for one spoken word, and look at the content type of what comes back.")
        ),
    ),
)
