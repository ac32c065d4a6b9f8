"""Queries and bodies of what goes beyond the contract: ledger pages, replays, reconciliation."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rest_framework import serializers

from feeds.models import Channel
from feeds.reconciliation import HOUR, LONGEST_WINDOW, Fact, KnownOrder, hour_of
from feeds.replaying import MOST_ORDERS, Wanted
from oms.api.serializers import EARLIEST_YEAR, LATEST_YEAR, TimestampField
from oms.ops.clock import database_now
from oms.orders.models.order import STATUS_NAMES

BIGGEST_POSITION: Final = 2**63 - 1
LONGEST_ORDER_ID: Final = 160
LONGEST_REASON: Final = 2_000
EVENTS_PER_PAGE: Final = 100
MOST_EVENTS_PER_PAGE: Final = 1_000
ORDERS_PER_PAGE: Final = 100
MOST_ORDERS_PER_PAGE: Final = 1_000
MOST_HOURS: Final = LONGEST_WINDOW // HOUR
MOST_KNOWN_ORDERS: Final = 20_000
BIGGEST_COUNT: Final = 2**53
BIGGEST_VERSION: Final = 2**31 - 1
HOURS_BY_DEFAULT: Final = 24

_HOUR_TEXT: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d)(:00(:00(\.0{1,7})?)?)?(Z|\+00:00)?", re.ASCII
)


class EventsQuery(serializers.Serializer[Any]):
    after = serializers.IntegerField(min_value=0, max_value=BIGGEST_POSITION, default=0)
    limit = serializers.IntegerField(
        min_value=1, max_value=MOST_EVENTS_PER_PAGE, default=EVENTS_PER_PAGE
    )
    orderId = serializers.CharField(max_length=LONGEST_ORDER_ID, required=False)


def hour_text(hour: datetime) -> str:
    return f"{hour.astimezone(UTC):%Y-%m-%dT%H:00:00Z}"


class HourField(serializers.Field[datetime, Any, Any, Any]):
    """A whole hour in UTC: `2026-01-31T18`, `2026-01-31T18:00:00Z` and what lies between."""

    def to_internal_value(self, data: Any) -> datetime:
        match = _HOUR_TEXT.fullmatch(data) if isinstance(data, str) else None
        try:
            hour = datetime.fromisoformat(f"{match[1]}:00+00:00") if match else None
        except ValueError:
            hour = None
        if hour is None or not EARLIEST_YEAR <= hour.year <= LATEST_YEAR:
            raise serializers.ValidationError("Expected a whole UTC hour: 2026-01-31T18:00:00Z.")
        return hour

    def to_representation(self, value: datetime) -> str:
        return hour_text(value)


class HourQuery(serializers.Serializer[Any]):
    """One bucket, and which of its orders."""

    hour = HourField()
    after = serializers.CharField(max_length=LONGEST_ORDER_ID, default="", allow_blank=True)
    limit = serializers.IntegerField(
        min_value=1, max_value=MOST_ORDERS_PER_PAGE, default=ORDERS_PER_PAGE
    )


class WindowQuery(serializers.Serializer[Any]):
    """`from` and `to` are widened to whole hours; without them, the last 24 hours that are over."""

    by = serializers.ChoiceField(choices=[fact.value for fact in Fact], default=Fact.VERSION.value)

    def get_fields(self) -> dict[str, Any]:
        ends = {name: TimestampField(required=False) for name in ("from", "to")}
        return {**ends, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        start, end = self.ends(attrs)
        if start >= end:
            raise serializers.ValidationError({"from": "Expected a time before `to`."})
        if end - start > LONGEST_WINDOW:
            raise serializers.ValidationError({"to": "Expected 31 days or less after `from`."})
        return {**attrs, "start": start, "end": end}

    def ends(self, attrs: Mapping[str, Any]) -> tuple[datetime, datetime]:
        """This function will return the whole hours that were asked for."""
        given_start, given_end = attrs.get("from"), attrs.get("to")
        if given_end is not None:
            end = hour_of(given_end)
            if end < given_end:
                end += HOUR
        else:
            end = hour_of(database_now())
            if given_start is not None:
                end = min(hour_of(given_start) + LONGEST_WINDOW, end + HOUR)
        start = end - HOURS_BY_DEFAULT * HOUR if given_start is None else hour_of(given_start)
        return start, end


class BucketBody(serializers.Serializer[Any]):
    """What an integration says that it has of an hour."""

    hour = HourField()
    count = serializers.IntegerField(min_value=0, max_value=BIGGEST_COUNT)
    hash = serializers.RegexField(
        re.compile(r"\A[0-9a-fA-F]{64}\Z", re.ASCII), required=False, allow_blank=True
    )
    totals = serializers.DictField(
        child=serializers.IntegerField(min_value=-BIGGEST_COUNT, max_value=BIGGEST_COUNT),
        required=False,
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["count"] and not attrs.get("hash"):
            raise serializers.ValidationError({"hash": "An hour with orders needs its hash."})
        return attrs


class BucketsBody(WindowQuery):
    """Hours that are not listed have no orders; without `from` and `to`, only listed ones count."""

    def get_fields(self) -> dict[str, Any]:
        hours = serializers.ListField(child=BucketBody(), allow_empty=False, max_length=MOST_HOURS)
        return {**super().get_fields(), "hours": hours}

    def ends(self, attrs: Mapping[str, Any]) -> tuple[datetime, datetime]:
        hours = [bucket["hour"] for bucket in attrs["hours"]]
        if len(set(hours)) < len(hours):
            raise serializers.ValidationError({"hours": "An hour is listed twice."})
        given = {"from": min(hours), "to": max(hours) + HOUR, **attrs}
        start, end = super().ends(given)
        if not start <= min(hours) <= max(hours) < end:
            raise serializers.ValidationError({"hours": "An hour is outside `from` and `to`."})
        return start, end


def _wrong(index: int, field: str, message: str) -> serializers.ValidationError:
    problems: Any = {index: {field: message}}
    return serializers.ValidationError(problems)


class KnownOrdersField(serializers.Field[dict[str, KnownOrder], Any, Any, Any]):
    """
    Orders that an integration has, by id, each with its version or its status.

    Checked by hand: a serializer for each of 20,000 would take seconds.
    """

    def to_internal_value(self, data: Any) -> dict[str, KnownOrder]:
        if not isinstance(data, list):
            raise serializers.ValidationError("Expected a list of orders.")
        if len(data) > MOST_KNOWN_ORDERS:
            raise serializers.ValidationError(f"Expected at most {MOST_KNOWN_ORDERS} orders.")
        known: dict[str, KnownOrder] = {}
        for index, given in enumerate(data):
            order_id = given.get("orderId") if isinstance(given, dict) else None
            if not isinstance(order_id, str) or not 0 < len(order_id) <= LONGEST_ORDER_ID:
                raise _wrong(index, "orderId", "Expected an order id.")
            if order_id in known:
                raise _wrong(index, "orderId", "It is listed twice.")
            known[order_id] = self._known(index, given)
        return known

    def _known(self, index: int, given: dict[str, Any]) -> KnownOrder:
        version, status = given.get("version"), given.get("status")
        if version is not None:
            is_number = isinstance(version, int) and not isinstance(version, bool)
            if not is_number or not 0 <= version <= BIGGEST_VERSION:
                raise _wrong(index, "version", "Expected a version.")
        elif not isinstance(status, str) or status not in STATUS_NAMES:
            raise _wrong(index, "version", "Expected the order's version, or else its status.")
        return KnownOrder(version, status if version is None else None)

    def to_representation(self, value: dict[str, KnownOrder]) -> list[str]:
        return sorted(value)


class HourBody(serializers.Serializer[Any]):
    """`replay` asks for what is missing or older again, on the key's feed or hook."""

    orders = KnownOrdersField()
    replay = serializers.ChoiceField(
        choices=Channel.values, required=False, allow_null=True, default=None
    )


class ReplayBody(serializers.Serializer[Any]):
    """Exactly one beginning, which `feeds.replaying` checks, and at most one end."""

    fromTime = TimestampField(required=False, allow_null=True)
    fromPosition = serializers.IntegerField(
        min_value=1, max_value=BIGGEST_POSITION, required=False, allow_null=True
    )
    orderIds = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_ORDER_ID),
        max_length=MOST_ORDERS,
        required=False,
        allow_null=True,
    )
    untilTime = TimestampField(required=False, allow_null=True)
    untilPosition = serializers.IntegerField(
        min_value=1, max_value=BIGGEST_POSITION, required=False, allow_null=True
    )
    reason = serializers.CharField(
        max_length=LONGEST_REASON, required=False, allow_null=True, allow_blank=True, default=""
    )

    def wanted(self) -> Wanted:
        given = self.validated_data
        return Wanted(
            from_time=given.get("fromTime"),
            from_position=given.get("fromPosition"),
            order_ids=given.get("orderIds"),
            until_time=given.get("untilTime"),
            until_position=given.get("untilPosition"),
        )
