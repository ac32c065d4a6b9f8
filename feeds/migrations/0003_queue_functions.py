"""
Handing out and committing as functions: their plans are kept by the connection.

As plain SQL more than half of the time that a read of ten items takes in PostgreSQL goes into
planning. Statements of a volatile function see what was committed before each of them, so a lock
comes before what it guards here too. `feeds.leasing` says what each is for.
"""

from typing import ClassVar

from django.db import migrations

# Four looks at the edge of an index. Not by EXISTS: where the planner believes that a row must come
# soon it reads the table from the start, and comes to its end when there is none.
STATE = """
CREATE FUNCTION feeds_queue_state(
    subscription bigint, last_seen bigint, retention_seconds integer,
    OUT has_unnumbered boolean, OUT is_behind boolean, OUT has_replay boolean,
    OUT has_expired boolean
) LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT (SELECT min(u.event_id) FROM orders_unnumberedevent u) IS NOT NULL,
           coalesce((SELECT max(l.position) FROM orders_ledgerentry l), 0) > last_seen,
           EXISTS (SELECT FROM feeds_replay r
                   WHERE r.subscription_id = subscription AND r.finished_at IS NULL),
           coalesce((SELECT min(i.queued_at) FROM feeds_queueitem i
                     WHERE i.subscription_id = subscription AND i.outcome = '')
                    <= statement_timestamp() - make_interval(secs => retention_seconds), false)
    INTO has_unnumbered, is_behind, has_replay, has_expired;
END $$
"""

LEASE = """
CREATE FUNCTION feeds_lease(
    subscription bigint, visibility_seconds integer, retention_seconds integer,
    wanted integer, at timestamptz
) RETURNS TABLE (
    item_id bigint, attempt integer, subscription_id bigint, event_pk bigint, "position" bigint,
    order_pk bigint, order_id text, origin text, seq integer, status text, last_status text,
    occurred_at timestamptz, last_change_at timestamptz, is_replay boolean, queued_at timestamptz,
    tries integer
) LANGUAGE plpgsql ROWS 10 AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz := coalesce(at, statement_timestamp());
BEGIN
    RETURN QUERY
    WITH picked AS MATERIALIZED (
        SELECT i.id FROM feeds_queueitem i
        WHERE i.subscription_id = subscription
          AND i.outcome = '' AND i.available_at <= moment
          AND i.queued_at > moment - make_interval(secs => retention_seconds)
        ORDER BY i.available_at, i.id
        LIMIT wanted
        FOR UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE feeds_queueitem item
        SET available_at = moment + make_interval(secs => visibility_seconds),
            attempts = item.attempts + 1,
            leased_at = moment,
            first_leased_at = coalesce(item.first_leased_at, moment)
        FROM picked
        WHERE item.id = picked.id
        RETURNING item.id, item.attempts, item.subscription_id, item.event_id, item.position,
                  item.order_id, item.is_replay, item.queued_at,
                  item.attempts - item.schedule_from AS tries
    )
    SELECT i.id, i.attempts, i.subscription_id, i.event_id, i.position, i.order_id,
           o.order_id::text, o.origin::text, e.seq, e.status::text, e.last_status::text,
           e.occurred_at, e.last_change_at, i.is_replay, i.queued_at, i.tries
    FROM leased i
    JOIN orders_orderevent e ON e.id = i.event_id
    JOIN orders_order o ON o.id = i.order_id
    ORDER BY i.queued_at, i.id;
END $$
"""

# The next item of each order takes its place in the line by its age, not behind everybody.
PROMOTE = """
CREATE FUNCTION feeds_promote(subscription bigint, ended_ids bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE feeds_queueitem waiting
    SET available_at = least(waiting.queued_at, statement_timestamp())
    FROM (
        SELECT DISTINCT e.order_id FROM feeds_queueitem e
        WHERE e.id = ANY(ended_ids) AND e.subscription_id = subscription
    ) ended
    WHERE waiting.id = (
        SELECT min(o.id) FROM feeds_queueitem o
        WHERE o.order_id = ended.order_id AND o.subscription_id = subscription
          AND o.outcome = ''
    ) AND waiting.available_at IS NULL;
END $$
"""

# Locked in id order, so that two commits of the same items wait for each other and do not deadlock;
# and all of an order that may be handed out, which is more than one item after a resend: of two
# that end side by side neither would see that the other's end makes the next one's turn.
LOCK = """
CREATE FUNCTION feeds_lock_items(subscription bigint, item_ids bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM feeds_queueitem i
    WHERE i.subscription_id = subscription
      AND i.order_id IN (SELECT e.order_id FROM feeds_queueitem e
                         WHERE e.id = ANY(item_ids) AND e.subscription_id = subscription)
      AND (i.id = ANY(item_ids) OR i.outcome = '' AND i.available_at IS NOT NULL)
    ORDER BY i.id FOR UPDATE;
END $$
"""

COMMIT = """
CREATE FUNCTION feeds_commit(subscription bigint, item_ids bigint[])
RETURNS TABLE (item_id bigint, outcome text) LANGUAGE plpgsql ROWS 10 AS $$
#variable_conflict use_column
BEGIN
    PERFORM feeds_lock_items(subscription, item_ids);

    RETURN QUERY
    SELECT i.id, i.outcome::text FROM feeds_queueitem i
    WHERE i.id = ANY(item_ids) AND i.subscription_id = subscription AND i.attempts > 0
    ORDER BY i.id;

    UPDATE feeds_queueitem i
    SET outcome = 'committed', ended_at = statement_timestamp(), available_at = NULL
    WHERE i.id = ANY(item_ids) AND i.subscription_id = subscription AND i.attempts > 0
      AND i.outcome IN ('', 'parked', 'expired');

    PERFORM feeds_promote(subscription, item_ids);
END $$
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("feeds", "0002_hook_attempts_once_and_resending")]

    operations: ClassVar = [
        migrations.RunSQL(STATE, "DROP FUNCTION feeds_queue_state(bigint, bigint, integer)"),
        migrations.RunSQL(
            LEASE, "DROP FUNCTION feeds_lease(bigint, integer, integer, integer, timestamptz)"
        ),
        migrations.RunSQL(PROMOTE, "DROP FUNCTION feeds_promote(bigint, bigint[])"),
        migrations.RunSQL(LOCK, "DROP FUNCTION feeds_lock_items(bigint, bigint[])"),
        migrations.RunSQL(COMMIT, "DROP FUNCTION feeds_commit(bigint, bigint[])"),
    ]
