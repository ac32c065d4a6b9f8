"""Versions of orders, kept while somebody's filter has to look at each of them."""

from django.db import models
from django.db.models.functions import Now

from oms.orders.models.timeline import OrderEvent


class SnapshotDemand(models.Model):
    """Somebody needs every version. While there is a row, each event leaves a snapshot."""

    name = models.CharField(primary_key=True, max_length=80)
    since = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class DocumentSnapshot(models.Model):
    """
    The rows of an order as an event left them; `oms.orders.documents` makes the document of them.

    `rows` is the text of a JSON object from table name to its rows, null where there are none.
    """

    event = models.OneToOneField(
        OrderEvent,
        on_delete=models.PROTECT,
        primary_key=True,
        db_constraint=False,
        related_name="+",
    )
    taken_at = models.DateTimeField(db_default=Now())
    rows = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["taken_at"], name="snapshot_by_age")]

    def __str__(self) -> str:
        return f"snapshot at event {self.event_id}"
