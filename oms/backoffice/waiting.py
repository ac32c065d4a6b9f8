"""
What an order waits for, in plain words: whom, for what, until when.

Pure tables and functions. Rests (statuses that somebody outside must end) are named by status;
everything that the workflow does itself is named by its open work items.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from oms.backoffice.times import ago, span
from oms.orders.statuses import Flow, Status
from workflow.steps import Step

S, T = Status, Step


@dataclass(frozen=True, slots=True)
class Rest:
    """Who ends a status, in two words for lists, and how, in a sentence."""

    who: str
    words: str


WORKFLOW: Final = Rest("Workflow", "Nobody has to do anything: the workflow moves it on.")

STUCK: Final = Rest("Staff", "It is stuck: somebody must set it going again.")

RESTS: Final[Mapping[Status, Rest]] = {
    S.NULL: Rest("Storefront", "The order is incomplete: its checkout has not finished."),
    S.ORDER_CREATE_ERROR: Rest("Staff", "Creating it failed. Cancel it, or place it again."),
    S.ORDER_CREATION_ERROR: Rest("Staff", "Creating it failed. Cancel it, or place it again."),
    S.WAITING_FOR_AUTHORIZATION: Rest("Stock", "The seller's stock must confirm its items."),
    S.WAITING_FOR_ORDER_AUTHORIZATION: Rest(
        "Approver", "Its value needs somebody's authorization before it goes on."
    ),
    S.PAYMENT_PENDING: Rest("Payment", "The payment gateway has not approved the payment yet."),
    S.APPROVE_PAYMENT: Rest("Antifraud", "The antifraud service decides on the payment."),
    S.WINDOW_TO_CHANGE_PAYMENT: Rest(
        "Customer", "The payment was denied; the customer may still pay another way."
    ),
    S.WINDOW_TO_CHANGE_SELLER: Rest(
        "Marketplace", "The seller gave up; another seller may still take the order."
    ),
    S.WAITING_FFMT_AUTHORIZATION: Rest(
        "Marketplace", "The marketplace must say that it may be shipped."
    ),
    S.WAITING_FOR_MANUAL_AUTHORIZATION: Rest(
        "Marketplace",
        "The marketplace has not said that it may be shipped. Staff can authorize it at their "
        "own risk.",
    ),
    S.WAITING_FOR_MKT_AUTHORIZATION: Rest(
        "Marketplace", "The marketplace above must say that it may be shipped."
    ),
    S.WAITING_FOR_FULFILLMENT: Rest("Warehouse", "The warehouse system must release it."),
    S.AUTHORIZE_FULFILLMENT: Rest("Stock", "The reservation of its items is being confirmed."),
    S.WAITING_SELLER_HANDLING: Rest("Seller", "The seller handles it and will invoice it."),
    S.WINDOW_TO_CANCEL: Rest("Timer", "The customer may still cancel without being asked why."),
    S.READY_FOR_HANDLING: Rest("ERP", "The ERP or an operator must start handling it."),
    S.START_HANDLING: Rest("Stock", "The items are being taken out of stock."),
    S.HANDLING: Rest("ERP", "It is being picked and packed. The ERP must send its invoice."),
    S.READY_FOR_INVOICING: Rest("ERP", "It is packed. The ERP must send its invoice."),
    S.INVOICE: Rest("Workflow", "Invoice and payment are being checked against the order."),
    S.REQUEST_CANCEL: WORKFLOW,
    S.WAITING_FOR_SELLER_DECISION: Rest(
        "Seller", "The seller must accept or deny the cancellation."
    ),
    S.CANCELLATION_REQUESTED: Rest(
        "Seller", "A cancellation was asked for. Somebody must accept or deny it."
    ),
    S.CANCEL: Rest("Workflow", "Payment and stock are being given back."),
    S.INVOICED: Rest("", "Nothing: it is invoiced. Packages may still be on their way."),
    S.CANCELED: Rest("", "Nothing: it is canceled."),
    S.REPLACED: Rest("", "Nothing: another order replaced it."),
}

# The same status means something else to who only sells.
RESTS_OF_FLOW: Final[Mapping[tuple[Flow, Status], Rest]] = {
    (Flow.MARKETPLACE, S.PAYMENT_APPROVED): Rest(
        "Seller", "Paid. The seller handles it and will invoice it."
    ),
    (Flow.CHAIN, S.PAYMENT_APPROVED): Rest(
        "Seller", "Paid. The seller handles it and will invoice it."
    ),
    (Flow.CHAIN, S.CANCEL): Rest("Workflow", "Stock is being given back."),
}

STEP_WORDS: Final[Mapping[Step, str]] = {
    T.COMPLETE_ORDER: "complete the order",
    T.ASK_SELLER: "ask the seller",
    T.SETTLE_DENIED_PAYMENT: "settle the denied payment",
    T.SEND_TO_FULFILLMENT: "send it to fulfillment",
    T.AWAIT_SELLER: "hand it to the seller",
    T.TAKE_EARLY_AUTHORIZATION: "look for an authorization that came early",
    T.ASK_FOR_MANUAL_AUTHORIZATION: "ask for authorization by hand",
    T.CLOSE_WINDOW_TO_CANCEL: "close the window to cancel",
    T.VERIFY_INVOICE: "check the invoice",
    T.TAKE_UP_INVOICE: "take up the invoice",
    T.FORWARD_CANCELLATION_REQUEST: "forward the cancellation request",
    T.RESUME_AFTER_DENIAL: "resume after the denied cancellation",
    T.CANCEL_OVERDUE: "cancel it if nothing has happened",
    T.RESERVE_STOCK: "reserve stock",
    T.AUTHORIZE_PAYMENT: "authorize the payment",
    T.CHECK_FRAUD: "ask antifraud",
    T.CONFIRM_STOCK: "confirm the stock reservation",
    T.WITHDRAW_STOCK: "take the items out of stock",
    T.SETTLE_INVOICE: "capture the payment of the invoice",
    T.VOID_PAYMENT: "void the payment",
    T.RELEASE_STOCK: "release the reserved stock",
    T.FOLLOW_TRACKING: "ask the carrier for news",
    T.REFUND_RETURN: "refund the return",
    T.UNDO_LATE_PAYMENT: "undo a payment that came after the cancellation",
    T.UNDO_LATE_STOCK: "undo a reservation that came after the cancellation",
    T.AUTHORIZE_CHANGE: "authorize the higher amount of a change",
    T.RETURN_DIFFERENCE: "give back the difference of a change",
}

# Timers that end a rest; the order does not wait for them, it waits for somebody else until them.
DEADLINES: Final = frozenset({T.CANCEL_OVERDUE, T.ASK_FOR_MANUAL_AUTHORIZATION})


class WorkState(StrEnum):
    PARKED = "parked"
    WORKING = "working"
    RETRYING = "retrying"
    DUE = "due"
    TIMER = "timer"


@dataclass(frozen=True, slots=True)
class WorkFacts:
    """What is known of an open work item."""

    pk: int
    order_pk: int
    step: str
    connector: str
    due_at: datetime
    next_attempt_at: datetime
    attempts: int
    last_error: str
    leased_until: datetime | None
    leased_by: str
    parked_at: datetime | None
    cause: str


@dataclass(frozen=True, slots=True)
class WorkLine:
    """One open work item in words. `at`: when it does something next, for a countdown."""

    pk: int
    step: str
    state: WorkState
    words: str
    detail: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class InBrief:
    """What a list shows about one order: who, until when, and whether it is stuck."""

    who: str
    detail: str
    is_parked: bool


def rest_of(flow: str, status: str) -> Rest:
    """This function will say who ends a status. Statuses without a rest are the workflow's."""
    if status not in set(Status):
        return WORKFLOW
    own = RESTS_OF_FLOW.get((Flow(flow), Status(status))) if flow in set(Flow) else None
    return own or RESTS.get(Status(status), WORKFLOW)


def step_words(step: str) -> str:
    return STEP_WORDS[Step(step)] if step in set(Step) else step


def cause_words(cause: str, step: str) -> str:
    """This function will tell why a step failed, without the step's own name in front."""
    for prefix in (f"{step}: ", f"{step} "):
        cause = cause.removeprefix(prefix)
    return cause[:1].upper() + cause[1:]


def state_of(item: WorkFacts, now: datetime) -> WorkState:
    """This function will tell what a work item is doing at this moment."""
    if item.parked_at:
        return WorkState.PARKED
    if item.leased_until and item.leased_until > now:
        return WorkState.WORKING
    if item.next_attempt_at > now:
        return WorkState.TIMER if item.due_at > now else WorkState.RETRYING
    return WorkState.DUE


def describe(item: WorkFacts, now: datetime) -> WorkLine:
    """This function will put a work item into a sentence and, below it, what is known beside."""
    state = state_of(item, now)
    doing = step_words(item.step)
    words, detail, at = _TELLERS[state](item, doing, now)
    return WorkLine(item.pk, item.step, state, words, detail, at)


def _parked(item: WorkFacts, doing: str, now: datetime) -> tuple[str, str, datetime | None]:
    since = ago(item.parked_at or now, now)
    cause = _sentence(cause_words(item.cause, item.step))
    words = f"Stuck since {since.removesuffix(' ago')}: could not {doing}. {cause}"
    error = f"{_sentence(item.last_error)} " if item.last_error else ""
    return words, f"{error}{_attempts(item)}Somebody must retry or skip it.", None


def _working(item: WorkFacts, doing: str, now: datetime) -> tuple[str, str, datetime | None]:
    return f"A worker is at it: {doing}.", f"{_attempts(item)}Worker {item.leased_by}.", None


def _retrying(item: WorkFacts, doing: str, now: datetime) -> tuple[str, str, datetime | None]:
    words = f"Tries to {doing} again in {span(item.next_attempt_at - now)}."
    if item.attempts == 0 and not item.last_error:
        return f"Will {doing} in {span(item.next_attempt_at - now)}.", "", item.next_attempt_at
    error = f"Last time: {_sentence(item.last_error)} " if item.last_error else ""
    return words, f"{error}{_attempts(item)}".strip(), item.next_attempt_at


def _due(item: WorkFacts, doing: str, now: datetime) -> tuple[str, str, datetime | None]:
    late = now - item.due_at
    words = f"About to {doing}."
    if late > timedelta(minutes=1):
        words = f"Due since {span(late)}: {doing}. No worker has taken it."
    error = f"Last time: {_sentence(item.last_error)} " if item.last_error else ""
    return words, f"{error}{_attempts(item)}".strip(), None


def _timer(item: WorkFacts, doing: str, now: datetime) -> tuple[str, str, datetime | None]:
    return f"Will {doing} in {span(item.due_at - now)}.", "", item.due_at


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _attempts(item: WorkFacts) -> str:
    if not item.attempts:
        return ""
    return f"{item.attempts} attempt{'s' if item.attempts > 1 else ''}. "


_TELLERS: Final = {
    WorkState.PARKED: _parked,
    WorkState.WORKING: _working,
    WorkState.RETRYING: _retrying,
    WorkState.DUE: _due,
    WorkState.TIMER: _timer,
}
_URGENCY: Final = tuple(WorkState)


def in_order_of_urgency(items: Iterable[WorkFacts], now: datetime) -> list[WorkLine]:
    """This function will describe work items: parked ones first, deadlines last."""
    lines = [(describe(item, now), item) for item in items]
    lines.sort(
        key=lambda pair: (
            _URGENCY.index(pair[0].state),
            pair[1].step in DEADLINES,
            pair[1].next_attempt_at,
        )
    )
    return [line for line, _ in lines]


def in_brief(flow: str, status: str, items: Iterable[WorkFacts], now: datetime) -> InBrief:
    """This function will tell in a few words what an order waits for."""
    items = list(items)
    if parked := next((item for item in items if item.parked_at), None):
        return InBrief("Stuck", cause_words(parked.cause, parked.step), is_parked=True)
    active = [item for item in items if item.step not in DEADLINES]
    active.sort(key=lambda item: item.next_attempt_at)
    rest = rest_of(flow, status)
    if not active:
        return InBrief(rest.who, "", is_parked=False)
    line = describe(active[0], now)
    detail = {
        WorkState.RETRYING: f"again in {span(active[0].next_attempt_at - now)}",
        WorkState.TIMER: f"in {span(active[0].due_at - now)}",
        WorkState.WORKING: "now",
        WorkState.DUE: "",
    }.get(line.state, "")
    return InBrief(rest.who or "Carrier", detail, is_parked=False)
