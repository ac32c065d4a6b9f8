"""
One page of the order list: which rows, by index alone, whatever the filters.

Filters that an index orders newest-first choose where to read (`_sources`); the others are tested
row by row on the way, and after `SCAN_LIMIT` rows the page ends where it is and says so. So no
combination of filters can cost more than that many index entries (measured on 2 million orders in
tests/bench).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection

from oms.backoffice.keyset import COUNT_LIMIT, Cursor
from oms.backoffice.order_filters import OPEN_STATUSES, OrderFilters, State
from oms.orders.statuses import DeliveryChannel, Status

SCAN_LIMIT: Final = 20_000
PICK_LIMIT: Final = 2_000
# By direction of reading: False towards older rows, True towards newer ones.
_ORDER: Final = {False: "created_at DESC, id DESC", True: "created_at, id"}


@dataclass(frozen=True, slots=True)
class Found:
    """
    The keys of a page, newest first. `has_more`: further rows lie in the direction of reading.

    `stopped_at` is the row where the scan limit ended the search, if it did.
    """

    pks: list[int]
    has_more: bool
    stopped_at: tuple[datetime, int] | None = None


@dataclass(slots=True)
class _Query:
    """Where to read (one index each) and what else a row must fulfil."""

    sources: list[tuple[str, list[Any]]] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    test_parameters: list[Any] = field(default_factory=list)

    def test(self, sql: str, *parameters: Any) -> None:
        self.tests.append(sql)
        self.test_parameters += parameters


def find_page(filters: OrderFilters, *, cursor: Cursor | None, size: int, now: datetime) -> Found:
    """This function will find the keys of one page of orders, on one side of the cursor."""
    query = _plan(filters)
    sql, parameters = _scan(query, filters, cursor, now)
    order = _ORDER[cursor is not None and cursor.is_backward]
    rows = _run(
        f"SELECT id FROM ({sql}) s WHERE fits ORDER BY {order} LIMIT %s", [*parameters, size + 1]
    )
    pks = [row[0] for row in rows]
    has_more, stopped_at = len(pks) > size, None
    if not has_more and query.tests:
        stopped_at = _last_scanned(sql, parameters)
    pks = pks[:size]
    return Found(pks[::-1] if cursor and cursor.is_backward else pks, has_more, stopped_at)


def count_orders(filters: OrderFilters, *, now: datetime) -> int:
    """This function will count the orders found, up to one above `COUNT_LIMIT`."""
    sql, parameters = _scan(_plan(filters), filters, None, now)
    counted = f"SELECT count(*) FROM (SELECT 1 FROM ({sql}) s WHERE fits LIMIT %s) c"
    return int(_run(counted, [*parameters, COUNT_LIMIT + 1])[0][0])


def sales_channels(limit: int = 100) -> list[str]:
    """This function will list the sales channels in use: one index probe each, not a scan."""
    rows = _run(
        """
        WITH RECURSIVE channels (name, nth) AS (
            (SELECT sales_channel, 1 FROM orders_order ORDER BY sales_channel LIMIT 1)
            UNION ALL
            SELECT (SELECT o.sales_channel FROM orders_order o
                    WHERE o.sales_channel > c.name ORDER BY o.sales_channel LIMIT 1), c.nth + 1
            FROM channels c WHERE c.name IS NOT NULL AND c.nth < %s
        )
        SELECT name FROM channels WHERE name <> ''
        """,
        [limit],
    )
    return [row[0] for row in rows]


def _plan(filters: OrderFilters) -> _Query:
    query = _Query()
    query.sources = _sources(filters)
    if filters.statuses and not _reads_by_status(filters):
        query.test("o.status = ANY(%s)", [status.value for status in filters.statuses])
    if filters.state is State.OPEN and not _reads_by_status(filters):
        query.test("o.status = ANY(%s)", [status.value for status in OPEN_STATUSES])
    if filters.seller and not _reads_by_seller(filters):
        query.test("o.seller_id = %s", filters.seller)
    if filters.channel and not _reads_by_channel(filters):
        query.test("o.sales_channel = %s", filters.channel)
    if filters.delivery:
        query.test("o.delivery_channel = %s", filters.delivery)
    if filters.affiliate:
        query.test("o.affiliate_id = %s", filters.affiliate)
    if filters.express:
        query.test("o.is_express")
    return query


def picks(filters: OrderFilters) -> bool:
    """This function will tell whether the longest stuck are picked before anything else."""
    return filters.state in (State.OVERDUE, State.PARKED)


def _wanted_statuses(filters: OrderFilters) -> tuple[Status, ...]:
    if filters.state is State.OPEN:
        return tuple(s for s in filters.statuses or OPEN_STATUSES if s in OPEN_STATUSES)
    return filters.statuses


def _reads_by_status(filters: OrderFilters) -> bool:
    wanted = _wanted_statuses(filters)
    narrows = filters.state is State.OPEN or bool(filters.statuses)
    # Most orders are final: a seller's final ones are sooner found among the seller's.
    many = not set(OPEN_STATUSES).issuperset(wanted)
    fewer = filters.seller or filters.channel or filters.delivery == DeliveryChannel.PICKUP
    return narrows and not picks(filters) and not (many and fewer)


def _reads_by_seller(filters: OrderFilters) -> bool:
    return bool(filters.seller) and not picks(filters) and not _reads_by_status(filters)


def _reads_by_channel(filters: OrderFilters) -> bool:
    return (
        bool(filters.channel)
        and not picks(filters)
        and not _reads_by_status(filters)
        and not _reads_by_seller(filters)
        and filters.delivery != DeliveryChannel.PICKUP
    )


def _sources(filters: OrderFilters) -> list[tuple[str, list[Any]]]:
    if filters.state is State.OVERDUE:
        return [(_OVERDUE, [PICK_LIMIT])]
    if filters.state is State.PARKED:
        return [(_PARKED, [PICK_LIMIT])]
    if _reads_by_status(filters):
        return [("o.status = %s", [status.value]) for status in _wanted_statuses(filters)] or [
            ("false", [])
        ]
    if _reads_by_seller(filters):
        return [("o.seller_id = %s", [filters.seller])]
    if _reads_by_channel(filters):
        return [("o.sales_channel = %s", [filters.channel])]
    if filters.delivery == DeliveryChannel.PICKUP:
        return [("NOT (o.delivery_channel = 'delivery')", [])]
    return [("true", [])]


# The longest stuck first: with more of them than anybody looks at, those are the ones to see.
# An array, not IN: the planner would otherwise walk the newest-first index in the hope of hits.
_OVERDUE: Final = """o.id = ANY(ARRAY(
    SELECT id FROM orders_order
    WHERE budget_ends_at IS NOT NULL AND budget_ends_at < statement_timestamp()
    ORDER BY budget_ends_at LIMIT %s
))"""
_PARKED: Final = """o.id = ANY(ARRAY(
    SELECT order_id FROM workflow_workitem
    WHERE parked_at IS NOT NULL ORDER BY cause, parked_at LIMIT %s
))"""


def _scan(
    query: _Query, filters: OrderFilters, cursor: Cursor | None, now: datetime
) -> tuple[str, list[Any]]:
    """This function will return the SQL of up to `SCAN_LIMIT` rows (id, created_at, fits)."""
    order = _ORDER[cursor is not None and cursor.is_backward]
    bounds, bound_parameters = _bounds(filters, cursor, now)
    test = " AND ".join(query.tests) or "true"
    parts, parameters = [], []
    for source, source_parameters in query.sources:
        parts.append(
            f"(SELECT o.id, o.created_at, ({test}) AS fits FROM orders_order o"
            f" WHERE {source}{bounds} ORDER BY {order} LIMIT %s)"
        )
        parameters += [*query.test_parameters, *source_parameters, *bound_parameters, SCAN_LIMIT]
    if len(parts) == 1:
        return parts[0][1:-1], parameters
    merged = f"SELECT id, created_at, fits FROM ({' UNION ALL '.join(parts)}) m"
    return f"{merged} ORDER BY {order} LIMIT %s", [*parameters, SCAN_LIMIT]


def _bounds(filters: OrderFilters, cursor: Cursor | None, now: datetime) -> tuple[str, list[Any]]:
    sql, parameters = "", list[Any]()
    first, after = filters.placed_between(now)
    if first:
        sql, parameters = sql + " AND o.created_at >= %s", [*parameters, first]
    if after:
        sql, parameters = sql + " AND o.created_at < %s", [*parameters, after]
    if cursor:
        sign = ">" if cursor.is_backward else "<"
        sql += f" AND (o.created_at, o.id) {sign} (%s, %s)"
        parameters += [cursor.at, cursor.pk]
    return sql, parameters


def _last_scanned(sql: str, parameters: Sequence[Any]) -> tuple[datetime, int] | None:
    rows = _run(
        f"SELECT created_at, id FROM ({sql}) s OFFSET %s LIMIT 1", [*parameters, SCAN_LIMIT - 1]
    )
    return (rows[0][0], rows[0][1]) if rows else None


def _run(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
