"""One order: reading it, and telling what happened to it."""

import uuid
from datetime import datetime
from typing import ClassVar

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oms.access.scopes import Scope
from oms.api.authentication import principal_of
from oms.api.etags import answer_if_known, order_tag, orders_tag
from oms.api.scoping import visible_order, visible_orders
from oms.api.serializers import (
    CancelBody,
    DenyCancellationBody,
    InvoiceBody,
    PaymentNotificationBody,
    ShipmentBody,
    TrackingBody,
)
from oms.orders.documents.building import documents_by_pk
from oms.orders.documents.kinds import moment_text
from oms.orders.locks import OrderNotFound
from oms.orders.models import InvoiceType, Order
from oms.orders.selectors import orders_of_group
from workflow.selectors import orders_in_error
from workflow.services.cancellation import cancel_order, deny_cancellation
from workflow.services.handling import start_handling
from workflow.services.invoicing import record_invoice
from workflow.services.payment import approve_payment, deny_payment
from workflow.services.tracking import update_shipment, update_tracking

Scopes = dict[str, set[str]]

# A return pays money back: who ships may not therefore refund.
SCOPES_BY_INVOICE_TYPE = {
    InvoiceType.OUTPUT: {Scope.SHIPPING_ACTION, Scope.ORDERS_FULL_ACCESS},
    InvoiceType.INPUT: {Scope.REFUND_ACTION, Scope.ORDERS_FULL_ACCESS},
}


class OrderView(APIView):
    """GET /api/oms/pvt/orders/{orderId}: by order id or `seq` and sequence number."""

    required_scopes: ClassVar[Scopes] = {"GET": {"OMSViewer", "OrdersFullAccess"}}

    def get(self, request: Request, order_id: str) -> Response:
        order = visible_order(order_id, principal_of(request))
        in_error = orders_in_error([order.pk])
        tag = order_tag(order, is_in_error=bool(in_error))
        return answer_if_known(request, tag) or Response(
            _documents([order], in_error)[0], headers={"ETag": tag}
        )


class OrderGroupView(APIView):
    """GET /api/oms/pvt/orders/order-group/{orderGroup}: every order of one purchase."""

    required_scopes: ClassVar[Scopes] = {"GET": {"OMSViewer", "OrdersFullAccess"}}

    def get(self, request: Request, order_group: str) -> Response:
        orders = visible_orders(orders_of_group(order_group), principal_of(request))
        if not orders:
            raise OrderNotFound(order_group)
        in_error = orders_in_error([order.pk for order in orders])
        tag = orders_tag(orders, in_error)
        return answer_if_known(request, tag) or Response(
            _documents(orders, in_error), headers={"ETag": tag}
        )


class StartHandlingView(APIView):
    """POST …/start-handling: 204, or 409 OMS003 where the order is not ready."""

    required_scopes: ClassVar[Scopes] = {"POST": {"WorkflowAction", "OrdersFullAccess"}}

    def post(self, request: Request, order_id: str) -> Response:
        order = visible_order(order_id, principal_of(request))
        start_handling(order_id=order.order_id, actor=principal_of(request).actor)
        return Response(status=204)


class CancelView(APIView):
    """POST …/cancel: at once until the window to cancel closes, then a request to the seller."""

    required_scopes: ClassVar[Scopes] = {"POST": {"CancelAction", "OrdersFullAccess"}}

    def post(self, request: Request, order_id: str) -> Response:
        body = CancelBody(data=request.data)
        body.is_valid(raise_exception=True)
        order = visible_order(order_id, principal_of(request))
        done = cancel_order(
            order_id=order.order_id,
            reason=body.validated_data["reason"] or "",
            actor=principal_of(request).actor,
            # A key of certain sellers speaks for them: it gives the order up.
            as_seller=principal_of(request).seller_ids is not None,
        )
        return receipt_of(order.order_id, done.at, done.request_id)


class DenyCancellationView(APIView):
    """POST /api/orders/pvt/document/{orderId}/deny-cancellation-request: the seller goes on."""

    required_scopes: ClassVar[Scopes] = {"POST": {"CancelAction", "OrdersFullAccess"}}

    def post(self, request: Request, order_id: str) -> Response:
        body = DenyCancellationBody(data=request.data)
        body.is_valid(raise_exception=True)
        order = visible_order(order_id, principal_of(request))
        deny_cancellation(
            order_id=order.order_id,
            actor=principal_of(request).actor,
            reason=body.validated_data["denyReason"] or "",
            request_id=body.validated_data["cancellationRequestId"],
        )
        return Response(status=200)


class PaymentNotificationView(APIView):
    """POST …/payments/{paymentId}/payment-notification: the payment is approved."""

    required_scopes: ClassVar[Scopes] = {"POST": {"PaymentAction", "OrdersFullAccess"}}

    def post(self, request: Request, order_id: str, payment_id: str) -> Response:
        body = PaymentNotificationBody(data=request.data)
        body.is_valid(raise_exception=True)
        order = visible_order(order_id, principal_of(request))
        actor = principal_of(request).actor
        if body.validated_data["status"] == "denied":
            deny_payment(
                order_id=order.order_id,
                payment_id=payment_id,
                actor=actor,
                reason=body.validated_data["reason"] or "",
            )
        else:
            approve_payment(order_id=order.order_id, payment_id=payment_id, actor=actor)
        return Response(status=200)


class InvoiceView(APIView):
    """POST …/invoice: a sale or a return, whole or in part."""

    required_scopes: ClassVar[Scopes] = {
        "POST": {"ShippingAction", "RefundAction", "OrdersFullAccess"}
    }

    def post(self, request: Request, order_id: str) -> Response:
        body = InvoiceBody(data=request.data)
        body.is_valid(raise_exception=True)
        invoice = body.invoice()
        principal = principal_of(request)
        if not principal.has_any(SCOPES_BY_INVOICE_TYPE[invoice.type]):
            raise PermissionDenied
        order = visible_order(order_id, principal)
        receipt = record_invoice(order_id=order.order_id, invoice=invoice, actor=principal.actor)
        return receipt_of(receipt.order_id, receipt.at, receipt.receipt)


class InvoiceShipmentView(APIView):
    """PATCH …/invoice/{invoiceNumber}: tracking number, courier, dispatch."""

    required_scopes: ClassVar[Scopes] = {"PATCH": {"ShippingAction", "OrdersFullAccess"}}

    def patch(self, request: Request, order_id: str, invoice_number: str) -> Response:
        body = ShipmentBody(data=request.data)
        body.is_valid(raise_exception=True)
        order = visible_order(order_id, principal_of(request))
        at = update_shipment(
            order_id=order.order_id,
            invoice_number=invoice_number,
            shipment=body.shipment(),
            actor=principal_of(request).actor,
        )
        return receipt_of(order.order_id, at)


class InvoiceTrackingView(APIView):
    """PUT …/invoice/{invoiceNumber}/tracking: what the carrier says, and whether it delivered."""

    required_scopes: ClassVar[Scopes] = {"PUT": {"ShippingAction", "OrdersFullAccess"}}

    def put(self, request: Request, order_id: str, invoice_number: str) -> Response:
        body = TrackingBody(data=request.data)
        body.is_valid(raise_exception=True)
        order = visible_order(order_id, principal_of(request))
        at = update_tracking(
            order_id=order.order_id,
            invoice_number=invoice_number,
            is_delivered=body.validated_data["isDelivered"],
            delivered_at=body.validated_data["deliveredDate"],
            events=body.events_told(),
            actor=principal_of(request).actor,
        )
        return receipt_of(order.order_id, at)


def _documents(orders: list[Order], in_error: frozenset[int]) -> list[dict[str, object]]:
    pks = [order.pk for order in orders]
    documents = documents_by_pk(pks, in_error=in_error)
    return [documents[pk] for pk in pks]


def receipt_of(order_id: str, at: datetime, receipt: uuid.UUID | None = None) -> Response:
    """This function will answer what the contract calls a receipt."""
    return Response(
        {"date": moment_text(at), "orderId": order_id, "receipt": (receipt or uuid.uuid4()).hex}
    )
