"""An order's payment transaction as the contract's own answer tells it, from the order document."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from oms.orders.models import PaymentStatus

# What the document tells of a payment, and this answer as well, in the contract's order.
PAYMENT_KEYS: Final = (
    "id", "paymentSystem", "paymentSystemName", "value", "installments", "referenceValue",
    "cardHolder", "cardNumber", "firstDigits", "lastDigits", "url", "giftCardId", "giftCardName",
    "cvv2", "expireMonth", "expireYear", "giftCardCaption", "redemptionCode", "group", "tid",
    "dueDate",
)  # fmt: skip
NEVER_NULL: Final = (
    "id", "paymentSystem", "paymentSystemName", "firstDigits", "lastDigits", "group", "tid",
)  # fmt: skip
ANSWER: Final = {"Tid": "", "ReturnCode": None, "Message": None, "authId": ""}


def payment_transaction(document: Mapping[str, Any], statuses: Collection[str]) -> dict[str, Any]:
    """
    This function will tell the active transaction of an order, or its first.

    `statuses` are those of its payments: the transaction stands where the least advanced one does.
    """
    transactions = document["paymentData"]["transactions"]
    active = [told for told in transactions if told.get("isActive")] or transactions or [{}]
    transaction = active[0]
    return {
        "status": transaction_status(statuses),
        "isActive": bool(transaction.get("isActive")),
        "transactionId": transaction.get("transactionId") or "",
        "merchantName": transaction.get("merchantName") or document["hostname"],
        "payments": [_payment(told) for told in transaction.get("payments") or ()],
    }


def transaction_status(statuses: Collection[str]) -> str:
    """This function will say in the words of payment gateways where a transaction stands."""
    for status, word in WORDS:
        if status in statuses:
            return word
    return "Started"


WORDS: Final = (
    (PaymentStatus.DENIED, "Denied"),
    (PaymentStatus.PENDING, "Authorizing"),
    (PaymentStatus.APPROVED, "Approved"),
    (PaymentStatus.CAPTURED, "Finished"),
    (PaymentStatus.VOIDED, "Cancelled"),
)


def _payment(told: Mapping[str, Any]) -> dict[str, Any]:
    answer = told.get("connectorResponses")
    known: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    value = told.get("value")
    payment = {key: told.get(key) for key in PAYMENT_KEYS}
    payment |= {key: payment[key] or "" for key in NEVER_NULL}
    return payment | {
        "referenceValue": value
        if payment["referenceValue"] is None
        else payment["referenceValue"],
        "connectorResponses": {**ANSWER, **known},
    }
