"""Reads open work items as the facts that `oms.backoffice.waiting` puts into words."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from oms.backoffice.waiting import WorkFacts
from workflow.models import WorkItem

_COLUMNS: Final = (
    "pk", "order_id", "step", "connector", "due_at", "next_attempt_at", "attempts", "last_error",
    "leased_until", "leased_by", "parked_at", "cause",
)  # fmt: skip


def open_work_of(order_pks: Sequence[int]) -> dict[int, list[WorkFacts]]:
    """This function will return the open work items of orders, by order: one query."""
    found: dict[int, list[WorkFacts]] = defaultdict(list)
    if order_pks:
        items = WorkItem.objects.filter(order_id__in=list(order_pks))
        for row in items.order_by("next_attempt_at").values_list(*_COLUMNS):
            facts = WorkFacts(*row)
            found[facts.order_pk].append(facts)
    return dict(found)


def facts_of(item: WorkItem) -> WorkFacts:
    """This function will return the facts of a work item that has been read already."""
    return WorkFacts(*(getattr(item, name) for name in _COLUMNS))
