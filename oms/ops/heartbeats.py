"""Heartbeats: each role reports the work it did; silence is what the watcher looks for."""

import os
import socket
from collections.abc import Mapping
from datetime import timedelta

import orjson
from django.db import connection

# The first beat of a process sets `started_at`, also when a restart got the old pid (containers).
_begun: set[tuple[int, str, str]] = set()

_BEAT = """
INSERT INTO ops_heartbeat AS known
    (role, instance, started_at, beat_at, worked_at, work_done, details)
VALUES (%(role)s, %(instance)s, clock_timestamp(), clock_timestamp(),
        CASE WHEN %(work_done)s > 0 THEN clock_timestamp() END, %(work_done)s, %(details)s::jsonb)
ON CONFLICT (role, instance) DO UPDATE SET
    started_at = CASE WHEN %(begins)s THEN excluded.started_at ELSE known.started_at END,
    beat_at = excluded.beat_at,
    worked_at = COALESCE(excluded.worked_at, known.worked_at),
    work_done = known.work_done + excluded.work_done,
    details = excluded.details
"""


def beat(
    role: str,
    *,
    work_done: int = 0,
    details: Mapping[str, object] | None = None,
    instance: str | None = None,
) -> None:
    """
    This function will record that a process of `role` is there and has done `work_done` more.

    One statement, on PostgreSQL's clock. Call it outside transactions: a beat that is rolled back
    or waits for a commit tells nobody anything. `details` holds no personal data.
    """
    name = instance or default_instance()
    begins = (os.getpid(), role, name)
    with connection.cursor() as cursor:
        cursor.execute(
            _BEAT,
            {
                "role": role,
                "instance": name,
                "work_done": work_done,
                "details": orjson.dumps(dict(details or {})).decode(),
                "begins": begins not in _begun,
            },
        )
    _begun.add(begins)


def default_instance() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def age_of(role: str) -> timedelta | None:
    """This function will return the time since any process of `role` last beat; None if never."""
    return _age("beat_at", role)


def idle_time_of(role: str) -> timedelta | None:
    """This function will return the time since `role` last finished any work; None if never."""
    return _age("worked_at", role)


def forget_silent_instances(older_than: timedelta) -> int:
    """This function will delete the rows of processes long gone, and return how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM ops_heartbeat"
            " WHERE beat_at < clock_timestamp() - %s * interval '1 second'",
            [older_than.total_seconds()],
        )
        deleted: int = cursor.rowcount
    return deleted


def _age(column: str, role: str) -> timedelta | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT clock_timestamp() - max({column}) FROM ops_heartbeat WHERE role = %s", [role]
        )
        row: tuple[timedelta | None] = cursor.fetchone()
    return row[0]
