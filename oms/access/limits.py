"""
How many requests a minute a key may make: counted in PostgreSQL, spent in memory.

A worker takes a share of the key's minute by one statement and spends it without asking again, so
most requests cost no statement, and all workers of all hosts together never spend more than the
limit. The minute is PostgreSQL's; a share ends with it. What a worker has taken and not spent
when the rest is used up is lost for that minute, so shares shrink toward the end.

A limiter that fails lets requests pass: losing the count must not cost an ERP its feed.
"""

import threading
import time
from dataclasses import dataclass
from typing import Final

import structlog
from django.db import DatabaseError, transaction

from oms.ops.statements import Statement, run_together

# The whole interface of a key at even speed: one statement a second and worker.
SHARES_A_MINUTE: Final = 60
# Of what is left, a worker takes this part at most.
PART_OF_THE_REST: Final = 8
PAUSE_AFTER_FAILURE_SECONDS: Final = 5.0
MAX_KNOWN_SHARES: Final = 20_000

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands after a request. `remaining` may be less by what other workers hold."""

    limit: int
    remaining: int
    seconds_left: float
    is_exceeded: bool


@dataclass(slots=True)
class _Share:
    """What this process holds of a key's minute, and what was left for all when it took it."""

    limit: int
    left: int
    rest: int
    ends_at: float  # on this process's monotonic clock


_shares: dict[tuple[int, str], _Share] = {}
_lock = threading.Lock()
_paused_until = 0.0


def spend(key_id: int, bucket: str, limit: int) -> Standing | None:
    """
    This function will spend one request of a key's minute and say where the key stands.

    Returns None when nobody can tell at the moment: the request goes on.
    """
    name = (key_id, bucket)
    if (standing := _spend_held(name, limit)) is not None:
        return standing
    if time.monotonic() < _paused_until:
        return None
    try:
        return _spend_from_new_share(name, limit)
    except DatabaseError as error:
        _pause(error)
        return None


def forget_shares() -> None:
    """This function will empty this process's memory of shares (tests)."""
    global _paused_until
    with _lock:
        _shares.clear()
        _paused_until = 0.0


def size_of_share(limit: int, rest: int) -> int:
    """This function will say how much of a minute to take at once when `rest` is left for all."""
    return max(1, min(limit // SHARES_A_MINUTE, rest // PART_OF_THE_REST))


def _spend_held(name: tuple[int, str], limit: int) -> Standing | None:
    """Spends from what is held; None where a share must be taken first."""
    with _lock:
        share = _shares.get(name)
        seconds_left = share.ends_at - time.monotonic() if share else 0.0
        if share is None or seconds_left <= 0 or share.limit != limit:
            return None
        if share.left > 0:
            share.left -= 1
            return Standing(limit, share.left + share.rest, seconds_left, is_exceeded=False)
        if share.rest == 0:
            return Standing(limit, 0, seconds_left, is_exceeded=True)
        return None


def _spend_from_new_share(name: tuple[int, str], limit: int) -> Standing:
    """Takes a share and spends its first request itself: no other thread can spend it before."""
    now = time.monotonic()  # before the statement: the share then ends a little early, never late
    held = _shares.get(name)
    is_current = held is not None and held.limit == limit and now < held.ends_at
    size = size_of_share(limit, held.rest if held is not None and is_current else limit)
    total, seconds_left = _take(name, size)
    granted = max(0, min(size, limit - (total - size)))
    rest = max(0, limit - total)
    with _lock:
        if len(_shares) >= MAX_KNOWN_SHARES:
            _shares.clear()
        held = _shares.get(name)
        is_current = held is not None and held.limit == limit and now < held.ends_at
        left = held.left if held is not None and is_current else 0
        is_exceeded = left + granted == 0
        left = max(0, left + granted - 1)
        _shares[name] = _Share(limit, left, rest, now + seconds_left)
    return Standing(limit, left + rest, seconds_left, is_exceeded)


def _take(name: tuple[int, str], size: int) -> tuple[int, float]:
    """Takes from the minute and returns all that is taken of it, and the seconds left of it."""
    with transaction.atomic():
        # Whoever holds this row holds it for one statement; if not, nobody waits for it.
        _, taken = run_together(
            Statement("SET LOCAL lock_timeout = '200ms'"), Statement(_TAKE, [*name, size])
        )
    total, seconds_left = taken[0]
    return total, seconds_left


def _pause(error: DatabaseError) -> None:
    global _paused_until
    _paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
    logger.warning("access.limiter_failed", error=type(error).__name__)


# `taken` may pass the limit: how much of a share is granted follows from where it began.
_TAKE: Final = """
    INSERT INTO access_usedquota AS q (app_key_id, bucket, minute, taken)
    VALUES (%s, %s, date_trunc('minute', statement_timestamp()), %s)
    ON CONFLICT (app_key_id, bucket) DO UPDATE SET
        taken = excluded.taken + CASE WHEN q.minute >= excluded.minute THEN q.taken ELSE 0 END,
        minute = greatest(q.minute, excluded.minute)
    RETURNING taken,
              extract(epoch FROM minute + interval '1 minute' - clock_timestamp())::float8
"""
