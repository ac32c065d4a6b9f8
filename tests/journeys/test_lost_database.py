"""An ERP loses its database and gets everything again: by reconciliation, then by its own feed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.orders.models import Order
from oms.orders.statuses import Status
from tests.api.boundary_server import WebServer
from tests.feeds.feeding import import_order
from tests.journeys.guide import calling, snippet
from tests.workflow.stories import move_to, place, place_in, record

NOW = datetime.now(UTC)


class Erp:
    """Keeps versions of orders by the hour of their creation, with the functions of the guide."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, int]] = {}
        self.tools: dict[str, Any] = {}
        exec(calling() + snippet("Reconciliation", "python"), self.tools)
        self.call = self.tools["call"]
        self.call("/api/orders/feed/config", {"filter": {"status": ["handling", "invoiced"]}})

    def read_feed(self) -> int:
        """This function will take all that the feed has and return how many events were replayed."""
        replayed = 0
        while items := self.call("/api/orders/feed?lot=100"):
            for item in items:
                document = self.call("/api/oms/pvt/orders/" + item["orderId"])
                hour = document["creationDate"][:13] + ":00:00Z"
                known = self.orders.setdefault(hour, {})
                known[item["orderId"]] = max(known.get(item["orderId"], 0), item["version"])
                replayed += item["isReplay"]
            self.call("/api/orders/feed", {"handles": [item["handle"] for item in items]})
        return replayed

    def reconcile(self) -> int:
        window = (f"{NOW + timedelta(days=days):%Y-%m-%dT%H:00:00Z}" for days in (-9, 1))
        wanted: int = self.tools["reconcile"](self.orders, *window)
        return wanted

    def lose_everything(self) -> None:
        self.orders.clear()


@pytest.fixture
def erp(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Erp]:
    server = WebServer(tmp_path, database_url)
    server.environment["DJANGO_SETTINGS_MODULE"] = "oms.settings"
    key, token = issue_app_key(
        owner_name="ERP", scopes=[Scope.FEED_HOOK_ADMIN, Scope.OMS_VIEWER], actor="user:ann"
    )
    with server.running():
        monkeypatch.setenv("BULKHEAD", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("APP_KEY", key.app_key)
        monkeypatch.setenv("APP_TOKEN", token)
        yield Erp()


def known_to(erp: Erp) -> dict[str, int]:
    return {
        order_id: version for hour in erp.orders.values() for order_id, version in hour.items()
    }


def true_versions() -> dict[str, int]:
    return dict(Order.objects.values_list("order_id", "version"))


def test_an_erp_that_lost_its_database_gets_everything_again(erp: Erp) -> None:
    for days in range(8):
        for _ in range(2):
            place_in(Status.HANDLING, now=NOW - timedelta(days=days))
    erp.read_feed()
    assert set(known_to(erp)) == set(true_versions())

    # Not every version is in a feed by status: history that was imported, an order before its
    # status, an invoice.
    import_order(now=NOW - timedelta(days=5))
    unseen = place(now=NOW - timedelta(days=1))
    moved = next(iter(true_versions()))
    record(moved)
    assert erp.read_feed() == 0
    assert erp.reconcile() == 3
    assert erp.read_feed() > 0
    assert known_to(erp) == true_versions()
    assert erp.reconcile() == 0

    erp.lose_everything()
    assert erp.reconcile() == len(true_versions()) == 18
    assert erp.read_feed() >= 18
    assert known_to(erp) == true_versions()
    assert unseen in known_to(erp)
    assert erp.reconcile() == 0

    # And life goes on where it was.
    move_to(unseen, Status.HANDLING)
    assert erp.read_feed() == 0
    assert known_to(erp) == true_versions()
    assert erp.reconcile() == 0
