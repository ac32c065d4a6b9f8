"""Writers and readers as processes of their own, some of them killed: nothing lost, nothing twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction

from oms.orders.ledger import last_position, number_all_events
from oms.orders.models import OrderEvent
from oms.orders.writing import insert_orders
from tests.concurrency.sessions import PATIENCE_SECONDS, wait_for
from tests.factories import order_draft

ORDERS = 25
ENOUGH_EVENTS = 300


class Crew:
    """Processes by name, each started again under its name after a kill."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "DATABASE_URL": database_url}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.size_at_start: dict[str, int] = {}
        self.kills: Counter[str] = Counter()

    def start(self, role: str, name: str, *options: str) -> None:
        self.file(name).touch()
        self.size_at_start[name] = self.file(name).stat().st_size
        self.running[name] = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.concurrency.ledger_processes"),
                *(role, str(self.file(name)), *options),
            ],
            env={**self.environment, "DJANGO_SETTINGS_MODULE": "oms.settings"},
        )

    def file(self, name: str) -> Path:
        return self.folder / name

    def at_work(self) -> list[str]:
        """This function will name those that have done something since they were started."""
        sizes = self.size_at_start.items()
        return [name for name, size in sizes if self.file(name).stat().st_size > size]

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running[name].wait()
        self.kills[name.partition("-")[0]] += 1

    def stop(self, *names: str) -> None:
        for name in names:
            self.running[name].send_signal(signal.SIGTERM)
        for name in names:
            # One that has only just been started does not know the signal yet.
            assert self.running.pop(name).wait(PATIENCE_SECONDS) in (0, -signal.SIGTERM)

    def close(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@pytest.fixture
def crew(tmp_path: Path, database_url: str) -> Iterator[Crew]:
    with transaction.atomic():
        insert_orders([order_draft() for _ in range(ORDERS)])
    crew = Crew(tmp_path, database_url)
    yield crew
    crew.close()


def lines_of(path: Path) -> list[tuple[int, ...]]:
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines()]


def count_out_of_order(lines: list[tuple[int, ...]]) -> int:
    """This function will count positions that do not follow the last, and order events likewise."""
    wrong = sum(line[0] != expected for expected, line in enumerate(lines, start=1))
    last_seq: dict[int, int] = {}
    for _, _, order_pk, seq in lines:
        wrong += seq <= last_seq.get(order_pk, 0)
        last_seq[order_pk] = seq
    return wrong


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.django_db(transaction=True)
def test_no_event_is_lost_or_doubled_when_processes_are_killed(
    crew: Crew, full_size: bool
) -> None:
    writers = [f"writer-{number}" for number in range(6 if full_size else 3)]
    readers = [f"reader-{number}" for number in range(4 if full_size else 2)]
    chance = random.Random(11)
    for seed, name in enumerate(writers):
        crew.start("write", name, "--seed", str(seed))
    for name in readers:
        crew.start("read", name)
    for _ in range(100 if full_size else 8):
        time.sleep(chance.uniform(0.1, 1))
        kill_one_at_work(crew, chance)
    wait_for("(SELECT count(*) FROM orders_orderevent) > %s", ENOUGH_EVENTS)
    crew.stop(*writers)
    wait_for_backends_of_the_killed()
    number_all_events()
    wait_for_readers(crew, readers)
    crew.stop(*readers)

    committed = set(OrderEvent.objects.values_list("pk", flat=True))
    acknowledged = {line[0] for name in writers for line in lines_of(crew.file(name))}
    assert acknowledged <= committed
    for name in readers:
        seen = lines_of(crew.file(name))
        events = Counter(line[1] for line in seen)
        counts = {
            "committed": len(committed),
            "acknowledged": len(acknowledged),
            "seen": len(seen),
            "lost": len(committed - events.keys()),
            "duplicated": sum(count - 1 for count in events.values()),
            "out of order": count_out_of_order(seen),
            "never committed": len(events.keys() - committed),
        }
        print(name, counts, dict(crew.kills))
        assert counts["seen"] == counts["committed"]
        wrong = ("lost", "duplicated", "out of order", "never committed")
        assert [counts[what] for what in wrong] == [0, 0, 0, 0]


def kill_one_at_work(crew: Crew, chance: random.Random) -> None:
    """This function will kill a process in the middle of its work and start it again."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not (names := crew.at_work()):
        assert time.monotonic() < ends_at, "nobody works"
        time.sleep(0.05)
    name = chance.choice(names)
    crew.kill(name)
    if name.startswith("writer"):
        crew.start("write", name, "--seed", str(chance.randrange(1_000_000)))
    else:
        crew.start("read", name)


def wait_for_readers(crew: Crew, readers: list[str]) -> None:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    for name in readers:
        while len(lines_of(crew.file(name))) < last_position():
            assert time.monotonic() < ends_at, f"{name} did not come to the end"
            time.sleep(0.05)


def wait_for_backends_of_the_killed() -> None:
    """A backend notices only after its statement that its client is gone: it may yet commit."""
    wait_for(
        "NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL)"
    )
