"""
A key reads its feed and commits what it got: what the API's views do, without HTTP.

The oldest of the queue is handed out first; what is new in the ledger is pulled when the queue has
not enough. Either takes one round trip when there is nothing else to do.
"""

from collections.abc import Iterable
from typing import Any, Final

import structlog
from django.db import DatabaseError

from feeds.expressions import EvaluatorUnavailable, ExpressionRefused
from feeds.handles import Handle, read_handle, write_handles
from feeds.identifiers import event_id_of
from feeds.leasing import (
    CommitResult,
    HandedOut,
    commit_items,
    keep_deliverable,
    lease_items,
    leasing_of_feed,
)
from feeds.pulling import QUEUE_STATE, QueueState, pull
from feeds.refusals import FeedNotConfigured
from feeds.wording import domain_of, feed_time
from oms.ops.statements import Statement, run_together

logger = structlog.get_logger(__name__)


def read_feed(app_key_id: int, *, limit: int) -> list[HandedOut]:
    """
    This function will lease up to `limit` items of the key's feed, oldest first.

    Everything committed before the call is in reach of it. What was leased at once is handed out
    also when no more can be had: kept back, it would be hidden until its lease ends, and worn out
    by reads that nobody had anything of. Raises FeedNotConfigured; EvaluatorUnavailable and what
    `pull` raises else when there is nothing to hand out.
    """
    states, leased, _ = run_together(
        Statement(_STATE_OF_FEED, [app_key_id]),
        leasing_of_feed(app_key_id, limit=limit),
        Statement(_TOUCH_READ, [app_key_id]),
    )
    if not states:
        raise FeedNotConfigured
    subscription_id, *facts = states[0]
    state = QueueState(*facts)
    handed_out = keep_deliverable(subscription_id, leased)
    missing = limit - len(handed_out)
    try:
        if state.has_expired or (missing and state.has_work):
            pull(subscription_id, enough=missing)
        if missing and (state.has_work or len(handed_out) < len(leased)):
            handed_out += lease_items(subscription_id, limit=missing)
    except (EvaluatorUnavailable, ExpressionRefused, DatabaseError) as error:
        if not handed_out:
            raise
        logger.warning("feed.read_in_part", subscription_id=subscription_id, error=str(error))
    return handed_out


_STATE_OF_FEED: Final = (
    QUEUE_STATE + " WHERE s.app_key_id = %s AND s.channel = 'feed' AND s.is_active"
)
# Many readers, one row: whoever finds it taken leaves it to the one that has it.
_TOUCH_READ: Final = """
    UPDATE feeds_subscription SET last_read_at = statement_timestamp()
    WHERE id = (
        SELECT id FROM feeds_subscription
        WHERE app_key_id = %s AND channel = 'feed' AND is_active
          AND (last_read_at IS NULL OR last_read_at < statement_timestamp() - interval '1 second')
        FOR NO KEY UPDATE SKIP LOCKED
    )
"""


def commit_handles(app_key_id: int, handles: Iterable[str]) -> CommitResult:
    """
    This function will commit what the handles stand for.

    What is no handle of ours, or another key's, commits nothing and is counted as such.
    """
    given = list(dict.fromkeys(handles))
    read = [handle for handle in map(read_handle, given) if handle is not None]
    by_subscription: dict[int, list[int]] = {}
    for handle in read:
        if handle.app_key_id == app_key_id:
            by_subscription.setdefault(handle.subscription_id, []).append(handle.item_id)
    own = sum(len(items) for items in by_subscription.values())
    results = [commit_items(pk, items) for pk, items in sorted(by_subscription.items())]
    return CommitResult(
        committed=sum(result.committed for result in results),
        already_committed=sum(result.already_committed for result in results),
        not_committed=len(given) - own + sum(result.not_committed for result in results),
    )


def feed_items(app_key_id: int, items: list[HandedOut]) -> list[dict[str, Any]]:
    """This function will write what was handed out as the contract's feed items, with handles."""
    handles = write_handles(
        Handle(app_key_id, item.subscription_id, item.item_id, item.attempt) for item in items
    )
    return [feed_item(item, handle) for item, handle in zip(items, handles, strict=True)]


def feed_item(item: HandedOut, handle: str) -> dict[str, Any]:
    """
    This function will write one feed item: the contract's eight keys and three of ours.

    `lastChange` of an order's first event is its own time: the contract has no null there.
    """
    return {
        "eventId": event_id_of(item.event_pk),
        "handle": handle,
        "domain": domain_of(item.origin),
        "state": item.status,
        "lastState": item.last_status,
        "orderId": item.order_id,
        "lastChange": feed_time(item.last_change_at or item.occurred_at),
        "currentChange": feed_time(item.occurred_at),
        "version": item.seq,
        "isReplay": item.is_replay,
        "deliveryAttempt": item.attempt,
    }
