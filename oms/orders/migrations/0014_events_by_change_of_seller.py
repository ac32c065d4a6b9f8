"""Finds the few events by which an order changed its seller; building it holds up no writer."""

from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations
from django.db.models import Index, Q


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("orders", "0013_snapshots_as_text")]

    operations: ClassVar = [
        AddIndexConcurrently(
            "orderevent",
            Index(
                fields=["order", "seq"],
                condition=Q(kind="order.seller-changed"),
                name="event_seller_changed",
            ),
        )
    ]
