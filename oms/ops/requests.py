"""Gives each request an id, binds it to its log lines, and writes one access line a request."""

import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_ipv46_address
from django.http import HttpRequest, HttpResponseBase

from oms.ops.logs import bind_request, unbind_app_key, unbind_requested_order

REQUEST_ID_HEADER = "X-Request-Id"
QUIET_PATHS = frozenset({"/healthz", "/livez"})

_VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9._:=+/@-]{1,128}")
_remote_address: ContextVar[str | None] = ContextVar("remote_address", default=None)
logger = structlog.get_logger("oms.access_log")


class RequestIdMiddleware:
    """
    The outermost middleware: whatever answers inside, the answer carries `X-Request-Id`.

    A caller's own id is kept when it is 128 safe characters or fewer, so that an ERP can find
    its call in our logs; anything else is replaced, never quoted.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request_id = accept_request_id(request.META.get("HTTP_X_REQUEST_ID"))
        address_before = _remote_address.set(client_address(request))
        try:
            with bind_request(request_id):
                unbind_app_key()  # a thread is reused: nothing of the last request may stay
                unbind_requested_order()
                response = self.get_response(request)
                response.headers[REQUEST_ID_HEADER] = request_id
                _log_access(request, response, time.perf_counter() - started)
                # Django would log each answer of 5xx once more, outside the request's id.
                response._has_been_logged = True  # type: ignore[attr-defined]
        finally:
            unbind_requested_order()
            _remote_address.reset(address_before)
        return response


def accept_request_id(given: str | None) -> str:
    """This function will keep a safe id and make a new one otherwise."""
    if given is not None and _VALID_REQUEST_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex


def current_remote_address() -> str | None:
    """This function will return the caller's address of the request being answered, if any."""
    return _remote_address.get()


def client_address(request: HttpRequest) -> str | None:
    """
    This function will return the caller's IP address, or None over a unix socket.

    X-Forwarded-For is read only as far as TRUSTED_PROXY_COUNT proxies wrote it, counted from the
    right: everything further left is the caller's own claim (ASVS 15.3.4).
    """
    hops: int = settings.TRUSTED_PROXY_COUNT
    address = request.META.get("REMOTE_ADDR", "")
    if hops:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(forwarded) >= hops:
            address = forwarded[-hops].strip() or address
    try:
        validate_ipv46_address(address)
    except ValidationError:
        return None
    return str(address)


def _log_access(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    match = request.resolver_match
    log = logger.debug if request.path in QUIET_PATHS else logger.info
    log(
        "request",
        method=request.method,
        route=f"/{match.route}" if match else request.path,
        status=response.status_code,
        duration_ms=round(seconds * 1000, 1),
        app_key=unbind_app_key(),
    )
