"""The hook of an app key: its configuration, and what the contract lacks: secret, test, resending."""

from typing import Any, ClassVar

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feeds.hooks.bodies import origin
from feeds.hooks.configuring import (
    configuration_of,
    configure_hook,
    delete_hook,
    hook_of,
)
from feeds.hooks.resending import resend_failed, resend_range
from feeds.hooks.rotating import rotate_secret
from feeds.hooks.trying import send_test
from feeds.models import HookEndpoint
from feeds.selectors import queue_facts
from feeds.trying import warnings_of
from feeds.wording import feed_time
from oms.api.authentication import principal_of
from oms.api.serializers import TimestampField

Scopes = dict[str, set[str]]

# As for the feed: a viewer that deletes is no viewer.
ADMIN = {"FeedHookV3Admin", "OrdersFullAccess"}
VIEWER = {"FeedHookV3Viewer", *ADMIN}


class HookConfigView(APIView):
    """GET, POST, DELETE /api/orders/hook/config. The receiver is pinged: no transaction around it."""

    commits_by_itself: ClassVar[bool] = True
    required_scopes: ClassVar[Scopes] = {"GET": VIEWER, "POST": ADMIN, "DELETE": ADMIN}

    def get(self, request: Request) -> Response:
        return Response(_configuration(hook_of(principal_of(request).key_id)))

    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        body: Any = request.data
        done = configure_hook(app_key_id=principal.key_id, body=body, actor=principal.actor)
        endpoint = hook_of(principal.key_id)
        answer = _example(principal.app_key) | _configuration(endpoint)
        answer |= warnings_of(endpoint.subscription.expression, app_key_id=principal.key_id)
        if done.secret is not None:
            answer["secret"] = done.secret
        return Response(answer)

    def delete(self, request: Request) -> Response:
        principal = principal_of(request)
        delete_hook(app_key_id=principal.key_id, actor=principal.actor)
        return Response({})


class HookSecretView(APIView):
    """POST /api/orders/hook/secret: a new signing secret, told once; the old one signs on a while."""

    required_scopes: ClassVar[Scopes] = {"POST": ADMIN}

    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        endpoint = hook_of(principal.key_id)
        rotated = rotate_secret(endpoint.pk, actor=principal.actor)
        return Response(
            {
                "secret": rotated.secret,
                "previousSecretEndsAt": feed_time(rotated.previous_ends_at),
            }
        )


class HookTestView(APIView):
    """POST /api/orders/hook/test: calls the receiver now and answers what came back."""

    commits_by_itself: ClassVar[bool] = True
    required_scopes: ClassVar[Scopes] = {"POST": ADMIN}

    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        endpoint = hook_of(principal.key_id)
        attempt = send_test(endpoint.pk, actor=principal.actor)
        return Response(
            {
                "success": attempt.is_success,
                "status": attempt.status,
                "error": attempt.error,
                "answer": attempt.answer,
                "durationInMilliseconds": attempt.duration_ms,
            }
        )


class ResendBody(serializers.Serializer[Any]):
    """Either everything that failed, or what ended between two times."""

    failed = serializers.BooleanField(default=False)
    since = TimestampField(required=False)
    until = TimestampField(required=False)
    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["failed"] or ("since" in attrs and "until" in attrs):
            return attrs
        raise serializers.ValidationError('Expected {"failed": true}, or since and until.')


class HookResendView(APIView):
    """POST /api/orders/hook/resend: queues again what was given up, or a stretch of time."""

    # Batch by batch: deliveries go on meanwhile.
    commits_by_itself: ClassVar[bool] = True
    required_scopes: ClassVar[Scopes] = {"POST": ADMIN}

    def post(self, request: Request) -> Response:
        body = ResendBody(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        principal = principal_of(request)
        endpoint = hook_of(principal.key_id)
        if "since" in asked and "until" in asked:
            count = resend_range(
                endpoint.pk,
                since=asked["since"],
                until=asked["until"],
                only_failed=asked["failed"],
                actor=principal.actor,
                reason=asked["reason"],
            )
        else:
            count = resend_failed(endpoint.pk, actor=principal.actor, reason=asked["reason"])
        return Response({"queued": count})


def _configuration(endpoint: HookEndpoint) -> dict[str, Any]:
    facts = queue_facts(endpoint.subscription_id)
    return configuration_of(endpoint) | {
        "status": "disabled" if endpoint.disabled_at else "active",
        "disabledReason": endpoint.disabled_reason or None,
        "disabledAt": feed_time(endpoint.disabled_at),
        "failingSince": feed_time(endpoint.failing_since),
        "lastSuccessAt": feed_time(endpoint.last_success_at),
        "lastError": endpoint.last_error or None,
        "quantity": facts.open_count,
        "approximateAgeOfOldestMessageInSeconds": facts.oldest_seconds,
        "parkedQuantity": facts.parked_count,
    }


def _example(app_key: str) -> dict[str, Any]:
    """The contract describes the answer to POST as a notification; generated clients insist on it."""
    empty = dict.fromkeys(("OrderId", "State", "LastState", "LastChange", "CurrentChange"), "")
    return {"Domain": "Marketplace", **empty, "Origin": origin(settings.STORE_NAME, app_key)}
