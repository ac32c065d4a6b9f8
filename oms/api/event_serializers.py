"""Queries and bodies of what goes beyond the contract: ledger pages, replays, reconciliation."""

from typing import Any, Final

from rest_framework import serializers

BIGGEST_POSITION: Final = 2**63 - 1
LONGEST_ORDER_ID: Final = 160
EVENTS_PER_PAGE: Final = 100
MOST_EVENTS_PER_PAGE: Final = 1_000


class EventsQuery(serializers.Serializer[Any]):
    after = serializers.IntegerField(min_value=0, max_value=BIGGEST_POSITION, default=0)
    limit = serializers.IntegerField(
        min_value=1, max_value=MOST_EVENTS_PER_PAGE, default=EVENTS_PER_PAGE
    )
    orderId = serializers.CharField(max_length=LONGEST_ORDER_ID, required=False)
