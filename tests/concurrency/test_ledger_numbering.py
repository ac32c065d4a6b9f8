"""Several at once give positions, on purpose at the very same moment."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from django.db import DatabaseError, transaction

from oms.orders.ledger import number_events, read_ledger
from oms.orders.models import OrderEvent
from oms.orders.writing import insert_orders
from tests.concurrency.ledger_processes import write_some
from tests.concurrency.sessions import (
    PATIENCE_SECONDS,
    Session,
    kill_backend,
    query,
    wait_until_blocked,
)
from tests.factories import order_draft

EVENTS = 10
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sessions(transactional_db: None) -> Iterator[list[Session]]:
    sessions = [Session() for _ in range(4)]
    yield sessions
    for session in sessions:
        session.close()


def write_events(count: int = EVENTS) -> list[int]:
    with transaction.atomic():
        pks = insert_orders([order_draft() for _ in range(count)])
        return write_some(pks)


def start_numbering(sessions: list[Session], limit: int) -> tuple[list[int], "list[Future[int]]"]:
    """This function will hold up the first in the middle, so that the others overlap with it."""
    hindrance, *numberers = sessions
    pids = [session.pid for session in numberers]
    hindrance.begin("SELECT 1 FROM orders_unnumberedevent FOR UPDATE")
    calls = []
    for session, pid in zip(numberers, pids, strict=True):
        calls.append(session.start(number_events, limit=limit))
        wait_until_blocked(pid)
    return pids, calls


def ledger() -> list[tuple[int, int]]:
    return query("SELECT position, event_id FROM orders_ledgerentry ORDER BY position")


def test_numberers_at_the_same_moment_number_each_event_once(sessions: list[Session]) -> None:
    ids = write_events()
    _, calls = start_numbering(sessions, limit=4)
    sessions[0].roll_back()
    assert [call.result(PATIENCE_SECONDS) for call in calls] == [4, 4, 2]
    assert ledger() == list(enumerate(ids, start=1))


def test_a_numberer_killed_in_the_middle_leaves_its_work_to_the_next(
    sessions: list[Session],
) -> None:
    ids = write_events()
    pids, (killed, *heirs) = start_numbering(sessions, limit=4)
    kill_backend(pids[0])
    sessions[0].roll_back()
    assert isinstance(killed.exception(PATIENCE_SECONDS), DatabaseError)
    assert [call.result(PATIENCE_SECONDS) for call in heirs] == [4, 4]
    assert ledger() == list(enumerate(ids[:8], start=1))


def test_a_slow_transaction_with_earlier_ids_is_read_after_its_commit(
    sessions: list[Session],
) -> None:
    """The case that loses events where readers follow ids that were taken before the commit."""
    with transaction.atomic():
        slow_order, quick_order = insert_orders([order_draft(), order_draft()])
    slow = sessions[0]
    slow.begin()
    (slow_event,) = slow.call(write_some, [slow_order])
    with transaction.atomic():
        (quick_event,) = write_some([quick_order])
    assert slow_event < quick_event
    assert [event.event_id for event in read_ledger(after=0, limit=10)] == [quick_event]
    slow.commit()
    assert [event.event_id for event in read_ledger(after=1, limit=10)] == [slow_event]
    assert OrderEvent.objects.count() == 2
