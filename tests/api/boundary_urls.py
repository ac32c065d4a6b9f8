"""Views that do nothing but show what the boundary lets through and how it answers."""

from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oms.access.scopes import Scope
from oms.api.authentication import principal_of
from oms.ops.health import healthz, livez


class Echo(APIView):
    """Says what body arrived. Open to everybody: bodies are not about keys."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        return Response({"data": request.data, "length": len(request.data)})

    put = patch = post


class EchoList(Echo):
    json_body = list


class Scoped(APIView):
    required_scopes = {
        "GET": {Scope.OMS_VIEWER, Scope.ORDERS_FULL_ACCESS},
        "POST": {Scope.CANCEL_ACTION},
        "PUT": set[Scope](),
    }

    def get(self, request: Request, order_id: str = "") -> Response:
        return Response({"actor": principal_of(request).actor})

    post = put = delete = get


class Unscoped(APIView):
    def get(self, request: Request) -> Response:
        return Response({})


class Line(serializers.Serializer[Any]):
    quantity = serializers.IntegerField()


class Basket(serializers.Serializer[Any]):
    items = Line(many=True)
    email = serializers.CharField()


class Failing(Echo):
    """Fails in the way that the address names."""

    def get(self, request: Request, way: str) -> Response:
        if way == "unrenderable":
            return Response({"decimal": object()})
        fail(way)
        return Response({})

    def post(self, request: Request, way: str = "") -> Response:
        Basket(data=request.data).is_valid(raise_exception=True)
        return Response({})


def fail(way: str) -> None:
    match way:
        case "bug":
            raise RuntimeError("a secret of ours: ann@shop.example")
        case "missing":
            raise Http404("order v1 of ann")
        case "denied":
            raise PermissionDenied("internal reason")
        case "suspicious":
            raise SuspiciousOperation("internal reason")
        case "throttled":
            raise Throttled(wait=6.2)
        case _:
            with connection.cursor() as cursor:
                cursor.execute(SQL_FAILURES[way])


SQL_FAILURES = {
    "killed": "SELECT pg_terminate_backend(pg_backend_pid())",
    "slow": "SET statement_timeout = 50; SELECT pg_sleep(5)",
    "wrong-sql": "SELECT nothing FROM nowhere",
}


def plain(request: HttpRequest, way: str) -> HttpResponse:
    """A view that knows nothing of DRF."""
    fail(way)
    return HttpResponse("fine")


urlpatterns = [
    path("api/echo", Echo.as_view()),
    path("api/echo-list", EchoList.as_view()),
    path("api/scoped", Scoped.as_view()),
    path("api/orders/<str:order_id>", Scoped.as_view()),
    path("api/unscoped", Unscoped.as_view()),
    path("api/failing", Failing.as_view()),
    path("api/failing/<str:way>", Failing.as_view()),
    path("api/plain/<str:way>", plain),
    path("page/<str:way>", plain),
    path("healthz", healthz),
    path("livez", livez),
]
