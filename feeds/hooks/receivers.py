"""
What the dispatcher knows of each receiver: how to call it, and how it has been doing. No sockets.

Receivers are kept apart here (design 4): each has places of its own, one that fails has fewer of
them until it succeeds, and all that fail together may never take more than half of the places.
"""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from feeds.hooks.claiming import ClaimedItem

# Leased ahead of a free place while a receiver keeps up, so that a batch is worth its round trip:
# as much as it has lately taken in this time, and never more than so many.
AHEAD_SECONDS = 0.5
MOST_AHEAD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class HookTerms:
    """How a hook is called, decrypted: in memory only. `version` changes with the configuration."""

    subscription_id: int
    app_key: str
    version: datetime
    url: str
    headers: dict[str, str]
    keys: tuple[bytes, ...]
    paused_seconds: float


@dataclass(slots=True)
class Receiver:
    """One hook's places and queue. `width` is how many calls may be under way at once."""

    terms: HookTerms
    places: int
    width: int = 0
    under_way: int = 0
    failures_in_a_row: int = 0
    seconds_per_call: float = 0.5
    paused_until: float = 0.0
    waiting: deque[ClaimedItem] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.width = self.places
        self.renew(self.terms)

    def renew(self, terms: HookTerms) -> None:
        """This function will take over a configuration as it was read a moment ago."""
        if terms.version != self.terms.version:
            self.width, self.failures_in_a_row, self.paused_until = self.places, 0, 0.0
        self.terms = terms
        if terms.paused_seconds > 0:
            self.paused_until = time.monotonic() + terms.paused_seconds

    @property
    def is_failing(self) -> bool:
        return self.failures_in_a_row > 0

    @property
    def is_paused(self) -> bool:
        return time.monotonic() < self.paused_until

    @property
    def free_places(self) -> int:
        return 0 if self.is_paused else max(self.width - self.under_way, 0)

    @property
    def wanted(self) -> int:
        """How many more items to lease: those that can begin at once, and some ahead if all is well."""
        if self.is_paused:
            return 0
        per_place = AHEAD_SECONDS / max(self.seconds_per_call, 0.001)
        ahead = 0 if self.is_failing else min(int(self.width * per_place), MOST_AHEAD)
        return max(self.width + ahead - self.under_way - len(self.waiting), 0)

    def succeeded(self, seconds: float) -> None:
        """This function will double the places, up to all of them, and keep how quick it was."""
        self.failures_in_a_row = 0
        self.seconds_per_call += (seconds - self.seconds_per_call) / 8
        self.width = min(self.width * 2, self.places)

    def failed(self, retry_after: float | None) -> None:
        """This function will halve the places, and keep the pause that the receiver asked for."""
        self.failures_in_a_row += 1
        self.width = max(self.width // 2, 1)
        if retry_after is not None:
            self.paused_until = time.monotonic() + retry_after

    def take_beyond_places(self) -> list[ClaimedItem]:
        """This function will give up what was leased ahead for more places than there are now."""
        kept = 0 if self.is_paused else self.width
        return [self.waiting.pop() for _ in range(len(self.waiting) - kept)]


class Receivers:
    """All hooks that are delivered to, and the places that they share."""

    def __init__(self, *, places: int, places_each: int) -> None:
        self._places = places
        self._places_each = places_each
        self._known: dict[int, Receiver] = {}

    def renew(self, hooks: Iterable[HookTerms]) -> list[ClaimedItem]:
        """
        This function will take over the hooks as they are now configured.

        Returns what was leased for hooks that are gone, to be released.
        """
        found = {hook.subscription_id: hook for hook in hooks}
        dropped: list[ClaimedItem] = []
        for subscription_id in self._known.keys() - found.keys():
            dropped += self._known.pop(subscription_id).waiting
        for subscription_id, hook in found.items():
            if known := self._known.get(subscription_id):
                known.renew(hook)
            else:
                self._known[subscription_id] = Receiver(hook, self._places_each)
        return dropped

    def ids(self) -> list[int]:
        return sorted(self._known)

    def get(self, subscription_id: int) -> Receiver | None:
        return self._known.get(subscription_id)

    def wanted(self) -> dict[int, int]:
        """This function will say how many items to lease for whom."""
        return {
            subscription_id: receiver.wanted
            for subscription_id, receiver in self._known.items()
            if receiver.wanted
        }

    def take_startable(self) -> list[tuple[Receiver, ClaimedItem]]:
        """This function will hand out waiting items for which there is a place, receivers in turn."""
        free = self._places - sum(r.under_way for r in self._known.values())
        free_failing = self._places // 2 - sum(
            r.under_way for r in self._known.values() if r.is_failing
        )
        chosen: list[tuple[Receiver, ClaimedItem]] = []
        able = [r for r in self._known.values() if r.waiting and r.free_places]
        while able and free > 0:
            for receiver in able:
                if free <= 0 or (receiver.is_failing and free_failing <= 0):
                    continue
                chosen.append((receiver, receiver.waiting.popleft()))
                receiver.under_way += 1
                free -= 1
                free_failing -= receiver.is_failing
            able = [
                r
                for r in able
                if r.waiting and r.free_places and not (r.is_failing and free_failing <= 0)
            ]
        return chosen

    def take_all_waiting(self) -> list[ClaimedItem]:
        """This function will give up everything that was leased ahead."""
        waiting = [item for receiver in self._known.values() for item in receiver.waiting]
        for receiver in self._known.values():
            receiver.waiting.clear()
        return waiting
