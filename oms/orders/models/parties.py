"""Where orders come from, and what sellers want."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from oms.orders.models.order import FLOW_NAMES
from oms.orders.statuses import Flow


class Affiliate(models.Model):
    """Where orders come from: a marketplace, or the own storefront. Decides the flow of its orders."""

    affiliate_id = models.CharField(primary_key=True, max_length=20)
    name = models.CharField(max_length=120)
    flow = models.CharField(max_length=20, choices=[(flow.value, flow.value) for flow in Flow])
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(flow__in=FLOW_NAMES), name="affiliate_flow_is_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.affiliate_id})"


class SellerPolicy(models.Model):
    """What a seller wants to differ from the defaults. A seller without a row follows the settings."""

    seller_id = models.CharField(primary_key=True, max_length=80)
    name = models.CharField(max_length=120, blank=True)
    window_to_cancel_minutes = models.PositiveIntegerField(null=True, blank=True)
    has_warehouse_system = models.BooleanField(default=False)
    has_pick_and_pack = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "seller policies"

    def __str__(self) -> str:
        return self.name or self.seller_id
