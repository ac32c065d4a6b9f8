"""Pages of the admin over HTTP, as staff sees them, against reads of the same rows by primary key."""

import http.client
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from oms.backoffice.keyset import encode
from oms.backoffice.order_list import PAGE_SIZE
from oms.orders.models import Order
from tests.bench.measuring import Measurement, percentile, watching_others
from tests.bench.rig import Rig, Web

LIST: Final = "/admin/orders/order/"
DEEP_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for, and the keys of orders whose rows it shows."""

    name: str
    path: str
    pks: list[int]
    events: int = 0
    status: int = 200


def measure_admin(rig: Rig) -> Iterator[Measurement]:
    """
    This function will measure each page in turn with the others, one request after another.

    The limit is what PostgreSQL takes to give the same rows by primary key; a page without rows
    tells what Django and the theme take for any page.
    """
    pages = _pages(rig)
    times: dict[str, list[float]] = {page.name: [] for page in pages}
    limits: dict[str, list[float]] = {page.name: [] for page in pages}
    with rig.web() as web, rig.owner() as reader, watching_others() as others:
        get = _reader_of_pages(web, _session())
        for number in range(rig.size.scaled(30, 2) + 2):
            for page in pages:
                spent, limit = get(page), _read_rows(reader, page)
                if number >= 2:  # after both workers and the caches are warm
                    times[page.name].append(spent)
                    limits[page.name].append(limit)
    for page in pages:
        yield Measurement(
            what=f"admin: {page.name}",
            unit="ms",
            ours=times[page.name],
            limit=limits[page.name] if page.pks else [],
            limit_is="the same rows by primary key" if page.pks else "",
            smaller_is_better=True,
            others_busy=others[0],
            note=f"p95 {percentile(times[page.name], 0.95):.0f} ms",
        )


def _pages(rig: Rig) -> list[Page]:
    deep = _order_at(PAGE_SIZE * (DEEP_PAGE - 1)) or _order_at(PAGE_SIZE)
    assert deep is not None
    month_ago = timezone.now().date() - timedelta(days=30)
    some = Order.objects.select_related("client_profile").get(pk=rig.size.orders // 3)
    long = rig.size.orders // 2
    lists: list[tuple[str, dict[str, str]]] = [
        ("first page", {}),
        (f"page {DEEP_PAGE:,}", {"older": encode(*deep)}),
        ("a common status (invoiced)", {"status": "invoiced"}),
        ("a rare status", {"status": "cancellation-requested"}),
        ("open orders", {"state": "open"}),
        ("a large seller", {"seller": "seller-1"}),
        ("a small seller", {"seller": "seller-1999"}),
        ("a channel", {"channel": "8"}),
        ("one day", {"from": f"{month_ago}", "to": f"{month_ago}"}),
        ("a rare status of a small seller", {"status": "replaced", "seller": "seller-1500"}),
    ]
    return [
        Page("an empty page of the theme", "/admin/password_change/", []),
        *(Page(name, f"{LIST}?{urlencode(query)}", _shown(query)) for name, query in lists),
        *(
            Page(f"look-up by {name}", f"{LIST}?{urlencode({'q': text})}", [some.pk], status=302)
            for name, text in (
                ("order id", some.order_id),
                ("e-mail", some.client_profile.email),
                ("document", some.client_profile.document),
            )
        ),
        Page("order page, 10 events", f"{LIST}{some.pk}/change/", [some.pk], events=10),
        Page("order page, 200 events", f"{LIST}{long}/change/", [long], events=200),
    ]


def _order_at(offset: int) -> tuple[Any, int] | None:
    newest_first = Order.objects.order_by("-created_at", "-pk").values_list("created_at", "pk")
    return newest_first[offset : offset + 1].first()


def _shown(query: dict[str, str]) -> list[int]:
    """The keys of as many orders as the page shows; which ones makes no difference to the limit."""
    orders = Order.objects.order_by("-created_at", "-pk")
    if "status" in query:
        orders = orders.filter(status=query["status"])
    if "seller" in query:
        orders = orders.filter(seller_id=query["seller"])
    return list(orders.values_list("pk", flat=True)[:PAGE_SIZE])


def _session() -> str:
    """This function will log a superuser in, as the log-in page would, and return the cookie."""
    user, _ = get_user_model().objects.get_or_create(
        username="bench", defaults={"is_staff": True, "is_superuser": True, "is_active": True}
    )
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def _reader_of_pages(web: Web, cookie: str) -> Callable[[Page], float]:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)

    def get(page: Page) -> float:
        started = time.perf_counter()
        connection.request("GET", page.path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        content = answer.read()
        spent = (time.perf_counter() - started) * 1000
        if answer.status != page.status:
            raise RuntimeError(f"{page.name}: {answer.status} {content[:300]!r}")
        return spent

    return get


def _read_rows(reader: psycopg.Connection[Any], page: Page) -> float:
    started = time.perf_counter()
    reader.execute(
        "SELECT * FROM orders_order o JOIN orders_clientprofile c ON c.order_id = o.id"
        " WHERE o.id = ANY(%s)",
        [page.pks],
    ).fetchall()
    if page.events:
        for table in ("item", "payment", "package"):
            query: Any = f"SELECT * FROM orders_{table} WHERE order_id = ANY(%s)"
            reader.execute(query, [page.pks]).fetchall()
        reader.execute(
            "SELECT * FROM orders_orderevent WHERE order_id = ANY(%s) ORDER BY seq DESC LIMIT %s",
            [page.pks, page.events],
        ).fetchall()
    return (time.perf_counter() - started) * 1000
