from collections.abc import Iterator

import pytest
from django.test import Client

from oms.access.authenticating import forget_all_cached_keys
from oms.access.keys import deactivate, issue_app_key
from oms.access.scopes import Scope
from tests.api.test_boundary_bodies import refusal

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.boundary_urls")]
UNAUTHORIZED = {"code": "1", "message": "Unauthorized access"}


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget_all_cached_keys()
    yield
    forget_all_cached_keys()


@pytest.fixture
def headers() -> dict[str, str]:
    key, token = issue_app_key(owner_name="ERP", scopes=[Scope.OMS_VIEWER], actor="user:ann")
    return {"X-VTEX-API-AppKey": key.app_key, "X-VTEX-API-AppToken": token}


def test_a_key_with_one_of_the_scopes_is_let_in(client: Client, headers: dict[str, str]) -> None:
    answer = client.get("/api/scoped", headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {"actor": f"key:{headers['X-VTEX-API-AppKey']}"}


def test_header_names_are_taken_in_any_case(client: Client, headers: dict[str, str]) -> None:
    shouting = {name.upper(): value for name, value in headers.items()}
    assert client.get("/api/scoped", headers=shouting).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"X-VTEX-API-AppKey": "", "X-VTEX-API-AppToken": ""},
        {"X-VTEX-API-AppKey": ""},
        {"X-VTEX-API-AppToken": ""},
        {"X-VTEX-API-AppToken": "x" * 10_240},
        {"X-VTEX-API-AppKey": "bulkhead-unknown"},
        {"X-VTEX-API-AppKey": "é\u0000"},
    ],
)
def test_without_a_valid_pair_every_address_is_401(
    client: Client, headers: dict[str, str], change: dict[str, str]
) -> None:
    answer = client.get("/api/scoped", headers=headers | change)
    assert answer.status_code == 401
    assert refusal(answer) == UNAUTHORIZED
    assert answer.headers["WWW-Authenticate"] == 'AppKey realm="api"'


def test_the_token_of_another_key_is_401(client: Client, headers: dict[str, str]) -> None:
    _, other = issue_app_key(owner_name="B", scopes=[Scope.OMS_VIEWER], actor="user:ann")
    answer = client.get("/api/scoped", headers=headers | {"X-VTEX-API-AppToken": other})
    assert answer.status_code == 401


def test_a_deactivated_key_is_401(client: Client, headers: dict[str, str]) -> None:
    deactivate(headers["X-VTEX-API-AppKey"], actor="user:ann", reason="gone")
    assert client.get("/api/scoped", headers=headers).status_code == 401


def test_a_key_in_the_query_is_not_looked_at(client: Client, headers: dict[str, str]) -> None:
    names = {"appKey": "X-VTEX-API-AppKey", "appToken": "X-VTEX-API-AppToken"}
    query = {own: headers[name] for own, name in names.items()} | headers
    assert client.get("/api/scoped", query).status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_without_the_scope_or_where_none_is_named_it_is_403(
    client: Client, headers: dict[str, str], method: str
) -> None:
    answer = client.generic(method, "/api/scoped", headers=headers)
    assert answer.status_code == 403
    assert refusal(answer)["code"] == "forbidden"


def test_a_view_that_names_no_scopes_is_closed(client: Client, headers: dict[str, str]) -> None:
    assert client.get("/api/unscoped", headers=headers).status_code == 403


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE"])
def test_a_method_that_the_view_does_not_have_is_405_not_403(
    client: Client, headers: dict[str, str], method: str
) -> None:
    assert client.generic(method, "/api/scoped", headers=headers).status_code == 405


def test_head_asks_for_the_scope_of_get(client: Client, headers: dict[str, str]) -> None:
    assert client.head("/api/scoped", headers=headers).status_code == 200
    assert client.head("/api/scoped").status_code == 401
