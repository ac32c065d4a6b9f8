"""PostgreSQL is the one thing that everything needs: when it is back, everything goes on."""

import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.clusters import RunningCluster
from tests.faults.conftest import Place, Settle
from tests.faults.processes import send, wait_until, wait_until_gone
from tests.faults.rig import Rig, leased_workers
from tests.faults.sizes import variant

ORDERS = 30
SLOW = 0.5


@pytest.fixture
def outage(full_size: bool) -> float:
    """This fixture will tell for how many seconds PostgreSQL stays away."""
    return 30.0 if full_size else 6.0


def work_begun(rig: Rig, place: Place) -> list[str]:
    """This function will place orders and return them as soon as calls for them are under way."""
    rig.set_fault("delay", seconds=SLOW)
    order_ids = place(ORDERS)
    wait_until(lambda: leased_workers(rig), seconds=15, what="a worker is busy with a call")
    return order_ids


@pytest.mark.usefixtures("cluster")
def test_orders_go_on_after_a_crash_of_the_server(rig: Rig, place: Place, settle: Settle) -> None:
    order_ids = work_begun(rig, place)
    rig.postgres.kill()
    rig.forget_connection()
    rig.postgres.start()
    settle(order_ids, since=time.monotonic(), fault="PostgreSQL kill -9, started again")


@variant
@pytest.mark.usefixtures("cluster")
def test_orders_go_on_after_a_crash_of_one_backend(rig: Rig, place: Place, settle: Settle) -> None:
    order_ids = work_begun(rig, place)
    # The server ends all sessions and recovers by itself.
    send(rig.backends()[0], signal.SIGKILL)
    since = time.monotonic()
    wait_until(lambda: not rig.answers(), seconds=5, what="our session ended as well")
    wait_until(rig.answers, seconds=20, what="PostgreSQL has recovered")
    settle(order_ids, since=since, fault="kill -9 of one PostgreSQL backend")


@pytest.mark.usefixtures("cluster")
def test_orders_go_on_after_a_fast_restart(rig: Rig, place: Place, settle: Settle) -> None:
    order_ids = work_begun(rig, place)
    rig.postgres.restart()
    rig.forget_connection()
    settle(order_ids, since=time.monotonic(), fault="PostgreSQL fast restart")


@pytest.mark.parametrize("how", ["silent", pytest.param("refused", marks=variant)])
def test_orders_go_on_after_postgresql_was_unreachable(
    rig: Rig, place: Place, settle: Settle, outage: float, how: str
) -> None:
    rig.start_cluster(DATABASE_URL=rig.url_over_wire())
    order_ids = work_begun(rig, place)
    go_away: Callable[[], None] = {"silent": rig.wire.silence, "refused": rig.wire.cut}[how]
    go_away()
    time.sleep(outage)
    rig.wire.mend()
    settle(order_ids, since=time.monotonic(), fault=f"PostgreSQL unreachable {outage:g} s, {how}")


@variant
@pytest.mark.usefixtures("cluster")
def test_orders_go_on_after_postgresql_was_frozen(
    rig: Rig, place: Place, settle: Settle, outage: float
) -> None:
    order_ids = work_begun(rig, place)
    rig.freeze_postgres()
    time.sleep(outage)
    rig.thaw_postgres()
    settle(order_ids, since=time.monotonic(), fault=f"PostgreSQL frozen {outage:g} s")


@variant
def test_a_cluster_stops_in_time_while_postgresql_is_silent(rig: Rig) -> None:
    cluster: RunningCluster = rig.start_cluster(DATABASE_URL=rig.url_over_wire())
    everybody = cluster.everybody()
    rig.wire.silence()
    time.sleep(2)
    assert cluster.process is not None
    cluster.process.terminate()
    cluster.process.wait(15)
    wait_until_gone(everybody, seconds=1, what="a cluster stopped without PostgreSQL")
