"""The timeline and the ledger, one rule each. Their behavior under concurrency: tests/concurrency."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import QuerySet

from oms.orders.ledger import (
    NewEvent,
    follow_ledger,
    has_unnumbered_events,
    last_position,
    number_all_events,
    number_events,
    read_ledger,
    record_events,
)
from oms.orders.models import LedgerEntry, OrderEvent, UnnumberedEvent
from oms.orders.writing import insert_orders
from tests.concurrency.sessions import execute
from tests.factories import order_draft

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
APPEND_ONLY_TABLES = ["orders_orderevent", "orders_ledgerentry"]

committing = pytest.mark.django_db(transaction=True)


def place(count: int = 1) -> list[int]:
    with transaction.atomic():
        return insert_orders([order_draft(now=AT) for _ in range(count)])


def new_event(order_pk: int, seq: int = 1, **given: Any) -> NewEvent:
    facts: dict[str, Any] = {
        "kind": "order.placed",
        "actor": "role:test",
        "status": "order-created",
        "last_status": "null",
        "occurred_at": AT,
        "last_change_at": None,
    }
    return NewEvent(order_pk=order_pk, seq=seq, **(facts | given))


def record(*events: NewEvent) -> list[int]:
    with transaction.atomic():
        return record_events(events)


def ledger() -> list[tuple[int, int]]:
    entries: QuerySet[LedgerEntry] = LedgerEntry.objects.order_by("position")
    return list(entries.values_list("position", "event_id"))


@transaction.atomic
def execute_as_in_production(table: str, statement: str) -> None:
    """The tests empty their tables, so one trigger is off here: on again until the rollback."""
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_no_truncate")
    execute(statement)


# The timeline


@pytest.mark.django_db
def test_event_ids_come_back_in_the_order_given() -> None:
    first, second, third = place(3)
    ids = record_events(
        [new_event(third), new_event(first), new_event(second), new_event(first, 2)]
    )
    assert ids == sorted(ids)
    written = OrderEvent.objects.in_bulk(ids)
    assert [(written[pk].order_id, written[pk].seq) for pk in ids] == [
        (third, 1),
        (first, 1),
        (second, 1),
        (first, 2),
    ]


@pytest.mark.django_db
def test_an_event_is_kept_as_it_was_given() -> None:
    (order,) = place()
    given = {
        "kind": "order.canceled",
        "actor": "user:ana",
        "reason": "A 'quoted' \\ reason, with commas and ✓",
        "status": "canceled",
        "last_status": "cancel",
        "last_change_at": AT,
        "changes": {"status": ["cancel", "canceled"], "value": [None, 12]},
        "data": {"nested": {"list": [1, "2", None]}},
    }
    (pk,) = record_events([new_event(order, 7, **given)])
    event = OrderEvent.objects.get(pk=pk)
    assert {name: getattr(event, name) for name in given} == given
    assert (event.seq, event.occurred_at, event.parts_fingerprint) == (7, AT, None)
    assert event.fingerprint is not None


@pytest.mark.django_db
def test_no_events_are_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert record_events([]) == []


@pytest.mark.django_db
def test_a_sequence_number_is_given_once_per_order() -> None:
    first, second = place(2)
    record_events([new_event(first, 1), new_event(second, 1)])
    with pytest.raises(IntegrityError, match="event_seq_once_per_order"), transaction.atomic():
        record_events([new_event(first, 1)])
    assert OrderEvent.objects.count() == 2


@pytest.mark.django_db
def test_an_event_of_an_order_that_is_not_there_is_refused() -> None:
    (order,) = place()
    with pytest.raises(LookupError, match="1 of 2"), transaction.atomic():
        record_events([new_event(order), new_event(order + 1_000_000)])
    assert OrderEvent.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("table", APPEND_ONLY_TABLES)
@pytest.mark.parametrize(
    ("verb", "statement"),
    [
        ("UPDATE", "UPDATE {table} SET event_id = event_id"),
        ("DELETE", "DELETE FROM {table}"),
        ("TRUNCATE", "TRUNCATE {table} CASCADE"),
    ],
)
def test_the_database_refuses_to_change_what_is_written(
    table: str, verb: str, statement: str
) -> None:
    (order,) = place()
    (event,) = record_events([new_event(order)])
    LedgerEntry.objects.create(position=1, event_id=event)
    statement = statement.format(table=table)
    if table == "orders_orderevent":
        statement = statement.replace("event_id", "kind")
    with pytest.raises(DatabaseError, match=f"{table} is append-only: {verb} refused"):
        execute_as_in_production(table, statement)
    assert OrderEvent.objects.count() == LedgerEntry.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("table", APPEND_ONLY_TABLES)
def test_the_refusal_says_what_to_do_instead(table: str) -> None:
    (order,) = place()
    (event,) = record_events([new_event(order)])
    LedgerEntry.objects.create(position=1, event_id=event)
    with pytest.raises(DatabaseError) as refusal, transaction.atomic():
        execute(f"DELETE FROM {table}")
    cause: Any = refusal.value.__cause__
    assert cause.diag.message_hint == "Record a new event that says what is different now."


# The ledger


@committing
def test_positions_are_one_two_three_in_the_order_of_the_events() -> None:
    first, second = place(2)
    ids = record(new_event(second), new_event(first)) + record(new_event(second, 2))
    assert number_events() == 3
    assert ledger() == list(enumerate(ids, start=1))
    assert not has_unnumbered_events()
    assert number_events() == 0


@committing
def test_numbering_in_small_batches_leaves_no_gap() -> None:
    (order,) = place()
    ids = record(*(new_event(order, seq) for seq in range(1, 12)))
    assert [number_events(limit=4) for _ in range(4)] == [4, 4, 3, 0]
    assert ledger() == list(enumerate(ids, start=1))


@committing
def test_a_rollback_leaves_no_gap_and_nothing_of_it_is_used_again() -> None:
    (order,) = place()
    (kept,) = record(new_event(order))
    number_all_events()
    with transaction.atomic():
        (given_up,) = record_events([new_event(order, 2)])
        transaction.set_rollback(True)
    assert number_events() == 0
    (next_one,) = record(new_event(order, 2))
    number_all_events()
    assert ledger() == [(1, kept), (2, next_one)]
    assert next_one > given_up
    assert [event.seq for event in follow_ledger(after=0)] == [1, 2]


@committing
def test_a_rolled_back_numbering_gives_the_same_positions_again() -> None:
    (order,) = place()
    ids = record(new_event(order, 1), new_event(order, 2))
    execute("ALTER TABLE orders_ledgerentry ADD CONSTRAINT is_full CHECK (position < 2)")
    try:
        with pytest.raises(IntegrityError):
            number_events()
        assert (ledger(), UnnumberedEvent.objects.count()) == ([], 2)
    finally:
        execute("ALTER TABLE orders_ledgerentry DROP CONSTRAINT is_full")
    number_events()
    assert ledger() == list(enumerate(ids, start=1))


@committing
def test_numbering_refuses_to_run_inside_a_transaction() -> None:
    (order,) = place()
    with transaction.atomic():
        record_events([new_event(order)])
        with pytest.raises(RuntimeError, match="durable"):
            number_events()
    assert (ledger(), UnnumberedEvent.objects.count()) == ([], 1)


@committing
def test_an_event_is_in_the_first_read_after_its_commit() -> None:
    (order,) = place()
    record(new_event(order))
    assert last_position() == 0
    (event,) = read_ledger(after=0, limit=10)
    assert (event.position, event.order_pk, event.seq, event.kind) == (1, order, 1, "order.placed")
    assert last_position() == 1
    assert read_ledger(after=1, limit=10) == []


@committing
def test_a_reader_gets_the_facts_of_order_and_event() -> None:
    (order,) = place()
    (pk,) = record(
        new_event(order, 1, changes={"status": ["null", "order-created"]}, data={"a": 1})
    )
    (event,) = read_ledger(after=0, limit=1)
    row = OrderEvent.objects.select_related("order").get(pk=pk)
    assert (event.event_id, event.order_id, event.origin) == (
        pk,
        row.order.order_id,
        "Marketplace",
    )
    assert (event.changes, event.data) == ({"status": ["null", "order-created"]}, {"a": 1})
    assert (event.occurred_at, event.last_change_at) == (AT, None)


@committing
def test_following_reads_to_the_end_page_by_page() -> None:
    (order,) = place()
    record(*(new_event(order, seq) for seq in range(1, 8)))
    assert [event.seq for event in follow_ledger(after=2, page=2)] == [3, 4, 5, 6, 7]
