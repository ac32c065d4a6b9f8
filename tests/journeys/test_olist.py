"""
Real orders through the whole system: placed, approved, handled, invoiced, tracked, delivered.

The recorded end of each order of the sample must be the end it has here. What cannot be is
counted with its reason.
"""

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.journeys.olist import DATA, ENDS, Play, RecordedOrder, read_orders
from tests.whole_system import ROOT, WholeSystem

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not DATA.exists(), reason="the Olist sample is not beside the project"),
]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[WholeSystem]:
    made = WholeSystem(
        tmp_path,
        WINDOW_TO_CANCEL_SECONDS="1",
        CANCELLATION_CONFIRM_SECONDS="1",
        # The recorded times say when a parcel arrives, not the sandbox's carrier.
        SANDBOX_TRANSIT_SECONDS="100000000",
        LOG_LEVEL="WARNING",
    )
    yield made
    made.stop_if_started()


def test_recorded_orders_end_where_the_data_say(system: WholeSystem, full_size: bool) -> None:
    system.start()
    orders = read_orders(None if full_size else 150)
    play = Play(system.address, system.api_headers, seconds=240 if full_size else 8)
    asyncio.run(play.run(orders))

    placed = [order for order in orders if not order.refusal]
    history = import_what_has_no_items([order for order in orders if order.refusal], system)
    asyncio.run(settle(placed, system))
    wrong = [
        (order.order_id, order.status, end)
        for order in placed
        if not order.is_return
        for end in ends_of(order, system)
        if end != ENDS[order.status]
    ]
    print_report(orders, history, play)

    assert wrong == []
    assert {order.refusal.split(":")[0] for order in orders if order.refusal} <= {"[0].items"}
    assert doubled_effects(system) == 0
    assert drift(system) == ""


async def settle(orders: Sequence[RecordedOrder], system: WholeSystem) -> None:
    """Waits until no order has a step that is due: the last acts have been worked off."""
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        for _ in range(240):
            row = connection.execute(
                "SELECT count(*) FROM workflow_workitem"
                " WHERE next_attempt_at < now() + interval '30 s' AND step <> 'follow-tracking'"
            ).fetchone()
            if row is not None and row[0] == 0:
                return
            await asyncio.sleep(0.5)
    raise AssertionError("Work was left over after two minutes.")


def ends_of(order: RecordedOrder, system: WholeSystem) -> Iterator[tuple[str, bool, bool]]:
    for order_id in order.order_ids:
        document = get(system, f"/api/oms/pvt/orders/{order_id}")
        packages = document["packageAttachment"]["packages"]
        yield (
            document["status"],
            any(package["trackingNumber"] for package in packages),
            any((package["courierStatus"] or {}).get("finished") for package in packages),
        )


def get(system: WholeSystem, path: str) -> Any:
    request = urllib.request.Request(system.address + path, headers=system.api_headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def import_what_has_no_items(orders: Sequence[RecordedOrder], system: WholeSystem) -> int:
    """An order without items cannot be placed; its record can be imported as history."""
    lines = []
    for order in orders:
        status = ENDS[order.status][0]
        lines.append(
            json.dumps(
                {
                    "orderId": f"OLI-{order.order_id}",
                    "marketplaceOrderId": order.order_id,
                    "affiliateId": "OLI",
                    "origin": "Fulfillment",
                    "status": status,
                    "value": order.purchase["marketplacePaymentValue"],
                    "creationDate": order.acts[0].at.isoformat(),
                    "lastChange": order.acts[-1].at.isoformat(),
                    "clientProfileData": order.purchase["clientProfileData"],
                    "items": [],
                }
            )
        )
    file = system.folder / "history.ndjson"
    file.write_text("\n".join(lines))
    if not lines:
        return 0
    done = subprocess.run(
        [sys.executable, "manage.py", "import_orders", str(file)],
        cwd=ROOT,
        env=system.command_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with psycopg.connect(system.database_url) as connection:
        row = connection.execute("SELECT count(*) FROM orders_order WHERE is_imported").fetchone()
    assert row == (len(lines),)
    return len(lines)


def doubled_effects(system: WholeSystem) -> int:
    with urllib.request.urlopen(f"{system.sandbox_address}/control/effects") as answer:
        return len(json.load(answer)["doubled"])


def drift(system: WholeSystem) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", "check_timelines"],
        cwd=ROOT,
        env=system.command_environment,
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def print_report(orders: Sequence[RecordedOrder], history: int, play: Play) -> None:
    ends = Counter(order.status for order in orders if not order.refusal and not order.is_return)
    print("\nOlist: orders that ended as recorded")
    for status, count in sorted(ends.items()):
        print(f"  {status:12} {count:6}  -> {ENDS[status][0]}")
    returns = sum(order.is_return for order in orders)
    print(f"could not be: {returns} canceled after delivery, kept as returns of invoiced orders")
    print(f"could not be placed: {history} without items (400 items), imported as history instead")
    print("answers:", ", ".join(f"{n} {s}: {c}" for (n, s), c in sorted(play.answers.items())))
