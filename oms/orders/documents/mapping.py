"""Which field of the contract's order document is which column. The one place that names both."""

from typing import Final

from django.db.models import Model

from oms.orders.documents.columns import Column
from oms.orders.documents.kinds import (
    Kind,
    anything,
    boolean,
    cents,
    cents_or_digits,
    choice,
    count,
    identifier,
    json_list,
    moment,
    moment_if_readable,
    sequence_number,
    text,
)
from oms.orders.models import (
    Change,
    ClientProfile,
    InvoiceType,
    Item,
    Order,
    Package,
    PackageItem,
    Payment,
    TrackingEvent,
)
from oms.orders.statuses import ORIGIN_OF_FLOW, Status


def _limit(model: type[Model], attribute: str) -> int | None:
    limit: int | None = getattr(model._meta.get_field(attribute), "max_length", None)
    return limit


def _text(
    model: type[Model], key: str, attribute: str, *, when_blank: str | None = None
) -> Column:
    return Column(
        key, attribute, text(_limit(model, attribute), when_blank=when_blank), default=""
    )


def _identifier(model: type[Model], attribute: str) -> Kind:
    return identifier(_limit(model, attribute) or 0)


ORIGINS: Final = tuple(dict.fromkeys(ORIGIN_OF_FLOW.values()))

ORDER_COLUMNS: Final = (
    Column("orderId", "order_id", _identifier(Order, "order_id"), required=True, default=""),
    Column("sequence", "sequence", sequence_number()),
    _text(Order, "orderGroup", "order_group", when_blank=""),
    _text(Order, "marketplaceOrderId", "marketplace_order_id", when_blank=""),
    _text(Order, "sellerOrderId", "seller_order_id", when_blank=""),
    _text(Order, "affiliateId", "affiliate_id", when_blank=""),
    Column("origin", "origin", choice(*ORIGINS), required=True, default=ORIGINS[0]),
    _text(Order, "salesChannel", "sales_channel", when_blank=""),
    Column(
        "status", "status", choice(*(status.value for status in Status)), default=Status.NULL.value
    ),
    Column("value", "value_cents", cents(), required=True, default=0),
    Column("creationDate", "created_at", moment(), required=True),
    Column("lastChange", "last_change_at", moment(), same_as="created_at"),
    Column("isCompleted", "is_complete", boolean(), default=True),
    Column("authorizedDate", "authorized_at", moment()),
    Column("invoicedDate", "invoiced_at", moment()),
    _text(Order, "cancelReason", "cancel_reason"),
)

CLIENT_COLUMNS: Final = (
    _text(ClientProfile, "email", "email"),
    _text(ClientProfile, "firstName", "first_name"),
    _text(ClientProfile, "lastName", "last_name"),
    _text(ClientProfile, "documentType", "document_type"),
    _text(ClientProfile, "document", "document"),
    _text(ClientProfile, "phone", "phone"),
    _text(ClientProfile, "corporateName", "corporate_name"),
    _text(ClientProfile, "corporateDocument", "corporate_document"),
    Column("isCorporate", "is_corporate", boolean(), default=False),
)

ITEM_COLUMNS: Final = (
    Column("uniqueId", "unique_id", text(_limit(Item, "unique_id")), default=""),
    Column("id", "sku_id", text(_limit(Item, "sku_id")), required=True, default=""),
    _text(Item, "seller", "seller_id"),
    _text(Item, "name", "name"),
    _text(Item, "refId", "ref_id"),
    Column("quantity", "quantity", count(smallest=1), required=True, default=1),
    Column("price", "price_cents", cents(), required=True, default=0),
    Column("listPrice", "list_price_cents", cents()),
    Column("sellingPrice", "selling_price_cents", cents(), same_as="price_cents"),
    Column("tax", "tax_cents", cents(), default=0),
    Column("isGift", "is_gift", boolean(), default=False),
)

PAYMENT_COLUMNS: Final = (
    Column("id", "payment_id", text(_limit(Payment, "payment_id")), default=""),
    _text(Payment, "paymentSystem", "payment_system"),
    _text(Payment, "paymentSystemName", "payment_system_name"),
    _text(Payment, "group", "group"),
    Column("value", "value_cents", cents(), required=True, default=0),
    Column("installments", "installments", count(), default=1),
    _text(Payment, "tid", "tid"),
)

PACKAGE_COLUMNS: Final = (
    Column("type", "type", choice(*InvoiceType.values), default=InvoiceType.OUTPUT.value),
    Column(
        "invoiceNumber",
        "invoice_number",
        text(_limit(Package, "invoice_number")),
        required=True,
        default="",
    ),
    Column("invoiceValue", "invoice_value_cents", cents_or_digits(), required=True, default=0),
    _text(Package, "invoiceKey", "invoice_key"),
    _text(Package, "invoiceUrl", "invoice_url"),
    _text(Package, "embeddedInvoice", "embedded_invoice"),
    Column("issuanceDate", "issued_at", moment(), required=True),
    _text(Package, "courier", "courier"),
    _text(Package, "trackingNumber", "tracking_number"),
    _text(Package, "trackingUrl", "tracking_url"),
    Column("dispatchedDate", "dispatched_at", moment()),
)

COURIER_STATUS_COLUMNS: Final = (
    Column("finished", "is_delivered", boolean(), default=False),
    Column("deliveredDate", "delivered_at", moment()),
)

PACKAGE_ITEM_COLUMNS: Final = (
    Column("quantity", "quantity", count(), required=True, default=0),
    Column("price", "price_cents", cents(), default=0),
    _text(PackageItem, "description", "description"),
)

TRACKING_COLUMNS: Final = (
    _text(TrackingEvent, "city", "city"),
    _text(TrackingEvent, "state", "state"),
    _text(TrackingEvent, "description", "description"),
    Column("createDate", "occurred_at", moment_if_readable()),
)

CHANGE_COLUMNS: Final = (
    _text(Change, "reason", "reason"),
    Column("discountValue", "discount_cents", cents(), default=0),
    Column("incrementValue", "increment_cents", cents(), default=0),
    Column("itemsAdded", "items_added", json_list(), default=[]),
    Column("itemsRemoved", "items_removed", json_list(), default=[]),
    Column("receipt", "receipt", anything()),
)
