"""
A small shop's life, so that a demo has something to look at: orders come in, an ERP handles them.

It knows the public API only. Its ERP hears of changes by the feed of its key. Every act is decided
from the order as the API shows it, so it goes on after any restart, on either side, without a
memory of its own but the list of open orders.
"""

import asyncio
import heapq
import itertools
import random
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from workflow.sandbox.agenda import Agenda, Errand
from workflow.sandbox.backoff import Backoff
from workflow.sandbox.erp import (
    PLANS,
    Act,
    Authorize,
    Cancel,
    Close,
    Invoice,
    Ship,
    StartHandling,
    Wait,
    next_act,
)
from workflow.sandbox.feed_reader import FeedReader
from workflow.sandbox.shop_api import ApiDownError, ShopApi
from workflow.sandbox.shopping import MARKETPLACE, STOREFRONT, invent_order

logger = structlog.get_logger(__name__)

# Seconds between two acts on an order, as (shortest, longest), before `pace`.
PAUSES: Mapping[type[Act], tuple[float, float]] = {
    Authorize: (5.0, 20.0),
    StartHandling: (30.0, 120.0),
    Invoice: (15.0, 60.0),
    Ship: (5.0, 20.0),
    Cancel: (20.0, 30.0),
}
FIRST_LOOK_SECONDS = (3.0, 10.0)
# After the feed told that an order which was waited for has changed.
NEWS_SECONDS = (1.0, 5.0)
LONGEST_WAIT_SECONDS = 120.0
# Looks at orders at once: one slow answer must not hold up the whole shop.
LOOKS_AT_ONCE = 4
# An order whose acts are refused this often is left to the staff.
REFUSALS_TO_GIVE_UP = 5
MARKETPLACE_SHARE = 0.5


class Trickle:
    """Places `orders_per_minute` and sees each through. `pace` scales every pause; 0 has none."""

    def __init__(
        self,
        api: ShopApi,
        agenda: Agenda,
        *,
        orders_per_minute: float,
        pace: float = 1.0,
        seed: int | None = None,
    ) -> None:
        self._api = api
        self._agenda = agenda
        self._orders_per_minute = orders_per_minute
        self._pace = pace
        self._chance = random.Random(seed)
        self._backoff = Backoff(self._chance)
        self._turn = itertools.count()
        self._queue: list[tuple[float, int, float, Errand]] = []
        self._news = asyncio.Event()
        self._refusals: Counter[str] = Counter()
        # The latest entry of each order counts; a resting one may be brought forward by news.
        self._latest: dict[str, int] = {}
        self._resting: dict[str, Errand] = {}
        self._feed = FeedReader(api, self._hear, pace=pace, chance=self._chance)

    async def run(self) -> None:
        """This function will run until it is canceled."""
        async with self._api:
            for errand in self._agenda.all_open():
                self._look_later(errand, self._pause(FIRST_LOOK_SECONDS))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._place_for_ever())
                group.create_task(self._feed.run())
                for _ in range(LOOKS_AT_ONCE):
                    group.create_task(self._see_through_for_ever())

    async def _place_for_ever(self) -> None:
        while True:
            affiliate_id = MARKETPLACE if self._chance.random() < MARKETPLACE_SHARE else STOREFRONT
            number = str(time.time_ns() // 1_000_000)
            await self._place(affiliate_id, invent_order(self._chance, affiliate_id, number))
            # Poisson arrivals: shops have rushes and lulls.
            await asyncio.sleep(self._chance.expovariate(self._orders_per_minute / 60))

    async def _place(self, affiliate_id: str, order: Mapping[str, Any]) -> None:
        """The same body until it is answered: placing is idempotent by the marketplace's id."""
        while True:
            try:
                status, answer = await self._api.place(affiliate_id, order)
            except ApiDownError as error:
                await self._backoff.wait(error)
                continue
            break
        self._backoff.reset()
        order_ids = placed_order_ids(answer)
        if status >= 400 or not order_ids:
            logger.warning("trickle.order_refused", status=status, code=_code(answer))
            return
        for order_id in order_ids:
            plan = self._chance.choices(list(PLANS), weights=list(PLANS.values()))[0]
            errand = Errand(order_id, affiliate_id, order["marketplaceOrderId"], plan)
            self._agenda.open(errand)
            self._look_later(errand, self._pause(FIRST_LOOK_SECONDS))

    async def _see_through_for_ever(self) -> None:
        while True:
            if not self._queue or self._queue[0][0] > time.monotonic():
                await self._rest()
                continue
            _, turn, patience, errand = heapq.heappop(self._queue)
            if self._latest.get(errand.order_id) != turn:
                continue
            self._resting.pop(errand.order_id, None)
            try:
                await self._look_at(errand, patience)
            except ApiDownError as error:
                self._look_later(errand, 0.0, patience)
                await self._backoff.wait(error)
            except Exception:
                # One odd document must not end the demo: the others go on.
                logger.exception("trickle.errand_failed", order_id=errand.order_id)
                self._refusals[errand.order_id] += 1
                self._look_later(errand, patience)
            else:
                self._backoff.reset()

    async def _rest(self) -> None:
        """Sleeps until the next errand is due or a new one arrives."""
        self._news.clear()
        limit = self._queue[0][0] - time.monotonic() if self._queue else None
        try:
            async with asyncio.timeout(limit):
                await self._news.wait()
        except TimeoutError:
            return

    async def _look_at(self, errand: Errand, patience: float) -> None:
        status, order = await self._api.read(errand.order_id)
        has_failed = status >= 400 or self._refusals[errand.order_id] >= REFUSALS_TO_GIVE_UP
        if has_failed:
            logger.warning("trickle.given_up", order_id=errand.order_id, status=status)
            act: Act = Close()
        else:
            act = next_act(order, errand.plan, at=datetime.now(UTC))
        if isinstance(act, Close):
            self._refusals.pop(errand.order_id, None)
            self._latest.pop(errand.order_id, None)
            self._agenda.close(errand)
        elif isinstance(act, Wait):
            # The longer an order rests, the more seldom it is looked at.
            self._look_later(errand, patience, min(patience * 1.5, LONGEST_WAIT_SECONDS))
            self._resting[errand.order_id] = errand
        else:
            await self._act(errand, act)
            self._look_later(errand, self._pause(PAUSES[type(act)]))

    async def _act(self, errand: Errand, act: Act) -> None:
        order_id = errand.order_id
        match act:
            case Authorize():
                status, answer = await self._api.authorize(
                    order_id, errand.affiliate_id, errand.marketplace_order_id
                )
            case StartHandling():
                status, answer = await self._api.start_handling(order_id)
            case Cancel(reason):
                status, answer = await self._api.cancel(order_id, reason)
            case Invoice(body):
                status, answer = await self._api.invoice(order_id, body)
            case Ship(invoice_number, body):
                status, answer = await self._api.ship(order_id, invoice_number, body)
            case _:
                return
        # 409 is a race with somebody else's act: the next look sees the new state.
        if status >= 400 and status != 409:
            self._refusals[order_id] += 1
            logger.warning(
                "trickle.act_refused",
                order_id=order_id,
                act=type(act).__name__,
                status=status,
                code=_code(answer),
            )

    def _hear(self, order_id: str) -> None:
        """What is waited for is looked at soon; what has an act planned takes its time as before."""
        if errand := self._resting.pop(order_id, None):
            self._look_later(errand, self._pause(NEWS_SECONDS))

    def _look_later(self, errand: Errand, seconds: float, patience: float | None = None) -> None:
        first_patience = max(10.0 * self._pace, 0.2)
        due, turn = time.monotonic() + seconds, next(self._turn)
        self._latest[errand.order_id] = turn
        entry = (due, turn, patience or first_patience, errand)
        heapq.heappush(self._queue, entry)
        self._news.set()

    def _pause(self, bounds: tuple[float, float]) -> float:
        return self._chance.uniform(*bounds) * self._pace


def placed_order_ids(answer: Any) -> list[str]:
    """
    This function will find the order ids in the answer to a placed purchase.

    The contract shows one object with an `orderId`, its service answers a list of them. A
    purchase that was split by seller names all its orders in `orderIds`.
    """
    if isinstance(answer, list):
        return list(dict.fromkeys(itertools.chain(*map(placed_order_ids, answer))))
    if not isinstance(answer, dict):
        return []
    parts, own = answer.get("orderIds"), answer.get("orderId")
    if isinstance(parts, list) and parts:
        return [str(part) for part in parts]
    return [own] if isinstance(own, str) else []


def _code(answer: Any) -> str | None:
    error = answer.get("error") if isinstance(answer, dict) else None
    return str(error.get("code")) if isinstance(error, dict) else None
