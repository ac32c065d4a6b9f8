"""
The feed over HTTP against the same cycle in bare SQL, and how soon a commit is seen.

A cycle takes ten events and commits them. Ours is two requests of an ERP; the limit is the two
statements that no feed could do without, sent by pgbench to the same table with the same indexes.
"""

import http.client
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.orders.models import Order
from oms.orders.statuses import Status
from tests.bench.measuring import Measurement, in_turns, percentile, watching_others
from tests.bench.pgbench import pgbench
from tests.bench.racing import rate_of
from tests.bench.rig import Rig, Web
from workflow.services.handling import start_handling

LOT: Final = 10
READERS: Final = 4
# What a round may take at most: pgbench is given as many rows as it can use up.
RAW_CYCLES_A_SECOND: Final = 2_000

RAW_CYCLE: Final = """
WITH picked AS (
    SELECT id FROM feeds_queueitem
    WHERE subscription_id = {subscription} AND outcome = '' AND available_at <= now()
    ORDER BY available_at, id LIMIT {lot} FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE feeds_queueitem q SET attempts = attempts + 1, leased_at = now(),
           first_leased_at = coalesce(first_leased_at, now()),
           available_at = now() + interval '250 s'
    FROM picked WHERE q.id = picked.id RETURNING q.id
) SELECT coalesce(string_agg(id::text, ','), '0') AS ids FROM leased \\gset
UPDATE feeds_queueitem SET outcome = 'committed', ended_at = now() WHERE id IN (:ids);
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """One app key with a feed; `subscription_id` is its row."""

    headers: dict[str, str]
    subscription_id: int


def measure_feeding(rig: Rig) -> Iterator[Measurement]:
    """This function will measure cycles of one and of many keys, then how soon an event is there."""
    with rig.web() as web:
        raw = _new_reader(rig, web, "bare SQL", backlog=False)
        for keys, readers, goal in ((1, 1, 0.35), (1, READERS, 0.25)):
            yield _cycles(rig, web, raw, keys=keys, readers=readers, goal=goal)
        for keys in (10, 50):
            yield _cycles(rig, web, raw, keys=rig.size.scaled(keys, 3), readers=READERS)
        yield _commit_to_visible(rig, web)


def _cycles(
    rig: Rig, web: Web, raw: Reader, *, keys: int, readers: int, goal: float | None = None
) -> Measurement:
    each = [_new_reader(rig, web, f"reader {n} of {keys}") for n in range(keys)]

    def ours(seconds: float) -> float:
        def work(number: int, until: float) -> int:
            mine = each[number::readers] or each
            return sum(_read_until(web, mine, until))

        return rate_of(work, clients=readers, seconds=seconds)

    def limit(seconds: float) -> float:
        fill_queue(rig, raw.subscription_id, rows=int(LOT * (seconds + 1) * RAW_CYCLES_A_SECOND))
        script = RAW_CYCLE.format(subscription=raw.subscription_id, lot=LOT)
        return LOT * pgbench(rig, script, clients=readers, seconds=seconds)

    return in_turns(
        f"feed cycle over HTTP, {keys} key{'s' if keys > 1 else ''},"
        f" {readers} reader{'s' if readers > 1 else ''}",
        unit="events a second",
        ours=ours,
        limit=limit,
        limit_is="the bare SQL cycle",
        goal=goal,
        rounds=rig.size.rounds,
        seconds=rig.size.seconds,
        warm_up=rig.size.warm_up,
    )


def _new_reader(rig: Rig, web: Web, owner: str, *, backlog: bool = True) -> Reader:
    """
    This function will issue a key and configure its feed; with `backlog`, the last days wait for it.
    """
    key, token = issue_app_key(
        owner_name=owner, scopes=[Scope.FEED_HOOK_ADMIN.value], actor="role:command"
    )
    headers = {
        "X-VTEX-API-AppKey": key.app_key,
        "X-VTEX-API-AppToken": token,
        "Content-Type": "application/json",
    }
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    body = {
        "filter": {"type": "FromWorkflow", "status": []},
        "queue": {"visibilityTimeoutInSeconds": 250, "MessageRetentionPeriodInSeconds": 1_209_600},
    }
    _send(connection, "POST", "/api/orders/feed/config", headers, body)
    with rig.owner() as owner_connection:
        [(pk,)] = owner_connection.execute(
            "UPDATE feeds_subscription SET cursor = CASE WHEN %s THEN 0 ELSE cursor END"
            " WHERE app_key_id = %s RETURNING id",
            [backlog, key.pk],
        ).fetchall()
    return Reader(headers, pk)


def _read_until(web: Web, readers: Sequence[Reader], until: float) -> Iterator[int]:
    """Cycles of one process, a key after the other, over a connection kept alive."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    for reader in itertools.cycle(readers):
        items = _send(connection, "GET", f"/api/orders/feed?maxlot={LOT}", reader.headers)
        handles = [item["handle"] for item in items]
        if handles:
            body = {"handles": handles}
            _send(connection, "POST", "/api/orders/feed", reader.headers, body)
        yield len(handles)
        if time.monotonic() >= until:
            return


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    body: object = None,
) -> Any:
    connection.request(method, path, orjson.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
    return orjson.loads(content) if content else None


def fill_queue(rig: Rig, subscription_id: int, *, rows: int) -> None:
    """This function will give a queue so many available items, those of the newest events."""
    with rig.superuser() as connection:
        for table in ("hookattempt", "queueitem"):
            emptying: Any = f"DELETE FROM feeds_{table} WHERE subscription_id = %s"
            connection.execute(emptying, [subscription_id])
        connection.execute(
            "INSERT INTO feeds_queueitem (subscription_id, event_id, order_id, position, is_replay,"
            " queued_at, available_at, attempts, outcome, last_error)"
            " SELECT %s, e.id, e.order_id, l.position, true, now(), now(), 0, '', ''"
            " FROM (SELECT * FROM orders_ledgerentry ORDER BY position DESC LIMIT %s) l"
            " JOIN orders_orderevent e ON e.id = l.event_id ORDER BY l.position",
            [subscription_id, rows],
        )


def _commit_to_visible(rig: Rig, web: Web) -> Measurement:
    """From the return of a service, when its transaction is committed, to the event in hand."""
    reader = _new_reader(rig, web, "commit to visible", backlog=False)
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    ready = Order.objects.filter(status=Status.READY_FOR_HANDLING).order_by("-pk")
    order_ids = list(ready.values_list("order_id", flat=True)[: rig.size.scaled(300, 10)])
    spent: list[float] = []
    with watching_others() as others:
        for order_id in order_ids:
            start_handling(order_id=order_id, actor="role:command")
            started = time.perf_counter()
            items = _send(connection, "GET", "/api/orders/feed?maxlot=10", reader.headers)
            spent.append((time.perf_counter() - started) * 1000)
            if [item["orderId"] for item in items] != [order_id]:
                raise RuntimeError(f"The feed gave {items} for {order_id}.")
    return Measurement(
        what="commit to visible: the next GET of a feed has the event",
        unit="ms",
        ours=[statistics.median(spent)],
        smaller_is_better=True,
        others_busy=others[0],
        note=f"p95 {percentile(spent, 0.95):.1f} ms",
    )
