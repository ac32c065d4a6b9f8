"""Whatever part of the task cluster dies or stands still, orders go on by themselves."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.clusters import RunningCluster
from tests.faults.conftest import Place, Settle
from tests.faults.processes import is_running, send, wait_until, wait_until_gone
from tests.faults.rig import Rig, leased_workers, moments, workers_calling
from tests.faults.sizes import variant

ORDERS = 30
# Long enough that every worker is caught with calls under way.
SLOW = 0.5


@pytest.fixture
def busy(rig: Rig, cluster: RunningCluster, place: Place) -> tuple[RunningCluster, list[str]]:
    """This fixture will give a cluster in the middle of its work, and the orders it works on."""
    rig.set_fault("delay", seconds=SLOW)
    order_ids = place(ORDERS)
    wait_until(lambda: leased_workers(rig), seconds=15, what="a worker is busy with a call")
    return cluster, order_ids


Busy = tuple[RunningCluster, list[str]]


def test_orders_go_on_when_a_busy_worker_is_killed(rig: Rig, busy: Busy, settle: Settle) -> None:
    _, order_ids = busy
    send(leased_workers(rig)[0], signal.SIGKILL)
    settle(order_ids, since=time.monotonic(), fault="kill -9 of a busy worker")


def test_orders_go_on_when_the_holder_of_the_queue_lock_is_killed(
    rig: Rig, cluster: RunningCluster, place: Place, settle: Settle
) -> None:
    before = cluster.main
    holder = wait_until(cluster.holder_of_the_queue, seconds=10, what="a worker holds the queue")
    send(holder, signal.SIGKILL)
    since = time.monotonic()
    order_ids = place(ORDERS)
    settle(order_ids, since=since, fault="kill -9 of the idle worker that holds the queue")
    assert cluster.main != before, "the cluster stood still and was not replaced"


@variant
def test_orders_go_on_when_all_idle_workers_are_killed(
    cluster: RunningCluster, place: Place, settle: Settle
) -> None:
    for pid in cluster.idle_workers():
        send(pid, signal.SIGKILL)
    since = time.monotonic()
    settle(place(ORDERS), since=since, fault="kill -9 of every idle worker")


@pytest.mark.parametrize("part", ["sentinel", "main", "pusher", "monitor"])
def test_orders_go_on_when_a_part_is_killed(
    cluster: RunningCluster, place: Place, settle: Settle, part: str
) -> None:
    find: Callable[[], int | None] = {
        "sentinel": lambda: cluster.sentinel,
        "main": lambda: cluster.main,
        "pusher": cluster.pusher,
        "monitor": cluster.monitor,
    }[part]
    send(wait_until(find, seconds=10, what=f"the {part} is known"), signal.SIGKILL)
    since = time.monotonic()
    settle(place(ORDERS), since=since, fault=f"kill -9 of the {part}")


def test_orders_go_on_when_the_whole_group_is_killed(busy: Busy, settle: Settle) -> None:
    cluster, order_ids = busy
    group = cluster.group()
    os.killpg(group, signal.SIGKILL)
    settle(order_ids, since=time.monotonic(), fault="kill -9 of the whole cluster")


def test_a_killed_supervisor_takes_its_cluster_along_and_the_next_one_goes_on(
    busy: Busy, settle: Settle
) -> None:
    cluster, order_ids = busy
    everybody = cluster.everybody()
    assert cluster.process is not None
    send(cluster.supervisor, signal.SIGKILL)
    since = time.monotonic()
    cluster.process.wait(5)
    wait_until_gone(everybody, seconds=3, what="orphans of a killed supervisor")
    cluster.start()
    settle(order_ids, since=since, fault="kill -9 of the supervisor, restarted")


@variant
def test_a_supervisor_killed_while_its_cluster_starts_leaves_no_orphan(
    cluster: RunningCluster,
) -> None:
    assert cluster.process is not None
    old = cluster.main
    send(old, signal.SIGKILL)
    young = wait_until(
        lambda: cluster.main if cluster.main != old else 0,
        seconds=15,
        what="main is started again",
    )
    send(cluster.supervisor, signal.SIGKILL)
    cluster.process.wait(5)
    # Still importing: not yet tied to its parent, it must notice by itself.
    wait_until_gone([young], seconds=10, what="a cluster without supervisor")


def test_a_worker_that_slept_past_its_lease_changes_nothing(
    rig: Rig, busy: Busy, settle: Settle
) -> None:
    _, order_ids = busy
    sleeper = leased_workers(rig)[0]
    send(sleeper, signal.SIGSTOP)
    since = time.monotonic()
    settle(order_ids, since=since, fault="SIGSTOP of a worker past its lease")
    versions = rig.query(
        "SELECT order_id, version FROM orders_order WHERE order_id = ANY(%s) ORDER BY 1", order_ids
    )
    assert is_running(sleeper), "the sleeper was ended before it could wake"
    send(sleeper, signal.SIGCONT)
    time.sleep(2 * SLOW + 1)
    assert versions == rig.query(
        "SELECT order_id, version FROM orders_order WHERE order_id = ANY(%s) ORDER BY 1", order_ids
    )
    settle(order_ids, since=time.monotonic(), fault="... and SIGCONT")


@variant
def test_frozen_workers_do_not_keep_a_service_to_themselves(
    rig: Rig, cluster: RunningCluster, place: Place, settle: Settle
) -> None:
    # As many as may call the gateway at once: the slots are theirs as long as their sessions live.
    rig.set_fault("delay", connector="payments", seconds=1.0)
    order_ids = place(ORDERS)
    sleepers: set[int] = set()
    for _ in moments(20):
        for pid in workers_calling(rig, "payments"):
            send(pid, signal.SIGSTOP)
            sleepers.add(pid)
        if len(sleepers) == 2:
            break
        order_ids += place(5)
    since = time.monotonic()
    rig.clear_faults()
    assert len(sleepers) == 2, "no two workers called the gateway at once"
    settle(order_ids, since=since, fault="SIGSTOP of all workers that call one service")
    for pid in sleepers:
        send(pid, signal.SIGCONT)
    time.sleep(1)
    settle(order_ids, since=time.monotonic(), fault="... and SIGCONT")


def test_orders_go_on_after_sigterm_to_the_whole_group(busy: Busy, settle: Settle) -> None:
    cluster, order_ids = busy
    os.killpg(cluster.group(), signal.SIGTERM)
    settle(order_ids, since=time.monotonic(), fault="SIGTERM to the cluster's group")


@variant
def test_sigterm_to_everybody_ends_everybody(busy: Busy, settle: Settle) -> None:
    cluster, order_ids = busy
    everybody = cluster.everybody()
    for pid in everybody:
        send(pid, signal.SIGTERM)
    assert cluster.process is not None
    assert cluster.process.wait(15) == 0
    wait_until_gone(everybody, seconds=1, what="after SIGTERM to all of the unit")
    cluster.start()
    settle(order_ids, since=time.monotonic(), fault="SIGTERM to all of the unit, restarted")


def test_a_stopped_cluster_finishes_its_calls_and_leaves_nobody(
    rig: Rig, busy: Busy, settle: Settle
) -> None:
    cluster, order_ids = busy
    begun = time.monotonic()
    assert cluster.stop() == 0
    assert time.monotonic() - begun < 15
    assert leased_workers(rig) == [], "calls were cut off"
    cluster.start()
    settle(order_ids, since=time.monotonic(), fault="SIGTERM to the supervisor, restarted")


def test_losing_every_queued_task_loses_nothing(
    rig: Rig, cluster: RunningCluster, place: Place, settle: Settle
) -> None:
    cluster.stop()
    order_ids = place(ORDERS)
    assert rig.query("DELETE FROM django_q_ormq RETURNING id")
    cluster.start()
    settle(order_ids, since=time.monotonic(), fault="all queued tasks deleted")


def test_two_clusters_share_the_work_and_survive_the_loss_of_one(
    rig: Rig, busy: Busy, place: Place, settle: Settle
) -> None:
    first, order_ids = busy
    rig.start_cluster()
    order_ids += place(ORDERS)
    group = first.group()
    assert first.process is not None
    first.process.kill()
    since = time.monotonic()
    os.killpg(group, signal.SIGKILL)
    settle(order_ids, since=since, fault="one of two clusters killed")


@variant
def test_a_cluster_that_stands_still_beside_a_working_one_is_replaced(
    rig: Rig, cluster: RunningCluster, place: Place, settle: Settle
) -> None:
    rig.start_cluster()
    before = cluster.main
    holder = wait_until(cluster.holder_of_the_queue, seconds=10, what="a worker holds the queue")
    send(holder, signal.SIGKILL)
    since = time.monotonic()
    settle(place(ORDERS), since=since, fault="queue's holder killed in one of two clusters")
    wait_until(
        lambda: cluster.main not in (0, before), seconds=120, what="the dead one is replaced"
    )


@variant
def test_a_host_on_which_a_start_takes_longer_than_the_limit_still_gets_a_cluster(
    rig: Rig, cluster: RunningCluster, place: Place, settle: Settle
) -> None:
    slowness = 1.3 * float(rig.environment.get("WORKFLOW_STUCK_SECONDS", 20))
    order_ids = place(ORDERS)
    old = cluster.main
    send(old, signal.SIGKILL)
    starts = 0
    while starts == 0 or not is_running(old):
        known = old
        old = wait_until(lambda: new_main(cluster, known), seconds=30, what="a start")  # noqa: B023
        starts += 1
        send(old, signal.SIGSTOP)
        for _ in moments(slowness):
            if not is_running(old):
                break
        send(old, signal.SIGCONT)
        assert starts < 4, "every start is killed for being slow"
    assert starts > 1, "no start was too slow: the test shows nothing"
    settle(order_ids, since=time.monotonic(), fault="each start slower than the limit")


def new_main(cluster: RunningCluster, old: int) -> int:
    return cluster.main if cluster.main != old else 0
