"""Receivers that hang and fail must not make the others wait. Figures are printed."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from aiohttp import web
from django.db import connection
from pytest_django import Settings

from feeds.models import HookAttempt, QueueItem, Subscription
from oms.orders.models import OrderEvent
from oms.orders.statuses import Status
from tests.feeds.hooks.delivering import DispatcherProcess, attempts, make_hook, wait_until
from tests.feeds.hooks.receivers import Received, Receiver, allow_loopback
from tests.workflow.stories import place

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.heavy]

HEALTHY = 3
# Two slow cores that do other work: nobody's p99 is told apart below this.
NOISE_SECONDS = 0.25


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    allow_loopback(settings)


@pytest.fixture
def dispatcher(database_url: str, loopback: None) -> Iterator[DispatcherProcess]:
    process = DispatcherProcess(database_url)
    yield process
    process.kill()


async def hangs(_: Received) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


def fails(_: Received) -> web.StreamResponse:
    return web.Response(status=500)


def queue_many(subscription: Subscription, count: int) -> None:
    """This function will put so many items into a queue, all due, as if each were an order's."""
    event = OrderEvent.objects.latest("id")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO feeds_queueitem (subscription_id, event_id, order_id, position,"
            " is_replay, queued_at, available_at, attempts, outcome, last_error)"
            " SELECT %s, %s, %s, -n, false, now(), now(), 0, '', ''"
            " FROM generate_series(1, %s) AS n",
            [subscription.pk, event.pk, event.order_id, count],
        )


def latencies(receivers: list[Receiver], count: int) -> list[float]:
    """This function will place orders at a steady pace and tell how long each took to each receiver."""
    placed: dict[str, float] = {}
    for _ in range(count):
        order_id = place()
        placed[order_id] = time.monotonic()
        time.sleep(0.05)

    def arrived() -> list[float]:
        return [
            call.begun - placed[call.told["OrderId"]]
            for receiver in receivers
            for call in list(receiver.deliveries)
            if call.told["OrderId"] in placed
        ]

    wait_until(lambda: len(arrived()) >= count * len(receivers))
    return sorted(arrived())


def p99(figures: list[float]) -> float:
    return figures[int(len(figures) * 0.99)]


@pytest.mark.timeout(1800)
def test_a_hanging_and_a_failing_receiver_leave_the_others_as_they_were(
    dispatcher: DispatcherProcess, full_size: bool
) -> None:
    failures, orders = (10_000, 300) if full_size else (1_000, 100)
    with Receiver(hangs) as hanging, Receiver(fails) as failing:
        receivers = [Receiver() for _ in range(HEALTHY)]
        for receiver in receivers:
            receiver.__enter__()
            make_hook(receiver.url, Status.ORDER_CREATED)
        latencies(receivers, 10)
        before = p99(latencies(receivers, orders))
        bad = [make_hook(receiver.url).endpoint.subscription for receiver in (hanging, failing)]
        for subscription in bad:
            queue_many(subscription, failures)
        during = p99(latencies(receivers, orders))
        failed_meanwhile = HookAttempt.objects.filter(
            subscription=bad[1], is_success=False
        ).count()
        wait_until(
            lambda: not QueueItem.objects.filter(subscription=bad[1], attempts=0).exists(),
            1200 if full_size else 200,
        )
        for receiver in receivers:
            receiver.__exit__(None, None, None)
    print(
        f"\nhooks: p99 of {HEALTHY} healthy receivers {before * 1000:.0f} ms alone, "
        f"{during * 1000:.0f} ms beside one that hangs and one that fails "
        f"({failed_meanwhile} failures meanwhile, {failures} in all), "
        f"ratio {during / before:.2f}"
    )
    assert during <= max(2 * before, NOISE_SECONDS)
    assert len(failing.deliveries) >= failures
    assert not any(attempt.is_success for attempt in attempts(bad[0]))
