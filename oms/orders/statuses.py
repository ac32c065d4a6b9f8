"""
The words of an order's life: flows, statuses, delivery channels, actors.

Which action leads from which status to which is in `workflow.flows`; here are only the names,
spelled as the published contract spells them (contract, feed filter values; ADR 0002).
"""

from enum import StrEnum
from typing import Final


class Flow(StrEnum):
    """Which of the four tables an order follows. It never changes after placing."""

    COMPLETE = "complete"
    MARKETPLACE = "marketplace"
    FULFILLMENT = "fulfillment"
    CHAIN = "chain"


class Status(StrEnum):
    NULL = "null"
    ORDER_CREATED = "order-created"
    ORDER_CREATE_ERROR = "order-create-error"
    ORDER_CREATION_ERROR = "order-creation-error"
    ORDER_ACCEPTED = "order-accepted"
    ON_ORDER_COMPLETED = "on-order-completed"
    ON_ORDER_COMPLETED_FFM = "on-order-completed-ffm"
    WAITING_FOR_AUTHORIZATION = "waiting-for-authorization"
    WAITING_FOR_ORDER_AUTHORIZATION = "waiting-for-order-authorization"
    PAYMENT_PENDING = "payment-pending"
    APPROVE_PAYMENT = "approve-payment"
    PAYMENT_APPROVED = "payment-approved"
    PAYMENT_DENIED = "payment-denied"
    WINDOW_TO_CHANGE_PAYMENT = "window-to-change-payment"
    WINDOW_TO_CHANGE_SELLER = "window-to-change-seller"
    WAITING_FFMT_AUTHORIZATION = "waiting-ffmt-authorization"
    WAITING_FOR_MANUAL_AUTHORIZATION = "waiting-for-manual-authorization"
    WAITING_FOR_FULFILLMENT = "waiting-for-fulfillment"
    AUTHORIZE_FULFILLMENT = "authorize-fulfillment"
    WAITING_FOR_MKT_AUTHORIZATION = "waiting-for-mkt-authorization"
    WAITING_SELLER_HANDLING = "waiting-seller-handling"
    WINDOW_TO_CANCEL = "window-to-cancel"
    READY_FOR_HANDLING = "ready-for-handling"
    START_HANDLING = "start-handling"
    HANDLING = "handling"
    READY_FOR_INVOICING = "ready-for-invoicing"
    INVOICE = "invoice"
    INVOICED = "invoiced"
    INVOICE_AFTER_CANCELLATION_DENY = "invoice-after-cancellation-deny"
    REQUEST_CANCEL = "request-cancel"
    WAITING_FOR_SELLER_DECISION = "waiting-for-seller-decision"
    CANCELLATION_REQUESTED = "cancellation-requested"
    CANCELLATION_REQUEST_DENIED_FFM = "cancellation-request-denied-ffm"
    CANCEL = "cancel"
    CANCELED = "canceled"
    REPLACED = "replaced"

    @property
    def label(self) -> str:
        return STATUS_LABELS[self]

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATUSES


STATUS_LABELS: Final[dict[Status, str]] = {
    Status.NULL: "Incomplete",
    Status.ORDER_CREATED: "Order created",
    Status.ORDER_CREATE_ERROR: "Creation failed",
    Status.ORDER_CREATION_ERROR: "Creation failed",
    Status.ORDER_ACCEPTED: "Order accepted",
    Status.ON_ORDER_COMPLETED: "Processing order",
    Status.ON_ORDER_COMPLETED_FFM: "Processing order",
    Status.WAITING_FOR_AUTHORIZATION: "Waiting for seller confirmation",
    Status.WAITING_FOR_ORDER_AUTHORIZATION: "Waiting for order authorization",
    Status.PAYMENT_PENDING: "Payment pending",
    Status.APPROVE_PAYMENT: "Approving payment",
    Status.PAYMENT_APPROVED: "Payment approved",
    Status.PAYMENT_DENIED: "Payment denied",
    Status.WINDOW_TO_CHANGE_PAYMENT: "Window to change payment",
    Status.WINDOW_TO_CHANGE_SELLER: "Window to change seller",
    Status.WAITING_FFMT_AUTHORIZATION: "Waiting for marketplace authorization",
    Status.WAITING_FOR_MANUAL_AUTHORIZATION: "Waiting for fulfillment authorization",
    Status.WAITING_FOR_FULFILLMENT: "Waiting for warehouse",
    Status.AUTHORIZE_FULFILLMENT: "Authorizing fulfillment",
    Status.WAITING_FOR_MKT_AUTHORIZATION: "Waiting for marketplace authorization",
    Status.WAITING_SELLER_HANDLING: "Waiting for seller handling",
    Status.WINDOW_TO_CANCEL: "Cancellation window",
    Status.READY_FOR_HANDLING: "Ready for handling",
    Status.START_HANDLING: "Starting handling",
    Status.HANDLING: "Handling shipping",
    Status.READY_FOR_INVOICING: "Ready for invoicing",
    Status.INVOICE: "Verifying invoice",
    Status.INVOICED: "Invoiced",
    Status.INVOICE_AFTER_CANCELLATION_DENY: "Invoicing after denied cancellation",
    Status.REQUEST_CANCEL: "Requesting cancellation",
    Status.WAITING_FOR_SELLER_DECISION: "Waiting for seller's decision",
    Status.CANCELLATION_REQUESTED: "Cancellation requested",
    Status.CANCELLATION_REQUEST_DENIED_FFM: "Cancellation denied by seller",
    Status.CANCEL: "Canceling",
    Status.CANCELED: "Canceled",
    Status.REPLACED: "Replaced",
}


def label_of(status: str) -> str:
    """This function will tell a status in words; one that only newer code knows as it is spelled."""
    return _LABEL_OF_NAME.get(status, status)


_LABEL_OF_NAME: Final = {status.value: label for status, label in STATUS_LABELS.items()}


FINAL_STATUSES: Final = frozenset({Status.INVOICED, Status.CANCELED, Status.REPLACED})


class DeliveryChannel(StrEnum):
    DELIVERY = "delivery"
    PICKUP = "pickup-in-point"


class Priority:
    """Smaller overtakes larger (post-mortem, express delivery; mission M17)."""

    URGENT: Final = 0
    NORMAL: Final = 10
    BACKGROUND: Final = 20


def priority_of(*, delivery_channel: str, is_express: bool) -> int:
    """This function will return the priority of an order's work: express and pickup overtake."""
    if is_express or delivery_channel == DeliveryChannel.PICKUP:
        return Priority.URGENT
    return Priority.NORMAL


ORIGIN_OF_FLOW: Final[dict[Flow, str]] = {
    Flow.COMPLETE: "Marketplace",
    Flow.MARKETPLACE: "Marketplace",
    Flow.FULFILLMENT: "Fulfillment",
    Flow.CHAIN: "Chain",
}
