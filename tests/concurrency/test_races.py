"""
Fifty conflicting calls at once on each order, over real HTTP, while the workflow runs on.

The known curse of the field (KI 1400005, 1348894, 1372902): cancel against invoice, change against
invoice, orders stuck for ever. Here: one legal path, losers are told so, nothing stands still.
"""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.orders.locks import LockedOrder, lock_order
from oms.orders.models import Affiliate, Order, OrderEvent
from oms.orders.statuses import FINAL_STATUSES, Flow, Status
from tests.api.boundary_server import WebServer, ask
from tests.api.purchases import purchase
from tests.concurrency.sessions import Session, query, wait_until_blocked
from tests.workflow.sandboxes import ThreadedSandbox
from tests.workflow.stories import (
    assert_legal_history,
    events_of,
    payment_of,
    place_in,
    record,
)
from workflow.models import ChangeRequest, WorkItem
from workflow.runner import run_due
from workflow.sandbox.server import SandboxOptions
from workflow.steps import Step
from workflow.work import find_due_orders

CALLS = 50
# Somebody outside has the next word; everything else needs an open step or is over.
OTHERS_DECIDE = {
    Status.READY_FOR_HANDLING,
    Status.HANDLING,
    Status.READY_FOR_INVOICING,
    Status.WAITING_SELLER_HANDLING,
}
STARTS = [
    (Flow.COMPLETE, Status.PAYMENT_PENDING),
    (Flow.COMPLETE, Status.WINDOW_TO_CANCEL),
    (Flow.COMPLETE, Status.READY_FOR_HANDLING),
    (Flow.COMPLETE, Status.HANDLING),
    (Flow.COMPLETE, Status.CANCELLATION_REQUESTED),
    (Flow.COMPLETE, Status.START_HANDLING),
    (Flow.COMPLETE, Status.READY_FOR_INVOICING),
    (Flow.MARKETPLACE, Status.WAITING_FOR_AUTHORIZATION),
    (Flow.MARKETPLACE, Status.WINDOW_TO_CHANGE_SELLER),
    (Flow.FULFILLMENT, Status.HANDLING),
    (Flow.MARKETPLACE, Status.PAYMENT_PENDING),
    (Flow.MARKETPLACE, Status.WAITING_SELLER_HANDLING),
    (Flow.MARKETPLACE, Status.WINDOW_TO_CHANGE_PAYMENT),
    (Flow.FULFILLMENT, Status.READY_FOR_HANDLING),
    (Flow.CHAIN, Status.WAITING_SELLER_HANDLING),
]
REFUSALS = {
    (409, "OMS003"),
    (409, "SalesOrderSystem014"),
    (400, "partly_invoiced"),
    (400, "invalid"),
}
# A seller that lost the order to another finds it no more.
REFUSALS_TO_SELLERS = {*REFUSALS, (404, "order_not_found")}
# What each verb leaves on the timeline when it was the one that won.
EVENTS_OF_VERBS = {
    "start-handling": {"order.handling-started"},
    "deny": {"order.cancellation-denied"},
    "change": {"order.changed", "order.change-requested"},
    "cancel": {
        "order.cancellation-started",
        "order.cancellation-requested",
        "order.cancellation-accepted",
    },
}


@dataclass(frozen=True)
class Call:
    verb: str
    method: str
    path: str
    body: bytes

    @property
    def is_of_seller(self) -> bool:
        return self.verb == "give-up"


@dataclass(frozen=True)
class Answer:
    call: Call
    status: int
    code: str

    @property
    def is_refusal(self) -> bool:
        known = REFUSALS_TO_SELLERS if self.call.is_of_seller else REFUSALS
        return (self.status, self.code) in known


@pytest.fixture
def sandbox(settings: Settings) -> Iterator[ThreadedSandbox]:
    with ThreadedSandbox(SandboxOptions(port=0, seed=1)) as running:
        settings.CONNECTORS = running.connectors
        yield running


@pytest.fixture
def web(database_url: str, tmp_path: Path) -> Iterator[WebServer]:
    """This fixture will serve the real routes with several workers, threads enough for all calls."""
    server = WebServer(tmp_path, database_url)
    server.environment |= {
        "DJANGO_SETTINGS_MODULE": "oms.settings",
        "WEB_CONCURRENCY": "3",
        "WEB_THREADS": "18",
        "WEB_DB_POOL": "18",
        "LOG_LEVEL": "WARNING",
        "CANCELLATION_CONFIRM_SECONDS": "0",
    }
    with server.running():
        yield server


@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_of_fifty_conflicting_calls_one_legal_path_remains(
    web: WebServer,
    sandbox: ThreadedSandbox,
    full_size: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flows_and_starts = [STARTS[n % len(STARTS)] for n in range(200 if full_size else 20)]
    orders = [place_in(start, flow) for flow, start in flows_and_starts]
    _race(orders, _calls, web, sandbox, capsys)


@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_fifty_changes_invoices_and_cancellations_leave_no_cent_astray(
    web: WebServer,
    sandbox: ThreadedSandbox,
    full_size: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flows = [Flow.COMPLETE, Flow.COMPLETE, Flow.FULFILLMENT]
    count = 120 if full_size else 12
    orders = [place_in(Status.HANDLING, flows[n % len(flows)]) for n in range(count)]
    answers = _race(orders, _calls_on_handling, web, sandbox, capsys)
    for verb in ("change", "invoice"):
        assert any(a.call.verb == verb and a.status < 300 for a in answers), verb


def _race(
    orders: list[str],
    calls_on: Callable[[str, random.Random], list[Call]],
    web: WebServer,
    sandbox: ThreadedSandbox,
    capsys: pytest.CaptureFixture[str],
) -> list[Answer]:
    """This function will let fifty calls loose on each order and see that all is well afterwards."""
    chance = random.Random(2017)
    headers = _key_of_everything()
    sellers = _key_of_everything(seller_ids=["1"])
    began, deadlocks = time.monotonic(), _deadlocks()
    with _running_workflow(), _Callers(web, headers, sellers) as callers:
        answers = {order_id: callers.fire(calls_on(order_id, chance)) for order_id in orders}
    seconds = time.monotonic() - began
    _run_until_quiet()
    # Changes that waited for an invoice to be settled look again.
    WorkItem.objects.filter(step=Step.AUTHORIZE_CHANGE).update(next_attempt_at=Now())
    _run_until_quiet()
    for order_id in orders:
        _assert_one_legal_path(order_id, answers[order_id])
        _assert_money_follows(order_id)
    every = [answer for told in answers.values() for answer in told]
    _assert_nothing_stuck()
    assert _deadlocks() == deadlocks
    assert sandbox.effects()["doubled"] == []
    with capsys.disabled():
        _print_counts(every, len(orders), seconds)
    return every


def _calls(order_id: str, chance: random.Random) -> list[Call]:
    payment = f"payments/{payment_of(order_id).payment_id}/payment-notification"
    kinds: list[tuple[str, str, str, Any]] = [
        ("cancel", "POST", f"oms/pvt/orders/{order_id}/cancel", {"reason": "race"}),
        ("deny", "POST", f"orders/pvt/document/{order_id}/deny-cancellation-request", {}),
        ("start-handling", "POST", f"oms/pvt/orders/{order_id}/start-handling", None),
        ("approve", "POST", f"oms/pvt/orders/{order_id}/{payment}", None),
        ("refuse", "POST", f"oms/pvt/orders/{order_id}/{payment}", {"status": "denied"}),
        ("change", "PATCH", f"order-system/orders/{order_id}/changes", _change(-100)),
        ("change", "PATCH", f"order-system/orders/{order_id}/changes", _change(50)),
        ("take-over", "PUT", f"checkout/pvt/orders/{order_id}/sellers", {"newSellerId": "2"}),
        ("give-up", "POST", f"oms/pvt/orders/{order_id}/cancel", {"reason": "no stock"}),
        *(
            ("invoice", "POST", f"oms/pvt/orders/{order_id}/invoice", _invoice(number, cents))
            for number, cents in (("A", 1000), ("B", 600), ("C", 400), ("D", 1001))
        ),
    ]
    chosen = [kinds[n % len(kinds)] for n in range(CALLS)]
    chance.shuffle(chosen)
    return [
        Call(verb, method, f"/api/{path}", b"" if body is None else orjson.dumps(body))
        for verb, method, path, body in chosen
    ]


def _calls_on_handling(order_id: str, chance: random.Random) -> list[Call]:
    path = f"order-system/orders/{order_id}/changes"
    kinds: list[tuple[str, str, str, Any]] = [
        *(("change", "PATCH", path, _change(cents)) for cents in (-50, 50) for _ in range(17)),
        *(
            ("invoice", "POST", f"oms/pvt/orders/{order_id}/invoice", _invoice(f"N{n}", 100))
            for n in range(CALLS - 37)
        ),
        ("cancel", "POST", f"oms/pvt/orders/{order_id}/cancel", {"reason": "race"}),
        ("deny", "POST", f"orders/pvt/document/{order_id}/deny-cancellation-request", {}),
        ("deny", "POST", f"orders/pvt/document/{order_id}/deny-cancellation-request", {}),
    ]
    chance.shuffle(kinds)
    return [
        Call(verb, method, f"/api/{path}", orjson.dumps(body))
        for verb, method, path, body in kinds
    ]


def _invoice(number: str, cents: int) -> dict[str, Any]:
    return {"issuanceDate": "2026-01-31", "invoiceNumber": number, "invoiceValue": cents}


def _change(cents: int) -> dict[str, Any]:
    field = "manualIncrementValue" if cents > 0 else "manualDiscountValue"
    return {"reason": "race", field: abs(cents)}


def _key_of_everything(seller_ids: list[str] | None = None) -> dict[str, str]:
    key, token = issue_app_key(
        owner_name="ERP", scopes=[*Scope], actor="user:ann", seller_ids=seller_ids
    )
    return {"X-VTEX-API-AppKey": key.app_key, "X-VTEX-API-AppToken": token}


class _Callers:
    """As many callers as calls, each with a connection of its own, who all call at one moment."""

    def __init__(self, web: WebServer, headers: dict[str, str], sellers: dict[str, str]) -> None:
        self._headers = {**headers, "Content-Type": "application/json"}
        self._sellers = {**sellers, "Content-Type": "application/json"}
        self._connections = [web.connection() for _ in range(CALLS)]
        self._threads = ThreadPoolExecutor(CALLS)
        self._start = threading.Barrier(CALLS)

    def __enter__(self) -> "_Callers":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        for held in self._connections:
            held.close()

    def fire(self, calls: list[Call]) -> list[Answer]:
        return list(self._threads.map(self._call, calls, self._connections, timeout=120))

    def _call(self, call: Call, held: Any) -> Answer:
        self._start.wait(60)
        headers = self._sellers if call.is_of_seller else self._headers
        status, _, body = ask(held, call.method, call.path, call.body, headers)
        return Answer(call, status, (body or {}).get("error", {}).get("code", ""))


@contextlib.contextmanager
def _running_workflow() -> Iterator[None]:
    """Two workers go on moving the orders while the calls come in."""
    is_over = threading.Event()

    def work() -> None:
        try:
            while not is_over.is_set():
                run_due(seconds=1)
                is_over.wait(0.05)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as workers:
        futures = [workers.submit(work) for _ in range(2)]
        try:
            yield
        finally:
            is_over.set()
    for future in futures:
        future.result()


def _run_until_quiet() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if run_due(seconds=5).count == 0 and not find_due_orders(limit=1):
            return
    raise AssertionError("the workflow does not come to rest")


def _assert_one_legal_path(order_id: str, answers: list[Answer]) -> None:
    strange = [a for a in answers if a.status not in (200, 202, 204) and not a.is_refusal]
    assert strange == []
    assert_legal_history(order_id)
    kinds = Counter(e.kind for e in events_of(order_id) if e.actor.startswith("key:"))
    for verb, events in EVENTS_OF_VERBS.items():
        won = sum(a.call.verb == verb and a.status < 300 for a in answers)
        if verb == "cancel":
            # The seller's cancel is a cancellation where nobody else could take the order.
            won += sum(a.call.is_of_seller and a.status < 300 for a in answers)
            won -= kinds["order.seller-lost"]
        assert won == sum(kinds[kind] for kind in events), f"{order_id}: {verb} {kinds}"
    order = Order.objects.get(order_id=order_id)
    sold = sum(order.packages.values_list("invoice_value_cents", flat=True))
    assert sold <= order.value_cents
    assert (order.status == Status.INVOICED) == (sold == order.value_cents)
    assert not (sold and order.status in (Status.CANCEL, Status.CANCELED))


def _assert_money_follows(order_id: str) -> None:
    """No cent is captured that was not invoiced, and none is left that a change gave up."""
    order = Order.objects.get(order_id=order_id)
    settled = order.packages.filter(is_settled=True).values_list("invoice_value_cents", flat=True)
    payments = list(order.payments.values_list("value_cents", "captured_cents"))
    assert sum(captured for _, captured in payments) == sum(settled)
    assert sum(value for value, _ in payments) == order.value_cents
    requests = list(order.change_requests.order_by("pk"))
    applied = sum(r.difference_cents for r in requests if r.state == ChangeRequest.State.DONE)
    assert order.value_cents == 1000 + applied
    assert not any(request.returns_cents for request in requests)
    if order.status in FINAL_STATUSES:
        assert not any(request.is_open for request in requests)


def _assert_nothing_stuck() -> None:
    assert not WorkItem.objects.filter(parked_at__isnull=False).exists()
    open_changes = Order.objects.filter(change_requests__decided_at__isnull=True)
    open_changes = open_changes.exclude(change_requests=None)
    assert not open_changes.exclude(work_items__step=Step.AUTHORIZE_CHANGE).exists()
    waiting = Order.objects.exclude(status__in=[*FINAL_STATUSES, *OTHERS_DECIDE])
    assert list(waiting.filter(work_items=None).values_list("order_id", "status")) == []


def _deadlocks() -> int:
    query("SELECT pg_stat_force_next_flush()")
    found = query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return int(found[0][0])


def _print_counts(answers: list[Answer], order_count: int, seconds: float) -> None:
    by_verb = Counter((a.call.verb, a.status) for a in answers)
    final = Counter(Order.objects.values_list("status", flat=True))
    print(f"\n{len(answers)} calls on {order_count} orders in {seconds:.1f} s")
    for verb in sorted({verb for verb, _ in by_verb}):
        told = ", ".join(f"{n} x {s}" for (v, s), n in sorted(by_verb.items()) if v == verb)
        print(f"  {verb:15} {told}")
    print(f"  orders ended in {dict(final)}; {OrderEvent.objects.count()} events")


# Placing


@pytest.mark.heavy
def test_the_same_batch_placed_by_many_at_once_is_placed_once(
    web: WebServer, full_size: bool
) -> None:
    Affiliate.objects.create(affiliate_id="MKT", name="Market", flow=Flow.FULFILLMENT)
    sent = [purchase("1", "cups") for _ in range(100 if full_size else 20)]
    batches = [sent if n % 2 else sent[::-1] for n in range(CALLS)]
    path, deadlocks = "/api/fulfillment/pvt/orders?affiliateId=MKT", _deadlocks()
    headers = {**_key_of_everything(), "Content-Type": "application/json"}

    def place(batch: list[dict[str, Any]]) -> tuple[int, Any]:
        status, _, body = web.ask("POST", path, orjson.dumps(batch), headers)
        return status, body

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(place, batches))
    assert {status for status, _ in answers} == {200}
    outcomes = Counter(result["status"] for _, body in answers for result in body)
    assert outcomes == {"placed": len(sent), "already-placed": len(sent) * (CALLS - 1)}
    told = {tuple(result["orderIds"]) for _, body in answers for result in body}
    assert {order_id for ids in told for order_id in ids} == set(
        Order.objects.values_list("order_id", flat=True)
    )
    assert Order.objects.count() == OrderEvent.objects.count() == 2 * len(sent)
    assert _deadlocks() == deadlocks


# Locks


@pytest.fixture
def waiter(transactional_db: None) -> Iterator[Session]:
    session = Session()
    yield session
    session.close()


def test_who_waited_for_an_order_sees_what_its_holder_wrote(waiter: Session) -> None:
    order_id = place_in(Status.HANDLING)

    def lock_it() -> LockedOrder:
        with transaction.atomic():
            return lock_order(order_id)

    pid = waiter.pid
    with transaction.atomic():
        record(order_id, value_cents=1000)
        waiting = waiter.start(lock_it)
        wait_until_blocked(pid)
    locked = waiting.result(20)
    assert (locked.status, locked.invoiced_cents) == (Status.INVOICE, 1000)
    assert locked.read_at > locked.last_change_at
