"""The timeline in plain words."""

import pytest

from oms.backoffice.timeline import (
    SENTENCES,
    FieldChange,
    change_in_words,
    icon_of,
    read_timeline,
    sentence_of,
)
from oms.orders.models import Order
from oms.orders.statuses import Status
from tests.workflow.stories import place, place_in
from workflow.flows import EVENT_KINDS
from workflow.services.notes import add_note


def test_every_move_has_a_sentence() -> None:
    assert set(EVENT_KINDS.values()) <= SENTENCES.keys()


def test_an_unknown_kind_is_spelled_out() -> None:
    assert sentence_of("order.sent-to-moon", {}) == "Order sent to moon"
    assert icon_of("order.sent-to-moon") == "arrow_forward"


def test_a_step_is_named_in_its_sentence() -> None:
    assert sentence_of("work.parked", {"step": "check-fraud"}) == "Stuck: could not ask antifraud"


@pytest.mark.parametrize(
    ("path", "values", "told"),
    [
        ("packages.NF-1", [None, 1015], FieldChange("Invoice NF-1", "", "R$ 10.15")),
        (
            "packages.NF.1.courier",
            ["", "Serra"],
            FieldChange("Invoice NF.1, carrier", "", "Serra"),
        ),
        (
            "payments.E4CFCEA1A2BF42AE.status",
            ["pending", "approved"],
            FieldChange("Payment …A2BF42AE", "Pending", "Approved"),
        ),
        (
            "packages.N.delivered",
            [None, "2026-11-22T12:00:00+00:00"],
            FieldChange("Invoice N, delivered", "", "2026-11-22 12:00:00 UTC"),
        ),
    ],
)
def test_a_change_is_told_with_old_and_new(
    path: str, values: list[object], told: FieldChange
) -> None:
    assert change_in_words(path, values, "BRL") == told


@pytest.mark.django_db
def test_the_timeline_is_newest_first_and_pages_by_sequence() -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    for number in range(5):
        add_note(order_id=order_id, text=f"note {number}", actor="user:maria")
    pk = _pk(order_id)
    first = read_timeline(pk, currency="BRL", is_masked=False, limit=4)
    assert [entry.sentence for entry in first.entries] == ["Note added"] * 4
    assert first.entries[0].actor == "maria"
    rest = read_timeline(pk, currency="BRL", is_masked=False, before=first.older_before, limit=50)
    assert rest.older_before is None
    assert [entry.seq for entry in [*first.entries, *rest.entries]] == sorted(
        (entry.seq for entry in [*first.entries, *rest.entries]), reverse=True
    )
    assert rest.entries[-1].sentence == "Order placed"


@pytest.mark.django_db
def test_the_text_of_a_note_stays_out_of_the_event() -> None:
    order_id = place()
    note = add_note(order_id=order_id, text=" called Ana on 99 ", actor="user:maria")
    assert note.text == "called Ana on 99"
    event = note.order.events.get(kind="note.added")
    assert event.data == {"noteId": note.pk}


def _pk(order_id: str) -> int:
    return Order.objects.get(order_id=order_id).pk
