"""The feed needs web and PostgreSQL, nothing else; and survives what happens to either."""

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, connection

from deploy.processes import children_of
from oms.orders.statuses import Flow
from tests.factories import order_draft
from tests.faults.consumers import FeedReader, new_headers
from tests.faults.deliveries import DeliveryCounts, Received
from tests.faults.evidence import percentile
from tests.faults.feeds import emitted, last_position
from tests.faults.processes import send, wait_until
from tests.faults.rig import Rig
from tests.faults.sizes import variant
from tests.faults.web import half_written, new_shopper, placing_all_the_while
from workflow.services.placing import place_drafts

EVERYTHING: dict[str, Any] = {"type": "FromWorkflow", "status": []}
DRAIN_SECONDS = 240
BATCH = 5


@pytest.fixture
def web(rig: Rig) -> Iterator["subprocess.Popen[bytes]"]:
    """This fixture will run the web role alone: no cluster, no hooks, no sandbox, no search."""
    rig.keep_one_cluster(healthy=False)
    process = rig.start_web()
    workers = list(children_of(process.pid))
    yield process
    for pid in (process.pid, *children_of(process.pid), *workers):
        send(pid, signal.SIGKILL)
    process.wait(5)


def new_reader(rig: Rig, name: str, *, visibility_seconds: int = 2) -> FeedReader:
    """This function will make a key whose feed has every event from now on."""
    reader = FeedReader(rig.web_url, new_headers(name), Received(name), visibility_seconds)
    before = last_position(rig)
    assert reader.configure(EVERYTHING) == 200
    reader.received.promise.begin(
        lambda event: event.status != event.last_status, before=before, after=last_position(rig)
    )
    return reader


def place(count: int) -> bool:
    """This function will place orders in one transaction; False where PostgreSQL was away."""
    try:
        place_drafts([order_draft(Flow.COMPLETE) for _ in range(count)], actor="key:test")
    except (DatabaseError, InterfaceError):
        connection.close()
        return False
    return True


@contextmanager
def placing_and_reading(*readers: FeedReader) -> Iterator[None]:
    """This context will place orders and read and commit all the while, until it ends."""
    stop = threading.Event()

    def place_on() -> None:
        while not stop.is_set():
            stop.wait(0.02 if place(BATCH) else 0.2)
        connection.close()

    def read_on(reader: FeedReader) -> None:
        while not stop.is_set():
            if not (reader.read() and reader.commit(list(reader.held))):
                stop.wait(0.05)

    threads = [threading.Thread(target=place_on)]
    threads += [threading.Thread(target=read_on, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def settled(rig: Rig, reader: FeedReader) -> DeliveryCounts:
    """This function will empty the feed and assert that all came, in order, and was committed."""
    reader.drain(seconds=DRAIN_SECONDS)
    counts = reader.received.count(emitted(rig))
    assert counts.is_clean, counts
    assert counts.emitted > 0
    return counts


@pytest.mark.usefixtures("web")
def test_the_feed_serves_with_search_workflow_hooks_and_sandbox_dead(
    rig: Rig, report: Callable[[str], None]
) -> None:
    rig.kill_sandbox()
    reader = new_reader(rig, "alone")
    for _ in range(4):
        assert place(BATCH)
        # The next GET has what was committed before it.
        items = reader.read()
        assert len(items) == BATCH
        assert reader.commit(items)
    report(f"feed alone: {settled(rig, reader).line()}")
    assert set(reader.answers) == {200}


def test_a_killed_web_worker_loses_no_event_and_repeats_only_expired_leases(
    rig: Rig, web: "subprocess.Popen[bytes]", full_size: bool, report: Callable[[str], None]
) -> None:
    reader = new_reader(rig, "web killed")
    with placing_and_reading(reader):
        for _ in range(40 if full_size else 5):
            time.sleep(0.4)
            if workers := list(children_of(web.pid)):
                send(workers[0], signal.SIGKILL)
    report(f"web workers killed: {settled(rig, reader).line()}")
    assert set(reader.answers) <= {200, 0}


@pytest.mark.timeout(600)
def test_a_rolling_restart_answers_every_call(
    rig: Rig, web: "subprocess.Popen[bytes]", full_size: bool, report: Callable[[str], None]
) -> None:
    reader = new_reader(rig, "rolling restart")
    with placing_and_reading(reader):
        for _ in range(10 if full_size else 2):
            time.sleep(1)
            # gunicorn starts new workers and lets the old ones end their requests.
            send(web.pid, signal.SIGHUP)
            time.sleep(2)
    report(f"rolling restart: {settled(rig, reader).line()}; {dict(Counter(reader.answers))}")
    assert not {status for status in reader.answers if status >= 500}


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("how", ["kill", pytest.param("restart", marks=variant)])
def test_postgresql_gone_is_503_and_never_500_and_nothing_is_lost(
    rig: Rig, full_size: bool, report: Callable[[str], None], how: str
) -> None:
    reader = new_reader(rig, f"PostgreSQL {how}")
    slowest = 0.0
    with placing_and_reading(reader):
        for _ in range(30 if full_size else 3):
            time.sleep(0.5)
            _take_away(rig, how)
            since, good = time.monotonic(), reader.answers.count(200)
            wait_until(
                lambda good=good: reader.answers.count(200) > good + 1,  # type: ignore[misc]
                seconds=60,
                what="the feed answers again",
            )
            slowest = max(slowest, time.monotonic() - since)
    answers = dict(Counter(reader.answers))
    report(
        f"PostgreSQL {how}: back after {slowest:.1f} s; {answers}; {settled(rig, reader).line()}"
    )
    assert set(reader.answers) <= {200, 503}


def _take_away(rig: Rig, how: str) -> None:
    if how == "restart":
        rig.postgres.restart()
    else:
        rig.postgres.kill()
        rig.postgres.start()
    rig.forget_connection()


@variant
@pytest.mark.usefixtures("web")
def test_a_killed_backend_of_the_feed_costs_one_answer(
    rig: Rig, report: Callable[[str], None]
) -> None:
    reader = new_reader(rig, "backend killed")
    with placing_and_reading(reader):
        time.sleep(1)
        send(rig.backends("bulkhead-web")[0], signal.SIGKILL)
        time.sleep(3)
    report(f"web's backend killed: {settled(rig, reader).line()}")
    assert set(reader.answers) <= {200, 503}


@pytest.fixture
def web_over_wire(rig: Rig) -> Iterator["subprocess.Popen[bytes]"]:
    """This fixture will run the web role alone, PostgreSQL behind a wire that can be disturbed."""
    rig.keep_one_cluster(healthy=False)
    process = rig.start_web(DATABASE_URL=rig.url_over_wire())
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(5)


@pytest.mark.usefixtures("web_over_wire")
def test_a_slow_postgresql_makes_no_storm_of_repeats(
    rig: Rig, full_size: bool, report: Callable[[str], None]
) -> None:
    reader = new_reader(rig, "slow PostgreSQL", visibility_seconds=60)
    with placing_and_reading(reader):
        rig.wire.slow(0.5 if full_size else 0.1)
        time.sleep(20 if full_size else 4)
        rig.wire.slow(0)
    counts = settled(rig, reader)
    report(f"slow PostgreSQL: {dict(Counter(reader.answers))}; {counts.line()}")
    assert counts.repeated == 0
    assert set(reader.answers) <= {200, 503}


@pytest.mark.usefixtures("web_over_wire")
def test_a_wire_that_goes_silent_in_the_middle_of_commits_leaves_whole_orders_and_their_events(
    rig: Rig, full_size: bool, report: Callable[[str], None]
) -> None:
    reader, shopper = new_reader(rig, "silent wire"), new_shopper(rig, seed=2)
    with placing_all_the_while(shopper, "silent"):
        for _ in range(8 if full_size else 2):
            time.sleep(1)
            rig.wire.silence()
            time.sleep(2)
            rig.wire.mend()
    assert half_written(rig, "silent") == []
    counts = settled(rig, reader)
    told = {delivery.order_id for delivery in reader.received.deliveries}
    assert set(shopper.order_ids) <= told
    unknown = len(shopper.attempted) - len(shopper.acknowledged)
    report(f"silent wire: {unknown} of {len(shopper.attempted)} placings unknown; {counts.line()}")
    assert set(shopper.answers) <= {200, 503, 0}


@pytest.mark.usefixtures("web")
def test_a_key_that_never_commits_gets_its_items_again_and_harms_no_other(
    rig: Rig, report: Callable[[str], None]
) -> None:
    silent = new_reader(rig, "never commits", visibility_seconds=1)
    other = new_reader(rig, "commits")
    assert place(BATCH)
    first = {item["eventId"] for item in silent.read()}
    assert len(first) == BATCH
    assert silent.read() == []
    wait_until(lambda: len(silent.read()) == BATCH, seconds=5, what="the lease ran out")
    assert {delivery.event_id for delivery in silent.received.deliveries} == first
    report(f"a neighbor never commits: {settled(rig, other).line()}")
    assert silent.quantity() == BATCH


@pytest.mark.usefixtures("web")
def test_twenty_readers_of_one_key_never_hold_an_item_together(
    rig: Rig, full_size: bool, report: Callable[[str], None]
) -> None:
    shared = new_reader(rig, "twenty readers", visibility_seconds=30)
    readers = [
        FeedReader(rig.web_url, shared.headers, shared.received, shared.visibility_seconds)
        for _ in range(20)
    ]
    for _ in range(200 if full_size else 40):
        assert place(BATCH)

    def read_all(reader: FeedReader) -> int:
        taken = 0
        while items := reader.read():
            taken += len(items)
            assert reader.commit(items)
        return taken

    with ThreadPoolExecutor(len(readers)) as threads:
        taken = sum(threads.map(read_all, readers))
    counts = settled(rig, shared)
    report(f"twenty readers: {counts.line()}")
    assert taken <= counts.emitted
    assert counts.repeated == 0


@pytest.mark.usefixtures("web")
def test_a_filter_changed_again_and_again_misses_nothing_after_its_200(
    rig: Rig, full_size: bool, report: Callable[[str], None]
) -> None:
    reader = new_reader(rig, "changed filter")
    filters: list[dict[str, Any]] = [
        {"type": "FromWorkflow", "status": ["order-created"]},
        {"type": "FromOrders", "expression": "value > 0", "disableSingleFire": True},
        EVERYTHING,
        {"type": "FromWorkflow", "status": ["invoiced"]},
    ]
    wanted = [
        lambda event: event.status == "order-created" != event.last_status,
        lambda event: True,
        lambda event: event.status != event.last_status,
        lambda event: event.status == "invoiced" != event.last_status,
    ]
    with placing_and_reading(reader):
        for number in range(60 if full_size else 8):
            time.sleep(0.2)
            before = last_position(rig)
            assert reader.configure(filters[number % 4]) == 200
            after = last_position(rig)
            reader.received.promise.begin(wanted[number % 4], before=before, after=after)
    report(f"changed filter: {settled(rig, reader).line()}")


@pytest.mark.heavy
@pytest.mark.usefixtures("web")
def test_a_burst_drains_and_the_api_stays_quick(
    rig: Rig, full_size: bool, report: Callable[[str], None]
) -> None:
    reader = new_reader(rig, "burst", visibility_seconds=60)
    changes = 10_000 if full_size else 1_000
    spent: list[float] = []
    stop = threading.Event()

    def call_on() -> None:
        while not stop.is_set():
            started = time.monotonic()
            reader.quantity()
            spent.append(time.monotonic() - started)
            stop.wait(0.1)

    caller = threading.Thread(target=call_on)
    caller.start()
    started = time.monotonic()
    for _ in range(changes // 100):
        assert place(100)
    placed_in = time.monotonic() - started
    while items := reader.read():
        assert reader.commit(items)
    stop.set()
    caller.join()
    report(
        f"burst: {changes} changes in {placed_in:.1f} s, drained {time.monotonic() - started:.1f} s"
        f" after its begin, configuration p99 {percentile(spent, 0.99) * 1000:.0f} ms;"
        f" {settled(rig, reader).line()}"
    )
