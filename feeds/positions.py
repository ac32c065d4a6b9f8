"""
Ledger positions of a time.

Times in the ledger are nearly in order: an event's is read under its order's lock, its position is
given after the commit, so two events stand the wrong way round by no more than a transaction
takes. Both functions allow for `DISORDER` of that: what they find leaves out nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from oms.orders.ledger import last_position

# The longest transaction that writes events is ended after 30 idle seconds; an import's batch of
# one goes on for less than a minute.
DISORDER: Final = timedelta(minutes=5)


def first_position_since(moment: datetime) -> int:
    """
    This function will return the first position with an event at or after a time.

    The one after the ledger's last if there is none. It takes as many look-ups as the ledger's
    length has binary digits, and then a look at the events of `DISORDER`.
    """
    early, _ = _around(moment - DISORDER)
    found = _one(_FIRST_SINCE, [early, moment])
    return last_position() + 1 if found is None else found


def last_position_before(moment: datetime) -> int:
    """This function will return the last position with an event before a time; 0 if there is none."""
    _, late = _around(moment + DISORDER)
    return _one(_LAST_BEFORE, [late, moment]) or 0


def _around(moment: datetime) -> tuple[int, int]:
    """
    Two positions side by side: an event before the time, or 0, and one not before it, or the end's.

    By halving. No event up to the first is later than the time by more than the disorder, and none
    from the second on earlier.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HALVING, [moment])
        early, late = cursor.fetchone()
    return int(early), int(late)


def _one(statement: str, parameters: Sequence[Any]) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    return int(row[0]) if row else None


# Positions have no gap, so there is an event at each middle.
_HALVING: Final = """
    WITH RECURSIVE halving (early, late) AS (
        SELECT 0::bigint, coalesce(max(position), 0) + 1 FROM orders_ledgerentry
        UNION ALL
        SELECT CASE WHEN probe.is_early THEN middle ELSE early END,
               CASE WHEN probe.is_early THEN late ELSE middle END
        FROM (SELECT early, late, (early + late) / 2 AS middle FROM halving
              WHERE late - early > 1) AS span
        CROSS JOIN LATERAL (
            SELECT e.occurred_at < %s AS is_early
            FROM orders_ledgerentry l JOIN orders_orderevent e ON e.id = l.event_id
            WHERE l.position = span.middle
        ) AS probe
    )
    SELECT max(early), min(late) FROM halving
"""
_FIRST_SINCE: Final = """
    SELECT l.position FROM orders_ledgerentry l JOIN orders_orderevent e ON e.id = l.event_id
    WHERE l.position > %s AND e.occurred_at >= %s ORDER BY l.position LIMIT 1
"""
_LAST_BEFORE: Final = """
    SELECT l.position FROM orders_ledgerentry l JOIN orders_orderevent e ON e.id = l.event_id
    WHERE l.position < %s AND e.occurred_at < %s ORDER BY l.position DESC LIMIT 1
"""
