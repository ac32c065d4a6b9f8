"""The API's description for programs, and a page of it for people. Open to everybody."""

from functools import cache

import orjson
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.renderers import OpenApiYamlRenderer

from oms.api.description.schema import whole_description


@require_safe
def describe_api(request: HttpRequest) -> HttpResponse:
    """This view will answer the OpenAPI description: JSON, or YAML for `?format=yaml` or Accept."""
    wants_yaml = request.GET.get("format") == "yaml" or "yaml" in request.headers.get("Accept", "")
    if wants_yaml:
        return HttpResponse(_as_yaml(), content_type="application/yaml; charset=utf-8")
    return HttpResponse(_as_json(), content_type="application/json; charset=utf-8")


@require_safe
def browse_api(request: HttpRequest) -> HttpResponse:
    """This view will show the description as a page; everything it loads is ours."""
    return render(request, "api/docs.html")


@cache
def _as_json() -> bytes:
    return orjson.dumps(whole_description())


@cache
def _as_yaml() -> bytes:
    rendered: bytes = OpenApiYamlRenderer().render(whole_description(), renderer_context={})
    return rendered
