"""
What every call of a key goes through, whichever view answers it: how often a key may ask, and how
many times a write has its effect.

It stands around the views rather than in them: a new view has it without a word, and one
transaction can hold a view's effect together with what is remembered of it (ADR 0010).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import AuthenticationFailed

from oms.access.answers import Answer, claim, claimed_alone, hash_request, record
from oms.access.authenticating import Principal
from oms.api.authentication import caller_of, required_scopes
from oms.api.errors import answer_django_exception, json_error
from oms.api.etags import require_version
from oms.api.limiting import headers_to_add, refuse_above_limit
from oms.api.list_watch import watch_list
from oms.api.middleware import API_PREFIX
from oms.api.scoping import lock_visible

View = Callable[..., HttpResponse]

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
IDEMPOTENCY_KEY: Final = re.compile(r"[ -~]{1,255}")
REPLAYED: Final = "Idempotency-Replayed"
ORDER_LIST: Final = f"{API_PREFIX}oms/pvt/orders"


class ApiCallMiddleware:
    """The innermost middleware: the view is known, and nothing stands between it and this."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in headers_to_add(request).items():
            response.headers.setdefault(name, value)
        return response

    def process_view(
        self, request: HttpRequest, view: View, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        view_class = getattr(view, "cls", None)
        if view_class is None or not request.path_info.startswith(API_PREFIX):
            return None
        try:
            principal = caller_of(request)
            if principal is None:
                return None
            if refusal := _refuse(request, principal):
                return refusal
            if not _is_open_write(request, view_class, principal):
                return None
            return _answer_write(request, principal, view, kwargs)
        except AuthenticationFailed:
            return None  # the view says so
        except Exception as error:
            return answer_django_exception(request, error)


def _refuse(request: HttpRequest, principal: Principal) -> HttpResponse | None:
    refusal = refuse_above_limit(request, principal)
    if refusal is None and request.method == "GET" and request.path_info == ORDER_LIST:
        return watch_list(request, principal)
    return refusal


def _is_open_write(request: HttpRequest, view_class: Any, principal: Principal) -> bool:
    """What is closed to the key is answered by the view, before anybody is told anything."""
    method = request.method or ""
    return method in WRITES and principal.has_any(required_scopes(view_class).get(method, set()))


def _answer_write(
    request: HttpRequest, principal: Principal, view: View, kwargs: Mapping[str, Any]
) -> HttpResponse | None:
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        message = "Idempotency-Key must be 1 to 255 printable ASCII characters."
        return json_error(400, code="invalid", message=message)
    if key is not None and getattr(view.cls, "commits_by_itself", False):  # type: ignore[attr-defined]
        return _answer_by_itself(request, principal, view, kwargs, key)
    if key is not None or (
        "order_id" in kwargs and ("HTTP_IF_MATCH" in request.META or principal.is_restricted)
    ):
        return _answer_in_one_transaction(request, principal, view, kwargs, key)
    return None


@transaction.atomic
def _answer_in_one_transaction(
    request: HttpRequest,
    principal: Principal,
    view: View,
    kwargs: Mapping[str, Any],
    key: str | None,
) -> HttpResponse:
    """Runs the view inside a transaction that ends with its answer; a refusal leaves nothing."""
    digest = _digest_of(request)
    if key is not None and (known := claim(principal.key_id, key, digest)):
        return _replayed(known)
    if "order_id" in kwargs:
        _lock_order(request, principal, kwargs["order_id"])
    response = _rendered(view(request, **kwargs))
    if response.status_code >= 400:
        transaction.set_rollback(True)
    elif key is not None:
        record(principal.key_id, key, digest, _as_answer(response))
    return response


def _lock_order(request: HttpRequest, principal: Principal, reference: str) -> None:
    """
    Before the view looks: what an If-Match or the key's sellers allow is then still so at the effect.
    """
    if_match = request.META.get("HTTP_IF_MATCH")
    if if_match is not None:
        require_version(reference, if_match, principal)
    elif principal.is_restricted:
        lock_visible(reference, principal)


def _answer_by_itself(
    request: HttpRequest, principal: Principal, view: View, kwargs: Mapping[str, Any], key: str
) -> HttpResponse:
    """
    Runs a view that calls outside, or commits in several steps, so that no transaction may stand
    around it. Dying between its effect and the record means that a repetition has it again: such
    views bear that. They set things, or ask for events that readers know by their ids.
    """
    digest = _digest_of(request)
    with claimed_alone(principal.key_id, key, digest) as known:
        if known:
            return _replayed(known)
        response = _rendered(view(request, **kwargs))
        if response.status_code < 400:
            record(principal.key_id, key, digest, _as_answer(response))
        return response


def _digest_of(request: HttpRequest) -> bytes:
    return hash_request(request.method or "", request.get_full_path(), request.body)


def _rendered(response: HttpResponse) -> HttpResponse:
    render = getattr(response, "render", None)
    return render() if callable(render) else response


def _as_answer(response: HttpResponse) -> Answer:
    return Answer(
        response.status_code, response.headers.get("Content-Type", ""), bytes(response.content)
    )


def _replayed(answer: Answer) -> HttpResponse:
    headers = {REPLAYED: "true"}
    if answer.content_type:
        headers["Content-Type"] = answer.content_type
    response = HttpResponse(answer.body, status=answer.status, headers=headers)
    if not answer.content_type:
        del response.headers["Content-Type"]
    return response
