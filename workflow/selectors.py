"""Reads over work items."""

from collections.abc import Sequence

from workflow.models import WorkItem


def orders_in_error(order_pks: Sequence[int]) -> frozenset[int]:
    """This function will return which of the orders have a parked step (`workflowIsInError`)."""
    parked = WorkItem.objects.filter(order_id__in=order_pks, parked_at__isnull=False)
    return frozenset(parked.values_list("order_id", flat=True))
