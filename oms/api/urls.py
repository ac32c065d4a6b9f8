"""
The API's routes. Written without a trailing slash: the boundary drops it from every request.

An address that is not here is answered 404 in JSON by the boundary.
"""

from django.urls import URLPattern, path

from feeds.models import Channel
from oms.api.views.changes import (
    CancelChangeView,
    ChangeSettingsView,
    ChangeSummaryView,
    ChangesView,
    ChangeView,
    FirstVersionChangesView,
    PreviewChangeView,
    RetryChangeView,
)
from oms.api.views.conversation import (
    ConversationView,
    InteractionsView,
    PaymentTransactionView,
)
from oms.api.views.description import browse_api, describe_api
from oms.api.views.events import EventsView
from oms.api.views.expressions import ExpressionTestView
from oms.api.views.feeds import FeedConfigView, FeedView, OldFeedConfirmView, OldFeedView
from oms.api.views.hooks import (
    HookConfigView,
    HookResendView,
    HookSecretView,
    HookTestView,
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
from oms.api.views.reconciliation import ReconciledHourView, ReconciliationView
from oms.api.views.replays import ReplaysView
from oms.api.views.seller_changes import ChangeSellerView, WindowToChangeSellerView

ORDERS = "oms/pvt/orders"
ORDER = f"{ORDERS}/<str:order_id>"
CHANGES = "order-system/orders/<str:order_id>/changes"

urlpatterns: list[URLPattern] = [
    path("schema", describe_api, name="api-schema"),
    path("docs", browse_api, name="api-docs"),
    path("orders/feed", FeedView.as_view()),
    path("orders/feed/config", FeedConfigView.as_view()),
    path("orders/hook/config", HookConfigView.as_view()),
    path("orders/hook/secret", HookSecretView.as_view()),
    path("orders/hook/test", HookTestView.as_view()),
    path("orders/hook/resend", HookResendView.as_view()),
    path("orders/expressions/jsonata", ExpressionTestView.as_view()),
    path("oms/pvt/feed/orders/status", OldFeedView.as_view()),
    path("oms/pvt/feed/orders/status/confirm", OldFeedConfirmView.as_view()),
    path("fulfillment/pvt/orders", PlaceOrdersView.as_view()),
    path("fulfillment/pvt/orders/<str:order_id>/fulfill", AuthorizeDispatchView.as_view()),
    path(ORDERS, OrderListView.as_view()),
    path("oms/user/orders", UserOrderListView.as_view()),
    path("oms/user/orders/<str:order_id>", UserOrderView.as_view()),
    path(f"{ORDERS}/order-group/<str:order_group>", OrderGroupView.as_view()),
    path(ORDER, OrderView.as_view()),
    path(f"{ORDER}/interactions", InteractionsView.as_view()),
    path(f"{ORDER}/conversation-message", ConversationView.as_view()),
    path(f"{ORDER}/payment-transaction", PaymentTransactionView.as_view()),
    path(f"{ORDER}/start-handling", StartHandlingView.as_view()),
    path(f"{ORDER}/cancel", CancelView.as_view()),
    path(
        f"{ORDER}/payments/<str:payment_id>/payment-notification",
        PaymentNotificationView.as_view(),
    ),
    path(f"{ORDER}/invoice", InvoiceView.as_view()),
    # An invoice number may hold slashes (KI 1302085): it is whatever stands between.
    path(f"{ORDER}/invoice/<path:invoice_number>/tracking", InvoiceTrackingView.as_view()),
    path(f"{ORDER}/invoice/<path:invoice_number>", InvoiceShipmentView.as_view()),
    path("events", EventsView.as_view()),
    path("orders/feed/replay", ReplaysView.as_view(channel=Channel.FEED)),
    path("orders/hook/replay", ReplaysView.as_view(channel=Channel.HOOK)),
    path("reconciliation", ReconciliationView.as_view()),
    path("reconciliation/<str:hour>", ReconciledHourView.as_view()),
    path(
        "orders/pvt/document/<str:order_id>/deny-cancellation-request",
        DenyCancellationView.as_view(),
    ),
    path("orders/pvt/document/<str:order_id>/change-summary", ChangeSummaryView.as_view()),
    path(f"{ORDER}/changes", FirstVersionChangesView.as_view()),
    path("order-system/orders/changes/settings", ChangeSettingsView.as_view()),
    path(CHANGES, ChangesView.as_view()),
    path(f"{CHANGES}/preview", PreviewChangeView.as_view()),
    path(f"{CHANGES}/<str:request_id>", ChangeView.as_view()),
    path(f"{CHANGES}/<str:request_id>/retry", RetryChangeView.as_view()),
    path(f"{CHANGES}/<str:request_id>/cancel", CancelChangeView.as_view()),
    path("checkout/pvt/orders/<str:order_id>/sellers", ChangeSellerView.as_view()),
    path("checkout/pvt/configuration/window-to-change-seller", WindowToChangeSellerView.as_view()),
]
