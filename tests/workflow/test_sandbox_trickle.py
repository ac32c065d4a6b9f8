"""The trickle of demo orders: what it invents, what its ERP decides, that it never gives up."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from workflow.sandbox.agenda import Agenda, Errand
from workflow.sandbox.erp import (
    Act,
    Authorize,
    Cancel,
    Close,
    Invoice,
    Ship,
    StartHandling,
    Wait,
    next_act,
)
from workflow.sandbox.journal import Journal
from workflow.sandbox.shop_api import ShopApi
from workflow.sandbox.shopping import MARKETPLACE, STOREFRONT, document_of_nobody, invent_order
from workflow.sandbox.trickle import Trickle, placed_order_ids

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def an_order(status: str, *packages: dict[str, Any]) -> dict[str, Any]:
    return {
        "orderId": "MKP-1",
        "status": status,
        "value": 3500,
        "items": [
            {"id": "1001", "quantity": 2, "price": 1000, "sellingPrice": 1000, "name": "Rede"},
            {"id": "1002", "quantity": 1, "price": 900, "sellingPrice": 800, "name": "Jarra"},
        ],
        "shippingData": {"address": {"city": "Ipoeira"}},
        "packageAttachment": {"packages": list(packages)},
    }


def a_package(number: str, value: int, *lines: tuple[int, int], **more: Any) -> dict[str, Any]:
    items = [{"itemIndex": index, "quantity": quantity} for index, quantity in lines]
    return {
        "type": "Output", "invoiceNumber": number, "invoiceValue": value, "items": items, **more,
    }  # fmt: skip


def act_on(order: dict[str, Any], plan: str = "ordinary") -> Act:
    return next_act(order, plan, at=NOW)


@pytest.mark.parametrize(
    ("status", "plan", "act"),
    [
        ("order-created", "ordinary", Wait),
        ("payment-pending", "ordinary", Wait),
        ("waiting-ffmt-authorization", "ordinary", Authorize),
        ("waiting-for-manual-authorization", "neglected", Authorize),
        ("window-to-cancel", "ordinary", Wait),
        ("window-to-cancel", "regretted", Cancel),
        ("ready-for-handling", "ordinary", StartHandling),
        ("ready-for-handling", "neglected", Close),
        ("handling", "ordinary", Invoice),
        ("invoice", "ordinary", Wait),
        ("cancellation-requested", "ordinary", Cancel),
        ("canceled", "ordinary", Close),
    ],
)
def test_the_next_act_follows_from_status_and_plan(status: str, plan: str, act: type) -> None:
    assert isinstance(act_on(an_order(status), plan), act)


def test_an_ordinary_invoice_bills_everything_freight_included() -> None:
    act = act_on(an_order("handling"))
    assert isinstance(act, Invoice)
    assert act.body["invoiceValue"] == "3500"
    assert [(item["id"], item["price"], item["quantity"]) for item in act.body["items"]] == [
        ("1001", 1000, 2), ("1002", 800, 1),
    ]  # fmt: skip


def test_a_partial_invoice_bills_one_line_and_the_next_the_rest() -> None:
    first = act_on(an_order("handling"), "partial")
    assert isinstance(first, Invoice)
    assert first.body["invoiceValue"] == "2000"
    past = a_package(first.body["invoiceNumber"], 2000, (0, 2), trackingNumber="BK1")
    second = act_on(an_order("handling", past), "partial")
    assert isinstance(second, Invoice)
    assert second.body["invoiceValue"] == "1500"
    assert [item["id"] for item in second.body["items"]] == ["1002"]
    assert second.body["invoiceNumber"] != first.body["invoiceNumber"]


def test_an_invoice_repeated_after_a_lost_answer_has_the_same_number() -> None:
    first, again = act_on(an_order("handling")), act_on(an_order("handling"))
    assert isinstance(first, Invoice)
    assert first == again


def test_a_package_is_shipped_to_the_orders_town_then_the_errand_is_over() -> None:
    act = act_on(an_order("invoiced", a_package("N-1", 3500, (0, 2), (1, 1))))
    assert isinstance(act, Ship)
    assert act.invoice_number == "N-1"
    assert act.body["trackingNumber"].startswith("BKIPA")
    shipped = a_package("N-1", 3500, (0, 2), (1, 1), trackingNumber="BKIPA1")
    assert isinstance(act_on(an_order("invoiced", shipped)), Close)


@pytest.mark.parametrize("affiliate_id", [MARKETPLACE, STOREFRONT])
def test_an_invented_order_is_payable_as_it_stands(affiliate_id: str) -> None:
    chance = random.Random(7)
    for number in range(200):
        order = invent_order(chance, affiliate_id, str(number))
        logistics = order["shippingData"]["logisticsInfo"]
        value = sum(item["price"] * item["quantity"] for item in order["items"])
        value += sum(entry["price"] for entry in logistics)
        assert order["marketplacePaymentValue"] == value
        assert [entry["itemIndex"] for entry in logistics] == list(range(len(order["items"])))
        if affiliate_id == STOREFRONT:
            payments = order["paymentData"]["payments"]
            assert sum(payment["value"] for payment in payments) == value
        else:
            assert {item["seller"] for item in order["items"]} == {"1"}
            assert "paymentData" not in order


def test_an_invented_document_belongs_to_nobody() -> None:
    chance = random.Random(7)
    for _ in range(200):
        digits = [int(digit) for digit in document_of_nobody(chance)]
        weights = range(11, 1, -1)
        right = sum(d * w for d, w in zip(digits[:10], weights, strict=True)) * 10 % 11 % 10
        assert digits[10] != right


@pytest.mark.parametrize(
    ("answer", "ids"),
    [
        ({"orderId": "A"}, ["A"]),
        ([{"orderId": "A"}, {"orderId": "B"}, {"orderId": "A"}], ["A", "B"]),
        ([{"orderId": "A-01", "orderIds": ["A-01", "A-02"]}], ["A-01", "A-02"]),
        ({"error": {"code": "x"}}, []),
        (None, []),
    ],
)
def test_order_ids_are_found_in_every_form_of_answer(answer: Any, ids: list[str]) -> None:
    assert placed_order_ids(answer) == ids


class TinyShop:
    """A stand-in for the order API, over real HTTP: statuses advance when they are looked at."""

    FEED = "/api/orders/feed"
    AFTER = {"order-created": "ready-for-handling", "start-handling": "handling"}

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.refusals_left = 0
        self.headers: set[tuple[str, str]] = set()
        self.filter: dict[str, Any] = {}
        self.untold: list[str] = []
        self.committed: list[str] = []
        self.does_advance_by_itself = True

    async def serve(self, request: web.Request) -> web.Response:
        if self.refusals_left > 0:
            self.refusals_left -= 1
            return web.Response(status=503)
        return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.Response:
        self.headers.add(
            (request.headers["X-VTEX-API-AppKey"], request.headers["X-VTEX-API-AppToken"])
        )
        path = request.path
        body: Any = await request.json() if request.can_read_body else None
        if path.startswith(self.FEED):
            return self._feed(request, body)
        if path == "/api/fulfillment/pvt/orders":
            return self._place(request.query["affiliateId"], body[0])
        order = self.orders[path.split("/")[5]]
        self._touch(order, request, body)
        return web.json_response(order)

    def _touch(self, order: dict[str, Any], request: web.Request, body: Any) -> None:
        path = request.path
        if request.method == "GET":
            if self.does_advance_by_itself:
                order["status"] = self.AFTER.get(order["status"], order["status"])
        elif path.endswith("/start-handling"):
            order["status"] = "start-handling"
        elif path.endswith("/cancel"):
            order["status"] = "canceled"
        elif path.endswith("/fulfill"):
            order["status"] = "order-created"
        elif request.method == "PATCH":
            number = path.split("/")[-1]
            for package in order["packageAttachment"]["packages"]:
                if package["invoiceNumber"] == number:
                    package.update(body)
        else:
            self._invoice(order, body)

    def _feed(self, request: web.Request, body: Any) -> web.Response:
        if request.path.endswith("/config"):
            self.filter = body["filter"]
        elif not self.filter:
            return web.json_response({"error": {"code": "feed-not-configured"}}, status=404)
        elif request.method == "POST":
            self.committed += body["handles"]
            self.untold = [
                order_id for order_id in self.untold if f"h-{order_id}" not in body["handles"]
            ]
        else:
            return web.json_response(
                [{"orderId": order_id, "handle": f"h-{order_id}"} for order_id in self.untold[:10]]
            )
        return web.json_response({})

    def _place(self, affiliate_id: str, body: dict[str, Any]) -> web.Response:
        order_id = f"{affiliate_id}-{body['marketplaceOrderId']}"
        status = "waiting-ffmt-authorization" if affiliate_id == MARKETPLACE else "order-created"
        self.orders.setdefault(
            order_id,
            {
                **body,
                "orderId": order_id,
                "status": status,
                "value": body["marketplacePaymentValue"],
                "packageAttachment": {"packages": []},
            },
        )
        return web.json_response([{**body, "orderId": order_id}])

    def _invoice(self, order: dict[str, Any], body: dict[str, Any]) -> None:
        packages = order["packageAttachment"]["packages"]
        index_of = {item["id"]: index for index, item in enumerate(order["items"])}
        lines = [
            {"itemIndex": index_of[item["id"]], "quantity": item["quantity"]}
            for item in body["items"]
        ]
        packages.append({**body, "invoiceValue": int(body["invoiceValue"]), "items": lines})
        invoiced = sum(package["invoiceValue"] for package in packages)
        assert invoiced <= order["value"]
        order["status"] = "invoiced" if invoiced == order["value"] else "handling"


async def run_until(
    shop: TinyShop, agenda: Agenda, is_enough: Callable[[], bool], *, rate: float = 1200
) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", shop.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    api = ShopApi(url, app_key="demo-key", app_token="demo-token")
    trickle = Trickle(api, agenda, orders_per_minute=rate, pace=0.0, seed=3)
    task = asyncio.create_task(trickle.run())
    try:
        async with asyncio.timeout(20):
            while not is_enough():
                if task.done():
                    task.result()
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runner.cleanup()


def finished(shop: TinyShop) -> list[dict[str, Any]]:
    return [order for order in shop.orders.values() if order["status"] == "invoiced"]


def test_orders_are_placed_handled_invoiced_and_shipped(tmp_path: Path) -> None:
    shop, journal = TinyShop(), Journal(None)
    agenda = Agenda(journal)
    asyncio.run(run_until(shop, agenda, lambda: len(finished(shop)) >= 20))
    affiliates = {order_id.split("-")[0] for order_id in shop.orders}
    assert affiliates == {MARKETPLACE, STOREFRONT}
    assert shop.headers == {("demo-key", "demo-token")}
    closed = set(shop.orders) - {errand.order_id for errand in agenda.all_open()}
    for order_id in closed:
        order = shop.orders[order_id]
        assert order["status"] in {"invoiced", "canceled", "ready-for-handling"}
        for package in order["packageAttachment"]["packages"]:
            assert package["trackingNumber"].startswith("BK")


def test_an_api_that_is_down_at_first_is_waited_for() -> None:
    shop = TinyShop()
    shop.refusals_left = 2
    asyncio.run(run_until(shop, Agenda(Journal(None)), lambda: len(finished(shop)) >= 1))
    assert shop.refusals_left == 0


def test_open_errands_are_taken_up_again_after_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    Agenda(journal).open(Errand("MKP-7", MARKETPLACE, "7", "ordinary"))
    Agenda(journal).open(Errand("MKP-8", MARKETPLACE, "8", "ordinary"))
    Agenda(journal).close(Errand("MKP-8", MARKETPLACE, "8", "ordinary"))
    journal.close()

    journal = Journal(tmp_path / "journal")
    agenda = Agenda(journal)
    for entry in journal.entries():
        agenda.apply(entry)
    shop = TinyShop()
    shop.orders["MKP-7"] = {**an_order("waiting-ffmt-authorization"), "orderId": "MKP-7"}
    asyncio.run(run_until(shop, agenda, lambda: bool(finished(shop)), rate=0.001))
    assert finished(shop)[0]["orderId"] == "MKP-7"
    journal.close()


def test_an_order_that_cannot_be_understood_is_given_up_and_the_others_go_on() -> None:
    shop, agenda = TinyShop(), Agenda(Journal(None))
    shop.orders["MKP-7"] = {"orderId": "MKP-7", "status": "handling"}
    agenda.open(Errand("MKP-7", MARKETPLACE, "7", "ordinary"))

    def is_enough() -> bool:
        is_given_up = "MKP-7" not in {errand.order_id for errand in agenda.all_open()}
        return is_given_up and len(finished(shop)) >= 3

    asyncio.run(run_until(shop, agenda, is_enough))


def test_the_erp_configures_a_feed_reads_it_and_commits_what_it_took() -> None:
    shop = TinyShop()
    shop.orders["MKP-7"] = {**an_order("order-created"), "orderId": "MKP-7"}
    shop.does_advance_by_itself = False
    agenda = Agenda(Journal(None))
    agenda.open(Errand("MKP-7", MARKETPLACE, "7", "ordinary"))

    def has_heard() -> bool:
        # The change happens while the order is waited for, and is told by the feed alone.
        if shop.filter and shop.orders["MKP-7"]["status"] == "order-created":
            shop.orders["MKP-7"]["status"] = "ready-for-handling"
            shop.untold.append("MKP-7")
        return bool(shop.orders["MKP-7"]["status"] == "start-handling")

    asyncio.run(run_until(shop, agenda, has_heard, rate=0.001))
    assert "ready-for-handling" in shop.filter["status"]
    assert shop.committed == ["h-MKP-7"]
    assert shop.untold == []
