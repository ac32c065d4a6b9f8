"""Beyond the contract: the ledger by position, and the proof of completeness."""

from typing import Final

from oms.api.description.operation import Operation, Operations, array, ref
from oms.api.description.shapes import ANYTHING, NULLABLE_TEXT, TEXT, WHOLE, open_thing
from oms.api.event_serializers import BucketsBody, EventsQuery, HourBody
from oms.api.views.events import EventsView
from oms.api.views.reconciliation import ReconciledHourView, ReconciliationView

LEDGER: Final[Operations] = {
    (EventsView, "GET"): Operation(
        id="list_events",
        tag="Ledger",
        summary="Read the ledger from a position",
        text="`count == to - from + 1` on every page of a key without restriction: nothing can be "
        "missing unseen.",
        query=EventsQuery,
        answers={200: ref("LedgerPage")},
        refusals=(404,),
    ),
    (ReconciliationView, "GET"): Operation(
        id="read_reconciliation",
        tag="Ledger",
        summary="Read hours: count, sums and hash of their orders",
        answers={
            200: open_thing("hours", hours=array(ref("Bucket")), by=TEXT, next=NULLABLE_TEXT)
        },
    ),
    (ReconciliationView, "POST"): Operation(
        id="compare_hours",
        tag="Ledger",
        summary="Send your hours, get those that differ",
        body=BucketsBody,
        answers={200: open_thing("differing", differing=array(ANYTHING), equalCount=WHOLE)},
    ),
    (ReconciledHourView, "GET"): Operation(
        id="read_reconciled_hour",
        tag="Ledger",
        summary="Read the orders of an hour",
        answers={
            200: open_thing("orders", orders=array(ANYTHING), count=WHOLE, next=NULLABLE_TEXT)
        },
    ),
    (ReconciledHourView, "POST"): Operation(
        id="compare_hour",
        tag="Ledger",
        summary="Send your orders of an hour, get what you lack",
        body=HourBody,
        answers={
            200: open_thing(
                "missing",
                missing=array(ANYTHING),
                older=array(ANYTHING),
                newer=array(ANYTHING),
                extra=array(TEXT),
                equalCount=WHOLE,
            )
        },
    ),
}
