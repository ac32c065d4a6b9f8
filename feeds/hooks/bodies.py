"""What a hook says, as the contract spells it. Pure."""

from typing import Any

import orjson

from feeds.hooks.claiming import ClaimedItem
from feeds.wording import domain_of, feed_time

PING = orjson.dumps({"hookConfig": "ping"})


def delivery_body(item: ClaimedItem, *, account: str, app_key: str) -> bytes:
    """This function will write the body of a delivery; it is signed and sent as it is."""
    return orjson.dumps(
        {
            "Domain": domain_of(item.origin),
            "OrderId": item.order_id,
            "State": item.status,
            "LastState": item.last_status,
            # An order's first event has no change before it; the contract knows no null here.
            "LastChange": feed_time(item.last_change_at or item.occurred_at),
            "CurrentChange": feed_time(item.occurred_at),
            "Origin": origin(account, app_key),
        }
    )


def origin(account: str, app_key: str) -> dict[str, Any]:
    """This function will say who sends: what receivers of the anchor compare with their own."""
    return {"Account": account, "Key": app_key}
