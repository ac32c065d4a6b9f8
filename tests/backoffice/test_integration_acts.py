"""What staff do to feeds and hooks: with a reason, audited, once however often a form is sent."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from feeds.configuring import configure_feed
from feeds.hooks.configuring import configure_hook
from feeds.leasing import MOST_ATTEMPTS, commit_items, lease_items
from feeds.models import HookAttempt, HookEndpoint, Outcome, QueueItem, Replay, Subscription
from feeds.pulling import pull
from oms.access.models import AppKey
from oms.access.secrets import decrypt
from oms.backoffice.integration_acts import ACTS
from oms.ops.models import AuditEntry
from tests.backoffice.subscribers import give_key, park, queue, subscribe
from tests.feeds.hooks.receivers import Receiver, allow_loopback
from tests.workflow.stories import place

pytestmark = pytest.mark.django_db
Login = Callable[[str], Client]
FILTER = {"type": "FromWorkflow", "status": []}
NOW = datetime.now(UTC)


@pytest.fixture
def key() -> AppKey:
    return give_key("ERP of Lux")


@pytest.fixture
def feed(key: AppKey) -> Subscription:
    return configure_feed(app_key_id=key.pk, body={"filter": FILTER}, actor="key:test")


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    allow_loopback(settings)
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def hook(key: AppKey, receiver: Receiver) -> Subscription:
    body = {"filter": FILTER, "hook": {"url": receiver.url, "headers": {"X-Shop": "s3cret"}}}
    return configure_hook(app_key_id=key.pk, body=body, actor="key:test").endpoint.subscription


def _act(subscription: Subscription, name: str) -> str:
    given = [subscription.app_key_id, subscription.channel, name]
    return reverse("admin:integration_act", args=given)


def _said(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def _last_audit() -> tuple[str, str, str]:
    entry = AuditEntry.objects.latest("id")
    return entry.action, entry.actor, entry.reason


def test_a_replay_from_a_time_is_asked_for_and_noted(login: Login, feed: Subscription) -> None:
    place()
    client = login("Supervisor")
    given = {"from_time": f"{NOW - timedelta(days=1):%Y-%m-%dT%H:%M}", "reason": "ERP restored"}
    answer = client.post(_act(feed, "replay"), given)
    assert _said(answer) == "Replay: Asked for again: positions 1 to 1."
    replay = Replay.objects.get()
    assert (replay.requested_by, replay.reason) == ("user:supervisor", "ERP restored")
    assert _last_audit() == ("feed.replay_requested", "user:supervisor", "ERP restored")
    assert "ERP restored" in client.get(answer["Location"]).content.decode()


def test_orders_are_replayed_and_given_again_marked(login: Login, feed: Subscription) -> None:
    order_id, _ = place(), place()
    pull(feed.pk)
    commit_items(feed.pk, [handed.item_id for handed in lease_items(feed.pk, limit=10)])
    login("Supervisor").post(
        _act(feed, "replay"), {"order_ids": f"{order_id}, {order_id}", "reason": "lost"}
    )
    pull(feed.pk)
    again = QueueItem.objects.get(is_replay=True)
    assert again.order.order_id == order_id


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"from_position": "1", "order_ids": "A"}, "Fill in one of the three"),
        ({}, "Fill in one of the three"),
        ({"from_position": "0"}, "greater than or equal to 1"),
        ({"from_time": "yesterday"}, "Give a day and a time"),
        ({"until_time": "2026-01-01T00:00", "from_position": "1"}, "An end goes with a time"),
        ({"order_ids": " ".join(f"A{n}" for n in range(1_001))}, "At most 1,000 orders"),
        ({"from_position": "1", "reason": ""}, "Say why"),
    ],
)
def test_a_replay_that_is_not_clear_is_asked_again(
    login: Login, feed: Subscription, given: dict[str, str], words: str
) -> None:
    page = login("Supervisor").post(_act(feed, "replay"), {"reason": "x", **given})
    assert page.status_code == 200
    assert words in page.content.decode()
    assert Replay.objects.count() == 0


def test_what_the_service_refuses_is_told(login: Login, feed: Subscription) -> None:
    place()
    answer = login("Supervisor").post(_act(feed, "replay"), {"order_ids": "nobody", "reason": "x"})
    assert _said(answer) == "Replay: There is no such order."


def test_parked_events_are_queued_again_after_a_preview(login: Login, feed: Subscription) -> None:
    items = [queue(feed, place())[0] for _ in range(3)]
    for item in items:
        park(item)
    client, pks = login("Supervisor"), [str(item.pk) for item in items[:2]]
    preview = client.post(_act(feed, "requeue"), {"item": pks})
    assert "2 events selected." in preview.content.decode()
    assert "Say why" not in preview.content.decode()
    assert QueueItem.objects.filter(outcome=Outcome.PARKED).count() == 3
    form = {"item": pks, "form_id": preview.context["form_id"], "reason": "SKU is known now"}
    answer = client.post(_act(feed, "requeue"), form)
    assert _said(answer) == "Queue again: 2 events queued again."
    assert set(QueueItem.objects.filter(outcome="").values_list("pk", flat=True)) == {
        item.pk for item in items[:2]
    }
    assert _last_audit() == ("feed.resent", "user:supervisor", "SKU is known now")
    again = client.post(_act(feed, "requeue"), form)
    assert "sent before" in _said(again)


def test_items_of_another_integration_are_not_queued_again(
    login: Login, feed: Subscription
) -> None:
    other = queue(subscribe(give_key("Other")), place())[0]
    park(other)
    form = {"item": other.pk, "form_id": "a" * 32, "reason": "x"}
    answer = login("Supervisor").post(_act(feed, "requeue"), form)
    assert _said(answer) == "Queue again: 0 events queued again."
    other.refresh_from_db()
    assert other.outcome == Outcome.PARKED


def test_an_event_that_was_parked_for_too_many_reads_is_read_again(
    login: Login, feed: Subscription
) -> None:
    item = queue(feed, place())[0]
    QueueItem.objects.filter(pk=item.pk).update(attempts=MOST_ATTEMPTS)
    assert lease_items(feed.pk, limit=10) == []
    item.refresh_from_db()
    assert item.outcome == Outcome.PARKED
    form = {"form_id": "b" * 32, "reason": "the ERP was mended"}
    answer = login("Supervisor").post(_act(feed, "resend-failed"), form)
    assert _said(answer) == "Queue all failed again: 1 event queued again."
    assert [handed.item_id for handed in lease_items(feed.pk, limit=10)] == [item.pk]


def test_a_test_calls_the_receiver_once_and_tells_what_came_back(
    login: Login, hook: Subscription, receiver: Receiver
) -> None:
    client, pings = login("Supervisor"), len(receiver.received)
    form = {"reason": "new receiver", "form_id": "c" * 32}
    answer = client.post(_act(hook, "test"), form)
    assert "Send a test: The receiver answered 200 in " in _said(answer)
    client.post(_act(hook, "test"), form)
    assert len(receiver.received) == pings + 1
    assert receiver.received[-1].headers["x-shop"] == "s3cret"
    assert _last_audit() == ("hook.tested", "user:supervisor", "new receiver")
    assert HookAttempt.objects.filter(kind="test", is_success=True).count() == 1


def test_a_failed_test_says_why(login: Login, hook: Subscription, receiver: Receiver) -> None:
    receiver.__exit__(None, None, None)
    answer = login("Supervisor").post(_act(hook, "test"), {"reason": "is it there?"})
    assert "connection refused" in _said(answer)
    receiver.__enter__()


def test_a_rotated_secret_is_shown_on_the_answer_alone(login: Login, hook: Subscription) -> None:
    client = login("Administrator")
    before = bytes(HookEndpoint.objects.get().secret)
    form = {"reason": "yearly", "form_id": "d" * 32}
    answer = client.post(_act(hook, "rotate"), form)
    secret = answer.context["rotated"].secret
    endpoint = HookEndpoint.objects.get()
    assert decrypt(endpoint.secret).decode() == secret
    assert bytes(endpoint.previous_secret or b"") == before
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert "the old secret signs as well" in answer.content.decode()
    page = client.get(reverse("admin:integration", args=[hook.app_key_id]))
    assert secret not in page.content.decode()
    again = client.post(_act(hook, "rotate"), form)
    assert again.status_code == 302
    assert bytes(HookEndpoint.objects.get().secret) == bytes(endpoint.secret)
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.reason) == ("hook.secret_rotated", "yearly")
    assert secret not in str(entry.details)


def test_a_leaked_secret_signs_nothing_any_more(login: Login, hook: Subscription) -> None:
    login("Administrator").post(_act(hook, "rotate"), {"reason": "leaked", "has_leaked": "on"})
    assert HookEndpoint.objects.get().previous_secret is None


def test_a_hook_is_switched_off_and_on_again(login: Login, hook: Subscription) -> None:
    client = login("Administrator")
    client.post(_act(hook, "disable"), {"reason": "their release"})
    assert HookEndpoint.objects.get().disabled_reason == "their release"
    page = client.get(reverse("admin:integration", args=[hook.app_key_id]))
    names = [act.name for act in page.context["offers"]]
    assert "enable" in names
    assert "disable" not in names
    client.post(_act(hook, "enable"), {"reason": "released"})
    assert HookEndpoint.objects.get().disabled_at is None
    assert _last_audit() == ("hook.enabled", "user:administrator", "released")


def test_a_configuration_is_deleted_with_a_reason_and_its_history_stays(
    login: Login, feed: Subscription, hook: Subscription
) -> None:
    place()
    pull(feed.pk)
    client = login("Administrator")
    for subscription in (feed, hook):
        client.post(_act(subscription, "delete"), {"reason": "contract ended"})
        action, _, reason = _last_audit()
        assert (action, reason) == (f"{subscription.channel}.deleted", "contract ended")
        link = reverse("admin:integration", args=[subscription.app_key_id])
        page = client.get(f"{link}?channel={subscription.channel}&show=recent")
        assert "The configuration was deleted." in page.content.decode()
        assert page.context["offers"] == []
    assert QueueItem.objects.get().outcome == Outcome.WITHDRAWN
    gone = client.post(_act(feed, "delete"), {"reason": "again"})
    assert "not configured any more" in _said(gone)


@pytest.mark.parametrize("name", sorted(ACTS))
def test_each_act_needs_a_reason_and_its_permission(
    login: Login, hook: Subscription, receiver: Receiver, name: str
) -> None:
    audited, called = AuditEntry.objects.count(), len(receiver.received)
    strangers = ["Support", "Operator"]
    if name in ("rotate", "enable", "disable", "delete"):
        strangers.append("Supervisor")
    given = {"reason": "x", "from_position": "1", "item": "1", "form_id": "e" * 32}
    for role in strangers:
        client = login(role)
        assert client.get(_act(hook, name)).status_code == 403
        assert client.post(_act(hook, name), given).status_code == 403
    page = login("Administrator").post(_act(hook, name), {**given, "reason": " "})
    assert "Say why" in page.content.decode()
    assert (AuditEntry.objects.count(), len(receiver.received)) == (audited, called)
    assert HookEndpoint.objects.get().disabled_at is None


def test_an_act_or_a_channel_that_is_not_there_is_not_found(
    login: Login, feed: Subscription
) -> None:
    client = login("root")
    for channel, name in (("feed", "explode"), ("hook", "test"), ("x", "replay")):
        link = reverse("admin:integration_act", args=[feed.app_key_id, channel, name])
        assert client.post(link, {"reason": "x"}).status_code == 404


def test_a_hook_act_on_a_feed_is_refused_and_changes_nothing(
    login: Login, feed: Subscription
) -> None:
    client = login("root")
    for name in ("test", "rotate"):
        answer = client.post(_act(feed, name), {"reason": "x"})
        assert "not configured any more" in _said(answer)
