"""Asking for events again, and seeing how far that has come."""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feeds.hooks.configuring import hook_of
from feeds.models import Channel, Replay, Subscription
from feeds.replaying import replays_of, request_replay, share_done
from feeds.selectors import active_subscription
from feeds.wording import feed_time
from oms.api.authentication import principal_of
from oms.api.event_serializers import ReplayBody


class ReplaysView(APIView):
    """
    POST /api/orders/feed/replay, /api/orders/hook/replay: events again, marked `isReplay`.

    GET: the last fifty replays, newest first, with how far each has come.
    """

    channel: Channel = Channel.FEED
    # The ledger is numbered first, outside any transaction.
    commits_by_itself: ClassVar[bool] = True
    required_scopes: ClassVar[dict[str, set[str]]] = {
        "GET": {"FeedHookV3Admin", "FeedHookV3Viewer", "OrdersFullAccess"},
        "POST": {"FeedHookV3Admin", "OrdersFullAccess"},
    }

    def get(self, request: Request) -> Response:
        subscription = subscription_of(principal_of(request).key_id, self.channel)
        return Response({"replays": [replay_facts(found) for found in replays_of(subscription)]})

    def post(self, request: Request) -> Response:
        body = ReplayBody(data=request.data)
        body.is_valid(raise_exception=True)
        principal = principal_of(request)
        replay = request_replay(
            subscription_of(principal.key_id, self.channel),
            wanted=body.wanted(),
            actor=principal.actor,
            reason=body.validated_data["reason"] or "",
        )
        return Response(replay_facts(replay), status=202)


def subscription_of(key_id: int, channel: Channel) -> Subscription:
    """This function will return a key's feed or hook; FeedNotConfigured, HookNotConfigured if none."""
    return hook_of(key_id).subscription if channel is Channel.HOOK else active_subscription(key_id)


def replay_facts(replay: Replay) -> dict[str, Any]:
    """This function will tell a replay as answers show it."""
    return {
        "id": replay.pk,
        "fromPosition": replay.from_position,
        "untilPosition": replay.until_position,
        "orderCount": None if replay.order_ids is None else len(replay.order_ids),
        "reason": replay.reason,
        "requestedBy": replay.requested_by,
        "requestedAt": feed_time(replay.requested_at),
        "queuedCount": replay.queued_count,
        "progress": round(share_done(replay), 4),
        "finishedAt": feed_time(replay.finished_at),
    }
