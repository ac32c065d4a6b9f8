"""
What is stuck, grouped by cause: bounded reads over partial indexes, however bad the day is.

Three ways to be stuck: parked (a person must act), late (due, failing or taken by nobody), over
budget (in one status for too long, whoever is to blame).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.db import connection

from oms.orders.statuses import Priority
from workflow.models import WorkItem
from workflow.retries import LONGEST_DELAY_SECONDS

# More than this nobody reads; counts beyond it are told as "1,000+".
COUNT_LIMIT: Final = 1_000
SCAN_LIMIT: Final = 10_000
MOST_CAUSES: Final = 200
LATE_AFTER: Final = timedelta(minutes=5)
# Failing work lies at most one longest retry delay ahead; timers beyond are never walked over.
LONGEST_DELAY: Final = timedelta(seconds=2 * LONGEST_DELAY_SECONDS)
MOST_REPAIRED_AT_ONCE: Final = 500
SAMPLE: Final = 3


class Kind(StrEnum):
    PARKED = "parked"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class SampleOrder:
    pk: int
    order_id: str


@dataclass(frozen=True, slots=True)
class WorkGroup:
    """Work items that are stuck for the same reason."""

    kind: Kind
    cause: str
    step: str
    count: int
    oldest: datetime
    urgent_count: int
    sample: tuple[SampleOrder, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusGroup:
    """Orders that are in one status for longer than its budget."""

    status: str
    is_urgent: bool
    delivery_channel: str
    count: int
    oldest: datetime
    sample: tuple[SampleOrder, ...] = ()


def parked_groups() -> list[WorkGroup]:
    """This function will group parked work by cause and step, urgent groups first, then oldest."""
    rows = _run(_PARKED, {"causes": MOST_CAUSES, "limit": COUNT_LIMIT + 1, "sample": SAMPLE})
    return _work_groups(Kind.PARKED, rows)


def late_groups() -> list[WorkGroup]:
    """This function will group work that is due for too long, by step and last error."""
    return _work_groups(Kind.LATE, _run(_LATE, _late_parameters()))


def overdue_groups() -> list[StatusGroup]:
    """This function will group orders over their status's budget, express and pickup first."""
    rows = _run(_OVERDUE, {"scan": SCAN_LIMIT, "sample": SAMPLE, "urgent": Priority.URGENT})
    orders = _orders([pk for row in rows for pk in row[5]])
    return [
        StatusGroup(status, is_urgent, channel, count, oldest, tuple(orders[pk] for pk in sample))
        for status, is_urgent, channel, count, oldest, sample in rows
    ]


def items_of(kind: Kind, *, cause: str, step: str) -> list[WorkItem]:
    """This function will return the items of a group to repair, urgent and oldest first."""
    items = WorkItem.objects.select_related("order").defer("order__extra")
    if kind is Kind.PARKED:
        items = items.filter(parked_at__isnull=False, cause=cause, step=step)
        return list(items.order_by("priority", "parked_at")[:MOST_REPAIRED_AT_ONCE])
    pks = [
        row[0] for row in _run(_LATE_ITEMS, {**_late_parameters(), "cause": cause, "step": step})
    ]
    return list(items.filter(pk__in=pks).order_by("priority", "due_at")[:MOST_REPAIRED_AT_ONCE])


def stuck_count(limit: int = 99) -> int:
    """This function will count what is stuck up to one above `limit`, for a badge."""
    return int(_run(_COUNT, {"limit": limit + 1})[0][0])


def _late_parameters() -> dict[str, Any]:
    return {
        "late_after": LATE_AFTER,
        "longest": LONGEST_DELAY,
        "scan": SCAN_LIMIT,
        "sample": SAMPLE,
        "limit": COUNT_LIMIT,
    }


def _work_groups(kind: Kind, rows: Sequence[tuple[Any, ...]]) -> list[WorkGroup]:
    orders = _orders([pk for row in rows for pk in row[5]])
    groups = [
        WorkGroup(kind, cause, step, count, oldest, urgent, tuple(orders[pk] for pk in sample))
        for cause, step, count, oldest, urgent, sample in rows
    ]
    return sorted(groups, key=lambda group: (not group.urgent_count, group.oldest))


def _orders(pks: Sequence[int]) -> dict[int, SampleOrder]:
    rows = _run(
        "SELECT id, order_id FROM orders_order WHERE id = ANY(%(pks)s)", {"pks": list(pks)}
    )
    return {pk: SampleOrder(pk, order_id) for pk, order_id in rows}


def _run(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


# Causes are found by one index probe each, then each is counted up to the limit.
_PARKED: Final = """
    WITH RECURSIVE causes (cause, nth) AS (
        (SELECT cause, 1 FROM workflow_workitem WHERE parked_at IS NOT NULL
         ORDER BY cause LIMIT 1)
        UNION ALL
        SELECT (SELECT w.cause FROM workflow_workitem w
                WHERE w.parked_at IS NOT NULL AND w.cause > c.cause ORDER BY w.cause LIMIT 1),
               c.nth + 1
        FROM causes c WHERE c.cause IS NOT NULL AND c.nth < %(causes)s
    )
    SELECT c.cause, g.step, g.count, g.oldest, g.urgent, g.sample
    FROM causes c
    CROSS JOIN LATERAL (
        SELECT w.step, count(*), min(w.parked_at) AS oldest,
               count(*) FILTER (WHERE w.priority = 0) AS urgent,
               (array_agg(w.order_id ORDER BY w.priority, w.parked_at))[1:%(sample)s] AS sample
        FROM (
            SELECT step, parked_at, priority, order_id FROM workflow_workitem
            WHERE parked_at IS NOT NULL AND cause = c.cause
            ORDER BY parked_at LIMIT %(limit)s
        ) w
        GROUP BY w.step
    ) g
    WHERE c.cause IS NOT NULL
"""

# Work that waits for news (a carrier, a pending payment) has no attempts and comes back by itself:
# it is late only when nobody takes it.
_LATE_ROWS: Final = """
    SELECT w.id, w.order_id, w.step, w.due_at, w.priority,
           CASE WHEN w.next_attempt_at < statement_timestamp() - %(late_after)s THEN ''
                ELSE w.last_error END AS cause
    FROM (
        SELECT * FROM workflow_workitem
        WHERE parked_at IS NULL AND next_attempt_at < statement_timestamp() + %(longest)s
        ORDER BY next_attempt_at LIMIT %(scan)s
    ) w
    WHERE w.due_at < statement_timestamp() - %(late_after)s
      AND (w.leased_until IS NULL OR w.leased_until < statement_timestamp())
      AND (w.attempts > 0 OR w.next_attempt_at < statement_timestamp() - %(late_after)s)
"""
_LATE: Final = f"""
    SELECT r.cause, r.step, count(*), min(r.due_at), count(*) FILTER (WHERE r.priority = 0),
           (array_agg(r.order_id ORDER BY r.priority, r.due_at))[1:%(sample)s]
    FROM ({_LATE_ROWS}) r GROUP BY r.cause, r.step LIMIT %(limit)s
"""
_LATE_ITEMS: Final = f"""
    SELECT r.id FROM ({_LATE_ROWS}) r
    WHERE r.cause = %(cause)s AND r.step = %(step)s ORDER BY r.priority, r.due_at LIMIT %(limit)s
"""

_OVERDUE: Final = """
    SELECT o.status, o.priority <= %(urgent)s AS is_urgent, o.delivery_channel, count(*),
           min(o.budget_ends_at), (array_agg(o.id ORDER BY o.budget_ends_at))[1:%(sample)s]
    FROM (
        SELECT id, status, priority, delivery_channel, budget_ends_at FROM orders_order
        WHERE budget_ends_at IS NOT NULL AND budget_ends_at < statement_timestamp()
        ORDER BY budget_ends_at LIMIT %(scan)s
    ) o
    GROUP BY 1, 2, 3 ORDER BY 2 DESC, 5
"""

_COUNT: Final = """
    SELECT (SELECT count(*) FROM (SELECT 1 FROM workflow_workitem WHERE parked_at IS NOT NULL
                                  LIMIT %(limit)s) p)
         + (SELECT count(*) FROM (SELECT 1 FROM orders_order
                                  WHERE budget_ends_at IS NOT NULL
                                    AND budget_ends_at < statement_timestamp()
                                  LIMIT %(limit)s) o)
"""
