"""Whose call goes next: a lane for each host, as wide as the host bears, by turns between those who wait. Pure.

A lane starts at its full width. A 429 halves it, once for all calls that were under way; each other answer widens it
by one. A host that says when to come back is left alone until then. When few places are left in all, lanes get no
more than NARROW each, so that a slow host with a thousand keys leaves room for a single key elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

RESERVE = 64  # places that wide lanes leave to others
NARROW = 16  # calls of one lane while only the reserve is left
LONGEST_PAUSE = 30.0  # seconds that a host's Retry-After may hold its lane
IN_A_ROW = 3  # refusals with no other answer between them mean the host, whatever each says of its key

Item = TypeVar("Item")


@dataclass
class Lane(Generic[Item]):
    most: int
    width: float
    running: int = 0
    wave: int = 0  # goes up at each halving: calls of an earlier wave halve no more
    paused_until: float = 0.0
    in_a_row: int = 0
    waiting: dict[str, deque[Item]] = field(default_factory=dict)  # by owner

    def next(self) -> Item:
        """The first owner's next, who then stands last."""
        owner = next(iter(self.waiting))
        queue = self.waiting.pop(owner)
        item = queue.popleft()
        if queue:
            self.waiting[owner] = queue
        return item


@dataclass(frozen=True)
class Place(Generic[Item]):
    """A call under way: what it is, and where and when it set out."""

    item: Item
    host: str
    wave: int


class Lanes(Generic[Item]):
    """places: how many calls may be under way at once, over all hosts. Times are seconds of one clock."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.running = 0
        self._lanes: dict[str, Lane[Item]] = {}

    def add(self, host: str, owner: str, item: Item, most: int) -> None:
        """most: calls that this host bears at once."""
        lane = self._lanes.get(host)
        if lane is None:
            lane = self._lanes[host] = Lane(most, most)
        lane.waiting.setdefault(owner, deque()).append(item)

    def take(self, now: float) -> Iterator[Place[Item]]:
        """What may set out now, one of each lane in turn."""
        open_lanes = [(host, lane) for host, lane in self._lanes.items() if lane.waiting and lane.paused_until <= now]
        while open_lanes and self.running < self.places:
            left = []
            for host, lane in open_lanes:
                few = self.places - self.running <= RESERVE
                if self.running < self.places and lane.running < min(lane.width, NARROW if few else lane.most):
                    lane.running += 1
                    self.running += 1
                    yield Place(lane.next(), host, lane.wave)
                    if lane.waiting:
                        left.append((host, lane))
            open_lanes = left

    def done(self, place: Place[Item]) -> None:
        """A call that set out has ended, however it went."""
        self._lanes[place.host].running -= 1
        self.running -= 1

    def welcome(self, place: Place[Item]) -> None:
        """It was answered, and not by a 429."""
        lane = self._lanes[place.host]
        lane.in_a_row = 0
        lane.width = min(lane.most, lane.width + 1)

    def refuse(self, place: Place[Item], now: float, retry_after: float, whole_host: bool) -> None:
        """It was answered by a 429. retry_after: seconds, 0 = not said. whole_host: it speaks of no key alone."""
        lane = self._lanes[place.host]
        lane.in_a_row += 1
        if place.wave == lane.wave:
            lane.width = max(1, int(lane.width / 2))
            lane.wave += 1
        if whole_host or lane.in_a_row >= IN_A_ROW:
            lane.paused_until = max(lane.paused_until, now + min(retry_after, LONGEST_PAUSE))

    def remove(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        """Take out what waits and is not wanted any more."""
        removed = []
        for lane in self._lanes.values():
            for owner, queue in list(lane.waiting.items()):
                out = [item for item in queue if unwanted(item)]
                if out:
                    removed += out
                    kept = deque(item for item in queue if not unwanted(item))
                    if kept:
                        lane.waiting[owner] = kept
                    else:
                        del lane.waiting[owner]
        return removed
