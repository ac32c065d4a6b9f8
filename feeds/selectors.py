"""Reads about subscriptions: for the configuration's answer, and for admin."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from feeds.models import Channel, Subscription
from feeds.refusals import FeedNotConfigured
from oms.ops.statements import Statement, run_together


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What lies in a queue now, leased items included. Ages are PostgreSQL's, in seconds."""

    open_count: int
    oldest_seconds: float
    parked_count: int


def active_subscription(app_key_id: int, channel: Channel = Channel.FEED) -> Subscription:
    """This function will return a key's feed or hook; FeedNotConfigured if it has none."""
    found = Subscription.objects.filter(
        app_key_id=app_key_id, channel=channel, is_active=True
    ).first()
    if found is None:
        raise FeedNotConfigured
    return found


def queue_facts(subscription_id: int) -> QueueFacts:
    """
    This function will count a queue exactly, as far as it was pulled.

    The open ones are read off an index; a million of them take a moment.
    """
    (rows,) = run_together(Statement(_QUEUE_FACTS, [subscription_id, subscription_id]))
    return QueueFacts(*rows[0])


_QUEUE_FACTS: Final = """
    SELECT count(*),
           greatest(coalesce(extract(epoch FROM statement_timestamp() - min(queued_at)), 0), 0)::float8,
           (SELECT count(*) FROM feeds_queueitem WHERE subscription_id = %s AND outcome = 'parked')
    FROM feeds_queueitem WHERE subscription_id = %s AND outcome = ''
"""


def is_idle(subscription: Subscription, now: datetime) -> bool:
    """
    This function will say whether a subscription looks forgotten: shown, never deleted for it.

    Nobody reads it for FEED_IDLE_DAYS, or nothing matched its filter for as long as it keeps items.
    """
    started = subscription.configured_at
    if subscription.channel == Channel.FEED:
        last_read = max(subscription.last_read_at or started, started)
        if now - last_read > timedelta(days=settings.FEED_IDLE_DAYS):
            return True
    last_queued = max(subscription.last_queued_at or started, started)
    return now - last_queued > timedelta(seconds=subscription.retention_seconds)
