"""Keeps calls that belong to no item of the queue: pings and tests."""

from datetime import timedelta

from django.db.models import Value
from django.db.models.functions import Now

from feeds.hooks.sending import HookAnswer
from feeds.models import HookAttempt


def keep_attempt(subscription_id: int, kind: HookAttempt.Kind, answer: HookAnswer) -> HookAttempt:
    """This function will write down a call that ended a moment ago."""
    lasted = timedelta(seconds=answer.duration_seconds)
    attempt = HookAttempt.objects.create(
        subscription_id=subscription_id,
        kind=kind,
        attempted_at=Now() - Value(lasted),
        duration_ms=round(answer.duration_seconds * 1000),
        is_success=answer.is_success,
        status=answer.status,
        error=answer.error,
        answer=answer.answer,
    )
    attempt.refresh_from_db()
    return attempt
