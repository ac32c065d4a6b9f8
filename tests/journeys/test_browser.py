"""Staff's day in a real browser: find, filter, read, act, set going again."""

import re

import pytest
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from oms.orders.models import Affiliate, Order
from oms.orders.statuses import Status
from tests.journeys.browsers import Visit
from tests.workflow.stories import place, place_in
from workflow.models import WorkItem
from workflow.work import park_item

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/admin/orders/order/"


def test_an_order_is_found_by_filter_and_canceled_with_a_reason(visit: Visit) -> None:
    canceled, other = place_in(Status.WINDOW_TO_CANCEL), place_in(Status.HANDLING)
    visitor = visit("Operator")
    page = visitor.page
    visitor.open(LIST)
    expect(page.get_by_role("link", name=other)).to_be_visible()
    page.get_by_text("Filters", exact=False).first.click()
    page.get_by_label("Cancellation window").check()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("link", name=other)).to_have_count(0)
    page.get_by_role("link", name=canceled).click()
    expect(page.get_by_text("The customer may still cancel")).to_be_visible()
    page.get_by_role("link", name="Cancel order").click()
    page.get_by_label("Reason").fill("Ordered twice by mistake")
    page.get_by_role("button", name="Cancel order").click()
    expect(page.get_by_text("Canceled.", exact=True)).to_be_visible()
    expect(page.locator("#timeline")).to_contain_text("“Ordered twice by mistake”")
    expect(page.locator("#timeline")).to_contain_text("Cancellation window")
    assert Order.objects.get(order_id=canceled).status == Status.CANCEL


def test_stuck_work_is_retried_from_the_inbox(visit: Visit) -> None:
    order_id = place_in(Status.APPROVE_PAYMENT)
    item = WorkItem.objects.get(order__order_id=order_id)
    park_item(item.pk, cause="check-fraud: antifraud does not answer", error="Failed 12 times.")
    visitor = visit("Supervisor")
    page = visitor.page
    page.get_by_role("link", name="Stuck").first.click()
    expect(page.get_by_text("Antifraud does not answer")).to_be_visible()
    page.get_by_role("link", name="Open", exact=True).first.click()
    retry = page.get_by_role("button", name="Retry…")
    expect(retry).to_be_disabled()
    page.get_by_label("Select all").check()
    retry.click()
    page.get_by_label("Reason").fill("Antifraud is back")
    page.get_by_role("button", name="Retry 1").click()
    expect(page.get_by_text("Retry: 1 done.")).to_be_visible()
    item.refresh_from_db()
    assert (item.parked_at, item.attempts) == (None, 0)


def test_many_orders_are_started_at_once_after_a_preview(visit: Visit) -> None:
    ready = [place_in(Status.READY_FOR_HANDLING) for _ in range(3)]
    place()
    visitor = visit("Operator")
    page = visitor.page
    visitor.open(LIST)
    page.get_by_label("Select all orders of this page").check()
    expect(page.get_by_text("4 selected")).to_be_visible()
    page.get_by_role("button", name="Start handling…").click()
    expect(page.get_by_text("Start handling: 3 of 4 orders").first).to_be_visible()
    page.get_by_role("button", name="Start handling 3 orders").click()
    expect(page.get_by_text("3 orders done.")).to_be_visible()
    statuses = Order.objects.filter(order_id__in=ready).values_list("status", flat=True)
    assert set(statuses) == {Status.START_HANDLING}


def test_support_finds_an_order_by_slash_and_reveals_the_buyer(visit: Visit) -> None:
    order_id = place()
    visitor = visit("Support")
    page = visitor.page
    page.keyboard.press("/")
    page.keyboard.type(order_id)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile(order_id)).last).to_be_visible()
    expect(page.locator("#buyer")).to_contain_text("A•• L•••")
    page.get_by_role("link", name="Reveal…").click()
    page.get_by_label("What do you need it for?").fill("Customer on the phone")
    page.get_by_role("button", name="Reveal").click()
    expect(page.locator("#buyer")).to_contain_text("Ana Lima")
    page.get_by_label("Note").fill("Wants it before Friday")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator("#notes")).to_contain_text("Wants it before Friday")


def test_a_token_is_shown_once(visit: Visit) -> None:
    visitor = visit("Administrator")
    page = visitor.page
    visitor.open(reverse("admin:access_appkey_add"))
    page.get_by_label("Owner: which integration").fill("ERP of Lux")
    page.get_by_label("Read one order").check()
    page.get_by_label("Reason").fill("New ERP")
    page.get_by_role("button", name="Issue key").click()
    token = page.get_by_text(re.compile(r"bht_\S+")).first
    expect(token).to_be_visible()
    assert "bht_" not in page.url
    page.get_by_role("link", name="I have kept it").click()
    expect(page.get_by_text("The token, shown this once")).to_have_count(0)


@pytest.mark.heavy
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_complains_or_calls_another_host(
    visit: Visit, dark: bool, full_size: bool
) -> None:
    Affiliate.objects.create(affiliate_id="MKP", name="Market", flow="fulfillment")
    order = Order.objects.get(order_id=place_in(Status.READY_FOR_HANDLING))
    WorkItem.objects.update(parked_at=timezone.now(), cause="no answer")
    visitor = visit("Administrator", dark=dark)
    paths = [
        reverse("admin:index"),
        LIST,
        f"{LIST}?state=open&status=handling&when=7d",
        reverse("admin:orders_order_change", args=[order.pk]),
        reverse("admin:stuck_inbox"),
    ]
    if full_size:
        paths += [
            reverse("admin:orders_order_document", args=[order.pk]),
            reverse("admin:orders_order_act", args=[order.pk, "force-status"]),
            *(
                reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
                for model in admin.site._registry
            ),
        ]
    for path in paths:
        visitor.open(path)
        visitor.page.wait_for_load_state("networkidle")
        dark_now = visitor.page.evaluate("document.documentElement.classList.contains('dark')")
        assert dark_now is dark, path
        overflow = visitor.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{path} is {overflow} px too wide"
