"""
What the order list is narrowed by. Pure: from a query string to facts, and back to links.

Anything unknown in a query string is left out rather than refused: links grow old.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar

from django.http import QueryDict

from oms.backoffice.times import store_zone
from oms.orders.statuses import FINAL_STATUSES, STATUS_LABELS, DeliveryChannel, Status

MAX_TEXT: Final = 80


class State(StrEnum):
    """A quick look at many statuses at once."""

    ANY = ""
    OPEN = "open"
    OVERDUE = "overdue"
    PARKED = "parked"


class Preset(StrEnum):
    ANY = ""
    TODAY = "today"
    YESTERDAY = "yesterday"
    WEEK = "7d"
    MONTH = "30d"


STATE_LABELS: Final = {
    State.ANY: "All",
    State.OPEN: "Open",
    State.OVERDUE: "Over budget",
    State.PARKED: "Stuck",
}
PRESET_LABELS: Final = {
    Preset.ANY: "Any time",
    Preset.TODAY: "Today",
    Preset.YESTERDAY: "Yesterday",
    Preset.WEEK: "Last 7 days",
    Preset.MONTH: "Last 30 days",
}
DELIVERY_LABELS: Final = {
    DeliveryChannel.DELIVERY: "Home delivery",
    DeliveryChannel.PICKUP: "Pickup in store",
}
OPEN_STATUSES: Final = tuple(status for status in Status if status not in FINAL_STATUSES)


@dataclass(frozen=True, slots=True)
class Chip:
    """One active filter in words, and the query string without it."""

    words: str
    without: str


@dataclass(frozen=True, slots=True)
class StatusChoice:
    """One box to tick; `value` names the statuses behind the label, separated by commas."""

    label: str
    value: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class OrderFilters:
    """What was asked for. Empty values ask for nothing. Dates are days of the store's zone."""

    state: State = State.ANY
    statuses: tuple[Status, ...] = ()
    channel: str = ""
    affiliate: str = ""
    seller: str = ""
    delivery: str = ""
    express: bool = False
    when: Preset = Preset.ANY
    from_date: date | None = None
    to_date: date | None = None

    @property
    def is_empty(self) -> bool:
        return self == OrderFilters()

    def placed_between(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """This function will return the first moment that counts and the first one after."""
        today = now.astimezone(store_zone()).date()
        first, last = {
            Preset.TODAY: (today, today),
            Preset.YESTERDAY: (today - timedelta(days=1), today - timedelta(days=1)),
            Preset.WEEK: (today - timedelta(days=6), today),
            Preset.MONTH: (today - timedelta(days=29), today),
        }.get(self.when, (self.from_date, self.to_date))
        return (
            _midnight(first) if first else None,
            _midnight(last + timedelta(days=1)) if last else None,
        )

    def to_query(self) -> QueryDict:
        """This function will spell the filters as a query string does, empty ones left out."""
        query = QueryDict(mutable=True)
        query.setlist("status", [status.value for status in self.statuses])
        texts = {
            "state": self.state.value,
            "channel": self.channel,
            "affiliate": self.affiliate,
            "seller": self.seller,
            "delivery": self.delivery,
            "express": "1" if self.express else "",
            "when": self.when.value,
            "from": self.from_date.isoformat() if self.from_date else "",
            "to": self.to_date.isoformat() if self.to_date else "",
        }
        for name, text in texts.items():
            if text:
                query[name] = text
        if not self.statuses:
            query.pop("status", None)
        return query

    def link(self) -> str:
        return f"?{self.to_query().urlencode()}"


def read_filters(query: QueryDict) -> OrderFilters:
    """This function will read what it knows from a query string and leave out the rest."""
    return OrderFilters(
        state=_choice(State, query.get("state", ""), State.ANY),
        statuses=tuple(dict.fromkeys(_known_statuses(query.getlist("status")))),
        channel=_text(query, "channel"),
        affiliate=_text(query, "affiliate"),
        seller=_text(query, "seller"),
        delivery=_known_delivery(query.get("delivery", "")),
        express=query.get("express") == "1",
        when=_choice(Preset, query.get("when", ""), Preset.ANY),
        from_date=_day(query.get("from", "")),
        to_date=_day(query.get("to", "")),
    )


def delivery_words(delivery: str) -> str:
    return DELIVERY_LABELS[DeliveryChannel(delivery)] if delivery in set(DeliveryChannel) else ""


def chips(filters: OrderFilters, affiliates: dict[str, str]) -> list[Chip]:
    """This function will name each active filter with a link that takes it away."""
    found: list[tuple[str, OrderFilters]] = []
    if filters.state:
        found.append((STATE_LABELS[filters.state], replace(filters, state=State.ANY)))
    for label in dict.fromkeys(STATUS_LABELS[status] for status in filters.statuses):
        others = tuple(s for s in filters.statuses if STATUS_LABELS[s] != label)
        found.append((label, replace(filters, statuses=others)))
    named = affiliates.get(filters.affiliate, filters.affiliate)
    texts: tuple[tuple[str, str], ...] = (
        ("channel", f"Sales channel {filters.channel}"),
        ("affiliate", f"From {named}"),
        ("seller", f"Seller {filters.seller}"),
        ("delivery", delivery_words(filters.delivery)),
    )
    for name, words in texts:
        if getattr(filters, name):
            without: dict[str, Any] = {name: ""}
            found.append((words, replace(filters, **without)))
    if filters.express:
        found.append(("Express", replace(filters, express=False)))
    if filters.when:
        found.append((PRESET_LABELS[filters.when], replace(filters, when=Preset.ANY)))
    elif filters.from_date or filters.to_date:
        days = replace(filters, from_date=None, to_date=None)
        found.append((_days_in_words(filters.from_date, filters.to_date), days))
    return [Chip(words, rest.link()) for words, rest in found]


def _days_in_words(first: date | None, last: date | None) -> str:
    if first and last:
        return f"{first} to {last}" if first != last else str(first)
    return f"since {first}" if first else f"until {last}"


def status_choices(filters: OrderFilters) -> list[StatusChoice]:
    """This function will list the statuses by label: two of the same label are one choice."""
    by_label: dict[str, list[Status]] = {}
    for status in Status:
        by_label.setdefault(STATUS_LABELS[status], []).append(status)
    return [
        StatusChoice(label, ",".join(statuses), is_chosen=set(statuses).issubset(filters.statuses))
        for label, statuses in by_label.items()
    ]


def _known_statuses(names: Iterable[str]) -> Iterable[Status]:
    known = set(Status)
    return (Status(name) for text in names for name in text.split(",") if name in known)


Choice = TypeVar("Choice", bound=StrEnum)


def _choice(kind: type[Choice], text: str, fallback: Choice) -> Choice:
    return kind(text) if text in set(kind) else fallback


def _known_delivery(text: str) -> str:
    return text if text in set(DeliveryChannel) else ""


def _text(query: QueryDict, name: str) -> str:
    return query.get(name, "").replace("\x00", "").strip()[:MAX_TEXT]


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1970 <= day.year <= 9000 else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=store_zone())
