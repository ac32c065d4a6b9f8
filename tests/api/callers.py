"""An integration that calls the API in-process, with an app key of its own."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.http import HttpResponse
from django.test import Client

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope


class Caller:
    """Sends JSON with the two headers of the contract."""

    def __init__(
        self,
        scopes: Iterable[Scope] = (Scope.ORDERS_FULL_ACCESS,),
        *,
        seller_ids: Iterable[str] | None = None,
        affiliate_ids: Iterable[str] | None = None,
    ) -> None:
        key, token = issue_app_key(
            owner_name="ERP",
            scopes=scopes,
            actor="user:ann",
            seller_ids=seller_ids,
            affiliate_ids=affiliate_ids,
        )
        self.actor = f"key:{key.app_key}"
        self.headers = {"X-VTEX-API-AppKey": key.app_key, "X-VTEX-API-AppToken": token}
        self._client = Client()

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """This function will send bytes as they are, anything else as JSON."""
        sent = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        answer: Any = self._client.generic(
            method,
            f"/api/{path}",
            sent,
            content_type="application/json",
            headers=self.headers if headers is None else headers,
            RAW_URI=f"/api/{path}",  # as gunicorn hands it on
        )
        response: HttpResponse = answer
        return response

    def get(self, path: str) -> HttpResponse:
        return self.ask("GET", path)

    def post(self, path: str, body: Any = None) -> HttpResponse:
        return self.ask("POST", path, body)


def parsed(answer: HttpResponse) -> Any:
    return orjson.loads(answer.content)


def refusal(answer: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """This function will check the shape of an error answer and return its `error`."""
    body = parsed(answer)
    assert (answer.status_code, body["error"]["code"]) == (status, code), body
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert set(body) == {"error", "requestId"}
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert body["error"]["exception"] is None
    error: dict[str, Any] = body["error"]
    return error


def fields_of(answer: HttpResponse) -> list[str]:
    """This function will return which fields a 400 complains of."""
    return [detail["field"] for detail in refusal(answer, 400, "invalid")["details"]]
