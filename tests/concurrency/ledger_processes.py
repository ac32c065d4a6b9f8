"""
Processes of the ledger's stress test: `python -m tests.concurrency.ledger_processes write|read`.

Each appends one line to its file for what it has done, so that `kill -9` loses nothing but the
line being written. A reader's file is its stored position as well: it resumes behind the last
whole line.
"""

import argparse
import os
import random
import signal
import time
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import django
from django.db import transaction

django.setup()

from oms.orders.ledger import NewEvent, read_ledger, record_events  # noqa: E402
from oms.orders.locks import lock_orders  # noqa: E402
from oms.orders.models import Order  # noqa: E402
from tests.concurrency.sessions import execute  # noqa: E402

COMMIT_SHARE = 0.9
SLOW_SHARE = 0.05
PAGE = 50

is_stopping = False


def stop(signum: int, frame: FrameType | None) -> None:
    global is_stopping
    is_stopping = True


def write(file: BinaryIO, chance: random.Random, count: int | None) -> None:
    """This function will change one to three orders at a time, slowly at times, until stopped."""
    pks = list(Order.objects.values_list("pk", flat=True))
    done = 0
    while not is_stopping and (count is None or done < count):
        transaction.set_autocommit(False)
        ids = write_some(chance.sample(pks, chance.randint(1, 3)))
        time.sleep(chance.uniform(0.1, 0.4) if chance.random() < SLOW_SHARE else 0.005)
        if chance.random() < COMMIT_SHARE:
            transaction.commit()
            file.write(b"".join(b"%d\n" % pk for pk in ids))
        else:
            transaction.rollback()
        transaction.set_autocommit(True)
        done += 1


def write_some(pks: list[int]) -> list[int]:
    """This function will do what services do: lock, change the rows, append the events."""
    orders = lock_orders(sorted(pks))
    execute("UPDATE orders_order SET version = version + 1 WHERE id = ANY(%s)", list(orders))
    return record_events(
        [
            NewEvent(
                order_pk=order.pk,
                seq=order.version + 1,
                kind="test.written",
                actor="role:test",
                status=order.status,
                last_status=order.status,
                occurred_at=order.read_at,
                last_change_at=order.last_change_at,
            )
            for order in orders.values()
        ]
    )


def read(file: BinaryIO, *, once: bool) -> None:
    """This function will follow the ledger, behind what the file holds already."""
    position = stored_position(Path(file.name))
    while not is_stopping:
        events = read_ledger(after=position, limit=PAGE)
        lines = [f"{e.position} {e.event_id} {e.order_pk} {e.seq}\n" for e in events]
        file.write("".join(lines).encode())
        position += len(events)
        if not events and once:
            return
        time.sleep(0.002)


def stored_position(path: Path) -> int:
    """This function will cut off a line that was being written, and return the last position."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    os.truncate(path, len(whole))
    return int(whole.splitlines()[-1].split()[0]) if whole else 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("write", "read"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, help="a writer ends after so many transactions")
    parser.add_argument("--once", action="store_true", help="a reader ends at the ledger's end")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    with given.file.open("ab", buffering=0) as file:
        if given.role == "write":
            write(file, random.Random(given.seed), given.count)
        else:
            read(file, once=given.once)


if __name__ == "__main__":
    main()
