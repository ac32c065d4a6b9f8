"""Hooks delivered by the real dispatcher, against a loop that posts the same and does nothing else."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Final

from feeds.hooks.configuring import configure_hook
from feeds.models import Subscription
from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from tests.bench.feeding import fill_queue
from tests.bench.measuring import Measurement, in_turns
from tests.bench.receiver import AT_ONCE, HOST
from tests.bench.rig import ROOT, Rig

# More than a dispatcher can deliver in a second.
MOST_A_SECOND: Final = 5_000
PATIENCE_SECONDS: Final = 60.0


def measure_hooking(rig: Rig) -> Iterator[Measurement]:
    """This function will measure deliveries a second to one receiver, 32 calls at once."""
    command = [sys.executable, "-m", "tests.bench.receiver", "serve"]
    receiver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        hook = _hook(rig, port)
        yield in_turns(
            f"hook deliveries, one receiver, {AT_ONCE} at once",
            unit="deliveries a second",
            ours=lambda seconds: _dispatched(rig, hook, port, seconds),
            limit=lambda seconds: _called(port, seconds),
            limit_is="a bare aiohttp loop",
            goal=0.4,
            rounds=rig.size.rounds,
            seconds=rig.size.seconds,
            warm_up=rig.size.warm_up,
        )
    finally:
        receiver.terminate()
        receiver.wait(10)


def _hook(rig: Rig, port: int) -> Subscription:
    key, _ = issue_app_key(
        owner_name="Bench hook", scopes=[Scope.FEED_HOOK_ADMIN.value], actor="role:command"
    )
    body = {
        "filter": {"type": "FromWorkflow", "status": []},
        "hook": {"url": f"http://{HOST}:{port}/hook", "headers": {"x-key": "bench"}},
    }
    configure_hook(app_key_id=key.pk, body=body, actor="role:command")
    return Subscription.objects.get(app_key=key)


def _dispatched(rig: Rig, hook: Subscription, port: int, seconds: float) -> float:
    """From the first delivery on: how long a process takes to start is another question."""
    fill_queue(rig, hook.pk, rows=int((seconds + 2) * MOST_A_SECOND))
    before = _count(port)
    process = rig.start("manage.py", "dispatch_hooks", BULKHEAD_ROLE="hooks")
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (first := _count(port)) == before:
            if time.monotonic() > deadline:
                raise RuntimeError("Nothing was delivered: see roles.log.")
            time.sleep(0.01)
        started = time.perf_counter()
        time.sleep(seconds)
        delivered = _count(port) - first
        return delivered / (time.perf_counter() - started)
    finally:
        rig.stop(process)


def _called(port: int, seconds: float) -> float:
    command = [sys.executable, "-m", "tests.bench.receiver", "call", str(port), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout) / seconds


def _count(port: int) -> int:
    with urllib.request.urlopen(f"http://{HOST}:{port}/count", timeout=30) as answer:
        return int(answer.read())
