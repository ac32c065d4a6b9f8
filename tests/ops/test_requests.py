import re

import pytest
from django.test import Client, RequestFactory
from pytest_django import Settings

from oms.ops.requests import client_address


def test_an_answer_carries_the_callers_own_request_id(client: Client) -> None:
    answer = client.get("/livez", headers={"X-Request-Id": "erp-42:a/b=1"})
    assert answer.headers["X-Request-Id"] == "erp-42:a/b=1"


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\nb", "<script>", "a\x00b", "é"])
def test_an_unsafe_request_id_is_replaced_and_not_quoted(client: Client, given: str) -> None:
    answer = client.get("/livez", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])


def test_each_request_without_an_id_gets_one_of_its_own(client: Client) -> None:
    first = client.get("/livez").headers["X-Request-Id"]
    second = client.get("/livez").headers["X-Request-Id"]
    assert first != second


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "6.6.6.6", "192.0.2.1"),
        (1, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (2, "6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (2, "198.51.100.7", "192.0.2.1"),
        (1, "not an address", None),
        (1, "", "192.0.2.1"),
    ],
)
def test_forwarded_addresses_count_only_as_far_as_our_own_proxies_wrote_them(
    settings: Settings, proxies: int, forwarded: str, address: str | None
) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == address


def test_a_unix_socket_has_no_address() -> None:
    assert client_address(RequestFactory().get("/", REMOTE_ADDR="")) is None
