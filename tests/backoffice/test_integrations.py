"""Integrations: how each feed and hook is doing, in words; who may see it; what is never shown."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.urls import reverse

from feeds.models import Channel, HookEndpoint, Subscription
from oms.access.list_pollers import note_list_poller
from oms.backoffice import hook_calls
from oms.backoffice.integration_states import Condition
from oms.ops.heartbeats import beat
from oms.ops.models import Heartbeat
from oms.orders.ledger import LEDGER_LOCK
from oms.orders.models import Order
from oms.orders.statuses import Status
from tests.backoffice.subscribers import (
    SECRET,
    attempt,
    give_key,
    park,
    queue,
    sample_lag,
    subscribe,
)
from tests.workflow.stories import place, place_in

pytestmark = pytest.mark.django_db
Login = Callable[[str], Client]
LIST = reverse("admin:integrations")
NOW = datetime.now(UTC)


def _page(subscription: Subscription, query: str = "") -> str:
    link = reverse("admin:integration", args=[subscription.app_key_id])
    return f"{link}?channel={subscription.channel}{query}"


def _condition(client: Client, subscription: Subscription) -> Condition:
    condition = client.get(_page(subscription)).context["flow"].condition
    assert isinstance(condition, Condition)
    return condition


def test_a_feed_that_is_not_read_says_since_when_and_what_waits(login: Login) -> None:
    feed = subscribe(give_key("The ERP"), last_read_at=NOW - timedelta(hours=3, minutes=1))
    queue(feed, place_in(Status.HANDLING), queued_at=NOW - timedelta(hours=2))
    page = login("Support").get(_page(feed))
    flow = page.context["flow"]
    assert flow.condition is Condition.BEHIND
    count = flow.facts.open_count
    assert count > 5
    assert flow.sentence.startswith(
        f"The ERP has not read for 3 h 1 min; {count} events wait, the oldest since "
    )
    assert flow.sentence in page.content.decode()


def test_what_the_next_read_will_queue_waits_already(login: Login) -> None:
    read_at = NOW - timedelta(hours=1, seconds=5)
    key = give_key("The ERP")
    feed = subscribe(key, cursor=0, last_read_at=read_at, statuses=["order-created"])
    place()
    place_in(Status.HANDLING)
    flow = login("root").get(_page(feed)).context["flow"]
    assert (flow.facts.open_count, flow.facts.ahead_count, flow.facts.unseen_count) == (0, 2, 0)
    assert flow.sentence.startswith(
        "The ERP has not read for 1 h; 2 events wait, the oldest since"
    )


def test_an_expression_is_not_tried_by_a_page_and_what_it_has_not_seen_is_said(
    login: Login,
) -> None:
    given: Any = {"filter_type": "FromOrders", "expression": "value > 1"}
    feed = subscribe(give_key(), cursor=0, last_read_at=NOW - timedelta(hours=1), **given)
    place(now=NOW - timedelta(minutes=50))
    flow = login("root").get(_page(feed)).context["flow"]
    assert (flow.facts.waiting_count, flow.facts.unseen_count) == (0, 1)
    assert flow.condition is Condition.BEHIND
    assert "nothing waits. 1 newer change of an order has not been compared" in flow.sentence


def test_a_key_for_one_seller_does_not_wait_for_events_of_another(login: Login) -> None:
    feed = subscribe(give_key(seller_ids=["7"]), cursor=0)
    place(seller_id="1")
    place(seller_id="7")
    assert login("root").get(_page(feed)).context["flow"].facts.ahead_count == 1


def test_the_list_shows_trouble_first_and_keys_without_either(login: Login) -> None:
    fine = subscribe(give_key("Aaa"), last_read_at=NOW)
    give_key("Bbb")
    late = subscribe(give_key("Zzz"), last_read_at=NOW - timedelta(hours=1))
    queue(late, place(), queued_at=NOW - timedelta(hours=1))
    page = login("Support").get(LIST)
    rows = page.context["rows"]
    assert [row.key.owner_name for row in rows] == ["Zzz", "Aaa", "Bbb"]
    assert (page.context["troubled"], page.context["flow_count"]) == (1, 2)
    assert rows[2].flows == []
    assert fine.app_key_id == rows[1].key.pk
    found = login("Support").get(LIST, {"q": "zz"}).context["rows"]
    assert [row.key.owner_name for row in found] == ["Zzz"]


@pytest.mark.parametrize(
    ("endpoint", "condition", "words"),
    [
        (
            {"disabled_at": NOW, "disabled_reason": "The receiver answered 410"},
            Condition.DISABLED,
            "Switched off since",
        ),
        (
            {"failing_since": NOW - timedelta(hours=1), "last_error": "HTTP 503"},
            Condition.FAILING,
            ": HTTP 503. Nothing waits.",
        ),
        ({"last_success_at": NOW}, Condition.HEALTHY, "Last delivered"),
        ({}, Condition.HEALTHY, "Nothing was delivered yet."),
    ],
)
def test_a_hook_says_how_its_receiver_is_doing(
    login: Login, endpoint: dict[str, Any], condition: Condition, words: str
) -> None:
    hook = subscribe(give_key(), Channel.HOOK)
    HookEndpoint.objects.update(**endpoint)
    flow = login("Support").get(_page(hook)).context["flow"]
    assert flow.condition is condition
    assert words in flow.sentence


def test_hooks_that_nobody_delivers_are_an_alarm_and_feeds_are_not(login: Login) -> None:
    client, key = login("Support"), give_key()
    feed, alarm = subscribe(key), "No process delivers hooks"
    assert alarm not in client.get(LIST).content.decode()
    hook = subscribe(key, Channel.HOOK)
    for link in (LIST, _page(hook)):
        assert alarm in client.get(link).content.decode()
    assert alarm not in client.get(_page(feed)).content.decode()
    beat("hooks")
    for link in (LIST, _page(hook)):
        assert alarm not in client.get(link).content.decode()
    Heartbeat.objects.update(beat_at=NOW - timedelta(hours=1))
    assert "the last sign of one was" in client.get(LIST).content.decode()


def test_the_sidebar_counts_hooks_that_somebody_must_see_to(login: Login) -> None:
    client, home = login("Support"), reverse("admin:index")

    def badge() -> object:
        groups = client.get(home).context["sidebar_navigation"]
        items = [item for group in groups for item in group["items"]]
        return next(item for item in items if item["title"] == "Integrations").get("badge")

    subscribe(give_key(), Channel.HOOK)
    assert badge() is None
    HookEndpoint.objects.update(disabled_at=NOW)
    assert badge() == "1"
    Subscription.objects.update(is_active=False)
    assert badge() is None


def test_quiet_deleted_and_shut_out_configurations_are_told(login: Login) -> None:
    client = login("Support")
    long_ago = NOW - timedelta(days=9)
    idle = subscribe(give_key(), configured_at=long_ago, last_read_at=NOW)
    removed = subscribe(give_key(), is_active=False)
    shut_out = subscribe(give_key())
    shut_out.app_key.is_active = False
    shut_out.app_key.save()
    assert _condition(client, idle) is Condition.IDLE
    page = client.get(LIST)
    assert "Nothing has matched its filter for 9 d." in page.content.decode()
    assert (page.context["flow_count"], page.context["troubled"]) == (2, 0)
    assert _condition(client, removed) is Condition.REMOVED
    assert _condition(client, shut_out) is Condition.KEY_OFF


def test_secrets_headers_and_values_in_addresses_are_on_no_page(login: Login) -> None:
    hook = subscribe(give_key(), Channel.HOOK)
    item = queue(hook, place())[0]
    attempt(hook, item, is_success=False, status=503, answer="upstream is down")
    client = login("root")
    for link in (
        LIST,
        _page(hook),
        reverse("admin:integration_attempts", args=[hook.app_key_id]),
        reverse("admin:orders_order_change", args=[item.order_id]),
    ):
        page = client.get(link).content.decode()
        assert SECRET.decode() not in page
        assert "of-the-address" not in page
    attempts = client.get(reverse("admin:integration_attempts", args=[hook.app_key_id]))
    sent = f"&quot;OrderId&quot;: &quot;{item.order.order_id}&quot;"
    assert sent in attempts.content.decode()
    assert "upstream is down" in attempts.content.decode()
    assert "https://erp.example/hook?token=•••" in client.get(_page(hook)).content.decode()


def test_parked_waiting_and_recent_events_are_paged_by_key(login: Login) -> None:
    feed, client = subscribe(give_key()), login("Support")
    orders = [place() for _ in range(30)]
    items = [queue(feed, order_id)[0] for order_id in orders]
    first = client.get(_page(feed, "&show=waiting")).context["items"]
    assert [line.order_id for line in first.lines] == orders[:15]
    second = client.get(_page(feed, f"&show=waiting&after={first.next_cursor}")).context["items"]
    assert ([line.order_id for line in second.lines], second.next_cursor) == (orders[15:], "")
    recent = client.get(_page(feed, "&show=recent")).context["items"]
    assert [line.order_id for line in recent.lines] == orders[:14:-1]
    older = client.get(_page(feed, f"&show=recent&after={recent.next_cursor}")).context["items"]
    assert [line.order_id for line in older.lines] == orders[14::-1]
    for item in items[:27]:
        park(item)
    parked = client.get(_page(feed)).context
    assert parked["shelf"] == "parked"
    assert parked["flow"].parked_count == 27
    rest = client.get(_page(feed, f"&show=parked&after={parked['items'].next_cursor}"))
    assert [line.order_id for line in rest.context["items"].lines] == orders[15:27]
    narrowed = client.get(_page(feed, f"&show=recent&order={orders[3]}")).context["items"]
    assert [line.order_id for line in narrowed.lines] == [orders[3]]


def test_a_foreign_cursor_is_the_first_page(login: Login) -> None:
    feed, client = subscribe(give_key()), login("Support")
    queue(feed, place())
    for cursor in ("x", "1", "1.x", f"{'9' * 18}.1", "-1.-1", "٣.٣"):
        page = client.get(_page(feed, f"&show=waiting&after={cursor}"))
        assert page.status_code == 200, cursor


def test_the_number_of_queries_grows_neither_with_keys_nor_with_items(
    login: Login, django_assert_max_num_queries: Any
) -> None:
    client, feed = login("root"), subscribe(give_key())
    hook = subscribe(feed.app_key, Channel.HOOK)
    order_id = place_in(Status.HANDLING)
    queue(feed, order_id)
    attempt(hook, queue(hook, order_id)[0])
    order_page = reverse("admin:orders_order_change", args=[Order.objects.get().pk])
    pages = {LIST: 12, _page(feed): 20, _page(hook): 22, order_page: 33}
    few = {}
    for link, most in pages.items():
        client.get(link)
        with django_assert_max_num_queries(most) as asked:
            client.get(link)
        few[link] = len(asked)
    for number in range(12):
        other = subscribe(give_key(f"Other {number}"), Channel.HOOK)
        for item in queue(other, order_id):
            attempt(other, item)
            attempt(hook, item)
    sample_lag(feed)
    for link, count in few.items():
        # The theme reads session and permissions again now and then.
        with django_assert_max_num_queries(count + 2):
            client.get(link)


def test_lag_is_drawn_with_a_summary_for_who_does_not_see_the_line(login: Login) -> None:
    feed, client = subscribe(give_key(), created_at=NOW - timedelta(days=2)), login("Support")
    empty = client.get(_page(feed)).context["charts"]
    assert [chart.summary for chart in empty] == ["Nothing was measured in the last 24 hours."] * 2
    sample_lag(feed)
    ages, counts = client.get(_page(feed)).context["charts"]
    assert counts.summary.startswith("In the last 24 hours at most 39, at ")
    assert len(counts.bands) <= 97
    assert ages.lines
    for span in ("6h", "7d", "30d", "x"):
        assert client.get(_page(feed, f"&span={span}")).status_code == 200


def test_calls_of_a_hook_are_listed_newest_first_and_failed_ones_apart(login: Login) -> None:
    hook, client = subscribe(give_key(), Channel.HOOK), login("Support")
    for number in range(60):
        attempt(
            hook,
            number=number,
            is_success=number % 2 == 0,
            status=200 if number % 2 == 0 else None,
        )
    link = reverse("admin:integration_attempts", args=[hook.app_key_id])
    first = client.get(link).context["page"]
    assert [row.number for row in first.attempts[:2]] == [59, 58]
    second = client.get(link, {"older": first.next_cursor}).context["page"]
    assert (len(second.attempts), second.next_cursor) == (10, "")
    failed = client.get(link, {"show": "failed"}).context["page"]
    assert {row.is_success for row in failed.attempts} == {False}
    feed = subscribe(give_key())
    assert (
        client.get(reverse("admin:integration_attempts", args=[feed.app_key_id])).status_code
        == 404
    )


def test_the_order_page_tells_who_was_told_what_and_who_has_acknowledged(login: Login) -> None:
    order_id = place()
    fed, waiting = subscribe(give_key("Fed")), subscribe(give_key("Waiting"))
    subscribe(give_key("Asleep"), cursor=0)
    subscribe(give_key("Not interested"))
    subscribe(give_key("Off"), Channel.HOOK, cursor=0)
    HookEndpoint.objects.update(disabled_at=NOW)
    queue(fed, order_id, outcome="committed", ended_at=NOW, attempts=1)
    queue(waiting, order_id, queued_at=NOW - timedelta(hours=2, seconds=1))
    page = login("Support").get(
        reverse("admin:orders_order_change", args=[Order.objects.get().pk])
    )
    told = {row.owner: row.sentence for row in page.context["integrations"].shown}
    assert told == {
        "Asleep": "The newest change, just now, has not been asked for yet.",
        "Fed": "Everything is acknowledged.",
        "Not interested": "No change of this order has matched its filter.",
        "Off": "The newest change, just now, has not been delivered yet. The hook is switched off.",
        "Waiting": "1 event is not acknowledged yet, for 2 h.",
    }


def test_the_order_page_leaves_out_integrations_of_other_sellers_and_affiliates(
    login: Login,
) -> None:
    order_id = place()
    order = Order.objects.get()
    subscribe(give_key("Its own", seller_ids=[order.seller_id]), cursor=0)
    subscribe(give_key("Another's", seller_ids=["another"]), cursor=0)
    subscribe(give_key("Elsewhere", affiliate_ids=["ELSE"]), cursor=0)
    former = subscribe(give_key("Former seller", seller_ids=["former"]))
    queue(former, order_id, outcome="committed", ended_at=NOW, attempts=1)
    Subscription.objects.filter(pk=former.pk).update(cursor=0)
    page = login("Support").get(reverse("admin:orders_order_change", args=[order.pk]))
    assert {row.owner: row.sentence for row in page.context["integrations"].shown} == {
        "Its own": "The newest change, just now, has not been asked for yet.",
        "Former seller": "Everything is acknowledged.",
    }


def test_a_filter_by_expression_is_shown_as_it_was_written_with_its_last_error(
    login: Login,
) -> None:
    feed = subscribe(
        give_key(),
        filter_type="FromOrders",
        expression="value > 'x'",
        filter_error_count=1_200,
        last_filter_error="Cannot compare a number with a text",
        last_filter_error_at=NOW,
    )
    page = login("Operator").get(_page(feed)).content.decode()
    assert "value &gt; &#x27;x&#x27;" in page
    assert "failed on 1,200 versions" in page
    assert "Cannot compare a number with a text" in page


def test_keys_that_poll_the_list_are_shown_with_owner_and_where_a_feed_would_begin(
    login: Login,
) -> None:
    key = give_key("Old ERP", owner_contact="it@old.example")
    pattern, example = "advancing dates", "f_creationDate"
    note_list_poller(key.pk, pattern=pattern, example=example, request_count=90, position=4_211)
    client = login("Support")
    page = client.get(reverse("admin:polling_keys")).content.decode()
    for words in ("Old ERP", "it@old.example", "range of dates that has moved on", "From 4,211"):
        assert words in page
    own = client.get(reverse("admin:integration", args=[key.pk])).content.decode()
    assert "This key polls the order list" in own
    subscribe(key)
    assert "Has one" in client.get(reverse("admin:polling_keys")).content.decode()


def test_the_list_of_polling_keys_asks_no_more_with_more_keys(
    login: Login, django_assert_max_num_queries: Any
) -> None:
    client, link = login("root"), reverse("admin:polling_keys")
    for number in range(12):
        key = give_key(f"Old {number}")
        note_list_poller(key.pk, pattern=None, example="", request_count=1, position=1)
    client.get(link)
    with django_assert_max_num_queries(8):
        assert client.get(link).status_code == 200


def test_who_may_not_see_integrations_sees_none(login: Login) -> None:
    feed = subscribe(give_key())
    order_id = place()
    queue(feed, order_id)
    client = login("Support")
    client.get(LIST)
    group = Group.objects.get(name="Support")
    group.permissions.remove(*group.permissions.filter(codename="view_integrations"))
    attempts = reverse("admin:integration_attempts", args=[feed.app_key_id])
    for link in (LIST, _page(feed), attempts, reverse("admin:polling_keys")):
        assert client.get(link).status_code == 403
    page = client.get(reverse("admin:orders_order_change", args=[Order.objects.get().pk]))
    assert page.context["integrations"] is None


def test_failed_calls_are_looked_for_a_stretch_at_a_time(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_calls, "SCAN_LIMIT", 10)
    hook, client = subscribe(give_key(), Channel.HOOK), login("Support")
    attempt(hook, is_success=False, status=500)
    for _ in range(12):
        attempt(hook)
    link = reverse("admin:integration_attempts", args=[hook.app_key_id])
    first = client.get(link, {"show": "failed"}).context["page"]
    assert first.attempts == []
    second = client.get(link, {"show": "failed", "older": first.next_cursor}).context["page"]
    assert [row.status for row in second.attempts] == [500]
    assert second.next_cursor == ""


@pytest.mark.django_db(transaction=True)
def test_no_page_waits_for_whoever_holds_the_ledger(login: Login) -> None:
    feed, client = subscribe(give_key(), cursor=0), login("Support")
    place()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LEDGER_LOCK])
        begun = time.monotonic()
        assert client.get(_page(feed)).context["flow"].facts.ahead_count == 0
        assert time.monotonic() - begun < 5
    finally:
        other.close()
    assert client.get(_page(feed)).context["flow"].facts.ahead_count == 1
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() != ("500ms",)
