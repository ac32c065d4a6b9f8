"""Orders: placing them, reading them, and telling what happened to them."""

from typing import Final

from oms.api.description.lists import LIST_FILTERS, PAGING, USER_FILTERS
from oms.api.description.operation import Operation, Operations, Query, array, ref
from oms.api.description.shapes import ANYTHING, NULLABLE_TEXT, TEXT, TIME, thing
from oms.api.serializers import (
    CancelBody,
    DenyCancellationBody,
    InvoiceBody,
    PaymentNotificationBody,
    ShipmentBody,
    TrackingBody,
)
from oms.api.views.conversation import (
    ConversationView,
    InteractionBody,
    InteractionsView,
    PaymentTransactionView,
)
from oms.api.views.order_list import OrderListView, UserOrderListView, UserOrderView
from oms.api.views.orders import (
    CancelView,
    DenyCancellationView,
    InvoiceShipmentView,
    InvoiceTrackingView,
    InvoiceView,
    OrderGroupView,
    OrderView,
    PaymentNotificationView,
    StartHandlingView,
)
from oms.api.views.placing import AuthorizeDispatchView, PlaceOrdersView

RECEIPT: Final = {200: ref("Receipt")}
AFFILIATE: Final = Query("affiliateId", "Which affiliate places.", required=True)
EXAMPLE_PURCHASE: Final = {
    "marketplaceOrderId": "MKT-1",
    "marketplaceServicesEndpoint": "https://marketplace.example",
    "marketplacePaymentValue": 1200,
    "items": [{"id": "SKU-1", "quantity": 1, "seller": "1", "price": 1000}],
    "clientProfileData": {
        "email": "ana@example.com",
        "firstName": "Ana",
        "lastName": "Lima",
        "documentType": "cpf",
        "document": "123456789",
    },
    "shippingData": {
        "address": {
            "addressType": "residential",
            "receiverName": "Ana Lima",
            "postalCode": "12345000",
            "city": "Rio de Janeiro",
            "state": "RJ",
            "country": "BRA",
            "street": "Praia",
            "number": "300",
        },
        "logisticsInfo": [
            {"itemIndex": 0, "selectedSla": "Normal", "shippingEstimate": "5bd", "price": 200}
        ],
    },
}

ORDERS: Final[Operations] = {
    (PlaceOrdersView, "POST"): Operation(
        id="place_orders",
        tag="Placing",
        summary="Place purchases",
        text="A list of purchases, or one. Each is all or nothing; placing one again with the same "
        "content answers the orders it made.",
        query=(AFFILIATE, Query("sc", "Sales channel.")),
        body={"anyOf": [array(ANYTHING), ANYTHING]},
        answers={
            200: {"anyOf": [array(ref("PlacedPurchase")), ref("PlacedPurchase")]},
        },
        example=[EXAMPLE_PURCHASE],
    ),
    (AuthorizeDispatchView, "POST"): Operation(
        id="authorize_dispatch",
        tag="Placing",
        summary="Authorize dispatch",
        query=(Query("affiliateId", "Which affiliate placed."),),
        answers={
            201: thing(
                status=TEXT,
                message=TEXT,
                orderId=TEXT,
                details=thing(createdAt=TIME, marketplaceOrderId=NULLABLE_TEXT, status=TEXT),
            )
        },
        refusals=(404,),
    ),
    (OrderListView, "GET"): Operation(
        id="list_orders",
        tag="Orders",
        summary="List orders",
        text="Filtered by `f_…`, searched by `q`, from the orders as they are now. To follow what "
        "changes, read the feed: a key that walks this list by date or page gets `Deprecation` and "
        "`Link` headers and a quota of its own.",
        query=(*PAGING, *LIST_FILTERS),
        answers={200: ref("OrderList")},
    ),
    (UserOrderListView, "GET"): Operation(
        id="list_user_orders",
        tag="Orders",
        summary="List the orders of one buyer",
        query=(*PAGING, *USER_FILTERS),
        answers={200: ref("OrderList")},
    ),
    (UserOrderView, "GET"): Operation(
        id="get_user_order",
        tag="Orders",
        summary="Read an order of one buyer",
        query=(Query("clientEmail", "Whose order.", required=True),),
        answers={200: ref("Order")},
        refusals=(404,),
    ),
    (OrderView, "GET"): Operation(
        id="get_order",
        tag="Orders",
        summary="Read an order",
        text="The answer's `ETag` asks for news only (`If-None-Match`) and binds a write to what "
        "was read (`If-Match`).",
        answers={200: ref("Order")},
        refusals=(404,),
        conditional=True,
    ),
    (OrderGroupView, "GET"): Operation(
        id="get_order_group",
        tag="Orders",
        summary="Read all orders of a purchase",
        answers={200: array(ref("Order"))},
        refusals=(404,),
        conditional=True,
    ),
    (InteractionsView, "POST"): Operation(
        id="add_interaction",
        tag="Order actions",
        summary="Add a line to an order's log",
        body=InteractionBody,
        answers={200: None},
        refusals=(404,),
        example={"source": "ERP", "message": "Picked."},
    ),
    (ConversationView, "GET"): Operation(
        id="read_conversation",
        tag="Orders",
        summary="Read the messages between store and buyer",
        answers={200: array(ANYTHING)},
        refusals=(404,),
    ),
    (PaymentTransactionView, "GET"): Operation(
        id="get_payment_transaction",
        tag="Orders",
        summary="Read an order's payment transaction",
        answers={200: ANYTHING},
        refusals=(404,),
    ),
    (StartHandlingView, "POST"): Operation(
        id="start_handling",
        tag="Order actions",
        summary="Start handling",
        text="409 `OMS003` where the order is not ready for it.",
        answers={204: None},
        refusals=(404,),
    ),
    (CancelView, "POST"): Operation(
        id="cancel_order",
        tag="Order actions",
        summary="Cancel an order",
        text="At once until the window to cancel closes, then a request to the seller.",
        body=CancelBody,
        answers=RECEIPT,
        refusals=(404,),
        example={"reason": "The customer changed her mind."},
    ),
    (DenyCancellationView, "POST"): Operation(
        id="deny_cancellation",
        tag="Order actions",
        summary="Deny a requested cancellation",
        body=DenyCancellationBody,
        answers={200: None},
        refusals=(404,),
    ),
    (PaymentNotificationView, "POST"): Operation(
        id="notify_payment",
        tag="Order actions",
        summary="Notify a payment",
        text="Without body: approved.",
        body=PaymentNotificationBody,
        answers={200: None},
        refusals=(404,),
    ),
    (InvoiceView, "POST"): Operation(
        id="invoice_order",
        tag="Order actions",
        summary="Invoice an order or a part of it",
        body=InvoiceBody,
        answers=RECEIPT,
        refusals=(404,),
        example={
            "type": "Output",
            "issuanceDate": "2026-01-31T12:00:00Z",
            "invoiceNumber": "NF-1",
            "invoiceValue": 1000,
            "courier": "Correios",
            "trackingNumber": "BR123",
            "items": [{"id": "SKU-1", "quantity": 1, "price": 1000}],
        },
    ),
    (InvoiceShipmentView, "PATCH"): Operation(
        id="update_invoice_shipment",
        tag="Order actions",
        summary="Tell how an invoice is shipped",
        body=ShipmentBody,
        answers=RECEIPT,
        refusals=(404,),
        example={"trackingNumber": "BR123", "courier": "Correios"},
    ),
    (InvoiceTrackingView, "PUT"): Operation(
        id="update_invoice_tracking",
        tag="Order actions",
        summary="Tell where a parcel is",
        body=TrackingBody,
        answers=RECEIPT,
        refusals=(404,),
        example={"isDelivered": True, "deliveredDate": "2026-02-03T12:00:00Z"},
    ),
}
