"""What load balancers ask: is this process alive, and can it do its work."""

import orjson
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

RETRY_AFTER_SECONDS = 5


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """This view will answer without touching anything: a restart helps only if this fails."""
    return _answer(200, "ok")


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """
    This view will answer 200 if PostgreSQL answers, the only thing the web role needs (M1).

    It waits no longer than the role's own limits: connect and pool timeout, statement timeout.
    Nothing else is asked: search or the workflow being down must not take the web role out.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        response = _answer(503, "database unavailable")
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
    return _answer(200, "ok")


def _answer(status: int, text: str) -> HttpResponse:
    response = HttpResponse(
        orjson.dumps({"status": text}),
        status=status,
        content_type="application/json; charset=utf-8",
    )
    response.headers["Cache-Control"] = "no-store"
    return response
