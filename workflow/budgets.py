"""How long an order may stay in a status before it counts as stuck, by urgency (mission M17)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from oms.orders.statuses import Priority, Status

S = Status


def _hours(hours: float) -> timedelta:
    return timedelta(hours=hours)


QUICK: Final = (timedelta(minutes=5), timedelta(minutes=2))

# status: (normal delivery, express and pickup). A status without a row may rest for ever.
BUDGETS: Final[Mapping[Status, tuple[timedelta, timedelta]]] = MappingProxyType(
    {
        S.ORDER_CREATED: QUICK,
        S.ORDER_ACCEPTED: QUICK,
        S.ORDER_CREATE_ERROR: QUICK,
        S.ORDER_CREATION_ERROR: QUICK,
        S.ON_ORDER_COMPLETED: QUICK,
        S.ON_ORDER_COMPLETED_FFM: QUICK,
        S.WAITING_FOR_AUTHORIZATION: (_hours(0.25), timedelta(minutes=5)),
        S.WAITING_FOR_ORDER_AUTHORIZATION: (_hours(24), _hours(1)),
        S.PAYMENT_PENDING: (_hours(72), _hours(24)),
        S.APPROVE_PAYMENT: (_hours(1), _hours(0.25)),
        S.PAYMENT_APPROVED: QUICK,
        S.PAYMENT_DENIED: QUICK,
        S.WINDOW_TO_CHANGE_PAYMENT: (_hours(25), _hours(25)),
        S.WINDOW_TO_CHANGE_SELLER: (_hours(49), _hours(49)),
        S.WAITING_FFMT_AUTHORIZATION: (_hours(24), _hours(1)),
        S.WAITING_FOR_MANUAL_AUTHORIZATION: (_hours(24), _hours(1)),
        S.WAITING_FOR_MKT_AUTHORIZATION: (_hours(24), _hours(1)),
        S.WAITING_SELLER_HANDLING: (_hours(120), _hours(24)),
        S.AUTHORIZE_FULFILLMENT: (_hours(0.25), timedelta(minutes=5)),
        S.WINDOW_TO_CANCEL: (_hours(48), _hours(2)),
        S.WAITING_FOR_FULFILLMENT: (_hours(24), _hours(2)),
        S.READY_FOR_HANDLING: (_hours(24), _hours(0.5)),
        S.START_HANDLING: QUICK,
        S.HANDLING: (_hours(48), _hours(2)),
        S.READY_FOR_INVOICING: (_hours(24), _hours(1)),
        S.INVOICE: (_hours(0.25), timedelta(minutes=5)),
        S.INVOICE_AFTER_CANCELLATION_DENY: QUICK,
        S.REQUEST_CANCEL: QUICK,
        S.WAITING_FOR_SELLER_DECISION: (_hours(48), _hours(4)),
        S.CANCELLATION_REQUESTED: (_hours(48), _hours(4)),
        S.CANCELLATION_REQUEST_DENIED_FFM: QUICK,
        S.CANCEL: (_hours(0.25), _hours(0.25)),
    }
)


def budget_ends_at(status: Status, *, priority: int, since: datetime) -> datetime | None:
    """This function will return when an order in this status counts as stuck; None: never."""
    budget = BUDGETS.get(status)
    if budget is None:
        return None
    normal, urgent = budget
    return since + (urgent if priority <= Priority.URGENT else normal)
