"""
A receiver of hooks that answers and counts, and the loop that does no more than call it.

`python -m tests.bench.receiver serve` prints its port and serves; `... call PORT SECONDS` posts a
delivery's body with 32 calls at once and prints how many were answered.
"""

import asyncio
import sys
import time
from typing import Final

import aiohttp
import orjson
from aiohttp import web

HOST: Final = "127.0.0.2"
AT_ONCE: Final = 32
BODY: Final = orjson.dumps(
    {
        "Domain": "Fulfillment",
        "OrderId": "BEN-123456-01",
        "State": "ready-for-handling",
        "LastState": "window-to-cancel",
        "LastChange": "2026-01-31T18:25:43.1234567Z",
        "CurrentChange": "2026-01-31T18:55:43.1234567Z",
        "Origin": {"Account": "bulkhead", "Key": "bulkhead-0123456789ab"},
    }
)
HEADERS: Final = {
    "Content-Type": "application/json",
    "webhook-id": "0123456789ABCDEF0123456789ABCDEF",
    "webhook-timestamp": "1769883943",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}


async def serve() -> None:
    """This function will answer every POST and tell the count to every GET, until it is ended."""
    count = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal count
        await request.read()
        count += 1
        return web.Response()

    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=str(count))

    app = web.Application()
    app.router.add_post("/hook", take)
    app.router.add_get("/count", tell)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    assert site._server is not None
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def call(port: int, seconds: float) -> int:
    """This function will post one delivery after another, `AT_ONCE` under way, and count answers."""
    ends_at = time.monotonic() + seconds
    answered = 0
    async with aiohttp.ClientSession() as session:

        async def go_on() -> None:
            nonlocal answered
            while time.monotonic() < ends_at:
                url = f"http://{HOST}:{port}/hook"
                async with session.post(url, data=BODY, headers=HEADERS) as answer:
                    await answer.read()
                    answered += answer.status == 200

        await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))
    return answered


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        print(asyncio.run(call(int(sys.argv[2]), float(sys.argv[3]))), flush=True)
