"""Hooks of keys, and dispatchers that deliver them: in a thread, or as processes to be killed."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.db.models import F

from feeds.hooks.configuring import ConfiguredHook, configure_hook
from feeds.hooks.dispatching import Dispatcher
from feeds.models import HookAttempt, QueueItem, Subscription
from oms.access.models import AppKey
from oms.orders.statuses import Status
from tests.feeds.feeding import make_key
from tests.feeds.hooks.receivers import Received

ACTOR = "user:ann"
# Slow cores under load: how long anything that must happen may take.
PATIENCE_SECONDS = 20.0
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def make_hook(
    url: str,
    *statuses: Status,
    key: AppKey | None = None,
    headers: dict[str, str] | None = None,
) -> ConfiguredHook:
    """This function will configure a hook as the API does, ping included."""
    return configure_hook(
        app_key_id=(key or make_key()).pk,
        body={
            "filter": {"type": "FromWorkflow", "status": list(statuses)},
            "hook": {"url": url, "headers": headers or {}},
        },
        actor=ACTOR,
    )


@contextmanager
def dispatching() -> Iterator[Dispatcher]:
    """This function will run a dispatcher in a thread until the block ends."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    holder: list[Dispatcher] = []

    async def run() -> None:
        holder.append(Dispatcher())
        started.set()
        await holder[0].run()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert started.wait(10)
    try:
        yield holder[0]
    finally:
        loop.call_soon_threadsafe(holder[0].stop)
        thread.join(30)
        assert not thread.is_alive()
        loop.close()


class DispatcherProcess:
    """`manage.py dispatch_hooks` beside the test, to be killed, frozen and thawed."""

    def __init__(self, database_url: str, **environment: str) -> None:
        given = {
            "DATABASE_URL": database_url,
            "BULKHEAD_ROLE": "hooks",
            "HOOK_ALLOWED_ADDRESSES": "127.0.0.1/32",
            "HOOK_ALLOW_HTTP": "1",
            "HOOK_PORTS": "any",
            "LOG_LEVEL": "WARNING",
        }
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "dispatch_hooks"],
            env=os.environ | given | environment,
            stdout=subprocess.DEVNULL,
        )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.send_signal(signal.SIGCONT)
        self.process.wait(10)

    def stop(self) -> float:
        """This function will end it by SIGTERM and return the seconds that took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(15) == 0
        return time.monotonic() - begun


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """This function will wait until the condition holds and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "It did not happen."
        time.sleep(0.02)
    return found


def told(calls: list[Received]) -> list[tuple[str, str]]:
    """This function will name deliveries: order and status."""
    return [(call.told["OrderId"], call.told["State"]) for call in calls]


def outcomes(subscription: Subscription) -> list[str]:
    rows = QueueItem.objects.filter(subscription=subscription).order_by("id")
    return list(rows.values_list("outcome", flat=True))


def attempts(subscription: Subscription) -> list[HookAttempt]:
    kept = HookAttempt.objects.filter(subscription=subscription, kind="delivery")
    return list(kept.order_by("id"))


def due_again(subscription: Subscription) -> None:
    """This function will let the time until the next attempt pass, and leave leases alone."""
    failed = QueueItem.objects.filter(
        subscription=subscription, outcome="", hook_attempts__number=F("attempts")
    )
    for pk, attempt in failed.values_list("pk", "attempts"):
        # A dispatcher may have leased it meanwhile: then it is not what was found any more.
        QueueItem.objects.filter(pk=pk, attempts=attempt, outcome="").update(available_at=LONG_AGO)
