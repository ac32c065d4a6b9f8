"""Expressions tried on recent orders before they are kept: what costs too much is not kept."""

from typing import Any, Final

from feeds.expressions import ExpressionRefused, compile_expression, warnings_for
from oms.orders.documents.building import documents_by_pk
from oms.orders.models import Order

LOOKED_AT: Final = 20


def try_expression(text: str) -> list[str]:
    """
    This function will try an expression on the youngest orders and return what its writer should know.

    That is: paths that none of them has, and how many it fails on. Raises ExpressionRefused for one
    that cannot be read, may not be kept, or used up its time or memory; EvaluatorUnavailable.
    """
    expression = compile_expression(text)
    documents = _recent_documents()
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


def warnings_of(text: str) -> dict[str, list[str]]:
    """
    This function will return what a configuration's answer has beyond the contract's fields.

    Nothing where there is no expression or nothing to say. Raises like `try_expression`.
    """
    warnings = try_expression(text) if text else []
    return {"warnings": warnings} if warnings else {}


def _recent_documents() -> list[dict[str, Any]]:
    pks = Order.objects.order_by("-pk").values_list("pk", flat=True)[:LOOKED_AT]
    return list(documents_by_pk(list(pks)).values())
