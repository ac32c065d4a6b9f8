"""Indexes for the filters and the sortings of the order list; building them holds up no writer."""

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations
from django.db.models import F, Index, Q
from django.db.models.fields.json import KeyTransform

from oms.orders.models.parts import NameKey

NEWEST_FIRST = (F("created_at").desc(), F("id").desc())
FULL_NAME = NameKey(F("first_name"), F("last_name"))

ADDED: dict[str, tuple[Index, ...]] = {
    "clientprofile": (
        Index(OpClass(FULL_NAME, name="text_pattern_ops"), name="client_by_full_name"),
        Index(
            OpClass(NameKey(F("last_name")), name="text_pattern_ops"),
            condition=~Q(last_name=""),
            name="client_by_last_name",
        ),
        Index(
            OpClass(NameKey(F("corporate_name")), name="text_pattern_ops"),
            condition=~Q(corporate_name=""),
            name="client_by_corporate_name",
        ),
    ),
    "item": (Index(fields=["sku_id", "order"], name="item_by_sku"),),
    "order": (
        Index(F("affiliate_id"), *NEWEST_FIRST, name="order_by_affiliate"),
        Index(fields=["value_cents", "id"], name="order_by_value"),
        Index(fields=["item_count", "id"], name="order_by_item_count"),
        Index(fields=["origin", "id"], name="order_by_origin"),
        Index(
            fields=["authorized_at"],
            condition=Q(authorized_at__isnull=False),
            name="order_by_authorized",
        ),
        Index(
            fields=["invoiced_at"],
            condition=Q(invoiced_at__isnull=False),
            name="order_by_invoiced",
        ),
        Index(
            fields=["shipping_estimate_at"],
            condition=Q(shipping_estimate_at__isnull=False),
            name="order_by_estimate",
        ),
        Index(*NEWEST_FIRST, condition=Q(is_complete=False), name="order_incomplete"),
    ),
    "package": (Index(fields=["order"], condition=Q(type="Input"), name="package_of_return"),),
    "payment": (
        Index(fields=["payment_system_name", "order"], name="payment_by_system_name"),
        Index(fields=["payment_id"], name="payment_by_payment_id"),
        Index(
            fields=["transaction_id"],
            condition=~Q(transaction_id=""),
            name="payment_by_transaction",
        ),
        Index(fields=["tid"], condition=~Q(tid=""), name="payment_by_tid"),
        GinIndex(
            OpClass(KeyTransform("connectorResponses", "extra"), name="jsonb_path_ops"),
            name="payment_by_connector_answer",
        ),
    ),
}


class Migration(migrations.Migration):
    atomic = False

    dependencies: ClassVar = [("orders", "0009_list_facts")]

    operations: ClassVar = [
        AddIndexConcurrently(model, index) for model, indexes in ADDED.items() for index in indexes
    ]
