"""Hundreds of kills at random while orders keep coming in: counted in the manner of Jepsen."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
import pytest
from django.db import DatabaseError, InterfaceError, connection

from oms.orders.ledger import number_all_events
from tests.factories import order_draft
from tests.faults.clusters import RunningCluster
from tests.faults.conftest import FLOWS
from tests.faults.evidence import percentile
from tests.faults.processes import send, wait_until, wait_until_gone
from tests.faults.rig import RECOVERS_WITHIN, Rig
from workflow.services.placing import place_drafts

BATCH = 5


@dataclass
class Intake:
    """
    Places orders beside the harm done, in batches, and writes down what was acknowledged.

    A batch whose placing fails stays unknown, and another is placed for it: there is always work.
    """

    attempted: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    is_over: bool = False
    _wanted: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def want(self, batches: int) -> None:
        self._wanted.release(batches)

    def end(self) -> None:
        self.is_over = True
        self.want(1)

    def run(self) -> None:
        while self._wanted.acquire() and not self.is_over:
            while not self._place_batch():
                time.sleep(0.2)
        connection.close()

    def _place_batch(self) -> bool:
        drafts = [order_draft(FLOWS[index % len(FLOWS)]) for index in range(BATCH)]
        order_ids = [draft.order_id for draft in drafts]
        self.attempted += order_ids
        try:
            place_drafts(drafts, actor="key:test")
        except (DatabaseError, InterfaceError):
            # The commit may have been done or not: these may be there, wholly, or not.
            connection.close()
            return False
        self.acknowledged += order_ids
        return True


class Killer:
    """Does one harm after another to a running system, and measures until work is done again."""

    def __init__(
        self, rig: Rig, cluster: RunningCluster, intake: Intake, chance: random.Random
    ) -> None:
        self.rig = rig
        self.cluster = cluster
        self.intake = intake
        self.chance = chance
        self.done: Counter[str] = Counter()
        self.recoveries: list[tuple[float, str]] = []
        self._sleepers: list[int] = []
        # Weights: mostly single processes, now and then the whole of it.
        self.harms: dict[str, tuple[int, Callable[[], None]]] = {
            "worker, monitor or pusher": (8, self._kill_child),
            "idle worker holding the queue": (2, self._kill_holder),
            "sentinel": (3, lambda: send(self.cluster.sentinel, signal.SIGKILL)),
            "main": (3, lambda: send(self.cluster.main, signal.SIGKILL)),
            "supervisor": (3, self._kill_supervisor),
            "whole cluster": (2, lambda: os.killpg(self.cluster.group(), signal.SIGKILL)),
            "SIGTERM to the group": (1, lambda: os.killpg(self.cluster.group(), signal.SIGTERM)),
            "SIGSTOP of a child": (2, self._stop_child),
            "queued tasks deleted": (2, self._delete_tasks),
            "PostgreSQL": (2, self._kill_postgres),
            "PostgreSQL backend": (2, self._kill_backend),
            "sandbox": (2, self._kill_sandbox),
        }

    def harm(self, *, batches: int) -> None:
        """
        This function will do one harm, chosen by weight, and wait until work is done again.

        Half of the orders are placed before it and are caught anywhere on their way, half after.
        """
        names = list(self.harms)
        [name] = self.chance.choices(names, weights=[self.harms[name][0] for name in names])
        self.intake.want(batches // 2)
        time.sleep(0.5 * self.chance.random())
        since = time.monotonic()
        with contextlib.suppress(ProcessLookupError, psycopg.OperationalError):
            self.harms[name][1]()
        self.done[name] += 1
        moment = wait_until(self._now, seconds=RECOVERS_WITHIN, what=f"PostgreSQL after {name}")
        self.intake.want(batches - batches // 2)
        wait_until(
            lambda: self._works_since(moment),
            seconds=RECOVERS_WITHIN,
            what=f"work done after {sum(self.done.values())} harms, the last: {name}",
        )
        self.recoveries.append((time.monotonic() - since, name))

    def wake_all(self) -> None:
        for pid in self._sleepers:
            send(pid, signal.SIGCONT)
        self._sleepers.clear()

    def _now(self) -> object:
        with contextlib.suppress(psycopg.OperationalError):
            return self.rig.now()
        return None

    def _works_since(self, moment: object) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            return self.rig.work_done_after(moment)
        return False

    def _kill_child(self) -> None:
        if children := self.cluster.children:
            send(self.chance.choice(children), signal.SIGKILL)

    def _kill_holder(self) -> None:
        if holder := self.cluster.holder_of_the_queue():
            send(holder, signal.SIGKILL)
        else:
            self._kill_child()

    def _stop_child(self) -> None:
        self.wake_all()
        if children := self.cluster.children:
            self._sleepers.append(self.chance.choice(children))
            send(self._sleepers[-1], signal.SIGSTOP)

    def _kill_supervisor(self) -> None:
        everybody = self.cluster.everybody()
        if self.cluster.process is not None:
            self.cluster.process.kill()
            self.cluster.process.wait(5)
        wait_until_gone(everybody, seconds=10, what="orphans of a killed supervisor")
        self.cluster.start()

    def _delete_tasks(self) -> None:
        self.rig.query("DELETE FROM django_q_ormq")

    def _kill_postgres(self) -> None:
        self.rig.postgres.kill()
        self.rig.forget_connection()
        time.sleep(self.chance.random())
        self.rig.postgres.start()

    def _kill_backend(self) -> None:
        if backends := self.rig.backends():
            send(self.chance.choice(backends), signal.SIGKILL)

    def _kill_sandbox(self) -> None:
        self.rig.kill_sandbox()
        time.sleep(self.chance.random())
        self.rig.start_sandbox()


@pytest.mark.heavy
@pytest.mark.timeout(5400)
def test_random_kills_lose_double_and_skip_nothing(
    rig: Rig, cluster: RunningCluster, full_size: bool, report: Callable[[str], None]
) -> None:
    kills, orders = (200, 2_000) if full_size else (10, 150)
    seed = int(os.environ.get("FAULT_SEED", random.randrange(10**6)))
    known = set(rig.stories())
    intake = Intake()
    killer = Killer(rig, cluster, intake, random.Random(seed))
    placing = threading.Thread(target=intake.run, name="intake")
    placing.start()
    try:
        for _ in range(kills):
            killer.harm(batches=orders // kills // BATCH)
            time.sleep(killer.chance.random())
    finally:
        intake.end()
        placing.join()
        killer.wake_all()
    since = time.monotonic()
    rig.wait_for_arrival(intake.acknowledged, since=since)
    drained = time.monotonic() - since
    stories = rig.stories()
    counts = rig.count(
        attempted=intake.attempted,
        acknowledged=intake.acknowledged,
        only=set(stories) - known,
    )
    times = [seconds for seconds, _ in killer.recoveries]
    slowest = max(killer.recoveries)
    report(f"{kills} random kills, seed {seed}: {dict(killer.done)}")
    report(
        f"  {counts.line()}; recovery p50 {percentile(times, 0.5):.1f} s, max {slowest[0]:.1f} s"
        f" ({slowest[1]}); all arrived {drained:.1f} s after the last"
    )
    assert counts.is_clean, counts
    assert rig.doubled_effects() == []
    connection.close()
    number_all_events()
    rig.check_ledger()
