"""
A client that was written for the anchor, from its package index, with nothing changed but the origin.

It configures its feed, reads it, fetches each order, starts handling, commits, and lists. What it
takes for an error it retries for five minutes, so a refusal of ours would show as a timeout.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from vtex import VTEX, VTEXConfig, VTEXResponseError

from tests.api.purchases import purchase
from tests.whole_system import WholeSystem

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]
ORDERS = 12
STATUSES = ["ready-for-handling", "start-handling", "handling", "canceled"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSystem]:
    folder: Path = tmp_path_factory.mktemp("published-client")
    made = WholeSystem(folder, WINDOW_TO_CANCEL_SECONDS="1", LOG_LEVEL="WARNING")
    made.start()
    yield made
    made.stop_if_started()


@pytest.fixture
def client(system: WholeSystem, monkeypatch: pytest.MonkeyPatch) -> VTEX:
    """This fixture will give the client as it is published; only where it connects is ours."""

    def join_url(*parts: str) -> str:
        path = "/".join(part.strip("/") for part in parts[1:])
        trailing = "/" if parts[-1].endswith("/") else ""
        assert urlsplit(parts[0]).hostname == "store.vtexcommercestable.com.br"
        return f"{system.address}/{path}{trailing}"

    monkeypatch.setattr("vtex._api.base.join_url", join_url)
    headers = system.api_headers
    return VTEX(
        VTEXConfig.model_validate(
            {
                "account_name": "store",
                "app_key": headers["X-VTEX-API-AppKey"],
                "app_token": headers["X-VTEX-API-AppToken"],
            }
        )
    )


def place_orders(system: WholeSystem, count: int) -> list[str]:
    """This function will place orders of the own storefront, one purchase each."""
    answer = requests.post(
        f"{system.address}/api/fulfillment/pvt/orders?affiliateId=STO&sc=1",
        json=[purchase() for _ in range(count)],
        headers=system.api_headers,
        timeout=30,
    )
    answer.raise_for_status()
    return [result["orderId"] for result in answer.json()]


def test_the_published_client_configures_reads_handles_commits_and_lists(
    system: WholeSystem, client: VTEX
) -> None:
    with pytest.raises(VTEXResponseError) as not_configured:
        client.orders.list_feed_orders()
    assert not_configured.value.status_code == 404
    client.orders.set_feed_config(STATUSES, visibility_timeout=60)
    config = client.orders.get_feed_config().data
    assert config["filter"]["status"] == STATUSES
    assert config["queue"]["visibility_timeout_in_seconds"] == 60

    placed = place_orders(system, ORDERS)
    told: dict[str, list[str]] = {order_id: [] for order_id in placed}
    deadline = datetime.now(UTC) + timedelta(seconds=120)
    while any(states[-1:] != ["handling"] for states in told.values()):
        assert datetime.now(UTC) < deadline, told
        items = client.orders.list_feed_orders().items
        for item in items:
            told[item["order_id"]].append(item["state"])
            if item["state"] == "ready-for-handling":
                order = client.orders.get_order(item["order_id"]).data
                assert order["status"] == "ready-for-handling"
                handled: Any = client.custom.request(
                    "POST",
                    f"/api/oms/pvt/orders/{item['order_id']}/start-handling",
                    environment="vtexcommercestable",
                )
                assert handled.status_code == 204
        if items:
            client.orders.commit_feed_orders([item["handle"] for item in items])
    print(f"{ORDERS} orders, {sum(map(len, told.values()))} events told and committed")
    assert list(told.values()) == [["ready-for-handling", "start-handling", "handling"]] * ORDERS
    assert client.orders.list_feed_orders().items == []
    assert client.orders.get_feed_config().data["quantity"] == 0


def test_the_published_client_lists_what_was_placed_a_moment_ago(
    system: WholeSystem, client: VTEX
) -> None:
    since = datetime.now(UTC) - timedelta(seconds=5)
    placed = place_orders(system, ORDERS)
    found: list[str] = []
    page: int | None = 1
    while page is not None:
        answer = client.orders.list_orders(creation_date_from=since, page=page, page_size=5)
        found += [row["order_id"] for row in answer.items]
        page = answer.pagination.next_page
    assert set(placed) <= set(found)
    assert len(found) == len(set(found)) == answer.pagination.total
    one = client.orders.list_orders(query=placed[0]).items
    assert [row["order_id"] for row in one] == [placed[0]]


def test_deleting_its_configuration_ends_the_feed(system: WholeSystem, client: VTEX) -> None:
    client.orders.set_feed_config(["invoiced"])
    client.orders.delete_feed_config()
    with pytest.raises(VTEXResponseError) as gone:
        client.orders.list_feed_orders()
    assert gone.value.status_code == 404
