"""
What the order list is filtered by and no column of the order holds.

The database keeps these rows itself, by triggers on the order table (migration `0009_list_facts`),
as it keeps an index: no writer can forget them, and an order that is moved does not rewrite them,
which it would with an index over its document.
"""

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from oms.orders.models.order import Order

# Longer names are cut off, here and in what is asked for: an index entry has a limit.
LONGEST_FACT = 400


class ListFacts(models.Model):
    """Facts of an order's document that few orders have. An order without any has no row."""

    order = models.OneToOneField(
        Order, on_delete=models.CASCADE, primary_key=True, related_name="list_facts"
    )
    utm_source = models.TextField(blank=True)
    promotion_names = models.JSONField(default=list)
    operator_name = models.TextField(blank=True)
    operator_email = models.TextField(blank=True)
    is_in_store = models.BooleanField(default=False)
    gift_list_id = models.TextField(blank=True)
    gift_list_type = models.TextField(blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["utm_source"], condition=~Q(utm_source=""), name="list_facts_utm_source"
            ),
            models.Index(
                fields=["operator_name"],
                condition=~Q(operator_name=""),
                name="list_facts_operator_name",
            ),
            models.Index(
                fields=["operator_email"],
                condition=~Q(operator_email=""),
                name="list_facts_operator_email",
            ),
            models.Index(
                fields=["gift_list_id"],
                condition=~Q(gift_list_id=""),
                name="list_facts_gift_list",
            ),
            models.Index(
                fields=["order"], condition=Q(is_in_store=True), name="list_facts_in_store"
            ),
            GinIndex(
                fields=["promotion_names"],
                opclasses=["jsonb_path_ops"],
                name="list_facts_promotions",
            ),
        ]

    def __str__(self) -> str:
        return f"list facts of {self.order_id}"


class SellerName(models.Model):
    """A name that a seller has had on an order: the list is asked by name, and read by seller id."""

    seller_id = models.CharField(max_length=80)
    name = models.CharField(max_length=160)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name", "seller_id"], name="seller_name_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.seller_id})"
