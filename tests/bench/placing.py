"""Placing over HTTP, one purchase and fifty a request, and by import, against COPY of the rows."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.orders.documents.building import order_document
from oms.orders.importing import import_file
from oms.orders.models import Affiliate, Order
from tests.bench.copying import copy_again, highest_order, newest_orders
from tests.bench.measuring import Measurement, watching_others
from tests.bench.purchases import AFFILIATE, Counter, purchase
from tests.bench.rig import Rig, Web

CONNECTIONS: Final = 8
PATH: Final = f"/api/fulfillment/pvt/orders?affiliateId={AFFILIATE}&sc=1"
IMPORT_BATCH: Final = 1_000


def measure_placing(rig: Rig) -> Iterator[Measurement]:
    """This function will measure placing by requests of 1 and of 50, then the import."""
    headers = credentials()
    counter = Counter()
    with rig.web() as web:
        yield _over_http(rig, web, headers, counter, lot=1, most=rig.size.scaled(2_000, 20))
        yield _over_http(rig, web, headers, counter, lot=50, most=rig.size.scaled(10_000, 200))
    yield _by_import(rig, count=rig.size.scaled(20_000, 200))


def credentials() -> dict[str, str]:
    """This function will make the affiliate and a key that may place, as request headers."""
    Affiliate.objects.get_or_create(
        affiliate_id=AFFILIATE, defaults={"name": "Bench", "flow": "complete"}
    )
    key, token = issue_app_key(
        owner_name="Bench", scopes=[Scope.ORDERS_FULL_ACCESS.value], actor="role:command"
    )
    return {
        "X-VTEX-API-AppKey": key.app_key,
        "X-VTEX-API-AppToken": token,
        "Content-Type": "application/json",
    }


def _over_http(
    rig: Rig, web: Web, headers: dict[str, str], counter: Counter, *, lot: int, most: int
) -> Measurement:
    """Ours: requests over kept-alive connections. Limit: COPY of what the round has placed."""
    measured = Measurement(
        what=f"placing over HTTP, {lot} a request, {CONNECTIONS} connections",
        unit="orders a second",
        ours=[],
        limit=[],
        limit_is="COPY of the same rows at once",
    )
    place(web, headers, bodies(counter, max(lot * CONNECTIONS, most // 10), lot))
    with watching_others() as others:
        for _ in range(rig.size.rounds):
            before = highest_order(rig)
            requests = bodies(counter, most, lot)
            started = time.perf_counter()
            place(web, headers, requests)
            measured.ours.append(most / (time.perf_counter() - started))
            pks = newest_orders(rig, above=before, limit=most)
            measured.limit.append(copy_again(rig, pks, orders_per_transaction=len(pks)))
            small = copy_again(rig, pks[: 10 * lot], orders_per_transaction=lot)
    measured.others_busy = others[0]
    measured.note = f"COPY in transactions of {lot}: {small:,.0f}"
    return measured


def bodies(counter: Counter, orders: int, lot: int) -> list[bytes]:
    """This function will make request bodies of `lot` purchases each, for `orders` in all."""
    numbers = counter.take(orders)
    purchases = [purchase(number) for number in numbers]
    return [
        json.dumps(purchases[start : start + lot]).encode()
        for start in range(0, len(purchases), lot)
    ]


def place(web: Web, headers: dict[str, str], requests: Sequence[bytes]) -> None:
    """This function will send requests over `CONNECTIONS` kept-alive connections, each in turn."""
    waiting = iter(requests)
    lock = threading.Lock()
    failures: list[str] = []

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
        while not failures:
            with lock:
                body = next(waiting, None)
            if body is None:
                break
            connection.request("POST", PATH, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200 or b'"status":"placed"' not in content:
                failures.append(f"{answer.status} {content[:500]!r}")
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"Placing failed: {failures[0]}")


def _by_import(rig: Rig, *, count: int) -> Measurement:
    measured = Measurement(
        what=f"import, transactions of {IMPORT_BATCH:,}",
        unit="orders a second",
        ours=[],
        limit=[],
        limit_is="COPY of the same rows at once",
    )
    path = rig.folder / "orders.ndjson"
    document = order_document(Order.objects.get(order_id=f"BEN-{rig.size.orders // 3}-01"))
    with watching_others() as others:
        for number in range(rig.size.rounds):
            _write_documents(path, document, f"IMP{int(time.time())}{number}", count)
            before = highest_order(rig)
            started = time.perf_counter()
            summary = import_file(path, batch=IMPORT_BATCH)
            measured.ours.append(count / (time.perf_counter() - started))
            if summary.imported != count:
                raise RuntimeError(f"Import took {summary.imported} of {count}.")
            pks = newest_orders(rig, above=before, limit=count)
            measured.limit.append(copy_again(rig, pks, orders_per_transaction=len(pks)))
    measured.others_busy = others[0]
    return measured


def _write_documents(path: Path, document: dict[str, Any], prefix: str, count: int) -> None:
    """Documents of one shape with their own ids; the order numbers are left to the import."""
    template = {key: value for key, value in document.items() if key != "sequence"}
    with path.open("wb") as file:
        for number in range(count):
            group = f"{prefix}-{number}"
            order = {**template, "orderId": f"{group}-01", "orderGroup": group}
            file.write(json.dumps(order).encode() + b"\n")
