"""The feed of an app key: its configuration, its items, their commit; and the older feed over it."""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feeds.configuring import configure_feed, delete_feed, filter_of
from feeds.expressions import ExpressionRefused
from feeds.leasing import CommitResult
from feeds.models import Subscription
from feeds.pulling import pull
from feeds.reading import commit_handles, feed_items, read_feed
from feeds.selectors import active_subscription, queue_facts
from feeds.trying import warnings_of
from oms.api.authentication import principal_of
from oms.api.feed_bodies import commit_tokens_of, handles_of, lot_asked

Scopes = dict[str, set[str]]

# The contract lists "view only" for changing and deleting too; a viewer that deletes is no viewer.
ADMIN = {"FeedHookV3Admin", "OrdersFullAccess"}
VIEWER = {"FeedHookV3Viewer", *ADMIN}
# How long a look at a configuration waits for exact figures.
PATIENCE_SECONDS = 5.0


class FeedConfigView(APIView):
    """GET, POST, DELETE /api/orders/feed/config."""

    commits_by_itself: ClassVar[bool] = True
    required_scopes: ClassVar[Scopes] = {"GET": VIEWER, "POST": ADMIN, "DELETE": ADMIN}

    def get(self, request: Request) -> Response:
        subscription = active_subscription(principal_of(request).key_id)
        try:
            pull(subscription.pk, seconds=PATIENCE_SECONDS)
        except ExpressionRefused as refusal:
            return Response(_configuration(subscription) | {"warnings": [str(refusal)]})
        return Response(_configuration(subscription))

    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        body: Any = request.data
        subscription = configure_feed(
            app_key_id=principal.key_id, body=body, actor=principal.actor
        )
        warnings = warnings_of(subscription.expression, app_key_id=principal.key_id)
        return Response(_configuration(subscription) | warnings)

    def delete(self, request: Request) -> Response:
        principal = principal_of(request)
        delete_feed(app_key_id=principal.key_id, actor=principal.actor)
        return Response({})


class FeedView(APIView):
    """GET and POST /api/orders/feed: hand out items, and commit them."""

    required_scopes: ClassVar[Scopes] = {"GET": ADMIN, "POST": ADMIN}
    # No HEAD: it would hand out items and throw them away.
    http_method_names = ("get", "post", "options")

    def get(self, request: Request) -> Response:
        key_id = principal_of(request).key_id
        items = read_feed(key_id, limit=lot_asked(request.query_params))
        return Response(feed_items(key_id, items))

    def post(self, request: Request) -> Response:
        handles = handles_of(request.data)
        return Response(_counts(commit_handles(principal_of(request).key_id, handles)))


class OldFeedView(APIView):
    """GET /api/oms/pvt/feed/orders/status: feed v2 (and v1's names) over the same queue."""

    required_scopes: ClassVar[Scopes] = {"GET": ADMIN}
    http_method_names = ("get", "options")

    def get(self, request: Request) -> Response:
        key_id = principal_of(request).key_id
        items = read_feed(key_id, limit=lot_asked(request.query_params))
        return Response([_old_item(item) for item in feed_items(key_id, items)])


class OldFeedConfirmView(APIView):
    """POST /api/oms/pvt/feed/orders/status/confirm: commit tokens, which are handles."""

    required_scopes: ClassVar[Scopes] = {"POST": ADMIN}
    json_body: ClassVar[Any] = list | dict

    def post(self, request: Request) -> Response:
        handles = commit_tokens_of(request.data)
        return Response(_counts(commit_handles(principal_of(request).key_id, handles)))


def _configuration(subscription: Subscription) -> dict[str, Any]:
    facts = queue_facts(subscription.pk)
    return {
        "filter": filter_of(subscription).as_json(),
        "queue": {
            "visibilityTimeoutInSeconds": subscription.visibility_timeout_seconds,
            # The contract's schema writes it with a capital, its example without.
            "messageRetentionPeriodInSeconds": subscription.retention_seconds,
        },
        "quantity": facts.open_count,
        "approximateAgeOfOldestMessageInSeconds": facts.oldest_seconds,
    }


def _counts(result: CommitResult) -> dict[str, int]:
    return {
        "committed": result.committed,
        "alreadyCommitted": result.already_committed,
        "notCommitted": result.not_committed,
    }


def _old_item(item: dict[str, Any]) -> dict[str, Any]:
    kept = {name: item[name] for name in ("eventId", "handle", "domain", "state", "orderId")}
    return kept | {"status": item["state"], "commitToken": item["handle"]}
