from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from tests.api.test_boundary_bodies import refusal

pytestmark = pytest.mark.urls("tests.api.boundary_urls")


@pytest.fixture
def client() -> Client:
    """This fixture will answer with what a caller would see instead of raising our exceptions."""
    return Client(raise_request_exception=False)


def test_an_unknown_address_is_a_json_404(client: Client) -> None:
    for path in ("/api/nothing", "/api/", "/api/oms/pvt/../x", "/api/echo//"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert refusal(answer)["code"] == "not_found"


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("way", "status", "code"),
    [
        ("bug", 500, "internal_error"),
        ("missing", 404, "not_found"),
        ("denied", 403, "forbidden"),
        ("suspicious", 400, "bad_request"),
        ("unrenderable", 500, "internal_error"),
        ("throttled", 429, "too_many_requests"),
    ],
)
def test_every_failure_of_a_view_is_json_and_tells_nothing_of_the_inside(
    client: Client, settings: Settings, way: str, status: int, code: str, debug: bool
) -> None:
    settings.DEBUG = debug
    answer = client.get(f"/api/failing/{way}")
    assert answer.status_code == status
    assert refusal(answer)["code"] == code
    assert b"secret" not in answer.content
    assert b"internal reason" not in answer.content
    assert b"ann@" not in answer.content


@pytest.mark.parametrize(
    ("way", "status"), [("bug", 500), ("missing", 404), ("denied", 403), ("suspicious", 400)]
)
def test_a_view_outside_drf_fails_in_the_same_shape(client: Client, way: str, status: int) -> None:
    answer = client.get(f"/api/plain/{way}")
    assert answer.status_code == status
    refusal(answer)
    assert b"secret" not in answer.content


def test_a_throttled_call_is_told_when_to_come_back(client: Client) -> None:
    assert client.get("/api/failing/throttled").headers["Retry-After"] == "8"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["failing", "plain"])
@pytest.mark.parametrize("way", ["killed", "slow"])
def test_a_database_that_is_away_or_busy_is_a_503_and_the_next_call_works(
    client: Client, kind: str, way: str
) -> None:
    answer = client.get(f"/api/{kind}/{way}")
    connection.close()
    assert answer.status_code == 503
    assert refusal(answer)["code"] == "database_unavailable"
    assert answer.headers["Retry-After"] == "2"
    assert client.get("/healthz").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_mistake_in_our_sql_is_a_500(client: Client) -> None:
    assert client.get("/api/failing/wrong-sql").status_code == 500


@pytest.mark.django_db(transaction=True)
def test_pages_for_people_say_that_the_database_is_away(client: Client) -> None:
    answer = client.get("/page/killed")
    connection.close()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert "does not answer" in answer.content.decode()


def test_errors_outside_the_api_stay_as_they_were(client: Client) -> None:
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_field_errors_name_the_field_by_its_path(client: Client) -> None:
    body = {"items": [{"quantity": 1}, {"quantity": "many"}], "email": ""}
    answer = client.post("/api/failing", body, content_type="application/json")
    assert answer.status_code == 400
    assert refusal(answer) == {
        "code": "invalid",
        "message": "Some fields are not valid.",
        "details": [
            {"field": "items[1].quantity", "message": "A valid integer is required."},
            {"field": "email", "message": "This field may not be blank."},
        ],
    }


@pytest.mark.parametrize("method", ["GET", "DELETE", "TRACE", "OPTIONS", "PROPFIND"])
def test_a_method_that_an_address_does_not_take_is_405_with_those_it_takes(
    client: Client, method: str
) -> None:
    answer = client.generic(method, "/api/echo")
    assert answer.status_code == 405
    assert refusal(answer)["code"] == "method_not_allowed"
    assert {"POST", "PUT", "PATCH"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "headers", [{"X-HTTP-Method-Override": "DELETE"}, {"X-Method-Override": "GET"}]
)
def test_a_method_override_is_ignored(client: Client, headers: dict[str, str]) -> None:
    answer = client.post("/api/echo", {"a": 1}, content_type="application/json", headers=headers)
    assert answer.status_code == 200


def test_a_slash_at_the_end_changes_nothing_and_redirects_nobody(client: Client) -> None:
    for path in ("/api/echo", "/api/echo/"):
        answer = client.post(path, {"a": 1}, content_type="application/json")
        assert answer.status_code == 200
        assert answer.json()["data"] == {"a": 1}


@pytest.mark.parametrize("path", ["/api/orders/a%00b", "/api/orders/a%0Ab", "/api/%7f"])
def test_control_characters_in_an_address_lead_nowhere(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    refusal(answer)


@pytest.mark.parametrize("query", ["q=a%00b", "%00", "a=1&b=%00"])
def test_a_nul_in_a_query_is_refused(client: Client, query: str) -> None:
    answer = client.get(f"/api/echo?{query}")
    assert answer.status_code == 400
    assert refusal(answer)["message"] == "The query must not hold NUL characters."


def test_a_percent_sign_before_zeros_is_not_a_nul(client: Client) -> None:
    assert client.post("/api/echo?q=%2500").status_code == 415


@pytest.mark.parametrize("host", ["evil.example", "a b", ""])
def test_a_foreign_host_is_a_json_400(client: Client, host: str) -> None:
    answer = client.get("/api/echo", headers={"Host": host})
    assert answer.status_code == 400
    assert refusal(answer)["code"] == "bad_request"


def test_spoofed_forwarding_headers_change_nothing(client: Client) -> None:
    spoofed = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "6.6.6.6",
    }
    answer = client.post("/api/echo", {}, content_type="application/json", headers=spoofed)
    assert answer.status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "nonsense", ""])
def test_whatever_is_accepted_the_answer_is_json(client: Client, accept: str) -> None:
    answer: Any = client.post(
        "/api/echo?format=html",
        {"a": 1},
        content_type="application/json",
        headers={"Accept": accept},
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
