"""Hints that a relay's model list is not what it is said to be: evidence, never a verdict. Pure.

A hint is what the list says beside what the catalogue knows. Each is harmless by itself: software that lists models
often writes the same owner or day for all, and a window may be cut on purpose. Whoever buys from a relay wants to see.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from probes.evidence import MAX_MODELS
from probes.exchange import Exchange, clip
from probes.terms import Catalogue, Provider

Hint = dict[str, Any]
"""JSON-able: slug (of words.IDENTITY_EVIDENCE), and the values of its sentence."""

Odd = tuple[str, str]
"""A model's id, and what is odd of it where that is not said already."""

EXAMPLES = 3
ENOUGH = 3  # models: two that agree may do so by chance
NEAR = 0.05  # 128,000 and 131,072 are the same window, told in two ways
WINDOWS = ("context_length", "context_window", "max_model_len", "max_context_length")
COMMON = 3  # a word in so many names of providers ("cloud", "models") names none of them
MAX_OWNERS = 50  # of one list; the rarer ones are not looked at
NOBODY = ("system", "library", "user", "organization-owner", "custom", "unknown", "default", "none", "null")
STEM = 4  # letters from which on a beginning names the whole: "mistral" and "mistralai"


class Listed(NamedTuple):
    """One model as the list has it. `known` is its id without a vendor's part before it, in lower case."""

    id: str
    known: str
    owner: str
    entry: dict[str, Any]


@dataclass(frozen=True)
class Index:
    """What the catalogue knows of models and names, by what a list may say."""

    sellers: dict[str, frozenset[str]]  # model → slugs of the providers that offer it
    windows: dict[tuple[str, str], int]  # (slug, model) → context window
    versions: dict[str, frozenset[str]]  # first word of a model's name → the numbers that are known after it
    families: dict[str, frozenset[str]]  # slug → first words of its models' names
    spelled: dict[str, str]  # a provider's name or slug, letters and digits alone → its slug
    named: dict[str, frozenset[str]]  # a word or its beginning → slugs of the providers with that word in their name
    makers: frozenset[str]  # words before the slash of an id: who made a model that others offer


_kept: tuple[Catalogue, Index] | None = None


def hints(catalogue: Catalogue, exchange: Exchange, claim: Provider | None) -> list[Hint]:
    """What is odd in this model list, if the base URL were the claim's: at most one hint of a kind."""
    index = _index(catalogue)
    models = _listed(exchange.body)
    host = urlsplit(exchange.call.partition(" ")[2]).hostname or ""
    found: Iterable[Hint | None] = (_one_day(models), _windows(index, models, claim))
    if claim:
        found = (
            _others_models(index, models, claim),
            _other_owners(index, models, claim),
            _unheard_of(index, models, claim),
            *found,
        )
    return [{"host": host, **hint} for hint in found if hint]


def _listed(body: Any) -> list[Listed]:
    entries = (body.get("data") or body.get("models")) if isinstance(body, dict) else body
    models = []
    for entry in entries[:MAX_MODELS] if isinstance(entries, list) else ():
        name = (entry.get("id") or entry.get("name")) if isinstance(entry, dict) else None
        if isinstance(name, str):
            owner = entry.get("owned_by")
            models.append(Listed(name, _known(name), owner if isinstance(owner, str) else "", entry))
    return models


def _known(name: str) -> str:
    return name[:200].rpartition("/")[2].lower()


# What the catalogue knows


def _index(catalogue: Catalogue) -> Index:
    """Made once for a catalogue, which is a new object when a row has changed."""
    global _kept
    if _kept is None or _kept[0] is not catalogue:
        _kept = (catalogue, _indexed(catalogue))
    return _kept[1]


def _indexed(catalogue: Catalogue) -> Index:
    sellers: dict[str, set[str]] = {}
    windows: dict[tuple[str, str], int] = {}
    versions: dict[str, set[str]] = {}
    families: dict[str, set[str]] = {}
    makers: set[str] = set()
    for slug, provider in catalogue.providers.items():
        for model in provider.models:
            known = _known(model.id)
            family, version = _family(known), _version(known)
            sellers.setdefault(known, set()).add(slug)
            versions.setdefault(family, set()).add(version)
            families.setdefault(slug, set()).update({family} - {""})
            makers |= set(_words(model.id.partition("/")[0])) if "/" in model.id else set()
            if model.context_window:
                windows[slug, known] = model.context_window
    words = {slug: {*_words(slug), *_words(p.name)} for slug, p in catalogue.providers.items()}
    counts = Counter(word for own in words.values() for word in own)
    named: dict[str, set[str]] = {}
    for slug, own in words.items():
        for word in own:
            if counts[word] < COMMON:
                for end in {*range(STEM, len(word)), len(word)}:
                    named.setdefault(word[:end], set()).add(slug)
    return Index(
        {known: frozenset(slugs) for known, slugs in sellers.items()},
        windows,
        {family: frozenset(numbers) for family, numbers in versions.items()},
        {slug: frozenset(names) for slug, names in families.items()},
        {_spelled(name): slug for slug, p in catalogue.providers.items() for name in (p.name, slug)},
        {word: frozenset(slugs) for word, slugs in named.items()},
        frozenset(makers),
    )


def _spelled(text: str) -> str:
    return "".join(c for c in text[:64].lower() if c.isalnum())


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", text[:64].lower()) if len(word) > 2]


def _family(known: str) -> str:
    """The first word of a model's name: "gpt" of gpt-4o-mini."""
    word = re.match(r"[a-z]{3,}", known)
    return word[0] if word else ""


def _version(known: str) -> str:
    """The whole part of the first number in it: "4" of gpt-4.1-mini. A date is none."""
    number = re.search(r"(?<!\d)\d{1,3}(?!\d)", known[:64])
    return number[0] if number else ""


def _named(index: Index, owner: str) -> frozenset[str]:
    """The providers that an owner's name may mean."""
    if whole := index.spelled.get(_spelled(owner)):
        return frozenset({whole})
    parts = [word[:end] for word in _words(owner) for end in {*range(STEM, len(word)), len(word)}]
    return frozenset().union(*(index.named.get(part, ()) for part in parts))


# The hints


def _owners(index: Index, models: list[Listed]) -> dict[str, frozenset[str]]:
    """Whom the list's owners mean, the most frequent ones: nobody, where it is no provider of the catalogue."""
    counts = Counter(m.owner for m in models if m.owner.lower() not in NOBODY)
    return {owner: _named(index, owner) for owner, _count in counts.most_common(MAX_OWNERS) if _words(owner)}


def _others_models(index: Index, models: list[Listed], claim: Provider) -> Hint | None:
    """Models that are said to be the claim's own, and are known from others alone."""
    said_ours = {owner for owner, meant in _owners(index, models).items() if claim.slug in meant}
    own = index.families.get(claim.slug, frozenset())
    odd = [
        (m.id, "")
        for m in models
        if m.owner in said_ours
        and claim.slug not in index.sellers.get(m.known, {claim.slug})
        and _family(m.known) not in own  # an older one of its own
    ]
    if not odd:
        return None
    one = len(models) >= ENOUGH and len({m.owner for m in models}) == 1
    owner = next(m.owner for m in models if m.id == odd[0][0])
    return _hint("hint_one_owner" if one else "hint_owner", odd, owner=clip(owner, 40), total=len(models))


def _other_owners(index: Index, models: list[Listed], claim: Provider) -> Hint | None:
    """The claim's models with an owner who is neither the claim, nor another who offers them, nor a known maker."""
    others = {
        owner: meant
        for owner, meant in _owners(index, models).items()
        if claim.slug not in meant and (meant or not index.makers & set(_words(owner)))
    }
    odd = [
        (m.id, m.owner)
        for m in models
        if m.owner in others
        and claim.slug in (sellers := index.sellers.get(m.known, frozenset()))
        and not others[m.owner] & sellers
    ]
    return _hint("hint_other_owner", odd, claim=claim.name) if odd else None


def _unheard_of(index: Index, models: list[Listed], claim: Provider) -> Hint | None:
    """Models by the claim's names with a version that nobody in the catalogue offers."""
    own = index.families.get(claim.slug, frozenset())
    odd: list[Odd] = []
    for model in models:
        if model.known in index.sellers or (family := _family(model.known)) not in own:
            continue
        version = _version(model.known)
        if version and version not in index.versions[family]:
            odd.append((model.id, ""))
    return _hint("hint_unknown_model", odd, claim=claim.name) if odd else None


def _windows(index: Index, models: list[Listed], claim: Provider | None) -> Hint | None:
    """Models whose context window is not what the claim gives, or, of others' models, what anyone gives."""
    odd: list[Odd] = []
    for model in models:
        sellers = index.sellers.get(model.known, frozenset())
        told = next((model.entry[name] for name in WINDOWS if name in model.entry), None) if sellers else None
        if type(told) is not int or not 0 < told < 10**9:
            continue
        asked = {claim.slug} if claim and claim.slug in sellers else sellers
        known = [window for slug in asked if (window := index.windows.get((slug, model.known)))]
        if known and all(abs(told - window) > NEAR * window for window in known):
            odd.append((model.id, f"{told}, not {max(known)}"))
    return _hint("hint_context", odd) if odd else None


def _one_day(models: list[Listed]) -> Hint | None:
    """One instant at which all models were made. Zero is none."""
    days = {str(m.entry.get("created") or m.entry.get("created_at") or "") for m in models}
    if len(models) < ENOUGH or len(days) > 1 or days == {""}:
        return None
    return {"slug": "hint_created", "total": len(models), "day": _day(days.pop())}


def _day(moment: str) -> str:
    try:
        return dt.datetime.fromtimestamp(float(moment), dt.UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return clip(moment, 40)


def _hint(slug: str, odd: list[Odd], **values: Any) -> Hint:
    """The first few of what is odd, as `model (what is odd of it)`."""
    shown = [clip(name, 60) + (f" ({clip(why, 40)})" if why else "") for name, why in odd[:EXAMPLES]]
    return {"slug": slug, "count": len(odd), "examples": ", ".join(shown), **values}
