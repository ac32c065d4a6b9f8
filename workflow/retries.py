"""When a step is tried again: one that failed, one that waits for news."""

import random
from datetime import timedelta
from typing import Final

FIRST_DELAY_SECONDS: Final = 2.0
LONGEST_DELAY_SECONDS: Final = 300.0


def retry_delay(attempts: int, *, retry_after: float | None = None) -> float:
    """
    This function will return the seconds to wait after a number of failed attempts (1 or more).

    Doubles from 2 s to 5 min, with half of it jitter so that what failed together does not return
    together. A service's own Retry-After is honored up to the longest delay.
    """
    delay: float = min(FIRST_DELAY_SECONDS * 2 ** (attempts - 1), LONGEST_DELAY_SECONDS)
    jittered = delay * random.uniform(0.5, 1.0)
    if retry_after is None:
        return jittered
    return max(jittered, min(retry_after, LONGEST_DELAY_SECONDS))


# Age of a parcel, up to which: how long until the carrier is asked again. At one pace for all ages
# the parcels of a week would ask more often than a carrier, or two workers, can answer.
TRACKING_PACE: Final = (
    (timedelta(hours=2), timedelta(minutes=5)),
    (timedelta(days=2), timedelta(minutes=30)),
    (timedelta(days=14), timedelta(hours=2)),
    (timedelta(days=60), timedelta(hours=12)),
)


def tracking_pause(age: timedelta) -> timedelta | None:
    """
    This function will return how long to wait before a parcel of this age is asked for again.

    None: no carrier takes so long, a person must look.
    """
    return next((pause for up_to, pause in TRACKING_PACE if age < up_to), None)
