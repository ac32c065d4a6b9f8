"""
Real marketplace orders as a script: what happened to each, when, and where it ended.

Reads the Olist sample from beside the project (never part of it). Each order becomes acts in the
order of its recorded times; `Play` performs them over the API with time compressed.
"""

import asyncio
import csv
import gzip
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import aiohttp

DATA: Final = Path(os.environ.get("OLIST_DIR", Path(__file__).parents[3] / "shared/data/olist"))
AFFILIATE: Final = "MKP"
# A recorded order says nothing of these; a day lies between the acts of people.
NEXT_DAY: Final = timedelta(days=1)

# Where an order of each recorded status must end: our status, shipped, delivered.
ENDS: Final[Mapping[str, tuple[str, bool, bool]]] = {
    "created": ("waiting-ffmt-authorization", False, False),
    "approved": ("ready-for-handling", False, False),
    "processing": ("handling", False, False),
    "invoiced": ("invoiced", False, False),
    "shipped": ("invoiced", True, False),
    "delivered": ("invoiced", True, True),
    "canceled": ("canceled", False, False),
    "unavailable": ("canceled", False, False),
}


@dataclass(frozen=True, slots=True)
class Act:
    at: datetime
    name: str


@dataclass(slots=True)
class RecordedOrder:
    """One order of the sample: its purchase, what happened, and its recorded end."""

    order_id: str
    status: str
    purchase: dict[str, Any]
    acts: list[Act]
    delivered_at: datetime | None
    order_ids: list[str] = field(default_factory=list)
    refusal: str = ""

    @property
    def is_return(self) -> bool:
        """Delivered and then canceled: goods and money had changed hands, so it is a return."""
        return self.status == "canceled" and self.delivered_at is not None


def read_orders(limit: int | None = None) -> list[RecordedOrder]:
    """This function will read the sample; `limit` keeps every n-th order, all statuses alike."""
    rows = list(_rows("orders"))
    if limit is not None and limit < len(rows):
        rows = rows[:: len(rows) // limit][:limit]
    items, payments = _grouped("order_items"), _grouped("order_payments")
    customers = {row["customer_id"]: row for row in _rows("customers")}
    products = {row["product_id"]: row for row in _rows("products")}
    return [
        _recorded(row, items[row["order_id"]], payments[row["order_id"]], customers, products)
        for row in rows
    ]


def _rows(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _grouped(name: str) -> dict[str, list[dict[str, str]]]:
    grouped: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in _rows(name):
        grouped[row["order_id"]].append(row)
    return grouped


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


def _cents(text: str) -> int:
    return int(Decimal(text) * 100)


def _recorded(
    row: Mapping[str, str],
    items: Sequence[Mapping[str, str]],
    payments: Sequence[Mapping[str, str]],
    customers: Mapping[str, Mapping[str, str]],
    products: Mapping[str, Mapping[str, str]],
) -> RecordedOrder:
    return RecordedOrder(
        order_id=row["order_id"],
        status=row["order_status"],
        purchase=_purchase(row, items, payments, customers[row["customer_id"]], products),
        acts=_acts(row),
        delivered_at=_time(row["order_delivered_customer_date"]),
    )


def _purchase(
    row: Mapping[str, str],
    items: Sequence[Mapping[str, str]],
    payments: Sequence[Mapping[str, str]],
    customer: Mapping[str, str],
    products: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """The sample has no names and streets: those are made up, the rest is as recorded."""
    return {
        "marketplaceOrderId": row["order_id"],
        "marketplaceServicesEndpoint": "https://marketplace.example/olist",
        "marketplacePaymentValue": sum(_cents(p["payment_value"]) for p in payments),
        "items": [
            {
                "id": item["product_id"],
                "quantity": 1,
                "seller": item["seller_id"],
                "price": _cents(item["price"]),
                "name": products.get(item["product_id"], {}).get("product_category_name", ""),
            }
            for item in items
        ],
        "clientProfileData": {
            "email": f"{customer['customer_unique_id']}@buyer.example",
            "firstName": "Buyer",
            "lastName": customer["customer_unique_id"][:8],
            "documentType": "none",
            "document": customer["customer_unique_id"][:14],
        },
        "shippingData": {
            "address": {
                "addressType": "residential",
                "receiverName": "Buyer",
                "postalCode": customer["customer_zip_code_prefix"],
                "city": customer["customer_city"],
                "state": customer["customer_state"],
                "country": "BRA",
                "street": "Rua",
                "number": "1",
            },
            "logisticsInfo": [
                {
                    "itemIndex": index,
                    "selectedSla": "Normal",
                    "price": _cents(item["freight_value"]),
                }
                for index, item in enumerate(items)
            ],
        },
    }


LIFE: Final = ("approve", "handle", "invoice", "ship", "deliver")
ACTS_OF: Final[Mapping[str, Sequence[str]]] = {
    "created": (),
    "unavailable": ("cancel",),
    **{
        status: LIFE[: number + 1]
        for number, status in enumerate(
            ("approved", "processing", "invoiced", "shipped", "delivered")
        )
    },
}


def _acts(row: Mapping[str, str]) -> list[Act]:
    """The recorded times in the order in which things must have happened."""
    placed = _time(row["order_purchase_timestamp"])
    carried = _time(row["order_delivered_carrier_date"])
    times = {
        "approve": _time(row["order_approved_at"]),
        "handle": carried,
        "invoice": carried,
        "ship": carried,
        "deliver": _time(row["order_delivered_customer_date"]),
    }
    names = ACTS_OF.get(row["order_status"])
    if names is None:
        names = _acts_of_canceled(times)
    assert placed is not None
    acts = [Act(placed, "place")]
    for name in names:
        # Some recorded times run backwards (44 were carried before they were approved).
        at = times.get(name) or acts[-1].at + NEXT_DAY
        acts.append(Act(max(at, acts[-1].at), name))
    return acts


def _acts_of_canceled(times: Mapping[str, datetime | None]) -> Sequence[str]:
    if times["deliver"]:
        return (*LIFE, "return")
    return (*(name for name in LIFE[:2] if times[name]), "cancel")


class Play:
    """
    Performs the recorded orders over the API, as marketplace and ERP would.

    `seconds` is how long the whole of the recorded time takes. A call that comes too early (409)
    is repeated, as any connector does; anything else than the expected answer is a failure.
    """

    def __init__(
        self, base: str, headers: Mapping[str, str], *, seconds: float, at_once: int = 32
    ) -> None:
        self.base = base
        self.headers = dict(headers)
        self.seconds = seconds
        self.answers: Counter[tuple[str, int]] = Counter()
        self._slots = asyncio.Semaphore(at_once)

    async def run(self, orders: Sequence[RecordedOrder]) -> None:
        first = min(order.acts[0].at for order in orders)
        last = max(order.acts[-1].at for order in orders)
        scale = self.seconds / max((last - first).total_seconds(), 1)
        started = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(headers=self.headers, timeout=timeout) as session:
            self._session = session
            async with asyncio.TaskGroup() as group:
                for order in orders:
                    group.create_task(self._play(order, first, scale, started))

    async def _play(
        self, order: RecordedOrder, first: datetime, scale: float, started: float
    ) -> None:
        for act in order.acts:
            due = started + (act.at - first).total_seconds() * scale
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not await self._perform(order, act):
                return

    async def _perform(self, order: RecordedOrder, act: Act) -> bool:
        if act.name == "place":
            return await self._place(order)
        for number, order_id in enumerate(order.order_ids):
            await getattr(self, f"_{act.name}")(
                order, order_id, f"{order.order_id[:8]}-{number}", act
            )
        return True

    async def _call(
        self, name: str, method: str, path: str, body: Any = None, *, expect: Sequence[int]
    ) -> Any:
        async with (
            self._slots,
            self._session.request(method, self.base + path, json=body) as answer,
        ):
            self.answers[name, answer.status] += 1
            payload = await answer.json() if answer.status != 204 else None
            if answer.status not in expect:
                raise AssertionError(f"{name} {path}: {answer.status} {payload}")
            return answer.status, payload

    async def _until_accepted(
        self, name: str, method: str, path: str, body: Any = None, *, expect: int
    ) -> Any:
        """Repeats a call that comes before its order is there, for two minutes."""
        pause = 0.2
        ends_at = time.monotonic() + 120
        while True:
            allowed = (expect, 409) if time.monotonic() < ends_at else (expect,)
            status, payload = await self._call(name, method, path, body, expect=allowed)
            if status == expect:
                return payload
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 3.0)

    async def _place(self, order: RecordedOrder) -> bool:
        status, payload = await self._call(
            "place",
            "POST",
            f"/api/fulfillment/pvt/orders?affiliateId={AFFILIATE}&sc=1",
            [order.purchase],
            expect=(200, 400),
        )
        if status == 400:
            order.refusal = payload["error"]["message"]
            return False
        order.order_ids = payload[0]["orderIds"]
        return True

    async def _approve(self, order: RecordedOrder, order_id: str, number: str, act: Act) -> None:
        path = f"/api/fulfillment/pvt/orders/{order_id}/fulfill?affiliateId={AFFILIATE}"
        body = {"marketplaceOrderId": order.order_id}
        await self._call("approve", "POST", path, body, expect=(201,))

    async def _handle(self, order: RecordedOrder, order_id: str, number: str, act: Act) -> None:
        path = f"/api/oms/pvt/orders/{order_id}/start-handling"
        await self._until_accepted("start-handling", "POST", path, expect=204)

    async def _invoice(self, order: RecordedOrder, order_id: str, number: str, act: Act) -> None:
        document = await self.document(order_id)
        body = {
            "type": "Output",
            "issuanceDate": act.at.isoformat(),
            "invoiceNumber": f"NF/{number}",
            "invoiceValue": str(document["value"]),
            "items": [
                {name: item[name] for name in ("id", "uniqueId", "price", "quantity")}
                for item in document["items"]
            ],
        }
        path = f"/api/oms/pvt/orders/{order_id}/invoice"
        await self._until_accepted("invoice", "POST", path, body, expect=200)

    async def _ship(self, order: RecordedOrder, order_id: str, number: str, act: Act) -> None:
        body = {
            "trackingNumber": f"TR{number}",
            "trackingUrl": None,
            "courier": "Correios",
            "dispatchedDate": act.at.isoformat(),
        }
        path = f"/api/oms/pvt/orders/{order_id}/invoice/NF%2F{number}"
        await self._call("ship", "PATCH", path, body, expect=(200,))

    async def _deliver(self, order: RecordedOrder, order_id: str, number: str, act: Act) -> None:
        when = act.at.isoformat()
        event = {"city": "x", "state": "SP", "description": "Delivered", "date": when}
        body = {"isDelivered": True, "deliveredDate": when, "events": [event]}
        path = f"/api/oms/pvt/orders/{order_id}/invoice/NF%2F{number}/tracking"
        await self._call("deliver", "PUT", path, body, expect=(200,))

    async def _cancel(self, order: RecordedOrder, order_id: str, number: str, act: Act) -> None:
        # Once handling is near, the first call asks and a later one confirms, as a seller would.
        path = f"/api/oms/pvt/orders/{order_id}/cancel"
        body = {"reason": f"Recorded as {order.status}."}
        await self._until_accepted("cancel", "POST", path, body, expect=200)
        while (await self.document(order_id))["status"] == "cancellation-requested":
            await asyncio.sleep(1.0)
            await self._call("confirm", "POST", path, body, expect=(200, 409))

    async def _return(self, order: RecordedOrder, order_id: str, number: str, act: Act) -> None:
        document = await self._until_invoiced(order_id)
        body = {
            "type": "Input",
            "issuanceDate": act.at.isoformat(),
            "invoiceNumber": f"RT/{number}",
            "invoiceValue": str(document["value"]),
            "items": [],
        }
        path = f"/api/oms/pvt/orders/{order_id}/invoice"
        await self._call("return", "POST", path, body, expect=(200,))

    async def _until_invoiced(self, order_id: str) -> Any:
        for _ in range(120):
            document = await self.document(order_id)
            if document["status"] == "invoiced":
                return document
            await asyncio.sleep(0.5)
        raise AssertionError(f"{order_id} was not invoiced in a minute.")

    async def document(self, order_id: str) -> Any:
        path = f"/api/oms/pvt/orders/{order_id}"
        _, payload = await self._call("get", "GET", path, expect=(200,))
        return payload
