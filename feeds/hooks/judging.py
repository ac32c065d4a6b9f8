"""From the answer of a receiver to the fate of its item. Pure but for the jitter's chance."""

import random

from feeds.hooks.claiming import ClaimedItem
from feeds.hooks.recording import Fate, Result
from feeds.hooks.schedule import delay_after
from feeds.hooks.sending import GONE, HookAnswer

LONGEST_MILLISECONDS = 2**31 - 1


def judge(item: ClaimedItem, answer: HookAnswer, *, jitter: float | None = None) -> Result:
    """
    This function will decide what becomes of an item after one call.

    A receiver that says it is gone (410) gets no more calls, but its items wait as after any other
    failure: whoever configures the hook again finds them.
    """
    fate, delay = Fate.DELIVERED, 0.0
    if not answer.is_success:
        chance = random.random() if jitter is None else jitter
        wait = delay_after(
            item.attempt - item.schedule_from, jitter=chance, retry_after=answer.retry_after
        )
        fate, delay = (Fate.PARKED, 0.0) if wait is None else (Fate.AGAIN, wait)
    return Result(
        item_id=item.item_id,
        subscription_id=item.subscription_id,
        attempt=item.attempt,
        fate=fate,
        duration_ms=min(round(answer.duration_seconds * 1000), LONGEST_MILLISECONDS),
        status=answer.status,
        error=answer.error,
        answer=answer.answer,
        delay=delay,
        retry_after=None if answer.is_success else answer.retry_after,
    )


def released(item: ClaimedItem) -> Result:
    """This function will give an item back that was leased and not sent."""
    return Result(
        item_id=item.item_id,
        subscription_id=item.subscription_id,
        attempt=item.attempt,
        fate=Fate.RELEASED,
    )


def is_gone(result: Result) -> bool:
    return result.status == GONE
