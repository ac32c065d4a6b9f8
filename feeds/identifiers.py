"""The id of an event as integrations know it: one and the same wherever and however often it is given."""

import hashlib
from typing import Final

NAMESPACE: Final = b"bulkhead.order-event:"


def event_id_of(event_pk: int) -> str:
    """
    This function will return 32 upper-case hex characters that stand for an event.

    They follow from its number alone, so redeliveries, replays, hooks and ledger pages agree
    without keeping anything.
    """
    digest = hashlib.md5(NAMESPACE + str(event_pk).encode(), usedforsecurity=False)
    return digest.hexdigest().upper()
