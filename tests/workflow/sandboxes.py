"""A sandbox for tests: the real server on a free port of loopback, in a thread of its own."""

import asyncio
import threading
from typing import Any

import requests

from workflow.sandbox.server import RunningSandbox, SandboxOptions

START_SECONDS = 10.0


class ThreadedSandbox:
    """Open it with `with`; `connectors` is what `settings.CONNECTORS` should be."""

    def __init__(self, options: SandboxOptions) -> None:
        self._options = options
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._is_open = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.url = ""

    @property
    def connectors(self) -> dict[str, str]:
        names = ("antifraud", "payments", "stock", "carrier")
        return {name: f"{self.url}/{name}" for name in names}

    def __enter__(self) -> "ThreadedSandbox":
        self._thread.start()
        assert self._is_open.wait(START_SECONDS), "the sandbox did not open"
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)

    def set_fault(self, mode: str, **details: Any) -> None:
        self._post("/control/faults", {"mode": mode, **details})

    def clear_faults(self) -> None:
        requests.delete(f"{self.url}/control/faults", timeout=5).raise_for_status()

    def force_outcome(self, order_id: str, operation: str, result: str, **details: Any) -> None:
        body = {"orderId": order_id, "operation": operation, "result": result, **details}
        self._post("/control/outcomes", body)

    def effects(self, order_id: str | None = None) -> dict[str, Any]:
        """This function will read the books; with `order_id`, that order's executions too."""
        query = {} if order_id is None else {"orderId": order_id}
        answer = requests.get(f"{self.url}/control/effects", params=query, timeout=5)
        answer.raise_for_status()
        books: dict[str, Any] = answer.json()
        return books

    def _post(self, path: str, body: dict[str, Any]) -> None:
        requests.post(f"{self.url}{path}", json=body, timeout=5).raise_for_status()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with RunningSandbox(self._options) as running:
            self.url = f"http://127.0.0.1:{running.port}"
            self._is_open.set()
            await self._stop.wait()
