"""The form: any paste or files; a provider or "find out"; a base URL or none. It says of each key where it would go."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from probes import find, guard, paste, words
from probes.examination import CLAIM_WITHOUT_CHOICE
from probes.exchange import Redactor
from probes.models import State, current
from probes.models.shelf import shelf
from probes.pages.shelf import Seller
from probes.paste import Pasted
from probes.secret import Secret
from probes.terms import Catalogue, Provider
from probes.widgets import Select

LONGEST_BASE_URL = 300


@dataclass(frozen=True)
class Planned:
    """One key and where it goes: `provider` "" and state needs_choice where nobody has said yet."""

    pasted: Pasted
    provider: str
    base_url: str
    state: State
    candidates: tuple[str, ...]

    @property
    def secret(self) -> Secret:
        return cast(Secret, self.pasted.secret)  # what holds no key is refused, not planned


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


class NameWidget(Unechoed, forms.TextInput):
    """For who signs in."""


class KeysField(forms.CharField):
    """A NUL is the fault of its line, not of the whole paste."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validators = [v for v in self.validators if not isinstance(v, ProhibitNullCharactersValidator)]

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """No maxlength: a browser would cut a longer paste without a word."""
        return {}


class DestinationForm(forms.Form):
    """Where a key goes: a provider, or a base URL, or neither."""

    provider = forms.ChoiceField(
        label=_("Provider"),
        help_text=_("“Find out” goes by the key's shape."),
        required=False,
        error_messages={"invalid_choice": _("There is no such provider here; choose one of the list.")},
        widget=Select,
    )
    base_url = forms.CharField(
        label=_("Base URL"),
        help_text=_("Only if the key came with one."),
        required=False,
        max_length=LONGEST_BASE_URL,
        error_messages={"max_length": _("The base URL is longer than %(limit_value)d characters.")},
        widget=BaseUrlWidget(
            attrs={"inputmode": "url", "autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What is shown needs names alone; what is sent is read by the whole catalogue.
        known: Iterable[Provider | Seller] = (self.catalogue.providers if self.is_bound else shelf().names()).values()
        named = sorted((p.name.casefold(), p.slug, p.name) for p in known if not p.retired)
        choices: Any = [("", _("Find out")), *((slug, name) for _key, slug, name in named)]
        self.fields["provider"].choices = choices  # type: ignore[attr-defined]

    @cached_property
    def catalogue(self) -> Catalogue:
        return current()

    def clean_base_url(self) -> str:
        try:
            return checked_base_url(self.cleaned_data["base_url"])
        except guard.BaseUrlError as error:
            raise forms.ValidationError(str(words.BASE_URL_FAULTS[error.args[0]])) from None

    def clean(self) -> dict[str, Any]:
        """A base URL that is a provider's own is that provider, at its own origins."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            provider, base_url = destination(self.catalogue, cleaned["provider"], cleaned["base_url"])
        except Elsewhere as error:
            self.add_error(error.field, error.args[0])
            return cleaned
        return cleaned | {"provider": provider, "base_url": base_url}


class Elsewhere(ValueError):
    """A provider and a base URL that do not go together; `args[0]` says why, `field` where."""

    def __init__(self, field: str, message: Any) -> None:
        super().__init__(message)
        self.field = field


def checked_base_url(text: str) -> str:
    """The base URL in its one spelling, "" for none. Raises guard.BaseUrlError."""
    text = text.strip()
    if _holds_key(text):
        raise guard.BaseUrlError("holds_key")
    own = [host for host in settings.ALLOWED_HOSTS if host != "*"]
    return guard.base_url(text, tuple(settings.PRIVATE_GATEWAYS), tuple(own)) if text else ""


def _holds_key(base_url: str) -> bool:
    """Whether a part of its host or path has the shape of a key: an address is stored, shown and looked up."""
    parts = [*base_url.split("/"), *re.split("[/.]", base_url)]
    shapes = [paste.whose(part, current()).shape for part in parts]
    return any(shape.prefix for shape in shapes if shape)


def destination(catalogue: Catalogue, provider: str, base_url: str) -> tuple[str, str]:
    """(provider, base URL) of a choice; a base URL that is a provider's own is left out. Raises Elsewhere."""
    owner = owner_of(catalogue, base_url)
    if owner and provider not in ("", owner.slug):
        raise Elsewhere("base_url", words.BASE_URL_FAULTS["other_provider"] % {"detail": owner.name})
    if owner:
        parts = urlsplit(base_url)
        return owner.slug, f"{parts.scheme}://{parts.netloc}" if parts.netloc.endswith(owner.own_hosts) else ""
    if provider and not base_url and not catalogue.providers[provider].origins:
        raise Elsewhere("base_url", _("This provider gives each customer a host of his own: put it here."))
    return provider, base_url


def owner_of(catalogue: Catalogue, base_url: str) -> Provider | None:
    """The provider whose own address this is."""
    return next((p for p in catalogue.providers.values() if p.owns(base_url)), None) if base_url else None


def default_claim(catalogue: Catalogue) -> str:
    """What a base URL is taken to speak when nobody says: OpenAI's protocol."""
    return CLAIM_WITHOUT_CHOICE if CLAIM_WITHOUT_CHOICE in catalogue.providers else ""


class InMemory(MemoryFileUploadHandler):
    """Files go to memory alone; a post that is larger than it may take is refused before it is read."""

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        super().handle_raw_input(*args, **kwargs)
        if not self.activated:
            raise RequestDataTooBig


class FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files: cleaned to a list."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=FilesInput(attrs={"multiple": True}), **kwargs)

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        return [super(FilesField, self).clean(each, initial) for each in (data or []) if each]


class CheckForm(DestinationForm):
    """What was pasted, and where it may go. Its `plan` says it key by key.

    most: how many keys may be given at once. at_once: start what is clear without a review, as programs want it;
    otherwise one clear key alone starts, and everything else waits for the operator's start.
    """

    keys = KeysField(
        label=_("Keys"),
        help_text=_("Whatever holds them: a key, a list, .env, JSON, CSV, a curl command, a gateway's config."),
        required=False,
        strip=False,
        max_length=settings.PASTE_BYTES,
        error_messages={
            "max_length": _("This is more text than %(limit_value)d characters; paste the part with the keys."),
        },
        widget=KeysWidget(attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off", "autocapitalize": "none"}),
    )
    files = FilesField(  # type: ignore[assignment]
        label=_("Files"),
        required=False,
        error_messages={"empty": _("A file is empty."), "invalid": _("A file did not arrive whole; choose it again.")},
    )
    spend = forms.BooleanField(label=_("Also ask probes that may spend up to 1 token per key"), required=False)
    submission = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    field_order = ("keys", "files", "provider", "base_url", "spend", "submission")

    def __init__(self, *args: Any, most: int | None = None, at_once: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.most = settings.MAX_KEYS if most is None else most
        self.at_once = at_once
        self.plan = Plan()

    def clean_files(self) -> str:
        """The files' text. A file is text in UTF-8, or in UTF-16 with its mark."""
        files = self.cleaned_data["files"]
        if sum(file.size for file in files) > settings.PASTE_BYTES:
            raise forms.ValidationError(_("The files are larger than 1 MiB together; give the part with the keys."))
        return "\n".join(decoded(file.read()) for file in files)

    @property
    def limited(self) -> bool:
        """Whether an account would let in more."""
        return self.most < settings.MAX_KEYS

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.errors:
            return cleaned
        text = "\n".join(part for part in (cleaned["keys"], cleaned["files"]) if part)
        pasted = find.keys(text, self.catalogue, self.most)
        found = sum(bool(key.secret) for key in pasted)
        if not pasted:
            self.add_error("keys", _("Paste at least one key."))
        elif found > self.most:
            self.add_error("keys", self._too_many())
        else:
            self.plan = self._planned(pasted, cleaned["provider"], cleaned["base_url"])
            typed = self.data.get("base_url", "")
            if Redactor(*(key.pasted.secret for key in self.plan.keys))(typed) != typed:
                self.add_error("base_url", str(words.BASE_URL_FAULTS["holds_key"]))
            if not self.plan.keys:
                self.add_error("keys", _("Nothing in this holds a key that can be sent."))
        return cleaned

    def _too_many(self) -> Any:
        if self.limited:
            text = ngettext_lazy(
                "Without an account at most %(most)d key at once; sign in for more.",
                "Without an account at most %(most)d keys at once; sign in for more.",
                self.most,
            )
        else:
            text = ngettext_lazy(
                "At most %(most)d key at once; give the rest after it.",
                "At most %(most)d keys at once; give the rest after them.",
                self.most,
            )
        return text % {"most": self.most}

    def _planned(self, pasted: list[Pasted], provider: str, base_url: str) -> Plan:
        plan = Plan()
        for found in pasted:
            line = self._contradicted(found, provider)
            if line.fault:
                reason = str(words.FAULTS[line.fault]) % {"detail": _(line.detail) if line.detail else ""}
                plan.refused.append({"line": line.line, "reason": reason})
            else:
                plan.keys.append(self._one(line, provider, base_url))
        typed = bool(provider or base_url)
        clear = [key for key in plan.keys if key.state == State.READY and (typed or not key.base_url)]
        if self.at_once or (len(plan.keys) == 1 and clear):
            ready = [key if key.state != State.READY else replace(key, state=State.QUEUED) for key in plan.keys]
            plan.keys = ready
        return plan

    def _contradicted(self, line: Pasted, provider: str) -> Pasted:
        """Another's distinctive shape beats the choice, and the text's own address: the key would go to a stranger."""
        match = line.match
        if line.fault or not match.distinctive:
            return line
        beside = owner_of(self.catalogue, _or_none(line.base_url)) if not provider else None
        chosen = provider or (beside.slug if beside else match.candidates[0])
        if chosen == match.candidates[0]:
            return line
        owner = self.catalogue.providers[match.candidates[0]].name
        return replace(line, secret=None, fault="wrong_provider", detail=owner)

    def _one(self, line: Pasted, provider: str, base_url: str) -> Planned:
        """Where one key would go. What was typed counts before what stood beside the key."""
        match, notices = line.match, line.notices
        if not base_url and line.base_url:
            base_url = _or_none(line.base_url)
            if not base_url:
                notices = (*notices, "base_url_refused")
        known = provider or (match.candidates[0] if match.distinctive else "")
        try:
            known, base_url = destination(self.catalogue, known, base_url)
        except Elsewhere:
            known, base_url = "", ""  # its customers have hosts of their own: which one is asked
        if base_url:
            known = known or default_claim(self.catalogue)
        if "base_url_refused" in notices and not provider:
            known = ""  # it is a private gateway's, as it seems: its maker's own host would be a stranger
        state = State.READY if known else State.NEEDS_CHOICE
        return Planned(replace(line, notices=notices), known, base_url, state, match.candidates)


def _or_none(base_url: str) -> str:
    """A base URL that stood in the text, if it can be asked."""
    try:
        return checked_base_url(base_url) if len(base_url) <= LONGEST_BASE_URL else ""
    except guard.BaseUrlError:
        return ""


def decoded(raw: bytes) -> str:
    """A file's text; bytes that are none become U+FFFD, which no key holds."""
    wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    return raw.decode("utf-16" if wide else "utf-8-sig", errors="replace")
