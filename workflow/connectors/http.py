"""
The only module of the workflow that opens sockets as a client.

Calls of a batch run side by side in one event loop that lives as long as the batch. Bodies are
never logged: they hold names, documents and card digits.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import aiohttp
import orjson
import structlog
from django.conf import settings

from oms.ops.resolving import DaemonThreadResolver
from workflow.connectors.answers import read_answer
from workflow.connectors.protocol import Call, Failed, NotCalled, Outcome

MAX_ANSWER_BYTES = 64 * 1024
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "bulkhead-oms",
}

logger = structlog.get_logger(__name__)


class AnswerTooLargeError(Exception):
    """The service sent more than any of its answers can hold."""


def call_many(
    calls: Sequence[Call],
    *,
    limit_per_connector: int,
    timeout_seconds: float,
    budget_seconds: float | None = None,
) -> list[Outcome]:
    """
    This function will make the calls side by side and return their outcomes in the same order.

    `timeout_seconds` bounds each call as a whole, from looking up the host to the last byte of
    the answer. At most `limit_per_connector` calls to one connector are under way at once; the
    others wait, and those that could not begin within `budget_seconds` come back as `NotCalled`.
    So the batch lasts `budget_seconds + timeout_seconds` at most, which must fit the lease.
    Must run outside any transaction. Raises KeyError for a connector that settings do not name.
    """
    if not calls:
        return []
    addresses = {call.connector: settings.CONNECTORS[call.connector].rstrip("/") for call in calls}
    batch = _Batch(addresses, limit_per_connector, timeout_seconds, budget_seconds)
    outcomes = asyncio.run(batch.run(calls))
    _log_batch(calls, outcomes)
    return outcomes


class _Batch:
    """The calls that share one event loop, one session and one deadline."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        limit_per_connector: int,
        timeout_seconds: float,
        budget_seconds: float | None,
    ) -> None:
        self._addresses = addresses
        self._slots = {name: asyncio.Semaphore(limit_per_connector) for name in addresses}
        self._timeout_seconds = timeout_seconds
        self._budget_seconds = budget_seconds

    async def run(self, calls: Sequence[Call]) -> list[Outcome]:
        loop = asyncio.get_running_loop()
        begins_before = (
            None if self._budget_seconds is None else loop.time() + self._budget_seconds
        )
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=DaemonThreadResolver()),
            headers=HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            # aiohttp rounds its own limits up to whole seconds; asyncio.timeout is exact.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        )
        async with session:
            return await asyncio.gather(
                *(self._call_in_turn(session, call, begins_before) for call in calls)
            )

    async def _call_in_turn(
        self, session: aiohttp.ClientSession, call: Call, begins_before: float | None
    ) -> Outcome:
        async with self._slots[call.connector]:
            if begins_before is not None and asyncio.get_running_loop().time() >= begins_before:
                return NotCalled("no time left in the batch")
            return await self._call(session, call)

    async def _call(self, session: aiohttp.ClientSession, call: Call) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._exchange(session, call)
        except TimeoutError:
            return Failed("timed out")
        except AnswerTooLargeError:
            return Failed("malformed answer: too large")
        except aiohttp.ClientConnectorDNSError:
            return Failed("host not found")
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, ConnectionRefusedError)
            return Failed("connection refused" if refused else "no connection")
        except aiohttp.ClientResponseError:
            return Failed("malformed answer: not HTTP")
        except (aiohttp.ClientError, OSError):
            return Failed("connection lost")
        except ValueError:
            return Failed("not sendable: a header or the address is not valid")

    async def _exchange(self, session: aiohttp.ClientSession, call: Call) -> Outcome:
        headers = {"Idempotency-Key": call.idempotency_key, "X-Request-Id": call.request_id}
        payload = None
        if call.body is not None:
            payload = orjson.dumps(call.body)
            headers["Content-Type"] = "application/json"
        async with session.request(
            call.method,
            self._addresses[call.connector] + call.path,
            data=payload,
            headers=headers,
            allow_redirects=False,
        ) as response:
            return read_answer(
                call,
                response.status,
                await _read_bounded(response.content),
                retry_after=response.headers.get("Retry-After"),
                at=datetime.now(UTC),
            )


async def _read_bounded(content: aiohttp.StreamReader) -> bytes:
    received = bytearray()
    async for chunk in content.iter_any():
        received += chunk
        if len(received) > MAX_ANSWER_BYTES:
            raise AnswerTooLargeError
    return bytes(received)


def _log_batch(calls: Sequence[Call], outcomes: Sequence[Outcome]) -> None:
    """One line per operation and failure cause, however many orders: an outage is not a flood."""
    failures = Counter(
        (call.connector, call.operation, outcome.cause)
        for call, outcome in zip(calls, outcomes, strict=True)
        if isinstance(outcome, Failed)
    )
    for (connector, operation, cause), count in sorted(failures.items()):
        logger.warning(
            "connector.failed", connector=connector, operation=operation, cause=cause, count=count
        )
