"""
What staff can do to an order: a table from name to label, legality, permission and service call.

Legality is asked of the workflow's own tables for the buttons; the service decides again under
the order's lock, so a button that is out of date is refused there and changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction

from oms.backoffice.roles import May
from oms.ops.audit import record_audit
from oms.orders.models import Payment, PaymentStatus
from oms.orders.statuses import STATUS_LABELS, Flow, Status
from workflow.flows import Action, actions_from
from workflow.services.authorization import EARLY_STATUSES, authorize_fulfillment, authorize_order
from workflow.services.cancellation import accept_cancellation, cancel_order, deny_cancellation
from workflow.services.handling import move_order
from workflow.services.payment import EARLY_STATUSES as EARLY_PAYMENT_STATUSES
from workflow.services.payment import approve_payment, deny_payment
from workflow.services.repair import force_status

A, S = Action, Status


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What decides which actions are offered."""

    flow: Flow
    status: Status
    payments: Sequence[Payment] = ()

    @property
    def legal(self) -> frozenset[Action]:
        return frozenset(actions_from(self.flow, self.status))


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act on one order: everything that a service call needs."""

    order_id: str
    actor: str
    reason: str
    payment_id: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAction:
    """
    One button. `effect` says what it will do, `done` what it did, for the message.

    `audited_as` names the entry in the audit log; empty where the service writes its own.
    """

    name: str
    label: str
    icon: str
    effect: str
    done: str
    run: Callable[[Act], object]
    is_legal: Callable[[OrderFacts], bool]
    audited_as: str = ""
    permission: May = May.ACT_ON_ORDER
    is_dangerous: bool = False
    needs_reason: bool = True
    is_per_payment: bool = False
    asks_status: bool = False


def _can(action: Action) -> Callable[[OrderFacts], bool]:
    return lambda facts: action in facts.legal


def _move(action: Action) -> Callable[[Act], object]:
    return lambda act: move_order(
        order_id=act.order_id, action=action, actor=act.actor, reason=act.reason
    )


def _cancel(act: Act) -> object:
    # Somebody may have asked already while the page was open: accepting is another button.
    return cancel_order(
        order_id=act.order_id, reason=act.reason, actor=act.actor, may_confirm=False
    )


def _can_authorize_fulfillment(facts: OrderFacts) -> bool:
    if facts.flow not in (Flow.FULFILLMENT, Flow.CHAIN):
        return False
    wanted = (
        A.AUTHORIZE_FULFILLMENT if facts.flow is Flow.FULFILLMENT else A.AUTHORIZE_BY_MARKETPLACE
    )
    return wanted in facts.legal or facts.status in EARLY_STATUSES


def _can_approve_payment(facts: OrderFacts) -> bool:
    return (
        A.APPROVE_PAYMENT in facts.legal
        or A.RETRY_PAYMENT in facts.legal
        or facts.status in EARLY_PAYMENT_STATUSES
    )


ACTIONS: Final[Mapping[str, OrderAction]] = {
    action.name: action
    for action in (
        OrderAction(
            name="authorize-order",
            audited_as="order.authorized",
            label="Authorize order",
            icon="verified",
            effect="The order goes on although its value is above the limit.",
            done="Authorized.",
            run=lambda act: authorize_order(
                order_id=act.order_id, actor=act.actor, reason=act.reason
            ),
            is_legal=_can(A.AUTHORIZE_ORDER),
        ),
        OrderAction(
            name="approve-payment",
            audited_as="payment.approved",
            label="Approve payment",
            icon="price_check",
            effect="The payment counts as approved, as if the gateway had said so.",
            done="Payment approved.",
            run=lambda act: approve_payment(
                order_id=act.order_id,
                payment_id=act.payment_id,
                actor=act.actor,
                reason=act.reason,
            ),
            is_legal=_can_approve_payment,
            is_per_payment=True,
        ),
        OrderAction(
            name="deny-payment",
            audited_as="payment.denied",
            label="Deny payment",
            icon="credit_card_off",
            effect="The payment counts as denied, which denies the payment of the whole order.",
            done="Payment denied.",
            run=lambda act: deny_payment(
                order_id=act.order_id,
                payment_id=act.payment_id,
                actor=act.actor,
                reason=act.reason,
            ),
            is_legal=_can(A.DENY_PAYMENT),
            is_per_payment=True,
            is_dangerous=True,
        ),
        OrderAction(
            name="authorize-fulfillment",
            audited_as="order.fulfillment_authorized",
            label="Authorize fulfillment",
            icon="local_shipping",
            effect="The order may be shipped, as if the marketplace had said so. "
            "If it never pays, the loss is yours.",
            done="Fulfillment authorized.",
            run=lambda act: authorize_fulfillment(
                order_id=act.order_id, actor=act.actor, reason=act.reason
            ),
            is_legal=_can_authorize_fulfillment,
        ),
        OrderAction(
            name="release-from-warehouse",
            audited_as="order.released_from_warehouse",
            label="Release from warehouse",
            icon="warehouse",
            effect="The order becomes ready for handling, as if the warehouse system had said so.",
            done="Released.",
            run=_move(A.RELEASE_FROM_WAREHOUSE),
            is_legal=_can(A.RELEASE_FROM_WAREHOUSE),
        ),
        OrderAction(
            name="start-handling",
            audited_as="order.handling_started",
            label="Start handling",
            icon="package_2",
            effect="Its items are taken out of stock and it can be picked. "
            "From here on it can no longer be canceled at once.",
            done="Handling started.",
            run=_move(A.START_HANDLING),
            is_legal=_can(A.START_HANDLING),
            needs_reason=False,
        ),
        OrderAction(
            name="finish-picking",
            audited_as="order.picked",
            label="Picked and packed",
            icon="inventory",
            effect="The order becomes ready for invoicing.",
            done="Picked.",
            run=_move(A.FINISH_PICKING),
            is_legal=_can(A.FINISH_PICKING),
            needs_reason=False,
        ),
        OrderAction(
            name="accept-cancellation",
            audited_as="order.cancellation_accepted",
            label="Accept cancellation",
            icon="check",
            effect="The order is canceled: payment and stock are given back.",
            done="Cancellation accepted.",
            run=lambda act: accept_cancellation(
                order_id=act.order_id, actor=act.actor, reason=act.reason
            ),
            is_legal=_can(A.ACCEPT_CANCELLATION),
            is_dangerous=True,
            needs_reason=False,
        ),
        OrderAction(
            name="deny-cancellation",
            audited_as="order.cancellation_denied",
            label="Deny cancellation",
            icon="block",
            effect="The order returns to where it was before the cancellation was asked for.",
            done="Cancellation denied.",
            run=lambda act: deny_cancellation(
                order_id=act.order_id, actor=act.actor, reason=act.reason
            ),
            is_legal=_can(A.DENY_CANCELLATION),
        ),
        OrderAction(
            name="cancel",
            audited_as="order.canceled",
            label="Cancel order",
            icon="cancel",
            effect="The order is canceled at once: payment and stock are given back.",
            done="Canceled.",
            run=_cancel,
            is_legal=_can(A.CANCEL),
            is_dangerous=True,
        ),
        OrderAction(
            name="request-cancellation",
            audited_as="order.cancellation_requested",
            label="Ask for cancellation",
            icon="cancel_schedule_send",
            effect="The order is already being handled: somebody must accept or deny.",
            done="Cancellation asked for.",
            run=_cancel,
            is_legal=_can(A.REQUEST_CANCELLATION),
            is_dangerous=True,
        ),
        OrderAction(
            name="lose-seller",
            audited_as="order.seller_lost",
            label="Seller gives it up",
            icon="storefront",
            effect="The order waits for another seller, as if its seller had canceled. "
            "If none takes it until the window to change seller closes, it is canceled.",
            done="Waiting for another seller.",
            run=lambda act: cancel_order(
                order_id=act.order_id, reason=act.reason, actor=act.actor, as_seller=True
            ),
            is_legal=_can(A.LOSE_SELLER),
            is_dangerous=True,
        ),
        OrderAction(
            name="force-status",
            label="Force status",
            icon="gavel",
            effect="The last resort: puts the order into a status around the rules and opens that "
            "status's steps. Payment, stock and invoices are not touched by this.",
            done="Status forced.",
            run=lambda act: force_status(
                order_id=act.order_id,
                status=Status(act.status),
                reason=act.reason,
                actor=act.actor,
            ),
            is_legal=lambda facts: True,
            permission=May.FORCE_STATUS,
            is_dangerous=True,
            asks_status=True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One button to show. `payment`: the payment it is about, if it is about one."""

    action: OrderAction
    payment: Payment | None = None


def offers(facts: OrderFacts, permissions: frozenset[May]) -> list[Offer]:
    """This function will list what this person may do to the order now."""
    found: list[Offer] = []
    for action in ACTIONS.values():
        if action.permission not in permissions or not action.is_legal(facts):
            continue
        if action.is_per_payment:
            found += [Offer(action, payment) for payment in _open_payments(action, facts)]
        else:
            found.append(Offer(action))
    return found


def forcible_statuses(facts: OrderFacts) -> list[tuple[str, str]]:
    """This function will list the statuses that the order's flow knows, but for its present one."""
    known = {status for status in Status if actions_from(facts.flow, status)} | {
        S.INVOICED,
        S.CANCELED,
        S.REPLACED,
    }
    return [
        (status.value, f"{STATUS_LABELS[status]} ({status.value})")
        for status in Status
        if status in known and status is not facts.status and status is not S.NULL
    ]


@transaction.atomic
def perform(action: OrderAction, act: Act) -> None:
    """
    This function will run an action and note it in the audit log, both or neither.

    Raises what the service raises.
    """
    action.run(act)
    if not action.audited_as:
        return
    record_audit(
        actor=act.actor,
        action=action.audited_as,
        object_type="order",
        object_id=act.order_id,
        reason=act.reason,
        details={"payment": act.payment_id} if act.payment_id else {},
    )


def _open_payments(action: OrderAction, facts: OrderFacts) -> list[Payment]:
    closed = {PaymentStatus.APPROVED, PaymentStatus.CAPTURED, PaymentStatus.VOIDED}
    if action.name == "deny-payment":
        closed = {PaymentStatus.DENIED, PaymentStatus.CAPTURED, PaymentStatus.VOIDED}
    return [payment for payment in facts.payments if payment.status not in closed]
