"""
An order that is not in the database yet: what reading and placing make, and writing stores.

The fields are those of the models in `oms.orders.models`, so that writing is a copy without rules.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from oms.orders.models import PaymentStatus
from oms.orders.statuses import DeliveryChannel, Priority


@dataclass(slots=True, kw_only=True)
class ClientDraft:
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    document_type: str = ""
    document: str = ""
    phone: str = ""
    corporate_name: str = ""
    corporate_document: str = ""
    is_corporate: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class ItemDraft:
    unique_id: str
    index: int
    sku_id: str
    seller_id: str = ""
    name: str = ""
    ref_id: str = ""
    quantity: int
    price_cents: int
    list_price_cents: int | None = None
    selling_price_cents: int
    tax_cents: int = 0
    is_gift: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class PaymentDraft:
    index: int
    transaction_index: int = 0
    transaction_id: str = ""
    payment_id: str
    payment_system: str = ""
    payment_system_name: str = ""
    group: str = ""
    value_cents: int
    installments: int = 1
    status: str = PaymentStatus.PENDING
    captured_cents: int = 0
    tid: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class PackageItemDraft:
    """`item_index` is the line's position in the order; None where the document names no such."""

    index: int
    item_index: int | None
    quantity: int
    price_cents: int
    description: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class TrackingEventDraft:
    index: int
    occurred_at: datetime | None
    city: str = ""
    state: str = ""
    description: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class PackageDraft:
    index: int
    type: str
    invoice_number: str
    invoice_value_cents: int
    invoice_key: str = ""
    invoice_url: str = ""
    embedded_invoice: str = ""
    issued_at: datetime
    courier: str = ""
    tracking_number: str = ""
    tracking_url: str = ""
    dispatched_at: datetime | None = None
    is_delivered: bool = False
    delivered_at: datetime | None = None
    is_settled: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    items: list[PackageItemDraft] = field(default_factory=list)
    tracking_events: list[TrackingEventDraft] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class ChangeDraft:
    index: int
    reason: str = ""
    discount_cents: int = 0
    increment_cents: int = 0
    items_added: list[Any] = field(default_factory=list)
    items_removed: list[Any] = field(default_factory=list)
    receipt: Any = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class CancellationRequestDraft:
    """A cancellation that was asked for and not decided when the order was imported."""

    request_id: UUID
    reason: str = ""
    requested_by: str
    requested_at: datetime
    status_before: str


@dataclass(slots=True, kw_only=True)
class OrderDraft:
    """`sequence` None lets writing give the next order number."""

    order_id: str
    sequence: int | None
    order_group: str
    split_number: int = 1
    marketplace_order_id: str = ""
    seller_order_id: str = ""
    affiliate_id: str = ""
    origin: str
    flow: str
    sales_channel: str = ""
    seller_id: str = ""
    seller_name: str = ""
    delivery_channel: str = DeliveryChannel.DELIVERY
    is_express: bool = False
    priority: int = Priority.NORMAL
    currency: str
    value_cents: int
    item_count: int = 0
    is_complete: bool = True
    is_imported: bool = False
    created_at: datetime
    shipping_estimate_at: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    status: str
    version: int = 1
    status_since: datetime
    budget_ends_at: datetime | None = None
    last_change_at: datetime
    authorized_at: datetime | None = None
    invoiced_at: datetime | None = None
    canceled_at: datetime | None = None
    cancel_reason: str = ""
    client: ClientDraft | None = None
    items: list[ItemDraft] = field(default_factory=list)
    payments: list[PaymentDraft] = field(default_factory=list)
    packages: list[PackageDraft] = field(default_factory=list)
    changes: list[ChangeDraft] = field(default_factory=list)
    cancellation_requests: list[CancellationRequestDraft] = field(default_factory=list)
