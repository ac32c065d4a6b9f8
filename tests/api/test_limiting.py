"""What a caller sees of its limit, and what a poller sees of the feed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from oms.access import limits
from oms.access.authenticating import Principal, authenticate, forget_all_cached_keys
from oms.access.limits import forget_shares
from oms.access.list_pollers import list_pollers, note_list_poller
from oms.access.models import AppKey, ListPoller
from oms.api.limiting import headers_to_add
from oms.api.list_watch import forget_watched, watch_list
from oms.ops.models import AuditEntry
from oms.orders.ledger import number_all_events
from oms.orders.statuses import Status
from tests.api.callers import Caller, refusal
from tests.workflow.stories import place, place_in

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_remembered(db: None) -> Iterator[None]:
    for forget in (forget_shares, forget_watched, forget_all_cached_keys):
        forget()
    yield
    for forget in (forget_shares, forget_watched, forget_all_cached_keys):
        forget()


def limited(limit: int) -> Caller:
    """This function will make a caller whose minute does not end while a test runs."""
    caller = Caller()
    app_key = caller.actor.removeprefix("key:")
    call_command("limit_app_key", app_key, str(limit), reason="test")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO access_usedquota (app_key_id, bucket, minute, taken)"
            " SELECT id, 'all', statement_timestamp() + interval '50 seconds', 0"
            " FROM access_appkey WHERE app_key = %s",
            [app_key],
        )
    return caller


def test_every_answer_says_what_is_left() -> None:
    caller = limited(3)
    first, second = (caller.get(f"oms/pvt/orders/{place()}") for _ in range(2))
    assert [first.headers["RateLimit-Limit"], first.headers["X-RateLimit-Limit"]] == ["3", "3"]
    assert [first.headers["RateLimit-Remaining"], second.headers["RateLimit-Remaining"]] == [
        "2",
        "1",
    ]
    assert 0 < int(first.headers["RateLimit-Reset"]) <= 110
    assert int(first.headers["X-RateLimit-Reset"]) > 1_700_000_000
    missing = caller.get("oms/pvt/orders/none")
    assert (missing.status_code, missing.headers["RateLimit-Remaining"]) == (404, "0")


def test_above_the_limit_nothing_is_done() -> None:
    order_id, caller = place_in(Status.READY_FOR_HANDLING), limited(1)
    assert caller.get(f"oms/pvt/orders/{order_id}").status_code == 200
    answer = caller.post(f"oms/pvt/orders/{order_id}/start-handling")
    refusal(answer, 429, "too_many_requests")
    assert answer.headers["RateLimit-Remaining"] == "0"
    assert 0 < int(answer.headers["Retry-After"]) <= 110


def test_refusals_for_a_missing_scope_count_as_well() -> None:
    caller = limited(1)
    AppKey.objects.update(scopes=["OMSViewer"])
    forget_all_cached_keys()
    refusal(caller.post("oms/pvt/orders/none/start-handling"), 403, "forbidden")
    refusal(caller.post("oms/pvt/orders/none/start-handling"), 429, "too_many_requests")


def test_a_limiter_that_fails_costs_nobody_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> tuple[int, float]:
        raise DatabaseError("disk full")

    monkeypatch.setattr(limits, "_take", fail)
    answer = Caller().get(f"oms/pvt/orders/{place()}")
    assert answer.status_code == 200
    assert "RateLimit-Limit" not in answer.headers


def test_a_limit_is_set_with_a_reason_and_audited() -> None:
    caller = limited(7)
    entry = AuditEntry.objects.get(action="app_key.limited")
    assert entry.details == {"requests_per_minute": [None, 7]}
    app_key = caller.actor.removeprefix("key:")
    for given in ("0", "-1", "many"):
        with pytest.raises(CommandError):
            call_command("limit_app_key", app_key, given, reason="test")
    call_command("limit_app_key", app_key, "default", reason="test")
    assert AppKey.objects.get(app_key=app_key).requests_per_minute is None


def principal_of(caller: Caller, *, polls_list: bool = False) -> Principal:
    key = AppKey.objects.get(app_key=caller.actor.removeprefix("key:"))
    return Principal(key.pk, key.app_key, frozenset(key.scopes), polls_list=polls_list)


def window(minute: int) -> tuple[HttpRequest, datetime]:
    """This function will ask for the orders of one minute, as it ends."""
    begins, ends = (
        f"{NOW + timedelta(minutes=m):%Y-%m-%dT%H:%M:%S.000Z}" for m in (minute - 1, minute)
    )
    query = {"f_creationDate": f"creationDate:[{begins} TO {ends}]", "q": "ann@shop.example"}
    return RequestFactory().get("/api/oms/pvt/orders", query), NOW + timedelta(minutes=minute)


def follow(principal: Principal, minutes: range) -> list[tuple[HttpRequest, HttpResponse | None]]:
    asked = []
    for minute in minutes:
        request, at = window(minute)
        asked.append((request, watch_list(request, principal, at=at)))
    return asked


def test_a_poller_is_shown_the_feed_and_where_to_begin() -> None:
    place()
    number_all_events()
    asked = follow(principal_of(Caller()), range(6))
    assert [refused for _, refused in asked] == [None] * 6
    plain, told = headers_to_add(asked[0][0]), headers_to_add(asked[-1][0])
    assert "Link" not in plain
    assert told["Deprecation"].startswith("@")
    assert told["Link"] == (
        '</api/orders/feed/config>; rel="successor-version", '
        '</api/events?after=1>; rel="successor-version"'
    )


def sweep(number: int) -> list[tuple[dict[str, str], float]]:
    """Sixty pages within six seconds, once a minute."""
    return [({"page": str(page)}, number * 60 + page / 10) for page in range(1, 61)]


def ask_each_second(count: int) -> list[tuple[dict[str, str], float]]:
    windows = [NOW + timedelta(seconds=second) for second in range(count)]
    return [
        (
            {
                "f_creationDate": f"creationDate:[{NOW:%Y-%m-%dT%H:%M:%SZ} TO {end:%Y-%m-%dT%H:%M:%SZ}]"
            },
            n,
        )
        for n, end in enumerate(windows)
    ]


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param(ask_each_second(180), id="each second"),
        pytest.param([({}, n / 5) for n in range(900)], id="the same five times a second"),
        pytest.param([one for n in range(6) for one in sweep(n)], id="long sweeps"),
    ],
)
def test_who_asks_often_is_recognized_too(requests: list[tuple[dict[str, str], float]]) -> None:
    principal = principal_of(Caller())
    for query, second in requests:
        request = RequestFactory().get("/api/oms/pvt/orders", query)
        watch_list(request, principal, at=NOW + timedelta(seconds=second))
    assert list_pollers().count() == 1


def test_a_poller_is_written_down_with_its_owner_and_without_what_it_looked_for() -> None:
    caller = Caller()
    follow(principal_of(caller), range(12))
    (poller,) = list_pollers()
    assert poller.app_key.owner_name == "ERP"
    assert (poller.pattern, poller.example) == ("advancing dates", "f_creationDate, q")
    assert poller.request_count == 8
    forget_all_cached_keys()
    pair = caller.headers["X-VTEX-API-AppKey"], caller.headers["X-VTEX-API-AppToken"]
    assert authenticate(*pair).polls_list
    ListPoller.objects.update(last_seen_at=datetime(2026, 1, 1, tzinfo=UTC))
    forget_all_cached_keys()
    assert not authenticate(*pair).polls_list


def test_a_poller_known_to_another_worker_is_known_at_its_first_request() -> None:
    request, at = window(0)
    watch_list(request, principal_of(Caller(), polls_list=True), at=at)
    assert "Link" in headers_to_add(request)


def test_the_list_itself_tells_a_poller_of_the_feed(settings: Settings) -> None:
    settings.LIST_POLLER_REQUESTS_PER_MINUTE = 1
    caller = Caller()
    assert "Link" not in caller.get("oms/pvt/orders").headers
    key_id = principal_of(caller).key_id
    note_list_poller(key_id, pattern="page by page", example="", request_count=1, position=0)
    forget_all_cached_keys()
    answer = caller.get("oms/pvt/orders?page=2")
    assert answer.status_code == 200
    assert '</api/orders/feed/config>; rel="successor-version"' in answer.headers["Link"]
    assert answer.headers["RateLimit-Limit"] == "1"
    refusal(caller.get("oms/pvt/orders"), 429, "too_many_requests")
    assert caller.get(f"oms/pvt/orders/{place()}").status_code == 200


def test_a_poller_has_a_quota_of_its_own(settings: Settings) -> None:
    settings.LIST_POLLER_REQUESTS_PER_MINUTE = 2
    answers = [refused for _, refused in follow(principal_of(Caller()), range(20))]
    refused = [answer for answer in answers if answer is not None]
    assert refused
    assert {answer.status_code for answer in refused} == {429}


def test_what_is_remembered_is_written_once_a_minute() -> None:
    principal = principal_of(Caller(), polls_list=True)
    for second in range(59):
        request = RequestFactory().get("/api/oms/pvt/orders")
        watch_list(request, principal, at=NOW + timedelta(seconds=second))
    assert list_pollers().get().request_count == 1
