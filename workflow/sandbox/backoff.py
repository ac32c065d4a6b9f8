"""How the trickle waits for an API that is down."""

import asyncio
import random

import structlog

from workflow.sandbox.shop_api import ApiDownError

logger = structlog.get_logger(__name__)

LONGEST_BACKOFF_SECONDS = 60.0


class Backoff:
    """Doubling pauses with jitter while the API is down, one warning per outage."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._failures = 0

    async def wait(self, error: ApiDownError) -> None:
        self._failures += 1
        if self._failures == 1:
            logger.warning("trickle.api_down", cause=str(error))
        seconds = min(LONGEST_BACKOFF_SECONDS, 2.0 ** min(self._failures - 1, 10))
        await asyncio.sleep(seconds * self._chance.uniform(0.5, 1.0))

    def reset(self) -> None:
        self._failures = 0
