"""What each service decides about a call, from its books alone. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflow.sandbox.effects import Execution


@dataclass(frozen=True, slots=True)
class Policy:
    """
    What is decided when no outcome was forced for the order. By default all is approved.

    Shares are of orders, not of calls: an order's fate follows from its id, so a run repeats.
    """

    deny_share: float = 0.0
    payment_deny_share: float = 0.0
    refuse_share: float = 0.0
    pending_share: float = 0.0
    pending_seconds: float = 30.0


def decide(
    operation: str, body: Mapping[str, Any], history: Sequence[Execution], policy: Policy
) -> str:
    """This function will return the business result of a call that runs for the first time."""
    order_id = body["orderId"]
    if operation in ("analysis", "authorization"):
        deny = policy.deny_share if operation == "analysis" else policy.payment_deny_share
        if _chosen(order_id, operation, "denied", deny):
            return "denied"
        is_pending = _chosen(order_id, operation, "pending", policy.pending_share)
        return "pending" if is_pending else "approved"
    if operation == "reservation":
        is_refused = _chosen(order_id, operation, "refused", policy.refuse_share)
        return "refused" if is_refused else "reserved"
    if operation == "increase":
        is_denied = _chosen(order_id, "authorization", "denied", policy.payment_deny_share)
        return "denied" if is_denied else "approved"
    if operation == "reduction":
        return _decide_reduction(body, history)
    if operation in ("capture", "void", "refund"):
        return _decide_money(operation, body["value"] if operation != "void" else 0, history)
    return _decide_stock(operation, history)


def _decide_money(operation: str, value: int, history: Sequence[Execution]) -> str:
    authorized = _authorized(history)
    captured, refunded = _sum("capture", history), _sum("refund", history)
    is_void = any(past.operation == "void" and past.is_effective for past in history)
    if operation == "void":
        has_open_money = authorized > captured and not is_void
        return "voided" if has_open_money else "nothing-to-void"
    # Orders that the sandbox never authorized (imported ones) are taken on trust.
    if operation == "capture":
        is_covered = authorized == 0 or captured + value <= authorized
        return "captured" if is_covered and not is_void else "denied"
    is_covered = captured == 0 or refunded + value <= captured
    return "refunded" if is_covered else "denied"


def _authorized(history: Sequence[Execution]) -> int:
    first = _sum("authorization", history)
    return first and first + _sum("increase", history) - _sum("reduction", history)


def _decide_reduction(body: Mapping[str, Any], history: Sequence[Execution]) -> str:
    raised = any(
        past.operation == "increase" and past.subject == body["changeId"] and past.is_effective
        for past in history
    )
    is_void = any(past.operation == "void" and past.is_effective for past in history)
    authorized = _authorized(history)
    is_covered = authorized == 0 or body["value"] <= authorized - _sum("capture", history)
    is_open = is_covered and not is_void
    return "reduced" if is_open and (raised or not body["isUndo"]) else "nothing-to-reduce"


def _decide_stock(operation: str, history: Sequence[Execution]) -> str:
    done = [past.operation for past in history if past.is_effective]
    is_held = done.count("reservation") > done.count("release")
    if operation == "confirmation":
        return "confirmed" if is_held else "refused"
    if operation == "release":
        # After the withdrawal the goods are off the shelf: the store puts them back itself.
        return "released" if is_held and "withdrawal" not in done else "nothing-to-release"
    return "withdrawn"


def _sum(operation: str, history: Sequence[Execution]) -> int:
    return sum(past.value for past in history if past.operation == operation and past.is_effective)


def _chosen(order_id: str, operation: str, fate: str, share: float) -> bool:
    return share > 0 and fraction_of(f"{operation} {fate} {order_id}") < share


def fraction_of(text: str) -> float:
    """This function will map a text to a number from 0 to 1, evenly and always alike."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def answer_for(
    id_field: str | None, result: str, body: Mapping[str, Any], *, key: str
) -> dict[str, Any]:
    """This function will build the answer's body. Ids follow from the key, so a rerun repeats."""
    answer: dict[str, Any] = {"result": result}
    if id_field is not None and result != "refused":
        answer[id_field] = hashlib.blake2b(key.encode(), digest_size=16).hexdigest().upper()
    if "items" in body:
        missing = [item["uniqueId"] for item in body["items"][:1] if result == "refused"]
        answer["missing"] = missing
    return answer
