"""What happened to orders: immutable events and their global positions (`oms.orders.ledger`)."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from oms.orders.models.order import Order


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
        indexes: ClassVar = [
            # Who had an order at an event is asked for each event of others (`feeds.scope`).
            models.Index(
                fields=["order", "seq"],
                condition=Q(kind="order.seller-changed"),
                name="event_seller_changed",
            )
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
