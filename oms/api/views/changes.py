"""
Order modifications: asking for one, looking at them, trying again, giving up, settings.

The first version of the contract (`POST …/oms/pvt/orders/{orderId}/changes`) is switched off in
the anchor since March 2026; connectors that still send it are served by the second.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oms.api.authentication import principal_of
from oms.api.scoping import refuse_part_of_store, visible_order
from oms.api.serializers import CentsField
from oms.orders.documents.kinds import moment_text
from workflow.changes.telling import tell_details, tell_request
from workflow.services.changes import (
    cancel_change,
    change_settings,
    find_request,
    preview_change,
    request_change,
    requests_of,
    retry_change,
    set_change_settings,
    summarize_changes,
)
from workflow.services.refusals import InvalidInput, Problem

CHANGING = {"Changes", "CancelAction", "OrdersFullAccess"}


class ChangesView(APIView):
    """PATCH and GET /api/order-system/orders/{changeOrderId}/changes: ask, and what was asked."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"PATCH": CHANGING, "GET": CHANGING}

    def patch(self, request: Request, order_id: str) -> Response:
        principal = principal_of(request)
        order = visible_order(order_id, principal)
        body = _object(request)
        made = request_change(
            order_id=order.order_id,
            body=body,
            actor=principal.actor,
            request_id=_request_id(body),
        )
        return Response(tell_request(order, made), status=202)

    def get(self, request: Request, order_id: str) -> Response:
        order = visible_order(order_id, principal_of(request))
        told = [tell_details(order, one) for one in requests_of(order)]
        # What the first version left as `actions` is among the requests here.
        return Response({"requests": told, "actions": []})


class ChangeView(APIView):
    """GET …/changes/{changeRequestId}: one request, its status, its log."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"GET": CHANGING}

    def get(self, request: Request, order_id: str, request_id: str) -> Response:
        order = visible_order(order_id, principal_of(request))
        return Response(tell_details(order, find_request(order=order, request_id=request_id)))


class PreviewChangeView(APIView):
    """POST …/changes/preview: what a change would come to. Changes nothing."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"POST": CHANGING}

    def post(self, request: Request, order_id: str) -> Response:
        order = visible_order(order_id, principal_of(request))
        return Response(preview_change(order=order, body=_object(request)))


class RetryChangeView(APIView):
    """POST …/changes/{changeRequestId}/retry: 204, or 409 where it is over."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"POST": CHANGING}

    def post(self, request: Request, order_id: str, request_id: str) -> Response:
        principal = principal_of(request)
        order = visible_order(order_id, principal)
        retry_change(order_id=order.order_id, request_id=request_id, actor=principal.actor)
        return Response(status=204)


class CancelChangeView(APIView):
    """POST …/changes/{changeRequestId}/cancel: 200 without a body, or 409 where it is done."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"POST": CHANGING}

    def post(self, request: Request, order_id: str, request_id: str) -> Response:
        principal = principal_of(request)
        order = visible_order(order_id, principal)
        cancel_change(order_id=order.order_id, request_id=request_id, actor=principal.actor)
        return Response(status=200)


class ChangeSummaryView(APIView):
    """GET /api/orders/pvt/document/{orderId}/change-summary: all applied changes in one."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"GET": {"OMSViewer", "OrdersFullAccess"}}

    def get(self, request: Request, order_id: str) -> Response:
        return Response(summarize_changes(visible_order(order_id, principal_of(request))))


class ChangeSettingsView(APIView):
    """GET and PUT /api/order-system/orders/changes/settings: what is not told stays as it is."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"GET": CHANGING, "PUT": CHANGING}

    def get(self, request: Request) -> Response:
        return Response(change_settings())

    def put(self, request: Request) -> Response:
        refuse_part_of_store(principal_of(request))
        return Response(set_change_settings(_object(request)))


class FirstVersionItemBody(serializers.Serializer[Any]):
    id = serializers.CharField(max_length=80)
    quantity = serializers.IntegerField(min_value=1, max_value=1_000_000)
    price = CentsField()


class FirstVersionBody(serializers.Serializer[Any]):
    requestId = serializers.CharField(max_length=120)
    reason = serializers.CharField(max_length=2_000)
    discountValue = CentsField(default=0)
    incrementValue = CentsField(default=0)
    itemsRemoved = FirstVersionItemBody(many=True, required=False, allow_null=True)
    itemsAdded = FirstVersionItemBody(many=True, required=False, allow_null=True)

    def change(self) -> dict[str, Any]:
        """This function will say the same in the words of the second version."""
        told = self.validated_data
        sides = {"remove": told.get("itemsRemoved"), "add": told.get("itemsAdded")}
        return {
            "reason": told["reason"],
            "manualDiscountValue": told["discountValue"],
            "manualIncrementValue": told["incrementValue"],
            **{
                name: {"items": [dict(item) for item in side]}
                for name, side in sides.items()
                if side
            },
        }


class FirstVersionChangesView(APIView):
    """POST /api/oms/pvt/orders/{orderId}/changes: idempotent by `requestId`, answers a receipt."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"POST": CHANGING}

    def post(self, request: Request, order_id: str) -> Response:
        body = FirstVersionBody(data=request.data)
        body.is_valid(raise_exception=True)
        principal = principal_of(request)
        order = visible_order(order_id, principal)
        made = request_change(
            order_id=order.order_id,
            body=body.change(),
            actor=principal.actor,
            request_id=body.validated_data["requestId"],
        )
        return Response(
            {
                "date": moment_text(made.requested_at),
                "orderId": order.order_id,
                "receipt": str(made.workflow_id),
            }
        )


def _object(request: Request) -> Mapping[str, Any]:
    body = request.data
    if not isinstance(body, Mapping):
        raise InvalidInput(Problem("", "Expected an object."))
    return body


def _request_id(body: Mapping[str, Any]) -> str:
    """The contract has no id of the caller's; ours takes one, for a PATCH that can be repeated."""
    told = body.get("requestId")
    if told is not None and not isinstance(told, str):
        raise InvalidInput(Problem("requestId", "Expected text."))
    return told or ""
