"""
Pages of the ledger, by which an integration proves that it has everything.

Positions have no gap, so a page that accounts for each position between `first` and `last` leaves
nothing out: whoever follows the pages from 0 to the end has seen every event there is. A key that
is restricted to sellers or affiliates, and whoever asks for one order, gets the stretch that was
looked at, and of it what is its own.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from feeds.scope import IS_IN_SCOPE
from oms.orders.ledger import last_position, number_all_events

# How many positions are looked at for a key that may see few of them: two index look-ups each.
LONGEST_STRETCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class PagedEvent:
    """One event of a page. Of what changed only the names: values may be a person's data."""

    position: int
    event_pk: int
    order_id: str
    origin: str
    kind: str
    status: str
    last_status: str
    occurred_at: datetime
    last_change_at: datetime | None
    seq: int
    changed_fields: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage:
    """
    What there is at positions `first` to `last`, both included; `last` is below `first` at the end.

    Without a restriction `len(events) == last - first + 1`. `ledger_end` is the ledger's last
    position when the page was read.
    """

    events: list[PagedEvent]
    first: int
    last: int
    ledger_end: int


def read_page(
    *,
    after: int,
    limit: int,
    seller_ids: Collection[str] | None = None,
    affiliate_ids: Collection[str] | None = None,
) -> LedgerPage:
    """
    This function will return up to `limit` events with a position above `after`, in position order.

    What was committed before the call is numbered first, so a page at the end has it. None for
    sellers and affiliates means all of them.
    """
    end = _end_of_ledger()
    until = min(end, after + _reach(limit, seller_ids, affiliate_ids))
    scope = [None if ids is None else sorted(ids) for ids in (seller_ids, affiliate_ids)]
    found = _events(_STRETCH, [*scope, after, until, limit])
    return _page(found, after=after, limit=limit, until=until, end=end)


def read_order_page(*, order_pk: int, after: int, limit: int) -> LedgerPage:
    """This function will return the events of one order likewise; the ledger is looked at to its end."""
    end = _end_of_ledger()
    found = _events(_OF_ORDER, [order_pk, after, end, limit])
    return _page(found, after=after, limit=limit, until=end, end=end)


def _end_of_ledger() -> int:
    """Read before the events: what comes meanwhile is the next page's."""
    number_all_events()
    return last_position()


def _reach(
    limit: int, seller_ids: Collection[str] | None, affiliate_ids: Collection[str] | None
) -> int:
    return limit if seller_ids is None and affiliate_ids is None else LONGEST_STRETCH


def _page(events: list[PagedEvent], *, after: int, limit: int, until: int, end: int) -> LedgerPage:
    last = events[-1].position if len(events) == limit else max(until, after)
    return LedgerPage(events=events, first=after + 1, last=last, ledger_end=end)


def _events(statement: str, parameters: Sequence[Any]) -> list[PagedEvent]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [PagedEvent(*row) for row in cursor.fetchall()]


_COLUMNS: Final = """
    SELECT l.position, e.id, o.order_id, o.origin, e.kind, e.status, e.last_status, e.occurred_at,
           e.last_change_at, e.seq, ARRAY(SELECT jsonb_object_keys(e.changes) ORDER BY 1)
"""
_STRETCH: Final = f"""
    {_COLUMNS}
    FROM orders_ledgerentry l
    JOIN orders_orderevent e ON e.id = l.event_id
    JOIN orders_order o ON o.id = e.order_id
    CROSS JOIN (SELECT %s::text[] AS seller_ids, %s::text[] AS affiliate_ids) k
    WHERE l.position > %s AND l.position <= %s AND {IS_IN_SCOPE}
    ORDER BY l.position LIMIT %s
"""
# The order's few events first, by their own index: else a planner that sees ORDER BY and LIMIT
# may walk the ledger and look at everybody's.
_OF_ORDER: Final = f"""
    WITH e AS MATERIALIZED (SELECT * FROM orders_orderevent WHERE order_id = %s)
    {_COLUMNS}
    FROM e
    JOIN orders_ledgerentry l ON l.event_id = e.id
    JOIN orders_order o ON o.id = e.order_id
    WHERE l.position > %s AND l.position <= %s
    ORDER BY l.position LIMIT %s
"""
