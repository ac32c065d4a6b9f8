"""The order list: which rows, in which order, how many queries, who sees what."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from oms.backoffice import order_list, order_rows
from oms.backoffice.keyset import Cursor, Direction
from oms.backoffice.order_filters import OrderFilters, State
from oms.backoffice.order_rows import count_orders, find_page, sales_channels
from oms.ops.models import AuditEntry
from oms.orders.documents.drafts import ClientDraft
from oms.orders.models import Order
from oms.orders.statuses import Flow, Status
from tests.workflow.stories import place, place_in
from workflow.models import WorkItem
from workflow.work import park_item

pytestmark = pytest.mark.django_db
Login = Callable[[str], Client]
LIST = reverse("admin:orders_order_changelist")
START = datetime(2026, 1, 1, tzinfo=UTC)


def _ids(filters: OrderFilters, **given: Any) -> list[str]:
    found = find_page(filters, cursor=given.get("cursor"), size=50, now=timezone.now())
    names = dict(Order.objects.values_list("pk", "order_id"))
    return [names[pk] for pk in found.pks]


def _place_many(count: int, **given: Any) -> list[str]:
    return [place(now=START + timedelta(minutes=n), **given) for n in range(count)]


def test_pages_by_key_show_each_order_once_in_both_directions() -> None:
    placed = _place_many(7)
    seen: list[str] = []
    cursor: Cursor | None = None
    for _ in range(4):
        found = find_page(OrderFilters(), cursor=cursor, size=2, now=timezone.now())
        rows = list(Order.objects.filter(pk__in=found.pks).order_by("-created_at", "-pk"))
        assert [row.pk for row in rows] == found.pks
        seen += [row.order_id for row in rows]
        cursor = Cursor(Direction.OLDER, rows[-1].created_at, rows[-1].pk)
    assert seen == placed[::-1]
    last = Order.objects.get(order_id=placed[0])
    back = Cursor(Direction.NEWER, last.created_at, last.pk)
    found = find_page(OrderFilters(), cursor=back, size=2, now=timezone.now())
    names = dict(Order.objects.values_list("pk", "order_id"))
    assert [names[pk] for pk in found.pks] == [placed[2], placed[1]]
    assert found.has_more


def test_orders_of_the_same_moment_are_told_apart_by_id() -> None:
    placed = [place(now=START) for _ in range(3)]
    middle = Order.objects.get(order_id=placed[1])
    cursor = Cursor(Direction.OLDER, middle.created_at, middle.pk)
    assert _ids(OrderFilters(), cursor=cursor) == [placed[0]]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (OrderFilters(), "hcpmx"),
        (OrderFilters(statuses=(Status.HANDLING,)), "h"),
        (OrderFilters(statuses=(Status.HANDLING, Status.CANCELED)), "hc"),
        (OrderFilters(statuses=(Status.HANDLING, Status.INVOICED)), "h"),
        (OrderFilters(state=State.OPEN), "hpmx"),
        (OrderFilters(state=State.OPEN, statuses=(Status.CANCELED,)), ""),
        (OrderFilters(seller="9"), "px"),
        (OrderFilters(seller="9", statuses=(Status.PAYMENT_PENDING,)), "p"),
        (OrderFilters(seller="1", statuses=(Status.CANCELED,)), "c"),
        (OrderFilters(channel="2"), "m"),
        (OrderFilters(channel="2", delivery="pickup-in-point"), ""),
        (OrderFilters(delivery="pickup-in-point"), "x"),
        (OrderFilters(delivery="delivery"), "hcpm"),
        (OrderFilters(affiliate="MKP"), "m"),
        (OrderFilters(express=True), "m"),
        (OrderFilters(express=True, channel="1"), ""),
    ],
)
def test_filters_narrow_alone_and_together(filters: OrderFilters, expected: str) -> None:
    facts: dict[str, Any] = {"sales_channel": "1"}
    named = {
        "x": place(now=START, seller_id="9", delivery_channel="pickup-in-point", **facts),
        "m": place(now=START + timedelta(hours=1), affiliate_id="MKP", is_express=True,
                   sales_channel="2"),
        "p": place_in(Status.PAYMENT_PENDING, now=START + timedelta(hours=2), seller_id="9", **facts),
        "c": place_in(Status.CANCELED, now=START + timedelta(hours=3), **facts),
        "h": place_in(Status.HANDLING, now=START + timedelta(hours=4), **facts),
    }  # fmt: skip
    letters = {order_id: letter for letter, order_id in named.items()}
    assert "".join(letters[order_id] for order_id in _ids(filters)) == expected
    assert count_orders(filters, now=timezone.now()) == len(expected)


def test_stuck_and_overdue_orders_are_found() -> None:
    place()
    stuck, overdue = place(), place()
    park_item(WorkItem.objects.get(order__order_id=stuck).pk, cause="x", error="")
    Order.objects.filter(order_id=overdue).update(budget_ends_at=START)
    Order.objects.exclude(order_id=overdue).update(
        budget_ends_at=timezone.now() + timedelta(days=1)
    )
    assert _ids(OrderFilters(state=State.PARKED)) == [stuck]
    assert _ids(OrderFilters(state=State.OVERDUE)) == [overdue]


def test_a_search_without_index_stops_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = _place_many(6)
    Order.objects.filter(order_id=placed[0]).update(is_express=True)
    monkeypatch.setattr(order_rows, "SCAN_LIMIT", 4)
    found = find_page(OrderFilters(express=True), cursor=None, size=50, now=timezone.now())
    fourth = Order.objects.get(order_id=placed[2])
    assert (found.pks, found.stopped_at) == ([], (fourth.created_at, fourth.pk))
    further = Cursor(Direction.OLDER, fourth.created_at, fourth.pk)
    assert _ids(OrderFilters(express=True), cursor=further) == [placed[0]]


def test_sales_channels_in_use_are_listed() -> None:
    for channel in ("2", "1", "1", ""):
        place(sales_channel=channel)
    assert sales_channels() == ["1", "2"]


def test_the_number_of_queries_does_not_grow_with_the_rows(
    login: Login, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = login("root")
    _place_many(1)
    with django_assert_max_num_queries(12) as few:
        assert client.get(LIST).status_code == 200
    _place_many(20, seller_id="7")
    with django_assert_max_num_queries(len(few)):
        assert client.get(LIST).status_code == 200


def test_nothing_is_counted_without_a_bound(login: Login, django_assert_num_queries: Any) -> None:
    client = login("root")
    _place_many(2)
    with django_assert_num_queries(12, exact=False) as queries:
        client.get(LIST, {"status": "order-created"})
    counting = [query["sql"] for query in queries if "count(*)" in query["sql"].lower()]
    assert counting
    assert all("LIMIT" in sql for sql in counting)


def test_newer_and_older_links_lead_through_the_list(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_list, "PAGE_SIZE", 2)
    placed = _place_many(5)
    client = login("root")
    first = client.get(LIST).context
    assert (first["newer"], bool(first["older"])) == ("", True)
    second = client.get(LIST + first["older"]).context
    assert [row.order_id for row in second["rows"]] == [placed[2], placed[1]]
    third = client.get(LIST + second["older"]).context
    assert ([row.order_id for row in third["rows"]], third["older"]) == ([placed[0]], "")
    back = client.get(LIST + third["newer"]).context
    assert [row.order_id for row in back["rows"]] == [placed[2], placed[1]]


def test_customers_are_masked_unless_the_role_sees_them(login: Login) -> None:
    place(client=ClientDraft(email="zoe@example.com", first_name="Zoraide", last_name="Quintal"))
    for role, seen in (("Support", False), ("Operator", False), ("Supervisor", True)):
        page = login(role).get(LIST).content.decode()
        assert ("Zoraide" in page) is seen, role
        assert ("Z••••• Q•••••" in page) is not seen, role


def test_one_hit_of_a_look_up_opens_the_order(login: Login) -> None:
    order = Order.objects.get(order_id=place(marketplace_order_id="M-77"))
    client = login("Support")
    for text in (order.order_id, f"seq{order.sequence}", "M-77"):
        answer = client.post(LIST, {"q": text})
        assert answer["Location"] == reverse("admin:orders_order_change", args=[order.pk]), text
    assert not AuditEntry.objects.exists()


def test_many_hits_are_listed_without_the_text_in_the_address(login: Login) -> None:
    for _ in range(2):
        place(client=ClientDraft(email="zoe@example.com"))
    place()
    client = login("Support")
    answer = client.post(LIST, {"q": "Zoe@Example.com"})
    assert "zoe" not in answer["Location"].lower()
    page = client.get(answer["Location"])
    assert len(page.context["rows"]) == 2
    assert "zoe@" not in page.content.decode().lower()


def test_looking_for_a_person_leaves_an_audit_entry_without_the_value(login: Login) -> None:
    order_id = place(client=ClientDraft(email="zoe@example.com", phone="+5511987654321"))
    client = login("Support")
    for text, found in (("zoe@example.com", 1), ("(11) 98765-4321", 1), ("no@example.com", 0)):
        client.post(LIST, {"q": text})
        entry = AuditEntry.objects.latest("id")
        assert (entry.action, entry.actor) == ("orders.looked_up_by_person", "user:support")
        assert (entry.details["found"], entry.object_id) == (found, order_id if found else "")
        assert "zoe" not in str(entry.details)
        assert "98765" not in str(entry.details)


def test_part_of_a_personal_value_finds_nothing(login: Login) -> None:
    place(
        client=ClientDraft(email="zoe@example.com", first_name="Zoraide", document="12345678901")
    )
    client = login("Support")
    for text in ("zoe", "zoe@", "@example.com", "Zoraide", "1234567", "%", "_", "\x00", " "):
        answer = client.post(LIST, {"q": text})
        assert answer["Location"] == LIST, text


def test_the_list_needs_its_permission(login: Login, client: Client) -> None:
    assert client.get(LIST)["Location"].startswith(reverse("admin:login"))
    stranger = login("Support")
    stranger_user = stranger.get(LIST).context["user"]
    stranger_user.groups.clear()
    assert stranger.get(LIST).status_code == 403


@pytest.mark.parametrize("flow", list(Flow))
def test_the_list_shows_orders_of_every_flow(login: Login, flow: Flow) -> None:
    order_id = place(flow)
    assert order_id in login("Support").get(LIST).content.decode()
