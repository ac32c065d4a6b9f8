"""Placing orders: what was acknowledged is there, what was not is there wholly or not at all."""

import signal
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import connections

from deploy.processes import children_of
from oms.orders.ledger import number_all_events
from tests.faults.evidence import fault_in_story
from tests.faults.processes import is_running, send, wait_until
from tests.faults.rig import Rig
from tests.faults.web import Shopper, half_written, new_shopper, placing_all_the_while


@pytest.fixture
def web(rig: Rig) -> Iterator[int]:
    """This fixture will run the web role and give its first process."""
    process = rig.start_web()
    workers = list(children_of(process.pid))
    yield process.pid
    for pid in (process.pid, *children_of(process.pid), *workers):
        send(pid, signal.SIGKILL)
    process.wait(5)


@pytest.fixture
def shopper(rig: Rig) -> Shopper:
    return new_shopper(rig)


def test_a_web_worker_killed_in_the_middle_of_writes_loses_nothing_acknowledged(
    rig: Rig, web: int, shopper: Shopper, full_size: bool, report: Callable[[str], None]
) -> None:
    kills = 40 if full_size else 6
    gaps = []
    with placing_all_the_while(shopper, "web"):
        for number in range(kills):
            time.sleep(0.3)
            workers = [pid for pid in children_of(web) if is_running(pid)]
            send(workers[number % len(workers)], signal.SIGKILL)
            killed_at, so_far = time.monotonic(), len(shopper.acknowledged)
            wait_until(
                lambda so_far=so_far: len(shopper.acknowledged) > so_far,  # type: ignore[misc]
                seconds=60,
                what="orders are placed again",
            )
            gaps.append(time.monotonic() - killed_at)
    check_placed(rig, shopper, "web")
    unknown = len(shopper.attempted) - len(shopper.acknowledged)
    report(
        f"{kills} kill -9 of web workers: {len(shopper.attempted)} purchases sent,"
        f" {len(shopper.acknowledged)} acknowledged, {unknown} not, next acknowledged after"
        f" {max(gaps):.1f} s at most"
    )
    assert unknown, "no write was hit: the test shows nothing"


def test_placing_again_what_was_not_acknowledged_places_it_once(
    rig: Rig, web: int, shopper: Shopper
) -> None:
    with placing_all_the_while(shopper, "again"):
        for _ in range(3):
            time.sleep(0.5)
            for pid in children_of(web):
                send(pid, signal.SIGKILL)
    for number in set(shopper.attempted) - set(shopper.acknowledged):
        wait_until(lambda n=number: shopper.place(n), seconds=30, what=f"{number} is taken")  # type: ignore[misc]
    rows = rig.query(
        "SELECT count(*), count(DISTINCT marketplace_order_id) FROM orders_order"
        " WHERE marketplace_order_id LIKE 'again-%%' AND split_number = 1"
    )
    purchases = len(set(shopper.attempted))
    assert rows == [(purchases, purchases)]
    check_placed(rig, shopper, "again")


@pytest.mark.usefixtures("web")
def test_web_answers_503_while_postgresql_is_away_and_goes_on_by_itself(
    rig: Rig, shopper: Shopper, report: Callable[[str], None]
) -> None:
    assert shopper.place("away-before")
    rig.postgres.stop()
    rig.forget_connection()
    assert not shopper.place("away-during")
    assert shopper.answers[-1] == 503
    rig.postgres.start()
    since = time.monotonic()
    wait_until(lambda: shopper.place("away-during"), seconds=60, what="orders are placed again")
    report(f"web after PostgreSQL was stopped: {time.monotonic() - since:.1f} s")
    check_placed(rig, shopper, "away")


@pytest.mark.usefixtures("web")
def test_orders_are_placed_and_read_with_everything_else_dead(rig: Rig, shopper: Shopper) -> None:
    rig.keep_one_cluster(healthy=False)
    rig.kill_sandbox()
    for number in range(20):
        assert shopper.place(f"alone-{number}")
    for order_ids in shopper.acknowledged.values():
        for order_id in order_ids:
            document = shopper.read(order_id).json()
            assert document["orderId"] == order_id
            assert document["status"] == "order-created"
            again = shopper.read(f"seq{document['sequence']}").json()
            assert again["orderId"] == order_id
        group = shopper.read(f"order-group/{document['orderGroup']}").json()
        assert sorted(order["orderId"] for order in group) == sorted(order_ids)
    assert any(len(order_ids) > 1 for order_ids in shopper.acknowledged.values())
    check_placed(rig, shopper, "alone")
    # And when the rest is back, they go on.
    rig.start_sandbox()
    rig.start_cluster()
    rig.wait_for_arrival(shopper.order_ids, since=time.monotonic())


def check_placed(rig: Rig, shopper: Shopper, prefix: str) -> None:
    """This function will assert that every purchase is wholly there, or not at all."""
    assert half_written(rig, prefix) == []
    stories = rig.stories(shopper.order_ids)
    assert sorted(stories) == sorted(shopper.order_ids)
    assert [fault for story in stories.values() if (fault := fault_in_story(story))] == []
    rows = rig.query(
        "SELECT DISTINCT marketplace_order_id FROM orders_order WHERE marketplace_order_id LIKE %s",
        f"{prefix}-%",
    )
    assert {number for (number,) in rows} <= set(shopper.attempted), "an order nobody placed"
    connections.close_all()
    number_all_events()
    rig.check_ledger()
