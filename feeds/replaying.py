"""
Events again: a stretch of the ledger, or everything about some orders.

A replay is a row; pulling works through it in slices, after what is new, and its items say that
they are a replay. Asking costs nothing but the row, so a few stretches at a time have to be enough.
Orders are cheap to find, and a reconciliation asks for those of each hour: a month of hours fits.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from feeds.locking import exclusive_lock
from feeds.models import Replay, Subscription
from feeds.positions import first_position_since, last_position_before
from feeds.refusals import FeedRefused, Problem
from oms.access.models import AppKey
from oms.ops.audit import record_audit
from oms.ops.statements import run_together
from oms.orders.criteria import seen_by
from oms.orders.ledger import last_position, number_all_events
from oms.orders.models import Order

MOST_ORDERS: Final = 1_000
MOST_UNFINISHED: Final = 5
MOST_UNFINISHED_OF_ORDERS: Final = 1_000
MOST_TOLD: Final = 20


class TooManyReplays(Exception):
    """The subscription has as many unfinished replays as it may have."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} replays of this app key are not finished. They go on whenever it is read; "
            "ask again when one of them is through."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    What is asked for again: exactly one of the first three; either end or none of the last two.

    Positions are included at both ends; `until_time` is not.
    """

    from_time: datetime | None = None
    from_position: int | None = None
    order_ids: Sequence[str] | None = None
    until_time: datetime | None = None
    until_position: int | None = None


def request_replay(
    subscription: Subscription, *, wanted: Wanted, actor: str, reason: str = ""
) -> Replay:
    """
    This function will ask for events again, to be queued as their subscription is read.

    Raises FeedRefused for a stretch with nothing in it and for orders that the key cannot see,
    TooManyReplays. It must not run inside a transaction: the ledger is numbered first.
    """
    _check_one_way(wanted)
    number_all_events()
    first, last = _stretch_of(wanted)
    if wanted.order_ids is not None:
        _check_orders(subscription, wanted.order_ids)
    with transaction.atomic():
        run_together(exclusive_lock(subscription.pk))
        _check_room(subscription, is_of_orders=wanted.order_ids is not None)
        replay = Replay.objects.create(
            subscription=subscription,
            from_position=first,
            until_position=last,
            next_position=first,
            order_ids=None if wanted.order_ids is None else sorted(set(wanted.order_ids)),
            requested_by=actor,
            reason=reason,
        )
        _record(subscription, replay)
    replay.refresh_from_db()
    return replay


def replays_of(subscription: Subscription, *, limit: int = 50) -> list[Replay]:
    """This function will return the replays of a feed or hook, newest first."""
    return list(subscription.replays.order_by("-pk")[:limit])


def share_done(replay: Replay) -> float:
    """This function will tell how much of its stretch a replay has worked through, 0 to 1."""
    if replay.finished_at is not None:
        return 1.0
    length = replay.until_position - replay.from_position + 1
    return min(max((replay.next_position - replay.from_position) / max(length, 1), 0.0), 1.0)


def _check_one_way(wanted: Wanted) -> None:
    ways = [wanted.from_time, wanted.from_position, wanted.order_ids]
    if sum(way is not None for way in ways) != 1:
        message = "Say one of fromTime, fromPosition and orderIds."
        raise FeedRefused(Problem("fromTime", message))
    if wanted.until_time is not None and wanted.until_position is not None:
        raise FeedRefused(Problem("untilTime", "Either untilTime or untilPosition, not both."))


def _stretch_of(wanted: Wanted) -> tuple[int, int]:
    end = last_position()
    first, field = wanted.from_position or 1, "fromPosition"
    if wanted.from_time is not None:
        first, field = first_position_since(wanted.from_time), "fromTime"
    elif wanted.order_ids is not None:
        field = "orderIds"
    last = end if wanted.until_position is None else min(wanted.until_position, end)
    if wanted.until_time is not None:
        last = min(last_position_before(wanted.until_time), end)
    if first > last:
        raise FeedRefused(Problem(field, f"Nothing lies there. The last position is {end}."))
    return first, last


def _check_orders(subscription: Subscription, order_ids: Collection[str]) -> None:
    """An order of somebody else is answered like one that is not there."""
    if not 0 < len(order_ids) <= MOST_ORDERS:
        raise FeedRefused(Problem("orderIds", f"Expected 1 to {MOST_ORDERS} orders."))
    key = AppKey.objects.get(pk=subscription.app_key_id)
    visible = Order.objects.filter(
        seen_by(key.seller_ids, key.affiliate_ids), order_id__in=order_ids
    )
    known = set(visible.values_list("order_id", flat=True))
    problems = [
        Problem(f"orderIds[{index}]", "There is no such order.")
        for index, order_id in enumerate(order_ids)
        if order_id not in known
    ]
    if problems:
        raise FeedRefused(*problems[:MOST_TOLD])


def _check_room(subscription: Subscription, *, is_of_orders: bool) -> None:
    most = MOST_UNFINISHED_OF_ORDERS if is_of_orders else MOST_UNFINISHED
    unfinished = subscription.replays.filter(
        finished_at__isnull=True, order_ids__isnull=not is_of_orders
    )
    if unfinished.count() >= most:
        raise TooManyReplays(most)


def _record(subscription: Subscription, replay: Replay) -> None:
    app_key = AppKey.objects.values_list("app_key", flat=True).get(pk=subscription.app_key_id)
    record_audit(
        actor=replay.requested_by,
        action=f"{subscription.channel}.replay_requested",
        object_type="app_key",
        object_id=app_key,
        reason=replay.reason,
        details={
            "replay": replay.pk,
            "from_position": replay.from_position,
            "until_position": replay.until_position,
            "orders": None if replay.order_ids is None else len(replay.order_ids),
        },
    )
