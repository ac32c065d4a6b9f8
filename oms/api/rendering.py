"""Answers are JSON, whatever the Accept header says: connectors send */*, text/html or nothing."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

# `text/plain` and a missing type are what real connectors send with JSON inside (research A).
JSON_CONTENT_TYPES = frozenset({"application/json", "text/json", "text/plain", ""})

_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_READABLE_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


class OrjsonRenderer(BaseRenderer):
    """
    Writes JSON by orjson. Bytes are taken as JSON that is ready and pass through untouched.

    Decimals and floats of money have no place in an answer: a Decimal raises TypeError here.
    """

    media_type = "application/json"
    format = "json"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        if isinstance(data, bytes):
            return data
        return orjson.dumps(data)


class AlwaysJson(BaseContentNegotiation):
    """Takes JSON under each of its usual names, and answers JSON in any case."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        media_type, _, parameters = (request.content_type or "").partition(";")
        charset = _CHARSET.search(parameters)
        if charset and charset[1].lower() not in _READABLE_CHARSETS:
            return None
        return next(iter(parsers)) if media_type.strip().lower() in JSON_CONTENT_TYPES else None

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)
