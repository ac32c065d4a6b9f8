"""Receivers over real sockets: well-behaved, slow, broken and hostile ones."""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from types import TracebackType
from typing import Any

import orjson
from aiohttp import web
from pytest_django import Settings

from feeds.hooks.addresses import AddressRules, rules_from_settings

Behavior = Callable[["Received"], Awaitable[web.StreamResponse] | web.StreamResponse]


@dataclass(frozen=True, slots=True)
class Received:
    """One call as the receiver saw it. `begun` is on this machine's monotonic clock."""

    path: str
    headers: dict[str, str]
    body: bytes
    begun: float

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = orjson.loads(self.body)
        return told

    @property
    def is_ping(self) -> bool:
        return self.told == {"hookConfig": "ping"}


def ok(_: Received) -> web.StreamResponse:
    return web.Response(text="thank you")


@dataclass
class Receiver:
    """
    An HTTP server in a thread. `behavior` answers everything but pings, which get 200.

    `received` holds the calls in the order in which they arrived.
    """

    behavior: Behavior = ok
    tls: ssl.SSLContext | None = None
    answers_ping: bool = True
    received: list[Received] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> "Receiver":
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook"

    @property
    def deliveries(self) -> list[Received]:
        return [call for call in self.received if not call.is_ping]

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run(ready))
        self._loop.close()

    async def _run(self, ready: threading.Event) -> None:
        self._stopped = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()
        self.port = runner.addresses[0][1]
        ready.set()
        await self._stopped.wait()
        await runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        begun = asyncio.get_running_loop().time()
        call = Received(
            request.path_qs,
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            begun,
        )
        self.received.append(call)
        if call.is_ping and self.answers_ping:
            return web.Response()
        answer = self.behavior(call)
        return await answer if isinstance(answer, Awaitable) else answer


def allow_loopback(settings: Settings) -> AddressRules:
    """This function will let hooks reach receivers of tests, over plain HTTP on any port."""
    settings.HOOK_ALLOWED_ADDRESSES = (ip_network("127.0.0.1/32"),)
    settings.HOOK_ALLOW_HTTP = True
    settings.HOOK_PORTS = None
    return rules_from_settings()
