"""
The boundary of the API: repairs bodies on the way in, turns every error to JSON on the way out.

Outside /api/ it only answers 503 instead of an error page while PostgreSQL is away.
"""

import io
import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from oms.api.errors import (
    RETRY_AFTER_SECONDS,
    answer_django_exception,
    is_passing_database_error,
    json_error,
    log_failure,
)

API_PREFIX = "/api/"
READ_BYTES = 64 * 1024
KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


class BodyUnreadable(Exception):
    """The body cannot be taken; answered with `status` before any view runs."""

    def __init__(self, status: int, message: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ApiBoundaryMiddleware:
    """
    Stands right inside the request id, around everything else, so that no answer under /api/ is
    HTML or a redirect, whoever makes it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(API_PREFIX):
            return self.get_response(request)
        if _CONTROL_CHARACTERS.search(request.path_info):
            return json_error(404)
        if "%00" in request.META.get("QUERY_STRING", ""):
            return json_error(400, message="The query must not hold NUL characters.")
        try:
            restore_body(request)
        except BodyUnreadable as error:
            return json_error(error.status, message=error.message)
        _drop_trailing_slash(request)
        return _as_json(self.get_response(request))

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        """Sees what views outside DRF and renderers raise; DRF's own errors never come here."""
        if request.path_info.startswith(API_PREFIX):
            return answer_django_exception(request, exc)
        if is_passing_database_error(exc):
            log_failure(exc, 503)
            return HttpResponse(
                "The database does not answer at the moment. Please try again in a few seconds.",
                status=503,
                content_type="text/plain; charset=utf-8",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        return None


def restore_body(request: HttpRequest) -> None:
    """
    This function will make the body readable by DRF, or raise BodyUnreadable.

    DRF takes a request without Content-Length for one without body, so that a chunked commit or
    invoice would be answered 200 with nothing done. Chunked bodies are therefore read here, up to
    DATA_UPLOAD_MAX_MEMORY_SIZE, and given their length.
    """
    limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() not in {"", "identity"}:
        raise BodyUnreadable(415)
    length = _content_length(request)
    coding = request.META.get("HTTP_TRANSFER_ENCODING", "").strip().lower()
    if not coding:
        if length is not None and length > limit:
            _discard(request, length, limit)
            raise BodyUnreadable(413, f"The body must not be larger than {limit} bytes.")
        return
    if length is not None:  # two opinions on where the body ends: request smuggling
        raise BodyUnreadable(400, "Content-Length and Transfer-Encoding exclude each other.")
    if coding != "chunked":
        raise BodyUnreadable(400, "The only Transfer-Encoding taken is chunked.")
    if not request.META.get("wsgi.input_terminated"):
        raise BodyUnreadable(411)  # reading might wait for ever: this server marks no end
    body = _read_chunked(request, limit)
    request.META["CONTENT_LENGTH"] = str(len(body))
    request.META["wsgi.input"] = io.BytesIO(body)
    request._stream = io.BytesIO(body)


def _content_length(request: HttpRequest) -> int | None:
    given = request.META.get("CONTENT_LENGTH") or ""
    if not given:
        return None
    if not (given.isascii() and given.isdigit()):
        raise BodyUnreadable(400, "Content-Length must be a whole number.")
    return int(given)


def _read_chunked(request: HttpRequest, limit: int) -> bytes:
    stream = request.META["wsgi.input"]
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := stream.read(READ_BYTES):
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            elif size > 2 * limit:
                break
    except Exception as error:  # each server has its own family of errors for broken chunks
        raise BodyUnreadable(400, "The chunked body is broken.") from error
    if size > limit:
        raise BodyUnreadable(413, f"The body must not be larger than {limit} bytes.")
    return b"".join(chunks)


def _discard(request: HttpRequest, length: int, limit: int) -> None:
    """Reads on for a while: closing on a sending client resets it before it sees the answer."""
    stream = request.META["wsgi.input"]
    left = min(length, 2 * limit)
    try:
        while left > 0 and (chunk := stream.read(min(READ_BYTES, left))):
            left -= len(chunk)
    except Exception:  # the caller hung up: nobody waits for the answer
        return


def _drop_trailing_slash(request: HttpRequest) -> None:
    """Routes have none. Both forms work without a redirect, which would lose a POST."""
    # An encoded one belongs to the last part: invoice numbers may end in a slash.
    raw_path = str(request.META.get("RAW_URI", "")).partition("?")[0]
    if raw_path[-3:].lower() == "%2f":
        return
    if request.path_info.endswith("/") and request.path_info != API_PREFIX:
        request.path_info = request.path_info[:-1]
        request.path = request.path[:-1]


def _as_json(response: HttpResponseBase) -> HttpResponseBase:
    response.headers.setdefault("Cache-Control", "no-store")
    if response.status_code < 400 or "json" in response.headers.get("Content-Type", ""):
        return response
    answer = json_error(response.status_code)
    for name in KEPT_HEADERS:
        if name in response.headers:
            answer.headers[name] = response.headers[name]
    answer.headers["Cache-Control"] = "no-store"
    # Others have nothing to close, and closing tells Django that the request is over.
    if response.streaming:
        response.close()
    return answer
