"""Where the packages are: told by the ERP or the carrier. Delivery is a fact of a package, not a status."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from oms.orders.locks import LockedOrder, lock_order
from oms.orders.models import Package
from workflow.announcing import announce
from workflow.models import WorkItem
from workflow.moves import Change, write_change
from workflow.recording import record_tracking
from workflow.services.refusals import PartOfOrderNotFound
from workflow.steps import Step
from workflow.work import NewWorkItem, add_work_items, close_items


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What is known about a package's way. Empty: not told, stays as it is."""

    tracking_number: str = ""
    tracking_url: str = ""
    courier: str = ""
    dispatched_at: datetime | None = None


@transaction.atomic
def update_shipment(
    *, order_id: str, invoice_number: str, shipment: Shipment, actor: str
) -> datetime:
    """
    This function will note the tracking number, courier and so on of an invoice's package.

    From then on the carrier is asked for news. Returns the time of the change. Raises
    OrderNotFound, PartOfOrderNotFound.
    """
    order = lock_order(order_id)
    package = find_package(order, invoice_number)
    changes: dict[str, list[Any]] = {}
    for name in ("tracking_number", "tracking_url", "courier", "dispatched_at"):
        old, new = getattr(package, name), getattr(shipment, name)
        if new and new != old:
            setattr(package, name, new)
            changes[f"packages.{invoice_number}.{name}"] = [_plain(old), _plain(new)]
    if changes:
        package.save(update_fields=["tracking_number", "tracking_url", "courier", "dispatched_at"])
        write_change(
            Change(
                order=order,
                actor=actor,
                kind="package.shipped",
                changes=changes,
                parts_changed=True,
            )
        )
        if f"packages.{invoice_number}.tracking_number" in changes:
            # The carrier never knew the old number, perhaps: whatever that came to is void.
            stop_following(package)
        announce(follow_package(order, package))
    return order.read_at


@transaction.atomic
def update_tracking(
    *,
    order_id: str,
    invoice_number: str,
    is_delivered: bool,
    delivered_at: datetime | None,
    events: Sequence[dict[str, str]],
    actor: str,
) -> datetime:
    """
    This function will add tracking events to an invoice's package and mark it as delivered.

    Events that are known already are not added again. Returns the time of the change. Raises
    OrderNotFound, PartOfOrderNotFound.
    """
    order = lock_order(order_id)
    package = find_package(order, invoice_number)
    news = {
        "delivered": is_delivered,
        "deliveredAt": delivered_at.isoformat() if delivered_at else "",
        "events": events,
    }
    kind, changes = record_tracking(package.pk, news, order.read_at)
    if changes:
        write_change(
            Change(order=order, actor=actor, kind=kind, changes=changes, parts_changed=True)
        )
    return order.read_at


def find_package(order: LockedOrder, invoice_number: str) -> Package:
    """This function will return the package of an invoice, the sale's where a return has its number."""
    package = (
        Package.objects.filter(order_id=order.pk, invoice_number=invoice_number)
        .order_by("-type")
        .first()
    )
    if package is None:
        raise PartOfOrderNotFound(f"The order has no invoice {invoice_number}.")
    return package


def follow_package(order: LockedOrder, package: Package) -> list[int]:
    """This function will open the step that asks the carrier, and return it if it is due."""
    if not package.tracking_number or package.is_delivered:
        return []
    return add_work_items(
        [
            NewWorkItem(
                order_pk=order.pk,
                package_pk=package.pk,
                step=Step.FOLLOW_TRACKING,
                priority=order.priority,
                due_at=order.read_at,
            )
        ]
    )


def stop_following(package: Package) -> None:
    """This function will close the step that asks the carrier, also one that is parked."""
    followed = WorkItem.objects.filter(package_id=package.pk, step=Step.FOLLOW_TRACKING)
    close_items(list(followed.values_list("pk", flat=True)))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
