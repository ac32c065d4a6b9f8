"""
The timeline of each order and the global ledger over all of them.

An event is written in the transaction of its change and gets its global position after that
transaction committed: positions are 1, 2, 3 without gap and never reused, so a reader with a
cursor cannot be overtaken by a slow transaction (design 2; ADR 0003). Whoever reads numbers first;
no process has to run for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
from django.db import connection, transaction

from oms.ops.statements import Rows, Statement, as_json, run_together
from oms.orders.snapshots import snapshots_of

# Any constant works as long as nobody else uses it: the first eight bytes of "bulkhead".
LEDGER_LOCK: Final = int.from_bytes(b"bulkhead", "big", signed=True)
NUMBERING_BATCH: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """
    What changed in one order. `seq` is the version of the order row after the change.

    `parts_changed` says that items, payments, packages or the client changed as well.
    """

    order_pk: int
    seq: int
    kind: str
    actor: str
    status: str
    last_status: str
    occurred_at: datetime
    last_change_at: datetime | None
    reason: str = ""
    changes: dict[str, list[Any]] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    parts_changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEvent:
    """One event as a ledger reader sees it. `state` words follow the feed's contract."""

    position: int
    event_id: int
    order_pk: int
    order_id: str
    origin: str
    seq: int
    kind: str
    actor: str
    reason: str
    status: str
    last_status: str
    occurred_at: datetime
    last_change_at: datetime | None
    changes: dict[str, list[Any]]
    data: dict[str, Any]


def record_events(events: Sequence[NewEvent]) -> list[int]:
    """
    This function will append events to the timelines of their orders, in the caller's transaction.

    The caller holds the row locks of the orders and has already written their new rows: the
    fingerprints and snapshots are taken from them. Returns the event ids in the order given.
    Raises LookupError when an order is not there: the join would leave its event out without a
    word.
    """
    if not events:
        return []
    added, _ = run_together(
        recording_of(events), snapshots_of((event.order_pk, event.seq) for event in events)
    )
    return recorded_ids(added, count=len(events))


def recording_of(events: Sequence[NewEvent]) -> Statement:
    """
    This function will return what `record_events` sends, for a round trip with other statements.

    Its rows go to `recorded_ids`, which finds out what went wrong. `snapshots_of` the same events
    must be the last statement of that round trip (`oms.orders.snapshots`).
    """
    return Statement(_INSERT_EVENTS, [as_json(events)])


def recorded_ids(added: Rows, *, count: int) -> list[int]:
    """
    This function will return the ids of the events just added.

    :raises LookupError: if some of the `count` that were sent have no order.
    """
    if len(added) != count:
        raise LookupError(f"{count - len(added)} of {count} events have no order.")
    return [row[0] for row in added]


_INSERT_EVENTS: Final = """
    WITH added AS (
        INSERT INTO orders_orderevent (
            order_id, seq, kind, actor, reason, status, last_status, occurred_at, last_change_at,
            changes, data, fingerprint, parts_fingerprint
        )
        SELECT o.id, e.seq, e.kind, e.actor, e.reason, e.status, e.last_status,
               e.occurred_at, e.last_change_at, e.changes, e.data, order_fingerprint(o),
               CASE WHEN e.parts_changed THEN order_parts_fingerprint(o.id) END
        FROM ROWS FROM (json_to_recordset(%s) AS (
            order_pk bigint, seq int, kind text, actor text, reason text, status text,
            last_status text, occurred_at timestamptz, last_change_at timestamptz,
            changes jsonb, data jsonb, parts_changed bool
        )) WITH ORDINALITY AS e
        JOIN orders_order o ON o.id = e.order_pk
        ORDER BY e.ordinality
        RETURNING id
    )
    INSERT INTO orders_unnumberedevent (event_id) SELECT id FROM added ORDER BY id RETURNING event_id
"""


def number_events(*, limit: int = NUMBERING_BATCH) -> int:
    """
    This function will give positions to committed events that have none, oldest first.

    Returns how many it numbered. It must not run inside a transaction that wrote events: those
    would be numbered before their commit, so it refuses to run inside any.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # The lock is a statement of its own: the next one takes its snapshot after it was granted,
        # and so sees every position that the holder before us has committed.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LEDGER_LOCK])
        cursor.execute(_NUMBER_EVENTS, [limit])
        return int(cursor.rowcount)


_NUMBER_EVENTS: Final = """
    WITH batch AS (
        DELETE FROM orders_unnumberedevent
        WHERE event_id IN (
            SELECT event_id FROM orders_unnumberedevent ORDER BY event_id LIMIT %s
        )
        RETURNING event_id
    )
    INSERT INTO orders_ledgerentry (position, event_id)
    SELECT (SELECT coalesce(max(position), 0) FROM orders_ledgerentry)
           + row_number() OVER (ORDER BY event_id), event_id
    FROM batch
"""


def number_all_events() -> int:
    """This function will number until nothing committed is left, and return how many it numbered."""
    total = 0
    while has_unnumbered_events():
        total += number_events()
    return total


def has_unnumbered_events() -> bool:
    with connection.cursor() as cursor:
        # Not by EXISTS, which may read the table from its start: after a burst that is all dead rows.
        cursor.execute("SELECT min(event_id) IS NOT NULL FROM orders_unnumberedevent")
        return bool(cursor.fetchone()[0])


def read_ledger(*, after: int, limit: int) -> list[LedgerEvent]:
    """
    This function will return up to `limit` events with a position above `after`, in position order.

    Everything committed before the call is numbered first, so the next read has it.
    """
    if has_unnumbered_events():
        number_events()
    with connection.cursor() as cursor:
        cursor.execute(_READ_LEDGER, [after, limit])
        return [_ledger_event(row) for row in cursor.fetchall()]


_READ_LEDGER: Final = """
    SELECT l.position, e.id, e.order_id, o.order_id, o.origin, e.seq, e.kind, e.actor, e.reason,
           e.status, e.last_status, e.occurred_at, e.last_change_at, e.changes, e.data
    FROM (
        SELECT position, event_id FROM orders_ledgerentry
        WHERE position > %s ORDER BY position LIMIT %s
    ) l
    JOIN orders_orderevent e ON e.id = l.event_id
    JOIN orders_order o ON o.id = e.order_id
    ORDER BY l.position
"""


def _ledger_event(row: tuple[Any, ...]) -> LedgerEvent:
    return LedgerEvent(
        position=row[0],
        event_id=row[1],
        order_pk=row[2],
        order_id=row[3],
        origin=row[4],
        seq=row[5],
        kind=row[6],
        actor=row[7],
        reason=row[8],
        status=row[9],
        last_status=row[10],
        occurred_at=row[11],
        last_change_at=row[12],
        changes=orjson.loads(row[13]) if isinstance(row[13], str) else row[13],
        data=orjson.loads(row[14]) if isinstance(row[14], str) else row[14],
    )


def follow_ledger(*, after: int, page: int = 1_000) -> Iterator[LedgerEvent]:
    """This function will yield every event after a position until the ledger's present end."""
    while events := read_ledger(after=after, limit=page):
        yield from events
        after = events[-1].position


def last_position() -> int:
    """This function will return the highest position given so far, 0 for an empty ledger."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(position), 0) FROM orders_ledgerentry")
        return int(cursor.fetchone()[0])
