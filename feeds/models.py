"""
What each app key wants to be told, how far it was told, and by which attempts.

A subscription is a feed (the key asks) or a hook (we call). Both have the same filter, the same
cursor into the ledger and the same queue, so what one promises holds for the other (ADR 0007).
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from oms.access.models import AppKey
from oms.orders.models import Order, OrderEvent


class Channel(models.TextChoices):
    FEED = "feed", "Feed"
    HOOK = "hook", "Hook"


class FilterType(models.TextChoices):
    """The contract's two: by statuses reached, or by an expression over each version of the order."""

    FROM_WORKFLOW = "FromWorkflow", "Statuses"
    FROM_ORDERS = "FromOrders", "Expression"


class Outcome(models.TextChoices):
    """How an item left the queue. Only open items are handed out; all are kept for a while."""

    OPEN = "", "Open"
    COMMITTED = "committed", "Committed"
    PARKED = "parked", "Parked"
    EXPIRED = "expired", "Expired"
    WITHDRAWN = "withdrawn", "Withdrawn with its configuration"


class Subscription(models.Model):
    """
    One feed or one hook of one app key.

    `cursor` is the ledger position up to which events were matched into the queue. An empty
    `statuses` means all. `fires_once` is the contract's `disableSingleFire: false`. A subscription
    is never deleted for being quiet; a deleted one stays as a row without `is_active`, so that its
    history can still be read.
    """

    app_key = models.ForeignKey(AppKey, on_delete=models.PROTECT, related_name="subscriptions")
    channel = models.CharField(max_length=10, choices=Channel)
    is_active = models.BooleanField(default=True)
    filter_type = models.CharField(max_length=20, choices=FilterType)
    statuses = ArrayField(models.TextField(), default=list, blank=True)
    expression = models.TextField(blank=True)
    fires_once = models.BooleanField(default=False)
    visibility_timeout_seconds = models.PositiveIntegerField()
    retention_seconds = models.PositiveIntegerField()
    cursor = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())
    configured_at = models.DateTimeField(db_default=Now())
    last_queued_at = models.DateTimeField(null=True)
    last_read_at = models.DateTimeField(null=True)
    last_commit_at = models.DateTimeField(null=True)
    filter_error_count = models.BigIntegerField(default=0)
    last_filter_error = models.TextField(blank=True)
    last_filter_error_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["app_key", "channel"], name="subscription_once_per_key_and_channel"
            ),
            models.CheckConstraint(
                condition=Q(filter_type=FilterType.FROM_WORKFLOW, expression="")
                | Q(filter_type=FilterType.FROM_ORDERS, statuses=[]) & ~Q(expression=""),
                name="subscription_filters_by_statuses_or_by_expression",
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["feed", "hook"]), name="subscription_channel_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} of {self.app_key_id}"


class Replay(models.Model):
    """
    Somebody asked for events again: a stretch of the ledger, or all events of some orders in it.

    Pulling works through it in slices; `next_position` is where it goes on.
    """

    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="replays"
    )
    from_position = models.BigIntegerField()
    until_position = models.BigIntegerField()
    next_position = models.BigIntegerField()
    order_ids = ArrayField(models.TextField(), null=True)
    requested_by = models.CharField(max_length=200)
    requested_at = models.DateTimeField(db_default=Now())
    reason = models.TextField(blank=True)
    queued_count = models.BigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["subscription"],
                condition=Q(finished_at__isnull=True),
                name="replay_unfinished",
            )
        ]

    def __str__(self) -> str:
        return f"replay of {self.from_position} to {self.until_position}"


class QueueItem(models.Model):
    """
    One event in the queue of one subscription.

    `available_at` is when it may be handed out: when it was queued, then the end of its lease or
    the time of its next attempt. It is NULL while an earlier open item of the same order is in the
    queue, so an order's events are handed out one after the other and a hand-out never looks at
    what has to wait. `attempts` counts hand-outs and fences them: who comes back with an older
    number knows nothing of the present lease. `schedule_from` is how many there were when somebody
    asked for the item again: limits and schedules count from there. `queued_at` is when the event
    happened, or when it was asked for again: age and retention are counted from it.
    """

    id = models.BigAutoField(primary_key=True)
    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="items", db_index=False
    )
    event = models.ForeignKey(
        OrderEvent, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    position = models.BigIntegerField()
    replay = models.ForeignKey(Replay, on_delete=models.SET_NULL, null=True, related_name="items")
    is_replay = models.BooleanField(default=False)
    queued_at = models.DateTimeField()
    available_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    schedule_from = models.PositiveIntegerField(default=0, db_default=0)
    first_leased_at = models.DateTimeField(null=True)
    leased_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.OPEN, blank=True)
    ended_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subscription", "position"],
                condition=Q(is_replay=False),
                name="queue_item_once_per_subscription_and_position",
            ),
            models.CheckConstraint(
                condition=Q(outcome="", ended_at__isnull=True)
                | ~Q(outcome="") & Q(ended_at__isnull=False),
                name="queue_item_is_open_or_has_an_end",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["subscription", "available_at", "id"],
                condition=Q(outcome="", available_at__isnull=False),
                name="queue_item_to_hand_out",
            ),
            models.Index(
                fields=["subscription", "queued_at"],
                condition=Q(outcome=""),
                name="queue_item_oldest",
            ),
            models.Index(
                fields=["subscription", "ended_at"],
                condition=Q(outcome="parked"),
                name="queue_item_parked",
            ),
            models.Index(fields=["order", "subscription", "id"], name="queue_item_by_order"),
        ]

    def __str__(self) -> str:
        return f"event {self.event_id} for subscription {self.subscription_id}"


class FiredOrder(models.Model):
    """An order that a subscription with `fires_once` was told of: it is not told of it again."""

    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    order = models.ForeignKey(
        Order, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subscription", "order"], name="fired_order_once_per_subscription"
            )
        ]

    def __str__(self) -> str:
        return f"order {self.order_id}"


class HookEndpoint(models.Model):
    """
    Where a hook is delivered to, and how its receiver has been doing.

    Headers and signing secrets are encrypted (`oms.access.secrets`). After a rotation the previous
    secret signs as well until `previous_secret_ends_at`. `failing_since` is the first failure after
    the last success; `paused_until` is what the receiver asked for by Retry-After.
    """

    subscription = models.OneToOneField(
        Subscription, on_delete=models.CASCADE, primary_key=True, related_name="endpoint"
    )
    url = models.CharField(max_length=2048)
    headers = models.BinaryField(editable=False)
    secret = models.BinaryField(editable=False)
    previous_secret = models.BinaryField(null=True, editable=False)
    previous_secret_ends_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    paused_until = models.DateTimeField(null=True)
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.url


class HookAttempt(models.Model):
    """
    One call of a hook: a delivery, a resend by hand, a ping at configuration or a test.

    `status` is the receiver's, NULL when there was no answer; `answer` its first KiB.
    """

    class Kind(models.TextChoices):
        DELIVERY = "delivery", "Delivery"
        PING = "ping", "Ping"
        TEST = "test", "Test"

    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="attempts", db_index=False
    )
    item = models.ForeignKey(
        QueueItem,
        on_delete=models.SET_NULL,
        null=True,
        related_name="hook_attempts",
        db_index=False,
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.DELIVERY)
    number = models.PositiveIntegerField(default=1)
    attempted_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    is_success = models.BooleanField()
    status = models.PositiveSmallIntegerField(null=True)
    error = models.TextField(blank=True)
    answer = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            # A result that is written twice, because its commit's answer was lost, is kept once.
            models.UniqueConstraint(
                fields=["item", "number"], name="hook_attempt_once_per_item_and_number"
            ),
        ]
        indexes: ClassVar = [
            models.Index("subscription", F("id").desc(), name="hook_attempt_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number}: {self.status or self.error}"


class LagSample(models.Model):
    """How far a subscription was behind at a moment: for the chart in admin."""

    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="lag_samples", db_index=False
    )
    sampled_at = models.DateTimeField(db_default=Now())
    open_count = models.BigIntegerField()
    oldest_seconds = models.FloatField()

    class Meta:
        indexes: ClassVar = [
            models.Index("subscription", F("sampled_at").desc(), name="lag_sample_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.open_count} open, oldest {self.oldest_seconds:.0f} s"
