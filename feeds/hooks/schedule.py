"""
When a delivery that failed is tried again. Pure; published in docs/integrators.md.

The delays are those that Standard Webhooks recommends: ten attempts over about 76 hours, then the
item is parked. Each gets up to a tenth on top, so that what failed together does not come back
together; never less than what is published.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MINUTE: Final = 60.0
HOUR: Final = 3600.0
# What is waited after the first, second, ... failure.
DELAYS_SECONDS: Final = (
    5.0,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
ATTEMPTS: Final = len(DELAYS_SECONDS) + 1
JITTER_SHARE: Final = 0.1
# A receiver may ask for patience, not for being forgotten.
LONGEST_RETRY_AFTER_SECONDS: Final = 6 * HOUR
SHORTEST_RETRY_AFTER_SECONDS: Final = 1.0

_SECONDS = re.compile(r"\d{1,12}", re.ASCII)


def delay_after(attempt: int, *, jitter: float, retry_after: float | None = None) -> float | None:
    """
    This function will return the seconds to wait after attempt 1, 2, ... failed; None: no more.

    `jitter` is a number from 0 to 1. What the receiver asked for by Retry-After is waited at
    least, within its bounds.
    """
    if attempt >= ATTEMPTS:
        return None
    delay = DELAYS_SECONDS[max(attempt, 1) - 1] * (1 + JITTER_SHARE * jitter)
    return max(delay, retry_after or 0.0)


def read_retry_after(value: str | None, *, now: datetime) -> float | None:
    """
    This function will read a Retry-After header as seconds from now, within bounds.

    Both spellings of RFC 9110 are read: seconds, or a date. Anything else is as good as absent.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return _bounded(float(text))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _bounded((moment - now).total_seconds())


def _bounded(seconds: float) -> float:
    return min(max(seconds, SHORTEST_RETRY_AFTER_SECONDS), LONGEST_RETRY_AFTER_SECONDS)
