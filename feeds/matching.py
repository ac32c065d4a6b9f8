"""
Which events a filter by expression lets through: each judged by the order as that event left it.

The order may have moved on three times since (KI 832400): so not its present document is looked at
but the one that the event left (`oms.orders.snapshots`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from feeds.models import Subscription


@dataclass(frozen=True, slots=True)
class Matched:
    """
    What became of some events: those that match, in the order given, and how many failed.

    An event whose document the expression cannot be evaluated on does not match; `last_error` is
    the reason of the last one.
    """

    event_ids: list[int]
    error_count: int = 0
    last_error: str = ""


def matching_events(subscription: Subscription, event_ids: Sequence[int]) -> Matched:
    """
    This function will return which of the events match the expression of a subscription.

    It locks nothing and holds some hundred documents at a time. Call it before taking locks that
    others wait for.
    """
    raise NotImplementedError
