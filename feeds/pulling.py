"""
From the ledger into a subscription's queue: whoever reads a subscription fills it first.

In slices of positions, each a transaction of its own (`feeds.slices`), so that a kill or a time
limit loses no progress. New events come before those that a replay asks for again.
"""

import time
from typing import Final, NamedTuple

from feeds.leasing import EXPIRY_BATCH, expire_items
from feeds.slices import queue_new_events, queue_replayed_events
from oms.ops.statements import Statement, run_together
from oms.orders.ledger import number_events

# How long one call goes on: a reader waits for it.
PATIENCE_SECONDS: Final = 1.0


class QueueState(NamedTuple):
    """What there is to do for a subscription, found out without a lock."""

    has_unnumbered: bool
    is_behind: bool
    has_replay: bool
    has_expired: bool

    @property
    def has_work(self) -> bool:
        return any(self)


def pull(
    subscription_id: int,
    *,
    enough: int | None = None,
    seconds: float = PATIENCE_SECONDS,
    with_replays: bool = True,
) -> bool:
    """
    This function will bring everything committed before the call into the queue.

    Returns whether it came to the end. It stops before, with all progress kept, when `enough` new
    items can be handed out or `seconds` have passed. Without replays it leaves those where they
    are. It must not run inside a transaction: what
    that wrote would be numbered before its commit.
    """
    ends_at = time.monotonic() + seconds
    available = 0
    while (state := _state_for(subscription_id, with_replays)).has_work:
        available += _advance(subscription_id, state)
        if enough is not None and available >= enough:
            return False
        if time.monotonic() >= ends_at:
            return not _state_for(subscription_id, with_replays).has_work
    return True


def _state_for(subscription_id: int, with_replays: bool) -> QueueState:
    state = queue_state(subscription_id)
    return state if with_replays else state._replace(has_replay=False)


def _advance(subscription_id: int, state: QueueState) -> int:
    """One step, and how many items it made available. Room is made before more comes in."""
    if state.has_expired and expire_items(subscription_id) == EXPIRY_BATCH:
        return 0
    if state.has_unnumbered:
        # One batch: after an import there may be millions, and this reader has a second.
        number_events()
    if state.has_unnumbered or state.is_behind:
        return queue_new_events(subscription_id).available
    return queue_replayed_events(subscription_id).available if state.has_replay else 0


def queue_state(subscription_id: int) -> QueueState:
    """This function will tell what there is to pull; nothing for one that is not active."""
    (rows,) = run_together(queue_state_of(subscription_id))
    return QueueState(*rows[0][1:]) if rows else QueueState(False, False, False, False)


def queue_state_of(subscription_id: int) -> Statement:
    return Statement(QUEUE_STATE + " WHERE s.id = %s AND s.is_active", [subscription_id])


QUEUE_STATE: Final = """
    SELECT s.id, state.* FROM feeds_subscription s
    CROSS JOIN LATERAL feeds_queue_state(s.id, s.cursor, s.retention_seconds) state
"""
