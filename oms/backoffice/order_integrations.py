"""Which integration was given which event of an order, and which it acknowledged, for its page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from feeds.models import Channel, QueueItem, Subscription
from oms.backoffice.integration_facts import SECRETS, filter_words
from oms.backoffice.integration_items import ItemLine, tell_item
from oms.backoffice.integration_states import BEHIND_AFTER
from oms.backoffice.times import ago, span
from oms.orders.models import Order

EVENTS_SHOWN: Final = 4
MOST_INTEGRATIONS: Final = 20
# Of one order in one queue: replays asked for again and again must not make a page slow.
MOST_ITEMS: Final = 500


@dataclass(frozen=True, slots=True)
class OrderIntegration:
    """One feed or hook and what it knows of the order: what holds others up, then the newest."""

    subscription: Subscription
    owner: str
    filter_words: str
    lines: Sequence[ItemLine]
    has_more: bool
    sentence: str
    is_alarming: bool


@dataclass(frozen=True, slots=True)
class OrderIntegrations:
    """`has_more`: there are further subscriptions, which are not shown."""

    shown: Sequence[OrderIntegration]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where one subscription stands with one order."""

    pks: Sequence[int] = ()
    open_count: int = 0
    oldest_at: datetime | None = None
    parked_count: int = 0


@dataclass(frozen=True, slots=True)
class _NewestEvent:
    """`position` is None while nobody has read the ledger since."""

    position: int | None
    at: datetime


def read_order_integrations(order: Order, now: datetime) -> OrderIntegrations:
    """
    This function will tell, for each feed and hook, how far it was told of an order.

    Those of keys that are restricted to other sellers or affiliates are left out. Four queries,
    however many events and integrations there are; the newest few events of each.
    """
    found = list(
        _concerned(order)
        .select_related("app_key", "endpoint")
        .defer(*SECRETS)
        .order_by("app_key__owner_name", "channel", "pk")[: MOST_INTEGRATIONS + 1]
    )
    subscriptions = found[:MOST_INTEGRATIONS]
    if not subscriptions:
        return OrderIntegrations([])
    standings = _standings(order.pk, [row.pk for row in subscriptions])
    items = _items([pk for standing in standings.values() for pk in standing.pks])
    newest = _newest_event(order.pk)
    return OrderIntegrations(
        [
            _told(
                row,
                standings.get(row.pk, _Standing()),
                items,
                newest if row.is_in_scope else None,  # type: ignore[attr-defined]
                now,
            )
            for row in subscriptions
        ],
        has_more=len(found) > MOST_INTEGRATIONS,
    )


def _concerned(order: Order) -> QuerySet[Subscription]:
    """Whoever is told of the order, and whoever was: it may have been another seller's."""
    in_scope = Q(app_key__seller_ids__isnull=True) | Q(
        app_key__seller_ids__contains=[order.seller_id]
    )
    in_scope &= Q(app_key__affiliate_ids__isnull=True) | Q(
        app_key__affiliate_ids__contains=[order.affiliate_id]
    )
    was_told = Exists(QueueItem.objects.filter(subscription=OuterRef("pk"), order=order))
    return Subscription.objects.annotate(is_in_scope=in_scope).filter(
        Q(is_in_scope=True) | was_told, is_active=True
    )


def _told(
    subscription: Subscription,
    standing: _Standing,
    items: Mapping[int, QueueItem],
    newest: _NewestEvent | None,
    now: datetime,
) -> OrderIntegration:
    shown = [items[pk] for pk in standing.pks if pk in items]
    return OrderIntegration(
        subscription=subscription,
        owner=subscription.app_key.owner_name,
        filter_words=filter_words(subscription),
        lines=[tell_item(item, subscription.channel, now) for item in shown[:EVENTS_SHOWN]],
        has_more=len(shown) > EVENTS_SHOWN,
        sentence=_sentence(subscription, standing, newest, now),
        is_alarming=bool(
            standing.parked_count
            or (standing.oldest_at and now - standing.oldest_at > BEHIND_AFTER)
        ),
    )


def _sentence(
    subscription: Subscription, standing: _Standing, newest: _NewestEvent | None, now: datetime
) -> str:
    is_feed = subscription.channel == Channel.FEED
    verb = "acknowledged" if is_feed else "delivered"
    endpoint = getattr(subscription, "endpoint", None)
    off = " The hook is switched off." if endpoint and endpoint.disabled_at else ""
    if standing.open_count and standing.oldest_at:
        subject = "1 event is" if standing.open_count == 1 else f"{standing.open_count} events are"
        return f"{subject} not {verb} yet, for {span(now - standing.oldest_at)}.{off}"
    if standing.parked_count:
        return f"{standing.parked_count} parked: it was not {verb} however often it was tried."
    if newest and (newest.position is None or newest.position > subscription.cursor):
        done = "asked for" if is_feed else "delivered"
        return f"The newest change, {ago(newest.at, now)}, has not been {done} yet.{off}"
    if not standing.pks:
        return "No change of this order has matched its filter."
    return f"Everything is {verb}."


def _standings(order_pk: int, subscription_pks: Sequence[int]) -> dict[int, _Standing]:
    with connection.cursor() as cursor:
        cursor.execute(
            _STANDINGS,
            {
                "subscriptions": list(subscription_pks),
                "order": order_pk,
                "shown": EVENTS_SHOWN + 1,
                "most": MOST_ITEMS,
            },
        )
        return {row[0]: _Standing(*row[1:]) for row in cursor.fetchall()}


# What holds the others up comes first: it says why they wait.
_STANDINGS: Final = """
    SELECT s.id, i.pks, i.open_count, i.oldest_at, i.parked_count
    FROM unnest(%(subscriptions)s::bigint[]) AS s (id)
    CROSS JOIN LATERAL (
        SELECT (array_agg(q.id ORDER BY q.holds_up DESC, q.id DESC))[1:%(shown)s] AS pks,
               count(*) FILTER (WHERE q.outcome = '') AS open_count,
               min(q.queued_at) FILTER (WHERE q.outcome = '') AS oldest_at,
               count(*) FILTER (WHERE q.outcome = 'parked') AS parked_count
        FROM (
            SELECT id, outcome, queued_at, outcome = '' AND available_at IS NOT NULL AS holds_up
            FROM feeds_queueitem
            WHERE order_id = %(order)s AND subscription_id = s.id ORDER BY id DESC LIMIT %(most)s
        ) q
        HAVING count(*) > 0
    ) i
"""


def _items(pks: Sequence[int]) -> dict[int, QueueItem]:
    items = QueueItem.objects.filter(pk__in=pks).select_related("event", "order")
    return {item.pk: item for item in items.defer("order__extra")}


def _newest_event(order_pk: int) -> _NewestEvent | None:
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_EVENT, [order_pk])
        row = cursor.fetchone()
    return _NewestEvent(*row) if row else None


_NEWEST_EVENT: Final = """
    SELECT l.position, e.occurred_at FROM orders_orderevent e
    LEFT JOIN orders_ledgerentry l ON l.event_id = e.id
    WHERE e.order_id = %s ORDER BY e.seq DESC LIMIT 1
"""
