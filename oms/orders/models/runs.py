"""How far long work over orders came, and what it found: imports, the nightly check."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from oms.orders.models.order import Order


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
