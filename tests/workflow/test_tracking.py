"""Where the packages are: told by ERP and carrier, told twice, delivered once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from oms.ops.clock import database_now
from oms.orders.documents.drafts import PackageDraft, TrackingEventDraft
from oms.orders.locks import OrderNotFound
from oms.orders.models import InvoiceType, Package, TrackingEvent
from oms.orders.statuses import Status
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    last_event,
    nothing_changes,
    place,
    place_in,
    record,
    refused,
    status_of,
    steps_of,
)
from workflow.models import WorkItem
from workflow.runner import run_due
from workflow.services.refusals import PartOfOrderNotFound
from workflow.services.repair import skip_work
from workflow.services.tracking import Shipment, update_shipment, update_tracking
from workflow.steps import Step
from workflow.work import park_item

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def shipped(**shipment: Any) -> str:
    """This function will place an order with one recorded invoice."""
    order_id = place_in(Status.HANDLING)
    record(order_id, "NF/1", 1000, shipment=Shipment(**shipment))
    return order_id


def ship(order_id: str, number: str = "NF/1", **shipment: Any) -> None:
    update_shipment(
        order_id=order_id, invoice_number=number, shipment=Shipment(**shipment), actor="key:erp"
    )


def tell(
    order_id: str, *descriptions: str, delivered_at: datetime | None = None, **given: Any
) -> None:
    events = [
        {"date": NOON.isoformat(), "city": "Rio", "state": "RJ", "description": text}
        for text in descriptions
    ]
    facts: dict[str, Any] = {
        "invoice_number": "NF/1",
        "is_delivered": delivered_at is not None,
    } | given
    update_tracking(
        order_id=order_id, delivered_at=delivered_at, events=events, actor="key:erp", **facts
    )


def test_a_shipment_is_noted_with_old_and_new_values_and_followed() -> None:
    order_id = shipped(courier="Post")
    assert Step.FOLLOW_TRACKING not in steps_of(order_id)
    ship(order_id, tracking_number="BR1", tracking_url="https://t/1", dispatched_at=NOON)
    event, package = last_event(order_id), Package.objects.get()
    assert (event.kind, event.actor) == ("package.shipped", "key:erp")
    assert event.changes == {
        "packages.NF/1.tracking_number": ["", "BR1"],
        "packages.NF/1.tracking_url": ["", "https://t/1"],
        "packages.NF/1.dispatched_at": [None, NOON.isoformat()],
    }
    assert (package.courier, package.dispatched_at) == ("Post", NOON)
    assert Step.FOLLOW_TRACKING in steps_of(order_id)


def test_the_same_shipment_again_changes_nothing() -> None:
    order_id = shipped(courier="Post", tracking_number="BR1")
    with nothing_changes(order_id):
        ship(order_id, courier="Post", tracking_number="BR1")
        ship(order_id)


def test_a_corrected_number_is_followed_anew_even_after_the_wrong_one_was_parked() -> None:
    order_id = shipped(tracking_number="WRONG")
    wrong = WorkItem.objects.get(step=Step.FOLLOW_TRACKING)
    park_item(wrong.pk, cause="unknown number", error="")
    ship(order_id, tracking_number="RIGHT")
    right = WorkItem.objects.get(step=Step.FOLLOW_TRACKING)
    assert right.pk != wrong.pk
    assert (right.parked_at, right.attempts) == (None, 0)


@pytest.mark.parametrize("act", [ship, tell])
def test_an_unknown_invoice_is_not_there(act: Any) -> None:
    order_id = shipped()
    with refused(order_id, PartOfOrderNotFound, "no invoice NF-9"):
        if act is ship:
            ship(order_id, "NF-9", courier="Post")
        else:
            tell(order_id, "news", invoice_number="NF-9")
    with pytest.raises(OrderNotFound):
        act("nobody")


def test_news_told_twice_is_stored_once() -> None:
    order_id = shipped()
    tell(order_id, "picked up", "on its way")
    with nothing_changes(order_id):
        tell(order_id, "picked up", "on its way")
    tell(order_id, "picked up", "on its way", "at the door")
    assert list(TrackingEvent.objects.order_by("index").values_list("index", "description")) == [
        (0, "picked up"),
        (1, "on its way"),
        (2, "at the door"),
    ]
    event = last_event(order_id)
    assert event.kind == "package.tracked"
    assert event.changes == {"packages.NF/1.tracking": [None, "at the door"]}


def test_delivery_is_a_fact_of_the_package_and_no_status() -> None:
    order_id = shipped(tracking_number="BR1")
    tell(order_id, "delivered", delivered_at=NOON)
    package, event = Package.objects.get(), last_event(order_id)
    assert (package.is_delivered, package.delivered_at) == (True, NOON)
    assert (event.kind, event.status) == ("package.delivered", Status.INVOICE)
    assert event.changes["packages.NF/1.delivered"] == [None, NOON.isoformat()]
    with nothing_changes(order_id):
        tell(order_id, "delivered", delivered_at=NOON)
        tell(order_id, "delivered")


def test_delivery_without_a_date_takes_the_time_of_the_news() -> None:
    order_id = shipped()
    tell(order_id, is_delivered=True)
    assert Package.objects.get().delivered_at == last_event(order_id).occurred_at


def test_imported_news_that_repeat_themselves_do_not_stop_further_news() -> None:
    twice = [TrackingEventDraft(index=i, occurred_at=NOON, description="same") for i in (0, 1)]
    package = PackageDraft(
        index=0,
        type=InvoiceType.OUTPUT,
        invoice_number="NF/1",
        invoice_value_cents=1000,
        issued_at=NOON,
        tracking_events=twice,
    )
    order_id = place(packages=[package])
    tell(order_id, "fresh")
    assert TrackingEvent.objects.get(description="fresh").index == 2


def test_news_of_a_number_shared_by_sale_and_return_goes_to_the_sale(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = shipped()
    run_due()
    record(order_id, "NF/1", 1000, type_=InvoiceType.INPUT)
    tell(order_id, "delivered", delivered_at=NOON)
    assert Package.objects.get(is_delivered=True).type == "Output"


def test_the_carrier_is_asked_until_it_delivered(sandbox: ThreadedSandbox) -> None:
    order_id = shipped(tracking_number="BKSRN000000001")
    run_due()
    item = WorkItem.objects.get(step=Step.FOLLOW_TRACKING)
    assert (item.attempts, item.last_error) == (0, "")
    assert item.next_attempt_at > database_now() + timedelta(minutes=4)
    assert TrackingEvent.objects.filter(package__order__order_id=order_id).exists()
    tell(order_id, "delivered", delivered_at=NOON)
    WorkItem.objects.update(next_attempt_at=NOON)
    run_due()
    assert Step.FOLLOW_TRACKING not in steps_of(order_id)
    assert status_of(order_id) == Status.INVOICED


def test_a_parcel_that_never_comes_waits_for_a_person(sandbox: ThreadedSandbox) -> None:
    order_id = shipped(tracking_number="BKSRN000000001")
    Package.objects.update(created_at=database_now() - timedelta(days=61))
    run_due()
    item = WorkItem.objects.get(step=Step.FOLLOW_TRACKING)
    assert (item.cause, item.parked_at is None) == ("parcel not delivered", False)
    skip_work(item_pks=[item.pk], reason="lost and paid back", actor="user:ana")
    assert Step.FOLLOW_TRACKING not in steps_of(order_id)


def test_a_parcel_that_no_carrier_knows_can_be_let_go() -> None:
    order_id = shipped(tracking_number="BR1")
    item = WorkItem.objects.get(step=Step.FOLLOW_TRACKING)
    park_item(item.pk, cause="unknown number", error="")
    repaired = skip_work(item_pks=[item.pk], reason="carried by hand", actor="user:ann")
    assert (repaired.done, repaired.refused) == (1, {})
    event = last_event(order_id)
    assert (event.kind, event.reason) == ("work.skipped", "carried by hand")
    assert Step.FOLLOW_TRACKING not in steps_of(order_id)
    assert status_of(order_id) == Status.INVOICE
