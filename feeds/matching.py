"""
Which events a filter by expression lets through: each judged by the order as that event left it.

The order may have moved on three times since (KI 832400): so not its present document is looked at
but the one that the event left (`oms.orders.snapshots`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from feeds.expressions import Expression, Verdict
from feeds.models import Subscription
from oms.orders.documents.building import documents_at_events

# Documents are large: so many in memory at once.
BATCH: Final = 200
# What kills its evaluator takes a third of a second for each order, and somebody waits for the end.
PATIENCE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Matched:
    """
    What became of some events: those that match, in the order given, and how many failed.

    An event on whose document the expression has no result does not match; `last_error` says why
    for the last of them. `judged_count` is less than all where the time was up.
    """

    event_ids: list[int]
    judged_count: int
    error_count: int = 0
    last_error: str = ""


def matching_events(
    subscription: Subscription, event_ids: Sequence[int], *, seconds: float = PATIENCE_SECONDS
) -> Matched:
    """
    This function will return which of the events match the expression of a subscription.

    After `seconds` it goes no further; the first event is always judged. It reads documents in
    batches, so memory stays flat, and locks nothing. Raises
    EvaluatorUnavailable, ExpressionRefused for an expression that was kept by older rules: nothing
    is decided then.
    """
    expression = Expression(subscription.expression)
    ends_at = time.monotonic() + seconds
    verdicts: list[Verdict] = []
    while len(verdicts) < len(event_ids) and (not verdicts or time.monotonic() < ends_at):
        batch = event_ids[len(verdicts) : len(verdicts) + BATCH]
        verdicts += _verdicts(expression, batch, ends_at - time.monotonic())
    judged = zip(event_ids, verdicts, strict=False)
    errors = [verdict.error for verdict in verdicts if verdict.error]
    return Matched(
        event_ids=[event_id for event_id, verdict in judged if verdict.is_match],
        judged_count=len(verdicts),
        error_count=len(errors),
        last_error=errors[-1] if errors else "",
    )


def _verdicts(expression: Expression, event_ids: Sequence[int], seconds: float) -> list[Verdict]:
    """Of the first of the events, as many as time allows; one that does not exist is no match."""
    documents = documents_at_events(event_ids)
    known = [event_id for event_id in event_ids if event_id in documents]
    told = iter(expression.verdicts([documents[pk] for pk in known], seconds=seconds))
    verdicts: list[Verdict] = []
    for event_id in event_ids:
        verdict = next(told, None) if event_id in documents else Verdict(is_match=False)
        if verdict is None:
            break
        verdicts.append(verdict)
    return verdicts
