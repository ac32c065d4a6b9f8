"""
The lock of a subscription: exclusive to fill its queue or change it, shared to commit.

Filling asks "does an earlier open item of this order wait?" and committing asks "is there a next
one?": side by side each could miss the other, and an item would wait for ever (ADR 0007). Whoever
ends items that are not the first of their order needs it exclusively too. The lock is a statement
of its own, so that the next one sees what its last holder committed.
"""

from typing import Final

from oms.ops.statements import Statement

# The first of the two numbers of PostgreSQL's advisory locks; the second is the subscription's id.
FEEDS_LOCK_CLASS: Final = int.from_bytes(b"feed", "big", signed=True)


def exclusive_lock(subscription_id: int) -> Statement:
    return Statement("SELECT pg_advisory_xact_lock(%s, %s)", [FEEDS_LOCK_CLASS, subscription_id])


def shared_lock(subscription_id: int) -> Statement:
    return Statement(
        "SELECT pg_advisory_xact_lock_shared(%s, %s)", [FEEDS_LOCK_CLASS, subscription_id]
    )
