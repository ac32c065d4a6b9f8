"""What the sandbox's services offer, as one table. Written from their side, not imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Operation:
    """
    `effective` are the results that changed something outside: only those can be doubled.
    `subject_field` tells two rightful effects of one order apart: one capture per invoice, one
    reservation per seller (`turn`).
    """

    name: str
    connector: str
    path: str
    required: Mapping[str, type | tuple[type, ...]]
    results: frozenset[str]
    effective: frozenset[str]
    id_field: str | None = None
    subject_field: str | None = None

    def subject_of(self, body: Mapping[str, Any]) -> str:
        return str(body.get(self.subject_field, "")) if self.subject_field else ""

    def complaint_about(self, body: Mapping[str, Any]) -> str | None:
        """This function will say what is wrong with a request, or None."""
        for field, kind in self.required.items():
            if not isinstance(body.get(field), kind):
                return f"{field} is missing or of another type"
        if body.get("value", 0) < 0:
            return "value is negative"
        if "items" in self.required and not all(_is_item(item) for item in body["items"]):
            return "items: expected objects with uniqueId, id, seller and quantity"
        return None


def _is_item(item: object) -> bool:
    return (
        isinstance(item, dict)
        and all(isinstance(item.get(field), str) for field in ("uniqueId", "id", "seller"))
        and isinstance(item.get("quantity"), int)
        and item["quantity"] > 0
    )


_VERDICT = frozenset({"approved", "denied", "pending"})
_MONEY_PATH = {"orderId": str, "value": int, "currency": str, "payments": list}
_CHANGED = {"orderId": str, "value": int, "changeId": str}
_INVOICED = {"orderId": str, "value": int, "invoiceNumber": str}

OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation(
            "analysis", "antifraud", "/analyses", _MONEY_PATH, _VERDICT, _VERDICT, "analysisId"
        ),
        Operation(
            "authorization",
            "payments",
            "/authorizations",
            _MONEY_PATH,
            _VERDICT,
            frozenset({"approved", "pending"}),
            "transactionId",
        ),
        Operation(
            "capture",
            "payments",
            "/captures",
            {**_INVOICED, "transactionId": str},
            frozenset({"captured", "denied"}),
            frozenset({"captured"}),
            "captureId",
            "invoiceNumber",
        ),
        Operation(
            "increase",
            "payments",
            "/increases",
            {**_CHANGED, "currency": str},
            _VERDICT,
            frozenset({"approved", "pending"}),
            None,
            "changeId",
        ),
        Operation(
            "reduction",
            "payments",
            "/reductions",
            {**_CHANGED, "isUndo": bool},
            frozenset({"reduced", "nothing-to-reduce"}),
            frozenset({"reduced"}),
            None,
            "changeId",
        ),
        Operation(
            "void",
            "payments",
            "/voids",
            {"orderId": str},
            frozenset({"voided", "nothing-to-void"}),
            frozenset({"voided"}),
        ),
        Operation(
            "refund",
            "payments",
            "/refunds",
            _INVOICED,
            frozenset({"refunded", "denied"}),
            frozenset({"refunded"}),
            None,
            "invoiceNumber",
        ),
        Operation(
            "reservation",
            "stock",
            "/reservations",
            {"orderId": str, "items": list},
            frozenset({"reserved", "refused"}),
            frozenset({"reserved"}),
            "reservationId",
            "turn",
        ),
        Operation(
            "confirmation",
            "stock",
            "/confirmations",
            {"orderId": str},
            frozenset({"confirmed", "refused"}),
            frozenset({"confirmed"}),
        ),
        Operation(
            "withdrawal",
            "stock",
            "/withdrawals",
            {"orderId": str},
            frozenset({"withdrawn"}),
            frozenset({"withdrawn"}),
        ),
        Operation(
            "release",
            "stock",
            "/releases",
            {"orderId": str},
            frozenset({"released", "nothing-to-release"}),
            frozenset({"released"}),
            None,
            "turn",
        ),
    )
}
CONNECTORS = frozenset({operation.connector for operation in OPERATIONS.values()} | {"carrier"})
