"""
The order aggregate. Rows are written by services only; nothing here decides anything.

Money is integer minor units (`_cents`). Fields of an incoming document that have no column stay in
`extra` and are given back as they came.
"""

from oms.orders.models.conversation import ConversationMessage, Interaction
from oms.orders.models.listing import ListFacts, SellerName
from oms.orders.models.order import Order
from oms.orders.models.parties import Affiliate, SellerPolicy
from oms.orders.models.parts import (
    CancellationRequest,
    Change,
    ClientProfile,
    InvoiceType,
    Item,
    Note,
    Package,
    PackageItem,
    Payment,
    PaymentStatus,
    TrackingEvent,
)
from oms.orders.models.runs import Drift, ImportRun, TimelineCheck
from oms.orders.models.snapshots import DocumentSnapshot, SnapshotDemand
from oms.orders.models.timeline import LedgerEntry, OrderEvent, UnnumberedEvent

__all__ = [
    "Affiliate",
    "CancellationRequest",
    "Change",
    "ClientProfile",
    "ConversationMessage",
    "DocumentSnapshot",
    "Drift",
    "ImportRun",
    "Interaction",
    "InvoiceType",
    "Item",
    "LedgerEntry",
    "ListFacts",
    "Note",
    "Order",
    "OrderEvent",
    "Package",
    "PackageItem",
    "Payment",
    "PaymentStatus",
    "SellerName",
    "SellerPolicy",
    "SnapshotDemand",
    "TimelineCheck",
    "TrackingEvent",
    "UnnumberedEvent",
]
