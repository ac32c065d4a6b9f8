"""The order page: what it shows, what can be done there, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from oms.backoffice.order_actions import ACTIONS, OrderFacts, offers
from oms.backoffice.roles import May
from oms.ops.models import AuditEntry
from oms.orders.conversation import add_interaction
from oms.orders.documents.drafts import ClientDraft
from oms.orders.models import Note, Order, OrderEvent, Payment
from oms.orders.statuses import Flow, Status
from tests.workflow.stories import nothing_changes, order_of, place, place_in
from workflow.flows import TABLES, Action
from workflow.models import WorkItem
from workflow.services.notes import add_note
from workflow.work import park_item

pytestmark = pytest.mark.django_db
Login = Callable[[str], Client]
BUYER = ClientDraft(
    email="zoe@example.com",
    first_name="Zoraide",
    last_name="Quintal",
    document="12345678901",
    phone="+5511987654321",
)


def _page(order_id: str) -> str:
    return reverse("admin:orders_order_change", args=[_pk(order_id)])


def _pk(order_id: str) -> int:
    return Order.objects.get(order_id=order_id).pk


def _act(order_id: str, name: str) -> str:
    return reverse("admin:orders_order_act", args=[_pk(order_id), name])


def _status(order_id: str) -> str:
    return Order.objects.get(order_id=order_id).status


def _said(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


@pytest.mark.parametrize("flow", list(Flow))
def test_every_status_of_every_flow_has_a_page(login: Login, flow: Flow) -> None:
    client = login("root")
    order_id = place(flow)
    for status in dict.fromkeys(TABLES[flow].values()):
        Order.objects.filter(order_id=order_id).update(status=status)
        assert client.get(_page(order_id)).status_code == 200, status


def test_the_number_of_queries_does_not_grow_with_the_order(
    login: Login, django_assert_max_num_queries: Any
) -> None:
    client, order_id = login("root"), place_in(Status.INVOICED)
    with django_assert_max_num_queries(29) as few:
        client.get(_page(order_id))
    for number in range(60):
        add_note(order_id=order_id, text=f"{number}", actor="user:root")
    # The names of those who wrote, and what this process reads again every few seconds
    # (seller policies, session). Sixty notes must not make sixty queries.
    with django_assert_max_num_queries(len(few) + 4):
        assert client.get(_page(order_id)).status_code == 200


def test_long_timelines_have_older_pages(login: Login) -> None:
    client, order_id = login("root"), place()
    for number in range(60):
        add_note(order_id=order_id, text=f"{number}", actor="user:root")
    first = client.get(_page(order_id)).context["view"].timeline
    assert (len(first.entries), first.older_before) == (50, 12)
    second = client.get(_page(order_id), {"before": "12"}).context["view"].timeline
    assert ([entry.seq for entry in second.entries], second.older_before) == (
        list(range(11, 0, -1)),
        None,
    )


def test_personal_data_is_masked_until_it_is_revealed_with_a_reason(login: Login) -> None:
    order_id, other_id = place(client=BUYER), place(client=BUYER)
    client = login("Support")
    reveal = reverse("admin:orders_order_reveal", args=[_pk(order_id)])

    def sees(page: str) -> bool:
        return "zoe@example.com" in client.get(page).content.decode()

    assert not sees(_page(order_id))
    assert client.post(reveal, {"reason": " "}).status_code == 200
    assert (sees(_page(order_id)), AuditEntry.objects.count()) == (False, 0)
    client.post(reveal, {"reason": "Calls about a lost parcel"})
    assert (sees(_page(order_id)), sees(_page(other_id))) == (True, False)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.object_id, entry.reason) == (
        "personal_data.revealed",
        "user:support",
        order_id,
        "Calls about a lost parcel",
    )


def test_what_was_revealed_is_masked_again_later(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = place(client=BUYER)
    client = login("Support")
    client.post(reverse("admin:orders_order_reveal", args=[_pk(order_id)]), {"reason": "x"})
    session = client.session
    session["revealed_orders"] = dict.fromkeys(session["revealed_orders"], 1.0)
    session.save()
    assert "zoe@example.com" not in client.get(_page(order_id)).content.decode()


def test_the_raw_document_is_masked_as_well(login: Login) -> None:
    order_id = place(client=BUYER)
    link = reverse("admin:orders_order_document", args=[_pk(order_id)])
    assert login("Support").get(link).status_code == 403
    for role, seen in (("Operator", False), ("Supervisor", True)):
        page = login(role).get(link).content.decode()
        for word in ("zoe@example.com", "Zoraide", "12345678901", "987654321"):
            assert (word in page) is seen, (role, word)


@pytest.mark.parametrize(
    ("flow", "status", "names"),
    [
        (Flow.COMPLETE, Status.ORDER_CREATED, ["approve-payment"]),
        (Flow.COMPLETE, Status.WAITING_FOR_ORDER_AUTHORIZATION,
         ["authorize-order", "approve-payment", "cancel"]),
        (Flow.COMPLETE, Status.PAYMENT_PENDING, ["approve-payment", "deny-payment", "cancel"]),
        (Flow.COMPLETE, Status.WINDOW_TO_CANCEL, ["cancel"]),
        (Flow.COMPLETE, Status.READY_FOR_HANDLING, ["start-handling", "request-cancellation"]),
        (Flow.COMPLETE, Status.HANDLING, ["finish-picking", "request-cancellation"]),
        (Flow.COMPLETE, Status.CANCELLATION_REQUESTED,
         ["accept-cancellation", "deny-cancellation"]),
        (Flow.COMPLETE, Status.INVOICED, []),
        (Flow.COMPLETE, Status.CANCELED, []),
        (Flow.FULFILLMENT, Status.WAITING_FOR_MANUAL_AUTHORIZATION,
         ["authorize-fulfillment", "cancel"]),
        (Flow.FULFILLMENT, Status.WAITING_FOR_FULFILLMENT, ["release-from-warehouse", "cancel"]),
        (Flow.CHAIN, Status.WAITING_FOR_MKT_AUTHORIZATION, ["authorize-fulfillment", "cancel"]),
    ],
)  # fmt: skip
def test_only_what_is_legal_now_is_offered(flow: Flow, status: Status, names: list[str]) -> None:
    facts = OrderFacts(flow, status, [Payment(status="pending", payment_id="P")])
    assert [offer.action.name for offer in offers(facts, frozenset({May.ACT_ON_ORDER}))] == names
    assert offers(facts, frozenset()) == []


def test_an_action_asks_for_its_reason_and_tells_the_timeline(login: Login) -> None:
    order_id, client = place_in(Status.WINDOW_TO_CANCEL), login("Operator")
    link = _act(order_id, "cancel")
    with nothing_changes(order_id):
        assert client.get(link).status_code == 200
        assert client.post(link, {"reason": "  "}).status_code == 200
    answer = client.post(link, {"reason": "Customer changed her mind"})
    assert (answer["Location"], _said(answer)) == (_page(order_id), "Canceled.")
    event = OrderEvent.objects.filter(order__order_id=order_id).latest("seq")
    assert (event.actor, event.reason, event.status) == (
        "user:operator",
        "Customer changed her mind",
        Status.CANCEL,
    )
    entry = AuditEntry.objects.get(action="order.canceled")
    assert (entry.object_id, entry.reason) == (order_id, "Customer changed her mind")


@pytest.mark.parametrize(
    ("name", "flow", "before", "after", "given"),
    [
        ("start-handling", Flow.COMPLETE, Status.READY_FOR_HANDLING, Status.START_HANDLING, {}),
        ("finish-picking", Flow.COMPLETE, Status.HANDLING, Status.READY_FOR_INVOICING, {}),
        ("authorize-order", Flow.COMPLETE, Status.WAITING_FOR_ORDER_AUTHORIZATION,
         Status.WAITING_FOR_AUTHORIZATION, {"reason": "ok"}),
        ("authorize-fulfillment", Flow.FULFILLMENT, Status.WAITING_FOR_MANUAL_AUTHORIZATION,
         Status.AUTHORIZE_FULFILLMENT, {"reason": "ok"}),
        ("request-cancellation", Flow.COMPLETE, Status.HANDLING, Status.CANCELLATION_REQUESTED,
         {"reason": "ok"}),
        ("accept-cancellation", Flow.COMPLETE, Status.CANCELLATION_REQUESTED, Status.CANCEL, {}),
        ("deny-cancellation", Flow.COMPLETE, Status.CANCELLATION_REQUESTED,
         Status.CANCELLATION_REQUEST_DENIED_FFM, {"reason": "shipped"}),
        ("release-from-warehouse", Flow.FULFILLMENT, Status.WAITING_FOR_FULFILLMENT,
         Status.READY_FOR_HANDLING, {"reason": "ok"}),
    ],
)  # fmt: skip
def test_each_action_moves_the_order(
    login: Login, name: str, flow: Flow, before: Status, after: Status, given: dict[str, str]
) -> None:
    order_id = place_in(before, flow)
    login("Operator").post(_act(order_id, name), given)
    assert _status(order_id) == after


@pytest.mark.parametrize(
    ("name", "after"),
    [("approve-payment", Status.APPROVE_PAYMENT), ("deny-payment", Status.PAYMENT_DENIED)],
)
def test_a_payment_is_decided_by_hand(login: Login, name: str, after: Status) -> None:
    order_id = place_in(Status.PAYMENT_PENDING)
    payment = Payment.objects.get(order__order_id=order_id)
    client = login("Operator")
    client.post(_act(order_id, name), {"reason": "bank said so", "payment": payment.payment_id})
    assert _status(order_id) == after
    event = OrderEvent.objects.filter(order__order_id=order_id).latest("seq")
    assert event.reason == "bank said so"


@pytest.mark.parametrize("name", sorted(set(ACTIONS) - {"force-status"}))
def test_a_refused_action_is_a_message_and_changes_nothing(login: Login, name: str) -> None:
    order_id, client = place_in(Status.CANCELED), login("Operator")
    with nothing_changes(order_id):
        answer = client.post(_act(order_id, name), {"reason": "x", "payment": "no such payment"})
    assert answer.status_code == 302
    assert ACTIONS[name].label in _said(answer)
    assert not AuditEntry.objects.exists()


def test_a_status_is_forced_only_by_those_who_may(login: Login) -> None:
    order_id = place_in(Status.INVOICED)
    given = {"reason": "Invoiced by mistake", "status": Status.HANDLING.value}
    with nothing_changes(order_id):
        assert login("Operator").post(_act(order_id, "force-status"), given).status_code == 403
        for wrong in ({**given, "status": ""}, {**given, "status": "x"}, {**given, "reason": ""}):
            page = login("Supervisor").post(_act(order_id, "force-status"), wrong)
            assert page.status_code == 200
    login("Supervisor").post(_act(order_id, "force-status"), given)
    assert _status(order_id) == Status.HANDLING
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id, entry.actor) == (
        "order.forced", order_id, "user:supervisor",
    )  # fmt: skip


def test_roles_see_the_buttons_they_may_press(login: Login) -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    for role, buttons in (
        ("Support", set()),
        ("Operator", {"start-handling", "request-cancellation"}),
        ("Supervisor", {"start-handling", "request-cancellation", "force-status"}),
    ):
        shown = login(role).get(_page(order_id)).context["offers"]
        assert {offer.action.name for offer in shown} == buttons, role


def test_support_acts_on_nothing(login: Login) -> None:
    order_id, client = place_in(Status.READY_FOR_HANDLING), login("Support")
    with nothing_changes(order_id):
        for name in ACTIONS:
            assert client.post(_act(order_id, name), {"reason": "x"}).status_code == 403


def test_the_log_of_integrations_is_shown_with_who_wrote_it(login: Login) -> None:
    order_id = place()
    add_interaction(order=order_of(order_id), source="ERP", message="<b>sent</b>", actor="key:k")
    page = login("Support").get(_page(order_id)).content.decode()
    assert "Log of integrations" in page
    assert "<strong>ERP</strong> &lt;b&gt;sent&lt;/b&gt;" in page


def test_a_note_is_kept_with_its_author(login: Login) -> None:
    order_id, client = place(), login("Support")
    link = reverse("admin:orders_order_note", args=[_pk(order_id)])
    client.post(link, {"text": "Wants it before Friday <b>"})
    note = Note.objects.get()
    assert (note.author, note.text) == ("user:support", "Wants it before Friday <b>")
    page = client.get(_page(order_id)).content.decode()
    assert "Wants it before Friday &lt;b&gt;" in page
    for wrong in ("", "   ", "x" * 5001):
        client.post(link, {"text": wrong})
    assert Note.objects.count() == 1


def test_what_is_stuck_says_why_and_offers_a_retry(login: Login) -> None:
    order_id = place()
    item = WorkItem.objects.get(order__order_id=order_id)
    park_item(item.pk, cause="complete-order: no answer", error="Failed 12 times.")
    page = login("Supervisor").get(_page(order_id)).content.decode()
    assert "could not complete the order. No answer." in page
    assert "Retry…" in page
    assert "Retry…" not in login("Operator").get(_page(order_id)).content.decode()


def test_an_order_of_nobody_is_not_found(login: Login) -> None:
    client = login("root")
    for name in ("change", "document", "reveal"):
        assert client.get(reverse(f"admin:orders_order_{name}", args=[987])).status_code == 404
    order_id = place()
    assert client.get(_act(order_id, "no-such-act")).status_code == 404


def test_django_s_own_forms_for_orders_do_not_exist(login: Login) -> None:
    client, pk = login("root"), _pk(place())
    for path in ("add/", f"{pk}/delete/", f"{pk}/history/"):
        assert client.get(reverse("admin:orders_order_changelist") + path).status_code == 404


def test_actions_of_the_table_that_staff_may_take_all_have_a_button() -> None:
    staff = {
        Action.AUTHORIZE_ORDER, Action.START_HANDLING, Action.FINISH_PICKING, Action.CANCEL,
        Action.REQUEST_CANCELLATION, Action.ACCEPT_CANCELLATION, Action.DENY_CANCELLATION,
        Action.RELEASE_FROM_WAREHOUSE,
    }  # fmt: skip
    for flow in Flow:
        for status, action in TABLES[flow]:
            if action in staff:
                offered = offers(OrderFacts(flow, status), frozenset(May))
                assert action.value in {offer.action.name for offer in offered}, (flow, status)


def test_a_person_who_is_no_staff_gets_the_login_page(client: Client) -> None:
    order_id = place()
    client.force_login(User.objects.create_user("guest"))
    assert client.get(_page(order_id)).status_code == 302
