"""
Reads what the integration pages tell: two queries for the facts of any number of subscriptions.

Secrets and headers of hooks are never read here, so no page can show them by mistake.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import structlog
from django.db import OperationalError, connection
from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from feeds.models import Channel, FilterType, HookEndpoint, Subscription
from feeds.scope import IS_IN_SCOPE
from feeds.selectors import is_idle
from oms.access.models import AppKey
from oms.access.scopes import Scope
from oms.backoffice.integration_states import (
    COUNT_LIMIT,
    LABELS,
    TONES,
    Condition,
    FlowFacts,
    ReceiverFacts,
    condition_of,
    sentence_of,
)
from oms.backoffice.landing import SILENT_AFTER
from oms.backoffice.masking import DOT
from oms.backoffice.tones import Tone
from oms.ops.models import Heartbeat
from oms.orders.ledger import has_unnumbered_events, number_events
from oms.orders.statuses import label_of

logger = structlog.get_logger(__name__)

# More integrations than a store has; a search narrows what is beyond.
MOST_KEYS: Final = 200
# How far into the ledger a filter is tried, for the page of many integrations to stay quick.
WINDOW: Final = 500
NUMBERING_PATIENCE: Final = "500ms"
HOOKS_ROLE: Final = "hooks"
# What no page of ours needs and so none reads.
SECRETS: Final = ("endpoint__headers", "endpoint__secret", "endpoint__previous_secret")


@dataclass(frozen=True, slots=True)
class _Measures:
    """What SQL counted for one subscription."""

    open_count: int
    oldest_at: datetime | None
    parked_count: int
    ahead_count: int
    ahead_since: datetime | None
    unseen_count: int
    unseen_since: datetime | None


@dataclass(frozen=True, slots=True)
class Flow:
    """One feed or hook of a key, with how it is doing in words."""

    subscription: Subscription
    facts: FlowFacts
    parked_count: int
    condition: Condition
    sentence: str

    @property
    def label(self) -> str:
        return LABELS[self.condition]

    @property
    def tone(self) -> Tone:
        return TONES[self.condition]

    @property
    def channel(self) -> str:
        return self.subscription.channel

    @property
    def filter_words(self) -> str:
        return filter_words(self.subscription)


@dataclass(frozen=True, slots=True)
class Integration:
    """One app key with its feed and its hook; None where it has none."""

    key: AppKey
    feed: Flow | None
    hook: Flow | None

    @property
    def flows(self) -> list[Flow]:
        return [flow for flow in (self.feed, self.hook) if flow]

    @property
    def worst(self) -> int:
        order = list(Condition)
        return min((order.index(flow.condition) for flow in self.flows), default=len(order))

    def flow(self, channel: str) -> Flow | None:
        return {Channel.FEED.value: self.feed, Channel.HOOK.value: self.hook}.get(channel)


def list_integrations(now: datetime, *, search: str = "") -> list[Integration]:
    """
    This function will list keys that have a feed or hook or may configure one, the worst first.

    `search` narrows by a part of the owner's name or of the key. At most `MOST_KEYS`.
    """
    _number_what_is_committed()
    configured = Subscription.objects.filter(app_key=OuterRef("pk"))
    keys = AppKey.objects.filter(
        Exists(configured) | Q(scopes__contains=[Scope.FEED_HOOK_ADMIN.value], is_active=True)
    )
    if search:
        keys = keys.filter(Q(owner_name__icontains=search) | Q(app_key__icontains=search))
    found = list(keys.order_by("owner_name", "app_key")[:MOST_KEYS])
    flows = _flows(Subscription.objects.filter(app_key__in=found), now)
    integrations = [_integration(key, flows) for key in found]
    return sorted(integrations, key=lambda row: (row.worst, row.key.owner_name.casefold()))


def read_integration(key: AppKey, now: datetime) -> Integration:
    """This function will read one key with its feed and its hook."""
    _number_what_is_committed()
    return _integration(key, _flows(Subscription.objects.filter(app_key=key), now))


def flows_of(subscriptions: QuerySet[Subscription], now: datetime) -> list[Flow]:
    """This function will tell how some subscriptions are doing, in the order of their rows."""
    return list(_flows(subscriptions, now).values())


@dataclass(frozen=True, slots=True)
class HooksSilence:
    """Nobody delivers hooks: `since` is the last sign of a process, None if there never was one."""

    since: datetime | None


def hooks_silence(flows: Sequence[Flow], now: datetime) -> HooksSilence | None:
    """This function will tell whether there are hooks to deliver and no process that does."""
    if not any(flow.channel == Channel.HOOK and flow.subscription.is_active for flow in flows):
        return None
    last = Heartbeat.objects.filter(role=HOOKS_ROLE).aggregate(last=Max("beat_at"))["last"]
    return HooksSilence(last) if last is None or now - last > SILENT_AFTER else None


def troubled_hooks() -> int:
    """This function will count the hooks that are disabled or fail, up to `MOST_KEYS`."""
    troubled = HookEndpoint.objects.filter(
        Q(disabled_at__isnull=False) | Q(failing_since__isnull=False),
        subscription__is_active=True,
    )
    return troubled[:MOST_KEYS].count()


def filter_words(subscription: Subscription) -> str:
    """This function will tell a filter in words; an expression as it was written."""
    once = ", each order once" if subscription.fires_once else ""
    if subscription.filter_type == FilterType.FROM_ORDERS:
        return f"{subscription.expression}{once}"
    if not subscription.statuses:
        return f"Every change of status{once}"
    return ", ".join(label_of(status) for status in subscription.statuses) + once


def address_words(url: str) -> str:
    """This function will tell an address without what may be secret in it: values of its query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port:
        host = f"{host}:{parts.port}"
    hidden = "&".join(f"{name}={DOT * 3}" for name, _ in parse_qsl(parts.query, True))
    return urlunsplit((parts.scheme, host, parts.path, hidden, ""))


def _number_what_is_committed() -> None:
    """
    What has no position yet would be told as if it had not happened: readers number first.

    A page does not wait for whoever holds the ledger's lock for long: it is told a little late then.
    """
    if not has_unnumbered_events():
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [NUMBERING_PATIENCE])
        try:
            number_events()
        except OperationalError:
            logger.warning("integrations.ledger_busy")
        finally:
            cursor.execute("RESET lock_timeout")


def _integration(key: AppKey, flows: dict[tuple[int, str], Flow]) -> Integration:
    return Integration(
        key,
        flows.get((key.pk, Channel.FEED.value)),
        flows.get((key.pk, Channel.HOOK.value)),
    )


def _flows(subscriptions: QuerySet[Subscription], now: datetime) -> dict[tuple[int, str], Flow]:
    rows = list(subscriptions.select_related("app_key", "endpoint").defer(*SECRETS))
    measures = _measures([row.pk for row in rows])
    return {(row.app_key_id, row.channel): _flow(row, measures[row.pk], now) for row in rows}


def _flow(subscription: Subscription, measured: _Measures, now: datetime) -> Flow:
    key = subscription.app_key
    facts = FlowFacts(
        channel=subscription.channel,
        owner=key.owner_name,
        configured_at=subscription.configured_at,
        is_idle=is_idle(subscription, now),
        is_active=subscription.is_active,
        key_is_live=key.is_active and (key.expires_at is None or key.expires_at > now),
        last_queued_at=subscription.last_queued_at,
        last_read_at=subscription.last_read_at,
        last_commit_at=subscription.last_commit_at,
        open_count=measured.open_count,
        oldest_at=measured.oldest_at,
        ahead_count=measured.ahead_count,
        ahead_since=measured.ahead_since,
        unseen_count=min(measured.unseen_count, COUNT_LIMIT + 1),
        unseen_since=measured.unseen_since,
        receiver=_receiver(subscription),
    )
    return Flow(
        subscription,
        facts,
        measured.parked_count,
        condition_of(facts, now),
        sentence_of(facts, now),
    )


def _receiver(subscription: Subscription) -> ReceiverFacts:
    endpoint = getattr(subscription, "endpoint", None)
    if endpoint is None:
        return ReceiverFacts()
    return ReceiverFacts(
        last_success_at=endpoint.last_success_at,
        failing_since=endpoint.failing_since,
        last_error=endpoint.last_error,
        paused_until=endpoint.paused_until,
        disabled_at=endpoint.disabled_at,
        disabled_reason=endpoint.disabled_reason,
    )


def _measures(pks: Sequence[int]) -> dict[int, _Measures]:
    if not pks:
        return {}
    parameters: dict[str, Any] = {
        "pks": list(pks),
        "limit": COUNT_LIMIT + 1,
        "window": WINDOW,
    }
    with connection.cursor() as cursor:
        cursor.execute(_MEASURES, parameters)
        return {row[0]: _Measures(*row[1:]) for row in cursor.fetchall()}


# Positions have no gaps, so how much lies after a cursor needs no counting. Of that, a filter by
# statuses is tried on the next `window` here, as pulling will; an expression is tried on none.
_MEASURES: Final = f"""
    SELECT s.id,
           (SELECT count(*) FROM (SELECT 1 FROM feeds_queueitem i
                                  WHERE i.subscription_id = s.id AND i.outcome = ''
                                  LIMIT %(limit)s) o),
           (SELECT min(i.queued_at) FROM feeds_queueitem i
            WHERE i.subscription_id = s.id AND i.outcome = ''),
           (SELECT count(*) FROM (SELECT 1 FROM feeds_queueitem i
                                  WHERE i.subscription_id = s.id AND i.outcome = 'parked'
                                  LIMIT %(limit)s) p),
           ahead.count, ahead.oldest_at, greatest(l.last - seen.position, 0),
           (SELECT e.occurred_at FROM orders_ledgerentry n
            JOIN orders_orderevent e ON e.id = n.event_id
            WHERE n.position = seen.position + 1)
    FROM feeds_subscription s
    JOIN access_appkey k ON k.id = s.app_key_id
    CROSS JOIN (SELECT coalesce(max(position), 0) AS last FROM orders_ledgerentry) l
    CROSS JOIN LATERAL (
        SELECT CASE WHEN NOT s.is_active THEN l.last
                    WHEN s.filter_type = 'FromOrders' THEN s.cursor
                    ELSE s.cursor + %(window)s END AS position
    ) seen
    CROSS JOIN LATERAL (
        SELECT count(*) AS count, min(e.occurred_at) AS oldest_at
        FROM orders_ledgerentry n
        JOIN orders_orderevent e ON e.id = n.event_id
        JOIN orders_order o ON o.id = e.order_id
        WHERE s.is_active AND n.position > s.cursor AND n.position <= seen.position
          AND e.kind <> 'order.imported' AND e.status <> e.last_status
          AND (s.statuses = '{{}}' OR e.status = ANY (s.statuses))
          AND {IS_IN_SCOPE}
    ) ahead
    WHERE s.id = ANY(%(pks)s)
"""
