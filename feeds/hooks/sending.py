"""
The only module of feeds that opens sockets: one POST to a receiver, within all its limits.

A receiver is not trusted. It is looked up here and only checked addresses are connected to, at
each connect; it has one total time limit from the look-up to the last byte; its answer is cut at
64 KiB, not decompressed, and neither cookies nor redirects nor the environment's proxies are
followed. Bodies and headers are never logged.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from django.conf import settings

from feeds.hooks.addresses import (
    AddressRefused,
    AddressRules,
    check_address,
    check_url,
    rules_from_settings,
)
from feeds.hooks.headers import MASK
from feeds.hooks.schedule import read_retry_after
from oms.ops.resolving import DaemonThreadResolver

MAX_ANSWER_BYTES = 64 * 1024
KEPT_ANSWER_BYTES = 1024
# What is shorter stands in many an answer by chance.
SHORTEST_SECRET = 6
MAX_HEADER_BYTES = 8 * 1024
MAX_HEADERS = 64
HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "bulkhead-oms-hook/1",
}
GONE = 410
# Below what servers allow (2 s, 5 s): a POST on a connection that is being closed is lost.
KEEP_ALIVE_SECONDS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class HookAnswer:
    """
    What came of one call. `status` is None when there was no answer; `error` is empty on success.

    `answer` is the first KiB as text that PostgreSQL can store.
    """

    status: int | None = None
    error: str = ""
    answer: str = ""
    retry_after: float | None = None
    duration_seconds: float = 0.0

    @property
    def is_success(self) -> bool:
        return not self.error


class AnswerTooLargeError(Exception):
    """The receiver sent more than a hook's answer may hold."""

    def __init__(self, begun: bytes) -> None:
        super().__init__("answer larger than 64 KiB")
        self.begun = begun


class CheckedResolver(AbstractResolver):
    """
    Looks a name up once and hands on its addresses if every one of them is public.

    The connector connects to what it is handed, so a name server that answers differently the
    next time (rebinding) gains nothing; a name with one bad address among good ones is refused.
    """

    def __init__(self, rules: AddressRules, lookup: AbstractResolver | None = None) -> None:
        self._rules = rules
        self._lookup = lookup or DaemonThreadResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._lookup.resolve(host, port, family)
        if not found:
            raise OSError(f"{host} has no address")
        for address in found:
            check_address(address["host"], self._rules)
        return found

    async def close(self) -> None:
        await self._lookup.close()


class HookSender(AbstractAsyncContextManager["HookSender"]):
    """One session over many receivers, with connections kept alive."""

    def __init__(self, rules: AddressRules, *, lookup: AbstractResolver | None = None) -> None:
        self._rules = rules
        self._resolver = CheckedResolver(rules, lookup)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # A slow receiver must not be able to use up the connections of the others: limits are
            # per receiver, by the dispatcher.
            connector=aiohttp.TCPConnector(
                limit=0,
                resolver=self._resolver,
                ssl=_tls_context(),
                keepalive_timeout=KEEP_ALIVE_SECONDS,
            ),
            headers=HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            # aiohttp rounds its own limits up to whole seconds; asyncio.timeout is exact.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def forget_names(self) -> None:
        """This function will look each name up again at the next connect."""
        assert self._session is not None
        connector = self._session.connector
        assert isinstance(connector, aiohttp.TCPConnector)
        connector.clear_dns_cache()

    async def send(self, url: str, *, headers: Mapping[str, str], body: bytes) -> HookAnswer:
        """This function will make one call and say what came of it; it raises nothing."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(settings.HOOK_TIMEOUT_SECONDS):
                return await self._exchange(url, headers, body, begun)
        except Exception as error:
            return HookAnswer(
                error=_failure(error),
                answer=_text(error.begun, headers)
                if isinstance(error, AnswerTooLargeError)
                else "",
                duration_seconds=time.monotonic() - begun,
            )

    async def _exchange(
        self, url: str, headers: Mapping[str, str], body: bytes, begun: float
    ) -> HookAnswer:
        assert self._session is not None
        check_url(url, self._rules)  # aiohttp asks no resolver for a host that is an address
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            answer = await _read_bounded(response.content)
            return HookAnswer(
                status=response.status,
                error=_refusal(response.status),
                answer=_text(answer, headers),
                retry_after=read_retry_after(
                    response.headers.get("Retry-After"), now=datetime.now(UTC)
                ),
                duration_seconds=time.monotonic() - begun,
            )


def send_once(url: str, *, headers: Mapping[str, str], body: bytes) -> HookAnswer:
    """This function will make one call outside the dispatcher: a ping or a test."""

    async def call() -> HookAnswer:
        async with HookSender(rules_from_settings()) as sender:
            return await sender.send(url, headers=headers, body=body)

    return asyncio.run(call())


async def _read_bounded(content: aiohttp.StreamReader) -> bytes:
    received = bytearray()
    async for chunk in content.iter_any():
        received += chunk
        if len(received) > MAX_ANSWER_BYTES:
            raise AnswerTooLargeError(bytes(received))
    return bytes(received)


def _refusal(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed"
    return f"HTTP {status}"


def _failure(error: BaseException) -> str:
    """One cause in a few words, the same for the same fault, so that parked items group by it."""
    if isinstance(error, TimeoutError):
        return f"no complete answer within {settings.HOOK_TIMEOUT_SECONDS:g} s"
    if isinstance(error, AnswerTooLargeError):
        return str(error)
    if refused := _address_refusal(error):
        return f"address refused: {refused}"
    if isinstance(
        error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError
    ):
        return "TLS failed: the certificate is not trusted or does not fit the name"
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return "host not found"
    if isinstance(error, aiohttp.ClientConnectorError):
        refused_port = isinstance(error.os_error, ConnectionRefusedError)
        return "connection refused" if refused_port else "no connection"
    if isinstance(error, aiohttp.ClientResponseError):
        return "malformed answer: not HTTP, or headers beyond the limit"
    if isinstance(error, aiohttp.ClientError | OSError):
        return "connection lost"
    return f"not sendable: {type(error).__name__}"


def _address_refusal(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, AddressRefused):
            return str(error)
        error = error.__cause__ or error.__context__
    return ""


def _text(answer: bytes, headers: Mapping[str, str]) -> str:
    """
    A receiver that answers with what it was sent would have its own secrets kept, unsealed, and
    shown to whoever sees attempts.
    """
    for value in headers.values():
        if len(value) >= SHORTEST_SECRET:
            answer = answer.replace(value.encode(), MASK.encode())
    return answer[:KEPT_ANSWER_BYTES].decode("utf-8", "replace").replace("\0", "�")


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.HOOK_CA_FILE:
        context.load_verify_locations(settings.HOOK_CA_FILE)
    return context
