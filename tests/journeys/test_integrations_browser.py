"""Integrations in a real browser: a hook that fails and is mended, a feed that is read, an expression."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from aiohttp import web
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django import Settings

from feeds.lag import sample_lag
from feeds.leasing import end_items
from feeds.models import Outcome, QueueItem, Subscription
from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.orders.models import Order
from oms.orders.statuses import Status
from tests.backoffice.subscribers import sample_lag as draw_lag
from tests.feeds.hooks.delivering import attempts, dispatching, wait_until
from tests.feeds.hooks.receivers import Received, Receiver, allow_loopback
from tests.journeys.browsers import Visit
from tests.workflow.stories import place, place_in

pytestmark = pytest.mark.django_db(transaction=True)
FILTER = {"type": "FromWorkflow", "status": ["ready-for-handling", "handling"]}


class Warehouse:
    """A receiver that knows no order until somebody mends it."""

    def __init__(self) -> None:
        self.is_mended = False

    def answer(self, _: Received) -> web.StreamResponse:
        if self.is_mended:
            return web.Response(text="stored")
        return web.Response(status=503, text="the warehouse is closed")


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[tuple[Warehouse, Receiver]]:
    allow_loopback(settings)
    warehouse = Warehouse()
    with Receiver(warehouse.answer) as receiver:
        yield warehouse, receiver


class Integration:
    """An app key that configures and reads over HTTP, as the ERP behind it would."""

    def __init__(self, address: object, owner: str) -> None:
        self.key, token = issue_app_key(
            owner_name=owner, scopes=[Scope.FEED_HOOK_ADMIN], actor="command:test"
        )
        self._api = f"{address}/api/orders"
        self._headers = {
            "X-VTEX-API-AppKey": self.key.app_key,
            "X-VTEX-API-AppToken": token,
        }

    def configure_hook(self, url: str) -> Subscription:
        self._post("hook/config", {"filter": FILTER, "hook": {"url": url, "headers": {}}})
        return Subscription.objects.get(app_key=self.key, channel="hook")

    def configure_feed(self, event_filter: dict[str, Any]) -> Subscription:
        self._post("feed/config", {"filter": event_filter})
        return Subscription.objects.get(app_key=self.key, channel="feed")

    def read(self) -> list[str]:
        answer = requests.get(f"{self._api}/feed", headers=self._headers, timeout=20)
        return [item["handle"] for item in answer.json()]

    def commit(self, handles: list[str]) -> None:
        self._post("feed", {"handles": handles})

    def _post(self, path: str, body: dict[str, Any]) -> None:
        url = f"{self._api}/{path}"
        answer = requests.post(url, json=body, headers=self._headers, timeout=20)
        assert answer.status_code == 200, answer.text


def _open_integration(page: Page, owner: str) -> None:
    page.get_by_role("link", name="Integrations").first.click()
    page.get_by_role("link", name=owner, exact=True).click()


def _act(page: Page, link: str, reason: str) -> None:
    page.get_by_role("link", name=link).click()
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=link.rstrip("…")).click()


def test_a_failing_hook_is_seen_tested_and_its_events_are_sent_again(
    visit: Visit, live_server: object, warehouse: tuple[Warehouse, Receiver]
) -> None:
    shop, receiver = warehouse
    hook = Integration(live_server, "Warehouse").configure_hook(receiver.url)
    visitor = visit("Administrator")
    page = visitor.page
    with dispatching():
        order_id = place_in(Status.READY_FOR_HANDLING)
        wait_until(lambda: attempts(hook))
        _open_integration(page, "Warehouse")
        expect(page.locator("#state")).to_contain_text("Deliveries have failed since")
        expect(page.locator("#state")).to_contain_text("HTTP 503")
        page.get_by_text("Show", exact=True).first.click()
        expect(page.locator("#attempts")).to_contain_text("the warehouse is closed")
        expect(page.locator("#attempts")).to_contain_text(f'"OrderId": "{order_id}"')
        _act(page, "Send a test…", "Is it there at all?")
        expect(page.get_by_text(re.compile("The receiver answered 200 in"))).to_be_visible()

        item = QueueItem.objects.get(subscription=hook)
        wait_until(lambda: end_items(hook.pk, [item.pk], Outcome.PARKED, error="HTTP 503"))
        shop.is_mended = True
        page.goto(f"{visitor.url}{reverse('admin:integration', args=[hook.app_key_id])}")
        expect(page.locator("#items")).to_contain_text("Parked")
        page.get_by_label(re.compile(f"Select event .* of {order_id}")).check()
        page.get_by_role("button", name="Queue again…").click()
        expect(page.get_by_text("1 event selected.")).to_be_visible()
        page.get_by_label("Reason").fill("The warehouse is open")
        page.get_by_role("button", name="Queue again").click()
        expect(page.get_by_text("1 event queued again.")).to_be_visible()
        wait_until(lambda: attempts(hook)[-1].is_success)
        page.goto(f"{visitor.url}{reverse('admin:integration', args=[hook.app_key_id])}")
        expect(page.locator("#state")).to_contain_text("Last delivered")
        page.locator("#items").get_by_role("link", name=order_id).first.click()
        expect(page.locator("#integrations")).to_contain_text("Everything is delivered.")
    assert receiver.deliveries[-1].told["OrderId"] == order_id


def test_a_secret_is_rotated_once_and_a_hook_switched_off_and_on(
    visit: Visit, live_server: object, warehouse: tuple[Warehouse, Receiver]
) -> None:
    hook = Integration(live_server, "Warehouse").configure_hook(warehouse[1].url)
    page = visit("Administrator").page
    _open_integration(page, "Warehouse")
    _act(page, "Rotate secret…", "Yearly")
    secret = page.get_by_text(re.compile(r"whsec_\S+")).first
    expect(secret).to_be_visible()
    page.get_by_role("link", name="I have kept it").click()
    expect(page.get_by_text(re.compile(r"whsec_\S+"))).to_have_count(0)
    _act(page, "Switch off…", "Their release")
    expect(page.locator("#state")).to_contain_text("Switched off since")
    expect(page.locator("#state")).to_contain_text("Their release")
    _act(page, "Switch on…", "Released")
    expect(page.get_by_text("The hook is switched on.")).to_be_visible()
    _act(page, "Delete configuration…", "The contract has ended")
    expect(page.locator("#state")).to_contain_text("The configuration was deleted.")
    hook.refresh_from_db()
    assert not hook.is_active


def test_the_order_page_tells_when_a_feed_was_given_an_event_and_acknowledged_it(
    visit: Visit, live_server: object
) -> None:
    erp = Integration(live_server, "ERP of Lux")
    erp.configure_feed(FILTER)
    order = Order.objects.get(order_id=place_in(Status.READY_FOR_HANDLING))
    visitor = visit("Support")
    page, link = visitor.page, reverse("admin:orders_order_change", args=[order.pk])
    visitor.open(link)
    panel = page.locator("#integrations")
    expect(panel).to_contain_text("has not been asked for yet")
    handles = erp.read()
    visitor.open(link)
    expect(panel).to_contain_text("1 event is not acknowledged yet")
    expect(panel).to_contain_text("Given just now")
    erp.commit(handles)
    visitor.open(link)
    expect(panel).to_contain_text("Everything is acknowledged.")
    panel.get_by_role("link", name="ERP of Lux").click()
    expect(page.locator("#state")).to_contain_text("ERP of Lux last read")
    expect(page.locator("#items")).to_contain_text("Acknowledged")


def test_events_are_replayed_and_an_expression_is_tried(visit: Visit, live_server: object) -> None:
    Integration(live_server, "ERP").configure_feed(FILTER)
    order_id = place_in(Status.HANDLING)
    page = visit("Supervisor").page
    _open_integration(page, "ERP")
    page.get_by_role("link", name="Replay…").click()
    begin = datetime.now(UTC) - timedelta(days=1)
    page.get_by_label(re.compile("From this time")).fill(f"{begin:%Y-%m-%dT%H:%M}")
    page.get_by_label("Reason").fill("Lost in a restore")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Asked for again")).to_be_visible()
    expect(page.get_by_text("“Lost in a restore”").first).to_be_visible()
    page.get_by_role("link", name="Integrations").first.click()
    page.get_by_role("link", name="Try an expression…").click()
    page.get_by_label("Expression").fill('status = "handling"')
    page.get_by_label("On this order").fill(order_id)
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#result")).to_contain_text("matches as it is now.")
    page.get_by_label("Expression").fill("status = = 1")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#result")).to_contain_text("Refused")


@pytest.mark.heavy
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_of_integrations_complains_or_calls_another_host(
    visit: Visit, live_server: object, warehouse: tuple[Warehouse, Receiver], dark: bool
) -> None:
    erp = Integration(live_server, "ERP")
    erp.configure_hook(warehouse[1].url)
    feed = erp.configure_feed(
        {"type": "FromOrders", "expression": 'status = "handling" or value > 100'}
    )
    place()
    draw_lag(feed)
    assert sample_lag() == 2
    visitor = visit("Administrator", dark=dark)
    act = reverse("admin:integration_act", args=[erp.key.pk, "hook", "replay"])
    own = reverse("admin:integration", args=[erp.key.pk])
    for path in (
        reverse("admin:integrations"),
        f"{own}?channel=feed&span=7d",
        f"{own}?channel=hook&show=recent",
        reverse("admin:integration_attempts", args=[erp.key.pk]),
        f"{reverse('admin:integration_expression')}?subscription={feed.pk}",
        reverse("admin:polling_keys"),
        act,
    ):
        visitor.open(path)
        visitor.page.wait_for_load_state("networkidle")
        overflow = visitor.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{path} is {overflow} px too wide"
