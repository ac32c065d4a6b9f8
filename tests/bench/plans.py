"""How PostgreSQL runs the statements of the hot paths on the full data: which read more than they give."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from deploy.postgres import SUPERUSER
from feeds.lag import sample_lag
from feeds.ledger_pages import read_order_page, read_page
from feeds.positions import first_position_since, last_position_before
from feeds.reconciliation import (
    HOUR,
    LONGEST_WINDOW,
    Visible,
    hour_of,
    read_bucket_orders,
    read_buckets,
)
from oms.access.authenticating import forget_all_cached_keys
from oms.backoffice.order_filters import OrderFilters, State
from oms.backoffice.order_rows import count_orders, find_page, sales_channels
from oms.orders.checks import find_drift
from oms.orders.ledger import last_position, number_events, read_ledger
from oms.orders.models import Affiliate, Order
from oms.orders.selectors import find_orders
from oms.orders.statuses import Status
from tests.bench.measuring import Measurement
from tests.bench.moving import close_connectors
from tests.bench.purchases import AFFILIATE, Counter, purchase
from tests.bench.rig import Rig
from tests.bench.transitions import ACTOR, pool_order, reset_pool
from workflow.announcing import sweep
from workflow.runner import run_due
from workflow.services.handling import start_handling
from workflow.services.placing import place_orders
from workflow.work import claim_items

# A statement that reads so many blocks for each row it gives or changes is worth a look.
MANY_BLOCKS: Final = 100
LARGE_TABLE: Final = 10_000


@dataclass(slots=True)
class Plan:
    """What EXPLAIN ANALYZE said of one statement."""

    text: str
    ms: float
    rows: int
    blocks: int
    remarks: list[str] = field(default_factory=list)


def measure_plans(rig: Rig) -> Iterator[Measurement]:
    """
    This function will run each hot path once and look at the plan of each of its statements.

    The figure is the path's time in PostgreSQL; the note names what scans a large table or reads
    many blocks for few rows.
    """
    for name, run in (hot_paths(rig) | integration_paths(rig)).items():
        plans = explain(run)
        remarks = [
            f"{'; '.join(plan.remarks)}: {plan.text[:90]}" for plan in plans if plan.remarks
        ]
        yield Measurement(
            what=f"plans: {name}, {len(plans)} statements",
            unit="ms",
            ours=[sum(plan.ms for plan in plans)],
            smaller_is_better=True,
            note=" / ".join(remarks) or "by index alone",
        )


def hot_paths(rig: Rig) -> dict[str, Callable[[], object]]:
    first, _ = reset_pool(rig)
    close_connectors(rig)
    Affiliate.objects.get_or_create(
        affiliate_id=AFFILIATE, defaults={"name": "Bench", "flow": "complete"}
    )
    forget_all_cached_keys()
    some = Order.objects.select_related("client_profile").get(pk=rig.size.orders // 3)
    numbers = Counter().take(1)
    lease = timedelta(seconds=20)
    now = timezone.now()

    def page(filters: OrderFilters) -> Callable[[], object]:
        return lambda: (
            find_page(filters, cursor=None, size=50, now=now),
            count_orders(filters, now=now),
        )

    return {
        "place one purchase": lambda: place_orders(
            [purchase(numbers[0])], affiliate_id=AFFILIATE, sales_channel="1", actor=ACTOR
        ),
        "start handling": lambda: start_handling(order_id=pool_order(first), actor=ACTOR),
        "a task looks": lambda: run_due([]),
        "claim calls": lambda: claim_items(
            connector="payments", limit=20, lease=lease, worker="bench"
        ),
        "sweep": sweep,
        "number events": number_events,
        "read the ledger's end": lambda: read_ledger(after=last_position() - 100, limit=100),
        "read the ledger's middle": lambda: read_ledger(after=last_position() // 2, limit=1_000),
        "nightly check, one batch": lambda: next(find_drift(batch=1_000, after=first), None),
        "look up an order id": lambda: find_orders(some.order_id),
        "look up an e-mail": lambda: find_orders(some.client_profile.email),
        "look up a phone": lambda: find_orders(some.client_profile.phone),
        "sales channels": sales_channels,
        "list: all": page(OrderFilters()),
        "list: invoiced": page(OrderFilters(statuses=(Status.INVOICED,))),
        "list: replaced": page(OrderFilters(statuses=(Status.REPLACED,))),
        "list: open": page(OrderFilters(state=State.OPEN)),
        "list: over budget": page(OrderFilters(state=State.OVERDUE)),
        "list: stuck": page(OrderFilters(state=State.PARKED)),
        "list: a small seller": page(OrderFilters(seller="seller-1999")),
        "list: replaced of a small seller": page(
            OrderFilters(seller="seller-1999", statuses=(Status.REPLACED,))
        ),
        "list: express": page(OrderFilters(express=True)),
    }


def integration_paths(rig: Rig) -> dict[str, Callable[[], object]]:
    """This function will name what integrations ask for beyond feed and hook."""
    middle, hour = last_position() // 2, hour_of(timezone.now()) - HOUR
    some = Order.objects.get(pk=rig.size.orders // 2)
    a_month, everybody = LONGEST_WINDOW, Visible()

    def buckets(visible: Visible) -> Callable[[], object]:
        return lambda: read_buckets(start=hour - a_month, end=hour, visible=visible)

    return {
        "events: a page": lambda: read_page(after=middle, limit=1_000),
        "events: a page of a small seller": lambda: read_page(
            after=middle, limit=1_000, seller_ids=["seller-1999"]
        ),
        "events: of an order": lambda: read_order_page(order_pk=some.pk, after=0, limit=1_000),
        "reconciliation: 31 days": buckets(everybody),
        "reconciliation: 31 days of a small seller": buckets(Visible(["seller-1999"])),
        "reconciliation: an hour": lambda: read_bucket_orders(hour=hour, visible=everybody),
        "replay: where a time begins": lambda: first_position_since(hour - a_month),
        "replay: where a time ends": lambda: last_position_before(hour - a_month),
        "lag": sample_lag,
    }


@contextmanager
def _explaining() -> Iterator[list[str]]:
    """
    This function will yield a list that fills with the plans of all that runs meanwhile, as JSON.

    By auto_explain, which only a superuser may load: statements run as they are, in their place.
    """
    connection.close()
    owner, connection.settings_dict["USER"] = connection.settings_dict["USER"], SUPERUSER
    plans: list[str] = []
    try:
        connection.ensure_connection()
        connection.connection.add_notice_handler(lambda told: plans.append(told.message_primary))
        with connection.cursor() as cursor:
            cursor.execute(AUTO_EXPLAIN)
        yield plans
    finally:
        connection.close()
        connection.settings_dict["USER"] = owner


AUTO_EXPLAIN: Final = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_analyze = on;
    SET auto_explain.log_buffers = on;
    SET auto_explain.log_format = json;
    SET auto_explain.log_level = notice;
    SET client_min_messages = notice
"""


def explain(run: Callable[[], object]) -> list[Plan]:
    """This function will run a path and return what PostgreSQL did for each of its statements."""
    with _explaining() as told:
        run()
    return [_plan(json.loads(text[text.index("{") :])) for text in told if "plan:" in text]


def _plan(told: dict[str, Any]) -> Plan:
    root = told["Plan"]
    plan = Plan(
        text=" ".join(told["Query Text"].split()),
        ms=root["Actual Total Time"],
        rows=sum(node["Actual Rows"] for node in _nodes(root) if node["Node Type"] != "Result"),
        blocks=root.get("Shared Hit Blocks", 0) + root.get("Shared Read Blocks", 0),
    )
    for node in _nodes(root):
        plan.remarks += _remarks(node)
    given = max(1, int(root["Actual Rows"]))
    if plan.blocks > MANY_BLOCKS and plan.blocks > given * MANY_BLOCKS:
        plan.remarks.append(f"{plan.blocks:,} blocks for {given:,} rows")
    return plan


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", []):
        yield from _nodes(below)


def _remarks(node: dict[str, Any]) -> Iterator[str]:
    removed = node.get("Rows Removed by Filter", 0) * node.get("Actual Loops", 1)
    table = node.get("Relation Name", "")
    if node["Node Type"] == "Seq Scan" and removed + node["Actual Rows"] > LARGE_TABLE:
        yield f"reads all of {table}"
    elif removed > LARGE_TABLE:
        yield f"{removed:,.0f} rows of {table} read in vain"
