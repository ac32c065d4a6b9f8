"""A dump restored into a new cluster goes on numbering where the old one was: no gap, no reuse."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction

from deploy.postgres import Postgres
from deploy.postgres_binaries import Binaries, PostgresFailed, choose_binaries
from oms.orders.ledger import last_position, number_events
from oms.orders.writing import insert_orders
from tests.concurrency.ledger_processes import write_some
from tests.concurrency.sessions import Session, query
from tests.factories import order_draft

NUMBERED, UNNUMBERED, AFTER_RESTORE = 40, 7, 30


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Binaries:
    """This fixture will find the programs that tests run PostgreSQL with, or skip."""
    try:
        return choose_binaries(tmp_path_factory.mktemp("no-data"))
    except PostgresFailed as failure:
        pytest.skip(str(failure))


@pytest.fixture
def new_cluster(tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(tmp_path / "new-cluster", throwaway=True)
    server.start()
    yield server
    server.remove()


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_transactions(pks: list[int], count: int) -> list[int]:
    """This function will commit transactions of one event each."""
    ids = []
    for number in range(count):
        with transaction.atomic():
            ids += write_some([pks[number % len(pks)]])
    return ids


@pytest.mark.django_db(transaction=True)
def test_a_restored_ledger_goes_on_without_a_gap_and_without_the_transaction_in_flight(
    database_url: str, new_cluster: Postgres, binaries: Binaries, tmp_path: Path
) -> None:
    if connection.cursor().connection.info.server_version // 10_000 > binaries.major:
        pytest.skip(f"pg_dump {binaries.major} cannot dump the newer server of these tests")
    with transaction.atomic():
        pks = insert_orders([order_draft() for _ in range(5)])
    before = write_transactions(pks[:4], NUMBERED)
    assert number_events() == NUMBERED
    before += write_transactions(pks[:4], UNNUMBERED)
    slow = Session()
    slow.begin()
    in_flight = slow.call(write_some, [pks[4]])
    dump = tmp_path / "dump"
    run(binaries.path / "pg_dump", "--format=custom", f"--file={dump}", database_url)
    slow.commit()
    slow.close()

    restored_url = new_cluster.url()
    run(binaries.path / "pg_restore", "--no-owner", "--exit-on-error", "-d", restored_url, dump)
    program = ("-m", "tests.concurrency.ledger_processes")
    there = {"DATABASE_URL": restored_url, "DJANGO_SETTINGS_MODULE": "oms.settings"}
    written, seen = tmp_path / "written", tmp_path / "seen"
    count = str(AFTER_RESTORE)
    run(sys.executable, *program, "write", str(written), "--count", count, **there)
    run(sys.executable, *program, "read", str(seen), "--once", **there)

    lines = [tuple(map(int, line.split())) for line in seen.read_text().splitlines()]
    after = [int(line) for line in written.read_text().split()]
    assert [line[0] for line in lines] == list(range(1, len(lines) + 1))
    assert [line[1] for line in lines[:NUMBERED]] == before[:NUMBERED]
    assert [line[1] for line in lines[NUMBERED:]] == before[NUMBERED:] + after
    assert not set(before) & set(after)
    assert in_flight[0] not in before
    # Here, where it was committed after the dump, it gets its position all the same.
    number_events()
    assert last_position() == len(before) + 1
    assert query("SELECT position FROM orders_ledgerentry WHERE event_id = %s", *in_flight) == [
        (len(before) + 1,)
    ]
