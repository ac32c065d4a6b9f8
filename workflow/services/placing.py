"""
Placing orders: PostgreSQL is all it needs (mission M1).

A purchase is all or nothing: its orders, their events, first steps and the announcement are one
transaction. Placing it again with the same content answers the same orders; with other content
it is a conflict. Nothing outside is called here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction

from oms.ops.statements import Statement, run_together
from oms.orders.documents import columns
from oms.orders.documents.drafts import OrderDraft
from oms.orders.documents.errors import FieldError
from oms.orders.documents.placement import PurchaseResult, read_placement
from oms.orders.locks import LockedOrder
from oms.orders.models import Affiliate
from oms.orders.statuses import Flow, Status
from oms.orders.writing import insert_orders
from workflow.announcing import announce
from workflow.budgets import budget_ends_at
from workflow.moves import write_placed
from workflow.services.refusals import InvalidInput, Problem

PLACED = "placed"
ALREADY_PLACED = "already-placed"
INVALID = "invalid"
CONFLICT = "conflict"


class PlacedDifferently(Exception):
    """These marketplace orders were placed before, with other content."""

    def __init__(self, marketplace_order_ids: Sequence[str]) -> None:
        self.marketplace_order_ids = marketplace_order_ids
        ids = ", ".join(marketplace_order_ids[:10])
        super().__init__(f"Placed before with other content: {ids}.")


@dataclass(frozen=True, slots=True)
class PlacedPurchase:
    """What became of one purchase of a batch: its orders, or what is wrong with it."""

    marketplace_order_id: str
    outcome: str
    order_ids: tuple[str, ...] = ()
    errors: tuple[FieldError, ...] = ()
    source: Any = None

    @property
    def is_accepted(self) -> bool:
        return self.outcome in (PLACED, ALREADY_PLACED)


def place_orders(
    body: object,
    *,
    affiliate_id: str,
    sales_channel: str,
    actor: str,
    seller_ids: Collection[str] | None = None,
) -> list[PlacedPurchase]:
    """
    This function will place a batch of purchases of one affiliate, each all or nothing.

    `body` is the contract's: a list of purchases, or one. Where `seller_ids` are given, a purchase
    from another seller is refused. Returns one result per purchase in order. Raises InvalidInput
    for an unknown affiliate or a body that is no batch.
    """
    flow, now = _flow_and_time(affiliate_id)
    read = read_placement(
        body, affiliate_id=affiliate_id, sales_channel=sales_channel, flow=flow, now=now
    )
    purchases = [_within(purchase, seller_ids) for purchase in read]
    valid = [purchase for purchase in purchases if not purchase.errors]
    placed = _place_batch(valid, affiliate_id=affiliate_id, actor=actor)
    return [
        placed.pop(0)
        if not purchase.errors
        else PlacedPurchase(
            purchase.marketplace_order_id,
            INVALID,
            errors=tuple(purchase.errors),
            source=purchase.purchase,
        )
        for purchase in purchases
    ]


def _within(purchase: PurchaseResult, seller_ids: Collection[str] | None) -> PurchaseResult:
    if seller_ids is None or all(draft.seller_id in seller_ids for draft in purchase.drafts):
        return purchase
    error = FieldError("items", "Not a seller of this key.", tuple(sorted(seller_ids)))
    return replace(purchase, drafts=(), errors=(*purchase.errors, error))


def _flow_and_time(affiliate_id: str) -> tuple[Flow, datetime]:
    """
    This function will return the flow of an active affiliate's orders, and PostgreSQL's time.

    Raises InvalidInput naming the affiliates there are. The ORM would take longer to write this
    query and `_KNOWN` than PostgreSQL takes to answer them.
    """
    (found,) = run_together(
        Statement(
            "SELECT flow, clock_timestamp() FROM orders_affiliate"
            " WHERE affiliate_id = %s AND is_active",
            [affiliate_id],
        )
    )
    if not found:
        known = Affiliate.objects.filter(is_active=True).order_by("affiliate_id")
        allowed = tuple(known.values_list("affiliate_id", flat=True)[:20])
        raise InvalidInput(Problem("affiliateId", "No such affiliate.", allowed))
    return Flow(found[0][0]), found[0][1]


@transaction.atomic
def place_drafts(drafts: Sequence[OrderDraft], *, actor: str) -> list[int]:
    """
    This function will insert orders in the first status of their flow and set them going.

    Returns their primary keys. Raises IntegrityError where one of them is there already.
    """
    drafts = [
        replace(
            draft,
            budget_ends_at=budget_ends_at(
                Status(draft.status), priority=draft.priority, since=draft.status_since
            ),
        )
        for draft in drafts
    ]
    pks = insert_orders(drafts)
    written = write_placed(
        [_as_locked(pk, draft) for pk, draft in zip(pks, drafts, strict=True)], actor=actor
    )
    announce(written.due_item_ids)
    return pks


def _place_batch(
    purchases: Sequence[PurchaseResult], *, affiliate_id: str, actor: str
) -> list[PlacedPurchase]:
    known = _known_purchases([p.marketplace_order_id for p in purchases], affiliate_id)
    fresh: dict[str, PurchaseResult] = {}
    for purchase in purchases:
        if purchase.marketplace_order_id not in known:
            fresh.setdefault(purchase.marketplace_order_id, purchase)
    lost = _place_all(list(fresh.values()), actor=actor)
    known |= _known_purchases(lost, affiliate_id)
    for marketplace_order_id, purchase in fresh.items():
        # Lost, and not by a placing: the order ids are taken by orders that came another way.
        content_hash = "" if marketplace_order_id in lost else purchase.content_hash
        order_ids = tuple(draft.order_id for draft in purchase.drafts)
        known.setdefault(marketplace_order_id, _Known(content_hash, order_ids))
    return [
        _result_of(
            purchase,
            known[purchase.marketplace_order_id],
            is_ours=fresh.get(purchase.marketplace_order_id) is purchase
            and purchase.marketplace_order_id not in lost,
        )
        for purchase in purchases
    ]


def _place_all(purchases: Sequence[PurchaseResult], *, actor: str) -> list[str]:
    """Places purchases and returns the marketplace ids that somebody else placed meanwhile."""
    # In one order of locks everywhere: two requests with the same purchases must not deadlock.
    purchases = sorted(purchases, key=lambda purchase: purchase.order_group)
    try:
        place_drafts([draft for purchase in purchases for draft in purchase.drafts], actor=actor)
    except IntegrityError:
        # One of them is being placed at this moment: singly, so that only that one steps back.
        return [p.marketplace_order_id for p in purchases if not _place_alone(p, actor=actor)]
    return []


def _place_alone(purchase: PurchaseResult, *, actor: str) -> bool:
    try:
        place_drafts(purchase.drafts, actor=actor)
    except IntegrityError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Known:
    content_hash: str
    order_ids: tuple[str, ...]


def _known_purchases(marketplace_order_ids: Sequence[str], affiliate_id: str) -> dict[str, _Known]:
    if not marketplace_order_ids:
        return {}
    (rows,) = run_together(
        Statement(_KNOWN, [columns.PLACED, list(marketplace_order_ids), affiliate_id])
    )
    known: dict[str, _Known] = {}
    for marketplace_order_id, order_id, content_hash in rows:
        before = known.get(marketplace_order_id)
        order_ids = (*before.order_ids, order_id) if before else (order_id,)
        known[marketplace_order_id] = _Known(content_hash, order_ids)
    return known


_KNOWN: Final = """
    SELECT marketplace_order_id, order_id, extra #>> ARRAY[%s, 'content_hash']
    FROM orders_order
    WHERE marketplace_order_id = ANY(%s) AND affiliate_id = %s AND NOT is_imported
    ORDER BY split_number
"""


def _result_of(purchase: PurchaseResult, known: _Known, *, is_ours: bool) -> PlacedPurchase:
    if known.content_hash != purchase.content_hash:
        error = FieldError("marketplaceOrderId", "Placed before with other content.")
        return PlacedPurchase(
            purchase.marketplace_order_id, CONFLICT, known.order_ids, (error,), purchase.purchase
        )
    return PlacedPurchase(
        purchase.marketplace_order_id,
        PLACED if is_ours else ALREADY_PLACED,
        known.order_ids,
        source=purchase.purchase,
    )


def _as_locked(pk: int, draft: OrderDraft) -> LockedOrder:
    """The facts of an order that this transaction inserted: nobody else can see or change it."""
    return LockedOrder(
        pk=pk,
        order_id=draft.order_id,
        flow=Flow(draft.flow),
        status=Status(draft.status),
        version=draft.version,
        status_since=draft.status_since,
        last_change_at=draft.last_change_at,
        value_cents=draft.value_cents,
        currency=draft.currency,
        seller_id=draft.seller_id,
        delivery_channel=draft.delivery_channel,
        priority=draft.priority,
        authorized_at=draft.authorized_at,
        is_complete=draft.is_complete,
        invoiced_cents=0,
        status_before_request="",
        read_at=draft.last_change_at,
    )
