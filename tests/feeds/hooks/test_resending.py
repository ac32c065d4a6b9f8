"""What was given up, lost or delivered is sent again: one, a stretch of time, all that failed."""

from datetime import UTC, datetime

import pytest
from aiohttp import web
from django.db.models.functions import Now
from pytest_django import Settings

from feeds.hooks import resending
from feeds.hooks.configuring import delete_hook
from feeds.hooks.resending import ResendRefused, resend_failed, resend_items, resend_range
from feeds.models import HookAttempt, QueueItem
from feeds.pulling import pull
from oms.ops.models import AuditEntry
from oms.orders.statuses import Status
from tests.feeds.feeding import make_key
from tests.feeds.hooks.delivering import (
    ACTOR,
    attempts,
    dispatching,
    due_again,
    make_hook,
    outcomes,
    told,
    wait_until,
)
from tests.feeds.hooks.receivers import Received, Receiver, allow_loopback
from tests.workflow.stories import move_to, place

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    allow_loopback(settings)


def fails(_: Received) -> web.StreamResponse:
    return web.Response(status=500, text="no")


def test_parked_items_are_sent_again_with_the_same_id_and_a_schedule_of_their_own() -> None:
    with Receiver() as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        with dispatching():
            place()
            wait_until(lambda: outcomes(subscription) == ["committed"])
            QueueItem.objects.update(outcome="parked", attempts=10)
            HookAttempt.objects.all().delete()
            receiver.behavior = fails
            assert resend_failed(subscription.pk, actor=ACTOR, reason="mended") == 1
            wait_until(lambda: len(attempts(subscription)) == 1)
            assert outcomes(subscription) == [""]
            receiver.behavior = lambda _: web.Response()
            due_again(subscription)
            wait_until(lambda: outcomes(subscription) == ["committed"])
    assert [attempt.number for attempt in attempts(subscription)] == [11, 12]
    assert len({call.headers["webhook-id"] for call in receiver.deliveries}) == 1
    entry = AuditEntry.objects.get(action="hook.resent")
    assert (entry.reason, entry.details) == ("mended", {"failed": "all", "count": 1})


def test_one_item_and_a_stretch_of_time_are_sent_again() -> None:
    with Receiver() as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        with dispatching():
            orders = [place() for _ in range(3)]
            wait_until(lambda: outcomes(subscription) == ["committed"] * 3)
            middle = QueueItem.objects.order_by("id")[1]
            assert resend_items(subscription.pk, [middle.pk], actor=ACTOR, reason="lost") == 1
            wait_until(lambda: len(receiver.deliveries) == 4)
            wait_until(lambda: outcomes(subscription) == ["committed"] * 3)
            ends = QueueItem.objects.order_by("ended_at").values_list("ended_at", flat=True)
            assert ends[0] is not None
            assert ends[2] is not None
            count = resend_range(
                subscription.pk, since=ends[0], until=ends[2], actor=ACTOR, reason="lost"
            )
            wait_until(lambda: outcomes(subscription) == ["committed"] * 3)
    assert told(receiver.deliveries)[3][0] == orders[1]
    assert count == 2
    assert len(receiver.deliveries) == 6


def test_what_a_receiver_took_is_left_alone_when_only_failures_are_asked_for() -> None:
    with Receiver() as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        with dispatching():
            place()
            wait_until(lambda: outcomes(subscription) == ["committed"])
        count = resend_range(
            subscription.pk,
            since=datetime(2020, 1, 1, tzinfo=UTC),
            until=datetime(2099, 1, 1, tzinfo=UTC),
            actor=ACTOR,
            reason="",
            only_failed=True,
        )
    assert count == 0


def test_items_of_one_order_are_sent_again_one_after_the_other() -> None:
    with Receiver() as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        order_id = place()
        move_to(order_id, Status.HANDLING)
        with dispatching():
            wait_until(lambda: set(outcomes(subscription)) == {"committed"})
            before = told(receiver.deliveries)
            assert resend_items(
                subscription.pk,
                QueueItem.objects.values_list("pk", flat=True),
                actor=ACTOR,
                reason="",
            ) == len(before)
            wait_until(lambda: len(receiver.deliveries) == 2 * len(before))
    assert told(receiver.deliveries) == before * 2


def test_one_call_queues_no_more_than_somebody_may_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resending, "BATCH", 2)
    monkeypatch.setattr(resending, "MOST_AT_ONCE", 4)
    with Receiver() as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        for _ in range(5):
            place()
        pull(subscription.pk)
    QueueItem.objects.update(outcome="parked", ended_at=Now(), available_at=None)
    counts = [resend_failed(subscription.pk, actor=ACTOR, reason="mended") for _ in range(3)]
    assert counts == [4, 1, 0]
    assert outcomes(subscription) == [""] * 5


def test_a_deleted_hook_is_sent_nothing_again() -> None:
    with Receiver() as receiver:
        key = make_key()
        subscription = make_hook(receiver.url, key=key).endpoint.subscription
    delete_hook(app_key_id=key.pk, actor=ACTOR)
    with pytest.raises(ResendRefused):
        resend_failed(subscription.pk, actor=ACTOR, reason="")
