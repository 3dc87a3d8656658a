"""The form: keys, one a line; a provider or "find out"; a base URL or none. It says for each line where it would go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from probes import guard, words
from probes.examination import CLAIM_WITHOUT_CHOICE
from probes.models import Check, Detection, State, current
from probes.paste import Pasted, count, lines
from probes.terms import Catalogue


@dataclass(frozen=True)
class Planned:
    """One key and where it goes: `provider` "" and state needs_choice where nobody has said yet."""

    pasted: Pasted
    provider: str
    base_url: str
    state: State
    candidates: tuple[str, ...]


@dataclass
class Plan:
    keys: list[Planned] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)  # {"line", "reason"}


class Unechoed:
    """A widget that never prints what was posted: it may be a key."""

    def format_value(self, value: Any) -> str:
        return ""


class KeysWidget(Unechoed, forms.Textarea):
    pass


class BaseUrlWidget(Unechoed, forms.TextInput):
    pass


class KeysField(forms.CharField):
    """A NUL is the fault of its line, not of the whole paste."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validators = [v for v in self.validators if not isinstance(v, ProhibitNullCharactersValidator)]


class DestinationForm(forms.Form):
    """Where a key goes: a provider, or a base URL, or neither."""

    provider = forms.ChoiceField(
        label=_("Provider"),
        help_text=_("“find out” goes by the key's shape."),
        required=False,
        error_messages={"invalid_choice": _("There is no such provider here; choose one of the list.")},
    )
    base_url = forms.CharField(
        label=_("Base URL"),
        help_text=_("Only if the key came with one: a gateway's or relay's address."),
        required=False,
        max_length=300,
        error_messages={"max_length": _("The base URL is longer than %(limit_value)d characters.")},
        widget=BaseUrlWidget(
            attrs={"inputmode": "url", "autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.catalogue: Catalogue = current()
        named = sorted(
            (p.name.casefold(), slug, p.name) for slug, p in self.catalogue.providers.items() if not p.retired
        )
        choices: Any = [("", _("find out")), *((slug, name) for _key, slug, name in named)]
        self.fields["provider"].choices = choices  # type: ignore[attr-defined]

    def clean_base_url(self) -> str:
        text = self.cleaned_data["base_url"].strip()
        if not text:
            return ""
        try:
            return guard.base_url(text, tuple(settings.PRIVATE_GATEWAYS))
        except guard.BaseUrlError as error:
            raise forms.ValidationError(str(words.BASE_URL_FAULTS[error.args[0]])) from None

    def clean(self) -> dict[str, Any]:
        """A base URL that is a provider's own is that provider, at its own origins."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        base_url, chosen = cleaned["base_url"], cleaned["provider"]
        owner = next((p for p in self.catalogue.providers.values() if p.owns(base_url)), None)
        if owner and chosen not in ("", owner.slug):
            self.add_error("base_url", words.BASE_URL_FAULTS["other_provider"] % {"detail": owner.name})
        elif owner:
            parts = urlsplit(base_url)
            own = f"{parts.scheme}://{parts.netloc}" if parts.netloc.endswith(owner.own_hosts) else ""
            return cleaned | {"provider": owner.slug, "base_url": own}
        elif chosen and not base_url and not self.catalogue.providers[chosen].origins:
            self.add_error("base_url", _("This provider gives each customer a host of his own: put it here."))
        return cleaned

    @property
    def default_claim(self) -> str:
        """What a base URL is taken to speak when nobody says: OpenAI's protocol."""
        return CLAIM_WITHOUT_CHOICE if CLAIM_WITHOUT_CHOICE in self.catalogue.providers else ""


class CheckForm(DestinationForm):
    keys = KeysField(
        label=_("Keys"),
        help_text=_("One key a line, at most 50. Names and quotes around a key do not hurt."),
        strip=False,
        max_length=400_000,
        error_messages={
            "required": _("Paste at least one key."),
            "max_length": _("This is more text than %(limit_value)d characters; paste the keys alone."),
        },
        widget=KeysWidget(
            attrs={"rows": 5, "spellcheck": "false", "autocomplete": "off", "autocapitalize": "none", "wrap": "off"}
        ),
    )
    field_order = ("keys", "provider", "base_url")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.plan = Plan()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.errors:
            return cleaned
        self._check_count(count(cleaned["keys"]))
        if not self.errors:
            pasted = lines(cleaned["keys"], self.catalogue)
            self.plan = self._planned(pasted, cleaned["provider"], cleaned["base_url"])
            if not self.plan.keys:
                self.add_error("keys", _("None of these lines holds a key that can be sent."))
        return cleaned

    def _check_count(self, found: int) -> None:
        if not found:
            self.add_error("keys", self.fields["keys"].error_messages["required"])
        if found > settings.MAX_KEYS:
            message = ngettext_lazy(
                "At most %(most)d key at once; these are %(count)d.",
                "At most %(most)d keys at once; these are %(count)d.",
                settings.MAX_KEYS,
            )
            self.add_error("keys", message % {"most": settings.MAX_KEYS, "count": found})

    def _planned(self, pasted: list[Pasted], provider: str, base_url: str) -> Plan:
        plan = Plan()
        for found in pasted:
            line = self._contradicted(found, provider)
            if line.fault:
                reason = str(words.FAULTS[line.fault]) % {"detail": _(line.detail) if line.detail else ""}
                plan.refused.append({"line": line.line, "reason": reason})
            else:
                plan.keys.append(self._one(line, provider, base_url))
        return plan

    def _contradicted(self, line: Pasted, provider: str) -> Pasted:
        """Another's distinctive shape beats the operator's choice: the key would go to a stranger."""
        match = line.match
        if line.fault or not provider or not match.distinctive or match.candidates == (provider,):
            return line
        owner = self.catalogue.providers[match.candidates[0]].name
        return replace(line, secret=None, fault="wrong_provider", detail=owner)

    def _one(self, line: Pasted, provider: str, base_url: str) -> Planned:
        match = line.match
        known = provider or (match.candidates[0] if match.distinctive else "")
        if base_url:
            known = known or self.default_claim
        elif known and not self.catalogue.providers[known].origins:
            known = ""  # its customers have hosts of their own: which one is asked
        state = State.QUEUED if known else State.NEEDS_CHOICE
        return Planned(line, known, base_url, state, match.candidates)


class ChoiceForm(DestinationForm):
    """For one key that waits: the provider whose it is, or the base URL that it came with."""

    line = forms.IntegerField()

    def __init__(self, check: Check, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.check_of = check

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        self._contradiction(cleaned)
        if not self.errors and not cleaned["provider"] and not cleaned["base_url"]:
            self.add_error("provider", _("Choose a provider, or give the base URL that the key came with."))
        return cleaned | {"provider": cleaned.get("provider") or self.default_claim}

    def _contradiction(self, cleaned: dict[str, Any]) -> None:
        """As at the first form: a key that only one provider's keys look like goes to no other."""
        line, chosen = cleaned.get("line"), cleaned.get("provider")
        if line is None or not chosen or self.check_of.pk is None:
            return
        rows = Detection.objects.filter(check_of=self.check_of, line=line, distinctive=True)
        candidates = rows.values_list("candidates", flat=True).first()
        if candidates and chosen not in candidates:
            owner = self.catalogue.providers[candidates[0]].name
            self.add_error("provider", str(words.FAULTS["wrong_provider"]) % {"detail": owner})
