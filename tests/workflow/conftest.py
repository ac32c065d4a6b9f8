"""What the tests of the workflow share."""

from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import Settings

from oms.orders.documents.building import documents_at_events, documents_by_pk
from oms.orders.snapshots import demand_snapshots
from tests.workflow.sandboxes import ThreadedSandbox
from workflow.sandbox.server import SandboxOptions


@pytest.fixture
def sandbox(settings: Settings) -> Iterator[ThreadedSandbox]:
    """This fixture will run the outside services and point the connectors at them."""
    with ThreadedSandbox(SandboxOptions(port=0, seed=1)) as running:
        settings.CONNECTORS = running.connectors
        yield running


@pytest.fixture(autouse=True)
def _each_event_leaves_the_order_as_it_is(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    This fixture will check what every service leaves behind: a snapshot of the order it made.

    A part that is written after its event is missing in the snapshot. Orders that a test changed
    with its own hands differ from their event's fingerprint and are left out.
    """
    marked = request.node.get_closest_marker
    if marked("django_db") is None or marked("rows_by_hand") is not None:
        yield
        return
    request.getfixturevalue("db")
    demand_snapshots("test")
    yield
    with connection.cursor() as cursor:
        cursor.execute(_LAST_EVENTS)
        order_of_event = dict(cursor.fetchall())
    present = documents_by_pk(list(order_of_event.values()))
    assert documents_at_events(list(order_of_event)) == {
        event_id: present[pk] for event_id, pk in order_of_event.items()
    }


_LAST_EVENTS = """
    SELECT e.id, o.id FROM orders_order o
    JOIN orders_orderevent e ON e.order_id = o.id AND e.seq = o.version
    WHERE e.fingerprint = order_fingerprint(o)
"""
