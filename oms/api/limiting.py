"""Says how much of its minute a key has left, in the headers of each answer, and refuses above."""

import math
import time
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from oms.access.authenticating import Principal
from oms.access.limits import Standing, spend
from oms.api.errors import json_error

ALL: Final = "all"
TO_ADD: Final = "oms.headers_to_add"


def refuse_above_limit(request: HttpRequest, principal: Principal) -> HttpResponse | None:
    """This function will count a request and return a 429 where the key's minute is used up."""
    limit: int = principal.requests_per_minute or settings.API_REQUESTS_PER_MINUTE
    return refuse_above(request, principal, ALL, limit)


def refuse_above(
    request: HttpRequest, principal: Principal, bucket: str, limit: int
) -> HttpResponse | None:
    """This function will do the same for one bucket; a limit of 0 is none."""
    standing = spend(principal.key_id, bucket, limit) if limit else None
    if standing is None:
        return None
    add_headers(request, _headers_of(standing))
    if not standing.is_exceeded:
        return None
    refusal = json_error(429, message=f"This app key may ask {limit} times a minute.")
    refusal.headers["Retry-After"] = str(math.ceil(standing.seconds_left))
    return refusal


def add_headers(request: HttpRequest, headers: Mapping[str, str]) -> None:
    """This function will have the answer to a request carry headers, whoever makes it."""
    request.META.setdefault(TO_ADD, {}).update(headers)


def headers_to_add(request: HttpRequest) -> dict[str, str]:
    headers: dict[str, Any] = request.META.get(TO_ADD, {})
    return headers


def _headers_of(standing: Standing) -> dict[str, str]:
    """The names of the IETF's drafts, and GitHub's, whose reset is a time and not a distance."""
    limit, remaining = str(standing.limit), str(standing.remaining)
    seconds = math.ceil(standing.seconds_left)
    return {
        "RateLimit-Limit": limit,
        "RateLimit-Remaining": remaining,
        "RateLimit-Reset": str(seconds),
        "X-RateLimit-Limit": limit,
        "X-RateLimit-Remaining": remaining,
        "X-RateLimit-Reset": str(int(time.time()) + seconds),
    }
