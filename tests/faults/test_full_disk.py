"""A full disk: writes are refused and told to come back, reads go on, nothing is half written."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_django
from django.db import connection, connections

from tests.faults.conftest import ALWAYS, SHORT
from tests.faults.consumers import FeedReader, new_headers
from tests.faults.deliveries import Received
from tests.faults.processes import send, wait_until
from tests.faults.rig import Rig
from tests.faults.web import Shopper, half_written, new_shopper

SIZE_MIB = 320
MOST_ORDERS = 3_000

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"),
        reason="mounting a small file system needs root",
    ),
]


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """This fixture will mount a file system that is soon full, where PostgreSQL's account may go."""
    folder = Path(tempfile.mkdtemp(prefix="bulkhead-small-", dir="/tmp"))
    folder.chmod(0o755)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=755", "tmpfs", folder]
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip("this machine lets nobody mount")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


@pytest.fixture
def full_rig(small_disk: Path, django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[Rig]:
    """This fixture will run PostgreSQL and web on the small disk, Django's own connection on it."""
    rig = Rig(small_disk, ALWAYS | SHORT)
    before = dict(connection.settings_dict)
    connections.close_all()
    here = {"NAME": "bulkhead", "USER": "bulkhead", "HOST": str(rig.postgres.socket_dir)}
    connection.settings_dict.update(here | {"PORT": ""})
    web = rig.start_web()
    try:
        with django_db_blocker.unblock():
            yield rig
    finally:
        os.killpg(web.pid, signal.SIGKILL)
        web.wait(5)
        if rig.sandbox is not None:
            send(rig.sandbox.pid, signal.SIGKILL)
        connections.close_all()
        connection.settings_dict.update(before)
        rig.close()


def fill(disk: Path) -> Path:
    """This function will take what is left of the disk, all but nothing."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        block = b"\0" * 65_536
        try:
            while True:
                file.write(block)
                file.flush()
        except OSError:
            pass
    return ballast


def place_until_refused(shopper: Shopper) -> int:
    """This function will place orders until one is not taken, and return how many were."""
    for number in range(MOST_ORDERS):
        if not shopper.place(f"full-{number}"):
            return number
    raise AssertionError("The disk never was full: the test shows nothing.")


def test_a_full_disk_refuses_writes_serves_reads_and_loses_nothing(
    full_rig: Rig, small_disk: Path, report: Callable[[str], None]
) -> None:
    rig, shopper = full_rig, new_shopper(full_rig)
    reader = FeedReader(rig.web_url, new_headers("small disk"), Received("small disk"))
    assert reader.configure({"type": "FromWorkflow", "status": []}) == 200
    assert shopper.place("before-1")
    ballast = fill(small_disk)
    taken = place_until_refused(shopper)
    assert shopper.answers[-1] == 503
    read = shopper.read(shopper.order_ids[0])
    assert read.status_code == 200
    assert read.json()["orderId"] == shopper.order_ids[0]
    assert half_written(rig, "full") == []

    ballast.unlink()
    since = time.monotonic()
    wait_until(lambda: shopper.place("after-1"), seconds=60, what="orders are placed again")
    back = time.monotonic() - since
    reader.drain(seconds=60)
    placed = {delivery.order_id for delivery in reader.received.deliveries}
    assert set(shopper.order_ids) <= placed
    assert set(reader.answers) <= {200, 503}
    assert set(shopper.answers) <= {200, 503}
    report(
        f"full disk: {taken} orders taken before it showed, then 503; placed again {back:.1f} s"
        f" after there was room; the feed told all {len(shopper.order_ids)}"
    )
