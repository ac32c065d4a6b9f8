"""
Sends again what was parked, has expired or was delivered: one item, a stretch of time, all failed.

An item is opened again with the event it stands for, so the receiver sees the same `webhook-id`;
its schedule begins anew. Within an order what is opened again goes in its old order.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from feeds.locking import exclusive_lock
from feeds.models import Subscription
from oms.ops.audit import record_audit
from oms.ops.statements import Statement, run_together

BATCH: Final = 1_000
# Whoever asks waits meanwhile: the rest is for the next call.
MOST_AT_ONCE: Final = 50_000


class ResendRefused(ValueError):
    """There is no live hook or feed to send to."""


def resend_items(subscription_id: int, item_ids: Iterable[int], *, actor: str, reason: str) -> int:
    """This function will queue items again, whatever their end was, and return how many."""
    wanted = list(dict.fromkeys(item_ids))
    return _resend(
        subscription_id, "i.id = ANY(%s)", [wanted], actor, reason, {"items": wanted[:100]}
    )


def resend_range(
    subscription_id: int,
    *,
    since: datetime,
    until: datetime,
    actor: str,
    reason: str,
    only_failed: bool = False,
) -> int:
    """
    This function will queue again what ended from `since` to before `until`.

    With `only_failed` what the receiver took is left alone. Returns how many: MOST_AT_ONCE, and
    there may be more.
    """
    condition = "i.ended_at >= %s AND i.ended_at < %s"
    if only_failed:
        condition += " AND i.outcome <> 'committed'"
    stretch = {"since": since.isoformat(), "until": until.isoformat(), "only_failed": only_failed}
    return _resend(subscription_id, condition, [since, until], actor, reason, stretch)


def resend_failed(subscription_id: int, *, actor: str, reason: str) -> int:
    """This function will queue again what was given up, MOST_AT_ONCE at most, and return how many."""
    condition = "i.outcome IN ('parked', 'expired')"
    return _resend(subscription_id, condition, [], actor, reason, {"failed": "all"})


def _resend(
    subscription_id: int,
    condition: str,
    values: list[Any],
    actor: str,
    reason: str,
    details: dict[str, object],
) -> int:
    """Batches that commit one by one: deliveries go on meanwhile, an interruption loses nothing."""
    subscription = Subscription.objects.select_related("app_key").get(pk=subscription_id)
    if not subscription.is_active:
        raise ResendRefused("This hook is not configured any more.")
    count = last = 0
    while count < MOST_AT_ONCE:
        with transaction.atomic():
            _, reopened = run_together(
                exclusive_lock(subscription_id),
                Statement(
                    _REOPEN.replace("{condition}", condition),
                    [subscription_id, last, *values, BATCH],
                ),
            )
            if not reopened:
                return count
            ids = [row[0] for row in reopened]
            run_together(Statement(_PROMOTE, [ids, subscription_id]))
            _record(subscription, actor, reason, {**details, "count": len(ids)})
        count += len(ids)
        last = max(ids)
    return count


def _record(
    subscription: Subscription, actor: str, reason: str, details: dict[str, object]
) -> None:
    record_audit(
        actor=actor,
        action=f"{subscription.channel}.resent",
        object_type="app_key",
        object_id=subscription.app_key.app_key,
        reason=reason,
        details=details,
    )


# Retention counts from `queued_at`: what is opened again gets all of it again.
_REOPEN: Final = """
    UPDATE feeds_queueitem
    SET outcome = '', ended_at = NULL, available_at = NULL, schedule_from = attempts,
        queued_at = statement_timestamp()
    WHERE id IN (
        SELECT i.id FROM feeds_queueitem i
        WHERE i.subscription_id = %s AND i.id > %s AND i.outcome <> '' AND {condition}
        ORDER BY i.id LIMIT %s
    )
    RETURNING id
"""
_PROMOTE: Final = """
    UPDATE feeds_queueitem waiting SET available_at = statement_timestamp()
    FROM (
        SELECT DISTINCT order_id, subscription_id FROM feeds_queueitem
        WHERE id = ANY(%s) AND subscription_id = %s
    ) reopened
    WHERE waiting.id = (
        SELECT min(open.id) FROM feeds_queueitem open
        WHERE open.order_id = reopened.order_id
          AND open.subscription_id = reopened.subscription_id AND open.outcome = ''
    ) AND waiting.available_at IS NULL
"""
