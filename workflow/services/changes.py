"""
Modifying an order that is being handled: ask, preview, retry, cancel; and the store's settings.

A change that lowers the value, or leaves it, is applied in the transaction that asks for it. One
that raises it waits for the gateway: the order is not locked and not held up meanwhile, invoices
and cancellations go first, and what became impossible by then is given up (ADR 0011).
"""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.db import transaction

from oms.ops.clock import database_now
from oms.orders.documents.errors import FieldError
from oms.orders.documents.kinds import moment_text
from oms.orders.documents.storable import storable_errors
from oms.orders.locks import LockedOrder, lock_order
from oms.orders.models import Order
from oms.orders.statuses import Flow, Status
from workflow.announcing import announce
from workflow.changes.applying import chargeable
from workflow.changes.asking import Asked, read_change
from workflow.changes.parts import OrderParts, load_parts
from workflow.changes.pricing import Plan
from workflow.changes.settling import (
    CHANGEABLE,
    cancel_request,
    carry_out,
    items_told,
    log,
    plan_for,
    refuse_below_invoiced,
    returning_of,
    write_settled,
)
from workflow.changes.telling import (
    DEFAULT_SETTINGS,
    tell_plan,
    tell_preview,
    tell_summary,
    tell_totals,
)
from workflow.flows import PAYMENT_FLOWS
from workflow.models import ChangeRequest, StoreRules, WorkItem
from workflow.moves import Change, write_change
from workflow.services.refusals import InvalidInput, PartOfOrderNotFound, Problem
from workflow.services.repair import start_again
from workflow.steps import Step
from workflow.work import NewWorkItem, add_work_items, close_items

State = ChangeRequest.State
LONGEST_REQUEST_ID: Final = ChangeRequest._meta.get_field("request_id").max_length or 0


class NotChangeable(Exception):
    """The order's flow or status knows no modification."""


class ChangeInProgress(Exception):
    """Another modification of the order waits for its payment."""


class ChangeOver(Exception):
    """The modification is done or canceled already, or a worker is at it right now."""


class ChangedDifferently(Exception):
    """The same request id was used before, for something else."""


class ChangesDisabled(Exception):
    """The store's settings do not allow modifications through the API."""


@dataclass(frozen=True, slots=True)
class _Asked:
    body: Mapping[str, Any]
    change: Asked
    settings: Mapping[str, Any]
    request_id: str
    content_hash: str


@transaction.atomic
def request_change(
    *, order_id: str, body: Mapping[str, Any], actor: str, request_id: str = ""
) -> ChangeRequest:
    """
    This function will modify an order at once, or as soon as its higher amount is authorized.

    With a `request_id` of the caller's, the same request again is answered and changes nothing.
    Raises OrderNotFound, InvalidInput, NotChangeable, ChangeInProgress, ChangedDifferently,
    ChangesDisabled.
    """
    asked = _read(body, request_id)
    order = lock_order(order_id)
    known = ChangeRequest.objects.filter(order_id=order.pk, request_id=asked.request_id).first()
    if known is not None:
        return _same(known, asked)
    _refuse_unchangeable(order.flow, order.status, order.order_id, asked.settings)
    if ChangeRequest.objects.filter(order_id=order.pk, decided_at__isnull=True).exists():
        raise ChangeInProgress(f"Another modification of order {order_id} is in progress.")
    parts = load_parts(order.pk)
    plan = _plan(asked, parts)
    request = _new_request(order, asked, plan, actor)
    if _needs_payment(order.flow, plan):
        _ask_gateway(order, request, plan, actor)
    else:
        _apply(order, parts, plan, request, actor)
    return request


def preview_change(*, order: Order, body: Mapping[str, Any]) -> dict[str, Any]:
    """
    This function will say what a change would come to, and change nothing.

    Raises what `request_change` does, except that it may be asked for in any status.
    """
    asked = _read(body, "")
    parts = load_parts(order.pk)
    plan = _plan(asked, parts)
    return tell_preview(order, plan, asked.settings, moment_text(database_now()))


@transaction.atomic
def retry_change(*, order_id: str, request_id: str, actor: str) -> None:
    """
    This function will let a change that stands still try again at once.

    One that a worker is at is left to it. Raises OrderNotFound, PartOfOrderNotFound, ChangeOver.
    """
    order = lock_order(order_id)
    request = _open_request(order, request_id)
    item = _work_of(order)
    if item is not None and item.leased_until and item.leased_until > order.read_at:
        return
    log(request, order, "Tried again by request.")
    request.save()
    write_change(
        Change(order=order, actor=actor, kind="work.retried", data={"step": Step.AUTHORIZE_CHANGE})
    )
    if item is None:
        announce(add_work_items([_authorizing(order)]))
    else:
        start_again(order, item)
        announce([item.pk])


@transaction.atomic
def cancel_change(*, order_id: str, request_id: str, actor: str, reason: str = "") -> None:
    """
    This function will give up a change that is not applied yet. Said twice, it stays canceled.

    What its payment may have set aside is given back. Raises OrderNotFound, PartOfOrderNotFound;
    ChangeOver for one that is done, or that a worker is at this moment.
    """
    order = lock_order(order_id)
    request = _find(order.pk, request_id)
    if request.state == State.CANCELED:
        return
    request = _open_request(order, request_id)
    item = _work_of(order)
    if item is not None and item.leased_until and item.leased_until > order.read_at:
        raise ChangeOver("The gateway is being asked right now. Try again in a moment.")
    close_items([] if item is None else [item.pk])
    settled = cancel_request(
        order,
        request,
        actor=actor,
        reason=reason or "Canceled by request.",
        is_unsure=item is None or item.fence > 0,
    )
    write_settled(settled)


def find_request(*, order: Order, request_id: str) -> ChangeRequest:
    """This function will return one change request. Raises PartOfOrderNotFound."""
    return _find(order.pk, request_id)


def requests_of(order: Order) -> list[ChangeRequest]:
    """This function will list an order's change requests, oldest first."""
    return list(ChangeRequest.objects.filter(order_id=order.pk).order_by("requested_at", "pk"))


def summarize_changes(order: Order) -> dict[str, Any]:
    """This function will sum up an order's applied changes, with its items before the first."""
    done = [request for request in requests_of(order) if request.state == State.DONE]
    originals = (request.original for request in done if request.original is not None)
    original = next(originals, None)
    return tell_summary(items_told(order) if original is None else original, done)


# Settings


def change_settings() -> dict[str, Any]:
    """This function will return the store's settings for changes."""
    told = StoreRules.objects.values_list("change_settings", flat=True).first()
    return _merged(DEFAULT_SETTINGS, told or {}, "")


def set_change_settings(body: Mapping[str, Any]) -> dict[str, Any]:
    """
    This function will change what is told of the store's settings and leave the rest.

    Returns all of them. Raises InvalidInput.
    """
    with transaction.atomic():
        StoreRules.objects.get_or_create(id=1)
        rules = StoreRules.objects.select_for_update().get(id=1)
        merged = _merged(_merged(DEFAULT_SETTINGS, rules.change_settings or {}, ""), body, "")
        merged["rolloutConfiguration"]["usingDefaultBehavior"] = False
        rules.change_settings = merged
        rules.save(update_fields=["change_settings"])
    return merged


def _merged(known: Mapping[str, Any], told: Any, path: str) -> dict[str, Any]:
    """This function will put told settings over known ones, refusing those of another type."""
    if not isinstance(told, Mapping):
        raise InvalidInput(Problem(path, "expected an object"))
    merged = dict(known)
    for key, value in known.items():
        where = f"{path}.{key}" if path else key
        if key not in told or told[key] is None:
            merged[key] = _merged(value, {}, where) if isinstance(value, Mapping) else value
        elif isinstance(value, Mapping):
            merged[key] = _merged(value, told[key], where)
        else:
            merged[key] = _checked(value, told[key], where)
    return merged


def _checked(known: Any, told: Any, path: str) -> Any:
    if isinstance(known, bool):
        if not isinstance(told, bool):
            raise InvalidInput(Problem(path, "expected true or false"))
        return told
    is_list = isinstance(told, list) and len(told) <= 200
    if not is_list or not all(isinstance(entry, str) and len(entry) <= 80 for entry in told):
        raise InvalidInput(Problem(path, "expected a list of at most 200 short texts"))
    return told


# Asking


def _read(body: Mapping[str, Any], request_id: str) -> _Asked:
    errors: list[FieldError] = storable_errors(body)
    if errors:
        raise InvalidInput(*(Problem(e.field, e.message, e.allowed) for e in errors))
    if len(request_id) > LONGEST_REQUEST_ID or not request_id.isprintable():
        message = f"Expected at most {LONGEST_REQUEST_ID} printable characters."
        raise InvalidInput(Problem("requestId", message))
    content = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    return _Asked(
        body=body,
        change=read_change(body),
        settings=_settings_of(body),
        request_id=request_id or str(uuid.uuid4()),
        content_hash=hashlib.sha256(content).hexdigest(),
    )


def _settings_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request may say how it wants to be carried out, but not whether it may: that is the store's."""
    known = change_settings()
    merged = _merged(known, body.get("settings") or {}, "settings")
    return {**merged, "rolloutConfiguration": known["rolloutConfiguration"]}


def _same(known: ChangeRequest, asked: _Asked) -> ChangeRequest:
    if known.content_hash != asked.content_hash:
        raise ChangedDifferently(
            f"Request {known.request_id} was made before, for another change."
        )
    return known


def _refuse_unchangeable(
    flow: Flow, status: Status, order_id: str, settings: Mapping[str, Any]
) -> None:
    if not settings["rolloutConfiguration"]["enableApi"]:
        raise ChangesDisabled("Modifications are switched off in the settings (enableApi).")
    if flow is Flow.CHAIN:
        raise NotChangeable("Orders of a chain cannot be modified.")
    if status not in CHANGEABLE:
        raise NotChangeable(
            f"Order {order_id} is in {status}; a modification needs {' or '.join(CHANGEABLE)}."
        )


def _plan(asked: _Asked, parts: OrderParts) -> Plan:
    plan = plan_for(asked.change, asked.request_id, asked.settings, parts)
    refuse_below_invoiced(parts, plan)
    if _needs_payment(Flow(parts.order.flow), plan):
        allowed = asked.settings["paymentConfiguration"]["customPaymentSystemsAllowed"]
        if chargeable(parts.payments, allowed) is None:
            message = "No payment of this order can be charged with a higher amount."
            raise InvalidInput(Problem("manualIncrementValue", message))
    return plan


def _needs_payment(flow: Flow, plan: Plan) -> bool:
    return flow in PAYMENT_FLOWS and plan.difference_cents > 0


def _new_request(order: LockedOrder, asked: _Asked, plan: Plan, actor: str) -> ChangeRequest:
    return ChangeRequest(
        order_id=order.pk,
        request_id=asked.request_id,
        workflow_id=uuid.uuid4(),
        content_hash=asked.content_hash,
        state=State.WAITING_ACKNOWLEDGEMENT,
        requested_by=actor,
        requested_at=order.read_at,
        reason=plan.asked.reason,
        discount_cents=plan.asked.discount_cents,
        increment_cents=plan.asked.increment_cents,
        difference_cents=plan.difference_cents,
        totals=tell_totals(plan),
        asked=dict(asked.body),
        told=tell_plan(plan),
        settings=dict(asked.settings),
    )


def _ask_gateway(order: LockedOrder, request: ChangeRequest, plan: Plan, actor: str) -> None:
    log(request, order, f"{plan.difference_cents} cents more are being authorized.")
    request.save()
    write_change(
        Change(
            order=order,
            actor=actor,
            kind="order.change-requested",
            reason=plan.asked.reason,
            data={
                "requestId": request.request_id,
                "differenceCents": plan.difference_cents,
            },
        )
    )
    announce(add_work_items([_authorizing(order)]))


def _apply(
    order: LockedOrder, parts: OrderParts, plan: Plan, request: ChangeRequest, actor: str
) -> None:
    written = write_change(carry_out(order, parts, plan, request, actor=actor))
    due = list(written.due_item_ids)
    if request.returns_cents:
        due += add_work_items([returning_of(order)])
    announce(due)


def _authorizing(order: LockedOrder) -> NewWorkItem:
    return NewWorkItem(
        order_pk=order.pk,
        step=Step.AUTHORIZE_CHANGE,
        priority=order.priority,
        due_at=order.read_at,
    )


def _find(order_pk: int, request_id: str) -> ChangeRequest:
    found = ChangeRequest.objects.filter(order_id=order_pk, request_id=request_id).first()
    if found is None:
        raise PartOfOrderNotFound(f"The order has no change request {request_id}.")
    return found


def _open_request(order: LockedOrder, request_id: str) -> ChangeRequest:
    request = _find(order.pk, request_id)
    if not request.is_open:
        raise ChangeOver(f"The modification is {request.state} already.")
    return request


def _work_of(order: LockedOrder) -> WorkItem | None:
    return WorkItem.objects.filter(order_id=order.pk, step=Step.AUTHORIZE_CHANGE).first()
