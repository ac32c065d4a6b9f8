"""Reading answers: each odd one is a line of a table."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from workflow.connectors import operations
from workflow.connectors.answers import RESULTS, read_answer, read_retry_after
from workflow.connectors.protocol import Answered, Call, Failed, Refused
from workflow.sandbox.operations import OPERATIONS

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EVENT = {
    "date": "2026-02-28T10:00:00+00:00",
    "city": "Porto Sereno",
    "state": "SC",
    "description": "Received",
}
ANALYSIS = operations.analyze_order(
    order_id="A-1", value_cents=100, currency="BRL", payments=[], request_id="r"
)
TRACKING = operations.track_package(order_id="A-1", tracking_number="BK/7 ü", request_id="r")


def read(call: Call, body: Any, status: int = 200, retry_after: str | None = None) -> object:
    payload = body if isinstance(body, bytes) else orjson.dumps(body)
    return read_answer(call, status, payload, retry_after=retry_after, at=NOW)


def tracking(**changes: Any) -> dict[str, Any]:
    body = {"trackingNumber": "BK/7 ü", "delivered": False, "deliveredAt": None, "events": [EVENT]}
    return {**body, **changes}


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (ANALYSIS, {"analysisId": "x", "result": "pending", "score": 3}),
        (TRACKING, tracking()),
        (TRACKING, tracking(delivered=True, deliveredAt="2026-02-28T10:00:00Z", events=[])),
    ],
)
def test_an_answer_in_the_operations_shape_is_answered(call: Call, body: dict[str, Any]) -> None:
    assert read(call, body) == Answered(body)


@pytest.mark.parametrize(
    ("call", "body", "fault"),
    [
        (ANALYSIS, b"", "not a JSON object"),
        (ANALYSIS, b"<html>", "not a JSON object"),
        (ANALYSIS, b'{"result": "approved"', "not a JSON object"),
        (ANALYSIS, ["approved"], "not a JSON object"),
        (ANALYSIS, {"analysisId": "x"}, "unknown result"),
        (ANALYSIS, {"analysisId": "x", "result": "captured"}, "unknown result"),
        (ANALYSIS, {"analysisId": "x", "result": ["approved"]}, "unknown result"),
        (ANALYSIS, {"result": "approved"}, "no analysisId"),
        (ANALYSIS, {"analysisId": "", "result": "approved"}, "no analysisId"),
        (TRACKING, tracking(trackingNumber="other"), "another trackingNumber"),
        (TRACKING, tracking(delivered="yes"), "delivered is not a boolean"),
        (TRACKING, tracking(delivered=True), "deliveredAt is not a date with an offset"),
        (
            TRACKING,
            tracking(delivered=True, deliveredAt="2026-02-28T10:00:00"),
            "deliveredAt is not a date with an offset",
        ),
        (TRACKING, tracking(events=None), "events is not a list of objects"),
        (
            TRACKING,
            tracking(events=[{**EVENT, "city": None}]),
            "an event lacks date, city, state or description",
        ),
        (
            TRACKING,
            tracking(events=[{**EVENT, "date": "yesterday"}]),
            "an event's date is not a date with an offset",
        ),
    ],
)
def test_any_other_answer_is_malformed_and_retried(call: Call, body: Any, fault: str) -> None:
    assert read(call, body) == Failed(f"malformed answer: {fault}")


def test_what_is_missing_from_stock_must_be_a_list_of_text() -> None:
    call = operations.reserve_stock(order_id="A-1", items=[], request_id="r")
    refused = {"result": "refused", "missing": ["u1"]}
    assert read(call, refused) == Answered(refused)
    assert read(call, {"result": "refused", "missing": [7]}) == Failed(
        "malformed answer: missing is not a list of text"
    )


@pytest.mark.parametrize("status", [401, 403, 408, 409, 423, 425, 429, 500, 502, 503, 504, 599])
def test_what_time_or_our_own_settings_mend_is_retried(status: int) -> None:
    about_one_call = status in (409, 423, 425)
    failed = Failed(f"HTTP {status}", 7.0, is_answer=about_one_call)
    assert read(ANALYSIS, {}, status, "7") == failed


@pytest.mark.parametrize("status", [400, 404, 405, 410, 413, 422])
def test_what_no_retry_mends_is_refused(status: int) -> None:
    body = {"error": {"code": "E1", "message": "no such order"}}
    assert read(ANALYSIS, body, status) == Refused("E1", "no such order")


def test_a_refusal_without_words_is_named_by_its_status() -> None:
    assert read(ANALYSIS, b"gone", 410) == Refused("HTTP 410", "")


def test_a_refusals_words_are_cut_to_fit_the_inbox() -> None:
    refused = read(ANALYSIS, {"code": "E" * 500, "message": "m" * 500}, 422)
    assert refused == Refused("E" * 200, "m" * 200)


def test_a_tracking_number_that_the_carrier_does_not_know_yet_is_no_news() -> None:
    no_news = {"delivered": False, "deliveredAt": None, "events": ()}
    assert read(TRACKING, {}, 404) == Answered(no_news)


def test_a_redirect_is_a_failure() -> None:
    assert read(ANALYSIS, {}, 302) == Failed("redirected (HTTP 302): redirects are not followed")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", 0.0),
        ("120", 120.0),
        ("999999999", 3600.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, at=NOW) == seconds


def test_the_sandbox_offers_the_same_results_as_the_connectors_expect() -> None:

    offered = {name: set(operation.results) for name, operation in OPERATIONS.items()}
    assert offered == {name: set(results) for name, results in RESULTS.items()}
