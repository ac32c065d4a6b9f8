"""
What consumers were given, held against what the ledger says they must be given.

A subscription's promise is a list of stretches: from one ledger position to another it had a
filter. While a configuration is being changed either filter may decide, so an event committed
meanwhile may be given or not.
"""

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event in a consumer's hands, at a moment of this process's monotonic clock."""

    at: float
    event_id: str
    order_id: str


@dataclass(frozen=True, slots=True)
class Emitted:
    """One event of the ledger."""

    position: int
    event_id: str
    order_id: str
    version: int
    status: str
    last_status: str


Wants = Callable[[Emitted], bool]


@dataclass(slots=True)
class Stretch:
    """From `after` on, events that `wants` says must come; `until` is None for the present one."""

    wants: Wants
    after: int
    until: int | None = None


@dataclass(slots=True)
class Promise:
    """Which events a subscription must be given, and which it may."""

    stretches: list[Stretch] = field(default_factory=list)
    once_per_order: bool = False

    def begin(self, wants: Wants, *, before: int, after: int) -> None:
        """This function will note a configuration asked for at `before`, answered at `after`."""
        if self.stretches:
            self.stretches[-1].until = before
        self.stretches.append(Stretch(wants, after))

    def must(self, ledger: Sequence[Emitted]) -> set[str]:
        """This function will name the events that have to come."""
        wanted = [event for event in ledger if self._wanted(event, loosely=False)]
        return {event.event_id for event in self._first(wanted)}

    def may(self, ledger: Sequence[Emitted]) -> set[str]:
        """This function will name the events that are allowed to come."""
        wanted = [event for event in ledger if self._wanted(event, loosely=True)]
        return {event.event_id for event in self._first(wanted)}

    def _wanted(self, event: Emitted, *, loosely: bool) -> bool:
        for number, stretch in enumerate(self.stretches):
            begins, ends = stretch.after, stretch.until
            if loosely and number:
                begins = self.stretches[number - 1].until or begins
            if loosely and ends is not None:
                ends = self.stretches[number + 1].after
            counts = begins < event.position and (ends is None or event.position <= ends)
            if counts and stretch.wants(event):
                return True
        return False

    def _first(self, events: Iterable[Emitted]) -> Iterable[Emitted]:
        if not self.once_per_order:
            return events
        first: dict[str, Emitted] = {}
        for event in events:
            first.setdefault(event.order_id, event)
        return first.values()


@dataclass(slots=True)
class Received:
    """What one consumer was given, in its order. Written to by several threads."""

    name: str
    promise: Promise = field(default_factory=Promise)
    deliveries: list[Delivery] = field(default_factory=list)
    committed: set[str] = field(default_factory=set)
    early_repeats: list[str] = field(default_factory=list)
    _held_until: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, event_id: str, order_id: str, *, held_for: float = 0.0) -> None:
        """
        This function will note a delivery. The event is ours for `held_for` seconds: given again
        sooner, it is a repeat that no fault excuses.
        """
        with self._lock:
            at = time.monotonic()
            if self._held_until.get(event_id, 0.0) > at:
                self.early_repeats.append(event_id)
            self._held_until[event_id] = max(self._held_until.get(event_id, 0.0), at + held_for)
            self.deliveries.append(Delivery(at, event_id, order_id))

    def commit(self, event_ids: Iterable[str]) -> None:
        """This function will note what was acknowledged: it must never come again."""
        with self._lock:
            for event_id in event_ids:
                self.committed.add(event_id)
                self._held_until[event_id] = math.inf

    def excuse(self, *, seconds: float) -> None:
        """
        This function will let what came in the last seconds come again: a fault may have taken
        the sender's note of our answer.
        """
        with self._lock:
            since = time.monotonic() - seconds
            for delivery in self.deliveries:
                if delivery.at > since:
                    self._held_until.pop(delivery.event_id, None)

    def out_of_order(self, versions: Mapping[str, int]) -> list[str]:
        """This function will list orders of which an earlier version came after a later one."""
        seen: dict[str, int] = defaultdict(int)
        wrong = []
        for delivery in self.deliveries:
            version = versions.get(delivery.event_id, 0)
            if version < seen[delivery.order_id]:
                wrong.append(delivery.order_id)
            seen[delivery.order_id] = max(seen[delivery.order_id], version)
        return wrong

    def count(self, ledger: Sequence[Emitted]) -> "DeliveryCounts":
        """This function will hold what came against what had to come."""
        given = [delivery.event_id for delivery in self.deliveries]
        must, may = self.promise.must(ledger), self.promise.may(ledger)
        return DeliveryCounts(
            name=self.name,
            emitted=len(must),
            delivered=len(set(given)),
            committed=len(self.committed),
            repeated=len(given) - len(set(given)),
            lost=sorted(must - set(given)),
            uncommitted=sorted(must - self.committed),
            unexpected=sorted(set(given) - may),
            out_of_order=self.out_of_order({event.event_id: event.version for event in ledger}),
            early_repeats=self.early_repeats,
        )


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """In the manner of Jepsen's total queue: what was promised, given, acknowledged, and lost."""

    name: str
    emitted: int
    delivered: int
    committed: int
    repeated: int
    lost: list[str]
    uncommitted: list[str]
    unexpected: list[str]
    out_of_order: list[str]
    early_repeats: list[str]

    @property
    def is_clean(self) -> bool:
        return not (
            self.lost
            or self.uncommitted
            or self.unexpected
            or self.out_of_order
            or self.early_repeats
        )

    def line(self) -> str:
        return (
            f"{self.name:<22} emitted {self.emitted}, delivered {self.delivered},"
            f" committed {self.committed}, repeated {self.repeated}, lost {len(self.lost)},"
            f" unexpected {len(self.unexpected)}, out of order {len(self.out_of_order)},"
            f" duplicates without a fault {len(self.early_repeats)}"
        )
