"""What the API says of itself is complete, and programs can be made from it."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from oms.api.description.schema import whole_description
from oms.api.listing.filters import OrderFilters, Parameters, UserOrderFilters
from oms.api.listing.paging import PageForm
from oms.orders.statuses import Status
from tests.api.boundary_server import WebServer
from tests.workflow.stories import place_in, status_of

GENERATION_SECONDS = 120


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    answer = Client().get("/api/schema")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    found: dict[str, Any] = json.loads(answer.content)
    return found


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_it_is_open_to_everybody_in_json_and_in_yaml(description: dict[str, Any]) -> None:
    assert description["openapi"] == "3.1.0"
    for answer in (
        Client().get("/api/schema?format=yaml"),
        Client().get("/api/schema", headers={"Accept": "application/yaml"}),
    ):
        assert answer.headers["Content-Type"] == "application/yaml; charset=utf-8"
        assert answer.content.startswith(b"openapi: 3.1.0")


def test_its_page_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/api/docs").content.decode()
    assert 'data-schema="/api/schema"' in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script>" not in page


def test_every_operation_has_a_name_of_its_own_and_words(description: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(description)]
    assert len(set(ids)) == len(ids)
    assert all(operation["summary"] for _, _, operation in operations(description))


def test_every_operation_asks_for_both_headers(description: dict[str, Any]) -> None:
    for path, method, operation in operations(description):
        assert operation["security"] == [{"AppKey": [], "AppToken": []}], (path, method)


def test_every_write_takes_an_idempotency_key(description: dict[str, Any]) -> None:
    for path, method, operation in operations(description):
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        assert ("Idempotency-Key" in names) == (method != "get"), (path, method)


def test_every_refusal_has_one_shape(description: dict[str, Any]) -> None:
    for path, method, operation in operations(description):
        for status, answer in operation["responses"].items():
            if status >= "400":
                shape = answer["content"]["application/json"]["schema"]
                assert shape == {"$ref": "#/components/schemas/Error"}, (path, method, status)


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[WebServer]:
    server = WebServer(tmp_path, database_url)
    server.environment["DJANGO_SETTINGS_MODULE"] = "oms.settings"
    with server.running():
        yield server


def test_a_python_client_made_from_it_works(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, token = issue_app_key(owner_name="ERP", scopes=[*Scope], actor="user:ann")
    generate_python_client(tmp_path / "made_client")
    monkeypatch.syspath_prepend(str(tmp_path))
    made = importlib.import_module("made_client").Client(
        base_url=f"http://127.0.0.1:{server.port}",
        headers={"X-VTEX-API-AppKey": key.app_key, "X-VTEX-API-AppToken": token},
    )
    with made as client:

        def call(tag: str, name: str, *args: Any, **given: Any) -> Any:
            module = importlib.import_module(f"made_client.api.{tag}.{name}")
            return module.sync_detailed(*args, client=client, **given)

        handle_an_order(call)
        read_the_feed_and_the_ledger(call)


def handle_an_order(call: Callable[..., Any]) -> None:
    order_id = place_in(Status.READY_FOR_HANDLING)
    order = call("orders", "get_order", order_id).parsed
    assert (order.order_id, order.status) == (order_id, "ready-for-handling")
    assert (order.items[0].quantity, order.items[0].price) == (1, 1000)
    etag = call("orders", "get_order", order_id).headers["etag"]
    assert call("orders", "get_order", order_id, if_none_match=etag).status_code == 304
    done = call("order_actions", "start_handling", order_id, idempotency_key="a", if_match=etag)
    assert (done.status_code, status_of(order_id)) == (204, Status.START_HANDLING)
    refused = call("order_actions", "start_handling", order_id)
    assert (refused.status_code, refused.parsed.error.code) == (409, "OMS003")


def read_the_feed_and_the_ledger(call: Callable[..., Any]) -> None:
    models = importlib.import_module("made_client.models")
    wanted = {"filter": {"type": "FromWorkflow", "status": ["ready-for-handling"]}}
    body = models.ConfigureFeedBody.from_dict(wanted)
    assert call("feed", "configure_feed", body=body).status_code == 200
    order_id = place_in(Status.READY_FOR_HANDLING)
    (item,) = call("feed", "read_feed").parsed
    assert (item.order_id, item.state) == (order_id, "ready-for-handling")
    commit = models.CommitFeedBody(handles=[item.handle])
    assert call("feed", "commit_feed", body=commit).parsed.committed == 1
    page = call("ledger", "list_events", after=0, limit=2).parsed
    assert (page.from_, page.to, page.count) == (1, 2, 2)


def generate_python_client(folder: Path) -> None:
    source = folder.with_suffix(".json")
    source.write_text(json.dumps(whole_description()))
    config = folder.with_suffix(".yaml")
    config.write_text("post_hooks: []\nproject_name_override: made-client\n")
    program = str(Path(sys.executable).with_name("openapi-python-client"))
    made = subprocess.run(
        [
            program,
            "generate",
            f"--path={source}",
            f"--output-path={folder}",
            f"--config={config}",
            "--meta=none",
            "--fail-on-warning",
        ],
        capture_output=True,
        text=True,
        timeout=GENERATION_SECONDS,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.parametrize(
    ("path", "filters"),
    [("/api/oms/pvt/orders", OrderFilters), ("/api/oms/user/orders", UserOrderFilters)],
)
def test_every_filter_of_a_list_is_described(
    description: dict[str, Any], path: str, filters: type[Parameters]
) -> None:
    told = {parameter["name"] for parameter in description["paths"][path]["get"]["parameters"]}
    assert told == {*filters.base_filters, *PageForm.base_fields}
