"""Reads what a service sent back: pure, so that every odd answer is one line of a test table."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import orjson

from workflow.connectors.protocol import Answered, Call, Failed, Outcome, Refused

# Operation -> result -> fields that must be there as text. Any other result is malformed.
RESULTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "analysis": {
        "approved": ("analysisId",),
        "denied": ("analysisId",),
        "pending": ("analysisId",),
    },
    "authorization": {
        "approved": ("transactionId",),
        "pending": ("transactionId",),
        "denied": (),
    },
    "capture": {"captured": ("captureId",), "denied": ()},
    "increase": {"approved": (), "pending": (), "denied": ()},
    "reduction": {"reduced": (), "nothing-to-reduce": ()},
    "void": {"voided": (), "nothing-to-void": ()},
    "refund": {"refunded": (), "denied": ()},
    "reservation": {"reserved": ("reservationId",), "refused": ()},
    "confirmation": {"confirmed": (), "refused": ()},
    "withdrawal": {"withdrawn": ()},
    "release": {"released": (), "nothing-to-release": ()},
}
TRACKING_EVENT_FIELDS = ("date", "city", "state", "description")

# 409 and 425 are what the IETF draft on idempotency keys and RFC 8470 use for "still at it".
# 401 and 403 speak of our credentials, not of the order: parking every order would be wrong.
RETRIED_STATUSES = frozenset({401, 403, 408, 409, 423, 425, 429})
# These speak of one call: a service is no worse for them, whatever their number.
ABOUT_ONE_CALL = frozenset({409, 423, 425})
NO_NEWS: Mapping[str, Any] = MappingProxyType(
    {"delivered": False, "deliveredAt": None, "events": ()}
)
LONGEST_RETRY_AFTER_SECONDS = 3600.0
LONGEST_TEXT = 200


def read_answer(
    call: Call, status: int, payload: bytes, *, retry_after: str | None, at: datetime
) -> Outcome:
    """This function will turn an HTTP answer into the outcome that the step acts on."""
    if 200 <= status < 300:
        return _read_success(call, payload)
    if 300 <= status < 400:
        return Failed(f"redirected (HTTP {status}): redirects are not followed")
    if status == 404 and call.operation == "tracking":
        # Carriers often learn a number hours after the ERP told it: no news, not a failure.
        return Answered(NO_NEWS)
    if status >= 500 or status in RETRIED_STATUSES:
        wait = read_retry_after(retry_after, at=at)
        return Failed(f"HTTP {status}", wait, is_answer=status in ABOUT_ONE_CALL)
    return _read_refusal(status, payload)


def read_retry_after(value: str | None, *, at: datetime) -> float | None:
    """This function will read a Retry-After header, seconds or date, as seconds from `at`."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else _seconds_until(value, at)
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _seconds_until(http_date: str, at: datetime) -> float:
    moment = parsedate_to_datetime(http_date)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - at).total_seconds()


def _read_success(call: Call, payload: bytes) -> Outcome:
    body = _json_object(payload)
    if body is None:
        return Failed("malformed answer: not a JSON object")
    fault = _tracking_fault(call, body) if call.operation == "tracking" else _fault(call, body)
    return Answered(body) if fault is None else Failed(f"malformed answer: {fault}")


def _read_refusal(status: int, payload: bytes) -> Refused:
    body = _json_object(payload) or {}
    error = body.get("error")
    details = error if isinstance(error, dict) else body
    code, message = details.get("code"), details.get("message")
    return Refused(
        code[:LONGEST_TEXT] if isinstance(code, str) and code else f"HTTP {status}",
        message[:LONGEST_TEXT] if isinstance(message, str) else "",
    )


def _json_object(payload: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _fault(call: Call, body: Mapping[str, Any]) -> str | None:
    result = body.get("result")
    known = RESULTS[call.operation]
    if not isinstance(result, str) or result not in known:
        return "unknown result"
    for field in known[result]:
        if not isinstance(body.get(field), str) or not body[field]:
            return f"no {field}"
    missing = body.get("missing")
    if missing is not None and not _is_list_of(str, missing):
        return "missing is not a list of text"
    return None


def _tracking_fault(call: Call, body: Mapping[str, Any]) -> str | None:
    number = body.get("trackingNumber")
    if not isinstance(number, str) or quote(number, safe="") != call.path.rsplit("/", 1)[-1]:
        return "another trackingNumber"
    delivered, delivered_at = body.get("delivered"), body.get("deliveredAt")
    if not isinstance(delivered, bool):
        return "delivered is not a boolean"
    if delivered and not _is_moment(delivered_at):
        return "deliveredAt is not a date with an offset"
    events = body.get("events")
    if not _is_list_of(dict, events):
        return "events is not a list of objects"
    for event in events or ():
        if not all(isinstance(event.get(field), str) for field in TRACKING_EVENT_FIELDS):
            return "an event lacks date, city, state or description"
        if not _is_moment(event["date"]):
            return "an event's date is not a date with an offset"
    return None


def _is_list_of(kind: type, value: object) -> bool:
    return isinstance(value, list) and all(isinstance(element, kind) for element in value)


def _is_moment(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
