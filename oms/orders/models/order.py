"""The order row itself. Its parts are in `parts`, what happened to it in `timeline`."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from oms.orders.statuses import DeliveryChannel, Flow, Priority, Status

FLOW_NAMES = sorted(flow.value for flow in Flow)
STATUS_NAMES = sorted(status.value for status in Status)


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
            # For the order list of the API: its filters, and what it may be sorted by.
            models.Index(
                "affiliate_id", F("created_at").desc(), F("id").desc(), name="order_by_affiliate"
            ),
            models.Index(fields=["value_cents", "id"], name="order_by_value"),
            models.Index(fields=["item_count", "id"], name="order_by_item_count"),
            models.Index(fields=["origin", "id"], name="order_by_origin"),
            models.Index(
                fields=["authorized_at"],
                condition=Q(authorized_at__isnull=False),
                name="order_by_authorized",
            ),
            models.Index(
                fields=["invoiced_at"],
                condition=Q(invoiced_at__isnull=False),
                name="order_by_invoiced",
            ),
            models.Index(
                fields=["shipping_estimate_at"],
                condition=Q(shipping_estimate_at__isnull=False),
                name="order_by_estimate",
            ),
            models.Index(
                F("created_at").desc(),
                F("id").desc(),
                condition=Q(is_complete=False),
                name="order_incomplete",
            ),
        ]

    def __str__(self) -> str:
        return self.order_id
