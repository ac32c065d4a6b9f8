"""The sandbox's HTTP: the four services, and the faults that meet their callers."""

import asyncio
import hashlib
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import structlog
from aiohttp import web

from workflow.sandbox.agenda import Agenda
from workflow.sandbox.carrier import Carrier
from workflow.sandbox.control import CONTROL_ROUTES
from workflow.sandbox.decisions import Policy, answer_for, decide
from workflow.sandbox.effects import EffectBook, Execution
from workflow.sandbox.faults import Fault, FaultBoard
from workflow.sandbox.journal import Journal
from workflow.sandbox.operations import OPERATIONS, Operation
from workflow.sandbox.state import STATE, Sandbox

RUBBISH = (b"<html>busy</html>", b'{"result": "appro', b'{"result": "perhaps"}', b"[]")
DRIBBLE_SECONDS = 0.1
# Read at once, before anything is decided: these never reach the service's own work.
WITHOUT_EFFECT = frozenset({"refuse", "throttle", "hang"})
SOMETIMES_WITHOUT_EFFECT = frozenset({"error", "drop"})

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """`port` 0 takes a free one. `journal` None keeps everything in memory."""

    host: str = "127.0.0.1"
    port: int = 8011
    journal: Path | None = None
    transit_seconds: float = 240.0
    policy: Policy = field(default_factory=Policy)
    seed: int | None = None


class RunningSandbox:
    """An open sandbox: `async with RunningSandbox(options) as running`."""

    def __init__(self, options: SandboxOptions) -> None:
        self._options = options
        self.state = open_sandbox(options)
        # A caller that gave up must not leave its hanging handler behind.
        self._runner = web.AppRunner(
            build_app(self.state), access_log=None, handler_cancellation=True, shutdown_timeout=1.0
        )

    @property
    def port(self) -> int:
        """The port that was taken."""
        port: int = self._runner.addresses[0][1]
        return port

    async def __aenter__(self) -> "RunningSandbox":
        await self._runner.setup()
        await web.TCPSite(self._runner, self._options.host, self._options.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        self.state.journal.close()


def open_sandbox(options: SandboxOptions) -> Sandbox:
    """This function will open the books, reading the journal of earlier runs."""
    journal = Journal(options.journal)
    sandbox = Sandbox(
        journal=journal,
        book=EffectBook(journal),
        carrier=Carrier(journal, transit_seconds=options.transit_seconds),
        faults=FaultBoard(random.Random(options.seed)),
        policy=options.policy,
        agenda=Agenda(journal),
    )
    for entry in journal.entries():
        sandbox.apply(entry)
    return sandbox


def build_app(state: Sandbox) -> web.Application:
    app = web.Application()
    app[STATE] = state
    for operation in OPERATIONS.values():
        app.router.add_post(f"/{operation.connector}{operation.path}", _Service(operation).serve)
    app.router.add_get("/carrier/trackings/{number}", serve_tracking)
    app.add_routes(CONTROL_ROUTES)
    return app


@dataclass(frozen=True, slots=True)
class _Service:
    """
    One operation behind its address.

    What counts as "the same body" are the required fields: a void that learns its transaction
    between two tries is still the same void.
    """

    operation: Operation

    async def serve(self, request: web.Request) -> web.StreamResponse:
        state = request.app[STATE]
        payload = await request.read()
        fault = state.faults.pick(self.operation.connector, at=time.time())
        if fault is None:
            return self._execute(state, request, payload)
        is_skipped = fault.mode in WITHOUT_EFFECT or (
            fault.mode in SOMETIMES_WITHOUT_EFFECT and not state.faults.every_second_time()
        )
        if is_skipped:
            state.book.record_call(self.operation.name, "faults")
            answer = web.Response()
        else:
            answer = self._execute(state, request, payload)
        return await act_out(fault, request, answer)

    def _execute(self, state: Sandbox, request: web.Request, payload: bytes) -> web.Response:
        """Nothing here awaits, so a key is looked up and recorded in one go."""
        key = request.headers.get("Idempotency-Key", "")
        body = _json_object(payload)
        complaint = "not a JSON object" if body is None else self.operation.complaint_about(body)
        if not key:
            complaint = "the Idempotency-Key header is missing"
        if body is None or complaint:
            return self._refuse(state, 400, "bad-request", complaint or "")
        digest = _digest({field: body[field] for field in self.operation.required})
        known = state.book.find(self.operation.name, key)
        if known is None:
            return _json(self._execute_first(state, key, digest, body).answer)
        if known.digest != digest:
            return self._refuse(state, 422, "key-reused", "the same key came with another body")
        state.book.record_call(self.operation.name, "replays")
        return _json(self._settle(state, known).answer)

    def _refuse(self, state: Sandbox, status: int, code: str, message: str) -> web.Response:
        state.book.record_call(self.operation.name, "invalid")
        return _error(status, code, f"{self.operation.name}: {message}")

    def _execute_first(
        self, state: Sandbox, key: str, digest: str, body: dict[str, Any]
    ) -> Execution:
        operation, order_id = self.operation, body["orderId"]
        forced = state.book.forced_result(order_id, operation.name)
        history = state.book.of_order(order_id)
        result = forced or decide(operation.name, body, history, state.policy)
        execution = Execution(
            at=time.time(),
            operation=operation.name,
            key=key,
            digest=digest,
            order_id=order_id,
            subject=operation.subject_of(body),
            value=body.get("value", 0),
            result=result,
            answer=answer_for(operation.id_field, result, body, key=key),
        )
        state.book.record_execution(execution, forced=forced is not None)
        return execution

    def _settle(self, state: Sandbox, known: Execution) -> Execution:
        """A pending verdict is asked for again by the same key, and changes when it is ripe."""
        if known.result != "pending":
            return known
        now = time.time()
        forced = state.book.forced_result(known.order_id, known.operation)
        if forced is not None:
            return state.book.record_settled(known, forced, at=now, forced=True)
        if now - known.at < state.policy.pending_seconds:
            return known
        return state.book.record_settled(known, "approved", at=now, forced=False)


async def serve_tracking(request: web.Request) -> web.StreamResponse:
    state = request.app[STATE]
    now = time.time()
    state.book.count_read("tracking")
    tracking = state.carrier.track(request.match_info["number"], at=now)
    if tracking is None:
        answer = _error(404, "unknown", "tracking: no such number yet")
    else:
        answer = _json(tracking)
    fault = state.faults.pick("carrier", at=now)
    return answer if fault is None else await act_out(fault, request, answer)


async def act_out(fault: Fault, request: web.Request, answer: web.Response) -> web.StreamResponse:
    """This function will meet the caller with the fault instead of `answer`."""
    match fault.mode:
        case "delay":
            await asyncio.sleep(fault.seconds)
        case "refuse":
            return _error(422, "sandbox-refusal", "refused on demand")
        case "throttle":
            slow_down = _error(429, "sandbox-throttle", "throttled on demand")
            slow_down.headers["Retry-After"] = str(round(fault.seconds))
            return slow_down
        case "error":
            return _error(500, "sandbox-error", "failed on demand")
        case "hang":
            await asyncio.Event().wait()
        case "malformed":
            rubbish = random.choice(RUBBISH)
            return web.Response(body=rubbish, content_type="application/json")
        case "dribble":
            return await _dribble(request)
        case "drop":
            if request.transport is not None:
                request.transport.abort()
    return answer


async def _dribble(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(DRIBBLE_SECONDS)


def _digest(body: dict[str, Any]) -> str:
    canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(canonical, digest_size=16).hexdigest()


def _json_object(payload: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _error(status: int, code: str, message: str) -> web.Response:
    return _json({"error": {"code": code, "message": message}}, status)
