"""
The only writer of an order's status.

One order or two hundred take the same statements: the caller locks, decides in Python what happens
to each order, and `write_changes` updates the rows, appends the events, closes the work items of
the statuses left and opens those of the statuses reached, all in the caller's transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings

from oms.ops.statements import Statement, as_json, run_together
from oms.orders.ledger import NewEvent, recorded_ids, recording_of
from oms.orders.locks import LockedOrder
from oms.orders.snapshots import snapshots_of
from oms.orders.statuses import Status
from workflow.budgets import budget_ends_at
from workflow.flows import (
    EVENT_KINDS,
    GIVEN_UP,
    Action,
    TransitionNotAllowed,
    find_next_status,
)
from workflow.policies import policies
from workflow.steps import UNBOUND_STEPS, UNDO_OF_STEP, Window, openings_of
from workflow.work import (
    ClosedItem,
    NewWorkItem,
    add_work_items,
    adding_of,
    closing_of,
    due_of,
)

AUTHORIZING: Final = frozenset(
    {Action.PASS_ANTIFRAUD, Action.AUTHORIZE_FULFILLMENT, Action.AUTHORIZE_BY_MARKETPLACE}
)
CANCELING: Final = frozenset({Action.CANCEL, Action.ACCEPT_CANCELLATION})
# An open cancellation request is decided, one way or the other, by leaving these.
ASKED: Final = frozenset(
    {Status.REQUEST_CANCEL, Status.WAITING_FOR_SELLER_DECISION, Status.CANCELLATION_REQUESTED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    What happens to one locked order: a move of the table, a forced move, or an event without move.

    `action` decides the next status. Without one, `kind` names the event; with both, `kind` wins
    over the table's name. `forced_to` is the repair that goes around the table.
    """

    order: LockedOrder
    actor: str
    action: Action | None = None
    forced_to: Status | None = None
    kind: str = ""
    reason: str = ""
    changes: Mapping[str, list[Any]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    parts_changed: bool = False
    authorizes: bool = False

    def next_status(self) -> Status:
        """
        This function will return the status that the order reaches.

        :raises TransitionNotAllowed: if the table of its flow has no such move.
        """
        if self.forced_to is not None:
            return self.forced_to
        if self.action is None:
            return self.order.status
        reached = find_next_status(self.order.flow, self.order.status, self.action)
        if reached is None:
            raise TransitionNotAllowed(
                order_id=self.order.order_id,
                flow=self.order.flow,
                status=self.order.status,
                action=self.action,
            )
        return reached


@dataclass(frozen=True, slots=True)
class Written:
    """What `write_changes` did: the status each order has now, and the work that is due at once."""

    statuses: dict[int, Status]
    due_item_ids: list[int]


def write_changes(changes: Sequence[Change]) -> Written:
    """
    This function will apply changes to locked orders, each order at most once: one round trip.

    Parts of the orders must be written before: the snapshots taken here do not have what comes
    after.

    :raises TransitionNotAllowed: if one of the moves is illegal; nothing is written then.
    """
    reached = {change.order.pk: change.next_status() for change in changes}
    if not changes:
        return Written(reached, [])
    moved = [change for change in changes if change.action or change.forced_to]
    items = [
        item for change in moved for item in _items_of(change.order, reached[change.order.pk])
    ]
    events = [_event_of(change, reached[change.order.pk]) for change in changes]
    _, recorded, *_, closed, added, _ = run_together(
        _updating_of(changes, reached),
        recording_of(events),
        *_deciding_of(moved, reached),
        closing_of([change.order.pk for change in moved], keep=UNBOUND_STEPS),
        adding_of(items),
        snapshots_of((event.order_pk, event.seq) for event in events),
    )
    recorded_ids(recorded, count=len(changes))
    undoing = _undoing(moved, reached, [ClosedItem(*row) for row in closed])
    return Written(reached, due_of(added) + add_work_items(undoing))


def write_change(change: Change) -> Written:
    """This function will apply one change: `write_changes` for a single order."""
    return write_changes([change])


def _deciding_of(moved: Sequence[Change], reached: Mapping[int, Status]) -> list[Statement]:
    """This function will return what closes the open cancellation requests of these orders."""
    decided = [
        change
        for change in moved
        if change.order.status in ASKED and reached[change.order.pk] not in ASKED
    ]
    if not decided:
        return []
    is_denied = [reached[change.order.pk] not in GIVEN_UP for change in decided]
    rows = [
        {
            "order_id": change.order.pk,
            "at": change.order.read_at,
            "is_denied": denied,
            "deny_reason": change.reason if denied else "",
        }
        for change, denied in zip(decided, is_denied, strict=True)
    ]
    return [Statement(_CLOSE_REQUESTS, [as_json(rows)])]


_CLOSE_REQUESTS: Final = """
    UPDATE orders_cancellationrequest r SET
        decided_at = d.at, is_denied = d.is_denied, deny_reason = d.deny_reason
    FROM json_to_recordset(%s)
         AS d (order_id bigint, at timestamptz, is_denied bool, deny_reason text)
    WHERE r.order_id = d.order_id AND r.decided_at IS NULL
"""


def _undoing(
    moved: Sequence[Change], reached: Mapping[int, Status], closed: Sequence[ClosedItem]
) -> list[NewWorkItem]:
    """
    Undoes what a call may still do for an order that is given up while the call is out.

    Its worker does so when it comes back (`workflow.recording`). This one is for the worker that
    never does: money would stay authorized, goods reserved (KI 420019).
    """
    given_up = {c.order.pk: c.order for c in moved if reached[c.order.pk] in GIVEN_UP}
    patience = timedelta(seconds=settings.WORK_LEASE_SECONDS)
    undoing: list[NewWorkItem] = []
    for item in closed:
        order, undo = given_up.get(item.order_pk), UNDO_OF_STEP.get(item.step)
        if order is None or undo is None or not item.attempts:
            continue
        busy_until = max(item.leased_until or order.read_at, order.read_at)
        undoing.append(
            NewWorkItem(
                order_pk=order.pk,
                step=undo,
                priority=order.priority,
                due_at=busy_until + patience,
            )
        )
    return undoing


def write_placed(
    orders: Sequence[LockedOrder], *, actor: str, data: Mapping[str, Any] | None = None
) -> Written:
    """
    This function will open the timeline and the first steps of orders inserted in this transaction.

    The rows are there already, in the first status of their flow and version 1.
    """
    placed = [
        NewEvent(
            order_pk=order.pk,
            seq=order.version,
            kind=EVENT_KINDS[Action.RECEIVE],
            actor=actor,
            status=order.status,
            last_status=Status.NULL,
            occurred_at=order.read_at,
            last_change_at=None,
            changes={"status": [Status.NULL, order.status]},
            data=dict(data or {}),
            parts_changed=True,
        )
        for order in orders
    ]
    items = [item for order in orders for item in _items_of(order, order.status)]
    recorded, added, _ = run_together(
        recording_of(placed),
        adding_of(items),
        snapshots_of((event.order_pk, event.seq) for event in placed),
    )
    recorded_ids(recorded, count=len(orders))
    return Written({order.pk: order.status for order in orders}, due_of(added))


def open_work(orders: Sequence[LockedOrder]) -> list[int]:
    """
    This function will open the steps of the status that each order stands in, as imports need.

    Returns the ids of the items that are due at once.
    """
    return add_work_items([item for order in orders for item in _items_of(order, order.status)])


def _updating_of(changes: Sequence[Change], reached: Mapping[int, Status]) -> Statement:
    rows = [
        {
            "id": change.order.pk,
            "status": reached[change.order.pk],
            "at": change.order.read_at,
            "moves": _moves(change),
            "budget_ends_at": _budget_end(change, reached[change.order.pk]),
            "authorizes": change.authorizes or change.action in AUTHORIZING,
            "cancel_reason": change.reason if change.action in CANCELING else "",
        }
        for change in changes
    ]
    return Statement(_UPDATE_ORDERS, [as_json(rows)])


_UPDATE_ORDERS: Final = """
    UPDATE orders_order o SET
        version = o.version + 1,
        last_change_at = c.at,
        status = c.status,
        status_since = CASE WHEN c.moves THEN c.at ELSE o.status_since END,
        budget_ends_at = CASE WHEN c.moves THEN c.budget_ends_at ELSE o.budget_ends_at END,
        authorized_at = CASE WHEN c.authorizes THEN coalesce(o.authorized_at, c.at)
                             ELSE o.authorized_at END,
        invoiced_at = CASE WHEN c.moves AND c.status = 'invoiced' THEN c.at ELSE o.invoiced_at END,
        canceled_at = CASE WHEN c.moves AND c.status = 'canceled' THEN c.at ELSE o.canceled_at END,
        cancel_reason = CASE WHEN c.cancel_reason = '' THEN o.cancel_reason ELSE c.cancel_reason END
    FROM json_to_recordset(%s) AS c (
        id bigint, status text, at timestamptz, moves bool, budget_ends_at timestamptz,
        authorizes bool, cancel_reason text
    )
    WHERE o.id = c.id
"""


def _moves(change: Change) -> bool:
    return change.action is not None or change.forced_to is not None


def _budget_end(change: Change, status: Status) -> datetime | None:
    order = change.order
    ends_at = budget_ends_at(status, priority=order.priority, since=order.read_at)
    if status is Status.WINDOW_TO_CHANGE_SELLER and ends_at is not None:
        # A store that gives it more days than usual has nothing stuck meanwhile.
        window = policies.rules_of(order.seller_id).window_to_change_seller
        return max(ends_at, order.read_at + window + timedelta(hours=1))
    return ends_at


def _event_of(change: Change, status: Status) -> NewEvent:
    order = change.order
    changed: dict[str, list[Any]] = dict(change.changes)
    if status is not order.status:
        changed = {"status": [order.status, status], **changed}
    return NewEvent(
        order_pk=order.pk,
        seq=order.version + 1,
        kind=change.kind or (EVENT_KINDS[change.action] if change.action else "order.forced"),
        actor=change.actor,
        reason=change.reason,
        status=status,
        last_status=order.status,
        occurred_at=order.read_at,
        last_change_at=order.last_change_at,
        changes=changed,
        data=dict(change.data),
        parts_changed=change.parts_changed,
    )


def _items_of(order: LockedOrder, status: Status) -> list[NewWorkItem]:
    rules = policies.rules_of(order.seller_id)
    return [
        NewWorkItem(
            order_pk=order.pk,
            step=opening.step,
            priority=order.priority,
            due_at=order.read_at
            + (
                rules.length_of(opening.after)
                if isinstance(opening.after, Window)
                else opening.after
            ),
        )
        for opening in openings_of(order.flow, status)
    ]
