"""The rig, once a session, and a line per fault at the end: how long recovery took."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
import pytest_django
from django.db import connection, connections

from oms.orders.ledger import number_all_events
from oms.orders.statuses import Flow
from tests.factories import order_draft
from tests.faults.clusters import RunningCluster
from tests.faults.evidence import Counts
from tests.faults.processes import processes_marked
from tests.faults.rig import Rig
from workflow.services.placing import place_drafts

# Short times for every run; at full size the times are those of production.
SHORT: Final = {
    "WORK_LEASE_SECONDS": "4",
    "WORKFLOW_STUCK_SECONDS": "6.5",
    "SWEEP_SECONDS": "0.5",
    "CONNECTOR_TIMEOUT_SECONDS": "1.5",
}
ALWAYS: Final = {
    "WINDOW_TO_CANCEL_SECONDS": "1",
    "WORKFLOW_WORKERS": "3",
    "HTTPS": "0",
    # Receivers of hooks answer on this machine, over plain HTTP.
    "HOOK_ALLOWED_ADDRESSES": "127.0.0.0/8",
    "HOOK_ALLOW_HTTP": "1",
    "HOOK_PORTS": "any",
}
FLOWS: Final = (Flow.COMPLETE, Flow.COMPLETE, Flow.MARKETPLACE, Flow.FULFILLMENT, Flow.CHAIN)

Place = Callable[[int], list[str]]
Settle = Callable[..., Counts]
_lines: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _lines:
        terminalreporter.section("recovery after faults")
        for line in _lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def _session_rig(full_size: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    home: Path = tmp_path_factory.mktemp("faults")
    rig = Rig(home, ALWAYS | ({} if full_size else SHORT))
    yield rig
    rig.close()
    assert not list(processes_marked(rig.mark)), "a process of the rig is left"


@pytest.fixture
def rig(
    _session_rig: Rig,
    django_db_blocker: pytest_django.DjangoDbBlocker,
    request: pytest.FixtureRequest,
) -> Iterator[Rig]:
    """
    This fixture will give the rig, with Django's own connection on the rig's database.

    After the test no work is left, and one cluster at most: recovered, it serves the next test.
    """
    rig = _session_rig
    failed = request.session.testsfailed
    before = dict(connection.settings_dict)
    connections.close_all()
    here = {"NAME": "bulkhead", "USER": "bulkhead", "HOST": str(rig.postgres.socket_dir)}
    connection.settings_dict.update(here | {"PORT": ""})
    try:
        with django_db_blocker.unblock():
            yield rig
    finally:
        _tidy(rig, has_failed=request.session.testsfailed > failed)
        connections.close_all()
        connection.settings_dict.update(before)


def _tidy(rig: Rig, *, has_failed: bool) -> None:
    rig.keep_one_cluster(healthy=not has_failed)
    rig.thaw_postgres()
    rig.wire.mend()
    if not rig.postgres.ready:
        rig.postgres.start()
    if rig.sandbox is None:
        rig.start_sandbox()
    rig.clear_faults()
    rig.forget_connection()
    rig.forget_work()


@pytest.fixture
def cluster(rig: Rig) -> RunningCluster:
    """This fixture will give the one supervised workflow cluster that runs."""
    return rig.one_cluster()


@pytest.fixture
def place(rig: Rig) -> Place:
    """This fixture will place orders of all flows; when it returns they are acknowledged."""

    def place_some(number: int) -> list[str]:
        drafts = [order_draft(FLOWS[index % len(FLOWS)]) for index in range(number)]
        place_drafts(drafts, actor="key:test")
        return [draft.order_id for draft in drafts]

    return place_some


@pytest.fixture
def settle(rig: Rig, request: pytest.FixtureRequest) -> Settle:
    """
    This fixture will wait until acknowledged orders arrived, then check all that must hold.

    `since` is the monotonic time of the fault's end. Every test of a fault ends with it.
    """

    def settle_orders(order_ids: list[str], *, since: float, fault: str) -> Counts:
        seconds = rig.wait_for_arrival(order_ids, since=since)
        counts = rig.count(attempted=order_ids, acknowledged=order_ids, only=order_ids)
        _lines.append(f"{fault:<58} {seconds:6.1f} s  {counts.line()}")
        assert counts.is_clean, counts
        assert rig.doubled_effects() == []
        connections.close_all()  # this process's own may have died with the server
        number_all_events()
        rig.check_ledger()
        return counts

    return settle_orders


@pytest.fixture
def report() -> Callable[[str], None]:
    """This fixture will print a line at the end of the run."""
    return _lines.append
