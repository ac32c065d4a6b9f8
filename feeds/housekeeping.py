"""
What feeds and hooks leave behind and nobody looks at any more. Deleted every night.

Nothing that can still be handed out goes, however old, and replays do not need any of it: they
read the ledger, which stays.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import connection

from oms.ops.clock import database_now
from oms.ops.heartbeats import beat

logger = structlog.get_logger(__name__)

ROLE: Final = "backoffice"
# Small deletes, each a transaction of its own: none holds up a reader, a kill loses little.
BATCH: Final = 5_000


def forget_history() -> dict[str, int]:
    """
    This function will delete what ended more than FEED_HISTORY_DAYS ago, and return how much.

    A lost run is made up for by the next night's.
    """
    since = database_now() - timedelta(days=settings.FEED_HISTORY_DAYS)
    forgotten = {
        "items": _forget_items(since),
        "attempts": _forget_oldest(_OLDEST_ATTEMPTS, since),
        "lag_samples": _forget_oldest(_OLDEST_SAMPLES, since),
    }
    logger.info("feeds.history_forgotten", **forgotten)
    return forgotten


def _forget_items(since: datetime) -> int:
    """Items end in any order, so all are walked by, batch by batch along the primary key."""
    total, last = 0, 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_LAST_OF_BATCH, [last, BATCH])
            until = cursor.fetchone()[0]
            if until is None:
                return total
            cursor.execute(_FORGET_ITEMS, [last, until, since])
            deleted: int = cursor.rowcount
        beat(ROLE, work_done=deleted)
        total += deleted
        last = until


_LAST_OF_BATCH: Final = """
    SELECT max(id) FROM (SELECT id FROM feeds_queueitem WHERE id > %s ORDER BY id LIMIT %s) batch
"""
# A resend may be younger than the end of what it sent again: the attempt stays, without its item.
_FORGET_ITEMS: Final = """
    WITH over AS MATERIALIZED (
        SELECT id FROM feeds_queueitem
        WHERE id > %s AND id <= %s AND outcome <> '' AND ended_at < %s
        FOR UPDATE SKIP LOCKED
    ), attempts AS (
        UPDATE feeds_hookattempt SET item_id = NULL WHERE item_id IN (SELECT id FROM over)
    )
    DELETE FROM feeds_queueitem WHERE id IN (SELECT id FROM over)
"""


def _forget_oldest(statement: str, since: datetime) -> int:
    """Rows that are written in the order of their time: the first that is younger ends it."""
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, [BATCH, since])
            deleted: int = cursor.rowcount
        beat(ROLE, work_done=deleted)
        total += deleted
        if deleted < BATCH:
            return total


_OLDEST_ATTEMPTS: Final = """
    DELETE FROM feeds_hookattempt a
    USING (SELECT id FROM feeds_hookattempt ORDER BY id LIMIT %s) oldest
    WHERE a.id = oldest.id AND a.attempted_at < %s
"""
_OLDEST_SAMPLES: Final = """
    DELETE FROM feeds_lagsample s
    USING (SELECT id FROM feeds_lagsample ORDER BY id LIMIT %s) oldest
    WHERE s.id = oldest.id AND s.sampled_at < %s
"""
