"""A dispatcher, receivers over HTTP, and orders that move: what is told, how, and in which order."""

import time
from datetime import timedelta

import pytest
from aiohttp import web
from django.db.models import F
from pytest_django import Settings
from standardwebhooks import Webhook

from feeds.hooks import filling
from feeds.hooks.configuring import configure_hook
from feeds.hooks.rotating import rotate_secret
from feeds.hooks.trying import send_test
from feeds.identifiers import event_id_of
from feeds.models import HookEndpoint, LagSample, QueueItem
from oms.ops.clock import database_now
from oms.ops.models import AuditEntry, Heartbeat
from oms.orders.models import OrderEvent
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
from tests.workflow.stories import move_to, place, place_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    allow_loopback(settings)


def fails(_: Received) -> web.StreamResponse:
    return web.Response(status=500, text="no")


def test_a_delivery_says_what_the_contract_says_and_is_signed() -> None:
    key = make_key()
    with Receiver() as receiver:
        hook = make_hook(
            receiver.url, Status.READY_FOR_HANDLING, key=key, headers={"X-Shop": "one"}
        )
        assert hook.secret is not None
        with dispatching():
            order_id = place_in(Status.READY_FOR_HANDLING)
            wait_until(lambda: receiver.deliveries)
    (call,) = receiver.deliveries
    event = OrderEvent.objects.get(status=Status.READY_FOR_HANDLING)
    assert set(call.told) == {
        *("Domain", "OrderId", "State", "LastState", "LastChange", "CurrentChange", "Origin")
    }
    assert call.told["Origin"] == {"Account": "bulkhead", "Key": key.app_key}
    assert (call.told["Domain"], call.told["OrderId"]) == ("Marketplace", order_id)
    assert (call.told["State"], call.told["LastState"]) == (event.status, event.last_status)
    assert call.told["CurrentChange"].endswith("0Z")
    assert call.headers["x-shop"] == "one"
    assert call.headers["webhook-id"] == event_id_of(event.pk)
    Webhook(hook.secret).verify(call.body, call.headers)


def test_statuses_that_were_not_asked_for_are_not_told() -> None:
    """store-discussion #421: a hook of one status got hundreds of calls with others."""
    with Receiver() as receiver:
        make_hook(receiver.url, Status.READY_FOR_HANDLING)
        with dispatching():
            orders = [place() for _ in range(3)]
            for order_id in orders:
                move_to(order_id, Status.INVOICED)
            wait_until(lambda: len(receiver.deliveries) >= 3)
            time.sleep(0.5)
    assert sorted(told(receiver.deliveries)) == sorted(
        (order_id, "ready-for-handling") for order_id in orders
    )


def test_a_hook_by_expression_tells_of_each_version_or_of_each_order_once() -> None:
    """KI 832400: versions were skipped where the expression named something that changes."""
    with Receiver() as every, Receiver() as once:
        for receiver, is_disabled in ((every, True), (once, False)):
            configure_hook(
                app_key_id=make_key().pk,
                body={
                    "filter": {
                        "type": "FromOrders",
                        "expression": 'status in ["payment-approved", "handling"]',
                        "disableSingleFire": is_disabled,
                    },
                    "hook": {"url": receiver.url},
                },
                actor=ACTOR,
            )
        with dispatching():
            order_id = place_in(Status.HANDLING)
            wait_until(lambda: (order_id, "handling") in told(every.deliveries))
            wait_until(lambda: once.deliveries)
            time.sleep(0.5)
    states = [state for _, state in told(every.deliveries)]
    assert list(dict.fromkeys(states)) == ["payment-approved", "handling"]
    assert told(once.deliveries) == [(order_id, "payment-approved")]


def test_a_delivered_item_is_committed_with_its_attempt() -> None:
    with Receiver() as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        with dispatching():
            place()
            wait_until(lambda: "committed" in outcomes(subscription))
    (attempt,) = attempts(subscription)
    item = QueueItem.objects.get()
    assert (attempt.item_id, attempt.number, attempt.status) == (item.pk, 1, 200)
    assert (attempt.is_success, attempt.error, attempt.answer) == (True, "", "thank you")
    assert item.ended_at is not None
    assert item.first_leased_at is not None
    assert item.first_leased_at <= attempt.attempted_at <= item.ended_at
    endpoint = HookEndpoint.objects.get()
    assert endpoint.last_success_at is not None
    assert endpoint.failing_since is None
    assert Heartbeat.objects.filter(role="hooks").exists()


def test_an_orders_states_arrive_in_their_order_over_failures() -> None:
    refused: set[str] = set()

    def refuses_each_state_once(call: Received) -> web.StreamResponse:
        state = call.told["State"]
        is_first = state not in refused
        refused.add(state)
        return web.Response(status=503 if is_first else 200)

    with Receiver(refuses_each_state_once) as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        order_id = place()
        move_to(order_id, Status.INVOICED)
        events = OrderEvent.objects.exclude(status=F("last_status")).order_by("seq")
        states = list(events.values_list("status", flat=True))
        with dispatching():
            while outcomes(subscription) != ["committed"] * len(states):
                due_again(subscription)
                time.sleep(0.02)
    assert [call.told["State"] for call in receiver.deliveries] == [
        state for state in states for _ in range(2)
    ]


def test_a_failure_is_tried_again_by_the_schedule_and_parked_after_the_last() -> None:
    with Receiver(fails) as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        with dispatching():
            place()
            wait_until(lambda: attempts(subscription))
            item = QueueItem.objects.get()
            assert item.available_at is not None
            waited = (item.available_at - attempts(subscription)[0].attempted_at).total_seconds()
            assert 5.0 <= waited < 6.5
            for number in range(2, 11):
                due_again(subscription)
                wait_until(lambda: len(attempts(subscription)) == number)  # noqa: B023
    item.refresh_from_db()
    assert (item.outcome, item.last_error, item.attempts) == ("parked", "HTTP 500", 10)
    kept = attempts(subscription)
    assert [attempt.number for attempt in kept] == list(range(1, 11))
    assert {(a.status, a.error, a.answer, a.is_success) for a in kept} == {
        (500, "HTTP 500", "no", False)
    }
    ids = {call.headers["webhook-id"] for call in receiver.deliveries}
    assert len(ids) == 1


def test_retry_after_pauses_the_receiver() -> None:
    busy = {"Retry-After": "3600"}
    with Receiver(lambda _: web.Response(status=429, headers=busy)) as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        with dispatching():
            place()
            wait_until(lambda: attempts(subscription))
            place()
            time.sleep(1.5)
    assert len(receiver.deliveries) == 1
    endpoint = HookEndpoint.objects.get()
    item = QueueItem.objects.order_by("id").first()
    assert endpoint.paused_until is not None
    assert item is not None
    assert item.available_at is not None
    assert (item.available_at - attempts(subscription)[0].attempted_at).total_seconds() > 3599


def test_410_disables_the_hook_with_a_notice_and_its_queue_waits() -> None:
    answers = [410, 200, 200]
    with Receiver(lambda _: web.Response(status=answers.pop(0))) as receiver:
        key = make_key()
        hook = make_hook(receiver.url, Status.PAYMENT_PENDING, key=key)
        with dispatching():
            place_in(Status.PAYMENT_PENDING)
            wait_until(lambda: HookEndpoint.objects.get().disabled_at)
            place_in(Status.PAYMENT_PENDING)
            due_again(hook.endpoint.subscription)
            time.sleep(1.5)
            assert len(receiver.deliveries) == 1
            entry = AuditEntry.objects.get(action="hook.disabled")
            assert (entry.actor, entry.object_id) == ("role:hooks", key.app_key)
            assert entry.reason == "The receiver answered 410 (gone)."
            again = make_hook(receiver.url, Status.PAYMENT_PENDING, key=key)
            assert again.secret is None
            due_again(hook.endpoint.subscription)
            wait_until(lambda: len(receiver.deliveries) == 3)
    assert HookEndpoint.objects.get().disabled_reason == ""


def fail_since(days: float) -> None:
    HookEndpoint.objects.update(failing_since=database_now() - timedelta(days=days))


def test_five_days_of_nothing_but_failures_disable_a_hook() -> None:
    with Receiver(fails) as receiver:
        subscription = make_hook(receiver.url).endpoint.subscription
        with dispatching():
            place()
            wait_until(lambda: HookEndpoint.objects.get().failing_since)
            fail_since(4.99)
            due_again(subscription)
            wait_until(lambda: len(attempts(subscription)) == 2)
            assert HookEndpoint.objects.get().disabled_at is None
            fail_since(5.01)
            due_again(subscription)
            wait_until(lambda: HookEndpoint.objects.get().disabled_at)
    assert HookEndpoint.objects.get().disabled_reason == "Nothing but failures for 5 days."
    assert outcomes(subscription) == [""]


def test_a_receiver_that_fails_now_and_then_is_never_disabled() -> None:
    fate = iter([500, 200, 500, 200])
    with Receiver(lambda _: web.Response(status=next(fate))) as receiver:
        subscription = make_hook(receiver.url, Status.PAYMENT_PENDING).endpoint.subscription
        with dispatching():
            for number in (1, 3):
                place_in(Status.PAYMENT_PENDING)
                wait_until(lambda: len(attempts(subscription)) == number)  # noqa: B023
                fail_since(4.99)
                due_again(subscription)
                wait_until(lambda: len(attempts(subscription)) == number + 1)  # noqa: B023
                assert HookEndpoint.objects.get().failing_since is None
    assert HookEndpoint.objects.get().disabled_at is None


def test_a_rotated_secret_signs_beside_the_one_before_until_its_end() -> None:
    with Receiver() as receiver:
        hook = make_hook(receiver.url, Status.PAYMENT_PENDING)
        rotated = rotate_secret(hook.endpoint.pk, actor=ACTOR)
        with dispatching():
            place_in(Status.PAYMENT_PENDING)
            wait_until(lambda: len(receiver.deliveries) == 1)
            HookEndpoint.objects.update(previous_secret_ends_at="2020-01-01T00:00:00Z")
            time.sleep(2.5)
            place_in(Status.PAYMENT_PENDING)
            wait_until(lambda: len(receiver.deliveries) == 2)
    during, after = receiver.deliveries
    assert hook.secret is not None
    for secret in (hook.secret, rotated.secret):
        Webhook(secret).verify(during.body, during.headers)
    Webhook(rotated.secret).verify(after.body, after.headers)
    assert after.headers["webhook-signature"].count("v1,") == 1
    assert AuditEntry.objects.filter(action="hook.secret_rotated").count() == 1


def test_nothing_secret_lies_open_in_the_database() -> None:
    with Receiver() as receiver:
        hook = make_hook(receiver.url, headers={"Authorization": "Bearer open-sesame"})
    rotate_secret(hook.endpoint.pk, actor=ACTOR)
    endpoint = HookEndpoint.objects.get()
    stored = b"".join(
        bytes(part or b"")
        for part in (endpoint.headers, endpoint.secret, endpoint.previous_secret)
    )
    assert hook.secret is not None
    assert hook.secret.encode() not in stored
    assert b"sesame" not in stored
    logged = str(list(AuditEntry.objects.values()))
    assert "sesame" not in logged
    assert hook.secret not in logged


def test_a_test_is_signed_kept_and_counts_for_nothing() -> None:
    with Receiver(fails, answers_ping=False) as receiver:
        receiver.behavior = lambda _: web.Response()
        hook = make_hook(receiver.url)
        receiver.behavior = fails
        attempt = send_test(hook.endpoint.pk, actor=ACTOR, reason="looks dead")
    call = receiver.received[-1]
    assert hook.secret is not None
    Webhook(hook.secret).verify(call.body, call.headers)
    assert call.told == {"hookConfig": "ping"}
    assert (attempt.kind, attempt.status, attempt.answer) == ("test", 500, "no")
    assert HookEndpoint.objects.get().failing_since is None
    assert AuditEntry.objects.get(action="hook.tested").reason == "looks dead"


def test_how_far_behind_each_subscription_is_gets_noted_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Receiver() as receiver:
        make_hook(receiver.url)
    for _ in range(2):  # as of two processes
        monkeypatch.setattr(filling, "_sampled_at", -filling.LAG_SECONDS)
        filling.fill_queues([], lambda: False)
    assert LagSample.objects.count() == 1
