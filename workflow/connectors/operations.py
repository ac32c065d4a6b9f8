"""
One builder per operation: plain arguments in, a `Call` out.

The idempotency key is `{order}:{operation}` or `{order}:{operation}:{subject}`. A subject is
there when an order can rightly have the effect more than once: one capture per invoice, one
refund per return invoice. Where `subject` is optional it is for the second time round: a void
that found nothing is answered alike for ever under its key, so the void of an authorization that
came late needs a key of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from workflow.connectors.protocol import Call


@dataclass(frozen=True, slots=True)
class StockItem:
    """An order line as the stock service sees it; `unique_id` tells two lines of one SKU apart."""

    unique_id: str
    sku_id: str
    seller: str
    quantity: int

    def as_body(self) -> dict[str, Any]:
        return {
            "uniqueId": self.unique_id,
            "id": self.sku_id,
            "seller": self.seller,
            "quantity": self.quantity,
        }


def analyze_order(
    *,
    order_id: str,
    value_cents: int,
    currency: str,
    payments: Sequence[Mapping[str, Any]],
    request_id: str,
    subject: str | None = None,
) -> Call:
    """
    This function will ask antifraud for a verdict.

    `subject` tells the analysis of a payment that was tried again from the first one. While the
    verdict is pending the same key asks again and gets the verdict as it is by then.
    """
    body = {
        "orderId": order_id,
        "value": value_cents,
        "currency": currency,
        "payments": [dict(payment) for payment in payments],
    }
    return _post(
        "antifraud", "analysis", "/analyses", body, subject=subject, request_id=request_id
    )


def authorize_payment(
    *,
    order_id: str,
    value_cents: int,
    currency: str,
    payments: Sequence[Mapping[str, Any]],
    request_id: str,
    subject: str | None = None,
) -> Call:
    """This function will ask the gateway to set the order's value aside for us."""
    body = {
        "orderId": order_id,
        "value": value_cents,
        "currency": currency,
        "payments": [dict(payment) for payment in payments],
    }
    return _post(
        "payments",
        "authorization",
        "/authorizations",
        body,
        subject=subject,
        request_id=request_id,
    )


def capture_payment(
    *,
    order_id: str,
    transaction_id: str,
    value_cents: int,
    invoice_number: str,
    request_id: str,
) -> Call:
    """This function will take the money of one invoice out of what was authorized."""
    body = {
        "orderId": order_id,
        "transactionId": transaction_id,
        "value": value_cents,
        "invoiceNumber": invoice_number,
    }
    return _post(
        "payments", "capture", "/captures", body, subject=invoice_number, request_id=request_id
    )


def void_payment(
    *, order_id: str, transaction_id: str | None, request_id: str, late: int | None = None
) -> Call:
    """
    This function will give back what was authorized and not captured.

    `late` numbers the undoing of an authorization that took effect after a void: another effect.

    `transaction_id` is None when the authorization's answer never arrived: the gateway finds it
    by the order.
    """
    body = {"orderId": order_id, "transactionId": transaction_id}
    return _post("payments", "void", "/voids", body, subject=_late(late), request_id=request_id)


def refund_payment(
    *,
    order_id: str,
    transaction_id: str | None,
    value_cents: int,
    invoice_number: str,
    request_id: str,
) -> Call:
    """This function will pay back captured money, once per `invoice_number` (the return's)."""
    body = {
        "orderId": order_id,
        "transactionId": transaction_id,
        "value": value_cents,
        "invoiceNumber": invoice_number,
    }
    return _post(
        "payments", "refund", "/refunds", body, subject=invoice_number, request_id=request_id
    )


def raise_authorization(
    *,
    order_id: str,
    transaction_id: str | None,
    value_cents: int,
    currency: str,
    change_id: str,
    request_id: str,
) -> Call:
    """This function will ask the gateway to set a change's difference aside too, once per change."""
    body = {
        "orderId": order_id,
        "transactionId": transaction_id,
        "value": value_cents,
        "currency": currency,
        "changeId": change_id,
    }
    return _post(
        "payments", "increase", "/increases", body, subject=change_id, request_id=request_id
    )


def lower_authorization(
    *,
    order_id: str,
    transaction_id: str | None,
    value_cents: int,
    change_id: str,
    is_undo: bool,
    request_id: str,
) -> Call:
    """
    This function will let go of a part of what was set aside, once per change.

    `is_undo`: only if the increase of the same change took effect; nobody else can know.
    """
    body = {
        "orderId": order_id,
        "transactionId": transaction_id,
        "value": value_cents,
        "changeId": change_id,
        "isUndo": is_undo,
    }
    return _post(
        "payments", "reduction", "/reductions", body, subject=change_id, request_id=request_id
    )


def reserve_stock(
    *, order_id: str, items: Sequence[StockItem], request_id: str, subject: str | None = None
) -> Call:
    """
    This function will ask the stock service to hold the order's items.

    `subject` tells the reservation at a seller that took over from the first one.
    """
    body = {
        "orderId": order_id,
        "items": [item.as_body() for item in items],
        **_turn(subject),
    }
    return _post(
        "stock", "reservation", "/reservations", body, subject=subject, request_id=request_id
    )


def confirm_stock(*, order_id: str, reservation_id: str | None, request_id: str) -> Call:
    """This function will turn the reservation into a firm one, once the order is paid."""
    body = {"orderId": order_id, "reservationId": reservation_id}
    return _post("stock", "confirmation", "/confirmations", body, request_id=request_id)


def withdraw_stock(*, order_id: str, reservation_id: str | None, request_id: str) -> Call:
    """This function will take the items off the shelf's count, once handling has begun."""
    body = {"orderId": order_id, "reservationId": reservation_id}
    return _post("stock", "withdrawal", "/withdrawals", body, request_id=request_id)


def release_stock(
    *, order_id: str, reservation_id: str | None, request_id: str, subject: str | None = None
) -> Call:
    """
    This function will let go of whatever the order still holds.

    `subject` tells further effects apart: the undoing of a reservation that came after a release,
    and what a former seller held.
    """
    body = {"orderId": order_id, "reservationId": reservation_id, **_turn(subject)}
    return _post("stock", "release", "/releases", body, subject=subject, request_id=request_id)


def _late(number: int | None) -> str | None:
    return None if number is None else f"late-{number}"


def _turn(subject: str | None) -> dict[str, str]:
    return {} if subject is None else {"turn": subject}


def track_package(*, order_id: str, tracking_number: str, request_id: str) -> Call:
    """This function will ask the carrier where a package is. Reading has no effect outside."""
    return Call(
        connector="carrier",
        operation="tracking",
        method="GET",
        path=f"/trackings/{quote(tracking_number, safe='')}",
        body=None,
        idempotency_key=idempotency_key(order_id, "tracking", tracking_number),
        request_id=request_id,
    )


def idempotency_key(order_id: str, operation: str, subject: str | None = None) -> str:
    """
    This function will name a business effect by the key that all its attempts share.

    Parts are percent-encoded: invoice numbers hold slashes, blanks and colons in real life, and
    a header holds visible ASCII only.
    """
    parts = [order_id, operation] if subject is None else [order_id, operation, subject]
    return ":".join(quote(part, safe="") for part in parts)


def _post(
    connector: Literal["antifraud", "payments", "stock"],
    operation: str,
    path: str,
    body: Mapping[str, Any],
    *,
    request_id: str,
    subject: str | None = None,
) -> Call:
    return Call(
        connector=connector,
        operation=operation,
        method="POST",
        path=path,
        body=body,
        idempotency_key=idempotency_key(body["orderId"], operation, subject),
        request_id=request_id,
    )
