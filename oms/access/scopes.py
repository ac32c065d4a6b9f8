"""What an app key may do: the License Manager resource keys that VTEX connectors already know."""

from enum import StrEnum


class Scope(StrEnum):
    """
    One resource key of the anchor (research/vtex-oms.md, section 5), and ours for marketplaces.

    No scope implies another: each view lists every scope that opens it, so the list is complete
    where it is read.
    """

    OMS_VIEWER = "OMSViewer"
    LIST_ORDERS = "ListOrders"
    WORKFLOW_ACTION = "WorkflowAction"
    PAYMENT_ACTION = "PaymentAction"
    SHIPPING_ACTION = "ShippingAction"
    REFUND_ACTION = "RefundAction"
    CANCEL_ACTION = "CancelAction"
    CHANGES = "Changes"
    FEED_HOOK_ADMIN = "FeedHookV3Admin"
    FEED_HOOK_VIEWER = "FeedHookV3Viewer"
    ORDERS_FULL_ACCESS = "OrdersFullAccess"
    PLACE_ORDERS = "PlaceOrders"


SCOPE_MEANINGS: dict[Scope, str] = {
    Scope.OMS_VIEWER: "Read one order",
    Scope.LIST_ORDERS: "List and search orders",
    Scope.WORKFLOW_ACTION: "Change the workflow status: start handling and manual moves",
    Scope.PAYMENT_ACTION: "Notify payments",
    Scope.SHIPPING_ACTION: "Notify invoices and tracking",
    Scope.REFUND_ACTION: "Notify return invoices",
    Scope.CANCEL_ACTION: "Cancel orders and answer cancellation requests",
    Scope.CHANGES: "Change items and prices of orders",
    Scope.FEED_HOOK_ADMIN: "Configure and read feed and hook",
    Scope.FEED_HOOK_VIEWER: "See feed and hook configurations",
    Scope.ORDERS_FULL_ACCESS: "Read, list and change orders, notes included",
    Scope.PLACE_ORDERS: "Place and authorise orders, as a marketplace does",
}
