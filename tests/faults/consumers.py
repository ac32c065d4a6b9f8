"""The other side of feed and hook: an ERP that reads and commits, and one that is called."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from oms.access.keys import issue_app_key
from oms.access.scopes import Scope
from tests.faults.deliveries import Received

FEED = "/api/orders/feed"
FEED_CONFIG = "/api/orders/feed/config"
HOOK_CONFIG = "/api/orders/hook/config"
PATIENCE_SECONDS = 20
# Not the address of our own web process, which no hook may call.
RECEIVER_HOST = "127.0.0.2"


def new_headers(owner: str) -> dict[str, str]:
    """This function will issue an app key for feeds and hooks, as request headers."""
    key, token = issue_app_key(
        owner_name=owner,
        scopes=[Scope.FEED_HOOK_ADMIN, Scope.ORDERS_FULL_ACCESS],
        actor="test",
    )
    return {"X-VTEX-API-AppKey": key.app_key, "X-VTEX-API-AppToken": token}


@dataclass(slots=True)
class FeedReader:
    """One ERP that reads its feed. An answer that does not come is no answer, never an error."""

    web_url: str
    headers: dict[str, str]
    received: Received
    visibility_seconds: int = 2
    answers: list[int] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)

    def configure(self, filter_: Mapping[str, Any]) -> int:
        """This function will set the feed's filter and return the status, 0 without an answer."""
        queue = {
            "visibilityTimeoutInSeconds": self.visibility_seconds,
            "MessageRetentionPeriodInSeconds": 345_600,
        }
        answer = self._send("POST", FEED_CONFIG, {"filter": filter_, "queue": queue})
        return 0 if answer is None else answer.status_code

    def read(self, lot: int = 10) -> list[dict[str, Any]]:
        """This function will take what the feed hands out and keep it in hand."""
        sent_at = time.monotonic()
        answer = self._send("GET", f"{FEED}?maxlot={lot}")
        if answer is None or answer.status_code != 200:
            return []
        items: list[dict[str, Any]] = answer.json()
        # The lease began after the request was sent at the earliest.
        held_for = max(0.0, self.visibility_seconds - (time.monotonic() - sent_at))
        for item in items:
            self.received.take(item["eventId"], item["orderId"], held_for=held_for)
        self.held += items
        return items

    def commit(self, items: Sequence[Mapping[str, Any]]) -> bool:
        """This function will commit items by their handles; True if that was answered."""
        if not items:
            return True
        answer = self._send("POST", FEED, {"handles": [item["handle"] for item in items]})
        if answer is None or answer.status_code != 200:
            return False
        self.received.commit(item["eventId"] for item in items)
        self.held = [item for item in self.held if item not in items]
        return True

    def drain(self, *, seconds: float) -> None:
        """This function will read and commit until nothing is left in the feed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.commit(list(self.held))
            if items := self.read():
                self.commit(items)
            elif self.quantity() == 0:
                return
            else:
                time.sleep(0.2)
        raise AssertionError(f"{self.received.name}: {self.quantity()} items left")

    def quantity(self) -> int | None:
        answer = self._send("GET", FEED_CONFIG)
        if answer is None or answer.status_code != 200:
            return None
        return int(answer.json()["quantity"])

    def _send(self, method: str, path: str, body: Any = None) -> requests.Response | None:
        try:
            answer = requests.request(
                method,
                f"{self.web_url}{path}",
                json=body,
                headers=self.headers,
                timeout=PATIENCE_SECONDS,
            )
        except requests.RequestException:
            self.answers.append(0)
            return None
        self.answers.append(answer.status_code)
        return answer


class Mood(StrEnum):
    """How a receiver answers."""

    WELL = "well"
    FAILING = "failing"
    HANGING = "hanging"
    HANGING_UP = "hanging up"


@dataclass(slots=True)
class HookReceiver:
    """A server that is called by the hook and writes down what it acknowledged."""

    received: Received
    mood: Mood = Mood.WELL
    port: int = 0
    pings: int = 0
    refused: int = 0
    hang_seconds: float = 8.0
    _released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://{RECEIVER_HOST}:{self.port}/hook"

    def set_mood(self, mood: Mood) -> None:
        self.mood = mood
        if mood is Mood.HANGING:
            self._released.clear()
        else:
            self._released.set()

    def answer(self, event_id: str, body: Mapping[str, Any]) -> int | None:
        """This function will choose the status of an answer; None hangs up without one."""
        if body.get("hookConfig") == "ping":
            self.pings += 1
            return 200
        if self.mood is Mood.HANGING:
            self._released.wait(self.hang_seconds)
        if self.mood is not Mood.WELL:
            self.refused += 1
            return None if self.mood is Mood.HANGING_UP else 500
        self.received.take(event_id, body["OrderId"])
        self.received.commit([event_id])
        return 200


@contextmanager
def serving(receiver: HookReceiver) -> Iterator[HookReceiver]:
    """This context will run a receiver on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status = receiver.answer(self.headers.get("webhook-id", ""), json.loads(content))
            if status is None:
                self.close_connection = True
                return
            try:
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
            except OSError:  # it did not wait for us
                self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            """Nobody reads these."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server((RECEIVER_HOST, receiver.port), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        yield receiver
    finally:
        receiver.set_mood(Mood.WELL)
        server.shutdown()
        server.server_close()
        thread.join()
