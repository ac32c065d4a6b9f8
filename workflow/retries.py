"""When a failed step is tried again."""

import random
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
