"""Which of the document's `allow...` fields hold in which status. The moves themselves decide."""

from typing import Final

from oms.orders.statuses import FINAL_STATUSES, Status

# No cancellation while the system itself is between two statuses (research vtex-oms 1.2 and 1.5).
TRANSITIONAL_STATUSES: Final = frozenset(
    {
        Status.NULL,
        Status.ORDER_CREATED,
        Status.ORDER_CREATE_ERROR,
        Status.ORDER_CREATION_ERROR,
        Status.START_HANDLING,
        Status.INVOICE,
        Status.INVOICE_AFTER_CANCELLATION_DENY,
        Status.CANCEL,
    }
)


def allows_cancellation(status: str, *, is_partly_invoiced: bool) -> bool:
    """This function will tell whether a cancellation may be asked for: not once invoiced."""
    return not is_partly_invoiced and status not in TRANSITIONAL_STATUSES | FINAL_STATUSES


def allows_edition(status: str) -> bool:
    """This function will tell whether lines may be changed: only while the order is picked."""
    return status == Status.HANDLING
