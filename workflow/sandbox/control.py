"""`/control/*`: how tests and a curious person steer the sandbox and read its books."""

import time
from typing import Any

import orjson
from aiohttp import web

from workflow.sandbox.effects import Execution
from workflow.sandbox.operations import OPERATIONS
from workflow.sandbox.state import STATE


async def health(request: web.Request) -> web.Response:
    faults = request.app[STATE].faults.in_force(at=time.time())
    return _json({"status": "ok", "faults": faults})


async def effects(request: web.Request) -> web.Response:
    book = request.app[STATE].book
    answer = book.summary()
    order_id = request.query.get("orderId")
    if order_id is not None:
        executions = book.of_order(order_id)
        answer["effects"] = [_shown(past) for past in executions]
    return _json(answer)


async def set_fault(request: web.Request) -> web.Response:
    try:
        fault = request.app[STATE].faults.set(await _body(request), at=time.time())
    except ValueError as error:
        return _complain(error)
    return _json(fault)


async def clear_faults(request: web.Request) -> web.Response:
    request.app[STATE].faults.clear()
    return _json({"faults": {}})


async def force_outcome(request: web.Request) -> web.Response:
    try:
        order_id, operation, result, times = _outcome(await _body(request))
    except ValueError as error:
        return _complain(error)
    request.app[STATE].book.force_outcome(order_id, operation, result, times=times)
    return _json({"orderId": order_id, "operation": operation, "result": result, "times": times})


async def set_tracking(request: web.Request) -> web.Response:
    try:
        return _json(request.app[STATE].carrier.tell(await _body(request)))
    except ValueError as error:
        return _complain(error)


CONTROL_ROUTES = (
    web.get("/control/health", health),
    web.get("/control/effects", effects),
    web.post("/control/faults", set_fault),
    web.delete("/control/faults", clear_faults),
    web.post("/control/outcomes", force_outcome),
    web.post("/control/trackings", set_tracking),
)


def _outcome(body: dict[str, Any]) -> tuple[str, str, str, int | None]:
    order_id, name = body.get("orderId"), body.get("operation")
    result, times = body.get("result"), body.get("times")
    if not isinstance(order_id, str) or not order_id:
        raise ValueError("orderId: expected text")
    operation = OPERATIONS.get(name) if isinstance(name, str) else None
    if operation is None:
        raise ValueError(f"operation: expected one of {', '.join(OPERATIONS)}")
    if not isinstance(result, str) or result not in operation.results:
        raise ValueError(f"result: expected one of {', '.join(sorted(operation.results))}")
    if times is not None and (not isinstance(times, int) or times < 1):
        raise ValueError("times: expected a whole number from 1 on")
    return order_id, operation.name, result, times


def _shown(execution: Execution) -> dict[str, Any]:
    return {
        "at": execution.at,
        "operation": execution.operation,
        "subject": execution.subject,
        "key": execution.key,
        "value": execution.value,
        "result": execution.result,
        "effective": execution.is_effective,
    }


async def _body(request: web.Request) -> dict[str, Any]:
    # orjson's error is a ValueError too.
    body = orjson.loads(await request.read())
    if not isinstance(body, dict):
        raise ValueError("expected a JSON object")
    return body


def _complain(error: ValueError) -> web.Response:
    return _json({"error": {"code": "bad-request", "message": str(error)}}, status=400)


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
