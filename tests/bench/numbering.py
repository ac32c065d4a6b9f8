"""Numbering the ledger, against the same statements by pgbench, alone and with writers at work."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from oms.orders.ledger import NUMBERING_BATCH, has_unnumbered_events, number_events
from tests.bench.capturing import as_text, captured
from tests.bench.measuring import Measurement, watching_others
from tests.bench.pgbench import pgbench
from tests.bench.rig import Rig
from tests.bench.transitions import keep_queue_full, start_handling_script


def measure_numbering(rig: Rig) -> Iterator[Measurement]:
    """This function will number a backlog with no, one and four writers adding to it."""
    backlog = rig.size.scaled(200_000, 10_000)
    keep_queue_full(rig)
    transitions = start_handling_script(rig)
    script = _script()
    for writers in (0, 1, 4):
        measured = Measurement(
            what=f"numbering the ledger, {writers} writers",
            unit="events a second",
            ours=[],
            limit=[],
            limit_is="the same statements in pgbench",
        )
        with watching_others() as others:
            for _ in range(rig.size.rounds):
                with _writing(rig, transitions, writers, backlog):
                    measured.ours.append(_ours(backlog))
                with _writing(rig, transitions, writers, backlog):
                    measured.limit.append(_limit(rig, script, backlog))
        measured.others_busy = others[0]
        yield measured


@contextmanager
def _writing(rig: Rig, script: str, writers: int, backlog: int) -> Iterator[None]:
    """
    Takes positions back from the youngest events, then lets writers move orders meanwhile.

    They write for as long as numbering can take, and end before the next round.
    """
    _take_back(rig, backlog)
    if not writers:
        yield
        return
    seconds = rig.size.scaled(4, 1)
    failures: list[Exception] = []

    def write() -> None:
        try:
            pgbench(rig, script, clients=writers, seconds=seconds)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.3)  # connected and at work
    yield
    thread.join()
    if failures:
        raise failures[0]


def _take_back(rig: Rig, count: int) -> None:
    with rig.superuser() as connection:
        while has_unnumbered_events():
            number_events()
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "WITH taken AS (DELETE FROM orders_ledgerentry WHERE position >"
            " (SELECT max(position) FROM orders_ledgerentry) - %s RETURNING event_id)"
            " INSERT INTO orders_unnumberedevent (event_id) SELECT event_id FROM taken",
            [count],
        )
        connection.execute("VACUUM orders_unnumberedevent, orders_ledgerentry")


def _ours(backlog: int) -> float:
    started = time.perf_counter()
    done = 0
    while done < backlog:
        done += number_events()
    return done / (time.perf_counter() - started)


def _script() -> str:
    """The statements of one numbering transaction as they are sent, captured from an empty one."""
    with captured() as sent:
        number_events()
    return "\n".join(["BEGIN;", *(f"{as_text(statement)};" for statement in sent), "COMMIT;"])


def _limit(rig: Rig, script: str, backlog: int) -> float:
    times = -(-backlog // NUMBERING_BATCH)
    return pgbench(rig, script, clients=1, times=times) * NUMBERING_BATCH
