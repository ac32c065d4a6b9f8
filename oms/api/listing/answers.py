"""A listing as the contract spells it: `list`, `facets`, `paging`, `stats`. Pure."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from django.conf import settings

from oms.api.listing.paging import MOST_PAGES, Page, write_cursor
from oms.orders.documents.kinds import moment_text
from oms.orders.listing import Figures, ListedOrder, Listing
from oms.orders.statuses import label_of

LARGEST_NUMBER: Final = 2**63 - 1


def list_answer(
    listing: Listing,
    page: Page,
    *,
    in_error: Collection[int] = (),
    in_retry: Collection[int] = (),
    items: Mapping[int, list[dict[str, Any]]] | None = None,
) -> dict[str, Any]:
    """This function will build the answer of a list of orders; `items` where the list tells them."""
    rows = [row(order, order.pk in in_error, order.pk in in_retry) for order in listing.orders]
    if items is not None:
        for order, told in zip(listing.orders, rows, strict=True):
            told["items"] = items.get(order.pk, [])
    return {
        "list": rows,
        "facets": [],
        "paging": paging(listing, page),
        "stats": {"stats": stats(listing.figures)},
    }


def row(order: ListedOrder, is_in_error: bool, is_in_retry: bool) -> dict[str, Any]:
    return {
        "orderId": order.order_id,
        "creationDate": moment_text(order.created_at),
        "clientName": f"{order.first_name} {order.last_name}".strip() or order.corporate_name,
        "items": None,
        "totalValue": order.value_cents,
        "paymentNames": order.payment_names,
        "status": order.status,
        "statusDescription": label_of(order.status),
        "marketPlaceOrderId": order.marketplace_order_id or None,
        "sequence": str(order.sequence),
        "salesChannel": order.sales_channel,
        "affiliateId": order.affiliate_id,
        "origin": order.origin,
        "workflowInErrorState": is_in_error,
        "workflowInRetry": is_in_retry,
        "lastMessageUnread": order.last_message or None,
        "ShippingEstimatedDate": moment_text(order.shipping_estimate_at),
        "ShippingEstimatedDateMax": None,
        "ShippingEstimatedDateMin": None,
        "orderIsComplete": order.is_complete,
        "listId": order.gift_list_id or None,
        "listType": order.gift_list_type or None,
        "authorizedDate": moment_text(order.authorized_at),
        "callCenterOperatorName": order.operator_name or None,
        "totalItems": order.item_count,
        "currencyCode": order.currency,
    }


def paging(listing: Listing, page: Page) -> dict[str, Any]:
    """
    This function will say where the page stands in the list.

    Beyond what is counted, `total` is the least it is and `isTotalExact` says so; `pages` are those
    that can be asked for by number, `nextCursor` goes on from any page to the end of the list.
    """
    following = listing.next
    return {
        "total": listing.total,
        "pages": min(MOST_PAGES, math.ceil(listing.total / page.size)),
        "currentPage": page.number,
        "perPage": page.size,
        "isTotalExact": listing.is_total_exact,
        "nextCursor": following and write_cursor(page.sorting, following),
    }


def stats(figures: Iterable[Figures]) -> dict[str, Any]:
    """This function will add up the figures: of all, by origin and by currency."""
    known = list(figures)
    return {
        "totalValue": _with_facets(known, _value_block),
        "totalItems": _with_facets(known, _items_block),
    }


def _with_facets(
    known: list[Figures], block: Callable[[list[Figures]], dict[str, Any]]
) -> dict[str, Any]:
    # The contract has these three whatever was found.
    by_origin: dict[str, list[Figures]] = {"Fulfillment": [], "Marketplace": []}
    by_currency: dict[str, list[Figures]] = {settings.STORE_CURRENCY: []}
    for figures in known:
        by_origin.setdefault(figures.origin, []).append(figures)
        by_currency.setdefault(figures.currency, []).append(figures)
    return block(known) | {
        "Facets": {
            "origin": {name: block(by_origin[name]) for name in sorted(by_origin)},
            "currencyCode": {name: block(by_currency[name]) for name in sorted(by_currency)},
        }
    }


def _value_block(parts: list[Figures]) -> dict[str, Any]:
    return _block(
        count=sum(part.count for part in parts),
        least=min((part.value_least for part in parts), default=0),
        most=max((part.value_most for part in parts), default=0),
        total=sum(part.value_sum for part in parts),
        squares=sum(part.value_squares for part in parts),
    )


def _items_block(parts: list[Figures]) -> dict[str, Any]:
    return _block(
        count=sum(part.count for part in parts),
        least=min((part.items_least for part in parts), default=0),
        most=max((part.items_most for part in parts), default=0),
        total=sum(part.items_sum for part in parts),
        squares=sum(part.items_squares for part in parts),
    )


def _block(*, count: int, least: int, most: int, total: int, squares: int) -> dict[str, Any]:
    """The deviation is that of a sample, as published; computed of whole numbers to the end."""
    spread = count * squares - total * total
    return {
        "Count": count,
        "Max": most,
        "Mean": total / count if count else 0,
        "Min": least,
        "Missing": 0,
        "StdDev": math.sqrt(spread / (count * (count - 1))) if count > 1 else 0,
        "Sum": _number(total),
        "SumOfSquares": _number(squares),
        "Facets": None,
    }


def _number(whole: int) -> int | float:
    """JSON readers take 64 bits; what is larger, and nobody needs to the last digit, is rounded."""
    return whole if whole <= LARGEST_NUMBER else float(whole)
