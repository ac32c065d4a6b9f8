"""Dispatchers that are killed, frozen and stopped; a PostgreSQL that goes and comes back."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from aiohttp import web
from django.db import connection
from pytest_django import Settings

from feeds.hooks.claiming import lease_seconds
from feeds.models import HookEndpoint, QueueItem
from oms.orders.statuses import Status
from tests.feeds.hooks.delivering import (
    DispatcherProcess,
    attempts,
    make_hook,
    outcomes,
    wait_until,
)
from tests.feeds.hooks.receivers import Received, Receiver, allow_loopback
from tests.workflow.stories import place, place_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    allow_loopback(settings)


Start = Callable[[], DispatcherProcess]


@pytest.fixture
def start(database_url: str, loopback: None) -> Iterator[Start]:
    """This fixture will start dispatchers, and leave none of them behind."""
    started: list[DispatcherProcess] = []

    def begin() -> DispatcherProcess:
        started.append(DispatcherProcess(database_url))
        return started[-1]

    yield begin
    for process in started:
        process.kill()


def slowly(released: threading.Event) -> Callable[[Received], object]:
    """A receiver that takes its first call and answers it only when the test says so."""
    calls: list[Received] = []

    async def answer(call: Received) -> web.StreamResponse:
        calls.append(call)
        if len(calls) == 1:
            while not released.is_set():
                await asyncio.sleep(0.01)
        return web.Response()

    return answer


def test_a_dispatcher_killed_between_call_and_record_leaves_one_delivered_row(
    start: Start,
) -> None:
    released = threading.Event()
    with Receiver(slowly(released)) as receiver:  # type: ignore[arg-type]
        subscription = make_hook(receiver.url, Status.ORDER_CREATED).endpoint.subscription
        victim = start()
        place()
        wait_until(lambda: len(receiver.deliveries) == 1)
        victim.kill()
        killed_at = time.monotonic()
        released.set()
        start()
        wait_until(lambda: outcomes(subscription) == ["committed"], 40)
        recovered = time.monotonic() - killed_at
    first, second = receiver.deliveries
    print(f"\nhooks: delivered again {recovered:.1f} s after a kill, lease {lease_seconds():g} s")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    (kept,) = attempts(subscription)
    assert (kept.number, kept.is_success) == (2, True)


def test_a_frozen_dispatcher_that_thaws_changes_nothing(start: Start) -> None:
    """It froze during a call; its lease ended, another delivered; then it got its answer."""
    released = threading.Event()
    with Receiver(slowly(released)) as receiver:  # type: ignore[arg-type]
        subscription = make_hook(receiver.url, Status.ORDER_CREATED).endpoint.subscription
        frozen = start()
        place()
        wait_until(lambda: len(receiver.deliveries) == 1)
        frozen.signal(signal.SIGSTOP)
        released.set()
        start()
        wait_until(lambda: outcomes(subscription) == ["committed"], 40)
        ended_at = QueueItem.objects.get().ended_at
        health = HookEndpoint.objects.values().get()
        frozen.signal(signal.SIGCONT)
        time.sleep(2.0)
        item = QueueItem.objects.get()
        (kept,) = attempts(subscription)
        assert (item.outcome, item.ended_at, item.attempts) == ("committed", ended_at, 2)
        assert kept.number == 2
        assert HookEndpoint.objects.values().get() == health
        # It works on as before.
        place()
        wait_until(lambda: outcomes(subscription) == ["committed"] * 2)
    assert len(receiver.deliveries) == 3


def test_a_dispatcher_told_to_stop_lets_its_calls_end_and_writes_them(start: Start) -> None:
    async def takes_a_second(_: Received) -> web.StreamResponse:
        await asyncio.sleep(1.0)
        return web.Response()

    with Receiver(takes_a_second) as receiver:
        subscription = make_hook(receiver.url, Status.ORDER_CREATED).endpoint.subscription
        dispatcher = start()
        for _ in range(30):
            place()
        wait_until(lambda: receiver.deliveries)
        seconds = dispatcher.stop()
    print(f"\nhooks: stopped in {seconds:.1f} s with calls under way")
    assert seconds < 6.0
    delivered = outcomes(subscription).count("committed")
    assert delivered == len(receiver.deliveries) == len(attempts(subscription)) > 0
    # What was leased ahead is given back as if it had never been taken.
    waiting = QueueItem.objects.filter(outcome="")
    assert waiting.count() == 30 - delivered
    assert set(waiting.values_list("attempts", flat=True)) <= {0}


def test_two_dispatchers_deliver_each_event_once(start: Start) -> None:
    with Receiver() as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        start()
        start()
        for _ in range(5):
            place_in(Status.HANDLING)
        wait_until(
            lambda: (
                QueueItem.objects.exists()
                and set(outcomes(subscription)) == {"committed"}
                and len(outcomes(subscription)) >= 50
            )
        )
    ids = [call.headers["webhook-id"] for call in receiver.deliveries]
    assert len(ids) == len(set(ids)) == len(outcomes(subscription))
    by_order: dict[str, list[str]] = {}
    for call in receiver.deliveries:
        by_order.setdefault(call.told["OrderId"], []).append(call.told["CurrentChange"])
    assert all(times == sorted(times) for times in by_order.values())


def test_a_dispatcher_outlives_the_loss_of_its_sessions(start: Start) -> None:
    """What a restart of PostgreSQL does to it: every session of its own ends."""
    with Receiver() as receiver:
        subscription = make_hook(receiver.url, Status.ORDER_CREATED).endpoint.subscription
        start()
        for number in range(1, 4):
            place()
            wait_until(lambda: outcomes(subscription) == ["committed"] * number)  # noqa: B023
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE application_name = 'bulkhead-hooks'"
                )
                assert cursor.fetchone()[0] > 0
    assert len(receiver.deliveries) == 3
