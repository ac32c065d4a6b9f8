"""
One shape for every error of the API, and one table of which domain error is which status.

`{"error": {"code", "message", "exception": null}, "requestId"}` is the contract's shape with a
request id beside it; field errors add `error.details`. `exception` is always null: what went wrong
inside is in the log, under the request id.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from feeds.expressions import EvaluatorUnavailable, ExpressionFailed, ExpressionRefused
from feeds.hooks.by_hand import CallUnderWay
from feeds.hooks.configuring import HookNotConfigured
from feeds.hooks.resending import ResendRefused
from feeds.refusals import FeedNotConfigured, FeedRefused, MixedFilter, StillCatchingUp
from feeds.replaying import TooManyReplays
from oms.access.answers import AnswerUnreadable, KeyInUse, KeyReused
from oms.access.authenticating import BadCredentials
from oms.access.keys import AccessRefused
from oms.access.secrets import SecretUnreadable
from oms.api.etags import PreconditionFailed
from oms.ops.logs import current_request_id
from oms.orders.documents.errors import DocumentError
from oms.orders.locks import OrderNotFound
from oms.orders.snapshots import SnapshotsNotReady
from workflow.changes.pricing import LinesInvoiced
from workflow.flows import TransitionNotAllowed
from workflow.services.changes import (
    ChangedDifferently,
    ChangeInProgress,
    ChangeOver,
    ChangesDisabled,
    NotChangeable,
)
from workflow.services.placing import PlacedDifferently
from workflow.services.refusals import CancellationRefused, InvalidInput, PartOfOrderNotFound

RETRY_AFTER_SECONDS = 2

# Domain exception -> status and code. The message is the exception's own text; an attribute
# `details`, a list of {"field", "message", "allowed"}, goes along when there is one.
DOMAIN_ERRORS: dict[type[Exception], tuple[int, str]] = {
    BadCredentials: (401, "1"),
    AccessRefused: (400, "access_refused"),
    OrderNotFound: (404, "order_not_found"),
    PartOfOrderNotFound: (404, "not_found"),
    InvalidInput: (400, "invalid"),
    DocumentError: (400, "invalid"),
    CancellationRefused: (400, "partly_invoiced"),
    FeedRefused: (400, "invalid"),
    MixedFilter: (409, "mixed_filter"),
    FeedNotConfigured: (404, "feed_not_configured"),
    TooManyReplays: (409, "too_many_replays"),
    HookNotConfigured: (404, "hook_not_configured"),
    ResendRefused: (409, "resend_refused"),
    CallUnderWay: (409, "call_under_way"),
    SecretUnreadable: (409, "secret_unreadable"),
    StillCatchingUp: (503, "still_catching_up"),
    PlacedDifferently: (409, "placed_differently"),
    PreconditionFailed: (412, "precondition_failed"),
    KeyReused: (422, "idempotency_key_reused"),
    KeyInUse: (409, "idempotency_key_in_use"),
    AnswerUnreadable: (409, "answer_unreadable"),
    # The contract's own code for an action that the present status does not know.
    TransitionNotAllowed: (409, "OMS003"),
    NotChangeable: (409, "OMS003"),
    # The contract's codes of order modifications, where it names them.
    ChangeInProgress: (409, "SalesOrderSystem014"),
    LinesInvoiced: (400, "SalesOrderSystem046"),
    ChangeOver: (409, "change_over"),
    ChangedDifferently: (409, "changed_differently"),
    ChangesDisabled: (403, "changes_disabled"),
    SnapshotsNotReady: (503, "try_again"),
    ExpressionRefused: (400, "expression_refused"),
    ExpressionFailed: (400, "expression_failed"),
    EvaluatorUnavailable: (503, "evaluator_unavailable"),
}

# What we say for a bare status: Django's own errors, and DRF's where its words are for developers.
STATUS_ERRORS: dict[int, tuple[str, str]] = {
    400: ("bad_request", "The request cannot be understood."),
    401: ("1", "Unauthorized access"),
    403: ("forbidden", "This app key is not allowed to do this."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method."),
    409: ("conflict", "The request does not fit the present state."),
    411: ("length_required", "A body needs a Content-Length."),
    412: ("precondition_failed", "The order has changed since it was read."),
    413: ("body_too_large", "The body is larger than this server takes."),
    415: ("unsupported_media_type", "The body must be JSON in UTF-8, not compressed."),
    422: ("idempotency_key_reused", "The idempotency key was used for another request."),
    429: ("too_many_requests", "Too many requests with this app key."),
    500: ("internal_error", "Something went wrong on our side. Quote the requestId to support."),
    503: ("database_unavailable", "The database does not answer. Try again in a moment."),
}

# SQLSTATE classes after which the same request may well succeed: connection, rollback by deadlock,
# resources (disk full, too many connections), locks, shutdown and time limits.
_PASSING_CLASSES = ("08", "40", "53", "55", "57")
# Read-only (a replica after failover) and idle-in-transaction come as InternalError.
_PASSING_INTERNAL = ("25006", "25P03")

logger = structlog.get_logger(__name__)


def error_body(
    code: str, message: str, details: Sequence[Mapping[str, object]] = ()
) -> dict[str, Any]:
    """This function will build the body of an error answer."""
    error: dict[str, Any] = {"code": code, "message": message, "exception": None}
    if details:
        error["details"] = [dict(detail) for detail in details]
    return {"error": error, "requestId": current_request_id()}


def json_error(
    status: int, *, code: str | None = None, message: str | None = None
) -> HttpResponse:
    """This function will build an error answer outside DRF, by the status's usual words."""
    fallback = ("error", HTTPStatus(status).phrase)
    usual_code, usual_message = STATUS_ERRORS.get(status, fallback)
    response = HttpResponse(
        orjson.dumps(error_body(code or usual_code, message or usual_message)),
        status=status,
        content_type="application/json; charset=utf-8",
    )
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def answer_exception(exc: Exception, context: Mapping[str, Any]) -> Response:
    """This function will answer whatever a DRF view raised (DRF's EXCEPTION_HANDLER)."""
    set_rollback()
    if known := _domain_error(exc):
        status, code = known
        body = error_body(code, str(exc), getattr(exc, "details", ()))
        return Response(body, status=status, headers=_retry_headers(status))
    if isinstance(exc, exceptions.APIException):
        return _answer_api_exception(exc)
    status = status_of(exc)
    if status >= 500:
        log_failure(exc, status)
    body = error_body(*STATUS_ERRORS[status])
    return Response(body, status=status, headers=_retry_headers(status))


def _retry_headers(status: int) -> dict[str, str] | None:
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else None


def status_of(exc: Exception) -> int:
    """This function will choose the status of an exception that no table names."""
    if isinstance(exc, Http404):
        return 404
    if isinstance(exc, PermissionDenied):
        return 403
    if isinstance(exc, SuspiciousOperation | UnreadablePostError):
        return 400
    return 503 if is_passing_database_error(exc) else 500


def is_passing_database_error(exc: Exception) -> bool:
    """This function will tell an unreachable or busy PostgreSQL from a mistake in our SQL."""
    if not isinstance(exc, DatabaseError | InterfaceError):
        return False
    sqlstate = getattr(exc.__cause__, "sqlstate", None)
    if isinstance(exc, OperationalError | InterfaceError):
        return sqlstate is None or sqlstate.startswith(_PASSING_CLASSES)
    return isinstance(exc, InternalError) and sqlstate in _PASSING_INTERNAL


def log_failure(exc: Exception, status: int) -> None:
    """This function will log what an answer of 5xx does not say."""
    if status == 503:
        logger.warning("api.database_unavailable", error=type(exc).__name__, message=str(exc))
    else:
        logger.error("api.failed", exc_info=exc)


def answer_django_exception(request: HttpRequest, exc: Exception) -> HttpResponse:
    """This function will answer what a middleware, a view outside DRF or a renderer raised."""
    if known := _domain_error(exc):
        return json_error(known[0], code=known[1], message=str(exc))
    status = status_of(exc)
    if status >= 500:
        log_failure(exc, status)
    return json_error(status)


def _domain_error(exc: Exception) -> tuple[int, str] | None:
    for ancestor in type(exc).__mro__:
        if ancestor in DOMAIN_ERRORS:
            return DOMAIN_ERRORS[ancestor]
    return None


def _answer_api_exception(exc: exceptions.APIException) -> Response:
    status = exc.status_code
    code, message = STATUS_ERRORS.get(status, (exc.default_code, str(exc.detail)))
    details: Sequence[Mapping[str, object]] = getattr(exc, "details", ())
    headers: dict[str, str] = {}
    if isinstance(exc, exceptions.ValidationError):
        code, message = "invalid", "Some fields are not valid."
        details = list(_field_problems(exc.detail, ""))
    elif status == 400:
        code, message = str(exc.get_codes()), str(exc.detail)
    if (wait := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    if header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = header
    return Response(error_body(code, message, details), status=status, headers=headers)


def _field_problems(detail: Any, path: str) -> Iterator[dict[str, object]]:
    """Flattens DRF's nested errors into paths such as `items[0].quantity`."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            yield from _field_problems(value, _joined(path, key))
    elif isinstance(detail, list | tuple):
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping | list | tuple)
            yield from _field_problems(value, f"{path}[{index}]" if nested else path)
    else:
        yield {"field": path, "message": str(detail)}


def _joined(path: str, key: str | int) -> str:
    if key == "non_field_errors":
        return path
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key
