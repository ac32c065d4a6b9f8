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
