"""
Making, changing and ending a subscription: what feed and hook configurations have in common.

The lock of the subscription is held while its filter changes: everything before is matched by the
old filter, everything after by the new one, and nothing falls between. The queue stays.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.models.functions import Now

from feeds.expressions import ExpressionRefused
from feeds.filters import EventFilter, parse_filter
from feeds.leasing import withdraw_items
from feeds.locking import exclusive_lock
from feeds.models import Channel, FilterType, FiredOrder, Subscription
from feeds.pulling import pull
from feeds.refusals import FeedNotConfigured, FeedRefused, Problem, StillCatchingUp
from feeds.slices import queue_new_events
from feeds.trying import try_expression
from oms.access.models import AppKey
from oms.ops.audit import record_audit
from oms.ops.statements import run_together
from oms.orders.ledger import last_position, number_all_events
from oms.orders.snapshots import demand_snapshots, drop_demand

DEFAULT_VISIBILITY_SECONDS: Final = 250
LONGEST_VISIBILITY_SECONDS: Final = 43_200
SHORTEST_RETENTION_SECONDS: Final = 345_600
LONGEST_RETENTION_SECONDS: Final = 1_209_600
# How long a change waits for what happened under the old filter to be queued.
PATIENCE_SECONDS: Final = 7.0


@dataclass(frozen=True, slots=True)
class QueueTerms:
    """How long an item is hidden once handed out, and how long it is kept for."""

    visibility_timeout_seconds: int = DEFAULT_VISIBILITY_SECONDS
    retention_seconds: int = SHORTEST_RETENTION_SECONDS


def parse_queue(body: object) -> QueueTerms:
    """
    This function will read the `queue` of a configuration, its names in any spelling of case.

    Raises FeedRefused for numbers out of the contract's range.
    """
    if body is None:
        return QueueTerms()
    if not isinstance(body, Mapping):
        raise FeedRefused(Problem("queue", "Expected an object."))
    given = {str(key).lower(): value for key, value in body.items()}
    return QueueTerms(
        _seconds(given, "visibilityTimeoutInSeconds", 1, LONGEST_VISIBILITY_SECONDS)
        or DEFAULT_VISIBILITY_SECONDS,
        _seconds(
            given,
            "messageRetentionPeriodInSeconds",
            SHORTEST_RETENTION_SECONDS,
            LONGEST_RETENTION_SECONDS,
        )
        or SHORTEST_RETENTION_SECONDS,
    )


def _seconds(given: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = given.get(name.lower())
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise FeedRefused(Problem(f"queue.{name}", f"Expected whole seconds, {least} to {most}."))
    return value


def configure_feed(*, app_key_id: int, body: Mapping[str, Any], actor: str) -> Subscription:
    """
    This function will make the key's feed or change it, from the contract's body.

    Raises FeedRefused and MixedFilter for what it cannot take, StillCatchingUp to be tried again.
    """
    given = {str(key).lower(): value for key, value in body.items()}
    event_filter = parse_filter(given.get("filter"))
    queue = parse_queue(given.get("queue"))
    return set_subscription(
        app_key_id=app_key_id,
        channel=Channel.FEED,
        event_filter=event_filter,
        queue=queue,
        actor=actor,
    )


def delete_feed(*, app_key_id: int, actor: str, reason: str = "") -> None:
    """This function will end the key's feed; FeedNotConfigured if it has none."""
    if not delete_subscription(
        app_key_id=app_key_id, channel=Channel.FEED, actor=actor, reason=reason
    ):
        raise FeedNotConfigured


def set_subscription(
    *,
    app_key_id: int,
    channel: Channel,
    event_filter: EventFilter,
    queue: QueueTerms,
    actor: str,
) -> Subscription:
    """
    This function will make a key's subscription, or give it another filter and other terms.

    A new one begins with what is committed from now on. A changed one keeps its queue, and what is
    left of its replays goes by the new filter. It must not run inside a transaction. Raises
    FeedRefused for an expression that may not be kept; StillCatchingUp when too much is left to
    queue first, and SnapshotsNotReady for an expression that long writers stand in the way of: both
    to be repeated.
    """
    check_filter(event_filter, app_key_id=app_key_id)
    subscription = _row_of(app_key_id, channel, event_filter, queue)
    if not subscription.is_active:
        withdraw_items(subscription.pk)
    number_all_events()
    _catch_up(subscription.pk)
    with transaction.atomic():
        run_together(exclusive_lock(subscription.pk))
        subscription.refresh_from_db()
        if subscription.is_active:
            _queue_to_the_end(subscription.pk)
        before = _facts(subscription) if subscription.is_active else {}
        if not subscription.is_active or filter_of(subscription) != event_filter:
            _forget_former_filter(subscription)
        # Last of what takes time: the first demand holds up whoever writes orders until the commit.
        _keep_versions(subscription, event_filter.type is FilterType.FROM_ORDERS)
        _apply(subscription, event_filter, queue)
        _record(subscription, "configured", actor, before=before, after=_facts(subscription))
    return subscription


def check_filter(event_filter: EventFilter, *, app_key_id: int) -> None:
    """This function will refuse, by FeedRefused, an expression that may not be kept."""
    if event_filter.type is not FilterType.FROM_ORDERS:
        return
    try:
        try_expression(event_filter.expression, app_key_id=app_key_id)
    except ExpressionRefused as refusal:
        at = "" if refusal.position is None else f" (at character {refusal.position})"
        raise FeedRefused(Problem("filter.expression", f"{refusal.message}{at}")) from refusal


def delete_subscription(
    *, app_key_id: int, channel: Channel, actor: str, reason: str = ""
) -> bool:
    """
    This function will end a subscription and withdraw what is open in its queue.

    Returns whether there was one. Its history stays. A call that ended while it withdrew is made up
    for by the next one, or when the subscription is made again.
    """
    subscription = Subscription.objects.filter(app_key_id=app_key_id, channel=channel).first()
    if subscription is None:
        return False
    was_active = _deactivate(subscription, actor=actor, reason=reason)
    withdraw_items(subscription.pk)
    return was_active


def _deactivate(subscription: Subscription, *, actor: str, reason: str) -> bool:
    with transaction.atomic():
        run_together(exclusive_lock(subscription.pk))
        subscription.refresh_from_db()
        if not subscription.is_active:
            return False
        Subscription.objects.filter(pk=subscription.pk).update(is_active=False)
        _keep_versions(subscription, False)
        _end_replays(subscription)
        before = _facts(subscription)
        _record(subscription, "deleted", actor, before=before, after={}, reason=reason)
    return True


def _row_of(
    app_key_id: int, channel: Channel, event_filter: EventFilter, queue: QueueTerms
) -> Subscription:
    """The key's row, made inactive if there is none: its lock needs its number."""
    facts: dict[str, Any] = {"is_active": False, "cursor": 0, **_columns(event_filter, queue)}
    subscription, _ = Subscription.objects.get_or_create(
        app_key_id=app_key_id, channel=channel, defaults=facts
    )
    return subscription


def _catch_up(subscription_id: int) -> None:
    """What an expression kept under older rules may not judge any more is left to the new filter."""
    try:
        if not pull(subscription_id, seconds=PATIENCE_SECONDS, with_replays=False):
            raise StillCatchingUp
    except ExpressionRefused:
        return


def _queue_to_the_end(subscription_id: int) -> None:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    try:
        while queue_new_events(subscription_id).read:
            if time.monotonic() > ends_at:
                raise StillCatchingUp
    except ExpressionRefused:
        return


def _apply(subscription: Subscription, event_filter: EventFilter, queue: QueueTerms) -> None:
    columns = _columns(event_filter, queue)
    if not subscription.is_active:
        columns["cursor"] = last_position()
        _end_replays(subscription)
    Subscription.objects.filter(pk=subscription.pk).update(
        is_active=True, configured_at=Now(), **columns
    )
    subscription.refresh_from_db()


def _forget_former_filter(subscription: Subscription) -> None:
    """
    Another filter fires once for each order again, and has not failed yet.

    So does one made again: what was withdrawn with the former had perhaps told nobody.
    """
    FiredOrder.objects.filter(subscription=subscription).delete()
    Subscription.objects.filter(pk=subscription.pk).update(
        filter_error_count=0, last_filter_error="", last_filter_error_at=None
    )


def _end_replays(subscription: Subscription) -> None:
    subscription.replays.filter(finished_at__isnull=True).update(finished_at=Now())


def _keep_versions(subscription: Subscription, is_needed: bool) -> None:
    """An expression looks at each version of an order; the last one that goes ends their keeping."""
    name = f"{subscription.channel} of app key {subscription.app_key_id}"
    if is_needed:
        demand_snapshots(name)
    else:
        drop_demand(name)


def _columns(event_filter: EventFilter, queue: QueueTerms) -> dict[str, Any]:
    return {
        "filter_type": event_filter.type.value,
        "statuses": list(event_filter.statuses),
        "expression": event_filter.expression,
        "fires_once": event_filter.fires_once,
        "visibility_timeout_seconds": queue.visibility_timeout_seconds,
        "retention_seconds": queue.retention_seconds,
    }


def filter_of(subscription: Subscription) -> EventFilter:
    """This function will return the filter that a subscription has."""
    return EventFilter(
        type=FilterType(subscription.filter_type),
        statuses=tuple(subscription.statuses),
        expression=subscription.expression,
        fires_once=subscription.fires_once,
    )


def _facts(subscription: Subscription) -> dict[str, Any]:
    return {
        "filter": filter_of(subscription).as_json(),
        "visibility_timeout_seconds": subscription.visibility_timeout_seconds,
        "retention_seconds": subscription.retention_seconds,
    }


def _record(
    subscription: Subscription,
    act: str,
    actor: str,
    *,
    before: Any,
    after: Any,
    reason: str = "",
) -> None:
    app_key = AppKey.objects.values_list("app_key", flat=True).get(pk=subscription.app_key_id)
    record_audit(
        actor=actor,
        action=f"{subscription.channel}.{act}",
        object_type="app_key",
        object_id=app_key,
        reason=reason,
        details={"before": before, "after": after},
    )
