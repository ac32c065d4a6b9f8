"""
Every version of an order, kept while somebody's filter has to look at each of them (ADR 0008).

The document of an event could be built when its reader comes; by then the order may have moved on,
and what the filter waited for was never seen (KI 832400). So while there is a demand, each event
leaves its order's rows in its own transaction: `snapshots_of` is the last statement of the round
trip that writes the event, and sees everything that the transaction wrote before. What a service
writes after that, the snapshot does not have.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db import OperationalError, connection, transaction

from oms.ops.statements import Statement, as_json

# Writers wait behind the lock meanwhile: long enough for a usual transaction to end, not longer.
PATIENCE: Final = "2s"
BATCH: Final = 1_000


class SnapshotsNotReady(Exception):
    """Somebody writes orders in one long transaction, which would leave no snapshots. Try again."""

    def __init__(self) -> None:
        super().__init__(
            "Orders are being written in a long transaction at this moment. Nothing was changed; "
            "try again."
        )


def snapshots_of(versions: Iterable[tuple[int, int]]) -> Statement:
    """
    This function will return what keeps the present rows of orders, for the end of a round trip.

    `versions` are order key and seq of events that the transaction has written. Without any demand
    it keeps nothing, and costs next to nothing (docs/benchmarks.md).
    """
    rows = [{"order_pk": order_pk, "seq": seq} for order_pk, seq in versions]
    return Statement("SELECT orders_take_snapshots(%s)", [as_json(rows)])


@transaction.atomic
def demand_snapshots(name: str) -> None:
    """
    This function will have every event leave a snapshot from the end of this transaction on.

    The first demand waits until no writer is under way that has not seen it, by a lock that writers
    of events wait for in turn: keep the rest of the transaction short. Demanded twice by the same
    name, it is one demand. Raises `SnapshotsNotReady` if a writer takes too long; the caller's
    transaction is lost then.
    """
    with connection.cursor() as cursor:
        # A demand that is there cannot be dropped before ours is: there is no moment without one.
        cursor.execute("SELECT name FROM orders_snapshotdemand LIMIT 1 FOR KEY SHARE")
        if cursor.fetchone() is None:
            _wait_for_writers()
        cursor.execute(
            "INSERT INTO orders_snapshotdemand (name) VALUES (%s) ON CONFLICT DO NOTHING", [name]
        )


def _wait_for_writers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        usual = cursor.fetchone()[0]
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
        try:
            cursor.execute("LOCK TABLE orders_orderevent IN SHARE MODE")
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE:
                raise SnapshotsNotReady from error
            raise
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [usual])


LOCK_NOT_AVAILABLE: Final = "55P03"


def drop_demand(name: str) -> None:
    """This function will end a demand. With the last of them, events leave no more snapshots."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM orders_snapshotdemand WHERE name = %s", [name])


def forget_snapshots(older_than: datetime, *, batch: int = BATCH) -> int:
    """
    This function will delete the snapshots taken before a time, and return how many.

    Batch by batch, each a transaction of its own outside the caller's: a lost run loses little.
    """
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_FORGET, [older_than, batch])
            deleted: int = cursor.rowcount
        total += deleted
        if deleted < batch:
            return total


_FORGET: Final = """
    DELETE FROM orders_documentsnapshot WHERE event_id IN (
        SELECT event_id FROM orders_documentsnapshot WHERE taken_at < %s
        ORDER BY taken_at LIMIT %s
    )
"""
