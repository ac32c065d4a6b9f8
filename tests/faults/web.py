"""Callers of the real web process: they place orders over HTTP and write down what was answered."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.orders.models import Affiliate
from oms.orders.statuses import Flow
from tests.faults.rig import Rig
from workflow.sandbox.shopping import STOREFRONT, invent_order

PLACING = "/api/fulfillment/pvt/orders"
READING = "/api/oms/pvt/orders"


@dataclass(slots=True)
class Shopper:
    """One caller with an app key of its own. Safe to use from several threads."""

    web_url: str
    headers: dict[str, str]
    seed: int
    attempted: list[str] = field(default_factory=list)
    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)

    def place(self, number: str) -> bool:
        """This function will place one purchase; True if its placing was acknowledged."""
        self.attempted.append(number)
        body = invent_order(random.Random(f"{self.seed} {number}"), STOREFRONT, number)
        try:
            answer = requests.post(
                f"{self.web_url}{PLACING}?affiliateId={STOREFRONT}&sc=1",
                json=[body],
                headers=self.headers,
                timeout=20,
            )
        except requests.RequestException:
            self.answers.append(0)
            return False
        self.answers.append(answer.status_code)
        if answer.status_code != 200:
            return False
        self.acknowledged[number] = answer.json()[0]["orderIds"]
        return True

    def read(self, reference: str) -> requests.Response:
        """This function will read by order id, `seq…`, or `order-group/…`."""
        return requests.get(
            f"{self.web_url}{READING}/{reference}", headers=self.headers, timeout=20
        )

    @property
    def order_ids(self) -> list[str]:
        return [order_id for order_ids in self.acknowledged.values() for order_id in order_ids]


def new_shopper(rig: Rig, *, seed: int = 1) -> Shopper:
    """This function will issue an app key and let the storefront place orders with it."""
    Affiliate.objects.get_or_create(
        affiliate_id=STOREFRONT, defaults={"name": "Storefront", "flow": Flow.COMPLETE}
    )
    key, token = issue_app_key(
        owner_name="Fault tests",
        scopes=[Scope.PLACE_ORDERS, Scope.ORDERS_FULL_ACCESS, Scope.OMS_VIEWER],
        actor="test",
    )
    headers = {"X-VTEX-API-AppKey": key.app_key, "X-VTEX-API-AppToken": token}
    return Shopper(rig.web_url, headers, seed)


@contextmanager
def placing_all_the_while(shopper: Shopper, prefix: str, *, threads: int = 2) -> Iterator[None]:
    """This context will place purchases one after another until it ends."""
    stop = threading.Event()

    def place(thread: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            if not shopper.place(f"{prefix}-{thread}-{number}"):
                stop.wait(0.05)

    workers = [threading.Thread(target=place, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def half_written(rig: Rig, prefix: str) -> list[Any]:
    """
    This function will list the orders that lack a part: an event, items, a payment, or work.

    Also those of a purchase of which another seller's order is missing: orders of a group are
    numbered, so a gap shows.
    """
    return rig.query(
        """
        SELECT o.order_id FROM orders_order o
        WHERE o.marketplace_order_id LIKE %s AND NOT (
            EXISTS (SELECT 1 FROM orders_orderevent e WHERE e.order_id = o.id AND e.seq = 1)
            AND EXISTS (SELECT 1 FROM orders_item i WHERE i.order_id = o.id)
            AND EXISTS (SELECT 1 FROM orders_payment p WHERE p.order_id = o.id)
            AND (o.version > 1
                 OR EXISTS (SELECT 1 FROM workflow_workitem w WHERE w.order_id = o.id))
            AND o.item_count = (
                SELECT sum(i.quantity) FROM orders_item i WHERE i.order_id = o.id)
        )
        UNION
        SELECT o.order_group FROM orders_order o WHERE o.marketplace_order_id LIKE %s
        GROUP BY o.order_group HAVING max(o.split_number) <> count(*)
        """,
        f"{prefix}-%",
        f"{prefix}-%",
    )
