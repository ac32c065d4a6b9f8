"""
What an order consists of: buyer, lines, payments, packages, changes, notes, requests.

Lines are joined by `Item`, never by SKU or array position.
"""

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Now

from oms.orders.models.order import Order


class NameKey(Func):
    """A name as the database spells it for look-up: lower case, one blank between words."""

    function = "orders_name_key"
    arg_joiner = " || ' ' || "
    output_field = models.TextField()


class ClientProfile(models.Model):
    """
    The buyer. Apart from the order row, so that a move never rewrites the look-up indexes.

    `email_key`, `document_key` and `phone_key` are normalized for exact look-up.
    """

    order = models.OneToOneField(
        Order, on_delete=models.CASCADE, primary_key=True, related_name="client_profile"
    )
    email = models.CharField(max_length=254, blank=True)
    first_name = models.CharField(max_length=160, blank=True)
    last_name = models.CharField(max_length=160, blank=True)
    document_type = models.CharField(max_length=40, blank=True)
    document = models.CharField(max_length=60, blank=True)
    phone = models.CharField(max_length=60, blank=True)
    corporate_name = models.CharField(max_length=200, blank=True)
    corporate_document = models.CharField(max_length=60, blank=True)
    is_corporate = models.BooleanField(default=False)
    email_key = models.CharField(max_length=254, blank=True)
    document_key = models.CharField(max_length=60, blank=True)
    phone_key = models.CharField(max_length=60, blank=True)
    extra = models.JSONField(default=dict)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["email_key"], condition=~Q(email_key=""), name="client_by_email"),
            models.Index(
                fields=["document_key"], condition=~Q(document_key=""), name="client_by_document"
            ),
            models.Index(fields=["phone_key"], condition=~Q(phone_key=""), name="client_by_phone"),
            # `orders_name_key` (migration 0009): one case, one blank between words.
            models.Index(
                OpClass(NameKey(F("first_name"), F("last_name")), name="text_pattern_ops"),
                name="client_by_full_name",
            ),
            models.Index(
                OpClass(NameKey(F("last_name")), name="text_pattern_ops"),
                condition=~Q(last_name=""),
                name="client_by_last_name",
            ),
            models.Index(
                OpClass(NameKey(F("corporate_name")), name="text_pattern_ops"),
                condition=~Q(corporate_name=""),
                name="client_by_corporate_name",
            ),
        ]

    def __str__(self) -> str:
        return f"client of {self.order_id}"


class Item(models.Model):
    """One line of an order. Two lines may have the same SKU; `unique_id` tells them apart."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="items")
    unique_id = models.CharField(max_length=64)
    index = models.PositiveIntegerField()
    sku_id = models.CharField(max_length=80)
    seller_id = models.CharField(max_length=80, blank=True)
    name = models.CharField(max_length=400, blank=True)
    ref_id = models.CharField(max_length=120, blank=True)
    quantity = models.PositiveIntegerField()
    price_cents = models.BigIntegerField()
    list_price_cents = models.BigIntegerField(null=True)
    selling_price_cents = models.BigIntegerField()
    tax_cents = models.BigIntegerField(default=0)
    is_gift = models.BooleanField(default=False)
    extra = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order", "unique_id"], name="item_unique_id_once_per_order"
            ),
            models.UniqueConstraint(fields=["order", "index"], name="item_index_once_per_order"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="item_quantity_is_positive"),
        ]
        indexes: ClassVar = [models.Index(fields=["sku_id", "order"], name="item_by_sku")]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.name or self.sku_id}"


class PaymentStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    APPROVED = "approved", "Approved"
    DENIED = "denied", "Denied"
    CAPTURED = "captured", "Captured"
    VOIDED = "voided", "Voided"


class Payment(models.Model):
    """One means of payment of an order's transaction. Card numbers and security codes are never stored."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="payments")
    index = models.PositiveIntegerField()
    transaction_index = models.PositiveIntegerField(default=0)
    transaction_id = models.CharField(max_length=64, blank=True)
    payment_id = models.CharField(max_length=64)
    payment_system = models.CharField(max_length=40, blank=True)
    payment_system_name = models.CharField(max_length=120, blank=True)
    group = models.CharField(max_length=40, blank=True)
    value_cents = models.BigIntegerField()
    installments = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=20, choices=PaymentStatus, default=PaymentStatus.PENDING)
    captured_cents = models.BigIntegerField(default=0)
    tid = models.CharField(max_length=120, blank=True)
    extra = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order", "payment_id"], name="payment_id_once_per_order"
            ),
            models.UniqueConstraint(
                fields=["order", "index"], name="payment_index_once_per_order"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["payment_system_name", "order"], name="payment_by_system_name"),
            models.Index(fields=["payment_id"], name="payment_by_payment_id"),
            models.Index(
                fields=["transaction_id"],
                condition=~Q(transaction_id=""),
                name="payment_by_transaction",
            ),
            models.Index(fields=["tid"], condition=~Q(tid=""), name="payment_by_tid"),
            # What the acquirer answered: connectors spell its keys as they like.
            GinIndex(
                OpClass(KeyTransform("connectorResponses", "extra"), name="jsonb_path_ops"),
                name="payment_by_connector_answer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.payment_system_name or self.group or 'payment'} {self.payment_id}"


class InvoiceType(models.TextChoices):
    OUTPUT = "Output", "Sale"
    INPUT = "Input", "Return"


class Package(models.Model):
    """An invoice and the parcel it ships: `Output` is a sale, `Input` a return."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="packages")
    index = models.PositiveIntegerField()
    type = models.CharField(max_length=10, choices=InvoiceType)
    invoice_number = models.CharField(max_length=512)
    invoice_value_cents = models.BigIntegerField()
    invoice_key = models.CharField(max_length=255, blank=True)
    invoice_url = models.CharField(max_length=2000, blank=True)
    embedded_invoice = models.TextField(blank=True)
    issued_at = models.DateTimeField()
    courier = models.CharField(max_length=160, blank=True)
    tracking_number = models.CharField(max_length=160, blank=True)
    tracking_url = models.CharField(max_length=2000, blank=True)
    dispatched_at = models.DateTimeField(null=True)
    is_delivered = models.BooleanField(default=False)
    delivered_at = models.DateTimeField(null=True)
    is_settled = models.BooleanField(default=False)
    receipt = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    extra = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order", "type", "invoice_number"],
                name="invoice_number_once_per_order_and_type",
            ),
            models.UniqueConstraint(
                fields=["order", "index"], name="package_index_once_per_order"
            ),
            models.CheckConstraint(
                condition=Q(type__in=["Output", "Input"]), name="package_type_is_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tracking_number"],
                condition=~Q(tracking_number=""),
                name="package_by_tracking_number",
            ),
            models.Index(fields=["invoice_number"], name="package_by_invoice_number"),
            models.Index(fields=["order"], condition=Q(type="Input"), name="package_of_return"),
        ]

    def __str__(self) -> str:
        return f"invoice {self.invoice_number}"


class PackageItem(models.Model):
    """How much of which line an invoice covers."""

    package = models.ForeignKey(Package, on_delete=models.CASCADE, related_name="items")
    index = models.PositiveIntegerField()
    item = models.ForeignKey(
        Item, on_delete=models.CASCADE, related_name="package_items", null=True
    )
    quantity = models.PositiveIntegerField()
    price_cents = models.BigIntegerField()
    description = models.CharField(max_length=400, blank=True)
    extra = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["package", "index"], name="package_item_index_once_per_package"
            )
        ]

    def __str__(self) -> str:
        return f"{self.quantity} of line {self.item_id}"


class TrackingEvent(models.Model):
    """What the carrier said about a package. Times and places as told; told twice is stored once."""

    package = models.ForeignKey(Package, on_delete=models.CASCADE, related_name="tracking_events")
    index = models.PositiveIntegerField()
    occurred_at = models.DateTimeField(null=True)
    city = models.CharField(max_length=160, blank=True)
    state = models.CharField(max_length=80, blank=True)
    description = models.TextField(blank=True)
    extra = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["package", "index"], name="tracking_index_once_per_package"
            )
        ]

    def __str__(self) -> str:
        return self.description


class Change(models.Model):
    """A change of items or value made to an order after placing."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="changes")
    index = models.PositiveIntegerField()
    reason = models.TextField(blank=True)
    discount_cents = models.BigIntegerField(default=0)
    increment_cents = models.BigIntegerField(default=0)
    items_added = models.JSONField(default=list)
    items_removed = models.JSONField(default=list)
    receipt = models.JSONField(null=True)
    extra = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["order", "index"], name="change_index_once_per_order")
        ]

    def __str__(self) -> str:
        return self.reason


class Note(models.Model):
    """What staff tell each other about an order."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="notes")
    author = models.CharField(max_length=160)
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.text[:60]


class CancellationRequest(models.Model):
    """Somebody asked for a cancellation that the seller must decide. At most one is open per order."""

    order = models.ForeignKey(
        Order, on_delete=models.CASCADE, related_name="cancellation_requests"
    )
    request_id = models.UUIDField(unique=True)
    reason = models.TextField(blank=True)
    requested_by = models.CharField(max_length=160)
    requested_at = models.DateTimeField()
    status_before = models.CharField(max_length=40)
    decided_at = models.DateTimeField(null=True)
    is_denied = models.BooleanField(default=False)
    deny_reason = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(decided_at__isnull=True),
                name="cancellation_request_open_once_per_order",
            )
        ]

    def __str__(self) -> str:
        return f"cancellation request {self.request_id}"
