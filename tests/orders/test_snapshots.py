"""Every version of an order can be looked at as its event left it, while somebody wants that."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from oms.ops.clock import database_now
from oms.orders.documents.building import PARTS, documents_at_events, order_document
from oms.orders.importing import import_file
from oms.orders.locks import lock_orders
from oms.orders.models import DocumentSnapshot, InvoiceType, Order, OrderEvent, SnapshotDemand
from oms.orders.snapshots import demand_snapshots, drop_demand, forget_snapshots
from oms.orders.statuses import Flow, Status
from tests.orders.documents import example_document
from tests.workflow.stories import (
    ACTOR,
    invoice,
    last_event,
    move,
    order_of,
    path,
    place,
    place_in,
    statuses_of,
)
from workflow.flows import TABLES, Action
from workflow.moves import Change, write_changes
from workflow.services.cancellation import accept_cancellation, cancel_order, deny_cancellation
from workflow.services.invoicing import record_invoice
from workflow.services.notes import add_note
from workflow.services.payment import approve_payment, deny_payment
from workflow.services.repair import force_status
from workflow.services.tracking import Shipment, update_shipment, update_tracking

pytestmark = pytest.mark.django_db


@pytest.fixture
def demanded(db: None) -> None:
    demand_snapshots("test")


class Witness:
    """Looks at documents right after each commit, as nobody can do who comes later."""

    def __init__(self) -> None:
        self.seen: dict[int, dict[str, Any]] = {}

    def look(self) -> None:
        """This function will keep the present document for every event that is new."""
        for event in OrderEvent.objects.exclude(pk__in=self.seen).order_by("pk"):
            self.seen[event.pk] = order_document(event.order)

    def walk(self, order_id: str, goal: Status) -> None:
        """This function will move an order to a status and look after each move."""
        order = order_of(order_id)
        for action in path(Flow(order.flow), Status(order.status), goal):
            move(order_id, action)
            self.look()

    def assert_all_remembered(self) -> None:
        assert set(DocumentSnapshot.objects.values_list("event_id", flat=True)) == set(self.seen)
        assert documents_at_events(list(self.seen)) == self.seen


@pytest.mark.usefixtures("demanded")
def test_a_whole_story_can_be_read_again_event_by_event() -> None:
    witness = Witness()
    order_id = place(value_cents=3000)
    witness.look()
    witness.walk(order_id, Status.PAYMENT_PENDING)
    payment_id = order_of(order_id).payments.get().payment_id
    approve_payment(order_id=order_id, payment_id=payment_id, actor="key:payments")
    witness.look()
    witness.walk(order_id, Status.READY_FOR_HANDLING)
    cancel_order(order_id=order_id, reason="too late", actor="key:shop")
    witness.look()
    witness.walk(order_id, Status.CANCELLATION_REQUESTED)
    deny_cancellation(order_id=order_id, reason="packed", actor="key:erp")
    witness.look()
    witness.walk(order_id, Status.HANDLING)
    add_note(order_id=order_id, text="Call back.", actor="user:ana")
    witness.look()
    for number, value_cents in (("NF-1", 1000), ("NF-2", 2000)):
        record_invoice(order_id=order_id, invoice=invoice(number, value_cents), actor="key:erp")
        witness.look()
        update_shipment(
            order_id=order_id,
            invoice_number=number,
            shipment=Shipment(tracking_number=f"T-{number}", courier="Correios"),
            actor="key:erp",
        )
        witness.look()
        witness.walk(order_id, Status.HANDLING if number == "NF-1" else Status.INVOICED)
    update_tracking(
        order_id=order_id,
        invoice_number="NF-1",
        is_delivered=True,
        delivered_at=None,
        events=[{"date": "2026-02-01T10:00:00Z", "city": "Rio", "state": "", "description": "!"}],
        actor="key:carrier",
    )
    witness.look()
    record_invoice(
        order_id=order_id, invoice=invoice("NF-3", 500, type_=InvoiceType.INPUT), actor="key:erp"
    )
    witness.look()
    assert {event.kind for event in OrderEvent.objects.all()} >= {
        "order.placed",
        "order.return-invoiced",
        "package.shipped",
        "package.delivered",
        "note.added",
    }
    witness.assert_all_remembered()


@pytest.mark.usefixtures("demanded")
@pytest.mark.parametrize("flow", list(Flow))
def test_every_move_of_every_table_leaves_the_order_as_it_was_then(flow: Flow) -> None:
    witness = Witness()
    for origin in statuses_of(flow):
        if origin is Status.ORDER_CREATE_ERROR:  # only imported orders stand there
            continue
        for action in [action for status, action in TABLES[flow] if status is origin]:
            order_id = place(flow)
            witness.look()
            witness.walk(order_id, origin)
            move(order_id, action)
            witness.look()
    witness.assert_all_remembered()


@pytest.mark.usefixtures("demanded")
def test_a_canceled_order_is_remembered_with_its_request_and_who_canceled_it() -> None:
    witness = Witness()
    order_id = place()
    witness.look()
    witness.walk(order_id, Status.READY_FOR_HANDLING)
    cancel_order(order_id=order_id, reason="too late", actor="key:shop")
    witness.look()
    witness.walk(order_id, Status.CANCELLATION_REQUESTED)
    accept_cancellation(order_id=order_id, actor="user:ana")
    witness.look()
    witness.walk(order_id, Status.CANCELED)
    witness.assert_all_remembered()
    documents = [witness.seen[event_id] for event_id in sorted(witness.seen)]
    asked = next(told for told in documents if told.get("cancellationRequests"))
    (request,) = asked["cancellationRequests"]
    assert (request["reason"], request["deniedBySeller"]) == ("too late", False)
    canceled = documents[-1]
    assert canceled["cancellationData"]["RequestedBySellerNotification"] is True


@pytest.mark.usefixtures("demanded")
def test_denied_payments_and_forced_moves_are_remembered() -> None:
    witness = Witness()
    order_id = place()
    witness.look()
    witness.walk(order_id, Status.PAYMENT_PENDING)
    payment_id = order_of(order_id).payments.get().payment_id
    deny_payment(order_id=order_id, payment_id=payment_id, actor="key:payments", reason="")
    witness.look()
    force_status(order_id=order_id, status=Status.HANDLING, reason="by hand", actor="user:ana")
    witness.look()
    witness.assert_all_remembered()
    assert order_document(order_of(order_id))["status"] == "handling"


@pytest.mark.usefixtures("demanded")
def test_imported_orders_are_remembered_with_every_part(tmp_path: Path) -> None:
    file = tmp_path / "orders.ndjson"
    file.write_bytes(orjson.dumps(example_document()))
    assert import_file(file).imported == 1
    event = OrderEvent.objects.get()
    before = order_document(event.order)
    Order.objects.update(status=Status.CANCELED)
    assert documents_at_events([event.pk]) == {event.pk: before}
    assert before["packageAttachment"]["packages"][0]["courierStatus"]["data"]


@pytest.mark.usefixtures("demanded")
def test_a_batch_leaves_one_snapshot_per_order() -> None:
    pks = [order_of(place_in(Status.READY_FOR_HANDLING)).pk for _ in range(3)]
    before = set(DocumentSnapshot.objects.values_list("event_id", flat=True))
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        orders = lock_orders(pks).values()
        write_changes(
            [Change(order=order, actor=ACTOR, action=Action.START_HANDLING) for order in orders]
        )
    assert len(queries) == 2
    added = set(DocumentSnapshot.objects.values_list("event_id", flat=True)) - before
    assert set(OrderEvent.objects.filter(pk__in=added).values_list("order_id", flat=True)) == {
        *pks
    }


def test_without_demand_nothing_is_kept_and_events_get_the_present_document() -> None:
    order_id = place()
    assert DocumentSnapshot.objects.count() == 0
    first = last_event(order_id)
    move(order_id, path(Flow.COMPLETE, Status.ORDER_CREATED, Status.ON_ORDER_COMPLETED)[0])
    present = order_document(order_of(order_id))
    assert documents_at_events([first.pk, last_event(order_id).pk, 10**12]) == {
        first.pk: present,
        last_event(order_id).pk: present,
    }
    assert documents_at_events([]) == {}


def test_snapshots_begin_with_the_first_demand_and_end_with_the_last() -> None:
    demand_snapshots("one")
    demand_snapshots("two")
    demand_snapshots("two")
    place()
    drop_demand("one")
    drop_demand("one")
    place()
    assert DocumentSnapshot.objects.count() == 2
    drop_demand("two")
    place()
    assert DocumentSnapshot.objects.count() == 2
    assert not SnapshotDemand.objects.exists()


@pytest.mark.usefixtures("demanded")
def test_a_snapshot_has_every_table_that_the_document_is_made_of() -> None:
    place()
    (rows,) = DocumentSnapshot.objects.values_list("rows", flat=True)
    assert set(orjson.loads(rows)) == {model._meta.db_table for model in PARTS}


@pytest.mark.usefixtures("demanded")
def test_a_snapshot_from_before_a_column_was_added_can_still_be_read() -> None:
    order_id = place()
    snapshot = DocumentSnapshot.objects.get()
    (document,) = documents_at_events([snapshot.pk]).values()
    rows = orjson.loads(snapshot.rows)
    del rows["orders_item"][0]["tax_cents"]
    del rows["orders_payment"][0]["extra"]
    rows["orders_order"][0]["dropped_since"] = 1
    rows["orders_dropped_table"] = [{}]
    snapshot.rows = orjson.dumps(rows).decode()
    snapshot.save()
    assert documents_at_events([last_event(order_id).pk]) == {snapshot.pk: document}


@pytest.mark.usefixtures("demanded")
def test_old_snapshots_are_forgotten_in_batches() -> None:
    for _ in range(5):
        place()
    kept = DocumentSnapshot.objects.latest("pk")
    long_ago = database_now() - timedelta(days=31)
    DocumentSnapshot.objects.exclude(pk=kept.pk).update(taken_at=long_ago)
    with CaptureQueriesContext(connection) as queries:
        assert forget_snapshots(database_now() - timedelta(days=30), batch=2) == 4
    assert len(queries) == 3 + 1
    assert DocumentSnapshot.objects.get() == kept
