"""Which base URL belongs to a key: by their names, by the scopes that they stand in, by their order. Pure."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

NEAR = 50  # scopes and base URLs that are looked at round a key


@dataclass
class Scope:
    """kind: an opening bracket, "indent", "item", "command", "row", or "text" for all of it."""

    kind: str
    parent: int
    name: str = ""  # of an array: what each of its items is
    indent: int = -1


@dataclass(frozen=True)
class Place:
    scope: int
    block: int  # blank lines part blocks; a scope in brackets is in one
    line: int
    order: int
    subject: str


class Near:
    """Which base URL belongs to a key: one of the same subject, else the nearest in the closest scope round it."""

    def __init__(self, scopes: list[Scope], urls: list[tuple[Place, str]], keys: list[Place]) -> None:
        self.scopes = scopes
        self.first_key: dict[tuple[int, int], int] = {}
        self.keys: Counter[tuple[int, int]] = Counter()
        self.taken = {key.subject for key in keys if key.subject}  # base URLs of these have keys of their own
        for key in keys:
            for group in self._round(key):
                self.first_key.setdefault(group, key.order)
                self.keys[group] += 1
        self.by_subject: dict[str, list[tuple[int, Place, str]]] = {}
        self.by_group: dict[tuple[int, int], list[tuple[int, Place, str]]] = {}
        for place, url in urls:
            self.by_subject.setdefault(place.subject, []).append((place.order, place, url))
            self.by_group.setdefault(self._reach(place), []).append((place.order, place, url))
        apart = [g for g in self.by_group if g[0] == 0 and g not in self.first_key]
        said = {url for group in apart for _order, _place, url in self.by_group[group]}
        self.for_all = said.pop() if len(said) == 1 else ""  # the one address that stands apart from all keys

    def base_url(self, key: Place) -> str:
        for subject in filter(None, (key.subject, key.subject.rstrip("0123456789"))):
            if subject in self.by_subject:
                return self._pick(self.by_subject[subject], key, after=False)
        for group in self._round(key):
            sole = group[0] != 0 or self.keys[group] == 1
            row = self.scopes[group[0]].kind == "row"
            fitting = [
                each
                for each in self._window(self.by_group.get(group, []), key)
                if row or (each[1].subject not in self.taken and (not key.subject or (not each[1].subject and sole)))
            ]
            if fitting:
                return self._pick(fitting, key, after=self.first_key[group] < self.by_group[group][0][0])
        return self.for_all if not key.subject else ""

    def _pick(self, urls: list[tuple[int, Place, str]], key: Place, after: bool) -> str:
        """The last before the key, or the first after it where the keys come first."""
        urls = [each for each in urls if each[1].line == key.line] or urls
        at = bisect(urls, key.order, key=lambda each: each[0])
        if after:
            return urls[min(at, len(urls) - 1)][2]
        return urls[max(at - 1, 0)][2]

    @staticmethod
    def _window(urls: list[tuple[int, Place, str]], key: Place) -> list[tuple[int, Place, str]]:
        at = bisect(urls, key.order, key=lambda each: each[0])
        return urls[max(0, at - NEAR) : at + NEAR]

    def _round(self, place: Place) -> Iterator[tuple[int, int]]:
        """The scopes round a place, from the innermost."""
        scope = place.scope
        for _ in range(NEAR):
            yield scope, 0 if scope else place.block
            if not scope:
                break
            scope = self.scopes[scope].parent

    def _reach(self, place: Place) -> tuple[int, int]:
        """The scope that a base URL is for: wider than its own where that is an item without keys, or a call."""
        for group in self._round(place):
            scope = self.scopes[group[0]]
            listed = scope.kind == "{" and self.scopes[scope.parent].kind == "["
            if group in self.first_key or not (listed or scope.kind in ("[", "(", "item")):
                break
        return group
