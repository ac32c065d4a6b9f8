"""
Every legal move of an order, one table per flow. A move that has no row is refused.

The tables follow the anchor's four flow diagrams (research, workflow 1.2 and 1.3), with the ways
out that its users miss: nothing rests in a status that only the system could leave without a step
in `workflow.steps` that leaves it. The page docs/lifecycle.md is printed from here.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from oms.orders.statuses import Flow, Status

S = Status


class Action(StrEnum):
    """What can happen to an order. Imperative; the event it leaves is in `EVENT_KINDS`."""

    RECEIVE = "receive"
    COMPLETE_ORDER = "complete-order"
    FAIL_CREATION = "fail-creation"
    RETRY_CREATION = "retry-creation"
    ASK_SELLER = "ask-seller"
    HOLD_FOR_AUTHORIZATION = "hold-for-authorization"
    AUTHORIZE_ORDER = "authorize-order"
    CONFIRM_SELLER = "confirm-seller"
    RESERVE_STOCK = "reserve-stock"
    APPROVE_PAYMENT = "approve-payment"
    DENY_PAYMENT = "deny-payment"
    PASS_ANTIFRAUD = "pass-antifraud"
    OPEN_PAYMENT_WINDOW = "open-payment-window"
    RETRY_PAYMENT = "retry-payment"
    LOSE_SELLER = "lose-seller"
    CHANGE_SELLER = "change-seller"
    ASK_FOR_MANUAL_AUTHORIZATION = "ask-for-manual-authorization"
    AUTHORIZE_FULFILLMENT = "authorize-fulfillment"
    AUTHORIZE_BY_MARKETPLACE = "authorize-by-marketplace"
    AWAIT_SELLER = "await-seller"
    OPEN_WINDOW_TO_CANCEL = "open-window-to-cancel"
    CLOSE_WINDOW_TO_CANCEL = "close-window-to-cancel"
    HAND_TO_WAREHOUSE = "hand-to-warehouse"
    RELEASE_FROM_WAREHOUSE = "release-from-warehouse"
    START_HANDLING = "start-handling"
    ACKNOWLEDGE_HANDLING = "acknowledge-handling"
    FINISH_PICKING = "finish-picking"
    RECORD_INVOICE = "record-invoice"
    VERIFY_INVOICE = "verify-invoice"
    SETTLE_INVOICE = "settle-invoice"
    SETTLE_PART = "settle-part"
    REQUEST_CANCELLATION = "request-cancellation"
    AWAIT_SELLER_DECISION = "await-seller-decision"
    ACCEPT_CANCELLATION = "accept-cancellation"
    DENY_CANCELLATION = "deny-cancellation"
    RETURN_TO_READY = "return-to-ready"
    RETURN_TO_HANDLING = "return-to-handling"
    RETURN_TO_INVOICING = "return-to-invoicing"
    CANCEL = "cancel"
    FINISH_CANCELLATION = "finish-cancellation"
    REPLACE = "replace"


A = Action
Table = Mapping[tuple[Status, Action], Status]

CREATION: Final[dict[tuple[Status, Action], Status]] = {
    # (from,                            action)                        -> to
    (S.NULL,                            A.RECEIVE):                     S.ORDER_CREATED,
    (S.ORDER_CREATED,                   A.COMPLETE_ORDER):              S.ON_ORDER_COMPLETED,
    (S.ORDER_CREATED,                   A.FAIL_CREATION):               S.ORDER_CREATION_ERROR,
    (S.ORDER_CREATE_ERROR,              A.RETRY_CREATION):              S.ORDER_CREATED,
    (S.ORDER_CREATE_ERROR,              A.CANCEL):                      S.CANCEL,
    (S.ORDER_CREATION_ERROR,            A.RETRY_CREATION):              S.ORDER_CREATED,
    (S.ORDER_CREATION_ERROR,            A.CANCEL):                      S.CANCEL,
    (S.ON_ORDER_COMPLETED,              A.ASK_SELLER):                  S.WAITING_FOR_AUTHORIZATION,
    (S.ON_ORDER_COMPLETED,              A.HOLD_FOR_AUTHORIZATION):      S.WAITING_FOR_ORDER_AUTHORIZATION,
    (S.WAITING_FOR_ORDER_AUTHORIZATION, A.AUTHORIZE_ORDER):             S.WAITING_FOR_AUTHORIZATION,
    (S.WAITING_FOR_ORDER_AUTHORIZATION, A.CANCEL):                      S.CANCEL,
    (S.WAITING_FOR_AUTHORIZATION,       A.CANCEL):                      S.CANCEL,
}  # fmt: skip

PAYING: Final[dict[tuple[Status, Action], Status]] = {
    (S.WAITING_FOR_AUTHORIZATION,       A.CONFIRM_SELLER):              S.PAYMENT_PENDING,
    (S.PAYMENT_PENDING,                 A.APPROVE_PAYMENT):             S.APPROVE_PAYMENT,
    (S.PAYMENT_PENDING,                 A.DENY_PAYMENT):                S.PAYMENT_DENIED,
    (S.PAYMENT_PENDING,                 A.CANCEL):                      S.CANCEL,
    (S.PAYMENT_PENDING,                 A.REPLACE):                     S.REPLACED,
    (S.APPROVE_PAYMENT,                 A.PASS_ANTIFRAUD):              S.PAYMENT_APPROVED,
    (S.APPROVE_PAYMENT,                 A.DENY_PAYMENT):                S.PAYMENT_DENIED,
    (S.APPROVE_PAYMENT,                 A.CANCEL):                      S.CANCEL,
    (S.PAYMENT_DENIED,                  A.CANCEL):                      S.CANCEL,
}  # fmt: skip

SHIPPING: Final[dict[tuple[Status, Action], Status]] = {
    (S.AUTHORIZE_FULFILLMENT,           A.OPEN_WINDOW_TO_CANCEL):       S.WINDOW_TO_CANCEL,
    (S.AUTHORIZE_FULFILLMENT,           A.CANCEL):                      S.CANCEL,
    (S.WINDOW_TO_CANCEL,                A.CLOSE_WINDOW_TO_CANCEL):      S.READY_FOR_HANDLING,
    (S.WINDOW_TO_CANCEL,                A.HAND_TO_WAREHOUSE):           S.WAITING_FOR_FULFILLMENT,
    (S.WINDOW_TO_CANCEL,                A.CANCEL):                      S.CANCEL,
    (S.WINDOW_TO_CANCEL,                A.REPLACE):                     S.REPLACED,
    (S.WAITING_FOR_FULFILLMENT,         A.RELEASE_FROM_WAREHOUSE):      S.READY_FOR_HANDLING,
    (S.WAITING_FOR_FULFILLMENT,         A.CANCEL):                      S.CANCEL,
    (S.READY_FOR_HANDLING,              A.START_HANDLING):              S.START_HANDLING,
    (S.READY_FOR_HANDLING,              A.REQUEST_CANCELLATION):        S.CANCELLATION_REQUESTED,
    (S.START_HANDLING,                  A.ACKNOWLEDGE_HANDLING):        S.HANDLING,
    # Connectors invoice right after start-handling: the invoice is kept, and taken up as soon as
    # the goods are out of stock.
    (S.START_HANDLING,                  A.RECORD_INVOICE):              S.START_HANDLING,
    (S.START_HANDLING,                  A.VERIFY_INVOICE):              S.INVOICE,
    (S.HANDLING,                        A.FINISH_PICKING):              S.READY_FOR_INVOICING,
    (S.HANDLING,                        A.RECORD_INVOICE):              S.INVOICE,
    (S.HANDLING,                        A.REQUEST_CANCELLATION):        S.CANCELLATION_REQUESTED,
    (S.READY_FOR_INVOICING,             A.RECORD_INVOICE):              S.INVOICE,
    (S.READY_FOR_INVOICING,             A.REQUEST_CANCELLATION):        S.CANCELLATION_REQUESTED,
    # ERPs send parts one after the other: the next may come while the last is being captured.
    (S.INVOICE,                         A.RECORD_INVOICE):              S.INVOICE,
    (S.INVOICE,                         A.SETTLE_INVOICE):              S.INVOICED,
    (S.INVOICE,                         A.SETTLE_PART):                 S.HANDLING,
    (S.CANCELLATION_REQUESTED,          A.ACCEPT_CANCELLATION):         S.CANCEL,
    (S.CANCELLATION_REQUESTED,          A.DENY_CANCELLATION):           S.CANCELLATION_REQUEST_DENIED_FFM,
    (S.CANCELLATION_REQUESTED,          A.RECORD_INVOICE):              S.INVOICE_AFTER_CANCELLATION_DENY,
    (S.CANCELLATION_REQUEST_DENIED_FFM, A.RETURN_TO_READY):             S.READY_FOR_HANDLING,
    (S.CANCELLATION_REQUEST_DENIED_FFM, A.RETURN_TO_HANDLING):          S.HANDLING,
    (S.CANCELLATION_REQUEST_DENIED_FFM, A.RETURN_TO_INVOICING):         S.READY_FOR_INVOICING,
    (S.INVOICE_AFTER_CANCELLATION_DENY, A.VERIFY_INVOICE):              S.INVOICE,
    (S.CANCEL,                          A.FINISH_CANCELLATION):         S.CANCELED,
}  # fmt: skip

SELLING: Final[dict[tuple[Status, Action], Status]] = {
    (S.WAITING_FOR_AUTHORIZATION,       A.LOSE_SELLER):                 S.WINDOW_TO_CHANGE_SELLER,
    (S.PAYMENT_APPROVED,                A.LOSE_SELLER):                 S.WINDOW_TO_CHANGE_SELLER,
    (S.WAITING_SELLER_HANDLING,         A.LOSE_SELLER):                 S.WINDOW_TO_CHANGE_SELLER,
    (S.WAITING_FOR_AUTHORIZATION,       A.CHANGE_SELLER):               S.WAITING_FOR_AUTHORIZATION,
    (S.WINDOW_TO_CHANGE_SELLER,         A.CHANGE_SELLER):               S.WAITING_FOR_AUTHORIZATION,
    (S.WINDOW_TO_CHANGE_SELLER,         A.CANCEL):                      S.CANCEL,
    (S.PAYMENT_APPROVED,                A.AWAIT_SELLER):                S.WAITING_SELLER_HANDLING,
    (S.PAYMENT_APPROVED,                A.RECORD_INVOICE):              S.INVOICE,
    (S.PAYMENT_APPROVED,                A.REQUEST_CANCELLATION):        S.REQUEST_CANCEL,
    (S.WAITING_SELLER_HANDLING,         A.RECORD_INVOICE):              S.INVOICE,
    (S.WAITING_SELLER_HANDLING,         A.REQUEST_CANCELLATION):        S.REQUEST_CANCEL,
    (S.REQUEST_CANCEL,                  A.AWAIT_SELLER_DECISION):       S.WAITING_FOR_SELLER_DECISION,
    (S.WAITING_FOR_SELLER_DECISION,     A.ACCEPT_CANCELLATION):         S.CANCEL,
    (S.WAITING_FOR_SELLER_DECISION,     A.DENY_CANCELLATION):           S.PAYMENT_APPROVED,
    (S.WAITING_FOR_SELLER_DECISION,     A.RECORD_INVOICE):              S.INVOICE_AFTER_CANCELLATION_DENY,
    (S.INVOICE_AFTER_CANCELLATION_DENY, A.VERIFY_INVOICE):              S.INVOICE,
    (S.INVOICE,                         A.RECORD_INVOICE):              S.INVOICE,
    (S.INVOICE,                         A.SETTLE_INVOICE):              S.INVOICED,
    (S.INVOICE,                         A.SETTLE_PART):                 S.PAYMENT_APPROVED,
    (S.CANCEL,                          A.FINISH_CANCELLATION):         S.CANCELED,
}  # fmt: skip

TABLES: Final[Mapping[Flow, Table]] = MappingProxyType({
    Flow.COMPLETE: MappingProxyType({
        **CREATION,
        **PAYING,
        (S.PAYMENT_APPROVED, A.AUTHORIZE_FULFILLMENT): S.AUTHORIZE_FULFILLMENT,
        (S.PAYMENT_APPROVED, A.CANCEL): S.CANCEL,
        **SHIPPING,
    }),
    Flow.MARKETPLACE: MappingProxyType({
        **CREATION,
        **PAYING,
        (S.PAYMENT_PENDING, A.CHANGE_SELLER): S.WAITING_FOR_AUTHORIZATION,
        (S.PAYMENT_DENIED, A.OPEN_PAYMENT_WINDOW): S.WINDOW_TO_CHANGE_PAYMENT,
        (S.WINDOW_TO_CHANGE_PAYMENT, A.RETRY_PAYMENT): S.PAYMENT_PENDING,
        (S.WINDOW_TO_CHANGE_PAYMENT, A.CANCEL): S.CANCEL,
        **SELLING,
    }),
    Flow.FULFILLMENT: MappingProxyType({
        (S.NULL, A.RECEIVE): S.ORDER_ACCEPTED,
        (S.ORDER_ACCEPTED, A.COMPLETE_ORDER): S.ON_ORDER_COMPLETED_FFM,
        (S.ORDER_ACCEPTED, A.CANCEL): S.CANCEL,
        (S.ON_ORDER_COMPLETED_FFM, A.RESERVE_STOCK): S.WAITING_FFMT_AUTHORIZATION,
        (S.ON_ORDER_COMPLETED_FFM, A.CANCEL): S.CANCEL,
        (S.WAITING_FFMT_AUTHORIZATION, A.AUTHORIZE_FULFILLMENT): S.AUTHORIZE_FULFILLMENT,
        (S.WAITING_FFMT_AUTHORIZATION, A.ASK_FOR_MANUAL_AUTHORIZATION): (
            S.WAITING_FOR_MANUAL_AUTHORIZATION
        ),
        (S.WAITING_FFMT_AUTHORIZATION, A.CANCEL): S.CANCEL,
        (S.WAITING_FOR_MANUAL_AUTHORIZATION, A.AUTHORIZE_FULFILLMENT): S.AUTHORIZE_FULFILLMENT,
        (S.WAITING_FOR_MANUAL_AUTHORIZATION, A.CANCEL): S.CANCEL,
        **SHIPPING,
    }),
    Flow.CHAIN: MappingProxyType({
        **CREATION,
        (S.WAITING_FOR_AUTHORIZATION, A.CONFIRM_SELLER): S.WAITING_FOR_MKT_AUTHORIZATION,
        (S.WAITING_FOR_MKT_AUTHORIZATION, A.AUTHORIZE_BY_MARKETPLACE): S.PAYMENT_APPROVED,
        (S.WAITING_FOR_MKT_AUTHORIZATION, A.CANCEL): S.CANCEL,
        **SELLING,
    }),
})  # fmt: skip

INITIAL_STATUS: Final[Mapping[Flow, Status]] = MappingProxyType(
    {flow: table[S.NULL, A.RECEIVE] for flow, table in TABLES.items()}
)

# Flows in which the payment is ours to authorize, capture and void.
PAYMENT_FLOWS: Final = frozenset({Flow.COMPLETE, Flow.MARKETPLACE})
# Flows in which the goods are ours to reserve and ship.
STOCK_FLOWS: Final = frozenset({Flow.COMPLETE, Flow.FULFILLMENT})

# Whoever brings something for these orders comes too late: it is taken back.
GIVEN_UP: Final = frozenset({S.CANCEL, S.CANCELED, S.REPLACED})

# What the timeline calls the move: past tense, `order.` in front.
EVENT_KINDS: Final[Mapping[Action, str]] = MappingProxyType({
    A.RECEIVE: "order.placed",
    A.COMPLETE_ORDER: "order.completed",
    A.FAIL_CREATION: "order.creation-failed",
    A.RETRY_CREATION: "order.creation-retried",
    A.ASK_SELLER: "order.seller-asked",
    A.HOLD_FOR_AUTHORIZATION: "order.held-for-authorization",
    A.AUTHORIZE_ORDER: "order.authorized",
    A.CONFIRM_SELLER: "order.seller-confirmed",
    A.RESERVE_STOCK: "order.stock-reserved",
    A.APPROVE_PAYMENT: "order.payment-authorized",
    A.DENY_PAYMENT: "order.payment-denied",
    A.PASS_ANTIFRAUD: "order.payment-approved",
    A.OPEN_PAYMENT_WINDOW: "order.payment-window-opened",
    A.RETRY_PAYMENT: "order.payment-retried",
    A.LOSE_SELLER: "order.seller-lost",
    A.CHANGE_SELLER: "order.seller-changed",
    A.ASK_FOR_MANUAL_AUTHORIZATION: "order.manual-authorization-asked",
    A.AUTHORIZE_FULFILLMENT: "order.fulfillment-authorized",
    A.AUTHORIZE_BY_MARKETPLACE: "order.marketplace-authorized",
    A.AWAIT_SELLER: "order.seller-awaited",
    A.OPEN_WINDOW_TO_CANCEL: "order.stock-confirmed",
    A.CLOSE_WINDOW_TO_CANCEL: "order.window-to-cancel-closed",
    A.HAND_TO_WAREHOUSE: "order.handed-to-warehouse",
    A.RELEASE_FROM_WAREHOUSE: "order.released-from-warehouse",
    A.START_HANDLING: "order.handling-started",
    A.ACKNOWLEDGE_HANDLING: "order.handling-acknowledged",
    A.FINISH_PICKING: "order.picked",
    A.RECORD_INVOICE: "order.invoice-recorded",
    A.VERIFY_INVOICE: "order.invoice-taken-up",
    A.SETTLE_INVOICE: "order.invoiced",
    A.SETTLE_PART: "order.partly-invoiced",
    A.REQUEST_CANCELLATION: "order.cancellation-requested",
    A.AWAIT_SELLER_DECISION: "order.seller-decision-awaited",
    A.ACCEPT_CANCELLATION: "order.cancellation-accepted",
    A.DENY_CANCELLATION: "order.cancellation-denied",
    A.RETURN_TO_READY: "order.returned-to-ready",
    A.RETURN_TO_HANDLING: "order.returned-to-handling",
    A.RETURN_TO_INVOICING: "order.returned-to-invoicing",
    A.CANCEL: "order.cancellation-started",
    A.FINISH_CANCELLATION: "order.canceled",
    A.REPLACE: "order.replaced",
})  # fmt: skip


class TransitionNotAllowed(Exception):
    """The table of the order's flow has no row for this status and action."""

    def __init__(self, *, order_id: str, flow: Flow, status: Status, action: Action) -> None:
        self.order_id = order_id
        self.flow = flow
        self.status = status
        self.action = action
        self.allowed_from = statuses_allowing(flow, action)
        names = " or ".join(self.allowed_from)
        needs = f"{action} needs {names}" if names else f"its flow, {flow}, has no {action}"
        super().__init__(f"Order {order_id} is in {status}; {needs}.")


def find_next_status(flow: Flow, status: Status, action: Action) -> Status | None:
    """This function will return where the move leads, or None where the table has no such row."""
    return TABLES[flow].get((status, action))


def statuses_allowing(flow: Flow, action: Action) -> tuple[Status, ...]:
    """This function will return the statuses from which the action is legal, in table order."""
    return tuple(status for status, legal in TABLES[flow] if legal is action)


def actions_from(flow: Flow, status: Status) -> tuple[Action, ...]:
    """This function will return the actions that are legal in a status, in table order."""
    return tuple(action for origin, action in TABLES[flow] if origin is status)
