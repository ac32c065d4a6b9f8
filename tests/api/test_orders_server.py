"""Bodies and addresses as real clients send them, through gunicorn down to the services."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.orders.models import Package
from oms.orders.statuses import Status
from tests.api.boundary_server import WebServer
from tests.workflow.stories import move_to, place_in, status_of

INVOICE = b'{"issuanceDate": "2026-01-31", "invoiceNumber": "NF-1/", "invoiceValue": "1000"}'


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[WebServer]:
    """This fixture will serve the project's own routes."""
    server = WebServer(tmp_path, database_url)
    server.environment["DJANGO_SETTINGS_MODULE"] = "oms.settings"
    with server.running():
        yield server


@pytest.fixture
def headers(database_url: str) -> dict[str, str]:
    key, token = issue_app_key(owner_name="ERP", scopes=[*Scope], actor="user:ann")
    return {"X-VTEX-API-AppKey": key.app_key, "X-VTEX-API-AppToken": token}


def test_an_order_is_handled_invoiced_and_tracked_by_clients_of_all_kinds(
    server: WebServer, headers: dict[str, str]
) -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)

    def ask(method: str, rest: str, body: Any = None, **more: str) -> int:
        given = headers | {name.replace("_", "-"): value for name, value in more.items()}
        return server.ask(method, f"/api/oms/pvt/orders/{order_id}{rest}", body, given)[0]

    assert ask("GET", "") == 200
    assert ask("POST", "/start-handling") == 204  # neither body nor type
    assert ask("POST", "/start-handling/", Content_Type="application/json") == 409
    move_to(order_id, Status.HANDLING)
    chunked = iter([INVOICE[:10], INVOICE[10:]])
    assert ask("POST", "/invoice", chunked, Transfer_Encoding="chunked") == 200
    assert Package.objects.get().invoice_number == "NF-1/"
    text = b'{"trackingNumber": "BR1"}'
    assert ask("PATCH", "/invoice/NF-1%2F", text, Content_Type="text/plain") == 200
    told = b'\xef\xbb\xbf{"isDelivered": true}'
    assert ask("PUT", "/invoice/NF-1%2f/tracking", told, Content_Type="text/json") == 200
    package = Package.objects.get()
    assert (package.tracking_number, package.is_delivered) == ("BR1", True)
    assert status_of(order_id) == Status.INVOICE
