"""Lists of orders: for integrations, and for one buyer."""

from typing import ClassVar

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oms.access.authenticating import Principal
from oms.api.authentication import principal_of
from oms.api.listing.answers import list_answer
from oms.api.listing.filters import OrderFilters, UserOrderFilters
from oms.api.listing.paging import Page, read_page
from oms.api.scoping import visible_order
from oms.orders.criteria import seen_by
from oms.orders.documents.building import order_document
from oms.orders.listing import list_orders, listed_items
from oms.orders.locks import OrderNotFound
from oms.orders.models import Order
from workflow.selectors import orders_in_error, work_troubles


class OrderListView(APIView):
    """GET /api/oms/pvt/orders: filtered, sorted and paged, from the order rows as they are now."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"GET": {"ListOrders", "OrdersFullAccess"}}

    def get(self, request: Request) -> Response:
        page = read_page(request.query_params)
        orders = Order.objects.filter(_scope(principal_of(request)))
        return _answer(OrderFilters(request.query_params, orders).asked(), page)


class UserOrderListView(APIView):
    """GET /api/oms/user/orders: the orders of one buyer, by e-mail address."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"GET": {"ListOrders", "OrdersFullAccess"}}

    def get(self, request: Request) -> Response:
        page = read_page(request.query_params)
        orders = Order.objects.filter(_scope(principal_of(request)))
        filters = UserOrderFilters(request.query_params, orders)
        return _answer(filters.asked(), page, with_items=True)


class UserOrderView(APIView):
    """GET /api/oms/user/orders/{orderId}: one order, for the buyer whose e-mail address is told."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"GET": {"OMSViewer", "OrdersFullAccess"}}

    def get(self, request: Request, order_id: str) -> Response:
        order = visible_order(order_id, principal_of(request))
        mine = UserOrderFilters(request.query_params, Order.objects.filter(pk=order.pk))
        if not mine.asked().exists():
            raise OrderNotFound(order_id)
        return Response(order_document(order, is_in_error=bool(orders_in_error([order.pk]))))


def _scope(principal: Principal) -> Q:
    return seen_by(principal.seller_ids, principal.affiliate_ids)


def _answer(orders: QuerySet[Order], page: Page, *, with_items: bool = False) -> Response:
    listing = list_orders(
        orders, sorting=page.sorting, size=page.size, offset=page.offset, after=page.after
    )
    pks = [order.pk for order in listing.orders]
    troubles = work_troubles(pks)
    return Response(
        list_answer(
            listing,
            page,
            in_error=troubles.parked,
            in_retry=troubles.retried,
            items=listed_items(pks) if with_items else None,
        )
    )
