"""Change seller: who takes over an order that its seller gave up, and for how long it may wait."""

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oms.api.authentication import principal_of
from oms.api.scoping import refuse_part_of_store, visible_order
from oms.api.serializers import CentsField
from oms.api.views.orders import receipt_of
from workflow.policies import window_to_change_seller
from workflow.services.refusals import InvalidInput, Problem
from workflow.services.seller_changes import NewSeller, change_seller, set_window_to_change_seller


class NewShippingBody(serializers.Serializer[Any]):
    """A delivery option has many fields; all of them are kept as sent."""

    logisticsInfo = serializers.ListField(
        child=serializers.DictField(), required=False, allow_null=True, max_length=1_000
    )


class NewSellerBody(serializers.Serializer[Any]):
    newSellerId = serializers.RegexField(r"\A[^\x00-\x1f/]{1,80}\Z")
    marketplacePaymentValue = CentsField(required=False, allow_null=True)
    shippingData = NewShippingBody(required=False, allow_null=True)


class WindowBody(serializers.Serializer[Any]):
    waitingTime = serializers.IntegerField()


class ChangeSellerView(APIView):
    """PUT /api/checkout/pvt/orders/{orderId}/sellers: another seller takes the order."""

    required_scopes: ClassVar[dict[str, set[str]]] = {
        "PUT": {"WorkflowAction", "OrdersFullAccess"}
    }

    def put(self, request: Request, order_id: str) -> Response:
        body = NewSellerBody(data=request.data)
        body.is_valid(raise_exception=True)
        principal = principal_of(request)
        order = visible_order(order_id, principal)
        if not principal.serves_seller(body.validated_data["newSellerId"]):
            allowed = sorted(principal.seller_ids or ())
            raise InvalidInput(Problem("newSellerId", "Not a seller of this key.", allowed))
        shipping = body.validated_data.get("shippingData") or {}
        at = change_seller(
            order_id=order.order_id,
            seller=NewSeller(
                seller_id=body.validated_data["newSellerId"],
                payment_value_cents=body.validated_data.get("marketplacePaymentValue"),
                logistics=shipping.get("logisticsInfo") or (),
            ),
            actor=principal.actor,
        )
        return receipt_of(order.order_id, at)


class WindowToChangeSellerView(APIView):
    """GET and POST /api/checkout/pvt/configuration/window-to-change-seller: whole days."""

    required_scopes: ClassVar[dict[str, set[str]]] = {
        "GET": {"WorkflowAction", "OMSViewer", "OrdersFullAccess"},
        "POST": {"WorkflowAction", "OrdersFullAccess"},
    }

    def get(self, request: Request) -> Response:
        return Response(window_to_change_seller().days)

    def post(self, request: Request) -> Response:
        refuse_part_of_store(principal_of(request))
        body = WindowBody(data=request.data)
        body.is_valid(raise_exception=True)
        set_window_to_change_seller(body.validated_data["waitingTime"])
        return Response(status=201)
