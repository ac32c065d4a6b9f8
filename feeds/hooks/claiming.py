"""
Leases what is due over all hooks at once: one statement, a limit for each receiver.

The lease outlasts a call by `MARGIN_SECONDS`: so long may an item wait in the dispatcher before
its call begins, and the call's result wait to be written. `attempts` is the fence (ADR 0009).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings

from feeds.leasing import OUT_OF_SIGHT, end_items
from feeds.models import Outcome
from feeds.scope import IS_IN_SCOPE
from oms.ops.statements import Rows, Statement, as_json, run_together

MARGIN_SECONDS: Final = 5.0
# What begins later than this after its lease is given back instead.
BEGINS_WITHIN_SECONDS: Final = MARGIN_SECONDS / 2


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """
    An event under lease. `attempt` fences it; the schedule counts from `schedule_from`.

    `version` is when its hook was configured; `clock` what PostgreSQL's clock showed at the lease,
    `leased_at` what this process's monotonic clock showed before it, both in seconds.
    """

    item_id: int
    subscription_id: int
    attempt: int
    schedule_from: int
    event_pk: int
    order_id: str
    origin: str
    status: str
    last_status: str
    occurred_at: datetime
    last_change_at: datetime | None
    version: datetime
    clock: float
    leased_at: float = 0.0

    @property
    def is_late(self) -> bool:
        """A call that begins now could outlive the lease."""
        return time.monotonic() - self.leased_at > BEGINS_WITHIN_SECONDS

    @property
    def timestamp(self) -> int:
        """Now, by PostgreSQL's clock: this machine's may be wrong."""
        return int(self.clock + time.monotonic() - self.leased_at)


def lease_seconds() -> float:
    return float(settings.HOOK_TIMEOUT_SECONDS) + MARGIN_SECONDS


def claim(wanted: Mapping[int, int]) -> list[ClaimedItem]:
    """
    This function will lease up to so many due items for each of the subscriptions, oldest first.

    What a key may not see any more is withdrawn instead.
    """
    if not wanted:
        return []
    asked = [{"subscription_id": key, "how_many": count} for key, count in wanted.items()]
    leased_at = time.monotonic()
    (rows,) = run_together(Statement(_CLAIM, [as_json(asked), lease_seconds()]))
    _withdraw([row for row in rows if not row[-1]])
    return [ClaimedItem(*(*row[:-1], leased_at)) for row in rows if row[-1]]


def _withdraw(hidden: Rows) -> None:
    for subscription_id in sorted({row[1] for row in hidden}):
        items = [row[0] for row in hidden if row[1] == subscription_id]
        end_items(subscription_id, items, Outcome.WITHDRAWN, error=OUT_OF_SIGHT)


# A hook that was deleted or disabled a moment ago is not delivered to any more.
_CLAIM: Final = f"""
    WITH picked AS MATERIALIZED (
        SELECT due.id, s.configured_at
        FROM json_to_recordset(%s) AS wanted (subscription_id bigint, how_many int)
        JOIN feeds_subscription s ON s.id = wanted.subscription_id AND s.is_active
        JOIN feeds_hookendpoint h ON h.subscription_id = s.id AND h.disabled_at IS NULL
        CROSS JOIN LATERAL (
            SELECT i.id FROM feeds_queueitem i
            WHERE i.subscription_id = wanted.subscription_id
              AND i.outcome = '' AND i.available_at <= statement_timestamp()
              AND i.queued_at > statement_timestamp() - make_interval(secs => s.retention_seconds)
            ORDER BY i.available_at, i.id
            LIMIT wanted.how_many
            FOR UPDATE SKIP LOCKED
        ) due
    ), leased AS (
        UPDATE feeds_queueitem item
        SET available_at = statement_timestamp() + make_interval(secs => %s),
            attempts = item.attempts + 1,
            leased_at = statement_timestamp(),
            first_leased_at = coalesce(item.first_leased_at, statement_timestamp())
        FROM picked WHERE item.id = picked.id
        RETURNING item.id, item.subscription_id, item.attempts, item.schedule_from, item.event_id,
                  item.order_id, item.queued_at, picked.configured_at
    )
    SELECT i.id, i.subscription_id, i.attempts, i.schedule_from, i.event_id, o.order_id, o.origin,
           e.status, e.last_status, e.occurred_at, e.last_change_at, i.configured_at,
           extract(epoch FROM clock_timestamp())::float8, {IS_IN_SCOPE}
    FROM leased i
    JOIN feeds_subscription s ON s.id = i.subscription_id
    JOIN access_appkey k ON k.id = s.app_key_id
    JOIN orders_orderevent e ON e.id = i.event_id
    JOIN orders_order o ON o.id = i.order_id
    ORDER BY i.queued_at, i.id
"""
