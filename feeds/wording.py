"""How events are spelled for integrations, on feed, hook and ledger pages alike."""

from datetime import datetime
from typing import overload

from oms.orders.documents.kinds import moment_text

FULFILLMENT = "Fulfillment"
MARKETPLACE = "Marketplace"


def domain_of(origin: str) -> str:
    """This function will return the contract's `domain` of an order's origin: one of two words."""
    return FULFILLMENT if origin == FULFILLMENT else MARKETPLACE


@overload
def feed_time(moment: datetime) -> str: ...
@overload
def feed_time(moment: None) -> None: ...
@overload
def feed_time(moment: datetime | None) -> str | None: ...
def feed_time(moment: datetime | None) -> str | None:
    """This function will spell a time as feeds do: UTC as `Z`, seven fraction digits."""
    spelled = moment_text(moment)
    return None if spelled is None else spelled.removesuffix("+00:00") + "Z"
