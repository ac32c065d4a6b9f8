"""Fills the queues of hooks: what the reader of a feed does for itself, the dispatcher does here."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from feeds.lag import sample_lag
from feeds.pulling import QUEUE_STATE, QueueState, pull
from oms.ops.statements import Statement, run_together

# A hook with a long way to go lets the others have their turn.
SECONDS_EACH: Final = 0.25
LAG_SECONDS: Final = 60.0

_sampled_at = -LAG_SECONDS


def fill_queues(subscription_ids: Sequence[int], is_stopping: Callable[[], bool]) -> bool:
    """
    This function will pull for each hook that has something new; True if there was any.

    Finding out that there is nothing takes one statement. Once a minute it also notes how far
    behind each subscription is, for the chart in admin.
    """
    _sample_lag_each_minute()
    if not subscription_ids:
        return False
    (states,) = run_together(Statement(_STATES, [list(subscription_ids)]))
    busy = [subscription_id for subscription_id, *state in states if QueueState(*state).has_work]
    for subscription_id in busy:
        if is_stopping():
            break
        pull(subscription_id, seconds=SECONDS_EACH)
    return bool(busy)


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
