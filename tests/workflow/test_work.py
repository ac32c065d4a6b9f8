"""Work items: claimed by lease and fence, urgent ones first, given back, parked."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oms.ops.clock import database_now
from oms.orders.statuses import Priority, Status
from tests.concurrency.sessions import Session, execute
from tests.workflow.stories import item_of, let_time_pass, order_of, place, place_in
from workflow.announcing import sweep
from workflow.models import WorkItem
from workflow.steps import Step
from workflow.work import (
    ClaimedItem,
    NewWorkItem,
    Retry,
    add_work_items,
    claim_items,
    connectors_with_due_items,
    due_inside_items,
    find_due_orders,
    live_items,
    park_item,
    retry_items,
)

LEASE = timedelta(seconds=20)


def claim(connector: str = "payments", limit: int = 20, **given: list[int]) -> list[ClaimedItem]:
    return claim_items(connector=connector, limit=limit, lease=LEASE, worker="w1", **given)


def plan(order_id: str, step: Step = Step.FOLLOW_TRACKING, **given: object) -> NewWorkItem:
    facts: dict[str, object] = {
        "order_pk": order_of(order_id).pk,
        "step": step,
        "priority": Priority.NORMAL,
        "due_at": database_now(),
    }
    return NewWorkItem(**{**facts, **given})  # type: ignore[arg-type]


@pytest.mark.django_db
def test_items_that_are_due_are_told_apart_from_timers() -> None:
    order_id = place()
    later = database_now() + timedelta(days=30)
    due = add_work_items([plan(order_id), plan(order_id, Step.CANCEL_OVERDUE, due_at=later)])
    assert due == [item_of(order_id, Step.FOLLOW_TRACKING).pk]


@pytest.mark.django_db
def test_an_item_that_is_there_is_left_as_it_is() -> None:
    order_id = place()
    add_work_items([plan(order_id)])
    first = WorkItem.objects.values().get(step=Step.FOLLOW_TRACKING)
    assert add_work_items([plan(order_id, priority=Priority.URGENT)]) == []
    assert WorkItem.objects.values().get(step=Step.FOLLOW_TRACKING) == first


@pytest.mark.django_db
def test_a_claim_takes_lease_fence_and_one_attempt() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    before = database_now()
    (claimed,) = claim()
    item = item_of(order_id, Step.AUTHORIZE_PAYMENT)
    assert claimed == ClaimedItem(
        pk=item.pk,
        order_pk=item.order_id,
        package_pk=None,
        step=Step.AUTHORIZE_PAYMENT,
        fence=1,
        attempts=1,
        priority=Priority.NORMAL,
    )
    assert (item.fence, item.attempts, item.leased_by) == (1, 1, "w1")
    assert item.leased_until is not None
    assert before + LEASE <= item.leased_until <= database_now() + LEASE
    assert claim() == []


@pytest.mark.django_db
def test_a_lease_that_ran_out_is_claimed_again_under_a_new_fence() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    (first,) = claim()
    let_time_pass(order_id, LEASE)
    (second,) = claim()
    assert (second.fence, second.attempts) == (2, 2)
    assert live_items([first]) == set()
    assert live_items([second]) == {second.pk}


@pytest.mark.django_db
def test_urgent_orders_are_claimed_first_then_the_oldest() -> None:
    normal = [place_in(Status.PAYMENT_PENDING) for _ in range(3)]
    express = place_in(Status.PAYMENT_PENDING, is_express=True)
    pickup = place_in(Status.PAYMENT_PENDING, delivery_channel="pickup-in-point")
    let_time_pass(normal[2], timedelta(hours=1))
    first = {item.order_pk for item in claim(limit=2)}
    assert first == {order_of(express).pk, order_of(pickup).pk}
    assert [item.order_pk for item in claim(limit=1)] == [order_of(normal[2]).pk]


@pytest.mark.django_db
def test_only_what_is_due_not_parked_and_of_the_connector_is_claimed() -> None:
    due, parked, future = (place_in(Status.PAYMENT_PENDING) for _ in range(3))
    place_in(Status.APPROVE_PAYMENT)
    park_item(item_of(parked, Step.AUTHORIZE_PAYMENT).pk, cause="c", error="e")
    let_time_pass(future, -timedelta(minutes=5))
    assert [item.order_pk for item in claim()] == [order_of(due).pk]
    assert claim("stock") == []
    assert connectors_with_due_items(["payments", "antifraud", "stock"]) == ["antifraud"]


@pytest.mark.django_db
def test_a_claim_of_announced_items_takes_no_others() -> None:
    first, second = place_in(Status.PAYMENT_PENDING), place_in(Status.PAYMENT_PENDING)
    wanted = item_of(second, Step.AUTHORIZE_PAYMENT).pk
    assert [item.pk for item in claim(only=[wanted])] == [wanted]
    assert find_due_orders(limit=9, only=[wanted]) == []
    assert item_of(first, Step.AUTHORIZE_PAYMENT).attempts == 0


@pytest.mark.django_db
def test_steps_of_newer_code_are_left_to_newer_code() -> None:
    called, moved = place_in(Status.PAYMENT_PENDING), place()
    WorkItem.objects.filter(order__order_id=called, connector="payments").update(step="beam")
    WorkItem.objects.filter(order__order_id=moved).update(step="beam-inside")
    assert claim() == []
    assert find_due_orders(limit=9) == []
    assert due_inside_items([order_of(moved).pk]) == {}


@pytest.mark.django_db
@pytest.mark.parametrize(("attempts", "error"), [(3, "HTTP 500"), (2, "no time"), (0, "")])
def test_a_retry_gives_the_lease_back_and_sets_the_next_attempt(attempts: int, error: str) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    (claimed,) = claim()
    before = database_now()
    retry_items([Retry(claimed.pk, 30.0, attempts, error)])
    item = item_of(order_id, Step.AUTHORIZE_PAYMENT)
    assert (item.attempts, item.last_error) == (attempts, error)
    assert (item.leased_by, item.leased_until, item.announced_at) == ("", None, None)
    assert (
        timedelta(0)
        <= item.next_attempt_at - before - timedelta(seconds=30)
        < timedelta(seconds=5)
    )
    assert item.due_at < before


@pytest.mark.django_db
def test_retries_at_once_and_later_go_in_one_batch() -> None:
    for _ in range(2):
        place_in(Status.PAYMENT_PENDING)
    first, second = claim()
    retry_items([Retry(first.pk, 0, 1), Retry(second.pk, 30.5, 1)])
    items = WorkItem.objects.filter(pk__in=[first.pk, second.pk]).order_by("pk")
    assert [item.leased_until for item in items] == [None, None]
    assert items[0].next_attempt_at < items[1].next_attempt_at


@pytest.mark.django_db
def test_a_parked_item_has_a_cause_and_is_out_of_the_queue() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    (claimed,) = claim()
    park_item(claimed.pk, cause="c" * 200, error="e" * 2000)
    item = item_of(order_id, Step.AUTHORIZE_PAYMENT)
    assert (len(item.cause), len(item.last_error)) == (80, 1000)
    assert item.parked_at is not None
    assert (item.leased_by, item.leased_until) == ("", None)
    let_time_pass(order_id, timedelta(days=1))
    assert claim() == []
    assert live_items([claimed]) == set()


@pytest.mark.django_db
def test_inside_work_takes_the_longest_due_step_of_an_order() -> None:
    order_id = place_in(Status.CANCELLATION_REQUESTED)
    let_time_pass(order_id, timedelta(days=31))
    add_work_items([plan(order_id, Step.RESUME_AFTER_DENIAL)])
    due = due_inside_items([order_of(order_id).pk])
    assert [step for _, step in due.values()] == [Step.CANCEL_OVERDUE]


@pytest.fixture
def sessions(transactional_db: None) -> Iterator[list[Session]]:
    both = [Session(), Session()]
    yield both
    for session in both:
        session.close()


def test_two_workers_never_claim_the_same_item(sessions: list[Session]) -> None:
    orders = [place_in(Status.PAYMENT_PENDING) for _ in range(40)]
    rounds = [session.start(claim, "payments", 5) for _ in range(6) for session in sessions]
    taken = [item.order_pk for future in rounds for item in future.result(20)]
    assert sorted(taken) == sorted(order_of(order_id).pk for order_id in orders)


def test_a_claim_does_not_wait_for_an_item_that_somebody_holds(sessions: list[Session]) -> None:
    held, free = place_in(Status.PAYMENT_PENDING), place_in(Status.PAYMENT_PENDING)
    pk = item_of(held, Step.AUTHORIZE_PAYMENT).pk
    sessions[0].begin(f"SELECT 1 FROM workflow_workitem WHERE id = {pk} FOR UPDATE")
    claimed = sessions[1].call(claim)
    assert [item.order_pk for item in claimed] == [order_of(free).pk]


@pytest.mark.django_db
@pytest.mark.rows_by_hand
def test_looking_for_work_never_walks_over_timers() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    _pile_up_timers(order_of(order_id).pk, 20_000)
    with CaptureQueriesContext(connection) as queries:
        assert len(claim()) == 1
        assert find_due_orders(limit=200) == []
        assert connectors_with_due_items(["payments", "stock"]) == []
        assert sweep() == 0
    looks = [query["sql"] for query in queries if "workflow_workitem" in query["sql"]]
    assert len(looks) == 4
    # Walking over the timers reads 500 pages and more.
    assert max(_pages_read(sql) for sql in looks) < 200


def _pages_read(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql.replace("%", "%%"), [])
        top = cursor.fetchone()[0][0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def _pile_up_timers(order_pk: int, count: int) -> None:
    """Timers of one order, apart by package: enough rows that walking over them would show."""
    execute(
        "INSERT INTO orders_package (order_id, index, type, invoice_number, invoice_value_cents,"
        " invoice_key, invoice_url, embedded_invoice, issued_at, courier, tracking_number,"
        " tracking_url, is_delivered, is_settled, extra)"
        f" SELECT {order_pk}, n, 'Output', n, 1, '', '', '', now(), '', '', '', false, false, '{{}}'"
        f" FROM generate_series(1, {count}) n"
    )
    execute(
        "INSERT INTO workflow_workitem (order_id, package_id, step, connector, priority, due_at,"
        " next_attempt_at, leased_by, fence, attempts, last_error, cause)"
        f" SELECT {order_pk}, id, 'authorize-payment', 'payments', 10, now() + interval '1 day',"
        f" now() + index * interval '1 minute' + interval '1 hour', '', 0, 0, '', ''"
        f" FROM orders_package WHERE order_id = {order_pk}"
    )
    execute("ANALYZE workflow_workitem")
