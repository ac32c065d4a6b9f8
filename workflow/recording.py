"""Writes what outside calls came to: moves, facts, retries, parked items. One transaction a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Max
from django.db.models.functions import Coalesce
from django.utils.dateparse import parse_datetime

from oms.orders.locks import LockedOrder, lock_orders
from oms.orders.models import Package, Payment, TrackingEvent
from workflow.changes.settling import ChangeNews, settle
from workflow.connectors.protocol import Answered, Failed, NotCalled, Outcome, Refused
from workflow.flows import GIVEN_UP, Action, find_next_status
from workflow.moves import Change, write_changes
from workflow.outside import Record, Verdict
from workflow.retries import retry_delay
from workflow.steps import Step
from workflow.work import (
    ClaimedItem,
    NewWorkItem,
    Retry,
    add_work_items,
    close_items,
    live_items,
    park_item,
    retry_items,
)

logger = structlog.get_logger(__name__)

Result = tuple[ClaimedItem, "Verdict | Outcome"]

# An effect that arrives when its order is already canceled is undone by a step of its own.
UNDO_OF: Final = {
    Action.APPROVE_PAYMENT: Step.UNDO_LATE_PAYMENT,
    Action.RESERVE_STOCK: Step.UNDO_LATE_STOCK,
    Action.CONFIRM_SELLER: Step.UNDO_LATE_STOCK,
    Action.OPEN_WINDOW_TO_CANCEL: Step.UNDO_LATE_STOCK,
}
LONGEST_CITY: Final = TrackingEvent._meta.get_field("city").max_length or 0
LONGEST_STATE: Final = TrackingEvent._meta.get_field("state").max_length or 0


@dataclass(slots=True)
class Recorded:
    done: int = 0
    retried: int = 0
    parked: int = 0
    late: int = 0

    def add(self, other: "Recorded") -> None:
        self.done += other.done
        self.retried += other.retried
        self.parked += other.parked
        self.late += other.late


def record_each(results: Sequence[Result], *, actor: str) -> Recorded:
    """
    This function will record results, all at once or, where one of them cannot be, one by one.

    One that cannot be recorded parks its own item and holds up nobody else.
    """
    try:
        return record_verdicts(results, actor=actor)
    except OperationalError:  # a lost connection or a lock's time limit: the leases run out
        raise
    except Exception:
        logger.exception("results recorded one by one")
    total = Recorded()
    for item, result in results:
        total.add(_record_alone(item, result, actor))
    return total


def _record_alone(item: ClaimedItem, result: "Verdict | Outcome", actor: str) -> Recorded:
    try:
        return record_verdicts([(item, result)], actor=actor)
    except OperationalError:
        raise
    except Exception as error:
        logger.exception("result not recorded", work_item=item.pk, step=item.step)
        return record_verdicts([(item, broken(item.step, error))], actor=actor)


def broken(step: Step, error: Exception) -> Verdict:
    """This function will say what becomes of a step that our own code fails at: a person looks."""
    return Verdict(park=f"{step} broke", reason=f"{type(error).__name__}: see the log.")


@transaction.atomic
def record_verdicts(results: Sequence[Result], *, actor: str) -> Recorded:
    """
    This function will record the results of claimed items whose fence is still held.

    A result that comes after somebody else took the item over changes nothing, except that the
    effect of a call for an order canceled meanwhile is scheduled to be undone.
    """
    recorded = Recorded()
    orders = lock_orders([item.order_pk for item, _ in results])
    live = live_items([item for item, _ in results])
    batch = _Batch(actor, recorded)
    taken: set[int] = set()
    for item, result in results:
        order = orders.get(item.order_pk)
        if order is None:
            continue
        if item.pk not in live:
            batch.undo_if_given_up(order, result)
        elif item.order_pk in taken:
            # Two steps of one order in one batch: the row may change once. The other comes again.
            batch.retries.append(Retry(item.pk, 0, item.attempts - 1))
        else:
            taken.add(item.order_pk)
            batch.take(order, item, result)
    batch.write()
    return recorded


class _Batch:
    """Collects what the results of a batch come to, then writes it in as many statements."""

    def __init__(self, actor: str, recorded: Recorded) -> None:
        self.actor = actor
        self.recorded = recorded
        self.changes: list[Change] = []
        self.retries: list[Retry] = []
        self.closed: list[int] = []
        self.opened: list[NewWorkItem] = []

    def take(self, order: LockedOrder, item: ClaimedItem, result: "Verdict | Outcome") -> None:
        match result:
            case Verdict():
                self._take_verdict(order, item, result)
            case Failed(cause=cause, retry_after=retry_after):
                self._fail(order, item, cause, retry_after)
            case Refused(code=code, message=message):
                self._park(order, item, cause=f"{item.step} refused: {code}", error=message)
            case NotCalled(cause=cause):
                self.retries.append(Retry(item.pk, 0.5, item.attempts - 1, cause))
            case Answered():
                raise TypeError("An answer must be interpreted before it is recorded.")

    def _take_verdict(self, order: LockedOrder, item: ClaimedItem, verdict: Verdict) -> None:
        if verdict.park:
            self._park(order, item, cause=verdict.park, error=verdict.reason)
            return
        if verdict.record is not None and verdict.record.change is not None:
            self._take_change(order, item, verdict.record.change)
            return
        action = verdict.action
        if action is not None and find_next_status(order.flow, order.status, action) is None:
            self._park(
                order, item, cause="refused by the table", error=f"{order.status}, {action}"
            )
            return
        change = self._change(order, item, verdict)
        if verdict.again is not None:
            self.retries.append(Retry(item.pk, verdict.again.total_seconds(), attempts=0))
        else:
            self.closed.append(item.pk)
        if verdict.then is not None:
            self.opened.append(
                NewWorkItem(
                    order_pk=order.pk,
                    step=verdict.then,
                    priority=order.priority,
                    due_at=order.read_at,
                )
            )
        if change is not None:
            self.changes.append(change)
        self.recorded.done += 1

    def _take_change(self, order: LockedOrder, item: ClaimedItem, news: ChangeNews) -> None:
        settled = settle(order, news, actor=self.actor, claims=item.fence)
        if settled.again is not None:
            self.retries.append(Retry(item.pk, settled.again.total_seconds(), attempts=0))
        else:
            self.closed.append(item.pk)
        self.opened += settled.opened
        if settled.change is not None:
            self.changes.append(settled.change)
        self.recorded.done += 1

    def _change(self, order: LockedOrder, item: ClaimedItem, verdict: Verdict) -> Change | None:
        kind = ""
        changes: dict[str, list[Any]] = {}
        if verdict.record is not None:
            kind, changes = _write_record(order, item, verdict.record)
        if verdict.action is None and not kind:
            return None
        return Change(
            order=order,
            actor=self.actor,
            action=verdict.action,
            kind="" if verdict.action else kind,
            reason=verdict.reason,
            changes=changes,
            data=dict(verdict.record.data) if verdict.record else {},
            parts_changed=bool(changes),
        )

    def _fail(
        self, order: LockedOrder, item: ClaimedItem, cause: str, retry_after: float | None
    ) -> None:
        if item.attempts >= settings.WORK_MAX_ATTEMPTS:
            self._park(
                order, item, cause=f"{item.step}: {cause}", error=f"Failed {item.attempts} times."
            )
            return
        delay = retry_delay(item.attempts, retry_after=retry_after)
        self.retries.append(Retry(item.pk, delay, item.attempts, cause))
        self.recorded.retried += 1

    def _park(self, order: LockedOrder, item: ClaimedItem, *, cause: str, error: str) -> None:
        park_item(item.pk, cause=cause, error=error)
        self.changes.append(
            Change(
                order=order,
                actor=self.actor,
                kind="work.parked",
                reason=error,
                data={"step": item.step, "cause": cause},
            )
        )
        self.recorded.parked += 1
        logger.warning("work parked", order_id=order.order_id, step=item.step, cause=cause)

    def undo_if_given_up(self, order: LockedOrder, result: "Verdict | Outcome") -> None:
        self.recorded.late += 1
        action = result.action if isinstance(result, Verdict) else None
        if order.status in GIVEN_UP and action in UNDO_OF:
            self.opened.append(
                NewWorkItem(
                    order_pk=order.pk,
                    step=UNDO_OF[action],
                    priority=order.priority,
                    due_at=order.read_at,
                )
            )

    def write(self) -> None:
        close_items(self.closed)
        retry_items(self.retries)
        write_changes(self.changes)
        add_work_items(self.opened)


def _write_record(
    order: LockedOrder, item: ClaimedItem, record: Record
) -> tuple[str, dict[str, list[Any]]]:
    """This function will write an answer's facts and return the event's kind and field changes."""
    if record.tracking and item.package_pk is not None:
        return record_tracking(item.package_pk, record.tracking, order.read_at)
    changes: dict[str, list[Any]] = {}
    if record.captured_package_pk is not None:
        package = Package.objects.get(pk=record.captured_package_pk)
        changes[f"packages.{package.invoice_number}.settled"] = [package.is_settled, True]
        package.is_settled = True
        package.save(update_fields=["is_settled"])
    if record.payment_status:
        changes |= _update_payments(order.pk, record)
    kind = f"payment.{record.payment_status}" if record.payment_status else "payment.refunded"
    return (kind if changes else record.kind), changes


def _update_payments(order_pk: int, record: Record) -> dict[str, list[Any]]:
    payments = list(Payment.objects.filter(order_id=order_pk).order_by("index"))
    remaining = record.captured_cents
    changes: dict[str, list[Any]] = {}
    for payment in payments:
        changes[f"payments.{payment.payment_id}.status"] = [payment.status, record.payment_status]
        payment.status = record.payment_status
        payment.transaction_id = payment.transaction_id or record.transaction_id
        share = max(0, min(remaining, payment.value_cents - payment.captured_cents))
        payment.captured_cents += share
        remaining -= share
        # Not bulk_update: it casts, and so cuts what is too long instead of refusing it.
        payment.save(update_fields=["status", "transaction_id", "captured_cents"])
    return changes


def record_tracking(
    package_pk: int, tracking: Any, at: datetime
) -> tuple[str, dict[str, list[Any]]]:
    """
    This function will add the carrier's news to a package and return the event's kind and changes.

    News that are there already are not added again. Nothing new: an empty kind.
    """
    package = Package.objects.get(pk=package_pk)
    changes = _add_tracking_events(package, tracking["events"])
    if tracking["delivered"] and not package.is_delivered:
        package.is_delivered = True
        package.delivered_at = parse_datetime(tracking.get("deliveredAt") or "") or at
        package.save(update_fields=["is_delivered", "delivered_at"])
        changes[f"packages.{package.invoice_number}.delivered"] = [
            None,
            package.delivered_at.isoformat(),
        ]
        return "package.delivered", changes
    return ("package.tracked" if changes else ""), changes


def _add_tracking_events(package: Package, events: Sequence[Any]) -> dict[str, list[Any]]:
    known = {
        (event.occurred_at, event.city, event.description)
        for event in package.tracking_events.all()
    }
    index = package.tracking_events.aggregate(next=Coalesce(Max("index") + 1, 0))["next"]
    fresh: list[TrackingEvent] = []
    for event in events:
        occurred_at = parse_datetime(str(event["date"]))
        city, state = event["city"][:LONGEST_CITY], event["state"][:LONGEST_STATE]
        facts = (occurred_at, city, event["description"])
        if facts in known:
            continue
        known.add(facts)
        fresh.append(
            TrackingEvent(
                package=package,
                index=index + len(fresh),
                occurred_at=occurred_at,
                city=city,
                state=state,
                description=event["description"],
            )
        )
    TrackingEvent.objects.bulk_create(fresh)
    if not fresh:
        return {}
    return {f"packages.{package.invoice_number}.tracking": [None, fresh[-1].description]}
