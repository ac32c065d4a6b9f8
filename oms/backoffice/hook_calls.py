"""The calls of a hook: when, how long, what was sent and what came back. Never a header or secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from django.conf import settings

from feeds.hooks.bodies import PING, delivery_body
from feeds.hooks.claiming import ClaimedItem
from feeds.models import HookAttempt
from oms.backoffice.integration_items import is_number

ATTEMPTS_PAGE: Final = 50
# A receiver that never fails has millions of calls and no failed one.
SCAN_LIMIT: Final = 20_000


@dataclass(frozen=True, slots=True)
class AttemptPage:
    attempts: Sequence[HookAttempt]
    next_cursor: str = ""


def read_attempts(
    subscription_pk: int, *, cursor: str = "", only_failed: bool = False, size: int = ATTEMPTS_PAGE
) -> AttemptPage:
    """
    This function will read one page of calls of a hook, newest first.

    Failed ones are looked for among the next `SCAN_LIMIT`; a page that found fewer than it holds
    says where to look on.
    """
    attempts = HookAttempt.objects.filter(subscription_id=subscription_pk)
    if is_number(cursor):
        attempts = attempts.filter(pk__lt=int(cursor))
    looked_to = None
    if only_failed:
        newest = attempts.order_by("-pk").values_list("pk", flat=True)
        looked_to = newest[SCAN_LIMIT - 1 : SCAN_LIMIT].first()
        attempts = attempts.filter(is_success=False, pk__gte=looked_to or 0)
    related = attempts.select_related("item__order", "item__event", "subscription__app_key")
    found = related.only(*_READ_ATTEMPT)
    rows = list(found.order_by("-pk")[: size + 1])
    if len(rows) > size:
        return AttemptPage(rows[:size], str(rows[size - 1].pk))
    return AttemptPage(rows, str(looked_to or ""))


def sent_body(attempt: HookAttempt) -> str:
    """This function will write again what a call sent: a delivery's body follows from its event."""
    if attempt.kind != HookAttempt.Kind.DELIVERY:
        return PING.decode()
    item = attempt.item
    if item is None:
        return ""
    event = item.event
    sent = delivery_body(
        ClaimedItem(
            item_id=item.pk,
            subscription_id=attempt.subscription_id,
            attempt=attempt.number,
            schedule_from=0,
            event_pk=event.pk,
            order_id=item.order.order_id,
            origin=item.order.origin,
            status=event.status,
            last_status=event.last_status,
            occurred_at=event.occurred_at,
            last_change_at=event.last_change_at,
            version=attempt.attempted_at,
            clock=attempt.attempted_at.timestamp(),
        ),
        account=settings.STORE_NAME,
        app_key=attempt.subscription.app_key.app_key,
    )
    return orjson.dumps(orjson.loads(sent), option=orjson.OPT_INDENT_2).decode()


_READ_ATTEMPT: Final = (
    "subscription_id",
    "kind",
    "number",
    "attempted_at",
    "duration_ms",
    "is_success",
    "status",
    "error",
    "answer",
    "item__position",
    "item__is_replay",
    "item__order__order_id",
    "item__order__origin",
    "item__event__occurred_at",
    "item__event__last_change_at",
    "subscription__app_key__app_key",
    "item__event__seq",
    "item__event__status",
    "item__event__last_status",
)
