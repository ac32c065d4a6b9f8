"""
The proof of the ledger: random interleavings of real transactions on real connections.

Whatever writers, numberers and readers do, also when they are killed: every reader sees every
committed event once, in position order 1, 2, 3, and the events of an order in their own order.
"""

import itertools
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from django.db import DatabaseError, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from oms.orders.ledger import (
    LedgerEvent,
    NewEvent,
    last_position,
    number_all_events,
    number_events,
    read_ledger,
    record_events,
)
from oms.orders.locks import lock_orders
from oms.orders.writing import insert_orders
from tests.concurrency.sessions import (
    PATIENCE_SECONDS,
    Session,
    disconnect,
    execute,
    kill_backend,
    query,
    wait_until_blocked,
)
from tests.factories import order_draft

WRITERS, NUMBERERS, READERS, ORDERS = 4, 3, 3, 3
any_number = st.integers(min_value=0, max_value=11)
several = st.integers(min_value=1, max_value=5)
small = st.integers(min_value=1, max_value=4)
tokens = itertools.count(1)


class Written(NamedTuple):
    """An event as the model knows it. The token tells a repeated `seq` after a rollback apart."""

    order_pk: int
    seq: int
    token: int


@dataclass(eq=False)
class Writer:
    session: Session = field(default_factory=Session)
    pid: int = 0
    is_open: bool = False
    pending: list[Written] = field(default_factory=list)
    held: set[int] = field(default_factory=set)
    waits_for: int | None = None
    waiting: "Future[list[Written]] | None" = None


@dataclass(eq=False)
class Reader:
    session: Session = field(default_factory=Session)
    position: int = 0
    seen: list[Written] = field(default_factory=list)


def write_events(order_pk: int, count: int, *, wait: bool) -> list[Written]:
    """This function will do what services do: lock the order, write its row, append events."""
    written = []
    for _ in range(count):
        order = lock_orders([order_pk], skip_locked=not wait).get(order_pk)
        if order is None:
            return []
        execute("UPDATE orders_order SET version = version + 1 WHERE id = %s", order_pk)
        event = Written(order_pk, order.version + 1, next(tokens))
        record_events([new_event(event, at=order.read_at)])
        written.append(event)
    return written


def new_event(event: Written, *, at: datetime) -> NewEvent:
    return NewEvent(
        order_pk=event.order_pk,
        seq=event.seq,
        kind="test.written",
        actor="role:test",
        status="order-created",
        last_status="order-created",
        occurred_at=at,
        last_change_at=at,
        data={"token": event.token},
    )


def as_written(event: LedgerEvent) -> Written:
    return Written(event.order_pk, event.seq, event.data["token"])


class LedgerMachine(RuleBasedStateMachine):
    """Each example starts above the positions that the one before left, with orders of its own."""

    @initialize()
    def start(self) -> None:
        number_all_events()
        self.base = last_position()
        drafts = [order_draft(now=datetime.now(UTC)) for _ in range(ORDERS)]
        with transaction.atomic():
            self.orders = insert_orders(drafts)
        self.committed: set[Written] = set()
        self.writers = [Writer() for _ in range(WRITERS)]
        self.numberers = [Session() for _ in range(NUMBERERS)]
        self.hindrance = Session()
        self.readers = [Reader(position=self.base) for _ in range(READERS)]
        self.snapshot: Session | None = None
        self.in_snapshot = (0, 0)

    # Who can do what

    def idle(self) -> list[Writer]:
        return [writer for writer in self.writers if not writer.is_open]

    def active(self) -> list[Writer]:
        return [writer for writer in self.writers if writer.is_open and writer.waiting is None]

    def contested(self) -> list[int]:
        """Orders that somebody holds and nobody waits for yet."""
        waited = {writer.waits_for for writer in self.writers}
        return sorted(self.held() - waited)

    def held(self) -> set[int]:
        return {pk for writer in self.writers for pk in writer.held}

    def is_all_held(self) -> bool:
        return len(self.held()) == ORDERS

    def behind(self) -> list[Reader]:
        return [reader for reader in self.readers if len(reader.seen) < len(self.committed)]

    def unnumbered_count(self) -> int:
        return len(self.committed) - (last_position() - self.base)

    # Writing

    @precondition(lambda self: self.idle())
    @rule(order=any_number, count=several)
    def write_in_a_new_transaction(self, order: int, count: int) -> None:
        self.write_events(self.begin(self.idle()[0]), self.orders[order % ORDERS], count)

    @precondition(lambda self: self.idle() and not self.is_all_held())
    @rule(order=any_number, count=several)
    def write_and_commit_at_once(self, order: int, count: int) -> None:
        """Quick ones overtake the slow ones that are open."""
        free = [pk for pk in self.orders if pk not in self.held()]
        writer = self.begin(self.idle()[0])
        self.write_events(writer, free[order % len(free)], count)
        self.commit_events(writer)

    @precondition(lambda self: self.active())
    @rule(which=any_number, order=any_number, count=several)
    def write(self, which: int, order: int, count: int) -> None:
        writer = self.active()[which % len(self.active())]
        self.write_events(writer, self.orders[order % ORDERS], count)

    def begin(self, writer: Writer) -> Writer:
        writer.session.begin()
        writer.pid, writer.is_open = writer.session.pid, True
        return writer

    def write_events(self, writer: Writer, pk: int, count: int) -> None:
        is_free = not any(pk in other.held for other in self.writers if other is not writer)
        written = writer.session.call(write_events, pk, count, wait=False)
        assert len(written) == (count if is_free else 0)
        if written:
            writer.held.add(pk)
            writer.pending += written

    @precondition(lambda self: self.idle() and self.contested())
    @rule(which=any_number, order=any_number, count=several)
    def wait_to_write(self, which: int, order: int, count: int) -> None:
        """A writer that holds nothing waits for an order: it cannot deadlock."""
        pk = self.contested()[order % len(self.contested())]
        writer = self.begin(self.idle()[which % len(self.idle())])
        writer.waits_for = pk
        writer.waiting = writer.session.start(write_events, pk, count, wait=True)
        wait_until_blocked(writer.pid)

    @precondition(lambda self: self.active())
    @rule(which=any_number)
    def commit(self, which: int) -> None:
        self.commit_events(self.active()[which % len(self.active())])

    def commit_events(self, writer: Writer) -> None:
        writer.session.commit()
        self.committed.update(writer.pending)
        self.end(writer)

    @precondition(lambda self: self.active())
    @rule(which=any_number)
    def roll_back(self, which: int) -> None:
        writer = self.active()[which % len(self.active())]
        writer.session.roll_back()
        self.end(writer)

    @precondition(lambda self: len(self.idle()) < WRITERS)
    @rule(which=any_number)
    def kill_writer(self, which: int) -> None:
        open_ones = [writer for writer in self.writers if writer.is_open]
        writer = open_ones[which % len(open_ones)]
        kill_backend(writer.pid)
        if writer.waiting is not None:
            assert isinstance(writer.waiting.exception(PATIENCE_SECONDS), DatabaseError)
        writer.session.roll_back()
        self.end(writer)

    def end(self, writer: Writer) -> None:
        freed, writer.held, writer.pending = writer.held, set(), []
        writer.is_open, writer.waiting, writer.waits_for = False, None, None
        for other in self.writers:
            if other.waiting is not None and other.waits_for in freed:
                other.pending = other.waiting.result(PATIENCE_SECONDS)
                other.held = {other.waits_for}
                other.waiting, other.waits_for = None, None

    # Numbering

    @precondition(lambda self: self.unnumbered_count() > 0)
    @rule(limits=st.lists(small, min_size=1, max_size=NUMBERERS))
    def number_at_once(self, limits: list[int]) -> None:
        waiting = self.unnumbered_count()
        calls = self.start_numbering(limits)
        self.hindrance.roll_back()
        numbered = sum(call.result(PATIENCE_SECONDS) for call in calls)
        assert numbered == min(sum(limits), waiting)

    @precondition(lambda self: self.unnumbered_count() > 0)
    @rule(limits=st.lists(small, min_size=2, max_size=NUMBERERS))
    def kill_a_numberer_at_work(self, limits: list[int]) -> None:
        """It holds the numbering lock and is held up in the middle; the others wait behind it."""
        waiting = self.unnumbered_count()
        victim = self.numberers[0]
        killed, *inherited = self.start_numbering(limits)
        kill_backend(self.numberer_pids[0])
        assert isinstance(killed.exception(PATIENCE_SECONDS), DatabaseError)
        self.hindrance.roll_back()
        numbered = sum(call.result(PATIENCE_SECONDS) for call in inherited)
        assert numbered == min(sum(limits[1:]), waiting)
        victim.call(disconnect)

    def start_numbering(self, limits: list[int]) -> "list[Future[int]]":
        """Holds up the first numberer in the middle, so that all of them overlap for certain."""
        self.numberer_pids = [session.pid for session in self.numberers]
        self.hindrance.begin("SELECT 1 FROM orders_unnumberedevent FOR UPDATE")
        calls = []
        for session, pid, limit in zip(self.numberers, self.numberer_pids, limits, strict=False):
            calls.append(session.start(number_events, limit=limit))
            wait_until_blocked(pid)
        return calls

    # Reading

    @precondition(lambda self: self.behind())
    @rule(which=any_number, limit=st.integers(min_value=1, max_value=7))
    def read(self, which: int, limit: int) -> None:
        self.advance(self.behind()[which % len(self.behind())], limit)

    @precondition(lambda self: self.behind())
    @rule(which=any_number, limit=st.integers(min_value=1, max_value=7))
    def read_and_crash(self, which: int, limit: int) -> None:
        """The position was not stored: what was read is read again."""
        reader = self.behind()[which % len(self.behind())]
        lost = reader.session.call(read_ledger, after=reader.position, limit=limit)
        kill_backend(reader.session.pid)
        reader.session.call(disconnect)
        again = reader.session.call(read_ledger, after=reader.position, limit=limit)
        assert again[: len(lost)] == lost

    def advance(self, reader: Reader, limit: int) -> int:
        events = reader.session.call(read_ledger, after=reader.position, limit=limit)
        assert len(events) == min(limit, len(self.committed) - len(reader.seen))
        first = reader.position + 1
        assert [event.position for event in events] == list(range(first, first + len(events)))
        reader.seen += [as_written(event) for event in events]
        reader.position += len(events)
        assert set(reader.seen) <= self.committed
        return len(events)

    # A long transaction

    @precondition(lambda self: self.snapshot is None)
    @rule()
    def open_snapshot(self) -> None:
        self.snapshot = Session()
        self.snapshot.begin("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self.in_snapshot = self.snapshot.call(ledger_size)

    @precondition(lambda self: self.snapshot is not None)
    @rule()
    def close_snapshot(self) -> None:
        assert self.snapshot is not None
        assert self.snapshot.call(ledger_size) == self.in_snapshot
        self.snapshot.close()
        self.snapshot = None

    # What must always hold

    @invariant()
    def positions_have_no_gap(self) -> None:
        positions = [position for position, *_ in self.ledger()]
        assert positions == list(range(self.base + 1, self.base + 1 + len(positions)))

    @invariant()
    def only_committed_events_are_numbered_each_once(self) -> None:
        numbered = [Written(*row[1:]) for row in self.ledger()]
        assert len(set(numbered)) == len(numbered)
        assert set(numbered) <= self.committed

    @invariant()
    def events_of_an_order_keep_their_order(self) -> None:
        numbered = [Written(*row[1:]) for row in self.ledger()]
        for pk in self.orders:
            seqs = [event.seq for event in numbered if event.order_pk == pk]
            assert seqs == list(range(1 + 1, 1 + 1 + len(seqs)))

    def ledger(self) -> list[tuple[int, ...]]:
        return query(
            "SELECT l.position, e.order_id, e.seq, (e.data->>'token')::int"
            " FROM orders_ledgerentry l JOIN orders_orderevent e ON e.id = l.event_id"
            " WHERE l.position > %s ORDER BY l.position",
            self.base,
        )

    def teardown(self) -> None:
        if not hasattr(self, "writers"):
            return
        try:
            while self.active():
                self.commit_events(self.active()[0])
            for reader in self.readers:
                while self.advance(reader, 7):
                    pass
                assert set(reader.seen) == self.committed
                assert len(reader.seen) == len(self.committed)
        finally:
            for session in self.sessions():
                session.close()

    def sessions(self) -> Iterator[Session]:
        yield from (writer.session for writer in self.writers)
        yield from (*self.numberers, self.hindrance)
        yield from (reader.session for reader in self.readers)
        if self.snapshot is not None:
            yield self.snapshot


def ledger_size() -> tuple[int, int]:
    numbered, waiting = query(
        "SELECT (SELECT count(*) FROM orders_ledgerentry),"
        " (SELECT count(*) FROM orders_unnumberedevent)"
    )[0]
    return numbered, waiting


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.django_db(transaction=True)
def test_every_reader_sees_every_committed_event_once_and_in_order(full_size: bool) -> None:
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=400 if full_size else 25,
            stateful_step_count=60 if full_size else 40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
