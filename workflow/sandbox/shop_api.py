"""The trickle's way to the order API: the public contract over HTTP, nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

TIMEOUT_SECONDS = 20.0


class ApiDownError(Exception):
    """The API did not take the call now: try the same again later. The text says why."""


class ShopApi:
    """One caller with its key. `async with` it, then call the verbs."""

    def __init__(self, base_url: str, *, app_key: str, app_token: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {
            "X-VTEX-API-AppKey": app_key,
            "X-VTEX-API-AppToken": app_token,
            "Accept": "application/json",
            "User-Agent": "bulkhead-sandbox",
        }
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "ShopApi":
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def place(self, affiliate_id: str, order: Mapping[str, Any]) -> tuple[int, Any]:
        path = f"/api/fulfillment/pvt/orders?affiliateId={affiliate_id}&sc=1"
        return await self._call("POST", path, [order])

    async def authorize(
        self, order_id: str, affiliate_id: str, marketplace_order_id: str
    ) -> tuple[int, Any]:
        path = f"/api/fulfillment/pvt/orders/{_part(order_id)}/fulfill"
        query = f"?affiliateId={affiliate_id}&sc=1"
        return await self._call("POST", path + query, {"marketplaceOrderId": marketplace_order_id})

    async def read(self, order_id: str) -> tuple[int, Any]:
        return await self._call("GET", f"/api/oms/pvt/orders/{_part(order_id)}", None)

    async def start_handling(self, order_id: str) -> tuple[int, Any]:
        return await self._call(
            "POST", f"/api/oms/pvt/orders/{_part(order_id)}/start-handling", None
        )

    async def cancel(self, order_id: str, reason: str) -> tuple[int, Any]:
        path = f"/api/oms/pvt/orders/{_part(order_id)}/cancel"
        return await self._call("POST", path, {"reason": reason})

    async def invoice(self, order_id: str, invoice: Mapping[str, Any]) -> tuple[int, Any]:
        return await self._call("POST", f"/api/oms/pvt/orders/{_part(order_id)}/invoice", invoice)

    async def ship(
        self, order_id: str, invoice_number: str, shipment: Mapping[str, Any]
    ) -> tuple[int, Any]:
        path = f"/api/oms/pvt/orders/{_part(order_id)}/invoice/{_part(invoice_number)}"
        return await self._call("PATCH", path, shipment)

    async def configure_feed(self, configuration: Mapping[str, Any]) -> tuple[int, Any]:
        return await self._call("POST", "/api/orders/feed/config", configuration)

    async def read_feed(self) -> tuple[int, Any]:
        return await self._call("GET", "/api/orders/feed?maxlot=10", None)

    async def commit_feed(self, handles: Sequence[str]) -> tuple[int, Any]:
        return await self._call("POST", "/api/orders/feed", {"handles": list(handles)})

    async def _call(self, method: str, path: str, body: object) -> tuple[int, Any]:
        """
        This function will return status and body. Raises ApiDownError for what time may mend.

        A wrong key is such a thing: keys are issued after the sandbox starts.
        """
        if self._session is None:
            raise RuntimeError("the API is used outside its `async with`")
        data = None if body is None else orjson.dumps(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, self._base_url + path, data=data, headers=headers
            ) as response:
                payload = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ApiDownError(type(error).__name__) from error
        if response.status >= 500 or response.status in (401, 403, 429):
            raise ApiDownError(f"HTTP {response.status}")
        try:
            return response.status, orjson.loads(payload) if payload else None
        except orjson.JSONDecodeError as error:
            raise ApiDownError("an answer that is not JSON") from error


def _part(text: str) -> str:
    return quote(text, safe="")
