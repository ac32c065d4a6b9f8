"""
Handing out of a subscription's queue, and what becomes of what was handed out.

Only the first open item of an order has `available_at`, so handing out is one index scan, whatever
waits or is leased (docs/adr/0007). An item that ends gives its order's next one its turn in the
same transaction. Every function is a message or two to PostgreSQL; the clock is PostgreSQL's. What
each read and commit does is a function there (migration 0003), so that it is planned once.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from feeds.locking import exclusive_lock, shared_lock
from feeds.models import Outcome
from feeds.scope import IS_IN_SCOPE
from oms.ops.statements import Rows, Statement, as_array, run_together

# The contract: "can't deliver a message more than 100 times". There it is removed, here parked.
MOST_ATTEMPTS: Final = 100
PARKED_UNCOMMITTED: Final = f"handed out {MOST_ATTEMPTS} times without a commit"
EXPIRY_BATCH: Final = 1_000
WITHDRAWAL_BATCH: Final = 10_000
OUT_OF_SIGHT: Final = "the order is not one of the key's sellers and affiliates any more"
# A key that has read its whole queue a hundred times finds nothing but items to park: so many lots
# of them in one call, the others in the next.
MOST_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True)
class HandedOut:
    """
    An event under lease, with what feed items and hook bodies tell of it.

    `attempt` counts every hand-out, `tries` those since somebody asked for the item again.
    """

    item_id: int
    attempt: int
    subscription_id: int
    event_pk: int
    position: int
    order_pk: int
    order_id: str
    origin: str
    seq: int
    status: str
    last_status: str
    occurred_at: datetime
    last_change_at: datetime | None
    is_replay: bool
    queued_at: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class CommitResult:
    """How many items a commit ended, how many were committed before, how many it knows nothing of."""

    committed: int = 0
    already_committed: int = 0
    not_committed: int = 0


def lease_items(
    subscription_id: int, *, limit: int, at: datetime | None = None
) -> list[HandedOut]:
    """
    This function will lease up to `limit` items for the visibility timeout, oldest first.

    What was handed out MOST_ATTEMPTS times is parked instead; what is older than the retention is
    left to `expire_items`. What the key may not see any more is withdrawn. Parallel readers never
    get the same item.
    """
    handed_out: list[HandedOut] = []
    for _ in range(MOST_ROUNDS):
        wanted = limit - len(handed_out)
        (rows,) = run_together(
            Statement(f"{_LEASE} WHERE s.id = %s", [wanted, at, subscription_id])
        )
        kept = keep_deliverable(subscription_id, rows)
        handed_out += kept
        if len(handed_out) == limit or len(kept) == len(rows):
            break
    return handed_out


def leasing_of_feed(app_key_id: int, *, limit: int) -> Statement:
    """This function will return what leases from a key's feed, for a round trip with others."""
    which = "WHERE s.app_key_id = %s AND s.channel = 'feed' AND s.is_active"
    return Statement(f"{_LEASE} {which}", [limit, None, app_key_id])


def keep_deliverable(subscription_id: int, rows: Rows) -> list[HandedOut]:
    """This function will end what was handed out too often or may not be seen, and return the rest."""
    hidden = [item_id for item_id, *_, is_visible in rows if not is_visible]
    end_items(subscription_id, hidden, Outcome.WITHDRAWN, error=OUT_OF_SIGHT)
    items = [HandedOut(*facts) for *facts, is_visible in rows if is_visible]
    worn = [item.item_id for item in items if item.tries > MOST_ATTEMPTS]
    end_items(subscription_id, worn, Outcome.PARKED, error=PARKED_UNCOMMITTED)
    return [item for item in items if item.tries <= MOST_ATTEMPTS]


# A key's sellers may have changed since an item was queued.
_LEASE: Final = f"""
    SELECT l.*, k.seller_ids IS NULL AND k.affiliate_ids IS NULL
                OR EXISTS (SELECT FROM orders_order o, (SELECT l.order_pk AS order_id, l.seq) e
                           WHERE o.id = e.order_id AND {IS_IN_SCOPE})
    FROM feeds_subscription s JOIN access_appkey k ON k.id = s.app_key_id
    CROSS JOIN LATERAL feeds_lease(
        s.id, s.visibility_timeout_seconds, s.retention_seconds, %s, %s::timestamptz
    ) l
"""


def commit_items(subscription_id: int, item_ids: Iterable[int]) -> CommitResult:
    """
    This function will end items as committed, whichever lease they were handed out in.

    It does not matter whether a lease has ended, or the item was parked or expired meanwhile: the
    ERP has it. Committing twice changes nothing. Items of other subscriptions are not touched.
    """
    wanted = list(dict.fromkeys(item_ids))
    if not wanted:
        return CommitResult()
    _, found, _ = run_together(
        shared_lock(subscription_id),
        Statement(_COMMIT, [subscription_id, as_array(wanted)]),
        Statement(_TOUCH_COMMIT, [subscription_id]),
    )
    outcomes = Counter(Outcome(outcome) for _, outcome in found)
    already = outcomes[Outcome.COMMITTED]
    committed = sum(outcomes[outcome] for outcome in _COMMITTABLE)
    return CommitResult(committed, already, len(wanted) - already - committed)


_COMMITTABLE: Final = (Outcome.OPEN, Outcome.PARKED, Outcome.EXPIRED)
_COMMIT: Final = "SELECT * FROM feeds_commit(%s, %s::bigint[])"
# Many readers, one row: whoever finds it taken leaves it to the one that has it.
_TOUCH_COMMIT: Final = """
    UPDATE feeds_subscription SET last_commit_at = statement_timestamp()
    WHERE id = (
        SELECT id FROM feeds_subscription
        WHERE id = %s AND (last_commit_at IS NULL
                           OR last_commit_at < statement_timestamp() - interval '1 second')
        FOR NO KEY UPDATE SKIP LOCKED
    )
"""


def end_items(
    subscription_id: int, item_ids: Iterable[int], outcome: Outcome, *, error: str = ""
) -> int:
    """
    This function will end items that were handed out, and return how many were still open.

    `error` is kept as the item's last one. Raises ValueError for an outcome that is no end.
    """
    if outcome is Outcome.OPEN:
        raise ValueError("An item does not end by being open.")
    wanted = list(dict.fromkeys(item_ids))
    if not wanted:
        return 0
    _, _, ended, _ = run_together(
        shared_lock(subscription_id),
        Statement(
            "SELECT feeds_lock_items(%s, %s::bigint[])", [subscription_id, as_array(wanted)]
        ),
        Statement(_END_LEASED, [outcome, error, wanted, subscription_id]),
        _promoting(subscription_id, wanted),
    )
    return len(ended)


# `available_at` keeps to the first of an order: under the shared lock nothing else may end.
_END_LEASED: Final = """
    UPDATE feeds_queueitem
    SET outcome = %s, ended_at = statement_timestamp(), available_at = NULL,
        last_error = coalesce(nullif(%s, ''), last_error)
    WHERE id = ANY(%s) AND subscription_id = %s AND outcome = '' AND available_at IS NOT NULL
    RETURNING id
"""


def _promoting(subscription_id: int, ended_ids: Iterable[int]) -> Statement:
    return Statement(
        "SELECT feeds_promote(%s, %s::bigint[])", [subscription_id, as_array(ended_ids)]
    )


def expire_items(subscription_id: int, *, batch: int = EXPIRY_BATCH) -> int:
    """
    This function will end up to `batch` open items that are older than the retention.

    Returns how many. They stay visible as expired, and their events can be replayed.
    """
    with transaction.atomic():
        _, ended = run_together(
            exclusive_lock(subscription_id), Statement(_EXPIRE, [subscription_id, batch])
        )
        if ended:
            run_together(_promoting(subscription_id, [row[0] for row in ended]))
    return len(ended)


_EXPIRE: Final = """
    UPDATE feeds_queueitem
    SET outcome = 'expired', ended_at = statement_timestamp(), available_at = NULL
    WHERE id IN (
        SELECT i.id FROM feeds_queueitem i
        JOIN feeds_subscription s ON s.id = i.subscription_id
        WHERE s.id = %s AND i.outcome = ''
          AND i.queued_at <= statement_timestamp() - make_interval(secs => s.retention_seconds)
        ORDER BY i.queued_at LIMIT %s
    ) AND outcome = ''
    RETURNING id
"""


def withdraw_items(subscription_id: int, *, batch: int = WITHDRAWAL_BATCH) -> int:
    """
    This function will end all that is open of a subscription that is not active, and return how much.

    Batch by batch, each a transaction of its own outside the caller's: millions take longer than a
    statement may. One that was made again meanwhile keeps what it has.
    """
    total = 0
    while True:
        with transaction.atomic():
            _, ended = run_together(
                exclusive_lock(subscription_id), Statement(_WITHDRAW, [subscription_id, batch])
            )
        total += len(ended)
        if len(ended) < batch:
            return total


_WITHDRAW: Final = """
    UPDATE feeds_queueitem
    SET outcome = 'withdrawn', ended_at = statement_timestamp(), available_at = NULL
    WHERE id IN (
        SELECT i.id FROM feeds_queueitem i
        JOIN feeds_subscription s ON s.id = i.subscription_id AND NOT s.is_active
        WHERE s.id = %s AND i.outcome = '' ORDER BY i.queued_at LIMIT %s
    )
    RETURNING id
"""
