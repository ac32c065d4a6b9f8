"""
The order aggregate. Rows are written by services only; nothing here decides anything.

Money is integer minor units (`_cents`). Lines are joined by `Item`, never by SKU or array position.
Fields of an incoming document that have no column stay in `extra` and are given back as they came.
"""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from oms.orders.statuses import DeliveryChannel, Flow, Priority, Status

FLOW_NAMES = sorted(flow.value for flow in Flow)
STATUS_NAMES = sorted(status.value for status in Status)


class Affiliate(models.Model):
    """Where orders come from: a marketplace, or the own storefront. Decides the flow of its orders."""

    affiliate_id = models.CharField(primary_key=True, max_length=20)
    name = models.CharField(max_length=120)
    flow = models.CharField(max_length=20, choices=[(flow.value, flow.value) for flow in Flow])
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(flow__in=FLOW_NAMES), name="affiliate_flow_is_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.affiliate_id})"


class SellerPolicy(models.Model):
    """What a seller wants to differ from the defaults. A seller without a row follows the settings."""

    seller_id = models.CharField(primary_key=True, max_length=80)
    name = models.CharField(max_length=120, blank=True)
    window_to_cancel_minutes = models.PositiveIntegerField(null=True, blank=True)
    has_warehouse_system = models.BooleanField(default=False)
    has_pick_and_pack = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "seller policies"

    def __str__(self) -> str:
        return self.name or self.seller_id


class Order(models.Model):
    """One seller's part of a purchase. `status` and everything below it is written by `workflow.moves`."""

    order_id = models.CharField(max_length=160, unique=True)
    sequence = models.BigIntegerField(unique=True)
    order_group = models.CharField(max_length=160)
    split_number = models.PositiveSmallIntegerField(default=1)
    marketplace_order_id = models.CharField(max_length=120, blank=True)
    seller_order_id = models.CharField(max_length=160, blank=True)
    affiliate_id = models.CharField(max_length=20, blank=True)
    origin = models.CharField(max_length=20)
    flow = models.CharField(max_length=20)
    sales_channel = models.CharField(max_length=20, blank=True)
    seller_id = models.CharField(max_length=80, blank=True)
    seller_name = models.CharField(max_length=160, blank=True)
    delivery_channel = models.CharField(max_length=20, default=DeliveryChannel.DELIVERY)
    is_express = models.BooleanField(default=False)
    priority = models.SmallIntegerField(default=Priority.NORMAL)
    currency = models.CharField(max_length=3, default="BRL")
    value_cents = models.BigIntegerField()
    item_count = models.PositiveIntegerField(default=0)
    is_complete = models.BooleanField(default=True)
    is_imported = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    shipping_estimate_at = models.DateTimeField(null=True)
    extra = models.JSONField(default=dict)

    status = models.CharField(max_length=40)
    version = models.PositiveIntegerField(default=0)
    status_since = models.DateTimeField()
    budget_ends_at = models.DateTimeField(null=True)
    last_change_at = models.DateTimeField()
    authorized_at = models.DateTimeField(null=True)
    invoiced_at = models.DateTimeField(null=True)
    canceled_at = models.DateTimeField(null=True)
    cancel_reason = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=STATUS_NAMES), name="order_status_is_known"
            ),
            models.CheckConstraint(condition=Q(flow__in=FLOW_NAMES), name="order_flow_is_known"),
            models.UniqueConstraint(
                fields=["marketplace_order_id", "affiliate_id", "split_number"],
                condition=Q(is_imported=False),
                name="order_is_placed_once_per_marketplace_order",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["order_group"], name="order_by_group"),
            models.Index(fields=["marketplace_order_id"], name="order_by_marketplace_id"),
            models.Index(F("created_at").desc(), F("id").desc(), name="order_newest_first"),
            models.Index(
                "sales_channel",
                F("created_at").desc(),
                F("id").desc(),
                name="order_by_sales_channel",
            ),
            models.Index(
                "seller_id", F("created_at").desc(), F("id").desc(), name="order_by_seller"
            ),
            models.Index(
                F("created_at").desc(),
                F("id").desc(),
                condition=~Q(delivery_channel=DeliveryChannel.DELIVERY.value),
                name="order_not_delivered_home",
            ),
            # Of every status: the youngest orders are open, so newest-first reads thousands of
            # them before the first final one (docs/benchmarks.md).
            models.Index("status", F("created_at").desc(), F("id").desc(), name="order_by_status"),
            models.Index(
                fields=["budget_ends_at"],
                condition=Q(budget_ends_at__isnull=False),
                name="order_budget_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.order_id


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


class OrderEvent(models.Model):
    """
    One change of an order. Immutable (triggers refuse update, delete and truncate).

    `changes` maps a field to [old, new]. `fingerprint` is the order row's own after the change,
    `parts_fingerprint` that of items, payments and packages where the event touched them: the
    nightly check compares both with the rows (`oms.orders.checks`).
    """

    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="events", db_index=False
    )
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=60)
    actor = models.CharField(max_length=160)
    reason = models.TextField(blank=True)
    status = models.CharField(max_length=40)
    last_status = models.CharField(max_length=40)
    occurred_at = models.DateTimeField()
    last_change_at = models.DateTimeField(null=True)
    changes = models.JSONField(default=dict)
    data = models.JSONField(default=dict)
    fingerprint = models.BigIntegerField(null=True)
    parts_fingerprint = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["order", "seq"], name="event_seq_once_per_order")
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.seq}"


class UnnumberedEvent(models.Model):
    """A committed event that has no global position yet. See `oms.orders.ledger`."""

    event = models.OneToOneField(
        OrderEvent,
        on_delete=models.PROTECT,
        primary_key=True,
        db_constraint=False,
        related_name="+",
    )

    def __str__(self) -> str:
        return str(self.event_id)


class LedgerEntry(models.Model):
    """The global position of an event: 1, 2, 3 without gap, given after the event's commit. Immutable."""

    position = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(
        OrderEvent, on_delete=models.PROTECT, db_constraint=False, related_name="ledger_entry"
    )

    def __str__(self) -> str:
        return f"position {self.position}"


class ImportRun(models.Model):
    """
    How far the import of one file came. Written in the transaction of each batch, so that an import
    that was killed continues with the first line that is not in, and never imports one twice.
    """

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        INTERRUPTED = "interrupted", "Interrupted"
        FINISHED = "finished", "Finished"

    fingerprint = models.CharField(max_length=64)
    file_name = models.CharField(max_length=255)
    state = models.CharField(max_length=20, choices=State, default=State.RUNNING)
    actor = models.CharField(max_length=160)
    line = models.PositiveBigIntegerField(default=0)
    offset = models.PositiveBigIntegerField(default=0)
    imported_count = models.PositiveBigIntegerField(default=0)
    skipped_count = models.PositiveBigIntegerField(default=0)
    rejected_count = models.PositiveBigIntegerField(default=0)
    rejects_path = models.CharField(max_length=1000)
    rejects_bytes = models.PositiveBigIntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["fingerprint"],
                condition=~Q(state="finished"),
                name="import_of_a_file_open_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.file_name}, line {self.line}"


class TimelineCheck(models.Model):
    """
    One nightly comparison of orders with their timelines. Written with each batch: a check that was
    killed, or whose time was up, goes on behind `position`, the primary key of the last order.
    """

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        STOPPED = "stopped", "Stopped: too many findings"
        ABANDONED = "abandoned", "Abandoned"

    state = models.CharField(max_length=20, choices=State, default=State.RUNNING)
    position = models.BigIntegerField(default=0)
    order_count = models.PositiveBigIntegerField(default=0)
    drift_count = models.PositiveBigIntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="running"), name="timeline_check_runs_once"
            )
        ]

    def __str__(self) -> str:
        return f"check {self.pk}, {self.state}"


class Drift(models.Model):
    """
    An order whose rows are not what its timeline says: somebody changed them without an event.

    It stays open until a person has looked, also when a later event takes the difference over.
    """

    class What(models.TextChoices):
        STATUS = "status", "Status is not that of the last event"
        VERSION = "version", "Version is not the number of the last event"
        EVENTS = "events", "Events are missing"
        ROW = "row", "Order row was changed without an event"
        PARTS = "parts", "Client, items, payments or packages were changed without an event"

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="drifts")
    what = models.CharField(max_length=20, choices=What)
    expected = models.CharField(max_length=60)
    found = models.CharField(max_length=60)
    found_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order", "what"],
                condition=Q(resolved_at__isnull=True),
                name="drift_open_once_per_order_and_kind",
            )
        ]

    def __str__(self) -> str:
        return (
            f"{self.what} of order {self.order_id}: {self.expected} expected, {self.found} found"
        )
