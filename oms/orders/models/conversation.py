"""
What is said about an order without changing it: logs of integrations, messages to and from buyers.

Tables of their own, not events: an event makes a new version of the order, and a line in a log must
neither fail somebody's If-Match nor be handed to every feed.
"""

from typing import ClassVar

from django.db import models
from django.db.models import F
from django.db.models.functions import Now

from oms.orders.models.order import Order


class Interaction(models.Model):
    """A line that an integration added to an order's log. Immutable (triggers, migration `0012`)."""

    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="interactions", db_index=False
    )
    source = models.CharField(max_length=160)
    message = models.TextField()
    actor = models.CharField(max_length=160)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [
            models.Index("order", F("id").desc(), name="interaction_newest_of_order")
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.message[:60]}"


class ConversationMessage(models.Model):
    """An e-mail about an order. `recipients` are like the sender: each with email, name, role."""

    order = models.ForeignKey(
        Order, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    message_id = models.CharField(max_length=160)
    sender_name = models.CharField(max_length=160, blank=True)
    sender_email = models.CharField(max_length=254)
    sender_role = models.CharField(max_length=40, blank=True)
    recipients = models.JSONField(default=list)
    subject = models.CharField(max_length=400, blank=True)
    body = models.TextField(blank=True)
    first_words = models.CharField(max_length=200, blank=True)
    attachment_names = models.JSONField(default=list)
    sent_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["order", "message_id"], name="message_once_per_order")
        ]
        indexes: ClassVar = [
            models.Index(
                "order", F("sent_at").desc(), F("id").desc(), name="message_newest_of_order"
            )
        ]

    def __str__(self) -> str:
        return self.subject
