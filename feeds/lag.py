"""
How far each subscription is behind: in events and in seconds.

What is in its queue is counted exactly. Of what its cursor has not looked at, the next `WINDOW`
positions are looked at here as its filter would; an expression is not asked, and what lies further
on is counted whole: then the figure says "so many at most".
"""

from typing import Final

from django.db import connection, transaction

from feeds.scope import IS_IN_SCOPE
from oms.orders.ledger import number_all_events

WINDOW: Final = 2_000


def sample_lag() -> int:
    """
    This function will keep the present lag of every active subscription, and return of how many.

    Events not acknowledged yet, leased ones included, and the age of the oldest of them. It must
    not run inside a transaction: it numbers the ledger first.
    """
    number_all_events()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{_KEEP} {_LAG}", _PARAMETERS)
        return int(cursor.rowcount)


_PARAMETERS: Final = [WINDOW, WINDOW]
_KEEP: Final = "INSERT INTO feeds_lagsample (subscription_id, open_count, oldest_seconds)"
_LAG: Final = f"""
    SELECT s.id, queued.count + ahead.count + greatest(ledger.position - s.cursor - %s, 0),
           greatest(coalesce(extract(epoch FROM
               statement_timestamp() - least(queued.oldest, ahead.oldest)
           ), 0), 0)::float8
    FROM feeds_subscription s
    JOIN access_appkey k ON k.id = s.app_key_id
    CROSS JOIN (SELECT coalesce(max(position), 0) AS position FROM orders_ledgerentry) ledger
    CROSS JOIN LATERAL (
        SELECT count(*) AS count, min(i.queued_at) AS oldest FROM feeds_queueitem i
        WHERE i.subscription_id = s.id AND i.outcome = ''
    ) queued
    CROSS JOIN LATERAL (
        SELECT count(*) AS count, min(e.occurred_at) AS oldest
        FROM orders_ledgerentry l
        JOIN orders_orderevent e ON e.id = l.event_id
        JOIN orders_order o ON o.id = e.order_id
        WHERE l.position > s.cursor AND l.position <= s.cursor + %s
          AND e.kind <> 'order.imported'
          AND (s.filter_type <> 'FromWorkflow' OR e.status <> e.last_status
               AND (s.statuses = '{{}}' OR e.status = ANY (s.statuses)))
          AND {IS_IN_SCOPE}
    ) ahead
    WHERE s.is_active
"""
