"""
How many workers one slow connector may keep busy, over all clusters of all hosts.

A slot is a session-level advisory lock: PostgreSQL lets go of it when the connection of a killed
worker dies, so no slot is ever lost. It needs a connection of its own session: no transaction
pooler (pgbouncer in transaction mode) in front of workers.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, connection


@contextmanager
def connector_slot(name: str, slots: int) -> Iterator[bool]:
    """
    This function will hold one of the connector's slots, and yield False when all are taken.

    It never waits: a worker without a slot turns to other work. Use it outside any transaction,
    and not nested for one connector: a session may take the same lock twice.
    """
    key = _take_slot(name, slots)
    try:
        yield key is not None
    finally:
        if key is not None:
            _give_back(key)


def _take_slot(name: str, slots: int) -> int | None:
    # A random order spares a full connector's first slots from being tried by everybody.
    for slot in random.sample(range(slots), slots):
        key = slot_key(name, slot)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
            row = cursor.fetchone()
        if row is not None and row[0]:
            return key
    return None


def _give_back(key: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
    except (DatabaseError, InterfaceError):
        # A lost connection has let go already; an aborted transaction would keep the lock for
        # the rest of the session, so end the session.
        connection.close()


def slot_key(name: str, slot: int) -> int:
    """This function will name a slot by a 64-bit number that every host computes alike."""
    digest = hashlib.blake2b(f"bulkhead connector {name} {slot}".encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big", signed=True)
