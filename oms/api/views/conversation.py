"""What is said about an order: its log, its messages, its payment transaction."""

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oms.api.authentication import principal_of
from oms.api.scoping import visible_order
from oms.orders.conversation import add_interaction, conversation
from oms.orders.documents.building import order_document
from oms.orders.documents.transactions import payment_transaction

Scopes = dict[str, set[str]]


class InteractionBody(serializers.Serializer[Any]):
    # DRF's own `source` is another one: declared fields are no attributes of a serializer.
    source = serializers.CharField(max_length=160)  # type: ignore[assignment]
    message = serializers.CharField(max_length=10_000)


class InteractionsView(APIView):
    """POST …/interactions: a line in the order's log."""

    required_scopes: ClassVar[Scopes] = {"POST": {"OrdersFullAccess"}}

    def post(self, request: Request, order_id: str) -> Response:
        body = InteractionBody(data=request.data)
        body.is_valid(raise_exception=True)
        principal = principal_of(request)
        order = visible_order(order_id, principal)
        add_interaction(order=order, actor=principal.actor, **body.validated_data)
        return Response(status=200)


class ConversationView(APIView):
    """GET …/conversation-message: the messages between store and buyer; notes of staff are none."""

    required_scopes: ClassVar[Scopes] = {"GET": {"OrdersFullAccess"}}

    def get(self, request: Request, order_id: str) -> Response:
        return Response(conversation(visible_order(order_id, principal_of(request))))


class PaymentTransactionView(APIView):
    """GET …/payment-transaction: the order's transaction and its payments."""

    required_scopes: ClassVar[Scopes] = {"GET": {"OMSViewer", "OrdersFullAccess"}}

    def get(self, request: Request, order_id: str) -> Response:
        order = visible_order(order_id, principal_of(request))
        statuses = order.payments.values_list("status", flat=True)
        return Response(payment_transaction(order_document(order), list(statuses)))
