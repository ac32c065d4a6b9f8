"""The order list of the API over HTTP, with each kind of filter, against its two bare statements."""

import http.client
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import orjson
import psycopg
from django.http import QueryDict

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.api.listing.filters import OrderFilters
from oms.api.listing.paging import read_page, write_cursor
from oms.ops.statements import Statement
from oms.orders.listing import Position, Sorting, statements_of
from oms.orders.models import Order
from tests.bench.measuring import Measurement, percentile, watching_others
from tests.bench.rig import Rig, Web

PATH: Final = "/api/oms/pvt/orders"
DEEP_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    name: str
    query: str
    bare: tuple[Statement, ...]


def measure_listing(rig: Rig) -> Iterator[Measurement]:
    """This function will ask for each list in turn with its bare statements, one after another."""
    lists = [_asked(name, parameters) for name, parameters in _lists(rig)]
    times: dict[str, list[float]] = {asked.name: [] for asked in lists}
    limits: dict[str, list[float]] = {asked.name: [] for asked in lists}
    with rig.web() as web, rig.owner() as reader, watching_others() as others:
        get = _caller(web)
        for number in range(rig.size.scaled(30, 2) + 2):
            for asked in lists:
                spent, limit = get(asked.query), _run(reader, asked.bare)
                if number >= 2:  # after both workers and the caches are warm
                    times[asked.name].append(spent)
                    limits[asked.name].append(limit)
    for asked in lists:
        yield Measurement(
            what=f"list: {asked.name}",
            unit="ms",
            ours=times[asked.name],
            limit=limits[asked.name],
            limit_is="the bare statements",
            smaller_is_better=True,
            others_busy=others[0],
            note=f"p95 {percentile(times[asked.name], 0.95):.0f} ms",
        )


def _lists(rig: Rig) -> list[tuple[str, dict[str, str]]]:
    some = Order.objects.select_related("client_profile").get(pk=rig.size.orders // 3)
    day = some.created_at.date()
    deep = Order.objects.get(pk=max(1, rig.size.orders - DEEP_PAGE * 15))
    return [
        ("first page", {}),
        ("page 30 of 100", {"page": "30", "per_page": "100"}),
        (
            f"by cursor, {DEEP_PAGE:,} pages on",
            {"cursor": write_cursor(Sorting(), Position(deep.created_at, deep.pk))},
        ),
        ("by total value", {"orderBy": "totalValue,desc"}),
        ("a common status", {"f_status": "invoiced"}),
        ("three statuses", {"f_status": "handling,ready-for-handling,payment-pending"}),
        ("one day", {"f_creationDate": f"creationDate:[{day} TO {day}]"}),
        ("authorized one day", {"f_authorizedDate": f"authorizedDate:[{day} TO {day}]"}),
        ("a large seller", {"f_sellerNames": "Seller number 1"}),
        ("a small seller", {"f_sellerNames": "Seller number 1999"}),
        ("a payment name that all have", {"f_paymentNames": "Visa"}),
        ("a UTM source", {"f_UtmSource": "source-50"}),
        ("a promotion", {"f_RnB": "Promotion 7"}),
        ("a SKU", {"searchField": "sku_Ids", "q": "5"}),
        ("a payment id", {"searchField": "paymentId", "q": f"P{some.pk}"}),
        ("late", {"f_shippingEstimate": "-1.days"}),
        ("q: order id", {"q": some.order_id}),
        ("q: e-mail", {"q": some.client_profile.email}),
        ("q: full name", {"q": f"{some.client_profile.first_name} Family1"}),
        (
            "a status of a seller on a day",
            {
                "f_status": "invoiced",
                "f_sellerNames": "Seller number 1",
                "f_creationDate": f"[{day} TO {day}]",
            },
        ),
    ]


def _asked(name: str, parameters: dict[str, str]) -> Asked:
    query = QueryDict(urlencode(parameters))
    page = read_page(query)
    statements = statements_of(
        OrderFilters(query, Order.objects.all()).asked(),
        sorting=page.sorting,
        size=page.size,
        offset=page.offset,
        after=page.after,
    )
    return Asked(name, query.urlencode(), statements)


def _caller(web: Web) -> Callable[[str], float]:
    key, token = issue_app_key(owner_name="Bench", scopes=[Scope.LIST_ORDERS], actor="user:bench")
    headers = {"X-VTEX-API-AppKey": key.app_key, "X-VTEX-API-AppToken": token}
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)

    def get(query: str) -> float:
        started = time.perf_counter()
        connection.request("GET", f"{PATH}?{query}", headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        spent = (time.perf_counter() - started) * 1000
        if answer.status != 200 or "list" not in orjson.loads(content):
            raise RuntimeError(f"{query}: {answer.status} {content[:300]!r}")
        return spent

    return get


def _run(reader: psycopg.Connection[Any], statements: tuple[Statement, ...]) -> float:
    cursor = psycopg.ClientCursor(reader)
    started = time.perf_counter()
    for statement in statements:
        sql: Any = statement.sql
        cursor.execute(sql, statement.params).fetchall()
    return (time.perf_counter() - started) * 1000
