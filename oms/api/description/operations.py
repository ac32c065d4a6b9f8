"""All operations: the tables of the subjects, put together."""

import re
from typing import Any

from rest_framework.views import APIView

from oms.api.description.changes import CHANGES
from oms.api.description.feeds import FEEDS
from oms.api.description.hooks import HOOKS
from oms.api.description.ledger import LEDGER
from oms.api.description.operation import Operation, Operations
from oms.api.description.orders import ORDERS
from oms.api.description.shapes import ANYTHING

OPERATIONS: Operations = ORDERS | CHANGES | FEEDS | HOOKS | LEDGER

TAGS = {
    "Orders": "Reading one order or many.",
    "Order actions": "Telling what happened to an order.",
    "Changes": "Adding, removing and replacing items, prices, and the seller.",
    "Placing": "What a marketplace does.",
    "Feed": "Every change of orders, handed out until it is committed.",
    "Hook": "The same, delivered to an address.",
    "Ledger": "Every event by position, and the proof that nothing is missing.",
}


def find_operation(view: APIView, method: str, path: str) -> Operation:
    """This function will return the entry of an operation; without one, what the view itself says."""
    operation = OPERATIONS.get((type(view), method))
    if operation is None:
        return _undescribed(type(view), method)
    if "/hook/" in path and operation.tag == "Feed":
        return _for_hook(operation)
    return operation


def _for_hook(operation: Operation) -> Operation:
    """Feed and hook share some views: what they do is the same, their names are not."""
    kept = {name: getattr(operation, name) for name in Operation.__slots__}
    return Operation(**kept | {"id": operation.id.replace("feed", "hook"), "tag": "Hook"})


def _undescribed(view: type[APIView], method: str) -> Operation:
    words = re.findall(r"[A-Z][a-z]+", view.__name__.removesuffix("View"))
    summary = (view.__doc__ or "").strip().splitlines()[0] if view.__doc__ else " ".join(words)
    answers: dict[int, Any] = {200: ANYTHING}
    return Operation(
        id="_".join([method.lower(), *(word.lower() for word in words)]),
        tag="Orders",
        summary=summary,
        body=ANYTHING if method in {"POST", "PUT", "PATCH"} else None,
        answers=answers,
    )
