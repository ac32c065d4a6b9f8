"""Fills the queues of hooks: what the reader of a feed does for itself, the dispatcher does here."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from django.db import DatabaseError, InterfaceError, connection

from feeds.lag import sample_lag
from feeds.pulling import QUEUE_STATE, QueueState, pull
from oms.ops.statements import Statement, run_together

# A hook with a long way to go lets the others have their turn.
SECONDS_EACH: Final = 0.25
LAG_SECONDS: Final = 60.0
# How long one that cannot be filled is left alone.
PAUSE_SECONDS: Final = 5.0

logger = structlog.get_logger(__name__)

_sampled_at = -LAG_SECONDS
_paused_until: dict[int, float] = {}


def fill_queues(subscription_ids: Sequence[int], is_stopping: Callable[[], bool]) -> bool:
    """
    This function will pull for each hook that has something new; True if there was any.

    One that cannot be filled, for its expression or for a lock that somebody holds, is left alone
    for a while: the others do not wait for it. Finding out that there is nothing takes one
    statement. Once a minute it also notes how far behind each subscription is, for the chart in
    admin. Raises what a lost connection raises.
    """
    _sample_lag_each_minute()
    now = time.monotonic()
    asked = [pk for pk in subscription_ids if _paused_until.get(pk, now) <= now]
    if not asked:
        return False
    (states,) = run_together(Statement(_STATES, [asked]))
    busy = [subscription_id for subscription_id, *state in states if QueueState(*state).has_work]
    for subscription_id in busy:
        if is_stopping():
            break
        _fill(subscription_id)
    return bool(busy)


def _fill(subscription_id: int) -> None:
    try:
        pull(subscription_id, seconds=SECONDS_EACH)
    except Exception as error:
        if isinstance(error, DatabaseError | InterfaceError) and not connection.is_usable():
            raise
        logger.warning("hook.not_filled", subscription_id=subscription_id, error=str(error))
        _paused_until[subscription_id] = time.monotonic() + PAUSE_SECONDS


_HAS_SAMPLE: Final = """
    SELECT 1 FROM feeds_subscription s
    JOIN feeds_lagsample l ON l.subscription_id = s.id
    WHERE s.is_active AND l.sampled_at > statement_timestamp() - make_interval(secs => %s)
    LIMIT 1
"""
_STATES: Final = QUEUE_STATE + " WHERE s.id = ANY(%s) AND s.is_active"


def _sample_lag_each_minute() -> None:
    global _sampled_at
    if time.monotonic() - _sampled_at < LAG_SECONDS:
        return
    _sampled_at = time.monotonic()
    # Several dispatchers may run; one sample a minute is enough.
    (known,) = run_together(Statement(_HAS_SAMPLE, [LAG_SECONDS / 2]))
    if not known:
        sample_lag()
