"""Who is told that snapshots are kept can rely on it, whatever was under way at that moment."""

from collections.abc import Iterator

import pytest
from django.db import transaction

from oms.orders.models import DocumentSnapshot, OrderEvent, SnapshotDemand
from oms.orders.snapshots import SnapshotsNotReady, demand_snapshots, drop_demand
from tests.concurrency.sessions import PATIENCE_SECONDS, Session, query, wait_until_blocked
from tests.workflow.stories import place

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def slow() -> Iterator[Session]:
    session = Session()
    yield session
    session.close()


@pytest.fixture
def other() -> Iterator[Session]:
    session = Session()
    yield session
    session.close()


def test_a_demand_is_acknowledged_only_when_every_writer_has_seen_it(
    slow: Session, other: Session
) -> None:
    pid = other.pid
    slow.begin()
    slow.call(place)
    demanding = other.start(demand_snapshots, "test")
    wait_until_blocked(pid)
    slow.commit()
    demanding.result(PATIENCE_SECONDS)
    unseen = OrderEvent.objects.get()
    place()
    seen = OrderEvent.objects.exclude(pk=unseen.pk).get()
    assert [snapshot.event_id for snapshot in DocumentSnapshot.objects.all()] == [seen.pk]


def test_a_writer_that_waits_for_the_demand_leaves_a_snapshot(
    slow: Session, other: Session
) -> None:
    pid = other.pid
    slow.begin()
    slow.call(demand_snapshots, "test")
    placing = other.start(place)
    wait_until_blocked(pid)
    slow.commit()
    placing.result(PATIENCE_SECONDS)
    assert DocumentSnapshot.objects.get().event_id == OrderEvent.objects.get().pk


def test_a_writer_that_takes_too_long_refuses_the_demand_and_goes_on(slow: Session) -> None:
    slow.begin()
    slow.call(place)
    with pytest.raises(SnapshotsNotReady, match="try again"):
        demand_snapshots("test")
    assert not SnapshotDemand.objects.exists()
    slow.commit()
    demand_snapshots("test")
    place()
    assert DocumentSnapshot.objects.count() == 1


def test_a_further_demand_waits_for_no_writer_and_holds_up_the_end_of_the_one_before(
    slow: Session, other: Session
) -> None:
    demand_snapshots("first")
    slow.begin()
    slow.call(place)
    pid = other.pid
    with transaction.atomic():
        demand_snapshots("second")
        dropping = other.start(drop_demand, "first")
        wait_until_blocked(pid)
    dropping.result(PATIENCE_SECONDS)
    slow.commit()
    assert [demand.name for demand in SnapshotDemand.objects.all()] == ["second"]


def test_a_demand_leaves_the_lock_timeout_of_its_transaction_as_it_was() -> None:
    with transaction.atomic():
        (before,) = query("SHOW lock_timeout")
        demand_snapshots("test")
        assert query("SHOW lock_timeout") == [before]
