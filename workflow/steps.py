"""
What an order does by itself in each status: automatic steps, calls to outside services, timers.

Pure: which steps a status opens, after how long, and what an inside step decides. Steps that call
an outside service are in `workflow.outside`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from oms.orders.locks import LockedOrder
from oms.orders.statuses import Flow, Status
from workflow.flows import Action

S, A = Status, Action


class Step(StrEnum):
    # Inside: decided here, moved in batches.
    COMPLETE_ORDER = "complete-order"
    ASK_SELLER = "ask-seller"
    SETTLE_DENIED_PAYMENT = "settle-denied-payment"
    SEND_TO_FULFILLMENT = "send-to-fulfillment"
    AWAIT_SELLER = "await-seller"
    TAKE_EARLY_AUTHORIZATION = "take-early-authorization"
    ASK_FOR_MANUAL_AUTHORIZATION = "ask-for-manual-authorization"
    CLOSE_WINDOW_TO_CANCEL = "close-window-to-cancel"
    VERIFY_INVOICE = "verify-invoice"
    TAKE_UP_INVOICE = "take-up-invoice"
    FORWARD_CANCELLATION_REQUEST = "forward-cancellation-request"
    RESUME_AFTER_DENIAL = "resume-after-denial"
    CANCEL_OVERDUE = "cancel-overdue"
    # Outside: one call each.
    RESERVE_STOCK = "reserve-stock"
    AUTHORIZE_PAYMENT = "authorize-payment"
    CHECK_FRAUD = "check-fraud"
    CONFIRM_STOCK = "confirm-stock"
    WITHDRAW_STOCK = "withdraw-stock"
    SETTLE_INVOICE = "settle-invoice"
    VOID_PAYMENT = "void-payment"
    RELEASE_STOCK = "release-stock"
    # Outside, and bound to a package, to a change or to nothing: a move does not close them.
    FOLLOW_TRACKING = "follow-tracking"
    REFUND_RETURN = "refund-return"
    UNDO_LATE_PAYMENT = "undo-late-payment"
    UNDO_LATE_STOCK = "undo-late-stock"
    AUTHORIZE_CHANGE = "authorize-change"
    RETURN_DIFFERENCE = "return-difference"


T = Step

CONNECTOR_OF_STEP: Final[Mapping[Step, str]] = MappingProxyType(
    {
        T.RESERVE_STOCK: "stock",
        T.CONFIRM_STOCK: "stock",
        T.WITHDRAW_STOCK: "stock",
        T.RELEASE_STOCK: "stock",
        T.UNDO_LATE_STOCK: "stock",
        T.AUTHORIZE_PAYMENT: "payments",
        T.SETTLE_INVOICE: "payments",
        T.VOID_PAYMENT: "payments",
        T.REFUND_RETURN: "payments",
        T.UNDO_LATE_PAYMENT: "payments",
        T.AUTHORIZE_CHANGE: "payments",
        T.RETURN_DIFFERENCE: "payments",
        T.CHECK_FRAUD: "antifraud",
        T.FOLLOW_TRACKING: "carrier",
    }
)

# These outlive the status in which they were opened.
UNBOUND_STEPS: Final = frozenset(
    {
        T.FOLLOW_TRACKING,
        T.REFUND_RETURN,
        T.UNDO_LATE_PAYMENT,
        T.UNDO_LATE_STOCK,
        T.AUTHORIZE_CHANGE,
        T.RETURN_DIFFERENCE,
    }
)

# What takes back the effect of a call whose answer nobody waits for any more.
UNDO_OF_STEP: Final[Mapping[str, Step]] = MappingProxyType(
    {
        T.AUTHORIZE_PAYMENT: T.UNDO_LATE_PAYMENT,
        T.RESERVE_STOCK: T.UNDO_LATE_STOCK,
        T.CONFIRM_STOCK: T.UNDO_LATE_STOCK,
    }
)

# Staff may skip these: the order goes on as if the service had agreed. Everything else can only
# be retried or overtaken by a forced move.
ACTION_WHEN_SKIPPED: Final[Mapping[Step, Action]] = MappingProxyType(
    {
        T.CHECK_FRAUD: A.PASS_ANTIFRAUD,
        T.CONFIRM_STOCK: A.OPEN_WINDOW_TO_CANCEL,
        T.WITHDRAW_STOCK: A.ACKNOWLEDGE_HANDLING,
        T.CLOSE_WINDOW_TO_CANCEL: A.CLOSE_WINDOW_TO_CANCEL,
        T.RELEASE_STOCK: A.FINISH_CANCELLATION,
    }
)


class Window(StrEnum):
    """A time that is configured: for each seller, or for the store (`SellerRules`)."""

    TO_CANCEL = "seller's window to cancel"
    TO_CHANGE_SELLER = "window to change seller"


@dataclass(frozen=True, slots=True)
class Opening:
    """A step that a status opens, at once, after a time, or after a window that is configured."""

    step: Step
    after: timedelta | Window = timedelta(0)


NOW: Final = timedelta(0)
MANUAL_AUTHORIZATION_AFTER: Final = timedelta(days=1)
CHANGE_PAYMENT_WITHIN: Final = timedelta(days=1)
CHANGE_SELLER_WITHIN: Final = timedelta(days=2)
CANCEL_AFTER: Final = timedelta(days=30)

_EVERYWHERE: Final[dict[Status, tuple[Opening, ...]]] = {
    S.ORDER_CREATED: (Opening(T.COMPLETE_ORDER),),
    S.ORDER_ACCEPTED: (Opening(T.COMPLETE_ORDER),),
    S.ON_ORDER_COMPLETED: (Opening(T.ASK_SELLER),),
    S.WAITING_FOR_AUTHORIZATION: (
        Opening(T.RESERVE_STOCK),
        Opening(T.CANCEL_OVERDUE, CANCEL_AFTER),
    ),
    S.PAYMENT_PENDING: (Opening(T.AUTHORIZE_PAYMENT), Opening(T.CANCEL_OVERDUE, CANCEL_AFTER)),
    S.APPROVE_PAYMENT: (Opening(T.CHECK_FRAUD),),
    S.PAYMENT_DENIED: (Opening(T.SETTLE_DENIED_PAYMENT),),
    S.WINDOW_TO_CHANGE_PAYMENT: (Opening(T.CANCEL_OVERDUE, CHANGE_PAYMENT_WITHIN),),
    S.WINDOW_TO_CHANGE_SELLER: (Opening(T.CANCEL_OVERDUE, Window.TO_CHANGE_SELLER),),
    S.AUTHORIZE_FULFILLMENT: (
        Opening(T.CONFIRM_STOCK),
        Opening(T.CANCEL_OVERDUE, CANCEL_AFTER),
    ),
    S.WINDOW_TO_CANCEL: (Opening(T.CLOSE_WINDOW_TO_CANCEL, Window.TO_CANCEL),),
    S.WAITING_FOR_FULFILLMENT: (Opening(T.CANCEL_OVERDUE, CANCEL_AFTER),),
    S.START_HANDLING: (Opening(T.WITHDRAW_STOCK),),
    S.INVOICE_AFTER_CANCELLATION_DENY: (Opening(T.TAKE_UP_INVOICE),),
    S.REQUEST_CANCEL: (Opening(T.FORWARD_CANCELLATION_REQUEST),),
    S.WAITING_FOR_SELLER_DECISION: (Opening(T.CANCEL_OVERDUE, CANCEL_AFTER),),
    S.CANCELLATION_REQUESTED: (Opening(T.CANCEL_OVERDUE, CANCEL_AFTER),),
    S.CANCELLATION_REQUEST_DENIED_FFM: (Opening(T.RESUME_AFTER_DENIAL),),
}

OPENINGS: Final[Mapping[Flow, Mapping[Status, tuple[Opening, ...]]]] = MappingProxyType(
    {
        Flow.COMPLETE: MappingProxyType(
            {
                **_EVERYWHERE,
                S.PAYMENT_APPROVED: (Opening(T.SEND_TO_FULFILLMENT),),
                S.INVOICE: (Opening(T.SETTLE_INVOICE),),
                S.CANCEL: (Opening(T.VOID_PAYMENT),),
            }
        ),
        Flow.MARKETPLACE: MappingProxyType(
            {
                **_EVERYWHERE,
                S.PAYMENT_APPROVED: (Opening(T.AWAIT_SELLER),),
                S.INVOICE: (Opening(T.SETTLE_INVOICE),),
                S.CANCEL: (Opening(T.VOID_PAYMENT),),
            }
        ),
        Flow.FULFILLMENT: MappingProxyType(
            {
                **_EVERYWHERE,
                S.ON_ORDER_COMPLETED_FFM: (Opening(T.RESERVE_STOCK),),
                S.WAITING_FFMT_AUTHORIZATION: (
                    Opening(T.TAKE_EARLY_AUTHORIZATION),
                    Opening(T.ASK_FOR_MANUAL_AUTHORIZATION, MANUAL_AUTHORIZATION_AFTER),
                ),
                S.WAITING_FOR_MANUAL_AUTHORIZATION: (Opening(T.CANCEL_OVERDUE, CANCEL_AFTER),),
                S.INVOICE: (Opening(T.VERIFY_INVOICE),),
                S.CANCEL: (Opening(T.RELEASE_STOCK),),
            }
        ),
        Flow.CHAIN: MappingProxyType(
            {
                **_EVERYWHERE,
                S.WAITING_FOR_MKT_AUTHORIZATION: (
                    Opening(T.TAKE_EARLY_AUTHORIZATION),
                    Opening(T.CANCEL_OVERDUE, CANCEL_AFTER),
                ),
                S.PAYMENT_APPROVED: (Opening(T.AWAIT_SELLER),),
                S.INVOICE: (Opening(T.VERIFY_INVOICE),),
                S.CANCEL: (Opening(T.RELEASE_STOCK),),
            }
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What an inside step came to: a move, or nothing left to do (`action` None)."""

    action: Action | None
    reason: str = ""


NOTHING: Final = Decision(None)


@dataclass(frozen=True, slots=True)
class SellerRules:
    """What the seller of an order and the store want. See `workflow.policies`."""

    window_to_cancel: timedelta
    has_warehouse_system: bool = False
    window_to_change_seller: timedelta = CHANGE_SELLER_WITHIN

    def length_of(self, window: Window) -> timedelta:
        if window is Window.TO_CANCEL:
            return self.window_to_cancel
        return self.window_to_change_seller


def openings_of(flow: Flow, status: Status) -> tuple[Opening, ...]:
    """This function will return the steps that a status opens in a flow; none: it rests."""
    return OPENINGS[flow].get(status, ())


def decide(step: Step, order: LockedOrder, rules: SellerRules) -> Decision:
    """
    This function will say what an inside step does to an order.

    :raises KeyError: if the step calls an outside service.
    """
    return _DECIDERS[step](order, rules)


def _always(action: Action, reason: str = "") -> "Decider":
    decision = Decision(action, reason)
    return lambda order, rules: decision


def _ask_seller(order: LockedOrder, rules: SellerRules) -> Decision:
    if order.needs_authorization:
        return Decision(A.HOLD_FOR_AUTHORIZATION, "The value needs somebody's authorization.")
    return Decision(A.ASK_SELLER)


def _settle_denied_payment(order: LockedOrder, rules: SellerRules) -> Decision:
    if order.flow is Flow.MARKETPLACE:
        return Decision(A.OPEN_PAYMENT_WINDOW)
    return Decision(A.CANCEL, "Payment denied.")


def _take_early_authorization(order: LockedOrder, rules: SellerRules) -> Decision:
    # The marketplace may authorize before the order has come this far (KI 1031035: acknowledged,
    # not moved). The authorization was kept on the order and is honored here.
    if order.authorized_at is None:
        return NOTHING
    if order.flow is Flow.CHAIN:
        return Decision(A.AUTHORIZE_BY_MARKETPLACE)
    return Decision(A.AUTHORIZE_FULFILLMENT)


def _close_window_to_cancel(order: LockedOrder, rules: SellerRules) -> Decision:
    if rules.has_warehouse_system:
        return Decision(A.HAND_TO_WAREHOUSE)
    return Decision(A.CLOSE_WINDOW_TO_CANCEL)


def _verify_invoice(order: LockedOrder, rules: SellerRules) -> Decision:
    if order.invoiced_cents >= order.value_cents:
        return Decision(A.SETTLE_INVOICE)
    return Decision(A.SETTLE_PART)


def _resume_after_denial(order: LockedOrder, rules: SellerRules) -> Decision:
    return Decision(
        {
            S.READY_FOR_HANDLING: A.RETURN_TO_READY,
            S.READY_FOR_INVOICING: A.RETURN_TO_INVOICING,
        }.get(Status(order.status_before_request or S.HANDLING), A.RETURN_TO_HANDLING)
    )


def _cancel_overdue(order: LockedOrder, rules: SellerRules) -> Decision:
    if order.status in (S.CANCELLATION_REQUESTED, S.WAITING_FOR_SELLER_DECISION):
        return Decision(A.ACCEPT_CANCELLATION, "The seller did not decide in time.")
    return Decision(A.CANCEL, f"Not resolved in time: {order.status.label.lower()}.")


Decider = Callable[[LockedOrder, SellerRules], Decision]

_DECIDERS: Final[Mapping[Step, Decider]] = MappingProxyType(
    {
        T.COMPLETE_ORDER: _always(A.COMPLETE_ORDER),
        T.ASK_SELLER: _ask_seller,
        T.SETTLE_DENIED_PAYMENT: _settle_denied_payment,
        T.SEND_TO_FULFILLMENT: _always(A.AUTHORIZE_FULFILLMENT),
        T.AWAIT_SELLER: _always(A.AWAIT_SELLER),
        T.TAKE_EARLY_AUTHORIZATION: _take_early_authorization,
        T.ASK_FOR_MANUAL_AUTHORIZATION: _always(A.ASK_FOR_MANUAL_AUTHORIZATION),
        T.CLOSE_WINDOW_TO_CANCEL: _close_window_to_cancel,
        T.VERIFY_INVOICE: _verify_invoice,
        T.TAKE_UP_INVOICE: _always(A.VERIFY_INVOICE),
        T.FORWARD_CANCELLATION_REQUEST: _always(A.AWAIT_SELLER_DECISION),
        T.RESUME_AFTER_DENIAL: _resume_after_denial,
        T.CANCEL_OVERDUE: _cancel_overdue,
    }
)
