"""Expressions tried on recent orders before they are kept: what costs too much is not kept."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from feeds.expressions import (
    EvaluatorUnavailable,
    ExpressionRefused,
    compile_expression,
    warnings_for,
)
from oms.access.models import AppKey
from oms.orders.criteria import seen_by
from oms.orders.documents.building import documents_by_pk
from oms.orders.models import Order

LOOKED_AT: Final = 20
# Of one process: whoever comes when so many wait for their turn already is told to come again.
MOST_WAITING: Final = 2
PATIENCE_SECONDS: Final = 5.0

_places = threading.BoundedSemaphore(1 + MOST_WAITING)
_turn = threading.Lock()


@contextmanager
def trying_in_turn() -> Iterator[None]:
    """
    This context will hold the one trial that a process has at a time. Raises EvaluatorUnavailable.

    An expression that nobody knows yet may cost an evaluator each time: a key that tries many at
    once would have every thread of web wait, and take the evaluators from the feeds of others.
    """
    if not _places.acquire(blocking=False):
        raise EvaluatorUnavailable("Too many expressions are being tried. Try again in a moment.")
    try:
        if not _turn.acquire(timeout=PATIENCE_SECONDS):
            raise EvaluatorUnavailable("Another expression is being tried. Try again in a moment.")
        try:
            yield
        finally:
            _turn.release()
    finally:
        _places.release()


def try_expression(text: str, *, app_key_id: int) -> list[str]:
    """
    This function will try an expression on a key's youngest orders and return what its writer should
    know.

    Of other sellers' orders a key learns nothing, not even whether an expression fails on them. What
    is told: paths that none of them has, and how many it fails on. Raises ExpressionRefused for one
    that cannot be read, may not be kept, or used up its time or memory; EvaluatorUnavailable.
    """
    with trying_in_turn():
        return _tried(text, app_key_id)


def _tried(text: str, app_key_id: int) -> list[str]:
    expression = compile_expression(text)
    documents = _recent_documents(app_key_id)
    errors: list[str] = []
    # Singly: the first that costs too much is enough.
    for document in [{}, *documents]:
        (verdict,) = expression.verdicts([document])
        if verdict.was_costly:
            raise ExpressionRefused(verdict.error)
        if verdict.error and document:
            errors.append(verdict.error)
    failing = f"It fails on {len(errors)} of {len(documents)} orders looked at: "
    return [
        *warnings_for(expression, documents),
        *([failing + errors[-1]] if errors else []),
    ]


def warnings_of(text: str, *, app_key_id: int) -> dict[str, list[str]]:
    """
    This function will return what a configuration's answer has beyond the contract's fields.

    Nothing where there is no expression or nothing to say. Raises like `try_expression`.
    """
    warnings = try_expression(text, app_key_id=app_key_id) if text else []
    return {"warnings": warnings} if warnings else {}


def _recent_documents(app_key_id: int) -> list[dict[str, Any]]:
    key = AppKey.objects.get(pk=app_key_id)
    own = Order.objects.filter(seen_by(key.seller_ids, key.affiliate_ids))
    youngest = own.order_by("-created_at", "-pk").values_list("pk", flat=True)[:LOOKED_AT]
    return list(documents_by_pk(list(youngest)).values())
