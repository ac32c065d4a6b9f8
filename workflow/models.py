"""What is still to be done. A row here is the truth; a queued task only says "look now"."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from oms.orders.models import Order, Package


class WorkItem(models.Model):
    """
    One open step of an order: to do now, at a later time (timers), or parked.

    `due_at` is when it should run and never moves with retries, so lateness shows.
    `next_attempt_at` is when it may be claimed: retry time, or the end of the present lease.
    `fence` grows with each claim: a worker that wakes up late holds an old one and changes nothing.
    """

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="work_items")
    package = models.ForeignKey(
        Package, on_delete=models.CASCADE, null=True, related_name="work_items"
    )
    step = models.CharField(max_length=40)
    connector = models.CharField(max_length=20, blank=True)
    priority = models.SmallIntegerField()
    due_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField()
    announced_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    leased_by = models.CharField(max_length=80, blank=True)
    fence = models.BigIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    parked_at = models.DateTimeField(null=True)
    cause = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order", "step", "package"],
                nulls_distinct=False,
                name="work_item_once_per_order_step_and_package",
            ),
            models.CheckConstraint(
                condition=Q(parked_at__isnull=True, cause="")
                | Q(parked_at__isnull=False) & ~Q(cause=""),
                name="work_item_is_parked_with_a_cause",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["connector", "priority", "next_attempt_at"],
                condition=Q(parked_at__isnull=True),
                name="work_item_to_claim",
            ),
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(parked_at__isnull=True),
                name="work_item_by_time",
            ),
            models.Index(
                fields=["cause", "parked_at"],
                condition=Q(parked_at__isnull=False),
                name="work_item_parked",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} of {self.order_id}"


class ChangeRequest(models.Model):
    """
    A modification of an order that somebody asked for: what was asked, and what has come of it.

    `request_id` is ours, or the caller's own where it sent one: the same one again is the same
    request (`content_hash` tells). `asked` is the body, `told` what the answer says of the lines
    before and after, `logs` what happened, in words. `original` are the order's items as they were
    before the first change. `returns_cents` is still to be given back at the gateway. At most one
    per order is open; that one waits for the higher amount to be authorized (ADR 0011).
    """

    class State(models.TextChoices):
        WAITING_ACKNOWLEDGEMENT = "waiting-acknowledgement", "Waiting for the payment"
        WAITING_CONFIRMATION = "waiting-confirmation", "Payment pending at the gateway"
        DONE = "done", "Done"
        CANCELED = "canceled", "Canceled"

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="change_requests")
    request_id = models.CharField(max_length=120)
    workflow_id = models.UUIDField()
    content_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=30, choices=State)
    requested_by = models.CharField(max_length=160)
    requested_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    discount_cents = models.BigIntegerField(default=0)
    increment_cents = models.BigIntegerField(default=0)
    difference_cents = models.BigIntegerField()
    returns_cents = models.BigIntegerField(default=0)
    totals = models.JSONField(default=list)
    asked = models.JSONField(default=dict)
    told = models.JSONField(default=dict)
    settings = models.JSONField(default=dict)
    logs = models.JSONField(default=list)
    original = models.JSONField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order", "request_id"], name="change_request_id_once_per_order"
            ),
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(decided_at__isnull=True),
                name="change_request_open_once_per_order",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["done", "canceled"], decided_at__isnull=False)
                | Q(
                    state__in=["waiting-acknowledgement", "waiting-confirmation"],
                    decided_at__isnull=True,
                ),
                name="change_request_is_decided_with_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"change {self.request_id}"

    @property
    def is_open(self) -> bool:
        return self.decided_at is None


class StoreRules(models.Model):
    """
    What the store as a whole wants. One row, or none where nothing was ever configured.

    Each setting is a column of its own, written alone: saving one never resets another
    (KI 748404).
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    days_to_change_seller = models.PositiveSmallIntegerField(null=True)
    change_settings = models.JSONField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="store_rules_are_one_row")
        ]

    def __str__(self) -> str:
        return "store rules"


class ConnectorState(models.Model):
    """The breaker of one outside service, shared by all workers of all clusters."""

    name = models.CharField(primary_key=True, max_length=20)
    consecutive_failures = models.PositiveIntegerField(default=0)
    opened_until = models.DateTimeField(null=True)
    probe_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    updated_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name
