"""
Canceling: at once until the window to cancel closes, by request and decision afterwards.

Until the window to cancel closes a cancellation is carried out at once. From ready-for-handling
on it is a request that the seller accepts or denies (research, workflow 1.5). Cancellation and
invoice race for the order's row lock: one wins, the other is told 409 (KI 1400005).
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from oms.orders.locks import LockedOrder, lock_order
from oms.orders.models import CancellationRequest, InvoiceType, Package
from oms.orders.statuses import Status
from workflow.announcing import announce
from workflow.flows import Action, TransitionNotAllowed, find_next_status
from workflow.moves import Change, write_change
from workflow.services.refusals import CancellationRefused, PartOfOrderNotFound

DECIDING: Final = frozenset({Status.CANCELLATION_REQUESTED, Status.WAITING_FOR_SELLER_DECISION})


@dataclass(frozen=True, slots=True)
class Canceled:
    """Where a cancellation stands: carried out, or asked for under `request_id`."""

    status: Status
    at: datetime
    request_id: uuid.UUID | None


@transaction.atomic
def cancel_order(
    *,
    order_id: str,
    reason: str,
    actor: str,
    may_confirm: bool = True,
    as_seller: bool = False,
) -> Canceled:
    """
    This function will cancel an order at once where the table allows it, else ask the seller.

    With `may_confirm`, a call that finds a request already there carries it out, as the anchor's
    sellers expect. `as_seller` says that the seller itself cancels: where another seller could
    take the order, it goes to window-to-change-seller instead. Raises OrderNotFound;
    CancellationRefused for a partly invoiced order; TransitionNotAllowed in every other status
    that knows neither.
    """
    order = lock_order(order_id)
    _refuse_partly_invoiced(order)
    if as_seller and find_next_status(order.flow, order.status, Action.LOSE_SELLER):
        return _move(order, Action.LOSE_SELLER, actor, reason, None)
    if find_next_status(order.flow, order.status, Action.CANCEL):
        return _move(order, Action.CANCEL, actor, reason, None)
    if may_confirm and order.status in DECIDING:
        return _confirm(order, actor, reason)
    return _request(order, actor, reason)


@transaction.atomic
def accept_cancellation(*, order_id: str, actor: str, reason: str = "") -> Canceled:
    """This function will carry out a requested cancellation."""
    return _accept(lock_order(order_id), actor, reason)


@transaction.atomic
def deny_cancellation(
    *, order_id: str, actor: str, reason: str, request_id: uuid.UUID | None = None
) -> Status:
    """
    This function will deny a requested cancellation; the order returns to where it was.

    Raises PartOfOrderNotFound if `request_id` is not the open request.
    """
    order = lock_order(order_id)
    open_request = _open_request(order)
    if request_id is not None and _id_of(open_request) != request_id:
        raise PartOfOrderNotFound(f"The order has no open cancellation request {request_id}.")
    return _move(order, Action.DENY_CANCELLATION, actor, reason, _id_of(open_request)).status


def _request(order: LockedOrder, actor: str, reason: str) -> Canceled:
    Change(order=order, actor=actor, action=Action.REQUEST_CANCELLATION).next_status()
    request_id = uuid.uuid4()
    # Before the move: the snapshot that the move leaves must have it.
    CancellationRequest.objects.create(
        order_id=order.pk,
        request_id=request_id,
        reason=reason,
        requested_by=actor,
        requested_at=order.read_at,
        status_before=order.status,
    )
    return _move(order, Action.REQUEST_CANCELLATION, actor, reason, request_id)


def _open_request(order: LockedOrder) -> CancellationRequest | None:
    return CancellationRequest.objects.filter(order_id=order.pk, decided_at__isnull=True).first()


def _confirm(order: LockedOrder, actor: str, reason: str) -> Canceled:
    # The seller's second call confirms its own request, as in the anchor. One that comes sooner is
    # the first one repeated by a nervous client, and must not confirm anything.
    if order.read_at - order.status_since < timedelta(
        seconds=settings.CANCELLATION_CONFIRM_SECONDS
    ):
        raise TransitionNotAllowed(
            order_id=order.order_id, flow=order.flow, status=order.status, action=Action.CANCEL
        )
    return _accept(order, actor, reason)


def _accept(order: LockedOrder, actor: str, reason: str) -> Canceled:
    # The request itself is closed by the move (`workflow.moves`), as it is when time decides.
    request = _open_request(order)
    return _move(
        order, Action.ACCEPT_CANCELLATION, actor, reason or _reason_of(request), _id_of(request)
    )


def _move(
    order: LockedOrder, action: Action, actor: str, reason: str, request_id: uuid.UUID | None
) -> Canceled:
    data = {} if request_id is None else {"cancellationRequestId": str(request_id)}
    written = write_change(
        Change(order=order, actor=actor, action=action, reason=reason, data=data)
    )
    announce(written.due_item_ids)
    return Canceled(written.statuses[order.pk], order.read_at, request_id)


def _refuse_partly_invoiced(order: LockedOrder) -> None:
    if (
        order.status is not Status.INVOICED
        and Package.objects.filter(order_id=order.pk, type=InvoiceType.OUTPUT).exists()
    ):
        raise CancellationRefused(
            f"Order {order.order_id} is partly invoiced and cannot be canceled."
        )


def _id_of(request: CancellationRequest | None) -> uuid.UUID | None:
    return None if request is None else request.request_id


def _reason_of(request: CancellationRequest | None) -> str:
    return "" if request is None else request.reason
