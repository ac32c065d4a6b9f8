"""
How the trickle's ERP hears of changes: it reads the feed of its key and commits what it took.

What it hears only makes it look sooner. It goes on looking at open orders by itself, seldom, so a
key that may not read a feed, or an API without one, costs it nothing but time.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import structlog

from workflow.sandbox.backoff import Backoff
from workflow.sandbox.shop_api import ApiDownError, ShopApi

logger = structlog.get_logger(__name__)

READ_EVERY_SECONDS = 5.0
SHORTEST_REST_SECONDS = 0.05
NOT_CONFIGURED = 404
# The statuses in which it has something to do, or learns that it has nothing more to do.
CONFIGURATION = {
    "filter": {
        "type": "FromWorkflow",
        "status": [
            "waiting-ffmt-authorization",
            "waiting-for-manual-authorization",
            "window-to-cancel",
            "ready-for-handling",
            "handling",
            "ready-for-invoicing",
            "invoiced",
            "cancellation-requested",
            "canceled",
        ],
    },
    "queue": {
        "visibilityTimeoutInSeconds": 60,
        "MessageRetentionPeriodInSeconds": 345_600,
    },
}


class FeedReader:
    """Reads for ever and tells `on_news` the id of each order that changed, then commits."""

    def __init__(
        self,
        api: ShopApi,
        on_news: Callable[[str], None],
        *,
        pace: float,
        chance: random.Random,
    ) -> None:
        self._api = api
        self._on_news = on_news
        self._rest_seconds = max(READ_EVERY_SECONDS * pace, SHORTEST_REST_SECONDS)
        self._backoff = Backoff(chance)

    async def run(self) -> None:
        """This function will run until it is canceled."""
        while True:
            try:
                has_read = await self._read_once()
            except ApiDownError as error:
                await self._backoff.wait(error)
                continue
            self._backoff.reset()
            if not has_read:
                await asyncio.sleep(self._rest_seconds)

    async def _read_once(self) -> bool:
        status, items = await self._api.read_feed()
        if status == NOT_CONFIGURED:
            await self._configure()
            return True
        if status >= 400 or not isinstance(items, list):
            raise ApiDownError(f"the feed answers HTTP {status}")
        for item in items:
            self._on_news(str(item["orderId"]))
        if items:
            await self._commit([str(item["handle"]) for item in items])
        return bool(items)

    async def _commit(self, handles: list[str]) -> None:
        status, answer = await self._api.commit_feed(handles)
        if status >= 400:
            # They come again when their time is up; hearing of a change twice does no harm.
            logger.warning("trickle.commit_refused", status=status, answer=_short(answer))

    async def _configure(self) -> None:
        status, answer = await self._api.configure_feed(CONFIGURATION)
        if status >= 400:
            raise ApiDownError(f"no feed can be configured: HTTP {status}, {_short(answer)}")
        logger.info("trickle.feed_configured")


def _short(answer: Any) -> str:
    return str(answer)[:200]
