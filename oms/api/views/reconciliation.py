"""Proof of completeness: hour buckets, and where they differ, order by order."""

from typing import Any, ClassVar

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feeds.models import Channel, Replay
from feeds.reconciliation import (
    Bucket,
    BucketOrder,
    Comparison,
    Fact,
    Visible,
    Window,
    compare_orders,
    read_bucket_orders,
    read_buckets,
)
from feeds.replaying import Wanted, request_replay
from oms.access.authenticating import Principal
from oms.access.scopes import Scope
from oms.api.authentication import principal_of
from oms.api.event_serializers import BucketsBody, HourBody, HourQuery, WindowQuery, hour_text
from oms.api.views.replays import replay_facts, subscription_of

SCOPES = {"FeedHookV3Admin", "ListOrders", "OrdersFullAccess"}


class ReconciliationView(APIView):
    """GET /api/reconciliation?from=&to=&by=: our hours. POST: an integration's, and which differ."""

    required_scopes: ClassVar[dict[str, set[str]]] = {"GET": SCOPES, "POST": SCOPES}

    def get(self, request: Request) -> Response:
        query = WindowQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        window = _window_of(query.validated_data, principal_of(request))
        hours = [_bucket(bucket) for bucket in window.buckets]
        return Response({**_facts(window, query.validated_data["by"]), "hours": hours})

    def post(self, request: Request) -> Response:
        body = BucketsBody(data=request.data)
        body.is_valid(raise_exception=True)
        window = _window_of(body.validated_data, principal_of(request))
        ours = {bucket.hour: bucket for bucket in window.buckets}
        theirs = {
            given["hour"]: given
            for given in body.validated_data["hours"]
            if given["hour"] < window.end
        }
        differing = [
            {
                "hour": hour_text(hour),
                "ours": _bucket(ours[hour]) if hour in ours else None,
                "yours": _given(theirs[hour]) if hour in theirs else None,
            }
            for hour in sorted({*ours, *theirs})
            if not _is_equal(ours.get(hour), theirs.get(hour))
        ]
        facts = _facts(window, body.validated_data["by"])
        equal_count = (window.end - window.start).total_seconds() // 3600 - len(differing)
        return Response({**facts, "equalCount": int(equal_count), "differing": differing})


class ReconciledHourView(APIView):
    """
    GET /api/reconciliation/{hour}?after=&limit=: the orders of an hour, in pages by order id.

    POST: an integration's orders of the hour, answered by what it lacks or has differently.
    """

    # As a replay does: the ledger is numbered first, outside any transaction.
    commits_by_itself: ClassVar[bool] = True
    required_scopes: ClassVar[dict[str, set[str]]] = {"GET": SCOPES, "POST": SCOPES}

    def get(self, request: Request, hour: str) -> Response:
        query = HourQuery(data={**request.query_params.dict(), "hour": hour})
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        orders = read_bucket_orders(
            hour=asked["hour"],
            visible=_visible(principal_of(request)),
            after=asked["after"],
            limit=asked["limit"],
        )
        is_last = len(orders) < asked["limit"]
        return Response(
            {
                "hour": hour_text(asked["hour"]),
                "orders": [_order(order) for order in orders],
                "count": len(orders),
                "next": None if is_last else orders[-1].order_id,
            }
        )

    def post(self, request: Request, hour: str) -> Response:
        query, body = HourQuery(data={"hour": hour}), HourBody(data=request.data)
        query.is_valid(raise_exception=True)
        body.is_valid(raise_exception=True)
        asked_hour, principal = query.validated_data["hour"], principal_of(request)
        ours = read_bucket_orders(hour=asked_hour, visible=_visible(principal))
        found = compare_orders(ours, body.validated_data["orders"])
        channel = body.validated_data["replay"]
        replay = _ask_again(found, Channel(channel), principal) if channel else None
        return Response(
            {
                "hour": hour_text(asked_hour),
                "equalCount": found.equal_count,
                "missing": [_order(order) for order in found.missing],
                "older": [_order(order) for order in found.older],
                "newer": [_order(order) for order in found.newer],
                "extra": found.extra,
                "isCutOff": found.is_cut_off,
                "replay": replay_facts(replay) if replay else None,
            }
        )


def _ask_again(found: Comparison, channel: Channel, principal: Principal) -> Replay | None:
    if not principal.has_any({Scope.FEED_HOOK_ADMIN, Scope.ORDERS_FULL_ACCESS}):
        raise PermissionDenied
    subscription = subscription_of(principal.key_id, channel)
    order_ids = [order.order_id for order in (*found.missing, *found.older)]
    if not order_ids:
        return None
    return request_replay(
        subscription,
        wanted=Wanted(order_ids=order_ids),
        actor=principal.actor,
        reason="Reconciliation",
    )


def _visible(principal: Principal) -> Visible:
    return Visible(principal.seller_ids, principal.affiliate_ids)


def _window_of(asked: dict[str, Any], principal: Principal) -> Window:
    return read_buckets(
        start=asked["start"],
        end=asked["end"],
        visible=_visible(principal),
        fact=Fact(asked["by"]),
    )


def _facts(window: Window, by: str) -> dict[str, Any]:
    return {
        "from": hour_text(window.start),
        "to": hour_text(window.end),
        "by": by,
        "next": hour_text(window.next_hour) if window.next_hour else None,
    }


def _bucket(bucket: Bucket) -> dict[str, Any]:
    return {
        "hour": hour_text(bucket.hour),
        "count": bucket.count,
        "totals": bucket.totals,
        "hash": bucket.hash,
    }


def _given(bucket: dict[str, Any]) -> dict[str, Any]:
    return {**bucket, "hour": hour_text(bucket["hour"])}


def _is_equal(ours: Bucket | None, theirs: dict[str, Any] | None) -> bool:
    """The hash decides; totals count where they were given."""
    if ours is None or theirs is None:
        return (ours.count if ours else theirs["count"] if theirs else 0) == 0
    told = (theirs["count"], theirs.get("hash", "").lower(), theirs.get("totals", ours.totals))
    return told == (ours.count, ours.hash, ours.totals)


def _order(order: BucketOrder) -> dict[str, Any]:
    return {
        "orderId": order.order_id,
        "version": order.version,
        "status": order.status,
        "value": order.value_cents,
        "currency": order.currency,
    }
