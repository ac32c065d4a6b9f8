"""Pages of the ledger: everything that ever happened to orders, accounted for position by position."""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feeds.identifiers import event_id_of
from feeds.ledger_pages import LedgerPage, PagedEvent, read_order_page, read_page
from feeds.wording import domain_of, feed_time
from oms.api.authentication import principal_of
from oms.api.event_serializers import EventsQuery
from oms.api.scoping import visible_order


class EventsView(APIView):
    """
    GET /api/events?after=&limit=&orderId=

    A key without restriction can count: `count == to - from + 1` on each page. For a restricted
    one `from` and `to` say which stretch was looked at, and `count` how much of it is its own.
    """

    required_scopes: ClassVar[dict[str, set[str]]] = {
        "GET": {"FeedHookV3Admin", "OrdersFullAccess"}
    }

    def get(self, request: Request) -> Response:
        query = EventsQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        principal = principal_of(request)
        if order_id := asked.get("orderId"):
            order = visible_order(order_id, principal)
            page = read_order_page(order_pk=order.pk, after=asked["after"], limit=asked["limit"])
        else:
            page = read_page(
                after=asked["after"],
                limit=asked["limit"],
                seller_ids=principal.seller_ids,
                affiliate_ids=principal.affiliate_ids,
            )
        return Response(_page(page))


def _page(page: LedgerPage) -> dict[str, Any]:
    return {
        "events": [_event(event) for event in page.events],
        "from": page.first,
        "to": page.last,
        "count": len(page.events),
        "next": page.last,
        "lastPosition": page.ledger_end,
    }


def _event(event: PagedEvent) -> dict[str, Any]:
    return {
        "position": event.position,
        "eventId": event_id_of(event.event_pk),
        "orderId": event.order_id,
        "domain": domain_of(event.origin),
        "kind": event.kind,
        "state": event.status,
        "lastState": event.last_status,
        "lastChange": feed_time(event.last_change_at),
        "currentChange": feed_time(event.occurred_at),
        "version": event.seq,
        "changedFields": event.changed_fields,
    }
