"""
What piles up and is over: sessions that ended, task failures and answers to repeated writes from
long ago. Deleted every night.
"""

from typing import Final

import structlog
from django.conf import settings
from django.db import connection

from oms.ops.heartbeats import beat

logger = structlog.get_logger(__name__)

ROLE: Final = "backoffice"
# Small deletes, each a transaction of its own: none holds up a log-in, a kill loses little.
BATCH: Final = 5_000


def forget_what_is_over() -> dict[str, int]:
    """
    This function will delete expired sessions, old task failures and old recorded answers, and
    return how many of each.

    Audit entries, timelines and the ledger are kept for good. A lost run is made up for by the
    next night's.
    """
    forgotten = {
        "sessions": _delete_in_batches(_SESSIONS, {}),
        "task_failures": _delete_in_batches(
            _TASK_RESULTS, {"seconds": settings.FORGET_TASK_FAILURES_AFTER.total_seconds()}
        ),
        "recorded_answers": _delete_in_batches(
            _ANSWERS, {"seconds": settings.IDEMPOTENCY_KEYS_KEPT.total_seconds()}
        ),
    }
    logger.info("housekeeping.done", **forgotten)
    return forgotten


def _delete_in_batches(statement: str, parameters: dict[str, float]) -> int:
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, {**parameters, "batch": BATCH})
            deleted: int = cursor.rowcount
        beat(ROLE, work_done=deleted)
        total += deleted
        if deleted < BATCH:
            return total


_SESSIONS: Final = """
    DELETE FROM django_session WHERE session_key IN (
        SELECT session_key FROM django_session
        WHERE expire_date < statement_timestamp() LIMIT %(batch)s
    )
"""
# django-q2 keeps every failure, whatever `save_limit` says, with the text of its error.
_TASK_RESULTS: Final = """
    DELETE FROM django_q_task WHERE id IN (
        SELECT id FROM django_q_task
        WHERE stopped < statement_timestamp() - make_interval(secs => %(seconds)s)
        LIMIT %(batch)s
    )
"""
# Answers to writes with an Idempotency-Key (`oms.access.answers`).
_ANSWERS: Final = """
    DELETE FROM access_recordedanswer WHERE id IN (
        SELECT id FROM access_recordedanswer
        WHERE answered_at < statement_timestamp() - make_interval(secs => %(seconds)s)
        LIMIT %(batch)s
    )
"""
