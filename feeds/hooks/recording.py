"""
Writes what came of deliveries: attempts, outcomes, next times, the receivers' health. In batches.

One message to PostgreSQL for any number of deliveries. Each result is fenced by its item's
`attempts`: whoever comes back after its lease went to somebody else changes nothing, not even the
list of attempts. Sending the same batch twice changes nothing either.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from django.conf import settings

from feeds.locking import FEEDS_LOCK_CLASS
from oms.ops.statements import Statement, as_json, run_together


class Fate(StrEnum):
    """What becomes of an item. Released ones were leased and never sent."""

    DELIVERED = "delivered"
    AGAIN = "again"
    PARKED = "parked"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    One attempt and its item's fate. `ended_ago` is in seconds before the writing: PostgreSQL's
    clock tells when the attempt was. `delay` counts from the writing.
    """

    item_id: int
    subscription_id: int
    attempt: int
    fate: Fate
    ended_ago: float = 0.0
    duration_ms: int = 0
    status: int | None = None
    error: str = ""
    answer: str = ""
    delay: float = 0.0
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    `item_ids` are those whose result counted. `busy` are subscriptions whose queue is being filled
    at this moment: nothing was written for them. `worn_out` are hooks that have failed for so long,
    without a single success, that they are to be disabled.
    """

    item_ids: frozenset[int]
    busy: frozenset[int]
    worn_out: frozenset[int]


def record(results: Sequence[Result], *, wait_for: Iterable[int] = ()) -> Recorded:
    """
    This function will write results, in one transaction and one round trip.

    It does not wait for a subscription whose queue is being filled, which may take a second, as
    the results of all others would wait with it; except for those named in `wait_for`.
    """
    if not results:
        return Recorded(frozenset(), frozenset(), frozenset())
    named = sorted({result.subscription_id for result in results})
    patient = sorted(set(wait_for) & set(named))
    told = as_json(results)
    _, _, granted, _, rows, _ = run_together(
        Statement("SELECT set_config('lock_timeout', %s, true)", [LONGEST_WAIT]),
        Statement(_WAIT_FOR_LOCKS, [FEEDS_LOCK_CLASS, patient]),
        Statement(_TRY_LOCKS, [FEEDS_LOCK_CLASS, named]),
        Statement(_LOCK_ITEMS, [told]),
        Statement(_RECORD, [told, settings.HOOK_DISABLED_AFTER_DAYS]),
        Statement(_PROMOTE, [[r.item_id for r in results if r.fate in _ENDS]]),
    )
    locked = {int(word) for word in granted[0][0].split(",") if word}
    return Recorded(
        item_ids=frozenset(number for kind, number in rows if kind == "item"),
        busy=frozenset(named) - locked,
        worn_out=frozenset(number for kind, number in rows if kind == "worn out"),
    )


# A process that froze while it filled a queue holds the lock until PostgreSQL ends its session.
LONGEST_WAIT: Final = "1s"
_ENDS: Final = frozenset({Fate.DELIVERED, Fate.PARKED})

_WAIT_FOR_LOCKS: Final = """
    SELECT count(pg_advisory_xact_lock_shared(%s, id::int)::text)
    FROM unnest(%s::bigint[]) AS id
"""
# Later statements of the message see what was granted through a setting of this transaction: the
# lock must be held before the statement that relies on it takes its snapshot.
_TRY_LOCKS: Final = """
    SELECT set_config('bulkhead.granted', coalesce(string_agg(tried.id::text, ','), ''), true)
    FROM (
        SELECT id, pg_try_advisory_xact_lock_shared(%s, id::int) AS is_granted
        FROM unnest(%s::bigint[]) AS id
    ) tried
    WHERE tried.is_granted
"""
_GRANTED: Final = "string_to_array(current_setting('bulkhead.granted'), ',')::bigint[]"
# As a commit does: after a resend two items of an order may be under lease, and two dispatchers
# that end one each must see each other, or the order's next item waits for ever.
_LOCK_ITEMS: Final = f"""
    SELECT count(feeds_lock_items(asked.subscription_id, asked.item_ids)::text)
    FROM (
        SELECT t.subscription_id, array_agg(t.item_id) AS item_ids
        FROM json_to_recordset(%s) AS t (item_id bigint, subscription_id bigint)
        WHERE t.subscription_id = ANY ({_GRANTED})
        GROUP BY t.subscription_id ORDER BY t.subscription_id
    ) asked
"""
_RECORD: Final = f"""
    WITH told AS MATERIALIZED (
        SELECT t.* FROM json_to_recordset(%s) AS t (
            item_id bigint, subscription_id bigint, attempt int, fate text, ended_ago float8,
            duration_ms int, status int, error text, answer text, delay float8, retry_after float8
        ) WHERE t.subscription_id = ANY ({_GRANTED})
    ), held AS MATERIALIZED (
        SELECT i.id FROM feeds_queueitem i
        JOIN told t ON t.item_id = i.id AND t.attempt = i.attempts
        WHERE i.outcome = '' ORDER BY i.id FOR UPDATE OF i
    ), done AS (
        UPDATE feeds_queueitem i
        SET outcome = CASE t.fate WHEN 'delivered' THEN 'committed' WHEN 'parked' THEN 'parked'
                                  ELSE '' END,
            ended_at = CASE WHEN t.fate IN ('delivered', 'parked') THEN statement_timestamp() END,
            available_at = CASE t.fate
                WHEN 'again' THEN statement_timestamp() + make_interval(secs => t.delay)
                WHEN 'released' THEN least(i.leased_at, statement_timestamp()) END,
            attempts = i.attempts - CASE t.fate WHEN 'released' THEN 1 ELSE 0 END,
            last_error = coalesce(nullif(t.error, ''), i.last_error)
        FROM told t, held
        WHERE i.id = t.item_id AND i.id = held.id
        RETURNING t.*, statement_timestamp() - make_interval(secs => t.ended_ago) AS ended_at
    ), sent AS MATERIALIZED (
        SELECT * FROM done WHERE fate <> 'released'
    ), kept AS (
        INSERT INTO feeds_hookattempt (subscription_id, item_id, kind, number, attempted_at,
                                       duration_ms, is_success, status, error, answer)
        SELECT subscription_id, item_id, 'delivery', attempt,
               ended_at - make_interval(secs => duration_ms / 1000.0),
               duration_ms, fate = 'delivered', status, error, answer
        FROM sent
        ON CONFLICT DO NOTHING
    ), health AS MATERIALIZED (
        SELECT subscription_id,
               max(ended_at) FILTER (WHERE fate = 'delivered') AS succeeded_at,
               max(ended_at) FILTER (WHERE fate <> 'delivered') AS failed_at,
               min(ended_at) FILTER (WHERE fate <> 'delivered') AS first_failed_at,
               max(retry_after) AS retry_after,
               (array_agg(error ORDER BY ended_at DESC) FILTER (WHERE error <> ''))[1] AS error
        FROM sent GROUP BY subscription_id
    ), locked AS MATERIALIZED (
        SELECT h.subscription_id FROM feeds_hookendpoint h
        WHERE h.subscription_id IN (SELECT subscription_id FROM health)
        ORDER BY h.subscription_id FOR NO KEY UPDATE
    ), endpoint AS (
        UPDATE feeds_hookendpoint h
        SET last_success_at = greatest(h.last_success_at, c.succeeded_at),
            last_failure_at = greatest(h.last_failure_at, c.failed_at),
            failing_since = CASE
                WHEN c.failed_at IS NULL OR c.failed_at < c.succeeded_at THEN NULL
                WHEN c.succeeded_at IS NOT NULL THEN c.failed_at
                ELSE coalesce(h.failing_since, c.first_failed_at) END,
            last_error = coalesce(c.error, h.last_error),
            paused_until = CASE WHEN c.retry_after IS NULL THEN h.paused_until
                ELSE statement_timestamp() + make_interval(secs => c.retry_after) END
        FROM health c JOIN locked USING (subscription_id)
        WHERE h.subscription_id = c.subscription_id
          -- While all is well, to the second is enough: the row is one for all dispatchers.
          AND (c.failed_at IS NULL AND h.failing_since IS NULL
               AND h.last_success_at > c.succeeded_at - interval '1 second') IS NOT TRUE
        RETURNING h.subscription_id, h.failing_since
    )
    SELECT 'item', item_id FROM done
    UNION ALL
    SELECT 'worn out', subscription_id FROM endpoint
    WHERE failing_since <= statement_timestamp() - make_interval(days => %s)
"""
# As `feeds.leasing` promotes, over all subscriptions of the batch: the next open item of an order
# takes its place in the line by its age.
_PROMOTE: Final = f"""
    UPDATE feeds_queueitem waiting
    SET available_at = least(waiting.queued_at, statement_timestamp())
    FROM (
        SELECT DISTINCT order_id, subscription_id FROM feeds_queueitem
        WHERE id = ANY (%s) AND outcome <> '' AND subscription_id = ANY ({_GRANTED})
    ) ended
    WHERE waiting.id = (
        SELECT min(open.id) FROM feeds_queueitem open
        WHERE open.order_id = ended.order_id AND open.subscription_id = ended.subscription_id
          AND open.outcome = ''
    ) AND waiting.available_at IS NULL
"""
