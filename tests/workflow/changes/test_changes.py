"""Changes of orders that are being handled: applied at once, or when their money is there."""

from datetime import timedelta
from typing import Any

import pytest

from oms.orders.checks import find_drift
from oms.orders.documents.building import documents_at_events, order_document
from oms.orders.documents.drafts import PaymentDraft
from oms.orders.models import ClientProfile, Item, OrderEvent
from oms.orders.snapshots import demand_snapshots
from oms.orders.statuses import Flow, Status
from tests.workflow.changes.bodies import (
    CUPS,
    MORE_CUPS,
    MUGS,
    add,
    body,
    change,
    handled,
    item,
    remove,
    swap,
)
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    assert_legal_history,
    item_of,
    kinds_of,
    last_event,
    let_time_pass,
    nothing_changes,
    order_of,
    payment_of,
    place_in,
    record,
    refused,
    status_of,
    statuses_of,
    steps_of,
)
from workflow.changes.pricing import LinesInvoiced
from workflow.models import ChangeRequest, ConnectorState, StoreRules, WorkItem
from workflow.runner import run_due
from workflow.services.cancellation import accept_cancellation, cancel_order
from workflow.services.changes import (
    ChangedDifferently,
    ChangeInProgress,
    ChangeOver,
    ChangesDisabled,
    NotChangeable,
    cancel_change,
    change_settings,
    preview_change,
    requests_of,
    retry_change,
    set_change_settings,
    summarize_changes,
)
from workflow.services.invoicing import InvoicedLine
from workflow.services.refusals import InvalidInput
from workflow.services.repair import skip_work
from workflow.steps import Step

pytestmark = pytest.mark.django_db

State = ChangeRequest.State


def lines_of(order_id: str) -> list[tuple[str, str, int, int]]:
    """This function will list lines as (uniqueId, SKU, quantity, goods in cents), in their order."""
    items = order_document(order_of(order_id))["items"]
    return [(i["uniqueId"], i["id"], i["quantity"], _goods(i)) for i in items]


def _goods(told: dict[str, Any]) -> int:
    definition = told["priceDefinition"]
    if definition is None:
        return int(told["sellingPrice"]) * int(told["quantity"])
    return sum(p["value"] * p["quantity"] for p in definition["sellingPrices"])


def assert_whole(order_id: str) -> None:
    """This function will check that row, totals, lines, payments and timeline tell one story."""
    order = order_of(order_id)
    document = order_document(order)
    assert document["value"] == sum(total["value"] for total in document["totals"])
    manual = sum(t["value"] for t in document["totals"] if t["id"] == "ManualValues")
    assert sum(goods for *_, goods in lines_of(order_id)) + manual == document["value"]
    assert sum(payment.value_cents for payment in order.payments.all()) == document["value"]
    assert order.item_count == sum(quantity for _, _, quantity, _ in lines_of(order_id))
    indexes = list(Item.objects.filter(order=order).order_by("index").values_list("index"))
    assert indexes == [(position,) for position in range(len(indexes))]
    assert list(find_drift()) == []
    assert_legal_history(order_id)


# Applied at once


def test_units_taken_off_lower_the_value_at_once(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    request = change(order_id, remove(item(2, uniqueId=CUPS), item(1, uniqueId=MUGS)))
    assert (request.state, request.difference_cents) == (State.DONE, -700)
    assert lines_of(order_id) == [(CUPS, "cup", 1, 200), (MORE_CUPS, "cup", 1, 100)]
    assert order_of(order_id).value_cents == 300
    event = last_event(order_id)
    assert (event.kind, event.actor, event.reason) == (
        "order.changed",
        "key:erp",
        "The client asked.",
    )
    assert event.changes == {
        f"lines.{CUPS}.quantity": [3, 1],
        f"lines.{CUPS}.goods_cents": [600, 200],
        f"lines.{MUGS}": ["1 x Mug", None],
        "value_cents": [1000, 300],
        "payments.PAY.value_cents": [1000, 300],
    }
    assert_whole(order_id)


def test_the_document_tells_the_change(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    request = change(order_id, remove(item(1, uniqueId=MUGS)))
    (told,) = order_document(order_of(order_id))["changesAttachment"]["changesData"]
    assert (told["reason"], told["discountValue"], told["itemsAdded"]) == (
        "The client asked.",
        0,
        [],
    )
    assert told["itemsRemoved"] == [
        {
            "id": "mug",
            "uniqueId": MUGS,
            "name": "Mug",
            "quantity": 1,
            "price": 300,
            "unitMultiplier": "1",
        }
    ]
    assert told["receipt"]["receipt"] == str(request.workflow_id)


def test_what_is_taken_off_is_let_go_at_the_gateway(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    change(order_id, remove(item(1, uniqueId=MUGS)))
    change(order_id, body(manualDiscountValue=100))
    run_due()
    assert steps_of(order_id) == set()
    assert sandbox.effects()["operations"]["reduction"]["calls"] == 2
    assert not ChangeRequest.objects.filter(returns_cents__gt=0).exists()


def test_two_lines_of_one_sku_are_told_apart() -> None:
    """KI 1219914: a change failed for ever when two lines shared a SKU."""
    order_id = handled()
    change(order_id, remove(item(1, id="cup", uniqueId=MORE_CUPS)))
    assert lines_of(order_id) == [(CUPS, "cup", 3, 600), (MUGS, "mug", 1, 300)]
    change(order_id, remove(item(2, id="cup")))
    assert lines_of(order_id) == [(CUPS, "cup", 1, 200), (MUGS, "mug", 1, 300)]
    assert_whole(order_id)


def test_a_sku_without_a_line_is_spread_over_its_lines_the_price_told_first() -> None:
    order_id = handled()
    change(order_id, remove(item(2, id="cup", price=100)))
    assert lines_of(order_id) == [(CUPS, "cup", 2, 400), (MUGS, "mug", 1, 300)]


def test_discount_and_increment_are_a_total_of_their_own() -> None:
    order_id = handled()
    change(order_id, body(manualDiscountValue=150, manualIncrementValue="50"))
    totals = {t["id"]: t["value"] for t in order_document(order_of(order_id))["totals"]}
    assert totals == {"Items": 1000, "Discounts": 0, "Shipping": 0, "ManualValues": -100}
    assert_whole(order_id)


def test_a_replacement_of_one_sku_by_another_costs_what_it_replaces() -> None:
    order_id = handled()
    new = item(1, id="jug", uniqueId=MUGS, name="Jug", measurementUnit="un", unitMultiplier=1.0)
    change(order_id, swap(item(1, id="mug", uniqueId=MUGS, price=300), new))
    assert lines_of(order_id) == [
        (CUPS, "cup", 3, 600),
        (MORE_CUPS, "cup", 1, 100),
        (MUGS, "jug", 1, 300),
    ]
    assert last_event(order_id).changes == {f"lines.{MUGS}": ["1 x Mug", "1 x Jug"]}
    assert_whole(order_id)


def test_a_part_replaced_becomes_a_line_with_an_id_of_its_own() -> None:
    order_id = handled()
    request = change(
        order_id, swap(item(1, uniqueId=CUPS), item(1, id="jug", uniqueId=CUPS, price=150))
    )
    new_id = request.told["replace"][0]["to"]["items"][0]["uniqueId"]
    assert new_id not in (CUPS, MUGS, MORE_CUPS)
    assert lines_of(order_id)[0] == (CUPS, "cup", 2, 400)
    assert lines_of(order_id)[-1] == (new_id, "jug", 1, 150)
    assert_whole(order_id)


def test_the_price_of_some_units_changes_them_into_a_line_of_their_own() -> None:
    order_id = handled()
    change(order_id, swap(item(1, uniqueId=CUPS), item(1, id="cup", price=50)))
    assert [line[1:] for line in lines_of(order_id)] == [
        ("cup", 2, 400),
        ("mug", 1, 300),
        ("cup", 1, 100),
        ("cup", 1, 50),
    ]
    assert_whole(order_id)


def test_a_weight_is_multiplied_and_rounded_once_per_unit() -> None:
    """KI 1256685: lines, totals and payment differed by cents after a change of weight."""
    order_id = handled()
    change(order_id, swap(item(3, uniqueId=CUPS), item(3, id="cup", unitMultiplier=0.3333)))
    assert lines_of(order_id)[0] == (CUPS, "cup", 3, 3 * 67)
    assert order_document(order_of(order_id))["items"][0]["unitMultiplier"] == 0.3333
    assert_whole(order_id)


def test_client_data_is_changed_and_the_timeline_keeps_it_to_itself() -> None:
    order_id = handled()
    profile = {"firstName": "Jane", "document": "123.456-7", "isCorporate": False}
    new = item(1, id="mug", clientProfileData=[profile])
    change(order_id, swap(item(1, uniqueId=MUGS), new))
    client = ClientProfile.objects.get(order__order_id=order_id)
    assert (client.first_name, client.document_key) == ("Jane", "1234567")
    assert "Jane" not in str(OrderEvent.objects.values_list("changes", "data"))
    assert last_event(order_id).data["clientFields"] == ["first_name", "document"]
    assert_whole(order_id)


def test_custom_fields_are_replaced_by_name() -> None:
    entity = {"type": "item", "id": MUGS}

    def side(value: str) -> dict[str, Any]:
        group = {"linkedEntity": entity, "fields": [{"name": "desktop", "value": value}]}
        return {"items": [item(1, id="mug")], "customData": {"customFields": [group]}}

    order_id = handled()
    change(order_id, body(replace=[{"from": side("OLD"), "to": side("NEW")}]))
    data = order_document(order_of(order_id))["customData"]
    assert data == {
        "customFields": [{"linkedEntity": entity, "fields": [{"name": "desktop", "value": "NEW"}]}]
    }


def test_a_line_that_is_added_does_not_get_another_skus_warehouse() -> None:
    """KI 1433311: an item that a change added got the wrong warehouse."""
    entries = [
        {
            "itemIndex": index,
            "selectedSla": "Normal",
            "addressId": "home",
            "price": 0,
            "deliveryIds": [{"warehouseId": "W1"}],
        }
        for index in range(3)
    ]
    shipping = {"totals": [], "shippingData": {"logisticsInfo": entries}}
    order_id = handled(flow=Flow.FULFILLMENT, extra=shipping)
    told = {"itemIndex": 0, "selectedSla": "Fast", "price": 40, "addressId": "home"}
    side = {"items": [item(1, id="jug", price=10)], "shippingData": {"logisticsInfo": [told]}}
    change(order_id, body(add=[side, {"items": [item(1, id="tea", price=10)]}]))
    logistics = order_of(order_id).extra["shippingData"]["logisticsInfo"]
    assert [entry["itemIndex"] for entry in logistics] == [0, 1, 2, 3, 4]
    assert [entry["deliveryIds"] for entry in logistics[3:]] == [[], []]
    assert [entry["selectedSla"] for entry in logistics] == ["Normal"] * 3 + ["Fast", "Normal"]
    assert order_of(order_id).value_cents == 1060


def test_freight_goes_with_a_lines_last_unit_unless_it_is_compensated() -> None:
    def placed() -> str:
        entry = {"itemIndex": 1, "selectedSla": "Normal", "price": 50, "sellingPrice": 50}
        return handled(value_cents=1050, extra={"shippingData": {"logisticsInfo": [entry]}})

    order_id, kept = placed(), placed()
    change(order_id, remove(item(1, uniqueId=MUGS)))
    change(
        kept,
        remove(
            item(1, uniqueId=MUGS),
            settings={"pipelineConfiguration": {"compensateShippingChanges": True}},
        ),
    )
    assert order_of(order_id).value_cents == 700
    assert order_of(kept).value_cents == 750


# Raised only when the money is there


def test_a_higher_value_waits_for_the_gateway_and_is_then_applied(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    request = change(order_id, add(item(1, id="jug", price=400, name="Jug")))
    assert request.state == State.WAITING_ACKNOWLEDGEMENT
    assert order_of(order_id).value_cents == 1000
    assert steps_of(order_id) == {Step.AUTHORIZE_CHANGE}
    run_due()
    request.refresh_from_db()
    assert request.state == State.DONE
    assert lines_of(order_id)[-1][1:] == ("jug", 1, 400)
    assert payment_of(order_id).value_cents == 1400
    assert kinds_of(order_id)[-2:] == ["order.change-requested", "order.changed"]
    assert steps_of(order_id) == set()
    record(order_id, "NF-1", 1400)
    run_due()
    assert status_of(order_id) == Status.INVOICED
    assert payment_of(order_id).captured_cents == 1400
    assert_whole(order_id)


def test_the_answer_names_the_line_that_comes_later(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    request = change(order_id, add(item(1, id="jug", price=400)))
    promised = request.told["add"][0]["items"][0]["uniqueId"]
    run_due()
    assert lines_of(order_id)[-1][0] == promised


def test_a_gateway_that_refuses_ends_the_change_and_nothing_else(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    sandbox.force_outcome(order_id, "increase", "denied")
    request = change(order_id, add(item(1, id="cup")))
    run_due()
    request.refresh_from_db()
    assert request.state == State.CANCELED
    assert order_of(order_id).value_cents == 1000
    assert last_event(order_id).kind == "order.change-canceled"
    assert steps_of(order_id) == set()


def test_a_gateway_that_fails_parks_the_change_until_it_is_retried(
    sandbox: ThreadedSandbox,
) -> None:
    """KI 1155646: a higher value was impossible while the gateway was slow or on its guard."""
    order_id = handled()
    sandbox.set_fault("refuse")
    request = change(order_id, add(item(1, id="jug", price=400)))
    run_due()
    assert item_of(order_id, Step.AUTHORIZE_CHANGE).parked_at is not None
    assert status_of(order_id) == Status.HANDLING
    sandbox.clear_faults()
    retry_change(order_id=order_id, request_id=request.request_id, actor="key:erp")
    run_due()
    request.refresh_from_db()
    assert request.state == State.DONE


def test_one_change_at_a_time_while_one_waits() -> None:
    order_id = handled()
    change(order_id, add(item(1, id="cup", uniqueId=CUPS)))
    with refused(order_id, ChangeInProgress):
        change(order_id, remove(item(1, uniqueId=MUGS)))


def test_a_change_given_up_in_time_never_reaches_the_gateway(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    request = change(order_id, add(item(1, id="cup", uniqueId=CUPS)))
    cancel_change(order_id=order_id, request_id=request.request_id, actor="key:erp")
    with nothing_changes(order_id):
        cancel_change(order_id=order_id, request_id=request.request_id, actor="key:erp")
    run_due()
    books = sandbox.effects()["operations"]
    assert (books["increase"]["calls"], books["reduction"]["calls"]) == (0, 0)
    with refused(order_id, ChangeOver):
        retry_change(order_id=order_id, request_id=request.request_id, actor="key:erp")


def test_what_was_set_aside_for_a_change_given_up_is_given_back(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    sandbox.force_outcome(order_id, "increase", "pending")
    request = change(order_id, add(item(1, id="cup", uniqueId=CUPS)))
    run_due()
    request.refresh_from_db()
    assert request.state == State.WAITING_CONFIRMATION
    cancel_change(order_id=order_id, request_id=request.request_id, actor="key:erp")
    run_due()
    assert steps_of(order_id) == set()
    request.refresh_from_db()
    assert (request.state, request.returns_cents) == (State.CANCELED, 0)
    assert request.logs[-1]["message"] == "The difference was given back."


def test_staff_who_skip_the_payment_give_the_change_up(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    request = change(order_id, add(item(1, id="cup", uniqueId=CUPS)))
    work = item_of(order_id, Step.AUTHORIZE_CHANGE)
    done = skip_work(item_pks=[work.pk], reason="customer called", actor="user:ann")
    request.refresh_from_db()
    assert (done.done, request.state, steps_of(order_id)) == (1, State.CANCELED, set())


def test_however_often_the_gateway_fails_the_difference_is_set_aside_once(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    request = change(order_id, add(item(1, id="jug", price=400)))
    sandbox.set_fault("error")
    for _ in range(3):
        run_due(seconds=0.3)
        let_time_pass(order_id, timedelta(hours=1))
        ConnectorState.objects.all().delete()
    sandbox.clear_faults()
    run_due()
    request.refresh_from_db()
    assert (request.state, order_of(order_id).value_cents) == (State.DONE, 1400)
    books = sandbox.effects()
    assert (books["operations"]["increase"]["effects"], books["doubled"]) == (1, [])


def test_a_filter_over_documents_sees_the_change() -> None:
    order_id = handled()
    demand_snapshots("test")
    change(order_id, remove(item(1, uniqueId=MUGS)))
    event = last_event(order_id)
    change(order_id, body(manualDiscountValue=1))
    document = documents_at_events([event.pk])[event.pk]
    assert document["value"] == 700
    (told,) = document["changesAttachment"]["changesData"]
    assert told["itemsRemoved"][0]["uniqueId"] == MUGS


# Against invoices and cancellations


def test_an_invoice_while_a_change_waits_is_bound_by_the_value_as_it_is(
    sandbox: ThreadedSandbox,
) -> None:
    """KI 1348894: an invoice above the final value was accepted, or the order got stuck."""
    order_id = handled()
    request = change(order_id, add(item(1, id="jug", price=400)))
    with refused(order_id, InvalidInput, "invoiceValue"):
        record(order_id, "NF-1", 1400)
    record(order_id, "NF-1", 600)
    run_due()
    let_time_pass(order_id, timedelta(minutes=1))
    run_due()
    request.refresh_from_db()
    assert (request.state, status_of(order_id)) == (State.DONE, Status.HANDLING)
    record(order_id, "NF-2", 800)
    run_due()
    assert status_of(order_id) == Status.INVOICED


def test_an_order_wholly_invoiced_first_keeps_its_value_and_the_money_goes_back(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    request = change(order_id, add(item(1, id="jug", price=400)))
    WorkItem.objects.filter(step=Step.AUTHORIZE_CHANGE).update(fence=1)
    record(order_id, "NF-1", 1000)
    run_due()
    let_time_pass(order_id, timedelta(minutes=1))
    run_due()
    request.refresh_from_db()
    assert (request.state, status_of(order_id)) == (State.CANCELED, Status.INVOICED)
    assert order_of(order_id).value_cents == 1000
    assert steps_of(order_id) == set()


def test_lines_that_are_invoiced_cannot_be_taken_away(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    record(
        order_id, "NF-1", 400, lines=[InvoicedLine(reference=CUPS, quantity=2, price_cents=200)]
    )
    run_due()
    with refused(order_id, LinesInvoiced, "2 are invoiced"):
        change(order_id, remove(item(2, uniqueId=CUPS)))
    with refused(order_id, LinesInvoiced):
        change(order_id, swap(item(3, uniqueId=CUPS), item(1, id="cup")))
    change(order_id, remove(item(1, uniqueId=CUPS)))
    assert lines_of(order_id)[0] == (CUPS, "cup", 2, 400)


def test_the_value_never_falls_below_what_is_invoiced(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    record(order_id, "NF-1", 700)
    run_due()
    with refused(order_id, InvalidInput, "manualDiscountValue"):
        change(order_id, body(manualDiscountValue=301))
    change(order_id, body(manualDiscountValue=299))
    assert (order_of(order_id).value_cents, status_of(order_id)) == (701, Status.HANDLING)


def test_a_change_after_which_nothing_is_left_to_invoice_ends_the_order(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    record(order_id, "NF-1", 700)
    run_due()
    change(order_id, remove(item(1, uniqueId=MUGS)))
    run_due()
    assert status_of(order_id) == Status.INVOICED
    assert payment_of(order_id).captured_cents == payment_of(order_id).value_cents == 700
    assert_whole(order_id)


def test_an_order_that_is_canceled_first_takes_its_change_along(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    request = change(order_id, add(item(1, id="jug", price=400)))
    cancel_order(order_id=order_id, reason="mind changed", actor="user:shopper")
    accept_cancellation(order_id=order_id, actor="key:seller")
    run_due()
    request.refresh_from_db()
    assert (request.state, status_of(order_id)) == (State.CANCELED, Status.CANCELED)
    assert steps_of(order_id) == set()


def test_a_change_waits_while_a_cancellation_is_decided(sandbox: ThreadedSandbox) -> None:
    order_id = handled()
    request = change(order_id, add(item(1, id="jug", price=400)))
    cancel_order(order_id=order_id, reason="mind changed", actor="user:shopper")
    run_due()
    request.refresh_from_db()
    assert request.state == State.WAITING_CONFIRMATION
    assert steps_of(order_id) >= {Step.AUTHORIZE_CHANGE}


# Refusals


@pytest.mark.parametrize("flow", [Flow.COMPLETE, Flow.FULFILLMENT])
def test_in_every_other_status_a_change_is_refused(flow: Flow) -> None:
    for status in statuses_of(flow):
        order_id = place_in(status, flow, value_cents=1000)
        if status in (Status.HANDLING, Status.WAITING_FOR_FULFILLMENT, Status.READY_FOR_INVOICING):
            assert change(order_id, body(manualDiscountValue=1)).state == State.DONE
        else:
            with refused(order_id, NotChangeable):
                change(order_id, body(manualDiscountValue=1))


def test_a_chains_order_is_not_changed_whatever_its_status() -> None:
    order_id = place_in(Status.WAITING_SELLER_HANDLING, Flow.CHAIN)
    with refused(order_id, NotChangeable, "chain"):
        change(order_id, body(manualDiscountValue=1))


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (body(), "Nothing is asked for"),
        ({"manualDiscountValue": 1}, "reason"),
        (remove(item(0, id="cup")), r"remove.items\[0\].quantity"),
        (remove(item(1)), r"remove.items\[0\].id"),
        (remove(item(1, id="tea")), r"remove.items\[0\].id: tea is not in this order"),
        (remove(item(1, uniqueId="U-X")), r"remove.items\[0\].uniqueId"),
        (remove(item(1, id="mug", uniqueId=CUPS)), "The line is of SKU cup"),
        (remove(item(9, id="cup")), "9 is more than the 4 that are left"),
        (add(item(1, id="tea")), r"add.items\[0\].price"),
        (add(item(1, id="cup", price=-1)), r"add.items\[0\].price"),
        (add(item(1, id="cup", price=1.5)), r"add.items\[0\].price"),
        (add(item(2_000_000, id="cup")), r"add.items\[0\].quantity"),
        (add("cup"), r"add.items\[0\]: expected an object"),  # type: ignore[arg-type]
        (body(remove=[1]), r"remove\[0\]: expected an object"),
        (body(replace=[{"from": {"items": []}}]), r"replace\[0\].to"),
        (swap(item(1, id="mug"), item(1, id="mug", unitMultiplier=0)), "unitMultiplier"),
        (swap(item(1, id="mug"), item(1, id="mug", manualDiscountValue=301)), "manualDiscount"),
        (body(manualDiscountValue=1001), "manualDiscountValue"),
        (body(manualDiscountValue=True), "manualDiscountValue"),
        (
            remove(item(4, id="cup"), item(1, id="mug")),
            "No line would be left",
        ),
        (body(manualDiscountValue=1, settings={"rolloutConfiguration": 1}), "settings"),
    ],
)
def test_what_cannot_be_is_refused_by_field(asked: dict[str, Any], field: str) -> None:
    order_id = handled()
    with refused(order_id, InvalidInput, field):
        change(order_id, asked)
    assert not ChangeRequest.objects.exists()


def test_a_payment_that_cannot_be_charged_again_refuses_a_higher_value() -> None:
    slip = PaymentDraft(index=0, payment_id="P", value_cents=1000, group="bankInvoice")
    order_id = handled(payments=[slip])
    with refused(order_id, InvalidInput, "higher amount"):
        change(order_id, body(manualIncrementValue=1))
    change(order_id, body(manualDiscountValue=1))


def test_an_order_with_several_addresses_takes_no_new_products() -> None:
    entries = [
        {"itemIndex": index, "selectedSla": "N", "addressId": f"A{index}"} for index in range(3)
    ]
    order_id = handled(extra={"shippingData": {"logisticsInfo": entries}})
    with refused(order_id, InvalidInput, "several addresses"):
        change(order_id, add(item(1, id="tea", price=1)))


# Said twice, previewed, summed up


def test_the_same_request_again_is_answered_and_changes_nothing() -> None:
    order_id = handled()
    asked = remove(item(1, uniqueId=CUPS))
    first = change(order_id, asked, "R-1")
    with nothing_changes(order_id):
        again = change(order_id, asked, "R-1")
    assert again.pk == first.pk
    with refused(order_id, ChangedDifferently):
        change(order_id, remove(item(2, uniqueId=CUPS)), "R-1")


def test_a_preview_tells_what_a_change_then_does_and_changes_nothing() -> None:
    order_id = handled()
    asked = remove(item(2, uniqueId=CUPS))
    with nothing_changes(order_id):
        told = preview_change(order=order_of(order_id), body=asked)
    request = change(order_id, asked)
    assert told["totalChangeValue"] == request.difference_cents == -400
    assert (
        told["totals"] == request.totals == [{"id": "Items", "name": "Items Total", "value": -400}]
    )
    assert told["remove"] == request.told["remove"]


def test_the_summary_has_the_items_of_the_beginning_and_all_that_came(
    sandbox: ThreadedSandbox,
) -> None:
    order_id = handled()
    before = summarize_changes(order_of(order_id))
    assert [entry["uniqueId"] for entry in before["original"]] == [CUPS, MUGS, MORE_CUPS]
    assert (before["added"], before["lastChange"]) == ([], None)
    change(order_id, remove(item(1, uniqueId=MUGS), manualDiscountValue=20))
    change(order_id, swap(item(3, uniqueId=CUPS), item(2, id="cup")))
    summary = summarize_changes(order_of(order_id))
    assert summary["original"] == before["original"]
    assert [entry["uniqueId"] for entry in summary["removed"]] == [MUGS]
    assert summary["replaced"][0]["replaceType"] == "QuantityChange"
    assert summary["totalChangeValueAggregated"] == -520
    assert summary["manualDiscountValueAggregated"] == 20
    assert len(requests_of(order_of(order_id))) == 2


# Settings


def test_settings_are_what_was_told_over_the_defaults() -> None:
    assert change_settings()["rolloutConfiguration"]["usingDefaultBehavior"] is True
    set_change_settings({"pipelineConfiguration": {"compensateShippingChanges": True}})
    set_change_settings({"paymentConfiguration": {"customPaymentSystemsAllowed": ["201"]}})
    settings = change_settings()
    assert settings["pipelineConfiguration"]["compensateShippingChanges"] is True
    assert settings["paymentConfiguration"]["customPaymentSystemsAllowed"] == ["201"]
    assert settings["rolloutConfiguration"]["usingDefaultBehavior"] is False


def test_changes_can_be_switched_off() -> None:
    order_id = handled()
    set_change_settings({"rolloutConfiguration": {"enableApi": False}})
    with refused(order_id, ChangesDisabled):
        change(order_id, body(manualDiscountValue=1))


def test_a_request_cannot_switch_changes_on_for_itself() -> None:
    order_id = handled()
    set_change_settings({"rolloutConfiguration": {"enableApi": False}})
    own = {"rolloutConfiguration": {"enableApi": True}}
    with refused(order_id, ChangesDisabled):
        change(order_id, body(manualDiscountValue=1, settings=own))


def test_saving_one_setting_leaves_the_others_alone() -> None:
    """KI 748404: saving settings of the order system set others to nothing."""
    StoreRules.objects.create(id=1, days_to_change_seller=4)
    set_change_settings({"rolloutConfiguration": {"enableApi": False}})
    assert StoreRules.objects.get().days_to_change_seller == 4
