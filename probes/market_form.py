"""What a visitor may ask of the market, and the one address of each question."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from probes import formats
from probes.formats import begun
from probes.models.catalogue import ROUTES
from probes.pages.models import ABILITIES, MODALITIES
from probes.pages.shelf import Seller
from probes.widgets import Select

ANY = ("", "–")
SORTS = {
    "sellers": gettext_lazy("Most sellers"),
    "name": gettext_lazy("Name"),
    "input": gettext_lazy("Lowest input price"),
    "output": gettext_lazy("Lowest output price"),
    "context": gettext_lazy("Largest context window"),
}
TYPED = ("q", "context", "price")
SEPARATORS = dict.fromkeys(map(ord, ",. \u00a0\u202f"))  # in large numbers, as people write them


def _number() -> forms.TextInput:
    return forms.TextInput({"inputmode": "decimal"})  # shows again what was typed, also if it was no number


class Filters(forms.Form):
    """Its fields stand in the order of the address. What is wrong is told beside its field, and left out."""

    q = forms.CharField(label=gettext_lazy("Search by id or name"), required=False, max_length=100)
    provider = forms.ChoiceField(label=gettext_lazy("Seller"), required=False, widget=Select)
    route = forms.ChoiceField(
        label=gettext_lazy("Market"),
        required=False,
        choices=[ANY, *begun(ROUTES)],
        widget=Select,
    )
    context = forms.IntegerField(
        label=gettext_lazy("Context window, at least"),
        required=False,
        min_value=1,
        max_value=1_000_000_000,
        widget=_number(),
    )
    input = forms.ChoiceField(
        label=gettext_lazy("Takes"),
        required=False,
        choices=[ANY, *begun(MODALITIES)],
        widget=Select,
    )
    output = forms.ChoiceField(
        label=gettext_lazy("Gives"),
        required=False,
        choices=[ANY, *begun(MODALITIES)],
        widget=Select,
    )
    can = forms.MultipleChoiceField(
        label=gettext_lazy("Can do"),
        required=False,
        choices=begun(ABILITIES),
        widget=forms.CheckboxSelectMultiple,
    )
    price = forms.DecimalField(
        label=gettext_lazy("Input price, at most"),
        required=False,
        min_value=0,
        max_value=1_000_000,
        decimal_places=6,
        widget=_number(),
    )
    free = forms.BooleanField(label=gettext_lazy("Only at a price of 0"), required=False)
    sort = forms.ChoiceField(
        label=gettext_lazy("Sorted by"),
        required=False,
        choices=list(SORTS.items()),
        widget=Select,
    )
    page = forms.IntegerField(required=False, min_value=1, max_value=10_000)

    def __init__(self, data: QueryDict, sellers: Iterable[Seller]) -> None:
        typed = data.copy()
        if "price" in typed:
            typed["price"] = str(typed["price"]).replace(",", ".")
        if "context" in typed:
            typed["context"] = str(typed["context"]).translate(SEPARATORS)
        super().__init__(typed, auto_id="filter-%s")
        for field in self.fields.values():
            if isinstance(field, forms.ChoiceField):  # Django's words repeat what was sent
                field.error_messages["invalid_choice"] = _("This choice is not known here.")
        self.fields["provider"].choices = [ANY, *((s.slug, s.name) for s in sellers)]  # type: ignore[attr-defined]
        self.full_clean()

    def clean_q(self) -> str:
        return " ".join(self.cleaned_data["q"].split())

    def clean_can(self) -> list[str]:
        return [slug for slug in ABILITIES if slug in self.cleaned_data["can"]]

    @property
    def page_number(self) -> int:
        return self.cleaned_data.get("page") or 1

    @property
    def typed(self) -> bool:
        """Whether it is one of endlessly many questions."""
        return any(self.cleaned_data.get(name) not in (None, "") for name in TYPED)

    @property
    def narrowed(self) -> bool:
        return bool(self.pairs(but=("q", "sort", "page")))

    @property
    def asked(self) -> bool:
        """Whether there is anything to clear."""
        return bool(self.pairs(but=("page",)))

    def pairs(self, but: tuple[str, ...] = (), **other: Any) -> list[tuple[str, str]]:
        """The question as its address has it: in one order, without what goes without saying."""
        chosen = {name: self.cleaned_data.get(name) for name in self.fields} | other
        found = []
        for name, value in chosen.items():
            values = value if isinstance(value, list) else [value]
            if name not in but and (name, value) not in (("sort", "sellers"), ("page", 1)):
                found += [(name, _plain(each)) for each in values if each not in (None, "") and each is not False]
        return found

    def query(self, but: tuple[str, ...] = (), **other: Any) -> str:
        """Empty, or with its question mark."""
        pairs = self.pairs(but, **other)
        return f"?{urlencode(pairs)}" if pairs else ""

    def drops(self) -> list[tuple[str, str]]:
        """Each filter in words, and the question without it."""
        found = []
        for name, field in self.fields.items():
            if name not in ("sort", "page") and self.pairs(tuple(self.fields.keys() - {name})):
                words = formats.named(str(field.label), self._said(name))
                found.append((words, self.query(but=(name, "page"))))
        return found

    def _said(self, name: str) -> str:
        value, field = self.cleaned_data[name], self.fields[name]
        if isinstance(field, forms.ChoiceField):
            words = dict(field.choices)  # type: ignore[arg-type]
            return formats.listed(str(words[each]) for each in (value if isinstance(value, list) else [value]))
        if name == "price":
            return formats.price(value)
        if name == "context":
            return formats.number(value)
        return _("yes") if value is True else str(value)


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    return "1" if value is True else str(value)
