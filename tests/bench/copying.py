"""The limit of placing: COPY of the very rows that placing wrote, into the same tables."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier

from tests.bench.rig import Rig

# Tables in the order of their foreign keys, with how an order's rows are found.
TABLES: Final = (
    ("orders_order", "id = ANY(%(pks)s)"),
    ("orders_clientprofile", "order_id = ANY(%(pks)s)"),
    ("orders_item", "order_id = ANY(%(pks)s)"),
    ("orders_payment", "order_id = ANY(%(pks)s)"),
    ("orders_package", "order_id = ANY(%(pks)s)"),
    ("orders_packageitem", "package_id IN (SELECT id FROM orders_package WHERE order_id = ANY(%(pks)s))"),
    ("orders_orderevent", "order_id = ANY(%(pks)s)"),
    (
        "orders_unnumberedevent",
        "event_id IN (SELECT id FROM orders_orderevent WHERE order_id = ANY(%(pks)s))",
    ),
    ("workflow_workitem", "order_id = ANY(%(pks)s)"),
)  # fmt: skip

Rows = list[tuple[str, bytes]]


def newest_orders(rig: Rig, *, above: int, limit: int) -> list[int]:
    """This function will return the keys of orders that were placed since a key."""
    with rig.owner() as connection:
        rows = connection.execute(
            "SELECT id FROM orders_order WHERE id > %s ORDER BY id LIMIT %s", [above, limit]
        )
        return [row[0] for row in rows]


def highest_order(rig: Rig) -> int:
    with rig.owner() as connection:
        row = connection.execute("SELECT coalesce(max(id), 0) FROM orders_order").fetchone()
    return int(row[0]) if row else 0


def copy_again(rig: Rig, pks: Sequence[int], *, orders_per_transaction: int) -> float:
    """
    This function will take orders out and COPY the same rows in again; orders a second.

    Only the COPY and its commits are timed, over one connection, with every index, foreign key
    and trigger at work.
    """
    lots = [
        list(pks[start : start + orders_per_transaction])
        for start in range(0, len(pks), orders_per_transaction)
    ]
    with _unguarded(rig) as connection:
        taken = [_take_out(connection, lot) for lot in lots]
    with psycopg.connect(rig.server.url()) as connection:
        started = time.perf_counter()
        for rows in taken:
            _put_in(connection, rows)
        return len(pks) / (time.perf_counter() - started)


@contextmanager
def _unguarded(rig: Rig) -> Iterator[psycopg.Connection[Any]]:
    with rig.superuser() as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def _take_out(connection: psycopg.Connection[Any], pks: list[int]) -> Rows:
    rows: Rows = []
    facts = {"pks": pks}
    with connection.transaction(), psycopg.ClientCursor(connection) as cursor:
        for table, condition in TABLES:
            query = cursor.mogrify(
                f"COPY (SELECT * FROM {table} WHERE {condition}) TO STDOUT", facts
            )
            with cursor.copy(query) as copy:
                rows.append((table, b"".join(bytes(part) for part in copy)))
        for table, condition in reversed(TABLES):
            cursor.execute(f"DELETE FROM {table} WHERE {condition}", facts)
    return rows


def _put_in(connection: psycopg.Connection[Any], rows: Rows) -> None:
    with connection.cursor() as cursor:
        for table, content in rows:
            if content:
                statement = SQL("COPY {} FROM STDIN").format(Identifier(table))
                with cursor.copy(statement) as copy:
                    copy.write(content)
    connection.commit()
