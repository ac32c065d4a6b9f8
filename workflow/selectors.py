"""Reads over work items."""

from collections.abc import Sequence
from dataclasses import dataclass

from workflow.models import WorkItem


def orders_in_error(order_pks: Sequence[int]) -> frozenset[int]:
    """This function will return which of the orders have a parked step (`workflowIsInError`)."""
    parked = WorkItem.objects.filter(order_id__in=order_pks, parked_at__isnull=False)
    return frozenset(parked.values_list("order_id", flat=True))


@dataclass(frozen=True, slots=True)
class WorkTroubles:
    """Orders with a parked step, and orders with a step that failed and is to be tried again."""

    parked: frozenset[int]
    retried: frozenset[int]


def work_troubles(order_pks: Sequence[int]) -> WorkTroubles:
    """This function will tell which of the orders have trouble with their work: one query."""
    if not order_pks:
        return WorkTroubles(frozenset(), frozenset())
    failed = WorkItem.objects.filter(order_id__in=order_pks).exclude(last_error="")
    parked = WorkItem.objects.filter(order_id__in=order_pks, parked_at__isnull=False)
    found = (failed | parked).values_list("order_id", "parked_at")
    return WorkTroubles(
        parked=frozenset(pk for pk, parked_at in found if parked_at),
        retried=frozenset(pk for pk, parked_at in found if not parked_at),
    )
