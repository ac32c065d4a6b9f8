"""
Which events a filter by expression lets through: each judged by the order as that event left it.

The order may have moved on three times since (KI 832400): so not its present document is looked at
but the one that the event left (`oms.orders.snapshots`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from feeds.expressions import Expression
from feeds.models import Subscription
from oms.orders.documents.building import documents_at_events

# Documents are large: so many in memory at once.
BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Matched:
    """
    What became of some events: those that match, in the order given, and how many failed.

    An event on whose document the expression has no result does not match; `last_error` says why
    for the last of them.
    """

    event_ids: list[int]
    error_count: int = 0
    last_error: str = ""


def matching_events(subscription: Subscription, event_ids: Sequence[int]) -> Matched:
    """
    This function will return which of the events match the expression of a subscription.

    It reads documents in batches, so memory stays flat, and locks nothing. Raises
    EvaluatorUnavailable, ExpressionRefused for an expression that was kept by older rules: nothing
    is decided then.
    """
    expression = Expression(subscription.expression)
    matching: list[int] = []
    error_count, last_error = 0, ""
    for start in range(0, len(event_ids), BATCH):
        documents = documents_at_events(event_ids[start : start + BATCH])
        batch = [
            event_id for event_id in event_ids[start : start + BATCH] if event_id in documents
        ]
        verdicts = expression.verdicts([documents[event_id] for event_id in batch])
        for event_id, verdict in zip(batch, verdicts, strict=True):
            if verdict.is_match:
                matching.append(event_id)
            elif verdict.error:
                error_count, last_error = error_count + 1, verdict.error
    return Matched(matching, error_count, last_error)
