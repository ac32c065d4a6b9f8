"""Turns host names into addresses without ever holding up the caller."""

import asyncio
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult


class DaemonThreadResolver(AbstractResolver):
    """
    Resolves in a thread that nobody waits for.

    aiohttp's own resolver uses the loop's executor, and `asyncio.run` waits for that executor
    when it ends: name servers that do not answer would stretch a call's time limit from 5 to 30
    seconds, past the lease of the work items.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()

        def settle(found: list[Any] | None, error: OSError | None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(found or [])

        def work() -> None:
            found: list[Any] | None = None
            error: OSError | None = None
            try:
                found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
            except OSError as raised:
                error = raised
            try:
                loop.call_soon_threadsafe(settle, found, error)
            except RuntimeError:
                return  # The loop has ended: the caller stopped waiting long ago.

        threading.Thread(target=work, name=f"resolve {host}", daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=found_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, _, protocol, _, address in await answer
        ]

    async def close(self) -> None:
        return None
