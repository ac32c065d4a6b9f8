"""What a marketplace does: place orders, and authorize their dispatch once it has its money."""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oms.access.authenticating import Principal
from oms.api.authentication import principal_of
from oms.api.scoping import visible_order
from oms.orders.documents.kinds import moment_text
from oms.orders.models import Order
from workflow.services.authorization import authorize_fulfillment
from workflow.services.placing import CONFLICT, PlacedDifferently, PlacedPurchase, place_orders
from workflow.services.refusals import InvalidInput, Problem

LONGEST_SALES_CHANNEL = Order._meta.get_field("sales_channel").max_length or 0


class PlaceOrdersView(APIView):
    """
    POST /api/fulfillment/pvt/orders?affiliateId=&sc=

    A batch answers 200 with a result for each purchase, as long as one of them was taken; 409
    when all that was sent contradicts what was placed before, 400 when nothing could be taken.
    """

    required_scopes: ClassVar[dict[str, set[str]]] = {"POST": {"PlaceOrders", "OrdersFullAccess"}}
    json_body: ClassVar[Any] = list | dict

    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        placed = place_orders(
            request.data,
            affiliate_id=_affiliate_of(request, principal),
            sales_channel=_sales_channel_of(request),
            actor=principal.actor,
            seller_ids=principal.seller_ids,
        )
        results = [_result(purchase) for purchase in placed]
        if any(purchase.is_accepted for purchase in placed):
            return Response(results if isinstance(request.data, list) else results[0])
        if all(purchase.outcome == CONFLICT for purchase in placed):
            raise PlacedDifferently([purchase.marketplace_order_id for purchase in placed])
        raise InvalidInput(
            *(
                Problem(
                    f"[{index}].{error.field}" if error.field else f"[{index}]",
                    error.message,
                    error.allowed,
                )
                for index, purchase in enumerate(placed)
                for error in purchase.errors
            )
        )


class AuthorizeDispatchView(APIView):
    """POST /api/fulfillment/pvt/orders/{orderId}/fulfill?affiliateId="""

    required_scopes: ClassVar[dict[str, set[str]]] = {"POST": {"PlaceOrders", "OrdersFullAccess"}}

    def post(self, request: Request, order_id: str) -> Response:
        principal = principal_of(request)
        order = visible_order(order_id, principal)
        status = authorize_fulfillment(order_id=order.order_id, actor=principal.actor)
        return Response(
            {
                "status": "fulfillment",
                "message": "Dispatch authorized.",
                "orderId": order.order_id,
                "details": {
                    "createdAt": moment_text(order.created_at),
                    "marketplaceOrderId": order.marketplace_order_id,
                    "status": status,
                },
            },
            status=201,
        )


def _affiliate_of(request: Request, principal: Principal) -> str:
    affiliate_id = request.query_params.get("affiliateId", "")
    if not affiliate_id:
        raise InvalidInput(Problem("affiliateId", "Say which affiliate places, in the address."))
    if not principal.serves_affiliate(affiliate_id):
        allowed = sorted(principal.affiliate_ids or ())
        raise InvalidInput(Problem("affiliateId", "Not an affiliate of this key.", allowed))
    return affiliate_id


def _sales_channel_of(request: Request) -> str:
    sales_channel = request.query_params.get("sc", "")
    if len(sales_channel) > LONGEST_SALES_CHANNEL:
        message = f"Expected at most {LONGEST_SALES_CHANNEL} characters."
        raise InvalidInput(Problem("sc", message))
    return sales_channel


def _result(purchase: PlacedPurchase) -> dict[str, Any]:
    result: dict[str, Any] = {
        "marketplaceOrderId": purchase.marketplace_order_id,
        "orderId": purchase.order_ids[0] if purchase.order_ids else None,
        "orderIds": list(purchase.order_ids),
        "status": purchase.outcome,
        "message": "; ".join(str(error) for error in purchase.errors) or None,
        "orderData": purchase.source,
    }
    if purchase.errors:
        result["errors"] = [error.as_json() for error in purchase.errors]
    return result
