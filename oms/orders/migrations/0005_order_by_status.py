"""One index by status for all orders; the two partial ones before it left most orders out."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models import F


class Migration(migrations.Migration):
    atomic = False

    dependencies: ClassVar = [("orders", "0004_drift")]

    operations: ClassVar = [
        AddIndexConcurrently(
            "order",
            models.Index("status", F("created_at").desc(), F("id").desc(), name="order_by_status"),
        ),
        RemoveIndexConcurrently("order", "order_open_by_status"),
        RemoveIndexConcurrently("order", "order_canceled"),
    ]
