"""A hook over HTTP: configuring with the ping, what is shown and what is not, the bad inputs."""

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiohttp import web
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.models import F
from django.http import HttpResponse
from pytest_django import Settings
from standardwebhooks import Webhook

from feeds.hooks import resending
from feeds.hooks.terms import load_terms
from feeds.models import HookAttempt, HookEndpoint, QueueItem, Subscription
from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from oms.ops.models import AuditEntry
from oms.ops.statements import Rows, Statement, run_together
from tests.api.callers import Caller, fields_of, parsed, refusal
from tests.feeds.hooks.receivers import Received, Receiver, allow_loopback

pytestmark = pytest.mark.django_db

CONFIG = "orders/hook/config"
HEADERS = {"X-Shop-Key": "open-sesame"}


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    settings.HOOK_TIMEOUT_SECONDS = 1.0
    allow_loopback(settings)


@pytest.fixture
def caller() -> Iterator[Caller]:
    forget_all_cached_keys()
    yield Caller([Scope.FEED_HOOK_ADMIN])
    forget_all_cached_keys()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(answers_ping=False) as receiver:
        yield receiver


def body(url: str, **filtered: Any) -> dict[str, Any]:
    return {
        "filter": {"type": "FromWorkflow", "status": ["ready-for-handling"]} | filtered,
        "hook": {"url": url, "headers": HEADERS},
    }


def test_a_hook_is_made_after_a_signed_ping_with_its_headers(
    caller: Caller, receiver: Receiver
) -> None:
    answer = caller.post(CONFIG, body(receiver.url))
    assert answer.status_code == 200, answer.content
    (ping,) = receiver.received
    told = parsed(answer)
    assert ping.body == b'{"hookConfig":"ping"}'
    assert ping.headers["x-shop-key"] == "open-sesame"
    assert told["secret"].startswith("whsec_")
    Webhook(told["secret"]).verify(ping.body, ping.headers)
    assert told["filter"] == {"type": "FromWorkflow", "status": ["ready-for-handling"]}
    assert told["hook"] == {"url": receiver.url, "headers": {"X-Shop-Key": "••••••••"}}
    # What the contract's schema of this answer requires.
    assert told["Origin"] == {
        "Account": "bulkhead",
        "Key": caller.headers["X-VTEX-API-AppKey"],
    }
    assert {"Domain", "OrderId", "State", "LastState", "LastChange", "CurrentChange"} <= set(told)


def test_the_secret_is_told_once_and_kept_when_the_hook_changes(
    caller: Caller, receiver: Receiver
) -> None:
    first = parsed(caller.post(CONFIG, body(receiver.url)))
    shown = caller.get(CONFIG)
    second = caller.post(CONFIG, body(receiver.url + "/2", status=["invoiced"]))
    assert second.status_code == 200
    for answer in (shown, second):
        assert "secret" not in parsed(answer)
        assert b"whsec" not in answer.content
        assert b"sesame" not in answer.content
    Webhook(first["secret"]).verify(receiver.received[-1].body, receiver.received[-1].headers)
    assert parsed(caller.get(CONFIG))["filter"]["status"] == ["invoiced"]
    assert HookEndpoint.objects.get().url.endswith("/2")


def test_a_deleted_hook_forgets_its_secret_and_a_new_one_gets_another(
    caller: Caller, receiver: Receiver
) -> None:
    first = parsed(caller.post(CONFIG, body(receiver.url)))
    assert caller.ask("DELETE", CONFIG).status_code == 200
    assert HookEndpoint.objects.count() == 0
    refusal(caller.get(CONFIG), 404, "hook_not_configured")
    refusal(caller.ask("DELETE", CONFIG), 404, "hook_not_configured")
    again = parsed(caller.post(CONFIG, body(receiver.url)))
    assert again["secret"] != first["secret"]


def test_a_deletion_that_ended_half_way_forgets_the_secret_when_it_is_repeated(
    caller: Caller, receiver: Receiver
) -> None:
    caller.post(CONFIG, body(receiver.url))
    Subscription.objects.update(is_active=False)
    refusal(caller.ask("DELETE", CONFIG), 404, "hook_not_configured")
    assert HookEndpoint.objects.count() == 0


def test_a_viewer_sees_a_hook_and_cannot_change_it(receiver: Receiver) -> None:
    forget_all_cached_keys()
    viewer = Caller([Scope.FEED_HOOK_VIEWER])
    refusal(viewer.get(CONFIG), 404, "hook_not_configured")
    refusal(viewer.post(CONFIG, body(receiver.url)), 403, "forbidden")
    refusal(viewer.ask("DELETE", CONFIG), 403, "forbidden")
    refusal(viewer.post("orders/hook/secret"), 403, "forbidden")
    refusal(viewer.post("orders/hook/test"), 403, "forbidden")
    refusal(viewer.post("orders/hook/resend", {"failed": True}), 403, "forbidden")
    assert receiver.received == []


async def never(_: Received) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.Response()


@pytest.mark.parametrize(
    ("behavior", "came_back"),
    [
        (lambda _: web.Response(status=201, text="created"), "HTTP 201"),
        (lambda _: web.Response(status=404, text="lost"), "HTTP 404. It said: 'lost'."),
        (lambda _: web.Response(status=302, headers={"Location": "/"}), "HTTP 302: redirects"),
        (never, "no complete answer within 1 s"),
    ],
)
def test_a_ping_that_is_not_answered_by_200_leaves_everything_as_it_was(
    caller: Caller, receiver: Receiver, behavior: Any, came_back: str
) -> None:
    receiver.behavior = behavior
    answer = caller.post(CONFIG, body(receiver.url))
    (detail,) = refusal(answer, 400, "invalid")["details"]
    assert detail["field"] == "hook.url"
    assert f"What came back: {came_back}" in detail["message"]
    assert Subscription.objects.count() == HookEndpoint.objects.count() == 0
    assert AuditEntry.objects.filter(action__startswith="hook").count() == 0


def test_a_failed_change_leaves_the_hook_that_is_there(caller: Caller, receiver: Receiver) -> None:
    caller.post(CONFIG, body(receiver.url))
    receiver.behavior = lambda _: web.Response(status=500)
    assert fields_of(caller.post(CONFIG, body(receiver.url + "/2"))) == ["hook.url"]
    assert parsed(caller.get(CONFIG))["hook"]["url"] == receiver.url
    assert list(HookAttempt.objects.order_by("id").values_list("kind", "status")) == [
        ("ping", 200),
        ("ping", 500),
    ]


@pytest.mark.parametrize(
    "url",
    [
        *(None, 7, "", [], "http://erp.customer.com/", "https://10.0.0.1/", "https://127.1/"),
        *("https://[::1]/", "https://localhost/", "https://u:p@erp.customer.com/", "ftp://x.com"),
        *("https://testserver/", "https://0x7f000001/", "https://erp.customer.com#@10.0.0.1/"),
        "https://nowhere.invalid/",
    ],
)
def test_an_address_that_must_not_be_called_is_a_400_at_hook_url(
    caller: Caller, settings: Settings, url: object
) -> None:
    settings.HOOK_ALLOW_HTTP = False
    assert fields_of(caller.post(CONFIG, {"hook": {"url": url, "headers": {}}})) == ["hook.url"]
    assert HookEndpoint.objects.count() == 0


@pytest.mark.parametrize(
    "headers",
    [
        *({"Host": "x"}, {"content-length": "1"}, {"Transfer-Encoding": "chunked"}),
        *({"Connection": "close"}, {"Cookie": "a=b"}, {"webhook-id": "1"}, {"Webhook-Other": "1"}),
        *({"X-A": "a\r\nX-B: b"}, {"X-A": "a\nb"}, {"X-A\r\n": "a"}, {"X A": "a"}, {"": "a"}),
        *({"X-A": 1}, {"X-A": None}, {"X-A": "é"}, {"X-A": "x" * 2049}, {"X-A": "a", "x-a": "b"}),
        *({f"X-{number}": "1" for number in range(21)}, ["X-A"], "X-A: a"),
    ],
)
def test_headers_that_are_not_the_keys_to_set_are_refused(
    caller: Caller, receiver: Receiver, headers: object
) -> None:
    answer = caller.post(CONFIG, {"hook": {"url": receiver.url, "headers": headers}})
    assert all(field.startswith("hook.headers") for field in fields_of(answer))
    assert receiver.received == []


def test_absent_headers_and_filter_are_taken(caller: Caller, receiver: Receiver) -> None:
    assert caller.post(CONFIG, {"hook": {"url": receiver.url}}).status_code == 200
    assert parsed(caller.get(CONFIG))["filter"] == {"type": "FromWorkflow", "status": []}


@pytest.mark.parametrize("hook", [None, "https://erp.customer.com", [], 1])
def test_a_hook_that_is_no_object_is_refused(caller: Caller, hook: object) -> None:
    assert fields_of(caller.post(CONFIG, {"hook": hook})) == ["hook"]


def test_a_misspelt_status_is_refused_before_anything_is_called(
    caller: Caller, receiver: Receiver
) -> None:
    answer = caller.post(CONFIG, body(receiver.url, status=["ready-for-handlin"]))
    (detail,) = refusal(answer, 400, "invalid")["details"]
    assert "ready-for-handling" in detail["message"]
    assert receiver.received == []


def test_an_expression_is_refused_before_anything_is_called(
    caller: Caller, receiver: Receiver
) -> None:
    wrong = {"type": "FromOrders", "expression": 'status = "canceled'}
    asked = {"filter": wrong, "hook": {"url": receiver.url}}
    assert fields_of(caller.post(CONFIG, asked)) == ["filter.expression"]
    assert receiver.received == []


def test_feed_and_hook_of_a_key_stand_side_by_side(caller: Caller, receiver: Receiver) -> None:
    caller.post("orders/feed/config", {})
    caller.post(CONFIG, body(receiver.url))
    caller.ask("DELETE", CONFIG)
    assert caller.get("orders/feed/config").status_code == 200


def test_a_disabled_hook_says_so_and_why(caller: Caller, receiver: Receiver) -> None:
    caller.post(CONFIG, body(receiver.url))
    HookEndpoint.objects.update(disabled_at="2026-01-01T00:00:00Z", disabled_reason="gone")
    told = parsed(caller.get(CONFIG))
    assert (told["status"], told["disabledReason"]) == ("disabled", "gone")
    caller.post(CONFIG, body(receiver.url))
    assert parsed(caller.get(CONFIG))["status"] == "active"


def test_a_secret_is_rotated_and_told_once(caller: Caller, receiver: Receiver) -> None:
    first = parsed(caller.post(CONFIG, body(receiver.url)))
    rotated = parsed(caller.post("orders/hook/secret"))
    assert set(rotated) == {"secret", "previousSecretEndsAt"}
    tested = parsed(caller.post("orders/hook/test"))
    assert (tested["success"], tested["status"]) == (True, 200)
    call = receiver.received[-1]
    for secret in (first["secret"], rotated["secret"]):
        Webhook(secret).verify(call.body, call.headers)


def test_a_test_says_what_came_back(caller: Caller, receiver: Receiver) -> None:
    refusal(caller.post("orders/hook/test"), 404, "hook_not_configured")
    caller.post(CONFIG, body(receiver.url))
    receiver.behavior = lambda _: web.Response(status=503, text="later")
    tested = parsed(caller.post("orders/hook/test"))
    assert (tested["success"], tested["status"], tested["answer"]) == (False, 503, "later")


@pytest.mark.django_db(transaction=True)
def test_a_receiver_is_called_by_hand_once_at_a_time(caller: Caller, receiver: Receiver) -> None:
    asked = body(receiver.url)
    caller.post(CONFIG, asked)
    begun, go_on = threading.Event(), threading.Event()

    async def slow(_: Received) -> web.StreamResponse:
        begun.set()
        await asyncio.to_thread(go_on.wait, 10)
        return web.Response()

    receiver.behavior = slow
    other = Caller([Scope.FEED_HOOK_ADMIN])
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(_and_hang_up, lambda: caller.post("orders/hook/test"))
        assert begun.wait(10)
        called = len(receiver.received)
        refusal(caller.post("orders/hook/test"), 409, "call_under_way")
        refusal(caller.post(CONFIG, asked), 409, "call_under_way")
        assert len(receiver.received) == called
        receiver.behavior = lambda _: web.Response()
        assert other.post(CONFIG, asked).status_code == 200
        go_on.set()
        assert parsed(first.result())["success"]
    assert parsed(caller.post("orders/hook/test"))["success"]


def _and_hang_up(ask: Callable[[], HttpResponse]) -> HttpResponse:
    try:
        return ask()
    finally:
        connections.close_all()


def test_resending_takes_everything_that_failed_or_a_stretch_of_time(
    caller: Caller, receiver: Receiver
) -> None:
    caller.post(CONFIG, body(receiver.url))
    resend = "orders/hook/resend"
    assert parsed(caller.post(resend, {"failed": True, "reason": "mended"})) == {"queued": 0}
    stretch = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    assert parsed(caller.post(resend, stretch)) == {"queued": 0}
    for bad in ({}, {"failed": False}, {"since": stretch["since"]}, {"since": "x", "until": "y"}):
        refusal(caller.post(resend, bad), 400, "invalid")
    assert QueueItem.objects.filter(attempts__gt=F("schedule_from")).count() == 0


@pytest.mark.django_db(transaction=True)
def test_resending_with_an_idempotency_key_commits_in_steps_too(
    caller: Caller, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller.post(CONFIG, body(receiver.url))
    in_transaction: list[bool] = []

    def noting(*statements: Statement) -> list[Rows]:
        in_transaction.append(len(connection.savepoint_ids) > 0)
        return run_together(*statements)

    monkeypatch.setattr(resending, "run_together", noting)
    headers = {**caller.headers, "Idempotency-Key": "again-1"}
    answers = [
        caller.ask("POST", "orders/hook/resend", {"failed": True}, headers=headers)
        for _ in range(2)
    ]
    assert [parsed(answer) for answer in answers] == [{"queued": 0}] * 2
    assert in_transaction == [False]


def test_a_hook_whose_key_was_lost_is_shown_and_can_be_made_anew(
    caller: Caller, receiver: Receiver, settings: Settings
) -> None:
    caller.post(CONFIG, body(receiver.url))
    settings.ENCRYPTION_KEYS = ["another"]
    assert parsed(caller.get(CONFIG))["hook"] == {"url": receiver.url, "headers": {}}
    assert load_terms() == []
    refusal(caller.post("orders/hook/test"), 409, "secret_unreadable")
    again = parsed(caller.post(CONFIG, body(receiver.url)))
    Webhook(again["secret"]).verify(receiver.received[-1].body, receiver.received[-1].headers)
    assert [terms.url for terms in load_terms()] == [receiver.url]


def test_all_hooks_are_sealed_with_the_newest_key_by_a_command(
    caller: Caller, receiver: Receiver, settings: Settings
) -> None:
    first = parsed(caller.post(CONFIG, body(receiver.url)))
    caller.post("orders/hook/secret")
    settings.ENCRYPTION_KEYS = ["new", *settings.ENCRYPTION_KEYS]
    call_command("reencrypt_secrets", stdout=io.StringIO())
    settings.ENCRYPTION_KEYS = ["new"]
    assert parsed(caller.post("orders/hook/test"))["success"]
    Webhook(first["secret"]).verify(receiver.received[-1].body, receiver.received[-1].headers)
    settings.ENCRYPTION_KEYS = ["lost"]
    with pytest.raises(CommandError, match="No key opens"):
        call_command("reencrypt_secrets", stdout=io.StringIO())
