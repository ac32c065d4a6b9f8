"""What an order's columns say that its document says only between the lines."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from oms.orders.documents.errors import NotTaken
from oms.orders.documents.kinds import parse_moment
from oms.orders.models import PaymentStatus
from oms.orders.statuses import DeliveryChannel, Flow, Status

SPLIT_SUFFIX: Final = re.compile(r"(?P<group>.+)-(?P<number>\d{2})", re.ASCII | re.DOTALL)
ESTIMATE: Final = re.compile(r"(?P<amount>\d{1,4})(?P<unit>bd|d|h|m)", re.ASCII)
SATURDAY: Final = 5

UNPAID_STATUSES: Final = frozenset(
    {
        Status.NULL,
        Status.ORDER_CREATED,
        Status.ORDER_CREATE_ERROR,
        Status.ORDER_CREATION_ERROR,
        Status.ORDER_ACCEPTED,
        Status.ON_ORDER_COMPLETED,
        Status.ON_ORDER_COMPLETED_FFM,
        Status.WAITING_FOR_AUTHORIZATION,
        Status.WAITING_FOR_ORDER_AUTHORIZATION,
        Status.PAYMENT_PENDING,
        Status.WINDOW_TO_CHANGE_PAYMENT,
        Status.WAITING_FFMT_AUTHORIZATION,
        Status.WAITING_FOR_MANUAL_AUTHORIZATION,
        Status.WAITING_FOR_MKT_AUTHORIZATION,
    }
)


def flow_of(origin: str, seller_ids: Iterable[str], own_seller_ids: Iterable[str]) -> Flow:
    """
    This function will tell which flow an imported order followed (research vtex-oms 1.1).

    A marketplace order whose sellers are all the store itself is a complete order.
    """
    if origin == "Fulfillment":
        return Flow.FULFILLMENT
    if origin == "Chain":
        return Flow.CHAIN
    return Flow.COMPLETE if set(seller_ids) <= set(own_seller_ids) else Flow.MARKETPLACE


def group_and_split(order_id: str) -> tuple[str, int]:
    """This function will take an order id apart: `115-02` is the second order of group `115`."""
    if match := SPLIT_SUFFIX.fullmatch(order_id):
        return match["group"], int(match["number"])
    return order_id, 1


def logistics_of(shipping_data: Any) -> list[Mapping[str, Any]]:
    """This function will return the well-formed entries of `shippingData.logisticsInfo`."""
    if not isinstance(shipping_data, Mapping):
        return []
    entries = shipping_data.get("logisticsInfo")
    return (
        [entry for entry in entries if isinstance(entry, Mapping)]
        if isinstance(entries, list)
        else []
    )


def delivery_channel_of(logistics: Iterable[Mapping[str, Any]]) -> DeliveryChannel:
    """This function will say pickup as soon as one line is: somebody waits at a counter."""
    for entry in logistics:
        for key in ("selectedDeliveryChannel", "deliveryChannel"):
            if entry.get(key) == DeliveryChannel.PICKUP:
                return DeliveryChannel.PICKUP
    return DeliveryChannel.DELIVERY


def is_express(logistics: Iterable[Mapping[str, Any]], words: Sequence[str]) -> bool:
    """This function will tell whether a chosen delivery option is named by one of `words`."""
    pattern = _words_pattern(tuple(words))
    return pattern is not None and any(
        pattern.search(name) for entry in logistics for name in _chosen_option_names(entry)
    )


@lru_cache(maxsize=8)
def _words_pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    return (
        re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})", re.IGNORECASE) if words else None
    )


def _chosen_option_names(entry: Mapping[str, Any]) -> list[str]:
    chosen = entry.get("selectedSla")
    if not isinstance(chosen, str):
        return []
    options = entry.get("slas")
    named = [
        option["name"]
        for option in (options if isinstance(options, list) else [])
        if isinstance(option, Mapping)
        and option.get("id") == chosen
        and isinstance(option.get("name"), str)
    ]
    return [chosen, *named]


def shipping_estimate_of(logistics: Iterable[Mapping[str, Any]]) -> datetime | None:
    """This function will return the latest promised date: the order is there when all of it is."""
    dates = []
    for entry in logistics:
        try:
            dates.append(parse_moment(entry.get("shippingEstimateDate")))
        except NotTaken:
            continue
    return max((found for found in dates if found), default=None)


def estimate_from(spelled: Any, start: datetime) -> datetime | None:
    """This function will add an estimate (`3bd`, `7d`, `2h`, `30m`) to a time; bd: no weekends."""
    match = ESTIMATE.fullmatch(spelled) if isinstance(spelled, str) else None
    if match is None:
        return None
    amount = int(match["amount"])
    if match["unit"] == "bd":
        return _after_business_days(start, amount)
    return (
        start
        + {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}[
            match["unit"]
        ]
        * amount
    )


def _after_business_days(start: datetime, days: int) -> datetime:
    day: date = start.date()
    while days > 0:
        day += timedelta(days=1)
        days -= day.weekday() < SATURDAY
    return datetime.combine(day, start.timetz(), tzinfo=UTC)


def imported_payment_status(status: str, *, is_authorized: bool) -> PaymentStatus:
    """This function will say where the payment of an imported order in some status stands."""
    if status in {Status.CANCELED, Status.REPLACED}:
        return PaymentStatus.VOIDED
    if status == Status.INVOICED:
        return PaymentStatus.CAPTURED
    if status == Status.PAYMENT_DENIED:
        return PaymentStatus.DENIED
    if status in UNPAID_STATUSES and not is_authorized:
        return PaymentStatus.PENDING
    return PaymentStatus.APPROVED
