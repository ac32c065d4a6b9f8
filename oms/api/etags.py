"""
Entity tags of orders: told from an order's row, without building its document.

A tag is `"{version}-{in error}-{code}"`. The version counts the order's events, so it changes with
everything that happens to it; whether its work is parked is no event and stands beside it; `code`
stands for the modules that build documents and for the settings that they print.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from oms.access.authenticating import Principal
from oms.api.scoping import lock_visible
from oms.orders import documents
from oms.orders.models import Order

PRINTED = (
    "STORE_NAME",
    "STORE_COUNTRY",
    "STORE_CURRENCY",
    "STORE_CURRENCY_SYMBOL",
    "STORE_TIME_ZONE",
)
# Proxies that compress turn a tag into a weak one on its way; the version in it stays what it was.
_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_VERSION = re.compile(r"(\d{1,10})-")


class PreconditionFailed(Exception):
    """The order is no longer as the caller saw it; answered 412."""

    def __init__(self, order_id: str, version: int) -> None:
        super().__init__(
            f"Order {order_id} has changed meanwhile: it is at version {version} now."
            " Read it again, then decide."
        )


def order_tag(order: Order, *, is_in_error: bool) -> str:
    """This function will return the strong tag of one order's document."""
    return f'"{order.version}-{int(is_in_error)}-{_code()}"'


def orders_tag(orders: Sequence[Order], in_error: frozenset[int]) -> str:
    """This function will return the strong tag of the documents of several orders."""
    told = " ".join(f"{order.pk}.{order.version}.{order.pk in in_error}" for order in orders)
    return f'"{hashlib.sha256(told.encode()).hexdigest()[:20]}-{_code()}"'


def answer_if_known(request: Request, tag: str) -> Response | None:
    """This function will return a 304 for a caller that has this document, None for others."""
    given = request.META.get("HTTP_IF_NONE_MATCH", "")
    if given.strip() == "*" or tag.strip('"') in _TAG.findall(given):
        return Response(status=304, headers={"ETag": tag})
    return None


def require_version(reference: str, if_match: str, principal: Principal) -> None:
    """
    This function will lock an order and check that the caller knows its present version.

    The lock is the caller's transaction's, so nothing can come between the check and the effect.
    Only the version counts: that work is parked or that code was deployed changes no order. Raises
    OrderNotFound, PreconditionFailed.
    """
    locked = lock_visible(reference, principal)
    if if_match.strip() != "*" and locked.version not in _versions_in(if_match):
        raise PreconditionFailed(locked.order_id, locked.version)


def _versions_in(if_match: str) -> set[int]:
    found = (_VERSION.match(tag) for tag in _TAG.findall(if_match))
    return {int(match[1]) for match in found if match}


@cache
def _code() -> str:
    folder = Path(documents.__file__).parent
    digest = hashlib.sha256(repr([getattr(settings, name) for name in PRINTED]).encode())
    for module in sorted(folder.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()[:8]
