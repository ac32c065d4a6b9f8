"""
Steps that call an outside service: which call a step makes, and what its answer means.

Both are pure over `CallFacts`; `load_facts` reads what a batch needs in six queries.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from django.db.models import Q
from django.db.models.functions import Now

from oms.orders.models import Item, Order, OrderEvent, Package, Payment
from oms.orders.statuses import FINAL_STATUSES, Flow, Status
from workflow.changes.settling import ChangeNews
from workflow.connectors import operations
from workflow.connectors.protocol import Answered, Call
from workflow.flows import EVENT_KINDS, GIVEN_UP, Action
from workflow.models import ChangeRequest
from workflow.retries import tracking_pause
from workflow.steps import Step
from workflow.work import ClaimedItem

A, T = Action, Step

# The event that tells that a former seller's reservation was given back.
SELLER_LEFT: Final = "order.seller-left"

# How long to wait before asking again a service that has not decided yet.
ASK_AGAIN_AFTER: Final[Mapping[Step, timedelta]] = MappingProxyType(
    {
        T.AUTHORIZE_PAYMENT: timedelta(minutes=1),
        T.CHECK_FRAUD: timedelta(seconds=20),
    }
)


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What the calls of one order are built from."""

    order_id: str
    flow: Flow
    value_cents: int
    currency: str
    items: tuple[Item, ...]
    payments: tuple[Payment, ...]
    packages: tuple[Package, ...]
    read_at: datetime
    payment_retries: int = 0
    seller_changes: int = 0
    sellers_left: int = 0
    status: Status = Status.NULL
    changes: tuple[ChangeRequest, ...] = ()

    @property
    def seller_turn(self) -> str | None:
        """Tells the calls for a seller that took over from those for the one before; first: None."""
        return f"seller-{self.seller_changes + 1}" if self.seller_changes else None

    @property
    def payment_try(self) -> str | None:
        """Tells the calls for a payment tried again from those that were denied; first try: None."""
        return f"try-{self.payment_retries + 1}" if self.payment_retries else None

    @property
    def open_change(self) -> ChangeRequest | None:
        return next((change for change in self.changes if change.is_open), None)

    @property
    def change_to_return(self) -> ChangeRequest | None:
        return next((change for change in self.changes if change.returns_cents), None)

    @property
    def transaction_id(self) -> str | None:
        return next((p.transaction_id for p in self.payments if p.transaction_id), None)

    @property
    def unsettled(self) -> tuple[Package, ...]:
        return tuple(p for p in self.packages if p.type == "Output" and not p.is_settled)


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What an answer means for the order.

    `action` moves it; `then` opens another step of the same status; `again` asks later; `record`
    names what is written beside the move. None of them: the step is done.
    """

    action: Action | None = None
    then: Step | None = None
    again: timedelta | None = None
    record: "Record | None" = None
    reason: str = ""
    park: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """
    Facts of an answer to be kept: a payment's new state, a settled invoice, tracking events.

    `kind` names the event of an answer that changes no row.
    """

    payment_status: str = ""
    transaction_id: str = ""
    captured_package_pk: int | None = None
    captured_cents: int = 0
    tracking: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""
    change: ChangeNews | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def load_facts(order_pks: Sequence[int]) -> dict[int, CallFacts]:
    """This function will read orders with what their calls are built from, in six queries."""
    pks = list(dict.fromkeys(order_pks))
    items = _by_order(Item.objects.filter(order_id__in=pks).defer("extra").order_by("index"))
    payments = _by_order(Payment.objects.filter(order_id__in=pks).order_by("index"))
    packages = _by_order(
        Package.objects.filter(order_id__in=pks)
        .defer("extra", "embedded_invoice")
        .order_by("index")
    )
    changes = _by_order(
        ChangeRequest.objects.filter(order_id__in=pks)
        .filter(Q(decided_at__isnull=True) | Q(returns_cents__gt=0))
        .order_by("pk")
    )
    counted = (EVENT_KINDS[A.RETRY_PAYMENT], EVENT_KINDS[A.CHANGE_SELLER], SELLER_LEFT)
    events = Counter(
        OrderEvent.objects.filter(order_id__in=pks, kind__in=counted).values_list(
            "order_id", "kind"
        )
    )
    orders = (
        Order.objects.filter(pk__in=pks)
        .only("order_id", "flow", "status", "value_cents", "currency")
        .annotate(read_at=Now())
    )
    return {
        order.pk: CallFacts(
            order_id=order.order_id,
            flow=Flow(order.flow),
            value_cents=order.value_cents,
            currency=order.currency,
            items=tuple(items.get(order.pk, ())),
            payments=tuple(payments.get(order.pk, ())),
            packages=tuple(packages.get(order.pk, ())),
            read_at=order.read_at,
            payment_retries=events[order.pk, EVENT_KINDS[A.RETRY_PAYMENT]],
            seller_changes=events[order.pk, EVENT_KINDS[A.CHANGE_SELLER]],
            sellers_left=events[order.pk, SELLER_LEFT],
            status=Status(order.status),
            changes=tuple(changes.get(order.pk, ())),
        )
        for order in orders
    }


def _by_order(rows: Any) -> dict[int, list[Any]]:
    grouped: dict[int, list[Any]] = {}
    for row in rows:
        grouped.setdefault(row.order_id, []).append(row)
    return grouped


def build_call(item: ClaimedItem, facts: CallFacts) -> Call | Verdict:
    """This function will return the call of a step, or its verdict where no call is needed."""
    return _BUILDERS[item.step](item, facts)


def interpret(item: ClaimedItem, facts: CallFacts, answer: Answered) -> Verdict:
    """This function will say what a service's answer means for the order."""
    return _READERS[item.step](item, facts, answer.body)


def _request_id(item: ClaimedItem) -> str:
    return f"work-{item.pk}-{item.fence}"


def _package(item: ClaimedItem, facts: CallFacts) -> Package | None:
    return next((p for p in facts.packages if p.pk == item.package_pk), None)


def _payment_bodies(facts: CallFacts) -> list[dict[str, Any]]:
    return [
        {
            "id": payment.payment_id,
            "paymentSystem": payment.payment_system,
            "group": payment.group,
            "value": payment.value_cents,
            "installments": payment.installments,
        }
        for payment in facts.payments
    ]


# Stock


def _stock_items(facts: CallFacts) -> list[operations.StockItem]:
    return [
        operations.StockItem(
            unique_id=item.unique_id,
            sku_id=item.sku_id,
            seller=item.seller_id,
            quantity=item.quantity,
        )
        for item in facts.items
    ]


def _reserve_stock(item: ClaimedItem, facts: CallFacts) -> Call:
    if facts.seller_changes > facts.sellers_left:
        # What the former seller holds comes first: afterwards nobody could tell the two apart.
        return operations.release_stock(
            order_id=facts.order_id,
            reservation_id=None,
            request_id=_request_id(item),
            subject=facts.seller_turn,
        )
    return operations.reserve_stock(
        order_id=facts.order_id,
        items=_stock_items(facts),
        request_id=_request_id(item),
        subject=facts.seller_turn,
    )


def _read_reservation(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    if facts.seller_changes > facts.sellers_left:
        return Verdict(again=timedelta(0), record=Record(kind=SELLER_LEFT))
    if body["result"] == "reserved":
        reserved = A.RESERVE_STOCK if facts.flow is Flow.FULFILLMENT else A.CONFIRM_SELLER
        return Verdict(reserved, record=Record(data={"reservationId": body["reservationId"]}))
    return Verdict(
        A.CANCEL, reason="Out of stock.", record=Record(data={"missing": body.get("missing", [])})
    )


def _confirm_stock(item: ClaimedItem, facts: CallFacts) -> Call:
    return operations.confirm_stock(
        order_id=facts.order_id, reservation_id=None, request_id=_request_id(item)
    )


def _read_confirmation(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    if body["result"] == "confirmed":
        return Verdict(A.OPEN_WINDOW_TO_CANCEL)
    return Verdict(A.CANCEL, reason="The reserved stock is no longer available.")


def _withdraw_stock(item: ClaimedItem, facts: CallFacts) -> Call:
    return operations.withdraw_stock(
        order_id=facts.order_id, reservation_id=None, request_id=_request_id(item)
    )


def _read_withdrawal(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    # An invoice that came meanwhile has replaced this item, so these facts know of every invoice.
    return Verdict(A.VERIFY_INVOICE if facts.unsettled else A.ACKNOWLEDGE_HANDLING)


def _release_stock(item: ClaimedItem, facts: CallFacts) -> Call:
    return operations.release_stock(
        order_id=facts.order_id,
        reservation_id=None,
        request_id=_request_id(item),
        subject=f"late-{item.pk}" if item.step is T.UNDO_LATE_STOCK else None,
    )


def _read_release(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    return Verdict(A.FINISH_CANCELLATION)


# Payment


def _authorize_payment(item: ClaimedItem, facts: CallFacts) -> Call | Verdict:
    # A payment notification may have come before the order rested here (KI 1031035).
    if facts.payments and all(payment.status == "approved" for payment in facts.payments):
        return Verdict(A.APPROVE_PAYMENT)
    return operations.authorize_payment(
        order_id=facts.order_id,
        value_cents=facts.value_cents,
        currency=facts.currency,
        payments=_payment_bodies(facts),
        request_id=_request_id(item),
        subject=facts.payment_try,
    )


def _read_authorization(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    transaction_id = str(body.get("transactionId") or "")
    if body["result"] == "approved":
        return Verdict(A.APPROVE_PAYMENT, record=Record("approved", transaction_id))
    if body["result"] == "denied":
        return Verdict(
            A.DENY_PAYMENT,
            reason="Denied by the gateway.",
            record=Record("denied", transaction_id),
        )
    return Verdict(again=ASK_AGAIN_AFTER[item.step])


def _check_fraud(item: ClaimedItem, facts: CallFacts) -> Call:
    return operations.analyze_order(
        order_id=facts.order_id,
        value_cents=facts.value_cents,
        currency=facts.currency,
        payments=_payment_bodies(facts),
        request_id=_request_id(item),
        subject=facts.payment_try,
    )


def _read_analysis(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    data = {"analysisId": body["analysisId"]}
    if body["result"] == "approved":
        return Verdict(A.PASS_ANTIFRAUD, record=Record(data=data))
    if body["result"] == "denied":
        # The payments too: only a payment that is not approved can be tried again.
        return Verdict(
            A.DENY_PAYMENT, reason="Refused by antifraud.", record=Record("denied", data=data)
        )
    return Verdict(again=ASK_AGAIN_AFTER[item.step])


def _settle_invoice(item: ClaimedItem, facts: CallFacts) -> Call | Verdict:
    # One capture per invoice; the step runs again until every output invoice is settled.
    if not facts.unsettled:
        return _settled(facts)
    package = facts.unsettled[0]
    return operations.capture_payment(
        order_id=facts.order_id,
        transaction_id=facts.transaction_id or "",
        value_cents=package.invoice_value_cents,
        invoice_number=package.invoice_number,
        request_id=_request_id(item),
    )


def _settled(facts: CallFacts) -> Verdict:
    invoiced = sum(p.invoice_value_cents for p in facts.packages if p.type == "Output")
    return Verdict(A.SETTLE_INVOICE if invoiced >= facts.value_cents else A.SETTLE_PART)


def _read_capture(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    if body["result"] == "denied":
        # Shipped and unpaid (KI 376646): nothing goes on until a person has looked.
        return Verdict(
            park="capture denied", reason="The gateway denied the capture of an invoice."
        )
    package = facts.unsettled[0]
    record = Record(
        "captured", captured_package_pk=package.pk, captured_cents=package.invoice_value_cents
    )
    if len(facts.unsettled) > 1:
        return Verdict(again=timedelta(0), record=record)
    settled = _settled(facts)
    return Verdict(settled.action, record=record)


def _void_payment(item: ClaimedItem, facts: CallFacts) -> Call:
    return operations.void_payment(
        order_id=facts.order_id,
        transaction_id=facts.transaction_id,
        request_id=_request_id(item),
        late=item.pk if item.step is T.UNDO_LATE_PAYMENT else None,
    )


def _read_void(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    record = Record("voided") if body["result"] == "voided" else None
    return Verdict(then=T.RELEASE_STOCK, record=record)


def _refund_return(item: ClaimedItem, facts: CallFacts) -> Call | Verdict:
    package = _package(item, facts)
    if package is None:
        return Verdict()
    return operations.refund_payment(
        order_id=facts.order_id,
        transaction_id=facts.transaction_id,
        value_cents=package.invoice_value_cents,
        invoice_number=package.invoice_number,
        request_id=_request_id(item),
    )


def _read_refund(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    if body["result"] == "denied":
        return Verdict(park="refund denied", reason="The gateway denied the refund of a return.")
    return Verdict(record=Record(captured_package_pk=item.package_pk))


# Changes of the order


def _authorize_change(item: ClaimedItem, facts: CallFacts) -> Call | Verdict:
    change = facts.open_change
    if change is None:
        return Verdict()
    if facts.status in FINAL_STATUSES | GIVEN_UP:
        return Verdict(record=Record(change=ChangeNews(change.pk, "too-late")))
    return operations.raise_authorization(
        order_id=facts.order_id,
        transaction_id=facts.transaction_id,
        value_cents=change.difference_cents,
        currency=facts.currency,
        change_id=str(change.pk),
        request_id=_request_id(item),
    )


def _read_change(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    change = facts.open_change
    if change is None:
        return Verdict()
    return Verdict(record=Record(change=ChangeNews(change.pk, body["result"])))


def _return_difference(item: ClaimedItem, facts: CallFacts) -> Call | Verdict:
    change = facts.change_to_return
    if change is None:
        return Verdict()
    return operations.lower_authorization(
        order_id=facts.order_id,
        transaction_id=facts.transaction_id,
        value_cents=change.returns_cents,
        change_id=str(change.pk),
        is_undo=change.state == ChangeRequest.State.CANCELED,
        request_id=_request_id(item),
    )


def _read_return(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    change = facts.change_to_return
    if change is None:
        return Verdict()
    return Verdict(record=Record(change=ChangeNews(change.pk, "returned")))


def _done(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    return Verdict()


# Carrier


def _follow_tracking(item: ClaimedItem, facts: CallFacts) -> Call | Verdict:
    package = _package(item, facts)
    if package is None or package.is_delivered or not package.tracking_number:
        return Verdict()
    return operations.track_package(
        order_id=facts.order_id,
        tracking_number=package.tracking_number,
        request_id=_request_id(item),
    )


def _read_tracking(item: ClaimedItem, facts: CallFacts, body: Mapping[str, Any]) -> Verdict:
    package = _package(item, facts)
    if package is None or body["delivered"]:
        return Verdict(record=Record(tracking=body))
    # A number may be told long after the invoice.
    began = max(package.created_at, package.dispatched_at or package.created_at)
    again = tracking_pause(facts.read_at - began)
    if again is None:
        return Verdict(park="parcel not delivered", reason="The carrier has had it for too long.")
    return Verdict(again=again, record=Record(tracking=body))


Builder = Callable[[ClaimedItem, CallFacts], Call | Verdict]
Reader = Callable[[ClaimedItem, CallFacts, Mapping[str, Any]], Verdict]

_BUILDERS: Final[Mapping[Step, Builder]] = MappingProxyType(
    {
        T.RESERVE_STOCK: _reserve_stock,
        T.CONFIRM_STOCK: _confirm_stock,
        T.WITHDRAW_STOCK: _withdraw_stock,
        T.RELEASE_STOCK: _release_stock,
        T.UNDO_LATE_STOCK: _release_stock,
        T.AUTHORIZE_PAYMENT: _authorize_payment,
        T.CHECK_FRAUD: _check_fraud,
        T.SETTLE_INVOICE: _settle_invoice,
        T.VOID_PAYMENT: _void_payment,
        T.UNDO_LATE_PAYMENT: _void_payment,
        T.REFUND_RETURN: _refund_return,
        T.FOLLOW_TRACKING: _follow_tracking,
        T.AUTHORIZE_CHANGE: _authorize_change,
        T.RETURN_DIFFERENCE: _return_difference,
    }
)

_READERS: Final[Mapping[Step, Reader]] = MappingProxyType(
    {
        T.RESERVE_STOCK: _read_reservation,
        T.CONFIRM_STOCK: _read_confirmation,
        T.WITHDRAW_STOCK: _read_withdrawal,
        T.RELEASE_STOCK: _read_release,
        T.UNDO_LATE_STOCK: _done,
        T.AUTHORIZE_PAYMENT: _read_authorization,
        T.CHECK_FRAUD: _read_analysis,
        T.SETTLE_INVOICE: _read_capture,
        T.VOID_PAYMENT: _read_void,
        T.UNDO_LATE_PAYMENT: _done,
        T.REFUND_RETURN: _read_refund,
        T.FOLLOW_TRACKING: _read_tracking,
        T.AUTHORIZE_CHANGE: _read_change,
        T.RETURN_DIFFERENCE: _read_return,
    }
)
