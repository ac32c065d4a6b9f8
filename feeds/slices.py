"""
One slice of the ledger into a subscription's queue, under its exclusive lock.

A slice reads what lies after the cursor, or what a replay asks for again, keeps what the filter
takes, queues it and moves on, in one transaction. What is older than the retention would expire at
once: the cursor passes over it, and a replay brings it back.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import transaction

from feeds.expressions import ExpressionRefused
from feeds.locking import exclusive_lock
from feeds.matching import matching_events
from feeds.models import FilterType, Subscription
from feeds.positions import DISORDER, first_position_since
from feeds.scope import IS_IN_SCOPE
from oms.ops.statements import Statement, as_array, run_together

SLICE: Final = 5_000
# Each event of it costs a document and an expression, and is lost work if somebody else was first.
SLICE_OF_EXPRESSION: Final = 500
BEYOND_ALL: Final = 2**63 - 1
REFUSED_BY_NOW: Final = "May not be kept any more; nothing is matched until another is configured."


class Slice(NamedTuple):
    """Positions looked at, items queued, and how many of those may be handed out at once."""

    read: int = 0
    queued: int = 0
    available: int = 0


class _Terms(NamedTuple):
    """What a slice goes by: the subscription, its key's scope, and its replay if there is one."""

    subscription_id: int
    cursor: int
    filter_type: str
    statuses: list[str]
    expression: str
    fires_once: bool
    retention: timedelta
    seller_ids: list[str] | None
    affiliate_ids: list[str] | None
    replay_id: int | None
    next_position: int | None
    until_position: int | None
    order_ids: list[str] | None
    outdated_before: datetime | None

    @property
    def asks_expression(self) -> bool:
        return self.filter_type == FilterType.FROM_ORDERS and self.order_ids is None

    @property
    def limit(self) -> int:
        return SLICE_OF_EXPRESSION if self.asks_expression else SLICE


class _Found(NamedTuple):
    """The slice's last position and size, and its events that may be queued, by position."""

    last: int | None
    read: int
    positions: list[int]
    event_ids: list[int]
    order_pks: list[int]


class _Judged(NamedTuple):
    """
    A slice with the positions to queue, and how often the expression failed on the way.

    `is_cut` says that time was up before all of it was judged: `found` is what was.
    """

    found: _Found
    positions: list[int]
    error_count: int = 0
    last_error: str = ""
    is_cut: bool = False


def queue_new_events(subscription_id: int) -> Slice:
    """
    This function will queue the next events after the cursor that the filter takes.

    An empty Slice says that the end was reached, or that somebody else moved on meanwhile.
    """
    return _queue_slice(subscription_id, _WITHOUT_REPLAY)


def queue_replayed_events(subscription_id: int) -> Slice:
    """
    This function will queue the next events of the oldest replay that is not finished.

    They go behind what their orders have in the queue. An event that is still open in it is not
    queued a second time.
    """
    return _queue_slice(subscription_id, _WITH_REPLAY)


def _queue_slice(subscription_id: int, terms_of: str) -> Slice:
    with transaction.atomic():
        terms = _locked_terms(subscription_id, terms_of)
        if terms is None:
            return Slice()
        if terms.outdated_before is not None:
            return _pass_over(terms, terms.outdated_before)
        if not terms.asks_expression:
            found = _found(terms)
            return _queue(terms, _Judged(found, found.positions))
    # Documents and expressions take their time: commits wait for the lock, so it is let go.
    try:
        judged = _judge(terms)
    except ExpressionRefused as refusal:
        run_together(Statement(_NOTE_REFUSAL, [f"{REFUSED_BY_NOW} {refusal}", subscription_id]))
        raise
    with transaction.atomic():
        if _locked_terms(subscription_id, terms_of) != terms:
            return Slice()
        return _queue(terms, judged)


def _pass_over(terms: _Terms, moment: datetime) -> Slice:
    """A key that comes back after weeks need not wait until months are looked at, to keep nothing."""
    following = max(first_position_since(moment), terms.cursor + 2)
    Subscription.objects.filter(pk=terms.subscription_id).update(cursor=following - 1)
    return Slice(read=following - 1 - terms.cursor)


def _queue(terms: _Terms, judged: _Judged) -> Slice:
    if terms.fires_once and terms.replay_id is None:
        run_together(_remember_fired(terms, judged))
    moving = _moving(terms, judged) if terms.replay_id is None else _replaying(terms, judged)
    queued, _ = run_together(_queueing(terms, judged.positions), moving)
    return Slice(judged.found.read, *queued[0])


def _locked_terms(subscription_id: int, sql: str) -> _Terms | None:
    _, rows = run_together(exclusive_lock(subscription_id), Statement(sql, [subscription_id]))
    return _Terms(*rows[0]) if rows else None


_COLUMNS: Final = """
    SELECT s.id, s.cursor, s.filter_type, s.statuses, s.expression, s.fires_once,
           make_interval(secs => s.retention_seconds), k.seller_ids, k.affiliate_ids
"""
_WITHOUT_REPLAY: Final = f"""
    {_COLUMNS}, NULL, NULL, NULL, NULL, (
        SELECT statement_timestamp() - make_interval(secs => s.retention_seconds)
        FROM orders_ledgerentry l JOIN orders_orderevent e ON e.id = l.event_id
        WHERE l.position = s.cursor + 1
          AND e.occurred_at < statement_timestamp()
                              - make_interval(secs => s.retention_seconds)
                              - interval '{DISORDER.total_seconds():.0f} seconds'
    )
    FROM feeds_subscription s JOIN access_appkey k ON k.id = s.app_key_id
    WHERE s.id = %s AND s.is_active
"""
_WITH_REPLAY: Final = f"""
    {_COLUMNS}, r.id, r.next_position, r.until_position, r.order_ids, NULL
    FROM feeds_subscription s JOIN access_appkey k ON k.id = s.app_key_id
    JOIN feeds_replay r ON r.subscription_id = s.id AND r.finished_at IS NULL
    WHERE s.id = %s AND s.is_active
    ORDER BY r.id LIMIT 1
"""


def _stretch_of(terms: _Terms) -> Statement:
    if terms.next_position is None:
        return Statement(_STRETCH, [terms.cursor, BEYOND_ALL, terms.limit])
    if terms.order_ids is None:
        return Statement(_STRETCH, [terms.next_position - 1, terms.until_position, terms.limit])
    reach = [terms.next_position, terms.until_position, terms.limit]
    return Statement(_EVENTS_OF_ORDERS, [terms.order_ids, *reach])


_STRETCH: Final = """
    SELECT position, event_id FROM orders_ledgerentry
    WHERE position > %s AND position <= %s ORDER BY position LIMIT %s
"""
_EVENTS_OF_ORDERS: Final = """
    SELECT l.position, l.event_id
    FROM orders_order o
    JOIN orders_orderevent e ON e.order_id = o.id
    JOIN orders_ledgerentry l ON l.event_id = e.id
    WHERE o.order_id = ANY(%s) AND l.position >= %s AND l.position <= %s
    ORDER BY l.position LIMIT %s
"""


def _found(terms: _Terms) -> _Found:
    """The slice, and in it whatever SQL alone can say may be queued."""
    stretch = _stretch_of(terms)
    conditions = list(_conditions(terms))
    parameters = [value for condition in conditions for value in condition.params]
    taken = " AND ".join(condition.sql for condition in conditions)
    sql = f"""
        WITH slice AS MATERIALIZED ({stretch.sql}), taken AS MATERIALIZED (
            SELECT l.position, e.id, e.order_id
            FROM slice l JOIN orders_orderevent e ON e.id = l.event_id
            WHERE {taken}
        )
        SELECT (SELECT max(position) FROM slice), (SELECT count(*) FROM slice),
               ARRAY(SELECT position FROM taken ORDER BY position),
               ARRAY(SELECT id FROM taken ORDER BY position),
               ARRAY(SELECT order_id FROM taken ORDER BY position)
    """
    (rows,) = run_together(Statement(sql, [*stretch.params, *parameters]))
    return _Found(*rows[0])


def _conditions(terms: _Terms) -> Iterable[Statement]:
    """
    Imported history is in the ledger for those who read it whole, and in a queue only for who asks
    for an order by its id: nothing else tells of one that has not changed since.
    """
    if terms.order_ids is None:
        yield Statement("e.kind <> 'order.imported'")
    if terms.seller_ids is not None or terms.affiliate_ids is not None:
        yield Statement(_IN_SCOPE, [terms.seller_ids, terms.affiliate_ids])
    if terms.filter_type == FilterType.FROM_WORKFLOW and terms.order_ids is None:
        yield Statement("e.status <> e.last_status")
        if terms.statuses:
            yield Statement("e.status = ANY(%s)", [terms.statuses])
    if terms.replay_id is None:
        yield Statement("e.occurred_at > statement_timestamp() - %s", [terms.retention])
        if terms.fires_once:
            yield Statement(_NOT_FIRED, [terms.subscription_id])
    else:
        yield Statement(_NOT_WAITING, [terms.subscription_id])
        if terms.fires_once and terms.order_ids is None:
            yield Statement(_NOT_REPLAYED, [terms.subscription_id, terms.replay_id])


_IN_SCOPE: Final = f"""
    EXISTS (SELECT 1 FROM orders_order o,
                          (SELECT %s::text[] AS seller_ids, %s::text[] AS affiliate_ids) k
            WHERE o.id = e.order_id AND {IS_IN_SCOPE})
"""
_NOT_FIRED: Final = """
    NOT EXISTS (SELECT 1 FROM feeds_firedorder f
                WHERE f.subscription_id = %s AND f.order_id = e.order_id)
"""
_NOT_WAITING: Final = """
    NOT EXISTS (SELECT 1 FROM feeds_queueitem i
                WHERE i.subscription_id = %s AND i.order_id = e.order_id AND i.event_id = e.id
                  AND i.outcome = '')
"""
_NOT_REPLAYED: Final = """
    NOT EXISTS (SELECT 1 FROM feeds_queueitem i
                WHERE i.subscription_id = %s AND i.order_id = e.order_id AND i.replay_id = %s)
"""


def _judge(terms: _Terms) -> _Judged:
    """This function will ask the expression about each event of the slice."""
    found = _found(terms)
    subscription = Subscription.objects.get(pk=terms.subscription_id)
    matched = matching_events(subscription, found.event_ids)
    is_cut = matched.judged_count < len(found.event_ids)
    if is_cut:
        found = found._replace(last=found.positions[matched.judged_count] - 1)
    takes = set(matched.event_ids)
    facts = zip(found.positions, found.event_ids, found.order_pks, strict=True)
    matching = [(position, pk) for position, event_id, pk in facts if event_id in takes]
    if terms.fires_once:
        matching = _first_of_orders(matching)
    positions = [position for position, _ in matching]
    return _Judged(found, positions, matched.error_count, matched.last_error, is_cut)


def _first_of_orders(matching: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    first: dict[int, int] = {}
    for position, order_pk in matching:
        first.setdefault(order_pk, position)
    return sorted((position, order_pk) for order_pk, position in first.items())


def _remember_fired(terms: _Terms, judged: _Judged) -> Statement:
    orders = dict(zip(judged.found.positions, judged.found.order_pks, strict=True))
    fired = [orders[position] for position in judged.positions]
    return Statement(_FIRE, [terms.subscription_id, as_array(fired)])


_FIRE: Final = """
    INSERT INTO feeds_firedorder (subscription_id, order_id)
    SELECT %s, unnest(%s::bigint[]) ON CONFLICT DO NOTHING
"""


def _queueing(terms: _Terms, positions: Sequence[int]) -> Statement:
    parameters: list[Any] = [terms.subscription_id, terms.replay_id, as_array(positions)]
    return Statement(_QUEUE, parameters)


# An order's first item may be handed out, unless an earlier one of it is still open.
_QUEUE: Final = """
    WITH given AS MATERIALIZED (
        SELECT %s::bigint AS subscription_id, %s::bigint AS replay_id
    ), matching AS MATERIALIZED (
        SELECT l.position, e.id, e.order_id,
               CASE WHEN given.replay_id IS NULL THEN e.occurred_at
                    ELSE statement_timestamp() END AS queued_at,
               row_number() OVER (PARTITION BY e.order_id ORDER BY l.position) AS place
        FROM orders_ledgerentry l JOIN orders_orderevent e ON e.id = l.event_id CROSS JOIN given
        WHERE l.position = ANY(%s::bigint[])
    ), queued AS (
        INSERT INTO feeds_queueitem (
            subscription_id, event_id, order_id, position, replay_id, is_replay, queued_at,
            available_at, attempts, outcome, last_error
        )
        SELECT given.subscription_id, m.id, m.order_id, m.position, given.replay_id,
               given.replay_id IS NOT NULL, m.queued_at,
               CASE WHEN m.place = 1 AND NOT EXISTS (
                   SELECT 1 FROM feeds_queueitem i
                   WHERE i.order_id = m.order_id AND i.subscription_id = given.subscription_id
                     AND i.outcome = ''
               ) THEN least(m.queued_at, statement_timestamp()) END,
               0, '', ''
        FROM matching m CROSS JOIN given
        ORDER BY m.position
        RETURNING available_at
    )
    SELECT count(*), count(available_at) FROM queued
"""


def _moving(terms: _Terms, judged: _Judged) -> Statement:
    last = terms.cursor if judged.found.last is None else judged.found.last
    failed = judged.error_count > 0
    return Statement(
        _MOVE,
        [
            last,
            bool(judged.positions),
            judged.error_count,
            failed,
            judged.last_error,
            failed,
            terms.subscription_id,
        ],
    )


_MOVE: Final = """
    UPDATE feeds_subscription
    SET cursor = %s,
        last_queued_at = CASE WHEN %s THEN statement_timestamp() ELSE last_queued_at END,
        filter_error_count = filter_error_count + %s,
        last_filter_error = CASE WHEN %s THEN %s ELSE last_filter_error END,
        last_filter_error_at = CASE WHEN %s THEN statement_timestamp() ELSE last_filter_error_at END
    WHERE id = %s
"""


# Whoever reads tries again, perhaps each second: what is written already is not written again.
_NOTE_REFUSAL: Final = """
    UPDATE feeds_subscription
    SET last_filter_error = told.error, last_filter_error_at = statement_timestamp()
    FROM (SELECT %s AS error) told
    WHERE id = %s AND (last_filter_error <> told.error OR last_filter_error_at IS NULL
                       OR last_filter_error_at < statement_timestamp() - interval '1 minute')
"""


def _replaying(terms: _Terms, judged: _Judged) -> Statement:
    found = judged.found
    is_finished = not judged.is_cut and (found.last is None or found.read < terms.limit)
    following = terms.next_position if found.last is None else found.last + 1
    return Statement(_REPLAY, [following, len(judged.positions), is_finished, terms.replay_id])


_REPLAY: Final = """
    UPDATE feeds_replay
    SET next_position = %s, queued_count = queued_count + %s,
        finished_at = CASE WHEN %s THEN statement_timestamp() END
    WHERE id = %s
"""
