import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from oms.ops.clusters import ClusterSupervisor
from oms.ops.heartbeats import beat

pytestmark = pytest.mark.django_db

STUCK_SECONDS = 20.0


@pytest.fixture
def group() -> Iterator[subprocess.Popen[bytes]]:
    """The leader of a process group, as the main process of a cluster is."""
    leader = subprocess.Popen(["sleep", "60"], process_group=0)
    yield leader
    leader.kill()
    leader.wait()


def supervisor_of(group: subprocess.Popen[bytes]) -> ClusterSupervisor:
    supervisor = ClusterSupervisor("workflow", stuck_seconds=STUCK_SECONDS)
    supervisor._child = group
    supervisor._watched_since = time.monotonic() - 10 * STUCK_SECONDS
    return supervisor


def test_a_group_whose_only_worker_was_renewed_is_left_alone(
    group: subprocess.Popen[bytes],
) -> None:
    supervisor = supervisor_of(group)
    worker = subprocess.Popen(["sleep", "60"], process_group=group.pid)
    beat("workflow", work_done=1, instance=f"{socket.gethostname()}:{worker.pid}")
    supervisor._replace_if_stuck()
    worker.kill()
    worker.wait()

    supervisor._replace_if_stuck()

    assert supervisor._child is group
    assert group.poll() is None


def test_a_group_that_never_reported_while_a_sibling_did_is_replaced(
    group: subprocess.Popen[bytes],
) -> None:
    supervisor = supervisor_of(group)
    beat("workflow", work_done=1, instance="elsewhere:1")

    supervisor._replace_if_stuck()

    assert supervisor._child is None
    assert group.poll() is not None
