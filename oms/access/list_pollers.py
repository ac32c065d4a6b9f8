"""Which keys walk the order list as if it were a feed, and since when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from oms.access.models import ListPoller


@dataclass(frozen=True, slots=True)
class KnownPoller:
    first_seen_at: datetime
    starting_position: int


def note_list_poller(
    key_id: int, *, pattern: str | None, example: str, request_count: int, position: int
) -> KnownPoller:
    """
    This function will write that a key polls the list, and add to what was known.

    `position` is where the ledger ends before the list is read. A `pattern` of None keeps the one
    seen before.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _NOTE,
            {
                "key_id": key_id,
                "pattern": pattern,
                "example": example,
                "count": request_count,
                "position": position,
            },
        )
        return KnownPoller(*cursor.fetchone())


def list_pollers() -> QuerySet[ListPoller]:
    """This function will return the keys that poll, with their owners, the latest first."""
    return ListPoller.objects.select_related("app_key").order_by("-last_seen_at")


_NOTE: Final = """
    INSERT INTO access_listpoller AS p
        (app_key_id, pattern, example, request_count, starting_position, first_seen_at, last_seen_at)
    VALUES (%(key_id)s, coalesce(%(pattern)s, ''), %(example)s, %(count)s, %(position)s,
            statement_timestamp(), statement_timestamp())
    ON CONFLICT (app_key_id) DO UPDATE SET
        pattern = coalesce(%(pattern)s, p.pattern),
        example = excluded.example,
        request_count = p.request_count + excluded.request_count,
        starting_position = excluded.starting_position,
        last_seen_at = excluded.last_seen_at
    RETURNING first_seen_at, starting_position
"""
