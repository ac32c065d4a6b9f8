"""
Work items: adding, claiming by lease and fence, finishing, retrying, parking.

Claims lock work items alone and commit at once. Everything else here runs in a transaction that
already holds the row locks of the orders (docs/architecture.md, Locks).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from oms.ops.statements import Rows, Statement, as_json, run_together
from workflow.steps import CONNECTOR_OF_STEP, Step

# During a rolling deploy newer code opens steps that this code does not know: they are left to it.
KNOWN_STEPS: Final = [step.value for step in Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorkItem:
    order_pk: int
    step: Step
    priority: int
    due_at: datetime
    package_pk: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """A work item under lease. Whoever records its result must still hold this fence."""

    pk: int
    order_pk: int
    package_pk: int | None
    step: Step
    fence: int
    attempts: int
    priority: int


def add_work_items(items: Sequence[NewWorkItem]) -> list[int]:
    """
    This function will write work items and return the ids of those that are due at once.

    An item that is there already (same order, step and package) is left as it is.
    """
    if not items:
        return []
    (added,) = run_together(adding_of(items))
    return due_of(added)


def adding_of(items: Sequence[NewWorkItem]) -> Statement:
    """This function will return what adds work items; `due_of` reads its rows."""
    rows = [
        {
            "order_id": item.order_pk,
            "package_id": item.package_pk,
            "step": item.step,
            "connector": CONNECTOR_OF_STEP.get(item.step, ""),
            "priority": item.priority,
            "due_at": item.due_at,
        }
        for item in items
    ]
    return Statement(_ADD, [as_json(rows)])


def due_of(added: Rows) -> list[int]:
    return [pk for pk, is_due in added if is_due]


_ADD: Final = """
    INSERT INTO workflow_workitem (
        order_id, package_id, step, connector, priority, due_at, next_attempt_at, leased_by, fence,
        attempts, last_error, cause
    )
    SELECT i.order_id, i.package_id, i.step, i.connector, i.priority, i.due_at, i.due_at, '', 0,
           0, '', ''
    FROM json_to_recordset(%s) AS i (
        order_id bigint, package_id bigint, step text, connector text, priority smallint,
        due_at timestamptz
    )
    ON CONFLICT (order_id, step, package_id) DO NOTHING
    RETURNING id, due_at <= clock_timestamp()
"""


@dataclass(frozen=True, slots=True)
class ClosedItem:
    """An item that its order's move took away. With attempts: a call of it may still be out."""

    order_pk: int
    step: str
    attempts: int
    leased_until: datetime | None


def closing_of(order_pks: Sequence[int], *, keep: Collection[Step]) -> Statement:
    """
    This function will return what deletes the items of the statuses that orders have left.

    Each of its rows is a `ClosedItem`.
    """
    return Statement(
        """
        DELETE FROM workflow_workitem WHERE order_id = ANY(%s) AND step <> ALL(%s)
        RETURNING order_id, step, attempts, leased_until
        """,
        [list(order_pks), list(keep)],
    )


def close_items(pks: Sequence[int]) -> None:
    """This function will delete finished items."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM workflow_workitem WHERE id = ANY(%s)", [list(pks)])


# Each priority is a range of its own in the index (connector, priority, next_attempt_at): timers
# that lie a month ahead, millions of them, are never walked over. `statement_timestamp` is stable;
# `clock_timestamp` is volatile, so no index can be searched by it (120 ms with a million timers).
_DUE_IN_ORDER: Final = """
    SELECT due.id, due.order_id
    FROM unnest(ARRAY[0, 10, 20]::smallint[]) WITH ORDINALITY AS p (priority, ord)
    CROSS JOIN LATERAL (
        SELECT w.id, w.order_id, w.next_attempt_at FROM workflow_workitem w
        WHERE w.parked_at IS NULL AND w.connector = %(connector)s AND w.priority = p.priority
          AND w.next_attempt_at <= statement_timestamp()
          AND w.step = ANY(%(steps)s::text[])
          AND (%(only)s::bigint[] IS NULL OR w.id = ANY(%(only)s::bigint[]))
        ORDER BY w.next_attempt_at
        LIMIT %(limit)s
        {locking}
    ) due
    ORDER BY p.ord, due.next_attempt_at
    LIMIT %(limit)s
"""

_FIND_DUE: Final = _DUE_IN_ORDER.format(locking="")
_CLAIM: Final = (
    "WITH picked AS MATERIALIZED ("
    + _DUE_IN_ORDER.format(locking="FOR UPDATE SKIP LOCKED")
    + """)
    UPDATE workflow_workitem w SET
        fence = w.fence + 1,
        attempts = w.attempts + 1,
        leased_by = %(worker)s,
        leased_until = clock_timestamp() + make_interval(secs => %(lease)s),
        next_attempt_at = clock_timestamp() + make_interval(secs => %(lease)s)
    FROM picked WHERE w.id = picked.id
    RETURNING w.id, w.order_id, w.package_id, w.step, w.fence, w.attempts, w.priority
"""
)


def claim_items(
    *, connector: str, limit: int, lease: timedelta, worker: str, only: Sequence[int] | None = None
) -> list[ClaimedItem]:
    """
    This function will lease up to `limit` due items of a connector, urgent ones first, and commit.

    The attempt counts from here: a worker that dies in the middle has used one up.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {
                "connector": connector,
                "steps": KNOWN_STEPS,
                "limit": limit,
                "lease": lease.total_seconds(),
                "worker": worker,
                "only": None if only is None else list(only),
            },
        )
        claimed = [
            ClaimedItem(row[0], row[1], row[2], Step(row[3]), row[4], row[5], row[6])
            for row in cursor.fetchall()
        ]
    return sorted(claimed, key=lambda item: (item.priority, item.pk))


def connectors_with_due_items(names: Collection[str]) -> list[str]:
    """This function will return which connectors have something to call now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.name FROM unnest(%s::text[]) AS c (name)
            WHERE EXISTS (
                SELECT 1 FROM workflow_workitem w
                WHERE w.parked_at IS NULL AND w.connector = c.name
                  AND w.priority = ANY(ARRAY[0, 10, 20]::smallint[])
                  AND w.next_attempt_at <= statement_timestamp()
            )
            """,
            [sorted(names)],
        )
        return [row[0] for row in cursor.fetchall()]


def find_due_orders(*, limit: int, only: Sequence[int] | None = None) -> list[int]:
    """This function will return orders with a due inside step, urgent ones first, nothing locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            _FIND_DUE,
            {
                "connector": "",
                "steps": KNOWN_STEPS,
                "limit": limit,
                "only": None if only is None else list(only),
            },
        )
        return list(dict.fromkeys(order_pk for _, order_pk in cursor.fetchall()))


def due_inside_items(order_pks: Sequence[int]) -> dict[int, tuple[int, Step]]:
    """This function will return, per locked order, its longest due inside item: (item, step)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (order_id) order_id, id, step FROM workflow_workitem
            WHERE order_id = ANY(%s) AND connector = '' AND parked_at IS NULL
              AND next_attempt_at <= statement_timestamp() AND step = ANY(%s)
            ORDER BY order_id, due_at, id
            """,
            [list(order_pks), KNOWN_STEPS],
        )
        return {order_pk: (pk, Step(step)) for order_pk, pk, step in cursor.fetchall()}


def live_items(items: Sequence[ClaimedItem]) -> set[int]:
    """
    This function will return the ids of items whose lease is still ours, and lock them.

    An item that was claimed again, parked or closed since has another fence or is gone.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT w.id FROM workflow_workitem w
            JOIN unnest(%s::bigint[], %s::bigint[]) AS held (id, fence)
              ON held.id = w.id AND held.fence = w.fence
            WHERE w.parked_at IS NULL
            ORDER BY w.id FOR UPDATE OF w
            """,
            [[item.pk for item in items], [item.fence for item in items]],
        )
        return {row[0] for row in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Retry:
    """
    Try again after `delay` seconds. `attempts` is what counts towards parking from now on: all
    after a failure, one less where nothing was sent, none where the service answered "not yet".
    """

    pk: int
    delay: float
    attempts: int
    error: str = ""


def retry_items(retries: Sequence[Retry]) -> None:
    """This function will give leases back and set the next attempts."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflow_workitem w SET
                next_attempt_at = clock_timestamp() + make_interval(secs => r.delay),
                attempts = r.attempts, last_error = r.error,
                leased_until = NULL, leased_by = '', announced_at = NULL
            FROM unnest(%s::bigint[], %s::float8[], %s::int[], %s::text[])
                 AS r (id, delay, attempts, error)
            WHERE w.id = r.id
            """,
            [
                [retry.pk for retry in retries],
                [float(retry.delay) for retry in retries],
                [retry.attempts for retry in retries],
                [retry.error[:1000] for retry in retries],
            ],
        )


def park_item(pk: int, *, cause: str, error: str) -> None:
    """This function will take an item out of the queue until somebody repairs it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflow_workitem SET parked_at = clock_timestamp(), cause = %s,
                last_error = %s, leased_until = NULL, leased_by = ''
            WHERE id = %s
            """,
            [cause[:80], error[:1000], pk],
        )


def hurry_retries(connector: str) -> int:
    """
    This function will bring failed calls of a service that is back forward, and return how many.

    Spread over a few seconds. Where the service asked for time itself (429), it gets it; and what
    polls for news keeps its pace. Few can be affected: the breaker opened after a handful.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _HURRY, [connector, HURRIED_WITHIN_SECONDS, MOST_HURRIED, HURRIED_WITHIN_SECONDS]
        )
        return int(cursor.rowcount)


HURRIED_WITHIN_SECONDS: Final = 5.0
MOST_HURRIED: Final = 1_000
_HURRY: Final = """
    WITH waiting AS MATERIALIZED (
        SELECT id FROM workflow_workitem
        WHERE connector = %s AND parked_at IS NULL AND leased_until IS NULL
          AND last_error NOT IN ('', 'HTTP 429')
          AND next_attempt_at > clock_timestamp() + make_interval(secs => %s)
        ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE workflow_workitem w SET announced_at = NULL,
        next_attempt_at = clock_timestamp() + make_interval(secs => random() * %s)
    FROM waiting WHERE w.id = waiting.id
"""
