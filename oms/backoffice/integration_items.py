"""
The items of one subscription as tables: what waits, what is parked, what came lately.

Paged by the keys of three indexes, so a queue of a million reads like one of ten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.db.models import Q, QuerySet

from feeds.models import Channel, Outcome, QueueItem
from oms.backoffice.timeline import sentence_of
from oms.backoffice.times import ago, short
from oms.backoffice.tones import Tone
from oms.orders.models import Order

PAGE_SIZE: Final = 15
MOST_OF_ORDER: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Shelf(StrEnum):
    WAITING = "waiting"
    PARKED = "parked"
    RECENT = "recent"


SHELF_LABELS: Final = {
    Shelf.WAITING: "Waiting",
    Shelf.PARKED: "Parked",
    Shelf.RECENT: "Recent",
}
EMPTY: Final = {
    Shelf.WAITING: "Nothing waits: everything that matched was acknowledged.",
    Shelf.PARKED: "Nothing is parked.",
    Shelf.RECENT: "Nothing was queued yet.",
}


@dataclass(frozen=True, slots=True)
class ItemLine:
    """One event in the queue of a subscription, in words."""

    pk: int
    order_pk: int
    order_id: str
    seq: int
    position: int
    happened: str
    status: str
    queued_at: datetime
    attempts: int
    state: str
    tone: Tone
    detail: str
    is_replay: bool
    is_parked: bool
    is_open: bool


@dataclass(frozen=True, slots=True)
class ItemPage:
    """One page. `next_cursor`: where the next one begins, empty on the last."""

    lines: Sequence[ItemLine]
    next_cursor: str = ""


def read_items(
    subscription_pk: int,
    *,
    channel: str,
    shelf: Shelf,
    cursor: str = "",
    order_id: str = "",
    now: datetime,
    size: int = PAGE_SIZE,
) -> ItemPage:
    """
    This function will read one page of items: waiting and parked oldest first, recent newest first.

    `order_id` narrows to one order. A cursor that is not ours is the first page.
    """
    items = QueueItem.objects.filter(subscription_id=subscription_pk)
    if order_id:
        items = items.filter(pk__in=_of_order(subscription_pk, order_id))
    items = _on_shelf(items, shelf, cursor, is_narrowed=bool(order_id))
    rows = list(items.select_related("event", "order").only(*_READ)[: size + 1])
    more, rows = len(rows) > size, rows[:size]
    return ItemPage(
        [tell_item(row, channel, now) for row in rows],
        _cursor_of(rows[-1], shelf, is_narrowed=bool(order_id)) if more else "",
    )


def tell_item(item: QueueItem, channel: str, now: datetime) -> ItemLine:
    """This function will put one item into words."""
    state, tone, detail = state_of(item, channel, now)
    event = item.event
    return ItemLine(
        pk=item.pk,
        order_pk=item.order_id,
        order_id=item.order.order_id,
        seq=event.seq,
        position=item.position,
        happened=sentence_of(event.kind, event.data),
        status=event.status,
        queued_at=item.queued_at,
        attempts=item.attempts,
        state=state,
        tone=tone,
        detail=detail,
        is_replay=item.is_replay,
        is_parked=item.outcome == Outcome.PARKED,
        is_open=item.outcome == Outcome.OPEN,
    )


def state_of(item: QueueItem, channel: str, now: datetime) -> tuple[str, Tone, str]:
    """This function will tell where an item is, its tone, and what there is to know besides."""
    ended = short(item.ended_at, now) if item.ended_at else ""
    match item.outcome:
        case Outcome.COMMITTED:
            verb = "Acknowledged" if channel == Channel.FEED else "Delivered"
            return f"{verb} {ended}", Tone.GOOD, ""
        case Outcome.PARKED:
            return f"Parked {ended}", Tone.BAD, item.last_error or _tries(item, channel)
        case Outcome.EXPIRED:
            return f"Expired {ended}", Tone.LEAVING, "Nobody acknowledged it within its retention."
        case Outcome.WITHDRAWN:
            return f"Withdrawn {ended}", Tone.GONE, "Its configuration was deleted."
    return _open_state(item, channel, now)


def _open_state(item: QueueItem, channel: str, now: datetime) -> tuple[str, Tone, str]:
    if item.available_at is None:
        return "Behind an earlier one", Tone.NEUTRAL, ""
    if not item.attempts:
        words = "Not asked for yet" if channel == Channel.FEED else "To be delivered"
        return words, Tone.WAIT, ""
    if channel == Channel.FEED:
        return _given(item, now)
    if item.available_at > now:
        when = short(item.available_at, now)
        return f"Next attempt {when}", Tone.WAIT, item.last_error or _tries(item, channel)
    return "Due for another attempt", Tone.WAIT, item.last_error or _tries(item, channel)


def _given(item: QueueItem, now: datetime) -> tuple[str, Tone, str]:
    given = ago(item.leased_at, now) if item.leased_at else "before"
    if item.available_at and item.available_at > now:
        until = short(item.available_at, now)
        return f"Given {given}", Tone.BUSY, f"It has until {until} to acknowledge."
    return "Not acknowledged", Tone.WAIT, f"Given {given}; given again at the next read."


def _tries(item: QueueItem, channel: str) -> str:
    verb = "Given" if channel == Channel.FEED else "Tried"
    return f"{verb} {item.attempts} time{'' if item.attempts == 1 else 's'}."


_READ: Final = (
    "order__order_id",
    "event__seq",
    "event__kind",
    "event__status",
    "event__data",
    "subscription_id",
    "order_id",
    "event_id",
    "position",
    "is_replay",
    "queued_at",
    "available_at",
    "attempts",
    "leased_at",
    "outcome",
    "ended_at",
    "last_error",
)


def _of_order(subscription_pk: int, order_id: str) -> list[int]:
    """By the index of orders alone: with the shelf's order a planner may walk the whole queue."""
    order_pk = Order.objects.filter(order_id=order_id).values_list("pk", flat=True).first()
    if order_pk is None:
        return []
    items = QueueItem.objects.filter(order_id=order_pk, subscription_id=subscription_pk)
    return list(items.order_by("-pk").values_list("pk", flat=True)[:MOST_OF_ORDER])


def _on_shelf(
    items: QuerySet[QueueItem], shelf: Shelf, cursor: str, *, is_narrowed: bool
) -> QuerySet[QueueItem]:
    at, pk = _read_cursor(cursor)
    if shelf is Shelf.RECENT:
        if is_narrowed:
            return items.filter(pk__lt=pk).order_by("-pk") if pk else items.order_by("-pk")
        # What a replay queued again is on the other shelves; by position each event comes once.
        items = items.filter(is_replay=False)
        return (items.filter(position__lt=pk) if pk else items).order_by("-position")
    field = "queued_at" if shelf is Shelf.WAITING else "ended_at"
    items = items.filter(outcome=Outcome.OPEN if shelf is Shelf.WAITING else Outcome.PARKED)
    if pk:
        items = items.filter(Q(**{f"{field}__gt": at}) | Q(**{field: at, "pk__gt": pk}))
        items = items.filter(**{f"{field}__gte": at})  # the part that an index can begin at
    return items.order_by(field, "pk")


def _cursor_of(item: QueueItem, shelf: Shelf, *, is_narrowed: bool) -> str:
    if shelf is Shelf.RECENT:
        return f"0.{item.pk if is_narrowed else item.position}"
    moment: Any = item.queued_at if shelf is Shelf.WAITING else item.ended_at
    return f"{(moment - _EPOCH) // _MICROSECOND}.{item.pk}"


def _read_cursor(cursor: str) -> tuple[datetime, int]:
    at, _, pk = cursor.partition(".")
    if not (is_number(at) and is_number(pk)):
        return _EPOCH, 0
    try:
        return _EPOCH + int(at) * _MICROSECOND, int(pk)
    except OverflowError:
        return _EPOCH, 0


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
