"""What answers come to: late ones, lost ones, several at once, ones that cannot be written."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured

from oms.orders.models import Payment, TrackingEvent
from oms.orders.statuses import Flow, Status
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    assert_legal_history,
    facts_of,
    item_of,
    last_event,
    let_time_pass,
    move,
    nothing_changes,
    order_of,
    payment_of,
    place_in,
    record,
    status_of,
    steps_of,
)
from workflow.connectors.http import call_many
from workflow.connectors.protocol import Answered, Call, Failed, NotCalled, Refused
from workflow.flows import Action
from workflow.outside import Record, Verdict, build_call, interpret, load_facts
from workflow.recording import Recorded, Result, record_each, record_verdicts
from workflow.runner import run_due
from workflow.services.cancellation import cancel_order
from workflow.services.payment import approve_payment
from workflow.services.tracking import Shipment
from workflow.steps import Step
from workflow.work import ClaimedItem, claim_items

pytestmark = pytest.mark.django_db

ACTOR = "role:workflow"
LEASE = timedelta(seconds=20)


def claim(connector: str = "payments") -> list[ClaimedItem]:
    return claim_items(connector=connector, limit=20, lease=LEASE, worker="w")


def call_out(connector: str) -> list[Result]:
    """This function will claim and call as the runner does, and return what is to be recorded."""
    items = claim(connector)
    facts = load_facts([item.order_pk for item in items])
    calls = [build_call(item, facts[item.order_pk]) for item in items]
    assert all(isinstance(call, Call) for call in calls)
    outcomes = call_many(
        [call for call in calls if isinstance(call, Call)],
        limit_per_connector=5,
        timeout_seconds=configured.CONNECTOR_TIMEOUT_SECONDS,
    )
    results: list[Result] = []
    for item, outcome in zip(items, outcomes, strict=True):
        assert isinstance(outcome, Answered)
        results.append((item, interpret(item, facts[item.order_pk], outcome)))
    return results


def results_of(sandbox: ThreadedSandbox, order_id: str) -> list[tuple[str, str]]:
    return [(e["operation"], e["result"]) for e in sandbox.effects(order_id)["effects"]]


def give_up(order_id: str) -> None:
    cancel_order(order_id=order_id, reason="r", actor="key:shop")


def run_everything(order_id: str) -> None:
    run_due()
    let_time_pass(order_id, timedelta(minutes=2))
    run_due()


# Late and lost


def test_a_late_result_after_a_lost_lease_changes_nothing(sandbox: ThreadedSandbox) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    results = call_out("payments")
    let_time_pass(order_id, LEASE)
    (second,) = claim()
    with nothing_changes(order_id):
        assert record_verdicts(results, actor=ACTOR) == Recorded(late=1)
    assert item_of(order_id, Step.AUTHORIZE_PAYMENT).fence == second.fence == 2


def test_a_late_result_of_an_order_that_went_on_changes_nothing(sandbox: ThreadedSandbox) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    results = call_out("payments")
    payment_id = payment_of(order_id).payment_id
    approve_payment(order_id=order_id, payment_id=payment_id, actor="key:gateway")
    with nothing_changes(order_id):
        record_verdicts(results, actor=ACTOR)


@pytest.mark.parametrize(
    ("status", "connector", "undo", "undone"),
    [
        (Status.PAYMENT_PENDING, "payments", Step.UNDO_LATE_PAYMENT, "voided"),
        (Status.WAITING_FOR_AUTHORIZATION, "stock", Step.UNDO_LATE_STOCK, "released"),
    ],
)
def test_an_effect_that_comes_after_the_order_was_canceled_is_undone(
    sandbox: ThreadedSandbox, status: Status, connector: str, undo: Step, undone: str
) -> None:
    order_id = place_in(status)
    (item,) = claim(connector)
    give_up(order_id)
    run_due()
    assert status_of(order_id) == Status.CANCELED
    facts = load_facts([item.order_pk])[item.order_pk]
    call = build_call(item, facts)
    assert isinstance(call, Call)
    (outcome,) = call_many([call], limit_per_connector=1, timeout_seconds=5)
    assert isinstance(outcome, Answered)
    record_verdicts([(item, interpret(item, facts, outcome))], actor=ACTOR)
    assert undo in steps_of(order_id)
    run_everything(order_id)
    assert results_of(sandbox, order_id)[-1][1] == undone
    assert (status_of(order_id), steps_of(order_id)) == (Status.CANCELED, set())
    assert_legal_history(order_id)


def test_what_a_dead_worker_left_outside_is_undone_all_the_same(sandbox: ThreadedSandbox) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    claim()
    give_up(order_id)
    run_due()
    assert ("void", "nothing-to-void") in results_of(sandbox, order_id)
    # The call of the worker that died arrives only now, and nobody hears the answer.
    facts = load_facts([order_of(order_id).pk])[order_of(order_id).pk]
    item = ClaimedItem(0, order_of(order_id).pk, None, Step.AUTHORIZE_PAYMENT, 1, 1, 10)
    call = build_call(item, facts)
    assert isinstance(call, Call)
    call_many([call], limit_per_connector=1, timeout_seconds=5)
    let_time_pass(order_id, timedelta(minutes=2))
    run_due()
    assert results_of(sandbox, order_id)[-1] == ("void", "voided")
    assert steps_of(order_id) == set()


# Each outcome


def one(order_id: str, result: Any, connector: str = "payments") -> Recorded:
    (item,) = claim(connector)
    assert item.order_pk == order_of(order_id).pk
    return record_verdicts([(item, result)], actor=ACTOR)


def test_a_failure_counts_and_waits() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    before = facts_of(order_id)
    assert one(order_id, Failed("HTTP 500", retry_after=60)) == Recorded(retried=1)
    item = item_of(order_id, Step.AUTHORIZE_PAYMENT)
    assert (item.attempts, item.last_error, item.leased_until) == (1, "HTTP 500", None)
    assert item.next_attempt_at > order_of(order_id).last_change_at + timedelta(seconds=59)
    assert facts_of(order_id).events == before.events


def test_a_call_that_was_never_made_uses_up_no_attempt() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    one(order_id, Failed("HTTP 500"))
    let_time_pass(order_id, timedelta(minutes=5))
    one(order_id, NotCalled("no time"))
    assert item_of(order_id, Step.AUTHORIZE_PAYMENT).attempts == 1


def test_news_that_nothing_is_decided_yet_begin_the_count_anew() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    one(order_id, Failed("HTTP 500"))
    let_time_pass(order_id, timedelta(minutes=5))
    one(order_id, Verdict(again=timedelta(minutes=1)))
    assert item_of(order_id, Step.AUTHORIZE_PAYMENT).attempts == 0


def test_a_refusal_parks_with_the_words_of_the_service() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    assert one(order_id, Refused("bad-card", "No such card.")) == Recorded(parked=1)
    item = item_of(order_id, Step.AUTHORIZE_PAYMENT)
    assert (item.cause, item.last_error) == (
        "authorize-payment refused: bad-card",
        "No such card.",
    )
    assert last_event(order_id).kind == "work.parked"


def test_a_verdict_that_the_table_refuses_parks_and_moves_nothing() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    one(order_id, Verdict(Action.SETTLE_INVOICE))
    assert status_of(order_id) == Status.PAYMENT_PENDING
    assert item_of(order_id, Step.AUTHORIZE_PAYMENT).cause == "refused by the table"


def test_an_answer_must_be_interpreted_before_it_is_recorded() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    with pytest.raises(TypeError):
        one(order_id, Answered({}))


def test_an_approval_keeps_the_transaction_and_marks_the_payments() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    one(order_id, Verdict(Action.APPROVE_PAYMENT, record=Record("approved", "TX-1")))
    payment, event = payment_of(order_id), last_event(order_id)
    assert (payment.status, payment.transaction_id) == ("approved", "TX-1")
    assert event.changes[f"payments.{payment.payment_id}.status"] == ["pending", "approved"]
    assert event.parts_fingerprint is not None


# Several at once


def test_one_result_that_cannot_be_written_is_parked_and_the_others_are_written() -> None:
    orders = [place_in(Status.PAYMENT_PENDING) for _ in range(3)]
    results: list[Result] = []
    for item in claim():
        is_odd = item.order_pk == order_of(orders[1]).pk
        record_ = Record("of a length that no column takes" if is_odd else "approved")
        results.append((item, Verdict(Action.APPROVE_PAYMENT, record=record_)))
    assert record_each(results, actor=ACTOR) == Recorded(done=2, parked=1)
    assert [status_of(order_id) for order_id in orders] == [
        Status.APPROVE_PAYMENT,
        Status.PAYMENT_PENDING,
        Status.APPROVE_PAYMENT,
    ]
    parked = item_of(orders[1], Step.AUTHORIZE_PAYMENT)
    assert (parked.cause, parked.last_error) == (
        "authorize-payment broke",
        "DataError: see the log.",
    )
    assert Payment.objects.get(order__order_id=orders[1]).status == "pending"
    for order_id in orders:
        assert_legal_history(order_id)


def test_two_steps_of_one_order_in_one_batch_are_both_done(sandbox: ThreadedSandbox) -> None:
    order_id = place_in(Status.HANDLING)
    for number, cents in (("A", 400), ("B", 600)):
        shipment = Shipment(tracking_number=f"BKSRN00000000{number == 'A':d}")
        record(order_id, number, cents, shipment=shipment)
        move(order_id, Action.SETTLE_PART if number == "A" else Action.SETTLE_INVOICE)
    run_due()
    told = TrackingEvent.objects.values_list("package__invoice_number", flat=True)
    assert set(told) == {"A", "B"}
    assert_legal_history(order_id)


def test_a_carriers_long_words_are_cut_and_stop_nothing() -> None:
    order_id = place_in(Status.PAYMENT_APPROVED, Flow.MARKETPLACE)
    record(order_id, shipment=Shipment(tracking_number="BR1"))
    (item,) = claim("carrier")
    news = {"date": "2026-01-31T12:00:00+00:00", "city": "c" * 999, "state": "s" * 999}
    tracking = {"delivered": False, "events": [{**news, "description": "d" * 9999}]}
    verdict = Verdict(again=timedelta(0), record=Record(tracking=tracking))
    for _ in range(2):
        record_verdicts([(item, verdict)], actor=ACTOR)
    event = TrackingEvent.objects.get()
    assert (len(event.city), len(event.state), len(event.description)) == (160, 80, 9999)
