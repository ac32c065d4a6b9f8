"""
Calls that somebody waits for: the ping of a configuration, a test. One at a time for each key.

Each holds a thread of web for as long as the receiver pleases, up to the limit of a call: a key
that asked for many at once could keep every thread of web busy with one slow receiver.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from oms.ops.statements import Statement, run_together

# The first of the two numbers of PostgreSQL's advisory locks; the second is the app key's id.
BY_HAND_LOCK_CLASS: Final = int.from_bytes(b"ping", "big", signed=True)


class CallUnderWay(Exception):
    """The key's receiver is being called by hand already."""

    def __init__(self) -> None:
        super().__init__("The receiver is being called by hand right now. Try again in a moment.")


@contextmanager
def calling_alone(app_key_id: int) -> Iterator[None]:
    """This context will hold the one call by hand that a key has; CallUnderWay at once if taken."""
    lock = [BY_HAND_LOCK_CLASS, app_key_id]
    (held,) = run_together(Statement("SELECT pg_try_advisory_lock(%s, %s)", lock))
    if not held[0][0]:
        raise CallUnderWay
    try:
        yield
    finally:
        run_together(Statement("SELECT pg_advisory_unlock(%s, %s)", lock))
